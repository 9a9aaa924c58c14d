/*
 * gzip - what a gzip file holds, as its octets stream by: one member, or those of a tar archive.
 * Source: RFC 1952.
 *
 * Push, in any chunking. To see a tar archive inside, octets are inflated with zlib, as many as the
 * budget of the message gives (archive_budget.inflate) and as long as they do not grow more than
 * BOMB_RATIO times behind the first GZIP_RATIO_FROM; of what is not inflated, the size is what the
 * last four octets of the file say. Inflated octets are handed to the tar reader and forgotten.
 *
 * Memory: zlib's window (some 40 KiB), GZIP_OUT octets, that of tar.h.
 */
#ifndef POSTERN_GZIP_H
#define POSTERN_GZIP_H

#include "mime/members.h"

#define GZIP_OUT	16384
#define GZIP_RATIO_FROM (1 << 20)

struct gzip;

/* m is written to until gzip_free(). NULL: no memory. */
struct gzip *gzip_new(struct members *m);
void gzip_free(struct gzip *); /* NULL is fine */
void gzip_feed(struct gzip *, struct span octets);
void gzip_finish(struct gzip *);

#endif
