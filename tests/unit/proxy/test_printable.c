#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "printable.h"

static const struct {
	const char *name;
	const char *in;
	size_t n;
	const char *want;
} cases[] = {
#define CASE(name, in, want)                                                                       \
	{                                                                                          \
		name, in, sizeof(in) - 1, want                                                     \
	}
    CASE("plain ASCII", "EHLO a.example", "EHLO a.example"),
    CASE("empty", "", ""),
    CASE("V-010 escape sequence", "a\x1b[2J@b", "a\\x1b[2J@b"),
    CASE("V-010 CR LF", "a\r\nb", "a\\x0d\\x0ab"),
    CASE("V-010 NUL", "a\0b", "a\\x00b"),
    CASE("V-010 tab and DEL", "\t\x7f", "\\x09\\x7f"),
    CASE("V-010 C1 as UTF-8", "\xc2\x85\xc2\x9b", "\\xc2\\x85\\xc2\\x9b"),
    CASE("V-010 C1 as octets", "\x85\x9b", "\\x85\\x9b"),
    CASE("V-010 right-to-left override", "\xe2\x80\xae", "\\xe2\\x80\\xae"),
    CASE("V-010 first and last embedding", "\xe2\x80\xaa\xe2\x80\xad",
	"\\xe2\\x80\\xaa\\xe2\\x80\\xad"),
    CASE("V-010 isolates", "\xe2\x81\xa6\xe2\x81\xa9", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9"),
    CASE("V-010 line and paragraph separator", "\xe2\x80\xa8\xe2\x80\xa9",
	"\\xe2\\x80\\xa8\\xe2\\x80\\xa9"),
    CASE("V-010 byte order mark, tag", "\xef\xbb\xbf\xf3\xa0\x81\x81",
	"\\xef\\xbb\\xbf\\xf3\\xa0\\x81\\x81"),
    CASE("V-010 lone lead and continuation", "\xc3(\x80", "\\xc3(\\x80"),
    CASE("V-010 cut character at the end", "a\xe2\x82", "a\\xe2\\x82"),
    CASE("V-010 over-long slash", "\xc0\xaf\xe0\x80\xaf", "\\xc0\\xaf\\xe0\\x80\\xaf"),
    CASE("V-010 surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"),
    CASE("V-010 above U+10FFFF", "\xf4\x90\x80\x80\xff", "\\xf4\\x90\\x80\\x80\\xff"),
    CASE("characters that only show", "gr\xc3\xbc\xc3\x9f\xe4\xb8\xad\xf0\x9f\x93\xa7",
	"gr\xc3\xbc\xc3\x9f\xe4\xb8\xad\xf0\x9f\x93\xa7"),
    CASE("neighbours of the overrides", "\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\xa7\xe2\x80\xaf"),
    CASE("backslash that is no escape", "DOMAIN\\user \\xg0 \\", "DOMAIN\\user \\xg0 \\"),
    CASE("V-010 backslash that looks like one", "\\x1b \\x1B", "\\x5cx1b \\x5cx1B"),
    CASE("backslash before an escape", "\\\x1b", "\\\\x1b"),
#undef CASE
};

static void
test_cases(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&out);
		if (!printable(span_of(cases[i].in, cases[i].n), 1000, &out) ||
		    !span_eq(buf_span(&out), span_str(cases[i].want)))
			fail_msg("%s: '%.*s'", cases[i].name, (int)out.n, (const char *)out.p);
	}
	buf_free(&out);
}

static int
hex(uint8_t c)
{
	return octet_is_digit(c) ? c - '0' : octet_lower(c) - 'a' + 10;
}

static bool
is_hex(uint8_t c)
{
	return octet_is_digit(c) || (octet_lower(c) >= 'a' && octet_lower(c) <= 'f');
}

/* The one rule that undoes it. */
static size_t
undo(struct span s, uint8_t *out)
{
	size_t n = 0;

	while (s.n > 0) {
		if (s.n >= 4 && s.p[0] == '\\' && s.p[1] == 'x' && is_hex(s.p[2]) &&
		    is_hex(s.p[3])) {
			out[n++] = (uint8_t)(hex(s.p[2]) * 16 + hex(s.p[3]));
			s = span_from(s, 4);
		} else {
			out[n++] = s.p[0];
			s = span_from(s, 1);
		}
	}
	return n;
}

/* V-010: whatever the octets are, the text is UTF-8 without a control, and nothing is lost. */
static void
test_random_octets(void **state)
{
	static const char likely[] = "\\\\xX0a1b\x1b\xe2\x80\xae\xc2\x85\xf3\xa0";
	uint32_t seed = 1;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	for (unsigned round = 0; round < 20000; round++) {
		uint8_t in[24], back[24 * 4];
		size_t n = round % sizeof(in);

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			in[i] = seed >> 31 ? (uint8_t)(seed >> 16)
					   : (uint8_t)likely[(seed >> 16) % (sizeof(likely) - 1)];
		}
		buf_clear(&out);
		assert_true(printable(span_of(in, n), 1000, &out));
		assert_true(span_is_utf8(buf_span(&out)));
		for (size_t i = 0; i < out.n; i++)
			assert_true(out.p[i] >= ' ' && out.p[i] != 0x7f);
		assert_int_equal(undo(buf_span(&out), back), n);
		assert_memory_equal(back, in, n);
	}
	buf_free(&out);
}

/* Never half a character, never half an escape. */
static void
test_cut(void **state)
{
	static const struct {
		const char *in;
		size_t max;
		const char *want;
	} cuts[] = {
	    {"abc", 3, "abc"},
	    {"abc", 2, "ab"},
	    {"abc", 0, ""},
	    {"a\xc3\xbc", 2, "a"},
	    {"a\x1b", 4, "a"},
	    {"a\x1b", 5, "a\\x1b"},
	    {"\xe2\x80\xae", 11, ""},
	    {"\xe2\x80\xae!", 12, "\\xe2\\x80\\xae"},
	};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		bool whole;

		buf_clear(&out);
		whole = printable(span_str(cuts[i].in), cuts[i].max, &out);
		assert_true(span_eq(buf_span(&out), span_str(cuts[i].want)));
		assert_int_equal(whole, i == 0 || i == 5);
	}
	buf_free(&out);
	buf_init(&out, 2);
	assert_false(printable(span_str("abc"), 100, &out));
	assert_true(out.failed);
	buf_free(&out);
}

/* Each octet at each place, looked at by eights and behind them. */
static void
test_run_of_plain_octets(void **state)
{
	uint8_t text[27];

	(void)state;
	for (size_t at = 0; at < sizeof(text); at++)
		for (unsigned c = 0; c <= 0xff; c++) {
			const bool plain = c >= ' ' && c < 0x7f && c != '\\';

			memset(text, 'x', sizeof(text));
			text[at] = (uint8_t)c;
			assert_int_equal(
			    printable_run(span_of(text, sizeof(text))), plain ? sizeof(text) : at);
			assert_int_equal(printable_eights(span_of(text, sizeof(text))),
			    (plain && c != '"') || at >= 24 ? 24 : at / 8 * 8);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_random_octets),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_run_of_plain_octets),
	};

	return cmocka_run_group_tests_name("printable", tests, NULL, NULL);
}
