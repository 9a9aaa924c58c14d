/*
 * frame - the link layers of captures: from a frame to the IP packet in it.
 *
 * Ethernet II and 802.3 with LLC/SNAP, any number (up to FRAME_TAGS_MAX) of VLAN tags (802.1Q,
 * 802.1ad, 0x9100), Linux cooked v1 and v2, raw IP, BSD loopback (either byte order), PPP and
 * PPPoE sessions, MPLS label stacks. Everything else says so.
 */
#ifndef POSTERN_NET_FRAME_H
#define POSTERN_NET_FRAME_H

#include "core/span.h"

#define FRAME_TAGS_MAX 8 /* VLAN tags and MPLS labels on the way to a packet */

/* The link types of https://www.tcpdump.org/linktypes.html that are understood. */
enum frame_link {
	FRAME_ETHERNET,
	FRAME_RAW,    /* IPv4 or IPv6, by its first four bits: LINKTYPE_RAW, IPV4, IPV6, DLT_RAW */
	FRAME_NULL,   /* LINKTYPE_NULL: address family in the capturing host's byte order */
	FRAME_LOOP,   /* LINKTYPE_LOOP: the same in network byte order */
	FRAME_COOKED, /* LINKTYPE_LINUX_SLL */
	FRAME_COOKED_2, /* LINKTYPE_LINUX_SLL2 */
	FRAME_PPP,	/* LINKTYPE_PPP, PPP_HDLC */
	FRAME_PPPOE,	/* LINKTYPE_PPP_ETHER */
	FRAME_LINKS
};

/* By the number in a capture file, or libpcap's DLT_ of it; false: it is not understood. */
bool frame_link_of(int linktype, enum frame_link *);

enum frame_verdict {
	FRAME_IP,    /* *packet is what is behind the link layer: an IP packet, perhaps padded */
	FRAME_OTHER, /* whole, and nothing of IP: ARP, LLDP, PPP's own, ... */
	FRAME_MALFORMED, /* cut, or senseless */
};

/* packet points into frame. */
enum frame_verdict frame_packet(enum frame_link, struct span frame, struct span *packet);

#endif
