/*
 * mime_work - what the readers of messages that bench_mime.py compares have in common: the messages
 * in memory, how often they are read, and what is said of it.
 *
 *	PROGRAM FILE SECONDS WORK [MESSAGES INDEX]
 *
 * FILE is a message; with an INDEX it is many, one behind the other, and INDEX has their sizes, one
 * a line. All are read over and over again until SECONDS went by and MESSAGES (1) were read.
 *
 * Printed: MB/s (10^6 octets of messages), messages, seconds, seconds of processor time, and what
 * was found in all of them together: leaves, decoded octets, digests.
 */
#ifndef POSTERN_BENCH_MIME_WORK_H
#define POSTERN_BENCH_MIME_WORK_H

#include <stddef.h>
#include <stdint.h>

struct mime_found {
	uint64_t leaves, octets;
	uint64_t digests; /* of the leaves, the first eight octets of each, added up */
};

struct mime_work {
	const char *name; /* WORK */
	double seconds;
	uint64_t messages;
	uint8_t *octets; /* of all messages */
	size_t n;
	size_t *ends; /* of each message */
	size_t n_ends;
};

/* Ends the program where the arguments, or the files, are none. */
struct mime_work mime_work_open(int argc, char **argv);

/* Does it, and prints. One call a message; it adds to what was found. */
void mime_work_do(const struct mime_work *,
    void (*read)(void *arg, size_t start, size_t end, struct mime_found *), void *arg);

void mime_found_digest(struct mime_found *, const uint8_t *sha256);

#endif
