#include "firewall_nftnl.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

/*
 * The largest message: a rule of FIREWALL_TERMS_MAX terms takes some 1,500 octets, an element at
 * most 120, and a list of them must stay below 65,536.
 */
#define MESSAGE_MAX	     65536
#define ELEMENTS_PER_MESSAGE 400
#define FOR_THE_END	     1024 /* octets of a batch behind its flows */

/* A batch while it is made. The library writes one message at a time, which is then appended. */
struct maker {
	struct buf *out;
	uint8_t *message; /* MESSAGE_MAX octets */
	bool failed;
};

static bool
maker_begin(struct maker *m, struct buf *out)
{
	*m = (struct maker){.out = out, .message = malloc(MESSAGE_MAX)};
	if (m->message == NULL)
		return false;
	const struct nlmsghdr *h = (void *)nftnl_batch_begin((char *)m->message, 0);
	buf_add(out, (struct span){m->message, h->nlmsg_len});
	return true;
}

static struct nlmsghdr *
message_new(struct maker *m, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr((char *)m->message, type, NFPROTO_INET, flags, 0);
}

static void
message_add(struct maker *m, const struct nlmsghdr *h)
{
	buf_add(m->out, (struct span){m->message, NLMSG_ALIGN(h->nlmsg_len)});
}

/* Every message asks for an answer: the sender need not care which one is the last. */
static bool
maker_end(struct maker *m)
{
	const struct nlmsghdr *h = (void *)nftnl_batch_end((char *)m->message, 0);

	buf_add(m->out, (struct span){m->message, h->nlmsg_len});
	free(m->message);
	return !m->failed && !m->out->failed;
}

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

static struct nftnl_set *
set_named(const char *table, const char *name)
{
	struct nftnl_set *s = nftnl_set_alloc();

	if (s == NULL)
		return NULL;
	nftnl_set_set_str(s, NFTNL_SET_TABLE, table);
	nftnl_set_set_str(s, NFTNL_SET_NAME, name);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	return s;
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

/*
 * Elements of one set, as many to a message as fit. The library numbers the elements of a list that
 * it writes as a whole, and then cannot read it; so each is written with the kernel's number.
 */
struct element_maker {
	struct maker *m;
	const char *table, *set;
	uint16_t type;	     /* NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM */
	bool fresh;	     /* one that is there already is refused */
	struct nlmsghdr *h;  /* the message that is being made; NULL: none */
	struct nlattr *list; /* in it */
	unsigned n;
};

static void
elements_flush(struct element_maker *e)
{
	if (e->h == NULL)
		return;
	mnl_attr_nest_end(e->h, e->list);
	message_add(e->m, e->h);
	e->h = NULL;
	e->n = 0;
}

static void
elements_begin(struct element_maker *e)
{
	uint16_t create = e->type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;
	uint16_t fresh = e->fresh ? NLM_F_EXCL : 0;
	struct nftnl_set *s = set_named(e->table, e->set);

	if (s == NULL)
		return;
	e->h = message_new(e->m, e->type, create | fresh | NLM_F_ACK);
	nftnl_set_elems_nlmsg_build_payload(e->h, s);
	nftnl_set_free(s);
	e->list = mnl_attr_nest_start(e->h, NFTA_SET_ELEM_LIST_ELEMENTS);
}

/* Takes the element; NULL: there was no memory for it. */
static void
element_put(struct element_maker *e, struct nftnl_set_elem *element)
{
	if (e->h == NULL && element != NULL)
		elements_begin(e);
	if (e->h == NULL || element == NULL) {
		e->m->failed = true;
		if (element != NULL)
			nftnl_set_elem_free(element);
		return;
	}
	nftnl_set_elem_nlmsg_build(e->h, element, NFTA_LIST_ELEM);
	nftnl_set_elem_free(element);
	if (++e->n == ELEMENTS_PER_MESSAGE)
		elements_flush(e);
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

/* ---- expressions ---- */

/*
 * Registers as nft chooses them: what is asked or set is in NFT_REG_1, a second value in NFT_REG_2.
 * A key of several parts lies in 32-bit registers from there on.
 */
#define REG_PARTS(reg) ((uint32_t)NFT_REG32_00 + 4 * ((reg)-NFT_REG_1))

struct rule_maker {
	struct nftnl_rule *rule;
	bool failed;
};

static struct nftnl_expr *
expr_add(struct rule_maker *r, const char *name)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (e == NULL)
		r->failed = true;
	else
		nftnl_rule_add_expr(r->rule, e);
	return e;
}

static void
load_meta(struct rule_maker *r, uint32_t key)
{
	struct nftnl_expr *e = expr_add(r, "meta");

	if (e == NULL)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void
load_payload(struct rule_maker *r, uint32_t base, uint32_t offset, uint32_t size, uint32_t reg)
{
	struct nftnl_expr *e = expr_add(r, "payload");

	if (e == NULL)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, reg);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, size);
}

static void
compare(struct rule_maker *r, uint32_t op, const void *data, uint32_t size)
{
	struct nftnl_expr *e = expr_add(r, "cmp");

	if (e == NULL)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, size);
}

static void
compare_octet(struct rule_maker *r, uint32_t op, uint8_t octet)
{
	compare(r, op, &octet, sizeof(octet));
}

static void
compare_port(struct rule_maker *r, uint32_t op, uint32_t port)
{
	uint16_t wire = htons((uint16_t)port);

	compare(r, op, &wire, sizeof(wire));
}

static void
bitwise(struct rule_maker *r, const void *mask, const void *flip, uint32_t size)
{
	struct nftnl_expr *e = expr_add(r, "bitwise");

	if (e == NULL)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, size);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, size);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, flip, size);
}

static void
tcp_flags(struct rule_maker *r, uint8_t mask, uint32_t op, uint8_t value)
{
	const uint8_t none = 0;

	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, NFT_REG_1);
	bitwise(r, &mask, &none, 1);
	compare_octet(r, op, value);
}

/* reg: of the key; to: where a map puts its value, 0: a set */
static void
lookup(struct rule_maker *r, const struct firewall_set *set, uint32_t reg, uint32_t to, bool not )
{
	struct nftnl_expr *e = expr_add(r, "lookup");

	if (e == NULL)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, reg);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set->name);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, not ? NFT_LOOKUP_F_INV : 0);
	if (to != 0)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, to);
}

static void
load_address(struct rule_maker *r, uint32_t family, bool destination, uint32_t reg)
{
	uint32_t size = family == 4 ? 4 : 16;
	uint32_t source = family == 4 ? 12 : 8; /* RFC 791 s3.1, RFC 8200 s3 */

	load_payload(
	    r, NFT_PAYLOAD_NETWORK_HEADER, destination ? source + size : source, size, reg);
}

/* Of the destination, or of the source: RFC 9293 s3.1 */
static void
load_port(struct rule_maker *r, bool source, uint32_t reg)
{
	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, source ? 0 : 2, 2, reg);
}

/*
 * The key of a connection from reg on, which is NFT_REG_1 or NFT_REG_2. back: of a packet that
 * comes from its server.
 */
static void
load_flow(struct rule_maker *r, uint32_t family, bool back, uint32_t reg)
{
	load_address(r, family, back, reg);
	if (family == 4) {
		load_address(r, family, !back, REG_PARTS(reg) + 1);
		load_port(r, back, REG_PARTS(reg) + 2);
	} else {
		load_address(r, family, !back, reg + 1);
		load_port(r, back, reg + 2);
	}
}

/* What a packet's connection was ahead of translation. */
static void
load_asked_part(struct rule_maker *r, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e = expr_add(r, "ct");

	if (e == NULL)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, IP_CT_DIR_ORIGINAL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, reg);
}

/* As load_flow(), the destination and its port as they were asked for. */
static void
load_asked(struct rule_maker *r, uint32_t family, uint32_t reg)
{
	load_address(r, family, false, reg);
	if (family == 4) {
		load_asked_part(r, NFT_CT_DST_IP, REG_PARTS(reg) + 1);
		load_asked_part(r, NFT_CT_PROTO_DST, REG_PARTS(reg) + 2);
	} else {
		load_asked_part(r, NFT_CT_DST_IP6, reg + 1);
		load_asked_part(r, NFT_CT_PROTO_DST, reg + 2);
	}
}

static void
immediate(struct rule_maker *r, uint32_t reg, const void *data, uint32_t size)
{
	struct nftnl_expr *e = expr_add(r, "immediate");

	if (e == NULL)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, reg);
	nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, data, size);
}

static void
verdict(struct rule_maker *r, int code)
{
	struct nftnl_expr *e = expr_add(r, "immediate");

	if (e == NULL)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
}

/* A value of one octet or more that is loaded by an expression of its own. */
static struct nftnl_expr *
load_other(struct rule_maker *r, const char *name, uint16_t key_attribute, uint32_t key,
    uint16_t reg_attribute)
{
	struct nftnl_expr *e = expr_add(r, name);

	if (e == NULL)
		return NULL;
	nftnl_expr_set_u32(e, key_attribute, key);
	nftnl_expr_set_u32(e, reg_attribute, NFT_REG_1);
	return e;
}

static void
is_local(struct rule_maker *r)
{
	const uint32_t local = RTN_LOCAL;
	struct nftnl_expr *e = load_other(
	    r, "fib", NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE, NFTNL_EXPR_FIB_DREG);

	if (e != NULL)
		nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
	compare(r, NFT_CMP_EQ, &local, sizeof(local));
}

static void
is_translated(struct rule_maker *r)
{
	const uint32_t dnat = IPS_DST_NAT, none = 0;

	load_other(r, "ct", NFTNL_EXPR_CT_KEY, NFT_CT_STATUS, NFTNL_EXPR_CT_DREG);
	bitwise(r, &dnat, &none, sizeof(dnat));
	compare(r, NFT_CMP_EQ, &dnat, sizeof(dnat));
}

static void
is_from_device(struct rule_maker *r, const struct firewall_term *t)
{
	static const char lo[FIREWALL_DEVICE_MAX] = "lo";

	load_meta(r, NFT_META_IIFNAME);
	if (t->kind == FIREWALL_IS_LOOPBACK)
		compare(r, NFT_CMP_EQ, lo, sizeof(lo));
	else
		lookup(r, t->set, NFT_REG_1, 0, true);
}

static void
is_not_marked(struct rule_maker *r, uint32_t mask, uint32_t mark)
{
	const uint32_t none = 0;

	load_meta(r, NFT_META_MARK);
	bitwise(r, &mask, &none, sizeof(mask));
	compare(r, NFT_CMP_NEQ, &mark, sizeof(mark));
}

static void
set_mark(struct rule_maker *r, uint32_t mask, uint32_t mark)
{
	uint32_t others = ~mask;
	struct nftnl_expr *e;

	load_meta(r, NFT_META_MARK);
	bitwise(r, &others, &mark, sizeof(mark));
	e = expr_add(r, "meta");
	if (e == NULL)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

static void
tproxy(struct rule_maker *r, const struct firewall_term *t)
{
	static const uint8_t loopback4[4] = {127, 0, 0, 1};
	static const uint8_t loopback6[16] = {[15] = 1};
	uint16_t port = htons((uint16_t)t->b);
	struct nftnl_expr *e;

	if (t->a == 4)
		immediate(r, NFT_REG_1, loopback4, sizeof(loopback4));
	else
		immediate(r, NFT_REG_1, loopback6, sizeof(loopback6));
	if (t->kind == FIREWALL_TO_MAPPED)
		load_flow(r, t->a, false, NFT_REG_2);
	else if (t->kind == FIREWALL_TO_ASKED)
		load_asked(r, t->a, NFT_REG_2);
	if (t->kind == FIREWALL_TO_SOCKET)
		immediate(r, NFT_REG_2, &port, sizeof(port));
	else
		lookup(r, t->set, NFT_REG_2, NFT_REG_2, false);
	e = expr_add(r, "tproxy");
	if (e == NULL)
		return;
	nftnl_expr_set_u32(
	    e, NFTNL_EXPR_TPROXY_FAMILY, t->a == 4 ? (uint32_t)NFPROTO_IPV4 : NFPROTO_IPV6);
	nftnl_expr_set_u32(e, NFTNL_EXPR_TPROXY_REG_ADDR, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_TPROXY_REG_PORT, NFT_REG_2);
}

static void
redirect(struct rule_maker *r, const struct firewall_term *t)
{
	uint16_t port = htons((uint16_t)t->a);
	struct nftnl_expr *e;

	if (t->kind == FIREWALL_REDIRECT_MAPPED) {
		load_flow(r, t->a, false, NFT_REG_1);
		lookup(r, t->set, NFT_REG_1, NFT_REG_1, false);
	} else {
		immediate(r, NFT_REG_1, &port, sizeof(port));
	}
	e = expr_add(r, "redir");
	if (e == NULL)
		return;
	/* the kernel takes the first for both and says both */
	nftnl_expr_set_u32(e, NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_REDIR_REG_PROTO_MAX, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
}

static void
reset(struct rule_maker *r)
{
	struct nftnl_expr *e = expr_add(r, "reject");

	if (e != NULL)
		nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
}

/* RFC 9293 s3.1 */
enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_ACK = 0x10,
};

static void
condition(struct rule_maker *r, const struct firewall_term *t)
{
	switch ((int)t->kind) {
	case FIREWALL_IS_IP:
		load_meta(r, NFT_META_NFPROTO);
		compare_octet(r, NFT_CMP_EQ, t->a == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
		break;
	case FIREWALL_IS_PROTOCOL:
		load_meta(r, NFT_META_L4PROTO);
		compare_octet(r, NFT_CMP_EQ, (uint8_t)t->a);
		break;
	case FIREWALL_IS_OPENING:
		tcp_flags(r, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK, NFT_CMP_EQ, TCP_SYN);
		break;
	case FIREWALL_IS_NOT_SYN:
		tcp_flags(r, TCP_SYN | TCP_ACK, NFT_CMP_NEQ, TCP_SYN);
		break;
	case FIREWALL_IS_TRANSPARENT:
		load_other(r, "socket", NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_TRANSPARENT,
		    NFTNL_EXPR_SOCKET_DREG);
		compare_octet(r, NFT_CMP_EQ, 1);
		break;
	case FIREWALL_IS_LOOPBACK:
	case FIREWALL_IS_NOT_DEVICE:
		is_from_device(r, t);
		break;
	case FIREWALL_IS_SOURCE:
	case FIREWALL_IS_DESTINATION:
		load_address(r, t->a, t->kind == FIREWALL_IS_DESTINATION, NFT_REG_1);
		lookup(r, t->set, NFT_REG_1, 0, false);
		break;
	case FIREWALL_IS_PORT:
		load_port(r, false, NFT_REG_1);
		lookup(r, t->set, NFT_REG_1, 0, false);
		break;
	case FIREWALL_IS_FLOW:
	case FIREWALL_IS_REPLY:
		load_flow(r, t->a, t->kind == FIREWALL_IS_REPLY, NFT_REG_1);
		lookup(r, t->set, NFT_REG_1, 0, false);
		break;
	case FIREWALL_IS_LOCAL:
		is_local(r);
		break;
	case FIREWALL_IS_TRANSLATED:
		is_translated(r);
		break;
	case FIREWALL_IS_TO:
		load_port(r, false, NFT_REG_1);
		compare_port(r, NFT_CMP_GTE, t->a);
		compare_port(r, NFT_CMP_LTE, t->b);
		break;
	case FIREWALL_IS_NOT_MARKED:
		is_not_marked(r, t->a, t->b);
		break;
	}
}

static void
action(struct rule_maker *r, const struct firewall_term *t)
{
	switch ((int)t->kind) {
	case FIREWALL_MARK:
		set_mark(r, t->a, t->b);
		break;
	case FIREWALL_TO_SOCKET:
	case FIREWALL_TO_MAPPED:
	case FIREWALL_TO_ASKED:
		tproxy(r, t);
		break;
	case FIREWALL_REDIRECT_TO:
	case FIREWALL_REDIRECT_MAPPED:
		redirect(r, t);
		break;
	case FIREWALL_RESET:
		reset(r);
		break;
	case FIREWALL_RETURN:
		verdict(r, NFT_RETURN);
		break;
	case FIREWALL_ACCEPT:
		verdict(r, NF_ACCEPT);
		break;
	}
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
	struct rule_maker maker = {.rule = nftnl_rule_alloc()};

	if (maker.rule == NULL) {
		m->failed = true;
		return;
	}
	nftnl_rule_set_u32(maker.rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nftnl_rule_set_str(maker.rule, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(maker.rule, NFTNL_RULE_CHAIN, chain);
	for (size_t i = 0; i < r->n; i++)
		if (r->terms[i].kind < FIREWALL_MARK)
			condition(&maker, &r->terms[i]);
		else
			action(&maker, &r->terms[i]);
	nftnl_rule_nlmsg_build_payload(h, maker.rule);
	nftnl_rule_free(maker.rule);
	m->failed |= maker.failed;
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

/* What an element of the kernel's has counted so far. */
struct count {
	uint64_t octets, packets;
	bool there;
};

static int
read_count(struct nftnl_expr *e, void *arg)
{
	struct count *c = arg;

	if (strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), "counter") != 0)
		return 0;
	*c = (struct count){.octets = nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_BYTES),
	    .packets = nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_PACKETS),
	    .there = true};
	return 0;
}

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
	return out->n + 2 * (size_t)flows->nlmsg_len + FOR_THE_END <= FIREWALL_BATCH_MAX;
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

/* ---- single flows ---- */

/* Each part begins at a multiple of four octets. Returns the octets of the key; 0: no such flow. */
static uint32_t
flow_key(const struct firewall_flow *f, uint8_t key[FIREWALL_KEY_MAX])
{
	size_t size = f->source.family == IP_V4 ? 4 : 16;
	uint16_t port = htons(f->port);

	if (f->source.family == IP_NONE || f->source.family != f->destination.family)
		return 0;
	memset(key, 0, FIREWALL_KEY_MAX);
	memcpy(key, f->source.octets, size);
	memcpy(key + size, f->destination.octets, size);
	memcpy(key + 2 * size, &port, sizeof(port));
	return (uint32_t)(2 * size + 4);
}

static const char *
flow_set(enum firewall_flows flows, const struct firewall_flow *f)
{
	static const char *const names[][2] = {[FIREWALL_DATA] = {"data4", "data6"},
	    [FIREWALL_PASSED] = {"passed4", "passed6"},
	    [FIREWALL_REPLIES] = {"replies4", "replies6"}};

	return names[flows][f->source.family == IP_V4 ? 0 : 1];
}

/* NULL: no memory, or no such flow. */
static struct nftnl_set_elem *
flow_element(const struct firewall_flow *f)
{
	uint8_t key[FIREWALL_KEY_MAX];
	uint32_t size = flow_key(f, key);
	struct nftnl_set_elem *element = size > 0 ? nftnl_set_elem_alloc() : NULL;

	if (element != NULL)
		nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, size);
	return element;
}

static void
flow_delete(struct maker *m, enum firewall_flows flows, const struct firewall_flow *f)
{
	struct element_maker e = {
	    .m = m, .table = FIREWALL_TABLE, .set = flow_set(flows, f), .type = NFT_MSG_DELSETELEM};

	element_put(&e, flow_element(f));
	elements_flush(&e);
}

static void
flow_add(struct maker *m, enum firewall_flows flows, const struct firewall_flow *f, uint16_t port,
    unsigned seconds)
{
	struct element_maker e = {.m = m,
	    .table = FIREWALL_TABLE,
	    .set = flow_set(flows, f),
	    .type = NFT_MSG_NEWSETELEM,
	    .fresh = true};
	struct nftnl_set_elem *element = flow_element(f);
	uint16_t wire = htons(port);

	if (element != NULL)
		nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, UINT64_C(1000) * seconds);
	if (element != NULL && flows == FIREWALL_DATA)
		nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, &wire, sizeof(wire));
	element_put(&e, element);
	elements_flush(&e);
}

bool
firewall_flow_add_batch(enum firewall_flows flows, const struct firewall_flow *f, uint16_t port,
    unsigned seconds, bool anew, struct buf *out)
{
	struct maker m;

	if (!maker_begin(&m, out))
		return false;
	if (anew)
		flow_delete(&m, flows, f);
	flow_add(&m, flows, f, port, seconds);
	if (anew && flows == FIREWALL_PASSED)
		flow_delete(&m, FIREWALL_REPLIES, f);
	if (flows == FIREWALL_PASSED)
		flow_add(&m, FIREWALL_REPLIES, f, port, seconds);
	return maker_end(&m);
}

bool
firewall_flow_delete_batch(
    enum firewall_flows flows, const struct firewall_flow *f, struct buf *out)
{
	struct maker m;

	if (!maker_begin(&m, out))
		return false;
	flow_delete(&m, flows, f);
	return maker_end(&m);
}

/* ---- what was counted ---- */

struct nlmsghdr *
firewall_flow_request(
    enum firewall_flows flows, const struct firewall_flow *f, uint8_t request[FIREWALL_REQUEST_MAX])
{
	struct nftnl_set *s = set_named(FIREWALL_TABLE, flow_set(flows, f));
	struct nftnl_set_elem *element = s == NULL ? NULL : flow_element(f);
	struct nlmsghdr *h = NULL;

	if (element != NULL) {
		memset(request, 0, FIREWALL_REQUEST_MAX);
		h = nftnl_nlmsg_build_hdr((char *)request, NFT_MSG_GETSETELEM, NFPROTO_INET, 0, 0);
		nftnl_set_elem_add(s, element); /* goes with the set */
		nftnl_set_elems_nlmsg_build_payload(h, s);
	}
	if (s != NULL)
		nftnl_set_free(s);
	return h;
}

static int
read_element_count(struct nftnl_set_elem *element, void *arg)
{
	nftnl_set_elem_expr_foreach(element, read_count, arg);
	return 0;
}

bool
firewall_flow_counted(const struct nlmsghdr *h, uint64_t *octets)
{
	struct nftnl_set *s = nftnl_set_alloc();
	struct count count = {0};

	if (s != NULL && nftnl_set_elems_nlmsg_parse(h, s) >= 0)
		nftnl_set_elem_foreach(s, read_element_count, &count);
	if (s != NULL)
		nftnl_set_free(s);
	*octets = count.octets;
	return count.there;
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
