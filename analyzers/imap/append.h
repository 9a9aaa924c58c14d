/*
 * append - what stands ahead of a literal of APPEND and REPLACE, to the letter.
 * Sources: RFC 9051 s6.3.12 and s9, 3502 (MULTIAPPEND), 4469 (CATENATE), 6855 (UTF8), 8508.
 *
 * Servers read these commands piece by piece, and what they do not like there (a flag that is none,
 * a date, another word) they answer with BAD before they have looked at the literal. One that is
 * not waited for is read as commands then.
 */
#ifndef POSTERN_IMAP_APPEND_H
#define POSTERN_IMAP_APPEND_H

#include "core/span.h"

/* Of the first line, behind the verb: "INBOX (\Seen) ". number: REPLACE has one in front of it. */
bool imap_append_begins(struct span args, bool number);
/* Of a line behind a literal: " (\Seen) ", " TEXT ", ") "; list: within that of CATENATE. */
bool imap_append_goes_on(struct span args, bool list);

#endif
