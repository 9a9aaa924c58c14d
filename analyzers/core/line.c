#include "core/line.h"

void
line_init(struct line *l, size_t max)
{
	*l = (struct line){0};
	buf_init(&l->held, max);
}

void
line_free(struct line *l)
{
	buf_free(&l->held);
	line_init(l, l->held.max);
}

/* The storage goes back with every line: a session that waits for the next one holds nothing. */
static void
line_begin(struct line *l)
{
	if (l->whole)
		line_free(l);
}

static bool
keep(struct line *l, struct span piece)
{
	l->n += piece.n;
	l->last_cr = piece.n > 0 && piece.p[piece.n - 1] == '\r';
	if (l->n > l->held.max) {
		buf_clear(&l->held);
		return true;
	}
	return buf_add(&l->held, piece);
}

static void
mark(struct span text, struct line_marks *marks)
{
	marks->bare_cr = span_find(text, '\r') >= 0;
	marks->nul = span_find(text, '\0') >= 0;
}

enum line_status
line_feed(struct line *l, const uint8_t *p, size_t n, size_t *used, struct span *text,
    struct line_marks *marks)
{
	ptrdiff_t end;
	size_t ending;
	bool cr;

	line_begin(l);
	end = span_find(span_of(p, n), '\n');
	if (end < 0) {
		*used = n;
		return n == 0 || keep(l, span_of(p, n)) ? LINE_MORE : LINE_NOMEM;
	}

	*used = (size_t)end + 1;
	cr = end > 0 ? p[end - 1] == '\r' : l->last_cr;
	if (l->n == 0) {
		*text = span_of(p, *used);
		l->n = *used;
	} else {
		if (!keep(l, span_of(p, *used)))
			return LINE_NOMEM;
		*text = buf_span(&l->held);
	}
	l->whole = true;
	*marks = (struct line_marks){.bare_lf = !cr, .too_long = l->n > l->held.max};
	if (marks->too_long) {
		*text = SPAN_NONE;
		return LINE_WHOLE;
	}
	ending = cr ? 2 : 1;
	text->n -= ending;
	mark(*text, marks);
	return LINE_WHOLE;
}
