/*
 * resolver_now - the resolver for who can wait: commands, not the gateway.
 */
#ifndef POSTERN_RESOLVER_NOW_H
#define POSTERN_RESOLVER_NOW_H

#include "resolver.h"

struct resolver_now;

/* Nothing is opened before the first question. NULL: no memory. servers: as of resolver_new(). */
struct resolver_now *resolver_now_new(char *const *servers);
void resolver_now_free(struct resolver_now *); /* NULL is fine */
/* Waits for all n answers, budget_ms at most. NULL, or why nobody can be asked, a constant. */
const char *resolver_now_ask(struct resolver_now *, const struct dns_question *, size_t n,
    unsigned budget_ms, struct answers *into);

#endif
