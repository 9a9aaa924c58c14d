/* Deadlines beside a list of them in which everything is looked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deadlines.h"
#include "tests/unit/alloc.h"

#define OWNERS 200
#define STEPS  20000

struct owner {
	uint32_t seat; /* 0: it has none */
	uint64_t at;   /* 0: no deadline */
};

static uint64_t
first_of(const struct owner *o)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < OWNERS; i++)
		if (o[i].at != 0 && (at == 0 || o[i].at < at))
			at = o[i].at;
	return at;
}

/* All that are due at now, and nobody else, the earliest first. */
static unsigned
take_due(struct deadlines *d, struct owner *o, uint64_t now)
{
	struct owner *taken;
	unsigned n = 0;

	while ((taken = deadlines_take(d, now)) != NULL) {
		assert_true(taken >= o && taken < o + OWNERS);
		assert_true(taken->at != 0 && taken->at <= now);
		assert_int_equal(taken->at, first_of(o));
		taken->at = 0;
		n++;
	}
	assert_true(first_of(o) == 0 || first_of(o) > now);
	return n;
}

static void
set(struct deadlines *d, struct owner *o, uint64_t at)
{
	deadlines_by(d, o->seat, at);
	if (o->at == 0 || at < o->at)
		o->at = at;
}

static void
come_or_go(struct deadlines *d, struct owner *o)
{
	if (o->seat == 0) {
		assert_true(deadlines_join(d, o, &o->seat));
		assert_int_not_equal(o->seat, 0);
	} else {
		deadlines_leave(d, o->seat);
		*o = (struct owner){0};
	}
}

static void
test_as_a_list_would_have_it(void **state)
{
	struct owner owners[OWNERS] = {0};
	struct deadlines *d = deadlines_new();
	uint64_t random = 1, now = 1;
	unsigned taken = 0;

	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		struct owner *o = &owners[(random >> 33) % OWNERS];

		if ((random >> 60) == 0)
			taken += take_due(d, owners, now += (random >> 50) % 100);
		else if (o->seat == 0 || (random >> 60) < 4)
			come_or_go(d, o);
		else
			set(d, o, now + (random >> 45) % 1000);
		assert_int_equal(deadlines_first(d), first_of(owners));
	}
	assert_true(taken > STEPS / 20);
	take_due(d, owners, UINT64_MAX);
	assert_int_equal(deadlines_first(d), 0);
	deadlines_free(d);
}

static void
test_a_later_deadline_waits_until_the_earlier_one_is_taken(void **state)
{
	struct deadlines *d = deadlines_new();
	int owner;
	uint32_t seat;

	(void)state;
	assert_true(deadlines_join(d, &owner, &seat));
	deadlines_by(d, seat, 10);
	deadlines_by(d, seat, 20);
	assert_int_equal(deadlines_first(d), 10);
	assert_null(deadlines_take(d, 9));
	assert_ptr_equal(deadlines_take(d, 10), &owner);
	assert_null(deadlines_take(d, UINT64_MAX));
	deadlines_by(d, seat, 20);
	assert_int_equal(deadlines_first(d), 20);
	deadlines_free(d);
}

/* Whoever comes next gets the seat, and not the deadline of the one that left. */
static void
test_a_seat_is_free_again(void **state)
{
	struct deadlines *d = deadlines_new();
	int one, other;
	uint32_t seat, again;

	(void)state;
	assert_true(deadlines_join(d, &one, &seat));
	deadlines_by(d, seat, 10);
	deadlines_leave(d, seat);
	assert_int_equal(deadlines_first(d), 0);
	assert_true(deadlines_join(d, &other, &again));
	assert_int_equal(again, seat);
	assert_int_equal(deadlines_first(d), 0);
	deadlines_by(d, again, 30);
	assert_ptr_equal(deadlines_take(d, 30), &other);
	deadlines_free(d);
}

/*
 * Those that have a seat keep it and their deadlines, and there is one more when memory is back.
 * For the first one, and whenever there are twice as many, there are three requests, which fail
 * once each.
 */
static void
test_no_memory_for_one_more(void **state)
{
	static int owners[1000];
	struct deadlines *d = deadlines_new();
	uint32_t seat;
	unsigned refused = 0, n = 0;

	(void)state;
	for (; n < 1000; n++) {
		for (unsigned at = 1; alloc_fail_at(at), !deadlines_join(d, &owners[n], &seat);
		     at++)
			refused++;
		alloc_fail_at(0);
		deadlines_by(d, seat, 1000 - n);
	}
	assert_int_equal(refused, 3 * 5);
	while (n-- > 0)
		assert_ptr_equal(deadlines_take(d, 1000), &owners[n]);
	deadlines_free(d);
	alloc_fail_at(1);
	assert_null(deadlines_new());
	assert_true(alloc_failed());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_as_a_list_would_have_it),
	    cmocka_unit_test(test_a_later_deadline_waits_until_the_earlier_one_is_taken),
	    cmocka_unit_test(test_a_seat_is_free_again),
	    cmocka_unit_test(test_no_memory_for_one_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
