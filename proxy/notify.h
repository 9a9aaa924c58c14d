/*
 * notify - telling the service manager how the gateway is: sd_notify(3), Type=notify.
 *
 * Without a manager (NOTIFY_SOCKET is not in the environment, or cannot be reached) nothing is
 * told and nothing fails. The variable is taken out of the environment, so that no other process
 * of the gateway speaks for it.
 */
#ifndef POSTERN_NOTIFY_H
#define POSTERN_NOTIFY_H

struct notify {
	int fd; /* -1: nobody listens */
};

void notify_init(struct notify *);
/* Closes what notify_init() opened. */
void notify_free(struct notify *);
/* Lines NAME=value. Waits at most a second for a manager that does not read. */
void notify_send(struct notify *, const char *lines);
/* A reload begins; its end is READY=1. */
void notify_reloading(struct notify *);

#endif
