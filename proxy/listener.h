/*
 * listener - one listening socket and what becomes of the clients that come in on it.
 */
#ifndef POSTERN_LISTENER_H
#define POSTERN_LISTENER_H

#include "arrival.h"

struct event_base;
struct listener;

/*
 * Accepts on fd (made non-blocking; owned from here on) while it is not paused; accepted gets every
 * client with *arrival, which is copied and lives as long as the listener's memory does: until
 * listener_free(), which must not come before the last session has ended.
 * When descriptors run out it rests for a moment, so that nothing spins and nothing exits.
 * NULL: no memory.
 */
struct listener *listener_new(struct event_base *, int fd, const struct arrival *,
    void (*accepted)(void *arg, int fd, const struct sockaddr *client, const struct arrival *),
    void *arg);
/*
 * Accepts no more. The socket is closed by the loop, once it does not watch it any more: others
 * have descriptors of the same socket, and a loop that batches what it watches (epoll) would be
 * woken by their clients for ever.
 */
void listener_close(struct listener *);
void listener_free(struct listener *); /* NULL is fine */
void listener_pause(struct listener *, bool pause);

#endif
