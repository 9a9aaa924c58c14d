/*
 * suite - what a cipher suite protects records with.
 *
 * Every registered suite with AES-CBC, AES-GCM, AES-CCM (CCM_8 too) and ChaCha20-Poly1305, whatever
 * the keys are exchanged and the peers are authenticated with.
 */
#ifndef POSTERN_TLS_SUITE_H
#define POSTERN_TLS_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_mode {
	TLS_CBC,      /* RFC 5246 s6.2.3.2; with a MAC of its own */
	TLS_GCM,      /* RFC 5288 */
	TLS_CCM,      /* RFC 6655 */
	TLS_CHACHA20, /* RFC 7905 */
};

struct tls_suite {
	enum tls_mode mode;
	const char *cipher; /* by libcrypto's name */
	size_t key;	    /* octets of its key, */
	size_t tag;	    /* of an AEAD's tag, or of CBC's MAC */
	const char *mac;    /* CBC: the hash of HMAC; else NULL */
	const char *prf;    /* the hash of TLS 1.2's PRF and of TLS 1.3's HKDF, and */
	size_t hash;	    /* octets of its digest */
};

/* NULL: none of these, or not one of this version (TLS 1.2 and 1.3 brought their own). */
const struct tls_suite *tls_suite_of(uint16_t cipher, uint16_t version);

#endif
