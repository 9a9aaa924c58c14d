#include <stdlib.h>

#include "smtp_gate.h"

#define COMMAND_MAX                                                                                \
	69632 /* a canonical command: the longest line that can be configured, and a verb */
#define GROW_TEXT_MAX 1024 /* of a name that is kept for records */

/* What a command is answered with before anybody judges it; reply NULL: nothing. */
struct refusal {
	const char *reply;
	const char *ends; /* reason, when the session cannot go on */
};

#define IN_ORDER ((struct refusal){NULL, NULL})

static char *
keep_text(struct span s)
{
	struct span cut = span_first(s, GROW_TEXT_MAX);
	char *text = malloc(cut.n + 1);

	if (text != NULL) {
		if (cut.n > 0)
			memcpy(text, cut.p, cut.n);
		text[cut.n] = '\0';
	}
	return text;
}

static void
forward(struct smtp_gate *g, const struct an_event *ev)
{
	struct buf out;

	g->asked = gate_now(g);
	if (gate_observes(g))
		return;
	buf_init(&out, COMMAND_MAX);
	if (smtp_command_canonical(ev->smtp, &out))
		channel_put(&g->relay.server, buf_span(&out));
	else
		g->relay.server.failed = true;
	buf_free(&out);
}

static void
refuse(struct smtp_gate *g, const struct an_event *ev, const char *reply, const char *ends)
{
	gate_count_error(g);
	gate_answer(g, ev->slot, ev->smtp->verb->name, reply, ends);
}

/* ---- in order? ---- */

static bool
chunks_open(const struct smtp_gate *g)
{
	return g->message.open && g->message.chunked;
}

static bool
has_recipient(const struct transaction *tx)
{
	return tx->rcpt_ok + tx->rcpt_waiting > 0;
}

static struct refusal
mail_in_order(const struct smtp_gate *g, const struct smtp_detail *d)
{
	if (chunks_open(g))
		return (struct refusal){"503 5.5.1 Error: MAIL inside a BDAT message", NULL};
	if (g->tx != NULL && g->tx->has_mail)
		return (struct refusal){"503 5.5.1 Error: nested MAIL command", NULL};
	if (g->size_max > 0 && d->params.size > g->size_max)
		return (struct refusal){"552 5.3.4 Error: message size exceeds fixed limit", NULL};
	return IN_ORDER;
}

static struct refusal
rcpt_in_order(const struct smtp_gate *g, const struct smtp_detail *d)
{
	const struct transaction *tx = g->tx;

	if (chunks_open(g))
		return (struct refusal){"503 5.5.1 Error: RCPT inside a BDAT message", NULL};
	if (tx == NULL || !tx->has_mail)
		return (struct refusal){"503 5.5.1 Error: need MAIL command", NULL};
	if (tx->rcpt_ok + tx->rcpt_waiting >= gate_config(g)->recipients)
		return (struct refusal){"452 4.5.3 Error: too many recipients", NULL};
	if ((d->params.used & SMTP_EXT_SMTPUTF8) && !tx->smtputf8)
		return (struct refusal){"553 5.6.7 Error: SMTPUTF8 was not asked for", NULL};
	return IN_ORDER;
}

static struct refusal
envelope_in_order(const struct smtp_gate *g)
{
	const struct transaction *tx = g->tx;

	if (tx == NULL || !tx->has_mail)
		return (struct refusal){"503 5.5.1 Error: need MAIL command", NULL};
	if (!has_recipient(tx))
		return tx->rcpt_refused > 0
			   ? (struct refusal){"554 5.5.1 Error: no valid recipients", NULL}
			   : (struct refusal){"503 5.5.1 Error: need RCPT command", NULL};
	return IN_ORDER;
}

static struct refusal
data_in_order(const struct smtp_gate *g)
{
	if (chunks_open(g))
		return (struct refusal){"503 5.5.1 Error: DATA inside a BDAT message", NULL};
	if (g->tx != NULL && g->tx->body == SMTP_BODY_BINARYMIME)
		return (struct refusal){"503 5.5.1 Error: BINARYMIME needs BDAT", NULL};
	return envelope_in_order(g);
}

/* A chunk that is refused is read all the same: its octets follow, whatever the answer is. */
static struct refusal
chunk_in_order(const struct smtp_gate *g, const struct smtp_detail *d)
{
	if (!(g->server_exts & SMTP_EXT_CHUNKING))
		return (struct refusal){
		    "521 5.5.1 Error: command not implemented", "bdat_not_offered"};
	if (g->size_max > 0 && (d->chunk > g->size_max ||
				   (g->message.open && g->message.size > g->size_max - d->chunk)))
		return (struct refusal){
		    "552 5.3.4 Error: chunk exceeds message size limit", "message_too_big"};
	if (d->chunk == 0 && !d->last)
		return (struct refusal){"551 5.7.1 Error: null BDAT request", NULL};
	if (g->message.open && g->message.dead)
		return (struct refusal){
		    "551 5.0.0 Error: discarded, an earlier chunk failed", NULL};
	return chunks_open(g) ? IN_ORDER : envelope_in_order(g);
}

static struct refusal
outside_chunks(const struct smtp_gate *g)
{
	if (chunks_open(g))
		return (struct refusal){"503 5.5.1 Error: BDAT message is not complete", NULL};
	return IN_ORDER;
}

static struct refusal
upgrade_in_order(struct smtp_gate *g)
{
	if (g->relay.facts.tls)
		return (struct refusal){"554 5.5.1 Error: TLS already active", NULL};
	if (!(g->server_exts & SMTP_EXT_STARTTLS))
		return (struct refusal){"502 5.5.1 Error: command not implemented", NULL};
	return outside_chunks(g);
}

static struct refusal
in_order(struct smtp_gate *g, const struct smtp_detail *d)
{
	switch ((int)d->verb->verb) {
	case SMTP_EHLO:
	case SMTP_HELO:
		return outside_chunks(g);
	case SMTP_MAIL:
		return mail_in_order(g, d);
	case SMTP_RCPT:
		return rcpt_in_order(g, d);
	case SMTP_DATA:
		return data_in_order(g);
	case SMTP_BDAT:
		return chunk_in_order(g, d);
	case SMTP_STARTTLS:
		return upgrade_in_order(g);
	case SMTP_AUTH:
		if (!(g->server_exts & SMTP_EXT_AUTH))
			return (struct refusal){
			    "503 5.5.1 Error: authentication not enabled", NULL};
		return outside_chunks(g);
	default:
		return IN_ORDER;
	}
}

/* ---- it passes ---- */

static void
pass_mail(struct smtp_gate *g, const struct an_event *ev)
{
	const struct smtp_detail *d = ev->smtp;
	struct transaction *tx;

	if (g->tx != NULL && g->tx->mail_seen)
		gate_transaction_close(g);
	tx = gate_transaction(g);
	if (tx == NULL)
		return;
	tx->mail_seen = tx->notable = true;
	tx->null_sender = d->path.null;
	tx->smtputf8 = d->params.smtputf8;
	tx->body = d->params.body;
	record_smtp_from(tx->record, d->path.raw);
}

static void
pass_rcpt(struct smtp_gate *g, const struct an_event *ev)
{
	record_smtp_rcpt(g->tx->record, ev->smtp->path.raw);
	gate_pending(g, ev->slot)->rcpt = keep_text(ev->smtp->path.raw);
}

void
gate_note(struct smtp_gate *g, const struct an_event *ev)
{
	const struct smtp_detail *d = ev->smtp;
	struct pending *p = gate_pending(g, ev->slot);

	switch ((int)d->verb->verb) {
	case SMTP_MAIL:
		pass_mail(g, ev);
		break;
	case SMTP_RCPT:
		if (g->tx != NULL && (g->tx->mail_seen || gate_observes(g)))
			pass_rcpt(g, ev);
		break;
	case SMTP_EHLO:
	case SMTP_HELO:
		p->helo = keep_text(d->args);
		break;
	case SMTP_AUTH:
		if (g->sasl == NULL)
			g->sasl = calloc(1, sizeof(*g->sasl));
		if (g->sasl != NULL) {
			struct span rest = d->args;

			sasl_begin(g->sasl, span_word(&rest));
			rest = span_word(&rest);
			if (rest.n > 0)
				sasl_response(g->sasl, rest);
		}
		break;
	default:
		break;
	}
}

static void
forward_chunk(struct smtp_gate *g, const struct an_event *ev)
{
	const struct smtp_detail *d = ev->smtp;
	struct buf out;

	if (!g->message.open)
		gate_message_begin(g, true);
	g->message.last_chunk_empty = d->chunk == 0;
	g->asked = gate_now(g);
	gate_watch_rate(g);
	if (d->chunk == 0) /* BDAT 0 LAST: sent at its end, which follows at once */
		return;
	g->message.forwarded = true;
	if (gate_observes(g))
		return;
	buf_init(&out, 64);
	buf_str(&out, "BDAT ");
	buf_u64(&out, d->chunk);
	buf_str(&out, "\r\n");
	channel_put(&g->relay.server, buf_span(&out));
	buf_free(&out);
}

void
gate_let_pass(struct smtp_gate *g, const struct an_event *ev)
{
	struct transaction *tx = g->tx;

	switch ((int)ev->smtp->verb->verb) {
	case SMTP_MAIL:
		tx->has_mail = true;
		break;
	case SMTP_RCPT:
		tx->rcpt_waiting++;
		break;
	case SMTP_BDAT:
		forward_chunk(g, ev);
		return;
	case SMTP_QUIT:
		g->quit = true;
		break;
	default:
		break;
	}
	forward(g, ev);
	if (ev->smtp->verb->verb == SMTP_RSET) {
		if (chunks_open(g))
			gate_message_forget(g);
		if (g->tx != NULL && g->tx->mail_seen)
			gate_transaction_close(g);
	}
}

/* ---- the verdict ---- */

static void
update_facts(struct smtp_gate *g)
{
	const struct transaction *tx = g->tx;
	struct facts *f = &g->relay.facts;

	f->null_sender = tx != NULL && tx->has_mail && tx->null_sender;
	f->smtputf8 = tx != NULL && tx->has_mail && tx->smtputf8;
	f->greeted = g->helo != NULL;
	f->recipients = tx == NULL ? 0 : tx->rcpt_ok + tx->rcpt_waiting;
}

/* What was said stays said: a verdict is no more than a word on it. */
static void
observe_verdict(struct smtp_gate *g, const struct an_event *ev, const struct verdict *v)
{
	struct pending *p = gate_pending(g, ev->slot);

	if (v->action == VERDICT_REFUSE) {
		gate_record_verdict(g, v);
		p->doubted = true;
		return;
	}
	if (v->would_refuse)
		gate_record_verdict(g, v);
	gate_let_pass(g, ev);
}

static void
act(struct smtp_gate *g, const struct an_event *ev, const struct verdict *v)
{
	struct relay *r = &g->relay;

	if (gate_observes(g)) {
		observe_verdict(g, ev, v);
		return;
	}

	if (v->action == VERDICT_PASS) {
		if (v->passes_tls)
			gate_let_tls_by(g, v);
		if (v->would_refuse)
			gate_record_verdict(g, v);
		else
			board_verdict(&r->seat, v);
		/* only what reaches a server can be a failed login */
		if (ev->smtp->verb->verb != SMTP_AUTH || !gate_limited(g, ev))
			gate_let_pass(g, ev);
		return;
	}
	gate_record_verdict(g, v);
	if (ev->smtp->verb->verb == SMTP_RCPT)
		g->tx->rcpt_refused++;
	if (v->reply[0] == '2') { /* an answer in place of the server's, and no error */
		gate_answer(g, ev->slot, ev->smtp->verb->name, v->reply, NULL);
		return;
	}
	r->env->refused(r->env->arg, r);
	refuse(g, ev, v->reply, NULL);
}

void
gate_forget_lookup(struct smtp_gate *g)
{
	struct relay *r = &g->relay;

	if (g->lookup != NULL)
		r->env->unask(r->env->arg, g->lookup);
	g->lookup = NULL;
	answers_free(g->answers);
	g->answers = NULL;
	if (g->waiting != NULL)
		free(g->waiting->line);
	free(g->waiting);
	g->waiting = NULL;
	r->client.held = false;
	r->pause[AN_C2S] &= ~(unsigned)PAUSE_DNS;
	r->pause[AN_S2C] &= ~(unsigned)PAUSE_DNS;
}

/* Questions go out; the event, and the octets that it is about, are kept until the answers. */
static bool
wait_for_answers(
    struct smtp_gate *g, const struct an_event *ev, struct doubt **line, const struct verdict *v)
{
	struct relay *r = &g->relay;
	uint64_t now = gate_now(g);

	if (g->waiting == NULL) {
		g->waiting = calloc(1, sizeof(*g->waiting));
		g->answers = answers_new();
		if (g->waiting == NULL || g->answers == NULL)
			return false;
		if (line != NULL) {
			g->waiting->line = *line;
			*line = NULL;
		}
		g->waiting->detail = *ev->smtp;
		g->waiting->event = *ev;
		g->waiting->event.smtp = &g->waiting->detail;
		g->waiting->until = now + r->env->config->dns_budget * 1000u;
	}
	r->client.held = true;
	r->pause[AN_C2S] |= PAUSE_DNS;
	if (gate_observes(g)) /* the server has seen it: its reply is the next to be looked at */
		r->pause[AN_S2C] |= PAUSE_DNS;
	else
		smtp_undecided(g->dialogue, true);
	g->lookup = r->env->ask(r->env->arg, r, v->questions, v->n_questions,
	    now < g->waiting->until ? (unsigned)(g->waiting->until - now) : 0, g->answers);
	return g->lookup != NULL;
}

/* Nobody looked it up where it could be seen: that is no word on the mail. */
static void
leave_undecided(struct smtp_gate *g, struct verdict *v)
{
	if (!g->relay.undecided || strcmp(v->reason, "dns_timeout") != 0)
		return;
	v->undecided = true;
	v->action = VERDICT_PASS;
	v->would_refuse = false;
	v->reply[0] = '\0';
	gate_record_verdict(g, v);
}

void
gate_judge(struct smtp_gate *g, const struct an_event *ev, struct doubt **line)
{
	struct relay *r = &g->relay;
	struct verdict v;

	update_facts(g);
	policy_judge(r->env->config->policy, &r->facts, ev, g->answers, &v);
	leave_undecided(g, &v);
	if (v.action == VERDICT_ASK) {
		if (wait_for_answers(g, ev, line, &v))
			return;
		r->client.failed = true;
	} else if (line == NULL && (g->waiting == NULL || g->waiting->line == NULL)) {
		act(g, ev, &v);
	} else if (v.action == VERDICT_REFUSE || v.would_refuse) {
		gate_record_verdict(g, &v);
	}
	gate_forget_lookup(g);
}

void
gate_judge_again(struct smtp_gate *g)
{
	if (g->waiting == NULL)
		return;
	g->lookup = NULL;
	if (!gate_observes(g))
		smtp_undecided(g->dialogue, false);
	gate_judge(g, &g->waiting->event, NULL);
}

/* ---- a command comes in ---- */

/* 421 or a goodbye when the session is past serving; true: it was answered. */
static bool
past_serving(struct smtp_gate *g, const struct an_event *ev)
{
	const char *verb = ev->smtp->verb->name;

	if (!g->server_lost && g->errors < gate_config(g)->errors)
		return false;
	if (ev->smtp->fault == SMTP_OK && in_order(g, ev->smtp).reply == NULL)
		gate_note(g, ev);
	gate_hold(g->tx, gate_pending(g, ev->slot));
	if (g->server_lost && ev->smtp->verb->verb == SMTP_QUIT) {
		gate_answer(g, ev->slot, verb, "221 2.0.0 Bye", "client_quit");
	} else if (g->server_lost) {
		gate_answer(g, ev->slot, verb,
		    "421 4.3.0 Error: the session with the mail server "
		    "has ended",
		    "server_lost");
	} else {
		gate_answer(
		    g, ev->slot, verb, "421 4.7.0 Error: too many errors", "too_many_errors");
	}
	return true;
}

/*
 * Two ats are a fault, but who tries to relay by them is told so: the policy has a look at the
 * address as it would be split (S-R-009).
 */
static bool
for_policy(const struct smtp_detail *d)
{
	return d->fault == SMTP_PATH_BAD && d->path_fault == SMTP_PATH_DOUBLE_AT &&
	       d->verb->verb == SMTP_RCPT;
}

static void
answer_fault(struct smtp_gate *g, const struct an_event *ev)
{
	char reply[VERDICT_REPLY_MAX + 1];
	struct buf out;

	buf_init(&out, VERDICT_REPLY_MAX);
	smtp_command_refusal(ev->smtp, &out);
	memcpy(reply, out.p, out.n);
	reply[out.n] = '\0';
	buf_free(&out);
	refuse(g, ev, reply, smtp_fault_ends(ev->smtp->fault) ? "client_protocol" : NULL);
}

/* A refused chunk is read to its end; then its answer is given. */
static void
refuse_chunk(struct smtp_gate *g, const struct refusal *r)
{
	if (!g->message.open && r->ends != NULL)
		g->message = (struct message){.open = true, .chunked = true, .unwanted = true};
	else if (!g->message.open)
		gate_message_begin(g, true);
	if (gate_observes(g))
		gate_transaction(g);
	g->message.discard = g->message.dead = true;
	gate_count_error(g);
	g->message.chunk_refusal = r->reply;
}

/* Behind these commands nothing may be sent before their reply is there (RFC 2920, RFC 3207). */
static bool
sent_too_early(struct smtp_gate *g, const struct an_event *ev)
{
	enum smtp_verb verb = ev->smtp->verb->verb;

	if (g->behind == 0 || (verb != SMTP_DATA && verb != SMTP_STARTTLS) ||
	    ev->smtp->fault != SMTP_OK)
		return false;
	gate_anomaly(g, verb == SMTP_DATA ? AN_PIPELINED : AN_PLAIN_AHEAD_OF_TLS, AN_C2S, ev->off,
	    ev->smtp->verb->name);
	refuse(g, ev, "554 5.5.0 Error: SMTP protocol synchronization", "client_ahead");
	return true;
}

/* A command that is not in order. */
static void
turn_down(struct smtp_gate *g, const struct an_event *ev, const struct refusal *r)
{
	const struct smtp_detail *d = ev->smtp;
	bool chunk = d->verb->verb == SMTP_BDAT;

	if (chunk && (r->ends == NULL || gate_observes(g))) {
		gate_pending(g, ev->slot)->doubted = gate_observes(g);
		refuse_chunk(g, r);
	} else if (gate_observes(g)) {
		gate_doubt(g, ev);
	} else if (span_starts(span_str(r->reply), span_str("452")) &&
		   g->tx->rcpt_over++ < gate_config(g)->recipients) {
		/* a long list is no error: those who were taken stay (RFC 5321 s4.5.3.1.10) */
		gate_answer(g, ev->slot, d->verb->name, r->reply, r->ends);
	} else {
		refuse(g, ev, r->reply, r->ends);
	}
}

void
gate_command(struct smtp_gate *g, const struct an_event *ev)
{
	const struct smtp_detail *d = ev->smtp;
	struct pending *p = gate_pending(g, ev->slot);
	struct refusal refusal;

	/* who speaks another protocol has lines of it without end; a gateway reads one */
	if (ev->anomaly != AN_NONE && !(ev->anomaly == AN_OTHER_PROTOCOL && g->other_protocol))
		gate_anomaly(g, ev->anomaly, AN_C2S, ev->off, NULL);
	g->other_protocol = g->other_protocol || ev->anomaly == AN_OTHER_PROTOCOL;
	if (d->verb->junk && ++g->junk > gate_config(g)->junk_commands)
		gate_count_error(g);
	if (!gate_observes(g) && (past_serving(g, ev) || sent_too_early(g, ev)))
		return;
	if (d->fault != SMTP_OK && !for_policy(d)) {
		gate_hold(g->tx, p);
		if (gate_observes(g))
			gate_doubt(g, ev);
		else
			answer_fault(g, ev);
		return;
	}
	p->verb = d->verb->name;
	p->last = d->last;
	if (d->verb->verb == SMTP_BDAT)
		g->chunk = ev->slot;
	refusal = in_order(g, d);
	if (d->verb->verb == SMTP_BDAT && refusal.ends != NULL && g->size_max > 0 &&
	    d->chunk > g->size_max)
		gate_anomaly(g, AN_BDAT_TOO_LONG, AN_C2S, ev->off, NULL);
	if (refusal.reply == NULL)
		gate_note(g, ev);
	gate_hold(g->tx, p);
	if (refusal.reply == NULL && d->verb->verb != SMTP_AUTH && gate_limited(g, ev))
		return;
	if (refusal.reply == NULL)
		gate_judge(g, ev, NULL);
	else
		turn_down(g, ev, &refusal);
}

void
gate_secret(struct smtp_gate *g, const struct an_event *ev)
{
	struct relay *r = &g->relay;

	gate_pending(g, ev->slot)->verb = "AUTH";
	gate_hold(g->tx, gate_pending(g, ev->slot));
	if (ev->smtp->fault != SMTP_OK && gate_observes(g)) {
		gate_pending(g, ev->slot)->doubted = true;
		return;
	}
	if (ev->smtp->fault != SMTP_OK) {
		gate_answer(g, ev->slot, "AUTH",
		    ev->smtp->fault == SMTP_LINE_TOO_LONG || ev->smtp->fault == SMTP_LINE_ENDLESS
			? "500 5.5.6 Error: authentication exchange line is too long"
			: smtp_fault_reply(ev->smtp->fault),
		    "client_protocol");
		return;
	}
	if (g->sasl != NULL)
		sasl_response(g->sasl, ev->octets);
	channel_put(&r->server, ev->octets);
	channel_put(&r->server, span_str("\r\n"));
	g->asked = gate_now(g);
}
