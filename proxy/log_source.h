/*
 * log_source - whole lines out of one pipe, for the logger. Lines that begin with
 * RECORD_XFERLOG_START are for another file: they are kept apart, without that beginning.
 *
 * What is no whole line is dropped and counted as one line: the rest of a line whose beginning
 * another logger has read (before it died), the beginning of one whose writer died, and one that
 * is longer than any record.
 */
#ifndef POSTERN_LOG_SOURCE_H
#define POSTERN_LOG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

#define LOG_TURN       (64u << 10) /* octets that are read at once */
/*
 * Room for the rest of a line that waits for a full disk, the beginning of another one, and a turn.
 * Untouched memory costs nothing.
 */
#define LOG_SOURCE_MAX (2 * (RECORD_LINE_MAX + LOG_TURN))

struct log_source {
	int fd; /* -1: at its end, or there never was a pipe */
	unsigned slot;
	bool first;    /* no line has ended yet */
	bool skipping; /* up to the end of a line that is too long to be one of ours */
	uint8_t *p;    /* LOG_SOURCE_MAX octets: whole lines, then the beginning of one */
	size_t n;
	struct log_source *xferlog; /* NULL: no such line came yet */
};

/* Owns fd (may be -1), also when it fails. NULL: no memory. */
struct log_source *log_source_new(int fd, unsigned slot);
void log_source_free(struct log_source *); /* NULL is fine */

/*
 * One turn. Returns the lines that were dropped, each counted once. At the end of the pipe fd is
 * closed and -1. There must be room: n is at most LOG_SOURCE_MAX - LOG_TURN.
 */
unsigned log_source_read(struct log_source *);
/* Octets of whole lines at the front. */
size_t log_source_whole(const struct log_source *);
/* Takes out the octets from..to. */
void log_source_cut(struct log_source *, size_t from, size_t to);
/* Puts a line behind the whole ones; of the type record_sink. Without room it is not put. */
void log_source_put(void *source, const char *line, size_t n);

#endif
