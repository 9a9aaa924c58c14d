/*
 * protection - the records of one direction under one set of keys, opened: RFC 8446 s5.2, RFC 5246
 * s6.2.3, RFC 7366 (encrypt-then-MAC), RFC 2246 s6.2.3.2 (CBC that chains over records).
 *
 * What libcrypto needs is made once and kept for the next keys; a record allocates nothing here.
 */
#ifndef POSTERN_TLS_PROTECTION_H
#define POSTERN_TLS_PROTECTION_H

#include <openssl/evp.h>

#include "core/span.h"
#include "tls/suite.h"

#define TLS_RECORD_HEADER 5
#define TLS_PLAIN_MAX	  16384			 /* octets in a record */
#define TLS_RECORD_MAX	  (TLS_PLAIN_MAX + 2048) /* and of one (RFC 5246 s6.2.3) */

#define TLS_KEY_MAX 32
#define TLS_MAC_MAX 48
#define TLS_IV_MAX  16

struct tls_keys {
	uint8_t mac[TLS_MAC_MAX]; /* CBC */
	uint8_t key[TLS_KEY_MAX];
	uint8_t iv[TLS_IV_MAX];
};

/* Zeros: nothing is kept yet. */
struct tls_protection {
	const struct tls_suite *suite;
	uint16_t version;
	bool etm;
	uint64_t sequence; /* records that were opened */
	uint8_t iv[TLS_IV_MAX];
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
};

void tls_protection_free(struct tls_protection *);

/* Octets of IV that a key block has for this suite (RFC 5246 s6.3); TLS 1.3: 12 always. */
size_t tls_iv_octets(const struct tls_suite *, uint16_t version);

/* The first record under these keys comes next. False: no memory, or libcrypto has no such cipher.
 */
bool tls_protection_set(struct tls_protection *, const struct tls_suite *, uint16_t version,
    bool etm, const struct tls_keys *);

/*
 * record: whole, with its header. room: as many octets, where it is opened; the record's own
 * storage or none of it. *content points into room; *type is the true one (RFC 8446 s5.2). False:
 * it is not authentic, and what is in room is of no use.
 */
bool tls_protection_open(struct tls_protection *, struct span record, uint8_t *room,
    struct span *content, uint8_t *type);

#endif
