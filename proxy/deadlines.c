#include "deadlines.h"

#include <stddef.h>
#include <stdlib.h>

#define ROOM_AT_FIRST 64u

struct entry {
	uint64_t at;
	uint32_t seat;
};

/* Index 0 of heap, place and owner is never used, so that 0 can mean none. */
struct deadlines {
	struct entry *heap; /* of n; heap[1] is the earliest, heap[i / 2] is not after heap[i] */
	uint32_t *place;    /* by seat: where in the heap, 0: nowhere; of a free one, the next */
	void **owner;	    /* by seat */
	uint32_t n, seats, room, free;
};

struct deadlines *
deadlines_new(void)
{
	return calloc(1, sizeof(struct deadlines));
}

void
deadlines_free(struct deadlines *d)
{
	if (d == NULL)
		return;
	free(d->heap);
	free(d->place);
	free(d->owner);
	free(d);
}

/* Room for one more seat. What has grown already when memory runs out stays, unused. */
static bool
make_room(struct deadlines *d)
{
	uint32_t room = d->room == 0 ? ROOM_AT_FIRST : d->room * 2;
	struct entry *heap;
	uint32_t *place;
	void **owner;

	if (d->seats + 1 < d->room)
		return true;
	if (room < d->room)
		return false;
	heap = reallocarray(d->heap, room, sizeof(*heap));
	if (heap == NULL)
		return false;
	d->heap = heap;
	place = reallocarray(d->place, room, sizeof(*place));
	if (place == NULL)
		return false;
	d->place = place;
	owner = reallocarray(d->owner, room, sizeof(*owner));
	if (owner == NULL)
		return false;
	d->owner = owner;
	d->room = room;
	return true;
}

bool
deadlines_join(struct deadlines *d, void *owner, uint32_t *seat)
{
	if (d->free != 0) {
		*seat = d->free;
		d->free = d->place[*seat];
	} else if (make_room(d)) {
		*seat = ++d->seats;
	} else {
		return false;
	}
	d->place[*seat] = 0;
	d->owner[*seat] = owner;
	return true;
}

static void
put(struct deadlines *d, uint32_t i, struct entry e)
{
	d->heap[i] = e;
	d->place[e.seat] = i;
}

/* e finds its place at i or nearer to the first. */
static void
rise(struct deadlines *d, uint32_t i, struct entry e)
{
	for (; i > 1 && d->heap[i / 2].at > e.at; i /= 2)
		put(d, i, d->heap[i / 2]);
	put(d, i, e);
}

/* e finds its place at i or further from the first. */
static void
sink(struct deadlines *d, uint32_t i, struct entry e)
{
	uint32_t child;

	/* i <= n / 2: it has a child, and doubling it cannot overflow */
	while (i <= d->n / 2) {
		child = i * 2;
		if (child < d->n && d->heap[child + 1].at < d->heap[child].at)
			child++;
		if (d->heap[child].at >= e.at)
			break;
		put(d, i, d->heap[child]);
		i = child;
	}
	put(d, i, e);
}

/* What is at i goes; the last one takes its place, and moves from there to where it belongs. */
static void
remove_at(struct deadlines *d, uint32_t i)
{
	struct entry last = d->heap[d->n--];

	d->place[d->heap[i].seat] = 0;
	if (i > d->n)
		return;
	if (i > 1 && d->heap[i / 2].at > last.at)
		rise(d, i, last);
	else
		sink(d, i, last);
}

void
deadlines_leave(struct deadlines *d, uint32_t seat)
{
	if (d->place[seat] != 0)
		remove_at(d, d->place[seat]);
	d->owner[seat] = NULL;
	d->place[seat] = d->free;
	d->free = seat;
}

void
deadlines_by(struct deadlines *d, uint32_t seat, uint64_t at)
{
	uint32_t i = d->place[seat];
	const struct entry e = {at, seat};

	if (i == 0)
		rise(d, ++d->n, e);
	else if (at < d->heap[i].at)
		rise(d, i, e);
}

uint64_t
deadlines_first(const struct deadlines *d)
{
	return d->n == 0 ? 0 : d->heap[1].at;
}

void *
deadlines_take(struct deadlines *d, uint64_t now)
{
	uint32_t seat;

	if (d->n == 0 || d->heap[1].at > now)
		return NULL;
	seat = d->heap[1].seat;
	remove_at(d, 1);
	return d->owner[seat];
}
