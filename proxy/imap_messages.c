#include <stdlib.h>

#include "content.h"
#include "imap_gate.h"

struct imap_message *
imap_message_new(struct imap_gate *g, enum imap_content content, struct span section)
{
	const struct mime_config *mime = &g->relay.env->config->mime;
	struct imap_message *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	section = span_first(section, sizeof(m->section) - 1);
	if (section.n > 0)
		memcpy(m->section, section.p, section.n);
	m->content = content;
	m->unseen = !mime->inspect;
	if (content == IMAP_WHOLE && !m->unseen)
		m->mail = mail_new(&mime->options);
	return m;
}

void
imap_message_of_part(struct imap_gate *g, struct imap_message *m)
{
	const struct mime_config *mime = &g->relay.env->config->mime;
	const struct imap_part *part = NULL;
	struct mail_said said = {
	    .path = span_str(m->section), .decoded = m->content == IMAP_DECODED};

	/* of a text without its header nobody knows what it is */
	if (m->unseen || m->gap || m->content == IMAP_TEXT)
		return;
	if (g->fetching != NULL)
		part = imap_known_part(g->fetching->known, m->number, m->uid, said.path);
	if (part != NULL) {
		said.type = part->type;
		said.subtype = part->subtype;
		said.parameters = part->parameters;
		said.encoding = part->encoding;
		said.disposition = part->disposition;
		said.content_id = part->id;
	}
	m->mail = mail_part_new(&mime->options, &said);
}

void
imap_message_feed(struct imap_message *m, struct span octets)
{
	m->octets += octets.n;
	if (m->missing > 0)
		return;
	/* whatever becomes of the inspection: the message goes on, and its record says so */
	if (m->mail != NULL)
		mail_feed(m->mail, octets);
}

void
imap_message_gap(struct imap_message *m, uint64_t n)
{
	m->octets += n;
	m->missing += n;
	m->gap = true;
}

/* What the gateway does not see of it is more than can be looked at. */
static void
judge_known(
    const struct imap_gate *g, const struct imap_message *m, bool may_hold, struct verdict *v)
{
	const struct content_policy *policy = &g->relay.env->config->content;

	content_judge(policy, m->mail, may_hold, v);
	if (m->gap && v->action == VERDICT_PASS && !v->would_refuse)
		content_judge(policy, NULL, may_hold, v);
}

void
imap_message_judge(struct imap_gate *g, struct imap_message *m, bool may_hold, struct verdict *v)
{
	if (m->mail != NULL && m->missing == 0)
		mail_finish(m->mail);
	*v = (struct verdict){.action = VERDICT_PASS, .rule = "content", .reason = "unseen"};
	if (!m->unseen && m->missing == 0)
		judge_known(g, m, may_hold, v);
}

void
imap_message_record(struct imap_gate *g, struct imap_message *m, const char *command,
    struct span mailbox, const char *outcome, const struct verdict *verdict)
{
	struct relay *r = &g->relay;
	struct verdict v;
	struct record_fetched f = {
	    .command = command,
	    .user = span_str(g->user == NULL ? "" : g->user),
	    .mailbox = mailbox,
	    .number = m->number,
	    .uid = m->uid,
	    .section = span_str(m->section),
	    .partial = m->gap || strcmp(outcome, "partial") == 0,
	    .outcome = outcome,
	    .octets = m->octets - m->missing,
	    .missing = m->missing,
	    .urls = m->urls,
	    .unseen = m->unseen,
	    .mail = m->mail,
	    .verdict = verdict,
	};

	/* what is known of a message that nothing can hold back any more is only reported */
	if (m->refused) {
		judge_known(g, m, true, &v);
		f.verdict = &v;
	} else if (verdict == NULL && m->mail != NULL && mail_finished(m->mail)) {
		content_judge(&r->env->config->content, m->mail, false, &v);
		f.verdict = v.would_refuse ? &v : NULL;
	}
	if (f.verdict != NULL)
		board_verdict(&r->seat, f.verdict);
	board_message(
	    &r->seat, strcmp(outcome, "complete") == 0 ? BOARD_ACCEPTED
		      : strcmp(outcome, "refused") == 0 || strcmp(outcome, "rejected") == 0
			  ? BOARD_NOT_TAKEN
			  : BOARD_UNFINISHED);
	record_fetched(&r->session, &f, r->tx_count++, r->env->sink, r->env->sink_arg);
	imap_message_free(m);
}

void
imap_message_free(struct imap_message *m)
{
	if (m == NULL)
		return;
	mail_free(m->mail);
	free(m);
}
