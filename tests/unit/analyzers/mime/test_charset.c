#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mime/charset.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OCTETS(s)                                                                                  \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}
#define FFFD "\xef\xbf\xbd"

static int
set_up(void **state)
{
	(void)state;
	return charset_init() ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	charset_close();
	return 0;
}

static void
test_names(void **state)
{
	static const struct {
		const char *label, *name; /* NULL: unknown */
	} cases[] = {
	    {"utf-8", "utf-8"},
	    {"UTF-8", "utf-8"},
	    {" \"utf8\" ", "utf-8"},
	    {"'us-ascii'", "us-ascii"},
	    {"Latin1", "iso-8859-1"},
	    {"cp1252", "windows-1252"},
	    {"GB2312", "gb18030"},
	    {"ks_c_5601-1987", "euc-kr"},
	    {"", NULL},
	    {"utf-9", NULL},
	    {"utf-8//TRANSLIT", NULL},
	    {"../../etc/passwd", NULL},
	    {"\"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		const struct charset *c = charset_find(span_str(cases[i].label));

		assert_int_equal(c == NULL, cases[i].name == NULL);
		if (c != NULL)
			assert_string_equal(charset_name(c), cases[i].name);
	}
}

/* M-026 */
static void
test_converts(void **state)
{
	static const struct {
		const char *charset;
		struct span in;
		const char *want;
		enum charset_result result;
	} cases[] = {
	    {"utf-8", OCTETS("gr\xc3\xbc\xc3\x9f"), "grüß", CHARSET_OK},
	    {"iso-8859-1", OCTETS("gr\xfc\xdf"), "grüß", CHARSET_OK},
	    {"iso-8859-15", OCTETS("\xa4"), "€", CHARSET_OK},
	    {"windows-1252", OCTETS("\x80 \x93x\x94"), "€ “x”", CHARSET_OK},
	    {"windows-1251", OCTETS("\xcf\xf0\xe8"), "При", CHARSET_OK},
	    {"koi8-r", OCTETS("\xf0\xd2\xc9"), "При", CHARSET_OK},
	    {"shift_jis", OCTETS("\x93\xfa\x96\x7b"), "日本", CHARSET_OK},
	    {"euc-jp", OCTETS("\xc6\xfc\xcb\xdc"), "日本", CHARSET_OK},
	    {"iso-2022-jp", OCTETS("\x1b$BF|K\\\x1b(B"), "日本", CHARSET_OK},
	    {"gb2312", OCTETS("\xd6\xd0"), "中", CHARSET_OK},
	    {"big5", OCTETS("\xa4\xa4"), "中", CHARSET_OK},
	    {"euc-kr", OCTETS("\xc7\xd1"), "한", CHARSET_OK},
	    {"utf-7", OCTETS("Hi +AOQ-"), "Hi ä", CHARSET_OK},
	    {"utf-16be", OCTETS("\0a\x20\xac"), "a€", CHARSET_OK},
	    {"utf-16le", OCTETS("a\0\xac\x20"), "a€", CHARSET_OK},
	    {"utf-16", OCTETS("\xfe\xff\0a"), "a", CHARSET_OK},
	    /* a letter that waits for what is put on it */
	    {"windows-1258", OCTETS("a"), "a", CHARSET_OK},
	    {"windows-1255", OCTETS("\xe9"), "י", CHARSET_OK},
	    /* octets that mean nothing */
	    {"utf-8",
		OCTETS("a\xff"
		       "b\xc3"),
		"a" FFFD "b" FFFD, CHARSET_BAD},
	    {"utf-8", OCTETS("\xed\xa0\x80"), FFFD FFFD FFFD, CHARSET_BAD},
	    {"utf-8", OCTETS("\xc0\xaf"), FFFD FFFD, CHARSET_BAD},
	    {"utf-8", OCTETS("\xf0\x9f\x98x"), FFFD "x", CHARSET_BAD},
	    {"us-ascii", OCTETS("gr\xfc"), "gr" FFFD, CHARSET_BAD},
	    {"us-ascii", OCTETS("gr\xc3\xbc"), "grü", CHARSET_BAD},
	    {"windows-1252",
		OCTETS("\x81"
		       "a"),
		FFFD "a", CHARSET_BAD},
	    {"utf-16be", OCTETS("\xd8\0\0a"), FFFD "a", CHARSET_BAD},
	    {"utf-16be", OCTETS("\0ab"), "a" FFFD, CHARSET_BAD},
	    {"utf-7", OCTETS("+\xff-"), FFFD "-", CHARSET_BAD},
	    {"euc-jp", OCTETS("\xc6"), FFFD, CHARSET_BAD},
	    {"iso-2022-jp", OCTETS("\x1b$B\xff\xff"), FFFD FFFD, CHARSET_BAD},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		const struct charset *c = charset_find(span_str(cases[i].charset));
		enum charset_result result;
		struct buf out;

		assert_non_null(c);
		buf_init(&out, 100);
		result = charset_to_utf8(c, cases[i].in, &out);
		buf_octet(&out, '\0');
		assert_string_equal((const char *)out.p, cases[i].want);
		assert_int_equal(result, cases[i].result);
		buf_free(&out);
	}
}

/* Whatever comes, every charset gives well-formed UTF-8, bounded, and ends. */
static void
test_any_octets(void **state)
{
	static const char *const charsets[] = {"utf-8", "us-ascii", "iso-8859-6", "windows-1255",
	    "windows-1258", "shift_jis", "euc-jp", "iso-2022-jp", "iso-2022-kr", "gb18030", "big5",
	    "euc-kr", "utf-7", "utf-16", "utf-16le", "utf-16be", "utf-32"};
	static uint8_t octets[5000];
	uint32_t x = 1;

	(void)state;
	for (size_t round = 0; round < 60; round++)
		for (size_t k = 0; k < nitems(charsets); k++) {
			const struct charset *c = charset_find(span_str(charsets[k]));
			size_t n = round < 30 ? round : 83 * round;
			struct buf out;

			for (size_t i = 0; i < n; i++) {
				x = x * 1664525 + 1013904223;
				octets[i] = (uint8_t)(x >> 24);
				if ((x >> 10) % 40 == 0)
					octets[i] = 0x1b;
			}
			buf_init(&out, CHARSET_GROWTH * n);
			assert_non_null(c);
			assert_int_not_equal(
			    charset_to_utf8(c, span_of(octets, n), &out), CHARSET_FULL);
			assert_true(span_is_utf8(buf_span(&out)));
			buf_free(&out);
		}
}

static void
test_full(void **state)
{
	(void)state;
	for (size_t max = 0; max < 7; max++) {
		struct buf out;

		buf_init(&out, max);
		assert_int_equal(
		    charset_clean_utf8(span_str("ü€é"), &out), max < 7 ? CHARSET_FULL : CHARSET_OK);
		assert_true(span_is_utf8(buf_span(&out)));
		assert_true(out.n + 2 >= max);
		buf_free(&out);
		buf_init(&out, max);
		assert_int_equal(charset_to_utf8(charset_find(span_str("latin1")),
				     span_str("\xfc\xfc\xfc\xfc"), &out),
		    CHARSET_FULL);
		assert_true(span_is_utf8(buf_span(&out)));
		assert_int_equal(out.n, max / 2 * 2);
		buf_free(&out);
	}
}

static void
test_closed(void **state)
{
	(void)state;
	charset_close();
	assert_null(charset_find(span_str("utf-8")));
	assert_true(charset_init());
	assert_true(charset_init());
	assert_non_null(charset_find(span_str("utf-8")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_converts),
	    cmocka_unit_test(test_any_octets),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_closed),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
