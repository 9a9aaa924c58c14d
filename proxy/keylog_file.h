/*
 * keylog_file - a key log (SSLKEYLOGFILE, tls/keylog.h) out of a file: read once, or followed while
 * others write to it.
 *
 * A line that is none of a key log is passed over; the first one is named, with how many there
 * were. Descriptors are close-on-exec; what was read is wiped.
 */
#ifndef POSTERN_KEYLOG_FILE_H
#define POSTERN_KEYLOG_FILE_H

#include <stdio.h>

#include "tls/keylog.h"

#define KEYLOG_FILE_MAX	   (64u << 20) /* octets of a file that is read */
#define KEYLOG_SECRETS_MAX 450000u     /* kept: as many as such a file can have; 100 MiB at most */
#define KEYLOG_LINE_MAX	   1024u       /* octets; a longer line is none */

/*
 * For tls_keylog_free(). A pipe may be read too. NULL: it could not be read, or is longer than
 * KEYLOG_FILE_MAX: one line on err says so.
 */
struct tls_keylog *keylog_file_read(const char *path, FILE *err);

/* One that grows. */
struct keylog_file;

/*
 * A regular file, which is kept open: no later call opens anything. What is in it is read. NULL as
 * above. err must live as long.
 */
struct keylog_file *keylog_file_open(const char *path, FILE *err);
/*
 * Whole lines that came since, KEYLOG_FILE_MAX octets at most; a file that became shorter is read
 * from its beginning. True: there are secrets that were not there before. What goes wrong is told
 * once. One lseek(2) and one pread(2) when there is nothing, and nothing else that a sandbox would
 * have to allow.
 */
bool keylog_file_refresh(struct keylog_file *);
/* Owned by the file. */
struct tls_keylog *keylog_file_keys(const struct keylog_file *);
void keylog_file_close(struct keylog_file *); /* NULL is fine */

#endif
