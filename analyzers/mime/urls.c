#include "mime/urls.h"

#include <stdlib.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

#define BACK_MAX                                                                                   \
	8 /* octets before the one at work: the longest scheme, and what stands before it */
#define ENTITY_MAX 16 /* "&ZeroWidthSpace;" without its ends has 14 */
#define HIDDEN_MAX 3  /* octets of a character that is not seen */

enum state { TEXT, COLON, URL };

struct row {
	size_t at, n;
};

struct urls {
	unsigned max;
	struct row *rows;
	size_t n, cap;
	struct buf store;
	uint64_t left_out;
	bool nomem;
	/* the part at work */
	bool open, html;
	enum state state;
	uint8_t back[BACK_MAX];
	size_t back_n;
	const char *scheme;
	uint8_t quote; /* that stood before the scheme; 0: none */
	unsigned slashes;
	struct buf url;
	bool in_entity;
	uint8_t entity[ENTITY_MAX];
	size_t entity_n;
	uint8_t hidden[HIDDEN_MAX];
	size_t hidden_n;
};

/* The longest first where one ends in another. */
static const char *const schemes[] = {"https", "http", "ftp"};

struct urls *
urls_new(unsigned max)
{
	struct urls *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->max = max;
	buf_init(&u->store, (size_t)max * URL_MAX);
	buf_init(&u->url, URL_MAX);
	return u;
}

void
urls_free(struct urls *u)
{
	if (u == NULL)
		return;
	buf_free(&u->store);
	buf_free(&u->url);
	free(u->rows);
	free(u);
}

size_t
urls_count(const struct urls *u)
{
	return u->n;
}

struct span
urls_get(const struct urls *u, size_t i)
{
	return span_first(span_from(buf_span(&u->store), u->rows[i].at), u->rows[i].n);
}

uint64_t
urls_left_out(const struct urls *u)
{
	return u->left_out;
}

/* ---- the list ---- */

static bool
is_known(const struct urls *u, struct span url)
{
	for (size_t i = 0; i < u->n; i++)
		if (span_eq(urls_get(u, i), url))
			return true;
	return false;
}

static bool
make_room(struct urls *u)
{
	size_t cap = u->cap == 0 ? 8 : u->cap * 2;
	struct row *rows;

	if (u->n < u->cap)
		return true;
	if ((rows = realloc(u->rows, cap * sizeof(*rows))) == NULL)
		return false;
	u->rows = rows;
	u->cap = cap;
	return true;
}

static void
list(struct urls *u, struct span url)
{
	if (is_known(u, url))
		return;
	if (u->n == u->max) {
		u->left_out++;
		return;
	}
	if (!make_room(u) || !buf_add(&u->store, url)) {
		u->nomem = true;
		u->left_out++;
		return;
	}
	u->rows[u->n++] = (struct row){u->store.n - url.n, url.n};
}

/* ---- one URL ---- */

/* RFC 3986 s6.2.2.1: case does not matter in scheme and host, but it does in "user:password@". */
static void
lower_host(struct buf *url)
{
	ptrdiff_t slashes = span_find(buf_span(url), '/');
	size_t host = (size_t)slashes + 2, end = host;

	while (end < url->n && strchr("/?#", url->p[end]) == NULL) {
		if (url->p[end++] == '@')
			host = end;
	}
	for (; host < end; host++)
		url->p[host] = octet_lower(url->p[host]);
}

static void
end_url(struct urls *u)
{
	size_t start = (u->scheme == NULL ? 0 : strlen(u->scheme) + 1) + 2;

	/* in a sentence, what ends it */
	while (u->quote == 0 && u->url.n > start &&
	       strchr(".,;:!?)]}'*_", u->url.p[u->url.n - 1]) != NULL)
		u->url.n--;
	if (u->url.n > start) {
		lower_host(&u->url);
		list(u, buf_span(&u->url));
	}
	buf_clear(&u->url);
	u->state = TEXT;
	u->back_n = 0;
}

static void
begin_url(struct urls *u)
{
	buf_clear(&u->url);
	if (u->scheme != NULL) {
		buf_str(&u->url, u->scheme);
		buf_octet(&u->url, ':');
	}
	if (!buf_str(&u->url, "//"))
		u->nomem = true;
	u->state = URL;
}

static bool
ends_url(const struct urls *u, uint8_t c)
{
	if (c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"' || c == '`')
		return true;
	return u->quote != 0 && c == u->quote;
}

static void
keep_back(struct urls *u, uint8_t c)
{
	if (u->back_n == BACK_MAX) {
		memmove(u->back, u->back + 1, BACK_MAX - 1);
		u->back_n--;
	}
	u->back[u->back_n++] = c;
}

/* A scheme stands before the colon. */
static bool
find_scheme(struct urls *u)
{
	struct span back = span_of(u->back, u->back_n);

	for (size_t i = 0; i < nitems(schemes); i++) {
		size_t n = strlen(schemes[i]);
		uint8_t before;

		if (!span_iends(back, span_str(schemes[i])))
			continue;
		before = back.n > n ? back.p[back.n - n - 1] : 0;
		if (octet_lower(before) == 's' || octet_lower(before) == 't')
			return false; /* sftp, tftp, shttp */
		u->scheme = schemes[i];
		u->quote = before == '"' || before == '\'' ? before : 0;
		return true;
	}
	return false;
}

/* href="//host/": c is the second slash. */
static bool
is_bare(const struct urls *u)
{
	uint8_t before;

	if (!u->html || u->back_n < 3 || u->back[u->back_n - 1] != '/')
		return false;
	before = u->back[u->back_n - 2];
	return before == '=' ||
	       ((before == '"' || before == '\'') && u->back[u->back_n - 3] == '=');
}

static void
in_text(struct urls *u, uint8_t c)
{
	if (c == ':' && find_scheme(u)) {
		u->state = COLON;
		u->slashes = 0;
	} else if (c == '/' && is_bare(u)) {
		u->quote = u->back[u->back_n - 2];
		u->quote = u->quote == '=' ? 0 : u->quote;
		u->scheme = NULL;
		begin_url(u);
	} else {
		keep_back(u, c);
	}
}

/* Browsers take backslashes for slashes. */
static void
in_colon(struct urls *u, uint8_t c)
{
	if (c != '/' && (c != '\\' || !u->html)) {
		u->state = TEXT;
		u->back_n = 0;
		keep_back(u, c);
	} else if (++u->slashes == 2) {
		begin_url(u);
	}
}

/* Browsers leave them away in addresses (WHATWG URL s4.4). */
static bool
is_left_away(uint8_t c)
{
	return c == '\t' || c == '\r' || c == '\n';
}

static void
take(struct urls *u, uint8_t c)
{
	if (u->html && is_left_away(c) && (u->state != URL || u->quote != 0))
		return;
	if (u->state == TEXT) {
		in_text(u, c);
	} else if (u->state == COLON) {
		in_colon(u, c);
	} else if (ends_url(u, c)) {
		end_url(u);
		keep_back(u, c);
	} else if (u->url.n < URL_MAX && !buf_octet(&u->url, c)) {
		u->nomem = true;
		buf_clear(&u->url);
		u->state = TEXT;
	}
}

/* ---- characters that are not seen ---- */

static bool
begins_hidden(uint8_t c)
{
	return c == 0xc2 || c == 0xe2 || c == 0xef;
}

enum held { SEEN, MAY_BE_HIDDEN, HIDDEN };

/*
 * What up to HIDDEN_MAX octets are, or begin: U+00AD (soft hyphen), c2 ad; U+200B to U+200D, e2 80
 * 8b to 8d; U+2060, e2 81 a0; U+FEFF, ef bb bf.
 */
static enum held
held_is(const uint8_t *p, size_t n)
{
	bool whole;

	if (n == 1)
		return begins_hidden(p[0]) ? MAY_BE_HIDDEN : SEEN;
	if (p[0] == 0xc2)
		return p[1] == 0xad ? HIDDEN : SEEN;
	if (n == 2)
		return (p[0] == 0xef ? p[1] == 0xbb : (p[1] | 1) == 0x81) ? MAY_BE_HIDDEN : SEEN;
	if (p[0] == 0xef)
		whole = p[2] == 0xbf;
	else
		whole = p[1] == 0x81 ? p[2] == 0xa0 : p[2] >= 0x8b && p[2] <= 0x8d;
	return whole ? HIDDEN : SEEN;
}

static void
release(struct urls *u)
{
	size_t n = u->hidden_n;

	u->hidden_n = 0;
	for (size_t i = 0; i < n; i++)
		take(u, u->hidden[i]);
}

static void
see(struct urls *u, uint8_t c)
{
	enum held held;

	if (u->hidden_n == 0 && !begins_hidden(c)) {
		take(u, c);
		return;
	}
	u->hidden[u->hidden_n++] = c;
	held = held_is(u->hidden, u->hidden_n);
	if (held == HIDDEN) {
		u->hidden_n = 0;
	} else if (held == SEEN) {
		/* the last octet may begin another one */
		u->hidden_n--;
		release(u);
		if (begins_hidden(c))
			u->hidden[u->hidden_n++] = c;
		else
			take(u, c);
	}
}

/* ---- entities ---- */

static const struct {
	const char *name;
	uint32_t c;
} entities[] = {
    {"amp", '&'},
    {"AMP", '&'},
    {"quot", '"'},
    {"apos", '\''},
    {"lt", '<'},
    {"gt", '>'},
    {"colon", ':'},
    {"sol", '/'},
    {"bsol", '\\'},
    {"period", '.'},
    {"quest", '?'},
    {"equals", '='},
    {"num", '#'},
    {"percnt", '%'},
    {"commat", '@'},
    {"lowbar", '_'},
    {"Tab", '\t'},
    {"NewLine", '\n'},
    {"nbsp", ' '},
    {"shy", 0xad},
    {"ZeroWidthSpace", 0x200b},
    {"zwnj", 0x200c},
    {"zwj", 0x200d},
};

static void
see_character(struct urls *u, uint32_t c)
{
	if (c < 0x80) {
		see(u, (uint8_t)c);
		return;
	}
	if (c >= 0x10000)
		see(u, (uint8_t)(0xf0 | c >> 18));
	if (c >= 0x10000)
		see(u, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
	else if (c >= 0x800)
		see(u, (uint8_t)(0xe0 | c >> 12));
	if (c >= 0x800)
		see(u, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	else
		see(u, (uint8_t)(0xc0 | c >> 6));
	see(u, (uint8_t)(0x80 | (c & 0x3f)));
}

static int
digit(uint8_t c, unsigned base)
{
	int value = octet_is_digit(c)	? c - '0'
		    : octet_is_alpha(c) ? octet_lower(c) - 'a' + 10
					: 99;

	return value < (int)base ? value : -1;
}

/* "#58", "#x3a"; 0: none. */
static uint32_t
read_number(struct span s)
{
	unsigned base = s.n > 1 && octet_lower(s.p[1]) == 'x' ? 16 : 10;
	uint32_t value = 0;

	s = span_from(s, base == 16 ? 2 : 1);
	for (size_t i = 0; i < s.n; i++) {
		int d = digit(s.p[i], base);

		if (d < 0 || value > 0x10ffff)
			return 0;
		value = value * base + (uint32_t)d;
	}
	return value > 0x10ffff ? 0 : value;
}

static uint32_t
read_entity(struct span s)
{
	if (s.n > 0 && s.p[0] == '#')
		return read_number(s);
	for (size_t i = 0; i < nitems(entities); i++)
		if (span_eq(s, span_str(entities[i].name)))
			return entities[i].c;
	return 0;
}

/* What is held is an entity, or it is the octets that it is. */
static void
end_entity(struct urls *u, bool semicolon)
{
	struct span s = span_of(u->entity, u->entity_n);
	uint32_t c = read_entity(s);

	u->in_entity = false;
	/* without its semicolon a number counts all the same, and a name but for "&amp" does not */
	if (c != 0 && (semicolon || s.p[0] == '#' || span_eq(s, span_str("amp")))) {
		see_character(u, c);
		return;
	}
	see(u, '&');
	for (size_t i = 0; i < s.n; i++)
		see(u, s.p[i]);
	if (semicolon)
		see(u, ';');
}

static void
in_html(struct urls *u, uint8_t c)
{
	bool belongs = octet_is_alnum(c) || (c == '#' && u->entity_n == 0);

	if (u->in_entity && belongs && u->entity_n < ENTITY_MAX) {
		u->entity[u->entity_n++] = c;
		return;
	}
	if (u->in_entity) {
		end_entity(u, c == ';');
		if (c == ';')
			return;
	}
	if (c == '&') {
		u->in_entity = true;
		u->entity_n = 0;
	} else {
		see(u, c);
	}
}

/* ---- what goes by ---- */

/* More than passed over in a text, where it stands outside of URLs. */
static bool
is_loud(uint8_t c, bool html)
{
	if (c == ':' || begins_hidden(c))
		return true;
	return html && (c == '/' || c == '&' || is_left_away(c));
}

#define EACH(c) (UINT64_C(0x0101010101010101) * (c))

/* A high bit where octets are c, and perhaps in octets above such a one. */
static uint64_t
where(uint64_t octets, uint8_t c)
{
	const uint64_t x = octets ^ EACH(c);

	return (x - EACH(1)) & ~x;
}

/* None of eight octets is loud; false: one may be. */
static bool
are_quiet(const uint8_t *p, bool html)
{
	uint64_t octets, loud;

	memcpy(&octets, p, sizeof(octets));
	loud = where(octets, ':') | where(octets, 0xc2) | where(octets, 0xe2) | where(octets, 0xef);
	if (html)
		loud |= where(octets, '/') | where(octets, '&') | where(octets, '\t') |
			where(octets, '\r') | where(octets, '\n');
	return (loud & EACH(0x80)) == 0;
}

#if defined(__x86_64__)
#define RUN 128 /* octets of a text that are asked for at once */

#define AVX2 __attribute__((target("avx2")))

/* In the high bits: which of 32 octets are loud. */
AVX2 static inline __m256i
loud_at(const uint8_t *p, bool html)
{
	/* by the lower half of an octet: what is loud in HTML only */
	const __m256i table = _mm256_setr_epi8(1, 0, 0, 0, 0, 0, '&', 0, 0, '\t', '\n', 0, 0, '\r',
	    0, '/', 1, 0, 0, 0, 0, 0, '&', 0, 0, '\t', '\n', 0, 0, '\r', 0, '/');
	const __m256i octets = _mm256_loadu_si256((const __m256i *)(const void *)p);
	/* c2 and e2 differ in this bit only */
	const __m256i twins = _mm256_or_si256(octets, _mm256_set1_epi8(0x20));
	__m256i loud = _mm256_or_si256(_mm256_cmpeq_epi8(octets, _mm256_set1_epi8(':')),
	    _mm256_or_si256(_mm256_cmpeq_epi8(twins, _mm256_set1_epi8((char)0xe2)),
		_mm256_cmpeq_epi8(octets, _mm256_set1_epi8((char)0xef))));

	if (html)
		loud = _mm256_or_si256(
		    loud, _mm256_cmpeq_epi8(octets, _mm256_shuffle_epi8(table, octets)));
	return loud;
}

/* The octets before the first that is loud; without one (*found) as far as whole vectors go. */
AVX2 static size_t
quiet_avx2(struct span s, bool html, bool *found)
{
	size_t i = 0;

	for (; !html && s.n - i >= RUN; i += RUN) {
		const uint8_t *p = s.p + i;
		const __m256i loud =
		    _mm256_or_si256(_mm256_or_si256(loud_at(p, false), loud_at(p + 32, false)),
			_mm256_or_si256(loud_at(p + 64, false), loud_at(p + 96, false)));

		if (_mm256_movemask_epi8(loud) != 0)
			break;
	}
	for (; s.n - i >= 32; i += 32) {
		unsigned loud = (unsigned)_mm256_movemask_epi8(loud_at(s.p + i, html));

		*found = loud != 0;
		if (*found)
			return i + (unsigned)__builtin_ctz(loud);
	}
	return i;
}
#endif

/* The octets before the first that is loud. */
static size_t
quiet_length(struct span s, bool html)
{
	size_t n = 0;

#if defined(__x86_64__)
	bool found = false;

	if (s.n >= 32 && __builtin_cpu_supports("avx2"))
		n = quiet_avx2(s, html, &found);
	if (found)
		return n;
#endif
	while (s.n - n >= 8 && are_quiet(s.p + n, html))
		n += 8;
	while (n < s.n && !is_loud(s.p[n], html))
		n++;
	return n;
}

/* Only what stands before a scheme's colon is ever asked for. */
static void
keep_run(struct urls *u, struct span run)
{
	size_t keep = run.n >= BACK_MAX ? 0 : BACK_MAX - run.n;

	if (run.n > BACK_MAX)
		run = span_from(run, run.n - BACK_MAX);
	if (keep > u->back_n)
		keep = u->back_n;
	memmove(u->back, u->back + (u->back_n - keep), keep);
	memcpy(u->back + keep, run.p, run.n);
	u->back_n = keep + run.n;
}

/* Returns how many octets were only that. */
static size_t
pass_over(struct urls *u, struct span octets)
{
	size_t n = 0;

	if (u->state != TEXT || u->in_entity || u->hidden_n > 0)
		return 0;
	while (n < octets.n) {
		const size_t quiet = quiet_length(span_from(octets, n), u->html);

		if (quiet > 0)
			keep_run(u, span_first(span_from(octets, n), quiet));
		n += quiet;
		if (!u->html || n == octets.n || !is_left_away(octets.p[n]))
			break;
		n++;
	}
	return n;
}

/* ---- parts ---- */

void
urls_begin(struct urls *u, bool html)
{
	if (u->open)
		urls_end(u);
	u->open = true;
	u->html = html;
	u->state = TEXT;
	u->back_n = u->hidden_n = u->entity_n = 0;
	u->in_entity = false;
}

bool
urls_feed(struct urls *u, struct span octets)
{
	for (size_t i = pass_over(u, octets); i < octets.n && !u->nomem;
	     i += 1 + pass_over(u, span_from(octets, i + 1))) {
		if (u->html)
			in_html(u, octets.p[i]);
		else
			see(u, octets.p[i]);
	}
	return !u->nomem;
}

bool
urls_end(struct urls *u)
{
	if (!u->open)
		return !u->nomem;
	if (u->in_entity)
		end_entity(u, false);
	release(u);
	if (u->state == URL)
		end_url(u);
	u->open = false;
	return !u->nomem;
}
