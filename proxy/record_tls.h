/*
 * record_tls - event_type "tls": one record for each handshake that passed, or ended here.
 *
 * In "tls" stands what a client sees and says, by EVE's names; "upstream" has what the gateway and
 * the server agreed on, where there are two legs under TLS. The certificate is the server's own.
 */
#ifndef POSTERN_RECORD_TLS_H
#define POSTERN_RECORD_TLS_H

#include "record.h"
#include "tls/certificate.h"
#include "tls/hello.h"
#include "tls/sight.h"

/* What the two ends of a handshake agreed on. */
struct record_tls_leg {
	uint16_t version; /* 0: they did not */
	uint16_t cipher;
	struct span alpn; /* the protocol that was chosen; empty: none, or not seen */
	bool resumed;
	struct tls_alert alert[2]; /* by enum an_dir of who sent it */
	/* What the server was shown that asked for a certificate: its name, or "none"; NULL: it
	 * did not ask. */
	const char *client_certificate;
};

struct record_tls {
	const char *action;    /* "intercepted", "passed", "refused" */
	const char *one_sided; /* "client", "server": only that leg is under TLS; NULL */
	const char *rule;      /* that decided; NULL: nothing was asked */
	const char *reason;    /* of the rule; NULL */
	const char *failure;   /* why there is no session under TLS, or no login; NULL: there is */
	const char *mechanism; /* of a login that failed because TLS ends here; NULL */
	const char *to_pass;   /* the rule that would let this server by; NULL: it would not help */
	const struct tls_client_hello *hello; /* NULL: it did not come, or could not be read */
	struct record_tls_leg client;
	const struct record_tls_leg *server; /* NULL: no leg of its own */
	const struct tls_certificate *certificate;
	size_t chain;	    /* certificates that came; 0: not seen */
	const char *verify; /* why the certificate is not what it has to be; NULL: it is, or nobody
			     * looked */
	bool verified;	    /* somebody looked */
	const char *shown;  /* what the client was: name of a tls_identity; NULL: nothing */
	unsigned
	    distrusted; /* times that this client did not believe what is minted of the server */
};

void record_tls(const struct record_session *, const struct record_tls *, record_sink *, void *arg);

#endif
