/*
 * types_magic - types.magic as libmagic compiles it, and how its types begin: arrays that the build
 * makes.
 */
#ifndef POSTERN_TYPES_MAGIC_H
#define POSTERN_TYPES_MAGIC_H

#include <stddef.h>
#include <stdint.h>

#define TYPES_BEGIN_MAX 4

/* At offset "at" a type has n octets, of which the bits of mask are those of octets. */
struct types_begin {
	uint16_t at;
	uint8_t n; /* 1 .. TYPES_BEGIN_MAX */
	uint8_t octets[TYPES_BEGIN_MAX], mask[TYPES_BEGIN_MAX];
};

extern const unsigned char types_magic[];
extern const size_t types_magic_n;
/* One row for each type: content that none of them fits has no type of these. */
extern const struct types_begin types_begin[];
extern const size_t types_begin_n;

#endif
