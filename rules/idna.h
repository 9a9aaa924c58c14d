/*
 * idna - host names with letters beyond ASCII (IDNA2008: RFC 5890 to 5893).
 *
 * The one place that calls libidn2: without the mappings of UTS #46, so that nothing that merely
 * looks like a letter or a dot becomes one. Capitals of the Latin, Greek, Cyrillic and Armenian
 * scripts are made small first, since names are compared without regard to case (RFC 5895 s2).
 * No file, no locale.
 */
#ifndef POSTERN_IDNA_H
#define POSTERN_IDNA_H

#include "core/span.h"

#define IDNA_INPUT_MAX 1020 /* octets of UTF-8 that 253 octets of A-labels may have come from */

/*
 * name  dots between its labels, ASCII letters small
 * out   the name in A-labels with its NUL; A-labels that were there are checked and kept
 *
 * False: it is no such name (bad UTF-8, bad Punycode, a code point or a direction that IDNA2008
 * disallows, not in Normalization Form C), it does not fit into size, or there is no memory.
 */
bool idna_to_ascii(struct span name, char *out, size_t size);

#endif
