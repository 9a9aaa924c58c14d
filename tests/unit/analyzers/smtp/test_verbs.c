#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/verbs.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const char *const known[] = {"AUTH", "BDAT", "DATA", "EHLO", "ETRN", "EXPN", "HELO", "HELP",
    "MAIL", "NOOP", "QUIT", "RCPT", "RSET", "STARTTLS", "VRFY", "XCLIENT", "XFORWARD"};
static const char *const foreign[] = {
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"};

/* Found by bisection: one row out of order, and some word is not found. */
static void
test_sorted(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(known); i++) {
		const struct smtp_verb_row *row = smtp_verb_find(span_str(known[i]));

		assert_string_equal(row->name, known[i]);
		assert_ptr_equal(smtp_verb_row(row->verb), row);
	}
	for (size_t i = 0; i < nitems(foreign); i++)
		assert_int_equal(smtp_verb_find(span_str(foreign[i]))->verb, SMTP_FOREIGN);
}

static void
test_case(void **state)
{
	(void)state;
	assert_int_equal(smtp_verb_find(span_str("mAiL"))->verb, SMTP_MAIL);
	assert_int_equal(smtp_verb_find(span_str("starttls"))->verb, SMTP_STARTTLS);
	assert_int_equal(smtp_verb_find(span_str("get"))->verb, SMTP_FOREIGN);
}

/* A longer or a shorter word is another word (S-041). */
static void
test_whole_words(void **state)
{
	static const char *const others[] = {"", "D", "DAT", "DATAX", "DATA2", "MAILFROM", "QUI",
	    "AUT", "XCLIENTS", "ZZZZ", "AAAA", "TURN", "ATRN", "BURL", "XEXCH50", "GE", "GETS",
	    "MA\xc4\xb0L", ":"};

	(void)state;
	for (size_t i = 0; i < nitems(others); i++)
		assert_int_equal(smtp_verb_find(span_str(others[i]))->verb, SMTP_UNKNOWN);
	assert_int_equal(smtp_verb_find(span_of("DATA\0", 5))->verb, SMTP_UNKNOWN);
}

static void
test_header_fields(void **state)
{
	(void)state;
	assert_int_equal(smtp_verb_find(span_str("Host:"))->verb, SMTP_FOREIGN);
	assert_int_equal(smtp_verb_find(span_str("X-Y:"))->verb, SMTP_FOREIGN);
}

static void
test_properties(void **state)
{
	static const enum smtp_verb sync[] = {
	    SMTP_NONE, SMTP_EHLO, SMTP_HELO, SMTP_DATA, SMTP_AUTH, SMTP_STARTTLS, SMTP_QUIT};
	static const enum smtp_verb group[] = {
	    SMTP_MAIL, SMTP_RCPT, SMTP_RSET, SMTP_BDAT, SMTP_NOOP, SMTP_VRFY};
	static const enum smtp_verb secret[] = {SMTP_AUTH, SMTP_XCLIENT, SMTP_UNKNOWN};
	static const enum smtp_verb junk[] = {
	    SMTP_NOOP, SMTP_RSET, SMTP_VRFY, SMTP_EXPN, SMTP_HELP, SMTP_ETRN};

	(void)state;
	for (size_t i = 0; i < nitems(sync); i++)
		assert_true(smtp_verb_row(sync[i])->sync);
	for (size_t i = 0; i < nitems(group); i++)
		assert_false(smtp_verb_row(group[i])->sync);
	for (size_t i = 0; i < nitems(secret); i++)
		assert_true(smtp_verb_row(secret[i])->secret);
	for (size_t i = 0; i < nitems(junk); i++)
		assert_true(smtp_verb_row(junk[i])->junk);
	assert_false(smtp_verb_row(SMTP_MAIL)->junk);
	assert_false(smtp_verb_row(SMTP_MAIL)->secret);
}

static void
test_rows_without_a_word(void **state)
{
	(void)state;
	assert_int_equal(smtp_verb_row(SMTP_NONE)->verb, SMTP_NONE);
	assert_int_equal(smtp_verb_row(SMTP_MESSAGE)->verb, SMTP_MESSAGE);
	assert_string_equal(smtp_verb_row(SMTP_MESSAGE)->name, ".");
	assert_int_equal(smtp_verb_row(SMTP_FOREIGN)->verb, SMTP_FOREIGN);
	assert_int_equal(smtp_verb_row(SMTP_UNKNOWN)->verb, SMTP_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sorted),
	    cmocka_unit_test(test_case),
	    cmocka_unit_test(test_whole_words),
	    cmocka_unit_test(test_header_fields),
	    cmocka_unit_test(test_properties),
	    cmocka_unit_test(test_rows_without_a_word),
	};

	return cmocka_run_group_tests_name("verbs", tests, NULL, NULL);
}
