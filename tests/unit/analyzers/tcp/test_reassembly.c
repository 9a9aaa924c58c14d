/*
 * Streams cut into segments, which are shuffled, repeated, overlapped and dropped: the same octets
 * come out, or a gap that says how many do not. Everything comes from a seeded generator.
 */
#include "dialogue.h"

#define ROUNDS	     300
#define OCTETS	     20000u
#define SEGMENTS_MAX 4096

struct random {
	uint64_t x;
};

static uint32_t
below(struct random *r, uint32_t n)
{
	r->x ^= r->x << 13;
	r->x ^= r->x >> 7;
	r->x ^= r->x << 17;
	return (uint32_t)(r->x >> 32) % n;
}

/* The octets of both directions, and what has come out of them. */
struct truth {
	uint8_t octets[2][OCTETS];
	uint64_t off[2], gaps[2];
	unsigned opened, ended[2], closed, conflicts, strays;
};

static void
check(void *arg, struct connection *c, const struct connection_event *ev)
{
	struct truth *t = arg;

	assert_int_equal(t->opened, ev->what != CONNECTION_OPEN);
	assert_int_equal(t->closed, 0);
	assert_false(c->joined);
	switch (ev->what) {
	case CONNECTION_OPEN:
		t->opened++;
		break;
	case CONNECTION_OCTETS:
	case CONNECTION_GAP:
		assert_int_equal(ev->off, t->off[ev->dir]);
		assert_true(ev->n > 0 && ev->off + ev->n <= OCTETS);
		if (ev->what == CONNECTION_OCTETS)
			assert_memory_equal(
			    ev->octets.p, t->octets[ev->dir] + ev->off, ev->octets.n);
		else
			t->gaps[ev->dir] += ev->n;
		t->off[ev->dir] += ev->n;
		break;
	case CONNECTION_END:
		assert_int_equal(t->off[ev->dir], OCTETS);
		t->ended[ev->dir]++;
		break;
	case CONNECTION_CONFLICT:
		t->conflicts++;
		break;
	case CONNECTION_STRAY:
		t->strays++;
		break;
	case CONNECTION_CLOSED:
		t->closed++;
		break;
	case CONNECTION_RESET:
	case CONNECTION_EVICTED:
		break;
	}
}

/* One on its way. */
struct part {
	enum an_dir dir;
	uint32_t from, n, ack;
};

struct parts {
	struct part part[SEGMENTS_MAX];
	size_t n;
};

/* Both directions cut up, in turns, as a dialogue would be; acknowledged up to what was sent. */
static void
cut(struct random *r, struct parts *p)
{
	uint32_t at[2] = {0, 0};

	p->n = 0;
	while (at[0] < OCTETS || at[1] < OCTETS) {
		enum an_dir dir = below(r, 2) ? AN_C2S : AN_S2C;
		uint32_t n = 1 + below(r, 400);

		if (at[dir] == OCTETS)
			continue;
		n = n < OCTETS - at[dir] ? n : OCTETS - at[dir];
		p->part[p->n++] = (struct part){dir, at[dir], n, at[1 - dir]};
		at[dir] += n;
	}
}

/* Each one may change places with one that is at most "reach" further. */
static void
shuffle(struct random *r, struct parts *p, uint32_t reach)
{
	for (size_t i = 0; i + 1 < p->n; i++) {
		size_t j = i + below(r, reach < p->n - i ? reach : (uint32_t)(p->n - i));
		struct part part = p->part[i];

		p->part[i] = p->part[j];
		p->part[j] = part;
	}
}

/* Some come once more, or with octets of their neighbours. */
static void
repeat(struct random *r, struct parts *p)
{
	size_t n = p->n;

	for (size_t i = 0; i < n && p->n < SEGMENTS_MAX; i++) {
		struct part *part = &p->part[p->n];
		uint32_t more;

		if (below(r, 4) != 0)
			continue;
		*part = p->part[i];
		more = below(r, 500);
		part->from -= more < part->from ? more : part->from;
		part->n += below(r, 1000);
		part->n = part->n < OCTETS - part->from ? part->n : OCTETS - part->from;
		p->n++;
	}
}

static void
drop(struct random *r, struct parts *p, uint32_t one_of)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (below(r, one_of) != 0)
			p->part[n++] = p->part[i];
	}
	p->n = n;
}

static void
send_all(struct random *r, struct truth *t, const struct parts *p, bool acknowledge, bool compare)
{
	struct dialogue d;
	struct connections_env env = {.happened = check,
	    .server_port = is_server_port,
	    .arg = t,
	    .memory = 16u << 20,
	    .compare = compare};

	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		for (size_t i = 0; i < OCTETS; i++)
			t->octets[dir][i] = (uint8_t)below(r, 256);
	}
	d = (struct dialogue){.client_port = CLIENT_PORT,
	    .window = 65535,
	    .hops = 64,
	    .isn = {below(r, UINT32_MAX), below(r, UINT32_MAX)},
	    .cs = connections_new(&env)};
	assert_non_null(d.cs);
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	say(&d, AN_S2C, S | A, (uint32_t)-1, 0, "");
	for (size_t i = 0; i < p->n; i++) {
		const struct part *part = &p->part[i];

		say_span(&d, part->dir, acknowledge ? A : 0, part->from, part->ack,
		    span_of(t->octets[part->dir] + part->from, part->n));
	}
	say(&d, AN_C2S, F, OCTETS, 0, "");
	say(&d, AN_S2C, F, OCTETS, 0, "");
	connections_end(d.cs);
	connections_free(d.cs);
	assert_int_equal(t->closed, 1);
	assert_int_equal(t->conflicts, 0);
	assert_int_equal(t->strays, 0);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		assert_int_equal(t->ended[dir], 1);
		assert_int_equal(t->off[dir], OCTETS);
	}
}

struct plan {
	uint32_t reach;	 /* 1: nothing changes places */
	uint32_t one_of; /* is dropped; 0: none */
	bool repeats, acknowledge, compare;
};

static void
run(const struct plan *plan, bool gaps_allowed)
{
	static struct truth t;
	static struct parts p;
	uint64_t gaps = 0;

	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		struct random r = {seed * 0x9e3779b97f4a7c15u};

		t = (struct truth){.opened = 0};
		cut(&r, &p);
		if (plan->repeats)
			repeat(&r, &p);
		if (plan->one_of > 0)
			drop(&r, &p, plan->one_of);
		shuffle(&r, &p, plan->reach);
		send_all(&r, &t, &p, plan->acknowledge, plan->compare);
		gaps += t.gaps[AN_C2S] + t.gaps[AN_S2C];
	}
	assert_int_equal(gaps > 0, gaps_allowed);
}

/* With nothing acknowledged, every octet comes out, whatever the order. */
static void
whole_streams_in_any_order(void **state)
{
	(void)state;
	run(&(struct plan){.reach = 1, .acknowledge = true}, false);
	run(&(struct plan){.reach = 30}, false);
	run(&(struct plan){.reach = SEGMENTS_MAX}, false);
	run(&(struct plan){.reach = SEGMENTS_MAX, .repeats = true}, false);
	run(&(struct plan){.reach = SEGMENTS_MAX, .repeats = true, .compare = true}, false);
}

/* What was acknowledged by an answer ahead of it in the capture is a gap that is named. */
static void
X_003_gaps_are_named(void **state)
{
	(void)state;
	run(&(struct plan){.reach = 30, .acknowledge = true, .repeats = true}, true);
	run(&(struct plan){.reach = 1, .one_of = 10, .acknowledge = true}, true);
	run(&(struct plan){.reach = 1, .one_of = 10}, true);
	run(&(struct plan){.reach = 8, .one_of = 20, .acknowledge = true, .compare = true}, true);
	run(&(struct plan){.reach = SEGMENTS_MAX, .one_of = 3, .repeats = true}, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole_streams_in_any_order),
	    cmocka_unit_test(X_003_gaps_are_named),
	};

	return cmocka_run_group_tests_name("tcp reassembly", tests, NULL, NULL);
}
