/*
 * Records of POP3 and IMAP: messages, sessions, commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mime/analyzers_init.h"
#include "mime/mail.h"
#include "record.h"
#include "records.h"

static const struct record_session pop3 = {
    .flow_id = 7,
    .app_proto = "pop3",
    .client = {{IP_V4, {192, 0, 2, 1}}, 40000},
    .server = {{IP_V4, {192, 0, 2, 110}}, 110},
    .up_client = {{IP_V4, {192, 0, 2, 1}}, 50000},
    .up_server = {{IP_V4, {192, 0, 2, 110}}, 110},
};
static const struct record_session imap = {
    .flow_id = 8,
    .app_proto = "imap",
    .client = {{IP_V4, {192, 0, 2, 1}}, 40000},
    .server = {{IP_V4, {192, 0, 2, 143}}, 143},
};
static const struct record_session smtp = {.flow_id = 9,
    .app_proto = "smtp",
    .client = {{IP_V4, {192, 0, 2, 1}}, 40000},
    .server = {{IP_V4, {192, 0, 2, 25}}, 25}};

#define MESSAGE                                                                                    \
	"From: a@example.org\r\nTo: b@example.edu\r\nSubject: two files\r\n"                       \
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"                   \
	"--b\r\n\r\nsee http://example.org/x\r\n"                                                  \
	"--b\r\nContent-Type: application/octet-stream\r\n"                                        \
	"Content-Disposition: attachment; filename=\"a b.bin\"\r\n"                                \
	"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"                                    \
	"--b\r\nContent-Type: image/png; name=c.png\r\n\r\nno png\r\n"                             \
	"--b--\r\n"

static struct mail *
mail_of(const char *text, bool whole)
{
	struct mail_options o;
	struct mail *m;

	mail_options_default(&o);
	m = mail_new(&o);
	assert_non_null(m);
	assert_true(mail_feed(m, span_str(text)));
	if (whole)
		mail_finish(m);
	return m;
}

/* ---- messages ---- */

static void
test_fetched_by_POP3_O6(void **state)
{
	struct mail *m = mail_of(MESSAGE, true);
	struct record_fetched f = {.command = "RETR",
	    .user = span_str("alice"),
	    .number = 3,
	    .outcome = "complete",
	    .octets = sizeof(MESSAGE) - 1,
	    .mail = m};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_fetched(&pop3, &f, 5, sink, &s);
	assert_int_equal(s.n, 3);
	json = parsed(&s, 0);
	assert_text(json, "event_type", "email");
	assert_text(json, "app_proto", "pop3");
	assert_int(json, "flow_id", 7);
	assert_int(json, "tx_id", 5);
	assert_text(json, "message.command", "RETR");
	assert_text(json, "message.user", "alice");
	assert_int(json, "message.number", 3);
	assert_int(json, "message.octets", sizeof(MESSAGE) - 1);
	assert_text(json, "message.outcome", "complete");
	assert_null(at(json, "message.partial"));
	assert_null(at(json, "message.mailbox"));
	assert_null(at(json, "message.uid"));
	assert_null(at(json, "message.section"));
	assert_null(at(json, "verdict"));
	assert_text(json, "email.status", "PARSE_DONE");
	assert_text(json, "email.subject", "two files");
	assert_text(json, "email.attachment.1", "c.png");
	assert_text(json, "upstream.dest_ip", "192.0.2.110");
	json_decref(json);
	json = parsed(&s, 1);
	assert_text(json, "event_type", "fileinfo");
	assert_text(json, "fileinfo.filename", "a b.bin");
	assert_text(json, "fileinfo.path", "2");
	assert_text(json, "fileinfo.state", "CLOSED");
	assert_int(json, "fileinfo.size", 5);
	assert_int(json, "fileinfo.tx_id", 5);
	assert_text(json, "message.command", "RETR");
	assert_int(json, "message.number", 3);
	assert_null(at(json, "message.octets"));
	json_decref(json);
	sunk_free(&s);
	mail_free(m);
}

static void
test_part_fetched_by_IMAP_I7(void **state)
{
	const struct verdict v = {
	    .rule = "content", .reason = "type", .would_refuse = true, .reply = "550 5.7.1 No"};
	struct record_fetched f = {.command = "FETCH",
	    .user = span_str("alice"),
	    .mailbox = span_str("Entw&APw-rfe"),
	    .number = 12,
	    .uid = 4000000000,
	    .section = span_str("1.2"),
	    .partial = true,
	    .outcome = "partial",
	    .octets = 65536,
	    .verdict = &v};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_fetched(&imap, &f, 0, sink, &s);
	assert_int_equal(s.n, 1);
	json = parsed(&s, 0);
	assert_text(json, "app_proto", "imap");
	assert_text(json, "message.mailbox", "Entw&APw-rfe");
	assert_int(json, "message.uid", 4000000000);
	assert_text(json, "message.section", "1.2");
	assert_true(json_is_true(at(json, "message.partial")));
	assert_text(json, "message.outcome", "partial");
	assert_text(json, "email.status", "PARSE_ERROR");
	assert_text(json, "verdict.action", "report");
	assert_null(at(json, "upstream"));
	json_decref(json);
	sunk_free(&s);
}

/* What did not come to its end says so, itself and each of its files. */
static void
test_message_that_was_cut_P_011(void **state)
{
	struct mail *m = mail_of(MESSAGE, false);
	struct record_fetched f = {
	    .command = "RETR", .partial = true, .outcome = "aborted", .mail = m};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_fetched(&pop3, &f, 0, sink, &s);
	json = parsed(&s, 0);
	assert_text(json, "email.status", "BODY_STARTED");
	json_decref(json);
	json = parsed(&s, 1);
	assert_text(json, "fileinfo.state", "TRUNCATED");
	json_decref(json);
	sunk_free(&s);
	mail_free(m);
}

static void
test_nobody_looked(void **state)
{
	struct record_fetched f = {.command = "RETR", .outcome = "complete", .unseen = true};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_fetched(&pop3, &f, 0, sink, &s);
	assert_int_equal(s.n, 1);
	json = parsed(&s, 0);
	assert_null(at(json, "email"));
	assert_int(json, "message.octets", 0);
	json_decref(json);
	sunk_free(&s);
}

/* Whichever way it came. */
static void
test_same_as_by_SMTP(void **state)
{
	struct mail *m = mail_of(MESSAGE, true);
	const struct record_fetched f = {.command = "RETR", .outcome = "complete", .mail = m};
	struct record_smtp *r = record_smtp_new();
	struct sunk s = {0};

	(void)state;
	record_smtp_mail(r, m);
	record_smtp_write(r, &smtp, 0, "accepted", sink, &s);
	record_fetched(&pop3, &f, 0, sink, &s);
	assert_int_equal(s.n, 6);
	for (size_t i = 0; i < 3; i++) {
		const char *key = i == 0 ? "email" : "fileinfo";
		json_t *sent = parsed(&s, i), *fetched = parsed(&s, i + 3);

		assert_non_null(at(sent, key));
		assert_true(json_equal(at(sent, key), at(fetched, key)));
		json_decref(sent);
		json_decref(fetched);
	}
	record_smtp_free(r);
	sunk_free(&s);
	mail_free(m);
}

/* ---- sessions ---- */

static void
test_session_of_POP3_O9(void **state)
{
	struct record_pop3 p = {.user = span_str("alice"),
	    .mechanism = "APOP",
	    .logged_in = true,
	    .update = true,
	    .listed = 320,
	    .listed_octets = 6000000000,
	    .retrieved = 2,
	    .retrieved_octets = 12345,
	    .tops = 1,
	    .deleted = 2,
	    .refused = 4,
	    .mode = "download_and_delete",
	    .commands = 11};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_pop3(&pop3, &p, sink, &s);
	json = parsed(&s, 0);
	assert_text(json, "event_type", "pop3");
	assert_null(at(json, "tx_id"));
	assert_text(json, "pop3.session.user", "alice");
	assert_text(json, "pop3.session.mechanism", "APOP");
	assert_true(json_is_true(at(json, "pop3.session.logged_in")));
	assert_true(json_is_true(at(json, "pop3.session.update")));
	assert_int(json, "pop3.session.listed", 320);
	assert_int(json, "pop3.session.listed_octets", 6000000000);
	assert_int(json, "pop3.session.retrieved", 2);
	assert_int(json, "pop3.session.retrieved_octets", 12345);
	assert_int(json, "pop3.session.tops", 1);
	assert_int(json, "pop3.session.deleted", 2);
	assert_int(json, "pop3.session.refused", 4);
	assert_int(json, "pop3.session.commands", 11);
	assert_text(json, "pop3.session.mode", "download_and_delete");
	json_decref(json);
	sunk_free(&s);

	record_pop3(&pop3, &(struct record_pop3){0}, sink, &s);
	json = parsed(&s, 0);
	assert_null(at(json, "pop3.session.user"));
	assert_null(at(json, "pop3.session.mechanism"));
	assert_null(at(json, "pop3.session.mode"));
	assert_true(json_is_false(at(json, "pop3.session.logged_in")));
	assert_int(json, "pop3.session.retrieved", 0);
	json_decref(json);
	sunk_free(&s);
}

static void
test_session_of_IMAP_I11(void **state)
{
	const struct span mailboxes[] = {span_str("INBOX"), span_str("Gel&APY-scht")};
	struct record_imap i = {.user = span_str("alice"),
	    .mechanism = "LOGIN",
	    .logged_in = true,
	    .client_id = span_str("\"name\" \"Mutt\" \"version\" NIL"),
	    .mailboxes = mailboxes,
	    .n_mailboxes = 2,
	    .fetched = 1,
	    .fetched_octets = 2,
	    .stored = 3,
	    .copied = 4,
	    .moved = 5,
	    .expunged = 6,
	    .appended = 7,
	    .appended_octets = 8,
	    .searched = 9,
	    .idle_ms = 1800000,
	    .refused = 10,
	    .commands = 40};
	static const char *const counts[] = {"fetched", "fetched_octets", "stored", "copied",
	    "moved", "expunged", "appended", "appended_octets", "searched"};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_imap(&imap, &i, sink, &s);
	json = parsed(&s, 0);
	assert_text(json, "event_type", "imap");
	assert_null(at(json, "tx_id"));
	assert_text(json, "imap.session.user", "alice");
	assert_text(json, "imap.session.mechanism", "LOGIN");
	assert_text(json, "imap.session.client_id", "\"name\" \"Mutt\" \"version\" NIL");
	assert_null(at(json, "imap.session.server_id"));
	assert_null(at(json, "imap.session.preauth"));
	assert_text(json, "imap.session.mailboxes.1", "Gel&APY-scht");
	assert_null(at(json, "imap.session.mailboxes_left_out"));
	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++)
		assert_int(at(json, "imap.session"), counts[k], (json_int_t)k + 1);
	assert_int(json, "imap.session.idle_ms", 1800000);
	assert_int(json, "imap.session.refused", 10);
	assert_int(json, "imap.session.commands", 40);
	json_decref(json);
	sunk_free(&s);
}

/* Whatever a client names: one bounded line that says what was cut. */
static void
test_hostile_and_long_I_026(void **state)
{
	static char long_text[5000];
	struct span mailboxes[RECORD_MAILBOXES_MAX + 3];
	struct record_imap i = {.preauth = true,
	    .mailboxes = mailboxes,
	    .n_mailboxes = RECORD_MAILBOXES_MAX + 3,
	    .mailboxes_left_out = 4};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	memset(long_text, '\\', sizeof(long_text));
	for (size_t k = 0; k < RECORD_MAILBOXES_MAX + 3; k++)
		mailboxes[k] = span_of(long_text, sizeof(long_text));
	mailboxes[0] = span_of("../%n\r\n\"\x1b]0;\0\xff", 14);
	i.user = i.client_id = i.server_id = mailboxes[1];
	record_imap(&imap, &i, sink, &s);
	assert_true(strlen(s.each[0]) < RECORD_LINE_MAX);
	json = parsed(&s, 0);
	assert_int_equal(json_array_size(at(json, "imap.session.mailboxes")), RECORD_MAILBOXES_MAX);
	assert_int(json, "imap.session.mailboxes_left_out", 7);
	assert_true(json_is_true(at(json, "imap.session.mailboxes_truncated")));
	assert_true(json_is_true(at(json, "imap.session.client_id_truncated")));
	assert_true(json_is_true(at(json, "imap.session.preauth")));
	assert_text(json, "imap.session.mailboxes.0", "../%n\\x0d\\x0a\"\\x1b]0;\\x00\\xff");
	json_decref(json);
	sunk_free(&s);
}

/* ---- commands ---- */

static void
test_refused_command_I12(void **state)
{
	const struct verdict v = {.action = VERDICT_REFUSE,
	    .rule = "imap",
	    .reason = "read_only",
	    .reply = "NO [CANNOT] No"};
	const struct record_retrieval r = {.tag = span_str("a1"),
	    .command = span_str("UID STORE"),
	    .user = span_str("alice"),
	    .status = "NO",
	    .verdict = &v};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_retrieval_command(&imap, &r, 6, sink, &s);
	json = parsed(&s, 0);
	assert_text(json, "event_type", "imap");
	assert_int(json, "tx_id", 6);
	assert_text(json, "imap.tag", "a1");
	assert_text(json, "imap.command", "UID STORE");
	assert_text(json, "imap.user", "alice");
	assert_text(json, "imap.status", "NO");
	assert_text(json, "verdict.action", "refuse");
	assert_text(json, "verdict.reason", "read_only");
	assert_null(at(json, "imap.session"));
	json_decref(json);
	sunk_free(&s);
}

static void
test_login_O2(void **state)
{
	const struct record_retrieval failed = {
	    .command = span_str("AUTH PLAIN"), .user = span_str("al\xffice"), .status = "ERR"};
	const struct record_retrieval silent = {.command = span_str("APOP")};
	struct sunk s = {0};
	json_t *json;

	(void)state;
	record_retrieval_command(&pop3, &failed, 0, sink, &s);
	record_retrieval_command(&pop3, &silent, 1, sink, &s);
	json = parsed(&s, 0);
	assert_text(json, "event_type", "pop3");
	assert_null(at(json, "pop3.tag"));
	assert_text(json, "pop3.command", "AUTH PLAIN");
	assert_text(json, "pop3.user", "al\\xffice");
	assert_text(json, "pop3.status", "ERR");
	assert_null(at(json, "verdict"));
	json_decref(json);
	json = parsed(&s, 1);
	assert_null(at(json, "pop3.user"));
	assert_null(at(json, "pop3.status"));
	json_decref(json);
	sunk_free(&s);
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
	    cmocka_unit_test(test_fetched_by_POP3_O6),
	    cmocka_unit_test(test_part_fetched_by_IMAP_I7),
	    cmocka_unit_test(test_message_that_was_cut_P_011),
	    cmocka_unit_test(test_nobody_looked),
	    cmocka_unit_test(test_same_as_by_SMTP),
	    cmocka_unit_test(test_session_of_POP3_O9),
	    cmocka_unit_test(test_session_of_IMAP_I11),
	    cmocka_unit_test(test_hostile_and_long_I_026),
	    cmocka_unit_test(test_refused_command_I12),
	    cmocka_unit_test(test_login_O2),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
