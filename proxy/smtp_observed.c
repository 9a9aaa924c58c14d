#include <stdlib.h>

#include "core/reply.h"
#include "smtp_gate.h"

/* Octets of a client that may be a group of commands; more are something else. */
#define JOIN_MAX       16384
/* Where nobody knows which ones the server offers. */
#define ALL_EXTENSIONS (~0u)

/* ---- commands that the gateway would have refused ---- */

void
gate_doubt(struct smtp_gate *g, const struct an_event *ev)
{
	struct pending *p = gate_pending(g, ev->slot);
	const struct span line = ev->octets;

	p->doubted = true;
	smtp_doubted(g->dialogue);
	if (line.n == 0 || ev->smtp->verb->verb >= SMTP_FOREIGN)
		return;
	p->line = malloc(sizeof(*p->line) + line.n);
	if (p->line == NULL) {
		g->relay.client.failed = true;
		return;
	}
	p->line->n = line.n;
	memcpy(p->line->octets, line.p, line.n);
}

/* The address as well as it can be read, where its syntax is none: "MAIL FROM a@b", "<a@b". */
static void
guess_path(struct smtp_detail *d)
{
	struct span rest = d->args;

	if (d->verb->args != SMTP_ARGS_PATH || d->path.raw.n > 0 || d->path.null)
		return;
	span_word(&rest);
	rest = span_word(&rest);
	while (rest.n > 0 && rest.p[0] == '<')
		rest = span_from(rest, 1);
	while (rest.n > 0 && rest.p[rest.n - 1] == '>')
		rest = span_first(rest, rest.n - 1);
	d->path.raw = rest;
}

/* The server has taken a command with a fault, or out of order: it counts from here on. */
static void
take_late(struct smtp_gate *g, uint64_t slot)
{
	struct pending *p = gate_pending(g, slot);
	struct doubt *line = p->line;
	struct smtp_detail d;
	struct an_event ev = {.kind = EV_COMMAND, .slot = slot, .smtp = &d};

	p->line = NULL;
	ev.octets = span_of(line->octets, line->n);
	smtp_command_parse(ev.octets, (struct line_marks){0}, SIZE_MAX, true, ALL_EXTENSIONS, &d);
	if (d.fault != SMTP_OK)
		guess_path(&d);
	if (gate_transaction(g) != NULL)
		gate_note(g, &ev);
	if (g->tx != NULL) {
		g->tx->notable = true;
		gate_hold_anew(g, p);
		if (d.fault == SMTP_OK)
			gate_judge(g, &ev, &line);
		gate_let_pass(g, &ev);
	}
	free(line);
}

/* What the policy refused, and the server took. */
static void
take_refused(struct pending *p, enum smtp_verb verb)
{
	if (p->tx == NULL)
		return;
	if (verb == SMTP_MAIL)
		p->tx->has_mail = true;
	else if (verb == SMTP_RCPT)
		p->tx->rcpt_waiting++;
}

bool
gate_doubt_confirmed(struct smtp_gate *g, const struct an_event *ev)
{
	struct pending *p = gate_pending(g, ev->slot);

	p->doubted = false;
	if (ev->smtp->code >= 400) {
		if (ev->smtp->verb->verb == SMTP_BDAT && gate_reply_early(g, ev))
			g->message.answered = true;
		return false;
	}
	if (p->line != NULL)
		take_late(g, ev->slot);
	else
		take_refused(p, ev->smtp->verb->verb);
	return true;
}

/* ---- messages ---- */

/* A reply to something ahead of a chunk may end the transaction while the chunk still comes in. */
bool
gate_observed_takes(struct smtp_gate *g, const struct an_event *ev)
{
	const bool content = ev->kind == EV_BODY || ev->kind == EV_BODY_END ||
			     ev->kind == EV_CHUNK_END || ev->kind == EV_ANOMALY;

	if (!content || ev->dir != AN_C2S)
		return true;
	if (gate_transaction(g) == NULL)
		return false;
	if (!g->message.open)
		gate_message_begin(g, true);
	return true;
}

/*
 * The end of a message has gone to the server, whatever the policy says of it. The client may go on
 * with its envelope where a chunk was refused and none was taken before.
 */
void
gate_observed_body_end(struct smtp_gate *g, const struct an_event *ev)
{
	struct message *m = &g->message;
	struct pending *p = gate_pending(g, ev->slot);
	struct transaction *tx = g->tx;
	bool over;

	if (gate_end_answer(m) == NULL && !m->answered && !m->discard)
		gate_content_end(g);
	if (!m->chunked) {
		p->verb = ".";
		gate_hold(tx, p);
	}
	if (!m->answered && (gate_end_answer(m) == NULL || m->size > 0))
		gate_record_message(g);
	if (!m->answered && m->chunk_refusal == NULL)
		tx->state = "in_doubt"; /* until the server has answered */
	over = m->chunk_refusal == NULL || m->forwarded || m->answered;
	gate_message_forget(g);
	if (over)
		gate_transaction_close(g);
}

void
gate_observed_chunk(struct smtp_gate *g, const struct an_event *ev)
{
	struct pending *p = gate_pending(g, ev->slot);
	const bool early = gate_reply_early(g, ev), refused = ev->smtp->code >= 400;

	if (early)
		g->message.answered = true;
	if (refused && p->tx != NULL) {
		p->tx->chunk_failed = true;
		g->message.dead = g->message.dead || (g->message.open && g->tx == p->tx);
	}
	if (p->last)
		gate_message_answered(g, ev);
	else
		gate_pass_reply(g, ev);
}

/* ---- peers that go away ---- */

void
gate_observed_end(struct smtp_gate *g, enum an_dir dir)
{
	struct relay *r = &g->relay;

	if (dir == AN_S2C) {
		relay_end(r,
		    g->quit	     ? "client_quit"
		    : g->server_left ? "server_421"
				     : "server_closed",
		    WISH_NONE, WISH_NONE);
		return;
	}
	if (g->message.open && !g->message.unwanted && !r->lost_track && g->tx != NULL &&
	    g->tx->state == NULL) {
		gate_anomaly(g, AN_TRUNCATED, AN_C2S, r->client.parsed, NULL);
		g->tx->state = "aborted";
	}
	relay_end(r,
	    g->message.open		  ? "client_aborted"
	    : r->peer[AN_C2S] == PEER_EOF ? "client_closed"
					  : "client_reset",
	    WISH_NONE, WISH_NONE);
}

/* ---- octets that are not in the capture ---- */

bool
gate_gap(struct relay *r, enum an_dir dir, uint64_t n)
{
	struct smtp_gate *g = gate_of(r);
	struct message *m = &g->message;

	if (dir != AN_C2S || g->dialogue == NULL || !m->open || g->joining ||
	    channel_input(&r->client).n > 0 || gate_transaction(g) == NULL ||
	    !smtp_missing(g->dialogue, n))
		return false;
	g->missing += n;
	m->missing += n;
	m->resumed = r->client.parsed + g->missing;
	record_smtp_missing(g->tx->record, m->missing);
	m->discard = true; /* no part of it is taken for whole */
	return true;
}

/*
 * In a message with a hole, a reply says that the end mark went by there: what the client sends
 * next is a command.
 */
bool
gate_observed_unasked(struct smtp_gate *g, const struct an_event *ev)
{
	struct message *m = &g->message;
	struct smtp_detail detail = *ev->smtp;
	struct an_event reply = *ev, end;

	if (m->missing == 0 || m->chunked || !m->open || detail.code == 421)
		return false;
	smtp_cut_short(g->dialogue, &end);
	gate_observed_body_end(g, &end);
	smtp_answered_oldest(g->dialogue, detail.code);
	detail.verb = smtp_verb_row(SMTP_MESSAGE);
	reply.slot = end.slot;
	reply.smtp = &detail;
	gate_message_answered(g, &reply);
	return true;
}

/* ---- the beginning is not in the capture ---- */

bool
gate_joined(struct relay *r)
{
	struct smtp_gate *g = gate_of(r);

	g->joining = true;
	g->server_exts = ALL_EXTENSIONS;
	g->size_max = gate_config(g)->message_size;
	return true;
}

/* Whole lines, each a command without fault, none behind one whose reply decides what follows. */
static bool
are_commands(struct span octets)
{
	const struct smtp_verb_row *verb = NULL;

	while (octets.n > 0) {
		ptrdiff_t end = span_find(octets, '\n');
		struct smtp_detail d;

		if (end < 1 || octets.p[end - 1] != '\r' || (verb != NULL && verb->sync))
			return false;
		smtp_command_parse(span_first(octets, (size_t)end - 1), (struct line_marks){0},
		    SIZE_MAX, true, ALL_EXTENSIONS, &d);
		if (d.fault != SMTP_OK)
			return false;
		verb = d.verb;
		octets = span_from(octets, (size_t)end + 1);
	}
	return verb != NULL;
}

/* Code of the first whole reply; 0: it is not whole. *skip: octets ahead of it that are none. */
static unsigned
first_reply(struct span octets, size_t *skip)
{
	struct span rest = octets;
	ptrdiff_t end;

	*skip = 0;
	for (; (end = span_find(rest, '\n')) >= 0; rest = span_from(rest, (size_t)end + 1)) {
		unsigned code = reply_code(rest);

		if (code == 0)
			*skip = octets.n - rest.n + (size_t)end + 1;
		else if (rest.n < 4 || rest.p[3] != '-')
			return code;
	}
	return 0;
}

/*
 * The server's first whole reply. It answers what the client has said so far, if those are
 * commands; else the octets are the rest of something, and so is the reply.
 */
static void
take_up(struct smtp_gate *g, unsigned code)
{
	struct channel *client = &g->relay.client;
	const struct span held = channel_input(client);
	enum smtp_verb verb = code == 354 ? SMTP_DATA : code == 334 ? SMTP_AUTH : SMTP_UNKNOWN;

	g->joining = false;
	if (held.n == 0 && !g->join_dropped && code == 220)
		return; /* the greeting */
	smtp_joined(g->dialogue);
	if (!g->join_dropped && are_commands(held))
		return;
	channel_discard(client);
	gate_pending(g, smtp_resume(g->dialogue, verb))->unseen = true;
}

static bool
join(struct smtp_gate *g, enum an_dir dir)
{
	struct relay *r = &g->relay;
	struct channel *from = relay_from(r, dir);
	const struct span in = channel_input(from);
	size_t skip;
	unsigned code;

	if (in.n == 0)
		return false;
	if (dir == AN_C2S) {
		if (in.n < JOIN_MAX && !g->join_dropped)
			return false;
		g->join_dropped = true;
		channel_discard(from);
		return true;
	}
	if (in.p[0] < ' ' || in.n == CHANNEL_BLOCK) { /* TLS, or nothing that is known */
		r->lost_track = true;
		return true;
	}
	code = first_reply(in, &skip);
	if (code == 0)
		return false;
	channel_parsed(from, skip);
	take_up(g, code);
	return true;
}

/* ---- the server is not in the capture ---- */

bool
gate_unheard(struct relay *r)
{
	gate_of(r)->unheard = true;
	return true;
}

static bool
grant(struct smtp_gate *g)
{
	struct an_event ev;

	if (g->waiting != NULL || !smtp_grant(g->dialogue, channel_input(&g->relay.client), &ev))
		return false;
	gate_reply(g, &ev);
	return true;
}

bool
gate_observed_stuck(struct smtp_gate *g, enum an_dir dir)
{
	return gate_observes(g) && channel_input(relay_from(&g->relay, dir)).n == CHANNEL_BLOCK;
}

static bool
may_step(const struct relay *r)
{
	return r->pause[AN_C2S] == 0 && !relay_shaking(r) && !r->lost_track;
}

bool
gate_observed_step(struct smtp_gate *g, enum an_dir dir, bool *progress)
{
	struct relay *r = &g->relay;

	if (g->joining) {
		*progress = join(g, dir);
		return true;
	}
	if (g->unheard && dir == AN_C2S && grant(g)) {
		*progress = true;
		return true;
	}
	/* what the client said behind the reply before this one came first */
	while (dir == AN_S2C && channel_input(&r->client).n > 0 && may_step(r) &&
	       r->ops->step(r, AN_C2S))
		continue;
	*progress = false;
	return !may_step(r);
}
