/*
 * tls_sessions - the newest TLS session of one server, which its next connection may resume.
 *
 * FTP servers demand that data connections resume the session of their control connection, to know
 * that both are of the same client (RFC 4217 s10.4). A ticket of one control connection is no
 * other's, so each has a store of its own, shared by its data connections.
 */
#ifndef POSTERN_TLS_SESSIONS_H
#define POSTERN_TLS_SESSIONS_H

#include <openssl/ssl.h>

struct tls_sessions;

struct tls_sessions *tls_sessions_new(void); /* NULL: no memory */
/* One more holds it; NULL is fine. */
struct tls_sessions *tls_sessions_hold(struct tls_sessions *);
/* One less does; the last one frees it. NULL is fine. */
void tls_sessions_drop(struct tls_sessions *);

/* Takes the session, which replaces the one that was there. */
void tls_sessions_put(struct tls_sessions *, SSL_SESSION *);
/* Borrowed, until the next put; NULL: none is there, or it can be resumed no longer. */
SSL_SESSION *tls_sessions_newest(const struct tls_sessions *);

#endif
