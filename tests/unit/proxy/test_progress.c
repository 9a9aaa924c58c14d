/*
 * The progress bar: its text for all widths, and what reaches a terminal, and what does not reach
 * anything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

#define MIB (1ull << 20)

static void
assert_line(struct progress_facts f, uint64_t ms, size_t width, const char *want)
{
	char line[PROGRESS_TEXT_MAX];
	size_t n = progress_text(&f, ms, width, line);

	assert_string_equal(line, want);
	assert_int_equal(n, strlen(want));
}

static void
test_text(void **state)
{
	const struct progress_facts half = {
	    .octets = 1300 * MIB, .total = 2600 * MIB, .packets = 3104000, .records = 1204};
	struct progress_facts unknown = half, begin = {.total = 5};

	(void)state;
	assert_line(half, 2000, 120,
	    "[================>                ]  50%  1.3 GiB of 2.5 GiB  650 MiB/s  3.1M packets "
	    " "
	    "1204 records  0:03 left");
	assert_line(half, 2000, 79,
	    "[======>      ]  50%  1.3 GiB of 2.5 GiB  3.1M packets  1204 records  0:03 left");
	assert_line(half, 2000, 60, "[====>   ]  50%  1.3 GiB of 2.5 GiB  3.1M packets  0:03 left");
	assert_line(half, 2000, 45, "1.3 GiB of 2.5 GiB  3.1M packets  0:03 left");
	assert_line(half, 2000, 30, "1.3 GiB of 2.5 GiB  0:03 left");
	assert_line(half, 2000, 20, "0:03 left");
	unknown.total = 0;
	assert_line(unknown, 2000, 79, "1.3 GiB  650 MiB/s  3.1M packets  1204 records");
	assert_line(begin, 100, 79,
	    "[>                              ]   0%  0 B of 5 B  0 B/s  0 packets  0 records");
}

static void
test_time_left(void **state)
{
	const struct progress_facts little = {.octets = 1, .total = 86400},
				    more_than_all = {.octets = 8, .total = 5};
	char line[PROGRESS_TEXT_MAX];

	(void)state;
	progress_text(&little, 1999, 200, line);
	assert_null(strstr(line, "left")); /* nobody knows yet */
	progress_text(&little, 2000, 200, line);
	assert_non_null(strstr(line, "  47:59:59 left"));
	progress_text(&more_than_all, 5000, 200, line);
	assert_null(strstr(line, "left"));
	assert_non_null(strstr(line, "100%"));
}

/* The largest numbers, in every width: never more columns, and no fact that is cut. */
static void
test_fits_every_width(void **state)
{
	const struct progress_facts facts[] = {
	    {0},
	    {.total = 1},
	    {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
	    {UINT64_MAX, 1, 99999, 100000},
	    {1, UINT64_MAX, 999499, 999500},
	};
	char line[PROGRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		for (size_t width = 0; width < 2 * PROGRESS_TEXT_MAX; width++) {
			size_t n = progress_text(&facts[i], UINT64_MAX / 2, width, line);

			assert_true(n <= width && n < PROGRESS_TEXT_MAX);
			assert_int_equal(n, strlen(line));
			assert_true(width < 60 || n > 20);
		}
}

/* ---- where it goes ---- */

static int stderr_before;

static void
stderr_becomes(int fd)
{
	stderr_before = dup(STDERR_FILENO);
	assert_true(stderr_before >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
}

static void
stderr_again(void)
{
	assert_int_equal(dup2(stderr_before, STDERR_FILENO), STDERR_FILENO);
	close(stderr_before);
}

/* With that TERM and standard error there. */
static struct progress *
progress_with(const char *term, int fd)
{
	struct progress *p;

	assert_int_equal(term == NULL ? unsetenv("TERM") : setenv("TERM", term, 1), 0);
	stderr_becomes(fd);
	p = progress_new();
	stderr_again();
	return p;
}

static void
test_only_on_terminals(void **state)
{
	const struct progress_facts f = {.total = 1};
	int master, slave, null = open("/dev/null", O_WRONLY);

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_null(progress_with("xterm", null));
	assert_null(progress_with("dumb", slave));
	assert_null(progress_with("", slave));
	assert_null(progress_with(NULL, slave));
	progress_show(NULL, &f);
	progress_hide(NULL);
	progress_free(NULL);
	close(null);
	close(slave);
	close(master);
}

/* Half a second of packets. Returns what reached the terminal. */
static size_t
run(int master, int slave, char *out, size_t size)
{
	const struct timespec pause = {0, 1000000};
	struct progress_facts f = {.total = 1000};
	struct progress *p;
	size_t all = 0;
	ssize_t n;

	assert_int_equal(setenv("TERM", "xterm", 1), 0);
	stderr_becomes(slave);
	p = progress_new();
	for (f.octets = 0; p != NULL && f.octets < 500; f.octets++) {
		progress_show(p, &f);
		nanosleep(&pause, NULL);
	}
	progress_free(p);
	stderr_again();
	assert_non_null(p);
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(master, out + all, size - 1 - all)) > 0)
		all += (size_t)n;
	out[all] = '\0';
	return all;
}

static void
test_draws_seldom_and_erases(void **state)
{
	static char out[65536];
	const struct winsize narrow = {.ws_row = 24, .ws_col = 50};
	const char erase[] = "\r\033[K";
	unsigned drawn = 0;
	int master, slave;
	char *at, *save = NULL;
	size_t n;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &narrow), 0);
	n = run(master, slave, out, sizeof(out));
	assert_true(n > sizeof(erase));
	assert_string_equal(out + n - (sizeof(erase) - 1), erase);
	assert_null(strchr(out, '\n'));
	for (at = strtok_r(out, "\r", &save); at != NULL; at = strtok_r(NULL, "\r", &save)) {
		assert_true(strlen(at) - 3 < 50);
		drawn += strlen(at) > 3;
	}
	/* ten in a second at most, however long the pauses took; and some */
	assert_in_range(drawn, 2, 60);
	close(slave);
	close(master);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_time_left),
	    cmocka_unit_test(test_fits_every_width),
	    cmocka_unit_test(test_only_on_terminals),
	    cmocka_unit_test(test_draws_seldom_and_erases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
