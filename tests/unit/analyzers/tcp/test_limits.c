/* How much memory, and how much work, the worst of captures can cause. */
#include <time.h>

#include "dialogue.h"

#define MANY   100000u
#define MEMORY (64u << 20)

struct counts {
	unsigned of[CONNECTION_CLOSED + 1];
	uint64_t gaps, octets;
	size_t empty; /* octets of the table alone */
};

static void
count(void *arg, struct connection *c, const struct connection_event *ev)
{
	struct counts *n = arg;

	(void)c;
	n->of[ev->what]++;
	if (ev->what == CONNECTION_GAP)
		n->gaps += ev->n;
	if (ev->what == CONNECTION_OCTETS)
		n->octets += ev->n;
}

static struct connections_stats
stats_of(const struct dialogue *d)
{
	struct connections_stats stats;

	connections_stats(d->cs, &stats);
	return stats;
}

static void
begin(struct dialogue *d, struct counts *n, size_t memory)
{
	struct connections_env env = {
	    .happened = count, .server_port = is_server_port, .arg = n, .memory = memory};

	*n = (struct counts){.gaps = 0};
	*d = (struct dialogue){.hops = 64, .window = 65535, .now = SECOND};
	d->cs = connections_new(&env);
	assert_non_null(d->cs);
	n->empty = stats_of(d).memory;
}

static void
end(struct dialogue *d, struct counts *n)
{
	struct connections_stats stats;

	connections_end(d->cs);
	stats = stats_of(d);
	assert_int_equal(stats.alive, 0);
	assert_int_equal(stats.memory, n->empty);
	assert_int_equal(n->of[CONNECTION_OPEN], n->of[CONNECTION_CLOSED]);
	connections_free(d->cs);
}

/* The i-th client: i within an address, the port, and the initial number. */
static void
say_from(struct dialogue *d, uint32_t i, enum an_dir dir, unsigned flags, uint32_t seq,
    struct span octets)
{
	uint8_t segment[20 + 1500] = {0};
	struct packet packet = {.protocol = 6, .hops = 64};
	struct packet_address client = {.octets = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), 1}};
	uint16_t ports[] = {(uint16_t)(1024 + (i & 0xff)), SERVER_PORT};

	packet.from = dir == AN_C2S ? client : address_of(2);
	packet.to = dir == AN_C2S ? address_of(2) : client;
	put_number(segment, ports[dir], 2);
	put_number(segment + 2, ports[1 - dir], 2);
	put_number(segment + 4, 1000 + seq, 4);
	put_number(segment + 8, 1000, 4);
	segment[12] = 5 << 4;
	segment[13] = (uint8_t)flags;
	put_number(segment + 14, 65535, 2);
	if (octets.n > 0)
		memcpy(segment + 20, octets.p, octets.n);
	packet.payload = span_of(segment, 20 + octets.n);
	assert_true(connections_read(d->cs, &packet, d->now++));
}

static void
X_004_half_open_connections_are_small(void **state)
{
	struct counts n;
	struct dialogue d;

	(void)state;
	begin(&d, &n, MEMORY);
	for (uint32_t i = 0; i < MANY; i++)
		say_from(&d, i, AN_C2S, S, (uint32_t)-1, SPAN_NONE);
	assert_int_equal(stats_of(&d).alive, MANY);
	assert_true(stats_of(&d).memory - n.empty <= MANY * CONNECTION_IDLE_SIZE);
	assert_true(n.empty <= MEMORY / 16);
	end(&d, &n);
	assert_int_equal(n.of[CONNECTION_OPEN], 0);
}

static void
X_004_open_ones_too(void **state)
{
	struct counts n;
	struct dialogue d;

	(void)state;
	begin(&d, &n, MEMORY);
	for (uint32_t i = 0; i < MANY; i++) {
		say_from(&d, i, AN_C2S, S, (uint32_t)-1, SPAN_NONE);
		say_from(&d, i, AN_S2C, S | A, (uint32_t)-1, SPAN_NONE);
		say_from(&d, i, AN_S2C, A, 0, span_str("220"));
	}
	assert_int_equal(stats_of(&d).alive, MANY);
	assert_true(stats_of(&d).memory <= MANY * CONNECTION_IDLE_SIZE + MEMORY / 16);
	assert_int_equal(n.octets, 3 * MANY);
	end(&d, &n);
}

/* Whoever only says SYN does not push out those who speak. */
static void
X_004_a_flood_pushes_out_itself(void **state)
{
	struct counts n;
	struct dialogue d;

	(void)state;
	begin(&d, &n, CONNECTIONS_MEMORY_MIN);
	say_from(&d, MANY, AN_C2S, S, (uint32_t)-1, SPAN_NONE);
	say_from(&d, MANY, AN_S2C, S | A, (uint32_t)-1, SPAN_NONE);
	for (uint32_t i = 0; i < MANY; i++)
		say_from(&d, i, AN_C2S, S, (uint32_t)-1, SPAN_NONE);
	say_from(&d, MANY, AN_S2C, A, 0, span_str("220"));
	assert_int_equal(n.octets, 3);
	assert_true(stats_of(&d).memory_peak <= CONNECTIONS_MEMORY_MIN);
	end(&d, &n);
}

/* The bound holds with octets that wait in all of them, and whoever was silent longest goes. */
static void
X_004_the_bound_holds(void **state)
{
	static const uint8_t octets[1000];
	struct counts n;
	struct dialogue d;

	(void)state;
	begin(&d, &n, CONNECTIONS_MEMORY_MIN);
	for (uint32_t i = 0; i < 20000; i++)
		say_from(&d, i, AN_C2S, A, 0, span_of(octets, 1));
	for (uint32_t i = 0; i < 20000; i++) {
		say_from(&d, i, AN_C2S, A, 2000, span_of(octets, sizeof(octets)));
		say_from(&d, i, AN_C2S, A, 4000, span_of(octets, sizeof(octets)));
	}
	assert_true(stats_of(&d).evicted > 10000);
	assert_true(stats_of(&d).memory_peak <= CONNECTIONS_MEMORY_MIN);
	end(&d, &n);
}

/* What is kept to be compared takes no more than half, and costs nobody the connection. */
static void
X_002_what_is_compared_pushes_out_nobody(void **state)
{
	static const uint8_t octets[1400];
	struct connections_env env = {.happened = count,
	    .server_port = is_server_port,
	    .memory = CONNECTIONS_MEMORY_MIN,
	    .compare = true};
	struct counts n = {.gaps = 0};
	struct dialogue d = {.now = SECOND};

	(void)state;
	env.arg = &n;
	d.cs = connections_new(&env);
	assert_non_null(d.cs);
	n.empty = stats_of(&d).memory;
	for (uint32_t at = 0; at < 100; at++) {
		for (uint32_t i = 0; i < 200; i++)
			say_from(&d, i, AN_C2S, A, at * (uint32_t)sizeof(octets),
			    span_of(octets, sizeof(octets)));
	}
	assert_int_equal(n.of[CONNECTION_EVICTED], 0);
	assert_int_equal(n.octets, 100 * 200 * sizeof(octets));
	assert_true(stats_of(&d).memory_peak < CONNECTIONS_MEMORY_MIN / 2);
	end(&d, &n);
}

/* One connection alone: too many segments wait, or too many octets. */
static void
X_003_what_waits_is_bounded(void **state)
{
	static const uint8_t octets[1400];
	struct counts n;
	struct dialogue d;

	(void)state;
	begin(&d, &n, MEMORY);
	say_from(&d, 0, AN_C2S, A, 0, span_str("a"));
	for (uint32_t i = 0; i < CONNECTION_WAITING_MAX; i++)
		say_from(&d, 0, AN_C2S, A, 10 + 2 * i, span_str("b"));
	assert_int_equal(n.of[CONNECTION_GAP], 0);
	say_from(&d, 0, AN_C2S, A, 10 + 2 * CONNECTION_WAITING_MAX, span_str("b"));
	assert_int_equal(n.of[CONNECTION_GAP], 1);
	assert_int_equal(n.gaps, 9);
	end(&d, &n);

	begin(&d, &n, MEMORY);
	say_from(&d, 0, AN_C2S, A, 0, span_str("a"));
	for (uint32_t i = 0; i <= CONNECTION_WAITING_BYTES / sizeof(octets); i++)
		say_from(&d, 0, AN_C2S, A, 10 + i * (uint32_t)sizeof(octets),
		    span_of(octets, sizeof(octets)));
	assert_int_equal(n.of[CONNECTION_GAP], 1);
	assert_true(n.octets > CONNECTION_WAITING_BYTES);
	end(&d, &n);

	begin(&d, &n, CONNECTIONS_MEMORY_MIN); /* a bound of its own before that of all */
	say_from(&d, 0, AN_C2S, A, 0, span_str("a"));
	for (uint32_t i = 0; i < 2000; i++)
		say_from(&d, 0, AN_C2S, A, 10 + i * (uint32_t)sizeof(octets),
		    span_of(octets, sizeof(octets)));
	assert_int_equal(n.of[CONNECTION_GAP], 1);
	assert_int_equal(n.of[CONNECTION_EVICTED], 0);
	assert_true(stats_of(&d).memory_peak <= CONNECTIONS_MEMORY_MIN);
	end(&d, &n);
}

/* Segments that change places again and again need no more room than the first that did. */
static void
X_003_waiting_leaves_nothing_behind(void **state)
{
	struct counts n;
	struct dialogue d;
	size_t once;

	(void)state;
	begin(&d, &n, MEMORY);
	say_from(&d, 0, AN_C2S, A, 0, span_str("a"));
	for (uint32_t i = 1; i < 20; i += 2) {
		say_from(&d, 0, AN_C2S, A, i + 1, span_str("c"));
		say_from(&d, 0, AN_C2S, A, i, span_str("b"));
	}
	once = stats_of(&d).memory;
	for (uint32_t i = 21; i < 20000; i += 2) {
		say_from(&d, 0, AN_C2S, A, i + 1, span_str("c"));
		say_from(&d, 0, AN_C2S, A, i, span_str("b"));
	}
	assert_int_equal(n.octets, 20001);
	assert_int_equal(stats_of(&d).memory, once);
	end(&d, &n);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* So many segments of one octet in the order that is worst for a list: the middle, always. */
static double
work(uint32_t segments)
{
	struct counts n;
	struct dialogue d;
	double began;

	begin(&d, &n, MEMORY);
	say_from(&d, 0, AN_C2S, A, 0, span_str("a"));
	began = seconds();
	for (uint32_t i = 0; i < segments; i++)
		say_from(&d, 0, AN_C2S, A, 1000000 + (i % 2 ? i : 0u - i), span_str("b"));
	for (uint32_t i = 0; i < segments; i++)
		say_from(&d, i, AN_C2S, S, (uint32_t)-1, SPAN_NONE);
	began = seconds() - began;
	end(&d, &n);
	return began;
}

/* The best of three: other processes have the caches, too. */
static double
best(uint32_t segments)
{
	double least = work(segments);

	for (int i = 0; i < 2; i++) {
		double again = work(segments);

		least = again < least ? again : least;
	}
	return least;
}

/* Eight times as much takes about eight times as long: with a square it would be 64. */
static void
X_004_time_is_linear(void **state)
{
	double few = best(30000), many = best(240000);

	(void)state;
	print_message("%.0f ms, %.0f ms\n", few * 1e3, many * 1e3);
	assert_true(many < 24 * few);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(X_004_half_open_connections_are_small),
	    cmocka_unit_test(X_004_open_ones_too),
	    cmocka_unit_test(X_004_a_flood_pushes_out_itself),
	    cmocka_unit_test(X_004_the_bound_holds),
	    cmocka_unit_test(X_002_what_is_compared_pushes_out_nobody),
	    cmocka_unit_test(X_003_what_waits_is_bounded),
	    cmocka_unit_test(X_003_waiting_leaves_nothing_behind),
	    cmocka_unit_test(X_004_time_is_linear),
	};

	return cmocka_run_group_tests_name("tcp limits", tests, NULL, NULL);
}
