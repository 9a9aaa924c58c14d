#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pop3/verbs.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const char *const known[] = {"APOP", "AUTH", "CAPA", "DELE", "LANG", "LAST", "LIST", "NOOP",
    "PASS", "QUIT", "RETR", "RSET", "STAT", "STLS", "TOP", "UIDL", "USER", "UTF8", "XTND"};

/* Found by bisection: one row out of order, and some word is not found. */
static void
test_sorted(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(known); i++) {
		const struct pop3_verb_row *row = pop3_verb_find(span_str(known[i]));

		assert_string_equal(row->name, known[i]);
		assert_ptr_equal(pop3_verb_row(row->verb), row);
	}
	for (int verb = POP3_NONE; verb <= POP3_UNKNOWN; verb++)
		assert_int_equal(pop3_verb_row((enum pop3_verb)verb)->verb, verb);
}

static void
test_P_013_foreign(void **state)
{
	static const char *const foreign[] = {"CONFIG", "CONNECT", "DELETE", "EHLO", "EVAL",
	    "FLUSHALL", "GET", "HEAD", "HELO", "INFO", "INVITE", "MAIL", "OPTIONS", "PING", "POST",
	    "PUT", "RCPT", "REGISTER", "SET", "SLAVEOF", "TRACE", "get", "Host:", "*2", "$4", "+OK",
	    "-ERR"};

	(void)state;
	for (size_t i = 0; i < nitems(foreign); i++)
		assert_int_equal(pop3_verb_find(span_str(foreign[i]))->verb, POP3_FOREIGN);
}

static void
test_case_and_whole_words(void **state)
{
	static const char *const others[] = {
	    "", "R", "RET", "RETRX", "QUI", "ZZZZ", "AAAA", "GE", "GETS", "US\xc3\x8b"};

	(void)state;
	assert_int_equal(pop3_verb_find(span_str("rEtR"))->verb, POP3_RETR);
	assert_int_equal(pop3_verb_find(span_str("utf8"))->verb, POP3_UTF8);
	for (size_t i = 0; i < nitems(others); i++)
		assert_int_equal(pop3_verb_find(span_str(others[i]))->verb, POP3_UNKNOWN);
	assert_int_equal(pop3_verb_find(span_of("RETR\0", 5))->verb, POP3_UNKNOWN);
}

static bool
is_one_of(enum pop3_verb verb, const enum pop3_verb *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == verb)
			return true;
	return false;
}

static void
test_P_007_P_012_secrets(void **state)
{
	static const enum pop3_verb secret[] = {
	    POP3_APOP, POP3_AUTH, POP3_PASS, POP3_FOREIGN, POP3_UNKNOWN};

	(void)state;
	for (int verb = POP3_NONE; verb <= POP3_UNKNOWN; verb++)
		assert_int_equal(pop3_verb_row((enum pop3_verb)verb)->secret,
		    is_one_of((enum pop3_verb)verb, secret, nitems(secret)));
}

static void
test_what_waits_and_what_writes(void **state)
{
	static const enum pop3_verb sync[] = {
	    POP3_APOP, POP3_AUTH, POP3_PASS, POP3_QUIT, POP3_STLS};

	(void)state;
	for (int verb = POP3_NONE; verb <= POP3_UNKNOWN; verb++) {
		const struct pop3_verb_row *row = pop3_verb_row((enum pop3_verb)verb);

		assert_int_equal(row->sync, is_one_of(row->verb, sync, nitems(sync)));
		assert_int_equal(row->writes, row->verb == POP3_DELE);
	}
}

static void
test_P_005_lines(void **state)
{
	static const enum pop3_verb bare[] = {POP3_AUTH, POP3_LANG, POP3_LIST, POP3_UIDL};

	(void)state;
	for (int verb = POP3_NONE; verb <= POP3_UNKNOWN; verb++) {
		enum pop3_lines want = is_one_of((enum pop3_verb)verb, bare, nitems(bare))
					   ? POP3_LINES_BARE
				       : verb == POP3_CAPA		       ? POP3_LINES
				       : verb == POP3_RETR || verb == POP3_TOP ? POP3_LINES_MESSAGE
									       : POP3_SINGLE;

		assert_int_equal(pop3_verb_row((enum pop3_verb)verb)->lines, want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sorted),
	    cmocka_unit_test(test_P_013_foreign),
	    cmocka_unit_test(test_case_and_whole_words),
	    cmocka_unit_test(test_P_007_P_012_secrets),
	    cmocka_unit_test(test_what_waits_and_what_writes),
	    cmocka_unit_test(test_P_005_lines),
	};

	return cmocka_run_group_tests_name("pop3 verbs", tests, NULL, NULL);
}
