/*
 * zip - the members of a zip archive, as its octets stream by.
 * Source: PKWARE APPNOTE 6.3.10.
 *
 * Push, in any chunking. Nothing is inflated. Local headers are followed one by one, also over data
 * of unknown length (its descriptor tells the end); the central directory is held against them.
 * Where the two differ, programs that read the one find other members than those that read the
 * other: ambiguous, and members of both readings are listed.
 *
 * Memory: one record (at most ZIP_RECORD_MAX octets), 48 octets for each listed member, and the
 * list. Time: linear, each octet is looked at a bounded number of times.
 */
#ifndef POSTERN_ZIP_H
#define POSTERN_ZIP_H

#include "mime/members.h"

#define ZIP_RECORD_MAX (46 + 3 * 65535) /* of the central directory: name, extra field, comment */

struct zip;

/* m is written to until zip_free(). NULL: no memory. */
struct zip *zip_new(struct members *m);
void zip_free(struct zip *); /* NULL is fine */
void zip_feed(struct zip *, struct span octets);
void zip_finish(struct zip *);

#endif
