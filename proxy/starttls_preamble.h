/*
 * starttls_preamble - how the gateway itself brings a server under TLS, for a client that does not:
 * greeting, STARTTLS, STLS or AUTH TLS (RFC 3207, 2595, 9051 s6.2.1, 4217), and of FTP, inside,
 *what data connections are to be. No sockets: octets in, octets out.
 *
 *	server: greeting  ->  [EHLO]  ->  STARTTLS  ->  its yes  ->  TLS  ->  [PBSZ, PROT P]  ->
 *done
 *
 * What a server says is taken for what it is to be there, or the preamble fails: nothing of it is
 * the client's but the greeting. Memory: PREAMBLE_MAX octets at most.
 */
#ifndef POSTERN_STARTTLS_PREAMBLE_H
#define POSTERN_STARTTLS_PREAMBLE_H

#include "config.h"
#include "core/buf.h"
#include "core/ip.h"

#define PREAMBLE_MAX (16u << 10) /* octets of all that a server says; more is none of its replies  \
				  */

struct starttls_preamble;

enum preamble_step {
	PREAMBLE_MORE, /* the server has not said all of it */
	PREAMBLE_TLS,  /* it has said yes: shake hands, then feed what is inside */
	PREAMBLE_DONE, /* the dialogue of the client begins, with preamble_greeting() */
	PREAMBLE_FAILED,
};

/* from: whom the server takes us for (EHLO has it as an address literal). NULL: no memory. */
struct starttls_preamble *preamble_new(enum protocol, const struct ip *from);
void preamble_free(struct starttls_preamble *); /* NULL is fine */

/*
 * Octets of the server's; n may be 0. What is to be sent to it is added to out. Whatever the server
 * sends behind its yes and ahead of TLS makes it fail (CVE-2011-0411).
 */
enum preamble_step preamble_feed(
    struct starttls_preamble *, const uint8_t *p, size_t n, struct buf *out);
/* TLS is there: what comes next. */
enum preamble_step preamble_secured(struct starttls_preamble *, struct buf *out);
/* Of PREAMBLE_FAILED, a constant: "tls_rejected", "server_ahead_of_tls", "server_protocol". */
const char *preamble_why(const struct starttls_preamble *);

/*
 * Of PREAMBLE_DONE: what the client is to read first, whole lines. A response code of IMAP's is not
 * in it: it told of the session in the clear.
 */
struct span preamble_greeting(const struct starttls_preamble *);
/* FTP: the server has accepted PROT P. */
bool preamble_data_is_private(const struct starttls_preamble *);

#endif
