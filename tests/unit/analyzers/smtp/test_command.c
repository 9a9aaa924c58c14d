#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/command.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define ALL	  0xffffffffu
#define LINE	  4096u

struct row {
	const char *name;
	const char *line;
	enum smtp_fault fault;
	const char *canonical; /* of a command without fault; else the reply to it */
};

#define FINE(line_, canonical_)	   .line = (line_), .fault = SMTP_OK, .canonical = (canonical_ "\r\n")
#define BAD(line_, fault_, reply_) .line = (line_), .fault = (fault_), .canonical = (reply_)

#define SYNTAX_501 "501 5.5.4 Error: bad command syntax"
#define SYNTAX_500 "500 5.5.2 Error: bad syntax"
#define UTF8_500   "500 5.5.2 Error: bad UTF-8 syntax"
#define UNKNOWN	   "502 5.5.1 Error: command not recognized"
#define FOREIGN	   "221 2.7.0 Error: this port speaks SMTP. Goodbye."
#define CHUNK	   "521 5.5.4 Syntax: BDAT count [LAST]"

static const struct row rows[] = {
    {"MAIL", FINE("MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>")},
    {"MAIL, lower case", FINE("mail from:<A@b.example>", "MAIL FROM:<A@b.example>")},
    {"MAIL, blanks",
	FINE("MAIL \t FROM: <a@b.example>  SIZE=1 ", "MAIL FROM:<a@b.example> SIZE=1")},
    {"MAIL, null sender", FINE("MAIL FROM:<>", "MAIL FROM:<>")},
    {"R-034 RCPT by a route", FINE("RCPT TO:<@x.example:a@b.example>", "RCPT TO:<a@b.example>")},
    {"R-034 RCPT with a dot at the end", FINE("RCPT TO:<a@b.example.>", "RCPT TO:<a@b.example>")},
    {"RCPT, DSN", FINE("RCPT TO:<a@b.example> NOTIFY=NEVER", "RCPT TO:<a@b.example> NOTIFY=NEVER")},
    {"EHLO", FINE("ehlo me.example", "EHLO me.example")},
    {"NOOP with text", FINE("noop  some text ", "NOOP some text")},
    {"RSET", FINE("RSET", "RSET")},
    {"QUIT and blanks", FINE("QUIT  ", "QUIT")},
    {"BDAT", FINE("bdat 5 last", "BDAT 5 last")},
    {"AUTH", FINE("AUTH plain AHUAcA==", "AUTH plain AHUAcA==")},
    {"AUTH, empty initial response", FINE("AUTH PLAIN =", "AUTH PLAIN =")},
    {"XCLIENT is judged, not refused here", FINE("XCLIENT ADDR=10.0.0.1", "XCLIENT ADDR=10.0.0.1")},

    {"empty", BAD("", SMTP_LINE_EMPTY, SYNTAX_500)},
    {"blanks", BAD(" \t ", SMTP_LINE_EMPTY, SYNTAX_500)},
    {"S-020 control octet", BAD("NOOP \x1b[2J", SMTP_LINE_CONTROL, SYNTAX_500)},
    {"S-020 DEL", BAD("NOOP \x7f", SMTP_LINE_CONTROL, SYNTAX_500)},
    {"S-035 half a letter", BAD("MAIL FROM:<\xc3(@x.example>", SMTP_LINE_UTF8, UTF8_500)},
    {"S-041 TURN", BAD("TURN", SMTP_VERB_UNKNOWN, UNKNOWN)},
    {"S-026 GET", BAD("GET / HTTP/1.1", SMTP_VERB_FOREIGN, FOREIGN)},
    {"S-026 header field", BAD("Host: x", SMTP_VERB_FOREIGN, FOREIGN)},
    {"RSET with text", BAD("RSET x", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"N-019 STARTTLS with text", BAD("STARTTLS foo", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"EHLO alone", BAD("EHLO", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"EHLO with two names", BAD("EHLO a b", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"MAIL alone", BAD("MAIL", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"MAIL with TO", BAD("MAIL TO:<a@b.example>", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"MAIL without brackets", BAD("MAIL FROM:a@b.example", SMTP_PATH_BAD,
				  "501 5.1.7 Error: address must be in angle brackets")},
    {"S-073 RCPT too long",
	BAD("RCPT "
	    "TO:<a12345678901234567890123456789012345678901234567890123456789012345@b.example>",
	    SMTP_PATH_BAD, "501 5.1.3 Error: local part too long")},
    {"parameter unknown", BAD("MAIL FROM:<a@b.example> X=1", SMTP_PARAM_BAD,
			      "555 5.5.4 Error: unsupported parameter")},
    {"parameter bad", BAD("MAIL FROM:<a@b.example> BODY=9BIT", SMTP_PARAM_BAD,
			  "501 5.5.4 Error: bad parameter syntax")},
    {"S-074 size bad", BAD("MAIL FROM:<a@b.example> SIZE=99999999999999999999", SMTP_PARAM_BAD,
			   "501 5.5.4 Error: bad message size")},
    {"AUTH alone", BAD("AUTH", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"AUTH, three words", BAD("AUTH PLAIN AA== BB==", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"AUTH, no base64", BAD("AUTH PLAIN a*b", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"AUTH, mechanism of 21", BAD("AUTH A12345678901234567890", SMTP_ARGS_SYNTAX, SYNTAX_501)},
    {"S-051 no count", BAD("BDAT", SMTP_BDAT_SYNTAX, CHUNK)},
    {"S-051 sign", BAD("BDAT +5", SMTP_BDAT_SYNTAX, CHUNK)},
    {"S-051 leading zero", BAD("BDAT 05", SMTP_BDAT_SYNTAX, CHUNK)},
    {"S-051 another word", BAD("BDAT 5 LASTX", SMTP_BDAT_SYNTAX, CHUNK)},
    {"S-051 LAST twice", BAD("BDAT 5 LAST LAST", SMTP_BDAT_SYNTAX, CHUNK)},
    {"S-052 2^63", BAD("BDAT 9223372036854775808", SMTP_BDAT_SYNTAX, CHUNK)},
    {"S-052 2^64", BAD("BDAT 18446744073709551616", SMTP_BDAT_SYNTAX, CHUNK)},
};

static void
test_row(void **state)
{
	const struct row *row = *state;
	struct smtp_detail d;
	struct buf out;

	smtp_command_parse(span_str(row->line), (struct line_marks){0}, LINE, false, ALL, &d);
	assert_int_equal(d.fault, row->fault);
	buf_init(&out, 1000);
	if (row->fault == SMTP_OK)
		assert_true(smtp_command_canonical(&d, &out));
	else
		assert_true(smtp_command_refusal(&d, &out));
	if (!span_eq(buf_span(&out), span_str(row->canonical)))
		fail_msg("'%.*s'", (int)out.n, (const char *)out.p);
	buf_free(&out);
}

static void
test_marks(void **state)
{
	static const struct {
		struct line_marks marks;
		enum smtp_fault fault;
	} cases[] = {
	    {{.bare_lf = true}, SMTP_LINE_BARE_LF},   /* S-019 */
	    {{.bare_cr = true}, SMTP_LINE_BARE_CR},   /* S-019 */
	    {{.too_long = true}, SMTP_LINE_TOO_LONG}, /* S-021 */
	    {{.bare_lf = true, .too_long = true}, SMTP_LINE_BARE_LF},
	};
	struct smtp_detail d;

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		smtp_command_parse(span_str("NOOP"), cases[i].marks, LINE, false, ALL, &d);
		assert_int_equal(d.fault, cases[i].fault);
	}
	smtp_command_parse(
	    span_of("NO\0P", 4), (struct line_marks){.nul = true}, LINE, false, ALL, &d);
	assert_int_equal(d.fault, SMTP_LINE_CONTROL);
}

/* The bound counts CR LF, and AUTH has its own (S-021, RFC 4954 s4). */
static void
test_length(void **state)
{
	struct smtp_detail d;

	(void)state;
	smtp_command_parse(span_str("NOOP 12345"), (struct line_marks){0}, 12, false, ALL, &d);
	assert_int_equal(d.fault, SMTP_OK);
	smtp_command_parse(span_str("NOOP 123456"), (struct line_marks){0}, 12, false, ALL, &d);
	assert_int_equal(d.fault, SMTP_LINE_TOO_LONG);
	smtp_command_parse(
	    span_str("AUTH PLAIN AHUAcA=="), (struct line_marks){0}, 12, false, ALL, &d);
	assert_int_equal(d.fault, SMTP_OK);
}

static void
test_what_is_filled_in(void **state)
{
	struct smtp_detail d;

	(void)state;
	smtp_command_parse(span_str("MAIL FROM:<a@b.example> SIZE=7 BODY=BINARYMIME SMTPUTF8"),
	    (struct line_marks){0}, LINE, false, ALL, &d);
	assert_int_equal(d.verb->verb, SMTP_MAIL);
	assert_int_equal(d.params.size, 7);
	assert_int_equal(d.params.body, SMTP_BODY_BINARYMIME);
	assert_true(d.params.smtputf8);
	assert_true(span_eq(d.path.raw, span_str("a@b.example")));
	smtp_command_parse(span_str("BDAT 9223372036854775807 Last"), (struct line_marks){0}, LINE,
	    false, ALL, &d);
	assert_int_equal(d.fault, SMTP_OK);
	assert_true(d.chunk == (uint64_t)INT64_MAX);
	assert_true(d.last);
	smtp_command_parse(span_str("BDAT 0"), (struct line_marks){0}, LINE, false, ALL, &d);
	assert_int_equal(d.fault, SMTP_OK);
	assert_false(d.last);
}

/* A parameter is known only where its keyword was offered. */
static void
test_offered(void **state)
{
	struct smtp_detail d;

	(void)state;
	smtp_command_parse(span_str("MAIL FROM:<a@b.example> SIZE=7"), (struct line_marks){0}, LINE,
	    false, ALL & ~(unsigned)SMTP_EXT_SIZE, &d);
	assert_int_equal(d.fault, SMTP_PARAM_BAD);
	assert_int_equal(d.param_fault, SMTP_PARAM_UNKNOWN);
	assert_true(span_eq(d.param_bad, span_str("SIZE=7")));
}

static void
test_lenient(void **state)
{
	struct smtp_detail d;

	(void)state;
	smtp_command_parse(
	    span_str("MAIL FROM:a@b.example SIZE=7"), (struct line_marks){0}, LINE, true, ALL, &d);
	assert_int_equal(d.fault, SMTP_OK);
	assert_int_equal(d.params.size, 7);
}

static void
test_mechanism(void **state)
{
	(void)state;
	assert_true(span_eq(smtp_auth_mechanism(span_str("PLAIN AA==")), span_str("PLAIN")));
	assert_true(span_eq(
	    smtp_auth_mechanism(span_str("SCRAM-SHA-256-PLUS")), span_str("SCRAM-SHA-256-PLUS")));
	assert_int_equal(smtp_auth_mechanism(span_str("")).n, 0);
	assert_int_equal(smtp_auth_mechanism(span_str("PL@IN")).n, 0);
}

/* Every fault has words, and those that end the session are these. */
static void
test_faults(void **state)
{
	(void)state;
	for (int f = SMTP_OK + 1; f < SMTP_FAULT_COUNT; f++) {
		bool ends = f == SMTP_LINE_ENDLESS || f == SMTP_LINE_BARE_LF ||
			    f == SMTP_LINE_BARE_CR || f == SMTP_VERB_FOREIGN ||
			    f == SMTP_BDAT_SYNTAX;

		assert_true(strlen(smtp_fault_reply((enum smtp_fault)f)) > 4);
		assert_int_equal(smtp_fault_ends((enum smtp_fault)f), ends);
	}
}

static void
test_output_full(void **state)
{
	struct smtp_detail d;
	struct buf out;

	(void)state;
	smtp_command_parse(
	    span_str("MAIL FROM:<a@b.example>"), (struct line_marks){0}, LINE, false, ALL, &d);
	for (size_t max = 0; max < 25; max++) {
		buf_init(&out, max);
		assert_false(smtp_command_canonical(&d, &out));
		buf_free(&out);
	}
	smtp_command_parse(span_str("TURN"), (struct line_marks){0}, LINE, false, ALL, &d);
	buf_init(&out, 10);
	assert_false(smtp_command_refusal(&d, &out));
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_marks),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_what_is_filled_in),
	    cmocka_unit_test(test_offered),
	    cmocka_unit_test(test_lenient),
	    cmocka_unit_test(test_mechanism),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_output_full),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++)
		tests[nitems(fixed) + i] = (struct CMUnitTest){
		    rows[i].name, test_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
