/*
 * data_pump - octets of one transfer from one connected socket to another, whole or cut.
 *
 *	looked at	source -> recv -> ring -> octets() -> [window held back] -> send -> sink
 *	not looked at	source -> splice -> pipe -> splice -> sink
 *	under TLS	as what is looked at, by OpenSSL in place of recv and send
 *
 * The ring is where octets are received, looked at and sent from: none is copied. A source is read
 * only when there is room, so a slow sink holds it back.
 *
 * Both sockets carry SO_LINGER {1, 0} when they come, and do when the pump is freed early: closing
 * them then is a reset. The sink's is taken away once the source's true end (a FIN, never a
 * reset) was seen and everything is in the kernel, right ahead of the FIN.
 *
 * SIGPIPE must be ignored: splice() has no MSG_NOSIGNAL.
 *
 * Octets that the sink sends are thrown away and counted; that it sends no more means nothing.
 *
 * Memory: DATA_RING + hold octets, or a pipe of DATA_PIPE_OCTETS, from the first octet to the
 * last that goes out; nothing while nothing is on its way. A ring where one side is under TLS.
 */
#ifndef POSTERN_DATA_PUMP_H
#define POSTERN_DATA_PUMP_H

#include "data.h"
#include "data_pipe.h"

struct event_base;
struct data_pump;
struct tls_leg;

enum pump_what {
	PUMP_SOURCE_END, /* the source has ended well, its octets were all shown */
	PUMP_DONE,	 /* all octets and the end are in the kernel; the sockets may be closed */
	PUMP_CUT,	 /* they will never be; both sockets are to be reset */
};

struct pump_plan {
	enum data_leg source; /* the other one is the sink */
	int fds[DATA_LEGS];   /* non-blocking, connected TCP; lent until data_pump_free() */
	/* Legs that are open, lent as long; NULL: in the clear. */
	struct tls_leg *tls[DATA_LEGS];
	bool fin_ends; /* of the source: a FIN without close_notify is its end, and no cut */
	struct data_count *count; /* all zero; kept up to date until then */
	bool look;
	size_t hold;	/* octets that stay back until data_pump_release(); looked at only */
	unsigned stall; /* seconds */
	/* False: the pump was freed, or is going to be, and touches nothing any more. */
	bool (*octets)(void *arg, struct span);
	/* leg: whose fault a cut was. The pump must not be freed from within. */
	/* Octets that were read from a leg, or went out to it; NULL: nobody wants them. */
	void (*seen)(void *arg, enum data_leg, struct span);
	void (*told)(void *arg, enum pump_what, enum data_leg, const char *why);
	void *arg;
};

/* Both functions of the plan are called by the loop, never from here. NULL: no memory. */
struct data_pump *data_pump_new(struct event_base *, struct data_pipes *, const struct pump_plan *);
/* The window may go, now and later. */
void data_pump_release(struct data_pump *);
void data_pump_free(struct data_pump *); /* the sockets stay; NULL is fine */

#endif
