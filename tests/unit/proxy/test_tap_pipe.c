#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap_pipe.h"
#include "taps.h"

struct said {
	unsigned stats;
	char last[512];
};

static void
on_line(void *arg, const char *line, size_t n)
{
	struct said *s = arg;

	s->stats++;
	snprintf(s->last, sizeof(s->last), "%.*s", (int)n, line);
}

static bool
put(struct tap_pipe *t, uint64_t number, size_t n)
{
	struct tap_record r = record_like(TAP_OCTETS, AN_C2S);
	uint8_t *there;

	r.at[AN_C2S] = number;
	there = tap_pipe_put(t, &r, n, n);
	if (there != NULL)
		memset(there, 'x', n);
	return there != NULL;
}

/* Records that come out of a datagram, which must have the numbers from *next on. */
static unsigned
take(int fd, uint64_t *next)
{
	static _Alignas(8) uint8_t datagram[TAP_DATAGRAM_MAX];
	const struct tap_record *r;
	struct span rest;
	unsigned n = 0;
	ssize_t got = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);
	bool bad = false;

	if (got <= 0)
		return 0;
	rest = span_of(datagram, (size_t)got);
	while ((r = tap_record_take(&rest, 1, &bad)) != NULL) {
		assert_true(r->at[AN_C2S] >= *next);
		assert_int_equal(tap_record_octets(r).p[r->n - 1], 'x');
		*next = r->at[AN_C2S] + 1;
		n++;
	}
	assert_false(bad);
	return n;
}

static void
test_a_turn_goes_at_once_X_007(void **state)
{
	struct event_base *base = event_base_new();
	struct said said = {.stats = 0};
	uint64_t next = 0;
	struct tap_pipe *t;
	int ends[2];

	(void)state;
	assert_true(tap_pipe_pair(ends));
	t = tap_pipe_new(base, ends[1], on_line, &said);
	for (uint64_t i = 0; i < 20; i++)
		assert_true(put(t, i, 100));
	assert_int_equal(take(ends[0], &next), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(take(ends[0], &next), 20); /* one datagram */
	assert_int_equal(tap_pipe_written(t), 20);
	assert_true(put(t, 20, 1));
	tap_pipe_free(t, 0);
	assert_int_equal(take(ends[0], &next), 1);
	assert_int_equal(said.stats, 0);
	close(ends[0]);
	event_base_free(base);
}

/* What overflows is counted, said once there is room again, and nothing is told twice. */
static void
test_what_overflows_is_counted_X_007(void **state)
{
	struct event_base *base = event_base_new();
	struct said said = {.stats = 0};
	uint64_t next = 0, given = 0, taken = 0;
	struct tap_pipe *t;
	int ends[2];

	(void)state;
	assert_true(tap_pipe_pair(ends));
	t = tap_pipe_new(base, ends[1], on_line, &said);
	while (tap_pipe_dropped(t) < 10) {
		put(t, given++, TAP_PIECE_MAX);
		event_base_loop(base, EVLOOP_NONBLOCK);
		assert_true(given < 10000);
	}
	assert_true(given * TAP_PIECE_MAX > TAP_RING_MAX / 2);
	assert_true(given * TAP_PIECE_MAX < 2 * TAP_RING_MAX);
	assert_int_equal(said.stats, 0);
	for (unsigned n = 1; n > 0;) {
		n = take(ends[0], &next);
		taken += n;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(taken, given - 10);
	assert_int_equal(tap_pipe_written(t), taken);
	assert_int_equal(said.stats, 1);
	assert_non_null(strstr(said.last, "capture_dropped"));
	assert_true(put(t, given, 1));
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(take(ends[0], &next), 1);
	tap_pipe_free(t, 0);
	close(ends[0]);
	event_base_free(base);
}

static void
test_nobody_reads_any_more_X_007(void **state)
{
	struct event_base *base = event_base_new();
	struct said said = {.stats = 0};
	struct tap_pipe *t;
	int ends[2];

	(void)state;
	assert_true(tap_pipe_pair(ends));
	t = tap_pipe_new(base, ends[1], on_line, &said);
	close(ends[0]);
	assert_true(put(t, 0, 10));
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_false(put(t, 1, 10));
	assert_int_equal(tap_pipe_dropped(t), 2);
	tap_pipe_free(t, 1000);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_turn_goes_at_once_X_007),
	    cmocka_unit_test(test_what_overflows_is_counted_X_007),
	    cmocka_unit_test(test_nobody_reads_any_more_X_007),
	};

	return cmocka_run_group_tests_name("tap pipe", tests, NULL, NULL);
}
