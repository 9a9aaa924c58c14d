/*
 * packet - IPv4 (RFC 791) and IPv6 (RFC 8200) packets, whole or in fragments, to what they carry.
 *
 * A packet that is no fragment is read in place, without a copy. Fragments are put together in a
 * bounded store: at most PACKET_FRAGMENTS_MAX datagrams at once,
 * PACKET_FRAGMENT_OCTETS octets of them, the oldest go first; one that is not whole after
 * PACKET_FRAGMENT_SECONDS goes too. Fragments that overlap: IPv6 drops the datagram (RFC 5722); of
 * IPv4 what came first stays, and it is said. 4in6, 6in4, 6in6, 4in4 and GRE without keys (IP, or
 * Ethernet, in it) are followed up to PACKET_TUNNELS_MAX deep; a tunnel that is not followed is
 * PACKET_WHOLE with its own protocol.
 *
 * Not looked at: the checksum of IPv4 headers (network cards write it behind the capture), options,
 * routing headers. A length of 0 (a packet that the card was to cut up, a jumbogram) takes all that
 * is there. A fragment that the capture has cut is PACKET_MALFORMED.
 */
#ifndef POSTERN_NET_PACKET_H
#define POSTERN_NET_PACKET_H

#include "core/span.h"

#define PACKET_FRAGMENTS_MAX	1024
#define PACKET_FRAGMENT_OCTETS	(4u << 20)
#define PACKET_FRAGMENT_SECONDS 30
#define PACKET_TUNNELS_MAX	4

/* Addresses are of 16 octets; IPv4's is in the first four, the others are zero. */
struct packet_address {
	bool v6;
	uint8_t octets[16];
};

struct packet {
	struct packet_address from, to;
	uint8_t protocol;    /* 6: TCP, 17: UDP, ... (IANA protocol numbers) */
	uint8_t hops;	     /* TTL, hop limit */
	struct span payload; /* without the padding of the link layer */
	size_t missing;	     /* octets that the header promises and the capture has not (snaplen) */
	bool contradicted;   /* put together out of IPv4 fragments that contradicted each other */
};

enum packet_verdict {
	PACKET_WHOLE,	  /* *out; a datagram put together is good until the next call */
	PACKET_KEPT,	  /* a fragment of one that is not whole yet */
	PACKET_CONFLICT,  /* the same, and it contradicts what was there: X-002; the last fragment
			     of a datagram says it in out->contradicted instead */
	PACKET_MALFORMED, /* cut ahead of its payload, or senseless */
};

struct packets;

/* seed: random, so that nobody can choose which datagrams share a bucket. NULL: no memory. */
struct packets *packets_new(const uint64_t seed[2]);
void packets_free(struct packets *);

/* now: seconds of the capture's own time. */
enum packet_verdict packets_read(
    struct packets *, struct span ip, uint64_t now, struct packet *out);

/* Nothing comes any more: datagrams that are not whole are given up. */
void packets_end(struct packets *);
/* Datagrams that were given up, incomplete, since packets_new(). */
uint64_t packets_lost(const struct packets *);

#endif
