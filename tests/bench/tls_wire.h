/*
 * tls_wire - a connection of the measurements of mail, in the clear or under TLS, and what its two
 * ends need for TLS.
 */
#ifndef POSTERN_BENCH_TLS_WIRE_H
#define POSTERN_BENCH_TLS_WIRE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct tls_wire {
	int fd;
	SSL *ssl; /* NULL: in the clear */
};

/* Each ends the program where a file is not what it must be. */

/* A server with this certificate, TLS 1.2 and 1.3, and tickets. */
SSL_CTX *tls_wire_server(const char *chain, const char *key);
/* A client that takes nothing but a certificate of this issuer, by this version ("1.2", "1.3"). */
SSL_CTX *tls_wire_client(const char *issuer, const char *version);

/* A handshake, as far as the socket lets it go: 1, or -1 and errno, EAGAIN where more has to come.
 */
int tls_wire_shake(struct tls_wire *);
/*
 * Both as recv() and sendmsg(). Under TLS 0 is close_notify, and an end without it an error; at
 * most one record goes out, and behind EAGAIN the same octets must be given again.
 */
ssize_t tls_wire_receive(struct tls_wire *, void *, size_t);
ssize_t tls_wire_send(struct tls_wire *, struct iovec *, size_t n);
/* Octets are here that no event of the socket will tell of. */
bool tls_wire_pending(const struct tls_wire *);
/* close_notify, where the handshake is over, and the end of the socket. */
void tls_wire_end(struct tls_wire *);

#endif
