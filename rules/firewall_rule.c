#include "firewall_message.h"

#include <arpa/inet.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

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
	case FIREWALL_IS_NOT_PORT:
		load_port(r, false, NFT_REG_1);
		lookup(r, t->set, NFT_REG_1, 0, t->kind == FIREWALL_IS_NOT_PORT);
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
	case FIREWALL_DROP:
		verdict(r, NF_DROP);
		break;
	case FIREWALL_RETURN:
		verdict(r, NFT_RETURN);
		break;
	case FIREWALL_ACCEPT:
		verdict(r, NF_ACCEPT);
		break;
	}
}

bool
rule_expressions(struct nftnl_rule *rule, const struct firewall_rule *r)
{
	struct rule_maker maker = {.rule = rule};

	for (size_t i = 0; i < r->n; i++)
		if (r->terms[i].kind < FIREWALL_MARK)
			condition(&maker, &r->terms[i]);
		else
			action(&maker, &r->terms[i]);
	return !maker.failed;
}
