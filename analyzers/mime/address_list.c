#include "mime/address_list.h"

#include <stdlib.h>

#include "mime/word.h"

#define ROOM_FIRST 8

struct piece {
	uint8_t p[ADDRESS_PIECE_MAX];
	size_t n;
};

/* One address on its way. */
struct reader {
	struct address_list *list;
	struct span value;
	size_t i;
	struct piece text;    /* outside of "<>" and comments, quotes undone */
	struct piece comment; /* the last one */
	struct piece spec;    /* inside of "<>" */
	bool angle;	      /* there was a "<" */
	size_t ats;	      /* "@" outside of quotes in text */
	bool group;
};

static void
fault(struct reader *r, const char *detail)
{
	mime_faults_add(&r->list->faults, MIME_ODD_ADDRESS, r->i, detail);
}

static void
put(struct reader *r, struct piece *piece, uint8_t c)
{
	if (piece->n == sizeof(piece->p))
		fault(r, "longer than 1024 octets");
	else
		piece->p[piece->n++] = c;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What blanks the piece has at its ends goes away. */
static struct span
trimmed(const struct piece *piece)
{
	struct span s = span_of(piece->p, piece->n);

	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	while (s.n > 0 && is_blank(s.p[0]))
		s = span_from(s, 1);
	return s;
}

/* A quoted string, its quotes kept or undone. */
static void
read_quoted(struct reader *r, struct piece *to, bool keep)
{
	struct span v = r->value;

	if (keep)
		put(r, to, '"');
	for (r->i++; r->i < v.n && v.p[r->i] != '"'; r->i++) {
		if (v.p[r->i] == '\\' && r->i + 1 < v.n) {
			if (keep)
				put(r, to, '\\');
			r->i++;
		}
		if (v.p[r->i] != '\r' && v.p[r->i] != '\n')
			put(r, to, v.p[r->i]);
	}
	if (r->i >= v.n)
		fault(r, "quote never closed");
	else if (keep)
		put(r, to, '"');
	r->i++;
}

static void
read_comment(struct reader *r)
{
	struct span v = r->value;
	size_t depth = 1;

	r->comment.n = 0;
	for (r->i++; r->i < v.n; r->i++) {
		uint8_t c = v.p[r->i];

		if (c == '\\' && r->i + 1 < v.n)
			c = v.p[++r->i];
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			break;
		put(r, &r->comment, c);
	}
	if (r->i >= v.n)
		fault(r, "comment never closed");
	r->i++;
}

/* "<...>"; a route before the address is dropped (RFC 5322 s4.4). */
static void
read_angle(struct reader *r)
{
	struct span v = r->value;
	bool route = false;

	if (r->angle)
		fault(r, "more than one address in brackets");
	r->angle = true;
	r->spec.n = 0;
	for (r->i++; r->i < v.n && v.p[r->i] != '>';) {
		uint8_t c = v.p[r->i];

		route = route || (r->spec.n == 0 && c == '@');
		if (c == '"') {
			read_quoted(r, &r->spec, true);
			continue;
		}
		if (c == '(') {
			read_comment(r);
			continue;
		}
		if (c == ',' && !route)
			break;
		r->i++;
		if (c == ':' && route) {
			r->spec.n = 0;
			route = false;
		} else if (!is_blank(c)) {
			put(r, &r->spec, c);
		}
	}
	if (r->i >= v.n || v.p[r->i] != '>') {
		fault(r, "bracket never closed");
		return;
	}
	r->i++;
}

static void
clear(struct reader *r)
{
	r->text.n = r->comment.n = r->spec.n = r->ats = 0;
	r->angle = false;
}

/*
 * A local part that is a quoted string needs its quotes; a display name is better without them.
 * Which it is shows when the string has ended.
 */
static void
read_quoted_word(struct reader *r)
{
	size_t from = r->i, n = r->text.n;
	struct span v = r->value;

	read_quoted(r, &r->text, false);
	if (r->i >= v.n || v.p[r->i] != '@')
		return;
	r->i = from;
	r->text.n = n;
	read_quoted(r, &r->text, true);
}

/* Up to the end of one address, and over it. */
static void
read_address(struct reader *r)
{
	struct span v = r->value;

	clear(r);
	while (r->i < v.n) {
		uint8_t c = v.p[r->i];

		if (c == '"') {
			read_quoted_word(r);
			continue;
		}
		if (c == '(') {
			read_comment(r);
			continue;
		}
		if (c == '<') {
			read_angle(r);
			continue;
		}
		r->i++;
		if (c == ',' || c == ';') {
			if (c == ';' && !r->group)
				fault(r, "semicolon for a comma");
			r->group = r->group && c != ';';
			return;
		}
		if (c == ':' && !r->angle && r->ats == 0) {
			r->group = true;
			clear(r);
			continue;
		}
		r->ats += c == '@';
		if (c != '\r' && c != '\n')
			put(r, &r->text, c);
	}
}

static struct address *
new_address(struct address_list *list)
{
	if (list->n == list->room) {
		size_t room = list->room == 0 ? ROOM_FIRST : 2 * list->room;
		struct address *each = realloc(list->each, room * sizeof(*each));

		if (each == NULL)
			return NULL;
		list->each = each;
		list->room = room;
	}
	return &list->each[list->n];
}

/* Decodes the words of a name behind what out has. */
static bool
add_name(struct reader *r, struct span name, enum mime_words where, struct buf *out)
{
	struct mime_faults faults = {.n = 0};
	bool added = mime_words_decode(name, where, out, &faults);

	for (unsigned i = 0; i < faults.n; i++)
		mime_faults_add(&r->list->faults, faults.each[i].what, r->i, faults.each[i].detail);
	return added;
}

/* "Name <local@domain>" into out, which then belongs to the address. */
static bool
make(struct reader *r, struct address *a, struct buf *out)
{
	struct span text = trimmed(&r->text), comment = trimmed(&r->comment), spec = SPAN_NONE;
	struct span name = SPAN_NONE;
	enum mime_words where = MIME_WORDS_PHRASE;
	size_t name_n, at;

	if (r->angle)
		spec = span_of(r->spec.p, r->spec.n);
	else if (r->ats > 0)
		spec = text;
	if (r->angle || spec.n == 0)
		name = text;
	if (name.n == 0 && comment.n > 0) {
		name = comment;
		where = MIME_WORDS_COMMENT;
	}
	if (spec.n == 0 || r->ats > 1)
		fault(r, spec.n == 0 ? "no address" : "more than one @");
	if (!add_name(r, name, where, out))
		return false;
	name_n = at = out->n;
	if (name_n > 0 && spec.n > 0) {
		if (!buf_str(out, " <"))
			return false;
		at = out->n;
	}
	if (!buf_add(out, spec) || (at > name_n && !buf_str(out, ">")) || !buf_octet(out, '\0'))
		return false;
	a->text = span_of(out->p, out->n - 1);
	a->name = span_of(out->p, name_n);
	a->address = span_of(out->p + at, spec.n);
	return true;
}

static bool
keep(struct reader *r)
{
	struct address *a;
	struct buf out;

	if (!r->angle && trimmed(&r->text).n == 0 && r->comment.n == 0)
		return true; /* nothing between two commas */
	if (r->list->n == r->list->max) {
		r->list->left_out++;
		return true;
	}
	a = new_address(r->list);
	if (a == NULL)
		return false;
	buf_init(&out, (MIME_WORD_GROWTH + 1) * ADDRESS_PIECE_MAX + 4);
	if (!make(r, a, &out)) {
		buf_free(&out);
		return false;
	}
	r->list->n++;
	return true;
}

void
address_list_init(struct address_list *list, size_t max)
{
	*list = (struct address_list){.max = max};
}

void
address_list_free(struct address_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free((void *)(uintptr_t)list->each[i].text.p);
	free(list->each);
	address_list_init(list, list->max);
}

bool
address_list_add(struct address_list *list, struct span value)
{
	struct reader r = {.list = list, .value = value};

	while (r.i < value.n) {
		read_address(&r);
		if (!keep(&r))
			return false;
	}
	return true;
}
