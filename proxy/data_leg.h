/*
 * data_leg - one of the two data connections of a transfer, from the wish to have it to its end:
 * a peer is waited for, or dialled, and what came of it is told once.
 *
 *	LEG_NONE -> LEG_OPENING -> LEG_OPEN -> LEG_NONE
 *
 * One that is open may be put under TLS (leg_protect), and is open again when that is done.
 *
 * How a peer is waited for: taken off the wire, its connection comes to the worker's data
 * listener (data_holes.h) once the supervisor has told the kernel; in forward mode, and towards the
 * server in redirect mode, the supervisor makes a listening socket on a port of ftp.data_ports.
 * Either is for one connection, from one address; others are reset, and told.
 *
 * How one is dialled: from port 20 with a socket that the supervisor bound, where that fails from
 * any port of the same address. In tproxy mode an address that cannot be spoken from is
 * an end; no other takes its place.
 */
#ifndef POSTERN_DATA_LEG_H
#define POSTERN_DATA_LEG_H

#include <event2/event_struct.h>

#include "arrival.h"
#include "clients.h"
#include "data.h"
#include "data_farewell.h"
#include "data_holes.h"
#include "data_requests.h"
#include "socket_stock.h"

/* What the data connections of a worker share. */
struct data_shared {
	struct event_base *base;
	const struct config *config;
	struct data_requests *requests;
	struct data_holes *holes;
	struct clients *clients;
	struct socket_stock *stock; /* NULL: nothing is taken off the wire */
	struct data_pipes *pipes;
	struct data_farewells *farewells;
};

enum leg_state { LEG_NONE, LEG_OPENING, LEG_OPEN, LEG_SHAKING };

struct leg {
	struct data_shared *shared;
	const struct arrival *arrival; /* of the session */
	struct client_row *client;
	enum data_leg which;
	/* May be called from within leg_listen() and leg_dial(). Must not close the leg. */
	void (*told)(void *arg, const struct data_news *);
	void *arg;

	enum leg_state state;
	int fd;		     /* the connection, or what is to be one; -1 */
	struct tls_leg *tls; /* of the connection; NULL: in the clear */
	/* The handshake is over; why: NULL, or what is wrong. Must not close the leg. */
	void (*shaken)(void *arg, struct leg *, const char *why);
	int listener; /* -1 */
	struct event ready, timer;
	bool watched; /* ready is added */
	uint64_t seconds;
	struct data_request *request; /* not answered yet */
	uint32_t number;	      /* of a hole that the supervisor knows of; 0: none */
	struct awaited awaited;
	struct stock_waiter waiter;
	bool connecting; /* the client's row counts it */
	struct data_hole hole;
	unsigned choices; /* ports that were tried; 0: the hole names one */
	struct data_dial dial;
};

/* shared, arrival, client, which, told, shaken and arg are set, the rest is zero. */
void leg_init(struct leg *);
/* Of a leg in LEG_NONE. */
void leg_listen(struct leg *, const struct data_hole *, unsigned seconds);
void leg_dial(struct leg *, const struct data_dial *, unsigned seconds);
/*
 * Of a leg in LEG_OPEN: shakes hands, LEG_SHAKING until then; l->shaken() is told, with why
 * "tls_timeout" after so many seconds. tls is taken. May call l->shaken() from within.
 */
void leg_protect(struct leg *, struct tls_leg *tls, unsigned seconds);
/* Back to LEG_NONE; reset: the peer must not take what it has for whole. Tells nothing. */
void leg_close(struct leg *, bool reset);
/* The same of one whose transfer has ended well, with its FIN: its peer closes in its own time. */
void leg_part(struct leg *);

#endif
