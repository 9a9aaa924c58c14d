#include "content.h"
#include "smtp_gate.h"

void
gate_content_begin(struct smtp_gate *g)
{
	const struct mime_config *c = &g->relay.env->config->mime;
	struct transaction *tx = g->tx;

	if (!c->inspect || tx == NULL)
		return;
	mail_free(tx->mail);
	tx->mail = mail_new(&c->options);
	tx->inspected = true;
	record_smtp_mail(tx->record, tx->mail);
}

void
gate_content(struct smtp_gate *g, struct span octets)
{
	/* whatever becomes of the inspection: the message goes on, and its record says so */
	if (g->tx != NULL && g->tx->mail != NULL)
		mail_feed(g->tx->mail, octets);
}

void
gate_content_end(struct smtp_gate *g)
{
	const struct config *c = g->relay.env->config;
	struct transaction *tx = g->tx;
	struct verdict v;

	if (tx == NULL || !tx->inspected)
		return;
	if (tx->mail != NULL)
		mail_finish(tx->mail);
	content_judge(&c->content, tx->mail, true, &v);
	if (v.action == VERDICT_REFUSE)
		gate_message_refuse(g, v.reply, v.rule, v.reason, "refused");
	else if (v.would_refuse)
		gate_record_verdict(g, &v);
}
