/*
 * log_pipe - a worker's end of the pipe to the logger.
 *
 * A disk may stall; a worker may not. The pipe does not block, and a bounded queue of whole lines
 * stands behind it; what overflows is counted, and said in one "stats" record ("log_lines_dropped")
 * once half of the queue is free again.
 *
 * What is written in one turn of the event loop goes with one write at the end of that turn (or
 * when there is 64 KiB of it): a worker that crashes takes the records of that turn with it. Where
 * that may not be, each line is written at once.
 *
 * A logger that dies is no more than a pause: the supervisor holds the reading end too, and gives
 * it to the next one. A pipe that nobody can read any more says that the supervisor is gone.
 */
#ifndef POSTERN_LOG_PIPE_H
#define POSTERN_LOG_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_RING_MAX (8u << 20) /* octets of lines that wait in a worker */

struct event_base;
struct log_pipe;

/*
 * ends[0] to read, ends[1] to write; both close-on-exec and non-blocking, with room for a MiB where
 * the kernel grants it. False: errno.
 */
bool log_pipe_pair(int ends[2]);
/* All writing ends are closed, and a logger has read everything: no other one needs it. */
bool log_pipe_drained(int reading_end);

/*
 * Owns fd, also when it fails. at_once: no line waits for the end of the turn. NULL: no memory. The
 * process must ignore SIGPIPE.
 */
struct log_pipe *log_pipe_new(struct event_base *, int fd, bool at_once);
/* Writes what still waits (at most wait_ms for room), closes the pipe. NULL is fine. */
void log_pipe_free(struct log_pipe *, int wait_ms);
/* One whole line with its newline. Never blocks. Of the type record_sink. */
void log_pipe_write(void *log_pipe, const char *line, size_t n);
/* Lines that went into the pipe or its queue so far. */
uint64_t log_pipe_written(const struct log_pipe *);
/* Lines that were dropped so far: the queue was full, or nobody can read any more. */
uint64_t log_pipe_dropped(const struct log_pipe *);
/*
 * Records of this worker are being lost or soon will be: more than half of the queue is in use,
 * lines were dropped and that could not be said yet, or nobody can read any more. It passes by
 * itself as soon as the pipe is read again; nothing has to be written for that.
 */
bool log_pipe_in_trouble(const struct log_pipe *);

#endif
