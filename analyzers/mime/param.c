#include "mime/param.h"

#include <stdlib.h>

#include "mime/charset.h"
#include "mime/hex.h"
#include "mime/param_scan.h"
#include "mime/word.h"

/* A parameter as long as its octets may move: n octets each, one behind the other, from at on. */
struct entry {
	enum mime_reading reading;
	size_t at, name_n, value_n, raw_n;
	uint64_t off;
	bool other; /* another reading of the entry before it: already told as such */
};

struct parser {
	struct param_token *tokens; /* sections of one name stand in order, see gather() */
	size_t n_tokens, max;
	struct entry *entries;
	size_t n_entries;
	struct span value;
	struct buf octets;	/* that are kept */
	struct buf plain, bare; /* a value on its way */
	struct param_value *out;
};

static void
fault(struct parser *p, enum mime_anomaly what, struct span at, const char *detail)
{
	mime_faults_add(&p->out->faults, what, (uint64_t)(at.p - p->value.p), detail);
}

/* ---- values ---- */

/* Without line ends (folding) and, where asked for, without the backslash of a quoted pair. */
static bool
unquote(struct span raw, bool pairs, struct buf *out)
{
	size_t from = 0; /* of octets that stand as they are */

	for (size_t i = 0; i < raw.n; i++) {
		const bool pair = pairs && raw.p[i] == '\\' && raw.n - i > 1;

		if (!pair && raw.p[i] != '\r' && raw.p[i] != '\n')
			continue;
		if (!buf_add(out, span_of(raw.p + from, i - from)))
			return false;
		from = i + 1;
		i += pair; /* what is quoted stays, whatever it is */
	}
	return buf_add(out, span_from(raw, from));
}

static bool
unpercent(struct parser *p, struct span raw, struct buf *out)
{
	for (size_t i = 0; i < raw.n; i++) {
		int octet = -1;

		if (raw.p[i] == '%' && raw.n - i > 2)
			octet = hex_octet(raw.p + i + 1);
		if (raw.p[i] == '%' && octet < 0)
			fault(p, MIME_ODD_PARAMETER, raw, "% without two digits");
		if (!buf_octet(out, octet < 0 ? raw.p[i] : (uint8_t)octet))
			return false;
		i += octet < 0 ? 0 : 2;
	}
	return true;
}

/* Takes "charset'language'" off an RFC 2231 value. */
static struct span
take_charset(struct parser *p, struct span *raw)
{
	ptrdiff_t first = span_find(*raw, '\'');
	struct span rest = first < 0 ? SPAN_NONE : span_from(*raw, (size_t)first + 1);
	ptrdiff_t second = span_find(rest, '\'');
	struct span charset = first < 0 ? SPAN_NONE : span_first(*raw, (size_t)first);

	if (second < 0) {
		fault(p, MIME_ODD_PARAMETER, *raw, "RFC 2231 value without a charset");
		return SPAN_NONE;
	}
	second += first + 2;
	*raw = span_of(raw->p + second, raw->n - (size_t)second);
	return charset;
}

/* Appends text of an RFC 2231 value to what is kept. */
static bool
keep_converted(struct parser *p, struct span label, struct span text, struct span at)
{
	const struct charset *c = charset_find(label);
	enum charset_result result;

	if (label.n > 0 && c == NULL) {
		fault(p, MIME_ODD_CHARSET, at, "unknown charset of a parameter");
		return buf_add(&p->octets, text);
	}
	result =
	    c == NULL ? charset_clean_utf8(text, &p->octets) : charset_to_utf8(c, text, &p->octets);
	if (result == CHARSET_BAD)
		fault(p, MIME_ODD_TEXT, at, "octets in a parameter that are none of its charset");
	return result != CHARSET_FULL;
}

/* Appends a value that is not of RFC 2231 to what is kept: some write encoded words there. */
static bool
keep_plain(struct parser *p, struct span text, struct span at)
{
	struct mime_faults faults = {.n = 0};
	bool kept = mime_words_decode(text, MIME_WORDS_PARAMETER, &p->octets, &faults);

	for (unsigned i = 0; i < faults.n; i++)
		fault(p, faults.each[i].what, at, faults.each[i].detail);
	return kept;
}

/* ---- entries ---- */

/* A further entry; its name is kept already, its value and raw are still to come. */
static struct entry *
new_entry(struct parser *p, enum mime_reading reading, struct span name, struct span at)
{
	struct entry *e = &p->entries[p->n_entries++];

	*e = (struct entry){.reading = reading, .at = p->octets.n, .name_n = name.n};
	e->off = (uint64_t)(at.p - p->value.p);
	for (size_t i = 0; i < name.n; i++)
		if (!buf_octet(&p->octets, octet_lower(name.p[i])))
			return NULL;
	return e;
}

static bool
end_entry(struct parser *p, struct entry *e, struct span raw)
{
	e->value_n = p->octets.n - e->at - e->name_n;
	e->raw_n = raw.n;
	return buf_add(&p->octets, raw);
}

static bool
add_plain(struct parser *p, const struct param_token *t, struct span raw, bool pairs, bool other)
{
	struct entry *e = new_entry(p, MIME_PLAIN, t->name, t->raw);

	buf_clear(&p->plain);
	if (e == NULL || !unquote(raw, pairs, &p->plain) ||
	    !keep_plain(p, buf_span(&p->plain), t->raw))
		return false;
	e->other = other;
	return end_entry(p, e, raw);
}

static bool
add_readings(struct parser *p, const struct param_token *t)
{
	if (!add_plain(p, t, t->raw, t->quoted, false))
		return false;
	if (t->shorter.n > 0) {
		fault(p, MIME_ODD_AMBIGUOUS, t->raw,
		    "parameter to its end; or to the first delimiter");
		if (!add_plain(p, t, t->shorter, t->quoted, true))
			return false;
	}
	if (!t->pairs)
		return true;
	fault(p, MIME_ODD_AMBIGUOUS, t->raw, "backslash quotes; or stands for itself");
	return add_plain(p, t, t->raw, false, true);
}

/* The sections of one RFC 2231 value, in order. */
static bool
add_rfc2231(struct parser *p, const struct param_token *t, size_t n)
{
	struct entry *e = new_entry(p, MIME_RFC2231, t->name, t->raw);
	struct span charset = SPAN_NONE, raw = t->raw;

	buf_clear(&p->plain);
	buf_clear(&p->bare);
	for (size_t i = 0; e != NULL && i < n; i++) {
		struct span value = t[i].raw;

		if (i == 0 && t->extended)
			charset = take_charset(p, &value);
		if (!(t[i].extended ? unpercent(p, value, &p->plain)
				    : unquote(value, t[i].quoted, &p->plain)) ||
		    !buf_add(&p->bare, t[i].raw))
			return false;
	}
	if (e == NULL)
		return false;
	if (t->extended ? !keep_converted(p, charset, buf_span(&p->plain), raw)
			: !keep_plain(p, buf_span(&p->plain), raw))
		return false;
	if (!end_entry(p, e, buf_span(&p->bare)))
		return false;
	/* what a program reads that takes name*0 or name* for the name and knows no more */
	e = new_entry(p, MIME_NOT_RFC2231, t->name, t->raw);
	buf_clear(&p->plain);
	if (e == NULL || !unquote(t->raw, t->quoted, &p->plain) ||
	    !buf_add(&p->octets, buf_span(&p->plain)))
		return false;
	return end_entry(p, e, t->raw);
}

/* ---- sections ---- */

static int
by_section(const void *a, const void *b)
{
	const struct param_token *x = a, *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	return x->name.p < y->name.p ? -1 : x->name.p > y->name.p; /* as they stood */
}

/*
 * Moves all sections of the name of the token at i right behind it, in order; those that stand
 * between keep their order. Returns how many there are.
 */
static size_t
gather(struct param_token *t, size_t n, size_t i)
{
	size_t to = i + 1;

	for (size_t k = i + 1; k < n; k++) {
		struct param_token one = t[k];

		if (one.section == PARAM_NO_SECTION || !span_ieq(one.name, t[i].name))
			continue;
		memmove(t + to + 1, t + to, (k - to) * sizeof(*t));
		t[to++] = one;
	}
	qsort(t + i, to - i, sizeof(*t), by_section);
	return to - i;
}

/* Says what is odd about sections in order; drops those whose number was there before. */
static size_t
check_sections(struct parser *p, struct param_token *t, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		int want = kept == 0 ? 0 : t[kept - 1].section + 1;

		if (t[i].section < want) {
			fault(p, MIME_ODD_AMBIGUOUS, t[i].name,
			    "section of a parameter twice: the first; or the last");
			continue;
		}
		if (t[i].section > want)
			fault(p, MIME_ODD_AMBIGUOUS, t[i].name,
			    "section of a parameter missing: the others joined; or those before "
			    "it");
		t[kept++] = t[i];
	}
	return kept;
}

static bool
make_entries(struct parser *p)
{
	for (size_t i = 0, n; i < p->n_tokens; i += n) {
		struct param_token *t = p->tokens + i;
		bool made;

		n = 1;
		if (t->section != PARAM_NO_SECTION) {
			n = gather(p->tokens, p->n_tokens, i);
			made = add_rfc2231(p, t, check_sections(p, t, n));
		} else {
			made = t->extended ? add_rfc2231(p, t, 1) : add_readings(p, t);
		}
		if (!made)
			return false;
	}
	return true;
}

/* ---- all of it ---- */

static bool
read_tokens(struct parser *p, struct param_scan *s)
{
	struct param_token t;
	size_t room = 0;

	while (param_scan_next(s, &t)) {
		if (p->n_tokens == p->max) {
			mime_faults_add(&p->out->faults, MIME_ODD_TOO_MANY_PARAMETERS,
			    (uint64_t)(t.name.p - p->value.p), "the rest is left out");
			p->out->left_out++;
			continue;
		}
		if (p->n_tokens == room) {
			size_t more = room == 0 ? 8 : 2 * room;
			struct param_token *tokens = realloc(p->tokens, more * sizeof(*tokens));

			if (tokens == NULL)
				return false;
			p->tokens = tokens;
			room = more;
		}
		p->tokens[p->n_tokens++] = t;
	}
	return true;
}

/* Entries to parameters, now that nothing moves any more. */
static bool
hand_out(struct parser *p, size_t main_n)
{
	struct param_value *out = p->out;

	out->parameters = calloc(p->n_entries > 0 ? p->n_entries : 1, sizeof(*out->parameters));
	if (out->parameters == NULL)
		return false;
	/* what it grew by and does not need goes back */
	out->octets = realloc(p->octets.p, p->octets.n > 0 ? p->octets.n : 1);
	if (out->octets == NULL) {
		free(out->parameters);
		return false;
	}
	p->octets.p = NULL;
	out->held = p->octets.n + p->n_entries * sizeof(*out->parameters);
	out->main = span_of(out->octets, main_n);
	out->n = p->n_entries;
	for (size_t i = 0; i < out->n; i++) {
		const struct entry *e = &p->entries[i];
		const uint8_t *at = out->octets + e->at;

		out->parameters[i] = (struct mime_parameter){
		    .reading = e->reading,
		    .name = span_of(at, e->name_n),
		    .value = span_of(at + e->name_n, e->value_n),
		    .raw = span_of(at + e->name_n + e->value_n, e->raw_n),
		};
	}
	p->octets = (struct buf){.max = 0};
	return true;
}

/* At most PARAM_READINGS times max entries, each looked at with each. */
static void
find_twice(struct parser *p)
{
	const struct mime_parameter *each = p->out->parameters;

	for (size_t i = 0; i < p->n_entries; i++) {
		if (p->entries[i].other || each[i].reading == MIME_NOT_RFC2231)
			continue;
		for (size_t k = 0; k < i; k++) {
			if (p->entries[k].other || each[k].reading == MIME_NOT_RFC2231 ||
			    !span_eq(each[i].name, each[k].name) ||
			    span_eq(each[i].value, each[k].value))
				continue;
			mime_faults_add(&p->out->faults, MIME_ODD_AMBIGUOUS, p->entries[i].off,
			    each[i].reading == each[k].reading
				? "parameter twice: the first; or the last"
				: "parameter twice: the RFC 2231 value; or the plain one");
		}
	}
}

static bool
parse(struct parser *p, enum param_of of)
{
	struct param_scan s = {p->value, p->value, &p->out->faults};
	size_t main_n;

	if (!param_scan_main(&s, &p->octets) || !read_tokens(p, &s))
		return false;
	main_n = p->octets.n;
	if (main_n == 0)
		fault(p, MIME_ODD_PARAMETER, p->value, "nothing before the parameters");
	else if (of == PARAM_OF_TYPE && span_find(buf_span(&p->octets), '/') <= 0)
		fault(p, MIME_ODD_PARAMETER, p->value, "type without a subtype");
	p->entries = calloc(p->n_tokens * PARAM_READINGS + 1, sizeof(*p->entries));
	if (p->entries == NULL || !make_entries(p) || !hand_out(p, main_n))
		return false;
	find_twice(p);
	return true;
}

bool
param_parse(struct span value, enum param_of of, size_t max, struct param_value *out)
{
	struct parser p = {.max = max == 0 ? PARAM_MAX : max, .value = value, .out = out};
	bool parsed;

	if (value.n == 0)
		p.value = span_str("");
	*out = (struct param_value){.n = 0};
	buf_init(&p.octets, value.n * PARAM_OUTPUT_MAX);
	buf_init(&p.plain, value.n);
	buf_init(&p.bare, value.n);
	parsed = parse(&p, of);
	buf_free(&p.octets);
	buf_free(&p.plain);
	buf_free(&p.bare);
	free(p.tokens);
	free(p.entries);
	return parsed;
}

void
param_value_free(struct param_value *v)
{
	free(v->parameters);
	free(v->octets);
	*v = (struct param_value){.n = 0};
}

const struct mime_parameter *
param_find(const struct param_value *v, const char *name, size_t nth)
{
	static const enum mime_reading order[] = {MIME_RFC2231, MIME_PLAIN, MIME_NOT_RFC2231};

	for (size_t r = 0; r < sizeof(order) / sizeof(order[0]); r++)
		for (size_t i = 0; i < v->n; i++)
			if (v->parameters[i].reading == order[r] &&
			    span_eq(v->parameters[i].name, span_str(name)) && nth-- == 0)
				return &v->parameters[i];
	return NULL;
}
