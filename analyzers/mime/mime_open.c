#include "mime/mime_state.h"

/* ---- parts begin ---- */

void
begin_header(struct mime *m, struct layer *l, struct frame *parent, bool generated)
{
	struct frame *f = frame_begin(m, parent, layer_off(l, l->off), generated);

	if (f == NULL)
		return;
	if (l->top != NULL)
		l->top->child = true;
	f->below = l->top;
	f->begin = l->off;
	l->top = f;
	l->state = L_HEADER;
	l->fields = 0;
	l->broken = false;
	l->armed = 0;
	l->untold = 0;
	mime_header_reset(&l->header);
}

/* A layer for decoded octets. NULL: there are too many. */
static struct layer *
open_sub(struct mime *m, struct layer *l, struct tap *t)
{
	struct layer *sub;

	if (m->n_layers == LAYERS_MAX) {
		say(m, t->frame, MIME_ODD_TOO_DEEP, layer_off(l, l->off), "decoded within decoded");
		t->mute = true;
		return NULL;
	}
	sub = layer_new(m, t->frame, layer_off(l, l->off));
	if (sub != NULL)
		sub->source = t;
	t->sub = sub;
	return sub;
}

void
add_boundary(struct mime *m, struct layer *l, struct frame *f, struct span octets)
{
	struct mime_delimiter d;

	if (f->readings == READINGS_MAX)
		return;
	if (octets.n > 70)
		say(m, f, MIME_ODD_LONG_BOUNDARY, layer_off(l, l->off), NULL);
	d = mime_boundaries_match(&l->boundaries, octets);
	if (d.exact && d.boundary->owner == f && !d.close)
		return;
	if (d.exact && d.boundary->owner != f)
		say_two(m, f, layer_off(l, f->begin),
		    "delimiters of this part, or of an outer one: ", octets, "", SPAN_NONE);
	if (mime_boundary_add(&l->boundaries, octets, f, f->part.depth, f->readings++) == NULL)
		m->no_memory = true;
}

/*
 * Before its first part, and behind its last, stands what some readers show: all of it, where no
 * part comes; files in the text; parts whose header has no delimiter in front.
 */
void
begin_outside(struct mime *m, struct layer *l, struct frame *f)
{
	struct tap *t = tap_open(m, l, f, NULL, MIME_BINARY);

	l->armed = m->limits.fields;
	l->guessing = false;
	if (t == NULL) {
		say(m, f, MIME_ODD_TOO_MANY_READINGS, layer_off(l, l->off), NULL);
		return;
	}
	t->outside = true;
	tap_scan(m, t);
}

/* Every boundary that some reader would take. */
static void
add_boundaries(struct mime *m, struct layer *l, struct frame *f, const struct mime_said *said)
{
	const struct mime_parameter *first = NULL;

	for (unsigned i = 0; i < said->n_types; i++) {
		const struct mime_parameter *p;

		if (said->bodies[i] != MIME_BODY_MULTIPART)
			continue;
		for (size_t n = 0; (p = param_find(&said->types[i], "boundary", n)) != NULL; n++) {
			bool other = first != NULL && !span_eq(first->value, p->value);

			if (other)
				say_two(m, f, layer_off(l, f->begin), "boundary: ", first->value,
				    " or: ", p->value);
			if (first == NULL || other)
				add_boundary(m, l, f, p->value);
			if (!span_eq(p->raw, p->value) && p->raw.n > 0)
				add_boundary(m, l, f, p->raw);
			first = first == NULL ? p : first;
		}
	}
}

/* A part that some readers see in the body of f: complete but for its content. */
static struct frame *
other_reading(
    struct mime *m, struct layer *l, struct frame *f, struct span type, enum mime_encoding encoding)
{
	struct frame *g;

	if (m->parts >= m->limits.parts || f->part.depth >= m->limits.depth) {
		say(m, f, MIME_ODD_TOO_MANY_READINGS, layer_off(l, l->off), NULL);
		return NULL;
	}
	f->generated++;
	g = frame_begin(m, f, layer_off(l, l->off), true);
	if (g == NULL)
		return NULL;
	g->in_header = false;
	g->begin = g->body = l->off;
	g->part.type = type;
	g->part.encoding = encoding;
	g->part.charset = f->part.charset;
	g->part.disposition = f->part.disposition;
	g->part.filename = f->part.filename;
	g->part.filename_raw = f->part.filename_raw;
	return g;
}

static void
open_other_leaf(
    struct mime *m, struct layer *l, struct frame *f, struct span type, enum mime_encoding encoding)
{
	struct frame *g = other_reading(m, l, f, type, encoding);

	if (g == NULL)
		return;
	frame_path(g, f);
	queue_event(m, g, MIME_HEADER_END, layer_off(l, l->off), SPAN_NONE);
	if (tap_open(m, l, f, g, encoding) == NULL) {
		say(m, f, MIME_ODD_TOO_MANY_READINGS, layer_off(l, l->off), NULL);
		frame_end(m, g, layer_off(l, l->off));
	}
}

/* The body decoded, as a message. */
static void
open_message(struct mime *m, struct layer *l, struct frame *f, enum mime_encoding encoding)
{
	struct tap *t;
	struct layer *sub;

	if (m->parts >= m->limits.parts || f->part.depth >= m->limits.depth ||
	    (t = tap_open(m, l, f, NULL, encoding)) == NULL) {
		say(m, f, MIME_ODD_TOO_MANY_READINGS, layer_off(l, l->off), NULL);
		return;
	}
	sub = open_sub(m, l, t);
	if (sub == NULL)
		return;
	if (f->part.shape == MIME_MESSAGE)
		f->children++;
	else
		f->generated++;
	begin_header(m, sub, f, f->part.shape != MIME_MESSAGE);
}

/* The body decoded, as a multipart. */
static void
open_multipart(struct mime *m, struct layer *l, struct frame *f, enum mime_encoding encoding)
{
	struct tap *t = tap_open(m, l, f, NULL, encoding);
	struct layer *sub = t == NULL ? NULL : open_sub(m, l, t);
	struct frame *g;

	if (sub == NULL) {
		say(m, f, MIME_ODD_TOO_MANY_READINGS, layer_off(l, l->off), NULL);
		return;
	}
	g = other_reading(m, sub, f, f->part.type, encoding);
	if (g == NULL)
		return;
	g->part.shape = MIME_MULTIPART;
	g->multipart = true;
	g->begin = g->body = 0;
	frame_path(g, f);
	add_boundaries(m, sub, g, &f->said);
	queue_event(m, g, MIME_HEADER_END, layer_off(sub, 0), SPAN_NONE);
	sub->top = g;
	begin_outside(m, sub, g);
}

/* ---- the end of a header ---- */

static bool
is_text(const struct frame *f)
{
	return span_starts(f->part.type, span_str("text/")) ||
	       !memchr(f->part.type.p, '/', f->part.type.n);
}

static void
open_leaf(struct mime *m, struct layer *l, struct frame *f)
{
	struct tap *t = tap_open(m, l, f, NULL, f->part.encoding);

	if (t == NULL)
		say(m, f, MIME_ODD_TOO_MANY_READINGS, layer_off(l, l->off), NULL);
	else if (is_text(f) && f->part.encoding != MIME_UUENCODE)
		tap_scan(m, t);
}

static bool
same_octets(enum mime_encoding a, enum mime_encoding b)
{
	return a == b || (!mime_decoder_codes(a) && !mime_decoder_codes(b));
}

static void
open_body_as(struct mime *m, struct layer *l, struct frame *f, enum mime_body body,
    struct span type, enum mime_encoding encoding)
{
	if (body == MIME_BODY_LEAF)
		open_other_leaf(m, l, f, type, encoding);
	else if (body == MIME_BODY_MESSAGE)
		open_message(m, l, f, encoding);
	else if (mime_decoder_codes(encoding))
		open_multipart(m, l, f, encoding);
}

/* Readings beside the one that the frame itself is. */
static void
open_other_readings(struct mime *m, struct layer *l, struct frame *f, enum mime_body own)
{
	const struct mime_said *said = &f->said;
	unsigned seen = 1u << own;

	for (unsigned i = 1; i < said->n_encodings; i++) {
		bool known = false;

		for (unsigned k = 0; k < i; k++)
			known = known || same_octets(said->encodings[i], said->encodings[k]);
		if (!known)
			open_body_as(m, l, f, own, f->part.type, said->encodings[i]);
	}
	for (unsigned i = 0; i < said->n_types; i++) {
		if (seen & (1u << said->bodies[i]))
			continue;
		seen |= 1u << said->bodies[i];
		open_body_as(m, l, f, said->bodies[i],
		    said->types[i].main.n > 0 ? said->types[i].main : said->default_type,
		    f->part.encoding);
	}
}

static void
say_other_readings(struct mime *m, struct frame *f, uint64_t off)
{
	const struct mime_said *said = &f->said;

	for (unsigned i = 1; i < said->n_types; i++) {
		const struct span first = said->types[0].main, other = said->types[i].main;

		if (span_eq(first, other))
			say(m, f, MIME_ODD_AMBIGUOUS, off,
			    "parameters of the first Content-Type, or: of the other");
		else
			say_two(m, f, off, "Content-Type: ", first, " or: ", other);
	}
	for (unsigned i = 1; i < said->n_encodings; i++)
		say_two(m, f, off,
		    "Content-Transfer-Encoding: ", span_str(mime_encoding_name(said->encodings[0])),
		    " or: ", span_str(mime_encoding_name(said->encodings[i])));
	if (said->odd_encoding && said->n_encodings == 1 &&
	    said->encodings[0] != MIME_UNKNOWN_ENCODING)
		say_two(m, f, off,
		    "Content-Transfer-Encoding: ", span_str(mime_encoding_name(said->encodings[0])),
		    " or: ", span_str("unknown"));
}

static void
say_header(struct mime *m, struct layer *l, struct frame *f)
{
	const struct mime_said *said = &f->said;
	const uint64_t off = layer_off(l, f->begin);
	const struct {
		bool is;
		enum mime_anomaly what;
	} rows[] = {
	    {said->duplicate || said->two_types, MIME_ODD_DUPLICATE},
	    {said->odd_encoding, MIME_ODD_ENCODING},
	    {l->header.too_long, MIME_ODD_LONG_HEADER},
	    {l->header.long_line, MIME_ODD_LONG_HEADER_LINE},
	    {l->header.bare_cr, MIME_ODD_BARE_CR},
	    {l->fields > m->limits.fields, MIME_ODD_TOO_MANY_FIELDS},
	    {l->broken, MIME_ODD_BROKEN_HEADER},
	    {f->part.number == 0 && f->part.type_declared && !said->version, MIME_ODD_NO_VERSION},
	    {span_eq(f->part.type, span_str("message/partial")), MIME_ODD_PARTIAL},
	    {span_eq(f->part.type, span_str("message/external-body")), MIME_ODD_EXTERNAL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].is)
			say(m, f, rows[i].what, off, NULL);
	say_other_readings(m, f, off);
	if (l->header.cr_blank)
		say(m, f, MIME_ODD_AMBIGUOUS, off,
		    "a line of nothing but CR ends the header, or: it is a line of it");
	if (l->header.went_on)
		say(m, f, MIME_ODD_AMBIGUOUS, off,
		    "a line of blanks continues a field, or: it ends the header");
	if (l->broken)
		say(m, f, MIME_ODD_AMBIGUOUS, off,
		    "a line that is no field begins the body, or: the header goes on behind it");
}

/* A type that is no multipart to us, but has the parameter that only those have. */
static bool
has_boundary(const struct mime_said *said)
{
	for (unsigned i = 0; i < said->n_types; i++)
		if (param_find(&said->types[i], "boundary", 0) != NULL)
			return true;
	return false;
}

static enum mime_body
settle_shape(struct mime *m, struct layer *l, struct frame *f)
{
	static const enum mime_shape shapes[] = {
	    [MIME_BODY_LEAF] = MIME_LEAF,
	    [MIME_BODY_MESSAGE] = MIME_MESSAGE,
	    [MIME_BODY_MULTIPART] = MIME_MULTIPART,
	};
	enum mime_body body = mime_body_of(f->part.type);

	if (body == MIME_BODY_MULTIPART) {
		f->multipart = true;
		add_boundaries(m, l, f, &f->said);
		if (f->readings == 0) {
			say(m, f, MIME_ODD_NO_BOUNDARY, layer_off(l, f->begin), NULL);
			body = MIME_BODY_LEAF;
		}
	} else if (body == MIME_BODY_LEAF) {
		f->multipart = has_boundary(&f->said);
	}
	if (body != MIME_BODY_LEAF && f->part.depth >= m->limits.depth) {
		say(m, f, MIME_ODD_TOO_DEEP, layer_off(l, f->begin), NULL);
		mime_boundaries_drop(&l->boundaries, f);
		f->multipart = false;
		body = MIME_BODY_LEAF;
	}
	f->part.shape = shapes[body];
	return body;
}

/* The frame's own reading, then the others. */
static void
begin_body(struct mime *m, struct layer *l, struct frame *f, enum mime_body body)
{
	const bool coded = mime_decoder_codes(f->part.encoding);

	if (body == MIME_BODY_LEAF)
		open_leaf(m, l, f);
	if (body == MIME_BODY_MESSAGE && coded)
		open_message(m, l, f, f->part.encoding);
	if (body != MIME_BODY_LEAF && coded)
		say(m, f, MIME_ODD_CODED_COMPOSITE, layer_off(l, f->begin), NULL);
	if (body == MIME_BODY_MULTIPART && coded) {
		say_two(m, f, layer_off(l, f->begin), "multipart: ", span_str("as it is"),
		    " or: ", span_str("decoded"));
		open_multipart(m, l, f, f->part.encoding);
	}
	if (f->part.shape != MIME_LEAF || f->part.depth < m->limits.depth)
		open_other_readings(m, l, f, body);
	if (body == MIME_BODY_MULTIPART)
		begin_outside(m, l, f); /* the last of its taps: it ends first */
	if (body != MIME_BODY_MESSAGE || coded)
		return;
	if (m->parts >= m->limits.parts) { /* other readings took what there was */
		say(m, f, MIME_ODD_TOO_MANY_PARTS, layer_off(l, l->off), NULL);
		return;
	}
	f->children++;
	begin_header(m, l, f, false);
}

void
end_header(struct mime *m, struct layer *l)
{
	struct frame *f = l->top;
	enum mime_body body;

	f->in_header = false;
	l->state = L_BODY;
	l->bol = true;
	l->eol_n = 0;
	l->last = '\n';
	f->body = l->off;
	f->body_lines = l->lines;
	f->part.header_size = l->off - f->begin;
	if (!mime_said_settle(&f->said, &f->part))
		m->no_memory = true;
	body = settle_shape(m, l, f);
	frame_path(f, f->below == NULL ? l->root : f->below);
	say_header(m, l, f);
	queue_event(m, f, MIME_HEADER_END, layer_off(l, l->off), SPAN_NONE);
	if (body == MIME_BODY_MESSAGE && m->parts >= m->limits.parts) {
		say(m, f, MIME_ODD_TOO_MANY_PARTS, layer_off(l, l->off), NULL);
		f->part.shape = MIME_LEAF;
		body = MIME_BODY_LEAF;
	}
	begin_body(m, l, f, body);
}
