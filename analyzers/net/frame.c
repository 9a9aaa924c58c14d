#include "net/frame.h"

#include "net/wire.h"

#define ETHERNET_HEADER 14
#define ETHERNET_TYPE	12   /* where it stands */
#define LENGTH_MAX	1500 /* an EtherType up to here is the length of an 802.3 frame */
#define LLC_HEADER	3
#define SNAP_HEADER	5
#define TAG_SIZE	4 /* of a VLAN tag: two octets, and the type of what follows */
#define LABEL_SIZE	4
#define LABEL_BOTTOM	0x01 /* in its third octet */
#define FAMILY_SIZE	4
#define COOKED_HEADER	16
#define COOKED_2_HEADER 20
#define PPPOE_HEADER	6
#define PPPOE_VERSION	0x11

/* What stands next in a frame. */
enum layer {
	LAYER_TYPE,  /* what an EtherType says */
	LAYER_LLC,   /* 802.2 */
	LAYER_MPLS,  /* a stack of labels */
	LAYER_PPP,   /* RFC 1661 */
	LAYER_PPPOE, /* RFC 2516 s4 */
	LAYER_IP,
	LAYER_OTHER,
	LAYER_MALFORMED,
};

struct walk {
	struct span rest;
	uint16_t type; /* LAYER_TYPE: the EtherType ahead of rest */
	unsigned tags;
};

enum ether_type {
	TYPE_IPV4 = 0x0800,
	TYPE_TAG = 0x8100,
	TYPE_IPV6 = 0x86dd,
	TYPE_MPLS = 0x8847,
	TYPE_MPLS_MULTICAST = 0x8848,
	TYPE_PPPOE = 0x8864,
	TYPE_TAG_SERVICE = 0x88a8,
	TYPE_TAG_OLD = 0x9100,
};

/* In Linux cooked headers, in the place of an EtherType. */
#define COOKED_802_3 0x0001
#define COOKED_802_2 0x0004

bool
frame_link_of(int linktype, enum frame_link *link)
{
	static const struct {
		int linktype;
		enum frame_link link;
	} links[] = {
	    {0, FRAME_NULL},
	    {1, FRAME_ETHERNET},
	    {9, FRAME_PPP},
	    {12, FRAME_RAW}, /* DLT_RAW, but for OpenBSD */
	    {14, FRAME_RAW}, /* DLT_RAW of OpenBSD */
	    {50, FRAME_PPP},
	    {51, FRAME_PPPOE},
	    {101, FRAME_RAW},
	    {108, FRAME_LOOP},
	    {113, FRAME_COOKED},
	    {228, FRAME_RAW},
	    {229, FRAME_RAW},
	    {276, FRAME_COOKED_2},
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (links[i].linktype != linktype)
			continue;
		*link = links[i].link;
		return true;
	}
	return false;
}

/* Goes over n octets; false: there are not so many. */
static bool
skip(struct walk *w, size_t n)
{
	if (w->rest.n < n)
		return false;
	w->rest = span_from(w->rest, n);
	return true;
}

static enum layer
after_tag(struct walk *w)
{
	if (w->rest.n < TAG_SIZE || ++w->tags > FRAME_TAGS_MAX)
		return LAYER_MALFORMED;
	w->type = wire_u16(w->rest.p + 2);
	w->rest = span_from(w->rest, TAG_SIZE);
	return LAYER_TYPE;
}

static enum layer
by_type(struct walk *w)
{
	switch (w->type) {
	case TYPE_IPV4:
	case TYPE_IPV6:
		return LAYER_IP;
	case TYPE_TAG:
	case TYPE_TAG_SERVICE:
	case TYPE_TAG_OLD:
		return after_tag(w);
	case TYPE_MPLS:
	case TYPE_MPLS_MULTICAST:
		return LAYER_MPLS;
	case TYPE_PPPOE:
		return LAYER_PPPOE;
	default:
		return w->type <= LENGTH_MAX ? LAYER_LLC : LAYER_OTHER;
	}
}

/* IP in 802.2: under its own number, or in SNAP (RFC 1042) with an EtherType. */
static enum layer
by_llc(struct walk *w)
{
	static const uint8_t ip[] = {0x06, 0x06, 0x03};
	static const uint8_t snap[] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	struct span s = w->rest;

	if (s.n < LLC_HEADER)
		return LAYER_MALFORMED;
	if (memcmp(s.p, ip, sizeof(ip)) == 0)
		return skip(w, sizeof(ip)) ? LAYER_IP : LAYER_MALFORMED;
	if (memcmp(s.p, snap, LLC_HEADER) != 0)
		return LAYER_OTHER;
	if (!skip(w, LLC_HEADER + SNAP_HEADER))
		return LAYER_MALFORMED;
	if (memcmp(s.p, snap, sizeof(snap)) != 0)
		return LAYER_OTHER;
	w->type = wire_u16(s.p + sizeof(snap));
	return w->type <= LENGTH_MAX ? LAYER_OTHER : LAYER_TYPE;
}

/* RFC 3032. Below the labels nothing says what it is; IP shows itself (RFC 4928). */
static enum layer
by_label(struct walk *w)
{
	uint8_t third;

	do {
		if (w->rest.n < LABEL_SIZE || ++w->tags > FRAME_TAGS_MAX)
			return LAYER_MALFORMED;
		third = w->rest.p[2];
		w->rest = span_from(w->rest, LABEL_SIZE);
	} while (!(third & LABEL_BOTTOM));
	if (w->rest.n == 0)
		return LAYER_MALFORMED;
	return w->rest.p[0] >> 4 == 4 || w->rest.p[0] >> 4 == 6 ? LAYER_IP : LAYER_OTHER;
}

/*
 * With address and control (RFC 1662) or without, the protocol in one octet or in two; Cisco's
 * HDLC, which has an EtherType there, comes under the same link type.
 */
static enum layer
by_ppp(struct walk *w)
{
	struct span s = w->rest;
	uint16_t protocol;

	if (s.n >= 4 && (s.p[0] == 0x0f || s.p[0] == 0x8f) && s.p[1] == 0) {
		w->type = wire_u16(s.p + 2);
		return skip(w, 4) && w->type > LENGTH_MAX ? LAYER_TYPE : LAYER_OTHER;
	}
	if (s.n >= 2 && s.p[0] == 0xff && s.p[1] == 0x03)
		skip(w, 2);
	s = w->rest;
	if (s.n < 1 || (!(s.p[0] & 1) && s.n < 2))
		return LAYER_MALFORMED;
	protocol = s.p[0] & 1 ? s.p[0] : wire_u16(s.p);
	skip(w, s.p[0] & 1 ? 1 : 2);
	switch (protocol) {
	case 0x0021:
	case 0x0057:
		return LAYER_IP;
	case 0x0281:
	case 0x0283:
		return LAYER_MPLS;
	default:
		return LAYER_OTHER;
	}
}

static enum layer
by_pppoe(struct walk *w)
{
	struct span s = w->rest;

	if (!skip(w, PPPOE_HEADER) || s.p[0] != PPPOE_VERSION)
		return LAYER_MALFORMED;
	w->rest = span_first(w->rest, wire_u16(s.p + 4));
	return s.p[1] == 0 ? LAYER_PPP : LAYER_OTHER; /* discovery has codes */
}

/* ---- what a frame begins with ---- */

static enum layer
begin_ethernet(struct walk *w)
{
	struct span s = w->rest;

	if (!skip(w, ETHERNET_HEADER))
		return LAYER_MALFORMED;
	w->type = wire_u16(s.p + ETHERNET_TYPE);
	return LAYER_TYPE;
}

static enum layer
begin_raw(struct walk *w)
{
	if (w->rest.n == 0)
		return LAYER_MALFORMED;
	return w->rest.p[0] >> 4 == 4 || w->rest.p[0] >> 4 == 6 ? LAYER_IP : LAYER_OTHER;
}

/* What the systems call AF_INET and AF_INET6. */
static enum layer
by_family(uint32_t family)
{
	switch (family) {
	case 2:	 /* all */
	case 10: /* Linux */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* macOS */
		return LAYER_IP;
	default:
		return LAYER_OTHER;
	}
}

static enum layer
begin_loop(struct walk *w)
{
	struct span s = w->rest;

	return skip(w, FAMILY_SIZE) ? by_family(wire_u32(s.p)) : LAYER_MALFORMED;
}

static enum layer
begin_null(struct walk *w)
{
	struct span s = w->rest;
	uint32_t family;

	if (!skip(w, FAMILY_SIZE))
		return LAYER_MALFORMED;
	family = wire_u32(s.p);
	return by_family(family > 0xffff ? __builtin_bswap32(family) : family);
}

/* Of devices whose frames have no EtherType the protocol means something else. */
static enum layer
by_cooked(struct walk *w, uint16_t device, uint16_t protocol)
{
	enum {
		DEVICE_GRE = 778,
		DEVICE_RADIO = 803,
		DEVICE_NETLINK = 824,
	};

	if (device == DEVICE_GRE || device == DEVICE_RADIO || device == DEVICE_NETLINK ||
	    protocol == COOKED_802_3)
		return LAYER_OTHER;
	if (protocol == COOKED_802_2)
		return LAYER_LLC;
	w->type = protocol;
	return protocol <= LENGTH_MAX ? LAYER_OTHER : LAYER_TYPE;
}

static enum layer
begin_cooked(struct walk *w)
{
	struct span s = w->rest;

	if (!skip(w, COOKED_HEADER))
		return LAYER_MALFORMED;
	return by_cooked(w, wire_u16(s.p + 2), wire_u16(s.p + 14));
}

static enum layer
begin_cooked_2(struct walk *w)
{
	struct span s = w->rest;

	if (!skip(w, COOKED_2_HEADER))
		return LAYER_MALFORMED;
	return by_cooked(w, wire_u16(s.p + 8), wire_u16(s.p));
}

enum frame_verdict
frame_packet(enum frame_link link, struct span frame, struct span *packet)
{
	static enum layer (*const begins[])(struct walk *) = {
	    [FRAME_ETHERNET] = begin_ethernet,
	    [FRAME_RAW] = begin_raw,
	    [FRAME_NULL] = begin_null,
	    [FRAME_LOOP] = begin_loop,
	    [FRAME_COOKED] = begin_cooked,
	    [FRAME_COOKED_2] = begin_cooked_2,
	    [FRAME_PPP] = by_ppp,
	    [FRAME_PPPOE] = by_pppoe,
	};
	static enum layer (*const layers[])(struct walk *) = {
	    [LAYER_TYPE] = by_type,
	    [LAYER_LLC] = by_llc,
	    [LAYER_MPLS] = by_label,
	    [LAYER_PPP] = by_ppp,
	    [LAYER_PPPOE] = by_pppoe,
	};
	struct walk w = {.rest = frame};
	enum layer layer = begins[link](&w);

	while (layer < LAYER_IP)
		layer = layers[layer](&w);
	*packet = w.rest;
	if (layer == LAYER_IP)
		return w.rest.n > 0 ? FRAME_IP : FRAME_MALFORMED;
	return layer == LAYER_OTHER ? FRAME_OTHER : FRAME_MALFORMED;
}
