#include "mime/line_begin.h"

#ifdef __SSE2__
#include <emmintrin.h>

#define RUN 64 /* octets that are asked for at once */

static __m128i
octets_at(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Returns how far nothing was found. */
static size_t
pass_vectors(struct span s, uint8_t a, uint8_t b)
{
	const __m128i lf = _mm_set1_epi8('\n'), as = _mm_set1_epi8((char)a),
		      bs = _mm_set1_epi8((char)b);
	size_t i = 0;

	for (; i + RUN + 1 <= s.n; i += RUN) {
		__m128i found = _mm_setzero_si128();

		for (size_t k = i; k < i + RUN; k += sizeof(found)) {
			const __m128i behind = octets_at(s.p + k + 1);
			const __m128i begins =
			    _mm_or_si128(_mm_cmpeq_epi8(behind, as), _mm_cmpeq_epi8(behind, bs));

			found = _mm_or_si128(
			    found, _mm_and_si128(begins, _mm_cmpeq_epi8(octets_at(s.p + k), lf)));
		}
		if (_mm_movemask_epi8(found) != 0)
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
