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
	json_t *array;
	size_t room; /* octets of JSON that may still come */
	uint64_t left_out;
};

static struct list
list_of(size_t room)
{
	return (struct list){json_array(), room, 0};
}

/* Takes the item over. */
static void
list_add(struct list *l, json_t *item)
{
	size_t n = json_dumpb(item, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) + 1;

	/* what follows one that was left out is left out, so that a list is a beginning */
	if (item == NULL || l->left_out > 0 || n > l->room) {
		l->left_out++;
		json_decref(item);
		return;
	}
	l->room -= n;
	json_array_append_new(l->array, item);
}

static json_t *
text_item(struct span text)
{
	bool whole;

	return record_text(text, &whole);
}

static void
put_left_out(json_t *object, const char *key, uint64_t n)
{
	char name[64];

	if (n == 0)
		return;
	snprintf(name, sizeof(name), "%s_left_out", key);
	record_put_int(object, name, n);
}

/* A list that is empty is left away. */
static void
put_list(json_t *object, const char *key, struct list *l)
{
	if (json_array_size(l->array) > 0)
		json_object_set_new_nocheck(object, key, l->array);
	else
		json_decref(l->array);
	put_left_out(object, key, l->left_out);
}

static void
put_if_true(json_t *object, const char *key, bool value)
{
	if (value)
		record_put_bool(object, key, true);
}

static void
put_hex(json_t *object, const char *key, const uint8_t *p, size_t n)
{
	char text[65];

	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	record_put(object, key, text);
}

static void
put_digests(json_t *object, const struct mail *m, const struct mail_part *p)
{
	const struct mail_options *o = mail_options(m);

	if (!p->has_digests)
		return;
	if (o->sha256)
		put_hex(object, "sha256", p->sha256, sizeof(p->sha256));
	if (o->sha1)
		put_hex(object, "sha1", p->sha1, sizeof(p->sha1));
	if (o->md5)
		put_hex(object, "md5", p->md5, sizeof(p->md5));
	if (p->stop_size != UINT64_MAX)
		record_put_int(object, "stop_size", p->stop_size);
	if (p->has_stop_sha256)
		put_hex(object, "stop_sha256", p->stop_sha256, sizeof(p->stop_sha256));
	if (p->url_safe_size != UINT64_MAX)
		record_put_int(object, "url_safe_size", p->url_safe_size);
	if (p->has_url_safe_sha256)
		put_hex(object, "url_safe_sha256", p->url_safe_sha256, sizeof(p->url_safe_sha256));
}

/* ---- one part ---- */

static json_t *
anomaly_item(const struct mail_anomaly *a)
{
	json_t *item = json_object();

	record_put(item, "event", mime_anomaly_name(a->what));
	record_put_int(item, "offset", a->off);
	if (a->detail != NULL)
		record_put_text(item, "detail", span_str(a->detail));
	return item;
}

static void
put_anomalies(json_t *object, const struct mail_part *p, size_t room)
{
	struct list l = list_of(room);

	for (size_t i = 0; i < p->n_anomalies; i++)
		list_add(&l, i < ANOMALIES_SHOWN ? anomaly_item(&p->anomalies[i]) : NULL);
	put_list(object, "anomalies", &l);
}

static json_t *
member_item(const struct mail_member *m)
{
	json_t *item = json_object();

	record_put_text(item, "name", m->name);
	if (m->size != UINT64_MAX)
		record_put_int(item, "size", m->size);
	put_if_true(item, "encrypted", m->encrypted);
	put_if_true(item, "folder", m->folder);
	return item;
}

static void
put_members(json_t *object, const struct mail_part *p, size_t room)
{
	struct list l = list_of(room);

	if (p->archive == MAIL_NO_ARCHIVE) {
		json_decref(l.array);
		return;
	}
	for (size_t i = 0; i < p->n_members; i++)
		list_add(&l, member_item(&p->members[i]));
	l.left_out += p->members_left_out;
	put_list(object, "members", &l);
	put_if_true(object, "members_partial", p->archive == MAIL_ARCHIVE_PARTIAL);
}

/* All names, where there is more than the one that is shown anyway. */
static void
put_names(json_t *object, const struct mail_part *p, size_t room)
{
	struct list l = list_of(room);
	const bool shown = p->n_names == 1 && span_eq(p->names[0], p->filename);

	for (size_t i = 0; !shown && i < p->n_names; i++)
		list_add(&l, text_item(p->names[i]));
	put_list(object, "names", &l);
}

static void
put_what(json_t *object, const struct mail_part *p)
{
	record_put(object, "path", p->path);
	record_put_if(object, "mime_type", p->type);
	record_put_if(object, "detected_type", p->detected);
	put_if_true(object, "detection_left_out", p->detection_left_out);
	record_put(object, "encoding", mime_encoding_name(p->encoding));
	if (p->encoding == MIME_UNKNOWN_ENCODING)
		record_put_if(object, "encoding_raw", p->encoding_raw);
	record_put_if(object, "charset", p->charset);
	record_put_if(object, "disposition", p->disposition);
	record_put_if(object, "filename", p->filename);
	record_put_if(object, "filename_raw", p->filename_raw);
	record_put_if(object, "content_id", p->content_id);
	record_put_int(object, "size", p->size);
	record_put_int(object, "encoded_size", p->encoded_size);
	record_put_int(object, "lines", p->lines);
}

static void
put_judged(json_t *object, const struct mail_part *p)
{
	put_if_true(object, "attachment", p->attachment);
	put_if_true(object, "generated", p->generated);
	if (p->mismatch != NULL)
		record_put(object, "mismatch", p->mismatch);
	put_if_true(object, "ambiguous", p->ambiguous);
	put_if_true(object, "encrypted", p->encrypted);
	put_if_true(object, "bomb", p->bomb);
}

static json_t *
part_item(const struct mail *m, const struct mail_part *p, size_t room)
{
	json_t *item = json_object();

	put_what(item, p);
	put_digests(item, m, p);
	put_judged(item, p);
	put_names(item, p, room);
	put_members(item, p, room);
	put_anomalies(item, p, room);
	return item;
}

/* ---- the message ---- */

static const char *
status_of(const struct mail *m)
{
	if (m == NULL || mail_broken(m))
		return "PARSE_ERROR";
	return mail_finished(m) ? "PARSE_DONE" : "BODY_STARTED";
}

static void
put_addresses(json_t *email, const char *key, const struct span *each, size_t n, size_t room)
{
	struct list l = list_of(room);

	for (size_t i = 0; i < n; i++)
		list_add(&l, text_item(each[i]));
	put_list(email, key, &l);
}

static void
put_header(json_t *email, const struct mail *m, size_t room)
{
	const struct mail_header *h = mail_header(m);

	record_put_if(email, "from", h->from);
	put_addresses(email, "to", h->to, h->n_to, room);
	put_addresses(email, "cc", h->cc, h->n_cc, room);
	put_addresses(email, "bcc", h->bcc, h->n_bcc, room);
	put_addresses(email, "reply_to", h->reply_to, h->n_reply_to, room);
	put_left_out(email, "addresses", h->addresses_left_out);
	record_put_if(email, "subject", h->subject);
	record_put_if(email, "date", h->date);
	record_put_if(email, "message_id", h->message_id);
	record_put_if(email, "x_mailer", h->x_mailer);
	record_put_int(email, "received_count", h->received);
}

/* A part 0 that is the file around the message, and none of its attachments. */
static bool
is_outer_file(const struct mail *m, const struct mail_part *p)
{
	return mail_is_file(m) && p->number == 0;
}

/* EVE's list of names; a file without one is there by its place only in parts and fileinfo. */
static void
put_attachments(json_t *email, const struct mail *m, size_t room)
{
	struct list l = list_of(room);

	for (size_t i = 0; i < mail_parts(m); i++) {
		const struct mail_part *p = mail_part(m, i);
		if (p->attachment && p->filename.n > 0 && !is_outer_file(m, p))
			list_add(&l, text_item(p->filename));
	}
	put_list(email, "attachment", &l);
}

static void
put_urls(json_t *email, const struct mail *m, size_t room)
{
	struct list l = list_of(room);

	for (size_t i = 0; i < mail_urls(m); i++)
		list_add(&l, text_item(mail_url(m, i)));
	l.left_out += mail_urls_left_out(m);
	put_list(email, "url", &l);
}

static void
put_parts(json_t *email, const struct mail *m, size_t octets)
{
	struct list l = list_of(octets / SHARE_PARTS);

	for (size_t i = 0; i < mail_parts(m); i++)
		list_add(&l,
		    l.left_out == 0 ? part_item(m, mail_part(m, i), octets / SHARE_MEMBERS) : NULL);
	l.left_out += mail_parts_left_out(m);
	put_list(email, "parts", &l);
	put_left_out(email, "anomalies", mail_anomalies_left_out(m));
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

json_t *
record_email(const struct mail *m, size_t octets)
{
	json_t *email = json_object();
	size_t files, shown;

	record_put(email, "status", status_of(m));
	if (m == NULL)
		return email;
	put_header(email, m, octets / SHARE_LIST);
	put_attachments(email, m, octets / SHARE_LIST);
	put_urls(email, m, octets / SHARE_LIST);
	put_parts(email, m, octets);
	files = count_files(m, &shown);
	put_left_out(email, "fileinfo", files - shown);
	return email;
}

/* ---- fileinfo ---- */

static void
put_file(
    json_t *info, const struct mail *m, const struct mail_part *p, const struct record_about *a)
{
	const bool whole = mail_finished(m) && !mail_broken(m) && !a->top,
		   outer = is_outer_file(m, p);

	record_put_text(info, "filename", p->filename);
	record_put(info, "path", p->path);
	record_put_if(info, "mimetype", p->detected.n > 0 ? p->detected : p->type);
	record_put_bool(info, "gaps", false);
	record_put(info, "state", whole ? "CLOSED" : "TRUNCATED");
	put_digests(info, m, p);
	if (p->mismatch != NULL)
		record_put(info, "mismatch", p->mismatch);
	record_put_bool(info, "stored", false);
	record_put_int(info, "size", outer ? mail_size(m) : p->size);
	if (outer && a->start > 0)
		record_put_int(info, "start", a->start);
	record_put_int(info, "tx_id", a->tx_id);
}

void
record_files(const struct mail *m, const struct record_about *a, record_sink *sink, void *arg)
{
	size_t n = 0;

	for (size_t i = 0; m != NULL && i < mail_parts(m) && n < RECORD_FILES_MAX; i++) {
		const struct mail_part *p = mail_part(m, i);
		json_t *record;

		if (!p->attachment)
			continue;
		n++;
		record = record_open(a->session, "fileinfo", a->tx_id);
		put_file(record_put_object(record, "fileinfo"), m, p, a);
		if (a->beside != NULL)
			json_object_set_nocheck(record, a->key, a->beside);
		record_upstream(record, a->session);
		record_close(record, sink, arg);
	}
}
