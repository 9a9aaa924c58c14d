/*
 * lex - octets of IMAP text to quoted strings, lists and announced literals, one at a time.
 * Source: RFC 9051 s9 (atom, quoted, literal).
 *
 * Both directions. Strict where two parsers could disagree on where a line or a literal ends: a
 * quoted string holds no CR, LF or NUL and begins a token, a brace outside of it is an announcement
 * behind a blank or "(" that ends the line, CR and LF come as a pair.
 */
#ifndef POSTERN_IMAP_LEX_H
#define POSTERN_IMAP_LEX_H

#include "imap/literal.h"

#define IMAP_NESTING 100 /* of "(" */

enum imap_lex_says {
	IMAP_LEX_GO,
	IMAP_LEX_END,	  /* CR LF: the line is complete */
	IMAP_LEX_LITERAL, /* CR LF behind an announcement: announcement.literal */
	/* only a new imap_lex may follow */
	IMAP_LEX_BAD_LITERAL,
	IMAP_LEX_BAD_QUOTE, /* misplaced or not closed */
	IMAP_LEX_BAD_LIST,  /* ")" too many */
	IMAP_LEX_TOO_DEEP,  /* more than IMAP_NESTING "(" */
	IMAP_LEX_BAD_LINE,  /* CR, LF or NUL alone */
};

struct imap_lex {
	bool quoted, escaped, cr;
	bool token; /* the last octet belongs to an atom */
	bool glued; /* the last octet is neither a blank nor "(": no literal begins here */
	bool tilde; /* the atom is "~" so far */
	bool odd;   /* an octet of this command that belongs in no atom, and in no quoted string */
	uint8_t words; /* that have begun outside of brackets; 255: so many, or more */
	uint8_t depth;
	struct imap_announcement announcement;
};

/* All zeros: a line begins. Behind a literal it goes on, the depth is kept. */
enum imap_lex_says imap_lex(struct imap_lex *, uint8_t);

#endif
