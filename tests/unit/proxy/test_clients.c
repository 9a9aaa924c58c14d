#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clients.h"

#define MINUTE UINT64_C(60000)
#define START  UINT64_C(1000000)

static const struct limits few = {
    .sessions_per_client = 3,
    .sessions_per_minute = 5,
    .messages_per_minute = 2,
    .recipients_per_minute = 4,
    .auth_failures_per_minute = 3,
    .tls_handshakes_per_minute = 6,
    .client_prefix6 = 64,
    .pending_connects = 3,
    .pending_connects_per_client = 2,
    .refusals = 2,
    .refusal_window = 60,
    .block = 300,
};

static struct ip
address(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(span_str(text), &ip));
	return ip;
}

static struct client_row *
welcome(struct clients *c, const char *ip, uint64_t now)
{
	struct ip client = address(ip);
	struct client_row *row;

	assert_int_equal(clients_enter(c, &client, now, &row), CLIENT_WELCOME);
	assert_non_null(row);
	return row;
}

static enum client_welcome
turned_away(struct clients *c, const char *ip, uint64_t now)
{
	struct ip client = address(ip);
	struct client_row *row;
	enum client_welcome how = clients_enter(c, &client, now, &row);

	assert_null(row);
	return how;
}

static unsigned
allowed(struct clients *c, struct client_row *row, enum client_act act, uint64_t now)
{
	unsigned n = 0;

	while (n < 100 && clients_allow(c, row, act, now))
		n++;
	return n;
}

static void
test_sessions_at_once(void **state)
{
	struct clients *c = clients_new(&few);
	struct client_row *rows[3];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		rows[i] = welcome(c, "192.0.2.1", START);
	assert_int_equal(turned_away(c, "192.0.2.1", START), CLIENT_TOO_MANY);
	clients_leave(c, welcome(c, "192.0.2.2", START));
	clients_leave(c, rows[0]);
	rows[0] = welcome(c, "192.0.2.1", START);
	for (size_t i = 0; i < 3; i++)
		clients_leave(c, rows[i]);
	clients_free(c);
}

/* P8: the minute begins with the first session, and those that were turned away do not count. */
static void
test_sessions_per_minute(void **state)
{
	struct clients *c = clients_new(&few);

	(void)state;
	for (uint64_t i = 0; i < 5; i++)
		clients_leave(c, welcome(c, "192.0.2.1", START + i * 10000));
	assert_int_equal(turned_away(c, "192.0.2.1", START + 50000), CLIENT_TOO_FAST);
	assert_int_equal(turned_away(c, "192.0.2.1", START + MINUTE - 1), CLIENT_TOO_FAST);
	clients_leave(c, welcome(c, "192.0.2.2", START + MINUTE - 1));
	for (unsigned i = 0; i < 5; i++)
		clients_leave(c, welcome(c, "192.0.2.1", START + MINUTE));
	assert_int_equal(turned_away(c, "192.0.2.1", START + MINUTE), CLIENT_TOO_FAST);
	clients_free(c);
}

/* P8: an IPv6 client is a network; whoever changes the address within it is the same. */
static void
test_prefix(void **state)
{
	struct clients *c = clients_new(&few);

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		clients_leave(
		    c, welcome(c, i % 2 == 0 ? "2001:db8::1" : "2001:db8::ffff:1", START));
	assert_int_equal(turned_away(c, "2001:db8::2", START), CLIENT_TOO_FAST);
	clients_leave(c, welcome(c, "2001:db8:0:1::1", START));
	clients_free(c);
}

/* P8: all sessions of a client share one number, which outlives them; each act has its own. */
static void
test_acts(void **state)
{
	struct clients *c = clients_new(&few);
	struct client_row *a = welcome(c, "192.0.2.1", START), *b = welcome(c, "192.0.2.1", START);
	struct client_row *other = welcome(c, "192.0.2.2", START);

	(void)state;
	assert_true(clients_allow(c, a, CLIENT_MESSAGE, START));
	assert_true(clients_allow(c, b, CLIENT_MESSAGE, START + 1));
	assert_false(clients_allow(c, a, CLIENT_MESSAGE, START + 2));
	clients_leave(c, a);
	clients_leave(c, b);
	a = welcome(c, "192.0.2.1", START + 3);
	assert_false(clients_allow(c, a, CLIENT_MESSAGE, START + 3));
	assert_int_equal(allowed(c, a, CLIENT_RECIPIENT, START + 3), 4);
	assert_int_equal(allowed(c, a, CLIENT_LOGIN, START + 3), 3);
	assert_int_equal(allowed(c, other, CLIENT_MESSAGE, START + 3), 2);
	assert_false(clients_allow(c, a, CLIENT_MESSAGE, START + MINUTE - 1));
	assert_int_equal(allowed(c, a, CLIENT_MESSAGE, START + MINUTE), 2);
	clients_leave(c, a);
	clients_leave(c, other);
	clients_free(c);
}

/* P8: a login that was right is given back, so that only failures add up. */
static void
test_take_back(void **state)
{
	struct clients *c = clients_new(&few);
	struct client_row *row = welcome(c, "192.0.2.1", START);

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		assert_true(clients_allow(c, row, CLIENT_LOGIN, START + i));
		clients_take_back(row, CLIENT_LOGIN);
	}
	assert_int_equal(allowed(c, row, CLIENT_LOGIN, START + 50), 3);
	assert_int_equal(allowed(c, row, CLIENT_HANDSHAKE, START + 50), 6);
	/* the minute is a new one: what is given back late takes nothing below nothing */
	clients_take_back(row, CLIENT_LOGIN);
	assert_true(clients_allow(c, row, CLIENT_LOGIN, START + 50));
	assert_false(clients_allow(c, row, CLIENT_LOGIN, START + 50));
	for (unsigned i = 0; i < 9; i++)
		clients_take_back(row, CLIENT_LOGIN);
	assert_int_equal(allowed(c, row, CLIENT_LOGIN, START + 50), 3);
	clients_leave(c, row);
	clients_free(c);
}

static void
test_off(void **state)
{
	static const struct limits off = {.sessions_per_client = 10};
	struct clients *c = clients_new(&off);
	struct client_row *row = NULL;

	(void)state;
	for (enum client_act act = CLIENT_SESSION; act < CLIENT_ACTS; act++)
		assert_int_equal(allowed(c, NULL, act, START), 100);
	for (unsigned i = 0; i < 100; i++) {
		row = welcome(c, "192.0.2.1", START);
		clients_leave(c, row);
	}
	row = welcome(c, "192.0.2.1", START);
	for (enum client_act act = CLIENT_SESSION; act < CLIENT_ACTS; act++)
		assert_int_equal(allowed(c, row, act, START), 100);
	clients_take_back(NULL, CLIENT_LOGIN);
	clients_leave(c, row);
	clients_free(c);
}

static void
test_blocked(void **state)
{
	struct clients *c = clients_new(&few);
	struct client_row *row = welcome(c, "192.0.2.1", START);

	(void)state;
	assert_false(clients_refused(c, row, START));
	assert_true(clients_refused(c, row, START + 1));
	clients_leave(c, row);
	assert_int_equal(turned_away(c, "192.0.2.1", START + 300000), CLIENT_BLOCKED);
	clients_leave(c, welcome(c, "192.0.2.1", START + 300001));
	clients_free(c);
}

static void
test_connecting(void **state)
{
	struct clients *c = clients_new(&few);
	struct client_row *a = welcome(c, "192.0.2.1", START), *b = welcome(c, "192.0.2.2", START);

	(void)state;
	assert_true(clients_connecting(c, a));
	assert_true(clients_connecting(c, a));
	assert_false(clients_connecting(c, a));
	assert_true(clients_connecting(c, b));
	assert_false(clients_connecting(c, b));
	clients_connected(c, a);
	assert_true(clients_connecting(c, b));
	clients_leave(c, a);
	clients_leave(c, b);
	clients_free(c);
}

/* A flood of addresses pushes out who has been away for longest, and nobody who is there. */
static void
test_flood(void **state)
{
	struct clients *c = clients_new(&few);
	struct client_row *there = welcome(c, "192.0.2.1", START);

	(void)state;
	assert_int_equal(allowed(c, there, CLIENT_MESSAGE, START), 2);
	for (uint32_t i = 0; i < CLIENTS_MAX + 10; i++) {
		struct ip ip =
		    ip_v4((uint8_t[]){10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i});
		struct client_row *row;

		assert_int_equal(clients_enter(c, &ip, START, &row), CLIENT_WELCOME);
		clients_leave(c, row);
	}
	assert_false(clients_allow(c, there, CLIENT_MESSAGE, START));
	clients_leave(c, there);
	clients_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sessions_at_once),
	    cmocka_unit_test(test_sessions_per_minute),
	    cmocka_unit_test(test_prefix),
	    cmocka_unit_test(test_acts),
	    cmocka_unit_test(test_take_back),
	    cmocka_unit_test(test_off),
	    cmocka_unit_test(test_blocked),
	    cmocka_unit_test(test_connecting),
	    cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests_name("clients", tests, NULL, NULL);
}
