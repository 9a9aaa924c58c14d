#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/arena.h"

static void
test_takes_nothing_until_asked(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 10000);
	assert_int_equal(a.held, 0);
	arena_free(&a);
	assert_int_equal(a.budget, 10000);
}

static void
test_what_was_handed_out_stays(void **state)
{
	struct arena a;
	uint8_t *p[500];

	(void)state;
	arena_init(&a, 1u << 20);
	for (size_t i = 0; i < 500; i++) {
		p[i] = arena_alloc(&a, i);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % alignof(max_align_t), 0);
		for (size_t k = 0; k < i; k++)
			assert_int_equal(p[i][k], 0);
		memset(p[i], (int)(i % 251), i);
	}
	for (size_t i = 0; i < 500; i++)
		for (size_t k = 0; k < i; k++)
			assert_int_equal(p[i][k], i % 251);
	arena_free(&a);
}

static void
test_budget_holds(void **state)
{
	struct arena a;
	size_t got = 0;

	(void)state;
	arena_init(&a, 100000);
	while (arena_alloc(&a, 100) != NULL) {
		got += 100;
		assert_true(a.held <= a.budget);
	}
	assert_true(a.full);
	assert_false(a.failed);
	assert_true(got > 80000);
	arena_free(&a);
	assert_int_equal(a.held, 0);
	assert_non_null(arena_alloc(&a, 100));
	arena_free(&a);
}

static void
test_too_much_at_once(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 10000);
	assert_null(arena_alloc(&a, SIZE_MAX - 1));
	assert_null(arena_alloc(&a, SIZE_MAX - 64));
	assert_null(arena_alloc(&a, 10000)); /* a block has a head */
	assert_true(a.full);
	assert_non_null(arena_alloc(&a, 9000));
	assert_null(arena_alloc(&a, 9000));
	assert_non_null(arena_alloc(&a, 10)); /* less still fits */
	arena_free(&a);
	arena_init(&a, 0);
	assert_null(arena_alloc(&a, 0));
	arena_free(&a);
}

static void
test_copies(void **state)
{
	struct arena a;
	struct span s;
	char text[] = "report.pdf";

	(void)state;
	arena_init(&a, 5000);
	assert_true(arena_copy(&a, span_str(text), &s));
	text[0] = 'x';
	assert_true(span_eq(s, span_str("report.pdf")));
	assert_true(arena_copy(&a, SPAN_NONE, &s));
	assert_int_equal(s.n, 0);
	assert_false(arena_copy(&a, span_of(text, 6000), &s));
	assert_int_equal(s.n, 0);
	arena_free(&a);
}

static void
test_lists_grow_until_the_budget(void **state)
{
	struct arena a;
	uint32_t *list = NULL;
	size_t n = 0, cap = 0;

	(void)state;
	arena_init(&a, 100000);
	for (;;) {
		uint32_t *more = arena_grow(&a, list, n, &cap, sizeof(*list));

		if (more == NULL)
			break;
		list = more;
		list[n] = (uint32_t)n;
		n++;
	}
	assert_true(n > 4000);
	assert_true(a.full);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(list[i], i);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_takes_nothing_until_asked),
	    cmocka_unit_test(test_what_was_handed_out_stays),
	    cmocka_unit_test(test_budget_holds),
	    cmocka_unit_test(test_too_much_at_once),
	    cmocka_unit_test(test_copies),
	    cmocka_unit_test(test_lists_grow_until_the_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
