/*
 * domains - a set of domain names, asked by name, and the one form in which names are compared.
 */
#ifndef POSTERN_DOMAINS_H
#define POSTERN_DOMAINS_H

#include "core/span.h"

#define DOMAIN_TEXT_MAX 254

/*
 * Writes the form in which domains are compared: A-labels (IDNA2008, RFC 5891, no mapping
 * beyond case), lower case, no trailing dot. False: it is no domain (bad label, bad Punycode, a
 * U-label that IDNA2008 disallows, too long). Needs no file and no locale.
 */
bool domain_canonical(struct span name, char out[DOMAIN_TEXT_MAX]);

struct domains;

struct domains *domains_new(void);
void domains_free(struct domains *);
/*
 * "example.edu": that name; ".example.edu": every name below it, not itself. U-labels welcome.
 * False: *why says what is wrong (a constant).
 */
bool domains_add(struct domains *, const char *text, const char **why);
/* canonical: as domain_canonical() writes it. Costs one look-up per label, whatever the size. */
bool domains_has(const struct domains *, const char *canonical);
bool domains_empty(const struct domains *);

#endif
