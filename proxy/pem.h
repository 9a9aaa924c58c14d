/*
 * pem - certificates and keys out of texts in PEM (RFC 7468).
 */
#ifndef POSTERN_PEM_H
#define POSTERN_PEM_H

#include <openssl/x509.h>

#include "core/span.h"

#define PEM_CERTIFICATES_MAX 10000 /* of one text */
#define PEM_NAMES_MAX	     1000  /* of one certificate; further ones are left out */

/*
 * All certificates of a text, in its order; what else stands in it is passed over. NULL: there is
 * none, or one that cannot be read, or no memory. To be freed with pem_certificates_free().
 */
STACK_OF(X509) * pem_certificates(struct span text);
void pem_certificates_free(STACK_OF(X509) *); /* NULL is fine */

/*
 * The first n of them as a text, n at least 1, without anything else that stood beside them;
 * malloc()ed. Empty: no memory.
 */
struct span pem_write(const STACK_OF(X509) *, int n);

/* The first private key. NULL: there is none that can be read; *encrypted: it wants a password. */
EVP_PKEY *pem_key(struct span text, bool *encrypted);

/*
 * The names that a certificate is for: DNS names of subjectAltName, where it has none the CN
 * (RFC 6125 s6.4.4); canonical, as domain_canonical() writes them, but for "*." ahead of one. What
 * is no name is left out. NULL-terminated, for config_words_free(); NULL: no memory.
 */
char **pem_names(X509 *);

#endif
