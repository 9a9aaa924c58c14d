#include "record_json.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "printable.h"

static void
system_clock(struct timeval *t)
{
	gettimeofday(t, NULL);
}

static record_clock *clock_used = system_clock;

record_clock *
record_use_clock(record_clock *clock)
{
	record_clock *before = clock_used;

	clock_used = clock == NULL ? system_clock : clock;
	return before;
}

void
record_now(struct timeval *t)
{
	clock_used(t);
}

bool
record_init(void)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	return EVP_Digest("", 0, digest, NULL, EVP_sha1(), NULL) == 1;
}

void
record_put(struct json_writer *w, const char *key, const char *text)
{
	json_text(w, key, span_str(text));
}

void
record_put_int(struct json_writer *w, const char *key, uint64_t value)
{
	json_number(w, key, value > INT64_MAX ? INT64_MAX : value);
}

void
record_put_cut(struct json_writer *w, const char *key)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_truncated", key);
	json_truth(w, name, true);
}

static bool
put_made_printable(struct json_writer *w, const char *key, struct span text)
{
	uint8_t room[RECORD_TEXT_MAX];
	struct buf out = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
	bool whole = printable(text, RECORD_TEXT_MAX, &out);

	json_text(w, key, buf_span(&out));
	return whole;
}

/* False: it was cut. Most texts need no change, and no copy. */
static bool
put_printable(struct json_writer *w, const char *key, struct span text)
{
	if (text.n > RECORD_TEXT_MAX || printable_run(text) < text.n)
		return put_made_printable(w, key, text);
	json_text(w, key, text);
	return true;
}

void
record_put_text(struct json_writer *w, const char *key, struct span text)
{
	if (!put_printable(w, key, text))
		record_put_cut(w, key);
}

void
record_put_if(struct json_writer *w, const char *key, struct span text)
{
	if (text.n > 0)
		record_put_text(w, key, text);
}

bool
record_put_item(struct json_writer *w, struct span text)
{
	return put_printable(w, NULL, text);
}

/*
 * The civil date of a day, the days counted from 1970-01-01. Counts years from March, so that the
 * leap day is last.
 */
static void
civil_date(int64_t days, int *year, unsigned *month, unsigned *day)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned of_era = (unsigned)(z - era * 146097);
	unsigned years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * years + years / 4 - years / 100);
	unsigned from_march = (5 * of_year + 2) / 153;

	*day = of_year - (153 * from_march + 2) / 5 + 1;
	*month = from_march < 10 ? from_march + 3 : from_march - 9;
	*year = (int)(years + era * 400) + (*month <= 2);
}

struct record_date
record_date_of(const struct timeval *t)
{
	int64_t days = t->tv_sec / 86400;
	unsigned second = (unsigned)(t->tv_sec % 86400);
	struct record_date d = {.weekday = (unsigned)((days + 4) % 7),
	    .hour = second / 3600,
	    .minute = second / 60 % 60,
	    .second = second % 60};

	civil_date(days, &d.year, &d.month, &d.day);
	return d;
}

/* The last n decimal digits of value. */
static void
put_digits(char *at, unsigned n, unsigned value)
{
	for (; n > 0; value /= 10)
		at[--n] = (char)('0' + value % 10);
}

void
record_time_text(const struct timeval *t, char text[RECORD_TIME_MAX])
{
	struct record_date d = record_date_of(t);

	memcpy(text, "0000-00-00T00:00:00.000000+0000", RECORD_TIME_MAX);
	put_digits(text, 4, (unsigned)d.year);
	put_digits(text + 5, 2, d.month);
	put_digits(text + 8, 2, d.day);
	put_digits(text + 11, 2, d.hour);
	put_digits(text + 14, 2, d.minute);
	put_digits(text + 17, 2, d.second);
	put_digits(text + 20, 6, (unsigned)t->tv_usec);
}

void
record_put_time(struct json_writer *w, const char *key, const struct timeval *t)
{
	char text[RECORD_TIME_MAX];

	record_time_text(t, text);
	record_put(w, key, text);
}

/* The 4-tuple and its id, in EVE's words. */
static void
put_leg(struct json_writer *w, const struct endpoint *client, const struct endpoint *server)
{
	char text[IP_TEXT_MAX];

	record_put(w, "src_ip", ip_text(&client->ip, text));
	record_put_int(w, "src_port", client->port);
	record_put(w, "dest_ip", ip_text(&server->ip, text));
	record_put_int(w, "dest_port", server->port);
}

static void
put_community_id(
    struct json_writer *w, const struct endpoint *client, const struct endpoint *server)
{
	char id[COMMUNITY_ID_MAX];

	community_id(client, server, id);
	if (id[0] != '\0')
		record_put(w, "community_id", id);
}

void
record_put_leg(struct json_writer *w, const struct endpoint *from, const struct endpoint *to)
{
	put_leg(w, from, to);
	put_community_id(w, from, to);
}

void
record_put_verdict(struct json_writer *w, const struct verdict *v)
{
	if (v == NULL)
		return;
	json_open_object(w, "verdict");
	record_put(w, "action",
	    v->action == VERDICT_REFUSE ? "refuse"
	    : v->would_refuse		? "report"
					: "pass");
	record_put(w, "rule", v->rule);
	record_put(w, "reason", v->reason);
	if (v->reply[0] != '\0')
		record_put_text(w, "reply", span_str(v->reply));
	json_close_object(w);
}

struct span
record_take_line(struct span *rest)
{
	ptrdiff_t lf = span_find(*rest, '\n');
	struct span line = lf < 0 ? *rest : span_first(*rest, (size_t)lf);

	*rest = lf < 0 ? SPAN_NONE : span_from(*rest, (size_t)lf + 1);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

struct json_writer *
record_open(const struct record_session *s, const char *event_type, uint32_t tx_id)
{
	/* one at a time, in every process that writes any: those that are long are rare */
	static uint8_t room[RECORD_LINE_MAX];
	static struct buf line;
	static struct json_writer writer;
	struct json_writer *w = &writer;
	struct timeval now;

	line = (struct buf){.p = room, .cap = sizeof(room), .max = sizeof(room)};
	record_now(&now);
	json_begin(w, &line);
	json_open_object(w, NULL);
	record_put_time(w, "timestamp", &now);
	if (s != NULL)
		record_put_int(w, "flow_id", s->flow_id);
	record_put(w, "event_type", event_type);
	if (s == NULL)
		return w;
	put_leg(w, &s->client, &s->server);
	record_put(w, "proto", "TCP");
	record_put(w, "app_proto", s->app_proto);
	if (tx_id != RECORD_NO_TX)
		record_put_int(w, "tx_id", tx_id);
	put_community_id(w, &s->client, &s->server);
	if (s->forward != NULL)
		record_put_text(w, "forward", span_str(s->forward));
	return w;
}

bool
record_open_upstream(struct json_writer *w, const struct record_session *s)
{
	if (s->up_client.ip.family == IP_NONE)
		return false;
	json_open_object(w, "upstream");
	record_put_leg(w, &s->up_client, &s->up_server);
	return true;
}

void
record_upstream(struct json_writer *w, const struct record_session *s)
{
	if (record_open_upstream(w, s))
		json_close_object(w);
}

void
record_close(struct json_writer *w, record_sink *sink, void *arg)
{
	json_close_object(w);
	buf_octet(w->out, '\n');
	if (!w->out->failed)
		sink(arg, (const char *)w->out->p, w->out->n);
}
