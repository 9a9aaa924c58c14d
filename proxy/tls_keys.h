/*
 * tls_keys - what a worker has for TLS: identities, trust anchors, ticket keys.
 *
 * Made from the configuration before the sandbox closes; afterwards no file is read. Keys of
 * servers inside are in workers (docs/tls.md says so); the key of a CA never is.
 */
#ifndef POSTERN_TLS_KEYS_H
#define POSTERN_TLS_KEYS_H

#include <openssl/ssl.h>

#include "config.h"
#include "core/ip.h"

struct tls_keys;

/* A certificate chain and its key, as the client leg shows it. */
struct tls_identity {
	const char *name; /* of its section; "own", "minted", or "minted_untrusted" */
	X509 *leaf;
	STACK_OF(X509) * chain; /* between it and the root; may be NULL */
	EVP_PKEY *key;
};

/*
 * config is borrowed and must outlive it: one that config_read() or config_inherit() made. The key
 * log is opened, by whoever this process is now. NULL: *why is one line, good until the next call.
 */
struct tls_keys *tls_keys_new(const struct config *, const char **why);
void tls_keys_free(struct tls_keys *); /* NULL is fine */

/*
 * The identity of a server inside: that whose names have server_name (SNI; empty: none was said),
 * exactly, else by a wildcard, which stands for one label (RFC 6125 s6.4.3); else that whose
 * networks have its address, else the first that is for any server inside, else NULL. Borrowed.
 */
const struct tls_identity *tls_keys_identity(
    const struct tls_keys *, struct span server_name, const struct ip *server);

/* The gateway's own, for mail of servers that take any: tls_may_show_own(). NULL: it has none. */
const struct tls_identity *tls_keys_own(const struct tls_keys *);

/*
 * What a server is shown that asks for a certificate of its client, by the name of its section
 * (NULL: none). Borrowed.
 */
const struct tls_identity *tls_keys_client_certificate(const struct tls_keys *, const char *name);

/*
 * There is something to be shown of a server, whatever name a client will say: of one inside what
 * is kept, of one outside what is minted (tls_mint.h).
 */
bool tls_keys_can_show(const struct tls_keys *, const struct ip *server, bool inside);

/*
 * For tls_leg.c: the contexts of client legs (we are the server) and of server legs. Versions,
 * ciphers, modes and tickets are set; verification never ends a handshake by itself, its result is
 * kept. A client leg must have a session ID context of its own (SSL_set_session_id_context): the
 * tickets of one service are no other's (T-018).
 */
SSL_CTX *tls_keys_client_legs(const struct tls_keys *);
SSL_CTX *tls_keys_server_legs(const struct tls_keys *);
/* A certificate of the chain that was verified is a CA of our own: no server has one (T-004). */
bool tls_keys_signed_by_us(const struct tls_keys *, const STACK_OF(X509) * chain);
/* Trust anchors that server legs have. */
size_t tls_keys_anchors(const struct tls_keys *);

#endif
