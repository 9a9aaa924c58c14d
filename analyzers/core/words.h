/*
 * words - tables of rows that begin with their name: the verbs of a protocol.
 */
#ifndef POSTERN_WORDS_H
#define POSTERN_WORDS_H

#include "core/span.h"

/*
 * rows: n of them, each of "size" octets, whose first member is a const char * with its name;
 * sorted by it, ASCII case does not matter. The row of that word, or NULL. Takes log2(n)
 * comparisons.
 */
const void *words_find(struct span word, const void *rows, size_t n, size_t size);

#endif
