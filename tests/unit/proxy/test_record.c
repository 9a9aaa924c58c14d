#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/buf.h"
#include "record.h"

static const struct record_session session = {
    .flow_id = (1ull << 53) - 1,
    .app_proto = "smtp",
    .forward = "mx",
    .client = {{IP_V4, {128, 232, 110, 120}}, 34855},
    .server = {{IP_V4, {66, 35, 250, 204}}, 80},
    .started = {.tv_sec = 1000000000, .tv_usec = 250000},
};

static const struct record_session both_legs = {
    .flow_id = 7,
    .app_proto = "smtp",
    .client = {{IP_V4, {192, 0, 2, 1}}, 40000},
    .server = {{IP_V4, {192, 0, 2, 25}}, 25},
    .up_client = {{IP_V4, {1, 2, 3, 4}}, 1122},
    .up_server = {{IP_V4, {5, 6, 7, 8}}, 3344},
    .started = {.tv_sec = 1000000000},
};

/* Keeps the last line and counts. */
struct sunk {
	struct buf line;
	unsigned lines;
};

static void
sink(void *arg, const char *line, size_t n)
{
	struct sunk *s = arg;

	buf_clear(&s->line);
	assert_true(buf_add(&s->line, span_of(line, n)));
	s->lines++;
}

/* Exactly one line of valid UTF-8 and valid JSON; returns it parsed. */
static json_t *
only_line(struct sunk *s)
{
	json_error_t error;
	json_t *json;

	assert_int_equal(s->lines, 1);
	assert_true(span_is_utf8(buf_span(&s->line)));
	assert_int_equal(span_find(buf_span(&s->line), '\n'), s->line.n - 1);
	for (size_t i = 0; i + 1 < s->line.n; i++)
		assert_true(s->line.p[i] >= ' ' && s->line.p[i] != 0x7f);
	json = json_loadb(
	    (const char *)s->line.p, s->line.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (json == NULL)
		fail_msg("%s in %.*s", error.text, (int)s->line.n, (const char *)s->line.p);
	buf_free(&s->line);
	return json;
}

/* The text at a path of keys and indices: "smtp.replies.0.text". */
static const char *
text_at(json_t *json, const char *path)
{
	char key[64];
	size_t n;

	for (; *path != '\0'; path += n + (path[n] == '.')) {
		n = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		json = json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10))
					   : json_object_get(json, key);
	}
	return json_string_value(json);
}

static json_int_t
int_at(json_t *json, const char *object, const char *key)
{
	json_t *value = json_object_get(json_object_get(json, object), key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static void
init_sunk(struct sunk *s)
{
	*s = (struct sunk){0};
	buf_init(&s->line, RECORD_LINE_MAX);
}

static json_t *
write_smtp(struct record_smtp *r, const struct record_session *s)
{
	struct sunk sunk;

	init_sunk(&sunk);
	record_smtp_write(r, s, 3, "accepted", sink, &sunk);
	record_smtp_free(r);
	return only_line(&sunk);
}

static void
reply(struct record_smtp *r, const char *command, const char *rcpt, unsigned code, const char *text)
{
	record_smtp_reply(r, command, span_str(rcpt), code, span_str(text), RECORD_SERVER);
}

static void
test_smtp_whole(void **state)
{
	struct verdict verdict = {.action = VERDICT_REFUSE,
	    .rule = "relay",
	    .reason = "not_local",
	    .reply = "550 5.7.1 no"};
	struct record_smtp *r = record_smtp_new();
	struct sunk sunk;
	json_t *json;

	(void)state;
	init_sunk(&sunk);
	record_smtp_helo(r, span_str("client.example"));
	record_smtp_auth(r, span_str("PLAIN"), span_str("alice"), true);
	record_smtp_from(r, span_str("a@example.org"));
	reply(r, "MAIL", "", 250, "250 2.1.0 Ok\r\n");
	record_smtp_rcpt(r, span_str("b@example.net"));
	reply(r, "RCPT", "b@example.net", 250, "250-2.1.5 One\r\n250 2.1.5 Two\r\n");
	record_smtp_rcpt(r, span_str("c@example.net"));
	record_smtp_reply(
	    r, "RCPT", span_str("c@example.net"), 550, span_str(verdict.reply), RECORD_GATEWAY);
	record_smtp_verdict(r, &verdict);
	record_smtp_message(r, 1234, "DATA");
	record_smtp_write(r, &both_legs, 3, "accepted", sink, &sunk);
	record_smtp_free(r);

	/* the timestamp has a test of its own */
	assert_true(span_starts(buf_span(&sunk.line), span_str("{\"timestamp\":\"20")));
	assert_true(span_eq(
	    span_from(buf_span(&sunk.line), strlen("{\"timestamp\":\"YYYY-MM-DDThh:mm:ss.uuuuuu")),
	    span_str(
		"+0000\",\"flow_id\":7,\"event_type\":\"smtp\",\"src_ip\":\"192.0.2.1\","
		"\"src_port\":40000,\"dest_ip\":\"192.0.2.25\",\"dest_port\":25,\"proto\":\"TCP\","
		"\"app_proto\":\"smtp\",\"tx_id\":3,"
		"\"community_id\":\"1:kvnIPd4JgS+ds5wJT72AV2SoVj8=\",\"smtp\":{"
		"\"helo\":\"client.example\",\"mail_from\":\"<a@example.org>\","
		"\"rcpt_to\":[\"<b@example.net>\",\"<c@example.net>\"],\"replies\":["
		"{\"command\":\"MAIL\",\"code\":250,\"enhanced\":\"2.1.0\",\"text\":\"Ok\","
		"\"source\":\"server\"},"
		"{\"command\":\"RCPT\",\"rcpt\":\"<b@example.net>\",\"code\":250,"
		"\"enhanced\":\"2.1.5\",\"text\":\"One / Two\",\"source\":\"server\"},"
		"{\"command\":\"RCPT\",\"rcpt\":\"<c@example.net>\",\"code\":550,"
		"\"enhanced\":\"5.7.1\",\"text\":\"no\",\"source\":\"gateway\"}],"
		"\"state\":\"accepted\",\"size\":1234,\"transfer\":\"DATA\","
		"\"auth\":{\"mechanism\":\"PLAIN\",\"user\":\"alice\",\"authenticated\":true}},"
		"\"upstream\":{\"src_ip\":\"1.2.3.4\",\"src_port\":1122,\"dest_ip\":\"5.6.7.8\","
		"\"dest_port\":3344,\"community_id\":\"1:wCb3OG7yAFWelaUydu0D+125CLM=\"},"
		"\"verdict\":{\"action\":\"refuse\",\"rule\":\"relay\",\"reason\":\"not_local\","
		"\"reply\":\"550 5.7.1 no\"}}\n")));
	json = only_line(&sunk);
	json_decref(json);
}

static void
test_smtp_bare(void **state)
{
	json_t *json = write_smtp(record_smtp_new(), &session),
	       *smtp = json_object_get(json, "smtp");

	(void)state;
	assert_null(json_object_get(smtp, "helo"));
	assert_null(json_object_get(smtp, "mail_from"));
	assert_null(json_object_get(smtp, "rcpt_to"));
	assert_null(json_object_get(smtp, "size"));
	assert_null(json_object_get(smtp, "auth"));
	assert_null(json_object_get(json, "verdict"));
	assert_null(json_object_get(json, "upstream"));
	assert_int_equal(json_array_size(json_object_get(smtp, "replies")), 0);
	assert_string_equal(text_at(json, "forward"), "mx");
	assert_string_equal(text_at(json, "community_id"), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
	assert_int_equal(json_integer_value(json_object_get(json, "flow_id")), (1ll << 53) - 1);
	json_decref(json);
}

static void
test_null_sender(void **state)
{
	struct record_smtp *r = record_smtp_new();
	json_t *json;

	(void)state;
	record_smtp_from(r, SPAN_NONE);
	json = write_smtp(r, &session);
	assert_string_equal(text_at(json, "smtp.mail_from"), "<>");
	json_decref(json);
}

/* V-010: text that tries to be a line, a field, a terminal command or a wrong direction. */
static void
test_injection(void **state)
{
	static const char evil[] =
	    "x\"},\"verdict\":{\"action\":\"pass\"},\"y\":{\"z\":\"\\\"\r\n"
	    "{\"event_type\":\"smtp\"}\r\n\x1b[2J\0\x7f\xe2\x80\xae\xe2\x81\xa6"
	    "\xe2\x80\xa8\xc2\x9b\xff\xc0\x80\\u000a\\";
	struct span s = span_of(evil, sizeof(evil) - 1);
	struct record_smtp *r = record_smtp_new();
	json_t *json;

	(void)state;
	record_smtp_helo(r, s);
	record_smtp_from(r, s);
	record_smtp_rcpt(r, s);
	record_smtp_auth(r, s, s, false);
	record_smtp_reply(r, "RCPT", s, 250, s, RECORD_SERVER);
	json = write_smtp(r, &session);
	assert_null(json_object_get(json, "verdict"));
	assert_null(json_object_get(json, "y"));
	assert_int_equal(json_object_size(json), 13);
	assert_int_equal(json_object_size(json_object_get(json, "smtp")), 6);
	assert_string_equal(text_at(json, "smtp.helo"),
	    "x\"},\"verdict\":{\"action\":\"pass\"},\"y\":{\"z\":\"\\\"\\x0d\\x0a"
	    "{\"event_type\":\"smtp\"}\\x0d\\x0a\\x1b[2J\\x00\\x7f\\xe2\\x80\\xae\\xe2\\x81\\xa6"
	    "\\xe2\\x80\\xa8\\xc2\\x9b\\xff\\xc0\\x80\\u000a\\");
	json_decref(json);
}

/* V-010: every octet in every place that takes text from a peer. */
static void
test_every_octet(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t octets[] = {'a', (uint8_t)c, 'b'};
		struct span s = span_of(octets, sizeof(octets));
		struct record_smtp *r = record_smtp_new();

		record_smtp_helo(r, s);
		record_smtp_from(r, s);
		record_smtp_rcpt(r, s);
		record_smtp_auth(r, s, s, true);
		record_smtp_reply(r, "RCPT", s, 250, s, RECORD_SERVER);
		json_decref(write_smtp(r, &session));
	}
}

static void
test_truncation(void **state)
{
	struct record_smtp *r = record_smtp_new();
	char longest[3 * RECORD_TEXT_MAX];
	struct span s = span_of(longest, sizeof(longest));
	json_t *json, *smtp, *object;

	(void)state;
	memset(longest, 'a', sizeof(longest));
	record_smtp_helo(r, span_first(s, RECORD_TEXT_MAX));
	record_smtp_from(r, s);
	record_smtp_rcpt(r, s);
	record_smtp_auth(r, span_str("PLAIN"), s, true);
	record_smtp_reply(r, "RCPT", s, 250, s, RECORD_SERVER);
	json = write_smtp(r, &session);
	smtp = json_object_get(json, "smtp");
	assert_int_equal(strlen(text_at(json, "smtp.helo")), RECORD_TEXT_MAX);
	assert_null(json_object_get(smtp, "helo_truncated"));
	assert_int_equal(strlen(text_at(json, "smtp.mail_from")), RECORD_TEXT_MAX);
	assert_true(json_is_true(json_object_get(smtp, "mail_from_truncated")));
	assert_int_equal(strlen(text_at(json, "smtp.rcpt_to.0")), RECORD_TEXT_MAX);
	assert_true(json_is_true(json_object_get(smtp, "rcpt_to_truncated")));
	object = json_object_get(smtp, "auth");
	assert_null(json_object_get(object, "mechanism_truncated"));
	assert_true(json_is_true(json_object_get(object, "user_truncated")));
	object = json_array_get(json_object_get(smtp, "replies"), 0);
	assert_true(json_is_true(json_object_get(object, "rcpt_truncated")));
	assert_true(json_is_true(json_object_get(object, "text_truncated")));
	assert_int_equal(strlen(text_at(json, "smtp.replies.0.text")), RECORD_TEXT_MAX);
	json_decref(json);
}

/* A thousand recipients: lists are bounded, what is left out is counted, the end mark's reply
 * stays. */
static void
test_list_bounds(void **state)
{
	struct record_smtp *r = record_smtp_new();
	json_t *json, *smtp, *replies;

	(void)state;
	reply(r, "MAIL", "", 250, "250 2.1.0 Ok");
	for (int i = 0; i < 1000; i++) {
		char rcpt[32];

		snprintf(rcpt, sizeof(rcpt), "user%d@example.net", i);
		record_smtp_rcpt(r, span_str(rcpt));
		reply(r, "RCPT", rcpt, 250, "250 2.1.5 Ok");
	}
	reply(r, "DATA", "", 354, "354 Go on");
	reply(r, ".", "", 250, "250 2.0.0 Queued");
	json = write_smtp(r, &session);
	smtp = json_object_get(json, "smtp");
	replies = json_object_get(smtp, "replies");
	assert_int_equal(json_array_size(json_object_get(smtp, "rcpt_to")), RECORD_RCPT_MAX);
	assert_int_equal(int_at(json, "smtp", "rcpt_left_out"), 1000 - RECORD_RCPT_MAX);
	assert_int_equal(json_array_size(replies), RECORD_REPLY_RCPT + 3);
	assert_int_equal(int_at(json, "smtp", "replies_left_out"), 1000 - RECORD_REPLY_RCPT);
	assert_string_equal(text_at(json, "smtp.replies.132.command"), ".");
	json_decref(json);
}

/* The most that a peer can make us keep: all texts as long as they get, endlessly. */
static void
test_memory_bound(void **state)
{
	struct record_smtp *r = record_smtp_new();
	char worst[4 * RECORD_TEXT_MAX];
	struct span s = span_of(worst, sizeof(worst));
	json_t *json, *smtp;

	(void)state;
	memset(worst, '"', sizeof(worst));
	for (int i = 0; i < 300; i++) {
		record_smtp_helo(r, s);
		record_smtp_from(r, s);
		record_smtp_rcpt(r, s);
		record_smtp_auth(r, s, s, false);
		record_smtp_reply(r, "RCPT", s, 250, s, RECORD_SERVER);
		record_smtp_reply(r, "NOOP", SPAN_NONE, 250, s, RECORD_SERVER);
	}
	json = write_smtp(r, &session);
	smtp = json_object_get(json, "smtp");
	assert_true(int_at(json, "smtp", "rcpt_left_out") > 200);
	assert_true(int_at(json, "smtp", "replies_left_out") > 500);
	assert_true(json_is_true(json_object_get(smtp, "helo_truncated")));
	json_decref(json);
}

static void
test_reply_text(void **state)
{
	static const struct {
		const char *reply, *enhanced, *text;
	} cases[] = {
	    {"250 2.1.0 Ok\r\n", "2.1.0", "Ok"},
	    {"250 Ok", NULL, "Ok"},
	    {"250\r\n", NULL, ""},
	    {"", NULL, ""},
	    {"550 5.7.1", "5.7.1", ""},
	    {"550 5.7.1234 x", NULL, "5.7.1234 x"},
	    {"550 3.7.1 x", NULL, "3.7.1 x"},
	    {"550 5.7 x", NULL, "5.7 x"},
	    {"550 5.7.1.1 x", NULL, "5.7.1.1 x"},
	    {"550 55.7.1 x", NULL, "55.7.1 x"},
	    {"250-a.example\r\n250-SIZE 10\r\n250 HELP\r\n", NULL, "a.example / SIZE 10 / HELP"},
	    {"550-5.7.1 one\r\n550 5.7.1 two\r\n", "5.7.1", "one / two"},
	    {"250 lf only\n", NULL, "lf only"},
	    {"no code\r\n", NULL, "no code"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record_smtp *r = record_smtp_new();
		const char *enhanced;
		json_t *json;

		reply(r, "NOOP", "", 250, cases[i].reply);
		json = write_smtp(r, &session);
		enhanced = text_at(json, "smtp.replies.0.enhanced");
		assert_string_equal(enhanced == NULL ? "" : enhanced,
		    cases[i].enhanced == NULL ? "" : cases[i].enhanced);
		assert_string_equal(text_at(json, "smtp.replies.0.text"), cases[i].text);
		json_decref(json);
	}
}

/* Which of several verdicts is written. */
static void
test_verdict_order(void **state)
{
	static const struct verdict pass = {.action = VERDICT_PASS, .rule = "a", .reason = "pass"};
	static const struct verdict pass2 = {.action = VERDICT_PASS, .rule = "b", .reason = "pass"};
	static const struct verdict would = {.action = VERDICT_PASS,
	    .would_refuse = true,
	    .rule = "c",
	    .reason = "r",
	    .reply = "550 x"};
	static const struct verdict refuse = {.action = VERDICT_REFUSE, .rule = "d", .reason = "r"};
	static const struct verdict refuse2 = {
	    .action = VERDICT_REFUSE, .rule = "e", .reason = "r"};
	static const struct verdict ask = {.action = VERDICT_ASK, .rule = "f", .reason = "r"};
	static const struct verdict tls = {
	    .action = VERDICT_REFUSE, .rule = "starttls", .reason = "r"};
	static const struct {
		const struct verdict *verdicts[4];
		const char *rule, *action;
	} cases[] = {
	    {{&pass, &pass2}, "b", "pass"},
	    {{&would, &pass}, "c", "report"},
	    {{&would, &refuse, &refuse2, &pass}, "d", "refuse"},
	    {{&refuse, &would}, "d", "refuse"},
	    {{&pass, &ask}, "a", "pass"},
	    {{&tls, &pass}, "starttls", "refuse"},
	    {{&tls, &refuse, &tls}, "d", "refuse"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record_smtp *r = record_smtp_new();
		json_t *json;

		for (size_t v = 0; v < 4 && cases[i].verdicts[v] != NULL; v++)
			record_smtp_verdict(r, cases[i].verdicts[v]);
		json = write_smtp(r, &session);
		assert_string_equal(text_at(json, "verdict.rule"), cases[i].rule);
		assert_string_equal(text_at(json, "verdict.action"), cases[i].action);
		json_decref(json);
	}
}

static void
test_no_memory_handle(void **state)
{
	struct verdict verdict = {.rule = "r", .reason = "r"};
	struct sunk sunk;

	(void)state;
	init_sunk(&sunk);
	record_smtp_helo(NULL, SPAN_NONE);
	record_smtp_from(NULL, SPAN_NONE);
	record_smtp_rcpt(NULL, SPAN_NONE);
	record_smtp_auth(NULL, SPAN_NONE, SPAN_NONE, false);
	record_smtp_reply(NULL, "MAIL", SPAN_NONE, 250, SPAN_NONE, RECORD_SERVER);
	record_smtp_verdict(NULL, &verdict);
	record_smtp_message(NULL, 1, "DATA");
	record_smtp_write(NULL, &session, 0, "accepted", sink, &sunk);
	record_smtp_free(NULL);
	assert_int_equal(sunk.lines, 0);
}

static void
test_anomaly(void **state)
{
	struct sunk sunk;
	json_t *json;

	(void)state;
	init_sunk(&sunk);
	record_anomaly(&both_legs, "smuggling_sequence", AN_S2C, 77, "LF . CR LF", sink, &sunk);
	json = only_line(&sunk);
	assert_string_equal(text_at(json, "event_type"), "anomaly");
	assert_string_equal(text_at(json, "direction"), "to_client");
	assert_string_equal(text_at(json, "anomaly.type"), "applayer");
	assert_string_equal(text_at(json, "anomaly.event"), "smuggling_sequence");
	assert_string_equal(text_at(json, "anomaly.layer"), "proto_parser");
	assert_string_equal(text_at(json, "anomaly.detail"), "LF . CR LF");
	assert_int_equal(int_at(json, "anomaly", "offset"), 77);
	assert_string_equal(text_at(json, "upstream.dest_ip"), "5.6.7.8");
	json_decref(json);
}

/* What is said of a capture's octets, and not of what they mean, is known by its type. */
static void
test_anomalies_of_streams_X_005(void **state)
{
	static const enum an_anomaly of_streams[] = {
	    AN_GAP, AN_JOINED, AN_UNHEARD, AN_CONFLICT, AN_STRAY, AN_SYN_DATA, AN_URGENT, AN_HOPS};
	struct sunk sunk;

	(void)state;
	for (size_t i = 0; i < sizeof(of_streams) / sizeof(of_streams[0]); i++) {
		json_t *json;

		init_sunk(&sunk);
		record_anomaly(
		    &both_legs, an_anomaly_name(of_streams[i]), AN_C2S, 1, NULL, sink, &sunk);
		json = only_line(&sunk);
		assert_string_equal(text_at(json, "anomaly.type"), "stream");
		assert_null(json_object_get(json_object_get(json, "anomaly"), "layer"));
		json_decref(json);
	}
}

static void
test_flow(void **state)
{
	static const struct record_flow flow = {
	    .duration_ms = 10500,
	    .bytes_toserver = 1,
	    .bytes_toclient = UINT64_MAX,
	    .up_bytes_toserver = 3,
	    .up_bytes_toclient = 4,
	    .state = "closed",
	    .reason = "client_quit",
	    .tx_count = 5,
	};
	struct record_session now = both_legs;
	struct sunk sunk;
	json_t *json;

	(void)state;
	init_sunk(&sunk);
	gettimeofday(&now.started, NULL);
	record_flow(&now, &flow, sink, &sunk);
	json = only_line(&sunk);
	assert_int_equal(int_at(json, "flow", "bytes_toserver"), 1);
	assert_true(int_at(json, "flow", "bytes_toclient") == INT64_MAX);
	assert_int_equal(int_at(json, "flow", "age"), 10);
	assert_int_equal(int_at(json, "flow", "duration_ms"), 10500);
	assert_int_equal(int_at(json, "flow", "tx_cnt"), 5);
	assert_int_equal(int_at(json, "upstream", "bytes_toserver"), 3);
	assert_int_equal(int_at(json, "upstream", "bytes_toclient"), 4);
	assert_string_equal(text_at(json, "flow.state"), "closed");
	assert_string_equal(text_at(json, "flow.reason"), "client_quit");
	json_decref(json);
}

/* Dates that a wrong calendar gets wrong. */
static void
test_timestamp(void **state)
{
	static const struct {
		time_t t;
		const char *want;
	} cases[] = {
	    {0, "1970-01-01T00:00:00.000007+0000"},
	    {951782399, "2000-02-28T23:59:59.000007+0000"},
	    {951782400, "2000-02-29T00:00:00.000007+0000"},
	    {951868800, "2000-03-01T00:00:00.000007+0000"},
	    {1795478400, "2026-11-24T00:00:00.000007+0000"},
	    {1798761599, "2026-12-31T23:59:59.000007+0000"},
	    {4107542400, "2100-03-01T00:00:00.000007+0000"},
	};
	static const struct record_flow flow = {.state = "new", .reason = "unreachable"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record_session s = session;
		struct sunk sunk;
		json_t *json;

		init_sunk(&sunk);
		s.started = (struct timeval){cases[i].t, 7};
		record_flow(&s, &flow, sink, &sunk);
		json = only_line(&sunk);
		assert_string_equal(text_at(json, "flow.start"), cases[i].want);
		json_decref(json);
	}
}

static void
test_stats(void **state)
{
	struct sunk sunk;
	json_t *json;

	(void)state;
	init_sunk(&sunk);
	record_stats("log_lines_dropped", 12, "No space left on device", sink, &sunk);
	json = only_line(&sunk);
	assert_string_equal(text_at(json, "event_type"), "stats");
	assert_int_equal(int_at(json, "stats", "log_lines_dropped"), 12);
	assert_string_equal(text_at(json, "stats.text"), "No space left on device");
	assert_null(json_object_get(json, "src_ip"));
	json_decref(json);
}

/* What the log has lost, by worker; all records begin as the logger expects it of a whole line. */
static void
test_log_lost(void **state)
{
	static const struct record_lost lost[] = {{0, 12}, {255, UINT64_C(1) << 40}};
	struct sunk sunk;
	json_t *json, *workers;

	(void)state;
	init_sunk(&sunk);
	record_log_lost(lost, 2, 3, sink, &sunk);
	assert_true(span_starts(buf_span(&sunk.line), span_str(RECORD_LINE_START)));
	json = only_line(&sunk);
	assert_int_equal(int_at(json, "stats", "log_lines_lost"), (UINT64_C(1) << 40) + 15);
	assert_int_equal(int_at(json, "stats", "supervisor"), 3);
	workers = json_object_get(json_object_get(json, "stats"), "workers");
	assert_int_equal(json_array_size(workers), 2);
	for (size_t i = 0; i < 2; i++) {
		json_t *worker = json_array_get(workers, i);

		assert_int_equal(json_integer_value(json_object_get(worker, "slot")), lost[i].slot);
		assert_int_equal(
		    json_integer_value(json_object_get(worker, "lost")), lost[i].lines);
	}
	json_decref(json);
	init_sunk(&sunk);
	record_log_lost(lost, 1, 0, sink, &sunk);
	json = only_line(&sunk);
	assert_null(json_object_get(json_object_get(json, "stats"), "supervisor"));
	json_decref(json);
}

static int
set_up(void **state)
{
	(void)state;
	return record_init() ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_smtp_whole),
	    cmocka_unit_test(test_smtp_bare),
	    cmocka_unit_test(test_null_sender),
	    cmocka_unit_test(test_injection),
	    cmocka_unit_test(test_every_octet),
	    cmocka_unit_test(test_truncation),
	    cmocka_unit_test(test_list_bounds),
	    cmocka_unit_test(test_memory_bound),
	    cmocka_unit_test(test_reply_text),
	    cmocka_unit_test(test_verdict_order),
	    cmocka_unit_test(test_no_memory_handle),
	    cmocka_unit_test(test_anomaly),
	    cmocka_unit_test(test_anomalies_of_streams_X_005),
	    cmocka_unit_test(test_flow),
	    cmocka_unit_test(test_timestamp),
	    cmocka_unit_test(test_stats),
	    cmocka_unit_test(test_log_lost),
	};

	return cmocka_run_group_tests_name("record", tests, set_up, NULL);
}
