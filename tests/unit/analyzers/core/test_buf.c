#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/buf.h"

static void
assert_buf(const struct buf *b, const char *want)
{
	if (!span_eq(buf_span(b), span_str(want)))
		fail_msg("'%.*s' where '%s' was expected", (int)b->n, (const char *)b->p, want);
}

static void
test_empty(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_null(b.p);
	assert_int_equal(buf_span(&b).n, 0);
	assert_true(buf_add(&b, SPAN_NONE));
	assert_true(buf_str(&b, ""));
	assert_int_equal(b.n, 0);
	buf_drop(&b, 3);
	buf_clear(&b);
	buf_free(&b);
}

static void
test_writes(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_true(buf_str(&b, "a"));
	assert_true(buf_add(&b, span_of("bcd", 2)));
	assert_true(buf_octet(&b, '-'));
	assert_true(buf_u64(&b, 0));
	assert_true(buf_octet(&b, '-'));
	assert_true(buf_u64(&b, UINT64_MAX));
	assert_buf(&b, "abc-0-18446744073709551615");
	buf_free(&b);
	assert_null(b.p);
	assert_int_equal(b.n, 0);
	assert_true(buf_str(&b, "again"));
	assert_buf(&b, "again");
	buf_free(&b);
}

static void
test_ceiling(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	assert_true(buf_str(&b, "abc"));
	assert_false(buf_str(&b, "de"));
	assert_true(b.failed);
	assert_buf(&b, "abc");
	assert_false(buf_octet(&b, 'd')); /* it would fit, but the text would have a hole */
	assert_buf(&b, "abc");
	buf_clear(&b);
	assert_false(b.failed);
	assert_true(buf_str(&b, "abcd"));
	assert_false(buf_octet(&b, 'e'));
	assert_buf(&b, "abcd");
	buf_free(&b);

	buf_init(&b, 0);
	assert_true(buf_add(&b, SPAN_NONE));
	assert_false(buf_octet(&b, 'a'));
	buf_free(&b);
}

/* n + more must not wrap around. */
static void
test_huge_write(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	assert_true(buf_str(&b, "abc"));
	assert_false(buf_add(&b, span_of("x", SIZE_MAX - 1)));
	assert_buf(&b, "abc");
	buf_free(&b);
}

static void
test_growth(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_true(buf_octet(&b, (uint8_t)i));
	assert_int_equal(b.n, 1000);
	assert_true(b.cap <= 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(b.p[i], (uint8_t)i);
	assert_false(buf_octet(&b, 0));
	buf_free(&b);
}

static void
test_drop(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_str(&b, "abcdef");
	buf_drop(&b, 0);
	assert_buf(&b, "abcdef");
	buf_drop(&b, 2);
	assert_buf(&b, "cdef");
	assert_true(buf_str(&b, "ghijkl"));
	assert_buf(&b, "cdefghijkl");
	buf_drop(&b, 10);
	assert_int_equal(b.n, 0);
	buf_str(&b, "xy");
	buf_drop(&b, 99);
	assert_int_equal(b.n, 0);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_writes),
	    cmocka_unit_test(test_ceiling),
	    cmocka_unit_test(test_huge_write),
	    cmocka_unit_test(test_growth),
	    cmocka_unit_test(test_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
