#include "core/reply.h"

void
reply_init(struct reply *r, size_t line_max, size_t lines_max, size_t max)
{
	*r = (struct reply){.lines_max = lines_max};
	line_init(&r->line, line_max);
	buf_init(&r->text, max);
}

void
reply_free(struct reply *r)
{
	line_free(&r->line);
	buf_free(&r->text);
}

unsigned
reply_code(struct span line)
{
	unsigned code = 0;

	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || line.p[1] > '5')
		return 0;
	for (size_t i = 0; i < 3; i++) {
		if (!octet_is_digit(line.p[i]))
			return 0;
		code = code * 10 + (unsigned)(line.p[i] - '0');
	}
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return 0;
	return code;
}

/* class "." subject "." detail (RFC 3463 s2), the class being the code's. */
struct span
reply_enhanced(struct span line, struct span *text)
{
	struct span rest = span_from(line, 4), after = rest, word, found;
	unsigned dots = 0;

	*text = rest;
	word = span_word(&after);
	found = word;
	if (word.n < 5 || line.n == 0 || word.p[0] != line.p[0] || word.p[word.n - 1] == '.')
		return SPAN_NONE;
	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] == '.' && i > 0 && word.p[i - 1] != '.')
			dots++;
		else if (!octet_is_digit(word.p[i]))
			return SPAN_NONE;
	}
	if (dots != 2)
		return SPAN_NONE;
	*text = span_from(after, 1);
	return found;
}

static enum reply_status
bad(struct reply_found *found, enum an_anomaly what)
{
	*found = (struct reply_found){.what = what};
	return REPLY_BAD;
}

/* One whole line: REPLY_MORE when another one follows. */
static enum reply_status
take_line(struct reply *r, struct span line, struct line_marks marks, struct reply_found *found)
{
	unsigned code = reply_code(line);

	if (marks.too_long)
		return bad(found, AN_REPLY_LINE_TOO_LONG);
	if (code == 0 || marks.bare_lf || marks.bare_cr || marks.nul)
		return bad(found, AN_INVALID_REPLY);
	if (r->lines == 0)
		r->code = code;
	r->mixed = r->mixed || code != r->code;
	if (++r->lines > r->lines_max || r->text.n + line.n + 2 > r->text.max)
		return bad(found, AN_REPLY_TOO_LONG);
	if (!buf_add(&r->text, line) || !buf_str(&r->text, "\r\n"))
		return REPLY_NOMEM;
	if (line.n > 3 && line.p[3] == '-')
		return REPLY_MORE;
	*found = (struct reply_found){.code = code,
	    .lines = r->lines,
	    .octets = buf_span(&r->text),
	    .what = r->mixed ? AN_MIXED_REPLY : AN_NONE};
	r->whole = true;
	return REPLY_WHOLE;
}

/*
 * Nobody waits for the end of a line that is too long already: one octet too many is enough, and
 * what stands behind it in the same chunk makes no difference.
 */
static size_t
line_room(const struct line *l)
{
	return l->held.max + 1 - (l->whole ? 0 : l->n);
}

enum reply_status
reply_feed(struct reply *r, const uint8_t *p, size_t n, size_t *used, struct reply_found *found)
{
	enum reply_status status = REPLY_MORE;

	if (r->whole) {
		buf_free(&r->text);
		r->lines = 0;
		r->mixed = r->whole = false;
	}
	*used = 0;
	while (status == REPLY_MORE && *used < n) {
		size_t left = n - *used, room = line_room(&r->line), taken;
		struct line_marks marks;
		struct span line;

		switch (line_feed(
		    &r->line, p + *used, left < room ? left : room, &taken, &line, &marks)) {
		case LINE_NOMEM:
			return REPLY_NOMEM;
		case LINE_MORE:
			*used += taken;
			if (r->line.n > r->line.held.max)
				return bad(found, AN_REPLY_LINE_TOO_LONG);
			break;
		case LINE_WHOLE:
			*used += taken;
			status = take_line(r, line, marks, found);
			break;
		}
	}
	return status;
}
