#include "mime/param_scan.h"

#define SECTION_DIGITS 6 /* more are no section */

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 2045 s5.1, without those that are told apart anyway. */
static bool
is_special(uint8_t c)
{
	return c < ' ' || strchr("()<>@,:\\\"/[]?=", c) != NULL;
}

/* Without the first n octets; unlike span_from() it still points into the value when it is empty.
 */
static struct span
behind(struct span s, size_t n)
{
	n = n < s.n ? n : s.n;
	return span_of(s.p + n, s.n - n);
}

static void
fault_at(struct param_scan *s, enum mime_anomaly what, struct span at, const char *detail)
{
	mime_faults_add(s->faults, what, (uint64_t)(at.p - s->value.p), detail);
}

static void
fault(struct param_scan *s, const char *detail)
{
	fault_at(s, MIME_ODD_PARAMETER, s->rest, detail);
}

static bool
next_is(const struct param_scan *s, uint8_t c)
{
	return s->rest.n > 0 && s->rest.p[0] == c;
}

/* A comment with those inside it. One that never closes is the rest of all. */
static void
skip_comment(struct param_scan *s)
{
	struct span from = s->rest;
	size_t depth = 0, i = 0;

	do {
		if (from.p[i] == '\\')
			i++;
		else if (from.p[i] == '(')
			depth++;
		else if (from.p[i] == ')')
			depth--;
		i++;
	} while (i < from.n && depth > 0);
	if (depth > 0)
		fault(s, "comment never closed");
	s->rest = behind(from, i);
}

/* Blanks and comments. Returns whether there were any. */
static bool
skip(struct param_scan *s)
{
	const uint8_t *from = s->rest.p;

	while (s->rest.n > 0 && (is_blank(s->rest.p[0]) || s->rest.p[0] == '(')) {
		if (s->rest.p[0] == '(')
			skip_comment(s);
		else
			s->rest = behind(s->rest, 1);
	}
	return s->rest.p != from;
}

/* Octets up to one of the ends, a blank, or the end of all. */
static struct span
word_before(struct span s, const char *ends)
{
	size_t i = 0;

	while (i < s.n && !is_blank(s.p[i]) && (s.p[i] == '\0' || strchr(ends, s.p[i]) == NULL))
		i++;
	return span_first(s, i);
}

bool
param_scan_main(struct param_scan *s, struct buf *out)
{
	bool more = true;

	skip(s);
	if (span_find(word_before(s->rest, ";"), '=') >= 0) {
		fault(s, "parameter where a type should be");
		return true;
	}
	while (more) {
		struct span word = word_before(s->rest, ";(,");
		struct span after;

		s->rest = behind(s->rest, word.n);
		for (size_t i = 0; i < word.n; i++)
			if (word.p[i] == '"')
				fault_at(s, MIME_ODD_PARAMETER, word, "quoted type");
			else if (!buf_octet(out, octet_lower(word.p[i])))
				return false;
		skip(s);
		after = s->rest;
		/* blanks around the slash */
		more = after.n > 0 && word.n > 0 &&
		       (after.p[0] == '/' || word.p[word.n - 1] == '/') && after.p[0] != ';' &&
		       after.p[0] != ',';
	}
	if (next_is(s, ',')) {
		fault_at(s, MIME_ODD_AMBIGUOUS, s->rest,
		    "several types in one field: the first; or the last");
		s->rest = behind(s->rest, 1);
		while (s->rest.n > 0 && s->rest.p[0] != ';')
			s->rest = behind(s->rest, 1);
	}
	if (s->rest.n > 0 && s->rest.p[0] != ';')
		fault(s, "semicolon missing");
	return true;
}

/* name, name*, name*3, name*3* */
static void
cut_name(struct param_scan *s, struct span name, struct param_token *t)
{
	ptrdiff_t star = span_find(name, '*');
	struct span section;
	uint64_t n = 0;

	t->name = name;
	t->section = PARAM_NO_SECTION;
	if (star <= 0)
		return;
	section = behind(name, (size_t)star + 1);
	t->extended = section.n == 0 || section.p[section.n - 1] == '*';
	if (section.n > 0 && t->extended)
		section.n--;
	if (section.n > SECTION_DIGITS || (section.n > 0 && !span_u64(section, 999999, &n))) {
		fault_at(s, MIME_ODD_PARAMETER, name, "section is no number");
		t->extended = false;
		return;
	}
	if (section.n > 1 && section.p[0] == '0')
		fault_at(s, MIME_ODD_PARAMETER, name, "section with leading zeros");
	t->name = span_first(name, (size_t)star);
	if (section.n > 0)
		t->section = (int)n;
}

/* At the quote. */
static void
quoted_value(struct param_scan *s, struct param_token *t)
{
	struct span from = behind(s->rest, 1);
	size_t i = 0;

	t->quoted = true;
	while (i < from.n && from.p[i] != '"') {
		if (from.p[i] == '\\' && from.n - i > 1) {
			i++;
			t->pairs = t->pairs || (from.p[i] != '"' && from.p[i] != '\\');
		}
		i++;
	}
	t->raw = span_first(from, i);
	if (i >= from.n) {
		ptrdiff_t end = span_find(from, ';');

		fault(s, "quote never closed");
		t->shorter = end > 0 ? span_trim(span_first(from, (size_t)end)) : SPAN_NONE;
		/* who ends it at the ";" has further parameters; there is no other such quote */
		s->rest = behind(from, end < 0 ? from.n : (size_t)end);
		return;
	}
	s->rest = behind(from, i + 1);
	skip(s);
	if (s->rest.n > 0 && s->rest.p[0] != ';') {
		struct span next = word_before(s->rest, ";");

		if (span_find(next, '=') >= 0) {
			fault(s, "semicolon missing");
			return;
		}
		fault(s, "octets behind a quoted string");
		while (s->rest.n > 0 && s->rest.p[0] != ';')
			s->rest = behind(s->rest, 1);
	}
}

/* Octets up to ";", or to a word that must be another parameter. */
static void
bare_value(struct param_scan *s, struct param_token *t)
{
	struct span from = s->rest, word = word_before(from, ";");
	const uint8_t *end = word.p + word.n;

	for (size_t i = 0; i < word.n; i++) {
		if (!is_special(word.p[i]))
			continue;
		fault_at(s, MIME_ODD_PARAMETER, behind(word, i), "special octet outside of quotes");
		if (t->shorter.n == 0 && i > 0 && (word.p[i] == '(' || word.p[i] == ','))
			t->shorter = span_first(word, i);
	}
	s->rest = behind(from, word.n);
	while (skip(s) && s->rest.n > 0 && s->rest.p[0] != ';') {
		struct span next = word_before(s->rest, ";");

		if (span_find(next, '=') > 0) {
			fault(s, "semicolon missing");
			break;
		}
		fault(s, "blank in a value outside of quotes");
		if (t->shorter.n == 0)
			t->shorter = word;
		end = next.p + next.n;
		s->rest = behind(s->rest, next.n);
	}
	t->raw = span_of(from.p, (size_t)(end - from.p));
}

bool
param_scan_next(struct param_scan *s, struct param_token *t)
{
	while (true) {
		struct span name;
		bool blank;

		skip(s);
		for (size_t i = 0; next_is(s, ';'); i++) {
			if (i > 0)
				fault(s, "empty parameter");
			s->rest = behind(s->rest, 1);
			skip(s);
		}
		if (s->rest.n == 0)
			return false;
		*t = (struct param_token){.section = PARAM_NO_SECTION};
		name = word_before(s->rest, "=;(\"");
		if (name.n == 0) {
			fault(s, "parameter without a name");
			s->rest = behind(s->rest, 1);
			continue;
		}
		s->rest = behind(s->rest, name.n);
		blank = skip(s);
		if (!next_is(s, '=')) {
			fault_at(s, MIME_ODD_PARAMETER, name, "parameter without a value");
			continue;
		}
		cut_name(s, name, t);
		s->rest = behind(s->rest, 1);
		blank = skip(s) || blank;
		if (blank)
			fault_at(s, MIME_ODD_PARAMETER, name, "blank or comment beside =");
		if (next_is(s, '"'))
			quoted_value(s, t);
		else
			bare_value(s, t);
		return true;
	}
}
