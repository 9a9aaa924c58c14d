/*
 * session_upgrade - the two legs of one session under TLS: which shakes hands when, and with what.
 *
 * Used by session.c alone, which owns the sockets, their events and the timer. The relay asks
 * (relay_upgrade()), and is told (relay_upgraded()). Order:
 *   - a server leg begins as soon as its queue has gone out, unless the client leg is shaking too
 *     and its ClientHello is not there yet: SNI and ALPN are carried over;
 *   - a client leg is answered when no server leg is shaking;
 *   - a server leg that fails takes a client leg that waits for it with it, with an alert.
 */
#ifndef POSTERN_SESSION_UPGRADE_H
#define POSTERN_SESSION_UPGRADE_H

#include "relay.h"
#include "tls_leg.h"

#define UPGRADE_MS 30000u /* for the handshakes that are under way together (N-021) */

/* Zero: both legs are in the clear. */
struct upgrade {
	struct relay *relay;
	struct tls_leg *leg[2]; /* by the direction in which the peer sends; NULL: in the clear */
	struct tls_sessions *sessions; /* of the server, for data connections; NULL: not kept */
	uint64_t until; /* env->now() when handshakes have to be over; 0: none is on */
};

/*
 * Begins and goes on with handshakes, on these sockets (-1: closed), non-blocking ones. True:
 * something changed, and there may be more to do.
 */
bool upgrade_run(struct upgrade *, const int fds[2]);
/* Their time is up if it is: those that are on fail ("tls_timeout"). */
void upgrade_expired(struct upgrade *, uint64_t now);
void upgrade_free(struct upgrade *);

/* A handshake is on here: the owner neither reads nor writes, and waits for what it says. */
bool upgrade_shakes(const struct upgrade *, enum an_dir);
bool upgrade_wants_read(const struct upgrade *, enum an_dir);
bool upgrade_wants_write(const struct upgrade *, enum an_dir);
/* NULL: octets go in the clear. */
struct tls_leg *upgrade_leg(const struct upgrade *, enum an_dir);

#endif
