#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mime/base64.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OCTETS(s)                                                                                  \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}

struct outcome {
	uint8_t *p;
	size_t n;
	struct mime_base64 d;
};

/* Decodes in pieces of so many octets; 0: all at once. Storage is of just the promised size. */
static struct outcome
decode(struct span in, size_t piece, bool scalar)
{
	struct outcome o = {.p = malloc(MIME_BASE64_ROOM(in.n) + 2)};

	assert_non_null(o.p);
	mime_base64_init(&o.d, 0);
	o.d.scalar = scalar;
	if (piece == 0)
		piece = in.n > 0 ? in.n : 1;
	for (; in.n > 0; in = span_from(in, piece)) {
		struct span head = span_first(in, piece);
		uint8_t *out = malloc(MIME_BASE64_ROOM(head.n)), *copy = malloc(head.n);
		size_t n;

		assert_non_null(out);
		assert_non_null(copy);
		memcpy(copy, head.p, head.n);
		n = mime_base64_feed(&o.d, span_of(copy, head.n), out);
		memcpy(o.p + o.n, out, n);
		o.n += n;
		free(out);
		free(copy);
	}
	o.n += mime_base64_finish(&o.d, o.p + o.n);
	return o;
}

static void
assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->p, b->p, a->n);
	assert_int_equal(a->d.size, b->d.size);
	assert_int_equal(a->d.stopped, b->d.stopped);
	assert_int_equal(a->d.stop_size, b->d.stop_size);
	assert_int_equal(a->d.faults.n, b->d.faults.n);
	for (unsigned i = 0; i < a->d.faults.n; i++) {
		assert_int_equal(a->d.faults.each[i].what, b->d.faults.each[i].what);
		assert_int_equal(a->d.faults.each[i].off, b->d.faults.each[i].off);
		assert_string_equal(a->d.faults.each[i].detail, b->d.faults.each[i].detail);
	}
}

/* The same octets and faults at every cut, in pieces, by AVX2 and without it. */
static struct outcome
decode_all_ways(struct span in)
{
	static const size_t pieces[] = {1, 2, 3, 5, 31, 32, 33, 64, 77, 100};
	struct outcome whole = decode(in, 0, false);

	for (int scalar = 0; scalar < 2; scalar++) {
		for (size_t i = 0; i < nitems(pieces); i++) {
			struct outcome o = decode(in, pieces[i], scalar == 1);

			assert_same(&whole, &o);
			free(o.p);
		}
		for (size_t cut = 0; cut <= in.n && in.n < 400; cut++) {
			struct outcome o = {.p = malloc(MIME_BASE64_ROOM(in.n) + 100)};

			assert_non_null(o.p);
			mime_base64_init(&o.d, 0);
			o.d.scalar = scalar == 1;
			o.n = mime_base64_feed(&o.d, span_first(in, cut), o.p);
			o.n += mime_base64_feed(&o.d, span_from(in, cut), o.p + o.n);
			o.n += mime_base64_finish(&o.d, o.p + o.n);
			assert_same(&whole, &o);
			free(o.p);
		}
	}
	return whole;
}

#define NO_STOP UINT64_MAX
/* M-016 */
static const struct {
	struct span in, want;
	uint64_t stop_size;
	struct {
		enum mime_anomaly what;
		const char *detail;
		uint64_t off;
	} faults[3];
} CASES[] = {
    /* RFC 4648 s10 */
    {OCTETS(""), OCTETS(""), NO_STOP, {{0}}},
    {OCTETS("Zg=="), OCTETS("f"), 1, {{0}}},
    {OCTETS("Zm8="), OCTETS("fo"), 2, {{0}}},
    {OCTETS("Zm9v"), OCTETS("foo"), NO_STOP, {{0}}},
    {OCTETS("Zm9vYmFy"), OCTETS("foobar"), NO_STOP, {{0}}},
    {OCTETS("+/+/"), OCTETS("\xfb\xff\xbf"), NO_STOP, {{0}}},
    /* line ends and blanks are no fault, wherever they stand */
    {OCTETS("Zm9v\r\nYmFy\r\n"), OCTETS("foobar"), NO_STOP, {{0}}},
    {OCTETS("Zm9\r\nvYm\nFy"), OCTETS("foobar"), NO_STOP, {{0}}},
    {OCTETS(" Z m\t9 v\r\n\r\n"), OCTETS("foo"), NO_STOP, {{0}}},
    {OCTETS("Zg=\r\n="), OCTETS("f"), 1, {{0}}},
    /* padding in the middle: two readings */
    {OCTETS("Zg==Zm9v"), OCTETS("ffoo"), 1,
	{{MIME_ODD_AMBIGUOUS, "base64: content behind padding decoded; or ends at the padding",
	    4}}},
    {OCTETS("Zm8=\r\nZm9vYmFy"), OCTETS("fofoobar"), 2,
	{{MIME_ODD_AMBIGUOUS, "base64: content behind padding decoded; or ends at the padding",
	    6}}},
    {OCTETS("Zg=Zg=="), OCTETS("ff"), 1,
	{{MIME_ODD_AMBIGUOUS, "base64: content behind padding decoded; or ends at the padding", 3},
	    {MIME_ODD_BASE64, "padding missing", 3}}},
    {OCTETS("=Zm9v"), OCTETS("foo"), NO_STOP, {{MIME_ODD_BASE64, "padding where none may be", 0}}},
    {OCTETS("Z=m9v"), OCTETS("foo"), NO_STOP, {{MIME_ODD_BASE64, "padding where none may be", 1}}},
    {OCTETS("Zm8=="), OCTETS("fo"), 2, {{MIME_ODD_BASE64, "padding where none may be", 4}}},
    /* octets outside the alphabet */
    {OCTETS("Z!m#9v"), OCTETS("foo"), NO_STOP,
	{{MIME_ODD_BASE64, "octet outside the alphabet", 1}}},
    {OCTETS("Zm\0009v\xff"), OCTETS("foo"), NO_STOP,
	{{MIME_ODD_BASE64, "octet outside the alphabet", 2}}},
    {OCTETS("Zm9v-_Zm9v"), OCTETS("foofoo"), NO_STOP,
	{{MIME_ODD_BASE64, "octet outside the alphabet", 4},
	    {MIME_ODD_AMBIGUOUS, "base64: - and _ skipped; or taken for + and /", 4}}},
    /* odd lengths */
    {OCTETS("Zm9vY"), OCTETS("foo"), NO_STOP, {{MIME_ODD_BASE64, "one character alone", 5}}},
    {OCTETS("Zm9vYm"), OCTETS("foob"), NO_STOP, {{MIME_ODD_BASE64, "padding missing", 6}}},
    {OCTETS("Zm9vYmE"), OCTETS("fooba"), NO_STOP, {{MIME_ODD_BASE64, "padding missing", 7}}},
    {OCTETS("Zg="), OCTETS("f"), 1, {{MIME_ODD_BASE64, "padding missing", 3}}},
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(CASES); i++) {
		struct outcome o = decode_all_ways(CASES[i].in);
		unsigned faults = 0;

		assert_int_equal(o.n, CASES[i].want.n);
		assert_memory_equal(o.p, CASES[i].want.p, o.n);
		assert_int_equal(o.d.stop_size, CASES[i].stop_size);
		for (; faults < 3 && CASES[i].faults[faults].detail != NULL; faults++) {
			assert_true(faults < o.d.faults.n);
			assert_int_equal(
			    o.d.faults.each[faults].what, CASES[i].faults[faults].what);
			assert_string_equal(
			    o.d.faults.each[faults].detail, CASES[i].faults[faults].detail);
			assert_int_equal(o.d.faults.each[faults].off, CASES[i].faults[faults].off);
		}
		assert_int_equal(o.d.faults.n, faults);
		free(o.p);
	}
}

static uint32_t seed = 1;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Lines of so many characters (0: one line), with so many hostile octets in a thousand. */
static size_t
make_text(uint8_t *p, size_t n, size_t columns, const char *end, unsigned hostile)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char odd[] = "=\0-_ \t\r\n\xff.=!";
	size_t at = 0, column = 0;

	while (at < n) {
		p[at++] = random_below(1000) < hostile ? (uint8_t)odd[random_below(sizeof(odd) - 1)]
						       : (uint8_t)alphabet[random_below(64)];
		if (++column != columns)
			continue;
		column = 0;
		for (const char *c = end; *c != '\0' && at < n; c++)
			p[at++] = (uint8_t)*c;
	}
	return at;
}

static void
test_random(void **state)
{
	static const size_t columns[] = {0, 76, 75, 72, 64, 60, 31, 4, 1};
	static const char *const ends[] = {"\r\n", "\n", " \r\n", "\r", "\r\r\n"};
	static const unsigned hostile[] = {0, 1, 10, 100, 600};
	static uint8_t text[1500];

	(void)state;
	for (size_t c = 0; c < nitems(columns); c++)
		for (size_t e = 0; e < nitems(ends); e++)
			for (size_t h = 0; h < nitems(hostile); h++) {
				size_t n = make_text(text, 500 + random_below(1000), columns[c],
				    ends[e], hostile[h]);
				struct outcome o = decode_all_ways(span_of(text, n));

				free(o.p);
			}
}

/* One octet in lines of one length, wherever it stands. */
static void
test_one_octet_in_lines(void **state)
{
	static const char odd[] = "=\r\n -A\x80";
	static const size_t columns[] = {64, 72, 76};
	uint8_t text[330];

	(void)state;
	for (size_t c = 0; c < nitems(columns); c++) {
		size_t n = make_text(text, sizeof(text), columns[c], "\r\n", 0);

		for (size_t at = 0; at < n; at++) {
			const uint8_t was = text[at];

			for (size_t o = 0; o < sizeof(odd) - 1; o++) {
				struct outcome quick, slow;

				text[at] = (uint8_t)odd[o];
				quick = decode(span_of(text, n), 0, false);
				slow = decode(span_of(text, n), 0, true);
				assert_same(&quick, &slow);
				free(quick.p);
				free(slow.p);
			}
			text[at] = was;
		}
	}
}

/* What is decoded is what was encoded: written independently of the decoder. */
static void
test_round_trip(void **state)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static uint8_t octets[3000], text[5000];

	(void)state;
	for (size_t size = 0; size < sizeof(octets); size += 1 + size / 7) {
		struct outcome o;
		size_t n = 0;

		for (size_t i = 0; i < size; i++)
			octets[i] = (uint8_t)random_below(256);
		for (size_t i = 0; i < size; i += 3) {
			uint32_t bits = (uint32_t)octets[i] << 16;

			bits |= i + 1 < size ? (uint32_t)octets[i + 1] << 8 : 0;
			bits |= i + 2 < size ? octets[i + 2] : 0;
			for (size_t k = 0; k < 4; k++)
				text[n++] = i + k > size
						? '='
						: (uint8_t)alphabet[bits >> (18 - 6 * k) & 63];
			if (i % 57 == 54) {
				text[n++] = '\r';
				text[n++] = '\n';
			}
		}
		o = decode_all_ways(span_of(text, n));
		assert_int_equal(o.n, size);
		assert_memory_equal(o.p, octets, size);
		assert_int_equal(o.d.faults.n, 0);
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
test_long_line(void **state)
{
	static uint8_t text[400];
	struct outcome o;

	(void)state;
	memset(text, 'A', sizeof(text));
	put(text + 76, "\r\n");
	o = decode_all_ways(span_of(text, 78));
	assert_int_equal(o.d.faults.n, 0);
	free(o.p);
	o = decode_all_ways(span_of(text, 78 + 80));
	assert_int_equal(o.d.faults.n, 1);
	assert_int_equal(o.d.faults.each[0].what, MIME_ODD_LONG_LINE);
	assert_int_equal(o.d.faults.each[0].off, 78);
	free(o.p);
	put(text + 78 + 80, "\n");
	o = decode_all_ways(span_of(text, 78 + 80 + 1 + 40));
	assert_int_equal(o.d.faults.n, 1);
	assert_int_equal(o.d.faults.each[0].off, 78);
	free(o.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_one_octet_in_lines),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
