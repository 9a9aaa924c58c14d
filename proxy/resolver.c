#include "resolver.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "board.h"
#include "clock.h"
#include "unbound_context.h"

#define KNOWN_MAX 8192
#define BOGUS	  1    /* of unbound-event.h: forged, or not signed where it should be */
#define SECURE	  2    /* validated by DNSSEC */
#define SLOW_MS	  1000 /* a failure that came sooner held nobody up, and is no sign of death */

LIST_HEAD(queries, query);
LIST_HEAD(lookups, lookup);

/* One question on its way. It outlives its lookup: libunbound cannot be told to forget it. */
struct query {
	struct resolver *resolver;
	struct lookup *lookup; /* NULL: nobody waits for it any more */
	bool asking, answered; /* answered while it was being asked: out of the cache */
	int64_t asked;	       /* when, in ms */
	struct dns_question question;
	LIST_ENTRY(query) of_resolver, of_lookup;
};

struct lookup {
	struct resolver *resolver;
	struct event *timer; /* runs out of budget; made active when the last answer has come */
	struct answers *into;
	void (*done)(void *arg);
	void *arg;
	struct queries waiting;
	LIST_ENTRY(lookup) of_resolver;
};

struct resolver {
	struct event_base *base;
	struct ub_ctx *ub;
	bool closing;
	unsigned outstanding;
	struct resolver_stats stats;
	struct board *board;
	int64_t failures[RESOLVER_FAILURES]; /* when, in ms: the last ones, in a ring */
	unsigned n_failures;		     /* in a row */
	uint32_t known[KNOWN_MAX];	     /* hashes of questions that were answered */
	struct queries queries;
	struct lookups lookups;
};

/* ---- is the resolver dead? ---- */

static void
set_dead(struct resolver *r, bool dead)
{
	if (dead != r->stats.dead)
		board_set(r->board, BOARD_DNS_DEAD, dead);
	r->stats.dead = dead;
}

static void
note_failure(struct resolver *r)
{
	int64_t now = (int64_t)clock_ms();

	r->failures[r->n_failures++ % RESOLVER_FAILURES] = now;
	if (r->n_failures >= RESOLVER_FAILURES &&
	    now - r->failures[r->n_failures % RESOLVER_FAILURES] <= RESOLVER_WINDOW * 1000)
		set_dead(r, true);
}

static void
note_answer(struct resolver *r)
{
	r->n_failures = 0;
	set_dead(r, false);
}

/* ---- which questions may be in the cache? ---- */

/* FNV-1a. Never 0, which stands for an empty place. */
static uint32_t
question_hash(const struct dns_question *question)
{
	uint32_t hash = (2166136261u ^ (uint32_t)question->type) * 16777619u;

	for (const char *c = question->name; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	return hash | 1;
}

/* A guess, either way: wrong, it costs a place among those that are outstanding, or one answer. */
static bool
is_known(const struct resolver *r, const struct dns_question *question)
{
	uint32_t hash = question_hash(question);

	return r->known[hash / 2 % KNOWN_MAX] == hash;
}

static void
make_known(struct resolver *r, const struct dns_question *question)
{
	uint32_t hash = question_hash(question);

	r->known[hash / 2 % KNOWN_MAX] = hash;
}

/* May it be asked now? */
static bool
has_place(const struct resolver *r, const struct dns_question *question)
{
	unsigned places = RESOLVER_OUTSTANDING;

	if (r->outstanding >= RESOLVER_PROBES && !is_known(r, question))
		places = r->stats.dead ? RESOLVER_PROBES : places - RESOLVER_RESERVED;
	return r->outstanding < places;
}

/* ---- queries ---- */

static void
count_outstanding(struct resolver *r, int change)
{
	r->outstanding += (unsigned)change;
	board_set(r->board, BOARD_DNS_OUTSTANDING, r->outstanding);
}

static struct query *
query_new(struct resolver *r, struct lookup *l, const struct dns_question *question)
{
	struct query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->resolver = r;
	q->lookup = l;
	q->question = *question;
	LIST_INSERT_HEAD(&r->queries, q, of_resolver);
	LIST_INSERT_HEAD(&l->waiting, q, of_lookup);
	count_outstanding(r, 1);
	return q;
}

/* Its lookup does not wait for it any more. */
static void
query_detach(struct query *q)
{
	if (q->lookup == NULL)
		return;
	LIST_REMOVE(q, of_lookup);
	q->lookup = NULL;
}

static void
query_free(struct query *q)
{
	query_detach(q);
	LIST_REMOVE(q, of_resolver);
	count_outstanding(q->resolver, -1);
	free(q);
}

/*
 * What an answer says of the resolver: nothing, when it comes out of the cache. That a question
 * nobody waits for has failed was counted when its time ran out.
 */
static void
note_result(struct resolver *r, const struct query *q, bool has_packet)
{
	if (has_packet)
		make_known(r, &q->question);
	if (q->asking)
		return;
	if (has_packet)
		note_answer(r);
	else if (q->lookup != NULL && (int64_t)clock_ms() - q->asked >= SLOW_MS)
		note_failure(r);
}

/* Tells the asker, and counts what it was told; since: when it has asked. */
static void
tell(struct lookup *l, const struct dns_question *question, enum dns_status status, int64_t since)
{
	struct resolver_stats *stats = &l->resolver->stats;

	stats->failed += status == DNS_FAILED;
	stats->timed_out += status == DNS_TIMEOUT;
	board_dns(l->resolver->board, status, (uint64_t)((int64_t)clock_ms() - since));
	answers_fill(l->into, question, 1, status);
}

/* A dead resolver makes libunbound fail at once for some seconds: that is no word of the
 * resolver's. */
static enum dns_status
failure(const struct query *q)
{
	return q->asking && q->resolver->stats.dead ? DNS_TIMEOUT : DNS_FAILED;
}

/*
 * Called by libunbound, perhaps out of ub_resolve_event(), with its buffers in use: nothing here
 * may ask it anything. That is why a lookup ends by way of its timer.
 */
static void
on_answer(void *arg, int rcode, void *packet, int n, int sec, char *why_bogus, int limited)
{
	struct query *q = arg;
	struct lookup *l = q->lookup;
	struct dns_answer answer = {.status = DNS_FAILED};
	bool has_packet = rcode == 0 && packet != NULL && n > 0; /* else: SERVFAIL of some cause */

	(void)why_bogus;
	(void)limited;
	if (q->resolver->closing)
		return;
	note_result(q->resolver, q, has_packet);
	if (has_packet && sec != BOGUS)
		dns_parse(span_of(packet, (size_t)n), &q->question, &answer);
	answer.secure = sec == SECURE;
	if (l != NULL) {
		if (answer.status != DNS_FAILED && answers_put(l->into, &answer)) {
			q->resolver->stats.answered++;
			board_dns(q->resolver->board, answer.status,
			    (uint64_t)((int64_t)clock_ms() - q->asked));
		} else {
			tell(l, &q->question, failure(q), q->asked);
		}
		query_detach(q);
		if (LIST_EMPTY(&l->waiting) && !q->asking)
			event_active(l->timer, EV_TIMEOUT, 1);
	}
	if (q->asking)
		q->answered = true;
	else
		query_free(q);
}

/* Answers one question or starts to; what cannot be asked is answered here. */
static void
ask(struct resolver *r, struct lookup *l, const struct dns_question *question)
{
	struct query *q = has_place(r, question) ? query_new(r, l, question) : NULL;

	if (q == NULL) {
		r->stats.refused++;
		board_add(r->board, BOARD_DNS_REFUSED, 1);
		tell(l, question, r->stats.dead ? DNS_TIMEOUT : DNS_FAILED, (int64_t)clock_ms());
		return;
	}
	r->stats.asked++;
	board_add(r->board, BOARD_DNS_ASKED, 1);
	q->asking = true;
	q->asked = (int64_t)clock_ms();
	if (ub_resolve_event(r->ub, question->name, (int)question->type, 1, q, on_answer, NULL) !=
	    0) {
		tell(l, question, DNS_FAILED, q->asked);
		query_free(q);
		return;
	}
	q->asking = false;
	if (q->answered) {
		query_free(q);
	} else if (r->stats.dead) {
		tell(l, question, DNS_TIMEOUT, q->asked);
		query_detach(q);
	}
}

/* ---- lookups ---- */

static void
lookup_free(struct lookup *l)
{
	struct query *q;

	while ((q = LIST_FIRST(&l->waiting)) != NULL)
		query_detach(q);
	LIST_REMOVE(l, of_resolver);
	event_free(l->timer);
	free(l);
}

/* All is answered, or the budget has run out. */
static void
on_timer(evutil_socket_t fd, short what, void *lookup)
{
	struct lookup *l = lookup;
	struct query *q;
	void (*done)(void *) = l->done;
	void *arg = l->arg;

	(void)fd;
	(void)what;
	LIST_FOREACH(q, &l->waiting, of_lookup)
	{
		tell(l, &q->question, DNS_TIMEOUT, q->asked);
		note_failure(l->resolver);
	}
	lookup_free(l);
	done(arg);
}

static struct lookup *
lookup_new(struct resolver *r, struct answers *into, void (*done)(void *arg), void *arg)
{
	struct lookup *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->timer = evtimer_new(r->base, on_timer, l);
	if (l->timer == NULL) {
		free(l);
		return NULL;
	}
	l->resolver = r;
	l->into = into;
	l->done = done;
	l->arg = arg;
	LIST_INIT(&l->waiting);
	LIST_INSERT_HEAD(&r->lookups, l, of_resolver);
	return l;
}

struct lookup *
resolver_ask(struct resolver *r, const struct dns_question *questions, size_t n, unsigned budget_ms,
    struct answers *into, void (*done)(void *arg), void *arg)
{
	struct timeval budget = {
	    .tv_sec = budget_ms / 1000, .tv_usec = (suseconds_t)(budget_ms % 1000) * 1000};
	struct lookup *l = lookup_new(r, into, done, arg);

	if (l == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		ask(r, l, &questions[i]);
	if (LIST_EMPTY(&l->waiting))
		budget = (struct timeval){0};
	if (evtimer_add(l->timer, &budget) != 0) {
		lookup_free(l);
		return NULL;
	}
	return l;
}

void
lookup_cancel(struct lookup *l)
{
	if (l != NULL)
		lookup_free(l);
}

/* ---- the resolver ---- */

/* dnssec: NULL: nothing is validated. */
static struct resolver *
make(struct event_base *base, char *const *servers, const struct unbound_dnssec *dnssec,
    const char **why)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		*why = "out of memory";
		return NULL;
	}
	r->base = base;
	LIST_INIT(&r->queries);
	LIST_INIT(&r->lookups);
	r->ub = unbound_context_new(base, servers, dnssec, why);
	if (r->ub == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

struct resolver *
resolver_new(struct event_base *base, char *const *servers, const char **why)
{
	return make(base, servers, NULL, why);
}

struct resolver *
resolver_new_validating(
    struct event_base *base, char *const *servers, const char *anchors, const char **why)
{
	return make(base, servers, &(const struct unbound_dnssec){anchors}, why);
}

void
resolver_free(struct resolver *r)
{
	struct lookup *l;
	struct query *q;

	if (r == NULL)
		return;
	r->closing = true;
	while ((l = LIST_FIRST(&r->lookups)) != NULL)
		lookup_free(l);
	ub_ctx_delete(r->ub); /* may call on_answer() for what is under way */
	while ((q = LIST_FIRST(&r->queries)) != NULL)
		query_free(q);
	free(r);
}

void
resolver_board(struct resolver *r, struct board *board)
{
	r->board = board;
}

void
resolver_stats(const struct resolver *r, struct resolver_stats *stats)
{
	*stats = r->stats;
}
