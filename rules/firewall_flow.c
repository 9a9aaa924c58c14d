#include "firewall_message.h"

#include <arpa/inet.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

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

int
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
