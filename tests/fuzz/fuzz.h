/*
 * fuzz - what every harness in this folder has in common.
 *
 * A harness is one function that takes any octets and returns 0; a claim that does not hold ends
 * the process. libFuzzer calls it, or standalone.c with the inputs that are known already.
 */
#ifndef POSTERN_FUZZ_H
#define POSTERN_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "core/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define fuzz_claim(claim) fuzz_claimed((claim), __FILE__, __LINE__, #claim)

static inline void
fuzz_claimed(bool holds, const char *file, int line, const char *claim)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: %s\n", file, line, claim);
	abort();
}

/* Empty, or a part of the whole. */
static inline bool
fuzz_inside(struct span part, struct span whole)
{
	return part.n == 0 || (part.p >= whole.p && part.n <= whole.n &&
				  (size_t)(part.p - whole.p) <= whole.n - part.n);
}

#endif
