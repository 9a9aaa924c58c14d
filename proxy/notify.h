/*
 * notify - telling the service manager how the gateway is: sd_notify(3), without its library.
 *
 * Only the supervisor says these things. Where nobody asked to be told (no NOTIFY_SOCKET in the
 * environment) every function does nothing. Nothing here waits: a message that cannot be sent at
 * once is lost.
 */
#ifndef POSTERN_NOTIFY_H
#define POSTERN_NOTIFY_H

#include <stdint.h>

struct notify {
	int fd;			/* -1: nobody asked */
	uint64_t watchdog_usec; /* after which the manager gives a silent process up; 0: never */
};

/*
 * Once, before other processes are started: reads NOTIFY_SOCKET (an absolute path, or an abstract
 * name behind '@'), WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment, so that
 * no child speaks for us. The socket that it makes is close-on-exec.
 *
 * Returns NULL, or a constant: why whoever asked to be told cannot be reached.
 */
const char *notify_init(struct notify *);

/* Closes the socket; may be called twice. */
void notify_end(struct notify *);

/*
 * Assignments as in sd_notify(3), one a line: "READY=1\nSTATUS=serving", "STOPPING=1",
 * "MAINPID=17". The caller sees to it that what it puts into a status has no newline.
 */
void notify_send(struct notify *, const char *assignments);

/* SIGHUP was taken, at this moment of the monotonic clock; READY=1 must follow. */
void notify_reloading(struct notify *);

/* Alive. Due every watchdog_usec / 2; does nothing where the manager does not watch. */
void notify_watchdog(struct notify *);

#endif
