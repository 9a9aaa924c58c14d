#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>

#include "firewall_nftnl.h"

/*
 * Both sides become lists of the same facts, sorted by what they are about; the first place where
 * the lists part is the difference. An expression's facts are its own message, written anew by the
 * same function for both sides, so that nothing that it says is left out.
 */

enum about {
	ABOUT_TABLE,
	ABOUT_SET,
	ABOUT_CHAIN,
	ABOUT_EXPRESSION,
	ABOUT_ELEMENT,
};

struct fact {
	enum about about;
	bool guard;	      /* of that table, else of the other one */
	char name[24];	      /* of a set or chain; longer ones are none of ours */
	uint32_t rule, place; /* from 1 on; place 0: the rule itself */
	size_t at, n;	      /* what is said about it; of an expression first its name and a NUL */
};

struct facts {
	struct fact *list;
	size_t n, cap;
	struct buf octets;
	struct fact now; /* of the message that is being read */
	bool failed;
};

/* Octets of all that is said of a kernel's dump, whatever others have put into our tables. */
#define FACTS_MAX      (64u << 20)
/* Octets of one expression's message; the largest of ours takes some 100. */
#define EXPRESSION_MAX 4096

/* The next facts are about this; name: of a set or chain, NULL: the table itself. */
static void
set_subject(struct facts *f, const char *table, const char *name)
{
	size_t n = name == NULL ? 0 : strlen(name);

	f->now = (struct fact){.guard = strcmp(table, FIREWALL_GUARD) == 0};
	if (n > 0)
		memcpy(f->now.name, name, n < sizeof(f->now.name) ? n : sizeof(f->now.name) - 1);
}

/* Begins a fact about what set_subject() named. */
static void
fact_begin(struct facts *f, enum about about)
{
	f->now.about = about;
	f->now.at = f->octets.n;
}

static void
say(struct facts *f, const void *octets, size_t n)
{
	if (n > 0)
		buf_add(&f->octets, (struct span){octets, n});
}

static void
say_u32(struct facts *f, uint32_t value)
{
	say(f, &value, sizeof(value));
}

static void
fact_end(struct facts *f)
{
	if (f->n == f->cap) {
		size_t cap = f->cap == 0 ? 256 : 2 * f->cap;
		struct fact *list = realloc(f->list, cap * sizeof(*list));

		if (list == NULL) {
			f->failed = true;
			return;
		}
		f->list = list;
		f->cap = cap;
	}
	f->now.n = f->octets.n - f->now.at;
	f->list[f->n++] = f->now;
}

static bool
is_ours(const char *table)
{
	return table != NULL &&
	       (strcmp(table, FIREWALL_TABLE) == 0 || strcmp(table, FIREWALL_GUARD) == 0);
}

/* ---- reading messages ---- */

static void
read_table(struct facts *f, const struct nlmsghdr *h, bool removed)
{
	struct nftnl_table *t = nftnl_table_alloc();
	const char *name;

	if (t == NULL || nftnl_table_nlmsg_parse(h, t) < 0) {
		f->failed = true;
		if (t != NULL)
			nftnl_table_free(t);
		return;
	}
	name = nftnl_table_get_str(t, NFTNL_TABLE_NAME);
	if (is_ours(name)) {
		set_subject(f, name, NULL);
		/* a batch makes a table before it removes it, and nothing in between */
		if (removed && f->n > 0)
			f->n--;
		if (!removed) {
			fact_begin(f, ABOUT_TABLE);
			say_u32(f, nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS));
			fact_end(f);
		}
	}
	nftnl_table_free(t);
}

static void
read_chain(struct facts *f, const struct nlmsghdr *h)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	const char *table, *type;

	if (c == NULL || nftnl_chain_nlmsg_parse(h, c) < 0) {
		f->failed = true;
		if (c != NULL)
			nftnl_chain_free(c);
		return;
	}
	table = nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE);
	if (is_ours(table)) {
		set_subject(f, table, nftnl_chain_get_str(c, NFTNL_CHAIN_NAME));
		fact_begin(f, ABOUT_CHAIN);
		type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
		say(f, type, type == NULL ? 0 : strlen(type));
		say_u32(f, nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM));
		say_u32(f, (uint32_t)nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO));
		say_u32(f, nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY));
		fact_end(f);
	}
	nftnl_chain_free(c);
}

/* Rules of a chain come in their order, so the next one has the next number. */
static void
rule_number(struct facts *f)
{
	uint32_t number = 1;

	for (size_t i = f->n; i > 0 && number == 1; i--) {
		const struct fact *last = &f->list[i - 1];

		if (last->about == ABOUT_EXPRESSION && last->guard == f->now.guard &&
		    strcmp(last->name, f->now.name) == 0)
			number = last->rule + 1;
	}
	f->now.rule = number;
}

static int
read_expression(struct nftnl_expr *e, void *arg)
{
	struct facts *f = arg;
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	uint8_t octets[EXPRESSION_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = {0};
	struct nlmsghdr *h =
	    nftnl_nlmsg_build_hdr((char *)octets, NFT_MSG_NEWRULE, NFPROTO_INET, 0, 0);
	size_t head = h->nlmsg_len;

	f->now.place++;
	nftnl_expr_build_payload(h, e);
	fact_begin(f, ABOUT_EXPRESSION);
	say(f, name, strlen(name) + 1);
	say(f, octets + head, h->nlmsg_len - head);
	fact_end(f);
	return 0;
}

static void
read_rule(struct facts *f, const struct nlmsghdr *h)
{
	struct nftnl_rule *r = nftnl_rule_alloc();

	if (r == NULL || nftnl_rule_nlmsg_parse(h, r) < 0) {
		f->failed = true;
		if (r != NULL)
			nftnl_rule_free(r);
		return;
	}
	if (is_ours(nftnl_rule_get_str(r, NFTNL_RULE_TABLE))) {
		set_subject(f, nftnl_rule_get_str(r, NFTNL_RULE_TABLE),
		    nftnl_rule_get_str(r, NFTNL_RULE_CHAIN));
		rule_number(f);
		/* a rule without expressions is one too */
		fact_begin(f, ABOUT_EXPRESSION);
		fact_end(f);
		nftnl_expr_foreach(r, read_expression, f);
	}
	nftnl_rule_free(r);
}

static int
read_set_expression(struct nftnl_expr *e, void *arg)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);

	say(arg, name, strlen(name) + 1);
	return 0;
}

static void
read_set(struct facts *f, const struct nlmsghdr *h)
{
	static const uint16_t attributes[] = {NFTNL_SET_FLAGS, NFTNL_SET_KEY_TYPE,
	    NFTNL_SET_KEY_LEN, NFTNL_SET_DATA_TYPE, NFTNL_SET_DATA_LEN};
	struct nftnl_set *s = nftnl_set_alloc();

	if (s == NULL || nftnl_set_nlmsg_parse(h, s) < 0) {
		f->failed = true;
		if (s != NULL)
			nftnl_set_free(s);
		return;
	}
	if (is_ours(nftnl_set_get_str(s, NFTNL_SET_TABLE))) {
		set_subject(
		    f, nftnl_set_get_str(s, NFTNL_SET_TABLE), nftnl_set_get_str(s, NFTNL_SET_NAME));
		fact_begin(f, ABOUT_SET);
		for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
			say_u32(f, nftnl_set_is_set(s, attributes[i])
				       ? nftnl_set_get_u32(s, attributes[i])
				       : 0);
		nftnl_set_expr_foreach(s, read_set_expression, f);
		fact_end(f);
	}
	nftnl_set_free(s);
}

/* Elements that have a time of their own are put in and taken out while the gateway runs. */
static int
read_element(struct nftnl_set_elem *e, void *arg)
{
	struct facts *f = arg;
	uint32_t n = 0;
	const void *key = nftnl_set_elem_get(e, NFTNL_SET_ELEM_KEY, &n);

	if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_TIMEOUT))
		return 0;
	fact_begin(f, ABOUT_ELEMENT);
	say(f, key, n);
	say_u32(f, nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_FLAGS)
		       ? nftnl_set_elem_get_u32(e, NFTNL_SET_ELEM_FLAGS)
		       : 0);
	fact_end(f);
	return 0;
}

static void
read_elements(struct facts *f, const struct nlmsghdr *h)
{
	struct nftnl_set *s = nftnl_set_alloc();

	if (s == NULL || nftnl_set_elems_nlmsg_parse(h, s) < 0) {
		f->failed = true;
		if (s != NULL)
			nftnl_set_free(s);
		return;
	}
	if (is_ours(nftnl_set_get_str(s, NFTNL_SET_TABLE))) {
		set_subject(
		    f, nftnl_set_get_str(s, NFTNL_SET_TABLE), nftnl_set_get_str(s, NFTNL_SET_NAME));
		nftnl_set_elem_foreach(s, read_element, f);
	}
	nftnl_set_free(s);
}

static void
read_message(struct facts *f, const struct nlmsghdr *h)
{
	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return;
	switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
	case NFT_MSG_NEWTABLE:
		read_table(f, h, false);
		break;
	case NFT_MSG_DELTABLE:
		read_table(f, h, true);
		break;
	case NFT_MSG_NEWCHAIN:
		read_chain(f, h);
		break;
	case NFT_MSG_NEWRULE:
		read_rule(f, h);
		break;
	case NFT_MSG_NEWSET:
		read_set(f, h);
		break;
	case NFT_MSG_NEWSETELEM:
		read_elements(f, h);
		break;
	default:
		break;
	}
}

/* False: no memory, or something that is no message. */
static bool
facts_read(struct facts *f, struct span messages)
{
	*f = (struct facts){0};
	buf_init(&f->octets, FACTS_MAX);
	for (size_t at = 0; at + sizeof(struct nlmsghdr) <= messages.n;) {
		const struct nlmsghdr *h = (const void *)(messages.p + at);

		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > messages.n - at)
			return false;
		read_message(f, h);
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	return !f->failed && !f->octets.failed;
}

static void
facts_free(struct facts *f)
{
	free(f->list);
	buf_free(&f->octets);
}

/* ---- comparing ---- */

/* A fact and where its octets are, for sorting. */
struct saying {
	const struct fact *fact;
	const uint8_t *octets;
};

static int
octets_compare(const struct saying *a, const struct saying *b)
{
	size_t an = a->fact->n, bn = b->fact->n, n = an < bn ? an : bn;
	int order = n == 0 ? 0 : memcmp(a->octets, b->octets, n);

	return order != 0 ? order : (an > bn) - (an < bn);
}

/* What two facts are about; an element is about its own octets. */
static int
subject_compare(const void *pa, const void *pb)
{
	const struct saying *sa = pa, *sb = pb;
	const struct fact *a = sa->fact, *b = sb->fact;
	int order = (a->guard > b->guard) - (a->guard < b->guard);

	if (order == 0)
		order = (a->about > b->about) - (a->about < b->about);
	if (order == 0)
		order = strcmp(a->name, b->name);
	if (order == 0)
		order = (a->rule > b->rule) - (a->rule < b->rule);
	if (order == 0)
		order = (a->place > b->place) - (a->place < b->place);
	return order != 0 || a->about != ABOUT_ELEMENT ? order : octets_compare(sa, sb);
}

/* Sorted; NULL: no memory. */
static struct saying *
sayings_new(const struct facts *f)
{
	struct saying *list = calloc(f->n + 1, sizeof(*list));

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < f->n; i++)
		list[i] = (struct saying){&f->list[i], f->octets.p + f->list[i].at};
	qsort(list, f->n, sizeof(*list), subject_compare);
	return list;
}

static void
hex(struct buf *out, const uint8_t *octets, size_t n)
{
	char two[2];

	for (size_t i = 0; i < n; i++) {
		span_hex(span_of(octets + i, 1), two);
		buf_add(out, span_of(two, sizeof(two)));
	}
}

/* "table inet postern, chain passed, rule 1, expression 3 (cmp): is missing" */
static void
describe(const struct saying *s, const char *how, char text[FIREWALL_TEXT_MAX])
{
	static const char *const kinds[] = {[ABOUT_TABLE] = "",
	    [ABOUT_SET] = ", set ",
	    [ABOUT_ELEMENT] = ", set ",
	    [ABOUT_CHAIN] = ", chain ",
	    [ABOUT_EXPRESSION] = ", chain "};
	const struct fact *fact = s->fact;
	struct buf words;

	buf_init(&words, FIREWALL_TEXT_MAX - 1);
	buf_str(&words, "table inet ");
	buf_str(&words, fact->guard ? FIREWALL_GUARD : FIREWALL_TABLE);
	buf_str(&words, kinds[fact->about]);
	buf_str(&words, fact->name);
	if (fact->about == ABOUT_EXPRESSION) {
		buf_str(&words, ", rule ");
		buf_u64(&words, fact->rule);
		if (fact->place > 0) {
			buf_str(&words, ", expression ");
			buf_u64(&words, fact->place);
			buf_str(&words, " (");
			buf_str(&words, (const char *)s->octets);
			buf_str(&words, ")");
		}
	}
	if (fact->about == ABOUT_ELEMENT) {
		buf_str(&words, ", element 0x");
		hex(&words, s->octets, fact->n - sizeof(uint32_t));
	}
	buf_str(&words, how);
	if (words.n > 0)
		memcpy(text, words.p, words.n);
	text[words.n] = '\0';
	buf_free(&words);
}

static enum firewall_difference
sayings_compare(const struct saying *want, size_t n_want, const struct saying *have, size_t n_have,
    char text[FIREWALL_TEXT_MAX])
{
	for (size_t i = 0, k = 0; i < n_want || k < n_have; i++, k++) {
		int order = i == n_want	  ? 1
			    : k == n_have ? -1
					  : subject_compare(&want[i], &have[k]);
		const struct saying *at = order <= 0 ? &want[i] : &have[k];

		if (order < 0)
			describe(at, " is missing", text);
		else if (order > 0)
			describe(at, " was put there by somebody else", text);
		else if (octets_compare(&want[i], &have[k]) != 0)
			describe(at, " was changed", text);
		else
			continue;
		/* the guard is sorted last */
		return at->fact->guard ? FIREWALL_GUARD_DIFFERS : FIREWALL_DIFFERS;
	}
	return FIREWALL_SAME;
}

static bool
is_of_guard_alone(const struct facts *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (!f->list[i].guard)
			return false;
	return f->n > 0;
}

static void
keep_guard(struct facts *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].guard)
			f->list[kept++] = f->list[i];
	f->n = kept;
}

enum firewall_difference
firewall_compare(struct span batch, struct span dump, char text[FIREWALL_TEXT_MAX])
{
	static const char unreadable[] = "the tables cannot be compared: no memory, or no messages";
	enum firewall_difference difference = FIREWALL_DIFFERS;
	struct facts want, have;
	bool read = facts_read(&want, batch);
	struct saying *a, *b;

	read &= facts_read(&have, dump);
	if (is_of_guard_alone(&want))
		keep_guard(&have);
	a = read ? sayings_new(&want) : NULL;
	b = read ? sayings_new(&have) : NULL;
	if (a != NULL && b != NULL)
		difference = sayings_compare(a, want.n, b, have.n, text);
	else
		memcpy(text, unreadable, sizeof(unreadable));
	free(a);
	free(b);
	facts_free(&want);
	facts_free(&have);
	return difference;
}
