#include "core/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#define BLOCK_FIRST (4u << 10)
#define BLOCK_MOST  (64u << 10)

struct arena_block {
	struct arena_block *next;
	size_t n, used; /* octets of room, and of these in use */
	alignas(max_align_t) uint8_t room[];
};

void
arena_init(struct arena *a, size_t budget)
{
	*a = (struct arena){.budget = budget};
}

void
arena_free(struct arena *a)
{
	struct arena_block *b = a->blocks, *next;

	for (; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	arena_init(a, a->budget);
}

/* Blocks grow with what is held already; the last one takes what is left of the budget. */
static size_t
block_size(const struct arena *a, size_t need)
{
	size_t size = a->held < BLOCK_FIRST ? BLOCK_FIRST : a->held;

	if (size > BLOCK_MOST)
		size = BLOCK_MOST;
	if (size > a->budget - a->held)
		size = a->budget - a->held;
	return size < need ? need : size;
}

static struct arena_block *
new_block(struct arena *a, size_t n)
{
	struct arena_block *b;
	size_t size;

	if (n > a->budget || a->budget - n < sizeof(*b) || a->held > a->budget - n - sizeof(*b)) {
		a->full = true;
		return NULL;
	}
	size = block_size(a, n + sizeof(*b));
	b = calloc(1, size);
	if (b == NULL) {
		a->failed = true;
		return NULL;
	}
	b->n = size - sizeof(*b);
	b->next = a->blocks;
	a->blocks = b;
	a->held += size;
	return b;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	size_t align = alignof(max_align_t), take;

	if (n > SIZE_MAX - align) {
		a->full = true;
		return NULL;
	}
	take = (n + align - 1) / align * align;
	if (b == NULL || b->n - b->used < take)
		b = new_block(a, take);
	if (b == NULL)
		return NULL;
	b->used += take;
	return b->room + (b->used - take);
}

bool
arena_copy(struct arena *a, struct span s, struct span *out)
{
	uint8_t *p;

	*out = SPAN_NONE;
	if (s.n == 0)
		return true;
	p = arena_alloc(a, s.n);
	if (p == NULL)
		return false;
	memcpy(p, s.p, s.n);
	*out = span_of(p, s.n);
	return true;
}

void *
arena_grow(struct arena *a, void *list, size_t n, size_t *cap, size_t item)
{
	size_t grown = *cap == 0 ? 4 : 2 * *cap;
	void *moved;

	if (n < *cap)
		return list;
	if (grown > SIZE_MAX / 2 / item) {
		a->full = true;
		return NULL;
	}
	moved = arena_alloc(a, grown * item);
	if (moved == NULL)
		return NULL;
	if (n > 0)
		memcpy(moved, list, n * item);
	*cap = grown;
	return moved;
}
