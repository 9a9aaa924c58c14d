#include "core/text.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

enum state {
	LINE_START,
	IN_LINE,
	AFTER_CR,     /* a CR is held back: line end or stray */
	AFTER_CR_OUT, /* the same, but the CR has gone out with its chunk */
	AFTER_DOT,    /* a dot at the start of a line: stuffed, or the end mark */
	AFTER_DOT_CR,
};

static const uint8_t CR_LF[] = {'\r', '\n'};

void
text_init(struct text *t, bool dots, size_t line_max, bool eight_bit_ok)
{
	*t = (struct text){
	    .dots = dots,
	    .state = LINE_START,
	    .line_max = line_max,
	    .said_eight_bit = eight_bit_ok,
	};
}

void
text_resume(struct text *t, uint64_t n)
{
	t->at += n;
	t->state = IN_LINE;
	t->line_n = t->past_n = t->odd_n = 0;
	t->stuffed = t->long_line = false;
}

static bool
is_special(uint8_t c)
{
	return c == '\r' || c == '\n' || c == '\0';
}

#ifdef __SSE2__
/*
 * Sixteen octets at a time, as far as whole sixteens go. Returns the octets before the first CR,
 * LF or NUL, or those that were looked at when there is none (*found false then).
 */
static size_t
plain_sixteens(const uint8_t *p, size_t n, bool *found, bool *eight_bit)
{
	const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');
	const __m128i nul = _mm_setzero_si128();
	int high = 0;
	size_t i = 0;

	for (*found = false; n - i >= 16 && !*found; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		__m128i hit =
		    _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, cr), _mm_cmpeq_epi8(v, lf)),
			_mm_cmpeq_epi8(v, nul));
		unsigned mask = (unsigned)_mm_movemask_epi8(hit);

		if (mask == 0) {
			high |= _mm_movemask_epi8(v);
			continue;
		}
		*found = true;
		/* of this sixteen only what stands before the hit counts */
		high |= _mm_movemask_epi8(v) & (int)((mask & -mask) - 1);
		i += (size_t)__builtin_ctz(mask) - 16;
	}
	*eight_bit = *eight_bit || high != 0;
	return i;
}
#endif

/* Octets before the first CR, LF or NUL; *eight_bit is set when one of them is above 0x7f. */
static size_t
plain_length(const uint8_t *p, size_t n, bool *eight_bit)
{
	size_t i = 0;
	uint8_t any = 0;

#ifdef __SSE2__
	bool found;

	i = plain_sixteens(p, n, &found, eight_bit);
	if (found)
		return i;
#endif
	for (; i < n && !is_special(p[i]); i++)
		any |= p[i];
	*eight_bit = *eight_bit || (any & 0x80) != 0;
	return i;
}

/* ---- sequences around strays ---- */

static void
odd_add(struct text *t, uint8_t c)
{
	if (t->odd_n < sizeof(t->odd))
		t->odd[t->odd_n++] = c;
}

/* A stray at p[i]: what special octets stand before it, in this chunk and in the ones before? */
static void
odd_begin(struct text *t, const uint8_t *p, size_t i)
{
	uint8_t before[sizeof(t->past)];
	size_t n = 0;

	while (n < sizeof(before) && n < i && (is_special(p[i - n - 1]) || p[i - n - 1] == '.')) {
		before[n] = p[i - n - 1];
		n++;
	}
	if (n == i)
		for (size_t k = t->past_n; k > 0 && n < sizeof(before) &&
					   (is_special(t->past[k - 1]) || t->past[k - 1] == '.');
		     k--)
			before[n++] = t->past[k - 1];
	while (n > 0)
		odd_add(t, before[--n]);
}

static void
remember(struct text *t, const uint8_t *p, size_t n)
{
	size_t keep = n < sizeof(t->past) ? n : sizeof(t->past);
	size_t old = t->past_n < sizeof(t->past) - keep ? t->past_n : sizeof(t->past) - keep;

	memmove(t->past, t->past + (t->past_n - old), old);
	memcpy(t->past + old, p + (n - keep), keep);
	t->past_n = old + keep;
}

static bool
odd_has_dot_between(const struct text *t)
{
	for (size_t i = 1; i + 1 < t->odd_n; i++)
		if (t->odd[i] == '.' && is_special(t->odd[i - 1]) && is_special(t->odd[i + 1]))
			return true;
	return false;
}

static void
odd_name(struct text *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->odd_n; i++) {
		const char *word = t->odd[i] == '\r'   ? "CR"
				   : t->odd[i] == '\n' ? "LF"
				   : t->odd[i] == '\0' ? "NUL"
						       : ".";
		size_t len = strlen(word);

		if (n + len + 2 > sizeof(t->sequence))
			break;
		if (n > 0)
			t->sequence[n++] = ' ';
		memcpy(t->sequence + n, word, len);
		n += len;
	}
	t->sequence[n] = '\0';
}

/* A CR that is held back comes out first: names stand behind what they name. */
static bool
odd_is_over(const struct text *t, uint8_t next)
{
	return t->odd_n > 0 && !is_special(next) && next != '.' && t->state != AFTER_CR &&
	       t->state != AFTER_DOT_CR;
}

/* The run of special octets is over: does it look like an end mark to somebody? */
static bool
odd_finish(struct text *t, struct text_event *ev)
{
	bool named = odd_has_dot_between(t);

	if (named) {
		odd_name(t);
		*ev = (struct text_event){
		    .what = TEXT_ODD, .anomaly = AN_SMUGGLING, .sequence = t->sequence};
	}
	t->odd_n = 0;
	return named;
}

/* ---- the machine ---- */

static void
run(struct text *t, struct text_event *ev, const uint8_t *p, size_t n, bool line_start)
{
	*ev = (struct text_event){.what = TEXT_RUN,
	    .content = span_of(p, n),
	    .line_start = line_start,
	    .stuffed = t->stuffed};
	t->stuffed = false;
}

static void
stray(struct text *t, struct text_event *ev, const uint8_t *p, bool line_start)
{
	run(t, ev, p, 1, line_start);
	ev->what = TEXT_STRAY;
	ev->anomaly = *p == '\r' ? AN_BARE_CR : *p == '\n' ? AN_BARE_LF : AN_NUL;
	t->line_n++;
}

/* A line has so many octets, and its end stands at t->at + end. */
static inline void
measure_line(struct text *t, size_t n, size_t end)
{
	if (t->line_max == 0 || n <= t->line_max || t->long_line)
		return;
	t->long_line = true;
	t->long_line_at = t->at + end;
}

/* CR LF was taken, and ends at t->at + end. */
static void
end_line(struct text *t, size_t end)
{
	measure_line(t, t->line_n + 2, end);
	t->line_n = 0;
	t->state = LINE_START;
}

/* What is odd about octets that have gone out, said once: behind them, whatever their chunks. */
static bool
remark(struct text *t, struct text_event *ev)
{
	*ev = (struct text_event){.what = TEXT_ODD};
	if (t->long_line && !t->said_long) {
		t->said_long = true;
		ev->anomaly = AN_LONG_BODY_LINE;
		ev->behind = t->at - t->long_line_at;
		return true;
	}
	if (t->eight_bit && !t->said_eight_bit) {
		t->said_eight_bit = true;
		ev->anomaly = AN_EIGHT_BIT;
		ev->behind = t->at - t->eight_bit_at;
		return true;
	}
	ev->what = TEXT_MORE;
	return false;
}

#if defined(__x86_64__)
#define BLOCK 64 /* octets that are looked at at once */

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i
octets_at(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* CR, LF and NUL: by their lower halves the table has themselves, and no others. */
AVX2 static inline uint32_t
specials_in(__m256i octets)
{
	const __m256i table = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\n', 0, 0, '\r', 0, 0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\n', 0, 0, '\r', 0, 0);

	return (uint32_t)_mm256_movemask_epi8(
	    _mm256_cmpeq_epi8(octets, _mm256_shuffle_epi8(table, octets)));
}

AVX2 static inline uint64_t
high_in(__m256i low, __m256i high)
{
	return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
							 << 32;
}

/* At p[at], with two octets behind it: a line end, and no dot that somebody has to look at? */
static inline bool
only_ends_line(const struct text *t, const uint8_t *p, size_t at)
{
	return p[at] == '\r' && p[at + 1] == '\n' && !(t->dots && p[at + 2] == '.');
}

/* Of lines that are taken block by block. */
struct lines {
	size_t begin;	 /* of the one that is coming in */
	size_t n, n_old; /* octets of the last one that ended, and of the one before it */
};

/* Lines end in the block at p + i. Returns what is more than that. */
AVX2 static inline uint64_t
end_lines(struct text *t, const uint8_t *p, size_t i, uint64_t special, struct lines *l)
{
	while (special != 0) {
		const unsigned bit = (unsigned)__builtin_ctzll(special);
		const size_t end = i + bit + 2;

		if (!only_ends_line(t, p, i + bit))
			break;
		l->n_old = l->n;
		l->n = end - l->begin;
		measure_line(t, l->n, end);
		l->begin = end;
		special &= ~(UINT64_C(3) << bit);
	}
	return special;
}

/* Octets of lines that may be alike: what is coded has lines of 60 to 76. */
#define ALIKE_LEAST (BLOCK / 2 + 2)
#define ALIKE_MOST  (2 * BLOCK)

/* No line of none: that is less than the least by going around. */
static inline bool
are_alike(const struct lines *l)
{
	return l->n == l->n_old && l->n - ALIKE_LEAST <= ALIKE_MOST - ALIKE_LEAST;
}

/*
 * From at on whole lines of line_n octets, as the last two were: where they end need not be looked
 * for, and what one of that length has to be told of was noted. Returns where the first other one
 * begins. Apart from its only caller, which needs all its registers.
 */
AVX2 __attribute__((noinline)) static size_t
take_alike(struct text *t, const uint8_t *p, size_t n, size_t at, size_t line_n)
{
	const size_t half = BLOCK / 2, content = line_n - 2;
	__m256i any = _mm256_setzero_si256();

	while (n - at > line_n) {
		const uint8_t *line = p + at;
		__m256i octets = octets_at(line + content - half), all = octets;
		uint32_t special = specials_in(octets);

		for (size_t i = 0; i + half < content; i += half) {
			octets = octets_at(line + i);
			all = _mm256_or_si256(all, octets);
			special |= specials_in(octets);
		}
		if (special != 0 || !only_ends_line(t, line, content))
			break;
		any = _mm256_or_si256(any, all);
		at += line_n;
	}
	t->eight_bit = t->eight_bit || _mm256_movemask_epi8(any) != 0;
	return at;
}

/*
 * The beginning of a run, whose first octet is no dot that counts: block by block, up to what is
 * more than a line end, or too near to the end of what there is. Returns the octets taken.
 */
AVX2 static size_t
take_blocks(struct text *t, const uint8_t *p, size_t n)
{
	struct lines l = {.begin = 0 - t->line_n}; /* before p, where it began there */
	size_t i = 0;
	uint64_t special = 0, high = 0;
	__m256i any = _mm256_setzero_si256();

	for (; special == 0 && n - i >= BLOCK + 2; i += BLOCK) {
		const __m256i first = octets_at(p + i), second = octets_at(p + i + BLOCK / 2);

		special = specials_in(first) | (uint64_t)specials_in(second) << 32;
		if (l.begin == i + 1) /* the LF of a line that has ended */
			special &= ~UINT64_C(1);
		special = end_lines(t, p, i, special, &l);
		if (special == 0) {
			any = _mm256_or_si256(any, _mm256_or_si256(first, second));
			if (are_alike(&l) && l.begin < n) {
				l.begin = take_alike(t, p, n, l.begin, l.n);
				i = l.begin > i + BLOCK ? l.begin - BLOCK : i;
				l.n_old = 0; /* this line is none of them */
			}
			continue;
		}
		high = high_in(first, second) & ((special & -special) - 1);
		i -= BLOCK - (size_t)__builtin_ctzll(special);
	}
	i += l.begin == i + 1;
	if (i == 0)
		return 0;
	t->eight_bit = t->eight_bit || high != 0 || _mm256_movemask_epi8(any) != 0;
	t->line_n = i - l.begin;
	t->state = i == l.begin ? LINE_START : IN_LINE;
	return i;
}
#endif

/*
 * Content from p on, line by line, as far as it is one run: it ends before a dot at the start of
 * a line, before a stray, and at a CR that is the last octet there is. With strays about, a run
 * is one octet, so that their neighbours are seen one by one.
 */
static size_t
take_lines(struct text *t, const uint8_t *p, size_t n)
{
	size_t i = 0;

	if (t->odd_n > 0 && !is_special(p[0])) {
		t->eight_bit = t->eight_bit || p[0] > 0x7f;
		t->state = IN_LINE;
		t->line_n++;
		return 1;
	}
#if defined(__x86_64__)
	if (t->odd_n == 0 && n >= BLOCK + 2 && __builtin_cpu_supports("avx2"))
		i = take_blocks(t, p, n);
#endif
	while (i < n) {
		size_t plain;

		if (t->state == LINE_START && t->dots && p[i] == '.')
			break;
		plain = plain_length(p + i, n - i, &t->eight_bit);
		if (plain > 0)
			t->state = IN_LINE;
		t->line_n += plain;
		i += plain;
		if (n - i < 2 || p[i] != '\r' || p[i + 1] != '\n')
			break;
		i += 2;
		end_line(t, i);
		if (t->odd_n > 0)
			break;
	}
	return i;
}

/* The same; where the first octet above 0x7f stands is noted. */
static size_t
take_run(struct text *t, const uint8_t *p, size_t n)
{
	const bool had_eight_bit = t->eight_bit;
	const size_t taken = take_lines(t, p, n);

	if (t->eight_bit && !had_eight_bit && !t->said_eight_bit) {
		size_t first = 0;

		while (first < taken && p[first] <= 0x7f)
			first++;
		t->eight_bit_at = t->at + first;
	}
	return taken;
}

/* A special octet at p[0] that no run could take. Returns the octets taken. */
static size_t
take_special(struct text *t, const uint8_t *p, size_t n, struct text_event *ev)
{
	bool at_start = t->state == LINE_START || t->stuffed;

	if (p[0] == '\r' && n == 1) {
		t->state = AFTER_CR;
		ev->what = TEXT_MORE;
		return 1;
	}
	if (p[0] == '\r' && p[1] == '\n') {
		run(t, ev, p, 2, at_start);
		end_line(t, 2);
		return 2;
	}
	stray(t, ev, p, at_start);
	t->state = IN_LINE;
	return 1;
}

/* The octet behind a CR that ended the chunk before. */
static size_t
after_cr(struct text *t, const uint8_t *p, struct text_event *ev)
{
	bool out = t->state == AFTER_CR_OUT;
	bool at_start = t->line_n == 0;

	if (p[0] == '\n') {
		if (out)
			run(t, ev, p, 1, false);
		else
			run(t, ev, CR_LF, 2, at_start);
		end_line(t, 1);
		return 1;
	}
	stray(t, ev, CR_LF, at_start);
	if (out)
		ev->content = SPAN_NONE;
	t->state = IN_LINE;
	return 0;
}

static size_t
after_dot(struct text *t, const uint8_t *p, struct text_event *ev)
{
	ev->what = TEXT_MORE;
	if (t->state == AFTER_DOT && p[0] == '\r') {
		t->state = AFTER_DOT_CR;
		return 1;
	}
	if (t->state == AFTER_DOT_CR && p[0] == '\n') {
		ev->what = TEXT_END;
		return 1;
	}
	t->stuffed = true;
	if (t->state == AFTER_DOT_CR) /* "." CR and no LF: the CR is a stray of that line */
		stray(t, ev, CR_LF, true);
	t->state = IN_LINE;
	return 0;
}

/* One step: at most one event, ev->what TEXT_MORE when there was none. Returns octets taken. */
static size_t
step(struct text *t, const uint8_t *p, size_t n, struct text_event *ev)
{
	bool at_start;
	size_t taken;

	switch ((enum state)t->state) {
	case AFTER_CR:
	case AFTER_CR_OUT:
		return after_cr(t, p, ev);
	case AFTER_DOT:
	case AFTER_DOT_CR:
		return after_dot(t, p, ev);
	case LINE_START:
		if (t->dots && p[0] == '.') {
			t->state = AFTER_DOT;
			ev->what = TEXT_MORE;
			return 1;
		}
		break;
	case IN_LINE:
		break;
	}
	/* behind a stuffed dot the line starts here, whatever the state says */
	at_start = t->state == LINE_START || t->stuffed;
	taken = take_run(t, p, n);
	if (taken == 0)
		return take_special(t, p, n, ev);
	run(t, ev, p, taken, at_start);
	return taken;
}

/* The held-back octets of a sequence are known only when they are resolved: see them as they come.
 */
static void
note_odd(struct text *t, const uint8_t *p, size_t from, size_t taken, const struct text_event *ev)
{
	if (t->odd_n == 0) {
		if (ev->what != TEXT_STRAY)
			return;
		odd_begin(t, p, from);
	}
	for (size_t i = 0; i < taken; i++)
		if (is_special(p[from + i]) || p[from + i] == '.')
			odd_add(t, p[from + i]);
}

void
text_feed(struct text *t, const uint8_t *p, size_t n, size_t *used, struct text_event *ev)
{
	const uint64_t begin = t->at;
	size_t i = 0;

	*ev = (struct text_event){.what = TEXT_MORE};
	while (i < n) {
		size_t taken;

		t->at = begin + i;
		if (odd_is_over(t, p[i]) && odd_finish(t, ev))
			break;
		if (remark(t, ev))
			break;
		taken = step(t, p + i, n - i, ev);
		note_odd(t, p, i, taken, ev);
		i += taken;
		if (ev->what == TEXT_END && t->odd_n > 0) {
			struct text_event odd;

			if (odd_finish(t, &odd)) { /* first the name; the end is seen again */
				*ev = odd;
				i -= taken;
				break;
			}
		}
		if (ev->what != TEXT_MORE)
			break;
	}
	remember(t, p, i);
	t->at = begin + i;
	*used = i;
}

bool
text_flush(struct text *t, struct text_event *ev)
{
	if (remark(t, ev))
		return true;
	if (t->state != AFTER_CR)
		return false;
	run(t, ev, CR_LF, 1, t->line_n == 0);
	t->state = AFTER_CR_OUT;
	return true;
}

bool
text_finish(struct text *t, struct text_event *ev)
{
	bool out = t->state == AFTER_CR_OUT;

	measure_line(t, t->line_n, 0); /* no CR LF will end it */
	if (remark(t, ev))
		return true;
	if (!out && t->state != AFTER_CR)
		return t->odd_n > 0 && odd_finish(t, ev);
	stray(t, ev, CR_LF, t->line_n == 0);
	if (out)
		ev->content = SPAN_NONE;
	if (t->odd_n == 0)
		odd_begin(t, NULL, 0); /* the CR is the last octet of the past */
	t->state = IN_LINE;
	return true;
}
