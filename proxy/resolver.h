/*
 * resolver - DNS look-ups that never hold anybody up: libunbound inside the event loop.
 *
 * Positive and negative answers are cached by libunbound, within bounds. At most
 * RESOLVER_OUTSTANDING questions are under way at once; a further one is answered DNS_FAILED at
 * once. Some of the places are for questions that were answered before: most of them are in the
 * cache, and are answered whatever happens to the others.
 *
 * A resolver that is dead is recognised once and not once per mail: after RESOLVER_FAILURES
 * failures in a row within RESOLVER_WINDOW seconds every question that is not in the cache is
 * answered DNS_TIMEOUT at once, until one is answered. Up to RESOLVER_PROBES of them are asked all
 * the same, and nobody waits: so domains whose own servers are dead cannot make the resolver look
 * dead for longer than until the next domain that is not.
 */
#ifndef POSTERN_RESOLVER_H
#define POSTERN_RESOLVER_H

#include "answers.h"

#define RESOLVER_OUTSTANDING 512
#define RESOLVER_RESERVED    64 /* of them for questions that were answered before */
#define RESOLVER_FAILURES    20
#define RESOLVER_WINDOW	     10
#define RESOLVER_PROBES	     128

struct board;
struct event_base;
struct resolver;
struct lookup;

struct resolver_stats {
	uint64_t asked;			      /* given to libunbound */
	uint64_t answered, failed, timed_out; /* what the askers were told; failed with refused */
	uint64_t refused;		      /* too many outstanding: not asked */
	bool dead;			      /* nobody waits for what is not in the cache */
};

/*
 * servers  NULL-terminated, "192.0.2.53" or "192.0.2.53@5353"; none: the system's
 *          (/etc/resolv.conf, read now); {"recurse"}: the roots. Everything that is a file is
 *          read in this call.
 * *why     on failure, what is wrong; good until the next call
 */
struct resolver *resolver_new(struct event_base *, char *const *servers, const char **why);
/*
 * The same, and every answer is validated by DNSSEC (RFC 4035): dns_answer.secure says whether it
 * was signed; one that should have been and was not, or is forged, is DNS_FAILED. Servers that
 * leave signatures out make that of all that is signed.
 *
 * anchors  path of trust anchors (DS or DNSKEY records, RFC 1035 s5); NULL: what the system has, or
 *          this program's own
 */
struct resolver *resolver_new_validating(
    struct event_base *, char *const *servers, const char *anchors, const char **why);
/* Lookups that are under way are gone with it: no callback comes any more. NULL is fine. */
void resolver_free(struct resolver *);

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

/* Where questions and answers are counted too, with the time that they took; NULL: nowhere. */
void resolver_board(struct resolver *, struct board *);

void resolver_stats(const struct resolver *, struct resolver_stats *);

#endif
