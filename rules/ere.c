#include "ere.h"

#include <stdlib.h>

#define REPEAT_MAX 255 /* RE_DUP_MAX of POSIX */
#define NO_LIMIT   (REPEAT_MAX + 1)
#define DEPTH_MAX  32 /* of parentheses */

enum op {
	OP_OCTET, /* one of set, then the next state */
	OP_START, /* only at the start of the text */
	OP_END,	  /* only at its end */
	OP_FORK,  /* both states, a and b from here */
	OP_MATCH,
};

struct state {
	enum op op;
	int a, b;
	uint8_t set[32]; /* a bit for each octet */
};

struct ere {
	size_t n;
	struct state states[];
};

/* ---- an expression is read ---- */

/* An open parenthesis, or the whole expression. */
struct level {
	size_t start;  /* its first state */
	size_t branch; /* first state of the alternative that is being read */
	size_t jumps;  /* behind the last jump at the end of an alternative; 0: there is none */
	bool empty;    /* nothing of this alternative has been read */
};

/* Forks are relative: a run of states that is complete can be moved and repeated. */
struct reading {
	struct span rest;
	struct state states[ERE_STATES_MAX];
	size_t n;
	struct level levels[1 + DEPTH_MAX];
	size_t depth;
	const char *why; /* NULL: no fault so far */
};

static void
fault(struct reading *r, const char *why)
{
	if (r->why == NULL)
		r->why = why;
	r->rest = SPAN_NONE;
}

static uint8_t
next(struct reading *r)
{
	uint8_t c;

	if (r->rest.n == 0)
		return '\0';
	c = r->rest.p[0];
	r->rest = span_from(r->rest, 1);
	return c;
}

static bool
next_is(const struct reading *r, uint8_t c)
{
	return r->rest.n > 0 && r->rest.p[0] == c;
}

static bool
take(struct reading *r, uint8_t c)
{
	if (!next_is(r, c))
		return false;
	next(r);
	return true;
}

static bool
has_room(struct reading *r, size_t n)
{
	if (n <= ERE_STATES_MAX - r->n)
		return true;
	fault(r, "is too large: {n} counts n times");
	return false;
}

static void
emit(struct reading *r, struct state s)
{
	if (has_room(r, 1))
		r->states[r->n++] = s;
}

static void
emit_fork(struct reading *r, size_t a, size_t b)
{
	emit(r, (struct state){.op = OP_FORK, .a = (int)a, .b = (int)b});
}

static void
set_add(struct state *s, uint8_t c)
{
	s->set[c / 8] |= (uint8_t)(1u << c % 8);
}

static bool
set_has(const struct state *s, uint8_t c)
{
	return (s->set[c / 8] >> c % 8 & 1) != 0;
}

static void
set_add_both_cases(struct state *s, uint8_t c)
{
	set_add(s, c);
	set_add(s, octet_lower(c));
	if (c >= 'a' && c <= 'z')
		set_add(s, (uint8_t)(c - ('a' - 'A')));
}

static void
set_invert(struct state *s)
{
	for (size_t i = 0; i < sizeof(s->set); i++)
		s->set[i] = (uint8_t)~s->set[i];
}

static void
emit_octet(struct reading *r, uint8_t c)
{
	struct state s = {.op = OP_OCTET};

	set_add_both_cases(&s, c);
	emit(r, s);
}

/* ---- [ ] ---- */

static bool
is_graph(uint8_t c)
{
	return c > ' ' && c < 0x7f;
}

static bool
is_hexadecimal(uint8_t c)
{
	return octet_is_digit(c) || (octet_lower(c) >= 'a' && octet_lower(c) <= 'f');
}

static bool
is_punctuation(uint8_t c)
{
	return is_graph(c) && !octet_is_alnum(c);
}

static bool
is_print(uint8_t c)
{
	return c == ' ' || is_graph(c);
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool
is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_control(uint8_t c)
{
	return c < ' ' || c == 0x7f;
}

/* "[:alpha:]" behind its first "[:"; upper and lower are one where case does not matter. */
static void
read_class(struct reading *r, struct state *s)
{
	static const struct {
		const char *name;
		bool (*has)(uint8_t);
	} classes[] = {{"alnum:]", octet_is_alnum}, {"alpha:]", octet_is_alpha},
	    {"blank:]", is_blank}, {"cntrl:]", is_control}, {"digit:]", octet_is_digit},
	    {"graph:]", is_graph}, {"lower:]", octet_is_alpha}, {"print:]", is_print},
	    {"punct:]", is_punctuation}, {"space:]", is_space}, {"upper:]", octet_is_alpha},
	    {"xdigit:]", is_hexadecimal}};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (!span_starts(r->rest, span_str(classes[i].name)))
			continue;
		for (unsigned c = 0; c < 0x80; c++)
			if (classes[i].has((uint8_t)c))
				set_add(s, (uint8_t)c);
		r->rest = span_from(r->rest, strlen(classes[i].name));
		return;
	}
	fault(r, "has an unknown class between [: and :]");
}

/* One octet, or the first and the last of a range. */
static void
read_range(struct reading *r, struct state *s)
{
	uint8_t first = next(r), last = first;

	if (r->rest.n > 1 && r->rest.p[0] == '-' && r->rest.p[1] != ']') {
		next(r);
		last = next(r);
	}
	if (first >= 0x80 || last >= 0x80)
		fault(r, "has a letter beyond ASCII between [ and ]");
	else if (first > last)
		fault(r, "has a range that ends before it begins");
	for (unsigned c = first; r->why == NULL && c <= last; c++)
		set_add_both_cases(s, (uint8_t)c);
}

static void
read_brackets(struct reading *r)
{
	struct state s = {.op = OP_OCTET};
	bool inverted = take(r, '^');

	do {
		if (span_starts(r->rest, span_str("[:"))) {
			r->rest = span_from(r->rest, 2);
			read_class(r, &s);
		} else if (span_starts(r->rest, span_str("[=")) ||
			   span_starts(r->rest, span_str("[."))) {
			fault(r, "has a collating element between [ and ]");
		} else if (r->rest.n > 0) {
			read_range(r, &s);
		}
	} while (r->rest.n > 0 && !next_is(r, ']'));
	if (!take(r, ']'))
		fault(r, "has a [ that nothing closes");
	if (inverted)
		set_invert(&s);
	emit(r, s);
}

/* ---- repetition ---- */

static unsigned
read_number(struct reading *r, unsigned otherwise)
{
	unsigned n = 0;

	if (r->rest.n == 0 || !octet_is_digit(r->rest.p[0]))
		return otherwise;
	while (r->rest.n > 0 && octet_is_digit(r->rest.p[0]) && n <= REPEAT_MAX)
		n = 10 * n + (next(r) - (unsigned)'0');
	if (n > REPEAT_MAX)
		fault(r, "has a number above 255 between { and }");
	return n;
}

/* "{n}", "{n,}", "{n,m}" behind the brace. */
static void
read_bounds(struct reading *r, unsigned *min, unsigned *max)
{
	*min = *max = read_number(r, NO_LIMIT);
	if (take(r, ','))
		*max = read_number(r, NO_LIMIT);
	if (!take(r, '}') || *min == NO_LIMIT || *min > *max)
		fault(r, "has a bad repetition between { and }");
}

/* The states from "start" on are there once; they are to be there min to max times. */
static void
repeat(struct reading *r, size_t start, unsigned min, unsigned max)
{
	struct state piece[ERE_STATES_MAX];
	size_t n = r->n - start;

	memcpy(piece, &r->states[start], n * sizeof(piece[0]));
	r->n = start;
	for (unsigned i = 0; r->why == NULL && i < (max == NO_LIMIT ? min + 1 : max); i++) {
		if (max == NO_LIMIT && i == min)
			emit_fork(r, 1, n + 2);
		else if (i >= min)
			emit_fork(r, 1, (max - i) * (n + 1));
		if (has_room(r, n)) {
			memcpy(&r->states[r->n], piece, n * sizeof(piece[0]));
			r->n += n;
		}
	}
	if (max == NO_LIMIT)
		emit(r, (struct state){.op = OP_FORK, .a = -(int)(n + 1), .b = -(int)(n + 1)});
}

static bool
read_repetition(struct reading *r, size_t start)
{
	unsigned min = 0, max = NO_LIMIT;

	if (take(r, '+'))
		min = 1;
	else if (take(r, '?'))
		max = 1;
	else if (take(r, '{'))
		read_bounds(r, &min, &max);
	else if (!take(r, '*'))
		return false;
	if (r->why == NULL)
		repeat(r, start, min, max);
	return r->why == NULL;
}

/* ---- the rest of the grammar ---- */

/* POSIX gives a meaning to a backslash before a special character only. */
static void
read_escape(struct reading *r)
{
	uint8_t c = next(r);

	if (is_punctuation(c))
		emit_octet(r, c);
	else
		fault(r, "has a backslash that no special character follows");
}

static void
read_atom(struct reading *r)
{
	struct state any = {.op = OP_OCTET};
	uint8_t c = next(r);

	switch (c) {
	case '[':
		read_brackets(r);
		break;
	case '\\':
		read_escape(r);
		break;
	case '.':
		set_invert(&any);
		emit(r, any);
		break;
	case '^':
		emit(r, (struct state){.op = OP_START});
		break;
	case '$':
		emit(r, (struct state){.op = OP_END});
		break;
	case '*':
	case '+':
	case '?':
	case '{':
		fault(r, "has a repetition of nothing");
		break;
	default:
		emit_octet(r, c);
		break;
	}
}

/* The states from "start" on are an atom or a group; what repeats them follows. */
static void
read_piece(struct reading *r, size_t start)
{
	r->levels[r->depth].empty = false;
	while (read_repetition(r, start))
		continue;
}

static struct level
level_at(const struct reading *r)
{
	return (struct level){.start = r->n, .branch = r->n, .empty = true};
}

static void
open_group(struct reading *r)
{
	if (r->depth == DEPTH_MAX)
		fault(r, "has parentheses that are more than 32 deep");
	else
		r->levels[++r->depth] = level_at(r);
}

/* Puts a fork before the states from "start" on: to them, or behind them and the jump there. */
static void
fork_before(struct reading *r, size_t start)
{
	size_t n = r->n - start;

	if (!has_room(r, 1))
		return;
	memmove(&r->states[start + 1], &r->states[start], n * sizeof(r->states[0]));
	r->states[start] = (struct state){.op = OP_FORK, .a = 1, .b = (int)n + 2};
	r->n++;
}

/* The jump leads to the end of the level; until that is known it leads to the jump before it. */
static void
end_alternative(struct reading *r)
{
	struct level *level = &r->levels[r->depth];

	if (level->empty)
		fault(r, "has an empty alternative");
	fork_before(r, level->branch);
	emit_fork(r, level->jumps, 0);
	level->jumps = level->branch = r->n;
	level->empty = true;
}

static void
end_level(struct reading *r)
{
	const struct level *level = &r->levels[r->depth];

	if (level->empty)
		fault(r, "has an empty alternative");
	for (size_t jump = level->jumps; r->why == NULL && jump != 0;) {
		struct state *s = &r->states[jump - 1];

		jump = (size_t)s->a;
		s->a = s->b = (int)(r->n - (size_t)(s - r->states));
	}
}

static void
close_group(struct reading *r)
{
	size_t start = r->levels[r->depth].start;

	if (r->depth == 0) {
		fault(r, "has a ) that nothing opens");
		return;
	}
	end_level(r);
	r->depth--;
	read_piece(r, start);
}

static void
read_expression(struct reading *r)
{
	r->levels[0] = level_at(r);
	while (r->rest.n > 0) {
		size_t start = r->n;

		if (take(r, '(')) {
			open_group(r);
		} else if (take(r, ')')) {
			close_group(r);
		} else if (take(r, '|')) {
			end_alternative(r);
		} else {
			read_atom(r);
			read_piece(r, start);
		}
	}
	if (r->depth > 0)
		fault(r, "has a ( that nothing closes");
	end_level(r);
	emit(r, (struct state){.op = OP_MATCH});
}

struct ere *
ere_new(struct span expression, const char **why)
{
	struct reading *r = calloc(1, sizeof(*r));
	struct ere *e = NULL;

	*why = "does not fit into memory";
	if (r == NULL)
		return NULL;
	r->rest = expression;
	read_expression(r);
	if (r->why != NULL) {
		*why = r->why;
	} else if ((e = malloc(sizeof(*e) + r->n * sizeof(e->states[0]))) != NULL) {
		e->n = r->n;
		memcpy(e->states, r->states, r->n * sizeof(e->states[0]));
	}
	free(r);
	return e;
}

void
ere_free(struct ere *e)
{
	free(e);
}

/* ---- a text is read ---- */

/* States, each once, in the order in which they were added. */
struct among {
	size_t n;
	uint16_t at[ERE_STATES_MAX];
	bool has[ERE_STATES_MAX];
};

static void
clear(const struct ere *e, struct among *s)
{
	s->n = 0;
	memset(s->has, 0, e->n);
}

static void
add(struct among *s, int at)
{
	if (s->has[at])
		return;
	s->has[at] = true;
	s->at[s->n++] = (uint16_t)at;
}

/* Adds what can be reached without an octet. True: that is a match. */
static bool
reach(const struct ere *e, struct among *s, bool start, bool end)
{
	for (size_t i = 0; i < s->n; i++) {
		int at = s->at[i];
		const struct state *state = &e->states[at];

		if (state->op == OP_MATCH)
			return true;
		if (state->op == OP_FORK) {
			add(s, at + state->a);
			add(s, at + state->b);
		} else if ((state->op == OP_START && start) || (state->op == OP_END && end)) {
			add(s, at + 1);
		}
	}
	return false;
}

static void
step(const struct ere *e, const struct among *from, struct among *to, uint8_t c)
{
	clear(e, to);
	for (size_t i = 0; i < from->n; i++) {
		const struct state *state = &e->states[from->at[i]];

		if (state->op == OP_OCTET && set_has(state, c))
			add(to, from->at[i] + 1);
	}
}

bool
ere_matches(const struct ere *e, struct span text)
{
	struct among sets[2] = {{.n = 0}, {.n = 0}};

	for (size_t i = 0;; i++) {
		struct among *now = &sets[i % 2];

		add(now, 0); /* a match may begin anywhere */
		if (reach(e, now, i == 0, i == text.n))
			return true;
		if (i == text.n)
			return false;
		step(e, now, &sets[(i + 1) % 2], text.p[i]);
	}
}
