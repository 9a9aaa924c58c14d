#include <stdlib.h>

#include "core/reply.h"
#include "ftp/features.h"
#include "ftp_gate.h"

void
ftp_count_error(struct ftp_gate *g)
{
	g->errors++;
}

/* ---- to the client ---- */

static void
put_lines(struct ftp_gate *g, struct span lines)
{
	struct channel *c = &g->relay.client;
	struct buf out;

	if (ftp_observed(g))
		return;
	buf_init(&out, 2 * lines.n + ftp_config_of(g)->dialogue.reply_lines);
	if (ftp_reply_write(lines, &out))
		channel_put(c, buf_span(&out));
	else
		c->failed = true;
	buf_free(&out);
}

static void
drop_held(struct ftp_gate *g)
{
	g->held_code = 0;
	buf_free(&g->held);
}

void
ftp_say_to(struct ftp_gate *g, struct ftp_exchange *x, const char *reply)
{
	unsigned code = reply_code_ftp(span_str(reply));

	if (x->verb == NULL || ftp_observed(g))
		return;
	if (!x->at_server && !x->taken) {
		ftp_answered(g->dialogue, code);
		x->taken = true;
	}
	ftp_record_reply(x, code, span_str(reply), RECORD_GATEWAY);
	channel_put(&g->relay.client, span_str(reply));
	channel_put(&g->relay.client, span_str("\r\n"));
	if (code >= 200)
		ftp_record_exchange(g, x);
}

void
ftp_say(struct ftp_gate *g, const char *reply)
{
	if (reply_code_ftp(span_str(reply)) >= 200)
		drop_held(g);
	ftp_say_to(g, &g->exchange, reply);
}

void
ftp_give_up(struct ftp_gate *g, const char *reply, const char *reason)
{
	struct relay *r = &g->relay;
	bool over = r->reason != NULL;

	relay_end(r, reason, WISH_CLOSE, WISH_RESET);
	if (ftp_observed(g))
		return;
	ftp_transfer_finish(g);
	ftp_channel_forget(g);
	if (over)
		return;
	ftp_record_reply(
	    &g->exchange, reply_code_ftp(span_str(reply)), span_str(reply), RECORD_GATEWAY);
	channel_put(&r->client, span_str(reply));
	channel_put(&r->client, span_str("\r\n"));
	ftp_record_exchange(g, &g->exchange);
}

/* ---- from the server ---- */

static struct ftp_exchange *
exchange_of(struct ftp_gate *g, uint64_t slot)
{
	if (g->exchange.verb != NULL && g->exchange.at_server && g->exchange.slot == slot)
		return &g->exchange;
	for (unsigned i = 0; i < g->n_meanwhile; i++)
		if (g->meanwhile[i].at_server && g->meanwhile[i].slot == slot)
			return &g->meanwhile[i];
	return NULL;
}

bool
ftp_says(const struct an_event *ev, const struct verdict *v)
{
	struct span line = ev->octets, said = span_str(v->reply);

	return span_starts(line, said) && span_eq(span_from(line, said.n), span_str("\r\n"));
}

void
ftp_pass_reply_as(struct ftp_gate *g, const struct an_event *ev, struct span instead)
{
	struct ftp_exchange *x = exchange_of(g, ev->slot);

	if (x == NULL)
		return;
	if (!g->unheard)
		ftp_record_reply(
		    x, ev->ftp->code, ev->octets, g->own_words ? RECORD_GATEWAY : RECORD_SERVER);
	if (ftp_observed(g) && x->verdict != NULL && x->n_replies > 0)
		x->replies[x->n_replies - 1].plain = ftp_says(ev, x->verdict);
	if (!span_eq(instead, ev->octets) && !ftp_observed(g))
		ftp_record_reply(x, ev->ftp->code, instead, RECORD_GATEWAY);
	put_lines(g, instead);
	if (!ev->ftp->preliminary)
		ftp_record_exchange(g, x);
}

void
ftp_pass_reply(struct ftp_gate *g, const struct an_event *ev)
{
	ftp_pass_reply_as(g, ev, ev->octets);
}

void
ftp_hold_reply(struct ftp_gate *g, const struct an_event *ev)
{
	buf_clear(&g->held);
	if (!buf_add(&g->held, ev->octets))
		g->relay.client.failed = true;
	g->held_code = ev->ftp->code;
}

void
ftp_release_reply(struct ftp_gate *g, const char *reply)
{
	struct ftp_exchange *x = &g->exchange;
	bool final;

	if (g->held_code == 0)
		return;
	ftp_record_reply(x, g->held_code, buf_span(&g->held), RECORD_SERVER);
	if (reply != NULL) {
		ftp_say(g, reply);
		return;
	}
	put_lines(g, buf_span(&g->held));
	final = g->held_code >= 200;
	drop_held(g);
	if (final)
		ftp_record_exchange(g, x);
}

static void
protocol_error(struct ftp_gate *g, const struct an_event *ev)
{
	struct ftp_exchange *x = exchange_of(g, ev->slot);

	ftp_anomaly(
	    g, ev->anomaly == AN_NONE ? AN_INVALID_REPLY : ev->anomaly, AN_S2C, ev->off, NULL);
	if (x != NULL)
		ftp_record_reply(x, ev->ftp->code, ev->octets, RECORD_SERVER);
	ftp_give_up(g, "421 The server sent an invalid reply.", "server_protocol");
	if (ftp_observed(g))
		ftp_observed_lost(g);
}

/* ---- what replies change ---- */

static unsigned
class_of(const struct an_event *ev)
{
	return ev->ftp->code / 100;
}

static void
new_user(struct ftp_gate *g)
{
	ftp_path_forget(&g->directory);
	ftp_channel_forget(g);
}

static void
on_user(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	if (class_of(ev) == 2 || class_of(ev) == 3) {
		char *name = x->args == NULL ? NULL : strdup(x->args);

		new_user(g);
		free(g->user);
		g->user = name;
	}
	ftp_pass_reply(g, ev);
}

/*
 * A password that is wrong: 530 (RFC 959 s5.4), or 430 of servers that say so for the time being
 * (s4.2.1: x3z is of authentication); the others say nothing of it.
 */
static bool
is_failed_login(unsigned code)
{
	return code == 530 || code == 430;
}

static void
on_pass(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	struct relay *r = &g->relay;

	if (is_failed_login(ev->ftp->code))
		ftp_count_error(g);
	else if (x->verb->verb == FTP_PASS && !ftp_observed(g))
		r->env->take_back(r->env->arg, r, CLIENT_LOGIN);
	ftp_pass_reply(g, ev);
}

static void
on_rein(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	(void)x;
	if (class_of(ev) == 2) {
		new_user(g);
		free(g->user);
		g->user = NULL;
		g->ascii = true;
		g->restart = 0;
	}
	ftp_pass_reply(g, ev);
}

static void
on_directory(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	bool understood, ok = true;

	if (class_of(ev) == 2)
		switch ((int)x->verb->verb) {
		case FTP_CWD:
		case FTP_XCWD:
			ok = x->args == NULL || ftp_path_enter(&g->directory, span_str(x->args));
			break;
		case FTP_CDUP:
		case FTP_XCUP:
			ok = ftp_path_up(&g->directory);
			break;
		default:
			ok = ev->ftp->code != 257 ||
			     ftp_path_told(&g->directory, ev->ftp->text, &understood);
			break;
		}
	if (!ok)
		g->relay.client.failed = true;
	ftp_pass_reply(g, ev);
}

static void
on_type(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	if (class_of(ev) == 2 && x->args != NULL)
		g->ascii = octet_lower(span_trim(span_str(x->args)).p[0]) == 'a';
	ftp_pass_reply(g, ev);
}

static void
on_rest(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	uint64_t offset;

	if (ev->ftp->code == 350 && x->args != NULL &&
	    span_u64(span_trim(span_str(x->args)), UINT64_MAX, &offset))
		g->restart = offset;
	ftp_pass_reply(g, ev);
}

static bool
keep_feature(void *arg, struct span keyword, struct span params, struct span *instead)
{
	return ftp_feature_passes(arg, keyword, params, instead);
}

static void
on_feat(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	struct ftp_feature_filter filter = {.keep = keep_feature, .arg = &g->policy};
	struct buf out;

	(void)x;
	if (class_of(ev) != 2) {
		ftp_pass_reply(g, ev);
		return;
	}
	if (ftp_observed(g)) {
		ftp_pass_reply(g, ev);
		return;
	}
	g->mlst = ftp_features_has(ev->octets, "MLST");
	buf_init(&out, 2 * ev->octets.n + 64);
	if (ftp_features_rewrite(ev->octets, &filter, &out))
		ftp_pass_reply_as(g, ev, buf_span(&out));
	else
		g->relay.client.failed = true;
	buf_free(&out);
}

/* The words say which software it is, and no client needs them (F29). */
static void
on_banner(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	const char *instead =
	    x->verb->verb == FTP_SYST ? "215 UNIX Type: L8\r\n" : "220 FTP server ready.\r\n";

	if (class_of(ev) == 2 && g->policy.hide_banner)
		ftp_pass_reply_as(g, ev, span_str(instead));
	else
		ftp_pass_reply(g, ev);
}

static void
on_quit(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	(void)x;
	g->left = class_of(ev) == 2;
	ftp_pass_reply(g, ev);
}

static const struct {
	enum ftp_verb verb;
	void (*on_reply)(struct ftp_gate *, struct ftp_exchange *, const struct an_event *);
} handlers[] = {
    {FTP_NONE, on_banner},
    {FTP_USER, on_user},
    {FTP_PASS, on_pass},
    {FTP_ACCT, on_pass},
    {FTP_REIN, on_rein},
    {FTP_CWD, on_directory},
    {FTP_XCWD, on_directory},
    {FTP_CDUP, on_directory},
    {FTP_XCUP, on_directory},
    {FTP_PWD, on_directory},
    {FTP_XPWD, on_directory},
    {FTP_TYPE, on_type},
    {FTP_REST, on_rest},
    {FTP_FEAT, on_feat},
    {FTP_SYST, on_banner},
    {FTP_HOST, on_banner},
    {FTP_AUTH, ftp_protection_reply},
    {FTP_PBSZ, ftp_protection_reply},
    {FTP_PROT, ftp_protection_reply},
    {FTP_QUIT, on_quit},
};

static void
by_verb(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].verb == x->verb->verb && !ev->ftp->preliminary) {
			handlers[i].on_reply(g, x, ev);
			return;
		}
	ftp_pass_reply(g, ev);
}

/* ---- all of them ---- */

/*
 * The server ends the session, at any time (RFC 959 s5.4); what was under way is cut. A password
 * that it says this to stays counted as a failed login: some servers end a session with the last
 * one that they put up with.
 */
static void
goodbye(struct ftp_gate *g, const struct an_event *ev)
{
	struct relay *r = &g->relay;
	struct ftp_exchange *x = exchange_of(g, ev->slot);

	relay_end(r, "server_421", WISH_CLOSE, WISH_CLOSE);
	ftp_transfer_finish(g);
	ftp_channel_forget(g);
	if (ev->ftp->unasked || x == NULL)
		x = &g->exchange;
	ftp_record_reply(x, ev->ftp->code, ev->octets, RECORD_SERVER);
	put_lines(g, ev->octets);
	ftp_record_exchange(g, x);
}

/* 227 and 229 lead somewhere: to who did not ask for them they say nothing (F-009). */
static bool
is_out_of_place(const struct an_event *ev)
{
	enum ftp_verb verb = ev->ftp->verb->verb;

	return (ev->ftp->code == 227 && verb != FTP_PASV) ||
	       (ev->ftp->code == 229 && verb != FTP_EPSV);
}

static bool
leads_somewhere(enum ftp_verb verb)
{
	return verb == FTP_PORT || verb == FTP_EPRT || verb == FTP_PASV || verb == FTP_EPSV;
}

void
ftp_dispatch(struct ftp_gate *g, const struct an_event *ev)
{
	struct ftp_exchange *x = exchange_of(g, ev->slot);

	if (ev->ftp->verb->carries != FTP_NO_TRANSFER && ftp_observed(g))
		ftp_observed_transfer_reply(g, ev);
	else if (ev->ftp->verb->carries != FTP_NO_TRANSFER)
		ftp_transfer_reply(g, ev);
	else if (x != NULL && !leads_somewhere(ev->ftp->verb->verb))
		by_verb(g, x, ev);
	else if (x != NULL && ftp_observed(g))
		ftp_observed_agreed(g, x, ev);
	else if (!ev->ftp->preliminary)
		ftp_channel_reply(g, ev);
}

/* Another reply in the place of one that must not reach the client. */
static void
dispatch_instead(struct ftp_gate *g, const struct an_event *ev, const char *reply)
{
	struct ftp_exchange *x = exchange_of(g, ev->slot);
	struct ftp_detail detail = *ev->ftp;
	struct an_event other = *ev;

	if (ftp_observed(g)) { /* it did reach the client */
		ftp_dispatch(g, ev);
		return;
	}
	if (x != NULL)
		ftp_record_reply(x, ev->ftp->code, ev->octets, RECORD_SERVER);
	detail.code = reply_code_ftp(span_str(reply));
	detail.preliminary = false;
	detail.lines = 1;
	detail.text = span_from(span_rtrim(span_str(reply)), 4);
	other.ftp = &detail;
	other.octets = span_str(reply);
	g->own_words = true;
	ftp_dispatch(g, &other);
	g->own_words = false;
}

static void
refuse_reply(struct ftp_gate *g, const struct an_event *ev)
{
	struct verdict v = {.action = VERDICT_REFUSE,
	    .rule = "ftp",
	    .reason = "reply_denied",
	    .reply = "550 The server's reply is refused."};
	struct ftp_exchange *x = exchange_of(g, ev->slot);

	if (x != NULL)
		ftp_record_verdict(g, x, &v);
	dispatch_instead(g, ev, "550 The server's reply is refused.\r\n");
}

void
ftp_reply(struct ftp_gate *g, const struct an_event *ev)
{
	const struct ftp_detail *d = ev->ftp;

	g->asked = ftp_now(g);
	if (d->code == 0 || d->code >= 600) {
		protocol_error(g, ev);
		return;
	}
	if (ev->anomaly != AN_NONE)
		ftp_anomaly(g, ev->anomaly, AN_S2C, ev->off, d->verb->name);
	if (d->code == 421) {
		goodbye(g, ev);
	} else if (d->unasked) {
		if (ev->anomaly == AN_NONE)
			ftp_anomaly(g, AN_UNMATCHED_REPLY, AN_S2C, ev->off, NULL);
	} else if (is_out_of_place(ev)) {
		ftp_anomaly(g, AN_UNMATCHED_REPLY, AN_S2C, ev->off, d->verb->name);
		dispatch_instead(g, ev, "500 The server's reply makes no sense here.\r\n");
	} else if (exchange_of(g, ev->slot) != NULL &&
		   !ftp_reply_passes(&g->policy, d->verb, d->code)) {
		refuse_reply(g, ev);
	} else {
		ftp_dispatch(g, ev);
	}
	if (g->out_of_step && !d->preliminary && !d->unasked)
		ftp_observed_lost(g);
}
