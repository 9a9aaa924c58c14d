#include "core/base64.h"

static int
value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (octet_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
base64_decode(struct span text, struct buf *out)
{
	uint32_t bits = 0;
	unsigned n = 0;

	while (text.n > 0 && text.p[text.n - 1] == '=')
		text.n--;
	for (size_t i = 0; i < text.n; i++) {
		int value = value_of(text.p[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		n += 6;
		if (n < 8)
			continue;
		n -= 8;
		if (!buf_octet(out, (uint8_t)(bits >> n)))
			return false;
	}
	return n < 6; /* a lone last character carries no octet */
}
