/*
 * session_upgrade - the two legs of one session under TLS: which shakes hands when, and with what.
 *
 * Used by session*.c alone, which own the sockets, their events and the timer. The relay asks
 * (relay_upgrade()), and is told (relay_upgraded()). Order:
 *   - a server leg begins as soon as its queue has gone out, unless the client leg is shaking too
 *     and its ClientHello is not there yet: SNI and ALPN are carried over;
 *   - a client leg is answered when no server leg is shaking, and there is a certificate to be
 *     shown: that of a server outside may have to be waited for (tls_mint.h);
 *   - a server leg that fails takes a client leg that waits for it with it, with an alert.
 */
#ifndef POSTERN_SESSION_UPGRADE_H
#define POSTERN_SESSION_UPGRADE_H

#include "relay.h"
#include "tls_leg.h"
#include "tls_mint.h"

#define UPGRADE_MS 30000u /* for the handshakes that are under way together (N-021) */

/* Zero: both legs are in the clear. */
struct upgrade {
	struct relay *relay;
	struct tls_leg *leg[2]; /* by the direction in which the peer sends; NULL: in the clear */
	struct tls_sessions *sessions; /* of the server, for data connections; NULL: not kept */
	uint64_t until; /* env->now() when handshakes have to be over; 0: none is on */
	/* For a certificate that is minted: what is waited for; upgrade_run() then has more to do.
	 */
	struct mint_wait *minting;
	bool mint_failed;
	/* What is published of the name that the client asks for (published.h), while that is
	 * asked. */
	struct answers *answers;
	void *lookup;
	bool judged_name;
	const char *shown;	   /* name of the identity that the client was shown; NULL: none */
	void (*wake)(void *owner); /* may free it */
	void *owner;
};

/*
 * Begins and goes on with handshakes, on these sockets (-1: closed), non-blocking ones. True:
 * something changed, and there may be more to do.
 */
bool upgrade_run(struct upgrade *, const int fds[2]);
/* What it has asked the DNS (env->ask) is answered, if it has asked; upgrade_run() goes on. */
void upgrade_answered(struct upgrade *);
/* Their time is up if it is: those that are on fail ("tls_timeout"). */
void upgrade_expired(struct upgrade *, uint64_t now);
/*
 * A leg that was open broke: why is recorded, where it says more than that the peer is gone. To be
 * called once.
 */
void upgrade_broken(const struct upgrade *, enum an_dir);
void upgrade_free(struct upgrade *);

/* A handshake is on here: the owner neither reads nor writes, and waits for what it says. */
bool upgrade_shakes(const struct upgrade *, enum an_dir);
bool upgrade_wants_read(const struct upgrade *, enum an_dir);
bool upgrade_wants_write(const struct upgrade *, enum an_dir);
/* NULL: octets go in the clear. */
struct tls_leg *upgrade_leg(const struct upgrade *, enum an_dir);

#endif
