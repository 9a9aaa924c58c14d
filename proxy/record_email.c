#include "record_email.h"

#include <stdio.h>

#include "record_json.h"

/* Shares of the octets of the object: four lists of addresses, URLs and attachments get one each.
 */
#define SHARE_LIST    16
#define SHARE_PARTS   2
#define SHARE_MEMBERS 32

#define ANOMALIES_SHOWN 20 /* of one part */

/* ---- lists within a bound ---- */

struct list {
	struct json_writer *w;
	const char *key;
	struct json_mark start, item;
	size_t room; /* octets of JSON that may still come */
	size_t shown;
	uint64_t left_out;
};

static struct list
open_list(struct json_writer *w, const char *key, size_t room)
{
	struct list l = {.w = w, .key = key, .start = json_mark(w), .room = room};

	json_open_list(w, key);
	return l;
}

/* True: the caller writes an item, then calls end_item(). */
static bool
begin_item(struct list *l)
{
	/* what follows one that was left out is left out, so that a list is a beginning */
	if (l->left_out > 0) {
		l->left_out++;
		return false;
	}
	l->item = json_mark(l->w);
	return true;
}

static void
end_item(struct list *l)
{
	/* with a comma, also of the first one */
	size_t n = l->w->out->n - l->item.n + l->item.first;

	if (l->w->out->failed || n > l->room) {
		json_back(l->w, l->item);
		l->left_out++;
		return;
	}
	l->room -= n;
	l->shown++;
}

static void
add_text(struct list *l, struct span text)
{
	if (!begin_item(l))
		return;
	record_put_item(l->w, text);
	end_item(l);
}

static void
put_left_out(struct json_writer *w, const char *key, uint64_t n)
{
	char name[64];

	if (n == 0)
		return;
	snprintf(name, sizeof(name), "%s_left_out", key);
	record_put_int(w, name, n);
}

/* A list that is empty is left away. */
static void
close_list(struct list *l)
{
	if (l->shown > 0)
		json_close_list(l->w);
	else
		json_back(l->w, l->start);
	put_left_out(l->w, l->key, l->left_out);
}

static void
put_if_true(struct json_writer *w, const char *key, bool value)
{
	if (value)
		json_truth(w, key, true);
}

static void
put_hex(struct json_writer *w, const char *key, const uint8_t *p, size_t n)
{
	char text[64];

	span_hex(span_of(p, n), text);
	json_text(w, key, span_of(text, 2 * n));
}

static void
put_digests(struct json_writer *w, const struct mail *m, const struct mail_part *p)
{
	const struct mail_options *o = mail_options(m);

	if (!p->has_digests)
		return;
	if (o->sha256)
		put_hex(w, "sha256", p->sha256, sizeof(p->sha256));
	if (o->sha1)
		put_hex(w, "sha1", p->sha1, sizeof(p->sha1));
	if (o->md5)
		put_hex(w, "md5", p->md5, sizeof(p->md5));
	if (p->stop_size != UINT64_MAX)
		record_put_int(w, "stop_size", p->stop_size);
	if (p->has_stop_sha256)
		put_hex(w, "stop_sha256", p->stop_sha256, sizeof(p->stop_sha256));
	if (p->url_safe_size != UINT64_MAX)
		record_put_int(w, "url_safe_size", p->url_safe_size);
	if (p->has_url_safe_sha256)
		put_hex(w, "url_safe_sha256", p->url_safe_sha256, sizeof(p->url_safe_sha256));
}

/* ---- one part ---- */

static void
add_anomaly(struct list *l, const struct mail_anomaly *a)
{
	if (!begin_item(l))
		return;
	json_open_object(l->w, NULL);
	record_put(l->w, "event", mime_anomaly_name(a->what));
	record_put_int(l->w, "offset", a->off);
	if (a->detail != NULL)
		record_put_text(l->w, "detail", span_str(a->detail));
	json_close_object(l->w);
	end_item(l);
}

static void
put_anomalies(struct json_writer *w, const struct mail_part *p, size_t room)
{
	struct list l = open_list(w, "anomalies", room);
	size_t n = p->n_anomalies < ANOMALIES_SHOWN ? p->n_anomalies : ANOMALIES_SHOWN;

	for (size_t i = 0; i < n; i++)
		add_anomaly(&l, &p->anomalies[i]);
	l.left_out += p->n_anomalies - n;
	close_list(&l);
}

static void
add_member(struct list *l, const struct mail_member *m)
{
	if (!begin_item(l))
		return;
	json_open_object(l->w, NULL);
	record_put_text(l->w, "name", m->name);
	if (m->size != UINT64_MAX)
		record_put_int(l->w, "size", m->size);
	put_if_true(l->w, "encrypted", m->encrypted);
	put_if_true(l->w, "folder", m->folder);
	json_close_object(l->w);
	end_item(l);
}

static void
put_members(struct json_writer *w, const struct mail_part *p, size_t room)
{
	struct list l;

	if (p->archive == MAIL_NO_ARCHIVE)
		return;
	l = open_list(w, "members", room);
	for (size_t i = 0; i < p->n_members; i++)
		add_member(&l, &p->members[i]);
	l.left_out += p->members_left_out;
	close_list(&l);
	put_if_true(w, "members_partial", p->archive == MAIL_ARCHIVE_PARTIAL);
}

/* All names, where there is more than the one that is shown anyway. */
static void
put_names(struct json_writer *w, const struct mail_part *p, size_t room)
{
	struct list l = open_list(w, "names", room);
	const bool shown = p->n_names == 1 && span_eq(p->names[0], p->filename);

	for (size_t i = 0; !shown && i < p->n_names; i++)
		add_text(&l, p->names[i]);
	close_list(&l);
}

static void
put_what(struct json_writer *w, const struct mail_part *p)
{
	record_put_text(w, "path", span_str(p->path));
	record_put_if(w, "mime_type", p->type);
	record_put_if(w, "detected_type", p->detected);
	put_if_true(w, "detection_left_out", p->detection_left_out);
	record_put(w, "encoding", mime_encoding_name(p->encoding));
	if (p->encoding == MIME_UNKNOWN_ENCODING)
		record_put_if(w, "encoding_raw", p->encoding_raw);
	record_put_if(w, "charset", p->charset);
	record_put_if(w, "disposition", p->disposition);
	record_put_if(w, "filename", p->filename);
	record_put_if(w, "filename_raw", p->filename_raw);
	record_put_if(w, "content_id", p->content_id);
	record_put_int(w, "size", p->size);
	record_put_int(w, "encoded_size", p->encoded_size);
	record_put_int(w, "lines", p->lines);
}

static void
put_judged(struct json_writer *w, const struct mail_part *p)
{
	put_if_true(w, "attachment", p->attachment);
	put_if_true(w, "generated", p->generated);
	if (p->mismatch != NULL)
		record_put(w, "mismatch", p->mismatch);
	put_if_true(w, "ambiguous", p->ambiguous);
	put_if_true(w, "encrypted", p->encrypted);
	put_if_true(w, "bomb", p->bomb);
}

static void
add_part(struct list *l, const struct mail *m, const struct mail_part *p, size_t room)
{
	struct json_writer *w = l->w;

	if (!begin_item(l))
		return;
	json_open_object(w, NULL);
	put_what(w, p);
	put_digests(w, m, p);
	put_judged(w, p);
	put_names(w, p, room);
	put_members(w, p, room);
	put_anomalies(w, p, room);
	json_close_object(w);
	end_item(l);
}

/* ---- the message ---- */

static const char *
status_of(const struct mail *m, bool top)
{
	if (m == NULL || mail_broken(m))
		return "PARSE_ERROR";
	return mail_finished(m) && !top ? "PARSE_DONE" : "BODY_STARTED";
}

static void
put_addresses(
    struct json_writer *w, const char *key, const struct span *each, size_t n, size_t room)
{
	struct list l = open_list(w, key, room);

	for (size_t i = 0; i < n; i++)
		add_text(&l, each[i]);
	close_list(&l);
}

static void
put_header(struct json_writer *w, const struct mail *m, size_t room)
{
	const struct mail_header *h = mail_header(m);

	record_put_if(w, "from", h->from);
	put_addresses(w, "to", h->to, h->n_to, room);
	put_addresses(w, "cc", h->cc, h->n_cc, room);
	put_addresses(w, "bcc", h->bcc, h->n_bcc, room);
	put_addresses(w, "reply_to", h->reply_to, h->n_reply_to, room);
	put_left_out(w, "addresses", h->addresses_left_out);
	record_put_if(w, "subject", h->subject);
	record_put_if(w, "date", h->date);
	record_put_if(w, "message_id", h->message_id);
	record_put_if(w, "x_mailer", h->x_mailer);
	record_put_int(w, "received_count", h->received);
}

/* A part 0 that is the file around the message, and none of its attachments. */
static bool
is_outer_file(const struct mail *m, const struct mail_part *p)
{
	return mail_is_file(m) && p->number == 0;
}

/* EVE's list of names; a file without one is there by its place only in parts and fileinfo. */
static void
put_attachments(struct json_writer *w, const struct mail *m, size_t room)
{
	struct list l = open_list(w, "attachment", room);

	for (size_t i = 0; i < mail_parts(m); i++) {
		const struct mail_part *p = mail_part(m, i);
		if (p->attachment && p->filename.n > 0 && !is_outer_file(m, p))
			add_text(&l, p->filename);
	}
	close_list(&l);
}

static void
put_urls(struct json_writer *w, const struct mail *m, size_t room)
{
	struct list l = open_list(w, "url", room);

	for (size_t i = 0; i < mail_urls(m); i++)
		add_text(&l, mail_url(m, i));
	l.left_out += mail_urls_left_out(m);
	close_list(&l);
}

static void
put_parts(struct json_writer *w, const struct mail *m, size_t octets)
{
	struct list l = open_list(w, "parts", octets / SHARE_PARTS);

	for (size_t i = 0; i < mail_parts(m); i++)
		add_part(&l, m, mail_part(m, i), octets / SHARE_MEMBERS);
	l.left_out += mail_parts_left_out(m);
	close_list(&l);
	put_left_out(w, "anomalies", mail_anomalies_left_out(m));
}

/* Attachments; *shown: those of them that get a record of their own. */
static size_t
count_files(const struct mail *m, size_t *shown)
{
	size_t n = 0;

	for (size_t i = 0; i < mail_parts(m); i++)
		n += mail_part(m, i)->attachment;
	*shown = n < RECORD_FILES_MAX ? n : RECORD_FILES_MAX;
	return n;
}

static void
put_message(struct json_writer *w, const struct mail *m, size_t octets)
{
	size_t files, shown;

	put_header(w, m, octets / SHARE_LIST);
	put_attachments(w, m, octets / SHARE_LIST);
	put_urls(w, m, octets / SHARE_LIST);
	put_parts(w, m, octets);
	files = count_files(m, &shown);
	put_left_out(w, "fileinfo", files - shown);
}

void
record_email(struct json_writer *w, const struct mail *m, size_t octets, bool top)
{
	json_open_object(w, "email");
	record_put(w, "status", status_of(m, top));
	if (m != NULL)
		put_message(w, m, octets);
	json_close_object(w);
}

/* ---- fileinfo ---- */

static void
put_file(struct json_writer *w, const struct mail *m, const struct mail_part *p,
    const struct record_about *a)
{
	const bool whole = mail_finished(m) && !mail_broken(m) && !a->top,
		   outer = is_outer_file(m, p);

	record_put_text(w, "filename", p->filename);
	record_put_text(w, "path", span_str(p->path));
	record_put_if(w, "mimetype", p->detected.n > 0 ? p->detected : p->type);
	json_truth(w, "gaps", false);
	record_put(w, "state", whole ? "CLOSED" : "TRUNCATED");
	put_digests(w, m, p);
	if (p->mismatch != NULL)
		record_put(w, "mismatch", p->mismatch);
	json_truth(w, "stored", p->stored);
	record_put_int(w, "size", outer ? mail_size(m) : p->size);
	if (outer && a->start > 0)
		record_put_int(w, "start", a->start);
	record_put_int(w, "tx_id", a->tx_id);
}

void
record_beside(struct json_writer *w, const struct record_about *a)
{
	if (a->beside == NULL)
		return;
	json_open_object(w, a->key);
	a->beside(w, a->what);
	json_close_object(w);
}

void
record_files(const struct mail *m, const struct record_about *a, record_sink *sink, void *arg)
{
	size_t n = 0;

	for (size_t i = 0; m != NULL && i < mail_parts(m) && n < RECORD_FILES_MAX; i++) {
		const struct mail_part *p = mail_part(m, i);
		struct json_writer *w;

		if (!p->attachment)
			continue;
		n++;
		w = record_open(a->session, "fileinfo", a->tx_id);
		json_open_object(w, "fileinfo");
		put_file(w, m, p, a);
		json_close_object(w);
		record_beside(w, a);
		record_upstream(w, a->session);
		record_close(w, sink, arg);
	}
}
