#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mime/sevenzip.h"

/* A signature header whose directory begins right behind it. */
#define START(size)                                                                                \
	"7z\xbc\xaf\x27\x1c\0\4crc!\0\0\0\0\0\0\0\0" size "\0\0\0\0\0\0\0"                         \
	"crc!"
#define LZMA(dictionary, unpacked)                                                                 \
	"\x17\x06\0\1\x09\x80\x90\0\x07\x0b\1\0\1\x23\3\1\1\5\x5d" dictionary "\x0c" unpacked

static const struct {
	const char *name;
	struct span archive;
	bool small;
} cases[] = {
#define CASE(name, octets, small)                                                                  \
	{                                                                                          \
		name, {(const uint8_t *)(octets), sizeof(octets) - 1}, small                       \
	}
    CASE("plain", START("\1") "\1", true),
    CASE("packed", START("\x1a") LZMA("\0\x10\0\0", "\x80\xff"), true),
    CASE("the largest that is read", START("\x1c") LZMA("\0\0\0\1", "\xe0\0\0\x40"), true),
    CASE("dictionary too large", START("\x1a") LZMA("\1\0\0\1", "\x80\xff"), false),
    CASE("unpacks to too much", START("\x1c") LZMA("\0\x10\0\0", "\xe0\1\0\x40"), false),
    CASE("a number of nine octets",
	START("\x21") LZMA("\0\x10\0\0", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false),
    CASE("another coder",
	START("\x1a") "\x17\x06\0\1\x09\x80\x90\0\x07\x0b\1\0\1\x24\x06\xf1\x07\1\5\0\0\0\0\x0c\1",
	false),
    CASE("an empty directory", START("\0"), false),
    CASE("behind the end", START("\2") "\1", false),
    CASE("no 7z", "8z\xbc\xaf\x27\x1c\0\4crc!\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0crc!\1", false),
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (sevenzip_directory_is_small(cases[i].archive) != cases[i].small)
			fail_msg("%s", cases[i].name);
}

/* Of what is cut anywhere nothing is read behind its end, and nothing is believed. */
static void
test_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t n = 0; n < cases[i].archive.n; n++) {
			uint8_t copy[128];

			memcpy(copy, cases[i].archive.p, n);
			assert_false(sevenzip_directory_is_small(span_of(copy, n)));
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_every_cut),
	};

	return cmocka_run_group_tests_name("sevenzip", tests, NULL, NULL);
}
