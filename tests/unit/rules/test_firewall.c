#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* needs the ones above */
#include <cmocka.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "firewall_nftnl.h"

static const unsigned mail_ports[] = {587, 25};
static char outside[] = "outside", longest[] = "fifteen-letters";
static char *const two_devices[] = {outside, longest, NULL};

static struct networks *
networks(const char *const texts[], size_t n)
{
	struct networks *set = networks_new();
	const char *why;

	for (size_t i = 0; i < n; i++)
		assert_true(networks_add(set, texts[i], &why));
	networks_seal(set);
	return set;
}

static struct firewall_config
config(enum firewall_mode mode)
{
	return (struct firewall_config){
	    .mode = mode,
	    .guard = true,
	    .services = {{"smtp", mail_ports, 2, 30001}},
	    .n_services = 1,
	    .data_port = 30016,
	    .n_data = 256,
	    .mark = 0x01000000,
	    .own_mark = 0x02000000,
	    .mask = 0x03000000,
	};
}

static struct firewall *
firewall(const struct firewall_config *c)
{
	struct firewall *f = firewall_new(c);

	assert_non_null(f);
	return f;
}

/* A batch with numbers from 100 on. */
static struct buf
batch(const struct firewall_config *c)
{
	struct firewall *f = firewall(c);
	struct buf out;

	buf_init(&out, FIREWALL_BATCH_MAX);
	assert_true(firewall_batch(f, (struct span){0}, &out));
	firewall_number(&out, 100);
	firewall_free(f);
	return out;
}

static struct nlmsghdr *
at(const struct buf *b, size_t offset)
{
	return (void *)(b->p + offset);
}

/* ---- structs and text ---- */

static void
test_sets(void **state)
{
	static const char *const texts[] = {"10.0.0.0/9", "10.128.0.0/9", "192.0.2.1", "fd00::/8"};
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct networks *set = networks(texts, 4);

	(void)state;
	c.bypass = set;
	c.devices = two_devices;
	struct firewall *f = firewall(&c);
	networks_free(set);
	assert_int_equal(f->n_tables, 2);
	assert_true(f->tables[0].owned);
	assert_false(f->tables[1].owned);
	const struct firewall_set *sets = f->tables[0].sets;
	assert_string_equal(sets[0].name, "interfaces");
	assert_int_equal(sets[0].n, 2);
	assert_string_equal((const char *)sets[0].elements[0].first, "fifteen-letters");
	assert_string_equal(sets[1].name, "bypass4");
	assert_int_equal(sets[1].n, 2); /* what touches is one */
	assert_memory_equal(sets[1].elements[0].last, "\x0a\xff\xff\xff", 4);
	assert_string_equal(sets[2].name, "bypass6");
	assert_string_equal(sets[3].name, "intercepted");
	assert_int_equal(sets[3].n, 2);
	assert_memory_equal(sets[3].elements[0].first, "\x00\x19", 2); /* sorted */
	assert_int_equal(f->tables[1].n_sets, 4);
	firewall_free(f);
}

/* Every rule ends with an action, conditions come first, and the sets are of its own table. */
static void
check_rule(const struct firewall_table *t, const struct firewall_rule *rule)
{
	bool acted = false;

	assert_in_range(rule->n, 1, FIREWALL_TERMS_MAX);
	assert_true(rule->terms[rule->n - 1].kind >= FIREWALL_MARK);
	for (size_t i = 0; i < rule->n; i++) {
		const struct firewall_term *term = &rule->terms[i];

		assert_false(acted && term->kind < FIREWALL_MARK);
		acted |= term->kind >= FIREWALL_MARK;
		if (term->set != NULL)
			assert_true(term->set >= t->sets && term->set < t->sets + t->n_sets);
	}
}

static void
test_rules_are_whole(void **state)
{
	static const unsigned ports[] = {21};
	struct firewall_config c = config(FIREWALL_TPROXY);

	(void)state;
	c.devices = two_devices;
	c.services[1] = (struct firewall_service){"ftp", ports, 1, 30000};
	c.services[2] = (struct firewall_service){"pop3", ports, 1, 30002};
	c.services[3] = (struct firewall_service){"imap", ports, 1, 30003};
	c.n_services = 4;
	for (unsigned mode = FIREWALL_TPROXY; mode <= FIREWALL_REDIRECT; mode++) {
		c.mode = (enum firewall_mode)mode;
		struct firewall *f = firewall(&c);
		for (size_t i = 0; i < f->n_tables; i++)
			for (size_t k = 0; k < f->tables[i].n_chains; k++)
				for (size_t r = 0; r < f->tables[i].chains[k].n; r++)
					check_rule(&f->tables[i], &f->tables[i].chains[k].rules[r]);
		firewall_free(f);
	}
}

static const char *
text_of(const struct firewall_config *c, char text[16384])
{
	struct firewall *f = firewall(c);
	struct buf out;

	buf_init(&out, 16383);
	assert_true(firewall_text(f, &out));
	memcpy(text, out.p, out.n);
	text[out.n] = '\0';
	buf_free(&out);
	firewall_free(f);
	return text;
}

static void
assert_order(const char *text, const char *const parts[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *found = strstr(text, parts[i]);

		if (found == NULL) {
			fail_msg("\"%s\" does not stand where it should", parts[i]);
			return;
		}
		text = found + strlen(parts[i]);
	}
}

static void
test_text_tproxy(void **state)
{
	static const char *const texts[] = {"192.0.2.1", "::/0"};
	static const char *const order[] = {
	    "table inet postern {",
	    "hook prerouting priority -95",
	    "tcp flags & (syn | ack) != syn socket transparent 1 meta mark set meta mark",
	    " & 0xfcffffff ^ 0x01000000 accept",
	    "tcp flags & (syn | ack) != syn tcp dport != @intercepted return",
	    "meta l4proto icmp socket transparent 1",
	    "ip saddr . ip daddr . tcp dport map @data4 meta mark set",
	    "ct status & dnat == dnat tproxy ip to ",
	    "ip saddr . ct original ip daddr . ct original proto-dst map @data4 meta mark set",
	    "ip6 saddr . ip6 daddr . tcp dport map @data6 meta mark set",
	    "ip6 saddr . ct original ip6 daddr . ct original proto-dst map @data6 meta mark set",
	    "== syn socket transparent 1 ip saddr . ip daddr . tcp dport @passed4 tproxy ip to ",
	    "127.0.0.1:30001 drop",
	    "socket transparent 1 ip6 saddr . ip6 daddr . tcp dport @passed6 tproxy ip6 to ",
	    "[::1]:30001 drop",
	    "iifname \"lo\" return",
	    "iifname != @interfaces return",
	    "ip saddr @bypass4 return",
	    "tcp dport @intercepted fib daddr type local reject with tcp reset",
	    "tcp dport @smtp_ports tproxy ip to ",
	    "127.0.0.1:30001 meta mark set",
	    "tproxy ip6 to [::1]:30001",
	    "hook forward priority -150",
	    "ip saddr . ip daddr . tcp dport @passed4 meta mark set",
	    "ip6 saddr . ip6 daddr . tcp dport @passed6 meta mark set",
	    "ip daddr . ip saddr . tcp sport @replies4 meta mark set",
	    "ip6 daddr . ip6 saddr . tcp sport @replies6 meta mark set",
	    "table inet postern_guard {",
	    "priority -50",
	    "meta mark & 0x03000000 != 0x01000000 meta l4proto tcp tcp dport @intercepted reject",
	};
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct networks *set = networks(texts, 2);
	char text[16384];

	(void)state;
	c.bypass = set;
	c.devices = two_devices;
	assert_order(text_of(&c, text), order, sizeof(order) / sizeof(order[0]));
	assert_null(strstr(text, "redirect"));
	assert_non_null(strstr(text, "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	c.guard = false;
	assert_null(strstr(text_of(&c, text), "postern_guard"));
	networks_free(set);
}

static void
test_text_redirect(void **state)
{
	static const char *const order[] = {"type filter hook prerouting priority -105",
	    "fib daddr type local reject", "type nat hook prerouting priority -101",
	    "redirect to :ip saddr . ip daddr . tcp dport map @data4",
	    "tcp dport @smtp_ports tcp flags & (fin | syn | rst | ack) == syn redirect to :30001",
	    "type filter hook prerouting priority -95",
	    "ct status & dnat == dnat tcp dport 30001-30271 meta mark set"};
	struct firewall_config c = config(FIREWALL_REDIRECT);
	char text[16384];

	(void)state;
	assert_order(text_of(&c, text), order, sizeof(order) / sizeof(order[0]));
	assert_null(strstr(text, "tproxy"));
	assert_null(strstr(text, "interfaces"));
}

static void
test_text_full(void **state)
{
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct firewall *f = firewall(&c);
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_false(firewall_text(f, &out));
	buf_clear(&out);
	assert_false(firewall_batch(f, (struct span){0}, &out));
	buf_free(&out);
	firewall_free(f);
}

/* ---- messages ---- */

static int
count_expression(struct nftnl_expr *e, void *arg)
{
	unsigned *n = arg;

	(void)e;
	++*n;
	return 0;
}

static int
count_element(struct nftnl_set_elem *e, void *arg)
{
	unsigned *n = arg;

	(void)e;
	++*n;
	return 0;
}

static unsigned
parsed_expressions(const struct nlmsghdr *h)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	unsigned n = 0;

	assert_true(nftnl_rule_nlmsg_parse(h, r) >= 0);
	nftnl_expr_foreach(r, count_expression, &n);
	nftnl_rule_free(r);
	return n;
}

static unsigned
parsed_elements(const struct nlmsghdr *h)
{
	struct nftnl_set *s = nftnl_set_alloc();
	unsigned n = 0;

	assert_true(nftnl_set_elems_nlmsg_parse(h, s) >= 0);
	nftnl_set_elem_foreach(s, count_element, &n);
	nftnl_set_free(s);
	return n;
}

static void
test_messages(void **state)
{
	static const char *const texts[] = {"0.0.0.0/8", "192.0.2.1", "255.255.255.0/24"};
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct networks *set = networks(texts, 3);
	unsigned rules = 0, elements = 0, expressions = 0;

	(void)state;
	c.bypass = set;
	struct buf b = batch(&c);
	networks_free(set);
	uint32_t seq = 100;
	for (size_t i = 0; i < b.n; i += NLMSG_ALIGN(at(&b, i)->nlmsg_len)) {
		const struct nlmsghdr *h = at(&b, i);

		assert_int_equal(h->nlmsg_seq, seq++);
		assert_true((h->nlmsg_flags & NLM_F_REQUEST) != 0);
		if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
			continue;
		assert_true((h->nlmsg_flags & NLM_F_ACK) != 0);
		if (NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWRULE) {
			rules++;
			expressions += parsed_expressions(h);
		} else if (NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWSETELEM) {
			elements += parsed_elements(h);
		}
	}
	assert_int_equal(seq - 100, firewall_messages(&b));
	assert_int_equal(at(&b, 0)->nlmsg_type, NFNL_MSG_BATCH_BEGIN);
	/* 4 + 4 + 2 + lo + bypass + loop + 2, 2 passed, 2 replies; unmark, lo + bypass + the guard
	 */
	assert_int_equal(rules, 19 + 4);
	assert_true(expressions > 8 * rules);
	/* in both: 25, 587; 0.0.0.0, 1.0.0.0 end, 192.0.2.1, .2 end, 255.255.255.0; once more the
	 * ports
	 */
	assert_int_equal(elements, 2 * (2 + 5) + 2);
	buf_free(&b);
}

/* More elements than a message takes. */
static void
test_many_elements(void **state)
{
	struct networks *set = networks_new();
	struct firewall_config c = config(FIREWALL_TPROXY);
	unsigned elements = 0;
	const char *why;
	char text[32];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "2001:db8::%x", i * 2 + 1);
		assert_true(networks_add(set, text, &why));
	}
	networks_seal(set);
	c.bypass_servers = set;
	c.guard = false;
	struct buf b = batch(&c);
	for (size_t i = 0; i < b.n; i += NLMSG_ALIGN(at(&b, i)->nlmsg_len))
		if (NFNL_MSG_TYPE(at(&b, i)->nlmsg_type) == NFT_MSG_NEWSETELEM &&
		    NFNL_SUBSYS_ID(at(&b, i)->nlmsg_type) == NFNL_SUBSYS_NFTABLES) {
			assert_in_range(at(&b, i)->nlmsg_len, 1, 65535);
			elements += parsed_elements(at(&b, i));
		}
	assert_int_equal(elements, 1 + 2 * 5000 + 4);
	networks_free(set);
	buf_free(&b);
}

/* ---- flows ---- */

static struct ip
ip(const char *text)
{
	struct ip out;

	assert_true(ip_parse(span_str(text), &out));
	return out;
}

/* A flow that passes has an element in two sets; one that begins anew takes their places. */
static void
test_flow_both_ways(void **state)
{
	static const unsigned types[] = {
	    NFT_MSG_DELSETELEM, NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM, NFT_MSG_NEWSETELEM};
	const struct firewall_flow flow = {ip("10.0.0.1"), ip("192.0.2.1"), 2000};
	struct buf b;
	size_t k = 0;

	(void)state;
	buf_init(&b, FIREWALL_BATCH_MAX);
	assert_true(firewall_flow_add_batch(FIREWALL_PASSED, &flow, 0, 30, false, &b));
	assert_int_equal(firewall_messages(&b), 4);
	buf_clear(&b);
	assert_true(firewall_flow_add_batch(FIREWALL_PASSED, &flow, 0, 30, true, &b));
	assert_int_equal(firewall_messages(&b), 6);
	for (size_t i = 0; i < b.n; i += NLMSG_ALIGN(at(&b, i)->nlmsg_len))
		if (NFNL_SUBSYS_ID(at(&b, i)->nlmsg_type) == NFNL_SUBSYS_NFTABLES)
			assert_int_equal(NFNL_MSG_TYPE(at(&b, i)->nlmsg_type), types[k++]);
	assert_int_equal(k, 4);
	buf_free(&b);
}

/* The kernel's message about an element that has counted. */
static size_t
counted_element(uint8_t message[1024], uint64_t octets)
{
	const uint8_t key[] = {10, 0, 0, 1, 192, 0, 2, 1, 7, 208, 0, 0};
	struct nlmsghdr *h =
	    nftnl_nlmsg_build_hdr((char *)message, NFT_MSG_NEWSETELEM, NFPROTO_INET, 0, 0);
	struct nftnl_expr *counter = nftnl_expr_alloc("counter");
	struct nftnl_set_elem *element = nftnl_set_elem_alloc();
	struct nftnl_set *s = nftnl_set_alloc();

	nftnl_set_set_str(s, NFTNL_SET_TABLE, FIREWALL_TABLE);
	nftnl_set_set_str(s, NFTNL_SET_NAME, "replies4");
	nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, sizeof(key));
	nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_EXPIRATION, 5000);
	if (octets > 0) {
		nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_BYTES, octets);
		nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_PACKETS, 3);
		nftnl_set_elem_add_expr(element, counter);
	} else {
		nftnl_expr_free(counter);
	}
	nftnl_set_elem_add(s, element);
	nftnl_set_elems_nlmsg_build_payload(h, s);
	nftnl_set_free(s);
	return h->nlmsg_len;
}

/* What was counted is read, and goes on where the tables are made anew. */
static void
test_flow_counted(void **state)
{
	const struct firewall_flow flow = {ip("10.0.0.1"), ip("192.0.2.1"), 2000};
	struct firewall_config c = config(FIREWALL_TPROXY);
	uint8_t message[1024] __attribute__((aligned(4)));
	uint8_t request[FIREWALL_REQUEST_MAX] __attribute__((aligned(4)));
	struct firewall *f = firewall(&c);
	uint64_t octets = 1;
	struct buf b;

	(void)state;
	assert_true(firewall_flow_request(FIREWALL_REPLIES, &flow, request) == (void *)request);
	assert_false(firewall_flow_counted((void *)request, &octets));
	counted_element(message, 0);
	assert_false(firewall_flow_counted((void *)message, &octets));
	assert_int_equal(octets, 0);
	size_t n = counted_element(message, UINT64_C(5) << 32);
	assert_true(firewall_flow_counted((void *)message, &octets));
	assert_true(octets == UINT64_C(5) << 32);
	buf_init(&b, FIREWALL_BATCH_MAX);
	assert_true(firewall_batch(f, (struct span){message, n}, &b));
	octets = 0;
	for (size_t i = 0; i < b.n; i += NLMSG_ALIGN(at(&b, i)->nlmsg_len))
		if (at(&b, i)->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM) &&
		    firewall_flow_counted(at(&b, i), &octets))
			break;
	assert_true(octets == UINT64_C(5) << 32);
	buf_free(&b);
	firewall_free(f);
}

static void
test_flows(void **state)
{
	struct firewall_flow flow = {ip("10.0.0.1"), ip("192.0.2.1"), 2000};
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct firewall *f = firewall(&c);
	struct buf one, all;

	(void)state;
	buf_init(&one, FIREWALL_BATCH_MAX);
	buf_init(&all, FIREWALL_BATCH_MAX);
	assert_true(firewall_flow_add_batch(FIREWALL_DATA, &flow, 30016, 30, false, &one));
	assert_int_equal(firewall_messages(&one), 3);
	/* what the kernel says of it has the same form, and is taken over into another batch */
	struct nlmsghdr *h = at(&one, 20);
	assert_int_equal(NFNL_MSG_TYPE(h->nlmsg_type), NFT_MSG_NEWSETELEM);
	assert_true(firewall_batch(f, (struct span){(const uint8_t *)h, h->nlmsg_len}, &all));
	unsigned with = firewall_messages(&all);
	buf_clear(&all);
	assert_true(firewall_batch(f, (struct span){0}, &all));
	assert_int_equal(with, firewall_messages(&all) + 1);
	buf_clear(&one);
	assert_true(firewall_flow_delete_batch(FIREWALL_PASSED, &flow, &one));
	assert_int_equal(NFNL_MSG_TYPE(at(&one, 20)->nlmsg_type), NFT_MSG_DELSETELEM);
	flow.source = ip("2001:db8::1");
	assert_false(firewall_flow_add_batch(FIREWALL_DATA, &flow, 30016, 30, false, &one));
	assert_false(firewall_flow_delete_batch(FIREWALL_DATA, &flow, &one));
	buf_free(&one);
	buf_free(&all);
	firewall_free(f);
}

/* ---- comparing ---- */

/* The batch as the kernel would dump it: without what makes and removes a table first. */
static struct buf
dump_of(const struct buf *b)
{
	struct buf out;

	buf_init(&out, FIREWALL_BATCH_MAX);
	for (size_t i = 0; i < b->n; i += NLMSG_ALIGN(at(b, i)->nlmsg_len)) {
		const struct nlmsghdr *h = at(b, i);
		const struct nlmsghdr *next = at(b, i + NLMSG_ALIGN(h->nlmsg_len));
		unsigned type = NFNL_MSG_TYPE(h->nlmsg_type);

		if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
		    type == NFT_MSG_DELTABLE ||
		    (type == NFT_MSG_NEWTABLE &&
			NFNL_MSG_TYPE(next->nlmsg_type) == NFT_MSG_DELTABLE))
			continue;
		buf_add(&out, (struct span){(const uint8_t *)h, h->nlmsg_len});
	}
	return out;
}

/* Drops, changes or doubles the n-th message of a type (from the first or the second table). */
enum tampering {
	WITHOUT,
	TWICE,
};

static void
tamper(const struct buf *b, unsigned type, unsigned n, enum tampering how, struct buf *out)
{
	buf_init(out, FIREWALL_BATCH_MAX);
	for (size_t i = 0; i < b->n; i += NLMSG_ALIGN(at(b, i)->nlmsg_len)) {
		const struct nlmsghdr *h = at(b, i);
		struct span message = {(const uint8_t *)h, NLMSG_ALIGN(h->nlmsg_len)};
		bool found = NFNL_MSG_TYPE(h->nlmsg_type) == type && n-- == 0;

		if (!found || how == TWICE)
			buf_add(out, message);
		if (found && how == TWICE)
			buf_add(out, message);
	}
}

static void
assert_difference(
    const struct buf *b, struct buf *dump, enum firewall_difference want, const char *words)
{
	char text[FIREWALL_TEXT_MAX] = "";

	assert_int_equal(firewall_compare(buf_span(b), buf_span(dump), text), want);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, words);
}

static void
test_same(void **state)
{
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct buf b = batch(&c), dump = dump_of(&b);

	(void)state;
	assert_difference(&b, &dump, FIREWALL_SAME, "");
	buf_free(&b);
	buf_free(&dump);
}

static void
test_missing_and_more(void **state)
{
	static const struct {
		unsigned type, n;
		enum tampering how;
		enum firewall_difference difference;
		const char *words;
	} cases[] = {
	    {NFT_MSG_NEWTABLE, 0, WITHOUT, FIREWALL_DIFFERS, "table inet postern is missing"},
	    {NFT_MSG_NEWTABLE, 1, WITHOUT, FIREWALL_GUARD_DIFFERS,
		"table inet postern_guard is missing"},
	    {NFT_MSG_NEWSET, 0, WITHOUT, FIREWALL_DIFFERS, "set intercepted is missing"},
	    {NFT_MSG_NEWSET, 1, TWICE, FIREWALL_DIFFERS, "set data4 was put there by"},
	    {NFT_MSG_NEWSETELEM, 0, WITHOUT, FIREWALL_DIFFERS,
		"set intercepted, element 0x0019 is missing"},
	    {NFT_MSG_NEWSETELEM, 2, TWICE, FIREWALL_GUARD_DIFFERS,
		"postern_guard, set intercepted, element 0x0019 was put there by somebody else"},
	    {NFT_MSG_NEWCHAIN, 1, WITHOUT, FIREWALL_DIFFERS, "chain passed is missing"},
	    {NFT_MSG_NEWCHAIN, 3, TWICE, FIREWALL_GUARD_DIFFERS, "chain guard was put there by"},
	    {NFT_MSG_NEWRULE, 0, WITHOUT, FIREWALL_DIFFERS, "chain intercept, rule 1, expression"},
	    {NFT_MSG_NEWRULE, 14, WITHOUT, FIREWALL_DIFFERS, "chain passed, rule 1, expression 2"},
	    {NFT_MSG_NEWRULE, 19, TWICE, FIREWALL_GUARD_DIFFERS, "chain guard, rule 2"},
	    {NFT_MSG_NEWRULE, 20, TWICE, FIREWALL_GUARD_DIFFERS,
		"chain guard, rule 3 was put there by somebody else"},
	};
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct buf b = batch(&c), dump = dump_of(&b), other;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tamper(&dump, cases[i].type, cases[i].n, cases[i].how, &other);
		assert_difference(&b, &other, cases[i].difference, cases[i].words);
		buf_free(&other);
	}
	buf_free(&b);
	buf_free(&dump);
}

/* Another port, mark, device, mode: each is a difference of an expression, element or chain. */
static void
test_changed(void **state)
{
	struct firewall_config c = config(FIREWALL_TPROXY), d[4];
	static const char *const words[] = {"rule 9, expression 15 (immediate) was changed",
	    "rule 1, expression 9 (bitwise) was changed", "set interfaces was put there",
	    "chain intercept was changed"};
	struct buf b = batch(&c);

	(void)state;
	for (size_t i = 0; i < 4; i++)
		d[i] = c;
	d[0].services[0].listen = 30002;
	d[1].mark = 0x03000000;
	d[2].devices = two_devices;
	d[3].mode = FIREWALL_REDIRECT;
	for (size_t i = 0; i < 4; i++) {
		struct buf changed = batch(&d[i]), dump = dump_of(&changed);

		assert_difference(&b, &dump, FIREWALL_DIFFERS, words[i]);
		buf_free(&changed);
		buf_free(&dump);
	}
	buf_free(&b);
}

/* What the kernel would have, had it been made from this. */
static void
assert_differs(const struct buf *b, const struct firewall *f)
{
	char text[FIREWALL_TEXT_MAX];
	struct buf changed, dump;

	buf_init(&changed, FIREWALL_BATCH_MAX);
	assert_true(firewall_batch(f, (struct span){0}, &changed));
	dump = dump_of(&changed);
	assert_int_not_equal(firewall_compare(buf_span(b), buf_span(&dump), text), FIREWALL_SAME);
	buf_free(&changed);
	buf_free(&dump);
}

static void
without_each_term(const struct buf *b, const struct firewall *f, struct firewall_rule *rule)
{
	const struct firewall_rule whole = *rule;

	for (size_t i = 0; i < whole.n; i++) {
		rule->n--;
		memmove(
		    &rule->terms[i], &rule->terms[i + 1], (rule->n - i) * sizeof(rule->terms[0]));
		assert_differs(b, f);
		*rule = whole;
	}
}

/* Every condition, action, element and priority counts. */
static void
test_everything_counts(void **state)
{
	struct firewall_config c = config(FIREWALL_TPROXY);

	(void)state;
	for (unsigned mode = FIREWALL_TPROXY; mode <= FIREWALL_REDIRECT; mode++) {
		c.mode = (enum firewall_mode)mode;
		struct firewall *f = firewall(&c);
		struct buf b = batch(&c);
		for (size_t i = 0; i < f->n_tables; i++) {
			struct firewall_table *t = &f->tables[i];

			for (size_t k = 0; k < t->n_chains; k++) {
				struct firewall_chain *chain = &t->chains[k];

				for (size_t r = 0; r < chain->n; r++)
					without_each_term(&b, f, &chain->rules[r]);
				chain->priority--;
				assert_differs(&b, f);
				chain->priority++;
			}
			for (size_t k = 0; k < t->n_sets; k++) {
				t->sets[k].expires = !t->sets[k].expires;
				assert_differs(&b, f);
				t->sets[k].expires = !t->sets[k].expires;
				t->sets[k].counts = !t->sets[k].counts;
				assert_differs(&b, f);
				t->sets[k].counts = !t->sets[k].counts;
			}
		}
		buf_free(&b);
		firewall_free(f);
	}
}

static void
test_no_messages(void **state)
{
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct buf b = batch(&c), dump = dump_of(&b);
	char text[FIREWALL_TEXT_MAX];

	(void)state;
	at(&dump, 0)->nlmsg_len = 0x7fffffff;
	assert_difference(&b, &dump, FIREWALL_DIFFERS, "cannot be compared");
	at(&dump, 0)->nlmsg_len = 1;
	assert_difference(&b, &dump, FIREWALL_DIFFERS, "cannot be compared");
	assert_int_equal(firewall_compare(buf_span(&b), (struct span){0}, text), FIREWALL_DIFFERS);
	buf_free(&b);
	buf_free(&dump);
}

/* Where no guard is wanted, one that is there is a difference. */
static void
test_unwanted_guard(void **state)
{
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct firewall *guarded = firewall(&c), *alone, both;
	struct buf with, without, dump;

	(void)state;
	c.guard = false;
	alone = firewall(&c);
	without = batch(&c);
	both = (struct firewall){{alone->tables[0], guarded->tables[1]}, 2};
	buf_init(&with, FIREWALL_BATCH_MAX);
	assert_true(firewall_batch(&both, (struct span){0}, &with));
	dump = dump_of(&with);
	assert_difference(&without, &dump, FIREWALL_GUARD_DIFFERS,
	    "postern_guard was put there by somebody else");
	buf_free(&with);
	buf_free(&without);
	buf_free(&dump);
	firewall_free(guarded);
	firewall_free(alone);
}

/* With the guard's own batch, nothing but the guard counts. */
static void
test_guard_alone(void **state)
{
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct firewall *f = firewall(&c);
	struct buf both = batch(&c), dump = dump_of(&both), alone, none;
	char text[FIREWALL_TEXT_MAX];

	(void)state;
	buf_init(&alone, FIREWALL_BATCH_MAX);
	assert_true(firewall_guard_batch(f, &alone));
	assert_int_equal(firewall_compare(buf_span(&alone), buf_span(&dump), text), FIREWALL_SAME);
	buf_free(&dump);
	dump = dump_of(&alone);
	assert_int_equal(firewall_compare(buf_span(&alone), buf_span(&dump), text), FIREWALL_SAME);
	c.guard = false;
	none = batch(&c);
	buf_free(&dump);
	dump = dump_of(&none);
	assert_difference(
	    &alone, &dump, FIREWALL_GUARD_DIFFERS, "table inet postern_guard is missing");
	buf_free(&none);
	buf_free(&both);
	buf_free(&alone);
	buf_free(&dump);
	firewall_free(f);
}

/* Tables do not fail for flows that whoever likes can open: what does not fit is left out. */
static void
test_more_flows_than_fit(void **state)
{
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct firewall *f = firewall(&c);
	struct firewall_flow flow = {.port = 40000};
	struct buf tables = batch(&c), one, flows, out;
	const size_t n = 100000;

	(void)state;
	assert_true(ip_parse(span_str("2001:db8::1"), &flow.source));
	assert_true(ip_parse(span_str("2001:db8::2"), &flow.destination));
	buf_init(&one, FIREWALL_BATCH_MAX);
	assert_true(firewall_flow_add_batch(FIREWALL_DATA, &flow, 30016, 60, false, &one));
	const struct nlmsghdr *element = at(&one, at(&one, 0)->nlmsg_len);
	buf_init(&flows, n * element->nlmsg_len);
	for (size_t i = 0; i < n; i++)
		assert_true(buf_add(&flows, span_of(element, element->nlmsg_len)));
	buf_init(&out, FIREWALL_BATCH_MAX);
	assert_true(firewall_batch(f, buf_span(&flows), &out));
	assert_true(firewall_messages(&out) > firewall_messages(&tables) + 10000);
	assert_true(out.n <= FIREWALL_BATCH_MAX);
	assert_true(firewall_messages(&out) < firewall_messages(&tables) + n);
	buf_free(&out);
	buf_init(&out, FIREWALL_FLOWS_BATCH_MAX);
	assert_true(firewall_batch(f, buf_span(&flows), &out));
	assert_int_equal(firewall_messages(&out), firewall_messages(&tables) + n);
	buf_free(&tables);
	buf_free(&one);
	buf_free(&flows);
	buf_free(&out);
	firewall_free(f);
}

/* ---- refusals ---- */

static int
has_expression(struct nftnl_expr *e, void *arg)
{
	const char **name = arg;

	if (*name != NULL && strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), *name) == 0)
		*name = NULL;
	return 0;
}

static bool
is_about(const struct nlmsghdr *h, unsigned type, const char *expression)
{
	struct nftnl_rule *r;

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    NFNL_MSG_TYPE(h->nlmsg_type) != type)
		return false;
	if (expression == NULL)
		return true;
	r = nftnl_rule_alloc();
	assert_true(nftnl_rule_nlmsg_parse(h, r) >= 0);
	nftnl_expr_foreach(r, has_expression, &expression);
	nftnl_rule_free(r);
	return expression == NULL;
}

static uint32_t
number_of(const struct buf *b, unsigned type, const char *expression)
{
	for (size_t i = 0; i < b->n; i += NLMSG_ALIGN(at(b, i)->nlmsg_len))
		if (is_about(at(b, i), type, expression))
			return at(b, i)->nlmsg_seq;
	fail();
	return 0;
}

static void
test_refusals(void **state)
{
	static const struct {
		enum firewall_mode mode;
		unsigned type;
		const char *expression;
		int code;
		const char *words;
	} cases[] = {
	    {FIREWALL_TPROXY, NFT_MSG_NEWTABLE, NULL, EPERM, "another postern runs here"},
	    {FIREWALL_TPROXY, NFT_MSG_NEWTABLE, NULL, EOPNOTSUPP, "tables with an owner"},
	    {FIREWALL_TPROXY, NFT_MSG_NEWRULE, "tproxy", ENOENT, "nft_tproxy"},
	    {FIREWALL_TPROXY, NFT_MSG_NEWRULE, "socket", ENOENT, "nft_socket"},
	    {FIREWALL_TPROXY, NFT_MSG_NEWRULE, "fib", ENOENT, "nft_fib_inet"},
	    {FIREWALL_TPROXY, NFT_MSG_NEWRULE, "reject", EOPNOTSUPP, "reject in prerouting"},
	    {FIREWALL_REDIRECT, NFT_MSG_NEWRULE, "redir", ENOENT, "nft_redir"},
	    {FIREWALL_REDIRECT, NFT_MSG_NEWRULE, "ct", ENOENT, "nft_ct"},
	    {FIREWALL_TPROXY, NFT_MSG_NEWCHAIN, NULL, ENOENT, "chains of type filter"},
	    {FIREWALL_TPROXY, NFT_MSG_NEWSETELEM, NULL, ENFILE, "element"},
	    {FIREWALL_TPROXY, NFT_MSG_NEWRULE, NULL, EINVAL, "did not take"},
	};
	char text[FIREWALL_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct firewall_config c = config(cases[i].mode);
		struct buf b = batch(&c);
		uint32_t seq = number_of(&b, cases[i].type, cases[i].expression);

		firewall_refusal(&b, seq, cases[i].code, text);
		if (strstr(text, cases[i].words) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", text, cases[i].words);
		firewall_refusal(&b, 100, EPERM, text); /* the begin mark */
		assert_non_null(strstr(text, "no privilege"));
		buf_free(&b);
	}
}

/* ---- memory that runs out ---- */

static unsigned left; /* objects of the library until one is refused; 0: none will be */
static bool refused;

static bool
refuse(void)
{
	if (left == 0 || --left > 0)
		return false;
	refused = true;
	return true;
}

#define WRAP(object)                                                                               \
	struct nftnl_##object *__real_nftnl_##object##_alloc(void);                                \
	struct nftnl_##object *__wrap_nftnl_##object##_alloc(void);                                \
	struct nftnl_##object *__wrap_nftnl_##object##_alloc(void)                                 \
	{                                                                                          \
		return refuse() ? NULL : __real_nftnl_##object##_alloc();                          \
	}

WRAP(table)
WRAP(chain)
WRAP(rule)
WRAP(set)

static void
refuse_at(unsigned n)
{
	refused = false;
	left = n;
}

/* The library's own functions take no NULL. */
static void
test_no_memory(void **state)
{
	static const unsigned types[] = {NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE};
	struct firewall_config c = config(FIREWALL_TPROXY);
	struct firewall *f = firewall(&c);
	struct buf b = batch(&c), out;
	char text[FIREWALL_TEXT_MAX];
	unsigned n;

	(void)state;
	for (n = 1;; n++) {
		refuse_at(n);
		enum firewall_difference found = firewall_compare(buf_span(&b), buf_span(&b), text);

		if (!refused)
			break;
		assert_int_equal(found, FIREWALL_DIFFERS);
		assert_non_null(strstr(text, "no memory"));
	}
	assert_true(n > firewall_messages(&b));
	for (n = 1;; n++) {
		refuse_at(n);
		buf_init(&out, FIREWALL_BATCH_MAX);
		bool made = firewall_batch(f, (struct span){0}, &out);
		buf_free(&out);
		assert_int_equal(made, !refused);
		if (!refused)
			break;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint32_t seq = number_of(&b, types[i], NULL);

		refuse_at(1);
		firewall_refusal(&b, seq, ENOENT, text);
		assert_true(refused);
		assert_non_null(strstr(text, "the kernel lacks"));
	}
	left = 0;
	buf_free(&b);
	firewall_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sets),
	    cmocka_unit_test(test_rules_are_whole),
	    cmocka_unit_test(test_text_tproxy),
	    cmocka_unit_test(test_text_redirect),
	    cmocka_unit_test(test_text_full),
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_many_elements),
	    cmocka_unit_test(test_flows),
	    cmocka_unit_test(test_flow_both_ways),
	    cmocka_unit_test(test_flow_counted),
	    cmocka_unit_test(test_same),
	    cmocka_unit_test(test_missing_and_more),
	    cmocka_unit_test(test_changed),
	    cmocka_unit_test(test_everything_counts),
	    cmocka_unit_test(test_no_messages),
	    cmocka_unit_test(test_unwanted_guard),
	    cmocka_unit_test(test_guard_alone),
	    cmocka_unit_test(test_more_flows_than_fit),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests_name("firewall", tests, NULL, NULL);
}
