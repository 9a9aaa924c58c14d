/* Lines that may be delimiters, and the parts that begin behind them. */
#include "mime/mime_state.h"

/* ---- lines that may be delimiters ---- */

/* The multipart that an undeclared boundary would belong to; NULL: none. */
struct frame *
guess_owner(const struct layer *l)
{
	struct frame *f = l->top;

	return f != NULL && !f->in_header && f->multipart && !f->child ? f : NULL;
}

bool
may_hold(const struct mime *m, const struct layer *l, struct span in)
{
	if (m->full || l->plain || !l->bol)
		return false;
	if (in.p[0] == '-')
		return guess_owner(l) != NULL ||
		       (l->boundaries.n > 0 && mime_boundaries_may(&l->boundaries, in));
	return l->armed > 0 && octet_lower(in.p[0]) == 'c' && l->state == L_BODY;
}

void
begin_hold(struct layer *l, uint8_t c)
{
	l->hold = c == '-' ? HOLD_DASH : HOLD_CONTENT;
	memcpy(l->held, l->eol, l->eol_n);
	l->held_n = l->held_eol = l->eol_n;
	l->held_bare = false;
	l->held_cr = false;
}

/* With the CR that ends it, if it is known to. */
static struct span
held_octets(const struct layer *l)
{
	return span_of(l->held + l->held_eol, l->held_n - l->held_eol);
}

static struct span
held_line(const struct layer *l)
{
	struct span s = held_octets(l);

	s.n -= l->held_cr;
	return s;
}

static void
no_delimiter(struct layer *l)
{
	struct span line = held_octets(l);

	/* a bare CR began it within octets that are taken again: they are behind it in held */
	if (l->again.n > 0)
		memmove(l->held + l->held_n, l->again.p, l->again.n);
	l->hold = HOLD_NONE;
	take_again(l, span_of(line.p, line.n + l->again.n));
}

/* A delimiter ends them. */
static void
finish_headers(struct mime *m, struct layer *l)
{
	if (l->top->in_header)
		finish_header(m, l);
	/* a message without a body: its header had an end, the delimiter comes at once */
	while (l->top->in_header)
		end_header(m, l);
}

static void
hard_delimiter(struct mime *m, struct layer *l, const struct mime_delimiter *d)
{
	struct frame *owner = d->boundary->owner;

	finish_headers(m, l);
	if (owner->closed && !d->close)
		say(m, owner, MIME_ODD_AFTER_CLOSE, layer_off(l, l->off), NULL);
	pop_to(l, owner);
	l->keep_inside = owner->opened || !d->close;
	owner->reading = d->boundary->reading;
	owner->closed = d->close;
	l->delimiter = *d;
	l->state = l->held_cr ? L_DELIMITER_LF : L_DELIMITER;
	l->held_to_taps = true;
	l->hold = HOLD_NONE;
	l->off += held_octets(l).n;
	l->eol_n = 0;
	l->soft.boundary = NULL;
	l->armed = 0;
}

static bool
is_soft(const struct layer *l, const struct mime_delimiter *d)
{
	const struct frame *owner = d->boundary->owner;

	return !d->exact || l->held_bare || (l->held_eol == 1 && l->held[0] == '\r') ||
	       (owner->child && owner->reading != d->boundary->reading);
}

/* Remembers a line that would be a delimiter if somebody had declared it. */
static void
note_guess(struct mime *m, struct layer *l, struct span line)
{
	if (guess_owner(l) == NULL || line.n < 3)
		return;
	line = span_first(span_rtrim(span_from(line, 2)), m->limits.boundary);
	memcpy(l->guess, line.p, line.n);
	l->guess_n = line.n;
	l->guessing = true;
	l->armed = 2; /* this line and the next */
}

/* The frame below the outermost that began at a line that only some take for a delimiter. */
static struct frame *
below_soft(struct layer *l, const struct frame *owner)
{
	struct frame *below = l->top;

	for (struct frame *f = l->top; f != owner && f != NULL; f = f->below)
		if (f->soft)
			below = f->below;
	return below;
}

static void
decide(struct mime *m, struct layer *l)
{
	struct span line = held_line(l);
	struct mime_delimiter d = {0};

	if (line.n >= 2 && line.p[1] == '-')
		d = mime_boundaries_match(&l->boundaries, span_from(line, 2));
	if (d.boundary == NULL) {
		no_delimiter(l);
		if (line.n >= 2 && line.p[1] == '-')
			note_guess(m, l, line);
		return;
	}
	if (!d.close && m->parts >= m->limits.parts) {
		say(m, d.boundary->owner, MIME_ODD_TOO_MANY_PARTS, layer_off(l, l->off), NULL);
		m->full = true;
		no_delimiter(l);
		return;
	}
	if (!is_soft(l, &d)) {
		hard_delimiter(m, l, &d);
		return;
	}
	say_two(m, l->top, layer_off(l, l->off), "a delimiter, or text: ", line, "", SPAN_NONE);
	if (!d.close)
		l->soft = d;
	/* to the one reading that opened a part the line is no text of it */
	if (l->top != below_soft(l, d.boundary->owner)) {
		finish_headers(m, l);
		pop_to(l, below_soft(l, d.boundary->owner));
	}
	no_delimiter(l);
}

/* Octets of the line that is looked at, up to its end or as many as it takes to know. */
static void
hold_dash(struct mime *m, struct layer *l)
{
	struct span *in = input(l);
	size_t room = l->held_max - MIME_NAME_MAX - 1 - l->held_n;
	size_t n = line_length(span_first(*in, room));
	bool end = n > 0 && (in->p[n - 1] == '\n' || in->p[n - 1] == '\r');

	if (l->held_cr) {
		l->held_bare = in->p[0] != '\n';
		decide(m, l);
		return;
	}
	l->held_cr = end && in->p[n - 1] == '\r';
	n -= end && in->p[n - 1] == '\n'; /* stays where it is */
	memmove(l->held + l->held_n, in->p, n);
	l->held_n += n;
	*in = span_from(*in, n);
	if (l->held_cr)
		return;
	if (end || n == room || (held_line(l).n >= 2 && held_line(l).p[1] != '-'))
		decide(m, l);
}

#define CONTENT "content-"

/* A line in front of which a header might have ended, or a part begun: does it look like one? */
static void
hold_content(struct mime *m, struct layer *l)
{
	static const struct span content = {(const uint8_t *)CONTENT, sizeof(CONTENT) - 1};
	struct span *in = input(l), line;

	l->held[l->held_n++] = in->p[0];
	*in = span_from(*in, 1);
	line = held_line(l);
	if (!span_istarts(content, line)) {
		no_delimiter(l);
		return;
	}
	if (line.n < content.n)
		return;
	if (m->parts < m->limits.parts && l->top->part.depth < m->limits.depth)
		l->open = OPEN_CONTENT;
	no_delimiter(l);
}

void
hold_step(struct mime *m, struct layer *l)
{
	if (l->hold == HOLD_DASH)
		hold_dash(m, l);
	else
		hold_content(m, l);
}

/* No octet follows the line that is looked at. */
void
end_hold(struct mime *m, struct layer *l)
{
	if (l->hold == HOLD_DASH) {
		l->held_bare = false;
		decide(m, l);
	} else {
		no_delimiter(l);
	}
}

/* ---- parts begin at lines ---- */

/* Behind the line end of a delimiter. */
static void
behind_delimiter(struct mime *m, struct layer *l)
{
	struct frame *owner = l->delimiter.boundary->owner;

	/* files in the text before it may have been the last parts */
	if (!l->delimiter.close && m->parts >= m->limits.parts) {
		say(m, owner, MIME_ODD_TOO_MANY_PARTS, layer_off(l, l->off), NULL);
		m->full = true;
	}
	if (l->delimiter.close || m->full) {
		l->state = L_BODY;
		l->bol = true;
		/* the text of a leaf with undeclared boundaries goes on all the while */
		if (owner->opened && owner->part.shape == MIME_MULTIPART)
			begin_outside(m, l, owner);
		return;
	}
	owner->opened = true;
	if (owner->part.shape == MIME_MULTIPART)
		owner->children++;
	else
		owner->generated++;
	begin_header(m, l, owner, owner->part.shape != MIME_MULTIPART);
}

/* The rest of a delimiter's line; outer frames see it as content. */
void
delimiter_step(struct mime *m, struct layer *l)
{
	struct span *in = input(l);
	size_t n;

	if (l->held_to_taps) {
		l->held_to_taps = false;
		to_taps(l, span_of(l->held, l->held_n), false);
		return;
	}
	if (l->state == L_DELIMITER_LF) {
		n = in->p[0] == '\n';
	} else {
		n = line_length(span_first(*in, run_limit(l, false)));
		l->state = in->p[n - 1] == '\r' ? L_DELIMITER_LF : L_DELIMITER;
	}
	to_taps(l, span_first(*in, n), false);
	if (l->state == L_DELIMITER_LF ? n == 0 || in->p[n - 1] == '\n' : in->p[n - 1] == '\n') {
		take(l, in, n);
		behind_delimiter(m, l);
	} else {
		take(l, in, n);
	}
}

void
open_soft(struct mime *m, struct layer *l)
{
	const struct mime_delimiter d = l->soft;
	struct frame *below = below_soft(l, d.boundary->owner);

	if (l->top != below) {
		pop_to(l, below);
		return;
	}
	l->soft.boundary = NULL;
	if (l->top->part.depth >= m->limits.depth || m->parts >= m->limits.parts)
		return;
	l->top->generated++;
	begin_header(m, l, l->top, true);
	l->top->soft = true;
}

void
open_content(struct mime *m, struct layer *l)
{
	struct frame *owner = l->guessing ? guess_owner(l) : NULL;

	l->open = OPEN_NONE;
	l->armed = 0;
	if (m->parts >= m->limits.parts)
		return;
	if (owner != NULL) {
		say_two(m, owner, layer_off(l, l->off),
		    "an undeclared boundary, or text: ", span_of(l->guess, l->guess_n), "",
		    SPAN_NONE);
		add_boundary(m, l, owner, span_of(l->guess, l->guess_n));
		owner->opened = true;
		owner->reading = owner->readings - 1;
	}
	l->guessing = false;
	l->top->generated++;
	begin_header(m, l, l->top, true);
	l->top->soft = true;
}
