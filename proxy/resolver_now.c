#include "resolver_now.h"

#include <event2/event.h>
#include <stdlib.h>

struct resolver_now {
	char *const *servers;
	struct event_base *base;
	struct resolver *resolver; /* made when the first question comes */
	bool done;
};

struct resolver_now *
resolver_now_new(char *const *servers)
{
	struct resolver_now *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->servers = servers;
	return r;
}

void
resolver_now_free(struct resolver_now *r)
{
	if (r == NULL)
		return;
	resolver_free(r->resolver);
	if (r->base != NULL)
		event_base_free(r->base);
	free(r);
}

static void
on_answers(void *arg)
{
	struct resolver_now *r = arg;

	r->done = true;
}

static const char *
open_resolver(struct resolver_now *r)
{
	const char *why = NULL;

	if (r->base == NULL && (r->base = event_base_new()) == NULL)
		return "out of memory";
	if (r->resolver == NULL)
		r->resolver = resolver_new(r->base, r->servers, &why);
	return r->resolver == NULL ? why : NULL;
}

const char *
resolver_now_ask(struct resolver_now *r, const struct dns_question *q, size_t n, unsigned budget_ms,
    struct answers *into)
{
	const char *why = open_resolver(r);
	struct lookup *lookup;

	if (why != NULL)
		return why;
	r->done = false;
	lookup =
	    resolver_ask(r->resolver, q, n, budget_ms > 0 ? budget_ms : 1, into, on_answers, r);
	if (lookup == NULL)
		return "out of memory";
	while (!r->done)
		if (event_base_loop(r->base, EVLOOP_ONCE) != 0) {
			lookup_cancel(lookup);
			return "the resolver does not answer";
		}
	return NULL;
}
