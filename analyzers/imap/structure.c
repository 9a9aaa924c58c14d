#include "imap/structure.h"

#include <stdlib.h>

#include "core/buf.h"
#include "imap/lex.h"

#define TOKEN_MAX 4096 /* octets of one text, of one list of parameters */
#define NO_PART	  (-1)

/* What a list is. */
enum frame_kind { BODY, PARAMETERS, DISPOSITION, OTHER };

struct frame {
	enum frame_kind kind : 8;
	bool multi;    /* of parts */
	bool text;     /* TEXT/...: has a number of lines */
	bool message;  /* MESSAGE/RFC822: has an envelope and a body */
	uint8_t field; /* the next one; lists of a multipart's parts are none */
	uint16_t children;
	int16_t part;
};

enum reading {
	BETWEEN,
	ATOM,
	QUOTED,
	ESCAPED,
	ANNOUNCEMENT,
	END_CR,
	END_LF,
	LITERAL,
	WHOLE,
	BROKEN
};

struct imap_structure {
	enum reading reading;
	struct imap_announcement announcement;
	uint64_t left;
	struct frame frames[IMAP_NESTING];
	size_t depth;
	struct buf token; /* the text at hand */
	struct buf list;  /* parameters so far, as a header has them */
	struct buf name;  /* of the parameter at hand */
	struct arena texts;
	struct imap_part *parts;
	size_t n, cap;
	bool left_out, no_memory;
};

struct imap_structure *
imap_structure_new(void)
{
	struct imap_structure *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	buf_init(&s->token, TOKEN_MAX);
	buf_init(&s->list, TOKEN_MAX);
	buf_init(&s->name, TOKEN_MAX);
	arena_init(&s->texts, STRUCTURE_TEXT);
	return s;
}

void
imap_structure_free(struct imap_structure *s)
{
	if (s == NULL)
		return;
	buf_free(&s->token);
	buf_free(&s->list);
	buf_free(&s->name);
	arena_free(&s->texts);
	free(s->parts);
	free(s);
}

bool
imap_structure_whole(const struct imap_structure *s)
{
	return s->reading == WHOLE;
}

bool
imap_structure_left_out(const struct imap_structure *s)
{
	return s->left_out;
}

size_t
imap_structure_parts(const struct imap_structure *s)
{
	return s->n;
}

const struct imap_part *
imap_structure_part(const struct imap_structure *s, size_t i)
{
	return i < s->n ? &s->parts[i] : NULL;
}

const struct imap_part *
imap_structure_find(const struct imap_structure *s, struct span path)
{
	for (size_t i = 0; path.n > 0 && i < s->n; i++)
		if (span_ieq(span_str(s->parts[i].path), path))
			return &s->parts[i];
	return NULL;
}

/* ---- texts, within their bounds ---- */

/* A text that has no room is left out; only missing memory is a failure. */
static void
add(struct imap_structure *s, struct buf *to, struct span octets)
{
	if (octets.n > to->max - to->n) {
		s->left_out = true;
		octets = span_first(octets, to->max - to->n);
	}
	if (!buf_add(to, octets))
		s->no_memory = true;
}

static void
add_text(struct imap_structure *s, struct buf *to, const char *text)
{
	add(s, to, span_str(text));
}

static struct span
keep(struct imap_structure *s, struct span text)
{
	struct span kept = SPAN_NONE;

	if (!arena_copy(&s->texts, text, &kept)) {
		s->left_out = true;
		s->no_memory = s->no_memory || s->texts.failed;
	}
	return kept;
}

/* Nothing of these texts may end the line of a header. */
static void
make_harmless(struct buf *token)
{
	for (size_t i = 0; i < token->n; i++)
		if (token->p[i] < ' ' || token->p[i] == 0x7f)
			token->p[i] = '_';
}

static bool
is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f ||
		    span_find(span_str("()<>@,;:\\\"/[]?="), s.p[i]) >= 0)
			return false;
	return s.n > 0;
}

static void
add_quoted(struct imap_structure *s, struct span value)
{
	add_text(s, &s->list, "\"");
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			add_text(s, &s->list, "\\");
		add(s, &s->list, span_from(span_first(value, i + 1), i));
	}
	add_text(s, &s->list, "\"");
}

/* ; name="value"; what RFC 2231 encodes stands without quotes */
static void
add_parameter(struct imap_structure *s, struct span value)
{
	struct span name = buf_span(&s->name);

	if (!is_token(name) || s->list.max - s->list.n < name.n + 2 * value.n + 6) {
		s->left_out = true;
		return;
	}
	add_text(s, &s->list, "; ");
	add(s, &s->list, name);
	add_text(s, &s->list, "=");
	if (name.p[name.n - 1] == '*' && is_token(value))
		add(s, &s->list, value);
	else
		add_quoted(s, value);
}

/* ---- parts and their paths ---- */

static struct imap_part *
part_of(struct imap_structure *s, const struct frame *f)
{
	return f->part == NO_PART ? NULL : &s->parts[f->part];
}

static int16_t
new_part(struct imap_structure *s)
{
	if (s->n >= STRUCTURE_PARTS) {
		s->left_out = true;
		return NO_PART;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 4 : s->cap * 2;
		struct imap_part *parts = realloc(s->parts, cap * sizeof(*parts));

		if (parts == NULL) {
			s->no_memory = true;
			return NO_PART;
		}
		s->parts = parts;
		s->cap = cap;
	}
	s->parts[s->n] = (struct imap_part){.size = 0};
	return (int16_t)s->n++;
}

static size_t
digits_of(unsigned n, char out[8])
{
	char reversed[8];
	size_t len = 0;

	do
		reversed[len++] = (char)('0' + n % 10);
	while ((n /= 10) > 0 && len < sizeof(reversed));
	for (size_t i = 0; i < len; i++)
		out[i] = reversed[len - 1 - i];
	return len;
}

/* prefix "." last; a path that is too long stays empty, and is found by nobody */
static void
set_path(struct imap_structure *s, struct imap_part *part, struct span prefix, struct span last)
{
	size_t dot = prefix.n > 0 ? 1 : 0;

	if (prefix.n + dot + last.n >= sizeof(part->path)) {
		s->left_out = true;
		return;
	}
	if (prefix.n > 0)
		memcpy(part->path, prefix.p, prefix.n);
	if (dot > 0)
		part->path[prefix.n] = '.';
	memcpy(part->path + prefix.n + dot, last.p, last.n);
	part->path[prefix.n + dot + last.n] = '\0';
}

/* What the parts of this one have in front of their numbers. */
static struct span
prefix_of(const struct imap_part *part)
{
	struct span path = span_str(part->path);

	if (span_iends(path, span_str("TEXT")))
		path.n -= path.n > 4 ? 5 : 4;
	return path;
}

/*
 * Now that it is known what a body is, where it is (RFC 9051 s6.4.5.1): a body that stands alone in
 * the message, or in a message within it, is its part 1, one of several parts its TEXT.
 */
static void
place(struct imap_structure *s, size_t depth)
{
	const struct frame *f = &s->frames[depth], *above = depth > 0 ? f - 1 : NULL;
	struct imap_part *part = part_of(s, f), *parent = above != NULL ? part_of(s, above) : NULL;
	struct span prefix = parent != NULL ? prefix_of(parent) : SPAN_NONE;
	char number[8];

	if (part == NULL)
		return;
	if (above != NULL && (parent == NULL || parent->path[0] == '\0')) {
		s->left_out = true;
		return;
	}
	if (above != NULL && above->multi)
		set_path(s, part, prefix, span_of(number, digits_of(above->children, number)));
	else
		set_path(s, part, prefix, span_str(f->multi ? "TEXT" : "1"));
}

/* ---- fields ---- */

enum {
	TYPE,
	SUBTYPE,
	PARAMS,
	ID,
	DESCRIPTION,
	ENCODING,
	SIZE,
	FIRST_OF_KIND, /* 7 */
};

/* Where the disposition stands. */
static uint8_t
disposition_field(const struct frame *f)
{
	return f->multi ? PARAMS + 1 : f->text ? 9 : f->message ? 11 : 8;
}

static void
next_field(struct frame *f)
{
	if (f->field < UINT8_MAX)
		f->field++;
}

static void
body_text(struct imap_structure *s, struct frame *f, bool nil)
{
	struct imap_part *part = part_of(s, f), nobody;
	struct span text = nil ? SPAN_NONE : buf_span(&s->token);

	if (part == NULL)
		part = &nobody;
	if (f->field == TYPE) {
		place(s, s->depth - 1);
		f->text = span_ieq(text, span_str("TEXT"));
		f->message = span_ieq(text, span_str("MESSAGE"));
		part->type = keep(s, text);
	} else if (f->field == SUBTYPE) {
		f->message = f->message && (span_ieq(text, span_str("RFC822")) ||
					       span_ieq(text, span_str("GLOBAL")));
		part->subtype = keep(s, text);
	} else if (f->multi) {
		;
	} else if (f->field == ID) {
		part->id = keep(s, text);
	} else if (f->field == ENCODING) {
		part->encoding = keep(s, text);
	} else if (f->field == SIZE) {
		(void)span_u64(text, UINT64_MAX, &part->size);
	} else if (f->field == FIRST_OF_KIND) {
		f->message = false; /* no envelope: not looked into by the server */
	}
	next_field(f);
}

static void
token_done(struct imap_structure *s, bool nil)
{
	struct frame *f;

	s->reading = s->depth == 0 ? BROKEN : BETWEEN;
	make_harmless(&s->token);
	if (s->depth == 0)
		return;
	f = &s->frames[s->depth - 1];
	if (f->kind == BODY) {
		if (f->multi && f->field == TYPE)
			f->field = SUBTYPE;
		body_text(s, f, nil);
	} else if (f->kind == PARAMETERS && f->field == 0) {
		buf_clear(&s->name);
		add(s, &s->name, nil ? SPAN_NONE : buf_span(&s->token));
		f->field = 1;
	} else if (f->kind == PARAMETERS) {
		add_parameter(s, nil ? SPAN_NONE : buf_span(&s->token));
		f->field = 0;
	} else if (f->kind == DISPOSITION) {
		if (f->field == 0) {
			buf_clear(&s->list);
			add(s, &s->list, nil ? SPAN_NONE : buf_span(&s->token));
		}
		next_field(f);
	}
	buf_clear(&s->token);
}

/* ---- lists ---- */

/* What a list is that stands here; the field of the list above goes on. */
static enum frame_kind
kind_here(struct imap_structure *s, struct frame *f)
{
	uint8_t field = f->field;

	if (f->kind == DISPOSITION)
		return field == 1 ? PARAMETERS : OTHER;
	if (f->kind != BODY)
		return OTHER;
	if (field == TYPE) {
		if (!f->multi) {
			f->multi = true;
			place(s, s->depth - 1);
			if (f->part != NO_PART)
				s->parts[f->part].type = span_str("MULTIPART");
		}
		f->children++;
		return BODY;
	}
	next_field(f);
	if (field == PARAMS) {
		buf_clear(&s->list);
		return PARAMETERS;
	}
	if (field == disposition_field(f))
		return DISPOSITION;
	return !f->multi && f->message && field == FIRST_OF_KIND + 1 ? BODY : OTHER;
}

static void
open_list(struct imap_structure *s)
{
	enum frame_kind kind = BODY;

	if (s->depth == IMAP_NESTING ||
	    (s->depth > 0 && s->frames[s->depth - 1].children == UINT16_MAX)) {
		s->left_out = true;
		s->reading = BROKEN;
		return;
	}
	if (s->depth > 0)
		kind = kind_here(s, &s->frames[s->depth - 1]);
	s->frames[s->depth] = (struct frame){.kind = kind, .part = NO_PART};
	if (kind == BODY)
		s->frames[s->depth].part = new_part(s);
	s->depth++;
}

static void
close_list(struct imap_structure *s)
{
	const struct frame *f, *above;
	struct imap_part *part;

	if (s->depth == 0) {
		s->reading = BROKEN;
		return;
	}
	f = &s->frames[--s->depth];
	if (s->depth == 0) {
		s->reading = WHOLE;
		return;
	}
	above = f - 1;
	part = part_of(s, above);
	if (part == NULL)
		return;
	if (f->kind == PARAMETERS && above->kind == BODY)
		part->parameters = keep(s, buf_span(&s->list));
	else if (f->kind == DISPOSITION)
		part->disposition = keep(s, buf_span(&s->list));
}

/* ---- octets ---- */

static void
between(struct imap_structure *s, uint8_t c)
{
	switch (c) {
	case ' ':
	case '~':
		return;
	case '(':
		open_list(s);
		return;
	case ')':
		close_list(s);
		return;
	case '"':
		s->reading = QUOTED;
		return;
	case '{':
		s->reading = ANNOUNCEMENT;
		imap_announcement_begin(&s->announcement, false);
		return;
	default:
		s->reading = ATOM;
		add(s, &s->token, span_of(&c, 1));
	}
}

static void
atom(struct imap_structure *s, uint8_t c)
{
	if (c != ' ' && c != '(' && c != ')') {
		add(s, &s->token, span_of(&c, 1));
		return;
	}
	token_done(s, span_ieq(buf_span(&s->token), span_str("NIL")));
	if (s->reading == BETWEEN)
		between(s, c);
}

static void
quoted(struct imap_structure *s, uint8_t c)
{
	if (c == '"')
		token_done(s, false);
	else if (c == '\\')
		s->reading = ESCAPED;
	else
		add(s, &s->token, span_of(&c, 1));
}

static void
announcement(struct imap_structure *s, uint8_t c)
{
	if (!imap_announcement_add(&s->announcement, c))
		s->reading = BROKEN;
	else if (s->announcement.literal.announced)
		s->reading = END_CR;
}

static void
literal_begins(struct imap_structure *s)
{
	s->left = s->announcement.literal.octets;
	s->reading = LITERAL;
	if (s->left == 0)
		token_done(s, false);
}

static void
take(struct imap_structure *s, uint8_t c)
{
	switch ((int)s->reading) {
	case BETWEEN:
		between(s, c);
		break;
	case ATOM:
		atom(s, c);
		break;
	case QUOTED:
		quoted(s, c);
		break;
	case ESCAPED:
		s->reading = QUOTED;
		add(s, &s->token, span_of(&c, 1));
		break;
	case ANNOUNCEMENT:
		announcement(s, c);
		break;
	case END_CR:
		s->reading = c == '\r' ? END_LF : BROKEN;
		break;
	case END_LF:
		if (c == '\n')
			literal_begins(s);
		else
			s->reading = BROKEN;
		break;
	default: /* octets behind the end */
		s->reading = BROKEN;
		break;
	}
}

static size_t
take_literal(struct imap_structure *s, struct span octets)
{
	size_t n = octets.n < s->left ? octets.n : (size_t)s->left;

	add(s, &s->token, span_first(octets, n));
	s->left -= n;
	if (s->left == 0)
		token_done(s, false);
	return n;
}

bool
imap_structure_feed(struct imap_structure *s, struct span octets)
{
	while (octets.n > 0 && s->reading != BROKEN && !s->no_memory) {
		size_t n = 1;

		if (s->reading == LITERAL)
			n = take_literal(s, octets);
		else
			take(s, octets.p[0]);
		octets = span_from(octets, n);
	}
	return !s->no_memory;
}
