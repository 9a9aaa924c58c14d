#include <stdlib.h>

#include "smtp_gate.h"

/* Octets read behind a refusal before the client is cut off. */
#define DRAIN_TOO_BIG (1u << 20)
#define DRAIN_OTHER   (256u << 20)

void
gate_watch_rate(struct smtp_gate *g)
{
	g->rate_since = gate_now(g);
	g->rate_octets = g->message.size + g->message.drained;
}

void
gate_message_forget(struct smtp_gate *g)
{
	free(g->message.kept);
	g->message = (struct message){0};
}

void
gate_message_begin(struct smtp_gate *g, bool chunked)
{
	gate_message_forget(g);
	g->message = (struct message){
	    .open = true, .chunked = chunked, .header = {.field_start = true, .empty_line = true}};
	gate_watch_rate(g);
	gate_content_begin(g);
}

/* The server must never take what it has for a whole message: no end mark, no QUIT, a reset. */
void
gate_drop_server(struct smtp_gate *g)
{
	struct relay *r = &g->relay;

	g->server_lost = true;
	g->doomed = false;
	r->peer[AN_S2C] = PEER_GONE;
	r->wish[AN_S2C] = WISH_RESET;
	channel_drop(&r->server);
}

/* Refused it is, whether there is memory for the reply or not. */
static void
keep_refusal(struct smtp_gate *g, const char *reply)
{
	struct message *m = &g->message;

	m->kept = strdup(reply);
	m->refusal = m->kept != NULL ? m->kept : "451 4.3.0 Error: out of memory";
	if (m->kept == NULL)
		g->relay.client.failed = true;
}

void
gate_message_refuse(
    struct smtp_gate *g, const char *reply, const char *rule, const char *reason, const char *state)
{
	struct message *m = &g->message;
	struct verdict v = {.action = VERDICT_REFUSE, .rule = rule, .reason = reason};
	struct span text = span_first(span_str(reply), VERDICT_REPLY_MAX);

	if (m->refusal != NULL)
		return;
	memcpy(v.reply, text.p, text.n);
	keep_refusal(g, v.reply);
	m->discard = true;
	gate_record_verdict(g, &v);
	g->tx->state = state;
	if (gate_observes(g)) {
		g->tx->refused_as = state;
		return;
	}
	g->server_lost = true;
	/* commands before this chunk still get the server's own replies; then it is dropped */
	g->doomed = m->chunked && smtp_waiting(g->dialogue) > 1;
	if (!g->doomed)
		gate_drop_server(g);
}

/* ---- what is looked at while the octets go by ---- */

/* One more octet of the header; until the empty line. */
static void
scan_header(struct header_scan *h, uint8_t c)
{
	static const char received[] = "received:";

	h->size++;
	if (c == '\n') {
		h->done = h->empty_line;
		h->field_start = h->empty_line = true;
		h->matched = 0;
		return;
	}
	if (c != '\r')
		h->empty_line = false;
	if (!h->field_start)
		return;
	h->field_start = octet_lower(c) == (uint8_t)received[h->matched];
	if (h->field_start && received[++h->matched] == '\0') {
		h->hops++;
		h->field_start = false;
	}
}

/* Counted up to the octet that was too much, however they came: n of these. */
static void
refuse_header(struct smtp_gate *g, size_t n, const char *reply, const char *reason)
{
	g->message.size += n;
	gate_message_refuse(g, reply, "limits", reason, "refused");
}

/* Counts header octets and Received fields, as far as the message may be long. */
static void
check_header(struct smtp_gate *g, struct span s)
{
	const struct smtp_config *c = gate_config(g);
	struct header_scan *h = &g->message.header;

	if (g->size_max > 0 && s.n > g->size_max - g->message.size)
		s = span_first(s, (size_t)(g->size_max - g->message.size));
	for (size_t i = 0; i < s.n && !h->done; i++) {
		scan_header(h, s.p[i]);
		if (c->header_size > 0 && h->size > c->header_size) {
			refuse_header(
			    g, i + 1, "550 5.6.0 Error: message header too large", "header_size");
			return;
		}
		if (c->hops > 0 && h->hops > c->hops) {
			refuse_header(g, i + 1, "554 5.4.6 Error: too many hops", "hops");
			return;
		}
	}
}

static void
check_size(struct smtp_gate *g, size_t more)
{
	struct message *m = &g->message;

	m->size += more;
	if (g->size_max == 0 || m->size <= g->size_max)
		return;
	m->size = g->size_max + 1; /* however the octets came: the first that is too many */
	gate_message_refuse(g, "552 5.3.4 Error: message size exceeds fixed limit", "limits",
	    "message_size", "refused");
}

/* A refused message that does not end: nobody reads it for ever. */
static void
drain(struct smtp_gate *g, size_t n)
{
	struct message *m = &g->message;
	bool too_big = g->size_max > 0 && m->size > g->size_max;

	m->drained += n;
	if (gate_observes(g)) {
		m->size += m->missing > 0 ? n : 0;
		return;
	}
	if (m->drained > (too_big ? DRAIN_TOO_BIG : DRAIN_OTHER))
		gate_give_up(g,
		    m->refusal != NULL ? m->refusal
				       : "421 4.7.0 Error: message goes on behind its refusal",
		    "message_endless");
}

/* ---- octets ---- */

static void
note_anomaly(struct smtp_gate *g, const struct an_event *ev)
{
	const bool half = ev->anomaly == AN_BARE_CR || ev->anomaly == AN_BARE_LF;

	/* where octets are missing, half a line end is none that was bare */
	if (g->message.said[ev->anomaly] ||
	    (half && g->message.missing > 0 && ev->off == g->message.resumed))
		return;
	g->message.said[ev->anomaly] = true;
	gate_anomaly(g, ev->anomaly, AN_C2S, ev->off, ev->smtp->sequence);
}

/* CR, LF or NUL out of place: refused, or made harmless; never passed on, never made a line end. */
static bool
take_stray(struct smtp_gate *g, const struct an_event *ev)
{
	bool normalize = gate_config(g)->bare_newline == BARE_NEWLINE_NORMALIZE;

	if (normalize && ev->octets.n > 0) {
		channel_put(&g->relay.server, span_str(" "));
		gate_content(g, span_str(" "));
		return true;
	}
	gate_message_refuse(g,
	    ev->anomaly == AN_BARE_LF	? "550 5.5.2 Error: bare <LF> received"
	    : ev->anomaly == AN_BARE_CR ? "550 5.5.2 Error: bare <CR> received"
					: "550 5.5.2 Error: NUL octet received",
	    "bare_newline", an_anomaly_name(ev->anomaly), "refused");
	return false;
}

static void
pass_octets(struct smtp_gate *g, const struct an_event *ev)
{
	struct relay *r = &g->relay;
	const struct smtp_detail *d = ev->smtp;

	if (gate_observes(g))
		return;
	if (g->message.chunked || !d->line_start || ev->octets.n == 0 || ev->octets.p[0] != '.') {
		channel_pass(&r->server, &r->client, ev->octets);
		return;
	}
	/* a line that begins with a dot: stuffed as it came, or stuffed now */
	if (d->wire.n == ev->octets.n)
		channel_put(&r->server, span_str("."));
	channel_pass(&r->server, &r->client, d->wire);
}

void
gate_body(struct smtp_gate *g, const struct an_event *ev)
{
	struct message *m = &g->message;

	if (ev->anomaly != AN_NONE)
		note_anomaly(g, ev);
	if (m->discard) {
		drain(g, ev->octets.n);
		return;
	}
	check_header(g, ev->octets);
	if (!m->discard)
		check_size(g, ev->octets.n);
	if (m->discard)
		return;
	if (ev->anomaly == AN_NONE) {
		pass_octets(g, ev);
		gate_content(g, ev->octets);
	} else {
		take_stray(g, ev);
	}
}

void
gate_body_oddity(struct smtp_gate *g, const struct an_event *ev)
{
	note_anomaly(g, ev);
	if (ev->anomaly == AN_LONG_BODY_LINE && gate_config(g)->body_line > 0 &&
	    !g->message.discard)
		gate_message_refuse(
		    g, "550 5.6.0 Error: message line too long", "limits", "body_line", "refused");
}

/* ---- the end ---- */

void
gate_record_message(struct smtp_gate *g)
{
	struct message *m = &g->message;

	record_smtp_message(g->tx->record, m->size, m->chunked ? "BDAT" : "DATA");
}

/*
 * The end mark goes out: from here on the server decides, and its answer is the client's. A
 * last chunk with octets in it is no end mark yet: that follows when the server has taken it.
 */
static void
deliver(struct smtp_gate *g, uint64_t slot)
{
	g->asked = gate_now(g);
	gate_record_message(g);
	/* one message at a time waits for the server, with what is known of it */
	if (g->message.chunked)
		g->relay.pause[AN_C2S] |= PAUSE_HELD;
	if (g->message.chunked && !g->message.last_chunk_empty) {
		g->last_chunk = slot;
		return;
	}
	g->tx->state = "in_doubt"; /* until the server has answered */
	if (g->message.chunked)
		g->chunk_end = slot;
	channel_put(&g->relay.server, span_str(g->message.chunked ? "BDAT 0 LAST\r\n" : ".\r\n"));
}

const char *
gate_end_answer(const struct message *m)
{
	return m->chunk_refusal != NULL ? m->chunk_refusal : m->refusal;
}

/* What the server has of a message that was refused is forgotten there too. */
static void
forget_chunks(struct smtp_gate *g)
{
	if (!g->message.forwarded || g->server_lost)
		return;
	smtp_sent(g->dialogue, SMTP_RSET);
	channel_put(&g->relay.server, span_str("RSET\r\n"));
}

void
gate_body_end(struct smtp_gate *g, const struct an_event *ev)
{
	struct message *m = &g->message;
	const char *answer;
	bool over;

	if (gate_observes(g)) {
		gate_observed_body_end(g, ev);
		return;
	}
	if (gate_end_answer(m) == NULL && !m->answered && !m->discard)
		gate_content_end(g);
	answer = gate_end_answer(m);
	over = answer == NULL || m->forwarded || g->server_lost || m->answered;

	if (!m->chunked) {
		gate_pending(g, ev->slot)->verb = ".";
		gate_hold(g->tx, gate_pending(g, ev->slot));
	}
	if (m->answered) {
		if (g->tx->state == NULL)
			g->tx->state = "rejected";
		forget_chunks(g);
	} else if (answer == NULL) {
		deliver(g, ev->slot);
	} else {
		gate_count_error(g);
		if (m->size > 0)
			gate_record_message(g);
		gate_answer(g, ev->slot, m->chunked ? "BDAT" : ".", answer, NULL);
		forget_chunks(g);
	}
	gate_message_forget(g);
	if (over)
		gate_transaction_close(g);
}

void
gate_chunk_end(struct smtp_gate *g, const struct an_event *ev)
{
	struct message *m = &g->message;
	const char *answer = gate_end_answer(m);

	if (m->answered) {
		m->answered = false;
		return;
	}
	if (answer == NULL)
		return; /* the server answers */
	if (!gate_observes(g))
		gate_answer(g, ev->slot, "BDAT", answer, NULL);
	m->chunk_refusal = NULL;
	m->dead = true;
}
