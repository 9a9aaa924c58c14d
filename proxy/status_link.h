/*
 * status_link - the supervisor's side of the status process: its listeners, its start, and which
 * pages it was told of. The supervisor never reads a page that a worker writes.
 *
 * Nothing here blocks; what could not be sent at once is sent at status_link_flush().
 */
#ifndef POSTERN_STATUS_LINK_H
#define POSTERN_STATUS_LINK_H

#include <sys/types.h>

#include "board_gateway.h"
#include "status_socket.h"

struct status_link;

/* NULL: errno. */
struct status_link *status_link_new(void);
/* The socket's path is removed. NULL is fine. Does not end the process. */
void status_link_free(struct status_link *);

/* The supervisor's own page; good until status_link_free(). */
struct gateway_page *status_link_gateway(struct status_link *);

/*
 * Makes the listeners that the configuration wants; those that are there already and are still
 * wanted stay. False: why says so in one line; nothing was changed. True and *changed: a process
 * that runs has to be ended, the next one gets the new ones.
 */
bool status_link_listen(
    struct status_link *, const struct config *, bool *changed, char why[STATUS_WHY_MAX]);

/*
 * Starts the process; the pages of all workers are sent to it. user: to become, where we are root.
 * 0: the configuration has no listener for it. -1: errno.
 */
pid_t status_link_start(struct status_link *, const char *user);
/* It has ended. What workers count goes on being counted. */
void status_link_lost(struct status_link *);

/*
 * A page for a worker that is about to be started: *serial names it from here on. Returns the
 * descriptor for the worker (board_open()), to be closed once it was handed over; -1: errno.
 */
int status_link_board(struct status_link *, unsigned slot, unsigned sessions_max, unsigned *serial);
/* That worker has ended, or was never started. */
void status_link_board_gone(struct status_link *, unsigned serial);

/* Once a second. */
void status_link_flush(struct status_link *);

#endif
