/*
 * Octets under TLS that nobody looks into: they pass, and what can be seen of them from beside is
 * recorded.
 */
#include "record_tls.h"
#include "relay.h"

/* RFC 8446 s6: fatal, access_denied; of a record that says TLS 1.0, as the first ones do. */
static const uint8_t access_denied[] = {0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x31};

#define RECORD_MAX 16384 /* octets in a record (RFC 8446 s5.1) */

/* ---- what is seen ---- */

void
relay_record_seen(struct relay *r, const char *action, const struct tls_seen *s)
{
	struct record_tls t = {
	    .action = action, .rule = r->tls_said.rule, .reason = r->tls_said.reason};

	if (s != NULL) {
		t.hello = s->client_hello ? &s->client : NULL;
		t.certificate = s->leaf;
		t.chain = s->chain;
		t.client.resumed = s->resumed;
		memcpy(t.client.alert, s->alert, sizeof(t.client.alert));
		if (s->malformed)
			t.failure = "tls_malformed";
	}
	if (s != NULL && s->server_hello) {
		t.client.version = s->server.version;
		t.client.cipher = s->server.cipher;
		t.client.alpn = s->server.alpn;
	}
	record_tls(&r->session, &t, r->env->sink, r->env->sink_arg);
}

void
relay_sight_over(struct relay *r)
{
	if (r->sight == NULL)
		return;
	relay_record_seen(r, "passed", tls_sight_seen(r->sight));
	tls_sight_free(r->sight);
	r->sight = NULL;
}

static void
look(struct relay *r, enum an_dir dir, struct span octets)
{
	if (r->sight != NULL && !tls_sight_feed(r->sight, dir, octets))
		relay_sight_over(r);
}

/* ---- what passes ---- */

bool
relay_pass_opaque(struct relay *r, const struct an_event *ev)
{
	const bool server = ev->dir == AN_S2C;

	if (!r->client_spoke_tls && (server || ev->octets.p[0] != 0x16)) {
		relay_end(r, server ? "server_ahead_of_tls" : "client_ahead_of_tls", WISH_RESET,
		    WISH_RESET);
		return false;
	}
	if (!r->client_spoke_tls)
		r->sight = tls_sight_new();
	r->client_spoke_tls = true;
	look(r, ev->dir, ev->octets);
	channel_pass(relay_to(r, ev->dir), relay_from(r, ev->dir), ev->octets);
	return true;
}

static void
put_record(struct relay *r, struct span a, struct span b)
{
	size_t n = a.n + b.n;
	const uint8_t octets[] = {0x16, 0x03, 0x01, (uint8_t)(n >> 8), (uint8_t)n};
	const struct span pieces[] = {span_of(octets, sizeof(octets)), a, b};

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		look(r, AN_C2S, pieces[i]);
		channel_put(&r->server, pieces[i]);
	}
}

void
relay_pass_tls(struct relay *r, struct span hello)
{
	const uint8_t message[] = {
	    0x01, (uint8_t)(hello.n >> 16), (uint8_t)(hello.n >> 8), (uint8_t)hello.n};
	struct span head = span_of(message, sizeof(message));

	r->tls[AN_C2S] = r->tls[AN_S2C] = RELAY_CLEAR;
	r->opaque = r->unread = r->client_spoke_tls = true;
	r->sight = tls_sight_new();
	do {
		struct span piece = span_first(hello, RECORD_MAX - head.n);

		put_record(r, head, piece);
		hello = span_from(hello, piece.n);
		head = SPAN_NONE;
	} while (hello.n > 0);
	relay_run(r);
}

void
relay_refuse_tls(struct relay *r)
{
	relay_record_seen(r, "refused", NULL);
	channel_put(&r->client, span_of(access_denied, sizeof(access_denied)));
	relay_end(r, "tls_refused", WISH_CLOSE, WISH_CLOSE);
}
