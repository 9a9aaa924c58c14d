#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cap-ng.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "own_network.h"
#include "policy_route.h"

#define MARK  0x01000000u
#define MASK  0x03000000u
#define TABLE 25025u

static const struct policy_route both = {MARK, MASK, TABLE, true};
static const struct policy_route only4 = {MARK, MASK, TABLE, false};

static struct netlink *route;
static char why[POLICY_ROUTE_TEXT_MAX];

static int
set_up(void **state)
{
	own_network(state);
	route = netlink_open(NETLINK_ROUTE);
	assert_non_null(route);
	why[0] = '\0';
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	netlink_close(route);
	return 0;
}

static void
install(const struct policy_route *p)
{
	if (!policy_route_install(route, p, why))
		fail_msg("%s", why);
}

static void
count(void *arg, const struct nlmsghdr *m)
{
	unsigned *n = arg;

	(void)m;
	++*n;
}

/* All of a kind, whoever made them. */
static unsigned
existing(uint16_t type, uint8_t family)
{
	_Alignas(struct nlmsghdr) char room[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct netlink_error err;
	unsigned n = 0;

	m->nlmsg_type = type;
	if (type == RTM_GETRULE) {
		struct fib_rule_hdr *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
		h->family = family;
	} else {
		struct rtmsg *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
		h->rtm_family = family;
	}
	assert_true(netlink_dump(route, m, count, &n, &err));
	return n;
}

/* mark 0: none. */
static void
rule(uint16_t type, uint8_t family, uint32_t mark, uint32_t table, uint32_t priority,
    uint8_t protocol)
{
	_Alignas(struct nlmsghdr) char room[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct fib_rule_hdr *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
	struct netlink_error err;

	m->nlmsg_type = type;
	m->nlmsg_flags = type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	h->family = family;
	h->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(m, FRA_TABLE, table);
	mnl_attr_put_u32(m, FRA_PRIORITY, priority);
	if (mark != 0) {
		mnl_attr_put_u32(m, FRA_FWMARK, mark);
		mnl_attr_put_u32(m, FRA_FWMASK, MASK);
	}
	mnl_attr_put_u8(m, FRA_PROTOCOL, protocol);
	if (!netlink_request(route, m, NULL, NULL, &err))
		fail_msg("%s", err.text);
}

/* The default route, or that of 192.0.2.0/24. */
static void
local_route(uint16_t type, uint8_t bits, uint32_t table, uint8_t protocol)
{
	_Alignas(struct nlmsghdr) char room[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct rtmsg *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
	struct netlink_error err;

	m->nlmsg_type = type;
	m->nlmsg_flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	h->rtm_family = AF_INET;
	h->rtm_dst_len = bits;
	h->rtm_protocol = protocol;
	h->rtm_scope = RT_SCOPE_HOST;
	h->rtm_type = RTN_LOCAL;
	mnl_attr_put_u32(m, RTA_TABLE, table);
	mnl_attr_put_u32(m, RTA_OIF, if_nametoindex("lo"));
	if (bits > 0)
		mnl_attr_put_u32(m, RTA_DST, htonl(0xc0000200));
	if (!netlink_request(route, m, NULL, NULL, &err))
		fail_msg("%s", err.text);
}

/* What the kernel does with a packet to a foreign address that has the mark. */
static void
on_lookup(void *arg, const struct nlmsghdr *m)
{
	const struct rtmsg *h = mnl_nlmsg_get_payload(m);
	int *type = arg;

	*type = h->rtm_type;
}

/* Its type of route, or -1: none. */
static int
lookup(uint8_t family, uint32_t mark)
{
	static const struct in6_addr foreign = {{{0x20, 0x01, 0x0d, 0xb8, [15] = 1}}};
	_Alignas(struct nlmsghdr) char room[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct rtmsg *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
	struct netlink_error err;
	int type = -1;

	m->nlmsg_type = RTM_GETROUTE;
	h->rtm_family = family;
	h->rtm_dst_len = family == AF_INET ? 32 : 128;
	if (family == AF_INET)
		mnl_attr_put_u32(m, RTA_DST, htonl(0xc6336419));
	else
		mnl_attr_put(m, RTA_DST, sizeof(foreign), &foreign);
	mnl_attr_put_u32(m, RTA_MARK, mark);
	if (!netlink_request(route, m, on_lookup, &type, &err))
		assert_int_equal(err.code, ENETUNREACH);
	return type;
}

static void
marked_packets_are_local(void **state)
{
	(void)state;
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_MISSING);
	install(&both);
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_COMPLETE);
	assert_int_equal(lookup(AF_INET, MARK), RTN_LOCAL);
	assert_int_equal(lookup(AF_INET6, MARK), RTN_LOCAL);
	/* other bits are other people's, and may be set */
	assert_int_equal(lookup(AF_INET, MARK | 0x80), RTN_LOCAL);
	assert_int_not_equal(lookup(AF_INET, 0), RTN_LOCAL);
	assert_int_not_equal(lookup(AF_INET, 0x02000000), RTN_LOCAL);
	assert_int_not_equal(lookup(AF_INET6, 0x03000000), RTN_LOCAL);
}

static void
installed_twice_is_there_once_and_removed_is_gone(void **state)
{
	unsigned rules4 = existing(RTM_GETRULE, AF_INET), rules6 = existing(RTM_GETRULE, AF_INET6);
	unsigned routes4 = existing(RTM_GETROUTE, AF_INET);

	(void)state;
	for (int i = 0; i < 3; i++)
		install(&both);
	assert_int_equal(existing(RTM_GETRULE, AF_INET), rules4 + 1);
	assert_int_equal(existing(RTM_GETRULE, AF_INET6), rules6 + 1);
	assert_int_equal(existing(RTM_GETROUTE, AF_INET), routes4 + 1);
	for (int i = 0; i < 2; i++)
		assert_true(policy_route_remove(route, &both, why));
	assert_int_equal(existing(RTM_GETRULE, AF_INET), rules4);
	assert_int_equal(existing(RTM_GETRULE, AF_INET6), rules6);
	assert_int_equal(existing(RTM_GETROUTE, AF_INET), routes4);
	assert_int_not_equal(lookup(AF_INET6, MARK), RTN_LOCAL);
}

static void
without_ipv6_it_is_left_alone(void **state)
{
	unsigned rules6 = existing(RTM_GETRULE, AF_INET6);

	(void)state;
	write_text("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	install(&only4);
	assert_int_equal(policy_route_check(route, &only4, why), POLICY_ROUTE_COMPLETE);
	assert_int_equal(existing(RTM_GETRULE, AF_INET6), rules6);
	assert_int_equal(lookup(AF_INET, MARK), RTN_LOCAL);
	assert_true(policy_route_remove(route, &only4, why));
}

static void
what_is_gone_is_noticed_and_mended(void **state)
{
	(void)state;
	install(&both);
	rule(RTM_DELRULE, AF_INET6, MARK, TABLE, POLICY_ROUTE_PRIORITY, POLICY_ROUTE_PROTOCOL);
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_MISSING);
	assert_string_equal(why, "policy route: the IPv6 rule of routing table 25025 is gone");
	install(&both);
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_COMPLETE);
	local_route(RTM_DELROUTE, 0, TABLE, POLICY_ROUTE_PROTOCOL);
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_MISSING);
	assert_string_equal(why, "policy route: the IPv4 route of routing table 25025 is gone");
	install(&both);
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_COMPLETE);
	/* all routes over a device go when it does */
	set_lo(0);
	set_lo(IFF_UP);
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_MISSING);
	install(&both);
	assert_int_equal(lookup(AF_INET, MARK), RTN_LOCAL);
	assert_int_equal(lookup(AF_INET6, MARK), RTN_LOCAL);
}

/* Of one that was killed, and had another mark and another table. */
static void
leftovers_are_taken_over(void **state)
{
	unsigned rules = existing(RTM_GETRULE, AF_INET), routes = existing(RTM_GETROUTE, AF_INET);
	struct policy_route before = {0x04000000, 0x04000000, 777, true};

	(void)state;
	install(&before);
	install(&both);
	assert_int_equal(existing(RTM_GETRULE, AF_INET), rules + 1);
	assert_int_equal(existing(RTM_GETROUTE, AF_INET), routes + 1);
	assert_int_not_equal(lookup(AF_INET, 0x04000000), RTN_LOCAL);
	assert_int_equal(lookup(AF_INET, MARK), RTN_LOCAL);
	assert_int_equal(lookup(AF_INET6, MARK), RTN_LOCAL);
	assert_true(policy_route_remove(route, &before, why));
	assert_int_equal(existing(RTM_GETRULE, AF_INET), rules);
	assert_int_equal(existing(RTM_GETROUTE, AF_INET), routes);
}

static void
somebody_elses_rule_on_the_table_is_an_error(void **state)
{
	unsigned rules;

	(void)state;
	rule(RTM_NEWRULE, AF_INET, 0x20, TABLE, 100, RTPROT_STATIC);
	rules = existing(RTM_GETRULE, AF_INET);
	assert_false(policy_route_install(route, &both, why));
	assert_string_equal(why,
	    "policy route: routing table 25025 is led to by somebody else's IPv4 rule 100: remove "
	    "that rule, or choose another intercept.route_table");
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_TAKEN);
	assert_true(policy_route_remove(route, &both, why));
	assert_int_equal(existing(RTM_GETRULE, AF_INET), rules);
	rule(RTM_DELRULE, AF_INET, 0x20, TABLE, 100, RTPROT_STATIC);
	install(&both);
}

static void
somebody_elses_route_in_the_table_is_an_error(void **state)
{
	unsigned routes;

	(void)state;
	local_route(RTM_NEWROUTE, 24, TABLE, RTPROT_STATIC);
	routes = existing(RTM_GETROUTE, AF_INET);
	assert_false(policy_route_install(route, &both, why));
	assert_string_equal(why,
	    "policy route: routing table 25025 has IPv4 routes of somebody else: remove them, or "
	    "choose another intercept.route_table");
	assert_true(policy_route_remove(route, &both, why));
	assert_int_equal(existing(RTM_GETROUTE, AF_INET), routes);
}

/* Also with the same mark, in another table, behind ours: it is not asked, and not touched. */
static void
other_rules_stay(void **state)
{
	unsigned rules;

	(void)state;
	rule(RTM_NEWRULE, AF_INET, MARK, 1000, 30000, RTPROT_STATIC);
	rule(RTM_NEWRULE, AF_INET, 0, 1001, 30001, RTPROT_BOOT);
	local_route(RTM_NEWROUTE, 24, 1001, RTPROT_STATIC);
	rules = existing(RTM_GETRULE, AF_INET);
	install(&both);
	assert_true(policy_route_remove(route, &both, why));
	assert_int_equal(existing(RTM_GETRULE, AF_INET), rules);
	rule(RTM_DELRULE, AF_INET, MARK, 1000, 30000, RTPROT_STATIC);
	local_route(RTM_DELROUTE, 24, 1001, RTPROT_STATIC);
}

static void
privilege_is_needed_but_not_to_look(void **state)
{
	(void)state;
	capng_get_caps_process();
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_NET_ADMIN);
	assert_int_equal(capng_apply(CAPNG_SELECT_CAPS), 0);
	assert_false(policy_route_install(route, &both, why));
	assert_string_equal(why,
	    "policy route: cannot add the route to lo (IPv4, routing table 25025): Operation not "
	    "permitted");
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_MISSING);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, CAP_NET_ADMIN);
	assert_int_equal(capng_apply(CAPNG_SELECT_CAPS), 0);
	install(&both);
}

/* As "ip rule add" without a priority makes one; and those that our packets cannot match. */
static void
rules_ahead_of_ours_are_named(void **state)
{
	(void)state;
	assert_true(policy_route_is_first(route, &both, why));
	assert_true(policy_route_install(route, &both, why));
	rule(RTM_NEWRULE, AF_INET, 0, 1000, 30000, RTPROT_BOOT);       /* behind */
	rule(RTM_NEWRULE, AF_INET, MARK << 1, 1000, 100, RTPROT_BOOT); /* of another mark */
	assert_true(policy_route_is_first(route, &both, why));
	rule(RTM_NEWRULE, AF_INET6, 0, 1000, POLICY_ROUTE_PRIORITY - 1, RTPROT_BOOT);
	assert_false(policy_route_is_first(route, &both, why));
	assert_string_equal(why,
	    "policy route: IPv6 rule 25024 is asked before the gateway's, and what is intercepted "
	    "and matches it is lost: give it a priority above 25025 (ip rule)");
	rule(RTM_NEWRULE, AF_INET, MARK, 1000, 101, RTPROT_BOOT);
	assert_false(policy_route_is_first(route, &both, why));
	assert_non_null(strstr(why, "IPv4 rule 101"));
	assert_int_equal(policy_route_check(route, &both, why), POLICY_ROUTE_COMPLETE);
}

static void
lo_that_is_down_is_an_error(void **state)
{
	(void)state;
	set_lo(0);
	assert_false(policy_route_install(route, &both, why));
	assert_non_null(
	    strstr(why, "cannot add the route to lo (IPv6, routing table 25025): Network is down"));
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(marked_packets_are_local),
	    TEST(installed_twice_is_there_once_and_removed_is_gone),
	    TEST(without_ipv6_it_is_left_alone),
	    TEST(what_is_gone_is_noticed_and_mended),
	    TEST(leftovers_are_taken_over),
	    TEST(somebody_elses_rule_on_the_table_is_an_error),
	    TEST(somebody_elses_route_in_the_table_is_an_error),
	    TEST(other_rules_stay),
	    TEST(privilege_is_needed_but_not_to_look),
	    TEST(rules_ahead_of_ours_are_named),
	    TEST(lo_that_is_down_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
