#include "tls_wire.h"

#include <err.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD ((size_t)16 << 10)

static SSL_CTX *
context(const SSL_METHOD *method, int from, int to)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, from) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, to) != 1)
		errx(1, "no TLS");
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	return ctx;
}

SSL_CTX *
tls_wire_server(const char *chain, const char *key)
{
	SSL_CTX *ctx = context(TLS_server_method(), TLS1_2_VERSION, TLS1_3_VERSION);

	if (SSL_CTX_use_certificate_chain_file(ctx, chain) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		errx(2, "%s, %s: no certificate with its key", chain, key);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets do without */
	return ctx;
}

SSL_CTX *
tls_wire_client(const char *issuer, const char *version)
{
	const int v = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	SSL_CTX *ctx = context(TLS_client_method(), v, v);

	if (v == TLS1_3_VERSION && strcmp(version, "1.3") != 0)
		errx(2, "%s: neither 1.2 nor 1.3", version);
	if (SSL_CTX_load_verify_file(ctx, issuer) != 1)
		errx(2, "%s: no certificate", issuer);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ctx;
}

/* Of what OpenSSL did: octets, or as the calls of sockets say it. */
static ssize_t
outcome(const struct tls_wire *w, int n)
{
	if (n > 0)
		return n;
	switch (SSL_get_error(w->ssl, n)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	default:
		errno = ECONNRESET;
		return -1;
	}
}

int
tls_wire_shake(struct tls_wire *w)
{
	int n;

	ERR_clear_error();
	n = SSL_do_handshake(w->ssl);
	if (n != 1 && outcome(w, n) == 0)
		errno = ECONNRESET; /* close_notify instead of a handshake */
	return n == 1 ? 1 : -1;
}

ssize_t
tls_wire_receive(struct tls_wire *w, void *p, size_t n)
{
	if (w->ssl == NULL)
		return recv(w->fd, p, n, 0);
	ERR_clear_error();
	return outcome(w, SSL_read(w->ssl, p, (int)(n < INT_MAX ? n : INT_MAX)));
}

/* One record: short pieces together, as whoever writes through a buffer has them. */
static ssize_t
send_record(struct tls_wire *w, const struct iovec *from, size_t n)
{
	static _Thread_local char record[RECORD];
	size_t held = 0;

	for (size_t i = 0; i < n && held < RECORD; i++) {
		size_t some = from[i].iov_len;

		if (held == 0 && some >= RECORD)
			return outcome(w, SSL_write(w->ssl, from[i].iov_base, (int)RECORD));
		if (some > RECORD - held)
			some = RECORD - held;
		if (some > 0)
			memcpy(record + held, from[i].iov_base, some);
		held += some;
	}
	return held == 0 ? 0 : outcome(w, SSL_write(w->ssl, record, (int)held));
}

ssize_t
tls_wire_send(struct tls_wire *w, struct iovec *from, size_t n)
{
	const struct msghdr m = {.msg_iov = from, .msg_iovlen = n};

	if (w->ssl == NULL)
		return sendmsg(w->fd, &m, MSG_NOSIGNAL);
	ERR_clear_error();
	return send_record(w, from, n);
}

bool
tls_wire_pending(const struct tls_wire *w)
{
	return w->ssl != NULL && SSL_pending(w->ssl) > 0;
}

void
tls_wire_end(struct tls_wire *w)
{
	if (w->ssl != NULL && SSL_is_init_finished(w->ssl)) {
		ERR_clear_error();
		SSL_shutdown(w->ssl);
	}
	SSL_free(w->ssl);
	if (w->fd >= 0)
		close(w->fd);
	*w = (struct tls_wire){.fd = -1};
}
