/*
 * command - one command line of SMTP: verb, arguments, what is wrong with it.
 */
#ifndef POSTERN_SMTP_COMMAND_H
#define POSTERN_SMTP_COMMAND_H

#include "core/line.h"
#include "smtp/smtp.h"

/*
 * Fills in the EV_COMMAND part of *d; all spans point into line.
 * line_max: octets of any command but AUTH, with CR LF. offered: keywords that the client saw.
 */
void smtp_command_parse(struct span line, struct line_marks marks, size_t line_max,
    bool lenient_paths, unsigned offered, struct smtp_detail *d);

/* The reply to a command with a fault, one line without CR LF. False: out is full. */
bool smtp_command_refusal(const struct smtp_detail *d, struct buf *out);

/*
 * The one form in which a command without fault goes to the server, with CR LF: verb in upper
 * case, one blank, canonical path and parameters. False: out is full.
 */
bool smtp_command_canonical(const struct smtp_detail *d, struct buf *out);

/* The SASL mechanism of an AUTH command; empty: none that is well-formed. */
struct span smtp_auth_mechanism(struct span args);

#endif
