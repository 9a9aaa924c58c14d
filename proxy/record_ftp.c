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
	return r->secret && !reply->plain && reply->source == RECORD_SERVER && reply->code >= 500 &&
	       reply->code <= 504;
}

/* False: it was cut. */
static bool
add_reply(struct json_writer *w, const struct record_ftp *r, const struct record_ftp_reply *reply)
{
	uint8_t room[RECORD_TEXT_MAX];
	struct buf out = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
	bool whole = true;

	if (!may_quote(r, reply))
		whole = join_lines(reply, &out);
	json_text(w, NULL, buf_span(&out));
	return whole;
}

static void
add_code(struct json_writer *w, unsigned code)
{
	char text[16];

	snprintf(text, sizeof(text), "%03u", code);
	record_put(w, NULL, text);
}

/* EVE's two lists, and a third one that says whose replies they are. */
static void
put_replies(struct json_writer *w, const struct record_ftp *r)
{
	size_t n = r->n_replies < RECORD_FTP_REPLIES_MAX ? r->n_replies : RECORD_FTP_REPLIES_MAX;
	bool whole = true;

	json_open_list(w, "reply");
	for (size_t i = 0; i < n; i++)
		whole = add_reply(w, r, &r->replies[i]) && whole;
	json_close_list(w);
	json_open_list(w, "completion_code");
	for (size_t i = 0; i < n; i++)
		add_code(w, r->replies[i].code);
	json_close_list(w);
	json_open_list(w, "reply_source");
	for (size_t i = 0; i < n; i++)
		record_put(w, NULL, r->replies[i].source == RECORD_SERVER ? "server" : "gateway");
	json_close_list(w);
	if (!whole)
		record_put_cut(w, "reply");
	if (n < r->n_replies)
		record_put_int(w, "reply_left_out", r->n_replies - n);
}

static void
put_ftp(struct json_writer *w, const struct record_ftp *r)
{
	json_open_object(w, "ftp");
	if (r->command != NULL)
		record_put_text(w, "command", span_str(r->command));
	if (!r->secret)
		record_put_if(w, "command_data", r->args);
	if (r->n_replies > 0)
		put_replies(w, r);
	record_put(w, "reply_received", r->n_replies > 0 ? "yes" : "no");
	if (r->dynamic_port != 0) {
		record_put_int(w, "dynamic_port", r->dynamic_port);
		record_put(w, "mode", r->passive ? "passive" : "active");
	}
	record_put_if(w, "user", r->user);
	record_put_if(w, "directory", r->directory);
	record_put_if(w, "path", r->path);
	json_close_object(w);
}

void
record_ftp(const struct record_session *s, const struct record_ftp *r, unsigned tx_id,
    record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(s, "ftp", tx_id);

	put_ftp(w, r);
	record_upstream(w, s);
	record_put_verdict(w, r->verdict);
	record_close(w, sink, arg);
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

static void
put_leg_tls(struct json_writer *w, const struct data_tls *tls)
{
	if (tls->version == NULL)
		return;
	json_open_object(w, "tls");
	record_put(w, "version", tls->version);
	json_truth(w, "session_resumed", tls->resumed);
	json_close_object(w);
}

/* One data connection, from who made it to who waited. */
static void
put_leg(struct json_writer *w, const struct record_ftp_data *d, enum data_leg leg)
{
	static const char *const keys[] = {[DATA_CLIENT] = "client", [DATA_SERVER] = "server"};
	const struct endpoint *ends = d->legs[leg];
	bool passive = leg == DATA_CLIENT ? d->client_passive : d->server_passive;
	bool peer_connects = passive == (leg == DATA_CLIENT);

	json_open_object(w, keys[leg]);
	record_put(w, "mode", passive ? "passive" : "active");
	put_leg_tls(w, &d->tls[leg]);
	if (ends[0].ip.family != IP_NONE)
		record_put_leg(w, &ends[peer_connects ? 0 : 1], &ends[peer_connects ? 1 : 0]);
	json_close_object(w);
}

static void
put_legs(struct json_writer *w, const struct record_ftp_data *d)
{
	put_leg(w, d, DATA_CLIENT);
	if (!d->let_by && !d->direct)
		put_leg(w, d, DATA_SERVER);
}

static uint64_t
per_second(uint64_t octets, uint64_t ms)
{
	return octets > UINT64_MAX / 1000 ? octets / ms * 1000 : octets * 1000 / ms;
}

static void
put_amounts(struct json_writer *w, const struct record_ftp_data *d)
{
	if (d->offset > 0)
		record_put_int(w, "offset", d->offset);
	record_put_int(w, "octets_in", d->octets_in);
	record_put_int(w, "octets_out", d->octets_out);
	record_put_int(w, "duration_ms", d->duration_ms);
	/* of what the kernel counts nobody knows when its last octet went by */
	if (d->duration_ms > 0 && !d->let_by)
		record_put_int(w, "rate", per_second(d->octets_out, d->duration_ms));
}

/* What EVE has, and the full path: also beside "fileinfo". */
static void
put_transferred(struct json_writer *w, const void *transfer)
{
	const struct record_ftp_data *d = transfer;

	record_put(w, "command", d->command);
	record_put_if(w, "filename", d->filename);
	record_put_if(w, "path", d->path);
	if (d->path_cut)
		record_put_cut(w, "path");
}

static void
put_whole_transfer(struct json_writer *w, const struct record_ftp_data *d)
{
	json_open_object(w, "ftp_data");
	put_transferred(w, d);
	record_put_if(w, "user", d->user);
	record_put(w, "direction", d->dir == AN_C2S ? "upload" : "download");
	if (d->type != NULL)
		record_put(w, "type", d->type);
	put_legs(w, d);
	if (d->let_by)
		json_truth(w, "let_by", true);
	put_amounts(w, d);
	record_put(w, "outcome", d->outcome);
	if (d->deleted)
		json_truth(w, "deleted", true);
	if (d->kept != NULL)
		record_put(w, "kept", d->kept);
	if (d->reason != NULL)
		record_put(w, "reason", d->reason);
	if (d->code != 0)
		record_put_int(w, "code", d->code);
	json_close_object(w);
}

/* Of a file that nobody looked into: what is known by counting. */
static void
write_file(
    const struct record_about *about, const struct record_ftp_data *d, record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(about->session, "fileinfo", about->tx_id);

	json_open_object(w, "fileinfo");
	record_put_text(w, "filename", d->filename);
	json_truth(w, "gaps", false);
	record_put(w, "state", is_complete(d) ? "CLOSED" : "TRUNCATED");
	json_truth(w, "stored", false);
	record_put_int(w, "size", d->octets_in);
	if (about->start > 0)
		record_put_int(w, "start", about->start);
	record_put_int(w, "tx_id", about->tx_id);
	json_close_object(w);
	record_beside(w, about);
	record_upstream(w, about->session);
	record_close(w, sink, arg);
}

void
record_ftp_data(const struct record_session *s, const struct record_ftp_data *d, unsigned tx_id,
    record_sink *sink, void *arg)
{
	struct record_session session = *s;
	const struct record_about about = {.session = &session,
	    .tx_id = tx_id,
	    .start = d->offset,
	    .key = "ftp_data",
	    .beside = put_transferred,
	    .what = d};
	struct json_writer *w;

	session.app_proto = "ftp-data"; /* EVE's word */
	w = record_open(&session, "ftp_data", tx_id);
	put_whole_transfer(w, d);
	if (d->content != NULL && mail_is_message(d->content))
		record_email(w, d->content, RECORD_EMAIL_MAX, false);
	record_upstream(w, &session);
	record_put_verdict(w, d->verdict);
	record_close(w, sink, arg);
	if (!has_flowed(d))
		return;
	if (d->content != NULL)
		record_files(d->content, &about, sink, arg);
	else
		write_file(&about, d, sink, arg);
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

	record_now(&now);
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
