/*
 * line_begin - what the LFs of a text tell: how many there are, and which of its lines begin with
 * an octet that somebody looks for, in text that mostly has none.
 */
#ifndef POSTERN_MIME_LINE_BEGIN_H
#define POSTERN_MIME_LINE_BEGIN_H

#include "core/span.h"

/*
 * Where a or b stands right behind a LF: the octet's index, at least 1; s.n: nowhere. What s itself
 * begins with is the caller's to look at.
 */
size_t line_begin(struct span s, uint8_t a, uint8_t b);

/* How many LFs there are. */
uint64_t line_count(struct span s);

#endif
