#include "tap_held.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS 4096u /* a power of two */

struct kept {
	STAILQ_ENTRY(kept) next;
	_Alignas(8) uint8_t record[];
};

struct held {
	LIST_ENTRY(held) next;
	TAILQ_ENTRY(held) later;
	uint64_t flow;
	unsigned source;
	size_t octets;
	STAILQ_HEAD(, kept) records;
};

struct tap_held {
	void (*write)(void *arg, const struct tap_record *);
	void *arg;
	LIST_HEAD(, held) buckets[BUCKETS];
	TAILQ_HEAD(, held) quiet; /* the first is the one that nothing was heard of for longest */
	size_t octets, sessions;
	uint64_t lost;
};

struct tap_held *
tap_held_new(void (*write)(void *arg, const struct tap_record *), void *arg)
{
	struct tap_held *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return NULL;
	TAILQ_INIT(&all->quiet);
	all->write = write;
	all->arg = arg;
	return all;
}

static const struct tap_record *
record_of(const struct kept *k)
{
	return (const struct tap_record *)(const void *)k->record;
}

static size_t
cost(const struct kept *k)
{
	return sizeof(*k) + record_of(k)->size;
}

static void
drop(struct tap_held *all, struct held *h, struct kept *k)
{
	STAILQ_REMOVE(&h->records, k, kept, next);
	h->octets -= cost(k);
	all->octets -= cost(k);
	free(k);
}

static void
forget(struct tap_held *all, struct held *h)
{
	struct kept *k;

	while ((k = STAILQ_FIRST(&h->records)) != NULL) {
		all->octets -= cost(k);
		STAILQ_REMOVE_HEAD(&h->records, next);
		free(k);
	}
	LIST_REMOVE(h, next);
	TAILQ_REMOVE(&all->quiet, h, later);
	all->sessions--;
	free(h);
}

/* Somebody who says nothing more must not keep others from being seen. */
static void
forget_quietest(struct tap_held *all)
{
	struct held *h = TAILQ_FIRST(&all->quiet);
	const struct kept *k;

	STAILQ_FOREACH(k, &h->records, next)
	all->lost++;
	forget(all, h);
}

static struct held *
find(const struct tap_held *all, unsigned source, uint64_t flow)
{
	struct held *h;

	LIST_FOREACH(h, &all->buckets[flow & (BUCKETS - 1)], next)
	if (h->flow == flow && h->source == source)
		return h;
	return NULL;
}

static struct held *
begin(struct tap_held *all, unsigned source, uint64_t flow)
{
	struct held *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	if (all->sessions == TAP_HELD_SESSIONS)
		forget_quietest(all);
	h->flow = flow;
	h->source = source;
	STAILQ_INIT(&h->records);
	LIST_INSERT_HEAD(&all->buckets[flow & (BUCKETS - 1)], h, next);
	TAILQ_INSERT_TAIL(&all->quiet, h, later);
	all->sessions++;
	return h;
}

/* The oldest octets: handshakes stay. */
static bool
drop_oldest(struct tap_held *all, struct held *h)
{
	struct kept *k;

	STAILQ_FOREACH(k, &h->records, next)
	{
		if (record_of(k)->kind != TAP_OCTETS)
			continue;
		drop(all, h, k);
		all->lost++;
		return true;
	}
	return false;
}

static void
keep(struct tap_held *all, struct held *h, const struct tap_record *r)
{
	const size_t n = sizeof(struct kept) + r->size;
	struct kept *k;

	TAILQ_REMOVE(&all->quiet, h, later);
	TAILQ_INSERT_TAIL(&all->quiet, h, later);
	while (h->octets + n > TAP_HELD_SESSION)
		if (!drop_oldest(all, h)) {
			all->lost++;
			return;
		}
	while (all->octets + n > TAP_HELD_MAX) /* which is more than this one alone has */
		forget_quietest(all);
	k = malloc(n);
	if (k == NULL) {
		all->lost++;
		return;
	}
	memcpy(k->record, r, r->size);
	STAILQ_INSERT_TAIL(&h->records, k, next);
	h->octets += n;
	all->octets += n;
}

static void
release(struct tap_held *all, struct held *h)
{
	const struct kept *k;

	STAILQ_FOREACH(k, &h->records, next)
	all->write(all->arg, record_of(k));
	forget(all, h);
}

void
tap_held_take(struct tap_held *all, unsigned source, const struct tap_record *r)
{
	struct held *h = find(all, source, r->flow);

	if (r->refused) {
		if (h != NULL)
			release(all, h);
		all->write(all->arg, r);
		return;
	}
	if (r->kind == TAP_OVER) {
		if (h != NULL)
			forget(all, h);
		return;
	}
	if (h == NULL && (h = begin(all, source, r->flow)) == NULL)
		all->lost++;
	else
		keep(all, h, r);
}

void
tap_held_forget(struct tap_held *all, unsigned source)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct held *h = LIST_FIRST(&all->buckets[i]), *next;

		for (; h != NULL; h = next) {
			next = LIST_NEXT(h, next);
			if (h->source == source)
				forget(all, h);
		}
	}
}

uint64_t
tap_held_lost(const struct tap_held *all)
{
	return all->lost;
}

size_t
tap_held_octets(const struct tap_held *all)
{
	return all->octets;
}

void
tap_held_free(struct tap_held *all)
{
	struct held *h;

	if (all == NULL)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		while ((h = LIST_FIRST(&all->buckets[i])) != NULL)
			forget(all, h);
	free(all);
}
