#include <stdlib.h>

#include "smtp_gate.h"

static const char ready[] = "220 2.0.0 Ready to start TLS";
static const char not_available[] = "454 4.7.0 TLS not available";

enum starttls
gate_starttls_word(const struct smtp_gate *g)
{
	const struct relay *r = &g->relay;

	return r->facts.starttls != STARTTLS_AUTO ? r->facts.starttls
						  : r->env->config->policy->starttls;
}

void
gate_let_tls_by(struct smtp_gate *g, const struct verdict *v)
{
	struct relay *r = &g->relay;

	r->facts.starttls = STARTTLS_PASS;
	r->tls_said.action = TLS_PASS;
	r->tls_said.rule = v->rule;
	r->tls_said.reason = v->reason;
}

static void
say(struct smtp_gate *g, const char *reply)
{
	channel_put(&g->relay.client, span_str(reply));
	channel_put(&g->relay.client, span_str("\r\n"));
}

/*
 * The server's 220. The client hears ours when the server's leg is secure (N-016); but of a server
 * outside it has to say a name first, for many show a certificate only to who asks for it.
 */
static void
begin(struct smtp_gate *g, const struct an_event *ev)
{
	struct pending *p = gate_pending(g, ev->slot);

	gate_record_reply(g, p, ev->smtp->verb->name, ev->octets, RECORD_SERVER);
	gate_release(g, p);
	gate_transaction_close(g);
	if (g->relay.facts.server_inside) {
		relay_upgrade(&g->relay, AN_S2C);
		return;
	}
	say(g, ready);
	relay_upgrade_both(&g->relay);
}

/* Octets ahead of the handshake are no part of it, and must not count inside. */
static void
observe_upgrade(struct smtp_gate *g, const struct an_event *ev)
{
	struct relay *r = &g->relay;

	if (g->behind > 0)
		gate_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, AN_S2C, ev->off, NULL);
	channel_discard(&r->client);
	gate_pass_reply(g, ev);
	gate_transaction_close(g);
	relay_upgrade_both(r);
}

void
gate_starttls(struct smtp_gate *g, const struct an_event *ev)
{
	struct relay *r = &g->relay;

	if (ev->smtp->code != 220) {
		gate_anomaly(g, AN_TLS_REJECTED, AN_S2C, ev->off, NULL);
		gate_pass_reply(g, ev);
		relay_upgrade_refused(r);
		return;
	}
	if (gate_sent_ahead(g, ev))
		return;
	if (gate_observes(g)) {
		observe_upgrade(g, ev);
		return;
	}
	if (g->behind > 0) {
		gate_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, AN_S2C, ev->off, NULL);
		gate_record_reply(
		    g, gate_pending(g, ev->slot), ev->smtp->verb->name, ev->octets, RECORD_SERVER);
		gate_release(g, gate_pending(g, ev->slot));
		gate_give_up(g, "454 4.7.0 Error: the mail server spoke ahead of TLS",
		    "server_ahead_of_tls");
		return;
	}
	if (relay_intercepts(r, gate_starttls_word(g))) {
		begin(g, ev);
		return;
	}
	/* whoever was known in the clear is not known inside (RFC 3207 s4.2) */
	r->facts.authenticated = false;
	r->opaque = true;
	gate_pass_reply(g, ev);
	gate_transaction_close(g);
}

/* The server's leg may be in any state: the client goes on in the clear, without a server. */
static void
do_without(struct smtp_gate *g, const char *why)
{
	struct verdict v = {.action = VERDICT_REFUSE, .rule = "starttls", .reason = why};

	memcpy(v.reply, not_available, sizeof(not_available));
	gate_record_verdict(g, &v);
	say(g, not_available);
	smtp_secured(g->dialogue);
	gate_drop_server(g);
}

/* What was learnt in the clear may be anybody's word (RFC 3207 s4.2; N-017). */
static void
forget(struct smtp_gate *g)
{
	struct facts *f = &g->relay.facts;

	smtp_secured(g->dialogue);
	gate_transaction_close(g);
	free(g->helo);
	g->helo = NULL;
	free(g->sasl);
	g->sasl = NULL;
	g->server_exts = 0;
	g->size_max = 0;
	f->authenticated = false;
	f->tls = true;
}

void
gate_upgraded(struct smtp_gate *g, enum an_dir dir, const char *why)
{
	struct relay *r = &g->relay;

	g->acted = gate_now(g);
	if (gate_observes(g)) {
		if (why != NULL)
			relay_end(r, why, WISH_CLOSE, WISH_CLOSE);
		else if (!relay_shaking(r))
			forget(g);
		return;
	}
	if (dir == AN_S2C && r->tls[AN_C2S] == RELAY_SHAKING) {
		if (why != NULL)
			relay_end(r, why, WISH_CLOSE, WISH_CLOSE);
	} else if (dir == AN_S2C && why == NULL) {
		say(g, ready);
		relay_upgrade(r, AN_C2S);
	} else if (dir == AN_S2C) {
		do_without(g, why);
	} else if (why == NULL) {
		forget(g);
	} else {
		relay_end(r, why, WISH_CLOSE, WISH_CLOSE);
	}
}
