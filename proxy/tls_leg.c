#include "tls_leg.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "tls_staple.h"

#define OLD_CIPHERS	 "ALL:!aNULL:!eNULL"
#define RECORD_MAX	 16384 /* octets of a record (RFC 8446 s5.1) */
#define HANDSHAKE_HEADER 4     /* type and length of a handshake message (RFC 8446 s4) */
#define EMPTY_MAX	 16    /* records without octets of the dialogue that one read may take */
#define IDLE_MAX	 32    /* messages of TLS's own between two octets of the dialogue */

/* A ClientHello, as it came: OpenSSL gives only parts of it. */
struct kept_hello {
	struct tls_client_hello parsed;
	bool well_formed;
	size_t n;
	uint8_t p[];
};

struct tls_leg {
	SSL *ssl;
	enum tls_leg_state state;
	const char *why;
	int alert; /* that the peer sent; -1: none */
	bool client, wants_write;
	long verified;	 /* server leg that is open */
	bool ended, cut; /* reading: the peer said that it ends, or did not */
	bool fin;	 /* cut: by a FIN */
	bool heard;	 /* octets of the dialogue have come */
	unsigned idle;	 /* messages since then that carry none */
	bool flooded;	 /* with those */

	/* server leg */
	struct tls_sessions *sessions; /* NULL: none are kept */
	SSL_SESSION *unjudged;	       /* the newest, until it is trusted */
	bool trusted;
	bool asked;			  /* the server wants to see a certificate */
	const struct tls_identity *shown; /* the one that it may see, or NULL */
	bool enforced;			  /* ... once it is who it has to be */

	/* client leg, until its handshake is over */
	struct kept_hello *hello;
	bool answered;
	int refusal; /* an alert; SSL_AD_CLOSE_NOTIFY, which refuses nothing: none */
	uint8_t alpn[TLS_LEG_ALPN_MAX];
	size_t n_alpn;
	const char *const *expected; /* NULL: alpn */
};

/* ---- what OpenSSL tells ---- */

static void
fail(struct tls_leg *leg, const char *why)
{
	leg->state = TLS_LEG_FAILED;
	if (leg->why == NULL)
		leg->why = why;
}

/* Only the first: the one behind a HelloRetryRequest says the same (RFC 8446 s4.1.2). */
static void
keep_hello(struct tls_leg *leg, struct span body)
{
	if (leg->hello != NULL || body.n > TLS_LEG_HELLO_MAX)
		return;
	leg->hello = malloc(sizeof(*leg->hello) + body.n);
	if (leg->hello == NULL) {
		leg->why = "tls_no_memory";
		return;
	}
	leg->hello->n = body.n;
	if (body.n > 0)
		memcpy(leg->hello->p, body.p, body.n);
	leg->hello->well_formed =
	    tls_client_hello_parse(span_of(leg->hello->p, body.n), &leg->hello->parsed);
}

/*
 * Tickets, changes of keys, requests for a renegotiation. OpenSSL would read on as long as they
 * come, and nobody else of this worker would be served (T-020).
 */
static void
count_idle(struct tls_leg *leg)
{
	if (++leg->idle <= IDLE_MAX)
		return;
	leg->flooded = true;
	SSL_set_shutdown(leg->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

static void
on_message(int ours, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct span message = span_of(p, n);
	struct tls_leg *leg = arg;

	(void)version;
	(void)ssl;
	if (ours != 0 || type != SSL3_RT_HANDSHAKE || n < HANDSHAKE_HEADER)
		return;
	if (leg->state == TLS_LEG_OPEN)
		count_idle(leg);
	else if (leg->client && message.p[0] == SSL3_MT_CLIENT_HELLO)
		keep_hello(leg, span_from(message, HANDSHAKE_HEADER));
}

static void
on_info(const SSL *ssl, int where, int value)
{
	struct tls_leg *leg = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		leg->alert = value & 0xff;
	else if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT &&
		 (value & 0xff) == SSL_AD_NO_RENEGOTIATION)
		count_idle(leg); /* a ClientHello is not told as a message then */
}

static int
on_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls_leg *leg = SSL_get_app_data(ssl);

	(void)arg;
	if (leg->hello == NULL) {
		*alert = leg->why == NULL ? SSL_AD_DECODE_ERROR : SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	if (!leg->answered)
		return SSL_CLIENT_HELLO_RETRY;
	*alert = leg->refusal;
	return leg->refusal == SSL_AD_CLOSE_NOTIFY ? SSL_CLIENT_HELLO_SUCCESS
						   : SSL_CLIENT_HELLO_ERROR;
}

static bool
is_chosen(const struct tls_leg *leg, struct span name)
{
	for (size_t i = 0; leg->expected != NULL && leg->expected[i] != NULL; i++)
		if (span_eq(name, span_str(leg->expected[i])))
			return true;
	return leg->n_alpn > 0 && span_eq(name, span_of(leg->alpn, leg->n_alpn));
}

/* *out has to point into what the client offers: our copy lives as long as the handshake. */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *offered,
    unsigned int n_offered, void *arg)
{
	struct tls_leg *leg = SSL_get_app_data(ssl);
	struct span list = span_of(offered, n_offered), name;

	(void)arg;
	if (leg->n_alpn == 0 && leg->expected == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (name = tls_alpn_next(&list); name.n > 0; name = tls_alpn_next(&list))
		if (is_chosen(leg, name)) {
			*out = name.p;
			*n = (unsigned char)name.n;
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool
show(SSL *ssl, const struct tls_identity *identity)
{
	return SSL_use_certificate(ssl, identity->leaf) == 1 &&
	       SSL_use_PrivateKey(ssl, identity->key) == 1 &&
	       (identity->chain == NULL || SSL_set1_chain(ssl, identity->chain) == 1);
}

/* CertificateRequest: without an identity the answer is an empty one, and the server decides. */
static int
on_certificate_request(SSL *ssl, void *arg)
{
	struct tls_leg *leg = arg;

	leg->asked = true;
	if (leg->shown == NULL || (leg->enforced && SSL_get_verify_result(ssl) != X509_V_OK))
		return 1; /* an impostor is told nothing of whom we are */
	return show(ssl, leg->shown) ? 1 : 0;
}

/* One that nobody has judged yet is kept apart. 0: the session itself is not taken. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_leg *leg = SSL_get_app_data(ssl);

	if (leg == NULL || leg->sessions == NULL)
		return 0;
	if (leg->trusted) {
		tls_sessions_put(leg->sessions, session);
		return 0;
	}
	SSL_SESSION_free(leg->unjudged);
	leg->unjudged = SSL_SESSION_dup(session);
	return 0;
}

void
tls_leg_trust(struct tls_leg *leg)
{
	leg->trusted = true;
	if (leg->sessions == NULL)
		return;
	/* of TLS 1.2 that was resumed nobody tells of a ticket that took the place of the old one
	 */
	if (leg->unjudged != NULL)
		tls_sessions_put(leg->sessions, leg->unjudged);
	else if (SSL_version(leg->ssl) < TLS1_3_VERSION)
		tls_sessions_put(leg->sessions, SSL_get_session(leg->ssl));
	SSL_SESSION_free(leg->unjudged);
	leg->unjudged = NULL;
}

/* ---- a leg ---- */

static struct tls_leg *
leg_new(SSL_CTX *ctx, int fd)
{
	struct tls_leg *leg = calloc(1, sizeof(*leg));

	if (leg == NULL)
		return NULL;
	leg->alert = -1;
	leg->ssl = SSL_new(ctx);
	if (leg->ssl == NULL || SSL_set_app_data(leg->ssl, leg) != 1 ||
	    SSL_set_fd(leg->ssl, fd) != 1) {
		tls_leg_free(leg);
		return NULL;
	}
	SSL_set_info_callback(leg->ssl, on_info);
	SSL_set_msg_callback(leg->ssl, on_message);
	SSL_set_msg_callback_arg(leg->ssl, leg);
	SSL_set_mode(leg->ssl, SSL_MODE_NO_AUTO_CHAIN);
	/* behind each record that carries no octets it is others' turn (T-020) */
	SSL_clear_mode(leg->ssl, SSL_MODE_AUTO_RETRY);
	return leg;
}

struct tls_leg *
tls_leg_accept(const struct tls_keys *keys, int fd, struct span service)
{
	SSL_CTX *ctx = tls_keys_client_legs(keys);
	struct tls_leg *leg = leg_new(ctx, fd);

	if (leg == NULL)
		return NULL;
	/* OpenSSL has these of contexts alone */
	SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	SSL_set_accept_state(leg->ssl);
	leg->client = true;
	if (SSL_set_session_id_context(leg->ssl, service.p, (unsigned)service.n) == 1)
		return leg;
	tls_leg_free(leg);
	return NULL;
}

/* SSL_set_tlsext_host_name(), which is a macro that casts const away. */
static bool
set_server_name(SSL *ssl, const char *name)
{
	return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		   (void *)(uintptr_t)name) == 1;
}

/* A name in the subject alone counts for nothing (RFC 6125 s6.4.4; T-001). */
static bool
expect_server(SSL *ssl, const struct tls_wanted *w)
{
	char address[IP_TEXT_MAX];

	SSL_set_hostflags(
	    ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (w->server_name != NULL)
		return set_server_name(ssl, w->server_name) &&
		       SSL_set1_host(ssl, w->server_name) == 1;
	return w->any_name || X509_VERIFY_PARAM_set1_ip_asc(
				  SSL_get0_param(ssl), ip_text(&w->server, address)) == 1;
}

/*
 * One that somebody has named: what OpenSSL still has. What its certificate must be stays as it is.
 */
static bool
take_old_versions(SSL *ssl)
{
	int level = SSL_get_security_level(ssl);

	X509_VERIFY_PARAM_set_auth_level(SSL_get0_param(ssl), level);
	SSL_set_security_level(ssl, 0);
	SSL_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
	return SSL_set_min_proto_version(ssl, TLS1_VERSION) == 1 &&
	       SSL_set_cipher_list(ssl, OLD_CIPHERS) == 1;
}

static bool
resume(struct tls_leg *leg, struct tls_sessions *sessions)
{
	SSL_SESSION *session;
	bool taken;

	if (sessions == NULL)
		return true;
	leg->sessions = tls_sessions_hold(sessions);
	session = tls_sessions_take(sessions);
	taken = session == NULL || SSL_set_session(leg->ssl, session) == 1;
	SSL_SESSION_free(session);
	return taken;
}

struct tls_leg *
tls_leg_connect(const struct tls_keys *keys, int fd, const struct tls_wanted *w)
{
	SSL_CTX *ctx = tls_keys_server_legs(keys);
	struct tls_leg *leg = leg_new(ctx, fd);

	if (leg == NULL)
		return NULL;
	leg->shown = w->own;
	leg->enforced = w->enforced;
	SSL_set_cert_cb(leg->ssl, on_certificate_request, leg);
	SSL_CTX_sess_set_new_cb(ctx, on_session); /* OpenSSL has it of contexts alone */
	SSL_set_connect_state(leg->ssl);
	SSL_set_tlsext_status_type(leg->ssl, TLSEXT_STATUSTYPE_ocsp);
	if (expect_server(leg->ssl, w) && (!w->old || take_old_versions(leg->ssl)) &&
	    (w->alpn.n == 0 ||
		SSL_set_alpn_protos(leg->ssl, w->alpn.p, (unsigned)w->alpn.n) == 0) &&
	    resume(leg, w->sessions))
		return leg;
	tls_leg_free(leg);
	return NULL;
}

void
tls_leg_forget_hello(struct tls_leg *leg)
{
	free(leg->hello);
	leg->hello = NULL;
}

void
tls_leg_free(struct tls_leg *leg)
{
	if (leg == NULL)
		return;
	/* a session can be resumed, however its connection ended (RFC 5246 s7.2.1); OpenSSL has it
	 * otherwise */
	if (leg->state == TLS_LEG_OPEN)
		SSL_set_shutdown(leg->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(leg->ssl);
	SSL_SESSION_free(leg->unjudged);
	tls_sessions_drop(leg->sessions);
	tls_leg_forget_hello(leg);
	free(leg);
	ERR_clear_error();
}

/* ---- the handshake ---- */

/* A server that went away instead of a first word; in TLS 1.3 its alert comes late, or is lost. */
static bool
wants_certificate(const struct tls_leg *leg)
{
	return leg->asked && leg->shown == NULL && !leg->heard;
}

static const char *
cut(const struct tls_leg *leg)
{
	return wants_certificate(leg) ? "tls_client_certificate" : "tls_cut";
}

/* What the first fault in OpenSSL's queue is for us; it is emptied. */
static const char *
fault_of_queue(const struct tls_leg *leg)
{
	static const struct {
		int reason;
		const char *why;
	} rows[] = {{SSL_R_WRONG_VERSION_NUMBER, "tls_plain"}, {SSL_R_HTTP_REQUEST, "tls_plain"},
	    {SSL_R_HTTPS_PROXY_REQUEST, "tls_plain"}, {SSL_R_UNSUPPORTED_PROTOCOL, "tls_version"},
	    {SSL_R_VERSION_TOO_LOW, "tls_version"}, {SSL_R_NO_SHARED_CIPHER, "tls_cipher"},
	    {SSL_R_TOO_MANY_KEY_UPDATES, "tls_flood"}, {SSL_R_RECORD_TOO_SMALL, "tls_flood"},
	    {SSL_R_TOO_MANY_WARN_ALERTS, "tls_flood"}, {SSL_R_EXCESSIVE_MESSAGE_SIZE, "tls_size"},
	    {ERR_R_MALLOC_FAILURE, "tls_no_memory"}};
	unsigned long fault = ERR_peek_error();
	const char *why = "tls_handshake";

	ERR_clear_error();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ERR_GET_REASON(fault) == rows[i].reason)
			why = rows[i].why;
	if (ERR_GET_REASON(fault) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		why = cut(leg);
	if (leg->alert > 0 && ERR_GET_REASON(fault) != SSL_R_TOO_MANY_WARN_ALERTS)
		why = wants_certificate(leg) ? "tls_client_certificate" : "tls_alert";
	else if (leg->answered && leg->refusal != SSL_AD_CLOSE_NOTIFY)
		why = "tls_refused";
	return why;
}

/* What was resumed was looked at when it began. */
static long
verify(const struct tls_leg *leg)
{
	const struct tls_keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(leg->ssl));
	long result = SSL_get_verify_result(leg->ssl);

	if (!leg->client && tls_keys_signed_by_us(keys, SSL_get0_verified_chain(leg->ssl)))
		return X509_V_ERR_CERT_REJECTED;

	if (leg->client || result != X509_V_OK || SSL_session_reused(leg->ssl) == 1)
		return result;
	return tls_staple_verdict(leg->ssl);
}

enum tls_leg_state
tls_leg_shake(struct tls_leg *leg)
{
	int done, error;

	if (leg->state != TLS_LEG_SHAKING)
		return leg->state;
	ERR_clear_error();
	done = SSL_do_handshake(leg->ssl);
	error = SSL_get_error(leg->ssl, done);
	leg->wants_write = error == SSL_ERROR_WANT_WRITE;
	if (done == 1) {
		leg->state = TLS_LEG_OPEN;
		leg->verified = verify(leg);
	} else if (error == SSL_ERROR_WANT_CLIENT_HELLO_CB) {
		leg->state = TLS_LEG_HELLO;
	} else if (error == SSL_ERROR_SYSCALL) {
		fail(leg, cut(leg));
	} else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
		fail(leg, fault_of_queue(leg));
	}
	ERR_clear_error();
	return leg->state;
}

enum tls_leg_state
tls_leg_state(const struct tls_leg *leg)
{
	return leg->state;
}

bool
tls_leg_wants_write(const struct tls_leg *leg)
{
	return leg->wants_write;
}

const char *
tls_leg_why(const struct tls_leg *leg)
{
	return leg->why;
}

int
tls_leg_alert(const struct tls_leg *leg)
{
	return leg->alert;
}

struct span
tls_leg_hello_body(const struct tls_leg *leg)
{
	return leg->hello == NULL ? SPAN_NONE : span_of(leg->hello->p, leg->hello->n);
}

const struct tls_client_hello *
tls_leg_hello(const struct tls_leg *leg)
{
	return leg->hello != NULL && leg->hello->well_formed ? &leg->hello->parsed : NULL;
}

void
tls_leg_answer(
    struct tls_leg *leg, const struct tls_identity *identity, struct span alpn, int alert)
{
	if (leg->state != TLS_LEG_HELLO && leg->state != TLS_LEG_SHAKING)
		return;
	leg->state = TLS_LEG_SHAKING;
	leg->answered = true;
	leg->refusal = SSL_AD_CLOSE_NOTIFY;
	if (identity == NULL)
		leg->refusal = alert;
	else if (!show(leg->ssl, identity))
		leg->refusal = SSL_AD_INTERNAL_ERROR;
	alpn = span_first(alpn, sizeof(leg->alpn));
	if (alpn.n > 0)
		memcpy(leg->alpn, alpn.p, alpn.n);
	leg->n_alpn = alpn.n;
	ERR_clear_error();
}

void
tls_leg_expect_alpn(struct tls_leg *leg, const char *const *names)
{
	leg->expected = names;
}

void
tls_leg_give_no_tickets(struct tls_leg *leg)
{
	(void)SSL_set_num_tickets(leg->ssl, 0); /* of a leg that is ours to accept it never fails */
}

/* ---- octets ---- */

/* Neither side may use the connection any more; returns -1. */
static ssize_t
broken(struct tls_leg *leg, const char *why, int with_errno)
{
	if (leg->why == NULL)
		leg->why = why;
	leg->cut = true;
	errno = with_errno;
	return -1;
}

/* No piece of one has come: neither of its header, nor a header without what belongs to it. */
static bool
is_between_records(SSL *ssl)
{
	return SSL_has_pending(ssl) == 0 && strcmp(SSL_rstate_string(ssl), "RH") == 0;
}

/* As tls_leg_read(), of one record; EAGAIN also behind one that carried no octets. */
static ssize_t
read_one(struct tls_leg *leg, void *p, size_t n)
{
	size_t got = 0;

	ERR_clear_error();
	if (SSL_read_ex(leg->ssl, p, n, &got) == 1) {
		leg->heard = true;
		leg->idle = 0;
		return (ssize_t)got;
	}
	if (leg->flooded)
		return broken(leg, "tls_flood", ECONNRESET);
	switch (SSL_get_error(leg->ssl, 0)) {
	case SSL_ERROR_ZERO_RETURN:
		leg->ended = true;
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return broken(leg, cut(leg), ECONNRESET);
	default:
		leg->fin = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING &&
			   is_between_records(leg->ssl);
		return broken(leg, fault_of_queue(leg), ECONNRESET);
	}
}

/* Tickets and the like are read on from, but not without an end. */
static ssize_t
read_record(struct tls_leg *leg, void *p, size_t n)
{
	BIO *wire = SSL_get_rbio(leg->ssl);
	uint64_t before;
	unsigned empty = 0;
	ssize_t got;

	do {
		before = BIO_number_read(wire);
		got = read_one(leg, p, n);
	} while (
	    got < 0 && errno == EAGAIN && ++empty < EMPTY_MAX && BIO_number_read(wire) != before);
	return got;
}

ssize_t
tls_leg_read(struct tls_leg *leg, void *p, size_t n)
{
	bool one = SSL_pending(leg->ssl) > 0;
	size_t total = 0;
	ssize_t got;

	if (leg->ended)
		return 0;
	if (leg->cut || leg->state != TLS_LEG_OPEN)
		return broken(leg, "tls_cut", ECONNRESET);
	do {
		got = read_record(leg, (uint8_t *)p + total, n - total);
		if (got > 0)
			total += (size_t)got;
	} while (got > 0 && !one && total < n);
	return total > 0 ? (ssize_t)total : got;
}

bool
tls_leg_ended_by_fin(const struct tls_leg *leg)
{
	return leg->fin;
}

void
tls_leg_take_fin(struct tls_leg *leg)
{
	SSL_set_options(leg->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
}

bool
tls_leg_pending(const struct tls_leg *leg)
{
	return leg->ended || leg->cut || SSL_pending(leg->ssl) > 0;
}

/* The first octets of all that has to go out, as many as a record has. */
static size_t
gather(const struct iovec *iov, size_t n, uint8_t *out)
{
	size_t total = 0;

	for (size_t i = 0; i < n && total < RECORD_MAX; i++) {
		size_t fits = RECORD_MAX - total;
		size_t part = iov[i].iov_len < fits ? iov[i].iov_len : fits;

		if (part > 0)
			memcpy(out + total, iov[i].iov_base, part);
		total += part;
	}
	return total;
}

/* Small pieces share a record; from large ones it is made without a copy. */
ssize_t
tls_leg_write(struct tls_leg *leg, const struct iovec *iov, size_t n)
{
	uint8_t together[RECORD_MAX];
	const void *p = n > 0 ? iov[0].iov_base : NULL;
	size_t size = n > 0 ? iov[0].iov_len : 0, sent = 0;
	int error;

	if (leg->cut || leg->state != TLS_LEG_OPEN)
		return broken(leg, "tls_cut", EPIPE);
	if (n > 1 && size < RECORD_MAX) {
		size = gather(iov, n, together);
		p = together;
	}
	if (size == 0)
		return 0;
	ERR_clear_error();
	if (SSL_write_ex(leg->ssl, p, size, &sent) == 1)
		return (ssize_t)sent;
	error = SSL_get_error(leg->ssl, 0);
	if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) {
		errno = EAGAIN;
		return -1;
	}
	return broken(leg, error == SSL_ERROR_SYSCALL ? cut(leg) : fault_of_queue(leg), EPIPE);
}

enum tls_leg_closing
tls_leg_close(struct tls_leg *leg)
{
	enum tls_leg_closing how = TLS_LEG_CLOSED;
	int done;

	if (leg->state != TLS_LEG_OPEN || leg->cut)
		return TLS_LEG_NOT_CLOSED;
	ERR_clear_error();
	done = SSL_shutdown(leg->ssl);
	if (done < 0)
		how = SSL_get_error(leg->ssl, done) == SSL_ERROR_WANT_WRITE ? TLS_LEG_CLOSE_LATER
									    : TLS_LEG_NOT_CLOSED;
	leg->cut = how == TLS_LEG_NOT_CLOSED;
	ERR_clear_error();
	return how;
}

/* ---- what is known of it ---- */

long
tls_leg_verified(const struct tls_leg *leg)
{
	return leg->state == TLS_LEG_OPEN ? leg->verified : SSL_get_verify_result(leg->ssl);
}

const char *
tls_leg_client_certificate(const struct tls_leg *leg)
{
	if (!leg->asked)
		return NULL;
	return leg->shown == NULL ? "none" : leg->shown->name;
}

SSL *
tls_leg_ssl(const struct tls_leg *leg)
{
	return leg->ssl;
}
