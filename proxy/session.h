/*
 * session - a relay between two sockets: the only place where octets meet descriptors. What all
 * sessions of a worker share, and how one goes on and ends; session_open.h begins one.
 *
 * Owns both sockets, their events and the relay; one open, one end. A session that waits for
 * nothing but its peers holds no buffer.
 */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include <event2/event_struct.h>

#include "arrival.h"
#include "clients.h"
#include "data_leg.h"
#include "deadlines.h"
#include "log_pipe.h"
#include "relay.h"
#include "resolver.h"
#include "socket_stock.h"

struct event_base;
struct session;

/* What all sessions of a worker share. */
struct sessions {
	struct event_base *base;
	struct relay_env env; /* filled in by session_services() */
	struct resolver *resolver;
	struct resolver *validator; /* the same with DNSSEC; NULL: nobody asks what needs it */
	struct clients *clients;
	/* Records are being lost now, and the administrator wants no session without one. */
	bool (*unaudited)(void *arg);
	struct socket_stock *stock; /* of sockets to servers; NULL: nothing is taken off the wire */
	struct data_shared *data;   /* of FTP's data connections */
	struct ftp_servers *ftp_servers; /* NULL: no memory for what they refuse */
	struct tls_keys *tls_keys;	 /* NULL: no TLS ends here */
	struct tls_distrust *distrust;	 /* NULL: not kept */
	struct tls_mint *mint;		 /* NULL: there is no CA of our own */
	const struct taps *taps;	 /* captures; NULL: there are none */
	const struct tls_offers *tls_offers;
	void (*offered)(void *arg, const struct tls_offer *); /* a server offers STARTTLS */
	struct data_ops data_ops;			      /* filled in by session_services() */
	const struct config *config;
	struct board *board; /* where sessions are counted */
	unsigned max, count;
	unsigned long descriptors, taken; /* for all, and of those that may need them */
	uint64_t pressed; /* when idle sessions were last told that there are too many */
	struct session *first;
	struct deadlines *deadlines; /* of them all */
	struct event alarm;	     /* for the earliest; sessions_start() */
	uint64_t alarm_at;	     /* when it fires; 0: not added */
	uint64_t soonest; /* no deadline is ahead of it: who is due again has to wait a turn */
	/* A session is gone: there may be room for a new one. */
	void (*ended)(void *arg);
	void *arg;
};

/* Before the first one, when all that they share is there. */
void sessions_start(struct sessions *);
/* There is no room for one more. */
bool sessions_full(const struct sessions *);
/* There are so many that those that idle have less time. */
bool sessions_pressed(const struct sessions *);
/* Ends them all, with their records. */
void sessions_end(struct sessions *);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t session_now(void *arg);

#endif
