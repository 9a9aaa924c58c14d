#include "record_json.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "printable.h"

bool
record_init(void)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	json_object_seed(0);
	return EVP_Digest("", 0, digest, NULL, EVP_sha1(), NULL) == 1;
}

void
record_put_span(json_t *object, const char *key, struct span text)
{
	json_object_set_new_nocheck(
	    object, key, json_stringn_nocheck(text.n == 0 ? "" : (const char *)text.p, text.n));
}

void
record_put(json_t *object, const char *key, const char *text)
{
	record_put_span(object, key, span_str(text));
}

void
record_put_int(json_t *object, const char *key, uint64_t value)
{
	json_int_t most = INT64_MAX;

	json_object_set_new_nocheck(
	    object, key, json_integer(value > INT64_MAX ? most : (json_int_t)value));
}

void
record_put_bool(json_t *object, const char *key, bool value)
{
	json_object_set_new_nocheck(object, key, json_boolean(value));
}

void
record_put_cut(json_t *object, const char *key)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_truncated", key);
	record_put_bool(object, name, true);
}

void
record_put_text(json_t *object, const char *key, struct span text)
{
	struct buf out;
	bool whole;

	buf_init(&out, RECORD_TEXT_MAX);
	whole = printable(text, RECORD_TEXT_MAX, &out);
	record_put_span(object, key, buf_span(&out));
	if (!whole)
		record_put_cut(object, key);
	buf_free(&out);
}

void
record_put_if(json_t *object, const char *key, struct span text)
{
	if (text.n > 0)
		record_put_text(object, key, text);
}

json_t *
record_text(struct span text, bool *whole)
{
	struct buf out;
	json_t *item;

	buf_init(&out, RECORD_TEXT_MAX);
	if (!printable(text, RECORD_TEXT_MAX, &out))
		*whole = false;
	item = json_stringn_nocheck(out.n == 0 ? "" : (const char *)out.p, out.n);
	buf_free(&out);
	return item;
}

json_t *
record_put_object(json_t *record, const char *key)
{
	json_t *object = json_object();

	return json_object_set_new_nocheck(record, key, object) == 0 ? object : NULL;
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

/* "2026-11-24T03:00:00.000000+0000", as EVE writes it; always UTC. */
void
record_put_time(json_t *object, const char *key, const struct timeval *t)
{
	struct record_date d = record_date_of(t);
	char text[64];

	snprintf(text, sizeof(text), "%04d-%02u-%02uT%02u:%02u:%02u.%06u+0000", d.year, d.month,
	    d.day, d.hour, d.minute, d.second, (unsigned)t->tv_usec);
	record_put(object, key, text);
}

/* The 4-tuple and its id, in EVE's words. */
static void
put_leg(json_t *object, const struct endpoint *client, const struct endpoint *server)
{
	char text[IP_TEXT_MAX];

	record_put(object, "src_ip", ip_text(&client->ip, text));
	record_put_int(object, "src_port", client->port);
	record_put(object, "dest_ip", ip_text(&server->ip, text));
	record_put_int(object, "dest_port", server->port);
}

static void
put_community_id(json_t *object, const struct endpoint *client, const struct endpoint *server)
{
	char id[COMMUNITY_ID_MAX];

	community_id(client, server, id);
	if (id[0] != '\0')
		record_put(object, "community_id", id);
}

void
record_put_leg(json_t *object, const struct endpoint *from, const struct endpoint *to)
{
	put_leg(object, from, to);
	put_community_id(object, from, to);
}

void
record_put_verdict(json_t *record, const struct verdict *v)
{
	json_t *verdict;

	if (v == NULL)
		return;
	verdict = record_put_object(record, "verdict");
	record_put(verdict, "action",
	    v->action == VERDICT_REFUSE ? "refuse"
	    : v->would_refuse		? "report"
					: "pass");
	record_put(verdict, "rule", v->rule);
	record_put(verdict, "reason", v->reason);
	if (v->reply[0] != '\0')
		record_put_text(verdict, "reply", span_str(v->reply));
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

json_t *
record_open(const struct record_session *s, const char *event_type, uint32_t tx_id)
{
	json_t *record = json_object();
	struct timeval now;

	gettimeofday(&now, NULL);
	record_put_time(record, "timestamp", &now);
	if (s != NULL)
		record_put_int(record, "flow_id", s->flow_id);
	record_put(record, "event_type", event_type);
	if (s == NULL)
		return record;
	put_leg(record, &s->client, &s->server);
	record_put(record, "proto", "TCP");
	record_put(record, "app_proto", s->app_proto);
	if (tx_id != RECORD_NO_TX)
		record_put_int(record, "tx_id", tx_id);
	put_community_id(record, &s->client, &s->server);
	if (s->forward != NULL)
		record_put_text(record, "forward", span_str(s->forward));
	return record;
}

json_t *
record_upstream(json_t *record, const struct record_session *s)
{
	json_t *upstream;

	if (s->up_client.ip.family == IP_NONE)
		return NULL;
	upstream = record_put_object(record, "upstream");
	record_put_leg(upstream, &s->up_client, &s->up_server);
	return upstream;
}

void
record_close(json_t *record, record_sink *sink, void *arg)
{
	/* one at a time, in every process that writes any: those that are long are rare */
	static char line[RECORD_LINE_MAX];
	size_t n = record == NULL ? 0 : json_dumpb(record, line, sizeof(line) - 1, JSON_COMPACT);

	if (n > 0 && n < sizeof(line)) {
		line[n++] = '\n';
		sink(arg, line, n);
	}
	json_decref(record);
}
