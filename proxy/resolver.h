/*
 * resolver - DNS look-ups that never hold anybody up: libunbound inside the event loop.
 *
 * Positive and negative answers are cached by libunbound, within bounds. At most
 * RESOLVER_OUTSTANDING questions are under way at once; a further one is answered DNS_FAILED at
 * once. A resolver that is dead is recognised once and not once per mail: after
 * RESOLVER_FAILURES failures in a row within RESOLVER_WINDOW seconds every question that is not
 * in the cache is answered DNS_TIMEOUT at once, but for one probe every RESOLVER_PROBE seconds,
 * until one is answered.
 */
#ifndef POSTERN_RESOLVER_H
#define POSTERN_RESOLVER_H

#include "answers.h"

#define RESOLVER_OUTSTANDING 512
#define RESOLVER_FAILURES 20
#define RESOLVER_WINDOW 10
#define RESOLVER_PROBE 5

struct event_base;
struct resolver;
struct lookup;

struct resolver_stats {
	uint64_t asked, answered, failed, timed_out, refused; /* refused: too many outstanding */
	bool dead; /* questions are answered DNS_TIMEOUT without asking */
};

/*
 * servers  NULL-terminated, "192.0.2.53" or "192.0.2.53@5353"; none: the system's
 *          (/etc/resolv.conf, read now); {"recurse"}: the roots. Everything that is a file is
 *          read in this call.
 * *why     on failure, what is wrong; good until the next call
 */
struct resolver *resolver_new(struct event_base *, char *const *servers, const char **why);
void resolver_free(struct resolver *); /* no callback comes any more */

/*
 * Asks n questions (at most ANSWERS_MAX) and calls done once: when all are answered, or when
 * the budget has run out (what is unanswered is then DNS_TIMEOUT). The answers are put into
 * "into", which must live until then. done is never called from within this function.
 * NULL: no memory.
 */
struct lookup *resolver_ask(struct resolver *, const struct dns_question *, size_t n,
    unsigned budget_ms, struct answers *into, void (*done)(void *arg), void *arg);
/* done will not be called. To be called at most once, and not after done was. NULL is fine. */
void lookup_cancel(struct lookup *);

void resolver_stats(const struct resolver *, struct resolver_stats *);

#endif
