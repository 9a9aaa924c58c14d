#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "config_handover.h"
#include "config_value.h"
#include "sandbox_child.h"
#include "tls_keys.h"
#include "tls_made.h"
#include "tls_ticket.h"

#define TEXT_MAX 65536

/* A configuration with certificate sections, as a worker has it. */
struct world {
	struct config c;
	struct certificate certificates[4];
	struct buf pem[8];
	size_t n_pem;
	struct tls_keys *keys;
};

static struct buf *
text_of(struct world *w)
{
	struct buf *b = &w->pem[w->n_pem++];

	buf_init(b, TEXT_MAX);
	return b;
}

/* names: NULL: those of the certificate. */
static void
add(struct world *w, const char *name, const struct made *m, const char *const *names,
    const char *servers)
{
	struct certificate *one = &w->certificates[w->c.n_certificates++];
	struct buf *chain = text_of(w), *key = text_of(w);
	const char *why;

	made_certificate(m, chain);
	made_key(m, NULL, key);
	*one = (struct certificate){.name = (char *)(uintptr_t)name,
	    .names = (char **)(uintptr_t)names,
	    .servers = networks_new(),
	    .chain_pem = buf_span(chain),
	    .key_pem = buf_span(key)};
	if (servers != NULL)
		assert_true(networks_add(one->servers, servers, &why));
	networks_seal(one->servers);
	w->c.certificates = w->certificates;
}

static void
begin(struct world *w)
{
	const char *why = NULL;

	w->keys = tls_keys_new(&w->c, &why);
	assert_null(why);
	assert_non_null(w->keys);
}

static void
end(struct world *w)
{
	tls_keys_free(w->keys);
	for (size_t i = 0; i < w->c.n_certificates; i++)
		networks_free(w->certificates[i].servers);
	for (size_t i = 0; i < w->n_pem; i++)
		buf_free(&w->pem[i]);
}

static const char *
chosen(const struct world *w, const char *server_name, const char *server)
{
	struct ip ip;
	const struct tls_identity *found;

	assert_true(ip_parse(span_str(server), &ip));
	found = tls_keys_identity(w->keys, span_str(server_name), &ip);
	return found == NULL ? "none" : found->name;
}

/* ---- which identity ---- */

static void
test_T_009_identity_by_name_then_by_address(void **state)
{
	static const char *const names[] = {"pop.example.org", "*.example.org", NULL};
	const struct make wild = {.cn = "wild", .alternatives = "DNS:*.example.edu,DNS:b.example"},
			  exact = {.cn = "exact", .alternatives = "DNS:Mail.Example.EDU"},
			  common = {.cn = "old.example.net"};
	struct made a = made_new(&wild), b = made_new(&exact), c = made_new(&common);
	struct world w = {.n_pem = 0};

	(void)state;
	add(&w, "wild", &a, NULL, "192.0.2.0/24");
	add(&w, "exact", &b, NULL, "198.51.100.1");
	add(&w, "common", &c, NULL, "203.0.113.1");
	add(&w, "named", &c, names, "192.0.2.7");
	begin(&w);
	/* exactly, ahead of a wildcard; whatever the case, with a dot behind it */
	assert_string_equal(chosen(&w, "mail.example.edu", "10.0.0.1"), "exact");
	assert_string_equal(chosen(&w, "MAIL.example.edu.", "10.0.0.1"), "exact");
	assert_string_equal(chosen(&w, "pop.example.edu", "10.0.0.1"), "wild");
	assert_string_equal(chosen(&w, "b.example", "10.0.0.1"), "wild");
	/* one label, no more and no less (RFC 6125 s6.4.3) */
	assert_string_equal(chosen(&w, "a.pop.example.edu", "10.0.0.1"), "none");
	assert_string_equal(chosen(&w, "example.edu", "10.0.0.1"), "none");
	/* the CN of a certificate that has no other name */
	assert_string_equal(chosen(&w, "old.example.net", "10.0.0.1"), "common");
	/* names of the section stand in place of the certificate's */
	assert_string_equal(chosen(&w, "imap.example.org", "10.0.0.1"), "named");
	/* a name goes ahead of an address; a strange one, or none, leaves it to the address */
	assert_string_equal(chosen(&w, "b.example", "198.51.100.1"), "wild");
	assert_string_equal(chosen(&w, "strange.example", "198.51.100.1"), "exact");
	assert_string_equal(chosen(&w, "", "192.0.2.7"), "wild");
	assert_string_equal(chosen(&w, "\x01", "203.0.113.1"), "common");
	assert_string_equal(chosen(&w, "*.example.edu", "10.0.0.1"), "none");
	end(&w);
	made_free(&a);
	made_free(&b);
	made_free(&c);
}

static void
test_identity_of_any_server(void **state)
{
	const struct make any = {.cn = "any.example"}, one = {.cn = "one.example"};
	struct made a = made_new(&any), b = made_new(&one);
	struct world w = {.n_pem = 0};

	(void)state;
	add(&w, "any", &a, NULL, NULL);
	add(&w, "one", &b, NULL, "2001:db8::/32");
	begin(&w);
	assert_string_equal(chosen(&w, "", "10.0.0.1"), "any");
	assert_string_equal(chosen(&w, "", "2001:db8::1"), "one");
	end(&w);
	made_free(&a);
	made_free(&b);
}

static void
test_chain_is_between_leaf_and_root(void **state)
{
	const struct make root = {.cn = "root", .is_ca = true};
	struct made r = made_new(&root);
	const struct make middle = {.cn = "middle", .is_ca = true, .issuer = &r};
	struct made m = made_new(&middle);
	const struct make leaf = {.cn = "a.example", .issuer = &m};
	struct made l = made_new(&leaf);
	const struct tls_identity *found;
	struct ip ip = {.family = IP_NONE};
	struct world w = {.n_pem = 0};

	(void)state;
	add(&w, "a", &l, NULL, NULL);
	made_certificate(&m, &w.pem[0]);
	w.certificates[0].chain_pem = buf_span(&w.pem[0]);
	begin(&w);
	found = tls_keys_identity(w.keys, span_str("a.example"), &ip);
	assert_non_null(found);
	assert_int_equal(X509_cmp(found->leaf, l.x), 0);
	assert_int_equal(sk_X509_num(found->chain), 1);
	assert_int_equal(X509_cmp(sk_X509_value(found->chain, 0), m.x), 0);
	assert_int_equal(EVP_PKEY_eq(found->key, l.key), 1);
	end(&w);
	made_free(&l);
	made_free(&m);
	made_free(&r);
}

static void
test_key_of_another_is_a_fault(void **state)
{
	const struct make make = {.cn = "a.example"};
	struct made a = made_new(&make), b = made_new(&make);
	struct made mixed = {b.key, a.x};
	struct world w = {.n_pem = 0};
	const char *why = NULL;

	(void)state;
	add(&w, "mixed", &mixed, NULL, NULL);
	assert_null(tls_keys_new(&w.c, &why));
	assert_string_equal(why, "certificate \"mixed\": cannot be used, or out of memory");
	end(&w);
	made_free(&a);
	made_free(&b);
}

/* ---- trust anchors ---- */

/* Nor is a copy of it that somebody else has signed. */
static void
test_T_004_our_own_CA_is_no_anchor(void **state)
{
	const struct make other = {.cn = "other", .is_ca = true},
			  own = {.cn = "own", .is_ca = true};
	struct made a = made_new(&other), b = made_new(&own), again;
	struct world w = {.n_pem = 0};
	struct buf *trust = text_of(&w), *ours = text_of(&w);

	(void)state;
	again.key = b.key;
	again.x = X509_dup(b.x);
	assert_true(X509_set_issuer_name(again.x, X509_get_subject_name(a.x)) == 1);
	assert_true(X509_sign(again.x, a.key, EVP_sha256()) > 0);
	made_certificate(&b, trust);
	made_certificate(&a, trust);
	made_certificate(&again, trust);
	w.c.tls.trust_pem = buf_span(trust);
	begin(&w);
	assert_int_equal(tls_keys_anchors(w.keys), 3);
	tls_keys_free(w.keys);
	made_certificate(&b, ours);
	w.c.tls.own_ca_pem = buf_span(ours);
	begin(&w);
	assert_int_equal(tls_keys_anchors(w.keys), 1);
	end(&w);
	X509_free(again.x);
	made_free(&a);
	made_free(&b);
}

/* ---- contexts ---- */

static void
test_T_008_T_019_contexts_are_of_today(void **state)
{
	struct world w = {.n_pem = 0};
	SSL_CTX *both[2];

	(void)state;
	begin(&w);
	both[0] = tls_keys_client_legs(w.keys);
	both[1] = tls_keys_server_legs(w.keys);
	for (size_t i = 0; i < 2; i++) {
		STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(both[i]);

		assert_int_equal(SSL_CTX_get_min_proto_version(both[i]), TLS1_2_VERSION);
		assert_int_equal(SSL_CTX_get_security_level(both[i]), 2);
		assert_int_equal(SSL_CTX_get_max_early_data(both[i]), 0);
		assert_true((SSL_CTX_get_options(both[i]) & SSL_OP_NO_RENEGOTIATION) != 0);
		assert_true((SSL_CTX_get_options(both[i]) & SSL_OP_NO_COMPRESSION) != 0);
		assert_true((SSL_CTX_get_mode(both[i]) & SSL_MODE_RELEASE_BUFFERS) != 0);
		assert_true(sk_SSL_CIPHER_num(ciphers) > 0);
		for (int k = 0; k < sk_SSL_CIPHER_num(ciphers); k++) {
			const SSL_CIPHER *one = sk_SSL_CIPHER_value(ciphers, k);
			int exchange = SSL_CIPHER_get_kx_nid(one);

			assert_true(SSL_CIPHER_is_aead(one));
			assert_true(exchange == NID_kx_ecdhe || exchange == NID_kx_any);
		}
	}
	tls_keys_free(w.keys);
	w.c.tls.minimum = TLS_MINIMUM_1_3;
	begin(&w);
	assert_int_equal(
	    SSL_CTX_get_min_proto_version(tls_keys_client_legs(w.keys)), TLS1_3_VERSION);
	end(&w);
}

static void
test_T_023_key_log_is_for_its_owner(void **state)
{
	char path[] = "/tmp/postern-key-log-XXXXXX";
	struct world w = {.n_pem = 0};
	struct stat st;
	int fd = mkstemp(path);
	const char *why = NULL;

	(void)state;
	close(fd);
	unlink(path);
	w.c.tls.key_log = path;
	begin(&w);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	end(&w);
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	w = (struct world){.n_pem = 0};
	w.c.tls.key_log = path;
	assert_null(tls_keys_new(&w.c, &why));
	assert_non_null(strstr(why, "tls.key_log: "));
	unlink(path);
}

/* ---- tickets ---- */

static void
test_ticket_keys_are_of_their_hour(void **state)
{
	const uint8_t secret[TLS_SECRET] = {1}, other[TLS_SECRET] = {2};
	struct tls_ticket_keys a, b;

	(void)state;
	assert_true(tls_ticket_derive(secret, 100, &a));
	assert_true(tls_ticket_derive(secret, 100, &b));
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(tls_ticket_derive(secret, 101, &b));
	assert_memory_not_equal(a.name, b.name, sizeof(a.name));
	assert_memory_not_equal(a.cipher, b.cipher, sizeof(a.cipher));
	assert_memory_not_equal(a.mac, b.mac, sizeof(a.mac));
	assert_true(tls_ticket_derive(other, 100, &b));
	assert_memory_not_equal(a.name, b.name, sizeof(a.name));
	assert_memory_not_equal(a.cipher, a.mac, sizeof(a.cipher));
}

/* What another worker says of a ticket made "from" when it is "now". */
static int
read_at(uint64_t from, uint64_t now)
{
	const uint8_t secret[TLS_SECRET] = {1};
	uint8_t name[TLS_TICKET_NAME], iv[TLS_TICKET_IV];
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
	struct tls_tickets one, other;
	int said;

	assert_true(tls_tickets_begin(&one, secret, from));
	assert_true(tls_tickets_begin(&other, secret, from));
	assert_int_equal(tls_tickets_use(&one, from, name, iv, cipher, mac, true), 1);
	said = tls_tickets_use(&other, now, name, iv, cipher, mac, false);
	EVP_MAC_CTX_free(mac);
	EVP_MAC_free(hmac);
	EVP_CIPHER_CTX_free(cipher);
	tls_tickets_wipe(&one);
	tls_tickets_wipe(&other);
	return said;
}

static void
test_tickets_of_the_hour_before_are_read_and_renewed(void **state)
{
	(void)state;
	assert_int_equal(read_at(7200, 7200), 1);
	assert_int_equal(read_at(7200, 10799), 1);
	assert_int_equal(read_at(7200, 10800), 2);
	assert_int_equal(read_at(7200, 14399), 2);
	assert_int_equal(read_at(7200, 14400), 0);
	assert_int_equal(read_at(7200, 3600), 0); /* a clock that was set back */
}

struct resumption {
	const struct world *server; /* the worker that the client comes to */
	int version;
	const char *service;
	SSL_SESSION *session; /* that the client shows; NULL: none */
	long verified;	      /* what the client thinks of the certificate */
};

static bool
step(SSL *ssl)
{
	int n = SSL_do_handshake(ssl);

	return n == 1 || SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
}

/* Shakes hands in memory. Returns the session that the client has then; *resumed: by it. */
static SSL_SESSION *
shake(struct resumption *r, bool *resumed)
{
	SSL *server = SSL_new(tls_keys_client_legs(r->server->keys));
	SSL *client = SSL_new(tls_keys_server_legs(r->server->keys));
	struct ip ip = {.family = IP_NONE};
	const struct tls_identity *id = tls_keys_identity(r->server->keys, SPAN_NONE, &ip);
	BIO *one, *other;
	SSL_SESSION *after;
	uint8_t octet;

	assert_int_equal(BIO_new_bio_pair(&one, 65536, &other, 65536), 1);
	SSL_set_bio(server, one, one);
	SSL_set_bio(client, other, other);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	SSL_set_max_proto_version(client, r->version);
	assert_int_equal(SSL_use_cert_and_key(server, id->leaf, id->key, NULL, 1), 1);
	assert_int_equal(SSL_set_session_id_context(server, (const unsigned char *)r->service,
			     (unsigned)strlen(r->service)),
	    1);
	if (r->session != NULL)
		assert_int_equal(SSL_set_session(client, r->session), 1);
	for (int i = 0; i < 10; i++)
		assert_true(step(client) && step(server));
	assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(server));
	assert_int_equal(SSL_version(client), r->version);
	assert_true(SSL_read(client, &octet, 1) < 0); /* takes the tickets in */
	*resumed = SSL_session_reused(server) == 1;
	assert_int_equal(SSL_session_reused(client), *resumed);
	after = SSL_get1_session(client);
	r->verified = SSL_get_verify_result(client);
	SSL_shutdown(client); /* of a session that was cut OpenSSL thinks the worst */
	SSL_free(client);
	SSL_free(server);
	return after;
}

/* First a full handshake with one worker, then what the other says to its session. */
static bool
resumes(const struct world *first, const struct world *then, int version, const char *service)
{
	struct resumption full = {first, version, "service a", NULL, 0};
	struct resumption again = {then, version, service, NULL, 0};
	bool resumed;

	again.session = shake(&full, &resumed);
	assert_false(resumed);
	SSL_SESSION_free(shake(&again, &resumed));
	SSL_SESSION_free(again.session);
	return resumed;
}

static void
test_T_018_workers_resume_each_others_sessions_of_one_service(void **state)
{
	const struct make make = {.cn = "a.example"};
	struct made m = made_new(&make);
	struct world w[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		w[i] = (struct world){.n_pem = 0};
		w[i].c.tls.session_tickets = true;
		w[i].c.tls_secret[0] = i < 2 ? 1 : 2; /* the third has another supervisor */
		add(&w[i], "a", &m, NULL, NULL);
		begin(&w[i]);
	}
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		assert_true(resumes(&w[0], &w[0], version, "service a"));
		assert_true(resumes(&w[0], &w[1], version, "service a"));
		assert_true(resumes(&w[1], &w[0], version, "service a"));
		assert_false(resumes(&w[0], &w[1], version, "service b"));
		assert_false(resumes(&w[0], &w[2], version, "service a"));
	}
	for (size_t i = 0; i < 3; i++)
		end(&w[i]);
	made_free(&m);
}

static void
test_no_tickets_where_none_are_wanted(void **state)
{
	const struct make make = {.cn = "a.example"};
	struct made m = made_new(&make);
	struct world w = {.n_pem = 0};

	(void)state;
	add(&w, "a", &m, NULL, NULL);
	begin(&w);
	assert_false(resumes(&w, &w, TLS1_2_VERSION, "service a"));
	assert_false(resumes(&w, &w, TLS1_3_VERSION, "service a"));
	end(&w);
	made_free(&m);
}

/* ---- in the sandbox ---- */

/* What a certificate must be verified with is there, and no file is opened for it. */
static void
shake_in_sandbox(const void *arg)
{
	const struct world *w = arg;

	close_sandbox(SANDBOX_WORKER);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct resumption r = {w, version, "service", NULL, 0};
		SSL_SESSION *session;
		bool resumed;

		r.session = shake(&r, &resumed);
		MUST(!resumed && r.verified == X509_V_OK);
		session = shake(&r, &resumed);
		MUST(resumed);
		SSL_SESSION_free(session);
		SSL_SESSION_free(r.session);
	}
}

static void
test_worker_shakes_hands_in_the_sandbox(void **state)
{
	const struct make root = {.cn = "root", .is_ca = true};
	struct made r = made_new(&root);
	const struct make leaf = {.cn = "a.example", .issuer = &r};
	struct made l = made_new(&leaf);
	struct world w = {.n_pem = 0};
	struct buf *trust = text_of(&w);

	(void)state;
	add(&w, "a", &l, NULL, NULL);
	made_certificate(&r, trust);
	w.c.tls.trust_pem = buf_span(trust);
	w.c.tls.session_tickets = true;
	begin(&w);
	assert_int_equal(in_child(shake_in_sandbox, &w), 0);
	end(&w);
	made_free(&l);
	made_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_T_009_identity_by_name_then_by_address),
	    cmocka_unit_test(test_identity_of_any_server),
	    cmocka_unit_test(test_chain_is_between_leaf_and_root),
	    cmocka_unit_test(test_key_of_another_is_a_fault),
	    cmocka_unit_test(test_T_004_our_own_CA_is_no_anchor),
	    cmocka_unit_test(test_T_008_T_019_contexts_are_of_today),
	    cmocka_unit_test(test_T_023_key_log_is_for_its_owner),
	    cmocka_unit_test(test_ticket_keys_are_of_their_hour),
	    cmocka_unit_test(test_tickets_of_the_hour_before_are_read_and_renewed),
	    cmocka_unit_test(test_T_018_workers_resume_each_others_sessions_of_one_service),
	    cmocka_unit_test(test_no_tickets_where_none_are_wanted),
	    cmocka_unit_test(test_worker_shakes_hands_in_the_sandbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
