#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/span.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static void
assert_span(struct span s, const char *want)
{
	if (!span_eq(s, span_str(want)))
		fail_msg("'%.*s' where '%s' was expected", (int)s.n, (const char *)s.p, want);
}

static void
test_compare(void **state)
{
	(void)state;
	assert_true(span_eq(SPAN_NONE, SPAN_NONE));
	assert_true(span_eq(SPAN_NONE, span_str("")));
	assert_true(span_eq(span_of("a\0b", 3), span_of("a\0b", 3)));
	assert_false(span_eq(span_of("a\0b", 3), span_of("a\0c", 3)));
	assert_false(span_eq(span_str("a"), span_str("A")));
	assert_false(span_eq(span_str("a"), span_str("ab")));
	assert_true(span_ieq(span_str("MaIl"), span_str("mAiL")));
	assert_false(span_ieq(span_str("mail"), span_str("mai")));
	/* '[' and '{' differ in the bit that makes upper case, and are no letters */
	assert_false(span_ieq(span_str("["), span_str("{")));
	assert_false(span_ieq(span_str("\xc4"), span_str("\xe4")));
}

static void
test_starts_and_ends(void **state)
{
	(void)state;
	assert_true(span_starts(span_str("IPv6:"), span_str("IPv6")));
	assert_false(span_starts(span_str("ipv6:"), span_str("IPv6")));
	assert_true(span_istarts(span_str("ipv6:"), span_str("IPv6")));
	assert_false(span_istarts(span_str("IP"), span_str("IPv6")));
	assert_true(span_starts(span_str("a"), SPAN_NONE));
	assert_true(span_starts(SPAN_NONE, SPAN_NONE));
	assert_true(span_iends(span_str("a.EDU"), span_str(".edu")));
	assert_true(span_iends(span_str(".edu"), span_str(".edu")));
	assert_false(span_iends(span_str("edu"), span_str(".edu")));
	assert_false(span_iends(span_str("aedu"), span_str(".edu")));
}

static void
test_find(void **state)
{
	(void)state;
	assert_int_equal(span_find(span_str("a@b@c"), '@'), 1);
	assert_int_equal(span_rfind(span_str("a@b@c"), '@'), 3);
	assert_int_equal(span_rfind(span_str("@"), '@'), 0);
	assert_int_equal(span_find(span_str("abc"), '@'), -1);
	assert_int_equal(span_rfind(span_str("abc"), '@'), -1);
	assert_int_equal(span_find(SPAN_NONE, 'a'), -1);
	assert_int_equal(span_rfind(SPAN_NONE, 'a'), -1);
	assert_int_equal(span_find(span_of("a\0b", 3), '\0'), 1);
	assert_int_equal(span_find(span_of("abc", 2), 'c'), -1);
}

static void
test_parts(void **state)
{
	(void)state;
	assert_span(span_from(span_str("abc"), 1), "bc");
	assert_span(span_from(span_str("abc"), 3), "");
	assert_span(span_from(span_str("abc"), 4), "");
	assert_span(span_first(span_str("abc"), 2), "ab");
	assert_span(span_first(span_str("abc"), 9), "abc");
	assert_span(span_rtrim(span_str(" a b \t ")), " a b");
	assert_span(span_trim(span_str(" \ta b \t ")), "a b");
	assert_span(span_trim(span_str(" \t ")), "");
	assert_span(span_trim(SPAN_NONE), "");
	assert_span(span_trim(span_str("\va\r")), "\va\r");
}

static void
test_words(void **state)
{
	struct span rest = span_str("  SIZE=1 \tBODY=7BIT ");

	(void)state;
	assert_span(span_word(&rest), "SIZE=1");
	assert_span(span_word(&rest), "BODY=7BIT");
	assert_span(span_word(&rest), "");
	assert_span(span_word(&rest), "");
	assert_span(rest, "");
}

static void
test_u64(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool ok;
		uint64_t value;
	} cases[] = {
	    {"0", 0, true, 0},
	    {"1", 0, false, 0},
	    {"007", 7, true, 7},
	    {"255", 255, true, 255},
	    {"256", 255, false, 0},
	    {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
	    {"18446744073709551616", UINT64_MAX, false, 0},
	    {"99999999999999999999", UINT64_MAX, false, 0},
	    {"9223372036854775808", INT64_MAX, false, 0},
	    {"", UINT64_MAX, false, 0},
	    {"+1", UINT64_MAX, false, 0},
	    {"-1", UINT64_MAX, false, 0},
	    {" 1", UINT64_MAX, false, 0},
	    {"1 ", UINT64_MAX, false, 0},
	    {"0x1", UINT64_MAX, false, 0},
	    {"1/", UINT64_MAX, false, 0},
	    {"1:", UINT64_MAX, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		uint64_t value = 4711;
		bool ok = span_u64(span_str(cases[i].text), cases[i].max, &value);

		if (ok != cases[i].ok || value != (ok ? cases[i].value : 4711))
			fail_msg("'%s'", cases[i].text);
	}
}

static void
test_utf8(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
	    {"", true},
	    {"ascii", true},
	    {"\x7f", true},
	    {"\xc3\xbc", true},
	    {"\xe3\x80\x82", true},
	    {"\xf0\x9f\x98\x80", true},
	    {"\xf4\x8f\xbf\xbf", true},	 /* U+10FFFF */
	    {"\xf4\x90\x80\x80", false}, /* above it */
	    {"\xf5\x80\x80\x80", false},
	    {"\xed\x9f\xbf", true},
	    {"\xed\xa0\x80", false}, /* surrogate */
	    {"\xc0\xaf", false},     /* "/" over-long */
	    {"\xc1\xbf", false},
	    {"\xe0\x9f\xbf", false},
	    {"\xf0\x8f\xbf\xbf", false},
	    {"\xc3(", false},
	    {"\xc3", false},
	    {"\xe3\x80", false},
	    {"\xe3\x80(", false},
	    {"\xf0\x9f\x98", false},
	    {"\x80", false},
	    {"\xbf", false},
	    {"\xff", false},
	    {"a\xc3\xbc\xc3", false},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++)
		if (span_is_utf8(span_str(cases[i].text)) != cases[i].ok)
			fail_msg("case %zu", i);
	assert_true(span_is_utf8(span_of("\0", 1)));
	/* the length counts, not what lies behind it */
	assert_false(span_is_utf8(span_of("\xc3\xbc", 1)));
}

static void
test_ascii(void **state)
{
	(void)state;
	assert_true(span_is_ascii(SPAN_NONE));
	assert_true(span_is_ascii(span_of("\0\x7f", 2)));
	assert_false(span_is_ascii(span_str("a\x80")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_compare),
	    cmocka_unit_test(test_starts_and_ends),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_u64),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
