/* Who may use a hole: the one that was expected, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_holes.h"
#include "loopback.h"

struct waiter {
	struct awaited awaited;
	int fd;
	unsigned came, intruded, lost;
};

static void
on_came(void *arg, int fd, const struct endpoint *peer)
{
	struct waiter *w = arg;

	assert_int_equal(peer->port, 4711);
	w->fd = fd;
	w->came++;
}

static void
on_intruded(void *arg, const struct endpoint *peer)
{
	struct waiter *w = arg;

	assert_true(peer->port != 0);
	w->intruded++;
}

static void
on_lost(void *arg)
{
	struct waiter *w = arg;

	w->lost++;
}

static struct endpoint
at(const char *ip, uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_true(ip_parse(span_str(ip), &e.ip));
	return e;
}

static void
wait_for(struct data_holes *h, struct waiter *w, const char *from, const char *ip, uint16_t port)
{
	*w = (struct waiter){.fd = -1};
	w->awaited = (struct awaited){.from = at(from, 0).ip,
	    .at = at(ip, port),
	    .came = on_came,
	    .intruded = on_intruded,
	    .lost = on_lost,
	    .arg = w};
	data_holes_wait(h, &w->awaited);
}

/* A connection comes in; true: it was somebody's. Else its peer sees a reset. */
static bool
come(struct data_holes *h, const char *from, const char *ip, uint16_t port)
{
	const struct endpoint peer = at(from, 4711), to = at(ip, port);
	int theirs, ours;
	char c;
	bool taken;

	loopback_pair(&theirs, &ours);
	taken = data_holes_came(h, ours, &peer, &to);
	if (taken)
		close(ours);
	assert_int_equal(recv(theirs, &c, 1, 0), taken ? 0 : -1);
	assert_true(taken || errno == ECONNRESET);
	close(theirs);
	return taken;
}

static void
test_F_014_only_the_expected_address(void **state)
{
	struct data_holes *h = data_holes_new();
	struct waiter w;

	(void)state;
	wait_for(h, &w, "192.0.2.1", "198.51.100.7", 40000);
	assert_false(come(h, "192.0.2.2", "198.51.100.7", 40000));
	assert_int_equal(w.intruded, 1);
	assert_false(come(h, "192.0.2.1", "198.51.100.7", 40001));
	assert_false(come(h, "192.0.2.1", "198.51.100.8", 40000));
	assert_false(come(h, "2001:db8::1", "198.51.100.7", 40000));
	assert_int_equal(w.intruded, 2);
	assert_int_equal(w.came, 0);
	assert_true(come(h, "192.0.2.1", "198.51.100.7", 40000));
	assert_int_equal(w.came, 1);
	data_holes_free(h);
}

static void
test_F_015_only_once(void **state)
{
	struct data_holes *h = data_holes_new();
	struct waiter w;

	(void)state;
	wait_for(h, &w, "2001:db8::1", "2001:db8::2", 40000);
	assert_true(come(h, "2001:db8::1", "2001:db8::2", 40000));
	assert_false(come(h, "2001:db8::1", "2001:db8::2", 40000));
	assert_int_equal(w.came, 1);
	assert_int_equal(w.intruded, 0);
	wait_for(h, &w, "2001:db8::1", "2001:db8::2", 40000);
	data_holes_leave(&w.awaited);
	data_holes_leave(&w.awaited);
	assert_false(come(h, "2001:db8::1", "2001:db8::2", 40000));
	data_holes_free(h);
}

/* The same server and port, two clients: each has its own. */
static void
test_two_clients_of_one_port(void **state)
{
	struct data_holes *h = data_holes_new();
	struct waiter a, b;

	(void)state;
	wait_for(h, &a, "192.0.2.1", "198.51.100.7", 40000);
	wait_for(h, &b, "192.0.2.2", "198.51.100.7", 40000);
	assert_true(come(h, "192.0.2.1", "198.51.100.7", 40000));
	assert_int_equal(a.came, 1);
	assert_int_equal(b.came + b.intruded, 0);
	assert_true(come(h, "192.0.2.2", "198.51.100.7", 40000));
	assert_int_equal(b.came, 1);
	data_holes_free(h);
}

static void
test_the_newer_of_two_alike(void **state)
{
	struct data_holes *h = data_holes_new();
	struct waiter old, new;

	(void)state;
	wait_for(h, &old, "192.0.2.1", "198.51.100.7", 40000);
	wait_for(h, &new, "192.0.2.1", "198.51.100.7", 40000);
	assert_int_equal(old.lost, 1);
	assert_true(come(h, "192.0.2.1", "198.51.100.7", 40000));
	assert_int_equal(old.came, 0);
	assert_int_equal(new.came, 1);
	data_holes_free(h);
}

/* F-049: with too many, the oldest makes room. */
static void
test_F_049_bounded(void **state)
{
	struct data_holes *h = data_holes_new();
	size_t n = DATA_HOLES_MAX + 100;
	struct waiter *w = calloc(n, sizeof(*w));

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char from[IP_TEXT_MAX];

		snprintf(from, sizeof(from), "10.0.%zu.%zu", i / 250, i % 250);
		wait_for(h, &w[i], from, "198.51.100.7", 40000);
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(w[i].lost, i < 100);
	assert_false(come(h, "10.0.0.5", "198.51.100.7", 40000));
	assert_true(come(h, "10.0.0.100", "198.51.100.7", 40000));
	data_holes_free(h);
	free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_F_014_only_the_expected_address),
	    cmocka_unit_test(test_F_015_only_once),
	    cmocka_unit_test(test_two_clients_of_one_port),
	    cmocka_unit_test(test_the_newer_of_two_alike),
	    cmocka_unit_test(test_F_049_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
