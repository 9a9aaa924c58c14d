/*
 * logger - the process that writes records to disk, and the pipe that leads to it.
 *
 * A disk may stall; a worker may not. Each worker writes to its own non-blocking pipe, with a
 * bounded ring of whole lines behind it; what overflows is counted, and said in one "stats"
 * record when the log works again. The logger does nothing but read pipes and write one file.
 */
#ifndef POSTERN_LOGGER_H
#define POSTERN_LOGGER_H

#include "core/span.h"

#define LOG_RING_MAX (8u << 20) /* octets of lines that wait in a worker */

struct event_base;
struct log_pipe;

/*
 * Opens path ("-": standard output; else append, created 0640) and starts the process.
 * Returns the writing end for log_pipe_new(), close-on-exec; -1: *why says what is wrong.
 * *pid: of the logger; it ends by itself when the last writing end is closed, after it has
 * written everything.
 */
int logger_start(const char *path, int *pid, const char **why);

/* Owns fd. NULL: no memory. */
struct log_pipe *log_pipe_new(struct event_base *, int fd);
/* Writes what still waits (at most wait_ms), closes the pipe. NULL is fine. */
void log_pipe_free(struct log_pipe *, int wait_ms);
/* One whole line with its newline. Never blocks. Of the type record_sink. */
void log_pipe_write(void *log_pipe, const char *line, size_t n);
/* Lines that were dropped so far. */
uint64_t log_pipe_dropped(const struct log_pipe *);

#endif
