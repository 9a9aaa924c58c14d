/*
 * mime_boundary - the boundaries in force, and which of them a line is (RFC 2046 s5.1.1).
 *
 * A set that parts enter and leave as their multiparts begin and end. Matching a line costs time
 * in its length, however many boundaries there are, and however they begin alike: hashes of all
 * its beginnings are looked up.
 */
#ifndef POSTERN_MIME_BOUNDARY_H
#define POSTERN_MIME_BOUNDARY_H

#include "core/span.h"

struct mime_boundary {
	struct mime_boundary *next; /* with the same hash bucket */
	uint64_t hash;
	void *owner;	/* whose multipart it delimits */
	unsigned depth; /* of that: of two alike the deeper one counts */
	unsigned
	    reading; /* number of this candidate, where its header can be read in several ways */
	size_t n;
	uint8_t octets[];
};

#define MIME_BOUNDARY_BUCKETS 256

struct mime_boundaries {
	struct mime_boundary *buckets[MIME_BOUNDARY_BUCKETS];
	uint16_t *lengths;   /* how many there are of each length; max + 1 of them */
	uint16_t first[256]; /* and of each first octet */
	size_t max;	     /* octets of one */
	size_t n;
};

/* What a line is. */
struct mime_delimiter {
	const struct mime_boundary *boundary; /* NULL: none */
	bool close;
	bool exact; /* else more follows it: a delimiter to those who compare beginnings only */
};

/* False: no memory, nothing to free. max below 65536. */
bool mime_boundaries_init(struct mime_boundaries *, size_t max);
/* Also the boundaries that are still in it. */
void mime_boundaries_free(struct mime_boundaries *);

/* octets: cut at max. NULL: no memory. */
struct mime_boundary *mime_boundary_add(
    struct mime_boundaries *, struct span octets, void *owner, unsigned depth, unsigned reading);
/* All that owner has. */
void mime_boundaries_drop(struct mime_boundaries *, const void *owner);

/*
 * line: what stands behind "--", without line end. An exact one before one that begins the line,
 * a longer one before a shorter, of two alike the deeper. An empty boundary is only exact.
 */
struct mime_delimiter mime_boundaries_match(const struct mime_boundaries *, struct span line);

/*
 * Can octets that begin like this be the line of a delimiter? A quick look at the first three of
 * them; true also where there are not as many.
 */
static inline bool
mime_boundaries_may(const struct mime_boundaries *set, struct span line)
{
	if (line.n < 3)
		return true;
	return line.p[0] == '-' && line.p[1] == '-' &&
	       (set->first[line.p[2]] > 0 || set->lengths[0] > 0);
}

#endif
