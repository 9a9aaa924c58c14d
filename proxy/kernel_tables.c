#include "kernel_tables.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/gen.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

/* Octets of a request: a header and two names. */
#define REQUEST_MAX 512
/* Of a dump that others overtake, after which it is given up for now. */
#define DUMP_TRIES  10

bool
kernel_tables_send(
    struct netlink *nl, struct buf *batch, int *code, char why[KERNEL_TABLES_TEXT_MAX])
{
	uint32_t first = netlink_sequence(nl, firewall_messages(batch));
	char words[FIREWALL_TEXT_MAX];
	struct netlink_error err;

	firewall_number(batch, first);
	if (netlink_batch(nl, batch->p, batch->n, &err))
		return true;
	if (code != NULL)
		*code = err.code;
	firewall_refusal(batch, err.seq == 0 ? first : err.seq, err.code, words);
	snprintf(why, KERNEL_TABLES_TEXT_MAX, "%s: %s", words, err.text);
	return false;
}

/* ---- dumps ---- */

static void
collect(void *arg, const struct nlmsghdr *h)
{
	struct buf *out = arg;
	static const uint8_t padding[NLMSG_ALIGNTO];

	buf_add(out, (struct span){(const uint8_t *)h, h->nlmsg_len});
	buf_add(out, (struct span){padding, NLMSG_ALIGN(h->nlmsg_len) - h->nlmsg_len});
}

static bool
cannot_read(const struct netlink_error *err, char why[KERNEL_TABLES_TEXT_MAX])
{
	const char *reason = "cannot read the firewall's tables";

	if (err->code == EPERM)
		reason = "no privilege to see or set firewall rules: this needs root "
			 "(CAP_NET_ADMIN)";
	else if (err->code == EINVAL || err->code == EOPNOTSUPP)
		reason = "the kernel lacks nftables (module nf_tables)";
	snprintf(why, KERNEL_TABLES_TEXT_MAX, "%s: %s", reason, err->text);
	return false;
}

/* A dump whose failures are told; ENOENT is none: what is not there has no messages. */
static bool
dump(
    struct netlink *nl, struct nlmsghdr *request, struct buf *out, char why[KERNEL_TABLES_TEXT_MAX])
{
	struct netlink_error err;

	if (!netlink_dump(nl, request, collect, out, &err) && err.code != ENOENT)
		return cannot_read(&err, why);
	if (out->failed)
		snprintf(why, KERNEL_TABLES_TEXT_MAX,
		    "cannot read the firewall's tables: too much for %zu octets", out->max);
	return !out->failed;
}

static struct nlmsghdr *
request_new(char request[REQUEST_MAX], uint16_t type)
{
	memset(request, 0, REQUEST_MAX);
	return nftnl_nlmsg_build_hdr(request, type, NFPROTO_INET, 0, 0);
}

/* All tables (or all chains) of the family inet. */
static bool
dump_all(struct netlink *nl, uint16_t type, struct buf *out, char why[KERNEL_TABLES_TEXT_MAX])
{
	char request[REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));

	return dump(nl, request_new(request, type), out, why);
}

static bool
no_memory(char why[KERNEL_TABLES_TEXT_MAX])
{
	snprintf(why, KERNEL_TABLES_TEXT_MAX, "no memory to read the firewall's tables");
	return false;
}

static bool
dump_rules(struct netlink *nl, const char *table, struct buf *out, char why[KERNEL_TABLES_TEXT_MAX])
{
	char request[REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *h = request_new(request, NFT_MSG_GETRULE);
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (rule == NULL)
		return no_memory(why);
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table);
	nftnl_rule_nlmsg_build_payload(h, rule);
	nftnl_rule_free(rule);
	return dump(nl, h, out, why);
}

/* The sets of a table; with a name, that one's elements. */
static bool
dump_sets(struct netlink *nl, const char *table, const char *name, struct buf *out,
    char why[KERNEL_TABLES_TEXT_MAX])
{
	char request[REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *h =
	    request_new(request, name == NULL ? NFT_MSG_GETSET : NFT_MSG_GETSETELEM);
	struct nftnl_set *set = nftnl_set_alloc();

	if (set == NULL)
		return no_memory(why);
	nftnl_set_set_str(set, NFTNL_SET_TABLE, table);
	if (name != NULL)
		nftnl_set_set_str(set, NFTNL_SET_NAME, name);
	nftnl_set_nlmsg_build_payload(h, set);
	nftnl_set_free(set);
	return dump(nl, h, out, why);
}

/*
 * What comes and goes with every transfer is nothing to compare, may be 100,000 elements, and
 * nobody but the owner can change it.
 */
static bool
dump_table(struct netlink *nl, const struct firewall_table *t, struct buf *out,
    char why[KERNEL_TABLES_TEXT_MAX])
{
	if (!dump_rules(nl, t->name, out, why) || !dump_sets(nl, t->name, NULL, out, why))
		return false;
	for (size_t i = 0; i < t->n_sets; i++)
		if (!t->sets[i].expires && !dump_sets(nl, t->name, t->sets[i].name, out, why))
			return false;
	return true;
}

static bool
dump_once(
    struct netlink *nl, const struct firewall *f, struct buf *out, char why[KERNEL_TABLES_TEXT_MAX])
{
	if (!dump_all(nl, NFT_MSG_GETTABLE, out, why) || !dump_all(nl, NFT_MSG_GETCHAIN, out, why))
		return false;
	for (size_t i = 0; i < f->n_tables; i++)
		if (!dump_table(nl, &f->tables[i], out, why))
			return false;
	return true;
}

static void
read_generation(void *arg, const struct nlmsghdr *h)
{
	struct nftnl_gen *gen = nftnl_gen_alloc();
	uint32_t *generation = arg;

	if (gen != NULL && nftnl_gen_nlmsg_parse(h, gen) >= 0)
		*generation = nftnl_gen_get_u32(gen, NFTNL_GEN_ID);
	nftnl_gen_free(gen);
}

bool
kernel_tables_generation(struct netlink *nl, uint32_t *generation, char why[KERNEL_TABLES_TEXT_MAX])
{
	char request[REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct netlink_error err;

	*generation = 0;
	return netlink_request(
		   nl, request_new(request, NFT_MSG_GETGEN), read_generation, generation, &err) ||
	       cannot_read(&err, why);
}

bool
kernel_tables_dump(struct netlink *nl, const struct firewall *f, struct buf *out,
    uint32_t *generation, char why[KERNEL_TABLES_TEXT_MAX])
{
	uint32_t before;

	for (unsigned i = 0; i < DUMP_TRIES; i++) {
		buf_clear(out);
		if (!kernel_tables_generation(nl, &before, why) || !dump_once(nl, f, out, why) ||
		    !kernel_tables_generation(nl, generation, why))
			return false;
		if (before == *generation)
			return true;
	}
	snprintf(why, KERNEL_TABLES_TEXT_MAX,
	    "cannot read the firewall's tables: somebody changes tables all the time");
	return false;
}

bool
kernel_tables_flows(struct netlink *nl, struct buf *out, char why[KERNEL_TABLES_TEXT_MAX])
{
	static const char *const names[] = {
	    "data4", "data6", "passed4", "passed6", "replies4", "replies6"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!dump_sets(nl, FIREWALL_TABLE, names[i], out, why))
			return false;
	return true;
}

static void
read_counted(void *arg, const struct nlmsghdr *h)
{
	firewall_flow_counted(h, arg);
}

bool
kernel_tables_count(struct netlink *nl, enum firewall_flows flows, const struct firewall_flow *flow,
    uint64_t *octets, char why[KERNEL_TABLES_TEXT_MAX])
{
	uint8_t request[FIREWALL_REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *h = firewall_flow_request(flows, flow, request);
	struct netlink_error err;

	*octets = 0;
	if (h == NULL)
		return no_memory(why);
	if (netlink_request(nl, h, read_counted, octets, &err))
		return true;
	snprintf(why, KERNEL_TABLES_TEXT_MAX, "cannot read what was counted: %s", err.text);
	return false;
}

static void
read_present(struct kernel_tables_present *present, const struct nlmsghdr *h)
{
	struct nftnl_table *t = nftnl_table_alloc();
	const char *name;

	if (t != NULL && nftnl_table_nlmsg_parse(h, t) >= 0) {
		name = nftnl_table_get_str(t, NFTNL_TABLE_NAME);
		if (strcmp(name, FIREWALL_GUARD) == 0)
			present->guard = true;
		else if (strcmp(name, FIREWALL_TABLE) == 0)
			present->owned =
			    nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_OWNER;
	}
	if (t != NULL)
		nftnl_table_free(t);
}

bool
kernel_tables_present(
    struct netlink *nl, struct kernel_tables_present *present, char why[KERNEL_TABLES_TEXT_MAX])
{
	struct buf tables;
	bool read;

	*present = (struct kernel_tables_present){0};
	buf_init(&tables, NETLINK_DUMP_MAX);
	read = dump_all(nl, NFT_MSG_GETTABLE, &tables, why);
	for (size_t at = 0; read && at < tables.n;) {
		const struct nlmsghdr *h = (const void *)(tables.p + at);

		read_present(present, h);
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	buf_free(&tables);
	return read;
}
