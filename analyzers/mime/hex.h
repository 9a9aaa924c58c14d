/*
 * hex - hexadecimal digits of either case.
 */
#ifndef POSTERN_MIME_HEX_H
#define POSTERN_MIME_HEX_H

#include "core/span.h"

/* One more than the value of a digit; 0: none. */
extern const uint8_t HEX_VALUES[256];

/* The value of a digit, or -1. */
static inline int
hex_value(uint8_t c)
{
	return HEX_VALUES[c] - 1;
}

/* The octet that two digits at p stand for, or -1. */
static inline int
hex_octet(const uint8_t *p)
{
	int high = hex_value(p[0]), low = hex_value(p[1]);

	return (high | low) < 0 ? -1 : high << 4 | low;
}

#endif
