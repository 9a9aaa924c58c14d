#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>

#include "tap_held.h"
#include "taps.h"

struct written {
	unsigned n[TAP_KINDS];
	uint64_t first; /* where the first octets stand */
	uint64_t flow;
};

static void
on_write(void *arg, const struct tap_record *r)
{
	struct written *w = arg;

	if (r->kind == TAP_OCTETS && w->n[TAP_OCTETS] == 0)
		w->first = r->at[AN_C2S];
	w->flow = r->flow;
	w->n[r->kind]++;
}

static void
take(struct tap_held *h, enum tap_kind kind, uint64_t flow, uint64_t at, size_t n, bool refused)
{
	static const uint8_t text[TAP_PIECE_MAX];
	struct tap_record r = record_like(kind, AN_C2S);
	struct record room;

	r.flow = flow;
	r.at[AN_C2S] = at;
	r.refused = refused;
	tap_held_take(h, 1, record_with(&room, r, span_of(text, n)));
}

static void
test_only_the_refused_are_written_X_007(void **state)
{
	struct written w = {.flow = 0};
	struct tap_held *h = tap_held_new(on_write, &w);

	(void)state;
	for (uint64_t flow = 1; flow < 10; flow++) {
		take(h, TAP_OPEN, flow, 0, 0, false);
		take(h, TAP_OCTETS, flow, 0, 100, false);
	}
	assert_int_equal(w.n[TAP_OPEN], 0);
	take(h, TAP_OCTETS, 7, 100, 10, true);
	assert_int_equal(w.n[TAP_OPEN], 1);
	assert_int_equal(w.n[TAP_OCTETS], 2);
	assert_int_equal(w.flow, 7);
	take(h, TAP_CLOSE, 7, 110, 0, true);
	take(h, TAP_OVER, 7, 110, 0, true);
	assert_int_equal(w.n[TAP_CLOSE], 1);
	for (uint64_t flow = 1; flow < 10; flow++)
		if (flow != 7)
			take(h, TAP_OVER, flow, 100, 0, false);
	assert_int_equal(tap_held_octets(h), 0);
	assert_int_equal(w.n[TAP_OPEN], 1);
	assert_int_equal(tap_held_lost(h), 0);
	tap_held_free(h);
}

/* Refused only at its very end. */
static void
test_the_end_says_it_too_X_007(void **state)
{
	struct written w = {.flow = 0};
	struct tap_held *h = tap_held_new(on_write, &w);

	(void)state;
	take(h, TAP_OPEN, 1, 0, 0, false);
	take(h, TAP_OVER, 1, 0, 0, true);
	assert_int_equal(w.n[TAP_OPEN], 1);
	assert_int_equal(tap_held_octets(h), 0);
	tap_held_free(h);
}

static void
test_the_oldest_octets_of_a_session_go_X_007(void **state)
{
	struct written w = {.flow = 0};
	struct tap_held *h = tap_held_new(on_write, &w);

	(void)state;
	take(h, TAP_OPEN, 1, 0, 0, false);
	for (uint64_t i = 0; i < 100; i++)
		take(h, TAP_OCTETS, 1, i * TAP_PIECE_MAX, TAP_PIECE_MAX, false);
	assert_true(tap_held_octets(h) <= TAP_HELD_SESSION);
	assert_true(tap_held_octets(h) > TAP_HELD_SESSION / 2);
	take(h, TAP_OCTETS, 1, 100 * TAP_PIECE_MAX, 1, true);
	assert_int_equal(w.n[TAP_OPEN], 1);
	assert_int_equal(w.n[TAP_OCTETS] + tap_held_lost(h), 101);
	assert_int_equal(w.first, tap_held_lost(h) * TAP_PIECE_MAX);
	tap_held_free(h);
}

static void
test_all_of_them_have_a_bound_X_007(void **state)
{
	struct written w = {.flow = 0};
	struct tap_held *h = tap_held_new(on_write, &w);

	(void)state;
	for (uint64_t flow = 0; flow < 200; flow++)
		for (uint64_t i = 0; i < 40; i++)
			take(h, TAP_OCTETS, flow, i * TAP_PIECE_MAX, TAP_PIECE_MAX, false);
	assert_true(tap_held_octets(h) <= TAP_HELD_MAX);
	assert_true(tap_held_lost(h) > 0);
	tap_held_forget(h, 2); /* another worker */
	assert_true(tap_held_octets(h) > 0);
	tap_held_forget(h, 1);
	assert_int_equal(tap_held_octets(h), 0);
	for (uint64_t flow = 0; flow < TAP_HELD_SESSIONS + 10; flow++)
		take(h, TAP_OPEN, flow, 0, 0, false);
	tap_held_free(h);
}

/* Others have filled it up, and are quiet. */
static void
test_nobody_hides_behind_others_X_007(void **state)
{
	struct written w = {.flow = 0};
	struct tap_held *h = tap_held_new(on_write, &w);

	(void)state;
	for (uint64_t flow = 0; flow < 100; flow++)
		for (uint64_t i = 0; i < 60; i++)
			take(h, TAP_OCTETS, flow, i * TAP_PIECE_MAX, TAP_PIECE_MAX, false);
	take(h, TAP_OPEN, 1000, 0, 0, false);
	take(h, TAP_OCTETS, 1000, 0, TAP_PIECE_MAX, false);
	take(h, TAP_CLOSE, 1000, TAP_PIECE_MAX, 0, true);
	assert_int_equal(w.n[TAP_OPEN], 1);
	assert_int_equal(w.n[TAP_OCTETS], 1);
	assert_true(tap_held_octets(h) <= TAP_HELD_MAX);
	for (uint64_t flow = 0; flow < TAP_HELD_SESSIONS + 10; flow++)
		take(h, TAP_OPEN, 2000 + flow, 0, 0, false);
	take(h, TAP_OVER, 2000 + TAP_HELD_SESSIONS + 9, 0, 0, true);
	assert_int_equal(w.n[TAP_OPEN], 2);
	tap_held_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_only_the_refused_are_written_X_007),
	    cmocka_unit_test(test_the_end_says_it_too_X_007),
	    cmocka_unit_test(test_the_oldest_octets_of_a_session_go_X_007),
	    cmocka_unit_test(test_all_of_them_have_a_bound_X_007),
	    cmocka_unit_test(test_nobody_hides_behind_others_X_007),
	};

	return cmocka_run_group_tests_name("tap held", tests, NULL, NULL);
}
