#include "imap_gate.h"

#define ERRORS_BEFORE_LOGIN 3

static void
put_line(struct channel *to, struct span tag, const char *text)
{
	channel_put(to, tag.n > 0 ? tag : span_str("*"));
	channel_put(to, span_str(" "));
	channel_put(to, span_str(text));
	channel_put(to, span_str("\r\n"));
}

void
imap_say(struct imap_gate *g, struct span tag, const char *text)
{
	if (!imap_in_response(g->dialogue)) {
		put_line(&g->relay.client, tag, text);
		return;
	}
	buf_add(&g->own, tag.n > 0 ? tag : span_str("*"));
	buf_str(&g->own, " ");
	buf_str(&g->own, text);
	buf_str(&g->own, "\r\n");
	g->relay.client.failed |= g->own.failed;
	if (g->own.n > IMAP_OWN_HELD)
		g->relay.pause[AN_C2S] |= PAUSE_HELD;
}

void
imap_say_held(struct imap_gate *g)
{
	if (g->own.n == 0 || imap_in_response(g->dialogue))
		return;
	channel_put(&g->relay.client, buf_span(&g->own));
	buf_free(&g->own);
	g->relay.pause[AN_C2S] &= ~(unsigned)PAUSE_HELD;
}

void
imap_give_up(
    struct imap_gate *g, struct span tag, const char *text, const char *bye, const char *reason)
{
	struct relay *r = &g->relay;
	char line[VERDICT_REPLY_MAX + 8] = "BYE ";
	struct span said = span_first(span_str(bye), VERDICT_REPLY_MAX);

	if (r->reason != NULL)
		return;
	if (imap_observes(g)) {
		relay_end(r, reason, WISH_CLOSE, WISH_CLOSE);
		return;
	}
	if (imap_in_response(g->dialogue)) {
		relay_end(r, reason, WISH_RESET, WISH_RESET);
		return;
	}
	imap_say_held(g);
	if (text != NULL)
		put_line(&r->client, tag, text);
	memcpy(line + 4, said.p, said.n);
	line[4 + said.n] = '\0';
	put_line(&r->client, SPAN_NONE, line);
	relay_end(r, reason, WISH_CLOSE, WISH_RESET);
}

void
imap_count_error(struct imap_gate *g)
{
	unsigned most = imap_config_of(g)->errors;

	g->errors++;
	if (imap_observes(g))
		return;
	if (g->errors >= most || (!g->logged_in && g->errors >= ERRORS_BEFORE_LOGIN))
		imap_give_up(g, SPAN_NONE, NULL, "Too many errors", "too_many_errors");
}

void
imap_anomaly(struct imap_gate *g, enum an_anomaly what, enum an_dir dir, uint64_t off)
{
	struct relay *r = &g->relay;

	if (g->anomalies++ < IMAP_ANOMALIES_MAX)
		record_anomaly(&r->session, an_anomaly_name(what), dir, off, NULL, r->env->sink,
		    r->env->sink_arg);
}
