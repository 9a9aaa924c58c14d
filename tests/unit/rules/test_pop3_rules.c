#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pop3/command.h"
#include "retrieval_rules.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const struct pop3_limits limits = {.line = 512, .auth_line = 12288};

/* The verdict on a line: "" when it passes, else "reason reply". */
static void
expect(const struct retrieval_policy *policy, const char *line, const char *want)
{
	struct pop3_detail d;
	struct an_event ev = {.kind = EV_COMMAND, .pop3 = &d};
	struct verdict v;
	char said[600] = "";

	pop3_command_parse(span_str(line), (struct line_marks){0}, &limits, &d);
	pop3_judge(policy, &ev, &v);
	assert_string_equal(v.rule, v.action == VERDICT_PASS ? "none" : "pop3");
	assert_int_not_equal(v.action, VERDICT_ASK);
	if (v.action == VERDICT_REFUSE)
		snprintf(said, sizeof(said), "%s %s", v.reason, v.reply);
	assert_string_equal(said, want);
}

static void
test_nothing_is_configured(void **state)
{
	static const char *const pass[] = {"STAT", "RETR 1", "DELE 1", "USER u", "PASS p",
	    "APOP u 0", "AUTH PLAIN x", "CAPA", "LANG", "UTF8", "LAST", "FOO", "QUIT"};
	const struct retrieval_policy policy = {.starttls = STARTTLS_AUTO};

	(void)state;
	for (size_t i = 0; i < nitems(pass); i++)
		expect(&policy, pass[i], "");
	expect(&policy, "RETR", "syntax -ERR Wrong arguments");
	expect(&policy, "GET / HTTP/1.1", "syntax -ERR This port speaks POP3. Goodbye");
}

static void
test_O1_unknown(void **state)
{
	const struct retrieval_policy policy = {.refuse_unknown = true};

	(void)state;
	expect(&policy, "FOO", "unknown -ERR Unknown command");
	expect(&policy, "STAT", "");
}

/* XTND XMIT has the client send a message: nobody here would follow. */
static void
test_O1_xtnd(void **state)
{
	const struct retrieval_policy policy = {.refuse_unknown = false};

	(void)state;
	expect(&policy, "XTND XMIT", "unknown -ERR Unknown command");
}

static void
test_O1_denied(void **state)
{
	char dele[] = "DELE", login[] = "AUTH LOGIN", foo[] = "FOO";
	char *deny[] = {dele, login, foo, NULL};
	const struct retrieval_policy policy = {.deny = deny};

	(void)state;
	expect(&policy, "dele 1", "denied -ERR Command not allowed here");
	expect(&policy, "AUTH login", "denied -ERR Command not allowed here");
	expect(&policy, "foo", "denied -ERR Command not allowed here");
	expect(&policy, "AUTH PLAIN", "");
	expect(&policy, "AUTH", "");
	expect(&policy, "RSET", "");
}

static void
test_O1_read_only(void **state)
{
	const struct retrieval_policy policy = {.read_only = true};

	(void)state;
	expect(&policy, "DELE 1", "read_only -ERR This mailbox is read-only");
	expect(&policy, "RSET", "");
	expect(&policy, "RETR 1", "");
}

static void
test_tls(void **state)
{
	static const struct {
		enum starttls starttls;
		const char *want;
	} rows[] = {
	    {STARTTLS_AUTO, "tls -ERR TLS is not available"},
	    {STARTTLS_REFUSE, "tls -ERR TLS is not available"},
	    {STARTTLS_HIDE, "tls -ERR Unknown command"},
	    {STARTTLS_PASS, ""},
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		const struct retrieval_policy policy = {.starttls = rows[i].starttls};

		expect(&policy, "STLS", rows[i].want);
		assert_int_equal(pop3_capability_passes(&policy, span_str("STLS")),
		    rows[i].starttls == STARTTLS_PASS);
	}
}

static void
test_P_008_O3_capabilities(void **state)
{
	static const char *const pass[] = {"TOP", "UIDL", "USER", "SASL PLAIN LOGIN", "PIPELINING",
	    "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE 60", "LOGIN-DELAY 5", "IMPLEMENTATION x",
	    "UTF8 USER", "LANG", "sasl plain"};
	static const char *const not [] = {"XCLIENT ADDR", "XTND", "COMPRESS", "", " "};
	char top[] = "TOP", *deny[] = {top, NULL};
	const struct retrieval_policy strict = {.refuse_unknown = true}, open = {.deny = deny};

	(void)state;
	for (size_t i = 0; i < nitems(pass); i++)
		assert_true(pop3_capability_passes(&strict, span_str(pass[i])));
	for (size_t i = 0; i < nitems(not ); i++)
		assert_false(pop3_capability_passes(&strict, span_str(not [i])));
	assert_false(pop3_capability_passes(&open, span_str("TOP")));
	assert_true(pop3_capability_passes(&open, span_str("XFOO")));
	assert_false(pop3_capability_passes(&open, span_str("XTND")));
}

static void
test_O3_mechanisms(void **state)
{
	char plain[] = "auth plain", *deny[] = {plain, NULL};
	char auth[] = "AUTH", *deny_all[] = {auth, NULL};
	const struct retrieval_policy some = {.deny = deny}, none = {.deny = deny_all};

	(void)state;
	assert_false(pop3_mechanism_passes(&some, span_str("PLAIN")));
	assert_true(pop3_mechanism_passes(&some, span_str("PLAIN-X")));
	assert_true(pop3_mechanism_passes(&some, span_str("LOGIN")));
	assert_false(pop3_mechanism_passes(&none, span_str("LOGIN")));
	/* the list itself: what is in it is asked about one by one */
	assert_true(pop3_capability_passes(&some, span_str("SASL PLAIN")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_is_configured),
	    cmocka_unit_test(test_O1_unknown),
	    cmocka_unit_test(test_O1_xtnd),
	    cmocka_unit_test(test_O1_denied),
	    cmocka_unit_test(test_O1_read_only),
	    cmocka_unit_test(test_tls),
	    cmocka_unit_test(test_P_008_O3_capabilities),
	    cmocka_unit_test(test_O3_mechanisms),
	};

	return cmocka_run_group_tests_name("pop3 rules", tests, NULL, NULL);
}
