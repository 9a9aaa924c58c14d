/*
 * Records of POP3 and IMAP: messages that were fetched or stored, commands, and what a session did.
 */
#include "record_email.h"
#include "record_json.h"

static void
put_if_any(struct json_writer *w, const char *key, uint64_t value)
{
	if (value > 0)
		record_put_int(w, key, value);
}

/* ---- messages ---- */

/* Which message, or part of one; also beside "fileinfo". */
static void
put_fetched(struct json_writer *w, const void *fetched)
{
	const struct record_fetched *f = fetched;

	record_put(w, "command", f->command);
	record_put_if(w, "mailbox", f->mailbox);
	put_if_any(w, "number", f->number);
	put_if_any(w, "uid", f->uid);
	record_put_if(w, "section", f->section);
}

static void
put_whole_fetch(struct json_writer *w, const struct record_fetched *f)
{
	json_open_object(w, "message");
	put_fetched(w, f);
	record_put_if(w, "user", f->user);
	record_put_int(w, "octets", f->octets);
	put_if_any(w, "missing", f->missing);
	put_if_any(w, "urls", f->urls);
	record_put(w, "outcome", f->outcome);
	if (f->partial)
		json_truth(w, "partial", true);
	json_close_object(w);
}

void
record_fetched(const struct record_session *s, const struct record_fetched *f, unsigned tx_id,
    record_sink *sink, void *arg)
{
	/* of a beginning all that came was judged, and still it is no message that came to its end
	 */
	const bool top = strcmp(f->outcome, "partial") == 0;
	const struct record_about about = {.session = s,
	    .tx_id = tx_id,
	    .top = top,
	    .key = "message",
	    .beside = put_fetched,
	    .what = f};
	struct json_writer *w = record_open(s, "email", tx_id);

	put_whole_fetch(w, f);
	if (!f->unseen)
		record_email(w, f->mail, RECORD_EMAIL_MAX, top);
	record_upstream(w, s);
	record_put_verdict(w, f->verdict);
	record_close(w, sink, arg);
	record_files(f->mail, &about, sink, arg);
}

/* ---- sessions ---- */

static void
open_session(struct json_writer *w, const char *key)
{
	json_open_object(w, key);
	json_open_object(w, "session");
}

static void
close_session(struct json_writer *w)
{
	json_close_object(w);
	json_close_object(w);
}

static void
put_login(struct json_writer *w, struct span user, const char *mechanism, bool logged_in)
{
	record_put_if(w, "user", user);
	if (mechanism != NULL)
		record_put_text(w, "mechanism", span_str(mechanism));
	json_truth(w, "logged_in", logged_in);
}

void
record_pop3(
    const struct record_session *s, const struct record_pop3 *p, record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(s, "pop3", RECORD_NO_TX);

	open_session(w, "pop3");
	put_login(w, p->user, p->mechanism, p->logged_in);
	record_put_int(w, "commands", p->commands);
	record_put_int(w, "refused", p->refused);
	record_put_int(w, "listed", p->listed);
	record_put_int(w, "listed_octets", p->listed_octets);
	record_put_int(w, "retrieved", p->retrieved);
	record_put_int(w, "retrieved_octets", p->retrieved_octets);
	record_put_int(w, "tops", p->tops);
	record_put_int(w, "deleted", p->deleted);
	json_truth(w, "update", p->update);
	if (p->mode != NULL)
		record_put(w, "mode", p->mode);
	close_session(w);
	record_upstream(w, s);
	record_close(w, sink, arg);
}

static void
put_mailboxes(struct json_writer *w, const struct record_imap *i)
{
	size_t n = i->n_mailboxes < RECORD_MAILBOXES_MAX ? i->n_mailboxes : RECORD_MAILBOXES_MAX;
	bool whole = true;

	json_open_list(w, "mailboxes");
	for (size_t k = 0; k < n; k++)
		whole = record_put_item(w, i->mailboxes[k]) && whole;
	json_close_list(w);
	if (!whole)
		record_put_cut(w, "mailboxes");
	put_if_any(w, "mailboxes_left_out", i->mailboxes_left_out + (i->n_mailboxes - n));
}

void
record_imap(
    const struct record_session *s, const struct record_imap *i, record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(s, "imap", RECORD_NO_TX);

	open_session(w, "imap");
	put_login(w, i->user, i->mechanism, i->logged_in);
	if (i->preauth)
		json_truth(w, "preauth", true);
	record_put_if(w, "client_id", i->client_id);
	record_put_if(w, "server_id", i->server_id);
	put_mailboxes(w, i);
	record_put_int(w, "commands", i->commands);
	record_put_int(w, "refused", i->refused);
	record_put_int(w, "fetched", i->fetched);
	record_put_int(w, "fetched_octets", i->fetched_octets);
	record_put_int(w, "stored", i->stored);
	record_put_int(w, "copied", i->copied);
	record_put_int(w, "moved", i->moved);
	record_put_int(w, "expunged", i->expunged);
	record_put_int(w, "appended", i->appended);
	record_put_int(w, "appended_octets", i->appended_octets);
	record_put_int(w, "searched", i->searched);
	record_put_int(w, "idle_ms", i->idle_ms);
	close_session(w);
	record_upstream(w, s);
	record_close(w, sink, arg);
}

/* ---- commands ---- */

void
record_retrieval_command(const struct record_session *s, const struct record_retrieval *r,
    unsigned tx_id, record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(s, s->app_proto, tx_id);

	json_open_object(w, s->app_proto);
	record_put_if(w, "tag", r->tag);
	record_put_text(w, "command", r->command);
	record_put_if(w, "user", r->user);
	if (r->status != NULL)
		record_put(w, "status", r->status);
	json_close_object(w);
	record_upstream(w, s);
	record_put_verdict(w, r->verdict);
	record_close(w, sink, arg);
}
