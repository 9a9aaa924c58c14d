/*
 * data_pair - struct data_ops (data.h) with sockets: two legs, the pump between them, or a
 * connection that the kernel lets by.
 *
 * News wait in the pair until the loop hands them on, so that none comes from within a request.
 */
#ifndef POSTERN_DATA_PAIR_H
#define POSTERN_DATA_PAIR_H

#include "data_leg.h"
#include "relay.h"

/* Whose data connections they are. */
struct data_owner {
	struct relay *relay;
	const struct arrival *arrival; /* of its session */
	struct client_row *client;
	/* Hands on to the relay, and sees to the session afterwards, which may end (and close the
	 * pair) by that. */
	void (*news)(struct relay *, struct data_pair *, const struct data_news *);
	void (*octets)(struct relay *, struct data_pair *, struct span);
	/*
	 * A leg of theirs that is to be under TLS, on this socket. NULL: it cannot be. And: its
	 * handshake is over; NULL, or why it must not be used, a constant.
	 */
	struct tls_leg *(*protect)(struct relay *, enum data_leg, int fd);
	const char *(*judge)(struct relay *, enum data_leg, const struct tls_leg *);
};

/* data_ops.open() of whoever knows the owner. NULL: no memory. */
struct data_pair *data_pair_open(struct data_shared *, const struct data_owner *);

/* All but open, which is NULL. */
extern const struct data_ops data_pair_ops;

#endif
