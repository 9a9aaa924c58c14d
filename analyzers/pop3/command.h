/*
 * command - one command line of POP3: verb, arguments, and what is wrong with it.
 * Sources: RFC 1939 s3, 2449 s4, 5034 s4.
 */
#ifndef POSTERN_POP3_COMMAND_H
#define POSTERN_POP3_COMMAND_H

#include "core/line.h"
#include "pop3/pop3.h"

/*
 * line: without its end. Fills in all of *d that belongs to a command; whether it may be given in
 * this phase is not its business. AUTH has the bound of limits->auth_line (none of limits is 0).
 */
void pop3_command_parse(
    struct span line, struct line_marks, const struct pop3_limits *, struct pop3_detail *d);

/*
 * The command as it goes to a server: verb as written, arguments with one blank before each (text
 * as it was), CR LF. So that whether it has arguments is no question: to some servers "LIST " has
 * one. d: without a fault, or POP3_VERB_UNKNOWN; line: what it was parsed from. False: no memory,
 * or out is full.
 */
bool pop3_command_write(const struct pop3_detail *d, struct span line, struct buf *out);

#endif
