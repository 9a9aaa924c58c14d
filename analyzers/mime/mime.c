#include "mime/mime.h"

#include <stdlib.h>

#include "mime/line_begin.h"
#include "mime/mime_state.h"

/* ---- life ---- */

#define DEFAULT(field, value) l.field = l.field == 0 ? (value) : l.field

static struct mime_limits
with_defaults(const struct mime_limits *in)
{
	struct mime_limits l = {0};

	if (in != NULL)
		l = *in;
	DEFAULT(header, 256u << 10);
	DEFAULT(fields, 1000);
	DEFAULT(depth, 100);
	DEFAULT(parts, 10000);
	DEFAULT(boundary, 2048);
	DEFAULT(parameters, 256);
	DEFAULT(anomalies, 1000);
	if (l.boundary > BOUNDARY_MOST)
		l.boundary = BOUNDARY_MOST;
	return l;
}

void
layer_free(struct mime *m, struct layer *l)
{
	unsigned i = 0;

	while (l->n_taps > 0)
		tap_free(m, l->taps[--l->n_taps]);
	while (l->top != NULL) {
		struct frame *f = l->top;

		l->top = f->below;
		frame_free(m, f);
	}
	while (m->layers[i] != l)
		i++;
	for (m->n_layers--; i < m->n_layers; i++)
		m->layers[i] = m->layers[i + 1];
	mime_boundaries_free(&l->boundaries);
	mime_header_free(&l->header);
	free(l->held);
	free(l->guess);
	free(l->copy);
	free(l);
}

struct layer *
layer_new(struct mime *m, struct frame *root, uint64_t base)
{
	struct layer *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		m->no_memory = true;
		return NULL;
	}
	l->root = root;
	l->base = base;
	l->bol = true;
	l->state = L_BODY;
	l->held_max = m->limits.boundary + 4 + BLANKS_MAX + MIME_NAME_MAX;
	l->held = malloc(l->held_max);
	l->copy = malloc(COPY_ALONE_MAX + l->held_max);
	l->guess = malloc(m->limits.boundary);
	mime_header_init(&l->header, header_room(m->limits.header, m->n_layers > 0));
	m->layers[m->n_layers++] = l;
	if (l->held != NULL && l->guess != NULL && l->copy != NULL &&
	    mime_boundaries_init(&l->boundaries, m->limits.boundary))
		return l;
	m->no_memory = true;
	layer_free(m, l);
	return NULL;
}

uint64_t
layer_off(const struct layer *l, uint64_t off)
{
	return l->source == NULL ? off : l->base;
}

/* ---- lines ---- */

/*
 * Where the next line begins that may be a delimiter of one in set (NULL: of any), behind the first
 * octet; s.n: nowhere. Most octets of most bodies are no "-": memchr is as fast as memory.
 */
static size_t
find_dash_line(struct span s, const struct mime_boundaries *set)
{
	size_t i = 1;

	while (i < s.n) {
		const uint8_t *at = memchr(s.p + i, '-', s.n - i);

		if (at == NULL)
			return s.n;
		i = (size_t)(at - s.p);
		if ((s.p[i - 1] == '\n' || s.p[i - 1] == '\r') &&
		    (set == NULL || mime_boundaries_may(set, span_from(s, i))))
			return i;
		while (i < s.n && s.p[i] == '-')
			i++;
	}
	return s.n;
}

/* Octets to the end of the line, with it. */
size_t
line_length(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\n' || s.p[i] == '\r')
			return i + 1;
	return s.n;
}

struct span *
input(struct layer *l)
{
	return l->again.n > 0 ? &l->again : &l->in;
}

void
take(struct layer *l, struct span *in, size_t n)
{
	l->off += n;
	l->lines += line_count(span_first(*in, n));
	*in = span_from(*in, n);
}

void
take_again(struct layer *l, struct span octets)
{
	l->again = octets;
	l->plain = true;
	l->bol = true;
}

/* ---- fields ---- */

/* Octets of memory that a value may take. */
static size_t
value_room(const struct mime *m)
{
	return m->kept + KEPT_VALUE_MIN < KEPT_VALUES_MAX ? KEPT_VALUES_MAX - m->kept
							  : KEPT_VALUE_MIN;
}

static void
say_octets(struct mime *m, struct frame *f, const struct mime_field *field, uint64_t off)
{
	if (field->odd_name) {
		say(m, f, MIME_ODD_FIELD_NAME, off, NULL);
		if (span_istarts(field->name, span_str("Content-")))
			say_two(m, f, off, "a field: ", field->name, " or: ", span_str("unknown"));
	}
	if (field->value.n > 0 && memchr(field->value.p, 0, field->value.n) != NULL)
		say(m, f, MIME_ODD_NUL, off, NULL);
	if (!span_is_utf8(field->value))
		say(m, f, MIME_ODD_8BIT_HEADER, off, NULL);
}

static void
one_field(struct mime *m, struct layer *l, const struct mime_field *field)
{
	struct frame *f = l->top;
	const uint64_t off = layer_off(l, l->field_off);
	struct mime_faults faults = {0};
	const size_t held = f->said.held;
	unsigned told = 0;

	if (l->fields++ >= m->limits.fields)
		return;
	if (!mime_said_field(
		&f->said, field->name, field->value, value_room(m), m->limits.parameters, &faults))
		m->no_memory = true;
	m->kept += f->said.held - held;
	say_octets(m, f, field, off);
	say_faults(m, f, &faults, &told, off);
	queue_event(m, f, MIME_FIELD, off, field->value)->name = field->name;
}

/* Is what stands behind a bare CR a field to those who take that for a line end? */
static bool
field_behind_cr(struct span rest, struct mime_field *field)
{
	ptrdiff_t colon = span_find(rest, ':');
	ptrdiff_t end = span_find(rest, '\r');

	if (colon <= 0 || (end >= 0 && end < colon))
		return false;
	for (ptrdiff_t i = 0; i < colon; i++)
		if (rest.p[i] <= ' ' || rest.p[i] >= 0x7f)
			return false;
	*field = (struct mime_field){.name = span_first(rest, (size_t)colon)};
	field->value = span_from(rest, (size_t)colon + 1);
	if (end >= 0)
		field->value = span_first(field->value, (size_t)(end - colon - 1));
	field->value = span_trim(field->value);
	return true;
}

#define CR_FIELDS_MAX 4 /* of one line, that are looked at */

static void
complete_field(struct mime *m, struct layer *l)
{
	struct mime_field field = mime_field_of(&l->header.text), other;
	struct span rest = field.value;
	unsigned n = 0;
	ptrdiff_t cr;

	one_field(m, l, &field);
	while (n < CR_FIELDS_MAX && (cr = span_find(rest, '\r')) >= 0) {
		rest = span_from(rest, (size_t)cr + 1);
		say(m, l->top, MIME_ODD_BARE_CR, layer_off(l, l->field_off), NULL);
		if (!field_behind_cr(rest, &other))
			continue;
		n++;
		say_two(m, l->top, layer_off(l, l->field_off), "a CR in ", field.name,
		    ", or a line end in front of ", other.name);
		one_field(m, l, &other);
	}
}

/* Fields that the end of the header makes complete. */
void
finish_header(struct mime *m, struct layer *l)
{
	if (mime_header_pending(&l->header))
		complete_field(m, l);
	end_header(m, l);
}

/* The line belongs to the body. */
static void
header_breaks(struct mime *m, struct layer *l)
{
	struct span line = mime_header_line(&l->header);
	const size_t n = line.n;

	l->off -= n;
	l->lines -= line_count(line);
	if (l->again.n > 0)
		memmove(l->held + n, l->again.p, l->again.n);
	memcpy(l->held, line.p, n);
	l->broken = true;
	end_header(m, l);
	take_again(l, span_of(l->held, n + l->again.n));
	l->armed = m->limits.fields;
	l->guessing = false;
}

/* Outer taps see a header as content: a line of it once it is known not to be the body's. */
static void
header_to_taps(struct layer *l, struct span piece, enum mime_header_what what)
{
	const struct mime_header *h = &l->header;

	if (l->n_taps == 0 || what == MIME_HEADER_BODY) {
		l->untold = 0;
	} else if (h->line_n > 0 && !h->is_field && !h->too_long) {
		l->untold += piece.n;
	} else {
		collect(l, span_first(mime_header_line(h), l->untold));
		l->untold = 0;
		to_taps(l, piece, false);
	}
}

static void
header_step(struct mime *m, struct layer *l)
{
	struct span *in = input(l), some = *in;
	const bool began = l->header.line_n == 0;
	const uint64_t line = l->off;
	const uint8_t *end = memchr(some.p, '\n', some.n);
	enum mime_header_what what;
	size_t used;
	bool memory;

	if (end != NULL) /* the next line may be a delimiter */
		some.n = (size_t)(end - some.p) + 1;
	if (l->n_taps > 0)
		some = span_first(some, run_limit(l, false));
	what = mime_header_feed(&l->header, some, &used, &memory);
	if (!memory)
		m->no_memory = true;
	if (began && used > 0 && !l->header.fold)
		l->field_off = line;
	header_to_taps(l, span_first(some, used), what);
	take(l, in, used);
	l->bol = l->header.line_n == 0;
	if (l->bol && used > 0)
		l->plain = false;
	switch (what) {
	case MIME_HEADER_MORE:
		break;
	case MIME_HEADER_FIELD:
		complete_field(m, l);
		mime_header_next(&l->header);
		break;
	case MIME_HEADER_MBOX:
		say(m, l->top, MIME_ODD_MBOX_LINE, layer_off(l, l->field_off), NULL);
		mime_header_next(&l->header);
		break;
	case MIME_HEADER_BLANK:
		end_header(m, l);
		break;
	case MIME_HEADER_BODY:
		header_breaks(m, l);
		break;
	}
}

/* ---- bodies ---- */

/* The line end that was held back is content. */
static void
flush_eol(struct layer *l)
{
	l->last = l->eol[l->eol_n - 1];
	to_taps(l, span_of(l->eol, l->eol_n), false);
	l->eol_n = 0;
}

static size_t
eol_at_end(struct span s)
{
	if (s.n == 0 || (s.p[s.n - 1] != '\n' && s.p[s.n - 1] != '\r'))
		return 0;
	return s.n > 1 && s.p[s.n - 1] == '\n' && s.p[s.n - 2] == '\r' ? 2 : 1;
}

static void
line_ends(struct layer *l)
{
	if (l->empty && l->eol[l->eol_n - 1] == '\n')
		l->armed = 0; /* such a line ends any header */
	l->plain = false;
	l->guessing = l->guessing && l->armed > 1;
	if (l->armed > 0)
		l->armed--;
}

/* A run of content, up to the next line that may be more than that. */
static void
body_run(struct mime *m, struct layer *l)
{
	struct span *in = input(l), some;
	const bool lies = can_lie(l), begins = l->bol;
	size_t eol;

	some = span_first(*in, run_limit(l, lies));
	if (l->plain || l->armed > 0 || l->soft.boundary != NULL)
		some.n = line_length(some);
	else if (!m->full && (l->boundaries.n > 0 || guess_owner(l) != NULL))
		some.n = find_dash_line(some, guess_owner(l) == NULL ? &l->boundaries : NULL);
	eol = eol_at_end(some);
	memcpy(l->eol, some.p + some.n - eol, eol);
	l->eol_n = eol;
	if (some.n > eol)
		l->last = some.p[some.n - eol - 1];
	to_taps(l, span_first(some, some.n - eol), lies);
	take(l, in, some.n);
	l->bol = eol > 0;
	l->empty = begins && eol == some.n;
	if (l->bol)
		line_ends(l);
}

static void
body_step(struct mime *m, struct layer *l)
{
	struct span *in = input(l);

	if (l->eol_n == 1 && l->eol[0] == '\r' && in->p[0] == '\n') {
		l->eol[l->eol_n++] = '\n';
		if (l->empty)
			l->armed = 0;
		take(l, in, 1);
	} else if (l->bol && !l->plain && l->soft.boundary != NULL) {
		if (l->eol_n > 0)
			flush_eol(l);
		else
			open_soft(m, l);
	} else if (may_hold(m, l, *in)) {
		begin_hold(l, in->p[0]);
	} else if (l->open != OPEN_NONE && l->eol_n == 0) {
		open_content(m, l);
	} else if (l->eol_n > 0) {
		flush_eol(l);
	} else {
		body_run(m, l);
	}
}

/* ---- parts end ---- */

/* The last octets before the delimiter, without the line end that belongs to it. */
static void
note_body_end(struct layer *l, struct frame *f, uint64_t off, uint64_t lines)
{
	f->part.encoded_size = off - f->body;
	f->part.lines = lines - f->body_lines;
	if (f->part.encoded_size > 0 && l->last != '\n')
		f->part.lines++;
}

static void
note_ends(struct layer *l, const struct frame *keep)
{
	uint64_t off = l->off - l->eol_n;
	uint64_t lines = l->lines - line_count(span_of(l->eol, l->eol_n));

	for (struct frame *f = l->top; f != keep; f = f->below)
		note_body_end(l, f, off, lines);
}

void
pop_to(struct layer *l, struct frame *keep)
{
	note_ends(l, keep);
	flush_copy(l);
	l->keep = keep;
	l->popping = true;
}

static void
frame_pops(struct mime *m, struct layer *l)
{
	struct frame *f = l->top;
	const uint64_t off = layer_off(l, l->off);

	if (f->part.shape == MIME_MULTIPART && !f->opened) {
		say(m, f, MIME_ODD_UNUSED_BOUNDARY, off, NULL);
		f->part.shape = MIME_LEAF; /* its content has been told */
	} else if (f->part.shape == MIME_MULTIPART && !f->closed) {
		say(m, f, MIME_ODD_NOT_CLOSED, off, NULL);
	}
	if (f->part.shape == MIME_MULTIPART || (f->part.shape == MIME_MESSAGE && f->part.size == 0))
		f->part.size = f->part.encoded_size;
	mime_boundaries_drop(&l->boundaries, f);
	l->top = f->below;
	if (l->top != NULL)
		l->top->child = false;
	frame_end(m, f, off);
}

static void
pop_step(struct mime *m, struct layer *l)
{
	const struct tap *last = l->n_taps > 0 ? l->taps[l->n_taps - 1] : NULL;

	if (l->top == l->keep &&
	    !(l->keep_inside && last != NULL && last->outside && last->frame == l->keep))
		l->popping = l->keep_inside = false;
	else if (last != NULL && last->frame == l->top)
		tap_close(m, l);
	else
		frame_pops(m, l);
}

/* The octets of a layer end here. */
static void
finish_step(struct mime *m, struct layer *l)
{
	if (l->hold != HOLD_NONE) {
		end_hold(m, l);
	} else if (l->held_to_taps && l->state != L_HEADER && l->state != L_BODY) {
		l->held_to_taps = false;
		to_taps(l, span_of(l->held, l->held_n), false);
	} else if (l->top == NULL) {
		l->state = L_DONE;
	} else if (l->top->in_header) {
		finish_header(m, l);
		mime_header_reset(&l->header);
	} else if (l->eol_n > 0) {
		flush_eol(l);
	} else {
		pop_to(l, NULL);
	}
}

/* ---- layers ---- */

static bool
has_work(const struct layer *l)
{
	return l->run.n > 0 || l->popping || l->again.n > 0 || l->in.n > 0 ||
	       (l->eof && l->state != L_DONE);
}

static void
step(struct mime *m, struct layer *l)
{
	const struct span *in = input(l);

	if (l->run.n > 0) {
		tap_run(m, l);
	} else if (l->popping) {
		pop_step(m, l);
	} else if (in->n == 0) {
		finish_step(m, l);
	} else if (l->hold != HOLD_NONE) {
		hold_step(m, l);
	} else if (l->state == L_BODY) {
		body_step(m, l);
	} else if (l->state == L_HEADER) {
		if (may_hold(m, l, *in))
			begin_hold(l, in->p[0]);
		else
			header_step(m, l);
	} else {
		delimiter_step(m, l);
	}
}

static bool
take_event(struct mime *m, struct mime_event *ev)
{
	if (m->taken == m->queued)
		return false;
	*ev = m->queue[m->taken++];
	if (m->taken == m->queued)
		m->taken = m->queued = 0;
	return true;
}

/* One event; false: there is no octet left to make one of. */
static bool
next_event(struct mime *m, struct mime_event *ev)
{
	while (!m->no_memory && !take_event(m, ev)) {
		unsigned i = m->n_layers;

		frames_bury(m);
		while (i > 0 && !has_work(m->layers[i - 1]))
			i--;
		if (i == 0)
			return false;
		step(m, m->layers[i - 1]);
	}
	return true;
}

struct mime *
mime_new(const struct mime_limits *limits)
{
	struct mime *m = malloc(sizeof(*m));
	struct layer *l;

	if (m == NULL)
		return NULL;
	memset(m, 0, offsetof(struct mime, queue));
	m->limits = with_defaults(limits);
	l = layer_new(m, NULL, 0);
	if (l != NULL)
		begin_header(m, l, NULL, false);
	if (!m->no_memory)
		return m;
	mime_free(m);
	return NULL;
}

void
mime_free(struct mime *m)
{
	if (m == NULL)
		return;
	while (m->n_layers > 0)
		layer_free(m, m->layers[m->n_layers - 1]);
	frames_bury(m);
	if (m->root != NULL)
		frame_free(m, m->root);
	free(m);
}

enum an_status
mime_feed(struct mime *m, struct span octets, size_t *used, struct mime_event *ev)
{
	struct layer *l = m->layers[0];
	bool event;

	l->in = octets;
	event = next_event(m, ev);
	*used = octets.n - l->in.n;
	l->in = SPAN_NONE;
	if (m->no_memory)
		return AN_NOMEM;
	return event ? AN_EVENT : AN_MORE;
}

enum an_status
mime_finish(struct mime *m, struct mime_event *ev)
{
	m->layers[0]->eof = true;
	if (next_event(m, ev))
		return m->no_memory ? AN_NOMEM : AN_EVENT;
	*ev = (struct mime_event){
	    .kind = MIME_MESSAGE_END, .part = &m->root->part, .off = m->layers[0]->off};
	return AN_EVENT;
}
