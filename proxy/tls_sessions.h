/*
 * tls_sessions - the TLS sessions that one server has given, the newest of which its next
 * connection resumes.
 *
 * FTP servers demand that data connections resume the session of their control connection, to know
 * that both are of the same client (RFC 4217 s10.4). A ticket of one control connection is no
 * other's, so each has a store of its own, shared by its data connections.
 */
#ifndef POSTERN_TLS_SESSIONS_H
#define POSTERN_TLS_SESSIONS_H

#include <openssl/ssl.h>

#define TLS_SESSIONS_MAX 4 /* the oldest goes for a fifth */

struct tls_sessions;

struct tls_sessions *tls_sessions_new(void); /* NULL: no memory */
/* One more holds it; NULL is fine. */
struct tls_sessions *tls_sessions_hold(struct tls_sessions *);
/* One less does; the last one frees it. NULL is fine. */
void tls_sessions_drop(struct tls_sessions *);

/* A copy is taken; what there is no memory for is not kept. */
void tls_sessions_put(struct tls_sessions *, const SSL_SESSION *);
/*
 * A copy of the newest one, the caller's to free; NULL: none is there. One of TLS 1.3 is taken out,
 * for it should be used once (RFC 8446 C.4), but for the last: where a server gives no other it is
 * better than none.
 */
SSL_SESSION *tls_sessions_take(struct tls_sessions *);

#endif
