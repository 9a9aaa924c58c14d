/*
 * ca - certification authorities of the gateway's own: made, read, looked at.
 *
 * There are two. Clients trust the one: it signs for servers outside whose certificates were
 * verified. Nobody trusts the other: it signs for those whose were not, so that a client sees what
 * the gateway saw (T-001). Their keys are in the signer alone (signer.h).
 */
#ifndef POSTERN_CA_H
#define POSTERN_CA_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "core/span.h"

#define CA_BITS	       3072 /* RSA, which every client takes; 128 bits of security */
#define CA_DAYS	       3650
#define CA_NAME_MAX    64 /* characters of a common name, or of an organisation (RFC 5280 A.1) */
#define CA_SERIAL_SIZE 16 /* octets of serial numbers: 126 random bits (RFC 5280 s4.1.2.2) */

enum ca_which {
	CA_TRUSTED,   /* by clients */
	CA_UNTRUSTED, /* by nobody */
	CA_COUNT
};

struct ca {
	X509 *certificate;
	EVP_PKEY *key;
};

/*
 * A new one, with a key of its own: it may sign leaves and no further CAs (RFC 5280 s4.2.1.9).
 *
 * name          its common name, at most CA_NAME_MAX characters of UTF-8
 * organisation  as many; NULL: none
 *
 * False: no memory, or texts that cannot stand there; *out is then empty.
 */
bool ca_make(const char *name, const char *organisation, struct ca *out);
/*
 * Of a text of certificates, of which the first is the CA's, and one with its key. False: they
 * cannot be read, do not belong to each other, or ca_fault() finds something.
 */
bool ca_read(struct span chain_pem, struct span key_pem, struct ca *out);
void ca_free(struct ca *); /* an empty one is fine */

/* NULL: it may sign leaves; else a constant that says why it may not. Its dates are not looked at.
 */
const char *ca_fault(X509 *);

/* For whoever makes certificates. False: no memory. */
bool ca_set_serial(X509 *); /* a random, positive one of CA_SERIAL_SIZE octets */
/* value: as x509v3_config(5) has it; issuer: NULL: it is its own. */
bool ca_add_extension(X509 *, X509 *issuer, int nid, const char *value);

#endif
