#include "mime/word.h"

#include "mime/charset.h"
#include "mime/hex.h"

#define WORD_MAX  75  /* RFC 2047 s2 */
#define LABEL_MAX 100 /* octets of charset and language; what is longer is no word */

struct word {
	struct span charset; /* with its language */
	bool base64;
	struct span text;
	size_t n; /* octets of all of it */
};

/* Words that follow each other are decoded as one. */
struct run {
	struct span charset;
	struct span raw;    /* from the first word to the end of the last one */
	struct buf *octets; /* decoded, not converted */
	bool open;
};

struct decoder {
	struct span value;
	enum mime_words where;
	struct buf *out;
	struct mime_faults *faults;
	struct run run;
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
fault(struct decoder *d, enum mime_anomaly what, const uint8_t *at, const char *detail)
{
	if (d->faults != NULL)
		mime_faults_add(d->faults, what, (uint64_t)(at - d->value.p), detail);
}

/*
 * The end of the text of a word: the octet after the text, where "?=" stands; or NULL. The next
 * "=?" ends the search, so that it never goes over octets twice.
 */
static const uint8_t *
text_end(struct span rest)
{
	for (size_t i = 0; i + 1 < rest.n; i++) {
		if (rest.p[i] == '?' && rest.p[i + 1] == '=')
			return rest.p + i;
		if (rest.p[i] == '=' && rest.p[i + 1] == '?' &&
		    (i + 2 == rest.n || rest.p[i + 2] != '='))
			return NULL;
	}
	return NULL;
}

/* The word at the beginning of s: "=?charset*language?Q?text?=". */
static bool
word_at(struct span s, struct word *w)
{
	struct span rest = span_from(s, 2), label;
	const uint8_t *end;
	ptrdiff_t mark;

	if (s.n < 2 || s.p[0] != '=' || s.p[1] != '?')
		return false;
	mark = span_find(span_first(rest, LABEL_MAX), '?');
	if (mark <= 0)
		return false;
	label = span_first(rest, (size_t)mark);
	for (size_t i = 0; i < label.n; i++)
		if (label.p[i] <= ' ' || label.p[i] > '~')
			return false;
	rest = span_from(rest, (size_t)mark + 1);
	if (rest.n < 2 || rest.p[1] != '?')
		return false;
	w->base64 = octet_lower(rest.p[0]) == 'b';
	if (!w->base64 && octet_lower(rest.p[0]) != 'q')
		return false;
	rest = span_from(rest, 2);
	end = text_end(rest);
	if (end == NULL)
		return false;
	w->charset = label;
	w->text = span_of(rest.p, (size_t)(end - rest.p));
	w->n = (size_t)(end + 2 - s.p);
	return true;
}

bool
mime_words_any(struct span value)
{
	struct word w;

	for (size_t i = 0; i + 1 < value.n; i++)
		if (value.p[i] == '=' && value.p[i + 1] == '?' && word_at(span_from(value, i), &w))
			return true;
	return false;
}

static bool
decode_q(struct decoder *d, struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		int octet = c == '=' && text.n - i > 2 ? hex_octet(text.p + i + 1) : -1;

		if (octet >= 0)
			i += 2;
		else if (c == '=')
			fault(d, MIME_ODD_WORD, text.p + i, "= without two digits in a word");
		if (!buf_octet(out, octet >= 0 ? (uint8_t)octet : c == '_' ? ' ' : c))
			return false;
	}
	return true;
}

static int
value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (octet_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* As base64.h decodes: what is no character is skipped, "=" ends a group. */
static bool
decode_b(struct decoder *d, struct span text, struct buf *out)
{
	unsigned bits = 0, n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int value = value_of(text.p[i]);

		if (text.p[i] == '=') {
			n = bits = 0;
			continue;
		}
		if (value < 0) {
			fault(d, MIME_ODD_WORD, text.p + i, "no base64 in a word");
			continue;
		}
		bits = bits << 6 | (unsigned)value;
		n += 6;
		if (n < 8)
			continue;
		n -= 8;
		if (!buf_octet(out, (uint8_t)(bits >> n)))
			return false;
	}
	if (n >= 6)
		fault(d, MIME_ODD_WORD, text.p, "a character alone in base64 of a word");
	return true;
}

/* What the word is, and what is odd about it. */
static void
look_at_word(struct decoder *d, const struct word *w, const uint8_t *at)
{
	const uint8_t *end = d->value.p + d->value.n;

	if (w->n > WORD_MAX)
		fault(d, MIME_ODD_WORD, at, "word of more than 75 octets");
	if (d->where == MIME_WORDS_PARAMETER)
		fault(d, MIME_ODD_WORD, at, "word in a parameter");
	for (size_t i = 0; i < w->text.n; i++)
		if (is_blank(w->text.p[i]) || w->text.p[i] == '?')
			fault(d, MIME_ODD_WORD, w->text.p + i, "blank or ? in a word");
	if ((at > d->value.p && !is_blank(at[-1]) && at[-1] != '(' && at[-1] != '"') ||
	    (at + w->n < end && !is_blank(at[w->n]) && at[w->n] != ')' && at[w->n] != '"'))
		fault(d, MIME_ODD_WORD, at, "word not set apart by blanks");
}

static const struct charset *
charset_of(struct span label)
{
	ptrdiff_t star = span_find(label, '*');

	return charset_find(star < 0 ? label : span_first(label, (size_t)star));
}

/* The words gathered so far go out: converted, or as they came when nobody knows the charset. */
static bool
run_ends(struct decoder *d)
{
	struct run *r = &d->run;
	const struct charset *c;

	if (!r->open)
		return true;
	r->open = false;
	c = charset_of(r->charset);
	if (c == NULL) {
		fault(d, MIME_ODD_CHARSET, r->raw.p, "unknown charset of a word");
		return buf_add(d->out, r->raw);
	}
	switch (charset_to_utf8(c, buf_span(r->octets), d->out)) {
	case CHARSET_FULL:
		return false;
	case CHARSET_BAD:
		fault(d, MIME_ODD_TEXT, r->raw.p, "octets in a word that are none of its charset");
		break;
	case CHARSET_OK:
		break;
	}
	return true;
}

/* gap: the blanks between it and the word before it, if that is a word. */
static bool
add_word(struct decoder *d, const struct word *w, const uint8_t *at, struct span gap)
{
	struct run *r = &d->run;

	look_at_word(d, w, at);
	if (r->open && !span_ieq(r->charset, w->charset)) {
		bool known = charset_of(r->charset) != NULL && charset_of(w->charset) != NULL;

		if (!run_ends(d) || (!known && !buf_add(d->out, gap)))
			return false;
	}
	if (!r->open) {
		buf_clear(r->octets);
		r->charset = w->charset;
		r->raw.p = at;
		r->open = true;
	}
	r->raw.n = (size_t)(at + w->n - r->raw.p);
	return w->base64 ? decode_b(d, w->text, r->octets) : decode_q(d, w->text, r->octets);
}

static bool
decode(struct decoder *d)
{
	struct span rest = d->value;
	size_t plain = 0; /* octets before rest that are still to go out */
	struct word w;

	while (rest.n > 0) {
		const uint8_t *from = rest.p - plain;
		bool blank = true;

		if (rest.n < 2 || rest.p[0] != '=' || rest.p[1] != '?' || !word_at(rest, &w)) {
			ptrdiff_t next = span_find(span_from(rest, 1), '=');
			size_t n = next < 0 ? rest.n : (size_t)next + 1;

			plain += n;
			rest = span_from(rest, n);
			continue;
		}
		for (size_t i = 0; i < plain && blank; i++)
			blank = is_blank(from[i]);
		/* blanks between two words are none of the text */
		if (!(d->run.open && blank) &&
		    (!run_ends(d) || !buf_add(d->out, span_of(from, plain))))
			return false;
		if (!add_word(d, &w, rest.p, span_of(from, plain)))
			return false;
		plain = 0;
		rest = span_from(rest, w.n);
	}
	return run_ends(d) && buf_add(d->out, span_from(d->value, d->value.n - plain));
}

static const uint8_t *
first_high(struct span s)
{
	size_t i = 0;

	while (s.p[i] < 0x80)
		i++;
	return s.p + i;
}

bool
mime_words_decode(
    struct span value, enum mime_words where, struct buf *out, struct mime_faults *faults)
{
	struct decoder d = {.value = value, .where = where, .out = out, .faults = faults};
	const uint8_t *nul = value.n > 0 ? memchr(value.p, '\0', value.n) : NULL;
	struct buf octets;
	bool done;

	if (value.n == 0)
		return true;
	if (nul != NULL)
		fault(&d, MIME_ODD_NUL, nul, "NUL");
	if (!span_is_utf8(value))
		fault(&d, MIME_ODD_8BIT_HEADER, first_high(value), "octets in no known charset");
	buf_init(&octets, value.n);
	d.run.octets = &octets;
	done = decode(&d);
	buf_free(&octets);
	return done;
}
