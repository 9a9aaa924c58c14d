#include "tls_report.h"

#include <openssl/x509.h>

#include "record_tls.h"
#include "tls_distrust.h"

/* We say alerts too; what the peer of a leg said is what an administrator looks for (T-013). */
static void
put_leg(const struct tls_leg *leg, enum an_dir from, struct record_tls_leg *out)
{
	SSL *ssl = tls_leg_ssl(leg);
	const unsigned char *alpn;
	unsigned n;

	if (tls_leg_state(leg) == TLS_LEG_OPEN) {
		out->version = (uint16_t)SSL_version(ssl);
		out->cipher = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));
		out->resumed = SSL_session_reused(ssl) == 1;
		SSL_get0_alpn_selected(ssl, &alpn, &n);
		out->alpn = span_of(alpn, n);
	}
	out->client_certificate = tls_leg_client_certificate(leg);
	if (tls_leg_alert(leg) > 0)
		out->alert[from] = (struct tls_alert){
		    .seen = true, .fatal = true, .description = (uint8_t)tls_leg_alert(leg)};
}

/* NULL: it showed none, or no memory. */
static struct tls_certificate *
certificate_of(SSL *ssl)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	struct tls_certificate *c = NULL;
	unsigned char *der = NULL;
	int n = x == NULL ? 0 : i2d_X509(x, &der);

	if (n > 0)
		c = tls_certificate_parse(span_of(der, (size_t)n));
	OPENSSL_free(der);
	return c;
}

static size_t
chain_of(SSL *ssl)
{
	int n = sk_X509_num(SSL_get_peer_cert_chain(ssl)); /* -1: there is none */

	return n > 0 ? (size_t)n : 0;
}

/* The other CA is not there to be believed. */
static void
note_distrust(const struct relay *r, const struct tls_leg *client, struct record_tls *t,
    char rule[TLS_RULE_TEXT])
{
	if (t->failure == NULL || t->shown == NULL || strcmp(t->shown, "minted") != 0 ||
	    !tls_distrust_is(tls_leg_alert(client)))
		return;
	t->distrusted = tls_distrust_note(r->env->distrust, &r->facts.client, &r->facts.server);
	if (t->distrusted < DISTRUST_TELL)
		return;
	tls_rule_to_pass(&r->facts, &r->tls_asked, true, rule);
	t->to_pass = rule;
}

/* What only the two ends can do with each other (T-012). */
static bool
takes_to_pass(const char *why)
{
	return why != NULL && strcmp(why, "tls_client_certificate") == 0;
}

void
tls_report(const struct relay *r, const struct tls_leg *client, const struct tls_leg *server,
    const struct tls_client_hello *hello, const char *shown, const char *why)
{
	char rule[TLS_RULE_TEXT];
	struct record_tls_leg upstream = {0};
	struct tls_certificate *certificate = NULL;
	struct record_tls t = {.action = "intercepted",
	    .one_sided = r->one_sided,
	    .rule = r->tls_said.rule,
	    .reason = r->tls_said.reason,
	    .failure = why,
	    .shown = shown,
	    .hello = hello};

	if (takes_to_pass(why)) {
		tls_rule_to_pass(&r->facts, &r->tls_asked, false, rule);
		t.to_pass = rule;
	}
	if (client != NULL) {
		put_leg(client, AN_C2S, &t.client);
		note_distrust(r, client, &t, rule);
	}
	if (server != NULL) {
		put_leg(server, AN_S2C, &upstream);
		t.server = &upstream;
		certificate = certificate_of(tls_leg_ssl(server));
		t.certificate = certificate;
		t.chain = chain_of(tls_leg_ssl(server));
	}
	if (certificate != NULL) {
		t.verified = true;
		if (tls_leg_verified(server) != X509_V_OK)
			t.verify = X509_verify_cert_error_string(tls_leg_verified(server));
	}
	record_tls(&r->session, &t, r->env->sink, r->env->sink_arg);
	tls_certificate_free(certificate);
}
