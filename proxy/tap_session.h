/*
 * tap_session - the captures of a worker's sessions: which section of the configuration a session
 * belongs to, and records of its connections.
 *
 * A session that nobody captures has no tap (relay.tap is NULL), and costs nothing.
 *
 * What is written of the leg to the client is what the gate has parsed of the client's octets, and
 * what was given to the client's socket of ours; of the leg to the server the same the other way
 * round. Octets inside TLS that ends here are in the clear; of TLS that passes unread it is TLS
 * that is written. Where TLS begins within a connection, a new one begins in the capture with the
 * same ports, and with the server's greeting once more ahead of it: others would look for TLS in
 * what follows, and understand nothing of a dialogue without a greeting.
 *
 * Masking (tap_mask.h): a line of the client's is kept back until the gate has said what it is, in
 * at most TAP_LINE_MAX octets; of a longer one all is masked. Octets of the client's that no gate
 * looked at any more are masked.
 *
 * Memory of a tap: its own size, a line that is not whole of either direction, the greeting.
 */
#ifndef POSTERN_TAP_SESSION_H
#define POSTERN_TAP_SESSION_H

#include "data.h"
#include "tap_pipe.h"

#define TAP_LINE_MAX	 (128u << 10)
#define TAP_GREETING_MAX 4096u

struct relay;
struct tapped;
struct tap_data;

/* Of one worker. */
struct taps {
	const struct config *config;
	struct tap_pipe *pipe;
};

/* A tap for a session that begins. NULL: none is wanted, or no memory. */
struct tapped *tapped_new(const struct taps *, struct relay *);
/* The session is over: its connections end as they did. NULL is fine. */
void tapped_free(struct tapped *);

/* A gate is going to handle this event; the octets that are parsed next belong to it. */
void tapped_event(struct tapped *, const struct an_event *);
/* It was handled: what goes out from here on has nothing to do with it. */
void tapped_handled(struct tapped *);
/* TLS has begun on the leg to the peer that sends in this direction. */
void tapped_secured(struct tapped *, enum an_dir);

/* One leg of a data connection. */
struct tap_leg {
	enum data_leg leg;
	struct endpoint client, server; /* the client, or we towards the server; and the other */
	bool server_dials;		/* the connection was opened by the server's side */
};
/* NULL: nobody wants that leg, or no memory. */
struct tap_data *tap_data_new(struct tapped *, const struct tap_leg *);
/* secure: they are inside TLS. All functions take NULL. */
void tap_data_octets(struct tap_data *, enum an_dir, bool secure, struct span);
/* It ends; dir: by whom. The tap must still be there. */
void tap_data_free(struct tap_data *, enum an_dir, enum tap_end);

#endif
