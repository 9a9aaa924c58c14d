#include "mime/base64.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LINE_MAX_OCTETS 76 /* RFC 2045 s6.8 */

/* What an octet is, where it is no character of the alphabet: there its value stands. */
enum {
	BLANK = 64,
	PAD,
	URL_SAFE, /* 62 and 63 of the other alphabet (RFC 4648 s5) */
	JUNK,
};

static const uint8_t VALUES[256] = {
#define J4  JUNK, JUNK, JUNK, JUNK
#define J16 J4, J4, J4, J4
#define J64 J16, J16, J16, J16
    J4, J4, JUNK, BLANK, BLANK, JUNK, JUNK, BLANK, JUNK, JUNK, J16, BLANK, JUNK, JUNK, JUNK, J4,
    JUNK, JUNK, JUNK, 62, JUNK, URL_SAFE, JUNK, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, JUNK,
    JUNK, JUNK, PAD, JUNK, JUNK, JUNK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
    18, 19, 20, 21, 22, 23, 24, 25, JUNK, JUNK, JUNK, JUNK, URL_SAFE, JUNK, 26, 27, 28, 29, 30, 31,
    32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, JUNK, JUNK,
    JUNK, JUNK, JUNK, J64, J64};
#undef J64
#undef J16
#undef J4

void
mime_base64_init(struct mime_base64 *d, uint64_t off)
{
	*d = (struct mime_base64){.off = off, .line = off, .stop_size = UINT64_MAX};
}

static void
line_ends(struct mime_base64 *d, uint64_t at, uint64_t next)
{
	if (at - d->line > LINE_MAX_OCTETS)
		mime_faults_add(&d->faults, MIME_ODD_LONG_LINE, d->line, "more than 76 characters");
	d->line = next;
}

/* The octets of a group of n characters, 2 to 4; it is empty then. */
static size_t
group_out(struct mime_base64 *d, uint8_t *out)
{
	uint32_t bits = d->bits << 6 * (4 - d->n);
	size_t n = d->n - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(bits >> (16 - 8 * i));
	d->bits = 0;
	d->n = 0;
	d->size += n;
	return n;
}

static size_t
character(struct mime_base64 *d, uint8_t value, uint8_t *out)
{
	if (d->stop_size != UINT64_MAX && !d->stopped) {
		d->stopped = true;
		mime_faults_add(&d->faults, MIME_ODD_AMBIGUOUS, d->off,
		    "base64: content behind padding decoded; or ends at the padding");
	}
	if (d->pads > 0) {
		d->pads = 0;
		mime_faults_add(&d->faults, MIME_ODD_BASE64, d->off, "padding missing");
	}
	d->bits = d->bits << 6 | value;
	return ++d->n == 4 ? group_out(d, out) : 0;
}

static size_t
pad(struct mime_base64 *d, uint8_t *out)
{
	size_t written;

	if (d->n == 0 && d->pads > 0) {
		d->pads--;
		return 0;
	}
	if (d->n < 2) {
		mime_faults_add(&d->faults, MIME_ODD_BASE64, d->off, "padding where none may be");
		return 0;
	}
	d->pads = 3 - d->n;
	written = group_out(d, out);
	if (d->stop_size == UINT64_MAX)
		d->stop_size = d->size;
	return written;
}

static void
junk(struct mime_base64 *d, uint8_t kind)
{
	mime_faults_add(&d->faults, MIME_ODD_BASE64, d->off, "octet outside the alphabet");
	d->url_seen = d->url_seen || kind == URL_SAFE;
	if (kind == URL_SAFE)
		mime_faults_add(&d->faults, MIME_ODD_AMBIGUOUS, d->off,
		    "base64: - and _ skipped; or taken for + and /");
}

/* Any octet, in any state. */
static size_t
one_octet(struct mime_base64 *d, uint8_t c, uint8_t *out)
{
	uint8_t value = VALUES[c];
	size_t written = 0;

	if (value == URL_SAFE && d->url_safe)
		value = c == '-' ? 62 : 63;
	if (value < BLANK)
		written = character(d, value, out);
	else if (value == PAD)
		written = pad(d, out);
	else if (value != BLANK)
		junk(d, value);
	else if (c == '\n')
		line_ends(d, d->off - d->cr, d->off + 1);
	d->cr = c == '\r';
	d->off++;
	return written;
}

/*
 * Whole groups of the alphabet, as far as they go. Returns the octets that were taken: a multiple
 * of four.
 */
static size_t
groups(const uint8_t *p, size_t n, uint8_t *out)
{
	size_t i;

	for (i = 0; n - i >= 4; i += 4, out += 3) {
		uint8_t a = VALUES[p[i]], b = VALUES[p[i + 1]];
		uint8_t c = VALUES[p[i + 2]], e = VALUES[p[i + 3]];
		uint32_t bits;

		if ((a | b | c | e) >= BLANK)
			break;
		bits = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | e;
		out[0] = (uint8_t)(bits >> 16);
		out[1] = (uint8_t)(bits >> 8);
		out[2] = (uint8_t)bits;
	}
	return i;
}

#if defined(__x86_64__)
/*
 * 32 characters to 24 octets (W. Mula, D. Lemire: Faster Base64 Encoding and Decoding Using AVX2
 * Instructions, 2018): two tables, asked with the upper and the lower four bits, have a bit in
 * common exactly for octets outside the alphabet. Returns a bit for each of these; what is written
 * is right up to the group that holds the first one. Writes 32 octets.
 */
__attribute__((target("avx2"))) static inline uint32_t
thirty_two(const uint8_t *p, uint8_t *out)
{
	const __m256i low_table = _mm256_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
	    0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a, 0x15, 0x11, 0x11, 0x11, 0x11, 0x11,
	    0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
	const __m256i high_table = _mm256_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08,
	    0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x01, 0x02, 0x04, 0x08,
	    0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
	const __m256i shifts = _mm256_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
	const __m256i reversed = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1,
	    -1, -1, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
	const __m256i packed = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7);
	const __m256i nibble = _mm256_set1_epi8(0x2f); /* "/" too, and bit 7 is not in it */
	__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i high = _mm256_and_si256(_mm256_srli_epi32(v, 4), nibble);
	__m256i low = _mm256_and_si256(v, nibble);
	__m256i bad = _mm256_and_si256(
	    _mm256_shuffle_epi8(low_table, low), _mm256_shuffle_epi8(high_table, high));
	__m256i good = _mm256_cmpeq_epi8(bad, _mm256_setzero_si256());
	__m256i slash = _mm256_cmpeq_epi8(v, nibble);

	v = _mm256_add_epi8(v, _mm256_shuffle_epi8(shifts, _mm256_add_epi8(slash, high)));
	v = _mm256_maddubs_epi16(v, _mm256_set1_epi32(0x01400140));
	v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00011000));
	v = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(v, reversed), packed);
	_mm256_storeu_si256((__m256i *)(void *)out, v);
	return ~(uint32_t)_mm256_movemask_epi8(good);
}

/* How many octets the end of a line at p[i] takes; 0: there is none. p[i + 1] is there, too. */
static size_t
end_of_line(struct mime_base64 *d, const uint8_t *p, size_t i)
{
	size_t n = p[i] == '\r' && p[i + 1] == '\n' ? 2 : p[i] == '\n' && (i > 0 || !d->cr);

	if (n > 0)
		line_ends(d, d->off + i, d->off + i + n);
	return n;
}

/*
 * Nearly all lines are as long as the one before. Where the next one begins does then not depend on
 * what was found in this one, and a processor has several at work at once. So lines of "same"
 * characters (0: none) and CRLF are taken first, as long as they are all characters.
 */
#define SAME_LEAST 64
#define SAME_ROOM  96 /* what is looked at of one */

static size_t
same_of(size_t length, size_t end)
{
	return end == 2 && length % 4 == 0 && length >= SAME_LEAST && length <= LINE_MAX_OCTETS
		   ? length
		   : 0;
}

static bool
ends_same(const uint8_t *p, size_t n, size_t same)
{
	return n >= SAME_ROOM && p[same] == '\r' && p[same + 1] == '\n';
}

/* Lines to the octet "taken" were as they should be. Returns that. */
static size_t
took_same(struct mime_base64 *d, size_t same, size_t taken, uint8_t **to)
{
	*to += taken / (same + 2) * (same / 4 * 3);
	d->line += taken;
	return taken;
}

__attribute__((target("avx2"))) static size_t
same_avx2(struct mime_base64 *d, const uint8_t *p, size_t n, size_t same, uint8_t **to)
{
	const uint32_t last = (UINT32_C(1) << (same - 64)) - 1;
	uint8_t *out = *to;
	size_t i = 0;

	for (; ends_same(p + i, n - i, same); i += same + 2, out += same / 4 * 3) {
		uint32_t bad = thirty_two(p + i, out);

		bad |= thirty_two(p + i + 32, out + 24);
		bad |= thirty_two(p + i + 64, out + 48) & last;
		if (bad != 0)
			break;
	}
	return took_same(d, same, i, to);
}

/* Whole groups and line ends between them. Returns the octets that were taken. */
__attribute__((target("avx2"))) static size_t
groups_avx2(struct mime_base64 *d, const uint8_t *p, size_t n, uint8_t *out, size_t *written)
{
	uint8_t *to = out;
	size_t i = 0, end = 1;

	while (n - i >= 32 && end > 0) {
		uint32_t bad = thirty_two(p + i, to);
		size_t whole = bad == 0 ? 32 : (size_t)__builtin_ctz(bad) & ~(size_t)3, length;

		i += whole;
		to += whole / 4 * 3;
		if (bad == 0)
			continue;
		length = (size_t)(d->off + i - d->line);
		/* at most 28 of 32 were taken: two more can be looked at */
		i += end = end_of_line(d, p, i);
		if (same_of(length, end) > 0)
			i += same_avx2(d, p + i, n - i, length, &to);
	}
	*written = (size_t)(to - out);
	return i;
}
#endif

/* The quick way, between groups. Returns the octets that were taken. */
static size_t
run(struct mime_base64 *d, const uint8_t *p, size_t n, uint8_t *out, size_t *written)
{
	size_t taken;

#if defined(__x86_64__)
	if (!d->scalar && n >= 32 && __builtin_cpu_supports("avx2")) {
		taken = groups_avx2(d, p, n, out, written);
	} else
#endif
	{
		taken = groups(p, n, out);
		*written = taken / 4 * 3;
	}
	d->off += taken;
	d->size += *written;
	if (taken > 0)
		d->cr = false;
	return taken;
}

size_t
mime_base64_feed(struct mime_base64 *d, struct span in, uint8_t *out)
{
	uint8_t *to = out;
	size_t i = 0;

	while (i < in.n) {
		size_t written = 0, taken = 0;

		if (d->n == 0 && d->pads == 0 && (d->stop_size == UINT64_MAX || d->stopped))
			taken = run(d, in.p + i, in.n - i, to, &written);
		i += taken;
		to += written;
		/* what stopped the run, then the rest of the group */
		do {
			if (i < in.n)
				to += one_octet(d, in.p[i++], to);
		} while (i < in.n && d->n > 0);
	}
	return (size_t)(to - out);
}

size_t
mime_base64_finish(struct mime_base64 *d, uint8_t *out)
{
	line_ends(d, d->off - d->cr, d->off);
	if (d->n == 1)
		mime_faults_add(&d->faults, MIME_ODD_BASE64, d->off, "one character alone");
	else if (d->n > 1 || d->pads > 0)
		mime_faults_add(&d->faults, MIME_ODD_BASE64, d->off, "padding missing");
	d->pads = 0;
	return d->n > 1 ? group_out(d, out) : 0;
}
