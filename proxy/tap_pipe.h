/*
 * tap_pipe - a worker's end of the socket to the process that writes captures.
 *
 * Nothing here blocks. Records of one turn of the event loop go in as few datagrams as they fit in;
 * where the process does not keep up, TAP_RING_MAX octets of them wait, and what comes then is
 * dropped and counted. Each time that records were dropped one "stats" record says so
 * ("capture_dropped"), once half of the queue is free again.
 */
#ifndef POSTERN_TAP_PIPE_H
#define POSTERN_TAP_PIPE_H

#include "record.h"
#include "tap.h"

struct event_base;
struct tap_pipe;

/* Two ends of SOCK_SEQPACKET, close-on-exec and non-blocking: [0] to read, [1] to write. */
bool tap_pipe_pair(int ends[2]);

/* Owns fd, also when it fails; sink: for stats. NULL: no memory. */
struct tap_pipe *tap_pipe_new(struct event_base *, int fd, record_sink *, void *sink_arg);
/* Sends what still waits (at most wait_ms for room). NULL is fine. */
void tap_pipe_free(struct tap_pipe *, int wait_ms);

/*
 * The record r (size, length and n are filled in here) with n octets behind it, which the caller
 * may write to until the next call: there. NULL: there is no room, and it was counted.
 */
uint8_t *tap_pipe_put(struct tap_pipe *, const struct tap_record *r, size_t length, size_t n);

/* Records that were dropped so far, and those that were sent or wait. */
uint64_t tap_pipe_dropped(const struct tap_pipe *);
uint64_t tap_pipe_written(const struct tap_pipe *);

#endif
