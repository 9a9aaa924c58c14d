#include "mime/textscan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

#define WIDE_MAX 2048 /* characters of UTF-16 text that are looked at */

struct mark {
	const char *text; /* lower case */
	const char *type;
};

/* What stands at the very beginning, blanks and a byte order mark left away. */
static const struct mark first_marks[] = {
    {"%pdf-", "application/pdf"},
    {"%!ps", "application/postscript"},
    {"{\\rt", "text/rtf"}, /* Word opens anything that begins so */
    {"!<arch>\n", "application/x-archive"},
    {"<?php", "text/x-php"},
    {"@echo off", "text/x-msdos-batch"},
    {"@if ", "text/x-msdos-batch"},
    {"setlocal", "text/x-msdos-batch"},
    {"[internetshortcut]", "application/x-mswinurl"},
    {"[{000214a0-0000-0000-c000-000000000046}]", "application/x-mswinurl"},
    {"[autorun]", "application/x-setupscript"},
    {"windows registry editor version", "text/x-ms-regedit"},
    {"regedit4", "text/x-ms-regedit"},
    {"-----begin pgp message-----", "application/pgp-encrypted"},
    {"-----begin pgp signed message-----", "application/pgp"},
    {"-----begin pgp signature-----", "application/pgp-signature"},
    {"-----begin pgp public key block-----", "application/pgp-keys"},
    {"-----begin pgp private key block-----", "application/pgp-keys"},
    {"-----begin pkcs7-----", "application/pkcs7-mime"},
    {"(this file must be converted with binhex", "application/mac-binhex40"},
    {"=ybegin ", "application/x-yenc"},
    {"begin:vcard", "text/vcard"},
    {"begin:vcalendar", "text/calendar"},
    {"received: ", "message/rfc822"},
    {"return-path: ", "message/rfc822"},
    {"delivered-to: ", "message/rfc822"},
    {"message-id: <", "message/rfc822"},
    {"mime-version: 1.0", "message/rfc822"},
};

/* Interpreters of "#!" lines: the last word of the path. */
static const struct mark interpreters[] = {
    {"sh", "text/x-shellscript"},
    {"bash", "text/x-shellscript"},
    {"dash", "text/x-shellscript"},
    {"zsh", "text/x-shellscript"},
    {"ksh", "text/x-shellscript"},
    {"csh", "text/x-shellscript"},
    {"tcsh", "text/x-shellscript"},
    {"python", "text/x-script.python"},
    {"perl", "text/x-perl"},
    {"ruby", "text/x-ruby"},
    {"php", "text/x-php"},
    {"node", "application/javascript"},
    {"osascript", "text/x-script"},
};

/* Tags that make it html where they stand first; those with true also at the start of any line. */
static const struct {
	const char *tag;
	bool anywhere;
} html_tags[] = {
    {"!doctype html", true},
    {"html", true},
    {"head", true},
    {"body", true},
    {"script", true},
    {"iframe", true},
    {"form", true},
    {"table", false},
    {"div", false},
    {"p", false},
    {"a", false},
    {"b", false},
    {"br", false},
    {"h1", false},
    {"h2", false},
    {"h3", false},
    {"font", false},
    {"span", false},
    {"style", false},
    {"title", false},
    {"meta", false},
    {"link", false},
    {"img", false},
    {"base", false},
    {"center", false},
    {"object", false},
    {"embed", false},
};

/* What stands before a "(" in scripts for a Windows host, and nowhere in prose. */
static const struct mark calls[] = {
    {"wscript.createobject", "application/javascript"},
    {"new activexobject", "application/javascript"},
    {"wscript.echo", "text/vbscript"},
    {"createobject", "text/vbscript"},
    {"getobject", "text/vbscript"},
    {"string.fromcharcode", "application/javascript"},
    {"document.write", "application/javascript"},
    {"eval", "application/javascript"},
    {"iex", "text/x-powershell"},
    {"invoke-expression", "text/x-powershell"},
    {".downloadstring", "text/x-powershell"},
    {".downloadfile", "text/x-powershell"},
    {"frombase64string", "text/x-powershell"},
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static struct span
skip_blanks(struct span s)
{
	size_t n = 0;

	while (n < s.n && is_blank(s.p[n]))
		n++;
	return span_from(s, n);
}

/* Control characters that texts have: BS, HT, LF, VT, FF, CR, SUB (of DOS), ESC (of terminals). */
#define TEXT_CONTROLS 0x0c003f00u

static bool
is_control(uint8_t c)
{
	return c < 0x20 && (TEXT_CONTROLS >> c & 1) == 0;
}

#if defined(__x86_64__)
/*
 * Whole vectors. Two tables, asked with the lower and the upper four bits, have a bit in common
 * exactly for control characters that texts do not have. Returns how far there are none.
 */
__attribute__((target("avx2"))) static size_t
no_controls_avx2(struct span s, bool *high)
{
	const __m256i low_table = _mm256_setr_epi8(3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 0, 0, 2, 2, 3, 3,
	    3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 0, 0, 2, 2, 3, 3);
	const __m256i high_table = _mm256_setr_epi8(1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	const __m256i four = _mm256_set1_epi8(0x0f);
	__m256i any = _mm256_setzero_si256();
	size_t i = 0;

	for (; s.n - i >= 32; i += 32) {
		const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(s.p + i));
		const __m256i low = _mm256_shuffle_epi8(low_table, _mm256_and_si256(v, four));
		const __m256i up = _mm256_shuffle_epi8(
		    high_table, _mm256_and_si256(_mm256_srli_epi16(v, 4), four));

		if (!_mm256_testz_si256(low, up))
			break;
		any = _mm256_or_si256(any, v);
	}
	*high = _mm256_movemask_epi8(any) != 0;
	return i;
}
#endif

/* *high: there is an octet above 0x7f. */
static bool
has_controls(struct span s, bool *high)
{
	uint8_t any = 0;
	size_t i = 0;

	*high = false;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		i = no_controls_avx2(s, high);
#endif
	for (; i < s.n && !is_control(s.p[i]); i++)
		any |= s.p[i];
	*high = *high || (any & 0x80) != 0;
	return i < s.n;
}

/* A sequence that the end of the prefix cuts does not count. */
static bool
is_utf8_prefix(struct span s)
{
	for (size_t cut = 0; cut < 4 && cut < s.n; cut++) {
		if (span_is_utf8(span_first(s, s.n - cut)))
			return true;
		if (s.p[s.n - cut - 1] < 0x80)
			return false;
	}
	return false;
}

/* ---- what the text is ---- */

static bool
ends_word(struct span s, size_t i)
{
	return i >= s.n || !octet_is_alnum(s.p[i]);
}

/* s stands behind a "<". */
static bool
is_html_tag(struct span s, bool first)
{
	for (size_t i = 0; i < nitems(html_tags); i++)
		if ((first || html_tags[i].anywhere) &&
		    span_istarts(s, span_str(html_tags[i].tag)) &&
		    ends_word(s, strlen(html_tags[i].tag)))
			return true;
	return false;
}

static const char *
markup_kind(struct span s, bool first, bool *xml)
{
	if (span_istarts(s, span_str("hta:application")))
		return "application/hta";
	if (is_html_tag(s, first && !*xml))
		return "text/html";
	if (first && span_istarts(s, span_str("?xml")))
		*xml = true;
	if ((first || *xml) && span_istarts(s, span_str("svg")) && ends_word(s, 3))
		return "image/svg+xml";
	if ((first || *xml) &&
	    (span_istarts(s, span_str("job")) || span_istarts(s, span_str("package"))) &&
	    ends_word(s, s.n > 0 && octet_lower(s.p[0]) == 'j' ? 3 : 7))
		return "text/x-wsf";
	return NULL;
}

/* Goes from "<" to "<". Hta beats html, html beats nothing. */
static const char *
look_for_markup(struct span s)
{
	const char *found = NULL, *kind;
	bool first = s.n > 0 && s.p[0] == '<', xml = false;
	ptrdiff_t at;

	for (size_t off = 0; off < s.n && (at = span_find(span_from(s, off), '<')) >= 0;) {
		bool line = at == 0 || is_blank(s.p[off + (size_t)at - 1]) ||
			    s.p[off + (size_t)at - 1] == '>';

		off += (size_t)at + 1;
		kind = line || found != NULL ? markup_kind(span_from(s, off), first, &xml) : NULL;
		if (kind != NULL && (found == NULL || strcmp(kind, "application/hta") == 0))
			found = kind;
		/* a comment or a declaration before the first tag is none */
		first = first && off < s.n && (s.p[off] == '!' || s.p[off] == '?');
	}
	if (found == NULL && xml)
		return "text/xml";
	return found;
}

static const char *
look_for_interpreter(struct span s)
{
	ptrdiff_t end = span_find(s, '\n');
	struct span line = span_from(span_first(s, end >= 0 ? (size_t)end : s.n), 2), word;
	ptrdiff_t slash;

	while ((word = span_word(&line)).n > 0) {
		slash = span_rfind(word, '/');
		word = span_from(word, (size_t)(slash + 1));
		while (word.n > 0 && !octet_is_alpha(word.p[word.n - 1])) /* python3.11, CR */
			word.n--;
		for (size_t i = 0; i < nitems(interpreters); i++)
			if (span_ieq(word, span_str(interpreters[i].text)))
				return interpreters[i].type;
	}
	return "text/x-script";
}

static const char *
look_for_calls(struct span s)
{
	ptrdiff_t at;

	for (size_t off = 0; (at = span_find(span_from(s, off), '(')) >= 0;) {
		struct span before = span_rtrim(span_first(s, off + (size_t)at));

		off += (size_t)at + 1;
		for (size_t i = 0; i < nitems(calls); i++) {
			size_t n = strlen(calls[i].text);

			if (span_iends(before, span_str(calls[i].text)) &&
			    (calls[i].text[0] == '.' || before.n == n ||
				!octet_is_alnum(before.p[before.n - n - 1])))
				return calls[i].type;
		}
	}
	return NULL;
}

static const char *
text_kind(struct span s)
{
	const char *kind;

	s = skip_blanks(s);
	if (span_starts(s, span_str("#!")))
		return look_for_interpreter(s);
	for (size_t i = 0; i < nitems(first_marks); i++)
		if (span_istarts(s, span_str(first_marks[i].text)))
			return first_marks[i].type;
	if ((kind = look_for_markup(s)) != NULL || (kind = look_for_calls(s)) != NULL)
		return kind;
	return "text/plain";
}

/* ---- UTF-16 ---- */

/* Characters outside of ASCII become "?": html and scripts are told by ASCII. */
static const char *
wide_kind(struct span s, bool little)
{
	uint8_t narrow[WIDE_MAX];
	size_t n = 0;
	bool eight_bit;

	for (size_t i = 0; i + 1 < s.n && n < sizeof(narrow); i += 2) {
		uint8_t low = s.p[i + (little ? 0 : 1)], high = s.p[i + (little ? 1 : 0)];

		narrow[n++] = high == 0 && low < 0x80 ? low : '?';
	}
	return has_controls(span_of(narrow, n), &eight_bit) ? NULL : text_kind(span_of(narrow, n));
}

/* Without a mark: every other octet of the first ones is NUL, and no other one is. */
static const char *
wide_charset(struct span s)
{
	size_t even = 0, odd = 0, n = s.n < 256 ? s.n & ~(size_t)1 : 256;

	for (size_t i = 0; i < n; i += 2) {
		even += s.p[i] == 0;
		odd += s.p[i + 1] == 0;
	}
	if (n < 8 || even + odd != n / 2 || (even != 0 && odd != 0))
		return NULL;
	return odd != 0 ? "utf-16le" : "utf-16be";
}

static const struct {
	const char *mark;
	size_t n;
	const char *charset;
} order_marks[] = {
    {"\xff\xfe\0\0", 4, "utf-32le"},
    {"\0\0\xfe\xff", 4, "utf-32be"},
    {"\xff\xfe", 2, "utf-16le"},
    {"\xfe\xff", 2, "utf-16be"},
};

static const char *
look_for_wide(struct span s, const char **charset)
{
	const char *kind;

	*charset = NULL;
	for (size_t i = 0; i < nitems(order_marks) && *charset == NULL; i++)
		if (span_starts(s, span_of(order_marks[i].mark, order_marks[i].n))) {
			*charset = order_marks[i].charset;
			s = span_from(s, order_marks[i].n);
		}
	if (*charset == NULL)
		*charset = wide_charset(s);
	if (*charset == NULL)
		return NULL;
	if (strncmp(*charset, "utf-32", 6) == 0)
		return "text/plain";
	if ((kind = wide_kind(s, strcmp(*charset, "utf-16le") == 0)) == NULL)
		*charset = NULL;
	return kind;
}

const char *
textscan_look(struct span s, const char **charset)
{
	bool high;

	if (has_controls(s, &high))
		return look_for_wide(s, charset);
	if (s.n >= 2 &&
	    (span_starts(s, span_str("\xff\xfe")) || span_starts(s, span_str("\xfe\xff"))))
		return look_for_wide(s, charset);
	*charset = !high ? "us-ascii" : is_utf8_prefix(s) ? "utf-8" : "unknown-8bit";
	if (span_starts(s, span_str("\xef\xbb\xbf")))
		s = span_from(s, 3);
	return text_kind(s);
}
