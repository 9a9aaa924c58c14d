/*
 * session_side - one socket of a session: octets between it and its channel, in the clear or under
 * TLS, and the events that tell of it.
 *
 * What comes of them the relay says; session_settle() is called behind each event.
 */
#ifndef POSTERN_SESSION_SIDE_H
#define POSTERN_SESSION_SIDE_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/event.h"

struct session;

struct side {
	struct session *session;
	enum an_dir dir; /* in which its peer sends */
	int fd;		 /* -1: closed, or not there yet */
	struct event readable;
	struct event *writable; /* while somebody waits for it, which is seldom; else NULL */
	bool reading;		/* readable is added */
	bool lingering;		/* shut down; what the client still sends is thrown away */
	bool filled;   /* the last read took all that there was room for: more is likely there */
	uint8_t reads; /* since an event told of octets */
	size_t lingered;
};

/* fd, which may be -1, is its socket from here on. */
void side_init(struct session *, enum an_dir, int fd);
/* With a reset, or an end if nobody has unread octets. Nothing if it is closed. */
void side_close(struct side *, bool reset);
/* The server's, and nobody has answered there yet. */
bool side_is_connecting(const struct side *);

/* As much of the queue as the socket takes; true: something went out, or the peer is lost. */
bool side_write_out(struct side *);
/* What can be read without an event; true: something was, or the side is done with. */
bool side_read_on(struct side *);
/*
 * Under TLS, an end that the peer may take for one: nothing of what it was to have is missing
 * (T-021).
 */
void side_say_end(struct side *);

/* Events. want_writable false: no memory. */
bool side_want_writable(struct side *, bool wanted);
void side_want_readable(struct side *, bool wanted);

#endif
