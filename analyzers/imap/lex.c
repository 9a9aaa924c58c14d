#include "imap/lex.h"

static enum imap_lex_says
line_end(struct imap_lex *l, uint8_t c)
{
	if (c != '\n')
		return IMAP_LEX_BAD_LINE;
	l->cr = l->token = l->tilde = false;
	l->glued = true; /* by the literal */
	l->announcement.state = 0;
	return l->announcement.literal.announced ? IMAP_LEX_LITERAL : IMAP_LEX_END;
}

static enum imap_lex_says
carriage_return(struct imap_lex *l)
{
	if (l->quoted)
		return IMAP_LEX_BAD_QUOTE;
	if (!imap_announcement_begun(&l->announcement))
		l->announcement.literal.announced = false;
	else if (!l->announcement.literal.announced)
		return IMAP_LEX_BAD_LITERAL;
	l->cr = true;
	return IMAP_LEX_GO;
}

static enum imap_lex_says
quoted(struct imap_lex *l, uint8_t c)
{
	if (l->escaped) {
		l->escaped = false;
		return IMAP_LEX_GO;
	}
	l->escaped = c == '\\';
	l->quoted = c != '"';
	l->glued = true;
	return IMAP_LEX_GO;
}

static enum imap_lex_says
open_quote(struct imap_lex *l)
{
	if (l->token)
		return IMAP_LEX_BAD_QUOTE;
	l->quoted = true;
	return IMAP_LEX_GO;
}

static enum imap_lex_says
open_brace(struct imap_lex *l)
{
	if (l->glued && !l->tilde)
		return IMAP_LEX_BAD_LITERAL;
	imap_announcement_begin(&l->announcement, l->tilde);
	return IMAP_LEX_GO;
}

static enum imap_lex_says
bracket(struct imap_lex *l, uint8_t c)
{
	l->token = l->tilde = false;
	l->glued = c == ')';
	if (c == ')') {
		if (l->depth == 0)
			return IMAP_LEX_BAD_LIST;
		l->depth--;
		return IMAP_LEX_GO;
	}
	if (l->depth >= IMAP_NESTING)
		return IMAP_LEX_TOO_DEEP;
	l->depth++;
	return IMAP_LEX_GO;
}

enum imap_lex_says
imap_lex(struct imap_lex *l, uint8_t c)
{
	if (l->cr)
		return line_end(l, c);
	if (c == '\n' || c == '\0')
		return IMAP_LEX_BAD_LINE;
	if (c == '\r')
		return carriage_return(l);
	if (l->quoted)
		return quoted(l, c);
	if (imap_announcement_begun(&l->announcement))
		return imap_announcement_add(&l->announcement, c) ? IMAP_LEX_GO
								  : IMAP_LEX_BAD_LITERAL;
	if (c != ' ' && !l->glued && l->depth == 0 && l->words < UINT8_MAX)
		l->words++;
	switch (c) {
	case '"':
		return open_quote(l);
	case '{':
		return open_brace(l);
	case '(':
	case ')':
		return bracket(l, c);
	default:
		l->tilde = c == '~' && !l->glued;
		l->token = l->glued = c != ' ';
		l->odd = l->odd || c < ' ' || c >= 0x7f;
		return IMAP_LEX_GO;
	}
}
