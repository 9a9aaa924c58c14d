/*
 * hex - hexadecimal digits of either case.
 */
#ifndef POSTERN_MIME_HEX_H
#define POSTERN_MIME_HEX_H

#include "core/span.h"

/* The value of a digit, or -1. */
static inline int
hex_value(uint8_t c)
{
	uint8_t lower = octet_lower(c);

	if (octet_is_digit(c))
		return c - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The octet that two digits at p stand for, or -1. */
static inline int
hex_octet(const uint8_t *p)
{
	int high = hex_value(p[0]), low = hex_value(p[1]);

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

#endif
