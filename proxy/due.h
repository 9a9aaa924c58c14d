/*
 * due - what a session waits for next, and until when.
 */
#ifndef POSTERN_DUE_H
#define POSTERN_DUE_H

#include <stdint.h>

/* Milliseconds of relay_env.now(); 0: nothing is waited for. reason: a constant. */
struct due {
	uint64_t at;
	const char *reason;
};

static inline void
due_sooner(struct due *due, uint64_t at, const char *reason)
{
	if (due->at == 0 || at < due->at)
		*due = (struct due){at, reason};
}

static inline uint64_t
later_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
