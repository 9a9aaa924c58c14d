/*
 * Records of FTP: commands, transfers, files, and lines of an xferlog.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "data.h"
#include "mime/analyzers_init.h"
#include "mime/mail.h"
#include "record.h"
#include "records.h"

static const struct record_session session = {
    .flow_id = 7,
    .app_proto = "ftp",
    .client = {{IP_V4, {192, 0, 2, 1}}, 40000},
    .server = {{IP_V4, {192, 0, 2, 25}}, 21},
    .up_client = {{IP_V4, {192, 0, 2, 1}}, 50000},
    .up_server = {{IP_V4, {192, 0, 2, 25}}, 21},
};

/* ---- commands ---- */

static json_t *
command(const struct record_ftp *r)
{
	struct sunk s = {0};
	json_t *json;

	record_ftp(&session, r, 3, sink, &s);
	assert_int_equal(s.n, 1);
	json = parsed(&s, 0);
	sunk_free(&s);
	return json;
}

static struct record_ftp_reply
reply_of(unsigned code, const char *text, enum record_source source)
{
	return (struct record_ftp_reply){code, span_str(text), source, false};
}

/* EVE's names, word for word, and ours beside them. */
static void
test_command_of_EVE_F24(void **state)
{
	const struct record_ftp_reply replies[] = {reply_of(150, "150 Opening\r\n", RECORD_SERVER),
	    reply_of(426, "426 Connection closed; transfer aborted.", RECORD_GATEWAY)};
	const struct record_ftp r = {.command = "RETR",
	    .args = span_str("a b.txt"),
	    .replies = replies,
	    .n_replies = 2,
	    .user = span_str("alice"),
	    .directory = span_str("/pub"),
	    .path = span_str("/pub/a b.txt")};
	json_t *json = command(&r);

	(void)state;
	assert_text(json, "event_type", "ftp");
	assert_text(json, "app_proto", "ftp");
	assert_int(json, "tx_id", 3);
	assert_int(json, "flow_id", 7);
	assert_text(json, "ftp.command", "RETR");
	assert_text(json, "ftp.command_data", "a b.txt");
	assert_text(json, "ftp.completion_code.0", "150");
	assert_text(json, "ftp.completion_code.1", "426");
	assert_text(json, "ftp.reply.0", "Opening");
	assert_text(json, "ftp.reply.1", "Connection closed; transfer aborted.");
	assert_text(json, "ftp.reply_source.0", "server");
	assert_text(json, "ftp.reply_source.1", "gateway");
	assert_text(json, "ftp.reply_received", "yes");
	assert_text(json, "ftp.user", "alice");
	assert_text(json, "ftp.directory", "/pub");
	assert_text(json, "ftp.path", "/pub/a b.txt");
	assert_null(at(json, "ftp.dynamic_port"));
	assert_null(at(json, "ftp.mode"));
	assert_null(at(json, "verdict"));
	assert_text(json, "upstream.src_ip", "192.0.2.1");
	json_decref(json);
}

static void
test_ports_and_modes(void **state)
{
	struct record_ftp r = {.command = "PASV", .dynamic_port = 65535, .passive = true};
	json_t *json = command(&r);

	(void)state;
	assert_int(json, "ftp.dynamic_port", 65535);
	assert_text(json, "ftp.mode", "passive");
	assert_text(json, "ftp.reply_received", "no");
	assert_null(at(json, "ftp.reply"));
	json_decref(json);
	r.passive = false;
	json = command(&r);
	assert_text(json, "ftp.mode", "active");
	json_decref(json);
}

static void
test_greeting(void **state)
{
	const struct record_ftp_reply reply = reply_of(
	    220, "220-Welcome\r\n220 is not the end\r\n\r\n 220-x\r\n220 Ready\r\n", RECORD_SERVER);
	const struct record_ftp r = {.replies = &reply, .n_replies = 1};
	json_t *json = command(&r);

	(void)state;
	assert_null(at(json, "ftp.command"));
	assert_text(json, "ftp.reply.0", "Welcome / is not the end / 220-x / Ready");
	assert_text(json, "ftp.completion_code.0", "220");
	json_decref(json);
}

/* F-046: neither as an argument nor in a reply that quotes the line. */
static void
test_no_secret_F_046(void **state)
{
	static const struct {
		unsigned code;
		const char *line, *want;
	} rows[] = {{230, "230 Welcome alice", "Welcome alice"}, {530, "530 No.", "No."},
	    {500, "500 'PASS hunter2': no such command", ""},
	    {501, "501-Cannot read\r\n501 PASS hunter2", ""}, {504, "504 hunter2", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct record_ftp_reply reply =
		    reply_of(rows[i].code, rows[i].line, RECORD_SERVER);
		const struct record_ftp r = {.command = "PASS",
		    .args = span_str("hunter2"),
		    .secret = true,
		    .replies = &reply,
		    .n_replies = 1};
		struct sunk s = {0};
		json_t *json;

		record_ftp(&session, &r, 0, sink, &s);
		assert_null(strstr(s.each[0], "hunter2"));
		json = parsed(&s, 0);
		assert_null(at(json, "ftp.command_data"));
		assert_text(json, "ftp.reply.0", rows[i].want);
		json_decref(json);
		sunk_free(&s);
	}
}

static void
test_verdict_of_a_command(void **state)
{
	struct verdict v = {.action = VERDICT_REFUSE,
	    .rule = "ftp",
	    .reason = "bounce",
	    .reply = "500 Illegal PORT command."};
	struct record_ftp r = {.command = "PORT", .args = span_str("1,2,3,4,5,6"), .verdict = &v};
	json_t *json = command(&r);

	(void)state;
	assert_text(json, "verdict.action", "refuse");
	assert_text(json, "verdict.rule", "ftp");
	assert_text(json, "verdict.reason", "bounce");
	assert_text(json, "verdict.reply", "500 Illegal PORT command.");
	json_decref(json);
	v.action = VERDICT_PASS;
	v.would_refuse = true;
	json = command(&r);
	assert_text(json, "verdict.action", "report");
	json_decref(json);
	v.would_refuse = false;
	json = command(&r);
	assert_text(json, "verdict.action", "pass");
	json_decref(json);
}

/* Whatever a peer sends: one line, valid UTF-8, bounded, and it says what was cut. */
static void
test_hostile_and_long_L15(void **state)
{
	static char long_text[200000];
	static struct record_ftp_reply replies[40];
	struct record_ftp r = {.command = "STAT", .replies = replies, .n_replies = 40};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	for (size_t i = 79; i < sizeof(long_text); i += 80)
		long_text[i] = '\n';
	for (size_t i = 0; i < 40; i++)
		replies[i] = (struct record_ftp_reply){
		    211, span_of(long_text, sizeof(long_text)), RECORD_SERVER, false};
	r.args = r.path = r.directory = r.user = span_of("a\x1b[2J\"}\n\xff\0\xe2\x80\xae", 13);
	record_ftp(&session, &r, 0, sink, &s);
	assert_true(strlen(s.each[0]) < RECORD_LINE_MAX / 4);
	json = parsed(&s, 0);
	assert_int_equal(json_array_size(at(json, "ftp.reply")), RECORD_FTP_REPLIES_MAX);
	assert_int(json, "ftp.reply_left_out", 40 - RECORD_FTP_REPLIES_MAX);
	assert_true(json_is_true(at(json, "ftp.reply_truncated")));
	assert_true(json_string_length(at(json, "ftp.reply.0")) <= RECORD_TEXT_MAX);
	assert_text(json, "ftp.command_data", "a\\x1b[2J\"}\\x0a\\xff\\x00\\xe2\\x80\\xae");
	json_decref(json);
	sunk_free(&s);

	r = (struct record_ftp){.command = "CWD", .args = span_of(long_text, 2000)};
	json = command(&r);
	assert_true(json_is_true(at(json, "ftp.command_data_truncated")));
	json_decref(json);
}

/* ---- transfers ---- */

/* A download to an active client from a passive server. */
static struct record_ftp_data
download(void)
{
	return (struct record_ftp_data){.command = "RETR",
	    .user = span_str("alice"),
	    .filename = span_str("a.txt"),
	    .path = span_str("/pub/a.txt"),
	    .dir = AN_S2C,
	    .type = "I",
	    .server_passive = true,
	    .legs = {{{{IP_V4, {192, 0, 2, 1}}, 40001}, {{IP_V4, {192, 0, 2, 25}}, 20}},
		{{{IP_V4, {192, 0, 2, 25}}, 2025}, {{IP_V4, {192, 0, 2, 1}}, 50001}}},
	    .octets_in = 5000,
	    .octets_out = 4000,
	    .duration_ms = 2000,
	    .outcome = "complete",
	    .code = 226};
}

static void
test_data_of_EVE_L8(void **state)
{
	struct record_ftp_data d = download();
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_ftp_data(&session, &d, 9, sink, &s);
	json = parsed(&s, 0);
	assert_text(json, "event_type", "ftp_data");
	assert_text(json, "app_proto", "ftp-data");
	assert_int(json, "flow_id", 7); /* the control session's */
	assert_int(json, "src_port", 40000);
	assert_int(json, "tx_id", 9);
	assert_text(json, "ftp_data.command", "RETR");
	assert_text(json, "ftp_data.filename", "a.txt");
	assert_text(json, "ftp_data.path", "/pub/a.txt");
	assert_text(json, "ftp_data.user", "alice");
	assert_text(json, "ftp_data.direction", "download");
	assert_text(json, "ftp_data.type", "I");
	assert_int(json, "ftp_data.octets_in", 5000);
	assert_int(json, "ftp_data.octets_out", 4000);
	assert_int(json, "ftp_data.duration_ms", 2000);
	assert_int(json, "ftp_data.rate", 2000);
	assert_text(json, "ftp_data.outcome", "complete");
	assert_int(json, "ftp_data.code", 226);
	assert_null(at(json, "ftp_data.offset"));
	assert_null(at(json, "ftp_data.reason"));
	assert_null(at(json, "ftp_data.let_by"));
	assert_null(at(json, "ftp_data.kept"));
	assert_null(at(json, "email"));
	json_decref(json);
	sunk_free(&s);
}

/* Each leg from who connected to who waited, with the id that other tools give it. */
static void
test_legs_and_their_ids_L8(void **state)
{
	struct record_ftp_data d = download();
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_ftp_data(&session, &d, 0, sink, &s);
	d.client_passive = true;
	d.server_passive = false;
	record_ftp_data(&session, &d, 0, sink, &s);
	json = parsed(&s, 0);
	assert_text(json, "ftp_data.client.mode", "active");
	assert_text(json, "ftp_data.client.src_ip", "192.0.2.25");
	assert_int(json, "ftp_data.client.src_port", 20);
	assert_text(json, "ftp_data.client.dest_ip", "192.0.2.1");
	assert_int(json, "ftp_data.client.dest_port", 40001);
	assert_text(json, "ftp_data.server.mode", "passive");
	assert_text(json, "ftp_data.server.src_ip", "192.0.2.1");
	assert_int(json, "ftp_data.server.src_port", 50001);
	assert_int(json, "ftp_data.server.dest_port", 2025);
	assert_true(json_string_length(at(json, "ftp_data.client.community_id")) == 30);
	assert_true(json_string_length(at(json, "ftp_data.server.community_id")) == 30);
	json_decref(json);
	json = parsed(&s, 2);
	assert_text(json, "ftp_data.client.mode", "passive");
	assert_int(json, "ftp_data.client.src_port", 40001);
	assert_int(json, "ftp_data.client.dest_port", 20);
	assert_text(json, "ftp_data.server.mode", "active");
	assert_int(json, "ftp_data.server.src_port", 2025);
	json_decref(json);
	sunk_free(&s);
}

/* What passed by the gateway has one connection, and nobody counted its file. */
static void
test_let_by(void **state)
{
	struct record_ftp_data d = download();
	struct sunk s = {0};
	json_t *json;

	(void)state;
	d.let_by = d.client_passive = true;
	d.legs[DATA_SERVER][0].ip.family = IP_NONE;
	record_ftp_data(&session, &d, 0, sink, &s);
	assert_int_equal(s.n, 1);
	json = parsed(&s, 0);
	assert_true(json_is_true(at(json, "ftp_data.let_by")));
	assert_null(at(json, "ftp_data.rate"));
	assert_int(json, "ftp_data.client.dest_port", 20);
	assert_null(at(json, "ftp_data.server"));
	json_decref(json);
	sunk_free(&s);
}

/* What was to be deleted, and was not. */
static void
test_kept(void **state)
{
	struct record_ftp_data d = download();
	struct sunk s = {0};
	json_t *json;

	(void)state;
	d.outcome = "refused";
	d.kept = "no_evidence";
	record_ftp_data(&session, &d, 0, sink, &s);
	json = parsed(&s, 0);
	assert_text(json, "ftp_data.kept", "no_evidence");
	assert_null(at(json, "ftp_data.deleted"));
	json_decref(json);
	sunk_free(&s);
}

/* A transfer that was refused or reached nobody still has its record, and no file. */
static void
test_without_connections(void **state)
{
	struct record_ftp_data d = {.command = "STOR",
	    .path = span_str("/x"),
	    .path_cut = true,
	    .dir = AN_C2S,
	    .server_passive = true,
	    .offset = 100,
	    .outcome = "unreachable",
	    .reason = "timeout",
	    .code = 425};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_ftp_data(&session, &d, 0, sink, &s);
	assert_int_equal(s.n, 1);
	json = parsed(&s, 0);
	assert_text(json, "ftp_data.direction", "upload");
	assert_text(json, "ftp_data.client.mode", "active");
	assert_null(at(json, "ftp_data.client.src_ip"));
	assert_text(json, "ftp_data.server.mode", "passive");
	assert_true(json_is_true(at(json, "ftp_data.path_truncated")));
	assert_text(json, "ftp_data.outcome", "unreachable");
	assert_text(json, "ftp_data.reason", "timeout");
	assert_int(json, "ftp_data.offset", 100);
	assert_null(at(json, "ftp_data.rate"));
	json_decref(json);
	sunk_free(&s);
}

/* Of files over 4 GiB, and of those that took no time. */
static void
test_large_numbers(void **state)
{
	struct record_ftp_data d = download();
	struct sunk s = {0};
	json_t *json;

	(void)state;
	d.octets_in = d.octets_out = UINT64_C(5) << 30;
	d.offset = UINT64_MAX; /* a client may say so: JSON has no larger number than this */
	d.duration_ms = 1;
	record_ftp_data(&session, &d, 0, sink, &s);
	d.octets_out = INT64_MAX;
	d.duration_ms = 1000000;
	record_ftp_data(&session, &d, 0, sink, &s);
	json = parsed(&s, 0);
	assert_int(json, "ftp_data.octets_in", 5368709120);
	assert_int(json, "ftp_data.rate", 5368709120000);
	assert_int(json, "ftp_data.offset", INT64_MAX);
	json_decref(json);
	json = parsed(&s, 2);
	assert_int(json, "ftp_data.rate", INT64_MAX / 1000000 * 1000);
	json_decref(json);
	sunk_free(&s);
}

/* ---- files ---- */

static struct mail *
file_of(const char *name, const char *octets, bool finish)
{
	struct mail_options o;
	struct mail *m;

	mail_options_default(&o);
	m = mail_file_new(&o, span_str(name), false);
	assert_non_null(m);
	assert_true(mail_feed(m, span_str(octets)));
	if (finish)
		mail_finish(m);
	return m;
}

static void
test_fileinfo_of_a_file_L8(void **state)
{
	struct mail *m = file_of("a.txt", "hello\r\n", true);
	struct record_ftp_data d = download();
	struct sunk s = {0};
	json_t *json;

	(void)state;
	d.content = m;
	record_ftp_data(&session, &d, 9, sink, &s);
	assert_int_equal(s.n, 2);
	json = parsed(&s, 1);
	assert_text(json, "event_type", "fileinfo");
	assert_text(json, "app_proto", "ftp-data");
	assert_int(json, "flow_id", 7);
	assert_int(json, "tx_id", 9);
	assert_text(json, "fileinfo.filename", "a.txt");
	assert_text(json, "fileinfo.mimetype", "text/plain");
	assert_text(json, "fileinfo.state", "CLOSED");
	assert_text(json, "fileinfo.sha256",
	    "cd2eca3535741f27a8ae40c31b0c41d4057a7a7b912b33b9aed86485d1c84676");
	assert_int(json, "fileinfo.size", 7);
	assert_null(at(json, "fileinfo.start"));
	assert_text(json, "ftp_data.command", "RETR");
	assert_text(json, "ftp_data.path", "/pub/a.txt");
	assert_null(at(json, "ftp_data.outcome"));
	json_decref(json);
	sunk_free(&s);
	mail_free(m);
}

/* A file that broke off is not a whole one, and no digest says so either. */
static void
test_fileinfo_of_a_cut_file(void **state)
{
	struct mail *m = file_of("a.txt", "hello", false);
	struct record_ftp_data d = download();
	struct sunk s = {0};
	json_t *json;

	(void)state;
	d.content = m;
	d.outcome = "cut";
	d.offset = 10;
	record_ftp_data(&session, &d, 0, sink, &s);
	assert_int_equal(s.n, 2);
	json = parsed(&s, 1);
	assert_text(json, "fileinfo.state", "TRUNCATED");
	assert_int(json, "fileinfo.size", 5);
	assert_int(json, "fileinfo.start", 10);
	assert_null(at(json, "fileinfo.sha256"));
	json_decref(json);
	sunk_free(&s);
	mail_free(m);
}

static void
test_fileinfo_without_a_look(void **state)
{
	struct record_ftp_data d = download();
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_ftp_data(&session, &d, 0, sink, &s);
	d.outcome = "cut";
	record_ftp_data(&session, &d, 0, sink, &s);
	d.octets_in = 0;
	record_ftp_data(&session, &d, 0, sink, &s); /* nothing came: no file */
	d.outcome = "complete";			    /* an empty one */
	record_ftp_data(&session, &d, 0, sink, &s);
	assert_int_equal(s.n, 7);
	json = parsed(&s, 1);
	assert_text(json, "fileinfo.filename", "a.txt");
	assert_text(json, "fileinfo.state", "CLOSED");
	assert_int(json, "fileinfo.size", 5000);
	assert_null(at(json, "fileinfo.sha256"));
	assert_text(json, "ftp_data.path", "/pub/a.txt");
	json_decref(json);
	json = parsed(&s, 3);
	assert_text(json, "fileinfo.state", "TRUNCATED");
	json_decref(json);
	json = parsed(&s, 6);
	assert_int(json, "fileinfo.size", 0);
	json_decref(json);
	sunk_free(&s);
}

static void
test_listings_are_no_files(void **state)
{
	static const char *const commands[] = {"LIST", "NLST", "MLSD"};
	struct record_ftp_data d = download();
	struct sunk s = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		d.command = commands[i];
		record_ftp_data(&session, &d, 0, sink, &s);
		record_xferlog(&session, &d, sink, &s);
	}
	assert_int_equal(s.n, 3);
	sunk_free(&s);
}

/* A message that goes by FTP: its tree beside the transfer, and a record for each file in it. */
static void
test_email_in_a_file(void **state)
{
	struct mail *m = file_of("note.eml",
	    "Subject: hi\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\n\r\nhello\r\n"
	    "--b\r\nContent-Type: image/gif; name=a.gif\r\n\r\nGIF89a\r\n--b--\r\n",
	    true);
	struct record_ftp_data d = download();
	struct sunk s = {0};
	json_t *json;

	(void)state;
	d.content = m;
	record_ftp_data(&session, &d, 0, sink, &s);
	assert_int_equal(s.n, 3);
	json = parsed(&s, 0);
	assert_text(json, "email.status", "PARSE_DONE");
	assert_text(json, "email.subject", "hi");
	assert_text(json, "email.parts.0.path", "1");
	assert_text(json, "email.parts.3.path", "1.2");
	assert_text(json, "email.attachment.0", "a.gif");
	assert_int_equal(json_array_size(at(json, "email.attachment")), 1);
	json_decref(json);
	json = parsed(&s, 1);
	assert_text(json, "fileinfo.filename", "note.eml");
	assert_text(json, "fileinfo.path", "1");
	json_decref(json);
	json = parsed(&s, 2);
	assert_text(json, "fileinfo.filename", "a.gif");
	assert_text(json, "fileinfo.path", "1.2");
	assert_text(json, "ftp_data.filename", "a.txt");
	json_decref(json);
	sunk_free(&s);
	mail_free(m);
}

/* ---- xferlog ---- */

/* The line behind its mark and its time, which has the length that the format gives it. */
static void
assert_xferlog(const struct record_ftp_data *d, const char *want)
{
	struct sunk s = {0};
	struct tm tm = {0};
	const char *line, *rest;

	record_xferlog(&session, d, sink, &s);
	assert_int_equal(s.n, 1);
	assert_memory_equal(s.each[0], RECORD_XFERLOG_START, sizeof(RECORD_XFERLOG_START) - 1);
	line = s.each[0] + sizeof(RECORD_XFERLOG_START) - 1;
	rest = strptime(line, "%a %b %e %H:%M:%S %Y", &tm);
	assert_ptr_equal(rest, line + 24);
	assert_true(timegm(&tm) >= time(NULL) - 60 && timegm(&tm) <= time(NULL));
	assert_string_equal(rest, want);
	sunk_free(&s);
}

static void
test_xferlog_L13(void **state)
{
	struct record_ftp_data d = download();

	(void)state;
	assert_xferlog(&d, " 2 192.0.2.1 4000 /pub/a.txt b _ o r alice ftp 0 * c\n");
	d.dir = AN_C2S;
	d.type = "A";
	d.user = span_str("Anonymous");
	d.path = span_str("/a b\nc \xc3\xa4\xff");
	d.outcome = "cut";
	assert_xferlog(
	    &d, " 2 192.0.2.1 4000 /a_b\\x0ac_\xc3\xa4\\xff a _ i a Anonymous ftp 0 * i\n");
	d.path = d.user = SPAN_NONE;
	d.octets_out = UINT64_MAX;
	d.duration_ms = 0;
	assert_xferlog(&d, " 0 192.0.2.1 18446744073709551615 ? a _ i r ? ftp 0 * i\n");
	d.let_by = true;
	assert_xferlog(&d, " 0 192.0.2.1 18446744073709551615 ? a _ i r ? ftp 0 * i\n");
}

static void
test_xferlog_is_bounded(void **state)
{
	static char path[100000];
	struct record_ftp_data d = download();
	struct sunk s = {0};

	(void)state;
	memset(path, ' ', sizeof(path));
	d.path = d.user = span_of(path, sizeof(path));
	record_xferlog(&session, &d, sink, &s);
	assert_int_equal(s.n, 1);
	assert_true(strlen(s.each[0]) < RECORD_XFERLOG_MAX);
	sunk_free(&s);
	d = download();
	d.octets_in = 0;
	d.outcome = "unreachable";
	record_xferlog(&session, &d, sink, &s);
	assert_int_equal(s.n, 0);
}

static int
set_up(void **state)
{
	const char *why;

	(void)state;
	return record_init() && analyzers_init(false, &why) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	analyzers_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_command_of_EVE_F24),
	    cmocka_unit_test(test_ports_and_modes),
	    cmocka_unit_test(test_greeting),
	    cmocka_unit_test(test_no_secret_F_046),
	    cmocka_unit_test(test_verdict_of_a_command),
	    cmocka_unit_test(test_hostile_and_long_L15),
	    cmocka_unit_test(test_data_of_EVE_L8),
	    cmocka_unit_test(test_legs_and_their_ids_L8),
	    cmocka_unit_test(test_let_by),
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_without_connections),
	    cmocka_unit_test(test_large_numbers),
	    cmocka_unit_test(test_fileinfo_of_a_file_L8),
	    cmocka_unit_test(test_fileinfo_of_a_cut_file),
	    cmocka_unit_test(test_fileinfo_without_a_look),
	    cmocka_unit_test(test_listings_are_no_files),
	    cmocka_unit_test(test_email_in_a_file),
	    cmocka_unit_test(test_xferlog_L13),
	    cmocka_unit_test(test_xferlog_is_bounded),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
