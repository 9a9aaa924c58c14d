#include "record_tls.h"

#include "record_json.h"
#include "tls/cipher.h"
#include "tls/ja4.h"

#define ALPN_LISTED  16
#define NAMES_LISTED 50

static void
put_alpns(struct json_writer *w, const char *key, struct span list)
{
	struct span name = tls_alpn_next(&list);

	if (name.n == 0)
		return;
	json_open_list(w, key);
	for (int i = 0; name.n > 0 && i < ALPN_LISTED; i++, name = tls_alpn_next(&list))
		record_put_item(w, name);
	json_close_list(w);
}

static void
put_hello(struct json_writer *w, const struct tls_client_hello *h)
{
	char ja4[TLS_JA4_TEXT];

	if (h == NULL)
		return;
	record_put_if(w, "sni", h->server_name);
	if (tls_ja4(h, ja4))
		record_put(w, "ja4", ja4);
	put_alpns(w, "client_alpns", h->alpn);
	record_put(w, "client_version", tls_version_name(h->version));
	if (h->early_data)
		json_truth(w, "early_data", true);
	if (h->ech)
		json_truth(w, "ech", true);
}

static void
put_cipher(struct json_writer *w, const struct record_tls_leg *leg)
{
	const uint8_t number[] = {(uint8_t)(leg->cipher >> 8), (uint8_t)leg->cipher};
	const char *name = tls_cipher_name(leg->cipher);
	char hex[] = "0x0000";

	span_hex(span_of(number, sizeof(number)), hex + 2);
	record_put(w, "cipher", name != NULL ? name : hex);
}

static void
put_leg(struct json_writer *w, const struct record_tls_leg *leg)
{
	static const char *const alerts[] = {[AN_C2S] = "client_alert", [AN_S2C] = "server_alert"};

	if (leg->version != 0) {
		record_put(w, "version", tls_version_name(leg->version));
		put_cipher(w, leg);
		json_truth(w, "session_resumed", leg->resumed);
	}
	if (leg->alpn.n > 0) {
		json_open_list(w, "server_alpns");
		record_put_item(w, leg->alpn);
		json_close_list(w);
	}
	if (leg->client_certificate != NULL)
		record_put(w, "client_certificate", leg->client_certificate);
	for (int dir = AN_C2S; dir <= AN_S2C; dir++)
		if (leg->alert[dir].seen)
			record_put_int(w, alerts[dir], leg->alert[dir].description);
}

/* Names of the certificate, each with a NUL behind it. */
static void
put_names(struct json_writer *w, const struct tls_certificate *c)
{
	struct span rest = buf_span(&c->names);
	size_t listed = 0;

	if (c->n_names > 0)
		json_open_list(w, "subjectaltname");
	for (; listed < c->n_names && listed < NAMES_LISTED; listed++) {
		size_t n = (size_t)span_find(rest, '\0');

		record_put_item(w, span_first(rest, n));
		rest = span_from(rest, n + 1);
	}
	if (c->n_names > 0)
		json_close_list(w);
	if (c->n_names + c->names_left_out > listed)
		record_put_int(
		    w, "subjectaltname_left_out", c->n_names + c->names_left_out - listed);
}

static void
put_certificate(struct json_writer *w, const struct tls_certificate *c, size_t chain)
{
	if (chain > 0)
		record_put_int(w, "chain_length", chain);
	if (c == NULL)
		return;
	record_put_text(w, "subject", buf_span(&c->subject));
	record_put_text(w, "issuerdn", buf_span(&c->issuer));
	record_put(w, "serial", c->serial);
	record_put(w, "fingerprint", c->fingerprint);
	record_put(w, "fingerprint_sha256", c->sha256);
	record_put_if(w, "notbefore", span_str(c->not_before));
	record_put_if(w, "notafter", span_str(c->not_after));
	put_names(w, c);
}

void
record_tls(const struct record_session *s, const struct record_tls *t, record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(s, "tls", RECORD_NO_TX);

	json_open_object(w, "tls");
	record_put(w, "action", t->action);
	if (t->one_sided != NULL)
		record_put(w, "one_sided", t->one_sided);
	if (t->rule != NULL)
		record_put(w, "rule", t->rule);
	if (t->reason != NULL)
		record_put(w, "reason", t->reason);
	if (t->failure != NULL)
		record_put(w, "failure", t->failure);
	if (t->mechanism != NULL)
		record_put_text(w, "mechanism", span_str(t->mechanism));
	if (t->to_pass != NULL)
		record_put(w, "rule_to_pass", t->to_pass);
	put_hello(w, t->hello);
	put_leg(w, &t->client);
	put_certificate(w, t->certificate, t->chain);
	if (t->verified)
		json_truth(w, "verified", t->verify == NULL);
	if (t->verify != NULL)
		record_put_text(w, "verify_error", span_str(t->verify));
	if (t->shown != NULL)
		record_put(w, "shown", t->shown);
	if (t->distrusted > 0)
		record_put_int(w, "distrusted", t->distrusted);
	json_close_object(w);
	if (record_open_upstream(w, s)) {
		if (t->server != NULL)
			put_leg(w, t->server);
		json_close_object(w);
	}
	record_close(w, sink, arg);
}
