#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/line.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OCTETS(s) (s), sizeof(s) - 1
#define LINE_MAX_ 8

#define LF   1u
#define CR   2u
#define NUL  4u
#define LONG 8u

struct line_want {
	const char *text;
	size_t n;
	unsigned marks;
};

struct row {
	const char *name;
	const char *in;
	size_t n;
	struct line_want lines[4];
	size_t n_lines;
};

static const struct row rows[] = {
    {"one", OCTETS("abc\r\n"), {{OCTETS("abc"), 0}}, 1},
    {"empty", OCTETS("\r\n"), {{OCTETS(""), 0}}, 1},
    {"two", OCTETS("a\r\nb\r\n"), {{OCTETS("a"), 0}, {OCTETS("b"), 0}}, 2},
    {"no end", OCTETS("abc"), {{NULL, 0, 0}}, 0},
    {"S-019 bare LF", OCTETS("abc\nd\r\n"), {{OCTETS("abc"), LF}, {OCTETS("d"), 0}}, 2},
    {"S-019 LF alone", OCTETS("\n"), {{OCTETS(""), LF}}, 1},
    {"S-019 LF behind a line", OCTETS("a\r\n\n"), {{OCTETS("a"), 0}, {OCTETS(""), LF}}, 2},
    {"S-019 CR inside", OCTETS("a\rb\r\n"), {{OCTETS("a\rb"), CR}}, 1},
    {"S-019 CR CR LF", OCTETS("a\r\r\n"), {{OCTETS("a\r"), CR}}, 1},
    {"S-020 NUL inside", OCTETS("a\0b\r\n"), {{OCTETS("a\0b"), NUL}}, 1},
    {"all at once", OCTETS("\r\0\n"), {{OCTETS("\r\0"), LF | CR | NUL}}, 1},
    {"S-021 as long as may be", OCTETS("123456\r\n"), {{OCTETS("123456"), 0}}, 1},
    {"S-021 one longer", OCTETS("1234567\r\nx\r\n"), {{OCTETS(""), LONG}, {OCTETS("x"), 0}}, 2},
    {"S-021 much longer", OCTETS("123456789012345678\r\nx\r\n"),
	{{OCTETS(""), LONG}, {OCTETS("x"), 0}}, 2},
    {"S-021 longer, bare LF", OCTETS("123456789012345678\n"), {{OCTETS(""), LONG | LF}}, 1},
};

struct reader {
	struct line line;
	const struct row *row;
	size_t seen;
};

static void
check(struct reader *r, struct span text, struct line_marks marks)
{
	const struct line_want *want = &r->row->lines[r->seen];
	unsigned got = (marks.bare_lf ? LF : 0u) | (marks.bare_cr ? CR : 0u) |
		       (marks.nul ? NUL : 0u) | (marks.too_long ? LONG : 0u);

	assert_true(r->seen < r->row->n_lines);
	assert_true(span_eq(text, span_of(want->text, want->n)));
	assert_int_equal(got, want->marks);
	r->seen++;
}

static void
feed(struct reader *r, const char *in, size_t n)
{
	while (n > 0) {
		/* a copy of its own, so that a look beyond its end is seen */
		uint8_t *copy = test_malloc(n);
		struct line_marks marks;
		struct span text;
		size_t used;
		enum line_status status;

		memcpy(copy, in, n);
		status = line_feed(&r->line, copy, n, &used, &text, &marks);
		assert_int_not_equal(status, LINE_NOMEM);
		assert_true(used <= n);
		if (status == LINE_WHOLE)
			check(r, text, marks);
		else
			assert_int_equal(used, n);
		test_free(copy);
		in += used;
		n -= used;
	}
}

static void
test_row(void **state)
{
	const struct row *row = *state;
	struct reader r;

	for (size_t cut = 0; cut <= row->n; cut++) {
		r = (struct reader){.row = row};
		line_init(&r.line, LINE_MAX_);
		feed(&r, row->in, cut);
		feed(&r, row->in + cut, row->n - cut);
		assert_int_equal(r.seen, row->n_lines);
		line_free(&r.line);
	}
	r = (struct reader){.row = row};
	line_init(&r.line, LINE_MAX_);
	for (size_t i = 0; i < row->n; i++)
		feed(&r, row->in + i, 1);
	assert_int_equal(r.seen, row->n_lines);
	line_free(&r.line);
}

static void
test_whole_line_is_not_copied(void **state)
{
	static const uint8_t in[] = "abc\r\ndef";
	struct line line;
	struct line_marks marks;
	struct span text;
	size_t used;

	(void)state;
	line_init(&line, LINE_MAX_);
	assert_int_equal(line_feed(&line, in, 8, &used, &text, &marks), LINE_WHOLE);
	assert_ptr_equal(text.p, in);
	assert_null(line.held.p);
	assert_int_equal(line_feed(&line, in + used, 3, &used, &text, &marks), LINE_MORE);
	assert_non_null(line.held.p);
	line_free(&line);
}

/* However long a line is, no more than the ceiling is kept of it. */
static void
test_memory(void **state)
{
	struct line line;
	struct line_marks marks;
	struct span text;
	size_t used;

	(void)state;
	line_init(&line, LINE_MAX_);
	for (int i = 0; i < 1000; i++) {
		line_feed(&line, (const uint8_t *)"xxxxx", 5, &used, &text, &marks);
		assert_true(line.held.cap <= LINE_MAX_);
	}
	assert_int_equal(line.n, 5000);
	line_free(&line);
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_whole_line_is_not_copied),
	    cmocka_unit_test(test_memory),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++)
		tests[nitems(fixed) + i] = (struct CMUnitTest){
		    rows[i].name, test_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
	return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
