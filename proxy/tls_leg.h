/*
 * tls_leg - one leg of a session under TLS: OpenSSL on the leg's own socket.
 *
 * Reads and writes as recv() and sendmsg() do, so that who moves octets does it the same way with
 * TLS and without. No event loop and no relay in here: who owns the socket calls tls_leg_shake()
 * whenever the socket is ready, until it has an end, and then reads and writes. SIGPIPE has to be
 * ignored.
 *
 * Memory of a leg that is open and idle: at most TLS_LEG_IDLE octets; OpenSSL's buffers are given
 * back whenever they are empty.
 */
#ifndef POSTERN_TLS_LEG_H
#define POSTERN_TLS_LEG_H

#include <openssl/ssl.h>
#include <sys/uio.h>

#include "core/ip.h"
#include "core/span.h"
#include "tls/hello.h"
#include "tls_keys.h"
#include "tls_sessions.h"

#define TLS_LEG_IDLE	  (32u << 10)
#define TLS_LEG_ALPN_MAX  64	      /* octets of a list of ALPN that is carried over */
#define TLS_LEG_HELLO_MAX (32u << 10) /* octets of a ClientHello; a longer one is malformed */

struct tls_leg;

enum tls_leg_state {
	TLS_LEG_SHAKING,
	TLS_LEG_HELLO, /* client leg: the ClientHello is there; tls_leg_answer() has to be called */
	TLS_LEG_OPEN,  /* read and write */
	TLS_LEG_FAILED, /* tls_leg_why() */
};

/* What a server is asked for. */
struct tls_wanted {
	const char *server_name; /* SNI, and the name that its certificate must have; NULL: none */
	struct ip server;	 /* what it must have where there is no name ... */
	bool any_name;		 /* ... unless the client itself will see which it has */
	struct span alpn;	 /* as ClientHello has it, at most TLS_LEG_ALPN_MAX; empty: none */
	bool old;		 /* it may speak TLS 1.0, 1.1 and ciphers of then (T-006) */
	/*
	 * Of this server: its newest session is resumed, if it has one, and those that the server
	 * gives go into it once tls_leg_trust() was called. Held by the leg. NULL: none are
	 * resumed, and none kept.
	 */
	struct tls_sessions *sessions;
	/* Shown where it asks for a certificate; borrowed, as keys. NULL: it gets to see none. */
	const struct tls_identity *own;
	bool enforced; /* it sees own only if it is verified */
};

/*
 * fd is borrowed: it must outlive the leg. keys too. NULL: no memory.
 *
 * accept: we are the server, on a client leg. service: what a session that is resumed must have
 * been made for, at most 32 octets (T-018). connect: we are the client, on a server leg.
 */
struct tls_leg *tls_leg_accept(const struct tls_keys *, int fd, struct span service);
struct tls_leg *tls_leg_connect(const struct tls_keys *, int fd, const struct tls_wanted *);
/* Sends nothing: tls_leg_close() does. NULL is fine. */
void tls_leg_free(struct tls_leg *);

/* Goes on as far as the socket lets it. A handshake that fails has sent its alert. */
enum tls_leg_state tls_leg_shake(struct tls_leg *);
enum tls_leg_state tls_leg_state(const struct tls_leg *);
/* What the socket has to be waited for: true: until it takes octets; else until it has some. */
bool tls_leg_wants_write(const struct tls_leg *);
/*
 * Why it failed, or broke later: a constant, for records. "tls_cut": the peer was gone without a
 * word; "tls_alert": with one; "tls_plain": it does not speak TLS; "tls_version", "tls_cipher":
 * it has none that we have; "tls_refused": we did; "tls_client_certificate": the server asked for
 * one, saw none, and said no; "tls_flood": records that carry nothing, and no end of them (T-020);
 * "tls_size": a message of the handshake was too long; "tls_no_memory"; "tls_handshake": all else.
 */
const char *tls_leg_why(const struct tls_leg *);
/* The alert that the peer sent (RFC 8446 s6), or -1. */
int tls_leg_alert(const struct tls_leg *);

/* ---- in TLS_LEG_HELLO, or ahead of it ---- */

/* The client's hello; good until tls_leg_forget_hello(). NULL: it was malformed, or none came. */
const struct tls_client_hello *tls_leg_hello(const struct tls_leg *);
/* The whole of it, as it came, without type and length. */
struct span tls_leg_hello_body(const struct tls_leg *);
/*
 * The handshake may go on, or will not wait, with this identity, and this protocol of those that
 * the client offered (ALPN, at most TLS_LEG_ALPN_MAX octets; empty: none). A NULL identity: it
 * fails, with the alert (SSL_AD_*).
 */
void tls_leg_answer(struct tls_leg *, const struct tls_identity *, struct span alpn, int alert);
/*
 * In place of the protocol: a client that offers any has to offer one of these (NULL behind the
 * last; for good), which is chosen, or hears no_application_protocol (T-010).
 */
void tls_leg_expect_alpn(struct tls_leg *, const char *const *names);
/*
 * No tickets of TLS 1.3: a client that only sends, and closes with them unread, would reset its own
 * connection.
 */
void tls_leg_give_no_tickets(struct tls_leg *);
/* Gives back what it takes, once the handshake is over. */
void tls_leg_forget_hello(struct tls_leg *);

/* ---- in TLS_LEG_OPEN ---- */

/*
 * As recv(): 0: the peer has ended with close_notify; -1 and errno: EAGAIN, or ECONNRESET for
 * everything else, a FIN without close_notify too (T-021).
 */
ssize_t tls_leg_read(struct tls_leg *, void *p, size_t n);
/* What broke was a FIN, between two records, that no close_notify came ahead of. */
bool tls_leg_ended_by_fin(const struct tls_leg *);
/* From now on such a FIN is an end: of a peer that is only written to. */
void tls_leg_take_fin(struct tls_leg *);
/*
 * Octets, or the end, are here that no event of the socket will tell of. Reading on from there
 * ends with the record that they are of, whatever more the peer has sent.
 */
bool tls_leg_pending(const struct tls_leg *);
/*
 * As writev(), of n iovecs, at most one record of them; -1 and errno: EAGAIN, or EPIPE. Behind
 * EAGAIN what is given next must begin with the same octets, and may be longer.
 */
ssize_t tls_leg_write(struct tls_leg *, const struct iovec *, size_t n);
enum tls_leg_closing {
	TLS_LEG_CLOSED,	     /* close_notify has gone out, behind everything that was written */
	TLS_LEG_CLOSE_LATER, /* the socket does not take it: the peer sees a cut until it does */
	TLS_LEG_NOT_CLOSED,  /* it never will: the peer sees a cut */
};
enum tls_leg_closing tls_leg_close(struct tls_leg *);

/* Of a server leg: it is who it has to be; its sessions may be resumed, those to come too. */
void tls_leg_trust(struct tls_leg *);
/* Of a server leg: X509_V_OK, or what is wrong with its certificate, name and staple included. */
long tls_leg_verified(const struct tls_leg *);
/*
 * Of a server leg: NULL: it asked for no certificate of a client; else the name of the one that it
 * was shown, or "none".
 */
const char *tls_leg_client_certificate(const struct tls_leg *);
/* The connection, for records, sessions to resume, certificates. Borrowed. */
SSL *tls_leg_ssl(const struct tls_leg *);

#endif
