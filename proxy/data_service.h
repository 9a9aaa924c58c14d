/*
 * data_service - the privileged side of FTP's data connections: what the supervisor does for its
 * worker processes (proxy/ipc.h: IPC_DATA_...), and what it remembers of it.
 *
 * Every worker process has a part in it: a data port of its own with listeners, to which the
 * kernel brings the connections that this very process expects, and the list of what it expects.
 * So the sessions of a generation that retires still get their data connections, and nobody gets
 * those of another. The part goes with the process, and everything that it had is forgotten.
 *
 * A worker is not trusted: one that was taken over can open holes between any two hosts for an
 * hour at a time, to ports from 1024 on, can listen on addresses of this host within
 * ftp.data_ports, and can speak from port 20 of any address (as it can from every other port: the
 * transparent sockets of its stock). It cannot close another one's hole, nor have one that
 * another one has.
 *
 * Bounds: DATA_HOLES holes in all, DATA_HOLES_EACH of one process; behind that the oldest goes
 * (F-049). One whose time is over no longer counts once the next is asked for. Some 200 octets
 * each. Nothing here waits but for the kernel's answer, some 5 us an element, and some 3 us for
 * each of the 1,024 ports that are tried where they are taken; what a process leaves behind is
 * forgotten DATA_HOLES_AT_ONCE at a time.
 */
#ifndef POSTERN_DATA_SERVICE_H
#define POSTERN_DATA_SERVICE_H

#include <event2/event.h>

#include "interception_service.h"
#include "ipc.h"
#include "listening.h"

#define DATA_HOLES	   100000
#define DATA_HOLES_EACH	   50000
#define DATA_HOLES_AT_ONCE 256

struct data_service;
struct data_part; /* of one worker process */

/*
 * note  for the log, when the kernel refuses what a worker may ask for; said once a minute. event
 *       is a constant
 *
 * The interception must outlive it, and it all of its parts. NULL: no memory.
 */
struct data_service *data_service_new(struct event_base *, struct interception_service *,
    void (*note)(void *arg, const char *event, const char *text), void *arg);
/* NULL is fine. Elements that are still in the kernel go with its tables. */
void data_service_free(struct data_service *);

/*
 * The part of a worker process that is about to be started. Where sessions are taken off the wire
 * and FTP is one of the protocols it has listeners, until they are handed over.
 * NULL: no memory, or no data port is left; *why (good until the next call).
 */
struct data_part *data_part_new(struct data_service *, const struct config *, const char **why);
/* The process is gone. NULL is fine. */
void data_part_free(struct data_part *);

/* IPC_LISTEN_DATA4 and 6, b their port; none: n is 0. */
const struct listening_set *data_part_listeners(const struct data_part *);
/* The process has them: from now on they are open as long as it lives. */
void data_part_handed_over(struct data_part *);

/*
 * What the process asks for: a message that ipc_receive() took, of type IPC_DATA_EXPECT to
 * IPC_DATA_BIND. True: *answer goes back to it, with *fd where that is not -1; the caller's to
 * close. False: there is nothing to answer.
 */
bool data_part_heed(
    struct data_part *, const struct ipc_message *ask, struct ipc_message *answer, int *fd);

/*
 * How many holes there are, those of processes that are gone and some whose time is over counted;
 * for tests and status.
 */
size_t data_service_holes(const struct data_service *);

#endif
