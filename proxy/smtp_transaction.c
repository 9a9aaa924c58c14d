#include <stdlib.h>

#include "core/reply.h"
#include "smtp_gate.h"

struct transaction *
gate_transaction(struct smtp_gate *g)
{
	struct transaction *tx = g->tx;

	if (tx != NULL)
		return tx;
	tx = calloc(1, sizeof(*tx));
	if (tx == NULL) {
		g->relay.client.failed = true;
		return NULL;
	}
	tx->record = record_smtp_new();
	if (g->helo != NULL)
		record_smtp_helo(tx->record, span_str(g->helo));
	g->tx = tx;
	return tx;
}

/* What became of a message; a transaction that never got to one counts nothing. */
static void
count_message(struct relay *r, const char *state)
{
	if (state == NULL)
		return;
	if (strcmp(state, "accepted") == 0)
		board_message(&r->seat, BOARD_ACCEPTED);
	else if (strcmp(state, "rejected") == 0 || strcmp(state, "refused") == 0)
		board_message(&r->seat, BOARD_NOT_TAKEN);
	else
		board_message(&r->seat, BOARD_UNFINISHED);
}

static void
write_record(struct smtp_gate *g, struct transaction *tx)
{
	struct relay *r = &g->relay;

	count_message(r, tx->state);
	if (tx->notable)
		record_smtp_write(tx->record, &r->session, r->tx_count++,
		    tx->state == NULL ? "no_message" : tx->state, r->env->sink, r->env->sink_arg);
	record_smtp_free(tx->record);
	mail_free(tx->mail);
	free(tx);
}

void
gate_transaction_close(struct smtp_gate *g)
{
	struct transaction *tx = g->tx;

	if (tx == NULL)
		return;
	if (gate_observes(g) && g->message.chunked) /* the server took what ends it within chunks */
		gate_message_forget(g);
	g->tx = NULL;
	tx->closed = true;
	if (tx->refs == 0)
		write_record(g, tx);
}

void
gate_hold(struct transaction *tx, struct pending *p)
{
	if (tx == NULL)
		return;
	p->tx = tx;
	tx->refs++;
}

static void
let_go(struct smtp_gate *g, struct transaction *tx)
{
	if (tx != NULL && --tx->refs == 0 && tx->closed)
		write_record(g, tx);
}

void
gate_hold_anew(struct smtp_gate *g, struct pending *p)
{
	struct transaction *old = p->tx;

	p->tx = NULL;
	gate_hold(g->tx, p);
	let_go(g, old);
}

void
gate_release(struct smtp_gate *g, struct pending *p)
{
	struct transaction *tx = p->tx;

	free(p->text);
	free(p->rcpt);
	free(p->helo);
	free(p->line);
	gate_pending_drop(g, p);
	let_go(g, tx);
}

void
gate_record_reply(struct smtp_gate *g, const struct pending *p, const char *verb, struct span reply,
    enum record_source source)
{
	struct transaction *tx = p->tx != NULL ? p->tx : gate_transaction(g);
	unsigned code = reply_code(span_first(reply, 3));

	if (tx == NULL || g->unheard || p->unseen)
		return;
	if (code >= 400)
		tx->notable = true;
	record_smtp_reply(
	    tx->record, verb, p->rcpt == NULL ? SPAN_NONE : span_str(p->rcpt), code, reply, source);
}

void
gate_record_verdict(struct smtp_gate *g, const struct verdict *v)
{
	struct transaction *tx = gate_transaction(g);

	if (tx == NULL)
		return;
	tx->notable = true;
	record_smtp_verdict(tx->record, v);
	board_verdict(&g->relay.seat, v);
}

void
gate_transactions_finish(struct smtp_gate *g)
{
	while (!TAILQ_EMPTY(&g->pending))
		gate_release(g, TAILQ_FIRST(&g->pending));
	gate_release(g, &g->nowhere);
	gate_transaction_close(g);
}
