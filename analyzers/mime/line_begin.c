#include "mime/line_begin.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define RUN 128 /* octets that are asked for at once */

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i
octets_at(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

AVX2 static inline __m256i
is_lf(const uint8_t *p)
{
	return _mm256_cmpeq_epi8(octets_at(p), _mm256_set1_epi8('\n'));
}

/* For each of the octets from p on: is it a LF, with one of both behind it? */
AVX2 static inline __m256i
begins(const uint8_t *p, __m256i a, __m256i b)
{
	const __m256i behind = octets_at(p + 1);

	return _mm256_and_si256(
	    is_lf(p), _mm256_or_si256(_mm256_cmpeq_epi8(behind, a), _mm256_cmpeq_epi8(behind, b)));
}

/* Returns how far nothing was found, as far as whole vectors go. */
AVX2 static size_t
pass_avx2(struct span s, uint8_t a, uint8_t b)
{
	const __m256i as = _mm256_set1_epi8((char)a), bs = _mm256_set1_epi8((char)b);
	size_t i = 0;

	for (; s.n - i >= RUN + 1; i += RUN) {
		const uint8_t *p = s.p + i;
		const __m256i found =
		    _mm256_or_si256(_mm256_or_si256(begins(p, as, bs), begins(p + 32, as, bs)),
			_mm256_or_si256(begins(p + 64, as, bs), begins(p + 96, as, bs)));

		if (!_mm256_testz_si256(found, found))
			break;
	}
	for (; s.n - i >= 32 + 1; i += 32) {
		const __m256i found = begins(s.p + i, as, bs);

		if (!_mm256_testz_si256(found, found))
			break;
	}
	return i;
}

/* Those of the whole runs in s; *taken: their octets. */
AVX2 static uint64_t
count_avx2(struct span s, size_t *taken)
{
	const __m256i zero = _mm256_setzero_si256();
	__m256i all = zero;
	uint64_t sums[4];
	size_t i = 0;

	for (; s.n - i >= RUN; i += RUN) {
		const uint8_t *p = s.p + i;
		/* each octet counts to four, from 0 down */
		const __m256i counts = _mm256_add_epi8(_mm256_add_epi8(is_lf(p), is_lf(p + 32)),
		    _mm256_add_epi8(is_lf(p + 64), is_lf(p + 96)));

		all = _mm256_add_epi64(all, _mm256_sad_epu8(_mm256_sub_epi8(zero, counts), zero));
	}
	_mm256_storeu_si256((__m256i *)(void *)sums, all);
	*taken = i;
	return sums[0] + sums[1] + sums[2] + sums[3];
}
#endif

size_t
line_begin(struct span s, uint8_t a, uint8_t b)
{
	size_t i = 0;

#if defined(__x86_64__)
	if (s.n > 32 && __builtin_cpu_supports("avx2"))
		i = pass_avx2(s, a, b);
#endif
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

uint64_t
line_count(struct span s)
{
	uint64_t n = 0;
	size_t i = 0;

#if defined(__x86_64__)
	if (s.n >= RUN && __builtin_cpu_supports("avx2"))
		n = count_avx2(s, &i);
#endif
	for (ptrdiff_t lf; (lf = span_find(span_from(s, i), '\n')) >= 0; i += (size_t)lf + 1)
		n++;
	return n;
}
