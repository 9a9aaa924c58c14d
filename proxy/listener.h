/*
 * listener - one listening socket and what becomes of the clients that come in on it.
 */
#ifndef POSTERN_LISTENER_H
#define POSTERN_LISTENER_H

#include "config.h"

struct event_base;
struct listener;

/*
 * A non-blocking, listening socket for this forward, close-on-exec; -1: *why says what is wrong
 * (good until the next call).
 */
int listener_socket(const struct forward *, const char **why);

/*
 * Accepts on fd (owned from here on) while it is not paused. When descriptors run out it rests
 * for a moment, so that nothing spins and nothing exits. NULL: no memory.
 */
struct listener *listener_new(struct event_base *, int fd, const struct forward *,
    void (*accepted)(void *arg, int fd, const struct sockaddr *client, const struct forward *),
    void *arg);
void listener_free(struct listener *); /* NULL is fine */
void listener_pause(struct listener *, bool pause);

#endif
