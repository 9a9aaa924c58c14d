#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base64.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OCTETS(s) (s), sizeof(s) - 1

static void
test_decodes(void **state)
{
	static const struct {
		const char *text, *want;
		size_t n;
	} cases[] = {
	    /* RFC 4648 s10 */
	    {"", OCTETS("")},
	    {"Zg==", OCTETS("f")},
	    {"Zm8=", OCTETS("fo")},
	    {"Zm9v", OCTETS("foo")},
	    {"Zm9vYg==", OCTETS("foob")},
	    {"Zm9vYmE=", OCTETS("fooba")},
	    {"Zm9vYmFy", OCTETS("foobar")},
	    {"AGEAYg==", OCTETS("\0a\0b")},
	    {"+/+/", OCTETS("\xfb\xff\xbf")},
	    {"AAAA", OCTETS("\0\0\0")},
	    {"////", OCTETS("\xff\xff\xff")},
	    {"Zg", OCTETS("f")},
	    {"=", OCTETS("")},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct buf out;

		buf_init(&out, 100);
		assert_true(base64_decode(span_str(cases[i].text), &out));
		assert_true(span_eq(buf_span(&out), span_of(cases[i].want, cases[i].n)));
		buf_free(&out);
	}
}

static void
test_refuses(void **state)
{
	static const char *const texts[] = {
	    "Z", "Zm9vY", "Zg==Zg==", "Z=g=", "Zm 9v", "Zm9v\r\n", "Zm-_", "*", "Zm9v\xfc"};

	(void)state;
	for (size_t i = 0; i < nitems(texts); i++) {
		struct buf out;

		buf_init(&out, 100);
		assert_false(base64_decode(span_str(texts[i]), &out));
		buf_free(&out);
	}
}

static void
test_output_full(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 3);
	assert_true(base64_decode(span_str("Zm9v"), &out));
	assert_false(base64_decode(span_str("Zg=="), &out));
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decodes),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_output_full),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
