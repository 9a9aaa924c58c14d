#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "firewall_nftnl.h"

static const struct nlmsghdr *
message_find(const struct buf *batch, uint32_t seq)
{
	for (size_t at = 0; at < batch->n;) {
		const struct nlmsghdr *h = (const void *)(batch->p + at);

		if (h->nlmsg_seq == seq)
			return h;
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	return NULL;
}

/* Expressions that not every kernel has, each with its module. */
static const struct {
	const char *name, *words;
} optional[] = {
    {"tproxy", "the tproxy expression (module nft_tproxy)"},
    {"socket", "the socket expression (module nft_socket)"},
    {"fib", "the fib expression (modules nft_fib_inet, nft_fib_ipv4, nft_fib_ipv6)"},
    {"reject", "reject in prerouting (module nft_reject_inet)"},
    {"redir", "the redirect expression (module nft_redir)"},
    {"ct", "the ct expression (module nft_ct)"},
};

struct wanted {
	struct buf *out;
	unsigned n;
};

static int
want_expression(struct nftnl_expr *e, void *arg)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	struct wanted *w = arg;

	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (strcmp(name, optional[i].name) == 0) {
			buf_str(w->out, w->n++ > 0 ? " or " : "");
			buf_str(w->out, optional[i].words);
		}
	return 0;
}

static void
rule_refused(struct buf *out, const struct nlmsghdr *h)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	struct wanted wanted = {.out = out};

	buf_str(out, "the kernel lacks ");
	if (r != NULL && nftnl_rule_nlmsg_parse(h, r) >= 0)
		nftnl_expr_foreach(r, want_expression, &wanted);
	if (wanted.n == 0)
		buf_str(out, "an expression of nftables");
	if (r != NULL)
		nftnl_rule_free(r);
}

static void
chain_refused(struct buf *out, const struct nlmsghdr *h)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	const char *type = NULL;

	if (c != NULL && nftnl_chain_nlmsg_parse(h, c) >= 0)
		type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
	buf_str(out, "the kernel lacks chains of type ");
	buf_str(out, type != NULL ? type : "filter");
	buf_str(out, type != NULL && strcmp(type, "nat") == 0
			 ? " in inet tables (module nft_chain_nat)"
			 : " in inet tables (module nf_tables)");
	if (c != NULL)
		nftnl_chain_free(c);
}

static void
table_refused(struct buf *out, const struct nlmsghdr *h, int code)
{
	struct nftnl_table *t = nftnl_table_alloc();
	const char *name = NULL;

	if (t != NULL && nftnl_table_nlmsg_parse(h, t) >= 0)
		name = nftnl_table_get_str(t, NFTNL_TABLE_NAME);
	if (code == EPERM) {
		buf_str(out, "table inet ");
		buf_str(out, name != NULL ? name : FIREWALL_TABLE);
		buf_str(out, " belongs to another process: another postern runs here");
	} else {
		buf_str(out, "the kernel lacks tables with an owner (Linux 5.12 has them)");
	}
	if (t != NULL)
		nftnl_table_free(t);
}

static void
begin_refused(struct buf *out, int code)
{
	if (code == EPERM)
		buf_str(out, "no privilege to set firewall rules: this needs root (CAP_NET_ADMIN)");
	else if (code == EOPNOTSUPP || code == EINVAL || code == EPROTONOSUPPORT)
		buf_str(out, "the kernel lacks nftables (module nf_tables)");
	else
		buf_str(out, "the kernel did not take the firewall rules as a whole");
}

const char *
firewall_refusal(const struct buf *batch, uint32_t seq, int code, char text[FIREWALL_TEXT_MAX])
{
	const struct nlmsghdr *h = message_find(batch, seq);
	unsigned type = h == NULL ? NFT_MSG_MAX : NFNL_MSG_TYPE(h->nlmsg_type);
	bool missing = code == ENOENT || code == EOPNOTSUPP;
	struct buf out;

	buf_init(&out, FIREWALL_TEXT_MAX - 1);
	if (h == NULL || h->nlmsg_type == NFNL_MSG_BATCH_BEGIN)
		begin_refused(&out, code);
	else if ((type == NFT_MSG_NEWTABLE || type == NFT_MSG_DELTABLE) &&
		 (code == EPERM || missing))
		table_refused(&out, h, code);
	else if (type == NFT_MSG_NEWCHAIN && missing)
		chain_refused(&out, h);
	else if (type == NFT_MSG_NEWRULE && missing)
		rule_refused(&out, h);
	else if (type == NFT_MSG_NEWSETELEM || type == NFT_MSG_DELSETELEM)
		buf_str(&out, "the kernel did not take an element of a set");
	else
		buf_str(&out, "the kernel did not take a table, set, chain or rule");
	if (out.n > 0)
		memcpy(text, out.p, out.n);
	text[out.n] = '\0';
	buf_free(&out);
	return text;
}
