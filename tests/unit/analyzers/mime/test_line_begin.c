/* Against the definition, wherever in a vector it falls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "mime/line_begin.h"

static size_t
plainly(struct span s, uint8_t a, uint8_t b)
{
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i - 1] == '\n' && (s.p[i] == a || s.p[i] == b))
			return i;
	return s.n;
}

static uint64_t
count_plainly(struct span s)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < s.n; i++)
		lines += s.p[i] == '\n';
	return lines;
}

static void
test_each_place(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 300; n++) {
		/* of that size, so that a look behind its end is seen */
		uint8_t *text = malloc(n + (n == 0));
		struct span s = span_of(text, n);

		assert_non_null(text);
		memset(text, 'x', n);
		assert_int_equal(line_begin(s, '=', '('), n);
		assert_int_equal(line_count(s), 0);
		for (size_t at = 0; at < n; at++) {
			text[at] = at % 2 == 0 ? '=' : '(';
			assert_int_equal(line_begin(s, '=', '('), n);
			if (at > 0)
				text[at - 1] = '\n';
			assert_int_equal(line_begin(s, '=', '('), at > 0 ? at : n);
			assert_int_equal(line_count(s), at > 0);
			memset(text, 'x', n);
		}
		free(text);
	}
}

static void
test_random_texts(void **state)
{
	static const char of[] = "\n\n=(bx\r\x8a";
	uint8_t text[600];
	unsigned random = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		const size_t n = round % sizeof(text);
		/* first with few of them, then with many */
		const unsigned rare = 1 + 16 * (round % 3);

		for (size_t i = 0; i < n; i++) {
			random = random * 1103515245u + 12345u;
			text[i] = (random >> 16) % rare == 0
				      ? (uint8_t)of[(random >> 20) % (sizeof(of) - 1)]
				      : 'y';
		}
		assert_int_equal(
		    line_begin(span_of(text, n), '=', '('), plainly(span_of(text, n), '=', '('));
		assert_int_equal(
		    line_begin(span_of(text, n), 'b', 'b'), plainly(span_of(text, n), 'b', 'b'));
		assert_int_equal(line_count(span_of(text, n)), count_plainly(span_of(text, n)));
	}
}

/* More of them than an octet counts. */
static void
test_nothing_but_lines(void **state)
{
	static uint8_t text[70000];

	(void)state;
	memset(text, '\n', sizeof(text));
	for (size_t n = 65300; n <= sizeof(text); n += 47)
		assert_int_equal(line_count(span_of(text, n)), n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_place),
	    cmocka_unit_test(test_random_texts),
	    cmocka_unit_test(test_nothing_but_lines),
	};

	return cmocka_run_group_tests_name("line_begin", tests, NULL, NULL);
}
