/*
 * schedule - keys out of secrets: the PRF of TLS 1.0 to 1.2 (RFC 2246 s5, RFC 5246 s5) and
 * HKDF-Expand-Label of TLS 1.3 (RFC 8446 s7.1).
 */
#ifndef POSTERN_TLS_SCHEDULE_H
#define POSTERN_TLS_SCHEDULE_H

#include "core/span.h"
#include "tls/suite.h"

struct tls_schedule; /* what libcrypto needs for it, kept for a session */

struct tls_schedule *tls_schedule_new(void);   /* NULL: no memory */
void tls_schedule_free(struct tls_schedule *); /* NULL is fine */

/* n octets of PRF(secret, label, seed), with the hash of this version. False: no memory. */
bool tls_prf(struct tls_schedule *, const struct tls_suite *, uint16_t version, struct span secret,
    const char *label, struct span seed, uint8_t *out, size_t n);

/* n octets of HKDF-Expand-Label(secret, label, ""). False: no memory. */
bool tls_expand_label(struct tls_schedule *, const struct tls_suite *, struct span secret,
    const char *label, uint8_t *out, size_t n);

#endif
