#include <stdio.h>
#include <stdlib.h>

#include "content.h"
#include "ftp_gate.h"

static bool
is_looked_at(const struct ftp_gate *g)
{
	const struct ftp_verb_row *verb = g->transfer.verb;

	return ftp_config_of(g)->inspect &&
	       (verb->carries == FTP_DOWNLOAD || verb->carries == FTP_UPLOAD);
}

bool
ftp_content_may_refuse(const struct ftp_gate *g)
{
	return is_looked_at(g) && content_may_refuse(&g->relay.env->config->content);
}

void
ftp_content_begin(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;
	struct span name = t->name == NULL ? SPAN_NONE : span_str(t->name);
	ptrdiff_t slash = span_rfind(name, '/');

	if (!is_looked_at(g))
		return;
	t->inspected = true;
	t->content = mail_file_new(&g->relay.env->config->mime.options,
	    span_from(name, (size_t)(slash + 1)), t->restart > 0 || t->verb->verb == FTP_APPE);
}

void
ftp_content(struct ftp_transfer *t, struct span octets)
{
	/* whatever becomes of the inspection: what is not known is judged as that */
	if (t->content != NULL)
		mail_feed(t->content, octets);
}

static void
keep_verdict(struct ftp_gate *g, const struct verdict *v)
{
	struct ftp_transfer *t = &g->transfer;

	board_verdict(&g->relay.seat, v);
	t->verdict = malloc(sizeof(*v));
	if (t->verdict != NULL)
		*t->verdict = *v;
}

/* Codes of FTP, whatever the policy speaks of: "550 File refused: ...", "550 5.7.1 Message ...". */
static void
set_reply(const struct ftp_transfer *t, struct verdict *v)
{
	char said[sizeof(v->reply)];
	const char *text;

	memcpy(said, v->reply, sizeof(said));
	text = strstr(said, "refused: ");
	snprintf(v->reply, sizeof(v->reply), "%s File %s",
	    t->verb->carries == FTP_UPLOAD ? "552" : "550", text == NULL ? "refused." : text);
}

bool
ftp_content_passes(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;
	struct verdict v;

	if (!t->inspected)
		return true;
	if (t->content != NULL)
		mail_finish(t->content);
	content_judge(&g->relay.env->config->content, t->content, true, &v);
	if (v.action == VERDICT_REFUSE || v.would_refuse) {
		set_reply(t, &v);
		keep_verdict(g, &v);
	}
	return v.action != VERDICT_REFUSE;
}
