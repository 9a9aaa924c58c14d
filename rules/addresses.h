/*
 * addresses - a set of mail addresses by patterns, asked by address.
 *
 * Both sides are compared in one form, so that quotes, source routes, trailing dots, case and
 * U-labels make no second address of one. Case: ASCII letters.
 */
#ifndef POSTERN_ADDRESSES_H
#define POSTERN_ADDRESSES_H

#include "domains.h"
#include "smtp/path.h"

#define MAILBOX_TEXT_MAX	  (SMTP_LOCAL_MAX + 1 + SMTP_DOMAIN_MAX + 2 + 1) /* with its NUL */
#define ADDRESSES_EXPRESSIONS_MAX 256 /* of one set: each costs time for each address */

/* An address in that form. */
struct mailbox {
	bool null;		      /* <> */
	char text[MAILBOX_TEXT_MAX];  /* "user@example.com", lower case, A-labels; "": null */
	char domain[DOMAIN_TEXT_MAX]; /* "": it has no host name */
};

/*
 * path    without a fault
 * domain  of it as domain_canonical() writes it; "" where it has no host name
 *
 * False: no memory.
 */
bool mailbox_make(struct mailbox *, const struct smtp_path *path, const char *domain);

struct addresses;

struct addresses *addresses_new(void);
void addresses_free(struct addresses *); /* NULL is fine */
/*
 * "user@example.com", "user@[192.0.2.1]": that address. "@example.com": all of that domain.
 * "@.example.com": of every domain below it, not of itself. "<>": the null sender. "/ERE/": those
 * that the expression (ere.h) matches in mailbox.text, anywhere unless it has ^ and $.
 * False: *why says what is wrong (a constant).
 */
bool addresses_add(struct addresses *, const char *pattern, const char **why);
/*
 * Addresses and domains cost the same whatever their number; the expressions are tried in the
 * order in which they were added.
 */
bool addresses_has(const struct addresses *, const struct mailbox *);
bool addresses_empty(const struct addresses *);

#endif
