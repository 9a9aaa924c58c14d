/*
 * clients - who is connected how often, who does too much per minute, and who was refused too much.
 *
 * One row per client, an IPv6 client being a prefix. At most CLIENTS_MAX rows; when all are
 * taken, the one that has had no session for longest makes room, so a flood of addresses
 * costs no memory.
 */
#ifndef POSTERN_CLIENTS_H
#define POSTERN_CLIENTS_H

#include "config.h"

#define CLIENTS_MAX 65536

struct clients;
struct client_row;

struct clients *clients_new(const struct limits *); /* NULL: no memory */
void clients_free(struct clients *);

enum client_welcome {
	CLIENT_WELCOME,
	CLIENT_TOO_MANY, /* limits.sessions_per_client, or no row is free */
	CLIENT_BLOCKED,	 /* refused too often, until its time is over */
	CLIENT_TOO_FAST, /* limits.sessions_per_minute */
};

#define CLIENT_WINDOW 60000 /* milliseconds: the minute of all limits "per minute" */

/*
 * What a client may do only so often per minute. The minute of each begins with the first that is
 * counted and is counted anew when it is over; what is not allowed is not counted.
 */
enum client_act {
	CLIENT_SESSION, /* counted by clients_enter() */
	CLIENT_MESSAGE,
	CLIENT_RECIPIENT,
	/*
	 * Counted as a failure until it is known to be none, so that many sessions at once cannot
	 * try more than one could.
	 */
	CLIENT_LOGIN,
	CLIENT_HANDSHAKE, /* of TLS, full or resumed */
	CLIENT_ACTS
};

/*
 * A session of this client begins. *row is good until clients_leave(); NULL unless welcome.
 * now: milliseconds of a clock that never goes back.
 */
enum client_welcome clients_enter(
    struct clients *, const struct ip *, uint64_t now, struct client_row **row);
void clients_leave(struct clients *, struct client_row *);
/*
 * The client does something that is limited; false: it did so too often already. A client without
 * a row (NULL) is not limited.
 */
bool clients_allow(struct clients *, struct client_row *, enum client_act, uint64_t now);
/* One that was allowed does not count after all. */
void clients_take_back(struct client_row *, enum client_act);
/* The client was refused something; true: it is blocked from now on. */
bool clients_refused(struct clients *, struct client_row *, uint64_t now);
/* A connect for this client to a server begins, or is over; false: there are too many. */
bool clients_connecting(struct clients *, struct client_row *);
/* Connects that have begun and are not over. */
unsigned clients_pending(const struct clients *);
void clients_connected(struct clients *, struct client_row *);

#endif
