#include "printable.h"

/* Ranges of characters that act; sorted. */
static const struct {
	uint32_t first, last;
} acting[] = {
    {0x00, 0x1f},	/* C0 */
    {0x7f, 0x9f},	/* DEL, C1 */
    {0xad, 0xad},	/* soft hyphen */
    {0x61c, 0x61c},	/* Arabic letter mark */
    {0x200b, 0x200f},	/* zero width, direction marks */
    {0x2028, 0x202e},	/* separators, embeddings, overrides */
    {0x2060, 0x206f},	/* isolates, invisible operators */
    {0xfeff, 0xfeff},	/* byte order mark */
    {0xfff9, 0xfffb},	/* interlinear annotation */
    {0xe0000, 0xe007f}, /* tags */
};

static bool
acts(uint32_t c)
{
	for (size_t i = 0; i < sizeof(acting) / sizeof(acting[0]) && acting[i].first <= c; i++)
		if (c <= acting[i].last)
			return true;
	return false;
}

static bool
is_hex(uint8_t c)
{
	c = octet_lower(c);
	return octet_is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool
looks_escaped(struct span s)
{
	return s.n >= 4 && s.p[0] == '\\' && s.p[1] == 'x' && is_hex(s.p[2]) && is_hex(s.p[3]);
}

/* Octets of the character that s begins with, 0: it begins with none. RFC 3629 s3. */
static size_t
utf8_char(struct span s, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t lead = s.p[0];
	size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	if (n < 2 || n > s.n || lead > 0xf4) {
		*c = lead;
		return n == 1 ? 1 : 0;
	}
	*c = lead & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (s.p[i] & 0x3f);
	}
	if (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return n;
}

#define EACH(c) ((uint64_t)(c)*0x0101010101010101u)

/* The highest bit of the first octet that is c is set, and of none ahead of it; behind it, of any.
 */
static uint64_t
equal_to(uint64_t octets, uint8_t c)
{
	octets ^= EACH(c);
	return (octets - EACH(1)) & ~octets;
}

size_t
printable_eights(struct span s)
{
	size_t n = 0;

	for (uint64_t v; s.n - n >= sizeof(v); n += sizeof(v)) {
		uint64_t odd;

		memcpy(&v, s.p + n, sizeof(v));
		odd = ((v - EACH(' ')) & ~v) | (v + EACH(1)) | v; /* controls, DEL, 8-bit */
		odd |= equal_to(v, '"') | equal_to(v, '\\');
		if ((odd & EACH(0x80)) != 0)
			break;
	}
	return n;
}

size_t
printable_run(struct span s)
{
	size_t n = 0;

	while (n < s.n) {
		n += printable_eights(span_from(s, n));
		for (const size_t eight = n + 8; n < s.n && n < eight; n++)
			if (s.p[n] < ' ' || s.p[n] >= 0x7f || s.p[n] == '\\')
				return n;
	}
	return n;
}

/* Writes the octets of s as \xNN. */
static bool
escape(struct span s, struct buf *out)
{
	static const char digit[] = "0123456789abcdef";
	char text[4 * 4];

	for (size_t i = 0; i < s.n; i++) {
		text[4 * i] = '\\';
		text[4 * i + 1] = 'x';
		text[4 * i + 2] = digit[s.p[i] >> 4];
		text[4 * i + 3] = digit[s.p[i] & 0xf];
	}
	return buf_add(out, span_of(text, 4 * s.n));
}

/* Takes one character off the front of *in. */
static bool
one_char(struct span *in, size_t room, struct buf *out)
{
	uint32_t c;
	size_t n = utf8_char(*in, &c);
	bool plain = n > 0 && !acts(c) && !looks_escaped(*in);
	struct span whole = span_first(*in, n == 0 ? 1 : n);

	if ((plain ? whole.n : 4 * whole.n) > room)
		return false;
	*in = span_from(*in, whole.n);
	return plain ? buf_add(out, whole) : escape(whole, out);
}

bool
printable(struct span in, size_t max, struct buf *out)
{
	size_t start = out->n, run;

	while (in.n > 0) {
		size_t room = max - (out->n - start);

		run = printable_run(in);
		if (run > room)
			run = room;
		if (run > 0 && !buf_add(out, span_first(in, run)))
			return false;
		in = span_from(in, run);
		if (in.n > 0 && !one_char(&in, room - run, out))
			return false;
	}
	return true;
}
