/*
 * ca_leaf - the certificate that a client is shown in place of a server's: described by fields that
 * can be checked one by one, and signed by a CA of the gateway's own.
 *
 * Nothing of a peer's DER gets to the CA: the fields are what somebody else has read out of it.
 * What the leaf says of names is what the real certificate says; a client that would find a fault
 * in that one's names or dates finds it here (T-001, T-017).
 */
#ifndef POSTERN_CA_LEAF_H
#define POSTERN_CA_LEAF_H

#include <stdint.h>

#include "ca.h"

#define LEAF_DAYS	  7   /* at most, whatever the real one has (T-017) */
#define LEAF_HOURS_BEFORE 24  /* notBefore lies so far back at most */
#define LEAF_TEXT	  129 /* octets of one attribute of the subject, with its NUL */
#define LEAF_NAMES_MAX	  250
#define LEAF_NAMES_OCTETS 8192 /* of all names, each with its NUL */
#define LEAF_PUBLIC_MAX	  256

enum leaf_key {
	LEAF_RSA,  /* of 2048 bits; public: the modulus; the exponent is 65537 */
	LEAF_P256, /* public: the point, uncompressed (RFC 5480 s2.2) */
	LEAF_KEYS
};
#define LEAF_RSA_SIZE  256
#define LEAF_P256_SIZE 65

/* Attributes of the subject that are mirrored, in their order. */
enum leaf_attribute { LEAF_C, LEAF_ST, LEAF_L, LEAF_O, LEAF_OU, LEAF_CN, LEAF_ATTRIBUTES };

/* All of it is looked at before it is used: it comes from another process. */
struct leaf_wanted {
	int64_t not_before, not_after; /* of the real one; seconds since 1970 */
	uint32_t key;		       /* enum leaf_key */
	uint32_t n_public;
	uint8_t public_key[LEAF_PUBLIC_MAX];
	char subject[LEAF_ATTRIBUTES][LEAF_TEXT]; /* UTF-8; "": there is none */
	uint32_t n_names, names_size;
	char names[LEAF_NAMES_OCTETS]; /* "mx.example", "*.example", "192.0.2.1", each with a NUL */
};

/* The short name of an attribute: "CN". */
const char *leaf_attribute_name(enum leaf_attribute);
/* False: there is no room for it, it is there already, or it is no canonical name or address. */
bool leaf_add_name(struct leaf_wanted *, const char *name);
/* The key that clients see: of our own. False: it is of no kind that leaves have. */
bool leaf_set_key(struct leaf_wanted *, EVP_PKEY *);

/* NULL: every field is within its bounds; else a constant that says which is not. */
const char *leaf_fault(const struct leaf_wanted *);
/*
 * now: seconds since 1970. From the later of notBefore of the real one and LEAF_HOURS_BEFORE ago,
 * for LEAF_DAYS, but not beyond the end of the real one, nor of the CA; of one that has expired its
 * last days. Valid for TLS servers alone, without places where lists of revoked ones are.
 *
 * NULL: leaf_fault() finds something, the CA is not valid then, or no memory. X509_free().
 */
X509 *leaf_sign(const struct ca *, const struct leaf_wanted *, int64_t now);
/* Seconds since 1970. False: it is no time that a certificate can have. */
bool leaf_time(const ASN1_TIME *, int64_t *seconds);

#endif
