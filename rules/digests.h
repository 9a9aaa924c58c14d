/*
 * digests - a set of SHA-256 digests, made for millions of them: 32 octets each, sorted.
 *
 * Its text has a digest a line, 64 hexadecimal digits, and whatever follows a blank behind them (so
 * the output of sha256sum will do); empty lines and lines that begin with "#" say nothing.
 */
#ifndef POSTERN_DIGESTS_H
#define POSTERN_DIGESTS_H

#include "core/span.h"

#define DIGEST_SIZE 32
#define DIGESTS_MAX (8u << 20) /* 256 MiB */

struct digests {
	uint8_t *p; /* n of DIGEST_SIZE octets, sorted once sealed */
	size_t n, cap;
	bool borrowed; /* p belongs to somebody else */
};

/* A line without its end. False: *why says what is wrong with it. */
bool digests_add(struct digests *, struct span line, const char **why);
/* After the last line: sorts it, and drops what is there twice. */
void digests_seal(struct digests *);
/* The octets of one that was sealed; they must outlive it. False: no such octets. */
bool digests_borrow(struct digests *, struct span octets);
/* Of a sealed one. */
bool digests_has(const struct digests *, const uint8_t digest[DIGEST_SIZE]);
/* It is empty then. */
void digests_free(struct digests *);

#endif
