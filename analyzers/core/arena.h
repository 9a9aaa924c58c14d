/*
 * arena - small things that live and die together, within a budget that is stated at creation.
 *
 * What was handed out stays where it is, and good, until arena_free(): nothing is given back
 * alone. A request beyond the budget, or for which there is no memory, gives NULL and leaves the
 * rest as it is; smaller ones may still succeed.
 */
#ifndef POSTERN_ARENA_H
#define POSTERN_ARENA_H

#include "core/span.h"

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t held;   /* octets taken from the heap */
	size_t budget; /* ceiling of held */
	bool full;     /* a request was beyond the budget */
	bool failed;   /* there was no memory for one */
};

/* Allocates nothing yet. */
void arena_init(struct arena *, size_t budget);
/* All of it; the arena may be used again as after arena_init(). */
void arena_free(struct arena *);

/* n octets of zeros, aligned for anything; n 0 gives a place of no octets. */
void *arena_alloc(struct arena *, size_t n);
/* A copy; empty when s is. False: there is no room, *out is empty. */
bool arena_copy(struct arena *, struct span s, struct span *out);

/*
 * Room for one item more behind the n of a list, which moves when it has to grow: its old place is
 * not used again before arena_free(), so a list takes at most about twice what its items do.
 * *cap: items that list has room for; 0 and list NULL to begin with. Returns where the list is
 * now, or NULL: it stays as it is.
 */
void *arena_grow(struct arena *, void *list, size_t n, size_t *cap, size_t item);

#endif
