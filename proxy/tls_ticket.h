/*
 * tls_ticket - keys of session tickets on client legs (RFC 5077, RFC 8446 s4.6.1), which all
 * workers derive alike (HKDF, RFC 5869) from a secret of the supervisor and the hour, so that none
 * has to tell another.
 *
 * Tickets of the hour before are read still, and renewed; those of an older one are not.
 */
#ifndef POSTERN_TLS_TICKET_H
#define POSTERN_TLS_TICKET_H

#include <openssl/ssl.h>

#include "config.h"

#define TLS_TICKET_HOUR 3600 /* seconds, of a session's life too */
#define TLS_TICKET_NAME 16
#define TLS_TICKET_KEY	32
#define TLS_TICKET_IV	16

struct tls_ticket_keys {
	uint8_t name[TLS_TICKET_NAME]; /* that a ticket says it was made with */
	uint8_t cipher[TLS_TICKET_KEY], mac[TLS_TICKET_KEY];
};

struct tls_tickets {
	uint8_t secret[TLS_SECRET];
	uint64_t hour; /* of keys[0], keys[1] is of the one before */
	struct tls_ticket_keys keys[2];
	bool known; /* both are there */
};

/* False: OpenSSL has no HKDF, or no memory. */
bool tls_ticket_derive(
    const uint8_t secret[TLS_SECRET], uint64_t hour, struct tls_ticket_keys *out);

/* seconds: since 1970. False: as above. */
bool tls_tickets_begin(struct tls_tickets *, const uint8_t secret[TLS_SECRET], uint64_t seconds);
void tls_tickets_wipe(struct tls_tickets *);
/*
 * As SSL_CTX_set_tlsext_ticket_key_evp_cb(3) wants it: 1: the ticket may be made, or read; 2: read,
 * and a new one should be made; 0: it is not ours to read; -1: a failure.
 */
int tls_tickets_use(struct tls_tickets *, uint64_t seconds, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *, EVP_MAC_CTX *, bool encrypt);

#endif
