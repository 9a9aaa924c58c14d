#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "community_id.h"

static struct endpoint
endpoint(const char *ip, uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_true(ip_parse(span_str(ip), &e.ip));
	return e;
}

/*
 * The first three are reference vectors that other implementations are held to; the others were
 * made with the formula of the specification in another language.
 */
static const struct {
	const char *a;
	uint16_t a_port;
	const char *b;
	uint16_t b_port;
	const char *want;
} vectors[] = {
    {"128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
    {"2001:470:e5bf:dead:4957:2174:e82c:4887", 63943, "2607:f8b0:400c:c03::1a", 25,
	"1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
    {"1.2.3.4", 1122, "5.6.7.8", 3344, "1:wCb3OG7yAFWelaUydu0D+125CLM="},
    {"10.0.0.1", 25, "10.0.0.1", 40000, "1:keuFz1oJyh4x8FRO1elv8AD6SJ8="},
    {"2001:db8::1", 54321, "2001:db8::2", 25, "1:BGafiTW2Z1UnsLeVfTQpRANcn0k="},
    {"192.0.2.200", 1024, "192.0.2.3", 25, "1:m8UB0VrJK8VHGqQQFzBzOQKyZwo="},
};

static void
test_vectors(void **state)
{
	char id[COMMUNITY_ID_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct endpoint a = endpoint(vectors[i].a, vectors[i].a_port);
		struct endpoint b = endpoint(vectors[i].b, vectors[i].b_port);

		community_id(&a, &b, id);
		assert_string_equal(id, vectors[i].want);
		community_id(&b, &a, id);
		assert_string_equal(id, vectors[i].want);
	}
}

/* What was told of other flows is never told of this one, by whatever they share. */
static void
test_many_flows(void **state)
{
	char ids[200][COMMUNITY_ID_MAX], id[COMMUNITY_ID_MAX];

	(void)state;
	for (unsigned round = 0; round < 2; round++)
		for (uint16_t i = 0; i < 200; i++) {
			struct endpoint a = endpoint(
			    i % 2 == 0 ? "192.0.2.1" : "192.0.2.2", (uint16_t)(1024 + i / 2 * 64));
			struct endpoint b = endpoint("192.0.2.9", 25);

			community_id(&a, &b, id);
			if (round == 0)
				memcpy(ids[i], id, sizeof(id));
			else
				assert_string_equal(id, ids[i]);
			for (uint16_t k = 0; round == 0 && k < i; k++)
				assert_string_not_equal(id, ids[k]);
			community_id(&b, &a, id);
			assert_string_equal(id, ids[i]);
		}
}

static void
test_no_flow(void **state)
{
	struct endpoint v4 = endpoint("192.0.2.1", 25), v6 = endpoint("2001:db8::1", 25),
			none = {0};
	char id[COMMUNITY_ID_MAX] = "x";

	(void)state;
	community_id(&v4, &v6, id);
	assert_string_equal(id, "");
	community_id(&none, &none, id);
	assert_string_equal(id, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_many_flows),
	    cmocka_unit_test(test_no_flow),
	};

	return cmocka_run_group_tests_name("community_id", tests, NULL, NULL);
}
