#include "core/buf.h"

#include <stdlib.h>

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void
buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

/* Doubles, so that a run of small writes costs a constant time each. */
static bool
buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap < 64 ? 64 : b->cap;
	uint8_t *p;

	if (more > b->max || b->n > b->max - more)
		return false;
	if (b->n + more <= b->cap)
		return true;
	while (cap < b->n + more)
		cap *= 2;
	if (cap > b->max)
		cap = b->max;
	p = realloc(b->p, cap);
	if (p == NULL)
		return false;
	b->p = p;
	b->cap = cap;
	return true;
}

bool
buf_add(struct buf *b, struct span s)
{
	if (b->failed || !buf_reserve(b, s.n)) {
		b->failed = true;
		return false;
	}
	if (s.n > 0)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
	return true;
}

bool
buf_str(struct buf *b, const char *s)
{
	return buf_add(b, span_str(s));
}

bool
buf_octet(struct buf *b, uint8_t c)
{
	return buf_add(b, span_of(&c, 1));
}

bool
buf_u64(struct buf *b, uint64_t value)
{
	uint8_t digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return buf_add(b, span_of(digits + n, sizeof(digits) - n));
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n > b->n)
		n = b->n;
	if (n > 0 && n < b->n)
		memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}
