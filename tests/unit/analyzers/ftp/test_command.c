#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../alloc.h"
#include "core/telnet.h"
#include "ftp/command.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OCTETS(s) (s), sizeof(s) - 1
#define LINE_MAX  64

struct row {
	const char *name;
	const char *line; /* without its end */
	size_t n;
	enum ftp_fault fault;
	const char *verb, *args;
};

static const struct row rows[] = {
    {"a verb alone", OCTETS("PASV"), FTP_OK, "PASV", ""},
    {"any case", OCTETS("pAsV"), FTP_OK, "PASV", ""},
    {"arguments are not trimmed", OCTETS("RETR  a b "), FTP_OK, "RETR", " a b "},
    {"a password of blanks", OCTETS("PASS   "), FTP_OK, "PASS", "  "},
    {"no password", OCTETS("PASS"), FTP_OK, "PASS", ""},
    {"none is allowed", OCTETS("PASV x"), FTP_ARGS_SYNTAX, "PASV", "x"},
    {"none but a blank", OCTETS("QUIT "), FTP_OK, "QUIT", ""},
    {"file without name", OCTETS("RETR "), FTP_ARGS_SYNTAX, "RETR", ""},
    {"file without blank", OCTETS("RETR"), FTP_ARGS_SYNTAX, "RETR", ""},
    {"F-003 a blank in front", OCTETS(" PORT 1,2,3,4,5,6"), FTP_ARGS_SYNTAX, "?",
	"PORT 1,2,3,4,5,6"},
    {"F-003 two blanks", OCTETS("PORT  1,2,3,4,5,6"), FTP_OK, "PORT", " 1,2,3,4,5,6"},
    {"F-003 a blank inside", OCTETS("PORT 1,2,3,4, 5,6"), FTP_ARGS_SYNTAX, "PORT", "1,2,3,4, 5,6"},
    {"a tab is no blank", OCTETS("RETR\tx"), FTP_ARGS_SYNTAX, "RETR", "x"},
    {"F-004 a family that nobody has", OCTETS("EPRT |3|x|1|"), FTP_ARGS_FAMILY, "EPRT", "|3|x|1|"},
    {"F-017 EPSV 3", OCTETS("EPSV 3"), FTP_ARGS_FAMILY, "EPSV", "3"},
    {"F-016 EPSV ALL", OCTETS("EPSV ALL"), FTP_OK, "EPSV", "ALL"},
    {"F-021 REST", OCTETS("REST 100"), FTP_OK, "REST", "100"},
    {"F-021 REST, too large", OCTETS("REST 18446744073709551616"), FTP_ARGS_SYNTAX, "REST",
	"18446744073709551616"},
    {"F-021 REST, one too large", OCTETS("REST 9223372036854775808"), FTP_ARGS_SYNTAX, "REST",
	"9223372036854775808"},
    {"F-021 REST, no number", OCTETS("REST -1"), FTP_ARGS_SYNTAX, "REST", "-1"},
    {"F-022 ALLO", OCTETS("ALLO 9e99"), FTP_OK, "ALLO", "9e99"},
    {"F-022 format strings", OCTETS("USER %n%n%s"), FTP_OK, "USER", "%n%n%s"},
    {"F-010 a reply of a client", OCTETS("227 x (1,2,3,4,5,6)"), FTP_VERB_FOREIGN, "?",
	"x (1,2,3,4,5,6)"},
    {"F-013 HTTP", OCTETS("POST / HTTP/1.1"), FTP_VERB_FOREIGN, "?", "/ HTTP/1.1"},
    {"F-047 an unknown verb", OCTETS("XPWN x"), FTP_VERB_UNKNOWN, "?", "x"},
    {"F-047 P@SW", OCTETS("P@SW"), FTP_OK, "P@SW", ""},
    {"no word", OCTETS("PA$V"), FTP_LINE_EMPTY, "?", ""},
    {"nothing", OCTETS(""), FTP_LINE_EMPTY, "?", ""},
    {"blanks", OCTETS("  "), FTP_LINE_EMPTY, "?", ""},
    {"F-011 NUL", OCTETS("RETR a\0b"), FTP_LINE_NUL, "?", ""},
    {"F-011 CR NUL", OCTETS("RETR a\r\0b"), FTP_LINE_NUL, "?", ""},
    {"F-011 CR", OCTETS("RETR a\rPORT 1"), FTP_LINE_BARE_CR, "?", ""},
    {"F-019 IAC IAC",
	OCTETS("RETR a\xff\xff"
	       "b"),
	FTP_OK, "RETR",
	"a\xff"
	"b"},
    {"F-019 IAC NOP in a verb", OCTETS("RE\xff\xf1TR a"), FTP_LINE_TELNET, "?", ""},
    {"F-019 IAC at the end", OCTETS("RETR a\xff"), FTP_LINE_TELNET, "?", ""},
    {"F-019 erase line", OCTETS("USER evil\xff\xf8USER x"), FTP_LINE_TELNET, "?", ""},
    {"F-019 an option", OCTETS("USER \xff\xfb\x01x"), FTP_LINE_TELNET, "?", ""},
    {"F-019 no end of a subnegotiation", OCTETS("\xff\xfa\x18\x00USER x"), FTP_LINE_TELNET, "?",
	""},
    {"too long", OCTETS("RETR 0123456789012345678901234567890123456789012345678901234567"),
	FTP_LINE_TOO_LONG, "?", ""},
    {"as long as may be", OCTETS("RETR 012345678901234567890123456789012345678901234567890123456"),
	FTP_OK, "RETR", "012345678901234567890123456789012345678901234567890123456"},
};

/* As the dialogue takes a line apart. */
static void
parse(const struct row *row, struct buf *plain, struct ftp_detail *d)
{
	struct span raw = span_of(row->line, row->n);
	struct line_marks marks = {
	    .bare_cr = span_find(raw, '\r') >= 0, .nul = span_find(raw, '\0') >= 0};
	bool telnet;

	assert_true(telnet_plain(raw, plain, &telnet));
	ftp_command_parse(raw, buf_span(plain), telnet, marks, LINE_MAX, d);
}

static void
test_row(void **state)
{
	const struct row *row = *state;
	struct ftp_detail d;
	struct buf plain;

	buf_init(&plain, 1000);
	parse(row, &plain, &d);
	assert_int_equal(d.fault, row->fault);
	assert_string_equal(d.verb->name, row->verb);
	assert_true(span_eq(d.args, span_str(row->args)));
	if (d.fault == FTP_OK) {
		struct buf out;

		/* what goes on is the line that came */
		buf_init(&out, 1000);
		assert_true(ftp_command_write(d.word, d.args, &out));
		if (d.args.n > 0 || row->line[row->n - 1] != ' ')
			assert_true(span_eq(
			    span_first(buf_span(&out), out.n - 2), span_of(row->line, row->n)));
		assert_true(span_iends(buf_span(&out), span_str("\r\n")));
		buf_free(&out);
	}
	buf_free(&plain);
}

static void
test_values(void **state)
{
	const struct row rest = {"", OCTETS("REST 9223372036854775807"), FTP_OK, "", ""};
	const struct row port = {"", OCTETS("PORT 192,0,2,1,4,1"), FTP_OK, "", ""};
	const struct row epsv = {"", OCTETS("EPSV 2"), FTP_OK, "", ""};
	struct ftp_detail d;
	struct buf plain;

	(void)state;
	buf_init(&plain, 1000);
	parse(&rest, &plain, &d);
	assert_true(d.restart == INT64_MAX);
	buf_clear(&plain);
	parse(&port, &plain, &d);
	assert_int_equal(d.hostport.port, 1025);
	buf_clear(&plain);
	parse(&epsv, &plain, &d);
	assert_int_equal(d.epsv, FTP_EPSV_V6);
	buf_free(&plain);
}

static void
test_bare_lf_comes_first(void **state)
{
	struct line_marks marks = {.bare_lf = true, .too_long = true, .nul = true};
	struct ftp_detail d;

	(void)state;
	ftp_command_parse(SPAN_NONE, SPAN_NONE, false, marks, LINE_MAX, &d);
	assert_int_equal(d.fault, FTP_LINE_BARE_LF);
	assert_true(ftp_fault_ends(d.fault));
}

/* Whatever rule a client has for the end of a reply, it is where ours is (F-025). */
static void
test_F_025_reply_write(void **state)
{
	static const struct {
		const char *in, *out;
	} replies[] = {
	    {"220 a\r\n", "220 a\r\n"},
	    {"220-a\r\nb\r\n220 c\r\n", "220-a\r\nb\r\n220 c\r\n"},
	    {"220-a\r\n220-b\r\n220 c\r\n", "220-a\r\n220-b\r\n220 c\r\n"},
	    {"220-a\r\n230 b\r\n220 c\r\n", "220-a\r\n 230 b\r\n220 c\r\n"},
	    {"220-a\r\n230-b\r\n220 c\r\n", "220-a\r\n 230-b\r\n220 c\r\n"},
	    {"220-a\r\n220x\r\n220 c\r\n", "220-a\r\n 220x\r\n220 c\r\n"},
	    {"220-a\r\n227\r\n220 c\r\n", "220-a\r\n 227\r\n220 c\r\n"},
	    {"220-\xff\r\n220 \xff\r\n", "220-\xff\xff\r\n220 \xff\xff\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < nitems(replies); i++) {
		struct buf out;

		buf_init(&out, 100);
		assert_true(ftp_reply_write(span_str(replies[i].in), &out));
		assert_true(span_eq(buf_span(&out), span_str(replies[i].out)));
		buf_free(&out);
	}
}

static void
test_no_memory(void **state)
{
	bool done = false;

	(void)state;
	for (unsigned n = 1; !done; n++) {
		struct buf command, reply;
		bool ok;

		buf_init(&command, 100);
		buf_init(&reply, 100);
		alloc_fail_at(n);
		ok = ftp_command_write(span_str("RETR"),
			 span_str("a\xff"
				  "b"),
			 &command) &&
		     ftp_reply_write(span_str("220-a\r\n230 b\r\n220 c\r\n"), &reply);
		done = !alloc_failed();
		assert_int_equal(ok, done);
		buf_free(&command);
		buf_free(&reply);
	}
}

static void
test_mdtm_sets_time(void **state)
{
	static const struct {
		const char *args;
		bool sets;
	} trials[] = {
	    {"20260101000000 a", true},
	    {"20260101000000.5 a b", true},
	    {"20260101000000+60 a", true},
	    {"20260101 a", true},
	    {" 20260101000000  a", true},
	    {"20260101000000", false},
	    {"20260101000000 ", false},
	    {"2026010100000 a", false},
	    {"20260101x a", false},
	    {"a 20260101000000", false},
	    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < nitems(trials); i++)
		assert_int_equal(ftp_mdtm_sets_time(span_str(trials[i].args)), trials[i].sets);
}

static void
test_faults_have_replies(void **state)
{
	(void)state;
	for (int f = FTP_OK + 1; f < FTP_FAULT_COUNT; f++) {
		const char *reply = ftp_fault_reply((enum ftp_fault)f);

		assert_true(reply[0] >= '4' && reply[0] <= '5' && reply[3] == ' ');
		assert_true(ftp_fault_ends((enum ftp_fault)f) || reply[0] == '5');
	}
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_bare_lf_comes_first),
	    cmocka_unit_test(test_F_025_reply_write),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_mdtm_sets_time),
	    cmocka_unit_test(test_faults_have_replies),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];
	size_t n = nitems(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++)
		tests[n++] = (struct CMUnitTest){
		    rows[i].name, test_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
	return cmocka_run_group_tests_name("ftp command", tests, NULL, NULL);
}
