#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mime/qp.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OCTETS(s)                                                                                  \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}

struct outcome {
	uint8_t *p;
	size_t n;
	struct mime_qp d;
};

static void
feed(struct outcome *o, struct span in)
{
	uint8_t *out = malloc(MIME_QP_ROOM(in.n)), *copy = malloc(in.n + 1);
	size_t n;

	assert_non_null(out);
	assert_non_null(copy);
	memcpy(copy, in.n > 0 ? in.p : (const uint8_t *)"", in.n);
	n = mime_qp_feed(&o->d, span_of(copy, in.n), out);
	assert_true(n <= MIME_QP_ROOM(in.n));
	memcpy(o->p + o->n, out, n);
	o->n += n;
	free(out);
	free(copy);
}

static struct outcome
decode(struct span in, size_t first, size_t piece)
{
	struct outcome o = {.p = malloc(in.n + MIME_QP_ROOM(0))};

	assert_non_null(o.p);
	mime_qp_init(&o.d, 0);
	feed(&o, span_first(in, first));
	for (in = span_from(in, first); in.n > 0; in = span_from(in, piece))
		feed(&o, span_first(in, piece));
	o.n += mime_qp_finish(&o.d, o.p + o.n);
	return o;
}

static void
assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->p, b->p, a->n);
	assert_int_equal(a->d.faults.n, b->d.faults.n);
	for (unsigned i = 0; i < a->d.faults.n; i++) {
		assert_int_equal(a->d.faults.each[i].off, b->d.faults.each[i].off);
		assert_string_equal(a->d.faults.each[i].detail, b->d.faults.each[i].detail);
	}
}

static struct outcome
decode_all_ways(struct span in)
{
	struct outcome whole = decode(in, in.n, 1);

	for (size_t cut = 0; cut < in.n && in.n < 700; cut++) {
		struct outcome two = decode(in, cut, in.n), ones = decode(in, cut, 1 + cut % 5);

		assert_same(&whole, &two);
		assert_same(&whole, &ones);
		free(two.p);
		free(ones.p);
	}
	return whole;
}

#define DIGITS "= without two digits"
#define LOWER  "digits in lower case"
#define BLANK  "blank at the end of a line"
#define LONG   "more than 76 characters"
#define ODD    "octet above 0x7f, or NUL"
#define LAST   "= at the very end"

/* M-017 */
static void
test_cases(void **state)
{
	static const struct {
		struct span in, want;
		const char *faults[3];
		uint64_t off; /* of the first one */
	} cases[] = {
	    {OCTETS(""), OCTETS(""), {NULL}, 0},
	    {OCTETS("plain text\r\n"), OCTETS("plain text\r\n"), {NULL}, 0},
	    {OCTETS("a=3Db=C3=BC=00"), OCTETS("a=b\xc3\xbc\0"), {NULL}, 0},
	    {OCTETS("one =\r\nline"), OCTETS("one line"), {NULL}, 0},
	    {OCTETS("one=\nline"), OCTETS("oneline"), {NULL}, 0},
	    {OCTETS("one= \t\r\nline"), OCTETS("oneline"), {BLANK}, 5},
	    {OCTETS("a=3db=3Ac"), OCTETS("a=b:c"), {LOWER}, 1},
	    {OCTETS("a=ZZb"), OCTETS("a=ZZb"), {DIGITS}, 1},
	    {OCTETS("a=3"), OCTETS("a=3"), {DIGITS}, 1},
	    {OCTETS("a=3Gb"), OCTETS("a=3Gb"), {DIGITS}, 1},
	    {OCTETS("a=3=3D"), OCTETS("a=3="), {DIGITS}, 1},
	    {OCTETS("==41"), OCTETS("=A"), {DIGITS}, 0},
	    {OCTETS("= =41"), OCTETS("= A"), {DIGITS}, 0},
	    {OCTETS("=\r=41"), OCTETS("=\rA"), {DIGITS}, 0},
	    {OCTETS("= = = \n"), OCTETS("= = "), {DIGITS, BLANK}, 0},
	    {OCTETS("end="), OCTETS("end"), {LAST}, 3},
	    {OCTETS("end= \r"), OCTETS("end"), {LAST, BLANK}, 3},
	    {OCTETS("=3"), OCTETS("=3"), {DIGITS}, 0},
	    {OCTETS("blank \r\nb\t\nc"), OCTETS("blank \r\nb\t\nc"), {BLANK}, 5},
	    {OCTETS("\xfc\0"), OCTETS("\xfc\0"), {ODD}, 0},
	    {OCTETS("a twenty octet text,\xfc and more of it"),
		OCTETS("a twenty octet text,\xfc and more of it"), {ODD}, 20},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct outcome o = decode_all_ways(cases[i].in);
		unsigned n = 0;

		assert_int_equal(o.n, cases[i].want.n);
		assert_memory_equal(o.p, cases[i].want.p, o.n);
		for (; n < 3 && cases[i].faults[n] != NULL; n++) {
			assert_true(n < o.d.faults.n);
			assert_string_equal(o.d.faults.each[n].detail, cases[i].faults[n]);
		}
		assert_int_equal(o.d.faults.n, n);
		if (n > 0)
			assert_int_equal(o.d.faults.each[0].off, cases[i].off);
		free(o.p);
	}
}

/* The octets of s, without its NUL. */
static void
put(uint8_t *at, const char *s)
{
	struct span octets = span_str(s);

	memcpy(at, octets.p, octets.n);
}

static void
test_long(void **state)
{
	static uint8_t text[1 << 20];
	struct outcome o;

	(void)state;
	memset(text, 'x', 200);
	put(text + 76, "\r\n");
	o = decode_all_ways(span_of(text, 78));
	assert_int_equal(o.d.faults.n, 0);
	free(o.p);
	o = decode_all_ways(span_of(text, 78 + 77));
	assert_int_equal(o.d.faults.n, 1);
	assert_int_equal(o.d.faults.each[0].what, MIME_ODD_LONG_LINE);
	assert_int_equal(o.d.faults.each[0].off, 78);
	free(o.p);
	/* "=" and more blanks than are held: content */
	memset(text, ' ', 600);
	text[0] = '=';
	text[599] = '\n';
	o = decode_all_ways(span_of(text, 600));
	assert_int_equal(o.n, 600);
	assert_memory_equal(o.p, text, 600);
	free(o.p);
	/* a line of 1 MiB */
	memset(text, 'y', sizeof(text));
	o = decode_all_ways(span_of(text, sizeof(text)));
	assert_int_equal(o.n, sizeof(text));
	assert_int_equal(o.d.faults.n, 1);
	free(o.p);
}

static void
test_random(void **state)
{
	static const char odd[] = "=== \t\r\n\n3DfZ\xc3";
	static uint8_t text[600];
	uint32_t x = 1;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		struct outcome o;
		size_t n = 1 + round * 3 % sizeof(text);

		for (size_t i = 0; i < n; i++) {
			x = x * 1664525 + 1013904223;
			text[i] = (uint8_t)((x >> 8) % 100 < 10 + round % 90
						? odd[(x >> 16) % (sizeof(odd) - 1)]
						: 'a' + (int)((x >> 16) % 26));
		}
		o = decode_all_ways(span_of(text, n));
		free(o.p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
