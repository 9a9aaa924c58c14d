/*
 * tar - the members of a tar archive, as its octets stream by.
 * Sources: POSIX.1-2017 pax (ustar and pax interchange formats); GNU tar's long names and base-256.
 *
 * Push, in any chunking. A header whose checksum is wrong ends the reading (a fault). Where a pax
 * record and the header disagree about a size, programs go on at different places: ambiguous.
 *
 * Memory: struct tar and at most TAR_EXTENDED_MAX octets of extended headers, and the list.
 */
#ifndef POSTERN_TAR_H
#define POSTERN_TAR_H

#include "mime/members.h"

#define TAR_BLOCK	 512
#define TAR_EXTENDED_MAX 65536 /* octets of one extended header that are looked at */

struct tar;

/* block: TAR_BLOCK octets. It is a header: its checksum fits. */
bool tar_is_header(const uint8_t *block);

/* m is written to until tar_free(). NULL: no memory. */
struct tar *tar_new(struct members *m);
void tar_free(struct tar *); /* NULL is fine */
void tar_feed(struct tar *, struct span octets);
void tar_finish(struct tar *);

#endif
