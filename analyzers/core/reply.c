#include "core/reply.h"

#include "core/telnet.h"

void
reply_init(struct reply *r, size_t line_max, size_t lines_max, size_t max)
{
	*r = (struct reply){.lines_max = lines_max};
	line_init(&r->line, line_max);
	buf_init(&r->text, max);
}

void
reply_init_free_lines(struct reply *r, size_t line_max, size_t lines_max, size_t max)
{
	reply_init(r, line_max, lines_max, max);
	r->free_lines = true;
}

void
reply_free(struct reply *r)
{
	line_free(&r->line);
	buf_free(&r->text);
}

static unsigned
code_from(struct span line, uint8_t first_class)
{
	unsigned code = 0;

	if (line.n < 3 || line.p[0] < first_class || line.p[0] > '5' || line.p[1] > '5')
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

unsigned
reply_code(struct span line)
{
	return code_from(line, '2');
}

unsigned
reply_code_ftp(struct span line)
{
	return code_from(line, '1');
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

static enum reply_status
whole(struct reply *r, unsigned code, enum an_anomaly what, struct reply_found *found)
{
	*found = (struct reply_found){.code = code,
	    .lines = r->lines,
	    .added = r->bare,
	    .octets = buf_span(&r->text),
	    .what = what};
	r->whole = true;
	return REPLY_WHOLE;
}

/* One whole line: REPLY_MORE when another one follows. */
static enum reply_status
take_line(struct reply *r, struct span line, struct line_marks marks, struct reply_found *found)
{
	unsigned code = reply_code(line);

	if (marks.too_long)
		return bad(found, AN_REPLY_LINE_TOO_LONG);
	if (code == 0 || (marks.bare_lf && !r->bare_lf) || marks.bare_cr || marks.nul) {
		bad(found, AN_INVALID_REPLY);
		found->bad = line;
		return REPLY_BAD;
	}
	if (marks.bare_lf && !r->bare_lf_named)
		r->odd = AN_BARE_LF;
	r->bare_lf_named |= marks.bare_lf;
	r->bare += marks.bare_lf ? 1 : 0;
	if (r->lines == 0)
		r->code = code;
	r->mixed = r->mixed || code != r->code;
	if (++r->lines > r->lines_max || r->text.n + line.n + 2 > r->text.max)
		return bad(found, AN_REPLY_TOO_LONG);
	if (!buf_add(&r->text, line) || !buf_str(&r->text, "\r\n"))
		return REPLY_NOMEM;
	if (line.n > 3 && line.p[3] == '-')
		return REPLY_MORE;
	return whole(r, code, r->mixed ? AN_MIXED_REPLY : r->odd, found);
}

static void
note_odd(struct reply *r, struct line_marks marks, bool telnet)
{
	if (r->odd != AN_NONE)
		return;
	r->odd = marks.bare_lf	 ? AN_BARE_LF
		 : marks.bare_cr ? AN_BARE_CR
		 : marks.nul	 ? AN_NUL
		 : telnet	 ? AN_TELNET_OPTION
				 : AN_NONE;
}

/* Octets that no line may have inside; its end has been taken off. */
static void
blank_strays(struct buf *text, size_t from)
{
	for (size_t i = from; i < text->n; i++)
		if (text->p[i] == '\r' || text->p[i] == '\n' || text->p[i] == '\0')
			text->p[i] = ' ';
}

/* Behind the first line: does this one end the reply? */
static bool
ends_free(const struct reply *r, struct span line)
{
	return reply_code_ftp(line) == r->code && (line.n == 3 || line.p[3] == ' ');
}

static enum reply_status
take_free_line(struct reply *r, struct span raw, struct line_marks marks, struct reply_found *found)
{
	size_t begin = r->text.n;
	struct span line;
	bool telnet;

	if (marks.too_long)
		return bad(found, AN_REPLY_LINE_TOO_LONG);
	if (++r->lines > r->lines_max || begin + raw.n + 2 > r->text.max)
		return bad(found, AN_REPLY_TOO_LONG);
	if (!telnet_plain(raw, &r->text, &telnet))
		return REPLY_NOMEM;
	note_odd(r, marks, telnet);
	if (marks.bare_cr || marks.nul)
		blank_strays(&r->text, begin);
	line = span_from(buf_span(&r->text), begin);
	if (r->lines == 1) {
		r->code = reply_code_ftp(line);
		if (r->code == 0) {
			bad(found, AN_INVALID_REPLY);
			found->bad = line;
			return REPLY_BAD;
		}
	}
	if (r->lines == 1 ? line.n > 3 && line.p[3] == '-' : !ends_free(r, line))
		return buf_str(&r->text, "\r\n") ? REPLY_MORE : REPLY_NOMEM;
	return buf_str(&r->text, "\r\n") ? whole(r, r->code, r->odd, found) : REPLY_NOMEM;
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
		r->lines = r->bare = 0;
		r->mixed = r->whole = false;
		r->odd = AN_NONE;
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
			status = r->free_lines ? take_free_line(r, line, marks, found)
					       : take_line(r, line, marks, found);
			break;
		}
	}
	return status;
}
