#include "core/span.h"

bool
span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
span_ieq(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (octet_lower(a.p[i]) != octet_lower(b.p[i]))
			return false;
	return true;
}

bool
span_starts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_eq(span_first(s, prefix.n), prefix);
}

bool
span_istarts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_ieq(span_first(s, prefix.n), prefix);
}

bool
span_iends(struct span s, struct span suffix)
{
	return s.n >= suffix.n && span_ieq(span_from(s, s.n - suffix.n), suffix);
}

ptrdiff_t
span_find(struct span s, uint8_t c)
{
	const uint8_t *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);

	return at == NULL ? -1 : at - s.p;
}

ptrdiff_t
span_rfind(struct span s, uint8_t c)
{
	for (size_t i = s.n; i > 0; i--)
		if (s.p[i - 1] == c)
			return (ptrdiff_t)(i - 1);
	return -1;
}

struct span
span_from(struct span s, size_t from)
{
	if (from >= s.n)
		return SPAN_NONE;
	return span_of(s.p + from, s.n - from);
}

struct span
span_first(struct span s, size_t n)
{
	return span_of(s.p, n < s.n ? n : s.n);
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct span
span_rtrim(struct span s)
{
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct span
span_trim(struct span s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	return span_rtrim(s);
}

struct span
span_word(struct span *rest)
{
	struct span s = *rest;
	size_t n = 0;

	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (n < s.n && !is_blank(s.p[n]))
		n++;
	*rest = span_from(s, n);
	return span_first(s, n);
}

bool
span_u64(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)s.p[i] - '0';
		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (value > max)
		return false;
	*out = value;
	return true;
}

void
span_hex(struct span s, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < s.n; i++) {
		out[2 * i] = digits[s.p[i] >> 4];
		out[2 * i + 1] = digits[s.p[i] & 0xf];
	}
}

/* Octets of the sequence that a lead octet opens, and the bounds of its second octet; 0: none. */
static size_t
utf8_length(uint8_t lead, uint8_t *low, uint8_t *high)
{
	*low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	*high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	return 0;
}

bool
span_is_utf8(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		uint8_t low, high;
		size_t n;

		if (s.p[i] < 0x80) {
			i++;
			continue;
		}
		n = utf8_length(s.p[i], &low, &high);
		if (n == 0 || s.n - i < n || s.p[i + 1] < low || s.p[i + 1] > high)
			return false;
		for (size_t k = 2; k < n; k++)
			if ((s.p[i + k] & 0xc0) != 0x80)
				return false;
		i += n;
	}
	return true;
}

bool
span_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] > 0x7f)
			return false;
	return true;
}
