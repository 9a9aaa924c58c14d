/*
 * tap_files - the capture files of one section: begun, written, rotated, and the oldest removed.
 *
 *	postern-NAME-20261127T204501-000001.pcapng	UTC; the number tells those of a second
 *apart
 *
 * Only files with such a name, of this very section, are ever counted or removed. Each is made
 * anew (mode 0600, O_EXCL, no symbolic link is followed), relative to a directory that was handed
 * over; nothing that exists is ever opened. Before one is begun the oldest go, until it has room in
 * the budget at its largest.
 *
 * A block is written whole or not at all: where the disk is full the file is cut to what was whole
 * before, what comes is counted as lost, and it is tried again from time to time.
 */
#ifndef POSTERN_TAP_FILES_H
#define POSTERN_TAP_FILES_H

#include "tap.h"

#define TAP_FILES_BUFFER   (256u << 10) /* octets that wait for a write */
#define TAP_FILES_RETRY_MS 1000
#define TAP_FILES_NAME	   160 /* octets of a name with its NUL */

struct tap_files;

/*
 * directory is owned from here on, also when it fails. sink, as record_sink: not used for lines.
 * NULL: no memory.
 */
struct tap_files *tap_files_new(int directory, const struct tap_rule *);
/* Writes what waits. NULL is fine. */
void tap_files_free(struct tap_files *);

/* Frames of a record. Those that could not be written are counted. */
void tap_files_write(struct tap_files *, const struct tap_record *);
/* What waits is written now. And: so much time has passed that the file may be over. */
void tap_files_flush(struct tap_files *);
/* The next frame begins a new file. */
void tap_files_rotate(struct tap_files *);

struct tap_files_stats {
	uint64_t octets, frames, files, removed;
	uint64_t lost; /* frames */
	int trouble;   /* errno of the last write, 0: it went well */
};
const struct tap_files_stats *tap_files_stats(const struct tap_files *);

#endif
