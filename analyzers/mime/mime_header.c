#include "mime/mime_header.h"

void
mime_header_init(struct mime_header *h, size_t limit)
{
	*h = (struct mime_header){
	    .limit = limit, .first = true, .only_blank = true, .only_cr = true};
	buf_init(&h->text, limit);
}

void
mime_header_free(struct mime_header *h)
{
	buf_free(&h->text);
}

void
mime_header_reset(struct mime_header *h)
{
	struct buf text = h->text;

	mime_header_init(h, h->limit);
	h->text = text;
	buf_clear(&h->text);
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* What a name may have in it; a blank only at its end, and a comment is looked at by its caller. */
static bool
is_name_octet(uint8_t c)
{
	return c > ' ' && c != 0x7f && c != ':';
}

/*
 * Is this, up to its ":", the name of a field? Comments and blanks behind the name are obsolete
 * syntax, comments anywhere are what some readers skip; NULs are skipped by others.
 */
static bool
is_field_name(struct span name)
{
	bool blank = false;
	size_t octets = 0;
	unsigned brackets = 0;

	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (c == '(')
			brackets++;
		else if (c == ')' && brackets > 0)
			brackets--;
		else if (brackets > 0 || c == 0)
			continue;
		else if (is_blank(c))
			blank = true;
		else if (blank || !is_name_octet(c))
			return false;
		else
			octets++;
	}
	return octets > 0 && brackets == 0;
}

static void
begin_line(struct mime_header *h, uint8_t c)
{
	h->line = h->text.n;
	h->fold = is_blank(c) && h->text.n > 0;
	h->is_field = h->fold;
	h->only_blank = h->only_cr = true;
}

/* Octets go into text as far as the limit lets them. */
static bool
keep(struct mime_header *h, struct span s)
{
	size_t room = h->seen < h->limit ? h->limit - h->seen : 0;
	struct span kept = span_first(s, room);

	if (kept.n < s.n) {
		h->too_long = true;
		h->cut_field = true;
	}
	h->seen = h->seen > SIZE_MAX - s.n ? SIZE_MAX : h->seen + s.n;
	return buf_add(&h->text, kept);
}

/* What the octets that came say about the line; true: they are known to be a field's. */
static void
look_at_line(struct mime_header *h, struct span s)
{
	for (size_t i = 0; i < s.n && h->only_blank; i++) {
		h->only_cr = h->only_cr && (s.p[i] == '\r' || s.p[i] == '\n');
		h->only_blank = is_blank(s.p[i]) || s.p[i] == '\r' || s.p[i] == '\n';
	}
	if (!h->only_blank)
		h->only_cr = false;
}

static bool
is_mbox_line(struct span line)
{
	return span_starts(line, span_str("From ")) || span_starts(line, span_str(">From "));
}

/* The line has come up to its ":", its end or MIME_NAME_MAX: what is it? */
static enum mime_header_what
classify(struct mime_header *h, bool ended)
{
	struct span line = mime_header_line(h);
	ptrdiff_t colon = span_find(line, ':');

	if (ended && h->only_cr) {
		h->cr_blank = h->line_n > 2;
		return MIME_HEADER_BLANK;
	}
	if (colon >= 0 && is_field_name(span_first(line, (size_t)colon))) {
		h->is_field = true;
		return MIME_HEADER_MORE;
	}
	if (h->first && is_mbox_line(line) && ended)
		return MIME_HEADER_MBOX;
	/* a mailbox line has ":" in its time */
	if (h->first && is_mbox_line(line) && line.n < MIME_NAME_MAX)
		return MIME_HEADER_MORE;
	return colon >= 0 || ended || line.n >= MIME_NAME_MAX ? MIME_HEADER_BODY : MIME_HEADER_MORE;
}

static void
end_line(struct mime_header *h)
{
	struct span line = mime_header_line(h);

	if (line.n > 2 && line.p[line.n - 2] == '\r' && line.p[line.n - 3] == '\r')
		h->bare_cr = true;
	if (h->line_n > MIME_HEADER_LINE_MAX + 2)
		h->long_line = true;
	if (h->fold && h->only_blank)
		h->blank_looking = true;
	h->line_n = 0;
	h->first = false;
}

/* Behind the limit only the end of the header is looked for. */
static enum mime_header_what
stream_by(struct mime_header *h, bool ended)
{
	bool blank = ended && h->only_cr;

	if (ended)
		end_line(h);
	return blank ? MIME_HEADER_BLANK : MIME_HEADER_MORE;
}

/*
 * Octets of one line that can be taken at once: to its end, or to where it must be classified,
 * which is as far as it is kept.
 */
static size_t
piece(const struct mime_header *h, struct span in)
{
	const size_t room = h->seen < h->limit ? h->limit - h->seen : in.n;
	const uint8_t *at;
	size_t n = in.n;

	if (!h->is_field && !h->too_long && n > MIME_NAME_MAX - h->line_n)
		n = MIME_NAME_MAX - h->line_n;
	if (!h->is_field && n > room)
		n = room;
	at = memchr(in.p, '\n', n);
	return at == NULL ? n : (size_t)(at - in.p) + 1;
}

static enum mime_header_what
take_piece(struct mime_header *h, struct span s)
{
	bool ended = s.p[s.n - 1] == '\n';
	enum mime_header_what what = MIME_HEADER_MORE;

	h->line_n += s.n;
	look_at_line(h, s);
	if (h->too_long)
		return stream_by(h, ended);
	if (!h->is_field)
		what = classify(h, ended);
	if (what == MIME_HEADER_BODY)
		return what;
	if (ended)
		end_line(h);
	return what;
}

/* The limit may have cut a line before anybody could tell that it is a field. */
static bool
has_name(const struct mime_header *h)
{
	return span_find(buf_span(&h->text), ':') >= 0;
}

enum mime_header_what
mime_header_feed(struct mime_header *h, struct span in, size_t *used, bool *memory)
{
	*used = 0;
	*memory = true;
	while (*used < in.n) {
		struct span rest = span_from(in, *used);
		enum mime_header_what what;

		if (h->line_n == 0 && h->text.n > 0 && !is_blank(rest.p[0])) {
			if (h->blank_looking && rest.p[0] != '\r' && rest.p[0] != '\n')
				h->went_on = true;
			if (has_name(h))
				return MIME_HEADER_FIELD;
			mime_header_next(h);
		}
		if (h->line_n == 0) {
			if (h->blank_looking)
				h->went_on = h->went_on || is_blank(rest.p[0]);
			begin_line(h, rest.p[0]);
		}
		rest = span_first(rest, piece(h, rest));
		if (!keep(h, rest)) {
			*memory = false;
			return MIME_HEADER_MORE;
		}
		*used += rest.n;
		what = take_piece(h, rest);
		if (what != MIME_HEADER_MORE)
			return what;
	}
	return MIME_HEADER_MORE;
}

void
mime_header_next(struct mime_header *h)
{
	buf_clear(&h->text);
	h->line = 0;
	h->cut_field = false;
	h->blank_looking = false;
}

struct span
mime_header_line(const struct mime_header *h)
{
	return span_from(buf_span(&h->text), h->line);
}

bool
mime_header_pending(const struct mime_header *h)
{
	return h->text.n > 0 && (h->line_n == 0 || h->is_field) && has_name(h);
}

/* The name without what obsolete syntax puts around it. */
static struct span
clean_name(uint8_t *p, size_t n, bool *odd)
{
	size_t out = 0;
	unsigned brackets = 0;

	*odd = false;
	for (size_t i = 0; i < n; i++) {
		brackets += p[i] == '(';
		if (brackets == 0 && !is_blank(p[i]) && p[i] != 0)
			p[out++] = p[i];
		else
			*odd = true;
		if (p[i] == ')' && brackets > 0)
			brackets--;
	}
	return span_of(p, out);
}

/* Line ends go, the blanks behind them stay. */
static struct span
unfold(uint8_t *p, size_t n)
{
	size_t out = 0;

	for (size_t at = 0, end; at < n; at = end + 1) {
		const ptrdiff_t lf = span_find(span_of(p + at, n - at), '\n');
		size_t line;

		end = lf < 0 ? n : at + (size_t)lf;
		line = end - at;
		if (lf > 0 && p[end - 1] == '\r')
			line--;
		memmove(p + out, p + at, line);
		out += line;
	}
	while (out > 0 && p[out - 1] == '\r')
		out--;
	return span_of(p, out);
}

struct mime_field
mime_field_of(struct buf *lines)
{
	struct mime_field f = {0};
	ptrdiff_t colon = span_find(buf_span(lines), ':');
	size_t name = colon < 0 ? lines->n : (size_t)colon;
	size_t from = colon < 0 ? lines->n : (size_t)colon + 1;

	f.name = clean_name(lines->p, name, &f.odd_name);
	f.value = span_trim(unfold(lines->p + from, lines->n - from));
	return f;
}
