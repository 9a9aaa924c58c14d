/*
 * fetch - the items of a FETCH response: what of a message one carries, by its name.
 * Sources: RFC 9051 s7.5.2 and s9 (msg-att-static), RFC 3501 (RFC822.*), RFC 3516 (BINARY).
 */
#ifndef POSTERN_IMAP_FETCH_H
#define POSTERN_IMAP_FETCH_H

#include "imap/imap.h"

/* "BODY[1.2.MIME]<0>": sets item, content, section, sliced, origin. */
void imap_item_parse(struct span name, struct imap_detail *);
/* Its value is what imap_structure reads. */
bool imap_item_is_structure(struct span name);
/* An item whose name begins so (its first 16 octets at least, or all of them) has a content. */
bool imap_item_is_content(struct span begin);

#endif
