#include "digests.h"

#include <stdlib.h>

/* 0 to 15, or 16: no hexadecimal digit. */
static unsigned
hex_value(uint8_t c)
{
	if (octet_is_digit(c))
		return c - (unsigned)'0';
	c = octet_lower(c);
	return c >= 'a' && c <= 'f' ? c - (unsigned)'a' + 10 : 16;
}

static bool
read_hex(struct span s, uint8_t out[DIGEST_SIZE])
{
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		unsigned high = hex_value(s.p[2 * i]), low = hex_value(s.p[2 * i + 1]);

		if (high > 15 || low > 15)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool
make_room(struct digests *d)
{
	size_t cap = d->cap == 0 ? 64 : 2 * d->cap;
	uint8_t *p;

	if (d->n < d->cap)
		return true;
	p = realloc(d->p, cap * DIGEST_SIZE);
	if (p == NULL)
		return false;
	d->p = p;
	d->cap = cap;
	return true;
}

bool
digests_add(struct digests *d, struct span line, const char **why)
{
	struct span rest = line, word = span_word(&rest);
	uint8_t digest[DIGEST_SIZE];

	if (word.n > 0 && word.p[word.n - 1] == '\r')
		word.n--;
	if (word.n == 0 || word.p[0] == '#')
		return true;
	if (word.n != (size_t)2 * DIGEST_SIZE || !read_hex(word, digest)) {
		*why = "is no SHA-256 digest of 64 hexadecimal digits";
		return false;
	}
	if (d->n == DIGESTS_MAX) {
		*why = "is one digest too many; 8388608 may stand in a list";
		return false;
	}
	if (!make_room(d)) {
		*why = "does not fit into memory";
		return false;
	}
	memcpy(d->p + d->n++ * DIGEST_SIZE, digest, DIGEST_SIZE);
	return true;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_SIZE);
}

void
digests_seal(struct digests *d)
{
	size_t kept = 0;

	if (d->n == 0)
		return;
	qsort(d->p, d->n, DIGEST_SIZE, compare);
	for (size_t i = 1; i < d->n; i++)
		if (compare(d->p + i * DIGEST_SIZE, d->p + kept * DIGEST_SIZE) != 0)
			memmove(d->p + ++kept * DIGEST_SIZE, d->p + i * DIGEST_SIZE, DIGEST_SIZE);
	d->n = kept + 1;
}

bool
digests_borrow(struct digests *d, struct span octets)
{
	if (octets.n % DIGEST_SIZE != 0)
		return false;
	*d = (struct digests){
	    .p = (uint8_t *)(uintptr_t)octets.p, .n = octets.n / DIGEST_SIZE, .borrowed = true};
	return true;
}

bool
digests_has(const struct digests *d, const uint8_t digest[DIGEST_SIZE])
{
	return d->n > 0 && bsearch(digest, d->p, d->n, DIGEST_SIZE, compare) != NULL;
}

void
digests_free(struct digests *d)
{
	if (!d->borrowed)
		free(d->p);
	*d = (struct digests){0};
}
