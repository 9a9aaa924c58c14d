#include <stdlib.h>

#include "core/reply.h"
#include "login_tie.h"
#include "smtp_gate.h"

#define EHLO_REPLY_MAX 65536

void
gate_anomaly(
    struct smtp_gate *g, enum an_anomaly what, enum an_dir dir, uint64_t off, const char *detail)
{
	struct relay *r = &g->relay;

	if (g->anomalies++ < SMTP_ANOMALIES_MAX)
		record_anomaly(&r->session, an_anomaly_name(what), dir, off, detail, r->env->sink,
		    r->env->sink_arg);
}

/* Whoever keeps making errors is slowed down, then shut out (FIELD: Postfix's soft and hard limit).
 */
#define ERRORS_BEFORE_DELAY 5

void
gate_count_error(struct smtp_gate *g)
{
	const struct smtp_config *c = gate_config(g);

	if (gate_observes(g))
		return;
	if (++g->errors < ERRORS_BEFORE_DELAY || c->error_delay == 0)
		return;
	g->tarpit_until = gate_now(g) + c->error_delay;
	g->relay.pause[AN_C2S] |= PAUSE_TARPIT;
}

/* ---- to the client, in order ---- */

static void
emit(struct smtp_gate *g, const char *reply)
{
	channel_put(&g->relay.client, span_str(reply));
}

static void
end_behind_reply(struct smtp_gate *g, const char *reason)
{
	relay_end(&g->relay, reason, WISH_CLOSE, WISH_RESET);
}

/* An answer of the gateway whose turn has come: from here on the client has it. */
static void
give_answer(struct smtp_gate *g, const struct pending *p)
{
	gate_record_reply(g, p, p->answers, span_str(p->text), RECORD_GATEWAY);
	emit(g, p->text);
}

/* Answers of the gateway that waited for the reply to the slot before them. */
static void
flush_behind(struct smtp_gate *g, uint64_t slot)
{
	struct pending *p;

	while ((p = gate_pending_find(g, ++slot)) != NULL && p->text != NULL) {
		const char *ends = p->ends;

		give_answer(g, p);
		gate_release(g, p);
		if (ends != NULL) {
			end_behind_reply(g, ends);
			return;
		}
	}
}

void
gate_answer(
    struct smtp_gate *g, uint64_t slot, const char *verb, const char *reply, const char *ends)
{
	struct pending *p = gate_pending(g, slot);
	bool its_turn = smtp_waiting(g->dialogue) == 1;
	size_t n = strlen(reply);

	smtp_answered(g->dialogue, reply_code(span_of(reply, n)));
	if (its_turn) {
		gate_record_reply(g, p, verb, span_of(reply, n), RECORD_GATEWAY);
		emit(g, reply);
		emit(g, "\r\n");
		gate_release(g, p);
		if (ends != NULL)
			end_behind_reply(g, ends);
		return;
	}
	p->text = malloc(n + 3);
	if (p->text == NULL) {
		g->relay.client.failed = true;
		return;
	}
	memcpy(p->text, reply, n);
	memcpy(p->text + n, "\r\n", 3);
	p->answers = verb;
	p->ends = ends;
	if (ends != NULL)
		g->relay.pause[AN_C2S] |= PAUSE_HELD;
}

void
gate_give_up(struct smtp_gate *g, const char *reply, const char *reason)
{
	struct pending *p = gate_pending(g, smtp_oldest(g->dialogue));

	if (g->relay.reason == NULL) {
		gate_record_reply(
		    g, p, p->verb == NULL ? "" : p->verb, span_str(reply), RECORD_GATEWAY);
		emit(g, reply);
		emit(g, "\r\n");
	}
	end_behind_reply(g, reason);
}

void
gate_answer_waiting(struct smtp_gate *g, const char *reply)
{
	unsigned keep = smtp_state(g->dialogue) == SMTP_ST_CHUNK ? 1 : 0;
	uint64_t slot = smtp_oldest(g->dialogue);
	uint64_t end = slot + smtp_waiting(g->dialogue) - keep;

	for (; slot < end; slot++) {
		struct pending *p = gate_pending(g, slot);
		const char *ends = p->ends;

		if (p->text != NULL) {
			give_answer(g, p);
		} else if (p->verb != NULL) { /* else the command was ours */
			gate_record_reply(g, p, p->verb, span_str(reply), RECORD_GATEWAY);
			emit(g, reply);
			emit(g, "\r\n");
		}
		gate_release(g, p);
		if (ends != NULL) {
			end_behind_reply(g, ends);
			return;
		}
	}
	while (smtp_waiting(g->dialogue) > keep)
		smtp_answered_oldest(g->dialogue, reply_code(span_str(reply)));
}

/* ---- from the server ---- */

void
gate_pass_reply(struct smtp_gate *g, const struct an_event *ev)
{
	struct pending *p = gate_pending(g, ev->slot);

	g->server_left = g->server_left || ev->smtp->code == 421;
	gate_record_reply(g, p, ev->smtp->verb->name, ev->octets, RECORD_SERVER);
	channel_put(&g->relay.client, ev->octets);
	gate_release(g, p);
	flush_behind(g, ev->slot);
}

/* The command that it answers; "": none, or nobody knows. */
static const char *
answered_by(struct smtp_gate *g, const struct an_event *ev)
{
	const struct pending *p = gate_pending(g, ev->slot);

	if (ev->smtp->unasked)
		return "";
	if (ev->smtp->code == 0)
		return p->verb == NULL ? "" : p->verb;
	return ev->smtp->verb->name;
}

static void
protocol_error(struct smtp_gate *g, const struct an_event *ev, enum an_anomaly what)
{
	struct pending *p = gate_pending(g, ev->slot);

	gate_anomaly(g, what, AN_S2C, ev->off, NULL);
	gate_record_reply(g, p, answered_by(g, ev), ev->octets, RECORD_SERVER);
	if (gate_observes(g) && !ev->smtp->unasked)
		gate_release(g, p);
	if (gate_observes(g))
		return;
	gate_give_up(
	    g, "421 4.3.0 Error: the mail server sent an invalid reply", "server_protocol");
}

static unsigned
class_of(const struct an_event *ev)
{
	return ev->smtp->code / 100;
}

bool
gate_sent_ahead(struct smtp_gate *g, const struct an_event *ev)
{
	if (channel_input(&g->relay.client).n == 0)
		return false;
	gate_anomaly(g,
	    ev->smtp->verb->verb == SMTP_STARTTLS ? AN_PLAIN_AHEAD_OF_TLS : AN_PIPELINED, AN_C2S,
	    g->relay.client.parsed, ev->smtp->verb->name);
	if (gate_observes(g))
		return false;
	gate_record_reply(
	    g, gate_pending(g, ev->slot), ev->smtp->verb->name, ev->octets, RECORD_SERVER);
	gate_release(g, gate_pending(g, ev->slot));
	gate_give_up(g, "554 5.5.0 Error: SMTP protocol synchronization", "client_ahead");
	return true;
}

/* "220 mx.example.net ESMTP": kept for who has to know whom it is spoken with. */
static void
keep_server_name(struct smtp_gate *g, struct span greeting)
{
	struct span text = span_from(greeting, 4);
	char name[DOMAIN_TEXT_MAX];

	if (!g->relay.facts.unless_published || !domain_canonical(span_word(&text), name))
		return;
	free(g->server_name);
	g->server_name = strdup(name);
	g->relay.facts.server_name = g->server_name;
}

static void
on_greeting(struct smtp_gate *g, const struct an_event *ev)
{
	if (gate_sent_ahead(g, ev))
		return;
	keep_server_name(g, span_trim(ev->octets));
	gate_pass_reply(g, ev);
}

/* ---- EHLO: the intersection of what the server offers and what Postern sees through ---- */

static bool
keep_keyword(struct smtp_gate *g, unsigned ext, unsigned server_exts)
{
	if (ext == 0)
		return false;
	if (ext == SMTP_EXT_STARTTLS)
		return !g->relay.facts.tls && gate_starttls_word(g) != STARTTLS_HIDE;
	if (ext == SMTP_EXT_BINARYMIME)
		return (server_exts & SMTP_EXT_CHUNKING) != 0;
	return true;
}

/* SIZE n: the server's limit and ours, the smaller one; no n or 0 means no fixed limit. */
static void
note_size(struct smtp_gate *g, struct span params)
{
	uint64_t theirs = 0, ours = gate_config(g)->message_size;

	span_u64(span_trim(params), UINT64_MAX, &theirs);
	g->size_max = theirs == 0 || (ours != 0 && ours < theirs) ? ours : theirs;
}

static struct span
next_line(struct span *rest)
{
	ptrdiff_t end = span_find(*rest, '\n');
	struct span line = span_first(*rest, (size_t)end + 1);

	*rest = span_from(*rest, (size_t)end + 1);
	return span_first(line, line.n - 2);
}

static void
note_mechanisms(struct smtp_gate *g, struct span list)
{
	for (struct span word = span_word(&list); word.n > 0; word = span_word(&list))
		login_offered(&g->relay, word);
}

static unsigned
offered_by(struct smtp_gate *g, struct span reply)
{
	unsigned exts = 0;

	next_line(&reply);
	while (reply.n > 0) {
		struct span rest = span_from(next_line(&reply), 4);
		unsigned ext = smtp_ext_find(span_word(&rest));

		if (ext == SMTP_EXT_AUTH)
			note_mechanisms(g, rest);
		exts |= ext;
	}
	return exts;
}

static void
put_keyword(struct smtp_gate *g, struct buf *out, struct span line, bool size)
{
	buf_str(out, "250-");
	if (size && g->size_max > 0) {
		buf_str(out, "SIZE ");
		buf_u64(out, g->size_max);
	} else {
		buf_add(out, line);
	}
	buf_str(out, "\r\n");
}

/* The reply with the keywords that are kept; g->server_exts and g->size_max are set. */
static unsigned
rewrite_ehlo(struct smtp_gate *g, struct span reply, struct buf *out)
{
	unsigned server_exts = offered_by(g, reply), kept = 0;
	struct span first = span_from(next_line(&reply), 4);
	size_t last = 0;

	g->size_max = gate_config(g)->message_size;
	buf_str(out, "250-");
	buf_add(out, first);
	buf_str(out, "\r\n");
	while (reply.n > 0) {
		struct span line = span_from(next_line(&reply), 4), params = line;
		unsigned ext = smtp_ext_find(span_word(&params));

		if (!keep_keyword(g, ext, server_exts))
			continue;
		if (ext == SMTP_EXT_SIZE)
			note_size(g, params);
		last = out->n;
		put_keyword(g, out, line, ext == SMTP_EXT_SIZE);
		kept |= ext;
	}
	if (!out->failed)
		out->p[last + 3] = ' ';
	return kept;
}

static void
new_session(struct smtp_gate *g, unsigned exts)
{
	g->server_exts = exts;
	smtp_offer(g->dialogue, exts);
	/* the envelope is gone with a HELO that was accepted, and only then */
	if (g->tx != NULL && g->tx->mail_seen)
		gate_transaction_close(g);
	if (g->tx != NULL && g->helo != NULL)
		record_smtp_helo(g->tx->record, span_str(g->helo));
}

/* True: the session ends for it. */
static bool
stripped(struct smtp_gate *g, const struct an_event *ev)
{
	if (!relay_stripped(&g->relay, (offered_by(g, ev->octets) & SMTP_EXT_STARTTLS) != 0))
		return false;
	gate_anomaly(g, AN_STARTTLS_STRIPPED, AN_S2C, ev->off, NULL);
	if (g->relay.env->config->tls.stripped != CHECK_ENFORCE || gate_observes(g))
		return false;
	gate_record_reply(
	    g, gate_pending(g, ev->slot), ev->smtp->verb->name, ev->octets, RECORD_SERVER);
	gate_give_up(g, "451 4.7.0 Error: the mail server has no TLS any more, try again later",
	    "starttls_stripped");
	return true;
}

/* The client saw all that the server offers, whatever this gateway would have left of it. */
static void
note_offers(struct smtp_gate *g, struct span reply)
{
	g->size_max = gate_config(g)->message_size;
	if (reply.n == 0) { /* nobody knows */
		new_session(g, ~0u);
		return;
	}
	new_session(g, offered_by(g, reply));
	next_line(&reply);
	while (reply.n > 0) {
		struct span params = span_from(next_line(&reply), 4);

		if (smtp_ext_find(span_word(&params)) == SMTP_EXT_SIZE)
			note_size(g, params);
	}
}

static void
on_ehlo(struct smtp_gate *g, const struct an_event *ev)
{
	struct pending *p = gate_pending(g, ev->slot);
	struct buf out;

	if (class_of(ev) != 2) {
		gate_pass_reply(g, ev);
		return;
	}
	if (ev->smtp->verb->verb == SMTP_EHLO && stripped(g, ev))
		return;
	free(g->helo);
	g->helo = p->helo;
	p->helo = NULL;
	gate_record_reply(g, p, ev->smtp->verb->name, ev->octets, RECORD_SERVER);
	if (ev->smtp->verb->verb == SMTP_HELO) {
		g->size_max = gate_config(g)->message_size;
		new_session(g, 0);
		channel_put(&g->relay.client, ev->octets);
	} else if (gate_observes(g)) {
		note_offers(g, ev->octets);
	} else {
		buf_init(&out, EHLO_REPLY_MAX + 64);
		new_session(g, rewrite_ehlo(g, ev->octets, &out));
		channel_put(&g->relay.client, buf_span(&out));
		g->relay.client.failed |= out.failed;
		buf_free(&out);
	}
	gate_release(g, p);
	flush_behind(g, ev->slot);
}

/* ---- the mail ---- */

static void
on_mail(struct smtp_gate *g, const struct an_event *ev)
{
	struct transaction *tx = gate_pending(g, ev->slot)->tx;

	if (tx != NULL && class_of(ev) != 2)
		tx->has_mail = false;
	gate_pass_reply(g, ev);
}

static void
on_rcpt(struct smtp_gate *g, const struct an_event *ev)
{
	struct transaction *tx = gate_pending(g, ev->slot)->tx;

	if (tx != NULL) {
		tx->rcpt_waiting--;
		if (class_of(ev) == 2)
			tx->rcpt_ok++;
		else
			tx->rcpt_refused++;
	}
	gate_pass_reply(g, ev);
}

/* A server that is not stood in front of takes messages without an envelope, too. */
static bool
has_transaction(struct smtp_gate *g)
{
	struct transaction *tx = gate_transaction(g);

	if (tx != NULL)
		tx->notable = true;
	return tx != NULL;
}

static void
on_data(struct smtp_gate *g, const struct an_event *ev)
{
	if (class_of(ev) == 2 || (class_of(ev) == 3 && ev->smtp->code != 354)) {
		protocol_error(g, ev, AN_INVALID_REPLY);
		return;
	}
	if (ev->smtp->code == 354) {
		if (gate_sent_ahead(g, ev) || !has_transaction(g))
			return;
		gate_message_begin(g, false);
	} else {
		gate_anomaly(g, AN_DATA_REJECTED, AN_S2C, ev->off, NULL);
	}
	gate_pass_reply(g, ev);
}

void
gate_message_answered(struct smtp_gate *g, const struct an_event *ev)
{
	struct transaction *tx = gate_pending(g, ev->slot)->tx;

	if (tx != NULL)
		tx->state = g->unheard		     ? "unanswered"
			    : class_of(ev) == 2	     ? "accepted"
			    : tx->refused_as != NULL ? tx->refused_as
						     : "rejected";
	gate_pass_reply(g, ev);
}

/* The last chunk is at the server: now its end mark, whose reply will be the client's. */
static void
end_chunks(struct smtp_gate *g, const struct an_event *ev)
{
	struct pending *p = gate_pending(g, ev->slot);
	uint64_t slot = smtp_sent(g->dialogue, SMTP_BDAT);

	if (p->tx != NULL)
		p->tx->state = "in_doubt"; /* until the server has answered */
	gate_pending_move(g, ev->slot, slot);
	channel_put(&g->relay.server, span_str("BDAT 0 LAST\r\n"));
}

/* The server did not take it all: it gets no end mark, and forgets what it has. */
static void
abandon_chunks(struct smtp_gate *g, const struct an_event *ev)
{
	struct pending *p = gate_pending(g, ev->slot);

	if (p->tx != NULL)
		p->tx->state = "rejected";
	smtp_sent(g->dialogue, SMTP_RSET);
	channel_put(&g->relay.server, span_str("RSET\r\n"));
	if (class_of(ev) != 2) {
		gate_pass_reply(g, ev);
		return;
	}
	gate_record_reply(
	    g, p, "BDAT", span_str("551 5.0.0 Error: an earlier chunk failed"), RECORD_GATEWAY);
	emit(g, "551 5.0.0 Error: an earlier chunk failed\r\n");
	gate_release(g, p);
}

bool
gate_reply_early(const struct smtp_gate *g, const struct an_event *ev)
{
	return smtp_state(g->dialogue) == SMTP_ST_CHUNK && ev->slot == g->chunk;
}

/* A server may refuse early, and reads the chunk all the same; it cannot have taken it yet. */
static void
on_early(struct smtp_gate *g, const struct an_event *ev)
{
	if (class_of(ev) == 2) {
		protocol_error(g, ev, AN_UNMATCHED_REPLY);
		return;
	}
	g->message.dead = g->message.answered = true;
	gate_pass_reply(g, ev);
}

/*
 * A chunk. The last one of the client is not the last one that the server saw: its end mark,
 * BDAT 0 LAST, goes out when all chunks are in order.
 */
static void
on_chunk(struct smtp_gate *g, const struct an_event *ev)
{
	struct transaction *tx = gate_pending(g, ev->slot)->tx;

	if (ev->slot == g->chunk_end) { /* BDAT 0 LAST was the client's own command */
		g->chunk_end = 0;
		g->relay.pause[AN_C2S] &= ~(unsigned)PAUSE_HELD;
		gate_message_answered(g, ev);
		return;
	}
	if (gate_reply_early(g, ev)) {
		on_early(g, ev);
		return;
	}
	if (class_of(ev) != 2 && tx != NULL) {
		tx->chunk_failed = true;
		g->message.dead = g->message.dead || (g->message.open && g->tx == tx);
	}
	if (ev->slot != g->last_chunk) {
		gate_pass_reply(g, ev);
		return;
	}
	g->last_chunk = 0;
	g->relay.pause[AN_C2S] &= ~(unsigned)PAUSE_HELD;
	if (tx != NULL && tx->chunk_failed)
		abandon_chunks(g, ev);
	else
		end_chunks(g, ev);
}

/* The reply to a command that the gateway itself sent. */
static void
on_own(struct smtp_gate *g, const struct an_event *ev)
{
	if (ev->smtp->verb->verb == SMTP_BDAT)
		gate_message_answered(g, ev);
	else
		flush_behind(g, ev->slot);
}

/* ---- AUTH and QUIT ---- */

static void
on_auth(struct smtp_gate *g, const struct an_event *ev)
{
	struct transaction *tx = gate_transaction(g);
	bool done = ev->smtp->code == 235;

	/* 501 says nothing of the login: it made no sense, or the client has given up */
	if (class_of(ev) == 5 && ev->smtp->code != 501)
		login_failed(&g->relay, g->sasl);
	if (ev->smtp->code != 334)
		gate_login_over(g, ev->smtp->code);
	if (ev->smtp->code != 334 && tx != NULL && g->sasl != NULL) {
		tx->notable = true;
		record_smtp_auth(tx->record, span_str(g->sasl->mechanism), span_str(g->sasl->user),
		    done && !g->unheard);
	}
	if (done)
		g->relay.facts.authenticated = true;
	gate_pass_reply(g, ev);
}

static void
on_quit(struct smtp_gate *g, const struct an_event *ev)
{
	gate_pass_reply(g, ev);
	relay_end(&g->relay, "client_quit", WISH_CLOSE, WISH_CLOSE);
}

/* ---- all of them ---- */

static void
on_unasked(struct smtp_gate *g, const struct an_event *ev)
{
	if (gate_observes(g) && gate_observed_unasked(g, ev))
		return;
	if (ev->smtp->code != 421) {
		protocol_error(g, ev, AN_UNMATCHED_REPLY);
		return;
	}
	/* a server may say goodbye at any time (RFC 5321 s3.8) */
	gate_record_reply(g, gate_pending(g, ev->slot), "", ev->octets, RECORD_SERVER);
	channel_put(&g->relay.client, ev->octets);
	/* a clean end in the middle of a message could be taken for the whole of it */
	relay_end(&g->relay, "server_421", WISH_CLOSE, g->message.open ? WISH_RESET : WISH_CLOSE);
}

static void
by_verb(struct smtp_gate *g, const struct an_event *ev)
{
	switch ((int)ev->smtp->verb->verb) {
	case SMTP_NONE:
		on_greeting(g, ev);
		break;
	case SMTP_EHLO:
	case SMTP_HELO:
		on_ehlo(g, ev);
		break;
	case SMTP_MAIL:
		on_mail(g, ev);
		break;
	case SMTP_RCPT:
		on_rcpt(g, ev);
		break;
	case SMTP_DATA:
		on_data(g, ev);
		break;
	case SMTP_MESSAGE:
		gate_message_answered(g, ev);
		break;
	case SMTP_BDAT:
		if (gate_observes(g))
			gate_observed_chunk(g, ev);
		else
			on_chunk(g, ev);
		break;
	case SMTP_AUTH:
		on_auth(g, ev);
		break;
	case SMTP_STARTTLS:
		gate_starttls(g, ev);
		break;
	case SMTP_QUIT:
		on_quit(g, ev);
		break;
	default:
		gate_pass_reply(g, ev);
		break;
	}
}

static bool
may_be_positive(enum smtp_verb verb)
{
	return verb == SMTP_DATA || verb == SMTP_AUTH;
}

static bool
is_doubted(const struct smtp_gate *g, uint64_t slot)
{
	const struct pending *p = gate_pending_find(g, slot);

	return p != NULL && p->doubted;
}

void
gate_reply(struct smtp_gate *g, const struct an_event *ev)
{
	g->asked = gate_now(g);
	if (ev->smtp->code == 0) {
		/* the first slot is the greeting's */
		protocol_error(g, ev, ev->slot == 0 ? AN_NO_WELCOME : ev->anomaly);
		g->relay.lost_track = gate_observes(g);
		return;
	}
	if (ev->smtp->unasked) {
		on_unasked(g, ev);
		return;
	}
	if (ev->anomaly != AN_NONE)
		gate_anomaly(g, ev->anomaly, AN_S2C, ev->off, ev->smtp->verb->name);
	/* 3xx asks for more, which only two commands have to give */
	if (class_of(ev) == 3 && !may_be_positive(ev->smtp->verb->verb)) {
		protocol_error(g, ev, AN_INVALID_REPLY);
		return;
	}
	if (class_of(ev) >= 4 && !ev->smtp->own && ev->smtp->verb->verb != SMTP_NONE)
		gate_count_error(g);
	if (is_doubted(g, ev->slot) && !gate_doubt_confirmed(g, ev))
		gate_pass_reply(g, ev);
	else if (ev->smtp->own)
		on_own(g, ev);
	else
		by_verb(g, ev);
	if (g->doomed && smtp_waiting(g->dialogue) <= 1)
		gate_drop_server(g);
}
