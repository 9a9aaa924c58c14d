#include "mime/mime.h"

#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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
	if (l.header < (size_t)4 * MIME_NAME_MAX)
		l.header = (size_t)4 * MIME_NAME_MAX;
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
	l->copy = malloc(COPY_MAX + l->held_max);
	l->guess = malloc(m->limits.boundary);
	mime_header_init(&l->header, m->limits.header);
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

static uint64_t
count_lines(struct span s)
{
	uint64_t n = 0;
	size_t i = 0;

#ifdef __SSE2__
	const __m128i lf = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();

	/* each octet of a counter counts to 255 at most before they are added up */
	while (s.n - i >= 16) {
		__m128i counts = zero;
		size_t rounds = (s.n - i) / 16;

		for (rounds = rounds > 255 ? 255 : rounds; rounds > 0; rounds--, i += 16) {
			__m128i octets = _mm_loadu_si128((const __m128i *)(const void *)(s.p + i));

			counts = _mm_sub_epi8(counts, _mm_cmpeq_epi8(octets, lf));
		}
		counts = _mm_sad_epu8(counts, zero);
		n += (uint64_t)_mm_cvtsi128_si64(counts) +
		     (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(counts, counts));
	}
#endif
	for (; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

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
static size_t
line_length(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\n' || s.p[i] == '\r')
			return i + 1;
	return s.n;
}

/* ---- octets on their way ---- */

/*
 * Is the order of what the taps say, of each other and of what they contain, to be seen from
 * outside? Not where there is but one source of events and of numbers of parts.
 */
static bool
order_shows(const struct layer *l)
{
	unsigned sources = 0;

	for (unsigned i = 0; i < l->n_taps; i++) {
		sources += mime_decoder_codes(l->taps[i]->decoder.kind);
		sources += l->taps[i]->sub != NULL;
		sources += l->taps[i]->scan != NULL;
	}
	return sources > 1 || (sources == 1 && l->n_taps > 1);
}

/* Can the octets go where they lie? Else somebody may want them when the caller has them no more.
 */
static bool
can_lie(const struct layer *l)
{
	return l->n_taps == 1 && l->taps[0]->sub == NULL && l->taps[0]->scan == NULL;
}

/* Octets that may be given to them at once. */
static size_t
run_limit(const struct layer *l, bool lies)
{
	return lies || l->n_taps == 0 ? MIME_RUN_MAX : COPY_MAX - l->copied;
}

static void
run_copy(struct layer *l, size_t n)
{
	l->run = span_of(l->copy, n);
	l->run_at = 0;
	l->run_taps = l->n_taps;
}

void
flush_copy(struct layer *l)
{
	if (l->run.n > 0)
		l->flush = l->copied > 0;
	else if (l->copied > 0)
		run_copy(l, l->copied);
}

static void
collect(struct layer *l, struct span s)
{
	if (s.n > 0)
		memcpy(l->copy + l->copied, s.p, s.n);
	l->copied += s.n;
}

/*
 * Octets for the taps. Where their order shows they are collected, so that it does not depend on
 * the chunking: they go on their way when there are COPY_MAX, or when a part begins or ends.
 */
static void
to_taps(struct layer *l, struct span s, bool lies)
{
	if (l->n_taps == 0 || s.n == 0)
		return;
	if (lies) {
		l->run = s;
		l->run_at = 0;
		l->run_taps = l->n_taps;
		return;
	}
	collect(l, s);
	if (!order_shows(l))
		run_copy(l, l->copied);
	else if (l->copied >= COPY_MAX)
		run_copy(l, COPY_MAX);
}

static struct span *
input(struct layer *l)
{
	return l->again.n > 0 ? &l->again : &l->in;
}

static void
take(struct layer *l, struct span *in, size_t n)
{
	l->off += n;
	l->lines += count_lines(span_first(*in, n));
	*in = span_from(*in, n);
}

static void
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
static void
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
	l->lines -= count_lines(line);
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

/* ---- lines that may be delimiters ---- */

/* The multipart that an undeclared boundary would belong to; NULL: none. */
static struct frame *
guess_owner(const struct layer *l)
{
	struct frame *f = l->top;

	return f != NULL && !f->in_header && f->multipart && !f->child ? f : NULL;
}

static bool
may_hold(const struct mime *m, const struct layer *l, struct span in)
{
	if (m->full || l->plain || !l->bol)
		return false;
	if (in.p[0] == '-')
		return guess_owner(l) != NULL ||
		       (l->boundaries.n > 0 && mime_boundaries_may(&l->boundaries, in));
	return l->armed > 0 && octet_lower(in.p[0]) == 'c' && l->state == L_BODY;
}

static void
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
	uint64_t lines = l->lines - count_lines(span_of(l->eol, l->eol_n));

	for (struct frame *f = l->top; f != keep; f = f->below)
		note_body_end(l, f, off, lines);
}

static void
pop_to(struct layer *l, struct frame *keep)
{
	note_ends(l, keep);
	flush_copy(l);
	l->keep = keep;
	l->popping = true;
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

static void
hold_step(struct mime *m, struct layer *l)
{
	if (l->hold == HOLD_DASH)
		hold_dash(m, l);
	else
		hold_content(m, l);
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
static void
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

static void
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

static void
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

static void
frame_pops(struct mime *m, struct layer *l)
{
	struct frame *f = l->top;
	const uint64_t off = layer_off(l, l->off);

	if (f->part.shape == MIME_MULTIPART && !f->opened)
		say(m, f, MIME_ODD_UNUSED_BOUNDARY, off, NULL);
	else if (f->part.shape == MIME_MULTIPART && !f->closed)
		say(m, f, MIME_ODD_NOT_CLOSED, off, NULL);
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
	if (l->top == l->keep)
		l->popping = false;
	else if (l->n_taps > 0 && l->taps[l->n_taps - 1]->frame == l->top)
		tap_close(m, l);
	else
		frame_pops(m, l);
}

/* The octets of a layer end here. */
static void
finish_step(struct mime *m, struct layer *l)
{
	if (l->hold == HOLD_DASH) {
		l->held_bare = false;
		decide(m, l);
	} else if (l->hold == HOLD_CONTENT) {
		no_delimiter(l);
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
	struct mime *m = calloc(1, sizeof(*m));
	struct layer *l;

	if (m == NULL)
		return NULL;
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
