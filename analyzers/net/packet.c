#include "net/packet.h"

#include <stdlib.h>

#include "net/fragments.h"
#include "net/frame.h"
#include "net/wire.h"

#define V4_HEADER   20
#define V6_HEADER   40
#define MORE	    0x2000 /* IPv4: fragments follow */
#define OFFSET_MASK 0x1fff
#define GRE_HEADER  4
#define GRE_SUM	    0x8000 /* a checksum follows */
#define GRE_REST    0x6fff /* routing, a key, a version other than 0: not followed */
#define GRE_NUMBER  0x1000 /* a sequence number follows */

enum protocol_number {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_IPV4 = 4,
	PROTOCOL_IPV6 = 41,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_GRE = 47,
	PROTOCOL_AH = 51,
	PROTOCOL_DESTINATION = 60,
	PROTOCOL_MOBILITY = 135,
	PROTOCOL_HIP = 139,
	PROTOCOL_SHIM6 = 140,
};

enum gre_type {
	GRE_IPV4 = 0x0800,
	GRE_ETHERNET = 0x6558,
	GRE_IPV6 = 0x86dd,
};

struct packets {
	struct fragments *fragments;
};

struct packets *
packets_new(const uint64_t seed[2])
{
	struct packets *ps = calloc(1, sizeof(*ps));

	if (ps == NULL)
		return NULL;
	if ((ps->fragments = fragments_new(seed)) == NULL) {
		free(ps);
		return NULL;
	}
	return ps;
}

void
packets_free(struct packets *ps)
{
	if (ps == NULL)
		return;
	fragments_free(ps->fragments);
	free(ps);
}

void
packets_end(struct packets *ps)
{
	fragments_end(ps->fragments);
}

uint64_t
packets_lost(const struct packets *ps)
{
	return fragments_lost(ps->fragments);
}

/* ---- one header ---- */

/*
 * What the header promises, of what is there. A length of zero is of a packet that the network
 * card was to cut up (and of an IPv6 jumbogram): everything belongs to it.
 */
static void
bound_payload(struct packet *out, struct span rest, size_t promised, bool unknown)
{
	out->payload = unknown ? rest : span_first(rest, promised);
	out->missing = unknown || promised <= rest.n ? 0 : promised - rest.n;
}

static struct fragment_key
key_of(const struct packet *p, uint32_t id)
{
	struct fragment_key key = {.id = id, .v6 = p->from.v6};

	memcpy(key.from, p->from.octets, sizeof(key.from));
	memcpy(key.to, p->to.octets, sizeof(key.to));
	key.protocol = p->from.v6 ? 0 : p->protocol;
	return key;
}

/*
 * A fragment into the store; *out becomes the whole. One that is cut cannot become part of
 * anything.
 */
static enum packet_verdict
add_fragment(struct packets *ps, struct fragment *g, uint64_t now, struct packet *out)
{
	struct datagram whole;
	enum packet_verdict v;

	if (out->missing > 0)
		return PACKET_MALFORMED;
	g->payload = out->payload;
	g->protocol = out->protocol;
	if ((v = fragments_add(ps->fragments, g, now, &whole)) != PACKET_WHOLE)
		return v;
	out->payload = whole.payload;
	out->protocol = whole.protocol;
	out->contradicted |= whole.contradicted;
	return PACKET_WHOLE;
}

static enum packet_verdict
read_v4(struct packets *ps, struct span ip, uint64_t now, struct packet *out)
{
	size_t header, total;
	struct fragment g;
	uint16_t offset;

	if (ip.n < V4_HEADER)
		return PACKET_MALFORMED;
	header = (size_t)(ip.p[0] & 0x0f) * 4;
	total = wire_u16(ip.p + 2);
	if (header < V4_HEADER || ip.n < header || (total != 0 && total < header))
		return PACKET_MALFORMED;
	out->from = out->to = (struct packet_address){.v6 = false};
	memcpy(out->from.octets, ip.p + 12, 4);
	memcpy(out->to.octets, ip.p + 16, 4);
	out->hops = ip.p[8];
	out->protocol = ip.p[9];
	bound_payload(out, span_from(ip, header), total - header, total == 0);
	offset = wire_u16(ip.p + 6);
	if (!(offset & (MORE | OFFSET_MASK)))
		return PACKET_WHOLE;
	g = (struct fragment){.key = key_of(out, wire_u16(ip.p + 4)),
	    .offset = (size_t)(offset & OFFSET_MASK) * 8,
	    .last = !(offset & MORE)};
	return add_fragment(ps, &g, now, out);
}

/* Octets of an extension header that begins with s; 0: it is none. */
static size_t
extension_size(uint8_t protocol, struct span s)
{
	switch (protocol) {
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_DESTINATION:
	case PROTOCOL_MOBILITY:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
		return 8 + (size_t)s.p[1] * 8;
	case PROTOCOL_AH:
		return 8 + (size_t)s.p[1] * 4;
	case PROTOCOL_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

static bool
is_extension(uint8_t protocol)
{
	return extension_size(protocol, span_of("\0\0", 2)) > 0;
}

/* Goes over one extension header (RFC 8200 s4). */
static enum packet_verdict
read_extension(struct packets *ps, uint64_t now, struct packet *out)
{
	struct span s = out->payload;
	uint8_t protocol = out->protocol;
	struct fragment g;
	uint16_t offset;

	if (s.n < 8 || s.n < extension_size(protocol, s))
		return PACKET_MALFORMED;
	out->protocol = s.p[0];
	out->payload = span_from(s, extension_size(protocol, s));
	if (protocol != PROTOCOL_FRAGMENT)
		return PACKET_WHOLE;
	offset = wire_u16(s.p + 2);
	if (!(offset & ~0x06u)) /* all of a datagram in one fragment: RFC 6946 */
		return PACKET_WHOLE;
	g = (struct fragment){.key = key_of(out, wire_u32(s.p + 4)),
	    .offset = offset & ~0x07u,
	    .last = !(offset & 1)};
	return add_fragment(ps, &g, now, out);
}

static enum packet_verdict
read_v6(struct packets *ps, struct span ip, uint64_t now, struct packet *out)
{
	enum packet_verdict v = PACKET_WHOLE;
	size_t promised;
	bool put_together = false;

	if (ip.n < V6_HEADER)
		return PACKET_MALFORMED;
	promised = wire_u16(ip.p + 4);
	out->from = out->to = (struct packet_address){.v6 = true};
	memcpy(out->from.octets, ip.p + 8, 16);
	memcpy(out->to.octets, ip.p + 24, 16);
	out->protocol = ip.p[6];
	out->hops = ip.p[7];
	bound_payload(out, span_from(ip, V6_HEADER), promised, promised == 0);
	while (v == PACKET_WHOLE && is_extension(out->protocol)) {
		/* nobody makes fragments of fragments */
		if (out->protocol == PROTOCOL_FRAGMENT && put_together)
			return PACKET_MALFORMED;
		put_together |= out->protocol == PROTOCOL_FRAGMENT;
		v = read_extension(ps, now, out);
	}
	return v;
}

/* ---- tunnels ---- */

/* What GRE (RFC 2784, and the sequence number of RFC 2890) carries. */
static enum frame_verdict
open_gre(struct span s, struct span *inner)
{
	uint16_t flags, type;
	size_t header = GRE_HEADER;

	if (s.n < GRE_HEADER)
		return FRAME_MALFORMED;
	flags = wire_u16(s.p);
	type = wire_u16(s.p + 2);
	header += (flags & GRE_SUM ? 4u : 0) + (flags & GRE_NUMBER ? 4u : 0);
	if (flags & GRE_REST)
		return FRAME_OTHER;
	if (s.n <= header)
		return FRAME_MALFORMED;
	*inner = span_from(s, header);
	if (type == GRE_ETHERNET)
		return frame_packet(FRAME_ETHERNET, *inner, inner);
	return type == GRE_IPV4 || type == GRE_IPV6 ? FRAME_IP : FRAME_OTHER;
}

static enum frame_verdict
open_tunnel(const struct packet *p, struct span *inner)
{
	switch (p->protocol) {
	case PROTOCOL_IPV4:
	case PROTOCOL_IPV6:
		*inner = p->payload;
		return FRAME_IP;
	case PROTOCOL_GRE:
		return open_gre(p->payload, inner);
	default:
		return FRAME_OTHER;
	}
}

enum packet_verdict
packets_read(struct packets *ps, struct span ip, uint64_t now, struct packet *out)
{
	enum packet_verdict v;

	*out = (struct packet){.protocol = 0};
	for (unsigned depth = 0;; depth++) {
		if (ip.n == 0)
			return PACKET_MALFORMED;
		switch (ip.p[0] >> 4) {
		case 4:
			v = read_v4(ps, ip, now, out);
			break;
		case 6:
			v = read_v6(ps, ip, now, out);
			break;
		default:
			return PACKET_MALFORMED;
		}
		if (v != PACKET_WHOLE || depth == PACKET_TUNNELS_MAX)
			return v;
		switch (open_tunnel(out, &ip)) {
		case FRAME_IP:
			break;
		case FRAME_OTHER:
			return PACKET_WHOLE;
		case FRAME_MALFORMED:
			return PACKET_MALFORMED;
		}
	}
}
