/*
 * span - a run of octets that somebody else owns: two words, passed by value.
 *
 * Octets from a wire are never NUL-terminated strings here; they carry their length, and a NUL
 * among them is one more octet. A span is good as long as the storage it points into; every
 * function that hands one out says how long that is.
 */
#ifndef POSTERN_SPAN_H
#define POSTERN_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *p;
	size_t n;
};

#define SPAN_NONE ((struct span){NULL, 0})

static inline struct span
span_of(const void *p, size_t n)
{
	return (struct span){p, n};
}

/* The octets of a C string without its NUL. */
static inline struct span
span_str(const char *s)
{
	return (struct span){(const uint8_t *)s, strlen(s)};
}

/* ASCII only: the octets above 0x7f have no case here. */
static inline uint8_t
octet_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static inline bool
octet_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline bool
octet_is_alpha(uint8_t c)
{
	c = octet_lower(c);
	return c >= 'a' && c <= 'z';
}

static inline bool
octet_is_alnum(uint8_t c)
{
	return octet_is_alpha(c) || octet_is_digit(c);
}

bool span_eq(struct span, struct span);
bool span_ieq(struct span, struct span);	   /* ASCII case does not matter */
bool span_starts(struct span, struct span prefix); /* octet for octet */
bool span_istarts(struct span, struct span prefix);
bool span_iends(struct span, struct span suffix);

/* First c in s, or -1. */
ptrdiff_t span_find(struct span, uint8_t c);
/* Last c in s, or -1. */
ptrdiff_t span_rfind(struct span, uint8_t c);

/* The part of s from octet "from" on; empty when from is behind the end. */
struct span span_from(struct span, size_t from);
/* The first n octets of s, or all of it. */
struct span span_first(struct span, size_t n);
/* s without blanks (space, tab) at its end, and at both ends. */
struct span span_rtrim(struct span);
struct span span_trim(struct span);

/*
 * Takes the next word (octets up to a blank) off the front of *rest, the blanks before it too.
 * Empty: nothing is left.
 */
struct span span_word(struct span *rest);

/*
 * Decimal digits and nothing else, no sign, no blanks, at most max.
 * False leaves *out alone.
 */
bool span_u64(struct span, uint64_t max, uint64_t *out);

/* Two lower-case hexadecimal digits for each octet, 2 * s.n in all, no NUL. */
void span_hex(struct span, char *out);

/* Well-formed UTF-8 (RFC 3629: no surrogates, nothing over-long, nothing above U+10FFFF). */
bool span_is_utf8(struct span);
/* No octet above 0x7f. */
bool span_is_ascii(struct span);

#endif
