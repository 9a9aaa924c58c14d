#include <stdio.h>

#include "data.h"
#include "printable.h"
#include "record_email.h"
#include "record_json.h"

/* ---- commands ---- */

/* What a line of a reply says, without "230-" or "230 ". */
static struct span
line_text(struct span line, unsigned code)
{
	char start[16];

	snprintf(start, sizeof(start), "%u", code);
	if (span_starts(line, span_str(start)) &&
	    (line.n == 3 || line.p[3] == ' ' || line.p[3] == '-'))
		line = span_from(line, 4);
	return span_trim(line);
}

/* All lines as one text, " / " between them. False: it was cut. */
static bool
join_lines(const struct record_ftp_reply *reply, struct buf *out)
{
	struct span rest = reply->text;
	bool whole = true;

	while (whole && rest.n > 0) {
		struct span line = line_text(record_take_line(&rest), reply->code);

		if (line.n == 0)
			continue;
		if (out->n > 0)
			whole = buf_str(out, " / ");
		whole = whole && printable(line, RECORD_TEXT_MAX - out->n, out);
	}
	return whole;
}

/* Servers quote lines that they do not understand: then a secret stands in the reply. */
static bool
may_quote(const struct record_ftp *r, const struct record_ftp_reply *reply)
{
	return r->secret && reply->source == RECORD_SERVER && reply->code >= 500 &&
	       reply->code <= 504;
}

/* False: it was cut. */
static bool
add_reply(json_t *texts, const struct record_ftp *r, const struct record_ftp_reply *reply)
{
	struct buf out;
	bool whole = true;

	buf_init(&out, RECORD_TEXT_MAX);
	if (!may_quote(r, reply))
		whole = join_lines(reply, &out);
	json_array_append_new(
	    texts, json_stringn_nocheck(out.n == 0 ? "" : (const char *)out.p, out.n));
	buf_free(&out);
	return whole;
}

static void
add_code(json_t *codes, unsigned code)
{
	char text[16];

	snprintf(text, sizeof(text), "%03u", code);
	json_array_append_new(codes, json_string(text));
}

/* EVE's two lists, and a third one that says whose replies they are. */
static void
put_replies(json_t *ftp, const struct record_ftp *r)
{
	json_t *texts = json_array(), *codes = json_array(), *sources = json_array();
	size_t n = r->n_replies < RECORD_FTP_REPLIES_MAX ? r->n_replies : RECORD_FTP_REPLIES_MAX;
	bool whole = true;

	for (size_t i = 0; i < n; i++) {
		whole = add_reply(texts, r, &r->replies[i]) && whole;
		add_code(codes, r->replies[i].code);
		json_array_append_new(sources,
		    json_string(r->replies[i].source == RECORD_SERVER ? "server" : "gateway"));
	}
	json_object_set_new_nocheck(ftp, "reply", texts);
	json_object_set_new_nocheck(ftp, "completion_code", codes);
	json_object_set_new_nocheck(ftp, "reply_source", sources);
	if (!whole)
		record_put_cut(ftp, "reply");
	if (n < r->n_replies)
		record_put_int(ftp, "reply_left_out", r->n_replies - n);
}

void
record_ftp(const struct record_session *s, const struct record_ftp *r, unsigned tx_id,
    record_sink *sink, void *arg)
{
	json_t *record = record_open(s, "ftp", tx_id);
	json_t *ftp = record_put_object(record, "ftp");

	if (r->command != NULL)
		record_put_text(ftp, "command", span_str(r->command));
	if (!r->secret)
		record_put_if(ftp, "command_data", r->args);
	if (r->n_replies > 0)
		put_replies(ftp, r);
	record_put(ftp, "reply_received", r->n_replies > 0 ? "yes" : "no");
	if (r->dynamic_port != 0) {
		record_put_int(ftp, "dynamic_port", r->dynamic_port);
		record_put(ftp, "mode", r->passive ? "passive" : "active");
	}
	record_put_if(ftp, "user", r->user);
	record_put_if(ftp, "directory", r->directory);
	record_put_if(ftp, "path", r->path);
	record_upstream(record, s);
	record_put_verdict(record, r->verdict);
	record_close(record, sink, arg);
}

/* ---- transfers ---- */

static bool
is_file(const struct record_ftp_data *d)
{
	static const char *const listings[] = {"LIST", "NLST", "MLSD"};

	for (size_t i = 0; i < sizeof(listings) / sizeof(listings[0]); i++)
		if (strcmp(d->command, listings[i]) == 0)
			return false;
	return true;
}

static bool
is_complete(const struct record_ftp_data *d)
{
	return strcmp(d->outcome, "complete") == 0;
}

/* There was a file, or a piece of one, whose octets are counted. */
static bool
has_flowed(const struct record_ftp_data *d)
{
	return is_file(d) && !d->let_by && (d->octets_in > 0 || is_complete(d));
}

/* One data connection, from who made it to who waited. */
static void
put_leg(
    json_t *data, const char *key, const struct endpoint ends[2], bool peer_connects, bool passive)
{
	json_t *leg = record_put_object(data, key);

	record_put(leg, "mode", passive ? "passive" : "active");
	if (ends[0].ip.family != IP_NONE)
		record_put_leg(leg, &ends[peer_connects ? 0 : 1], &ends[peer_connects ? 1 : 0]);
}

static void
put_legs(json_t *data, const struct record_ftp_data *d)
{
	put_leg(data, "client", d->legs[DATA_CLIENT], d->client_passive, d->client_passive);
	if (!d->let_by)
		put_leg(
		    data, "server", d->legs[DATA_SERVER], !d->server_passive, d->server_passive);
}

static uint64_t
per_second(uint64_t octets, uint64_t ms)
{
	return octets > UINT64_MAX / 1000 ? octets / ms * 1000 : octets * 1000 / ms;
}

static void
put_amounts(json_t *data, const struct record_ftp_data *d)
{
	if (d->offset > 0)
		record_put_int(data, "offset", d->offset);
	record_put_int(data, "octets_in", d->octets_in);
	record_put_int(data, "octets_out", d->octets_out);
	record_put_int(data, "duration_ms", d->duration_ms);
	if (d->duration_ms > 0)
		record_put_int(data, "rate", per_second(d->octets_out, d->duration_ms));
}

/* What EVE has, and the full path: also beside "fileinfo". */
static json_t *
what_was_transferred(const struct record_ftp_data *d)
{
	json_t *data = json_object();

	record_put(data, "command", d->command);
	record_put_if(data, "filename", d->filename);
	record_put_if(data, "path", d->path);
	if (d->path_cut)
		record_put_cut(data, "path");
	return data;
}

static json_t *
whole_transfer(const struct record_ftp_data *d)
{
	json_t *data = what_was_transferred(d);

	record_put_if(data, "user", d->user);
	record_put(data, "direction", d->dir == AN_C2S ? "upload" : "download");
	if (d->type != NULL)
		record_put(data, "type", d->type);
	put_legs(data, d);
	if (d->let_by)
		record_put_bool(data, "let_by", true);
	put_amounts(data, d);
	record_put(data, "outcome", d->outcome);
	if (d->deleted)
		record_put_bool(data, "deleted", true);
	if (d->kept != NULL)
		record_put(data, "kept", d->kept);
	if (d->reason != NULL)
		record_put(data, "reason", d->reason);
	if (d->code != 0)
		record_put_int(data, "code", d->code);
	return data;
}

/* Of a file that nobody looked into: what is known by counting. */
static void
write_file(
    const struct record_about *about, const struct record_ftp_data *d, record_sink *sink, void *arg)
{
	json_t *record = record_open(about->session, "fileinfo", about->tx_id);
	json_t *info = record_put_object(record, "fileinfo");

	record_put_text(info, "filename", d->filename);
	record_put_bool(info, "gaps", false);
	record_put(info, "state", is_complete(d) ? "CLOSED" : "TRUNCATED");
	record_put_bool(info, "stored", false);
	record_put_int(info, "size", d->octets_in);
	if (about->start > 0)
		record_put_int(info, "start", about->start);
	record_put_int(info, "tx_id", about->tx_id);
	json_object_set_nocheck(record, about->key, about->beside);
	record_upstream(record, about->session);
	record_close(record, sink, arg);
}

void
record_ftp_data(const struct record_session *s, const struct record_ftp_data *d, unsigned tx_id,
    record_sink *sink, void *arg)
{
	struct record_session session = *s;
	struct record_about about = {
	    .session = &session, .tx_id = tx_id, .start = d->offset, .key = "ftp_data"};
	json_t *record;

	session.app_proto = "ftp-data"; /* EVE's word */
	record = record_open(&session, "ftp_data", tx_id);
	json_object_set_new_nocheck(record, "ftp_data", whole_transfer(d));
	if (d->content != NULL && mail_is_message(d->content))
		json_object_set_new_nocheck(
		    record, "email", record_email(d->content, RECORD_EMAIL_MAX));
	record_upstream(record, &session);
	record_put_verdict(record, d->verdict);
	record_close(record, sink, arg);
	if (!has_flowed(d))
		return;
	about.beside = what_was_transferred(d);
	if (d->content != NULL)
		record_files(d->content, &about, sink, arg);
	else
		write_file(&about, d, sink, arg);
	json_decref(about.beside);
}

/* ---- xferlog ---- */

/* One word: what is between two blanks can be neither empty nor have blanks in it. */
static void
add_word(struct buf *line, struct span text)
{
	size_t at = line->n;

	printable(text, RECORD_TEXT_MAX, line);
	for (size_t i = at; i < line->n; i++)
		if (line->p[i] == ' ')
			line->p[i] = '_';
	if (line->n == at)
		buf_str(line, "?");
}

static bool
is_anonymous(struct span user)
{
	return span_ieq(user, span_str("anonymous")) || span_ieq(user, span_str("ftp"));
}

/* "Fri Nov 27 05:07:09 2026", of the end of the transfer; UTC, as all times. */
static void
add_time(struct buf *line)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct timeval now;
	struct record_date d;
	char text[64];

	gettimeofday(&now, NULL);
	d = record_date_of(&now);
	snprintf(text, sizeof(text), "%s %s %2u %02u:%02u:%02u %d", days[d.weekday],
	    months[d.month - 1], d.day, d.hour, d.minute, d.second, d.year);
	buf_str(line, text);
}

void
record_xferlog(
    const struct record_session *s, const struct record_ftp_data *d, record_sink *sink, void *arg)
{
	const bool ascii = d->type != NULL && d->type[0] == 'A';
	char ip[IP_TEXT_MAX], text[IP_TEXT_MAX + 96];
	struct buf line;

	if (!has_flowed(d) && !(d->let_by && is_file(d)))
		return;
	buf_init(&line, RECORD_XFERLOG_MAX);
	buf_str(&line, RECORD_XFERLOG_START);
	add_time(&line);
	snprintf(text, sizeof(text), " %ju %s %ju ", (uintmax_t)(d->duration_ms / 1000),
	    ip_text(&s->client.ip, ip), (uintmax_t)d->octets_out);
	buf_str(&line, text);
	add_word(&line, d->path);
	snprintf(text, sizeof(text), " %c _ %c %c ", ascii ? 'a' : 'b',
	    d->dir == AN_C2S ? 'i' : 'o', is_anonymous(d->user) ? 'a' : 'r');
	buf_str(&line, text);
	add_word(&line, d->user);
	buf_str(&line, is_complete(d) ? " ftp 0 * c\n" : " ftp 0 * i\n");
	if (!line.failed)
		sink(arg, (const char *)line.p, line.n);
	buf_free(&line);
}
