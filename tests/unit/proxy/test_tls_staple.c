#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ocsp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tls_leg.h"
#include "tls_made.h"

#define TEXT_MAX 65536
#define NAME	 "mail.example.edu"

/* A CA, a server's certificate of it, and what the server staples. */
struct world {
	struct config c;
	struct certificate certificate;
	struct made ca, server, other;
	struct buf chain, key, trust;
	struct tls_keys *keys;
	unsigned char *staple;
	int n;
};

static struct world *stapling; /* OpenSSL's callback has an argument of another type */

static int
on_status(SSL *ssl, void *arg)
{
	unsigned char *copy;

	(void)arg;
	if (stapling->n <= 0)
		return SSL_TLSEXT_ERR_NOACK;
	copy = OPENSSL_memdup(stapling->staple, (size_t)stapling->n);
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, stapling->n);
	return SSL_TLSEXT_ERR_OK;
}

static void
begin(struct world *w, bool must_staple)
{
	const struct make ca = {.cn = "CA", .is_ca = true}, other = {.cn = "Other", .is_ca = true};
	const struct make server = {.cn = NAME, .alternatives = "DNS:" NAME, .issuer = &w->ca};
	const char *why = NULL;

	*w = (struct world){.ca = made_new(&ca), .other = made_new(&other)};
	w->server = made_new(&server);
	if (must_staple) {
		made_extension(w->server.x, NID_tlsfeature, "status_request");
		assert_true(X509_sign(w->server.x, w->ca.key, EVP_sha256()) > 0);
	}
	buf_init(&w->chain, TEXT_MAX);
	buf_init(&w->key, TEXT_MAX);
	buf_init(&w->trust, TEXT_MAX);
	made_certificate(&w->server, &w->chain);
	made_key(&w->server, NULL, &w->key);
	made_certificate(&w->ca, &w->trust);
	w->certificate = (struct certificate){.name = (char *)(uintptr_t) "mail",
	    .servers = networks_new(),
	    .chain_pem = buf_span(&w->chain),
	    .key_pem = buf_span(&w->key)};
	networks_seal(w->certificate.servers);
	w->c.certificates = &w->certificate;
	w->c.n_certificates = 1;
	w->c.tls.trust_pem = buf_span(&w->trust);
	w->keys = tls_keys_new(&w->c, &why);
	assert_null(why);
	stapling = w;
	SSL_CTX_set_tlsext_status_cb(tls_keys_client_legs(w->keys), on_status);
}

static void
end(struct world *w)
{
	tls_keys_free(w->keys);
	networks_free(w->certificate.servers);
	made_free(&w->ca);
	made_free(&w->server);
	made_free(&w->other);
	buf_free(&w->chain);
	buf_free(&w->key);
	buf_free(&w->trust);
	OPENSSL_free(w->staple);
}

/* What "signer" says of "of", valid from and until so many days from now. */
static void
staple(struct world *w, const struct made *signer, X509 *of, const EVP_MD *hash, int status,
    long from, long until)
{
	OCSP_BASICRESP *answer = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(hash, of, w->ca.x);
	ASN1_TIME *now = X509_gmtime_adj(NULL, MADE_DAY * from);
	ASN1_TIME *next = X509_gmtime_adj(NULL, MADE_DAY * until);
	OCSP_RESPONSE *response;

	assert_non_null(
	    OCSP_basic_add1_status(answer, id, status, OCSP_REVOKED_STATUS_KEYCOMPROMISE,
		status == V_OCSP_CERTSTATUS_REVOKED ? now : NULL, now, next));
	assert_int_equal(OCSP_basic_sign(answer, signer->x, signer->key, EVP_sha256(), NULL, 0), 1);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, answer);
	OPENSSL_free(w->staple);
	w->staple = NULL;
	w->n = i2d_OCSP_RESPONSE(response, &w->staple);
	assert_true(w->n > 0);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(answer);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
}

/* What a server leg says of this server, by this version of TLS. */
static long
seen(struct world *w, int version)
{
	const struct tls_wanted wanted = {.server_name = NAME};
	const struct tls_identity *identity =
	    tls_keys_identity(w->keys, span_str(NAME), &wanted.server);
	struct tls_leg *client, *server;
	int fd[2];
	long verified;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	client = tls_leg_accept(w->keys, fd[0], span_str("service"));
	server = tls_leg_connect(w->keys, fd[1], &wanted);
	assert_int_equal(SSL_set_max_proto_version(tls_leg_ssl(server), version), 1);
	for (int i = 0; i < 10; i++) {
		if (tls_leg_shake(client) == TLS_LEG_HELLO)
			tls_leg_answer(client, identity, SPAN_NONE, 0);
		tls_leg_shake(server);
	}
	assert_int_equal(tls_leg_state(client), TLS_LEG_OPEN);
	assert_int_equal(tls_leg_state(server), TLS_LEG_OPEN);
	verified = tls_leg_verified(server);
	tls_leg_free(client);
	tls_leg_free(server);
	close(fd[0]);
	close(fd[1]);
	return verified;
}

static void
expect(struct world *w, long verified)
{
	assert_int_equal(seen(w, TLS1_2_VERSION), verified);
	assert_int_equal(seen(w, TLS1_3_VERSION), verified);
}

static void
test_T_005_what_is_stapled(void **state)
{
	static const struct {
		int status;
		long from, until, verified;
	} rows[] = {{V_OCSP_CERTSTATUS_GOOD, -1, 7, X509_V_OK},
	    {V_OCSP_CERTSTATUS_REVOKED, -1, 7, X509_V_ERR_CERT_REVOKED},
	    {V_OCSP_CERTSTATUS_UNKNOWN, -1, 7, X509_V_ERR_OCSP_CERT_UNKNOWN},
	    {V_OCSP_CERTSTATUS_GOOD, -9, -2, X509_V_ERR_OCSP_VERIFY_FAILED},
	    {V_OCSP_CERTSTATUS_GOOD, 2, 7, X509_V_ERR_OCSP_VERIFY_FAILED}};
	struct world w;

	(void)state;
	begin(&w, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		staple(
		    &w, &w.ca, w.server.x, EVP_sha1(), rows[i].status, rows[i].from, rows[i].until);
		expect(&w, rows[i].verified);
	}
	staple(&w, &w.ca, w.server.x, EVP_sha256(), V_OCSP_CERTSTATUS_REVOKED, -1, 7);
	expect(&w, X509_V_ERR_CERT_REVOKED);
	end(&w);
}

static void
test_T_005_who_may_say_so_and_of_what(void **state)
{
	struct world w;

	(void)state;
	begin(&w, false);
	staple(&w, &w.other, w.server.x, EVP_sha1(), V_OCSP_CERTSTATUS_GOOD, -1, 7);
	expect(&w, X509_V_ERR_OCSP_VERIFY_FAILED);
	/* the server itself is not its issuer */
	staple(&w, &w.server, w.server.x, EVP_sha1(), V_OCSP_CERTSTATUS_GOOD, -1, 7);
	expect(&w, X509_V_ERR_OCSP_VERIFY_FAILED);
	staple(&w, &w.ca, w.other.x, EVP_sha1(), V_OCSP_CERTSTATUS_GOOD, -1, 7);
	expect(&w, X509_V_ERR_OCSP_VERIFY_FAILED);
	/* octets that are no response, and a response cut short */
	staple(&w, &w.ca, w.server.x, EVP_sha1(), V_OCSP_CERTSTATUS_GOOD, -1, 7);
	w.n -= 9;
	expect(&w, X509_V_ERR_OCSP_VERIFY_FAILED);
	end(&w);
}

static void
test_T_005_nothing_is_stapled(void **state)
{
	struct world w;

	(void)state;
	begin(&w, false);
	expect(&w, X509_V_OK);
	end(&w);
	begin(&w, true);
	expect(&w, X509_V_ERR_OCSP_VERIFY_NEEDED);
	staple(&w, &w.ca, w.server.x, EVP_sha1(), V_OCSP_CERTSTATUS_GOOD, -1, 7);
	expect(&w, X509_V_OK);
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_T_005_what_is_stapled),
	    cmocka_unit_test(test_T_005_who_may_say_so_and_of_what),
	    cmocka_unit_test(test_T_005_nothing_is_stapled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
