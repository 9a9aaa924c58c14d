/*
 * segment - one TCP segment (RFC 9293 s3.1) in an IP payload.
 */
#ifndef POSTERN_TCP_SEGMENT_H
#define POSTERN_TCP_SEGMENT_H

#include "net/packet.h"

#define SEGMENT_NO_SCALE  0xff
#define SEGMENT_SCALE_MAX 14

enum segment_flag {
	SEGMENT_FIN = 0x01,
	SEGMENT_SYN = 0x02,
	SEGMENT_RST = 0x04,
	SEGMENT_PSH = 0x08,
	SEGMENT_ACK = 0x10,
	SEGMENT_URG = 0x20,
};

struct segment {
	uint16_t from_port, to_port;
	uint32_t seq, ack;
	uint16_t window, urgent;
	uint8_t flags, hops;
	uint8_t scale;	     /* of a SYN: its window scale (RFC 7323 s2), or */
	struct span payload; /* in the packet's */
	size_t missing;	     /* octets behind it that the capture does not have */
};

/* False: it is cut within its header, or senseless. */
bool segment_read(const struct packet *, struct segment *);
/* The checksum over it and the pseudo header is right; one that is cut is taken for right. */
bool segment_checksum_holds(const struct packet *);

#endif
