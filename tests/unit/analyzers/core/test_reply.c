#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/reply.h"

#define nitems(a)   (sizeof(a) / sizeof((a)[0]))
#define OCTETS(s)   (s), sizeof(s) - 1
#define LINE_LIMIT  32
#define LINES_LIMIT 4
#define REPLY_LIMIT 80

struct row {
	const char *name;
	const char *in;
	size_t n;
	unsigned code; /* 0: it is bad */
	size_t lines;
	enum an_anomaly what;
	size_t used; /* 0: all of it */
};

#define TEN "0123456789"

static const struct row rows[] = {
    {"one line", OCTETS("250 ok\r\n"), 250, 1, AN_NONE, 0},
    {"code alone", OCTETS("250\r\n"), 250, 1, AN_NONE, 0},
    {"no text", OCTETS("250 \r\n"), 250, 1, AN_NONE, 0},
    {"two lines", OCTETS("250-a\r\n250 b\r\n"), 250, 2, AN_NONE, 0},
    {"the next reply stays", OCTETS("250 a\r\n550 b\r\n"), 250, 1, AN_NONE, 7},
    {"every class", OCTETS("354 go\r\n"), 354, 1, AN_NONE, 0},
    {"S-033 mixed codes", OCTETS("250-a\r\n550 b\r\n"), 550, 2, AN_MIXED_REPLY, 0},
    {"S-033 mixed in the middle", OCTETS("250-a\r\n550-b\r\n250 c\r\n"), 250, 3, AN_MIXED_REPLY, 0},
    {"S-032 no code", OCTETS("hello\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 empty line", OCTETS("\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 two digits", OCTETS("25\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 two digits and a blank", OCTETS("25 ok\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 four digits", OCTETS("2500 ok\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 first class", OCTETS("150 ok\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 sixth class", OCTETS("650 ok\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 second digit", OCTETS("260 ok\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 NUL in the code", OCTETS("2\0\0 ok\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 NUL in the text", OCTETS("250 o\0k\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 CR in the text", OCTETS("250 o\rk\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 bare LF", OCTETS("250 ok\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 no blank", OCTETS("250ok\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"S-032 garbage in the second line", OCTETS("250-a\r\nhello\r\n"), 0, 0, AN_INVALID_REPLY, 0},
    {"a line of the limit", OCTETS("250 " TEN TEN "012345\r\n"), 250, 1, AN_NONE, 0},
    {"S-032 a line too long", OCTETS("250 " TEN TEN "0123456\r\n"), 0, 0, AN_REPLY_LINE_TOO_LONG,
	0},
    {"S-032 a line that never ends", OCTETS("250 " TEN TEN TEN TEN), 0, 0, AN_REPLY_LINE_TOO_LONG,
	0},
    {"lines of the limit", OCTETS("250-\r\n250-\r\n250-\r\n250 \r\n"), 250, 4, AN_NONE, 0},
    {"S-032 too many lines", OCTETS("250-\r\n250-\r\n250-\r\n250-\r\n250 \r\n"), 0, 0,
	AN_REPLY_TOO_LONG, 0},
    {"S-032 too many octets",
	OCTETS("250-" TEN TEN "\r\n250-" TEN TEN "\r\n250-" TEN TEN "\r\n250 x\r\n"), 0, 0,
	AN_REPLY_TOO_LONG, 0},
};

/* FTP: lines between the first and the last are free. out NULL: the octets as they came. */
static const struct free_row {
	const char *name;
	const char *in;
	size_t n;
	unsigned code; /* 0: it is bad */
	size_t lines;
	enum an_anomaly what;
	size_t used; /* 0: all of it */
	const char *out;
} free_rows[] = {
    {"one line", OCTETS("150 go\r\n"), 150, 1, AN_NONE, 0, NULL},
    {"code alone", OCTETS("226\r\n"), 226, 1, AN_NONE, 0, NULL},
    {"F-008 another code inside", OCTETS("550-x\r\n227 (1)\r\n550 y\r\n"), 550, 3, AN_NONE, 0,
	NULL},
    {"F-025 the code without blank inside", OCTETS("220-a\r\n220x\r\n220 c\r\n"), 220, 3, AN_NONE,
	0, NULL},
    {"F-025 the code and a dash inside", OCTETS("220-a\r\n220-b\r\n220 c\r\n"), 220, 3, AN_NONE, 0,
	NULL},
    {"F-025 an indented end inside", OCTETS("220-a\r\n 220 b\r\n220 c\r\n"), 220, 3, AN_NONE, 0,
	NULL},
    {"F-025 empty lines", OCTETS("220-\r\n\r\n\r\n220 \r\n"), 220, 4, AN_NONE, 0, NULL},
    {"F-025 the code alone ends it", OCTETS("220-a\r\n220\r\n"), 220, 2, AN_NONE, 0, NULL},
    {"the next reply stays", OCTETS("220-a\r\n220 b\r\n230 c\r\n"), 220, 2, AN_NONE, 14, NULL},
    {"F-026 no code", OCTETS("hello\r\n"), 0, 0, AN_INVALID_REPLY, 0, NULL},
    {"F-026 no blank", OCTETS("220hello\r\n"), 0, 0, AN_INVALID_REPLY, 0, NULL},
    {"F-026 sixth class", OCTETS("631 x\r\n"), 0, 0, AN_INVALID_REPLY, 0, NULL},
    {"F-026 no class", OCTETS("020 x\r\n"), 0, 0, AN_INVALID_REPLY, 0, NULL},
    {"bare LF", OCTETS("220-a\nb\n220 c\n"), 220, 3, AN_BARE_LF, 0, "220-a\r\nb\r\n220 c\r\n"},
    {"two CR", OCTETS("220 a\r\r\n"), 220, 1, AN_BARE_CR, 0, "220 a \r\n"},
    {"NUL", OCTETS("220 a\0b\r\n"), 220, 1, AN_NUL, 0, "220 a b\r\n"},
    {"TELNET",
	OCTETS("\xff\xfb\x01"
	       "220 a\xff\xff\xff\xf1"
	       "b\r\n"),
	220, 1, AN_TELNET_OPTION, 0,
	"220 a\xff"
	"b\r\n"},
    {"F-026 nothing but TELNET, NUL within", OCTETS("\xff\xfa\x18\0x\r\n"), 0, 0, AN_INVALID_REPLY,
	0, NULL},
    {"lines of the limit", OCTETS("220-\r\na\r\nb\r\n220 \r\n"), 220, 4, AN_NONE, 0, NULL},
    {"F-025 too many lines", OCTETS("220-\r\na\r\nb\r\nc\r\n220 \r\n"), 0, 0, AN_REPLY_TOO_LONG, 0,
	NULL},
    {"F-025 a line too long", OCTETS("220-\r\n" TEN TEN TEN "0\r\n"), 0, 0, AN_REPLY_LINE_TOO_LONG,
	0, NULL},
    {"F-025 too many octets",
	OCTETS("220-" TEN TEN "\r\n" TEN TEN TEN "\r\n" TEN TEN "\r\n220 x\r\n"), 0, 0,
	AN_REPLY_TOO_LONG, 0, NULL},
};

static enum reply_status
feed(struct reply *r, const char *in, size_t n, size_t *used, struct reply_found *found)
{
	enum reply_status status = REPLY_MORE;
	size_t taken = 0;

	if (n > 0)
		status = reply_feed(r, (const uint8_t *)in, n, &taken, found);
	assert_true(status != REPLY_MORE || taken == n);
	*used += taken;
	return status;
}

static void
check(const struct row *row, enum reply_status status, const struct reply_found *found, size_t used)
{
	assert_int_equal(found->what, row->what);
	if (row->code == 0) {
		assert_int_equal(status, REPLY_BAD);
		return;
	}
	assert_int_equal(status, REPLY_WHOLE);
	assert_int_equal(found->code, row->code);
	assert_int_equal(found->lines, row->lines);
	assert_int_equal(used, row->used == 0 ? row->n : row->used);
	assert_true(span_eq(found->octets, span_of(row->in, used)));
}

static void
test_row(void **state)
{
	const struct row *row = *state;

	for (size_t cut = 0; cut <= row->n; cut++) {
		struct reply r;
		struct reply_found found = {0};
		size_t used = 0;
		enum reply_status status;

		reply_init(&r, LINE_LIMIT, LINES_LIMIT, REPLY_LIMIT);
		status = feed(&r, row->in, cut, &used, &found);
		if (status == REPLY_MORE)
			status = feed(&r, row->in + cut, row->n - cut, &used, &found);
		check(row, status, &found, used);
		reply_free(&r);
	}
}

static void
test_octet_by_octet(void **state)
{
	const struct row *row = *state;
	struct reply r;
	struct reply_found found = {0};
	size_t used = 0;
	enum reply_status status = REPLY_MORE;

	reply_init(&r, LINE_LIMIT, LINES_LIMIT, REPLY_LIMIT);
	for (size_t i = 0; i < row->n && status == REPLY_MORE; i++)
		status = feed(&r, row->in + i, 1, &used, &found);
	check(row, status, &found, used);
	reply_free(&r);
}

static void
check_free(const struct free_row *row, enum reply_status status, const struct reply_found *found,
    size_t used)
{
	assert_int_equal(found->what, row->what);
	if (row->code == 0) {
		assert_int_equal(status, REPLY_BAD);
		return;
	}
	assert_int_equal(status, REPLY_WHOLE);
	assert_int_equal(found->code, row->code);
	assert_int_equal(found->lines, row->lines);
	assert_int_equal(used, row->used == 0 ? row->n : row->used);
	assert_true(
	    span_eq(found->octets, row->out == NULL ? span_of(row->in, used) : span_str(row->out)));
}

static void
test_free_row(void **state)
{
	const struct free_row *row = *state;

	for (size_t cut = 0; cut <= row->n; cut++) {
		struct reply r;
		struct reply_found found = {0};
		size_t used = 0;
		enum reply_status status;

		reply_init_free_lines(&r, LINE_LIMIT, LINES_LIMIT, REPLY_LIMIT);
		status = feed(&r, row->in, cut, &used, &found);
		if (status == REPLY_MORE)
			status = feed(&r, row->in + cut, row->n - cut, &used, &found);
		check_free(row, status, &found, used);
		reply_free(&r);
	}
}

/* What was odd about one reply is not about the next; the line that is none is handed out. */
static void
test_free_one_after_the_other(void **state)
{
	struct reply r;
	struct reply_found found;
	size_t used = 0;

	(void)state;
	reply_init_free_lines(&r, LINE_LIMIT, LINES_LIMIT, REPLY_LIMIT);
	assert_int_equal(feed(&r, "220 a\n", 6, &used, &found), REPLY_WHOLE);
	assert_int_equal(found.what, AN_BARE_LF);
	assert_int_equal(feed(&r, "230 b\r\n", 7, &used, &found), REPLY_WHOLE);
	assert_int_equal(found.what, AN_NONE);
	assert_int_equal(feed(&r, "PORT x\r\n", 8, &used, &found), REPLY_BAD);
	assert_true(span_eq(found.bad, span_str("PORT x")));
	reply_free(&r);
}

/* Nothing of a reply, its mixed codes neither, is left for the next one. */
static void
test_one_after_the_other(void **state)
{
	struct reply r;
	struct reply_found found;
	size_t used = 0;

	(void)state;
	reply_init(&r, LINE_LIMIT, LINES_LIMIT, REPLY_LIMIT);
	assert_int_equal(feed(&r, "250-a\r\n550 b\r\n", 14, &used, &found), REPLY_WHOLE);
	assert_int_equal(feed(&r, "250-", 4, &used, &found), REPLY_MORE);
	assert_int_equal(feed(&r, "c\r\n250 d\r\n", 10, &used, &found), REPLY_WHOLE);
	assert_int_equal(found.what, AN_NONE);
	assert_int_equal(found.lines, 2);
	assert_true(span_eq(found.octets, span_str("250-c\r\n250 d\r\n")));
	reply_free(&r);
}

/* Who only looks on takes lines that end in LF alone: named once, counted, and written anew. */
static void
test_bare_lf_of_who_looks_on(void **state)
{
	static const char text[] = "250-a\n250 b\n250 c\r\n250 d\n";
	struct reply_found found;
	struct reply r;
	size_t used = 0, at = 0;

	(void)state;
	reply_init(&r, 512, 4, 1024);
	r.bare_lf = true;
	assert_int_equal(feed(&r, text, sizeof(text) - 1, &used, &found), REPLY_WHOLE);
	assert_int_equal(found.what, AN_BARE_LF);
	assert_int_equal(found.added, 2);
	assert_true(span_eq(found.octets, span_str("250-a\r\n250 b\r\n")));
	at += used;
	used = 0;
	assert_int_equal(feed(&r, text + at, sizeof(text) - 1 - at, &used, &found), REPLY_WHOLE);
	assert_int_equal(found.what, AN_NONE);
	assert_int_equal(found.added, 0);
	at += used;
	used = 0;
	assert_int_equal(feed(&r, text + at, sizeof(text) - 1 - at, &used, &found), REPLY_WHOLE);
	assert_int_equal(found.what, AN_NONE);
	assert_int_equal(found.added, 1);
	reply_free(&r);
}

static void
test_enhanced(void **state)
{
	static const struct {
		const char *line, *code, *text;
	} cases[] = {
	    {"250 2.1.0 Ok", "2.1.0", "Ok"},
	    {"550 5.7.1", "5.7.1", ""},
	    {"550 5.7.127 x y", "5.7.127", "x y"},
	    {"250 Ok", "", "Ok"},
	    {"250", "", ""},
	    {"250 4.1.0 another class", "", "4.1.0 another class"},
	    {"250 2.1 x", "", "2.1 x"},
	    {"250 2.1.0.0 x", "", "2.1.0.0 x"},
	    {"250 2..0 x", "", "2..0 x"},
	    {"250 2.1. x", "", "2.1. x"},
	    {"250 2.1.x y", "", "2.1.x y"},
	    {"250-2.0.0 more", "2.0.0", "more"},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct span text, code = reply_enhanced(span_str(cases[i].line), &text);

		assert_true(span_eq(code, span_str(cases[i].code)));
		assert_true(span_eq(text, span_str(cases[i].text)));
	}
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_one_after_the_other),
	    cmocka_unit_test(test_enhanced),
	    cmocka_unit_test(test_bare_lf_of_who_looks_on),
	    cmocka_unit_test(test_free_one_after_the_other),
	};
	struct CMUnitTest tests[nitems(fixed) + 2 * nitems(rows) + nitems(free_rows)];
	size_t n = nitems(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++) {
		void *row = (void *)(uintptr_t)&rows[i];

		tests[n++] = (struct CMUnitTest){rows[i].name, test_row, NULL, NULL, row};
		tests[n++] =
		    (struct CMUnitTest){rows[i].name, test_octet_by_octet, NULL, NULL, row};
	}
	for (size_t i = 0; i < nitems(free_rows); i++)
		tests[n++] = (struct CMUnitTest){
		    free_rows[i].name, test_free_row, NULL, NULL, (void *)(uintptr_t)&free_rows[i]};
	return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
