/*
 * command - the lines of a command: tag, verb, arguments, the announcement of a literal.
 * Source: RFC 9051 s9.
 */
#ifndef POSTERN_IMAP_COMMAND_H
#define POSTERN_IMAP_COMMAND_H

#include "core/line.h"
#include "imap/imap.h"

/* What is wrong with a line as such; IMAP_OK. */
enum imap_fault imap_line_fault(struct line_marks);

/*
 * The first line, without CR LF. *d is always filled in, but for what depends on the session: the
 * phase, limits of literals. *lex gets where the text stands at its end.
 */
void imap_command_parse(struct span line, struct imap_lex *lex, struct imap_detail *d);
/* A line behind a literal of a command of d->verb: sets args, literal, message, last and fault. */
void imap_command_more(struct span line, struct imap_lex *lex, struct imap_detail *d);

#endif
