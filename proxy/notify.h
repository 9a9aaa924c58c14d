/*
 * notify - telling the service manager how the gateway is: sd_notify(3), without its library.
 *
 * Only the supervisor says these things. Where nobody asked to be told (no NOTIFY_SOCKET in the
 * environment) every function does nothing. Nothing here waits, and nothing is said twice: a
 * message that cannot be sent is lost.
 */
#ifndef POSTERN_NOTIFY_H
#define POSTERN_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NOTIFY_STATUS_MAX 256 /* octets of a status; the rest is cut off */

/*
 * Once, before other processes are started: reads NOTIFY_SOCKET (an absolute path, or an abstract
 * name behind '@'), WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment, so that
 * no child speaks for us. The socket that it makes is close-on-exec. False: *why, a constant; there
 * is a NOTIFY_SOCKET that cannot be spoken to.
 */
bool notify_init(const char **why);

/* Closes the socket. */
void notify_end(void);

/* Everything is served; also after a reload that went well or was refused. */
void notify_ready(void);

/* SIGHUP was taken; notify_ready() must follow. */
void notify_reloading(void);

/* The end was asked for. */
void notify_stopping(void);

/* One line for "systemctl status"; what stands behind a newline is left out. */
void notify_status(const char *text);

/* From now on this process is the main one. */
void notify_main_pid(pid_t);

/* Alive. Due every notify_watchdog_usec() / 2. */
void notify_watchdog(void);

/* Microseconds after which the manager gives a silent process up; 0: it does not watch us. */
uint64_t notify_watchdog_usec(void);

#endif
