/*
 * literal - announcements of literals at the end of a line: {5}, {5+}, ~{5}.
 * Sources: RFC 9051 s4.3 and s9 (number64), RFC 7888, RFC 3516 (literal8).
 *
 * Strict: digits without a leading zero, at most 2^63 - 1 (with "+": 2^32 - 1, since a server that
 * counts in 32 bits would take the rest for commands). Whatever else has braces there is none.
 */
#ifndef POSTERN_IMAP_LITERAL_H
#define POSTERN_IMAP_LITERAL_H

#include "core/span.h"

struct imap_literal {
	bool announced;
	bool plus;  /* {n+}: the client does not wait */
	bool eight; /* ~{n}: literal8 */
	uint64_t octets;
};

/* An announcement that comes octet by octet; all zeros: none has begun. */
struct imap_announcement {
	uint8_t state;
	struct imap_literal literal; /* announced: it is complete */
};

/* Its "{" has come; eight: behind a "~". */
void imap_announcement_begin(struct imap_announcement *, bool eight);
/* The next octet; false: this is no announcement. */
bool imap_announcement_add(struct imap_announcement *, uint8_t);
/* Begun, complete or not. */
bool imap_announcement_begun(const struct imap_announcement *);

/* What stands in front of the announcement that ends the line (which has one, and no CR LF). */
struct span imap_literal_before(struct span line);
/*
 * Text in which no literal can be, but which ends in what a client that looks no closer would take
 * for an announcement.
 */
bool imap_literal_suspect(struct span line);

#endif
