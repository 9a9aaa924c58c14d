#include "imap/command.h"

enum imap_fault
imap_line_fault(struct line_marks marks)
{
	return marks.too_long  ? IMAP_LINE_TOO_LONG
	       : marks.bare_lf ? IMAP_LINE_BARE_LF
	       : marks.nul     ? IMAP_LINE_NUL
	       : marks.bare_cr ? IMAP_LINE_BARE_CR
			       : IMAP_OK;
}

static bool
is_tag(struct span tag)
{
	if (tag.n == 0 || tag.n > IMAP_TAG_MAX)
		return false;
	for (size_t i = 0; i < tag.n; i++)
		if (tag.p[i] <= ' ' || tag.p[i] >= 0x7f ||
		    span_find(span_str("(){%*\"\\+"), tag.p[i]) >= 0)
			return false;
	return true;
}

/* "GET / HTTP/1.1" has the shape of a command. */
static bool
is_foreign(struct span line)
{
	ptrdiff_t at = span_rfind(line, ' ');

	return at > 0 && span_istarts(span_from(line, (size_t)at + 1), span_str("HTTP/"));
}

/* Octets up to the next blank; it is taken too. */
static struct span
take_word(struct span *rest)
{
	ptrdiff_t at = span_find(*rest, ' ');
	struct span word = span_first(*rest, at < 0 ? rest->n : (size_t)at);

	*rest = span_from(*rest, at < 0 ? rest->n : (size_t)at + 1);
	return word;
}

/* ---- text: the same for every line ---- */

static enum imap_fault
lex_fault(enum imap_lex_says says, struct span line)
{
	switch ((int)says) {
	case IMAP_LEX_BAD_LITERAL:
		return IMAP_BAD_LITERAL;
	case IMAP_LEX_TOO_DEEP:
		return IMAP_TOO_DEEP;
	default: /* does the server wait for a literal now, or does it not? */
		return imap_literal_suspect(line) ? IMAP_BAD_LITERAL : IMAP_SYNTAX;
	}
}

static enum imap_fault
scan(struct span line, struct span text, struct imap_lex *lex, struct imap_literal *literal)
{
	static const uint8_t end[] = {'\r', '\n'};
	enum imap_lex_says says = IMAP_LEX_GO;

	for (size_t i = 0; i < text.n && says == IMAP_LEX_GO; i++)
		says = imap_lex(lex, text.p[i]);
	for (size_t i = 0; i < sizeof(end) && says == IMAP_LEX_GO; i++)
		says = imap_lex(lex, end[i]);
	*literal = (struct imap_literal){0};
	if (says == IMAP_LEX_LITERAL)
		*literal = lex->announcement.literal;
	else if (says != IMAP_LEX_END)
		return lex_fault(says, line);
	return !literal->announced && lex->depth > 0 ? IMAP_SYNTAX : IMAP_OK;
}

static bool
is_url(struct span before)
{
	size_t from;

	before = span_rtrim(before);
	for (from = before.n; from > 0 && before.p[from - 1] != ' ' && before.p[from - 1] != '(';)
		from--;
	return span_ieq(span_from(before, from), span_str("URL"));
}

/* Nothing, or for REPLACE one number, stands in front of the mailbox. */
static bool
is_mailbox(const struct imap_detail *d)
{
	struct span rest = d->args;

	if (d->verb->verb == IMAP_REPLACE)
		(void)span_word(&rest);
	return span_trim(rest).n == 0;
}

/* A literal of APPEND or REPLACE that is neither the mailbox nor CATENATE's URL is a message. */
static bool
is_message(const struct imap_detail *d, const struct imap_lex *lex, bool first)
{
	if (d->verb->verb != IMAP_APPEND && d->verb->verb != IMAP_REPLACE)
		return false;
	if (lex->depth > 0)
		return !is_url(d->args);
	return !(first && is_mailbox(d));
}

static void
finish(struct imap_detail *d, const struct imap_lex *lex, struct span args, bool first)
{
	d->last = !d->literal.announced;
	d->args = d->last ? args : imap_literal_before(args);
	d->message = d->literal.announced && is_message(d, lex, first);
}

void
imap_command_more(struct span line, struct imap_lex *lex, struct imap_detail *d)
{
	d->fault = scan(line, line, lex, &d->literal);
	finish(d, lex, line, false);
	if (d->fault == IMAP_OK && line.n > 0 && span_find(span_str(" )]"), line.p[0]) < 0)
		d->fault = d->last ? IMAP_SYNTAX : IMAP_BAD_LITERAL;
}

static void
find_verb(struct imap_detail *d, struct span *rest)
{
	d->word = take_word(rest);
	if (span_ieq(d->word, span_str("UID"))) {
		d->uid = true;
		d->word = take_word(rest);
	}
	d->verb = imap_verb_find(d->word);
	if (d->uid && !d->verb->uid)
		d->verb = imap_verb_row(IMAP_UNKNOWN);
}

void
imap_command_parse(struct span line, struct imap_lex *lex, struct imap_detail *d)
{
	struct span rest = line, tag = take_word(&rest);
	bool tagged = is_tag(tag);

	*d = (struct imap_detail){.tag = tagged ? tag : SPAN_NONE};
	*lex = (struct imap_lex){0};
	d->fault = scan(line, span_from(line, tag.n), lex, &d->literal);
	find_verb(d, &rest);
	finish(d, lex, rest, true);
	if (d->verb->verb == IMAP_UNKNOWN && is_foreign(line)) {
		d->verb = imap_verb_row(IMAP_FOREIGN);
		d->fault = IMAP_VERB_FOREIGN;
	}
	if (!tagged && d->fault == IMAP_SYNTAX) /* whatever else is wrong: no reply has that tag */
		d->fault = IMAP_BAD_TAG;
	if (d->fault != IMAP_OK)
		return;
	if (!tagged || d->word.n == 0)
		/* nobody can say who answers it */
		d->fault = d->literal.announced ? IMAP_BAD_LITERAL
			   : tagged		? IMAP_SYNTAX
						: IMAP_BAD_TAG;
	else if (d->verb->verb == IMAP_UNKNOWN)
		d->fault = IMAP_VERB_UNKNOWN;
}
