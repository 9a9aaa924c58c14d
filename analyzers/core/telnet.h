/*
 * telnet - what TELNET puts among the octets of a line. Source: RFC 854.
 */
#ifndef POSTERN_TELNET_H
#define POSTERN_TELNET_H

#include "core/buf.h"

enum telnet_octet {
	TELNET_SE = 240,
	TELNET_NOP = 241,
	TELNET_DM = 242,
	TELNET_IP = 244,
	TELNET_GA = 249,
	TELNET_SB = 250,
	TELNET_WILL = 251, /* this and the three behind it are followed by an option */
	TELNET_DONT = 254,
	TELNET_IAC = 255,
};

/*
 * Appends the octets of a whole line without its TELNET sequences; IAC IAC is one octet 255.
 * *found: there were sequences (IAC IAC is none), or one that the line ends in the middle of. A
 * subnegotiation that does not end reaches to the end of the line. False: no memory.
 */
bool telnet_plain(struct span line, struct buf *out, bool *found);
/* Appends octets as they go on the wire: 255 doubled. False: no memory, or out is full. */
bool telnet_write(struct span octets, struct buf *out);

#endif
