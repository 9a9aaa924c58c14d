/*
 * networks - a set of IPv4 and IPv6 networks, asked by address.
 *
 * Built once from the configuration, then never changed; a look-up costs a few steps whatever
 * the number of networks (sorted and merged ranges, searched by halves).
 */
#ifndef POSTERN_NETWORKS_H
#define POSTERN_NETWORKS_H

#include "core/ip.h"

struct networks;

/* NULL: no memory. */
struct networks *networks_new(void);
void networks_free(struct networks *); /* NULL is fine */
/*
 * "10.0.0.0/8", "fd00::/8", "192.0.2.1" (one host). False: *why says what is wrong (a constant;
 * bits behind the prefix are a fault: "10.0.0.1/8 has bits set behind the prefix").
 */
bool networks_add(struct networks *, const char *text, const char **why);
/* Sorts and merges what lies in or beside each other; nothing can be added after it. */
void networks_seal(struct networks *);
/* Only of a sealed set. NULL and an empty set have nothing. */
bool networks_has(const struct networks *, const struct ip *);
bool networks_empty(const struct networks *);
/*
 * The ranges of a sealed set, ascending, IPv4 ahead of IPv6; no two touch. False: there are at most
 * i of them.
 */
bool networks_range(const struct networks *, size_t i, struct ip *first, struct ip *last);

#endif
