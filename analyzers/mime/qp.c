#include "mime/qp.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "mime/hex.h"

#define LINE_MAX_OCTETS 76 /* RFC 2045 s6.7 (5) */

void
mime_qp_init(struct mime_qp *d, uint64_t off)
{
	*d = (struct mime_qp){.off = off, .line = off};
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void
odd_octet(struct mime_qp *d, uint64_t off)
{
	d->odd = true;
	mime_faults_add(&d->faults, MIME_ODD_QP, off, "octet above 0x7f, or NUL");
}

/* The octets before the next "=" or LF, copied on the way; off: where the first stands. */
static size_t
copy_plain(struct mime_qp *d, uint64_t off, struct span in, uint8_t *out)
{
	const uint8_t *p = in.p;
	size_t n = in.n, i = 0;

#ifdef __SSE2__
	const __m128i equal = _mm_set1_epi8('='), lf = _mm_set1_epi8('\n');
	const __m128i nul = _mm_setzero_si128();

	for (; n - i >= 16; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		__m128i end = _mm_or_si128(_mm_cmpeq_epi8(v, equal), _mm_cmpeq_epi8(v, lf));
		unsigned ends = (unsigned)_mm_movemask_epi8(end);
		unsigned odd = (unsigned)_mm_movemask_epi8(_mm_or_si128(v, _mm_cmpeq_epi8(v, nul)));

		_mm_storeu_si128((__m128i *)(void *)(out + i), v);
		odd &= (ends & -ends) - 1; /* those before the end */
		if (odd != 0 && !d->odd)
			odd_octet(d, off + i + (unsigned)__builtin_ctz(odd));
		if (ends != 0)
			return i + (unsigned)__builtin_ctz(ends);
	}
#endif
	for (; i < n && p[i] != '=' && p[i] != '\n'; i++) {
		if ((p[i] == '\0' || p[i] > 0x7f) && !d->odd)
			odd_octet(d, off + i);
		out[i] = p[i];
	}
	return i;
}

/* These octets of the line have gone by. */
static void
went_by(struct mime_qp *d, const uint8_t *p, size_t n)
{
	d->off += n;
	if (n == 0)
		return;
	d->before = n > 1 ? p[n - 2] : d->last;
	d->last = p[n - 1];
}

/* At an LF, or at the end of all. */
static void
line_ends(struct mime_qp *d)
{
	bool cr = d->last == '\r';

	if (d->off - d->line > LINE_MAX_OCTETS + (cr ? 1u : 0u))
		mime_faults_add(&d->faults, MIME_ODD_LONG_LINE, d->line, "more than 76 characters");
	if (is_blank(cr ? d->before : d->last))
		mime_faults_add(
		    &d->faults, MIME_ODD_QP, d->off - 1 - cr, "blank at the end of a line");
}

static void
next_line(struct mime_qp *d)
{
	line_ends(d);
	d->off++;
	d->line = d->off;
	d->last = d->before = '\0';
}

/*
 * What "=" at p means: how many octets of the input it takes, and in *octet what it stands for (-1:
 * nothing, -2: the first of them stands for itself). 0: the input ends before that is known.
 */
static size_t
escape(const uint8_t *p, size_t n, int *octet)
{
	size_t i = 1;

	*octet = -2;
	if (n >= 3 && (*octet = hex_octet(p + 1)) >= 0)
		return 3;
	*octet = -2;
	if (n >= 2 && hex_value(p[1]) >= 0)
		return n >= 3 ? 1 : 0;
	while (i < n && is_blank(p[i]))
		i++;
	if (i < n && p[i] == '\r')
		i++;
	if (i >= MIME_QP_HELD)
		return 1;
	if (i == n)
		return 0;
	if (p[i] != '\n')
		return 1;
	*octet = -1;
	return i + 1;
}

/* "=" at p and what belongs to it. Returns what was taken of n octets; *to is moved on. */
static size_t
take_escape(struct mime_qp *d, const uint8_t *p, size_t n, uint8_t **to)
{
	int octet;
	size_t taken = escape(p, n, &octet);

	if (taken == 0)
		return 0;
	if (octet == -1) {
		went_by(d, p, taken - 1);
		next_line(d);
		return taken;
	}
	if (octet == -2)
		mime_faults_add(&d->faults, MIME_ODD_QP, d->off, "= without two digits");
	else if (p[1] >= 'a' || p[2] >= 'a')
		mime_faults_add(&d->faults, MIME_ODD_QP, d->off, "digits in lower case");
	*(*to)++ = octet == -2 ? '=' : (uint8_t)octet;
	went_by(d, p, taken);
	return taken;
}

/*
 * "=XX" after "=XX", as far as they go: letters beyond ASCII. off: where the first stands. Returns
 * what was taken.
 */
static size_t
take_octets(struct mime_qp *d, uint64_t off, const uint8_t *p, size_t n, uint8_t **to)
{
	size_t i = 0;
	int octet;

	for (; n - i >= 3 && p[i] == '=' && (octet = hex_octet(p + i + 1)) >= 0; i += 3) {
		if (p[i + 1] >= 'a' || p[i + 2] >= 'a')
			mime_faults_add(&d->faults, MIME_ODD_QP, off + i, "digits in lower case");
		*(*to)++ = (uint8_t)octet;
	}
	return i;
}

/* What goes on to the end of its line, or to an escape that is none of an octet; that is left. */
static size_t
take_run(struct mime_qp *d, struct span in, uint8_t **to)
{
	size_t i = 0, taken;

	do {
		taken = copy_plain(d, d->off + i, span_from(in, i), *to);
		*to += taken;
		i += taken;
		taken = take_octets(d, d->off + i, in.p + i, in.n - i, to);
		i += taken;
	} while (taken > 0);
	went_by(d, in.p, i);
	return i;
}

static size_t
decode(struct mime_qp *d, struct span in, uint8_t **to)
{
	size_t i = 0, taken = 1;

	while (taken > 0) {
		i += take_run(d, span_from(in, i), to);
		if (i == in.n)
			break;
		if (in.p[i] == '\n') {
			next_line(d);
			*(*to)++ = '\n';
			taken = 1;
		} else {
			taken = take_escape(d, in.p + i, in.n - i, to);
		}
		i += taken;
	}
	return i;
}

size_t
mime_qp_feed(struct mime_qp *d, struct span in, uint8_t *out)
{
	uint8_t *to = out;
	size_t taken;

	/* an escape that was cut: octet by octet until its meaning is known */
	while (d->n > 0 && in.n > 0) {
		size_t held = d->n + 1;

		d->held[d->n] = in.p[0];
		in = span_from(in, 1);
		taken = take_escape(d, d->held, held, &to);
		d->n = taken == 0 ? held : 0;
		if (taken == 0 || taken == held)
			continue;
		/* "=" stands for itself: what was held behind it is read again, it has no escape
		   but at its end */
		taken += decode(d, span_of(d->held + taken, held - taken), &to);
		memmove(d->held, d->held + taken, held - taken);
		d->n = held - taken;
	}
	taken = decode(d, in, &to);
	in = span_from(in, taken);
	if (in.n > 0)
		memcpy(d->held, in.p, in.n);
	d->n += in.n;
	return (size_t)(to - out);
}

size_t
mime_qp_finish(struct mime_qp *d, uint8_t *out)
{
	uint8_t *to = out;

	if (d->n > 1 && hex_value(d->held[1]) >= 0) {
		mime_faults_add(&d->faults, MIME_ODD_QP, d->off, "= without two digits");
		memcpy(to, d->held, d->n);
		to += d->n;
	} else if (d->n > 0) {
		mime_faults_add(&d->faults, MIME_ODD_QP, d->off, "= at the very end");
	}
	went_by(d, d->held, d->n);
	d->n = 0;
	line_ends(d);
	return (size_t)(to - out);
}
