#include "firewall_message.h"

#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>

/*
 * The largest message: a rule of FIREWALL_TERMS_MAX terms takes some 1,500 octets, an element at
 * most 120, and a list of them must stay below 65,536.
 */
#define MESSAGE_MAX	     65536
#define ELEMENTS_PER_MESSAGE 400

bool
maker_begin(struct maker *m, struct buf *out)
{
	*m = (struct maker){.out = out, .message = malloc(MESSAGE_MAX)};
	if (m->message == NULL)
		return false;
	const struct nlmsghdr *h = (void *)nftnl_batch_begin((char *)m->message, 0);
	buf_add(out, (struct span){m->message, h->nlmsg_len});
	return true;
}

struct nlmsghdr *
message_new(struct maker *m, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr((char *)m->message, type, NFPROTO_INET, flags, 0);
}

void
message_add(struct maker *m, const struct nlmsghdr *h)
{
	buf_add(m->out, (struct span){m->message, NLMSG_ALIGN(h->nlmsg_len)});
}

bool
maker_end(struct maker *m)
{
	const struct nlmsghdr *h = (void *)nftnl_batch_end((char *)m->message, 0);

	buf_add(m->out, (struct span){m->message, h->nlmsg_len});
	free(m->message);
	return !m->failed && !m->out->failed;
}

struct nftnl_set *
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

void
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

void
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
