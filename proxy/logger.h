/*
 * logger - the process that writes records to disk.
 *
 * It does nothing but read one pipe and write one file, so it may stall where nobody else may.
 * While the file cannot be written (a full disk) it goes on reading, counts the lines that are
 * lost, and says so in one "stats" record ("log_lines_lost") when it can be written again. The
 * file holds whole lines only: one that was cut by a full disk is completed first.
 *
 * SIGUSR1: opens the path again (log rotation). SIGINT, SIGTERM and SIGHUP are ignored: it ends by
 * itself when the last writing end is closed, after it has written everything.
 */
#ifndef POSTERN_LOGGER_H
#define POSTERN_LOGGER_H

#include "log_pipe.h"

/*
 * path    "-": standard output; else appended to, created 0640
 * *pid    of the logger
 * *why    on failure, what is wrong; good until the next call of strerror()
 *
 * Returns the writing end for log_pipe_new(), close-on-exec and non-blocking, or -1.
 */
int logger_start(const char *path, int *pid, const char **why);

#endif
