#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../alloc.h"
#include "pop3/command.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const struct pop3_limits limits = {.line = 512, .auth_line = 12288};

static const struct {
	const char *line;
	enum pop3_fault want;
	uint32_t number;
	const char *written; /* to the server; NULL: not at all */
} lines[] = {
    {"STAT", POP3_OK, 0, "STAT\r\n"},
    {"stat  ", POP3_OK, 0, "stat\r\n"},
    {"STAT 1", POP3_ARGS_SYNTAX, 0, NULL},
    {"LIST", POP3_OK, 0, "LIST\r\n"},
    {"LIST ", POP3_OK, 0, "LIST\r\n"},
    {"LIST \t ", POP3_OK, 0, "LIST\r\n"},
    {"LIST 12", POP3_OK, 12, "LIST 12\r\n"},
    {"LIST 0", POP3_OK, 0, "LIST 0\r\n"},
    {"LIST 1 2", POP3_ARGS_SYNTAX, 1, NULL},
    {"RETR", POP3_ARGS_SYNTAX, 0, NULL},
    {"RETR   7  ", POP3_OK, 7, "RETR 7\r\n"},
    {"RETR\t7", POP3_ARGS_SYNTAX, 0, NULL},
    {" RETR 7", POP3_ARGS_SYNTAX, 0, NULL},
    {"RETR 7x", POP3_ARGS_SYNTAX, 0, NULL},
    {"RETR -7", POP3_ARGS_SYNTAX, 0, NULL},
    {"RETR 4294967295", POP3_OK, UINT32_MAX, "RETR 4294967295\r\n"},
    {"RETR 4294967296", POP3_ARGS_SYNTAX, 0, NULL},
    {"TOP 3 10", POP3_OK, 3, "TOP 3 10\r\n"},
    {"TOP 3", POP3_ARGS_SYNTAX, 3, NULL},
    {"TOP 3 x", POP3_ARGS_SYNTAX, 3, NULL},
    {"USER a b", POP3_OK, 0, "USER a b\r\n"},
    {"USER", POP3_ARGS_SYNTAX, 0, NULL},
    {"USER j\xc3\xbcrgen", POP3_OK, 0, "USER j\xc3\xbcrgen\r\n"},
    {"PASS  a  b ", POP3_OK, 0, "PASS  a  b \r\n"},
    {"PASS ", POP3_OK, 0, "PASS \r\n"},
    {"APOP a 0123", POP3_OK, 0, "APOP a 0123\r\n"},
    {"APOP a", POP3_ARGS_SYNTAX, 0, NULL},
    {"AUTH", POP3_OK, 0, "AUTH\r\n"},
    {"AUTH PLAIN", POP3_OK, 0, "AUTH PLAIN\r\n"},
    {"AUTH PLAIN =", POP3_OK, 0, "AUTH PLAIN =\r\n"},
    {"AUTH PLAIN a b", POP3_ARGS_SYNTAX, 0, NULL},
    {"AUTH p@ss", POP3_ARGS_SYNTAX, 0, NULL},
    {"AUTH aaaaabbbbbcccccddddde", POP3_ARGS_SYNTAX, 0, NULL},
    {"LANG *", POP3_OK, 0, "LANG *\r\n"},
    {"FOO bar", POP3_VERB_UNKNOWN, 0, "FOO bar\r\n"},
    {"F.O", POP3_LINE_EMPTY, 0, NULL},
    {"", POP3_LINE_EMPTY, 0, NULL},
    {" \t", POP3_LINE_EMPTY, 0, NULL},
    {"GET / HTTP/1.1", POP3_VERB_FOREIGN, 0, NULL},
};

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		struct span line = span_str(lines[i].line);
		struct pop3_detail d;
		struct buf out;

		pop3_command_parse(line, (struct line_marks){0}, &limits, &d);
		if (d.fault != lines[i].want)
			fail_msg("\"%s\": fault %d", lines[i].line, (int)d.fault);
		assert_int_equal(d.number, lines[i].number);
		if (lines[i].written == NULL)
			continue;
		buf_init(&out, 1000);
		assert_true(pop3_command_write(&d, line, &out));
		assert_true(span_eq(buf_span(&out), span_str(lines[i].written)));
		buf_free(&out);
	}
}

/* What is written is read as the same command. */
static void
test_written_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		struct pop3_detail d;
		struct span line;

		if (lines[i].written == NULL)
			continue;
		line = span_first(span_str(lines[i].written), strlen(lines[i].written) - 2);
		pop3_command_parse(line, (struct line_marks){0}, &limits, &d);
		assert_int_equal(d.fault, lines[i].want);
		assert_int_equal(d.number, lines[i].number);
	}
}

static void
test_marks(void **state)
{
	static const struct {
		struct line_marks marks;
		enum pop3_fault want;
		bool ends;
	} rows[] = {
	    {{.bare_lf = true, .nul = true}, POP3_LINE_BARE_LF, true},
	    {{.bare_cr = true}, POP3_LINE_BARE_CR, true},
	    {{.nul = true, .bare_cr = true}, POP3_LINE_NUL, true},
	    {{.too_long = true}, POP3_LINE_TOO_LONG, false},
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct pop3_detail d;

		pop3_command_parse(span_str("STAT"), rows[i].marks, &limits, &d);
		assert_int_equal(d.fault, rows[i].want);
		assert_int_equal(pop3_fault_ends(d.fault), rows[i].ends);
	}
}

static void
test_P_009_initial_response(void **state)
{
	struct pop3_detail d;

	(void)state;
	pop3_command_parse(span_str("AUTH PLAIN ="), (struct line_marks){0}, &limits, &d);
	assert_true(d.initial);
	pop3_command_parse(span_str("AUTH PLAIN"), (struct line_marks){0}, &limits, &d);
	assert_false(d.initial);
}

static void
test_replies(void **state)
{
	(void)state;
	for (int f = POP3_OK + 1; f < POP3_FAULT_COUNT; f++)
		assert_true(
		    span_starts(span_str(pop3_fault_reply((enum pop3_fault)f)), span_str("-ERR ")));
}

static void
test_no_memory(void **state)
{
	struct pop3_detail d;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	pop3_command_parse(span_str("TOP 1 2"), (struct line_marks){0}, &limits, &d);
	alloc_fail_at(1);
	assert_false(pop3_command_write(&d, span_str("TOP 1 2"), &out));
	assert_true(alloc_failed());
	buf_free(&out);
	buf_init(&out, 8); /* no room */
	assert_false(pop3_command_write(&d, span_str("TOP 1 2"), &out));
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_written_again),
	    cmocka_unit_test(test_marks),
	    cmocka_unit_test(test_P_009_initial_response),
	    cmocka_unit_test(test_replies),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("pop3 commands", tests, NULL, NULL);
}
