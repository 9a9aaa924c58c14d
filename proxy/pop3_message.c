#include <stdlib.h>

#include "content.h"
#include "pop3_gate.h"

void
pop3_message_begin(struct pop3_gate *g, const struct an_event *ev)
{
	const struct mime_config *c = &g->relay.env->config->mime;
	struct mail_options options = c->options;
	struct pop3_message *m = calloc(1, sizeof(*m));

	g->message = m;
	if (m == NULL) {
		g->relay.client.failed = true;
		return;
	}
	m->verb = ev->pop3->verb;
	m->number = ev->pop3->number;
	m->inspected = c->inspect;
	if (m->verb->verb == POP3_TOP)
		options.sink = NULL; /* it is for whole messages */
	if (c->inspect)
		m->mail = mail_new(&options);
}

static void
note_anomaly(struct pop3_gate *g, const struct an_event *ev)
{
	struct pop3_message *m = g->message;

	if (m == NULL || m->said[ev->anomaly])
		return;
	m->said[ev->anomaly] = true;
	pop3_anomaly(g, ev->anomaly, AN_S2C, ev->off, ev->pop3->sequence);
}

void
pop3_body(struct pop3_gate *g, const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;
	struct channel *client = &g->relay.client;
	struct pop3_message *m = g->message;

	if (ev->anomaly != AN_NONE)
		note_anomaly(g, ev);
	if (d->dot)
		channel_put(client, span_str("."));
	channel_pass(client, &g->relay.server, d->wire);
	if (m == NULL)
		return;
	m->octets += ev->octets.n;
	/* whatever becomes of the inspection: the message goes on, and its record says so */
	if (m->mail != NULL && m->missing == 0)
		mail_feed(m->mail, ev->octets);
}

void
pop3_message_gap(struct pop3_gate *g, uint64_t n)
{
	struct pop3_message *m = g->message;

	if (m == NULL)
		return;
	m->missing += n;
}

void
pop3_body_oddity(struct pop3_gate *g, const struct an_event *ev)
{
	note_anomaly(g, ev);
}

/* What the beginning of a message lacks is no fault of it. */
static bool
is_for_whole_ones(const char *reason)
{
	return strcmp(reason, "ambiguous") == 0 || strcmp(reason, "incomplete") == 0;
}

/* True: the message may be whole. *v says what was thought of it. */
static bool
judge(struct pop3_gate *g, struct verdict *v)
{
	struct pop3_message *m = g->message;

	*v = (struct verdict){.action = VERDICT_PASS, .rule = "none", .reason = "none"};
	if (!m->inspected || m->missing > 0)
		return true;
	if (m->mail != NULL)
		mail_finish(m->mail);
	content_judge(&g->relay.env->config->content, m->mail, pop3_policy_of(g)->cut, v);
	if (v->action == VERDICT_REFUSE && m->verb->verb == POP3_TOP &&
	    is_for_whole_ones(v->reason)) {
		v->action = VERDICT_PASS;
		v->would_refuse = true;
	}
	board_verdict(&g->relay.seat, v);
	return v->action != VERDICT_REFUSE;
}

static void
message_free(struct pop3_gate *g)
{
	if (g->message != NULL)
		mail_free(g->message->mail);
	free(g->message);
	g->message = NULL;
}

static void
count_whole(struct pop3_gate *g)
{
	const struct pop3_message *m = g->message;

	if (m->verb->verb == POP3_TOP) {
		g->done.tops++;
		return;
	}
	g->done.retrieved++;
	g->done.retrieved_octets += m->octets;
}

void
pop3_body_end(struct pop3_gate *g, const struct an_event *ev)
{
	struct verdict v;

	(void)ev;
	g->fetching--;
	if (g->message == NULL)
		return;
	if (!judge(g, &v) && !pop3_observes(g)) {
		pop3_record_message(g, "cut", &v);
		board_message(&g->relay.seat, BOARD_NOT_TAKEN);
		message_free(g);
		relay_end(&g->relay, "message_refused", WISH_RESET, WISH_RESET);
		return;
	}
	count_whole(g);
	pop3_record_message(g,
	    g->message->verb->verb == POP3_TOP || g->message->missing > 0 ? "partial" : "complete",
	    v.would_refuse || v.action == VERDICT_REFUSE ? &v : NULL);
	board_message(&g->relay.seat, BOARD_ACCEPTED);
	message_free(g);
	channel_put(&g->relay.client, span_str(".\r\n"));
	pop3_flush_late(g);
}

void
pop3_message_aborted(struct pop3_gate *g)
{
	if (g->message == NULL)
		return;
	pop3_record_message(g, "aborted", NULL);
	board_message(&g->relay.seat, BOARD_UNFINISHED);
	message_free(g);
}
