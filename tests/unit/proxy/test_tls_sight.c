/*
 * What is seen of handshakes that OpenSSL makes with itself, in pieces of every size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "core/buf.h"
#include "tls/ja4.h"
#include "tls/sight.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

#define FLIGHTS_MAX 32

/* A handshake as it was on the wire: who sent what, in turn. */
struct wire {
	struct {
		enum an_dir dir;
		struct buf octets;
	} flight[FLIGHTS_MAX];
	size_t n;
};

struct peers {
	EVP_PKEY *key;
	X509 *certificate;
	SSL_CTX *client_ctx, *server_ctx;
	SSL_SESSION *session;
};

static X509 *
self_signed(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
	    "DNS:mail.example,DNS:*.example,IP:192.0.2.1,email:root@example");

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 0x1234);
	ASN1_TIME_set_string(X509_getm_notBefore(x), "20260102030405Z");
	ASN1_TIME_set_string(X509_getm_notAfter(x), "20360102030405Z");
	X509_NAME_add_entry_by_txt(name, "C", MBSTRING_ASC, (const uint8_t *)"DE", -1, -1, 0);
	X509_NAME_add_entry_by_txt(
	    name, "O", MBSTRING_UTF8, (const uint8_t *)"B\xc3\xa4r, Sohn", -1, -1, 0);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const uint8_t *)"mail.example", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_add_ext(x, names, -1);
	X509_EXTENSION_free(names);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
    unsigned n_in, void *arg)
{
	(void)ssl;
	(void)n_in;
	(void)arg;
	*out = in + 1;
	*n = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct peers *p = SSL_get_app_data(ssl);

	SSL_SESSION_free(p->session);
	p->session = session;
	return 1;
}

static void
peers_init(struct peers *p, int version, bool rsa)
{
	*p = (struct peers){.key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")};
	p->certificate = self_signed(p->key);
	p->client_ctx = SSL_CTX_new(TLS_client_method());
	p->server_ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(p->server_ctx, p->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(p->server_ctx, p->key), 1);
	SSL_CTX_set_min_proto_version(p->server_ctx, version);
	SSL_CTX_set_max_proto_version(p->server_ctx, version);
	SSL_CTX_set_alpn_select_cb(p->server_ctx, choose_alpn, NULL);
	SSL_CTX_set_alpn_protos(p->client_ctx, (const uint8_t *)"\x04imap", 5);
	SSL_CTX_set_session_cache_mode(p->client_ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(p->client_ctx, keep_session);
}

static void
peers_free(struct peers *p)
{
	SSL_SESSION_free(p->session);
	SSL_CTX_free(p->client_ctx);
	SSL_CTX_free(p->server_ctx);
	X509_free(p->certificate);
	EVP_PKEY_free(p->key);
}

/* What one peer has written goes to the other, and into the wire. */
static bool
carry(SSL *from, SSL *to, enum an_dir dir, struct wire *w)
{
	uint8_t octets[65536];
	int n = BIO_read(SSL_get_wbio(from), octets, sizeof(octets));

	if (n <= 0)
		return false;
	assert_true(w->n < FLIGHTS_MAX);
	w->flight[w->n].dir = dir;
	buf_init(&w->flight[w->n].octets, 1 << 20);
	buf_add(&w->flight[w->n++].octets, span_of(octets, (size_t)n));
	BIO_write(SSL_get_rbio(to), octets, n);
	return true;
}

static SSL *
end(SSL_CTX *ctx, struct peers *p)
{
	SSL *ssl = SSL_new(ctx);

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_app_data(ssl, p);
	return ssl;
}

/* OpenSSL's macros for these cast const away. */
static void
set_name_and_groups(SSL *ssl, const char *name, const char *groups)
{
	if (name != NULL)
		SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		    (void *)(uintptr_t)name);
	SSL_ctrl(ssl, SSL_CTRL_SET_GROUPS_LIST, 0, (void *)(uintptr_t)groups);
}

/* groups: what the client offers first; the server may ask it to begin anew. */
static void
shake_hands(struct peers *p, const char *client_groups, const char *server_groups, struct wire *w)
{
	SSL *client = end(p->client_ctx, p), *server = end(p->server_ctx, p);
	bool moved = true;
	char text[16];

	*w = (struct wire){0};
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	set_name_and_groups(client, "mail.example", client_groups);
	set_name_and_groups(server, NULL, server_groups);
	if (p->session != NULL)
		SSL_set_session(client, p->session);
	while (moved) {
		SSL_do_handshake(client);
		moved = carry(client, server, AN_C2S, w);
		SSL_do_handshake(server);
		moved = carry(server, client, AN_S2C, w) || moved;
	}
	assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(server));
	SSL_write(server, "* OK\r\n", 6);
	carry(server, client, AN_S2C, w);
	assert_int_equal(SSL_read(client, text, sizeof(text)), 6); /* tickets come before it */
	SSL_shutdown(client);
	carry(client, server, AN_C2S, w);
	SSL_free(client);
	SSL_free(server);
}

static void
wire_free(struct wire *w)
{
	for (size_t i = 0; i < w->n; i++)
		buf_free(&w->flight[i].octets);
}

/* In pieces of so many octets. */
static struct tls_sight *
look_at(const struct wire *w, size_t piece)
{
	struct tls_sight *t = tls_sight_new();
	bool more = true;

	assert_non_null(t);
	for (size_t i = 0; i < w->n; i++) {
		struct span rest = buf_span(&w->flight[i].octets);

		while (rest.n > 0) {
			more = tls_sight_feed(t, w->flight[i].dir, span_first(rest, piece));
			rest = span_from(rest, piece < rest.n ? piece : rest.n);
		}
	}
	assert_false(more); /* all that can be seen was */
	return t;
}

static void
expect_leaf(const struct tls_certificate *leaf)
{
	assert_non_null(leaf);
	assert_true(span_eq(
	    buf_span(&leaf->subject), span_str("C=DE, O=B\xc3\xa4r\\, Sohn, CN=mail.example")));
	assert_true(span_eq(buf_span(&leaf->issuer), buf_span(&leaf->subject)));
	assert_string_equal(leaf->serial, "12:34");
	assert_string_equal(leaf->not_before, "2026-01-02T03:04:05");
	assert_string_equal(leaf->not_after, "2036-01-02T03:04:05");
	assert_int_equal(strlen(leaf->fingerprint), 59);
	assert_int_equal(strlen(leaf->sha256), 64);
	assert_int_equal(leaf->n_names, 3);
	assert_memory_equal(leaf->names.p, "mail.example\0*.example\000192.0.2.1", leaf->names.n);
	assert_int_equal(leaf->names_left_out, 0);
}

static void
expect_seen(const struct tls_seen *s, int version, bool resumed)
{
	struct span alpn = s->client.alpn;

	assert_true(s->client_hello && s->server_hello && !s->malformed);
	assert_int_equal(s->server.version, version);
	assert_int_equal(s->client.version, TLS1_3_VERSION);
	assert_true(span_eq(s->client.server_name, span_str("mail.example")));
	assert_true(span_eq(tls_alpn_next(&alpn), span_str("imap")));
	assert_int_equal(s->resumed, resumed);
	if (version == TLS1_2_VERSION) { /* TLS 1.3 says all this under encryption */
		assert_true(span_eq(s->server.alpn, span_str("imap")));
		assert_int_equal(s->chain, resumed ? 0 : 1);
		if (!resumed)
			expect_leaf(s->leaf);
	} else {
		assert_null(s->leaf);
	}
}

static void
expect_at_every_size(const struct wire *w, int version, bool resumed)
{
	for (size_t piece = 1; piece < 4096; piece = piece < 70 ? piece + 1 : piece * 2) {
		struct tls_sight *t = look_at(w, piece);

		expect_seen(tls_sight_seen(t), version, resumed);
		tls_sight_free(t);
	}
}

/* T7, T15, T17 */
static void
handshakes_are_seen(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < nitems(versions); i++)
		for (int rsa = 0; rsa <= 1; rsa++) {
			struct peers p;

			peers_init(&p, versions[i], rsa);
			for (int again = 0; again <= 1; again++) {
				struct wire w;

				shake_hands(&p, "X25519:P-256", "X25519:P-256", &w);
				expect_at_every_size(&w, versions[i], again);
				wire_free(&w);
				assert_non_null(p.session);
			}
			peers_free(&p);
		}
}

/* Both hellos come twice; the second one of the server counts. */
static void
a_handshake_that_begins_anew_is_seen(void **state)
{
	struct peers p;
	struct wire w;

	(void)state;
	peers_init(&p, TLS1_3_VERSION, false);
	shake_hands(&p, "X25519:P-256", "P-256", &w);
	expect_at_every_size(&w, TLS1_3_VERSION, false);
	for (size_t i = 0, n = 0; i < w.n; i++) {
		struct tls_sight *t = tls_sight_new();

		for (size_t k = 0; k <= i; k++)
			tls_sight_feed(t, w.flight[k].dir, buf_span(&w.flight[k].octets));
		n += w.flight[i].dir == AN_S2C;
		if (w.flight[i].dir == AN_S2C && n == 1)
			assert_true(tls_sight_seen(t)->server.retry);
		else if (n > 1)
			assert_false(tls_sight_seen(t)->server.retry);
		tls_sight_free(t);
	}
	wire_free(&w);
	peers_free(&p);
}

#define LITERAL(s) span_of(s, sizeof(s) - 1)

static void
what_is_no_tls_is_said(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
	} cases[] = {{"NOOP\r\n", 6}, {"\x16\x02\0\0\x01x", 6}, {"\x16\x03\x01\xff\xff", 5},
	    {"\x18\x03\x01\0\x01x", 6}, {"\x16\x03\x01\0\x06\x01\0\0\x02\x03\x03", 11}};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct tls_sight *t = tls_sight_new();

		tls_sight_feed(t, AN_C2S, span_of(cases[i].octets, cases[i].n));
		assert_true(tls_sight_seen(t)->malformed);
		assert_false(tls_sight_seen(t)->client_hello);
		tls_sight_free(t);
	}
}

static void
alerts_in_the_clear_are_seen(void **state)
{
	struct tls_sight *t = tls_sight_new();
	const struct tls_alert *a = &tls_sight_seen(t)->alert[AN_S2C];

	(void)state;
	tls_sight_feed(t, AN_S2C, LITERAL("\x15\x03\x03\0\x02\x02"));
	assert_false(a->seen);
	tls_sight_feed(t, AN_S2C, LITERAL("\x28\x15\x03\x03\0\x02\x01\0"));
	assert_true(a->seen && a->fatal);
	assert_int_equal(a->description, 40);
	assert_false(tls_sight_seen(t)->malformed);
	tls_sight_free(t);
}

/* T-020: a message of 16 MiB is announced, and comes: nothing of it is kept. */
static void
long_messages_are_skipped_T_020(void **state)
{
	static const uint8_t zeros[16384];
	struct tls_sight *t = tls_sight_new();
	size_t left = 0xffffff;

	(void)state;
	tls_sight_feed(t, AN_S2C, LITERAL("\x16\x03\x03\0\x04\x0b\xff\xff\xff"));
	while (left > 0) {
		size_t n = left < sizeof(zeros) ? left : sizeof(zeros);
		const uint8_t header[] = {22, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};

		tls_sight_feed(t, AN_S2C, span_of(header, sizeof(header)));
		tls_sight_feed(t, AN_S2C, span_of(zeros, n));
		left -= n;
	}
	assert_false(tls_sight_seen(t)->malformed);
	tls_sight_feed(
	    t, AN_S2C, LITERAL("\x15\x03\x03\0\x02\x01\x5a")); /* and it goes on behind it */
	assert_true(tls_sight_seen(t)->alert[AN_S2C].seen);
	tls_sight_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(handshakes_are_seen),
	    cmocka_unit_test(a_handshake_that_begins_anew_is_seen),
	    cmocka_unit_test(what_is_no_tls_is_said),
	    cmocka_unit_test(alerts_in_the_clear_are_seen),
	    cmocka_unit_test(long_messages_are_skipped_T_020),
	};

	return cmocka_run_group_tests_name("tls sight", tests, NULL, NULL);
}
