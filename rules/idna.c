#include "idna.h"

#include <idn2.h>

/* Capitals in a row, with the same distance to their small letters. */
static const struct {
	uint32_t first, last, distance;
} capitals[] = {
    {0x00c0, 0x00d6, 32}, {0x00d8, 0x00de, 32}, /* Latin-1, but for the multiplication sign */
    {0x0386, 0x0386, 38}, {0x0388, 0x038a, 37}, {0x038c, 0x038c, 64}, {0x038e, 0x038f, 63},
    {0x0391, 0x03a1, 32}, {0x03a3, 0x03ab, 32}, /* Greek */
    {0x0400, 0x040f, 80}, {0x0410, 0x042f, 32}, /* Cyrillic */
    {0x0531, 0x0556, 48},			/* Armenian */
};

/* Capital, small, capital, small, ...; the first one is a capital. */
static const struct {
	uint32_t first, last;
} pairs[] = {
    {0x0100, 0x012f}, {0x0132, 0x0137}, {0x0139, 0x0148}, {0x014a, 0x0177}, /* Latin Extended-A */
    {0x0179, 0x017e}, {0x0218, 0x021b}, {0x1e00, 0x1e95}, {0x1ea0, 0x1eff}, /* s, t; Vietnamese */
    {0x0460, 0x0481}, {0x048a, 0x04bf}, {0x04c1, 0x04ce}, {0x04d0, 0x052f}, /* Cyrillic */
};

#define N(table) (sizeof(table) / sizeof((table)[0]))

static uint32_t
lower(uint32_t c)
{
	for (size_t i = 0; i < N(capitals); i++)
		if (c >= capitals[i].first && c <= capitals[i].last)
			return c + capitals[i].distance;
	for (size_t i = 0; i < N(pairs); i++)
		if (c >= pairs[i].first && c <= pairs[i].last)
			return c + (1 - ((c - pairs[i].first) & 1));
	return c;
}

/*
 * Copies UTF-8 and makes its capitals small. Only sequences of two and three octets have any, and
 * no letter above needs another number of octets when it is small.
 */
static void
lower_utf8(struct span in, uint8_t *out)
{
	for (size_t i = 0; i < in.n;) {
		uint8_t a = in.p[i];
		uint32_t c;

		if (a >= 0xc2 && a <= 0xdf) {
			c = lower((uint32_t)(a & 0x1f) << 6 | (in.p[i + 1] & 0x3f));
			out[i] = (uint8_t)(0xc0 | c >> 6);
			out[i + 1] = (uint8_t)(0x80 | (c & 0x3f));
			i += 2;
		} else if (a >= 0xe0 && a <= 0xef) {
			c = lower((uint32_t)(a & 0x0f) << 12 | (uint32_t)(in.p[i + 1] & 0x3f) << 6 |
				  (in.p[i + 2] & 0x3f));
			out[i] = (uint8_t)(0xe0 | c >> 12);
			out[i + 1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
			out[i + 2] = (uint8_t)(0x80 | (c & 0x3f));
			i += 3;
		} else {
			out[i++] = a;
		}
	}
}

bool
idna_to_ascii(struct span name, char *out, size_t size)
{
	uint8_t text[IDNA_INPUT_MAX + 1];
	uint8_t *ascii = NULL;
	size_t n;

	/* libidn2 reads up to a NUL; a name cut short there would be another name. */
	if (name.n > IDNA_INPUT_MAX || span_find(name, '\0') >= 0 || !span_is_utf8(name))
		return false;
	lower_utf8(name, text);
	text[name.n] = '\0';
	if (idn2_lookup_u8(text, &ascii, IDN2_NO_TR46) != IDN2_OK)
		return false;
	n = strlen((const char *)ascii) + 1;
	if (n <= size)
		memcpy(out, ascii, n);
	idn2_free(ascii);
	return n <= size;
}
