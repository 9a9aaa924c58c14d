/*
 * Records of POP3 and IMAP: messages that were fetched or stored, commands, and what a session did.
 */
#include "record_email.h"
#include "record_json.h"

static void
put_if_any(json_t *object, const char *key, uint64_t value)
{
	if (value > 0)
		record_put_int(object, key, value);
}

/* ---- messages ---- */

/* Which message, or part of one; also beside "fileinfo". */
static json_t *
what_was_fetched(const struct record_fetched *f)
{
	json_t *message = json_object();

	record_put(message, "command", f->command);
	record_put_if(message, "mailbox", f->mailbox);
	put_if_any(message, "number", f->number);
	put_if_any(message, "uid", f->uid);
	record_put_if(message, "section", f->section);
	return message;
}

static json_t *
whole_fetch(const struct record_fetched *f)
{
	json_t *message = what_was_fetched(f);

	record_put_if(message, "user", f->user);
	record_put_int(message, "octets", f->octets);
	record_put(message, "outcome", f->outcome);
	if (f->partial)
		record_put_bool(message, "partial", true);
	return message;
}

/* Of a beginning all that came was judged, and still it is no message that came to its end. */
static json_t *
email_of(const struct record_fetched *f, bool top)
{
	json_t *email = record_email(f->mail, RECORD_EMAIL_MAX);

	if (top && f->mail != NULL && !mail_broken(f->mail))
		record_put(email, "status", "BODY_STARTED");
	return email;
}

void
record_fetched(const struct record_session *s, const struct record_fetched *f, unsigned tx_id,
    record_sink *sink, void *arg)
{
	const bool top = strcmp(f->outcome, "partial") == 0;
	struct record_about about = {.session = s, .tx_id = tx_id, .top = top, .key = "message"};
	json_t *record = record_open(s, "email", tx_id);

	json_object_set_new_nocheck(record, "message", whole_fetch(f));
	if (!f->unseen)
		json_object_set_new_nocheck(record, "email", email_of(f, top));
	record_upstream(record, s);
	record_put_verdict(record, f->verdict);
	record_close(record, sink, arg);
	about.beside = what_was_fetched(f);
	record_files(f->mail, &about, sink, arg);
	json_decref(about.beside);
}

/* ---- sessions ---- */

static void
put_login(json_t *object, struct span user, const char *mechanism, bool logged_in)
{
	record_put_if(object, "user", user);
	if (mechanism != NULL)
		record_put_text(object, "mechanism", span_str(mechanism));
	record_put_bool(object, "logged_in", logged_in);
}

void
record_pop3(
    const struct record_session *s, const struct record_pop3 *p, record_sink *sink, void *arg)
{
	json_t *record = record_open(s, "pop3", RECORD_NO_TX);
	json_t *session = record_put_object(record_put_object(record, "pop3"), "session");

	put_login(session, p->user, p->mechanism, p->logged_in);
	record_put_int(session, "commands", p->commands);
	record_put_int(session, "refused", p->refused);
	record_put_int(session, "listed", p->listed);
	record_put_int(session, "listed_octets", p->listed_octets);
	record_put_int(session, "retrieved", p->retrieved);
	record_put_int(session, "retrieved_octets", p->retrieved_octets);
	record_put_int(session, "tops", p->tops);
	record_put_int(session, "deleted", p->deleted);
	record_put_bool(session, "update", p->update);
	if (p->mode != NULL)
		record_put(session, "mode", p->mode);
	record_upstream(record, s);
	record_close(record, sink, arg);
}

static void
put_mailboxes(json_t *session, const struct record_imap *i)
{
	size_t n = i->n_mailboxes < RECORD_MAILBOXES_MAX ? i->n_mailboxes : RECORD_MAILBOXES_MAX;
	json_t *list = json_array();
	bool whole = true;

	for (size_t k = 0; k < n; k++)
		json_array_append_new(list, record_text(i->mailboxes[k], &whole));
	json_object_set_new_nocheck(session, "mailboxes", list);
	if (!whole)
		record_put_cut(session, "mailboxes");
	put_if_any(session, "mailboxes_left_out", i->mailboxes_left_out + (i->n_mailboxes - n));
}

void
record_imap(
    const struct record_session *s, const struct record_imap *i, record_sink *sink, void *arg)
{
	json_t *record = record_open(s, "imap", RECORD_NO_TX);
	json_t *session = record_put_object(record_put_object(record, "imap"), "session");

	put_login(session, i->user, i->mechanism, i->logged_in);
	if (i->preauth)
		record_put_bool(session, "preauth", true);
	record_put_if(session, "client_id", i->client_id);
	record_put_if(session, "server_id", i->server_id);
	put_mailboxes(session, i);
	record_put_int(session, "commands", i->commands);
	record_put_int(session, "refused", i->refused);
	record_put_int(session, "fetched", i->fetched);
	record_put_int(session, "fetched_octets", i->fetched_octets);
	record_put_int(session, "stored", i->stored);
	record_put_int(session, "copied", i->copied);
	record_put_int(session, "moved", i->moved);
	record_put_int(session, "expunged", i->expunged);
	record_put_int(session, "appended", i->appended);
	record_put_int(session, "appended_octets", i->appended_octets);
	record_put_int(session, "searched", i->searched);
	record_put_int(session, "idle_ms", i->idle_ms);
	record_upstream(record, s);
	record_close(record, sink, arg);
}

/* ---- commands ---- */

void
record_retrieval_command(const struct record_session *s, const struct record_retrieval *r,
    unsigned tx_id, record_sink *sink, void *arg)
{
	json_t *record = record_open(s, s->app_proto, tx_id);
	json_t *object = record_put_object(record, s->app_proto);

	record_put_if(object, "tag", r->tag);
	record_put_text(object, "command", r->command);
	record_put_if(object, "user", r->user);
	if (r->status != NULL)
		record_put(object, "status", r->status);
	record_upstream(record, s);
	record_put_verdict(record, r->verdict);
	record_close(record, sink, arg);
}
