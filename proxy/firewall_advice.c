#include "firewall_advice.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/xt_mark.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firewall.h"
#include "netlink.h"
#include "printable.h"

#define REQUEST_MAX 256

/* How a chain was come to: by packets of all kinds, or by a rule that had tested the mark. */
enum way {
	WAY_ANY = 1,
	WAY_MARKED = 2,
};

struct chain {
	struct nftnl_chain *nft; /* with its rules */
	unsigned ways;		 /* of enum way, by which the search has been here */
};

struct search {
	const struct firewall_marks *marks;
	firewall_advice_line *line;
	void *arg;
	struct chain *chains;
	size_t n, max;
	size_t last; /* the chain of the last rule, as rules come chain by chain */
	size_t
	    *todo; /* of the walk: chains with a way that was not followed yet, n at most twice */
	bool out_of_room;
};

/* ---- saying ---- */

static void __attribute__((format(printf, 2, 3)))
say(const struct search *s, const char *format, ...)
{
	char text[FIREWALL_ADVICE_LINE_MAX];
	struct buf out;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	/* names of tables may hold anything */
	buf_init(&out, 4 * sizeof(text));
	printable(span_str(text), FIREWALL_ADVICE_LINE_MAX - 1, &out);
	buf_octet(&out, '\0');
	if (!out.failed)
		s->line(s->arg, (const char *)out.p);
	buf_free(&out);
}

static const char *
family_name(uint32_t family)
{
	return family == NFPROTO_IPV4 ? "ip" : family == NFPROTO_IPV6 ? "ip6" : "inet";
}

/* ---- reading all chains and their rules ---- */

static bool
is_ours(const char *table)
{
	return strcmp(table, FIREWALL_TABLE) == 0 || strcmp(table, FIREWALL_GUARD) == 0;
}

static bool
is_ip(uint32_t family)
{
	return family == NFPROTO_INET || family == NFPROTO_IPV4 || family == NFPROTO_IPV6;
}

static bool
keep_chain(struct search *s, struct nftnl_chain *c)
{
	if (s->n == s->max) {
		size_t max = s->max == 0 ? 64 : 2 * s->max;
		struct chain *more = NULL;
		if (max <= 2 * (size_t)FIREWALL_ADVICE_CHAINS_MAX)
			more = reallocarray(s->chains, max, sizeof(*more));
		if (more == NULL)
			return false;
		s->chains = more;
		s->max = max;
	}
	s->chains[s->n++] = (struct chain){.nft = c};
	return true;
}

static void
on_chain(void *arg, const struct nlmsghdr *m)
{
	struct search *s = arg;
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (c == NULL || nftnl_chain_nlmsg_parse(m, c) < 0 ||
	    !is_ip(nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY)) ||
	    is_ours(nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE))) {
		if (c != NULL)
			nftnl_chain_free(c);
		return;
	}
	if (!keep_chain(s, c)) {
		s->out_of_room = true;
		nftnl_chain_free(c);
	}
}

static bool
is_chain(const struct chain *c, uint32_t family, const char *table, const char *name)
{
	return nftnl_chain_get_u32(c->nft, NFTNL_CHAIN_FAMILY) == family &&
	       strcmp(nftnl_chain_get_str(c->nft, NFTNL_CHAIN_NAME), name) == 0 &&
	       strcmp(nftnl_chain_get_str(c->nft, NFTNL_CHAIN_TABLE), table) == 0;
}

/* s->n: there is none. */
static size_t
find_chain(const struct search *s, uint32_t family, const char *table, const char *name)
{
	size_t i = 0;

	if (s->last < s->n && is_chain(&s->chains[s->last], family, table, name))
		return s->last;
	while (i < s->n && !is_chain(&s->chains[i], family, table, name))
		i++;
	return i;
}

static void
on_rule(void *arg, const struct nlmsghdr *m)
{
	struct search *s = arg;
	struct nftnl_rule *r = nftnl_rule_alloc();
	size_t at;

	if (r == NULL)
		return;
	/* a rule with an expression that the library does not know tests something: not our mark */
	if (nftnl_rule_nlmsg_parse(m, r) < 0 ||
	    (at = find_chain(s, nftnl_rule_get_u32(r, NFTNL_RULE_FAMILY),
		 nftnl_rule_get_str(r, NFTNL_RULE_TABLE),
		 nftnl_rule_get_str(r, NFTNL_RULE_CHAIN))) == s->n) {
		nftnl_rule_free(r);
		return;
	}
	s->last = at;
	nftnl_chain_rule_add_tail(r, s->chains[at].nft);
}

static bool
dump(struct netlink *nl, uint16_t type, netlink_message *each, struct search *s,
    struct netlink_error *err)
{
	_Alignas(struct nlmsghdr) char room[REQUEST_MAX];
	struct nlmsghdr *m = nftnl_nlmsg_build_hdr(room, type, NFPROTO_UNSPEC, 0, 0);

	return netlink_dump(nl, m, each, s, err);
}

static bool
read_tables(struct search *s)
{
	struct netlink *nl = netlink_open(NETLINK_NETFILTER);
	struct netlink_error err = {0};
	bool fine;

	if (nl == NULL)
		snprintf(err.text, sizeof(err.text), "%s", strerror(errno));
	fine = nl != NULL && dump(nl, NFT_MSG_GETCHAIN, on_chain, s, &err) &&
	       dump(nl, NFT_MSG_GETRULE, on_rule, s, &err);
	netlink_close(nl);
	if (fine && s->out_of_room)
		snprintf(err.text, sizeof(err.text), "too many chains");
	if (!fine || s->out_of_room)
		say(s,
		    "cannot look whether other firewall rules would drop intercepted sessions: "
		    "%s%s",
		    err.text, err.code == EPERM ? " (needs root)" : "");
	return fine && !s->out_of_room;
}

/* ---- what a rule does with a packet that has a mark ---- */

struct effect {
	/* where a copy of the mark is, and what has been made of it */
	uint32_t reg, value;
	bool loaded;
	bool tests_mark, matches; /* some test of the mark alone; all of them came out true */
	bool conditional;	  /* it tests anything, the mark included */
	bool looks_back;	  /* it asks how the source is reached, with the mark */
	bool decides;
	uint32_t verdict;   /* NF_*, NFT_*; a reject is NF_DROP */
	const char *target; /* of a jump */
};

static bool
is_named(struct nftnl_expr *e, const char *name)
{
	return strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), name) == 0;
}

/* The first 32 bits of a field; 0: it has fewer. */
static uint32_t
word(struct nftnl_expr *e, uint16_t field)
{
	uint32_t n = 0, value = 0;
	const void *data = nftnl_expr_get(e, field, &n);

	if (data != NULL && n >= sizeof(value))
		memcpy(&value, data, sizeof(value));
	return value;
}

static void
on_meta(struct nftnl_expr *e, uint32_t mark, struct effect *f)
{
	if (nftnl_expr_is_set(e, NFTNL_EXPR_META_SREG))
		return; /* sets something */
	f->conditional = true;
	f->loaded = nftnl_expr_get_u32(e, NFTNL_EXPR_META_KEY) == NFT_META_MARK;
	f->reg = nftnl_expr_get_u32(e, NFTNL_EXPR_META_DREG);
	f->value = mark;
}

static void
on_bitwise(struct nftnl_expr *e, struct effect *f)
{
	f->conditional = true;
	if (!f->loaded || nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_SREG) != f->reg ||
	    nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_OP) != NFT_BITWISE_BOOL)
		return;
	f->value = (f->value & word(e, NFTNL_EXPR_BITWISE_MASK)) ^ word(e, NFTNL_EXPR_BITWISE_XOR);
	f->reg = nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_DREG);
}

static void
on_cmp(struct nftnl_expr *e, struct effect *f)
{
	uint32_t op = nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_OP);
	bool equal;

	f->conditional = true;
	if (!f->loaded || nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_SREG) != f->reg)
		return;
	equal = f->value == word(e, NFTNL_EXPR_CMP_DATA);
	f->tests_mark = true;
	f->matches &= op == NFT_CMP_EQ ? equal : op == NFT_CMP_NEQ && !equal;
	f->loaded = false;
}

/* iptables' "-m mark", where it was not translated. */
static void
on_match(struct nftnl_expr *e, uint32_t mark, struct effect *f)
{
	struct xt_mark_mtinfo1 info;
	uint32_t n = 0;
	const void *data = nftnl_expr_get(e, NFTNL_EXPR_MT_INFO, &n);

	f->conditional = true;
	if (strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_MT_NAME), "mark") != 0 || n < sizeof(info))
		return;
	memcpy(&info, data, sizeof(info));
	f->tests_mark = true;
	f->matches &= ((mark & info.mask) == info.mark) != (info.invert != 0);
}

/*
 * With our mark every address is reached by lo: a check of the source ("fib saddr . mark . iif oif
 * missing drop", as firewalld has it for IPv6) fails for all that is taken.
 */
static void
on_fib(struct nftnl_expr *e, struct effect *f)
{
	const uint32_t back = NFTA_FIB_F_SADDR | NFTA_FIB_F_MARK;

	f->conditional = true;
	f->loaded = false;
	f->looks_back |= (nftnl_expr_get_u32(e, NFTNL_EXPR_FIB_FLAGS) & back) == back;
}

static void
on_verdict(struct effect *f, uint32_t verdict, const char *target)
{
	f->decides = true;
	f->verdict = verdict;
	f->target = target;
}

static void
on_expression(struct nftnl_expr *e, uint32_t mark, struct effect *f)
{
	if (is_named(e, "meta")) {
		on_meta(e, mark, f);
	} else if (is_named(e, "bitwise")) {
		on_bitwise(e, f);
	} else if (is_named(e, "cmp")) {
		on_cmp(e, f);
	} else if (is_named(e, "fib")) {
		on_fib(e, f);
	} else if (is_named(e, "match")) {
		on_match(e, mark, f);
	} else if (is_named(e, "immediate")) {
		if (nftnl_expr_is_set(e, NFTNL_EXPR_IMM_VERDICT))
			on_verdict(f, nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_VERDICT),
			    nftnl_expr_get_str(e, NFTNL_EXPR_IMM_CHAIN));
	} else if (is_named(e, "reject") ||
		   (is_named(e, "target") &&
		       strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_TG_NAME), "REJECT") == 0)) {
		on_verdict(f, NF_DROP, NULL);
	} else if (!is_named(e, "counter") && !is_named(e, "log") && !is_named(e, "target")) {
		f->conditional = true;
		f->loaded = false; /* it may have written to the same register */
	}
}

static struct effect
rule_effect(struct nftnl_rule *r, uint32_t mark)
{
	struct effect f = {.matches = true};
	struct nftnl_expr_iter *i = nftnl_expr_iter_create(r);
	struct nftnl_expr *e;

	while (i != NULL && (e = nftnl_expr_iter_next(i)) != NULL)
		on_expression(e, mark, &f);
	if (i != NULL)
		nftnl_expr_iter_destroy(i);
	return f;
}

/* ---- what a chain does ---- */

static void
visit(struct search *s, size_t *n_todo, size_t at, enum way way)
{
	if ((s->chains[at].ways & way) != 0)
		return;
	s->chains[at].ways |= way;
	s->todo[(*n_todo)++] = at << 2 | way;
}

/*
 * Looks at the rules of one chain up to where nothing comes by, and notes where they jump to. True:
 * one of them accepts the mark. ends gets how the chain ends by itself: NF_ACCEPT, NF_DROP, or -1.
 */
static bool
walk_chain(struct search *s, size_t *n_todo, uint32_t mark, size_t at, enum way way, int *ends)
{
	struct nftnl_chain *c = s->chains[at].nft;
	struct nftnl_rule_iter *i = nftnl_rule_iter_create(c);
	struct nftnl_rule *r;
	bool accepts = false, over = false;

	*ends = -1;
	while (i != NULL && !accepts && !over && (r = nftnl_rule_iter_next(i)) != NULL) {
		struct effect f = rule_effect(r, mark);
		bool marked = (f.tests_mark && f.matches) || (way == WAY_MARKED && !f.conditional);
		if (!f.decides || !f.matches)
			continue;
		accepts = marked && f.verdict == NF_ACCEPT;
		if (f.target != NULL) {
			size_t to = find_chain(s, nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY),
			    nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE), f.target);
			if (to < s->n)
				visit(s, n_todo, to, marked ? WAY_MARKED : WAY_ANY);
		} else if (!f.conditional || (f.looks_back && f.verdict == NF_DROP)) {
			over = true;
			*ends =
			    f.verdict == NF_ACCEPT || f.verdict == NF_DROP ? (int)f.verdict : -1;
		}
	}
	if (i != NULL)
		nftnl_rule_iter_destroy(i);
	return accepts;
}

/* Whether packets with the mark are lost in a base chain. */
static bool
drops(struct search *s, size_t base, uint32_t mark)
{
	size_t n_todo = 0;
	bool accepts;
	int ends, ignored;

	for (size_t i = 0; i < s->n; i++)
		s->chains[i].ways = 0;
	accepts = walk_chain(s, &n_todo, mark, base, WAY_ANY, &ends);
	if (ends < 0)
		ends = (int)nftnl_chain_get_u32(s->chains[base].nft, NFTNL_CHAIN_POLICY);
	while (!accepts && ends == NF_DROP && n_todo > 0) {
		size_t next = s->todo[--n_todo];
		accepts = walk_chain(s, &n_todo, mark, next >> 2,
		    (next & WAY_MARKED) != 0 ? WAY_MARKED : WAY_ANY, &ignored);
	}
	return !accepts && ends == NF_DROP;
}

struct hook {
	const char *name;
	const char *what; /* is lost there */
	bool own;	  /* it has own_mark */
};

static const struct hook hooks[] = {
    [NF_INET_PRE_ROUTING] = {"prerouting", "intercepted sessions", false},
    [NF_INET_LOCAL_IN] = {"input", "intercepted sessions", false},
    [NF_INET_FORWARD] = {"forward", "FTP data connections that the gateway lets by", true},
    [NF_INET_LOCAL_OUT] = {"output", "what the gateway sends", true},
    [NF_INET_POST_ROUTING] = {"postrouting", "what the gateway sends or lets by", true},
};

static bool
is_filter(struct nftnl_chain *c)
{
	uint32_t hook;

	if (!nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM) ||
	    strcmp(nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE), "filter") != 0)
		return false;
	hook = nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM);
	/* before our own chain no packet has the mark, and each looks as it does without us */
	return hook < sizeof(hooks) / sizeof(*hooks) &&
	       (hook != NF_INET_PRE_ROUTING ||
		   nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO) > FIREWALL_PRIORITY_INTERCEPT);
}

static void
advise(struct search *s, size_t at)
{
	struct nftnl_chain *c = s->chains[at].nft;
	const struct hook *h = &hooks[nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM)];
	uint32_t mark = h->own ? s->marks->own_mark : s->marks->mark;
	const char *family = family_name(nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY));
	const char *table = nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE);
	const char *name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME);

	if (drops(s, at, mark))
		say(s,
		    "table %s %s, chain %s (hook %s) drops %s; run, and add to that firewall: nft "
		    "insert rule %s %s %s meta mark and 0x%08x == 0x%08x accept",
		    family, table, name, h->name, h->what, family, table, name, s->marks->mask,
		    mark);
}

/* ---- iptables-legacy ---- */

static bool
has_line(const char *path, const char *wanted)
{
	FILE *f = fopen(path, "re");
	char line[64];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		found = strcmp(line, wanted) == 0;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static void
advise_legacy(const struct search *s, const char *path, const char *command)
{
	const struct firewall_marks *m = s->marks;

	if (!has_line(path, "filter"))
		return;
	say(s,
	    "the filter table of %s cannot be looked into; where its chains drop, they need: "
	    "%s -I INPUT -m mark --mark 0x%08x/0x%08x -j ACCEPT; "
	    "%s -I FORWARD -m mark --mark 0x%08x/0x%08x -j ACCEPT; "
	    "%s -I OUTPUT -m mark --mark 0x%08x/0x%08x -j ACCEPT",
	    command, command, m->mark, m->mask, command, m->own_mark, m->mask, command, m->own_mark,
	    m->mask);
}

bool
firewall_advice(const struct firewall_marks *marks, firewall_advice_line *line, void *arg)
{
	struct search s = {.marks = marks, .line = line, .arg = arg};
	bool fine = read_tables(&s);

	if (fine && s.n > 0 && (s.todo = calloc(2 * s.n, sizeof(*s.todo))) == NULL) {
		say(&s, "cannot look at other firewall rules: %s", strerror(ENOMEM));
		fine = false;
	}
	for (size_t i = 0; fine && i < s.n; i++)
		if (is_filter(s.chains[i].nft))
			advise(&s, i);
	advise_legacy(&s, "/proc/net/ip_tables_names", "iptables-legacy");
	advise_legacy(&s, "/proc/net/ip6_tables_names", "ip6tables-legacy");
	for (size_t i = 0; i < s.n; i++)
		nftnl_chain_free(s.chains[i].nft);
	free(s.chains);
	free(s.todo);
	return fine;
}
