/*
 * types_magic - types.magic as libmagic compiles it, an array that the build makes.
 */
#ifndef POSTERN_TYPES_MAGIC_H
#define POSTERN_TYPES_MAGIC_H

#include <stddef.h>

extern const unsigned char types_magic[];
extern const size_t types_magic_n;

#endif
