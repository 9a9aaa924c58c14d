/*
 * urls - the addresses that a message leads to, out of its text and html parts (M11).
 *
 * Push, in any chunking: one object a message, one part after the other. In plain text a URL begins
 * with its scheme; in html these are found the same way, entities undone (&amp; &#x3a;), and soft
 * hyphens, zero-width characters, tabs and line ends within an attribute left away, as browsers do.
 * Schemes: http, https, ftp, as Suricata's email.url has them; "mailto" is left out: an address is
 * nothing that is fetched. "//host/" without a scheme is taken in html attributes only.
 *
 * Each URL is kept once, scheme and host in lower case. Memory: URL_MAX for the one at work, and
 * the list (max * URL_MAX at most).
 */
#ifndef POSTERN_URLS_H
#define POSTERN_URLS_H

#include "core/buf.h"

#define URL_MAX 2048 /* octets; a longer one is cut */

struct urls;

/* max: how many are kept. NULL: no memory. */
struct urls *urls_new(unsigned max);
void urls_free(struct urls *); /* NULL is fine */

/* A part begins; what was not ended is ended. The octets are UTF-8 or ASCII compatible. */
void urls_begin(struct urls *, bool html);
/* False: no memory; what is known stays. */
bool urls_feed(struct urls *, struct span octets);
bool urls_end(struct urls *);

size_t urls_count(const struct urls *);
struct span urls_get(const struct urls *, size_t i); /* good until the next urls_feed() */
uint64_t urls_left_out(const struct urls *);	     /* beyond max */

#endif
