/*
 * tls_talk - TLS sessions of two peers in memory, made with OpenSSL, as they are on the wire: the
 * octets of both directions in order, what the application said, and the key log.
 *
 * Whatever cannot be made ends the test.
 */
#ifndef POSTERN_TESTS_TLS_TALK_H
#define POSTERN_TESTS_TLS_TALK_H

#include <openssl/ssl.h>

#include "core/buf.h"
#include "core/event.h"
#include "tests/unit/proxy/tls_made.h"

#define TALK_FLIGHTS_MAX 256
#define TALK_LARGE	 70000 /* octets that are said at once: several records */

enum talk_early { TALK_NO_EARLY, TALK_EARLY, TALK_EARLY_REFUSED, TALK_EARLY_RETRIED };
enum talk_again { TALK_ONCE, TALK_BY_TICKET, TALK_BY_ID };

struct talk_how {
	const char *name;
	int version;
	const char *cipher; /* by OpenSSL's name; NULL: its choice */
	bool ecdsa;	    /* the server's certificate */
	bool no_etm;
	enum talk_again again;
	enum talk_early early;
	bool retry;	   /* HelloRetryRequest */
	bool asks_client;  /* for a certificate; TLS 1.3: once more afterwards */
	bool updates;	   /* keys, both ways */
	bool renegotiates; /* after the first octets */
	bool keeps_first;  /* of one that is had again, the first one too: flights up to n_first */
	int fragment;	   /* octets of a record; 0: as large as they may be */
};

struct talk {
	struct {
		enum an_dir dir;
		struct buf octets;
	} flight[TALK_FLIGHTS_MAX];
	size_t n, n_first;
	struct buf said[2]; /* by enum an_dir */
	struct buf keys;    /* lines of a key log */
	size_t secure_at;   /* flights until the handshake was over */
	/* while it is made */
	SSL_CTX *ctx[2];
	SSL *ssl[2];
	SSL_SESSION *session;
};

static struct made talk_keys[2]; /* RSA, ECDSA */

static inline void
talk_setup(void)
{
	talk_keys[0] = made_new(&(struct make){.cn = "mail.example", .rsa = 2048});
	talk_keys[1] = made_new(&(struct make){.cn = "mail.example"});
}

static inline void
talk_teardown(void)
{
	made_free(&talk_keys[0]);
	made_free(&talk_keys[1]);
}

static inline void
talk_on_keys(const SSL *ssl, const char *line)
{
	struct talk *t = SSL_get_app_data(ssl);

	buf_str(&t->keys, line);
	buf_octet(&t->keys, '\n');
}

static inline int
talk_on_session(SSL *ssl, SSL_SESSION *session)
{
	struct talk *t = SSL_get_app_data(ssl);

	SSL_SESSION_free(t->session);
	t->session = session;
	return 1;
}

static inline int
talk_on_verify(int ok, X509_STORE_CTX *ctx)
{
	(void)ok;
	(void)ctx;
	return 1;
}

static inline SSL_CTX *
talk_ctx(const struct talk_how *how, const SSL_METHOD *method, const struct made *key)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	char ciphers[128];

	SSL_CTX_set_min_proto_version(ctx, how->version);
	SSL_CTX_set_max_proto_version(ctx, how->version);
	if (how->version == TLS1_3_VERSION && how->cipher != NULL) {
		assert_int_equal(SSL_CTX_set_ciphersuites(ctx, how->cipher), 1);
	} else {
		snprintf(ciphers, sizeof(ciphers), "%s:@SECLEVEL=0",
		    how->cipher == NULL || how->version == TLS1_3_VERSION ? "DEFAULT"
									  : how->cipher);
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, ciphers), 1);
	}
	if (how->no_etm)
		SSL_CTX_set_options(ctx, SSL_OP_NO_ENCRYPT_THEN_MAC);
	if (how->renegotiates)
		SSL_CTX_set_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	if (how->again == TALK_BY_ID)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	if (how->fragment > 0)
		assert_int_equal(SSL_CTX_set_max_send_fragment(ctx, how->fragment), 1);
	assert_int_equal(SSL_CTX_use_certificate(ctx, key->x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key->key), 1);
	SSL_CTX_set_dh_auto(ctx, 1);
	SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"talk", 4);
	return ctx;
}

/* What was written is on the wire, and with the other one. */
static inline bool
talk_carry(struct talk *t)
{
	bool moved = false;

	for (int dir = AN_C2S; dir <= AN_S2C; dir++) {
		char *p;
		BIO *from = SSL_get_wbio(t->ssl[dir]);
		long n = BIO_get_mem_data(from, &p);

		if (n <= 0)
			continue;
		assert_true(t->n < TALK_FLIGHTS_MAX);
		t->flight[t->n].dir = (enum an_dir)dir;
		buf_init(&t->flight[t->n].octets, 4 << 20);
		assert_true(buf_add(&t->flight[t->n++].octets, span_of(p, (size_t)n)));
		BIO_write(SSL_get_rbio(t->ssl[!dir]), p, (int)n);
		BIO_reset(from);
		moved = true;
	}
	return moved;
}

/* Whatever has arrived is read. */
static inline void
talk_read(struct talk *t)
{
	static uint8_t octets[4096];

	for (int side = 0; side <= 1; side++)
		while (SSL_read(t->ssl[side], octets, sizeof(octets)) > 0)
			;
}

static inline void
talk_settle(struct talk *t)
{
	while (talk_carry(t))
		talk_read(t);
}

static inline void
talk_say(struct talk *t, enum an_dir dir, const void *p, size_t n)
{
	assert_int_equal(SSL_write(t->ssl[dir], p, (int)n), (int)n);
	assert_true(buf_add(&t->said[dir], span_of(p, n)));
	talk_carry(t);
	talk_read(t);
}

static inline void
talk_large(struct talk *t, enum an_dir dir)
{
	static uint8_t octets[TALK_LARGE];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(i * 7 + i / 251 + (size_t)dir);
	talk_say(t, dir, octets, sizeof(octets));
}

/* OpenSSL's macro for it casts const away. */
static inline long
talk_groups(SSL *ssl, const char *groups)
{
	return SSL_ctrl(ssl, SSL_CTRL_SET_GROUPS_LIST, 0, (void *)(uintptr_t)groups);
}

static inline void
talk_begin(struct talk *t, const struct talk_how *how, bool retry)
{
	for (int side = 0; side <= 1; side++) {
		SSL *ssl = SSL_new(t->ctx[side]);

		SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
		SSL_set_app_data(ssl, t);
		t->ssl[side] = ssl;
	}
	SSL_set_connect_state(t->ssl[0]);
	SSL_set_accept_state(t->ssl[1]);
	if (how->asks_client)
		SSL_set_verify(t->ssl[1], SSL_VERIFY_PEER, talk_on_verify);
	SSL_set_post_handshake_auth(t->ssl[0], 1);
	if (retry) {
		assert_int_equal(talk_groups(t->ssl[0], "X25519:P-256"), 1);
		assert_int_equal(talk_groups(t->ssl[1], "P-256"), 1);
	}
	if (t->session != NULL)
		assert_int_equal(SSL_set_session(t->ssl[0], t->session), 1);
}

static inline int
talk_no_early(SSL *ssl, void *arg)
{
	(void)ssl;
	(void)arg;
	return 0;
}

static inline void
talk_early(struct talk *t, const struct talk_how *how)
{
	static const char early[] = "a0 CAPABILITY\r\n", more[] = "a1 NOOP\r\n";
	bool taken = how->early == TALK_EARLY;
	uint8_t octets[64];
	size_t n;

	if (how->early == TALK_EARLY_REFUSED)
		SSL_set_allow_early_data_cb(t->ssl[1], talk_no_early, NULL);
	for (int i = 0; i < 2; i++) {
		const char *text = i == 0 ? early : more;

		assert_int_equal(SSL_write_early_data(t->ssl[0], text, strlen(text), &n), 1);
		if (taken)
			buf_str(&t->said[AN_C2S], text);
		talk_carry(t);
	}
	while (taken && SSL_read_early_data(t->ssl[1], octets, sizeof(octets), &n) ==
			    SSL_READ_EARLY_DATA_SUCCESS)
		;
	talk_carry(t);
}

static inline void
talk_shake_hands(struct talk *t, const struct talk_how *how)
{
	bool moved = true, retry = how->retry || how->early == TALK_EARLY_RETRIED;

	talk_begin(t, how, retry && (how->early == TALK_NO_EARLY || t->session != NULL));
	if (how->early != TALK_NO_EARLY && t->session != NULL)
		talk_early(t, how);
	while (moved) {
		SSL_do_handshake(t->ssl[0]);
		moved = talk_carry(t);
		if (how->early == TALK_EARLY && t->session != NULL &&
		    !SSL_is_init_finished(t->ssl[1])) {
			uint8_t octets[64];
			size_t n;

			SSL_read_early_data(t->ssl[1], octets, sizeof(octets), &n);
		}
		SSL_do_handshake(t->ssl[1]);
		moved = talk_carry(t) || moved;
	}
	assert_true(SSL_is_init_finished(t->ssl[0]) && SSL_is_init_finished(t->ssl[1]));
	t->secure_at = t->n;
}

static inline void
talk_renegotiate(struct talk *t)
{
	SSL_renegotiate(t->ssl[0]);
	SSL_do_handshake(t->ssl[0]);
	talk_settle(t);
	assert_int_equal(SSL_renegotiate_pending(t->ssl[0]), 0);
	assert_int_equal(SSL_num_renegotiations(t->ssl[0]), 1);
}

/* Each side asks the other one for new keys too. */
static inline void
talk_update(struct talk *t)
{
	for (int side = 0; side <= 1; side++) {
		SSL_key_update(t->ssl[side], SSL_KEY_UPDATE_REQUESTED);
		talk_say(t, (enum an_dir)side, "NOOP\r\n", 6);
		talk_say(t, (enum an_dir) !side, "OK\r\n", 4);
	}
}

static inline void
talk_session(struct talk *t, const struct talk_how *how)
{
	talk_shake_hands(t, how);
	talk_say(t, AN_S2C, "* OK ready\r\n", 12);
	talk_say(t, AN_C2S, "a2 LOGIN x y\r\n", 14);
	if (how->renegotiates)
		talk_renegotiate(t);
	if (how->asks_client && how->version == TLS1_3_VERSION) {
		assert_int_equal(SSL_verify_client_post_handshake(t->ssl[1]), 1);
		SSL_do_handshake(t->ssl[1]);
		talk_settle(t);
	}
	talk_large(t, AN_S2C);
	if (how->updates)
		talk_update(t);
	talk_large(t, AN_C2S);
	talk_say(t, AN_S2C, "a2 OK\r\n", 7);
	SSL_shutdown(t->ssl[0]);
	talk_carry(t);
	SSL_shutdown(t->ssl[1]);
	talk_carry(t);
}

static inline void
talk_drop_wire(struct talk *t)
{
	for (size_t i = 0; i < t->n; i++)
		buf_free(&t->flight[i].octets);
	t->n = 0;
	buf_clear(&t->keys);
	buf_clear(&t->said[AN_C2S]);
	buf_clear(&t->said[AN_S2C]);
}

static inline void
talk_end_peers(struct talk *t)
{
	SSL_free(t->ssl[0]);
	SSL_free(t->ssl[1]);
}

static inline void
talk_make(struct talk *t, const struct talk_how *how)
{
	const struct made *key = &talk_keys[how->ecdsa];

	*t = (struct talk){0};
	buf_init(&t->said[AN_C2S], 1 << 20);
	buf_init(&t->said[AN_S2C], 1 << 20);
	buf_init(&t->keys, 1 << 20);
	t->ctx[0] = talk_ctx(how, TLS_client_method(), key);
	t->ctx[1] = talk_ctx(how, TLS_server_method(), key);
	SSL_CTX_set_keylog_callback(t->ctx[0], talk_on_keys);
	SSL_CTX_set_session_cache_mode(t->ctx[0], SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(t->ctx[0], talk_on_session);
	if (how->early !=
	    TALK_NO_EARLY) /* a session that is taken once is gone at a second hello */
		SSL_CTX_set_options(t->ctx[1], SSL_OP_NO_ANTI_REPLAY);
	if (how->early != TALK_NO_EARLY)
		SSL_CTX_set_max_early_data(t->ctx[1], 16384);
	talk_session(t, how);
	if (how->again != TALK_ONCE || how->early != TALK_NO_EARLY) {
		talk_end_peers(t);
		t->n_first = t->n;
		if (!how->keeps_first)
			talk_drop_wire(t);
		assert_non_null(t->session);
		talk_session(t, how);
		assert_int_equal(SSL_session_reused(t->ssl[0]), 1);
	}
	if (how->early != TALK_NO_EARLY)
		assert_int_equal(SSL_get_early_data_status(t->ssl[0]),
		    how->early == TALK_EARLY ? SSL_EARLY_DATA_ACCEPTED : SSL_EARLY_DATA_REJECTED);
	talk_end_peers(t);
}

static inline void
talk_free(struct talk *t)
{
	talk_drop_wire(t);
	buf_free(&t->said[AN_C2S]);
	buf_free(&t->said[AN_S2C]);
	buf_free(&t->keys);
	SSL_SESSION_free(t->session);
	SSL_CTX_free(t->ctx[0]);
	SSL_CTX_free(t->ctx[1]);
}

#endif
