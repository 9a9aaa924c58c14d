#include "firewall_message.h"

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#define FOR_THE_END 1024 /* octets of a batch behind its flows */

/* ---- tables ---- */

static void
table_message(struct maker *m, uint16_t type, const char *name, const uint32_t *flags)
{
	struct nlmsghdr *h =
	    message_new(m, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE | NLM_F_ACK : NLM_F_ACK);
	struct nftnl_table *t = nftnl_table_alloc();

	if (t == NULL) {
		m->failed = true;
		return;
	}
	nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, name);
	if (flags != NULL)
		nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, *flags);
	nftnl_table_nlmsg_build_payload(h, t);
	nftnl_table_free(t);
	message_add(m, h);
}

/* Without flags a table of that name is taken as it is, whosever it was; then it goes. */
static void
table_remove(struct maker *m, const char *name)
{
	table_message(m, NFT_MSG_NEWTABLE, name, NULL);
	table_message(m, NFT_MSG_DELTABLE, name, NULL);
}

/* ---- sets ---- */

/* The numbers by which nft knows types; a concatenation has six bits for each. */
enum {
	TYPE_IP4 = 7,
	TYPE_IP6 = 8,
	TYPE_PORT = 13,
	TYPE_DEVICE = 41,
};

static uint32_t
key_type(enum firewall_key key)
{
	static const uint32_t types[] = {
	    [FIREWALL_KEY_IP4] = TYPE_IP4,
	    [FIREWALL_KEY_IP6] = TYPE_IP6,
	    [FIREWALL_KEY_PORT] = TYPE_PORT,
	    [FIREWALL_KEY_DEVICE] = TYPE_DEVICE,
	    [FIREWALL_KEY_FLOW4] = TYPE_IP4 << 12 | TYPE_IP4 << 6 | TYPE_PORT,
	    [FIREWALL_KEY_FLOW6] = TYPE_IP6 << 12 | TYPE_IP6 << 6 | TYPE_PORT,
	};

	return types[key];
}

/* Of every element that is put in, unless it brings its own. */
static void
set_counts(struct maker *m, struct nftnl_set *s)
{
	struct nftnl_expr *e = nftnl_expr_alloc("counter");

	if (e == NULL)
		m->failed = true;
	else
		nftnl_set_add_expr(s, e);
}

static void
set_message(struct maker *m, const struct firewall_set *set, uint32_t id)
{
	struct nlmsghdr *h = message_new(m, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_ACK);
	struct nftnl_set *s = set_named(set->table, set->name);
	uint32_t flags = (set->interval ? NFT_SET_INTERVAL : 0u) |
			 (set->expires ? NFT_SET_TIMEOUT : 0u) | (set->map ? NFT_SET_MAP : 0u);
	/* what nft notes for itself, to print elements right: the host's order (1), the network's
	 * (2) */
	uint8_t order[] = {NFTNL_UDATA_SET_KEYBYTEORDER, 4, 2, 0, 0, 0,
	    NFTNL_UDATA_SET_DATABYTEORDER, 4, 2, 0, 0, 0};

	if (s == NULL) {
		m->failed = true;
		return;
	}
	nftnl_set_set_u32(s, NFTNL_SET_ID, id);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, key_type(set->key));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, (uint32_t)firewall_key_size(set->key));
	if (set->map) {
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, TYPE_PORT);
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, sizeof(uint16_t));
	}
	if (set->counts)
		set_counts(m, s);
	order[2] = set->key == FIREWALL_KEY_DEVICE ? 1 : 2;
	nftnl_set_set_data(s, NFTNL_SET_USERDATA, order, set->map ? sizeof(order) : 6);
	nftnl_set_nlmsg_build_payload(h, s);
	nftnl_set_free(s);
	message_add(m, h);
}

static void
element_add(struct element_maker *e, const void *key, size_t size, bool end, bool open)
{
	/* what nft itself notes beside an interval that has no end, to print it right */
	static const uint8_t no_end[] = {NFTNL_UDATA_SET_ELEM_FLAGS, 4, 1, 0, 0, 0};
	struct nftnl_set_elem *element = nftnl_set_elem_alloc();

	if (element == NULL) {
		e->m->failed = true;
		return;
	}
	nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, (uint32_t)size);
	if (end)
		nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	if (open)
		nftnl_set_elem_set(element, NFTNL_SET_ELEM_USERDATA, no_end, sizeof(no_end));
	element_put(e, element);
}

/* The address behind; false: there is none. */
static bool
key_next(const uint8_t key[16], size_t size, uint8_t next[16])
{
	memcpy(next, key, 16);
	for (size_t i = size; i > 0; i--)
		if (++next[i - 1] != 0)
			return true;
	return false;
}

/* An interval is its first address and an end mark behind its last; what is ahead of all ends too.
 */
static void
intervals(struct element_maker *e, const struct firewall_set *set)
{
	static const uint8_t zero[16];
	size_t size = firewall_key_size(set->key);
	uint8_t next[16];

	if (memcmp(set->elements[0].first, zero, size) != 0)
		element_add(e, zero, size, true, false);
	for (size_t i = 0; i < set->n; i++) {
		bool closed = key_next(set->elements[i].last, size, next);

		element_add(e, set->elements[i].first, size, false, !closed);
		if (closed)
			element_add(e, next, size, true, false);
	}
}

static void
set_messages(struct maker *m, const struct firewall_set *set, uint32_t id)
{
	struct element_maker e = {
	    .m = m, .table = set->table, .set = set->name, .type = NFT_MSG_NEWSETELEM};

	set_message(m, set, id);
	if (set->interval && set->n > 0)
		intervals(&e, set);
	for (size_t i = 0; !set->interval && i < set->n; i++)
		element_add(&e, set->elements[i].first, firewall_key_size(set->key), false, false);
	elements_flush(&e);
}

/* ---- chains and rules ---- */

static void
chain_message(struct maker *m, const char *table, const struct firewall_chain *chain)
{
	struct nlmsghdr *h = message_new(m, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_ACK);
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (c == NULL) {
		m->failed = true;
		return;
	}
	nftnl_chain_set_u32(c, NFTNL_CHAIN_FAMILY, NFPROTO_INET);
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain->name);
	nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, chain->type);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM,
	    chain->hook == FIREWALL_FORWARD ? (uint32_t)NF_INET_FORWARD : NF_INET_PRE_ROUTING);
	nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, chain->priority);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	nftnl_chain_nlmsg_build_payload(h, c);
	nftnl_chain_free(c);
	message_add(m, h);
}

static void
rule_message(struct maker *m, const char *table, const char *chain, const struct firewall_rule *r)
{
	struct nlmsghdr *h =
	    message_new(m, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK);
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (rule == NULL) {
		m->failed = true;
		return;
	}
	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
	m->failed |= !rule_expressions(rule, r);
	nftnl_rule_nlmsg_build_payload(h, rule);
	nftnl_rule_free(rule);
	message_add(m, h);
}

static void
table_messages(struct maker *m, const struct firewall_table *t)
{
	const uint32_t flags = t->owned ? NFT_TABLE_F_OWNER : 0;

	table_remove(m, t->name);
	table_message(m, NFT_MSG_NEWTABLE, t->name, &flags);
	for (size_t i = 0; i < t->n_sets; i++)
		set_messages(m, &t->sets[i], (uint32_t)i + 1);
	for (size_t i = 0; i < t->n_chains; i++) {
		const struct firewall_chain *chain = &t->chains[i];

		chain_message(m, t->name, chain);
		for (size_t k = 0; k < chain->n; k++)
			rule_message(m, t->name, chain->name, &chain->rules[k]);
	}
}

/* ---- flows that stay ---- */

/* False: no memory. */
static bool
keep_count(struct nftnl_set_elem *old, struct nftnl_set_elem *element)
{
	struct count count = {0};
	struct nftnl_expr *e;

	nftnl_set_elem_expr_foreach(old, read_count, &count);
	if (!count.there)
		return true;
	e = nftnl_expr_alloc("counter");
	if (e == NULL)
		return false;
	nftnl_expr_set_u64(e, NFTNL_EXPR_CTR_BYTES, count.octets);
	nftnl_expr_set_u64(e, NFTNL_EXPR_CTR_PACKETS, count.packets);
	nftnl_set_elem_add_expr(element, e);
	return true;
}

/* One element of the kernel's for the rest of its time, counting on. */
static int
keep_element(struct nftnl_set_elem *old, void *arg)
{
	static const uint16_t attributes[] = {NFTNL_SET_ELEM_KEY, NFTNL_SET_ELEM_DATA};
	struct element_maker *e = arg;
	struct nftnl_set_elem *element = nftnl_set_elem_alloc();
	uint64_t left = nftnl_set_elem_is_set(old, NFTNL_SET_ELEM_EXPIRATION)
			    ? nftnl_set_elem_get_u64(old, NFTNL_SET_ELEM_EXPIRATION)
			    : 0;

	for (size_t i = 0; element != NULL && i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		uint32_t n = 0;
		const void *value = nftnl_set_elem_is_set(old, attributes[i])
					? nftnl_set_elem_get(old, attributes[i], &n)
					: NULL;

		if (value != NULL)
			nftnl_set_elem_set(element, attributes[i], value, n);
	}
	if (element != NULL) /* 0 would be for ever */
		nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, left > 0 ? left : 1);
	if (element != NULL && !keep_count(old, element))
		e->m->failed = true;
	element_put(e, element);
	return 0;
}

static void
keep_flows(struct maker *m, const struct firewall_table *t, const struct nlmsghdr *h)
{
	struct element_maker e = {.m = m, .table = t->name, .type = NFT_MSG_NEWSETELEM};
	struct nftnl_set *s = nftnl_set_alloc();

	if (s == NULL || nftnl_set_elems_nlmsg_parse(h, s) < 0) {
		m->failed = true;
		if (s != NULL)
			nftnl_set_free(s);
		return;
	}
	for (size_t i = 0; i < t->n_sets; i++)
		if (t->sets[i].expires &&
		    strcmp(t->sets[i].name, nftnl_set_get_str(s, NFTNL_SET_NAME)) == 0)
			e.set = t->sets[i].name;
	if (e.set != NULL)
		nftnl_set_elem_foreach(s, keep_element, &e);
	elements_flush(&e);
	nftnl_set_free(s);
}

/* ---- batches ---- */

/* For a message's flows, which take no more than twice what they took in it, and for the end. */
static bool
has_room(const struct buf *out, const struct nlmsghdr *flows)
{
	return out->n + 2 * (size_t)flows->nlmsg_len + FOR_THE_END <= out->max;
}

bool
firewall_batch(const struct firewall *f, struct span flows, struct buf *out)
{
	struct maker m;

	if (!maker_begin(&m, out))
		return false;
	for (size_t i = 0; i < f->n_tables; i++)
		table_messages(&m, &f->tables[i]);
	for (size_t at = 0; at < flows.n;) {
		const struct nlmsghdr *h = (const void *)(flows.p + at);

		if (!has_room(out, h))
			break;
		keep_flows(&m, &f->tables[0], h);
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	if (f->n_tables == 1)
		table_remove(&m, FIREWALL_GUARD);
	return maker_end(&m);
}

bool
firewall_guard_batch(const struct firewall *f, struct buf *out)
{
	struct maker m;

	if (!maker_begin(&m, out))
		return false;
	if (f->n_tables > 1)
		table_messages(&m, &f->tables[1]);
	else
		table_remove(&m, FIREWALL_GUARD);
	return maker_end(&m);
}

bool
firewall_remove_batch(const char *table, struct buf *out)
{
	struct maker m;

	if (!maker_begin(&m, out))
		return false;
	table_remove(&m, table);
	return maker_end(&m);
}

/* ---- numbers ---- */

uint32_t
firewall_messages(const struct buf *batch)
{
	uint32_t n = 0;

	for (size_t at = 0; at < batch->n; n++) {
		const struct nlmsghdr *h = (const void *)(batch->p + at);

		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	return n;
}

void
firewall_number(struct buf *batch, uint32_t first)
{
	for (size_t at = 0; at < batch->n;) {
		struct nlmsghdr *h = (void *)(batch->p + at);

		h->nlmsg_seq = first++;
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
}
