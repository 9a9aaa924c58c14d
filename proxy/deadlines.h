/*
 * deadlines - when each of many that wait is to be looked at next: a binary heap that has the times
 * in itself. However many wait, setting one looks at a few cache lines of the heap, and never into
 * the memory of those that it is compared with.
 *
 * No clock and no timer of its own: who has one asks deadlines_first() how long to sleep, and then
 * takes what is due.
 */
#ifndef POSTERN_DEADLINES_H
#define POSTERN_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

struct deadlines;

/* NULL: no memory. */
struct deadlines *deadlines_new(void);
void deadlines_free(struct deadlines *);

/*
 * A seat, without a deadline, for one that will wait; owner is given back by deadlines_take().
 * seat is never 0. False: no memory; what follows needs none.
 */
bool deadlines_join(struct deadlines *, void *owner, uint32_t *seat);
/* Its deadline goes, and the seat is anybody's: it must not be used any more. */
void deadlines_leave(struct deadlines *, uint32_t seat);

/*
 * Sees to it that the owner is taken at the time at, in milliseconds and not 0, or earlier. An
 * earlier deadline stays: who is taken too early sets the later one then, which is cheaper than to
 * move it each time something happens.
 */
void deadlines_by(struct deadlines *, uint32_t seat, uint64_t at);

/* The earliest; 0: nobody has a deadline. */
uint64_t deadlines_first(const struct deadlines *);
/* The owner of the earliest, which has none from then on; NULL: that is after now, or there is
 * none. */
void *deadlines_take(struct deadlines *, uint64_t now);

#endif
