/*
 * fragments - datagrams out of their fragments, in bounded storage (net/packet.h has the bounds).
 *
 * Where fragments overlap: what came first stays (IPv4), or nothing of the datagram does (IPv6,
 * RFC 5722); a fragment that is there once more, octet for octet, is no contradiction in either.
 */
#ifndef POSTERN_NET_FRAGMENTS_H
#define POSTERN_NET_FRAGMENTS_H

#include "net/packet.h"

/* Which datagram it belongs to: RFC 791 s3.2, RFC 8200 s4.5. */
struct fragment_key {
	uint8_t from[16], to[16];
	uint32_t id;
	uint8_t v6, protocol; /* protocol: 0 with IPv6 */
	uint8_t zero[2];      /* there are no octets of padding: it is compared and hashed whole */
};

struct fragment {
	struct fragment_key key;
	size_t offset;	     /* octets, a multiple of 8 */
	struct span payload; /* a multiple of 8 octets unless it is the last */
	uint8_t protocol;    /* what the first one says of the whole */
	bool last;
};

struct fragments;

struct fragments *fragments_new(const uint64_t seed[2]); /* NULL: no memory */
void fragments_free(struct fragments *);

/* What fragments_add() put together, good until its next call. */
struct datagram {
	struct span payload;
	uint8_t protocol;
	bool contradicted;
};

/* PACKET_WHOLE: *out; else PACKET_KEPT, PACKET_CONFLICT or PACKET_MALFORMED. */
enum packet_verdict fragments_add(
    struct fragments *, const struct fragment *, uint64_t now, struct datagram *out);

void fragments_end(struct fragments *); /* gives up all that is not whole */
uint64_t fragments_lost(const struct fragments *);

#endif
