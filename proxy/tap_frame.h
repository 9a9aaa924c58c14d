/*
 * tap_frame - records of a tap as a capture file: pcapng (draft-ietf-opsawg-pcapng), one interface
 * of LINKTYPE_RAW, little-endian; IPv4 (RFC 791) or IPv6 (RFC 8200) with TCP (RFC 9293), checksums
 * right, no options.
 *
 * Sequence numbers begin at a number that follows from flow and connection, so that it is the same
 * whoever writes a frame of it. What was not captured is in the numbers all the same: octets that
 * were left out on purpose are segments of which only the headers were captured, lost ones are a
 * hole.
 *
 * The first and the last frame of a connection have a comment:
 *	postern flow_id=4711 capture=all protocol=smtp leg=client port=465 tls
 * port: the true one, where another one is shown. tls: on the wire it is encrypted.
 */
#ifndef POSTERN_TAP_FRAME_H
#define POSTERN_TAP_FRAME_H

#include "tap.h"

#define TAP_FRAME_BEGIN 64 /* octets at the start of a file, at most */
/* Octets of one block at most: a segment, or frames with a comment. */
#define TAP_FRAME_MAX	17408u

/* Section and interface. Returns the octets. */
size_t tap_frame_begin(uint8_t out[TAP_FRAME_BEGIN]);

/* Frames of a record: how many there are, and the one of number i; name: of the section. */
unsigned tap_frame_count(const struct tap_record *);
size_t tap_frame_write(
    const struct tap_record *, const char *name, unsigned i, uint8_t out[TAP_FRAME_MAX]);

#endif
