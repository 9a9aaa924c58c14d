#include "mime/mime_part.h"

#include "core/buf.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

const char *
mime_encoding_name(enum mime_encoding e)
{
	static const char *const names[] = {
	    [MIME_7BIT] = "7bit",
	    [MIME_8BIT] = "8bit",
	    [MIME_BINARY] = "binary",
	    [MIME_QUOTED_PRINTABLE] = "quoted-printable",
	    [MIME_BASE64] = "base64",
	    [MIME_UUENCODE] = "x-uuencode",
	    [MIME_YENC] = "x-yenc",
	    [MIME_BINHEX] = "mac-binhex40",
	    [MIME_UNKNOWN_ENCODING] = "unknown",
	};

	return names[e];
}

/* Names that mail programs write, beside those of mime_encoding_name(). */
static const struct {
	const char *name;
	enum mime_encoding encoding;
} aliases[] = {
    {"7-bit", MIME_7BIT},
    {"8-bit", MIME_8BIT},
    {"quotedprintable", MIME_QUOTED_PRINTABLE},
    {"base-64", MIME_BASE64},
    {"x-base64", MIME_BASE64},
    {"uuencode", MIME_UUENCODE},
    {"x-uue", MIME_UUENCODE},
    {"uue", MIME_UUENCODE},
    {"yenc", MIME_YENC},
    {"binhex", MIME_BINHEX},
    {"binhex40", MIME_BINHEX},
    {"x-binhex", MIME_BINHEX},
    {"x-binhex40", MIME_BINHEX},
    {"mac-binhex", MIME_BINHEX},
};

static enum mime_encoding
encoding_of_token(struct span token)
{
	for (enum mime_encoding e = 0; e < MIME_UNKNOWN_ENCODING; e++)
		if (span_ieq(token, span_str(mime_encoding_name(e))))
			return e;
	for (size_t i = 0; i < nitems(aliases); i++)
		if (span_ieq(token, span_str(aliases[i].name)))
			return aliases[i].encoding;
	return MIME_UNKNOWN_ENCODING;
}

static bool
is_token_octet(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '(' && c != ')' && c != '"' && c != ';' && c != ',';
}

/* Behind comments and blanks. */
static size_t
skip_comments(struct span s)
{
	unsigned depth = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && depth > 0)
			depth--;
		else if (depth == 0 && s.p[i] != ' ' && s.p[i] != '\t')
			break;
	}
	return i;
}

enum mime_encoding
mime_encoding_of(struct span value, bool *odd)
{
	struct span rest = span_from(value, skip_comments(value));
	enum mime_encoding e;
	size_t n = 0;
	bool quoted = rest.n > 0 && rest.p[0] == '"';

	if (quoted)
		rest = span_trim(span_from(rest, 1));
	while (n < rest.n && is_token_octet(rest.p[n]))
		n++;
	e = encoding_of_token(span_first(rest, n));
	rest = span_from(rest, n);
	*odd = quoted || e == MIME_UNKNOWN_ENCODING || skip_comments(rest) < rest.n;
	return e;
}

enum mime_body
mime_body_of(struct span type)
{
	static const char *const messages[] = {
	    "message/rfc822", "message/global", "message/news", "message/rfc-822"};

	if (span_istarts(type, span_str("multipart/")))
		return MIME_BODY_MULTIPART;
	for (size_t i = 0; i < nitems(messages); i++)
		if (span_ieq(type, span_str(messages[i])))
			return MIME_BODY_MESSAGE;
	return MIME_BODY_LEAF;
}

void
mime_said_init(struct mime_said *s, bool in_digest)
{
	memset(s, 0, offsetof(struct mime_said, types));
	s->default_type = span_str(in_digest ? "message/rfc822" : "text/plain");
	arena_init(&s->arena, MIME_SAID_ARENA_MAX);
}

void
mime_said_free(struct mime_said *s)
{
	for (unsigned i = 0; i < s->n_types; i++)
		param_value_free(&s->types[i]);
	s->n_types = 0;
	if (s->has_disposition)
		param_value_free(&s->disposition);
	s->has_disposition = false;
	arena_free(&s->arena);
}

/* The first of its kind is kept. False: no memory. */
static bool
keep_text(struct mime_said *s, struct span value, struct span *where)
{
	if (where->p != NULL) {
		s->duplicate =
		    s->duplicate || !span_eq(span_first(value, MIME_SAID_TEXT_MAX), *where);
		return true;
	}
	if (!arena_copy(&s->arena, span_first(value, MIME_SAID_TEXT_MAX), where))
		return false;
	if (where->p == NULL) /* empty, and yet there */
		*where = span_str("");
	return true;
}

#define VALUE_MIN 64 /* octets of a value that are read whatever they take */

/* As much of the beginning as there is room for; a quarter each time: time stays linear. */
static bool
parse_within(
    struct span value, enum param_of of, size_t room, unsigned parameters, struct param_value *v)
{
	size_t n = value.n < MIME_SAID_VALUE_MAX ? value.n : MIME_SAID_VALUE_MAX;

	for (;; n /= 4) {
		if (!param_parse(span_first(value, n), of, parameters, v))
			return false;
		if (v->held <= room || n <= VALUE_MIN)
			break;
		param_value_free(v);
	}
	if (n < value.n)
		mime_faults_add(&v->faults, MIME_ODD_TOO_MANY_PARAMETERS, n,
		    "the value to its end; or its beginning");
	return true;
}

/* The same type with the same parameters twice is said once. */
static bool
type_field(struct mime_said *s, struct span value, size_t room, unsigned parameters,
    struct mime_faults *faults)
{
	struct param_value *v = &s->types[s->n_types];

	if (s->n_types > 0 && s->type_raw.n > 0 &&
	    span_ieq(span_first(value, MIME_SAID_TEXT_MAX), s->type_raw)) {
		s->duplicate = true;
		return true;
	}
	if (s->n_types > 0)
		s->two_types = true;
	else if (!arena_copy(&s->arena, span_first(value, MIME_SAID_TEXT_MAX), &s->type_raw))
		return false;
	if (s->n_types == MIME_SAID_MAX)
		return true;
	if (!parse_within(value, PARAM_OF_TYPE, room, parameters, v))
		return false;
	s->held += v->held;
	*faults = v->faults;
	s->bodies[s->n_types++] = mime_body_of(v->main);
	return true;
}

static bool
disposition_field(struct mime_said *s, struct span value, size_t room, unsigned parameters,
    struct mime_faults *faults)
{
	if (s->has_disposition) {
		s->duplicate = true;
		return true;
	}
	if (!parse_within(value, PARAM_OF_DISPOSITION, room, parameters, &s->disposition))
		return false;
	s->held += s->disposition.held;
	s->has_disposition = true;
	*faults = s->disposition.faults;
	return true;
}

static bool
encoding_field(struct mime_said *s, struct span value)
{
	bool odd, known = false, had_raw = s->encoding_raw.p != NULL;
	enum mime_encoding e = mime_encoding_of(value, &odd);

	s->odd_encoding = s->odd_encoding || odd;
	for (unsigned i = 0; i < s->n_encodings; i++)
		known = known || s->encodings[i] == e;
	if (!known && s->n_encodings < MIME_SAID_MAX)
		s->encodings[s->n_encodings++] = e;
	if (had_raw) {
		s->duplicate = true;
		return true;
	}
	return keep_text(s, value, &s->encoding_raw);
}

bool
mime_said_field(struct mime_said *s, struct span name, struct span value, size_t room,
    unsigned parameters, struct mime_faults *faults)
{
	faults->n = 0;
	if (span_ieq(name, span_str("Content-Type")))
		return type_field(s, value, room, parameters, faults);
	if (span_ieq(name, span_str("Content-Disposition")))
		return disposition_field(s, value, room, parameters, faults);
	if (span_ieq(name, span_str("Content-Transfer-Encoding")))
		return encoding_field(s, value);
	if (span_ieq(name, span_str("Content-ID")))
		return keep_text(s, value, &s->content_id);
	if (span_ieq(name, span_str("Content-Description")))
		return keep_text(s, value, &s->description);
	if (span_ieq(name, span_str("MIME-Version")))
		s->version = true;
	return true;
}

static bool
lower_copy(struct mime_said *s, struct span from, struct span *to)
{
	uint8_t *p;

	from = span_first(from, MIME_SAID_TEXT_MAX);
	p = arena_alloc(&s->arena, from.n);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < from.n; i++)
		p[i] = octet_lower(from.p[i]);
	*to = span_of(p, from.n);
	return true;
}

/* Of the type that the body is read by: an evader's second one must not lose its boundary. */
static const struct param_value *
leading_type(const struct mime_said *s)
{
	unsigned best = 0;

	for (unsigned i = 1; i < s->n_types; i++)
		if (s->bodies[i] > s->bodies[best])
			best = i;
	return s->n_types == 0 ? NULL : &s->types[best];
}

bool
mime_said_settle(struct mime_said *s, struct mime_part *part)
{
	const struct param_value *type = leading_type(s);
	const struct mime_parameter *charset = NULL, *name = NULL;

	part->type = s->default_type;
	if (type != NULL) {
		part->type_declared = type->main.n > 0;
		if (type->main.n > 0)
			part->type = type->main;
		part->parameters = type->parameters;
		part->n_parameters = type->n;
		charset = param_find(type, "charset", 0);
		name = param_find(type, "name", 0);
	}
	if (s->has_disposition) {
		const struct mime_parameter *file = param_find(&s->disposition, "filename", 0);

		part->disposition = s->disposition.main;
		part->disposition_parameters = s->disposition.parameters;
		part->n_disposition_parameters = s->disposition.n;
		name = file != NULL ? file : name;
	}
	if (name != NULL) {
		part->filename = name->value;
		part->filename_raw = name->raw;
	}
	part->encoding = s->n_encodings > 0 ? s->encodings[0] : MIME_7BIT;
	part->encoding_raw = s->encoding_raw;
	part->content_id = s->content_id;
	part->description = s->description;
	return charset == NULL || lower_copy(s, charset->value, &part->charset);
}
