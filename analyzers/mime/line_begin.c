#include "mime/line_begin.h"

#ifdef __SSE2__
#include <emmintrin.h>

static __m128i
equal(const uint8_t *p, uint8_t c)
{
	return _mm_cmpeq_epi8(
	    _mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8((char)c));
}

/* Sixteen octets and the ones behind them at once. Returns how far nothing was found. */
static size_t
pass_vectors(struct span s, uint8_t a, uint8_t b)
{
	size_t i = 0;

	for (; i + 17 <= s.n; i += 16) {
		const __m128i begins = _mm_or_si128(equal(s.p + i + 1, a), equal(s.p + i + 1, b));

		if (_mm_movemask_epi8(_mm_and_si128(equal(s.p + i, '\n'), begins)) != 0)
			break;
	}
	return i;
}
#else
static size_t
pass_vectors(struct span s, uint8_t a, uint8_t b)
{
	(void)s;
	(void)a;
	(void)b;
	return 0;
}
#endif

size_t
line_begin(struct span s, uint8_t a, uint8_t b)
{
	size_t i = pass_vectors(s, a, b);

	while (i < s.n) {
		ptrdiff_t lf = span_find(span_from(s, i), '\n');

		if (lf < 0)
			return s.n;
		i += (size_t)lf + 1;
		if (i < s.n && (s.p[i] == a || s.p[i] == b))
			return i;
	}
	return s.n;
}
