/*
 * sight - what can be seen of a TLS session by one who stands beside it and has no key.
 *
 * Fed with both directions from the first octet on, in pieces of any size, it reads the records
 * (RFC 8446 s5.1, RFC 5246 s6.2.1) of the handshake up to where encryption begins: ClientHello,
 * ServerHello, up to TLS 1.2 the server's certificates, alerts in the clear. What comes after that
 * is looked at no more.
 *
 * Memory: what arrives of one handshake message per direction, TLS_MESSAGE_MAX each, and a leaf
 * certificate; nothing is allocated because a length announced it. A client's hello is kept as long
 * as the sight.
 */
#ifndef POSTERN_TLS_SIGHT_H
#define POSTERN_TLS_SIGHT_H

#include "core/event.h"
#include "tls/certificate.h"
#include "tls/hello.h"

#define TLS_MESSAGE_MAX 65536 /* of a longer message nothing is known */

struct tls_alert {
	bool seen, fatal;
	uint8_t description; /* RFC 8446 s6 */
};

struct tls_seen {
	bool client_hello, server_hello; /* the structs below are filled in */
	struct tls_client_hello client;
	struct tls_server_hello server;
	struct tls_certificate *leaf; /* the server's own; NULL: not seen, or none */
	size_t chain;		      /* certificates that it sent */
	bool resumed;
	bool malformed;		   /* a direction stopped making sense; what is above holds */
	struct tls_alert alert[2]; /* the first of each direction, by enum an_dir */
};

struct tls_sight;

struct tls_sight *tls_sight_new(void); /* NULL: no memory */
void tls_sight_free(struct tls_sight *);

/*
 * The next octets of a direction. False: nothing more will be seen in either direction (encryption
 * began in both, or they make no sense, or no memory), and what follows need not be fed.
 */
bool tls_sight_feed(struct tls_sight *, enum an_dir, struct span);

/* What was seen so far; good until the next feed or free. */
const struct tls_seen *tls_sight_seen(const struct tls_sight *);

#endif
