#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/buf.h"
#include "mime/uu.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

/* What came out, as text: "t(...)" is text, "b(name)", "B(name)" of base64, "d(...)", "e". */
struct outcome {
	struct buf log;
	struct mime_uu d;
	enum mime_uu_what last;
};

static void
note(struct outcome *o, const struct mime_uu_event *ev)
{
	static const char letters[] = "?tbde";
	bool goes_on =
	    ev->what == o->last && (ev->what == MIME_UU_TEXT || ev->what == MIME_UU_DATA);

	if (goes_on) {
		o->log.n--;
	} else {
		bool base64 = ev->what == MIME_UU_BEGIN && ev->base64;

		buf_octet(&o->log, base64 ? 'B' : (uint8_t)letters[ev->what]);
		buf_str(&o->log, "(");
	}
	buf_add(&o->log, ev->what == MIME_UU_BEGIN ? ev->name : ev->octets);
	assert_true(buf_str(&o->log, ")"));
	o->last = ev->what;
}

static void
feed(struct outcome *o, struct span in)
{
	struct mime_uu_event ev;
	uint8_t *copy = malloc(in.n + 1);
	struct span rest = span_of(copy, in.n);
	size_t used;

	assert_non_null(copy);
	memcpy(copy, in.n > 0 ? in.p : (const uint8_t *)"", in.n);
	do {
		mime_uu_feed(&o->d, rest, &used, &ev);
		assert_true(used <= rest.n);
		rest = span_from(rest, used);
		if (ev.what != MIME_UU_MORE)
			note(o, &ev);
	} while (ev.what != MIME_UU_MORE);
	assert_int_equal(rest.n, 0);
	free(copy);
}

static struct outcome
decode(struct span in, size_t first, size_t piece)
{
	struct outcome o = {.last = MIME_UU_MORE};
	struct mime_uu_event ev;

	buf_init(&o.log, 4 * in.n + 100);
	mime_uu_init(&o.d, 0);
	feed(&o, span_first(in, first));
	for (in = span_from(in, first); in.n > 0; in = span_from(in, piece))
		feed(&o, span_first(in, piece));
	while (mime_uu_finish(&o.d, &ev), ev.what != MIME_UU_MORE)
		note(&o, &ev);
	return o;
}

static struct outcome
decode_all_ways(struct span in)
{
	struct outcome whole = decode(in, in.n, 1);

	for (size_t cut = 0; cut < in.n && in.n < 600; cut++) {
		for (size_t piece = 1; piece < in.n; piece = 2 * piece + 1) {
			struct outcome o = decode(in, cut, piece);

			assert_true(span_eq(buf_span(&whole.log), buf_span(&o.log)));
			assert_int_equal(whole.d.faults.n, o.d.faults.n);
			for (unsigned i = 0; i < o.d.faults.n; i++) {
				assert_int_equal(
				    whole.d.faults.each[i].off, o.d.faults.each[i].off);
				assert_string_equal(
				    whole.d.faults.each[i].detail, o.d.faults.each[i].detail);
			}
			buf_free(&o.log);
		}
	}
	return whole;
}

/* M-031 */
static void
test_cases(void **state)
{
	static const struct {
		const char *in, *want;
		const char *faults[2];
	} cases[] = {
	    {"", "", {NULL}},
	    {"just\r\ntext", "t(just\r\ntext)", {NULL}},
	    {"begin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\n", "b(cat.txt)d(Cat)e()", {NULL}},
	    {"hello\nbegin 0644 my cat.exe  \n#0V%T\n \nend\nbye\n",
		"t(hello\n)b(my cat.exe)d(Cat)e()t(bye\n)", {NULL}},
	    {"begin 644 a\n#0V%T\nend\nbegin 600 b\n#0V%T\nend\n", "b(a)d(Cat)e()b(b)d(Cat)e()",
		{NULL}},
	    {"begin 644 a\nend\n", "b(a)e()", {NULL}},
	    {"begin-base64 644 x.bin\nQ2F0\nQ2E=\n====\nbye", "B(x.bin)d(CatCa)e()t(bye)", {NULL}},
	    {"begin-base64 644 x.bin\nQ2F0Q2E\n====\n", "B(x.bin)d(CatCa)e()", {"padding missing"}},
	    /* faults */
	    {"begin 9999 a.exe\n#0V%T\nend\n", "b(a.exe)d(Cat)e()", {"mode is not octal"}},
	    {"begin 644 a\n#0V%T\n", "b(a)d(Cat)e()", {"no end"}},
	    {"begin 644 a\n#0V%T", "b(a)d(Cat)e()", {"no end"}},
	    {"begin 644 a", "b(a)e()", {"no data behind begin"}},
	    {"begin 644 a\n#0V%T\nbegin 644 b\n#0V%T\nend\n", "b(a)d(Cat)e()b(b)d(Cat)e()",
		{"no end"}},
	    {"begin 644 a\n\"0V\n#0V%T\nend\n", "b(a)d(C`Cat)e()",
		{"line is shorter than it says"}},
	    {"begin 644 a\n#0V%TXYZ\nend\n", "b(a)e()t(#0V%TXYZ\nend\n)", {"no data behind begin"}},
	    {"begin 644 a\n#0V%T\n#0V%TXYZ\nend\n", "b(a)d(CatCat)e()",
		{"line is longer than it says"}},
	    {"begin 644 a\n#0V%T\n\n#0V%T\nend\n", "b(a)d(CatCat)e()", {"empty line"}},
	    {"begin 644 a\n#0V%\x7f\nend\n", "b(a)d(Ca_)e()", {"octet outside the alphabet"}},
	    /* prose is no file */
	    {"begin 1999 with a song\nand dance\n", "b(with a song)e()t(and dance\n)",
		{"mode is not octal", "no data behind begin"}},
	    {"begin now\nbegin 12 x\nbegin 644\nbeginning 644 x\n",
		"t(begin now\nbegin 12 x\nbegin 644\nbeginning 644 x\n)", {NULL}},
	    {" begin 644 a\n#0V%T\nend\n", "t( begin 644 a\n#0V%T\nend\n)", {NULL}},
	    {"b", "t(b)", {NULL}},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct outcome o = decode_all_ways(span_str(cases[i].in));
		unsigned n = 0;

		buf_octet(&o.log, '\0');
		assert_string_equal((char *)o.log.p, cases[i].want);
		for (; n < 2 && cases[i].faults[n] != NULL; n++) {
			assert_true(n < o.d.faults.n);
			assert_string_equal(o.d.faults.each[n].detail, cases[i].faults[n]);
		}
		assert_int_equal(o.d.faults.n, n);
		buf_free(&o.log);
	}
}

/* The octets of s, without its NUL. */
static void
put(uint8_t *at, const char *s)
{
	struct span octets = span_str(s);

	memcpy(at, octets.p, octets.n);
}

/* A length character above "M": more than 45 octets in a line, and more than a line can hold. */
static void
test_long_lines(void **state)
{
	static uint8_t text[6000];
	struct outcome o;
	size_t n;

	(void)state;
	/* "_" is 63 octets, 84 characters */
	n = (size_t)(stpcpy((char *)text, "begin 644 a\n_") - (char *)text);
	memset(text + n, '!', 84);
	put(text + n + 84, "\nend\n");
	o = decode_all_ways(span_of(text, n + 89));
	assert_int_equal(o.d.faults.n, 1);
	assert_string_equal(o.d.faults.each[0].detail, "line of more than 45 octets");
	assert_int_equal(o.d.faults.each[0].off, 12);
	assert_int_equal(o.log.n, 4 + 3 + 63 + 3);
	buf_free(&o.log);

	/* a line far longer than is held, then the file goes on */
	n = (size_t)(stpcpy((char *)text, "begin 644 a\n#0V%T\n#0V%T") - (char *)text);
	memset(text + n, 'x', 3000);
	n += 3000;
	n += (size_t)(stpcpy((char *)text + n, "\n#0V%T\nend\n") - ((char *)text + n));
	o = decode(span_of(text, n), n, 1);
	assert_int_equal(o.d.faults.n, 1);
	assert_int_equal(o.log.n, strlen("b(a)d(CatCatCat)e()"));
	assert_memory_equal(o.log.p, "b(a)d(CatCatCat)e()", o.log.n);
	for (size_t piece = 1; piece < n; piece = 3 * piece + 1) {
		struct outcome other = decode(span_of(text, n), 0, piece);

		assert_true(span_eq(buf_span(&o.log), buf_span(&other.log)));
		buf_free(&other.log);
	}
	buf_free(&o.log);

	/* a "begin" line that is too long is text */
	n = (size_t)(stpcpy((char *)text, "begin 644 ") - (char *)text);
	memset(text + n, 'x', 5000);
	text[n + 5000] = '\n';
	for (size_t piece = 1; piece < n + 5001; piece = 3 * piece + 1) {
		o = decode(span_of(text, n + 5001), 0, piece);
		assert_int_equal(o.log.n, n + 5001 + 3);
		buf_free(&o.log);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
