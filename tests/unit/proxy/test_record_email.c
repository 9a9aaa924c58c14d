/*
 * The "email" object and fileinfo records, over messages that are parsed for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>

#include "mime/analyzers_init.h"
#include "record_email.h"

static struct mail *
read_mail(struct span text)
{
	struct mail_options o;
	struct mail *m;

	mail_options_default(&o);
	m = mail_new(&o);
	assert_non_null(m);
	assert_true(mail_feed(m, text));
	mail_finish(m);
	return m;
}

/* The object, read back. */
static json_t *
email_of(const struct mail *m, size_t octets)
{
	struct json_writer w;
	struct buf out;
	json_t *outer, *email;

	buf_init(&out, 2 * octets);
	json_begin(&w, &out);
	json_open_object(&w, NULL);
	record_email(&w, m, octets, false);
	json_close_object(&w);
	assert_false(out.failed);
	outer = json_loadb((const char *)out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(outer);
	email = json_incref(json_object_get(outer, "email"));
	json_decref(outer);
	buf_free(&out);
	return email;
}

static const char *
text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL)
		fail_msg("there is no text %s", key);
	return text;
}

static const char *
item(const json_t *object, const char *key, size_t i)
{
	return json_string_value(json_array_get(json_object_get(object, key), i));
}

static size_t
size_of(const json_t *object)
{
	return json_dumpb(object, NULL, 0, JSON_COMPACT);
}

static void
test_names_of_EVE_M5_M14(void **state)
{
	struct mail *m = read_mail(
	    span_str("From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\r\n"
		     "To: a@example.edu, b@example.edu\r\n"
		     "Subject: hello\r\n"
		     "Message-ID: <1@example.org>\r\n"
		     "MIME-Version: 1.0\r\n"
		     "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
		     "--b\r\n\r\nhello\r\n\r\n"
		     "--b\r\n"
		     "Content-Type: application/octet-stream\r\n"
		     "Content-Disposition: attachment; filename*=utf-8''b%C3%BCcher.txt\r\n"
		     "Content-Transfer-Encoding: base64\r\n\r\naGVs!bG8=\r\n"
		     "--b--\r\n"));
	json_t *email = email_of(m, RECORD_EMAIL_MAX), *parts, *part, *anomaly;

	(void)state;
	assert_string_equal(text_at(email, "status"), "PARSE_DONE");
	assert_string_equal(text_at(email, "from"), "J\xc3\xbcrgen <j@example.org>");
	assert_string_equal(item(email, "to", 1), "b@example.edu");
	assert_null(json_object_get(email, "cc"));
	assert_string_equal(text_at(email, "subject"), "hello");
	assert_string_equal(text_at(email, "message_id"), "<1@example.org>");
	assert_string_equal(item(email, "attachment", 0), "b\xc3\xbc"
							  "cher.txt");
	parts = json_object_get(email, "parts");
	assert_int_equal(json_array_size(parts), 3);
	part = json_array_get(parts, 1);
	assert_string_equal(text_at(part, "path"), "1");
	assert_string_equal(text_at(part, "mime_type"), "text/plain");
	assert_string_equal(text_at(part, "sha256"),
	    "cd2eca3535741f27a8ae40c31b0c41d4057a7a7b912b33b9aed86485d1c84676");
	assert_null(json_object_get(part, "md5"));
	assert_null(json_object_get(part, "attachment"));
	part = json_array_get(parts, 2);
	assert_string_equal(text_at(part, "encoding"), "base64");
	assert_string_equal(text_at(part, "disposition"), "attachment");
	assert_string_equal(text_at(part, "filename_raw"), "utf-8''b%C3%BCcher.txt");
	assert_true(json_is_true(json_object_get(part, "attachment")));
	anomaly = json_array_get(json_object_get(part, "anomalies"), 0);
	assert_string_equal(text_at(anomaly, "event"), "mime_invalid_base64");
	assert_true(json_integer_value(json_object_get(anomaly, "offset")) > 300);
	json_decref(email);
	mail_free(m);
}

/* Controls, marks that reverse text, quotes: in a value, and never more than that. */
static void
test_text_from_strangers_L15(void **state)
{
	static const char hostile[] = "Subject: a\x1b[2J\"}\xe2\x80\xae\\x41\xff\r\n\r\nx\r\n";
	struct mail *m = read_mail(span_of(hostile, sizeof(hostile) - 1));
	json_t *email = email_of(m, RECORD_EMAIL_MAX);
	char *line = json_dumps(email, JSON_COMPACT);

	(void)state;
	assert_null(strchr(line, '\x1b'));
	assert_null(strstr(line, "\xe2\x80\xae"));
	assert_non_null(strstr(text_at(email, "subject"), "a\\x1b[2J\"}\\xe2\\x80\\xae\\x5cx41"));
	free(line);
	json_decref(email);
	mail_free(m);
}

/* A file within a text is no file name of its part, and its only name is in the record. */
static void
test_name_within_a_text_M_032(void **state)
{
	struct mail *m = read_mail(
	    span_str("MIME-Version: 1.0\r\n\r\n=ybegin line=128 size=1 name=a.exe\r\nx\r\n"));
	json_t *email = email_of(m, RECORD_EMAIL_MAX);
	json_t *part = json_array_get(json_object_get(email, "parts"), 0);

	(void)state;
	assert_null(json_object_get(part, "filename"));
	assert_string_equal(item(part, "names", 0), "a.exe");
	json_decref(email);
	mail_free(m);
}

/* And both digests of base64 that has two alphabets. */
static void
test_two_alphabets_M_016(void **state)
{
	struct mail *m =
	    read_mail(span_str("Content-Transfer-Encoding: base64\r\n\r\naGVs--8_aGVsbG8=\r\n"));
	json_t *email = email_of(m, RECORD_EMAIL_MAX);
	json_t *part = json_array_get(json_object_get(email, "parts"), 0);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(part, "url_safe_size")), 11);
	assert_string_equal(text_at(part, "url_safe_sha256"),
	    "815c781d204cc2f29881e10d35ef2cd66ceb92d6569bed3af0674b77c0b182be");
	assert_null(json_object_get(part, "stop_size"));
	json_decref(email);
	mail_free(m);
}

/* And both digests of base64 that goes on behind its padding. */
static void
test_two_digests_M_016(void **state)
{
	struct mail *m = read_mail(
	    span_str("Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\nd29ybGQ=\r\n"));
	json_t *email = email_of(m, RECORD_EMAIL_MAX);
	json_t *part = json_array_get(json_object_get(email, "parts"), 0);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(part, "stop_size")), 5);
	assert_string_equal(text_at(part, "stop_sha256"),
	    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	json_decref(email);
	mail_free(m);
}

static void
test_long_texts_say_so_L15(void **state)
{
	struct buf text;
	struct mail *m;
	json_t *email;

	(void)state;
	buf_init(&text, 1u << 20);
	buf_str(&text, "Subject: ");
	for (unsigned i = 0; i < 10000; i++)
		buf_str(&text, "word ");
	buf_str(&text, "\r\n\r\nx\r\n");
	m = read_mail(buf_span(&text));
	email = email_of(m, RECORD_EMAIL_MAX);
	assert_true(strlen(text_at(email, "subject")) <= RECORD_TEXT_MAX);
	assert_true(json_is_true(json_object_get(email, "subject_truncated")));
	json_decref(email);
	mail_free(m);
	buf_free(&text);
}

/* ---- bounds ---- */

struct counted {
	size_t lines, longest;
};

static void
count_line(void *arg, const char *line, size_t n)
{
	struct counted *c = arg;

	assert_int_equal(line[n - 1], '\n');
	assert_memory_equal(line, RECORD_LINE_START, strlen(RECORD_LINE_START));
	c->lines++;
	if (n > c->longest)
		c->longest = n;
}

/* A message as large as it gets: names of quotation marks, which JSON writes as two octets. */
static void
thousand_parts(struct buf *text)
{
	buf_init(text, 64u << 20);
	for (unsigned i = 0; i < 2000; i++)
		buf_str(text, i == 0 ? "To: a@b.example" : ", \"\\\"\\\"\\\"\" <a@b.example>");
	buf_str(text, "\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (unsigned i = 0; i < 1500; i++) {
		buf_str(text, "--b\r\nContent-Type: application/pdf; name=\"");
		for (unsigned k = 0; k < 100; k++)
			buf_str(text, "\\\"");
		buf_u64(text, i);
		buf_str(text, "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\r\n");
	}
	buf_str(text, "--b--\r\n");
}

static void
test_a_record_is_bounded_M_020(void **state)
{
	struct record_session session = {.app_proto = "smtp"};
	struct record_smtp *r = record_smtp_new();
	struct counted counted = {0, 0};
	struct buf text;
	struct mail *m;
	json_t *email;
	size_t shown;

	(void)state;
	thousand_parts(&text);
	m = read_mail(buf_span(&text));
	email = email_of(m, RECORD_EMAIL_MAX);
	assert_true(size_of(email) <= RECORD_EMAIL_MAX);
	shown = json_array_size(json_object_get(email, "parts"));
	assert_true(shown > 20);
	assert_int_equal(
	    json_integer_value(json_object_get(email, "parts_left_out")) + (json_int_t)shown, 1501);
	assert_true(json_integer_value(json_object_get(email, "addresses_left_out")) > 1800);
	assert_true(json_integer_value(json_object_get(email, "attachment_left_out")) > 500);
	assert_true(json_integer_value(json_object_get(email, "fileinfo_left_out")) > 500);
	json_decref(email);
	/* with all of it once more in what SMTP itself has to say */
	for (unsigned i = 0; i < 1000; i++)
		record_smtp_rcpt(r, buf_span(&text));
	record_smtp_mail(r, m);
	record_smtp_write(r, &session, 0, "accepted", count_line, &counted);
	assert_int_equal(counted.lines, 1 + RECORD_FILES_MAX);
	assert_true(counted.longest <= RECORD_LINE_MAX);
	record_smtp_free(r);
	mail_free(m);
	buf_free(&text);
}

/* "postern mime" leaves nothing out that is known. */
static void
test_without_a_bound(void **state)
{
	struct buf text;
	struct mail *m;
	json_t *email;

	(void)state;
	thousand_parts(&text);
	m = read_mail(buf_span(&text));
	email = email_of(m, (size_t)64 << 20);
	assert_int_equal(json_array_size(json_object_get(email, "parts")), mail_parts(m));
	json_decref(email);
	mail_free(m);
	buf_free(&text);
}

/* ---- what is not whole ---- */

static void
test_nothing_is_known_M_040(void **state)
{
	json_t *email = email_of(NULL, RECORD_EMAIL_MAX);
	struct counted counted = {0, 0};
	struct record_session session = {.app_proto = "smtp"};

	(void)state;
	assert_string_equal(text_at(email, "status"), "PARSE_ERROR");
	assert_int_equal(json_object_size(email), 1);
	json_decref(email);
	record_files(NULL, &(struct record_about){.session = &session}, count_line, &counted);
	assert_int_equal(counted.lines, 0);
}

static char last_line[4096];

static void
keep_line(void *arg, const char *line, size_t n)
{
	(void)arg;
	assert_true(n < sizeof(last_line));
	memcpy(last_line, line, n);
	last_line[n] = '\0';
}

static void
test_fileinfo_M5_M6(void **state)
{
	struct record_session session = {.app_proto = "smtp", .flow_id = 7};
	struct mail *m = read_mail(span_str("MIME-Version: 1.0\r\n"
					    "Content-Type: image/gif; name=a.gif\r\n"
					    "Content-Transfer-Encoding: base64\r\n\r\n"
					    "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIB"
					    "RAA7\r\n"));
	json_t *record, *info;

	(void)state;
	record_files(m, &(struct record_about){.session = &session, .tx_id = 3}, keep_line, NULL);
	record = json_loads(last_line, 0, NULL);
	assert_non_null(record);
	assert_string_equal(text_at(record, "event_type"), "fileinfo");
	assert_int_equal(json_integer_value(json_object_get(record, "tx_id")), 3);
	info = json_object_get(record, "fileinfo");
	assert_string_equal(text_at(info, "filename"), "a.gif");
	assert_string_equal(text_at(info, "mimetype"), "image/gif");
	assert_string_equal(text_at(info, "state"), "CLOSED");
	assert_string_equal(text_at(info, "path"), "1");
	assert_int_equal(strlen(text_at(info, "sha256")), 64);
	assert_true(json_is_false(json_object_get(info, "stored")));
	assert_true(json_is_false(json_object_get(info, "gaps")));
	assert_int_equal(json_integer_value(json_object_get(info, "size")), 42);
	json_decref(record);
	mail_free(m);
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
	    cmocka_unit_test(test_names_of_EVE_M5_M14),
	    cmocka_unit_test(test_text_from_strangers_L15),
	    cmocka_unit_test(test_name_within_a_text_M_032),
	    cmocka_unit_test(test_two_digests_M_016),
	    cmocka_unit_test(test_two_alphabets_M_016),
	    cmocka_unit_test(test_long_texts_say_so_L15),
	    cmocka_unit_test(test_a_record_is_bounded_M_020),
	    cmocka_unit_test(test_without_a_bound),
	    cmocka_unit_test(test_nothing_is_known_M_040),
	    cmocka_unit_test(test_fileinfo_M5_M6),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
