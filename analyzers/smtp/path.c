#include "smtp/path.h"

/* Where a scan stands with regard to quoted strings; a backslash counts inside of them only. */
struct quoting {
	bool inside;
	bool escaped;
};

/* UTF-8 of U+3002, U+FF0E, U+FF61: dots to old IDNA mappings, never to us. */
static const char *const dot_alikes[] = {"\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xbd\xa1"};

static const char *const operator_alikes[] = {
    "\xef\xbc\xa0", "\xef\xb9\xab", /* U+FF20, U+FE6B: @ */
    "\xef\xbc\x85", "\xef\xb9\xaa", /* U+FF05, U+FE6A: % */
    "\xef\xbc\x81", "\xef\xb9\x97", /* U+FF01, U+FE57: ! */
    "\xef\xbc\x9a", "\xef\xb9\x95", /* U+FF1A, U+FE55: : */
};

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

const char *
smtp_path_why(enum smtp_path_fault fault)
{
	static const char *const why[] = {
#define X(id, text) text,
	    SMTP_PATH_FAULTS(X)
#undef X
	};

	return why[fault];
}

/* True: c stands outside of quoted strings and is no quote mark. */
static bool
quoting_step(struct quoting *q, uint8_t c)
{
	if (q->escaped)
		q->escaped = false;
	else if (q->inside && c == '\\')
		q->escaped = true;
	else if (c == '"')
		q->inside = !q->inside;
	else
		return !q->inside;
	return false;
}

/* First c outside of quotes, or -1; *open: a quoted string never ended. */
static ptrdiff_t
find_unquoted(struct span s, uint8_t c, bool *open)
{
	struct quoting q = {0};

	*open = false;
	for (size_t i = 0; i < s.n; i++)
		if (quoting_step(&q, s.p[i]) && s.p[i] == c)
			return (ptrdiff_t)i;
	*open = q.inside;
	return -1;
}

static ptrdiff_t
rfind_unquoted(struct span s, uint8_t c)
{
	struct quoting q = {0};
	ptrdiff_t last = -1;

	for (size_t i = 0; i < s.n; i++)
		if (quoting_step(&q, s.p[i]) && s.p[i] == c)
			last = (ptrdiff_t)i;
	return last;
}

/* Of texts beyond ASCII. */
static bool
has_one_of(struct span s, const char *const *texts, size_t n)
{
	if (span_is_ascii(s))
		return false;
	for (; s.n > 0; s = span_from(s, 1))
		for (size_t i = 0; i < n; i++)
			if (span_starts(s, span_str(texts[i])))
				return true;
	return false;
}

static bool
has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

/* A U-label's 63 octets are those of its A-label, which is not made here. */
static bool
label_ok(struct span label)
{
	if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!octet_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] < 0x80)
			return false;
	return label.n <= 63 || !span_is_ascii(label);
}

static bool
all_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!octet_is_digit(s.p[i]))
			return false;
	return true;
}

static bool
name_ok(struct span name)
{
	for (;;) {
		ptrdiff_t dot = span_find(name, '.');
		struct span label = dot < 0 ? name : span_first(name, (size_t)dot);

		if (!label_ok(label))
			return false;
		if (dot < 0)
			return !all_digits(label);
		name = span_from(name, (size_t)dot + 1);
	}
}

static enum smtp_path_fault
name_parse(struct span text, struct smtp_path *out)
{
	out->domain_kind = SMTP_DOMAIN_NAME;
	out->trailing_dot = text.n > 0 && text.p[text.n - 1] == '.';
	out->domain = span_first(text, text.n - out->trailing_dot);
	if (out->domain.n > SMTP_DOMAIN_MAX)
		return SMTP_PATH_DOMAIN_LONG;
	if (!name_ok(out->domain) || has_one_of(text, dot_alikes, nitems(dot_alikes)) ||
	    has_one_of(text, operator_alikes, nitems(operator_alikes)))
		return SMTP_PATH_DOMAIN_SYNTAX;
	return SMTP_PATH_OK;
}

/*
 * General-address-literal = Standardized-tag ":" 1*dcontent; of dcontent without the specials
 * of RFC 5322, which other parsers would stumble over.
 */
static bool
tagged_ok(struct span s)
{
	struct span specials = span_str("()<>[]\\,;\"@");
	ptrdiff_t colon = span_find(s, ':');
	struct ip untagged;

	if (colon <= 0 || s.p[colon - 1] == '-' || (size_t)colon + 1 == s.n)
		return false;
	for (size_t i = 0; i < (size_t)colon; i++)
		if (!octet_is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	for (size_t i = (size_t)colon + 1; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || span_find(specials, s.p[i]) >= 0)
			return false;
	/* [2001:db8::1] is an address to some and a tag to others */
	return !ip_parse(s, &untagged);
}

/* Sources: RFC 5321 s4.1.3; IPv4-mapped addresses are folded by ip_parse(). */
static enum smtp_path_fault
literal_parse(struct span text, struct smtp_path *out)
{
	struct span tag = span_str("IPv6:");

	out->domain_kind = SMTP_DOMAIN_LITERAL;
	if (text.n < 2 || text.p[text.n - 1] != ']')
		return SMTP_PATH_LITERAL_SYNTAX;
	out->domain = span_of(text.p + 1, text.n - 2);
	if (out->domain.n > SMTP_DOMAIN_MAX)
		return SMTP_PATH_DOMAIN_LONG;
	if (span_istarts(out->domain, tag)) {
		struct span address = span_from(out->domain, tag.n);
		if (span_find(address, ':') >= 0 && ip_parse(address, &out->address))
			return SMTP_PATH_OK;
		return SMTP_PATH_LITERAL_SYNTAX;
	}
	if (span_find(out->domain, ':') < 0)
		return ip_parse(out->domain, &out->address) ? SMTP_PATH_OK
							    : SMTP_PATH_LITERAL_SYNTAX;
	out->domain_kind = SMTP_DOMAIN_TAGGED;
	return tagged_ok(out->domain) ? SMTP_PATH_OK : SMTP_PATH_LITERAL_SYNTAX;
}

static enum smtp_path_fault
domain_parse(struct span text, struct smtp_path *out)
{
	if (text.n > 0 && text.p[0] == '[')
		return literal_parse(text, out);
	return name_parse(text, out);
}

/* Octets up to the "," or ":" behind a domain of a route; those of a literal are its own. */
static size_t
route_domain_length(struct span s)
{
	ptrdiff_t closing = s.n > 0 && s.p[0] == '[' ? span_find(s, ']') : 0;
	size_t n = closing > 0 ? (size_t)closing : 0;

	while (n < s.n && s.p[n] != ',' && s.p[n] != ':')
		n++;
	return n;
}

/* A-d-l = At-domain *( "," At-domain ), then ":"; taken off the front of *s. */
static enum smtp_path_fault
route_parse(struct span *s, struct smtp_path *out)
{
	size_t at = 0;

	for (;;) {
		struct smtp_path hop = {0};
		struct span after = span_from(*s, at + 1);
		size_t n = route_domain_length(after);

		if (s->p[at] != '@' || domain_parse(span_first(after, n), &hop) != SMTP_PATH_OK)
			return SMTP_PATH_ROUTE_SYNTAX;
		at += 1 + n;
		if (at + 1 >= s->n)
			return SMTP_PATH_ROUTE_SYNTAX;
		if (s->p[at] == ':')
			break;
		at++;
	}
	out->route = span_first(*s, at);
	*s = span_from(*s, at + 1);
	return SMTP_PATH_OK;
}

/* One quoted string from the first octet to the last (RFC 5321 s4.1.2 "Quoted-string"). */
static bool
is_quoted_string(struct span s)
{
	struct quoting q = {0};

	if (s.n < 2 || s.p[0] != '"')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (q.escaped && s.p[i] > 0x7e)
			return false;
		quoting_step(&q, s.p[i]);
		if (!q.inside)
			return i == s.n - 1;
	}
	return false;
}

/* The local part without its quotes; octets of it come out of plain_next(). */
static struct span
plain_begin(const struct smtp_path *path)
{
	return path->quoted ? span_of(path->local.p + 1, path->local.n - 2) : path->local;
}

static uint8_t
plain_next(const struct smtp_path *path, struct span *rest)
{
	uint8_t c = rest->p[0];

	*rest = span_from(*rest, 1);
	if (path->quoted && c == '\\' && rest->n > 0) {
		c = rest->p[0];
		*rest = span_from(*rest, 1);
	}
	return c;
}

/* RFC 5321 s4.1.2 "Atom", RFC 6531 s3.3. */
static bool
is_atext(uint8_t c)
{
	static const char others[] = "!#$%&'*+-/=?^_`{|}~";

	return octet_is_alnum(c) || c >= 0x80 || memchr(others, c, sizeof(others) - 1) != NULL;
}

static bool
plain_is_dot_string(const struct smtp_path *path)
{
	struct span rest = plain_begin(path);
	uint8_t before = '.';

	while (rest.n > 0) {
		uint8_t c = plain_next(path, &rest);
		if (c == '.' ? before == '.' : !is_atext(c))
			return false;
		before = c;
	}
	return before != '.';
}

/* "=?" (RFC 2047 s2), also where a quoted pair hides it. */
static bool
has_encoded_word(const struct smtp_path *path)
{
	struct span rest = plain_begin(path);
	uint8_t before = '\0';

	while (rest.n > 0) {
		uint8_t c = plain_next(path, &rest);
		if (before == '=' && c == '?')
			return true;
		before = c;
	}
	return false;
}

static enum smtp_path_fault
local_check(const struct smtp_path *path)
{
	if (plain_begin(path).n == 0)
		return SMTP_PATH_LOCAL_EMPTY;
	if (rfind_unquoted(path->local, '@') >= 0)
		return SMTP_PATH_DOUBLE_AT;
	if (path->local.n > SMTP_LOCAL_MAX)
		return SMTP_PATH_LOCAL_LONG;
	if (!path->quoted && !plain_is_dot_string(path))
		return SMTP_PATH_LOCAL_SYNTAX;
	if (has_one_of(path->local, operator_alikes, nitems(operator_alikes)))
		return SMTP_PATH_CONFUSABLE;
	if (has_encoded_word(path))
		return SMTP_PATH_ENCODED_WORD;
	return SMTP_PATH_OK;
}

/* Mailbox = Local-part "@" ( Domain / address-literal ), or a bare local part. */
static enum smtp_path_fault
mailbox_parse(struct span s, struct smtp_path *out)
{
	ptrdiff_t at = rfind_unquoted(s, '@');
	enum smtp_path_fault fault = SMTP_PATH_OK;

	out->local = at < 0 ? s : span_first(s, (size_t)at);
	out->quoted = is_quoted_string(out->local);
	if (at >= 0)
		fault = domain_parse(span_from(s, (size_t)at + 1), out);
	else if (out->route.n > 0) /* whose local part would that be? */
		fault = SMTP_PATH_ROUTE_SYNTAX;
	return fault != SMTP_PATH_OK ? fault : local_check(out);
}

/* Finds the end of the path: fills in out->raw and *rest. */
static enum smtp_path_fault
delimit(struct span text, bool lenient, struct smtp_path *out, struct span *rest)
{
	ptrdiff_t end;
	bool open;

	*rest = text;
	if (text.n == 0 || text.p[0] != '<') {
		out->raw = span_word(rest);
		*rest = span_trim(*rest);
		if (!lenient)
			return SMTP_PATH_BRACKETS;
		return out->raw.n == 0 ? SMTP_PATH_SYNTAX : SMTP_PATH_OK;
	}

	*rest = span_from(text, 1);
	end = find_unquoted(*rest, '>', &open);
	if (end < 0) {
		out->raw = *rest;
		*rest = SPAN_NONE;
		return open ? SMTP_PATH_LOCAL_SYNTAX : SMTP_PATH_BRACKETS;
	}
	out->raw = span_first(*rest, (size_t)end);
	*rest = span_from(*rest, (size_t)end + 1);
	if (rest->n > 0 && rest->p[0] != ' ' && rest->p[0] != '\t')
		return SMTP_PATH_SYNTAX;
	*rest = span_trim(*rest);
	return SMTP_PATH_OK;
}

enum smtp_path_fault
smtp_path_parse(struct span text, bool lenient, bool utf8, struct smtp_path *out, struct span *rest)
{
	enum smtp_path_fault fault;
	struct span s;

	*out = (struct smtp_path){0};
	fault = delimit(text, lenient, out, rest);
	s = out->raw;
	out->ascii = span_is_ascii(s);
	if (!span_is_utf8(s))
		return SMTP_PATH_NOT_UTF8;
	if (fault != SMTP_PATH_OK)
		return fault;
	if (!utf8 && !out->ascii)
		return SMTP_PATH_NOT_ASCII;
	if (has_control(s))
		return SMTP_PATH_SYNTAX;
	if (s.n == 0) {
		out->null = true;
		return SMTP_PATH_OK;
	}
	if (s.p[0] == '@')
		fault = route_parse(&s, out);
	if (fault == SMTP_PATH_OK)
		fault = mailbox_parse(s, out);
	if (fault == SMTP_PATH_OK && out->raw.n > SMTP_PATH_MAX)
		fault = SMTP_PATH_LONG;
	return fault;
}

bool
smtp_path_local_plain(const struct smtp_path *path, struct buf *out)
{
	struct span rest = plain_begin(path);

	while (rest.n > 0)
		buf_octet(out, plain_next(path, &rest));
	return !out->failed;
}

static void
quoted_canonical(const struct smtp_path *path, struct buf *out)
{
	struct span rest = plain_begin(path);

	buf_octet(out, '"');
	while (rest.n > 0) {
		uint8_t c = plain_next(path, &rest);
		if (c == '"' || c == '\\')
			buf_octet(out, '\\');
		buf_octet(out, c);
	}
	buf_octet(out, '"');
}

static void
domain_canonical(const struct smtp_path *path, struct buf *out)
{
	if (path->domain_kind == SMTP_DOMAIN_NONE)
		return;
	buf_octet(out, '@');
	if (path->domain_kind == SMTP_DOMAIN_NAME) {
		buf_add(out, path->domain);
		return;
	}
	buf_octet(out, '[');
	buf_add(out, path->domain);
	buf_octet(out, ']');
}

bool
smtp_path_canonical(const struct smtp_path *path, struct buf *out)
{
	buf_octet(out, '<');
	if (!path->null) {
		if (plain_is_dot_string(path))
			smtp_path_local_plain(path, out);
		else
			quoted_canonical(path, out);
		domain_canonical(path, out);
	}
	buf_octet(out, '>');
	return !out->failed;
}
