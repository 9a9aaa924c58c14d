#include "imap/append.h"

static bool
take(struct span *s, const char *text)
{
	struct span t = span_str(text);

	if (!span_istarts(*s, t))
		return false;
	*s = span_from(*s, t.n);
	return true;
}

static bool
is_atom_octet(uint8_t c)
{
	return c > ' ' && c < 0x7f && span_find(span_str("(){%*\"\\"), c) < 0;
}

static bool
atom(struct span *s)
{
	size_t n = 0;

	while (n < s->n && is_atom_octet(s->p[n]))
		n++;
	*s = span_from(*s, n);
	return n > 0;
}

static bool
quoted(struct span *s)
{
	size_t n = 1;

	while (n < s->n && s->p[n] != '"')
		n += s->p[n] == '\\' ? 2 : 1;
	if (n >= s->n)
		return false;
	*s = span_from(*s, n + 1);
	return true;
}

static bool
astring(struct span *s)
{
	return s->n > 0 && s->p[0] == '"' ? quoted(s) : atom(s);
}

static bool
flag(struct span *s)
{
	static const char *const known[] = {
	    "\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (take(s, known[i]))
			return true;
	return atom(s);
}

/* Behind its bracket. */
static bool
flags(struct span *s)
{
	if (take(s, ") "))
		return true;
	while (flag(s)) {
		if (take(s, ") "))
			return true;
		if (!take(s, " "))
			return false;
	}
	return false;
}

static bool
number_below(struct span *s, size_t digits, uint64_t end)
{
	uint64_t value;

	if (!span_u64(span_first(*s, digits), UINT32_MAX, &value) || value >= end)
		return false;
	*s = span_from(*s, digits);
	return true;
}

static bool
month(struct span *s)
{
	static const char *const months[] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

	for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++)
		if (take(s, months[i]))
			return true;
	return false;
}

/* "17-Jul-1996 02:44:25 -0700", " 1-Jan-2026 ..."; behind its first quote. */
static bool
date(struct span *s)
{
	return number_below(s, take(s, " ") ? 1 : 2, 32) && take(s, "-") && month(s) &&
	       take(s, "-") && number_below(s, 4, 10000) && take(s, " ") &&
	       number_below(s, 2, 24) && take(s, ":") && number_below(s, 2, 60) && take(s, ":") &&
	       number_below(s, 2, 61) && (take(s, " +") || take(s, " -")) &&
	       number_below(s, 4, 2400) && take(s, "\" ");
}

enum parts { BAD, END, NEXT /* the list is closed, another message follows */ };

static enum parts
parts(struct span *s)
{
	for (;;) {
		if (take(s, "TEXT "))
			return s->n == 0 ? END : BAD;
		if (!take(s, "URL "))
			return BAD;
		if (s->n == 0)
			return END;
		if (!astring(s))
			return BAD;
		if (take(s, ") "))
			return NEXT;
		if (!take(s, " "))
			return BAD;
	}
}

/* What stands ahead of each message. */
static bool
options(struct span s)
{
	enum parts how = NEXT;

	while (how == NEXT) {
		if (take(&s, "(") && !flags(&s))
			return false;
		if (take(&s, "\"") && !date(&s))
			return false;
		if (s.n == 0)
			return true;
		if (take(&s, "UTF8 ("))
			return s.n == 0;
		how = take(&s, "CATENATE (") ? parts(&s) : BAD;
	}
	return how == END;
}

bool
imap_append_begins(struct span args, bool number)
{
	if (number && !(atom(&args) && take(&args, " ")))
		return false;
	if (args.n == 0) /* the mailbox is the literal */
		return true;
	return astring(&args) && take(&args, " ") && options(args);
}

bool
imap_append_goes_on(struct span args, bool list)
{
	enum parts how = NEXT;

	if (list && take(&args, " "))
		how = parts(&args);
	else if (!take(&args, list ? ") " : " "))
		return false;
	return how == END || (how == NEXT && options(args));
}
