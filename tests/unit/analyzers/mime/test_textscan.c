/* Octets that make a text none, wherever in a vector they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "mime/textscan.h"

static bool
is_of_texts(int c)
{
	return c >= 0x20 || (c != 0 && strchr("\b\t\n\v\f\r\x1a\x1b", c) != NULL);
}

static void
test_each_octet(void **state)
{
	uint8_t text[100];

	(void)state;
	for (int c = 0; c < 256; c++) {
		for (size_t at = 1; at < sizeof(text); at++) {
			const char *charset, *type;

			memset(text, 'x', sizeof(text));
			text[at] = (uint8_t)c;
			type = textscan_look(span_of(text, sizeof(text)), &charset);
			if (!is_of_texts(c)) {
				assert_null(type);
				continue;
			}
			assert_string_equal(type, "text/plain");
			/* the last one may be a letter that was cut */
			if (at + 1 < sizeof(text))
				assert_string_equal(
				    charset, c < 0x80 ? "us-ascii" : "unknown-8bit");
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_octet),
	};

	return cmocka_run_group_tests_name("textscan", tests, NULL, NULL);
}
