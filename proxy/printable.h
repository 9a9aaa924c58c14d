/*
 * printable - text from a peer in a form that can harm nobody who reads it: no terminal, no
 * line-based tool, no eye.
 *
 * Well-formed UTF-8 (RFC 3629) stays as it is. Every other octet is written \xNN, and so is every
 * octet of a character that does something instead of showing something: controls (C0, DEL, C1),
 * line and paragraph separators, bidirectional marks, overrides and isolates, zero-width and tag
 * characters. A backslash stays as it is, but where it would look like such an escape: then it is
 * written \x5c. So one rule undoes all of it: \xNN is the octet NN.
 */
#ifndef POSTERN_PRINTABLE_H
#define POSTERN_PRINTABLE_H

#include "core/buf.h"

/*
 * Appends at most max octets to out, never half a character or half an escape. False: something
 * was left out, because of max or of out's ceiling (out->failed is then set too).
 */
bool printable(struct span in, size_t max, struct buf *out);

/* Octets at its front that are printable ASCII and no backslash: they stay as they are. */
size_t printable_run(struct span);

/* As far as eight and eight octets are such and no quotation mark; more may be. Quick. */
size_t printable_eights(struct span);

#endif
