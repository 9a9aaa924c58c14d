/*
 * certificate - what is said of an X.509 certificate in a record (RFC 5280), by EVE's names.
 *
 * Nothing is verified here. Every text is bounded, and UTF-8 that may be printed nowhere yet: the
 * writer of the record escapes it.
 */
#ifndef POSTERN_TLS_CERTIFICATE_H
#define POSTERN_TLS_CERTIFICATE_H

#include "core/buf.h"

#define TLS_SUBJECT_MAX	      1024 /* octets of subject, and of issuer */
#define TLS_SERIAL_TEXT	      96   /* "0A:1B:...", 31 octets; the 20 of RFC 5280 and some more */
#define TLS_FINGERPRINT_TEXT  60   /* SHA-1, as EVE has it, and */
#define TLS_SHA256_TEXT	      65   /* SHA-256 of the certificate */
#define TLS_TIME_TEXT	      20   /* "2026-11-27T12:00:00", UTC */
#define TLS_CERTIFICATE_NAMES 100  /* subjectAltName listed; the rest is counted */

struct tls_certificate {
	struct buf subject, issuer; /* "C=DE, O=Example, CN=mail.example", as RFC 4514 escapes */
	char serial[TLS_SERIAL_TEXT];
	char fingerprint[TLS_FINGERPRINT_TEXT];			  /* "aa:bb:..." */
	char sha256[TLS_SHA256_TEXT];				  /* without colons */
	char not_before[TLS_TIME_TEXT], not_after[TLS_TIME_TEXT]; /* "" where they are no times */
	struct buf names; /* DNS names and addresses, each with a NUL behind it */
	size_t n_names, names_left_out;
};

/*
 * der: one certificate and nothing behind it. NULL: it is none, or no memory.
 * tls_certificate_free() takes NULL.
 */
struct tls_certificate *tls_certificate_parse(struct span der);
void tls_certificate_free(struct tls_certificate *);

#endif
