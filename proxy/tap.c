#include "tap.h"

size_t
tap_record_size(size_t n)
{
	return sizeof(struct tap_record) + ((n + 7) & ~(size_t)7);
}

struct span
tap_record_octets(const struct tap_record *r)
{
	return span_of((const uint8_t *)(r + 1), r->n);
}

static bool
is_end(const struct endpoint *e, enum ip_family family)
{
	return e->ip.family == family;
}

static bool
is_whole(const struct tap_record *r, unsigned rules)
{
	const enum ip_family family = r->client.ip.family;
	const bool octets = r->kind == TAP_OCTETS;

	return r->kind < TAP_KINDS && r->rule < rules && r->protocol < PROTOCOL_COUNT &&
	       r->dir <= AN_S2C && r->end < TAP_ENDS && r->refused <= 1 && r->secure <= 1 &&
	       r->leg <= 1 && (family == IP_V4 || family == IP_V6) && is_end(&r->server, family) &&
	       r->n <= TAP_PIECE_MAX && r->size == tap_record_size(r->n) &&
	       (octets ? r->length > 0 && r->length <= TAP_PIECES_MAX &&
			     (r->n == 0 || r->n == r->length)
		       : r->length == 0 && r->n == 0);
}

const struct tap_record *
tap_record_take(struct span *datagram, unsigned rules, bool *bad)
{
	const struct tap_record *r = (const struct tap_record *)(const void *)datagram->p;

	*bad = false;
	if (datagram->n == 0)
		return NULL;
	*bad = datagram->n < sizeof(*r) || r->size > datagram->n || !is_whole(r, rules);
	if (*bad)
		return NULL;
	*datagram = span_from(*datagram, r->size);
	return r;
}

/* What others (Wireshark, and postern read) take for the protocol in the clear. */
uint16_t
tap_port_shown(enum protocol p, uint16_t port)
{
	static const uint16_t known[PROTOCOL_COUNT][2] = {[PROTOCOL_FTP] = {21, 21},
	    [PROTOCOL_SMTP] = {25, 587},
	    [PROTOCOL_POP3] = {110, 110},
	    [PROTOCOL_IMAP] = {143, 143}};

	return port == known[p][0] || port == known[p][1] ? port : known[p][0];
}
