#include "observed_names.h"

/* cmocka wants these ahead of it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/buf.h"

#define HEADER 12

static const uint64_t seed[2] = {1, 2};

/* An answer with one A record, of so many octets in all when it is padded behind its end. */
static void
make_answer(struct buf *m, const char *name, uint8_t last, size_t padded)
{
	static const uint8_t header[HEADER] = {0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};
	static const uint8_t question[] = {0, 0, 1, 0, 1};
	static const uint8_t record[] = {0xc0, HEADER, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2};

	buf_init(m, OBSERVED_NAME_PACKET + 1);
	buf_add(m, span_of(header, sizeof(header)));
	while (*name != '\0') {
		size_t n = strcspn(name, ".");

		buf_octet(m, (uint8_t)n);
		buf_add(m, span_of(name, n));
		name += n + (name[n] == '.');
	}
	buf_add(m, span_of(question, sizeof(question)));
	buf_add(m, span_of(record, sizeof(record)));
	buf_octet(m, last);
	while (m->n < padded)
		buf_octet(m, 0);
	assert_false(m->failed);
}

static void
add(struct observed_names *names, const char *name, uint8_t last, size_t padded)
{
	struct buf m;

	make_answer(&m, name, last, padded);
	observed_names_add(names, buf_span(&m));
	buf_free(&m);
}

/* The last octet of the address that is known; -1: none is. */
static int
ask(const struct observed_names *names, enum dns_type type, const char *name)
{
	struct answers *a = answers_new();
	struct dns_question q;
	int last = -1;

	assert_non_null(a);
	assert_true(dns_question_set(&q, type, span_str(name)));
	if (observed_names_find(names, &q, a))
		last = answers_address(a, DNS_A, name, 0)->octets[3];
	answers_free(a);
	return last;
}

static void
test_X_009_what_went_by_answers_the_last_one_first(void **state)
{
	struct observed_names *names = observed_names_new(seed);

	(void)state;
	assert_non_null(names);
	add(names, "MX.client.example", 1, 0);
	add(names, "other.example", 2, 0);
	assert_int_equal(ask(names, DNS_A, "mx.client.example"), 1);
	assert_int_equal(ask(names, DNS_A, "other.example"), 2);
	add(names, "mx.client.example", 3, 0);
	assert_int_equal(ask(names, DNS_A, "mx.client.example"), 3);
	assert_int_equal(ask(names, DNS_AAAA, "mx.client.example"), -1);
	assert_int_equal(ask(names, DNS_A, "unknown.example"), -1);
	observed_names_free(names);
}

static void
test_what_is_no_answer_is_passed_over(void **state)
{
	struct observed_names *names = observed_names_new(seed);
	struct buf m;

	(void)state;
	make_answer(&m, "mx.client.example", 1, 0);
	m.p[2] = 0x01; /* a question */
	observed_names_add(names, buf_span(&m));
	m.p[2] = 0x81;
	m.p[5] = 2; /* two questions */
	observed_names_add(names, buf_span(&m));
	m.p[5] = 1;
	for (size_t n = 0; n < HEADER + 23; n++) /* cut ahead of the end of its question */
		observed_names_add(names, span_of(m.p, n));
	assert_int_equal(ask(names, DNS_A, "mx.client.example"), -1);
	observed_names_add(names, buf_span(&m));
	assert_int_equal(ask(names, DNS_A, "mx.client.example"), 1);
	buf_free(&m);
	add(names, "long.example", 4, OBSERVED_NAME_PACKET + 1);
	assert_int_equal(ask(names, DNS_A, "long.example"), -1);
	observed_names_free(names);
}

static void
fill(struct observed_names *names, unsigned n, size_t padded)
{
	char name[32];

	add(names, "first.example", 1, padded);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		add(names, name, 2, padded);
	}
	assert_int_equal(ask(names, DNS_A, name), 2);
}

static void
test_as_many_as_there_may_be_and_the_oldest_go(void **state)
{
	struct observed_names *names = observed_names_new(seed);

	(void)state;
	fill(names, OBSERVED_NAMES_MAX - 1, 0);
	assert_int_equal(ask(names, DNS_A, "first.example"), 1);
	add(names, "one.more.example", 3, 0);
	assert_int_equal(ask(names, DNS_A, "first.example"), -1);
	observed_names_free(names);
	names = observed_names_new(seed);
	fill(names, OBSERVED_NAMES_OCTETS / OBSERVED_NAME_PACKET, OBSERVED_NAME_PACKET);
	assert_int_equal(ask(names, DNS_A, "first.example"), -1);
	observed_names_free(names);
}

/* A resolver asks for the same names all day: that must push out no other, and cost no search. */
static void
test_the_same_name_again_and_again(void **state)
{
	struct observed_names *names = observed_names_new(seed);

	(void)state;
	add(names, "first.example", 1, 0);
	for (unsigned i = 0; i < 2 * OBSERVED_NAMES_MAX; i++)
		add(names, "busy.example", (uint8_t)(i % 200), 0);
	assert_int_equal(ask(names, DNS_A, "first.example"), 1);
	assert_int_equal(ask(names, DNS_A, "busy.example"), (2 * OBSERVED_NAMES_MAX - 1) % 200);
	add(names, "first.example", 3, 0);
	fill(names, OBSERVED_NAMES_MAX - 1, 0);
	assert_int_equal(ask(names, DNS_A, "busy.example"), -1);
	observed_names_free(names);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_X_009_what_went_by_answers_the_last_one_first),
	    cmocka_unit_test(test_what_is_no_answer_is_passed_over),
	    cmocka_unit_test(test_as_many_as_there_may_be_and_the_oldest_go),
	    cmocka_unit_test(test_the_same_name_again_and_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
