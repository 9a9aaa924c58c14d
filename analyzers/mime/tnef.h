/*
 * tnef - the attachments in a TNEF container (winmail.dat), by name and size.
 * Source: [MS-OXTNEF]; the long name is the MAPI property PidTagAttachLongFilename.
 *
 * Push, in any chunking. Lengths are 32 bits and believed only as far as octets really come. The
 * container of an embedded message (nested TNEF in the attachment's MAPI properties) is followed
 * down to TNEF_DEPTH; names of inner attachments are listed after the outer one.
 *
 * Memory: one attribute of properties (at most TNEF_PROPERTIES_MAX octets), and the list.
 */
#ifndef POSTERN_TNEF_H
#define POSTERN_TNEF_H

#include "mime/members.h"

#define TNEF_DEPTH 4
#define TNEF_PROPERTIES_MAX                                                                        \
	65536 /* octets of the MAPI properties of an attachment that are looked at */

struct tnef;

/* m is written to until tnef_free(). NULL: no memory. */
struct tnef *tnef_new(struct members *m);
void tnef_free(struct tnef *); /* NULL is fine */
void tnef_feed(struct tnef *, struct span octets);
void tnef_finish(struct tnef *);

#endif
