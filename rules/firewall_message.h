/*
 * firewall_message - inside of firewall_nftnl: what its files share. Not for anybody else.
 *   firewall_message.c  one message of a transaction after the other, elements of sets
 *   firewall_rule.c     a rule's conditions and actions as expressions of the kernel's
 *   firewall_flow.c     single flows, and what was counted of them
 *   firewall_nftnl.c    tables, and whole transactions
 */
#ifndef POSTERN_FIREWALL_MESSAGE_H
#define POSTERN_FIREWALL_MESSAGE_H

#include <stdio.h> /* FILE, which the headers of libnftnl name */

#include "firewall_nftnl.h"

struct nftnl_expr;
struct nftnl_rule;
struct nftnl_set;
struct nftnl_set_elem;
struct nlattr;
struct nlmsghdr;

/* ---- firewall_message.c ---- */

/* A batch while it is made. The library writes one message at a time, which is then appended. */
struct maker {
	struct buf *out;
	uint8_t *message; /* MESSAGE_MAX octets */
	bool failed;
};

/* False: no memory; nothing is to be freed. */
bool maker_begin(struct maker *, struct buf *out);
struct nlmsghdr *message_new(struct maker *, uint16_t type, uint16_t flags);
/* It is complete. */
void message_add(struct maker *, const struct nlmsghdr *);
/* Every message asks for an answer: the sender need not care which one is the last. */
bool maker_end(struct maker *);

/* NULL: no memory. */
struct nftnl_set *set_named(const char *table, const char *name);

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

/* Takes the element; NULL: there was no memory for it. */
void element_put(struct element_maker *, struct nftnl_set_elem *);
/* What was put so far is written. */
void elements_flush(struct element_maker *);

/* ---- firewall_rule.c ---- */

/* Adds the expressions of all terms. False: no memory. */
bool rule_expressions(struct nftnl_rule *, const struct firewall_rule *);

/* ---- firewall_flow.c ---- */

/* What an element of the kernel's has counted so far. */
struct count {
	uint64_t octets, packets;
	bool there;
};

/* For nftnl_set_elem_expr_foreach(): arg is a struct count. */
int read_count(struct nftnl_expr *, void *arg);

#endif
