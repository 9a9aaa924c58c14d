/*
 * names - a set of texts, asked by hash.
 *
 * Built once, then only asked; a look-up costs the same whatever the number of texts.
 */
#ifndef POSTERN_NAMES_H
#define POSTERN_NAMES_H

#include "core/buf.h"

struct names_slot;

struct names {
	struct buf text; /* the texts, with a NUL behind each */
	struct names_slot *slots;
	size_t n, n_slots; /* at most half of the slots are taken */
};

/* Allocates nothing yet. */
void names_init(struct names *);
void names_free(struct names *);
/* A text without NUL; one that is there already stays. False: no memory. */
bool names_add(struct names *, struct span);
bool names_has(const struct names *, struct span);

/*
 * The hash of a text runs from its last octet to its first, so that one pass over a text has the
 * hash of every suffix: begin with NAMES_SEED, add octet by octet.
 */
#define NAMES_SEED 2166136261u /* FNV-1a */

static inline uint32_t
names_hash_octet(uint32_t hash, uint8_t c)
{
	return (hash ^ c) * 16777619u;
}

/* As names_has(), with the hash of the text. */
bool names_has_hashed(const struct names *, uint32_t hash, struct span);

#endif
