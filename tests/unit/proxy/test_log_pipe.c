#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log_pipe.h"

#define FILL 2000 /* octets that follow the number of a line */

struct bench {
	struct event_base *base;
	struct log_pipe *log;
	int out; /* what the logger would read */
	char *got;
	size_t n, max;
};

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int ends[2];

	assert_non_null(b);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	b->base = event_base_new();
	b->out = ends[0];
	b->log = log_pipe_new(b->base, ends[1], false);
	assert_non_null(b->log);
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	log_pipe_free(b->log, 0);
	event_base_free(b->base);
	if (b->out >= 0)
		close(b->out);
	free(b->got);
	free(b);
	return 0;
}

static void
write_line(struct bench *b, unsigned number)
{
	char line[16 + FILL];
	int n = snprintf(line, sizeof(line), "%u ", number);

	memset(line + n, 'x', FILL);
	line[n + FILL] = '\n';
	log_pipe_write(b->log, line, (size_t)n + FILL + 1);
}

/* Takes what is in the pipe; false: nothing was. */
static bool
read_some(struct bench *b)
{
	ssize_t got;

	if (b->max - b->n < 65536) {
		b->max += 1 << 20;
		b->got = realloc(b->got, b->max);
		assert_non_null(b->got);
	}
	got = read(b->out, b->got + b->n, 65535);
	if (got <= 0)
		return false;
	b->n += (size_t)got;
	b->got[b->n] = '\0';
	return true;
}

/* Turns the loop and reads until nothing moves any more. */
static void
drain(struct bench *b)
{
	do
		event_base_loop(b->base, EVLOOP_NONBLOCK);
	while (read_some(b));
}

/* One whose pipe gives back each write by itself. */
static void
use_packets(struct bench *b, bool at_once)
{
	int ends[2];

	log_pipe_free(b->log, 0);
	close(b->out);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK | O_DIRECT), 0);
	b->out = ends[0];
	b->log = log_pipe_new(b->base, ends[1], at_once);
	assert_non_null(b->log);
}

/* Lines of one turn go with one write at its end. */
static void
test_turn(void **state)
{
	struct bench *b = *state;

	use_packets(b, false);
	log_pipe_write(b->log, "one\n", 4);
	log_pipe_write(b->log, "two\n", 4);
	assert_false(read_some(b));
	event_base_loop(b->base, EVLOOP_NONBLOCK);
	assert_true(read_some(b));
	assert_string_equal(b->got, "one\ntwo\n");
	log_pipe_write(b->log, "three\n", 6);
	drain(b);
	assert_string_equal(b->got, "one\ntwo\nthree\n");
	assert_int_equal(log_pipe_dropped(b->log), 0);
}

static void
test_at_once(void **state)
{
	struct bench *b = *state;

	use_packets(b, true);
	log_pipe_write(b->log, "one\n", 4);
	log_pipe_write(b->log, "two\n", 4);
	assert_true(read_some(b)); /* without the loop: it would survive a crash of the worker */
	assert_string_equal(b->got, "one\n");
	assert_true(read_some(b));
	assert_string_equal(b->got, "one\ntwo\n");
	assert_int_equal(log_pipe_dropped(b->log), 0);
}

/* One that ends with no time to wait writes what the pipe takes. */
static void
test_free_writes_turn(void **state)
{
	struct bench *b = *state;

	log_pipe_write(b->log, "one\n", 4);
	log_pipe_free(b->log, 0);
	b->log = NULL;
	assert_true(read_some(b));
	assert_string_equal(b->got, "one\n");
}

/* Reads numbered lines and stats records. Returns the last number; *said: the stats records. */
static unsigned
check_lines(char *text, unsigned *lines, unsigned *said, uint64_t *said_dropped)
{
	unsigned last = 0;
	char *line, *rest = text;

	*lines = *said = 0;
	*said_dropped = 0;
	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
		char *value = strstr(line, "\"log_lines_dropped\":");

		if (line[0] == '{') {
			assert_non_null(value);
			*said_dropped += strtoull(strchr(value, ':') + 1, NULL, 10);
			++*said;
			continue;
		}
		assert_true(*lines == 0 || strtoul(line, NULL, 10) > last);
		last = (unsigned)strtoul(line, NULL, 10);
		assert_int_equal(strlen(strchr(line, ' ') + 1), FILL);
		++*lines;
	}
	assert_string_equal(line, ""); /* nothing behind the last newline */
	return last;
}

/* The queue overflows: whole lines are dropped, counted, and reported once. */
static void
test_overflow(void **state)
{
	unsigned written = 2 * LOG_RING_MAX / FILL, lines, said;
	struct bench *b = *state;
	uint64_t said_dropped;

	for (unsigned i = 0; i < written; i++)
		write_line(b, i);
	assert_in_range(log_pipe_dropped(b->log), written / 3, written / 2 + 1);
	assert_true(log_pipe_in_trouble(b->log));
	drain(b);
	assert_false(log_pipe_in_trouble(b->log));
	write_line(b, written);
	drain(b);
	assert_int_equal(check_lines(b->got, &lines, &said, &said_dropped), written);
	assert_int_equal(said, 1);
	assert_int_equal(said_dropped, log_pipe_dropped(b->log));
	assert_int_equal(lines + said_dropped, written + 1);
}

/* A line that is longer than what a pipe takes at once stays whole. */
static void
test_long_line(void **state)
{
	size_t n = 300000;
	struct bench *b = *state;
	char *line = malloc(n);

	assert_non_null(line);
	memset(line, 'y', n);
	line[n - 1] = '\n';
	log_pipe_write(b->log, "before\n", 7);
	log_pipe_write(b->log, line, n);
	log_pipe_write(b->log, "after\n", 6);
	drain(b);
	assert_int_equal(b->n, 7 + n + 6);
	assert_memory_equal(b->got + 7, line, n);
	assert_string_equal(b->got + 7 + n, "after\n");
	free(line);
}

static void
test_reader_gone(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 1000; i++)
		write_line(b, i);
	close(b->out);
	b->out = -1;
	event_base_loop(b->base, EVLOOP_NONBLOCK);
	/* what had its place in the pipe's buffer is lost without a trace, the rest is counted */
	assert_in_range(log_pipe_dropped(b->log), 1000 - 65536 / FILL - 1, 1000);
	log_pipe_write(b->log, "x\n", 2);
	assert_in_range(log_pipe_dropped(b->log), 1001 - 65536 / FILL - 1, 1001);
	assert_int_equal(event_base_get_num_events(b->base, EVENT_BASE_COUNT_ADDED), 0);
	assert_true(log_pipe_in_trouble(b->log));
}

/* whoever would rather serve nobody than lose records has time to stop before one is lost.
 */
static void
test_a021_trouble_before_loss(void **state)
{
	struct bench *b = *state;
	unsigned i = 0;

	assert_false(log_pipe_in_trouble(b->log));
	for (; !log_pipe_in_trouble(b->log); i++)
		write_line(b, i);
	assert_in_range(i * FILL, LOG_RING_MAX / 2, LOG_RING_MAX / 2 + 70000);
	assert_int_equal(log_pipe_dropped(b->log), 0);
	drain(b);
	assert_false(log_pipe_in_trouble(b->log));
}

/* A line that had no place ends the trouble by itself, also when no other one ever comes. */
static void
test_a021_trouble_passes(void **state)
{
	static char line[LOG_RING_MAX + 1];
	unsigned lines, said;
	struct bench *b = *state;
	uint64_t said_dropped;

	log_pipe_write(b->log, line, sizeof(line));
	assert_int_equal(log_pipe_dropped(b->log), 1);
	assert_true(log_pipe_in_trouble(b->log));
	drain(b);
	assert_false(log_pipe_in_trouble(b->log));
	check_lines(b->got, &lines, &said, &said_dropped);
	assert_int_equal(said, 1);
	assert_int_equal(said_dropped, 1);
	assert_int_equal(event_base_get_num_events(b->base, EVENT_BASE_COUNT_ADDED), 0);
}

/* The logger dies, and the next one reads on: a pause, and no line less. */
static void
test_reader_replaced(void **state)
{
	unsigned lines, said;
	struct bench *b = *state;
	uint64_t said_dropped;
	int kept = fcntl(b->out, F_DUPFD_CLOEXEC, 3);

	for (unsigned i = 0; i < 1000; i++)
		write_line(b, i);
	close(b->out);
	event_base_loop(b->base, EVLOOP_NONBLOCK);
	b->out = kept;
	drain(b);
	assert_int_equal(check_lines(b->got, &lines, &said, &said_dropped), 999);
	assert_int_equal(lines, 1000);
	assert_int_equal(log_pipe_dropped(b->log), 0);
}

static void
test_pair(void **state)
{
	int ends[2];
	char c;

	(void)state;
	assert_true(log_pipe_pair(ends));
	for (int i = 0; i < 2; i++) {
		assert_true((fcntl(ends[i], F_GETFD) & FD_CLOEXEC) != 0);
		assert_true((fcntl(ends[i], F_GETFL) & O_NONBLOCK) != 0);
	}
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_false(log_pipe_drained(ends[0]));
	close(ends[1]);
	assert_false(log_pipe_drained(ends[0]));
	assert_int_equal(read(ends[0], &c, 1), 1);
	assert_true(log_pipe_drained(ends[0]));
	close(ends[0]);
}

static void *
slow_reader(void *arg)
{
	static const struct timespec pause = {.tv_nsec = 200000};
	struct bench *b = arg;

	while (b->n < 1000 * FILL)
		if (!read_some(b))
			nanosleep(&pause, NULL);
	return NULL;
}

/* At its end a worker waits for what still stands in the queue ... */
static void
test_free_writes_rest(void **state)
{
	unsigned lines, said;
	struct bench *b = *state;
	uint64_t said_dropped;
	pthread_t thread;

	for (unsigned i = 0; i < 1000; i++)
		write_line(b, i);
	assert_int_equal(pthread_create(&thread, NULL, slow_reader, b), 0);
	log_pipe_free(b->log, 10000);
	b->log = NULL;
	pthread_join(thread, NULL);
	while (read_some(b))
		;
	assert_int_equal(check_lines(b->got, &lines, &said, &said_dropped), 999);
	assert_int_equal(lines, 1000);
}

/* ... but not for ever. */
static void
test_free_gives_up(void **state)
{
	struct bench *b = *state;
	struct timespec from, to;
	int64_t ms;

	for (unsigned i = 0; i < 1000; i++)
		write_line(b, i);
	clock_gettime(CLOCK_MONOTONIC, &from);
	log_pipe_free(b->log, 100);
	b->log = NULL;
	clock_gettime(CLOCK_MONOTONIC, &to);
	ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
	assert_in_range(ms, 90, 2000);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_turn),
	    TEST(test_at_once),
	    TEST(test_free_writes_turn),
	    TEST(test_overflow),
	    TEST(test_long_line),
	    TEST(test_reader_gone),
	    TEST(test_reader_replaced),
	    TEST(test_a021_trouble_before_loss),
	    TEST(test_a021_trouble_passes),
	    TEST(test_pair),
	    TEST(test_free_writes_rest),
	    TEST(test_free_gives_up),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("log_pipe", tests, NULL, NULL);
}
