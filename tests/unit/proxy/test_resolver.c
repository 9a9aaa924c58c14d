#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <event2/event.h>

#include "dns_server.h"
#include "resolver.h"

struct bench {
	struct dns_server *server;
	struct event_base *base;
	struct resolver *resolver;
	struct answers *answers;
	unsigned done; /* times that done was called */
};

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	const char *why = NULL;
	char text[64], *servers[] = {text, NULL};

	assert_non_null(b);
	b->server = dns_server_start();
	b->base = event_base_new();
	b->answers = answers_new();
	snprintf(text, sizeof(text), "127.0.0.1@%u", b->server->port);
	b->resolver = resolver_new(b->base, servers, &why);
	if (b->resolver == NULL)
		fail_msg("%s", why);
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	resolver_free(b->resolver);
	answers_free(b->answers);
	event_base_free(b->base);
	dns_server_stop(b->server);
	free(b);
	return 0;
}

static void
on_done(void *arg)
{
	struct bench *b = arg;

	b->done++;
	event_base_loopbreak(b->base);
}

static struct dns_question
question(enum dns_type type, const char *name)
{
	struct dns_question q;

	assert_true(dns_question_set(&q, type, span_str(name)));
	return q;
}

static struct lookup *
start(struct bench *b, enum dns_type type, const char *name, unsigned budget_ms)
{
	struct dns_question q = question(type, name);
	struct lookup *l = resolver_ask(b->resolver, &q, 1, budget_ms, b->answers, on_done, b);

	assert_non_null(l);
	return l;
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
turn(struct bench *b, int64_t ms)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_base_loopexit(b->base, &t);
	event_base_dispatch(b->base);
}

static enum dns_status
status(struct bench *b, enum dns_type type, const char *name)
{
	enum dns_status s;

	assert_true(answers_status(b->answers, type, name, &s));
	return s;
}

/* Asks one question from the start to the end, with answers of its own. */
static enum dns_status
ask(struct bench *b, enum dns_type type, const char *name, unsigned budget_ms)
{
	unsigned before = b->done;
	int64_t from = now_ms();

	answers_free(b->answers);
	b->answers = answers_new();
	start(b, type, name, budget_ms);
	assert_int_equal(b->done, before); /* never from within */
	event_base_dispatch(b->base);
	assert_int_equal(b->done, before + 1);
	assert_true(now_ms() - from < budget_ms + 300);
	return status(b, type, name);
}

static void
test_answers(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, DNS_MX, "good.zone", 5000), DNS_OK);
	assert_int_equal(answers_count(b->answers, DNS_MX, "good.zone"), 2);
	assert_string_equal(answers_mx(b->answers, "good.zone", 0)->host, "mx1.zone");
	assert_int_equal(answers_mx(b->answers, "good.zone", 1)->preference, 20);
	assert_int_equal(ask(b, DNS_A, "good.zone", 5000), DNS_OK);
	assert_int_equal(answers_address(b->answers, DNS_A, "good.zone", 0)->octets[0], 192);
	assert_int_equal(ask(b, DNS_AAAA, "good.zone", 5000), DNS_OK);
	assert_int_equal(ask(b, DNS_MX, "nx.zone", 5000), DNS_NXDOMAIN);
	assert_int_equal(ask(b, DNS_MX, "nodata.zone", 5000), DNS_NODATA);
	assert_int_equal(ask(b, DNS_MX, "servfail.zone", 5000), DNS_FAILED);
	assert_int_equal(ask(b, DNS_MX, "refused.zone", 5000), DNS_FAILED);
}

/* Names that libunbound would answer by itself; sites have them. */
static void
test_local_names(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, DNS_MX, "good.test", 5000), DNS_OK);
	assert_int_equal(ask(b, DNS_MX, "good.home.arpa", 5000), DNS_OK);
	assert_int_equal(ask(b, DNS_MX, "good.local", 5000), DNS_OK);
}

/* What was asked once costs no packet, whether it was good or bad. */
static void
test_cache(void **state)
{
	struct bench *b = *state;
	unsigned packets;

	assert_int_equal(ask(b, DNS_MX, "good.zone", 5000), DNS_OK);
	assert_int_equal(ask(b, DNS_MX, "nx.zone", 5000), DNS_NXDOMAIN);
	assert_int_equal(ask(b, DNS_MX, "nodata.zone", 5000), DNS_NODATA);
	packets = atomic_load(&b->server->udp_questions);
	assert_int_equal(packets, 3);
	assert_int_equal(ask(b, DNS_MX, "good.zone", 5000), DNS_OK);
	assert_int_equal(ask(b, DNS_MX, "nx.zone", 5000), DNS_NXDOMAIN);
	assert_int_equal(ask(b, DNS_MX, "nodata.zone", 5000), DNS_NODATA);
	assert_int_equal(atomic_load(&b->server->udp_questions), packets);
}

/* Several questions, one call; one that never comes does not take the others with it. */
static void
test_budget(void **state)
{
	struct dns_question q[] = {question(DNS_MX, "good.zone"), question(DNS_A, "never.zone"),
	    question(DNS_AAAA, "nx.zone")};
	struct bench *b = *state;
	struct resolver_stats stats;
	int64_t from = now_ms();

	assert_non_null(resolver_ask(b->resolver, q, 3, 400, b->answers, on_done, b));
	event_base_dispatch(b->base);
	assert_int_equal(b->done, 1);
	assert_in_range(now_ms() - from, 390, 700);
	assert_int_equal(status(b, DNS_MX, "good.zone"), DNS_OK);
	assert_int_equal(status(b, DNS_A, "never.zone"), DNS_TIMEOUT);
	assert_int_equal(status(b, DNS_AAAA, "nx.zone"), DNS_NXDOMAIN);
	resolver_stats(b->resolver, &stats);
	assert_int_equal(stats.asked, 3);
	assert_int_equal(stats.answered, 2);
	assert_int_equal(stats.timed_out, 1);
	assert_false(stats.dead);
	turn(b, 3500); /* libunbound gives it up too, and nobody is told again */
	assert_int_equal(b->done, 1);
}

/* One question out of the cache and one that is new, in one call: done waits for the new one. */
static void
test_cached_and_new(void **state)
{
	struct dns_question q[] = {question(DNS_MX, "good.zone"), question(DNS_MX, "slow.zone")};
	struct bench *b = *state;

	assert_int_equal(ask(b, DNS_MX, "good.zone", 5000), DNS_OK);
	answers_free(b->answers);
	b->answers = answers_new();
	assert_non_null(resolver_ask(b->resolver, q, 2, 5000, b->answers, on_done, b));
	event_base_dispatch(b->base);
	assert_int_equal(b->done, 2);
	assert_int_equal(status(b, DNS_MX, "good.zone"), DNS_OK);
	assert_int_equal(status(b, DNS_MX, "slow.zone"), DNS_OK);
}

static void
test_no_questions(void **state)
{
	struct bench *b = *state;

	assert_non_null(resolver_ask(b->resolver, NULL, 0, 1000, b->answers, on_done, b));
	assert_int_equal(b->done, 0);
	event_base_dispatch(b->base);
	assert_int_equal(b->done, 1);
}

/* D-018: answers that belong to another question, or come from another place. */
static void
test_forged(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, DNS_MX, "wrongid.zone", 1000), DNS_TIMEOUT);
	assert_int_equal(ask(b, DNS_MX, "wrongport.zone", 1000), DNS_TIMEOUT);
	assert_int_not_equal(ask(b, DNS_MX, "wrongquestion.zone", 1000), DNS_OK);
}

/* D-018: TC=1, then 500 MX records by TCP: the first 32, the rest counted. */
static void
test_truncated(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, DNS_MX, "big.zone", 5000), DNS_OK);
	assert_true(atomic_load(&b->server->tcp_questions) > 0);
	assert_int_equal(answers_count(b->answers, DNS_MX, "big.zone"), DNS_MX_MAX);
}

/* D-018: messages that are none. */
static void
test_malformed(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, DNS_MX, "pointerloop.zone", 8000), DNS_FAILED);
	assert_int_equal(ask(b, DNS_MX, "cut.zone", 8000), DNS_FAILED);
	assert_int_not_equal(ask(b, DNS_MX, "txt.zone", 8000), DNS_OK);
	assert_int_equal(ask(b, DNS_MX, "loop.zone", 8000), DNS_FAILED);
}

/* D-020: a name that would be a command is no name. */
static void
test_evil_name(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, DNS_MX, "evilname.zone", 5000), DNS_FAILED);
	assert_int_equal(ask(b, DNS_PTR, "evilname.zone", 5000), DNS_FAILED);
}

/* The names of addresses; those of private ones are known to the site's own DNS. */
static void
test_reverse(void **state)
{
	static const char *const addresses[] = {
	    "203.0.113.7", "10.0.0.7", "172.16.0.7", "192.168.0.7", "2001:db8::7", "fd00::7"};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		char name[DNS_NAME_MAX];
		struct ip ip;

		assert_true(ip_parse(span_str(addresses[i]), &ip));
		dns_reverse_name(&ip, name);
		if (ask(b, DNS_PTR, name, 5000) != DNS_OK)
			fail_msg("%s: nobody was asked", name);
		assert_string_equal(answers_host(b->answers, name, 0), "host.zone");
	}
}

/* Cancelled while the question is under way, its answer then comes to nobody. */
static void
test_cancel(void **state)
{
	struct bench *b = *state;

	lookup_cancel(start(b, DNS_MX, "slow.zone", 5000));
	turn(b, 400);
	assert_int_equal(b->done, 0);
	assert_int_equal(ask(b, DNS_MX, "slow.zone", 5000), DNS_OK); /* cached by then */
	assert_int_equal(atomic_load(&b->server->udp_questions), 1);
}

/* Cancelled between the last answer and the call. */
static void
test_cancel_answered(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, DNS_MX, "good.zone", 5000), DNS_OK);
	lookup_cancel(start(b, DNS_MX, "good.zone", 5000));
	turn(b, 50);
	assert_int_equal(b->done, 1);
	lookup_cancel(NULL);
}

/* The resolver ends while questions are under way. */
static void
test_free_in_flight(void **state)
{
	struct bench *b = *state;

	start(b, DNS_MX, "never.zone", 5000);
	start(b, DNS_MX, "slow.zone", 5000);
	lookup_cancel(start(b, DNS_A, "never.zone", 5000));
	turn(b, 20);
	resolver_free(b->resolver);
	b->resolver = NULL;
	turn(b, 200);
	assert_int_equal(b->done, 0);
}

/* Two sessions ask the same at once: both are told, one packet goes out. */
static void
test_same_question(void **state)
{
	struct answers *second = answers_new();
	struct bench *b = *state;
	struct dns_question q = question(DNS_MX, "slow.zone");
	enum dns_status s;

	start(b, DNS_MX, "slow.zone", 5000);
	assert_non_null(resolver_ask(b->resolver, &q, 1, 5000, second, on_done, b));
	turn(b, 500);
	turn(b, 100);
	assert_int_equal(b->done, 2);
	assert_int_equal(status(b, DNS_MX, "slow.zone"), DNS_OK);
	assert_true(answers_status(second, DNS_MX, "slow.zone", &s));
	assert_int_equal(s, DNS_OK);
	assert_int_equal(atomic_load(&b->server->udp_questions), 1);
	answers_free(second);
}

struct again {
	struct bench *b;
	unsigned left;
};

static void
ask_again(void *arg)
{
	struct again *again = arg;
	struct dns_question q;
	char name[32];

	answers_free(again->b->answers);
	again->b->answers = answers_new();
	if (again->left-- == 0) {
		on_done(again->b);
		return;
	}
	snprintf(name, sizeof(name), "n%u.zone", again->left % 10);
	q = question(DNS_MX, name);
	assert_non_null(
	    resolver_ask(again->b->resolver, &q, 1, 5000, again->b->answers, ask_again, again));
}

/* A new question from within done, cached and not, as the rules do it. */
static void
test_ask_from_done(void **state)
{
	struct again again = {*state, 100};

	ask_again(&again);
	event_base_dispatch(again.b->base);
	assert_int_equal(again.b->done, 1);
	assert_int_equal(atomic_load(&again.b->server->udp_questions), 10);
}

static void
count_done(void *arg)
{
	++*(unsigned *)arg;
}

#define MANY 2000

/* Many lookups of names that nobody asked for before, each with answers of its own. */
struct crowd {
	const char *label;
	unsigned first, n, done;
	struct answers *answers[MANY];
};

static struct dns_question
crowd_question(const struct crowd *c, unsigned i)
{
	char name[32];

	snprintf(name, sizeof(name), "%s-%u.zone", c->label, c->first + i);
	return question(DNS_MX, name);
}

static void
crowd_start(struct bench *b, struct crowd *c, const char *label, unsigned first, unsigned n,
    unsigned budget_ms)
{
	*c = (struct crowd){.label = label, .first = first, .n = n};
	for (unsigned i = 0; i < n; i++) {
		struct dns_question q = crowd_question(c, i);

		c->answers[i] = answers_new();
		assert_non_null(resolver_ask(
		    b->resolver, &q, 1, budget_ms, c->answers[i], count_done, &c->done));
	}
}

/* How many were told this. */
static unsigned
crowd_told(struct crowd *c, enum dns_status told)
{
	unsigned count = 0;

	for (unsigned i = 0; i < c->n; i++) {
		struct dns_question q = crowd_question(c, i);
		enum dns_status s;

		assert_true(answers_status(c->answers[i], DNS_MX, q.name, &s));
		count += s == told;
	}
	return count;
}

static void
crowd_free(struct crowd *c)
{
	for (unsigned i = 0; i < c->n; i++)
		answers_free(c->answers[i]);
}

static struct resolver_stats
stats_of(struct bench *b)
{
	struct resolver_stats stats;

	resolver_stats(b->resolver, &stats);
	return stats;
}

/*
 * D-015, D-017, A-026: a resolver that answers nothing. What is outstanding is bounded; once it is
 * known to be dead nobody waits for it, and it is hardly asked; what is cached is answered all the
 * time; when it is back, that is noticed with the next try of what is still under way.
 */
static void
test_dead(void **state)
{
	static struct crowd crowd;
	const unsigned open = RESOLVER_OUTSTANDING - RESOLVER_RESERVED;
	struct bench *b = *state;
	unsigned packets;

	assert_int_equal(ask(b, DNS_MX, "good.zone", 5000), DNS_OK);
	atomic_store(&b->server->mute, true);
	crowd_start(b, &crowd, "any", 0, MANY, 1500);
	assert_int_equal(stats_of(b).asked, 1 + open);
	assert_int_equal(stats_of(b).refused, MANY - open);
	assert_int_equal(ask(b, DNS_MX, "good.zone", 1000), DNS_OK);
	turn(b, 1700);
	assert_int_equal(crowd.done, MANY);
	assert_int_equal(crowd_told(&crowd, DNS_TIMEOUT), open);
	assert_int_equal(crowd_told(&crowd, DNS_FAILED), MANY - open);
	crowd_free(&crowd);
	assert_true(stats_of(b).dead);

	for (int round = 1; round <= 5; round++) {
		packets = atomic_load(&b->server->udp_questions);
		crowd_start(b, &crowd, "any", (unsigned)round * MANY, MANY, 5000);
		turn(b, 100);
		assert_int_equal(crowd.done, MANY);
		assert_int_equal(crowd_told(&crowd, DNS_TIMEOUT), MANY);
		crowd_free(&crowd);
		assert_int_equal(ask(b, DNS_MX, "good.zone", 5000), DNS_OK);
		turn(b, 1900);
		packets = atomic_load(&b->server->udp_questions) - packets;
		assert_in_range(packets, 0, 2 * RESOLVER_OUTSTANDING);
	}
	assert_true(stats_of(b).dead);

	atomic_store(&b->server->mute, false);
	for (int i = 0; i < 60 && stats_of(b).dead; i++) {
		char name[32]; /* another each time: that one has failed is cached for seconds */

		snprintf(name, sizeof(name), "back-%d.zone", i);
		ask(b, DNS_MX, name, 5000);
		turn(b, 100);
	}
	assert_false(stats_of(b).dead);
	assert_int_equal(ask(b, DNS_MX, "back.zone", 5000), DNS_OK);
	assert_int_equal(ask(b, DNS_MX, "other.zone", 5000), DNS_OK);
}

/*
 * D-015: mail from domains whose servers are dead, one after the other, while the resolver lives.
 * It may look dead; the first question about another domain shows that it is not.
 */
static void
test_looks_dead(void **state)
{
	static struct crowd crowd;
	struct bench *b = *state;

	crowd_start(b, &crowd, "never", 0, RESOLVER_FAILURES - 1, 1500);
	turn(b, 1700);
	assert_int_equal(crowd.done, RESOLVER_FAILURES - 1);
	assert_false(stats_of(b).dead);
	crowd_free(&crowd);
	crowd_start(b, &crowd, "never", RESOLVER_FAILURES, 1, 1500);
	turn(b, 1700);
	assert_true(stats_of(b).dead);
	crowd_free(&crowd);
	assert_int_equal(ask(b, DNS_MX, "fresh.zone", 5000), DNS_TIMEOUT);
	turn(b, 500);
	assert_false(stats_of(b).dead);
	assert_int_equal(ask(b, DNS_MX, "fresh.zone", 5000), DNS_OK);
	assert_int_equal(ask(b, DNS_MX, "fresher.zone", 5000), DNS_OK);
}

/* Failures that come at once hold nobody up: they are no sign of a dead resolver. */
static void
test_fast_failures(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 2 * RESOLVER_FAILURES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "servfail-%u.zone", i);
		assert_int_equal(ask(b, DNS_MX, name, 5000), DNS_FAILED);
	}
	assert_false(stats_of(b).dead);
}

/* The roots are asked: nothing is sent before a question comes. */
static void
test_recurse(void **state)
{
	static char recurse[] = "recurse", *servers[] = {recurse, NULL};
	struct event_base *base = event_base_new();
	struct resolver *r;
	const char *why = "";

	(void)state;
	r = resolver_new(base, servers, &why);
	if (r == NULL)
		fail_msg("%s", why);
	resolver_free(r);
	resolver_free(NULL);
	event_base_free(base);
}

static void
test_bad_servers(void **state)
{
	static char bad[] = "192.0.2.300", *servers[] = {bad, NULL};
	struct event_base *base = event_base_new();
	const char *why = NULL;

	(void)state;
	assert_null(resolver_new(base, servers, &why));
	assert_non_null(why);
	event_base_free(base);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_answers),
	    TEST(test_local_names),
	    TEST(test_reverse),
	    TEST(test_cache),
	    TEST(test_budget),
	    TEST(test_cached_and_new),
	    TEST(test_no_questions),
	    TEST(test_forged),
	    TEST(test_truncated),
	    TEST(test_malformed),
	    TEST(test_evil_name),
	    TEST(test_cancel),
	    TEST(test_cancel_answered),
	    TEST(test_free_in_flight),
	    TEST(test_same_question),
	    TEST(test_ask_from_done),
	    TEST(test_dead),
	    TEST(test_looks_dead),
	    TEST(test_fast_failures),
	    cmocka_unit_test(test_recurse),
	    cmocka_unit_test(test_bad_servers),
	};

	return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
