#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "imap/command.h"
#include "retrieval_rules.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

/* The verdict on a line: "" when it passes, else "reason: reply". */
static void
expect(
    const struct retrieval_policy *policy, const char *line, bool login_disabled, const char *want)
{
	struct imap_detail d;
	struct imap_lex lex;
	struct an_event ev = {.kind = EV_COMMAND, .imap = &d};
	struct verdict v;
	char said[2 * VERDICT_REPLY_MAX] = "";

	imap_command_parse(span_str(line), &lex, &d);
	imap_judge(policy, &ev, login_disabled, &v);
	if (v.action == VERDICT_PASS) {
		assert_string_equal(v.rule, "none");
		assert_string_equal(v.reason, "none");
	} else {
		assert_string_equal(v.rule, "imap");
		snprintf(said, sizeof(said), "%s: %s", v.reason, v.reply);
	}
	if (strcmp(said, want) != 0)
		fail_msg("%s: want %s, got %s", line, want, said);
}

static void
test_what_passes(void **state)
{
	static const struct retrieval_policy policy = {.starttls = STARTTLS_AUTO};
	static const char *const lines[] = {"a NOOP", "a LOGIN u p", "a APPEND x {5}",
	    "a uid expunge 1", "a XPWN", "a AUTHENTICATE GSSAPI", "a ENABLE UTF8=ACCEPT",
	    "a NOTIFY NONE"};

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++)
		expect(&policy, lines[i], false, "");
}

static void
test_syntax(void **state)
{
	static const struct retrieval_policy policy = {.starttls = STARTTLS_AUTO};

	(void)state;
	expect(&policy, "* NOOP", false, "syntax: BAD Invalid tag");
	expect(&policy, "a LOGIN \"u", false, "syntax: BAD Syntax error");
	expect(&policy, "a LOGIN {05}", false, "syntax: BAD Invalid literal");
	expect(&policy, "GET / HTTP/1.0", false, "syntax: BAD This port speaks IMAP. Goodbye");
}

static void
test_I1_commands_by_list(void **state)
{
	static char expunge[] = "UID EXPUNGE", copy[] = "COPY", plain[] = "AUTHENTICATE PLAIN",
		    other[] = "XPWN";
	static char *deny[] = {expunge, copy, plain, other, NULL};
	static const struct retrieval_policy policy = {.deny = deny, .starttls = STARTTLS_AUTO};
	static const char *const refused = "denied: NO [CANNOT] Command not allowed here";

	(void)state;
	expect(&policy, "a UID EXPUNGE 1", false, refused);
	expect(&policy, "a EXPUNGE", false, "");
	expect(&policy, "a COPY 1 x", false, refused);
	expect(&policy, "a UID COPY 1 x", false, refused);
	expect(&policy, "a AUTHENTICATE plain AAAA", false, refused);
	expect(&policy, "a AUTHENTICATE LOGIN", false, "");
	expect(&policy, "a xpwn 1", false, refused);
	expect(&policy, "a XOTHER 1", false, "");
}

static void
test_unknown(void **state)
{
	static const struct retrieval_policy policy = {
	    .refuse_unknown = true, .starttls = STARTTLS_AUTO};

	(void)state;
	expect(&policy, "a XPWN", false, "unknown: BAD Unknown command");
	expect(&policy, "a UID NOOP", false, "unknown: BAD Unknown command");
}

static void
test_I12_read_only(void **state)
{
	static const struct retrieval_policy policy = {
	    .read_only = true, .starttls = STARTTLS_AUTO};
	static const char *const writes[] = {"a APPEND x {1}", "a STORE 1 FLAGS ()",
	    "a UID STORE 1 FLAGS ()", "a EXPUNGE", "a UID EXPUNGE 1", "a CLOSE", "a COPY 1 x",
	    "a MOVE 1 x", "a REPLACE 1 x {1}", "a CREATE x", "a DELETE x", "a RENAME x y",
	    "a SUBSCRIBE x", "a UNSUBSCRIBE x", "a SETACL x y z", "a DELETEACL x y",
	    "a SETQUOTA x ()", "a SETMETADATA x ()", "a XPWN"};
	static const char *const reads[] = {"a FETCH 1 BODY[]", "a SELECT x", "a UNSELECT",
	    "a SEARCH ALL", "a LIST \"\" *", "a IDLE", "a LOGIN u p", "a LOGOUT"};

	(void)state;
	for (size_t i = 0; i < nitems(writes); i++)
		expect(&policy, writes[i], false, "read_only: NO [NOPERM] Nothing is changed here");
	for (size_t i = 0; i < nitems(reads); i++)
		expect(&policy, reads[i], false, "");
}

static void
test_I_016_I5_compress(void **state)
{
	static const struct retrieval_policy policy = {.starttls = STARTTLS_PASS};

	(void)state;
	expect(&policy, "a COMPRESS DEFLATE", false,
	    "denied: NO [CANNOT] Compression is not available");
	assert_false(imap_capability_passes(&policy, span_str("COMPRESS=DEFLATE")));
	assert_false(imap_capability_passes(&policy, span_str("compress=x")));
}

static void
test_starttls(void **state)
{
	static const struct {
		enum starttls starttls;
		const char *want;
	} rows[] = {
	    {STARTTLS_AUTO, "tls: NO [CANNOT] TLS is not available"},
	    {STARTTLS_REFUSE, "tls: NO [CANNOT] TLS is not available"},
	    {STARTTLS_HIDE, "tls: BAD Unknown command"},
	    {STARTTLS_PASS, ""},
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct retrieval_policy policy = {.starttls = rows[i].starttls};

		expect(&policy, "a STARTTLS", false, rows[i].want);
		assert_int_equal(imap_capability_passes(&policy, span_str("STARTTLS")),
		    rows[i].starttls == STARTTLS_PASS);
	}
}

static void
test_I_023_login_disabled(void **state)
{
	static const struct retrieval_policy policy = {.starttls = STARTTLS_AUTO};

	(void)state;
	expect(&policy, "a LOGIN u p", true,
	    "privacy_required: NO [PRIVACYREQUIRED] LOGIN is disabled");
	expect(&policy, "a AUTHENTICATE PLAIN", true, "");
}

static void
test_I4_I_024_capabilities(void **state)
{
	static char idle[] = "IDLE", plain[] = "AUTHENTICATE PLAIN", move[] = "MOVE";
	static char *deny[] = {idle, plain, move, NULL};
	static const struct retrieval_policy all = {
	    .refuse_unknown = true, .starttls = STARTTLS_AUTO};
	static const struct retrieval_policy some = {.deny = deny, .starttls = STARTTLS_AUTO};
	static const char *const names[] = {"IMAP4rev1", "IMAP4rev2", "LITERAL+", "LITERAL-",
	    "SASL-IR", "AUTH=PLAIN", "AUTH=GSSAPI", "LOGINDISABLED", "IDLE", "MOVE", "UTF8=ACCEPT",
	    "QRESYNC", "NOTIFY", "THREAD=REFS", "SORT=DISPLAY", "X-UNKNOWN"};

	(void)state;
	for (size_t i = 0; i < nitems(names); i++)
		assert_true(imap_capability_passes(&all, span_str(names[i])));
	assert_false(imap_capability_passes(&some, span_str("IDLE")));
	assert_false(imap_capability_passes(&some, span_str("MOVE")));
	assert_false(imap_capability_passes(&some, span_str("AUTH=PLAIN")));
	assert_true(imap_capability_passes(&some, span_str("AUTH=LOGIN")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_passes),
	    cmocka_unit_test(test_syntax),
	    cmocka_unit_test(test_I1_commands_by_list),
	    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_I12_read_only),
	    cmocka_unit_test(test_I_016_I5_compress),
	    cmocka_unit_test(test_starttls),
	    cmocka_unit_test(test_I_023_login_disabled),
	    cmocka_unit_test(test_I4_I_024_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
