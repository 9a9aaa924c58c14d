#include "mime/mime_boundary.h"

#include <stdlib.h>

/* FNV-1a: the hash of every beginning falls out on the way. */
#define HASH_EMPTY 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

bool
mime_boundaries_init(struct mime_boundaries *set, size_t max)
{
	*set = (struct mime_boundaries){.max = max};
	set->lengths = calloc(max + 1, sizeof(*set->lengths));
	return set->lengths != NULL;
}

void
mime_boundaries_free(struct mime_boundaries *set)
{
	for (size_t i = 0; i < MIME_BOUNDARY_BUCKETS; i++) {
		while (set->buckets[i] != NULL) {
			struct mime_boundary *b = set->buckets[i];

			set->buckets[i] = b->next;
			free(b);
		}
	}
	free(set->lengths);
	set->lengths = NULL;
}

static uint64_t
hash_more(uint64_t hash, uint8_t c)
{
	return (hash ^ c) * HASH_PRIME;
}

static size_t
bucket_of(uint64_t hash)
{
	return (hash ^ (hash >> 32)) % MIME_BOUNDARY_BUCKETS;
}

struct mime_boundary *
mime_boundary_add(
    struct mime_boundaries *set, struct span octets, void *owner, unsigned depth, unsigned reading)
{
	struct mime_boundary *b;
	uint64_t hash = HASH_EMPTY;

	/* a line's trailing blanks do not count, so neither do those of a boundary */
	octets = span_rtrim(span_first(octets, set->max));
	b = malloc(sizeof(*b) + octets.n);
	if (b == NULL)
		return NULL;
	for (size_t i = 0; i < octets.n; i++) {
		b->octets[i] = octets.p[i];
		hash = hash_more(hash, octets.p[i]);
	}
	b->hash = hash;
	b->owner = owner;
	b->depth = depth;
	b->reading = reading;
	b->n = octets.n;
	b->next = set->buckets[bucket_of(hash)];
	set->buckets[bucket_of(hash)] = b;
	set->lengths[b->n]++;
	if (b->n > 0)
		set->first[b->octets[0]]++;
	set->n++;
	return b;
}

void
mime_boundaries_drop(struct mime_boundaries *set, const void *owner)
{
	size_t unseen = set->n;

	for (size_t i = 0; unseen > 0 && i < MIME_BOUNDARY_BUCKETS; i++) {
		struct mime_boundary **at = &set->buckets[i];

		for (; *at != NULL; unseen--) {
			struct mime_boundary *b = *at;

			if (b->owner != owner) {
				at = &b->next;
				continue;
			}
			*at = b->next;
			set->lengths[b->n]--;
			if (b->n > 0)
				set->first[b->octets[0]]--;
			set->n--;
			free(b);
		}
	}
}

/* The deepest of those that are exactly these octets. */
static const struct mime_boundary *
find(const struct mime_boundaries *set, struct span octets, uint64_t hash)
{
	const struct mime_boundary *best = NULL;

	for (const struct mime_boundary *b = set->buckets[bucket_of(hash)]; b != NULL; b = b->next)
		if (b->hash == hash && span_eq(span_of(b->octets, b->n), octets) &&
		    (best == NULL || b->depth > best->depth ||
			(b->depth == best->depth && b->reading < best->reading)))
			best = b;
	return best;
}

static bool
closes(struct span rest)
{
	return rest.n >= 2 && rest.p[0] == '-' && rest.p[1] == '-';
}

struct mime_delimiter
mime_boundaries_match(const struct mime_boundaries *set, struct span line)
{
	struct mime_delimiter found = {0};
	uint64_t hash = HASH_EMPTY;

	line = span_rtrim(line);
	for (size_t i = 0; i <= line.n && i <= set->max; i++) {
		struct span rest = span_from(line, i);
		const struct mime_boundary *b;

		if (set->lengths[i] > 0 && (b = find(set, span_first(line, i), hash)) != NULL) {
			bool close = closes(rest), exact = rest.n == 0 || (close && rest.n == 2);

			if (exact || (i > 0 && !found.exact))
				found = (struct mime_delimiter){b, close, exact};
		}
		if (i < line.n)
			hash = hash_more(hash, line.p[i]);
	}
	return found;
}
