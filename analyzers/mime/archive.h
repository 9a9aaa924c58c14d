/*
 * archive - the members of an archive of any kind that is known, as its octets stream by.
 *
 * zip, tar, gzip and TNEF have push readers of our own. Others (rar, 7z, cab, iso, lha, ar, cpio,
 * xar) are read by libarchive, which pulls: the first ARCHIVE_PREFIX octets are kept, listed when
 * they are complete or the part ends, and what lies behind them makes the list partial (a 7z
 * archive has its list at the end: of one that is longer, nothing is known).
 *
 * Usage: when detect.h has an answer, archive_reader_new(type); feed detect_prefix(), then the
 * octets behind it. Nothing is unpacked to anywhere. Memory: that of the reader, or ARCHIVE_PREFIX
 * and what libarchive makes of it.
 */
#ifndef POSTERN_ARCHIVE_H
#define POSTERN_ARCHIVE_H

#include "mime/members.h"

#define ARCHIVE_PREFIX (1 << 20)

struct archive_reader;

/* Once a process, before the sandbox. False: *why is a constant. */
bool archive_global_init(const char **why);
void archive_global_end(void);

/* A type whose members can be listed. */
bool archive_is(struct span detected_type);
/* NULL: no such type, or no memory. budget is used until archive_reader_free(). */
struct archive_reader *archive_reader_new(struct span detected_type, struct archive_budget *budget);
void archive_reader_free(struct archive_reader *); /* NULL is fine */
void archive_reader_feed(struct archive_reader *, struct span octets);
void archive_reader_finish(struct archive_reader *);
/* Final after archive_reader_finish(); good until archive_reader_free(). */
const struct members *archive_reader_members(const struct archive_reader *);

#endif
