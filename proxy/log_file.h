/*
 * log_file - the file that records go into, as the supervisor sees it: a path. The logger only
 * gets descriptors.
 *
 * A log is a regular file, a FIFO that somebody reads, or a character device; "-" is standard
 * output. A symbolic link is none of them: whoever may write into the folder could make root
 * append to any file.
 */
#ifndef POSTERN_LOG_FILE_H
#define POSTERN_LOG_FILE_H

#include <limits.h>
#include <stdbool.h>

#define LOG_FILE_WHY_MAX 256
#define LOG_FILE_XFERLOG "xferlog" /* name of the file beside the log */

/* Where the xferlog of this log is. False: too long. */
bool log_file_xferlog(const char *log, char path[PATH_MAX]);

/*
 * To append to, close-on-exec; not blocking where that has a meaning; made with mode 0640 where
 * there is none. A regular file can be read too: the logger looks at its last octet. "-": standard
 * output, as it is.
 * -1: why says what is wrong, without the path.
 */
int log_file_open(const char *path, char why[LOG_FILE_WHY_MAX]);

/*
 * A new file takes the place of path, which becomes path.1, path.1 becomes path.2 and so on; the
 * one that would get a number above keep is replaced. The new one is made first (path.new), so that
 * a folder that is full or read-only changes nothing.
 * Returns the new file as log_file_open() does. -1: why says what is wrong; path still is the old
 * file, also where some of the old ones have their new numbers already.
 */
int log_file_rotate(const char *path, unsigned keep, char why[LOG_FILE_WHY_MAX]);

#endif
