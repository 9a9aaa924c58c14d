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
/* The process is ended, the socket's path removed. NULL is fine. */
void status_link_free(struct status_link *);

/* The supervisor's own page; good until status_link_free(). */
struct gateway_page *status_link_gateway(struct status_link *);

/*
 * Makes the listeners that the configuration wants; those that are there already and are still
 * wanted stay. A process that has other ones is ended; status_link_run() starts the next. False:
 * why says so in one line, and nothing was changed.
 */
bool status_link_listen(struct status_link *, const struct config *, char why[STATUS_WHY_MAX]);

/*
 * Starts the process where there is none and a listener is wanted, as this user where we are root;
 * the pages of all workers are sent to it. After a death it rests for a second, after three within
 * ten seconds for ten. False: it should have been started, errno says why it was not.
 */
bool status_link_run(struct status_link *, const char *user);
/* 0: there is none. */
pid_t status_link_pid(const struct status_link *);
/* waitpid() gave this pid; false: it is not ours. What workers count goes on being counted. */
bool status_link_reap(struct status_link *, pid_t);

/*
 * A page for a worker that is about to be started: *serial names it from here on. Returns the
 * descriptor for the worker (board_open()), to be closed once it was handed over; -1: errno.
 */
int status_link_board(struct status_link *, unsigned slot, unsigned sessions_max, unsigned *serial);
/* That worker has ended, or was never started. */
void status_link_board_gone(struct status_link *, unsigned serial);

/* What could not be sent yet; once a second, with status_link_run(). */
void status_link_flush(struct status_link *);

#endif
