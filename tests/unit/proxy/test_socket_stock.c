#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ipc.h"
#include "socket_stock.h"

struct asked {
	unsigned v4, v6, times;
};

static void
more(void *arg, enum ip_family family, unsigned n)
{
	struct asked *a = arg;

	assert_true(n > 0 && n <= STOCK_FULL);
	*(family == IP_V4 ? &a->v4 : &a->v6) += n;
	a->times++;
}

static void
give(struct socket_stock *s, enum ip_family family, unsigned n)
{
	int fds[IPC_FDS_MAX];

	while (n > 0) {
		size_t some = n < IPC_FDS_MAX ? n : IPC_FDS_MAX;

		for (size_t i = 0; i < some; i++)
			fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		stock_add(s, family, fds, some);
		n -= (unsigned)some;
	}
}

static void
test_low_water(void **state)
{
	struct asked a = {0};
	struct socket_stock *s = stock_new(more, &a);
	struct stock_stats stats;

	(void)state;
	stock_fill(s);
	assert_int_equal(a.v4, STOCK_FULL);
	assert_int_equal(a.v6, STOCK_FULL);
	give(s, IP_V4, STOCK_FULL);
	stock_fill(s); /* IPv6 is on its way, and not asked for again */
	assert_int_equal(a.times, 2);
	for (unsigned i = 0; i < STOCK_FULL - STOCK_LOW; i++) {
		int fd = stock_take(s, IP_V4);

		assert_true(fd >= 0);
		close(fd);
	}
	assert_int_equal(a.times, 2);
	close(stock_take(s, IP_V4));
	assert_int_equal(a.times, 3);
	assert_int_equal(a.v4, 2 * STOCK_FULL - STOCK_LOW + 1);
	stock_stats(s, &stats);
	assert_int_equal(stats.in_stock4, STOCK_LOW - 1);
	assert_int_equal(stats.in_stock6, 0);
	stock_free(s);
}

static void
take_fd(void *arg, int fd)
{
	int *got = arg;

	assert_int_equal(*got, -1);
	*got = fd;
}

static void
test_waiting(void **state)
{
	struct asked a = {0};
	struct socket_stock *s = stock_new(more, &a);
	int got[3] = {-1, -1, -1}, one;
	struct stock_waiter w[3];
	struct stock_stats stats;

	(void)state;
	memset(w, 0, sizeof(w));
	assert_int_equal(stock_take(s, IP_V6), -1);
	for (int i = 0; i < 3; i++) {
		w[i].ready = take_fd;
		w[i].arg = &got[i];
		stock_wait(s, IP_V6, &w[i]);
	}
	stock_leave(&w[1]);
	stock_leave(&w[1]); /* waits no more: nothing happens */
	give(s, IP_V6, 1);
	assert_true(got[0] >= 0 && got[1] < 0 && got[2] < 0);
	give(s, IP_V6, 2);
	assert_true(got[1] < 0 && got[2] >= 0);
	one = stock_take(s, IP_V6);
	assert_true(one >= 0);
	assert_int_equal(stock_take(s, IP_V6), -1);
	stock_stats(s, &stats);
	assert_int_equal(stats.waited6, 3);
	assert_int_equal(stats.waited4, 0);
	/* one that still waits when the stock goes may leave afterwards */
	stock_wait(s, IP_V6, &w[1]);
	stock_free(s);
	stock_leave(&w[1]);
	close(one);
	close(got[0]);
	close(got[2]);
}

/* What was not asked for is not kept without bound. */
static void
test_too_many(void **state)
{
	struct asked a = {0};
	struct socket_stock *s = stock_new(more, &a);
	struct stock_stats stats;

	(void)state;
	give(s, IP_V4, 3 * STOCK_FULL);
	stock_stats(s, &stats);
	assert_true(stats.in_stock4 <= STOCK_FULL + IPC_FDS_MAX);
	stock_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_low_water),
	    cmocka_unit_test(test_waiting),
	    cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
