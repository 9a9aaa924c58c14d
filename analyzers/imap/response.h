/*
 * response - whole lines of a server: tagged replies, "+", untagged status and data.
 * Source: RFC 9051 s7, s9.
 */
#ifndef POSTERN_IMAP_RESPONSE_H
#define POSTERN_IMAP_RESPONSE_H

#include "imap/imap.h"

enum imap_status imap_status_find(struct span word);

/*
 * "OK [CODE ...] text", without CR LF: sets status, code, text and capabilities. False: two clients
 * could read it in two ways (a code without its end, what looks like a literal at the end).
 */
bool imap_status_parse(struct span line, struct imap_detail *);
/* "12 EXISTS", "CAPABILITY IMAP4rev2", behind "* ": sets kind, number, text and capabilities. */
void imap_data_parse(struct span line, struct imap_detail *);

#endif
