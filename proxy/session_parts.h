/*
 * session_parts - a session from within, for the files session*.c alone.
 *
 * session_open.c makes one, session_connect.c has it reach its server, session_side.c moves octets,
 * session_upgrade.c shakes hands, session_services.c does what its relay asks for; session.c
 * settles what comes of all that, and ends it.
 */
#ifndef POSTERN_SESSION_PARTS_H
#define POSTERN_SESSION_PARTS_H

#include <event2/event.h>

#include "session.h"
#include "session_side.h"
#include "session_upgrade.h"

struct session {
	struct sessions *all;
	struct relay *relay;
	struct side side[2];	/* by the direction in which the peer sends */
	struct upgrade upgrade; /* what of it is under TLS */
	uint32_t seat;		/* among all deadlines */
	uint64_t close_until;	/* when it is closed, whatever waits to go out; 0: it goes on */
	uint64_t connect_until; /* 0: the server is connected, or lost */
	struct client_row *client;
	const struct arrival *arrival;
	struct stock_waiter waiter; /* for a socket to the server */
	struct session *next, **link;
};

/* Its place among all, which session_settle() takes back together with its seat. */
void session_begin(struct session *);
/*
 * After anything has happened: writes, closes what is done with, waits for the right things. Ends
 * and frees the session when both its sockets are closed: nothing of it is touched behind this.
 */
void session_settle(struct session *);
/* What it waits for may be due earlier than its deadline among all. */
void session_update_deadline(struct session *);
/* It is over before it began, with a reply that says so. */
void session_turn_away(struct session *, const char *reason);

#endif
