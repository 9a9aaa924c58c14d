/*
 * sasl - who logs in, read from an AUTH exchange (RFC 4954) without keeping the secret in it.
 *
 * Understands PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-* (RFC 5802), DIGEST-MD5
 * (RFC 2831), XOAUTH2 and OAUTHBEARER (RFC 7628), EXTERNAL (RFC 4422 appendix A). Of any other
 * mechanism the user stays unknown. What was decoded is wiped before a call returns.
 */
#ifndef POSTERN_SMTP_SASL_H
#define POSTERN_SMTP_SASL_H

#include "core/span.h"

#define SASL_USER_MAX	   256 /* octets of a name that are kept, with a NUL */
#define SASL_MECHANISM_MAX 21

struct sasl {
	char mechanism[SASL_MECHANISM_MAX]; /* upper case */
	unsigned responses;		    /* seen so far */
	char user[SASL_USER_MAX];	    /* "": unknown (yet) */
};

void sasl_begin(struct sasl *, struct span mechanism);
/* A response of the client in base64, the initial one too ("=" is the empty one). */
void sasl_response(struct sasl *, struct span base64);

#endif
