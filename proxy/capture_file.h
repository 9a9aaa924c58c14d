/*
 * capture_file - a capture on disk, or from standard input: pcap and pcapng, of any byte order,
 * with times in micro- or nanoseconds, through libpcap.
 */
#ifndef POSTERN_CAPTURE_FILE_H
#define POSTERN_CAPTURE_FILE_H

#include <sys/time.h>

#include "net/frame.h"

#define CAPTURE_FILE_WHY	512 /* octets of a message, with its NUL */
#define CAPTURE_FILE_BUFFER_MIN (16u << 10)

struct capture_file;

/*
 * path    "-": standard input, which is read once
 * buffer  octets that are read at a time, from CAPTURE_FILE_BUFFER_MIN on
 * why     on failure: what is wrong, one line
 *
 * NULL: it cannot be read, is no capture, or has a link layer that is not understood.
 */
struct capture_file *capture_file_open(const char *path, size_t buffer, char why[CAPTURE_FILE_WHY]);
void capture_file_close(struct capture_file *); /* NULL is fine */

struct captured {
	struct timeval when;
	struct span octets; /* good until the next call */
};

enum captured_verdict {
	CAPTURED_FRAME,	 /* *out */
	CAPTURED_END,	 /* of a whole file */
	CAPTURED_DAMAGE, /* it cannot be read any further: why */
};

enum captured_verdict capture_file_next(
    struct capture_file *, struct captured *out, char why[CAPTURE_FILE_WHY]);

enum frame_link capture_file_link(const struct capture_file *);
/* Number of the frame that was read last, or that could not be read; from 1. */
uint64_t capture_file_number(const struct capture_file *);
/* Octets of it: as many as there are (0: nobody knows), and as were read so far. */
uint64_t capture_file_size(const struct capture_file *);
uint64_t capture_file_position(const struct capture_file *);

#endif
