#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cap-ng.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "firewall_advice.h"
#include "own_network.h"

#define LINES_MAX 8

/* of linux/netfilter_ipv4/ip_tables.h, which cannot be included beside net/if.h */
#define GET_INFO    64 /* IPT_SO_GET_INFO */
#define INFO_OCTETS 84 /* of struct ipt_getinfo, which begins with the name */

static const struct firewall_marks marks = {0x01000000, 0x02000000, 0x03000000};

struct lines {
	char text[LINES_MAX][FIREWALL_ADVICE_LINE_MAX];
	size_t n;
	bool looked;
};

/* In the namespace of the test. */
static void
run(const char *command)
{
	if (system(command) != 0) /* NOLINT(cert-env33-c): it is this very command that is tested */
		fail_msg("%s", command);
}

static void
nft(const char *rules)
{
	char command[2048];

	snprintf(command, sizeof(command), "nft -f - <<'END'\n%s\nEND\n", rules);
	run(command);
}

/* A table with one base chain; what: "HOOK priority P; policy drop". */
static void
base_chain(const char *family, const char *table, const char *chain, const char *what)
{
	char rules[512];

	snprintf(rules, sizeof(rules),
	    "add table %s %s\nadd chain %s %s %s { type filter hook %s ; }", family, table, family,
	    table, chain, what);
	nft(rules);
}

static void
on_line(void *arg, const char *line)
{
	struct lines *l = arg;

	assert_true(l->n < LINES_MAX);
	assert_null(strchr(line, '\n'));
	snprintf(l->text[l->n++], FIREWALL_ADVICE_LINE_MAX, "%s", line);
}

static const struct lines *
advice(void)
{
	static struct lines l;

	l.n = 0;
	l.looked = firewall_advice(&marks, on_line, &l);
	return &l;
}

static void
expect_none(void)
{
	const struct lines *l = advice();

	assert_true(l->looked);
	if (l->n > 0)
		fail_msg("%s", l->text[0]);
}

/* Does what each line says, and then there is none. */
static void
follow(size_t n)
{
	const struct lines *l = advice();

	assert_true(l->looked);
	assert_int_equal(l->n, n);
	for (size_t i = 0; i < n; i++) {
		const char *command = strstr(l->text[i], ": nft insert rule ");
		assert_non_null(command);
		run(command + 2);
	}
	expect_none();
}

static void
nothing_there_needs_nothing(void **state)
{
	(void)state;
	expect_none();
}

static void
default_drop_firewall_needs_three_rules(void **state)
{
	const struct lines *l;

	(void)state;
	nft("table inet filter {\n"
	    " chain input { type filter hook input priority 0; policy drop;\n"
	    "  ct state established,related accept; iif lo accept; tcp dport 22 accept; }\n"
	    " chain forward { type filter hook forward priority 0; policy drop;\n"
	    "  ct state established,related accept; tcp dport { 25, 80 } accept; }\n"
	    " chain output { type filter hook output priority 0; policy drop;\n"
	    "  ct state established,related accept; }\n"
	    "}");
	l = advice();
	assert_int_equal(l->n, 3);
	assert_string_equal(l->text[0],
	    "table inet filter, chain input (hook input) drops intercepted sessions; run, and add "
	    "to that firewall: nft insert rule inet filter input meta mark and 0x03000000 == "
	    "0x01000000 accept");
	assert_string_equal(l->text[1],
	    "table inet filter, chain forward (hook forward) drops FTP data connections that the "
	    "gateway lets by; run, and add to that firewall: nft insert rule inet filter forward "
	    "meta mark and "
	    "0x03000000 == 0x02000000 accept");
	assert_string_equal(l->text[2],
	    "table inet filter, chain output (hook output) drops what the gateway sends; run, and "
	    "add to that firewall: nft insert rule inet filter output meta mark and 0x03000000 == "
	    "0x02000000 accept");
	follow(3);
}

static void
each_family_has_its_own(void **state)
{
	(void)state;
	base_chain("ip", "a", "in", "input priority 0; policy drop");
	base_chain("ip6", "b", "in", "input priority 0; policy drop");
	base_chain("arp", "c", "in", "input priority 0; policy drop");
	base_chain("bridge", "d", "in", "input priority 0; policy drop");
	follow(2);
}

/* How a chain may drop or not, and one rule of it. */
static const struct {
	const char *name, *policy, *rules;
	bool warns;
} cases[] = {
    {"policy accept", "accept", "tcp dport 22 accept", false},
    {"drop of one port", "accept", "tcp dport 22 drop", false},
    {"drop at the end", "accept", "tcp dport 22 accept; counter drop", true},
    {"reject at the end", "accept", "tcp dport 22 accept; log prefix \"x\" reject", true},
    {"reject with a code", "accept", "reject with icmpx type admin-prohibited", true},
    {"accept of all", "drop", "tcp dport 22 drop; counter accept", false},
    {"the mark", "drop", "meta mark and 0x03000000 == 0x01000000 counter accept", false},
    {"the mark, with more bits", "drop", "meta mark and 0xff000000 == 0x01000000 accept", false},
    {"any mark", "drop", "meta mark != 0 accept", false},
    {"the mark on one device", "drop",
	"iifname \"lo\" meta mark and 0x03000000 == 0x01000000 accept", false},
    {"the mark and a port", "drop",
	"meta mark and 0x03000000 == 0x01000000 tcp dport 30000-30300 accept", false},
    {"the other mark", "drop", "meta mark and 0x03000000 == 0x02000000 accept", true},
    {"all but the mark", "drop", "meta mark and 0x03000000 != 0x01000000 accept", true},
    {"the mark, dropped", "drop", "meta mark and 0x03000000 == 0x01000000 drop", true},
    {"a mark of the connection", "drop", "ct mark and 0x03000000 == 0x01000000 accept", true},
    {"the mark behind the drop", "accept", "drop; meta mark and 0x03000000 == 0x01000000 accept",
	true},
    {"setting the mark", "drop", "meta mark set 0x01000000 counter", true},
    {"jump to the mark", "drop", "tcp dport 22 accept; jump ours", false},
    {"jump under the mark", "drop", "meta mark and 0x03000000 == 0x01000000 jump everything",
	false},
    {"goto under the mark", "drop", "meta mark and 0x03000000 == 0x01000000 goto everything",
	false},
    {"jump under the other mark", "drop", "meta mark and 0x03000000 == 0x02000000 jump everything",
	true},
    {"jump of one port", "drop", "tcp dport 22 jump everything", true},
    {"jump to neither", "drop", "jump neither", true},
    {"return ahead of the mark", "drop", "return; meta mark and 0x03000000 == 0x01000000 accept",
	true},
};

static void
chains_are_understood(void **state)
{
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text),
		    "flush ruleset\n"
		    "table inet some {\n"
		    " chain ours { tcp dport 23 accept\n"
		    "  meta mark and 0x03000000 == 0x01000000 accept\n }\n"
		    " chain everything { accept\n }\n"
		    " chain neither { tcp dport 24 accept\n jump deeper\n }\n"
		    " chain deeper { tcp dport 25 drop\n }\n"
		    " chain in { type filter hook input priority 0; policy %s\n %s\n }\n}",
		    cases[i].policy, cases[i].rules);
		nft(text);
		if ((advice()->n == 1) != cases[i].warns)
			fail_msg("%s", cases[i].name);
		if (cases[i].warns)
			follow(1);
	}
}

/* firewalld's check of IPv6 sources, which finds every one of them at lo under our mark. */
static void
source_checks_with_the_mark(void **state)
{
	(void)state;
	nft("table inet firewalld {\n"
	    " chain filter_PREROUTING { type filter hook prerouting priority filter + 10;\n"
	    "  icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept\n"
	    "  meta nfproto ipv6 fib saddr . mark . iif oif missing drop\n }\n"
	    " chain early { type filter hook prerouting priority raw;\n"
	    "  meta nfproto ipv6 fib saddr . mark . iif oif missing drop\n }\n"
	    " chain plain { type filter hook prerouting priority filter;\n"
	    "  fib saddr . iif oif missing drop\n }\n"
	    " chain counts { type filter hook prerouting priority filter;\n"
	    "  fib saddr . mark . iif oif missing counter\n }\n"
	    "}");
	follow(1);
}

/* Before our chain nothing has the mark; behind it everything that is taken has it. */
static void
prerouting_counts_behind_ours(void **state)
{
	(void)state;
	base_chain("inet", "a", "early", "prerouting priority raw; policy drop");
	expect_none();
	base_chain("inet", "b", "late", "prerouting priority filter; policy drop");
	base_chain("inet", "b", "out", "postrouting priority filter; policy drop");
	follow(2);
}

static void
our_own_tables_and_other_kinds_are_left_out(void **state)
{
	(void)state;
	base_chain("inet", "postern", "in", "input priority 0; policy drop");
	base_chain("inet", "postern_guard", "in", "forward priority 0; policy drop");
	nft("add table ip n\nadd chain ip n pre { type nat hook prerouting priority dstnat; }\n"
	    "add chain ip n plain\nadd rule ip n plain drop");
	expect_none();
}

/* More than one datagram of rules. */
static void
large_rule_sets_are_read_whole(void **state)
{
	static const char script[] =
	    "{ echo 'add chain inet big a'; echo 'add chain inet big b'\n"
	    "  echo 'add rule inet big in jump a'; echo 'add rule inet big a jump b'\n"
	    "  i=0; while [ $i -lt 500 ]; do i=$((i+1))\n"
	    "   echo \"add rule inet big a ip saddr 10.1.0.$((i%250)) accept\"; done\n"
	    "  echo 'add rule inet big b meta mark and 0x03000000 == 0x01000000 accept'\n"
	    "} | nft -f -";

	(void)state;
	base_chain("inet", "big", "in", "input priority 0; policy drop");
	run(script);
	expect_none();
	run("nft flush chain inet big b");
	follow(1);
}

static void
without_privilege_it_says_so(void **state)
{
	const struct lines *l;

	(void)state;
	base_chain("inet", "filter", "in", "input priority 0; policy drop");
	capng_get_caps_process();
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_NET_ADMIN);
	assert_int_equal(capng_apply(CAPNG_SELECT_CAPS), 0);
	l = advice();
	assert_false(l->looked);
	assert_int_equal(l->n, 1);
	assert_string_equal(l->text[0],
	    "cannot look whether other firewall rules would drop intercepted sessions: Operation "
	    "not permitted (needs root)");
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, CAP_NET_ADMIN);
	assert_int_equal(capng_apply(CAPNG_SELECT_CAPS), 0);
	assert_true(advice()->looked);
}

/* Who asks for the table makes it, as iptables-legacy does. */
static void
legacy_tables_are_named(void **state)
{
	char info[INFO_OCTETS] = "filter";
	socklen_t n = sizeof(info);
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	const struct lines *l;

	(void)state;
	expect_none();
	assert_int_equal(getsockopt(fd, IPPROTO_IP, GET_INFO, info, &n), 0);
	close(fd);
	l = advice();
	assert_true(l->looked);
	assert_int_equal(l->n, 1);
	assert_string_equal(l->text[0],
	    "the filter table of iptables-legacy cannot be looked into; where its chains drop, "
	    "they need: "
	    "iptables-legacy -I INPUT -m mark --mark 0x01000000/0x03000000 -j ACCEPT; "
	    "iptables-legacy -I FORWARD -m mark --mark 0x02000000/0x03000000 -j ACCEPT; "
	    "iptables-legacy -I OUTPUT -m mark --mark 0x02000000/0x03000000 -j ACCEPT");
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, own_network)
	const struct CMUnitTest tests[] = {
	    TEST(nothing_there_needs_nothing),
	    TEST(default_drop_firewall_needs_three_rules),
	    TEST(each_family_has_its_own),
	    TEST(chains_are_understood),
	    TEST(source_checks_with_the_mark),
	    TEST(prerouting_counts_behind_ours),
	    TEST(our_own_tables_and_other_kinds_are_left_out),
	    TEST(large_rule_sets_are_read_whole),
	    TEST(without_privilege_it_says_so),
	    TEST(legacy_tables_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
