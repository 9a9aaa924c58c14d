/*
 * sasl - who logs in, read from an AUTH exchange (RFC 4954) without keeping the secret in it.
 *
 * Understands PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-* (RFC 5802), DIGEST-MD5
 * (RFC 2831), XOAUTH2 and OAUTHBEARER (RFC 7628), EXTERNAL (RFC 4422 appendix A). Of any other
 * mechanism the user stays unknown. What was decoded is wiped before a call returns.
 */
#ifndef POSTERN_SMTP_SASL_H
#define POSTERN_SMTP_SASL_H

#include <stdbool.h>

#include "core/span.h"

#define SASL_USER_MAX	   256 /* octets of a name that are kept, with a NUL */
#define SASL_MECHANISM_MAX 21

struct sasl {
	char mechanism[SASL_MECHANISM_MAX]; /* upper case */
	unsigned responses;		    /* seen so far */
	char user[SASL_USER_MAX];	    /* "": unknown (yet) */
	uint8_t gs2; /* SCRAM: first octet of the first response (RFC 5802 s7: n, y, p); 0: none */
};

/* What ties a login to the two ends of one TLS connection, so that it cannot pass a third. */
enum sasl_tie {
	SASL_FREE,
	SASL_CHANNEL,	     /* SCRAM-*-PLUS, or "p=": to the channel (RFC 5802 s6, RFC 9266) */
	SASL_CHANNEL_MISSED, /* "y": the client could, and believes that the server cannot */
	SASL_CHANNEL_MAYBE,  /* GSSAPI, NTLM: nobody else sees whether it is (RFC 4121 s4.1.1.2) */
	SASL_CERTIFICATE,    /* EXTERNAL: to the certificate of the client (RFC 4422 appendix A) */
};

enum sasl_tie sasl_tie(const struct sasl *);
/* This mechanism ("SCRAM-SHA-256-PLUS") is tied to the channel; in a list of what is offered. */
bool sasl_is_plus(struct span mechanism);

void sasl_begin(struct sasl *, struct span mechanism);
/* A response of the client in base64, the initial one too ("=" is the empty one). */
void sasl_response(struct sasl *, struct span base64);

#endif
