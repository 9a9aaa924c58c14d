#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "networks.h"

static struct ip
ip_of(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(span_str(text), &ip));
	return ip;
}

static bool
has(const struct networks *set, const char *text)
{
	struct ip ip = ip_of(text);

	return networks_has(set, &ip);
}

static struct networks *
set_of(const char *const *texts)
{
	struct networks *set = networks_new();
	const char *why;

	assert_non_null(set);
	for (; *texts != NULL; texts++)
		assert_true(networks_add(set, *texts, &why));
	networks_seal(set);
	return set;
}

static void
test_edges(void **state)
{
	struct networks *set = set_of((const char *const[]){
	    "192.0.2.128/25", "10.0.0.0/8", "198.51.100.7", "fd00::/8", "2001:db8::1", NULL});

	(void)state;
	assert_false(has(set, "192.0.2.127"));
	assert_true(has(set, "192.0.2.128"));
	assert_true(has(set, "192.0.2.255"));
	assert_false(has(set, "192.0.3.0"));
	assert_false(has(set, "9.255.255.255"));
	assert_true(has(set, "10.0.0.0"));
	assert_true(has(set, "10.255.255.255"));
	assert_false(has(set, "11.0.0.0"));
	assert_false(has(set, "198.51.100.6"));
	assert_true(has(set, "198.51.100.7"));
	assert_false(has(set, "198.51.100.8"));
	assert_false(has(set, "fcff:ffff::"));
	assert_true(has(set, "fd00::"));
	assert_true(has(set, "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	assert_false(has(set, "fe00::"));
	assert_true(has(set, "2001:db8::1"));
	assert_false(has(set, "2001:db8::2"));
	networks_free(set);
}

static void
test_nested(void **state)
{
	struct networks *set = set_of((const char *const[]){"10.1.0.0/16", "10.0.0.0/9",
	    "10.0.0.0/8", "10.1.2.3", "10.0.0.0/8", "172.16.0.0/12", NULL});

	(void)state;
	assert_true(has(set, "10.0.0.1"));
	assert_true(has(set, "10.1.2.3"));
	assert_true(has(set, "10.200.0.1"));
	assert_false(has(set, "11.0.0.1"));
	assert_true(has(set, "172.31.255.255"));
	networks_free(set);
}

/* The whole of one family is nothing of the other; a mapped address is an IPv4 address. */
static void
test_families(void **state)
{
	struct networks *v4 = set_of((const char *const[]){"0.0.0.0/0", NULL});
	struct networks *v6 = set_of((const char *const[]){"::/0", NULL});
	struct ip none = {0};

	(void)state;
	assert_true(has(v4, "255.255.255.255"));
	assert_true(has(v4, "::ffff:192.0.2.1"));
	assert_false(has(v4, "2001:db8::1"));
	assert_true(has(v6, "2001:db8::1"));
	assert_false(has(v6, "192.0.2.1"));
	assert_false(has(v6, "::ffff:192.0.2.1"));
	assert_false(networks_has(v4, &none));
	networks_free(v4);
	networks_free(v6);
}

static void
test_empty(void **state)
{
	struct networks *set = set_of((const char *const[]){NULL});

	(void)state;
	assert_true(networks_empty(set));
	assert_false(has(set, "192.0.2.1"));
	assert_true(networks_empty(NULL));
	assert_false(has(NULL, "192.0.2.1"));
	networks_free(set);
	networks_free(NULL);
}

static void
test_faults(void **state)
{
	static const char *const bad[][2] = {
	    {"", "is no IPv4 or IPv6 address"},
	    {"10", "is no IPv4 or IPv6 address"},
	    {"10.0.0.0.0/8", "is no IPv4 or IPv6 address"},
	    {"mail.example", "is no IPv4 or IPv6 address"},
	    {" 10.0.0.0/8", "is no IPv4 or IPv6 address"},
	    {"10.0.0.0/", "needs a prefix length from 0 to 32"},
	    {"10.0.0.0/33", "needs a prefix length from 0 to 32"},
	    {"10.0.0.0/-1", "needs a prefix length from 0 to 32"},
	    {"10.0.0.0/8/8", "needs a prefix length from 0 to 32"},
	    {"fd00::/129", "needs a prefix length from 0 to 128"},
	    {"10.0.0.1/8", "has bits set behind the prefix"},
	    {"fd00::1/8", "has bits set behind the prefix"},
	    {"::ffff:10.0.0.0/104", "is an IPv4-mapped address: write it as IPv4"},
	};
	struct networks *set = networks_new();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = NULL;

		if (networks_add(set, bad[i][0], &why))
			fail_msg("'%s' was taken", bad[i][0]);
		assert_string_equal(why, bad[i][1]);
	}
	assert_true(networks_empty(set));
	networks_free(set);
}

static void
assert_range(const struct networks *set, size_t i, const char *first, const char *last)
{
	char text[IP_TEXT_MAX];
	struct ip a, b;

	assert_true(networks_range(set, i, &a, &b));
	assert_string_equal(ip_text(&a, text), first);
	assert_string_equal(ip_text(&b, text), last);
}

/* What lies within or right beside another network is no range of its own. */
static void
test_ranges(void **state)
{
	static const char *const texts[] = {"10.128.0.0/9", "10.0.0.0/9", "10.1.0.0/16", "11.0.0.1",
	    "255.255.255.255", "255.255.255.254", "::", "::1", "ffff::/16", "ffff:8000::/17"};
	struct networks *set = networks_new();
	struct ip first, last;
	const char *why;

	(void)state;
	assert_false(networks_range(NULL, 0, &first, &last));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_true(networks_add(set, texts[i], &why));
	networks_seal(set);
	assert_range(set, 0, "10.0.0.0", "10.255.255.255");
	assert_range(set, 1, "11.0.0.1", "11.0.0.1");
	assert_range(set, 2, "255.255.255.254", "255.255.255.255");
	assert_range(set, 3, "::", "::1");
	assert_range(set, 4, "ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_false(networks_range(set, 5, &first, &last));
	assert_true(has(set, "10.200.0.1"));
	assert_false(has(set, "11.0.0.0"));
	networks_free(set);
}

static void
test_many(void **state)
{
	struct networks *set = networks_new();
	char text[32];
	const char *why;

	(void)state;
	for (unsigned i = 100000; i-- > 0;) { /* every other host, the last one first */
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 15, i >> 7 & 255, (i & 127) * 2);
		assert_true(networks_add(set, text, &why));
	}
	networks_seal(set);
	for (unsigned i = 0; i < 100000; i += 101) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 15, i >> 7 & 255, (i & 127) * 2);
		assert_true(has(set, text));
		snprintf(
		    text, sizeof(text), "10.%u.%u.%u", i >> 15, i >> 7 & 255, (i & 127) * 2 + 1);
		assert_false(has(set, text));
	}
	networks_free(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_nested),
	    cmocka_unit_test(test_families),
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("networks", tests, NULL, NULL);
}
