/* What passes unproxied, with the test in the place of the supervisor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "data_passed.h"

struct trial {
	struct event_base *base;
	struct event *answers; /* the worker reads them */
	struct data_requests *requests;
	struct data_passed passed;
	int ends[2]; /* the supervisor's, the worker's */
	int opened;  /* -1: not answered */
	bool counted, last, gone, used;
	uint64_t octets[2];
};

static void
on_opened(void *arg, bool done)
{
	((struct trial *)arg)->opened = done;
}

static void
on_gone(void *arg, bool used)
{
	struct trial *t = arg;

	assert_false(t->gone);
	t->gone = true;
	t->used = used;
}

static void
on_counted(void *arg, const uint64_t octets[2], bool last)
{
	struct trial *t = arg;

	assert_false(t->last);
	t->counted = true;
	t->last = last;
	t->octets[0] = octets[0];
	t->octets[1] = octets[1];
}

static void
on_lost(void *arg)
{
	(void)arg;
	fail_msg("the supervisor is there");
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct trial *t = arg;
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	const char *why;
	size_t n;

	(void)what;
	assert_int_equal(ipc_receive(fd, IPC_FROM_SUPERVISOR_TO_WORKER, &m, fds, &n, &why), IPC_OK);
	data_requests_answer(t->requests, &m, fds, n);
}

static int
set_up(void **state)
{
	struct trial *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->opened = -1;
	t->base = event_base_new();
	assert_true(ipc_pair(t->ends));
	t->requests = data_requests_new(t->base, t->ends[1], on_lost, t);
	t->answers = event_new(t->base, t->ends[1], EV_READ | EV_PERSIST, on_answer, t);
	assert_int_equal(event_add(t->answers, NULL), 0);
	t->passed = (struct data_passed){
	    .opened = on_opened, .counted = on_counted, .gone = on_gone, .arg = t};
	*state = t;
	return 0;
}

static int
tear_down(void **state)
{
	struct trial *t = *state;

	data_passed_close(&t->passed);
	data_requests_free(t->requests);
	event_free(t->answers);
	event_base_free(t->base);
	close(t->ends[0]);
	close(t->ends[1]);
	free(t);
	return 0;
}

/* What the supervisor hears next; the worker's loop runs until then, 3 s at most. */
static struct ipc_message
heard(struct trial *t, enum ipc_type type)
{
	struct pollfd p = {.fd = t->ends[0], .events = POLLIN};
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	const char *why;
	size_t n;

	for (unsigned i = 0; i < 300 && poll(&p, 1, 10) == 0; i++)
		event_base_loop(t->base, EVLOOP_NONBLOCK);
	assert_int_equal(ipc_receive(t->ends[0], IPC_FROM_WORKER, &m, fds, &n, &why), IPC_OK);
	assert_int_equal(m.type, type);
	assert_int_equal(m.a, t->passed.number);
	return m;
}

static void
answer(struct trial *t, enum ipc_data result, uint64_t there, uint64_t back)
{
	const struct ipc_message m = {
	    .type = IPC_DATA_ANSWER, .a = t->passed.number, .b = result, .octets = {there, back}};

	assert_int_equal(ipc_send(t->ends[0], &m, NULL, 0), IPC_OK);
	event_base_loop(t->base, EVLOOP_NONBLOCK);
}

static struct ipc_message
open_passed(struct trial *t, unsigned lasts)
{
	const struct ipc_flow flow = {{IP_V4, {10, 0, 0, 1}}, {IP_V4, {192, 0, 2, 9}}, 2000};
	struct ipc_message m;

	assert_true(data_passed_open(&t->passed, t->base, t->requests, &flow, lasts, 1));
	m = heard(t, IPC_DATA_PASS);
	assert_int_equal(m.b, lasts);
	assert_int_equal(t->opened, -1);
	answer(t, IPC_DATA_DONE, 0, 0);
	assert_int_equal(t->opened, 1);
	return m;
}

/* F_042: the hole is closed; whoever asks for the count still gets an answer. */
static void
test_F_042_nobody_comes(void **state)
{
	struct trial *t = *state;

	open_passed(t, 60);
	heard(t, IPC_DATA_COUNT);
	answer(t, IPC_DATA_DONE, 0, 0);
	heard(t, IPC_DATA_FORGET);
	assert_true(t->gone && !t->used);
	assert_true(data_passed_count(&t->passed));
	heard(t, IPC_DATA_COUNT);
	heard(t, IPC_DATA_FORGET);
	answer(t, IPC_DATA_FAILED, 0, 0);
	assert_true(t->last);
	assert_int_equal(t->octets[0] + t->octets[1], 0);
}

/* As long as something moves its time begins anew, seldom; then no more. */
static void
test_a_long_transfer(void **state)
{
	struct trial *t = *state;
	const struct ipc_message first = open_passed(t, 4);
	struct ipc_message again;
	uint64_t moved = 100;

	data_passed_flows(&t->passed, 2);
	for (unsigned renewals = 0; renewals < 2; renewals++, moved += 100) {
		heard(t, IPC_DATA_COUNT); /* each second */
		answer(t, IPC_DATA_DONE, moved, 10);
		moved += 100;
		heard(t, IPC_DATA_COUNT);
		answer(t, IPC_DATA_DONE, moved, 10);
		again = heard(t, IPC_DATA_PASS);
		assert_memory_equal(&again, &first, sizeof(first));
		answer(t, IPC_DATA_DONE, 0, 0);
	}
	heard(t, IPC_DATA_COUNT);
	answer(t, IPC_DATA_DONE, moved, 10);
	assert_false(t->gone);
	heard(t, IPC_DATA_COUNT);
	answer(t, IPC_DATA_DONE, moved, 10); /* nothing since the last look */
	heard(t, IPC_DATA_PASS);
	answer(t, IPC_DATA_DONE, 0, 0);
	assert_false(t->gone);
	heard(t, IPC_DATA_COUNT);
	answer(t, IPC_DATA_DONE, moved, 10);
	heard(t, IPC_DATA_FORGET);
	assert_true(t->gone && t->used);
	assert_int_equal(t->passed.octets[0], moved);
}

/* One octet in that time is enough, whichever way it went. */
static void
test_F_040_one_that_nearly_stands_still(void **state)
{
	struct trial *t = *state;

	open_passed(t, 60);
	data_passed_flows(&t->passed, 1); /* looked at each half second, once somebody came */
	for (unsigned i = 0; i < 4; i++) {
		heard(t, IPC_DATA_COUNT);
		answer(t, IPC_DATA_DONE, 100, 10 + i / 2);
		assert_false(t->gone);
	}
	heard(t, IPC_DATA_COUNT);
	answer(t, IPC_DATA_DONE, 100, 11);
	assert_true(t->gone && t->used);
	heard(t, IPC_DATA_FORGET);
}

/* A client that has come may take its time until it says what it wants. */
static void
test_quiet_ahead_of_the_transfer(void **state)
{
	struct trial *t = *state;

	open_passed(t, 2);
	for (unsigned i = 0; i < 3; i++) { /* each second, which is half of its time */
		heard(t, IPC_DATA_COUNT);
		answer(t, IPC_DATA_DONE, 100, 10);
		assert_false(t->gone);
		heard(t, IPC_DATA_PASS);
		answer(t, IPC_DATA_DONE, 0, 0);
	}
	data_passed_flows(&t->passed, 1);
	heard(t, IPC_DATA_PASS); /* in its place: the next look is sooner now */
	answer(t, IPC_DATA_DONE, 0, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_false(t->gone);
		heard(t, IPC_DATA_COUNT);
		answer(t, IPC_DATA_DONE, 100, 10);
	}
	assert_true(t->gone && t->used);
	heard(t, IPC_DATA_FORGET);
	data_passed_flows(&t->passed, 1); /* too late: nothing is asked for */
	assert_null(t->passed.request);
}

/* The kernel has it no more, or does not take it again. */
static void
test_it_cannot_go_on(void **state)
{
	struct trial *t = *state;

	open_passed(t, 2);
	heard(t, IPC_DATA_COUNT);
	answer(t, IPC_DATA_DONE, 100, 10);
	heard(t, IPC_DATA_PASS);
	answer(t, IPC_DATA_FAILED, 0, 0);
	assert_true(t->gone && t->used);
}

/* The end: what was asked before is of no interest, and nobody looks in any more. */
static void
test_the_count(void **state)
{
	struct trial *t = *state;

	open_passed(t, 60);
	heard(t, IPC_DATA_COUNT);
	assert_true(data_passed_count(&t->passed));
	heard(t, IPC_DATA_COUNT);
	heard(t, IPC_DATA_FORGET); /* at once: another one may be on its port next */
	answer(t, IPC_DATA_DONE, 1, 2);
	answer(t, IPC_DATA_DONE, 1000, 2000);
	assert_true(t->counted && t->last);
	assert_int_equal(t->octets[0] + t->octets[1], 3000);
	data_passed_close(&t->passed);
	assert_int_equal(t->passed.number, 0);
}

static void
looked_at(struct trial *t, uint64_t back, bool last)
{
	heard(t, IPC_DATA_COUNT);
	t->counted = false;
	answer(t, IPC_DATA_DONE, 10, back);
	assert_true(t->counted && t->last == last && t->octets[1] == back);
}

/* The server has said its last word, and its own buffers are sent: whoever counts hears of it. */
static void
test_what_comes_behind_the_last_word(void **state)
{
	struct trial *t = *state;

	open_passed(t, 1);
	data_passed_flows(&t->passed, 60);
	data_passed_rest(&t->passed);
	looked_at(t, 1000, false); /* at once */
	looked_at(t, 2000, false);
	looked_at(t, 3000, false);
	heard(t, IPC_DATA_PASS); /* half of the kernel's time has gone by */
	answer(t, IPC_DATA_DONE, 0, 0);
	looked_at(t, 4000, false);
	assert_true(data_passed_count(&t->passed)); /* the client has all */
	looked_at(t, 5000, true);
	heard(t, IPC_DATA_FORGET);
	assert_false(t->gone);
}

static void
test_nothing_comes_behind_the_last_word(void **state)
{
	struct trial *t = *state;

	open_passed(t, 60);
	data_passed_rest(&t->passed);
	looked_at(t, 1000, false);
	for (unsigned ms = 250; ms < DATA_PASSED_REST_MS; ms += 250)
		looked_at(t, 1000, false);
	looked_at(t, 1000, true);
}

static void
test_the_kernel_refuses(void **state)
{
	const struct ipc_flow flow = {{IP_V4, {10, 0, 0, 1}}, {IP_V4, {192, 0, 2, 9}}, 2000};
	struct trial *t = *state;

	assert_true(data_passed_open(&t->passed, t->base, t->requests, &flow, 60, 1));
	heard(t, IPC_DATA_PASS);
	answer(t, IPC_DATA_TOO_MANY, 0, 0);
	assert_int_equal(t->opened, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_F_042_nobody_comes),
	    TEST(test_a_long_transfer),
	    TEST(test_F_040_one_that_nearly_stands_still),
	    TEST(test_quiet_ahead_of_the_transfer),
	    TEST(test_it_cannot_go_on),
	    TEST(test_the_count),
	    TEST(test_what_comes_behind_the_last_word),
	    TEST(test_nothing_comes_behind_the_last_word),
	    TEST(test_the_kernel_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
