/*
 * log_pipe - a worker's end of the pipe to the logger.
 *
 * A disk may stall; a worker may not. The pipe does not block, and a bounded queue of whole lines
 * stands behind it; what overflows is counted, and said in one "stats" record ("log_lines_dropped")
 * once half of the queue is free again.
 */
#ifndef POSTERN_LOG_PIPE_H
#define POSTERN_LOG_PIPE_H

#include <stddef.h>
#include <stdint.h>

#define LOG_RING_MAX (8u << 20) /* octets of lines that wait in a worker */

struct event_base;
struct log_pipe;

/* Owns fd, also when it fails. NULL: no memory. The process must ignore SIGPIPE. */
struct log_pipe *log_pipe_new(struct event_base *, int fd);
/* Writes what still waits (at most wait_ms), closes the pipe. NULL is fine. */
void log_pipe_free(struct log_pipe *, int wait_ms);
/* One whole line with its newline. Never blocks. Of the type record_sink. */
void log_pipe_write(void *log_pipe, const char *line, size_t n);
/* Lines that were dropped so far: the queue was full, or the logger is gone. */
uint64_t log_pipe_dropped(const struct log_pipe *);

#endif
