#include <stdlib.h>

#include "pop3_gate.h"

char *
pop3_keep(struct span s)
{
	char *text;

	s = span_first(s, RECORD_TEXT_MAX + 1); /* one more: so that the record says it was cut */
	text = malloc(s.n + 1);
	if (text == NULL)
		return NULL;
	if (s.n > 0)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return text;
}

static struct span
user_of(const struct pop3_gate *g)
{
	return g->user == NULL ? SPAN_NONE : span_str(g->user);
}

void
pop3_record_command(
    struct pop3_gate *g, struct span command, const char *status, const struct verdict *v)
{
	struct relay *r = &g->relay;
	struct record_retrieval record = {
	    .command = command, .user = user_of(g), .status = status, .verdict = v};

	record_retrieval_command(
	    &r->session, &record, r->tx_count++, r->env->sink, r->env->sink_arg);
}

void
pop3_record_message(struct pop3_gate *g, const char *outcome, const struct verdict *v)
{
	struct relay *r = &g->relay;
	const struct pop3_message *m = g->message;
	struct record_fetched record = {.command = m->verb->name,
	    .user = user_of(g),
	    .number = m->number,
	    .partial = strcmp(outcome, "complete") != 0,
	    .outcome = outcome,
	    .octets = m->octets,
	    .missing = m->missing,
	    .unseen = !m->inspected,
	    .mail = m->mail,
	    .verdict = v};

	record_fetched(&r->session, &record, r->tx_count++, r->env->sink, r->env->sink_arg);
}

/* Deletions that never happened deleted nothing: UPDATE is what makes them true. */
static const char *
mode_of(const struct record_pop3 *done)
{
	if (done->retrieved == 0)
		return NULL;
	return done->deleted > 0 && done->update ? "download_and_delete" : "download_and_keep";
}

void
pop3_record_session(struct pop3_gate *g)
{
	struct relay *r = &g->relay;

	g->done.user = user_of(g);
	g->done.mechanism = g->mechanism[0] == '\0' ? NULL : g->mechanism;
	g->done.mode = mode_of(&g->done);
	record_pop3(&r->session, &g->done, r->env->sink, r->env->sink_arg);
}

void
pop3_anomaly(
    struct pop3_gate *g, enum an_anomaly what, enum an_dir dir, uint64_t off, const char *detail)
{
	struct relay *r = &g->relay;

	if (g->anomalies++ < POP3_ANOMALIES_MAX)
		record_anomaly(&r->session, an_anomaly_name(what), dir, off, detail, r->env->sink,
		    r->env->sink_arg);
}
