/*
 * buf - a growable run of octets with a ceiling that is stated at creation.
 *
 * Nothing in Postern grows without a stated bound. A write that would pass the ceiling, or for
 * which there is no memory, writes nothing, returns false and leaves "failed" set until
 * buf_clear(); so a sequence of writes may be checked once, at its end.
 */
#ifndef POSTERN_BUF_H
#define POSTERN_BUF_H

#include "core/span.h"

struct buf {
	uint8_t *p;
	size_t n;   /* octets in use */
	size_t cap; /* octets allocated */
	size_t max; /* ceiling of n */
	bool failed;
};

/* Allocates nothing yet. */
void buf_init(struct buf *, size_t max);
/* Gives the storage back; the buffer may be used again as after buf_init(). */
void buf_free(struct buf *);
/* Empties it and keeps the storage. */
void buf_clear(struct buf *);

bool buf_add(struct buf *, struct span);
bool buf_str(struct buf *, const char *);
bool buf_octet(struct buf *, uint8_t);
bool buf_u64(struct buf *, uint64_t); /* decimal */

/* Drops the first n octets (all when there are fewer). */
void buf_drop(struct buf *, size_t n);

/* What is in it; good until the next call that writes to or frees it. */
static inline struct span
buf_span(const struct buf *b)
{
	return (struct span){b->p, b->n};
}

#endif
