#include "tcp/segment.h"

#include "net/wire.h"

#define HEADER	 20
#define PROTOCOL 6

enum option {
	OPTION_END = 0,
	OPTION_NOTHING = 1,
	OPTION_SCALE = 3,
};

/* A scale above the greatest is taken for the greatest (RFC 7323 s2.3). */
static uint8_t
scale_of(struct span options)
{
	while (options.n > 0 && options.p[0] != OPTION_END) {
		if (options.p[0] == OPTION_NOTHING) {
			options = span_from(options, 1);
			continue;
		}
		if (options.n < 2 || options.p[1] < 2 || options.p[1] > options.n)
			break;
		if (options.p[0] == OPTION_SCALE && options.p[1] == 3)
			return options.p[2] > SEGMENT_SCALE_MAX ? SEGMENT_SCALE_MAX : options.p[2];
		options = span_from(options, options.p[1]);
	}
	return SEGMENT_NO_SCALE;
}

bool
segment_read(const struct packet *packet, struct segment *out)
{
	struct span s = packet->payload;
	size_t header;

	if (s.n < HEADER)
		return false;
	header = (size_t)(s.p[12] >> 4) * 4;
	if (header < HEADER || s.n < header)
		return false;
	out->from_port = wire_u16(s.p);
	out->to_port = wire_u16(s.p + 2);
	out->seq = wire_u32(s.p + 4);
	out->ack = wire_u32(s.p + 8);
	out->flags = s.p[13];
	out->window = wire_u16(s.p + 14);
	out->urgent = wire_u16(s.p + 18);
	out->scale = out->flags & SEGMENT_SYN
			 ? scale_of(span_first(span_from(s, HEADER), header - HEADER))
			 : SEGMENT_NO_SCALE;
	out->payload = span_from(s, header);
	out->missing = packet->missing;
	out->hops = packet->hops;
	return true;
}

/* The ones' complement sum of 16-bit words (RFC 1071): four octets at once, carries at the end. */
static uint64_t
sum(uint64_t so_far, struct span s)
{
	uint32_t word;
	size_t at;

	for (at = 0; s.n - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, s.p + at, sizeof(word));
		so_far += word;
	}
	word = 0;
	memcpy(&word, s.p + at, s.n - at);
	return so_far + word;
}

bool
segment_checksum_holds(const struct packet *packet)
{
	size_t address = packet->from.v6 ? 16 : 4, n = packet->payload.n;
	const uint8_t pseudo[] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
	    (uint8_t)n, 0, 0, 0, PROTOCOL};
	uint64_t total = 0;

	if (packet->missing > 0 || n < HEADER)
		return true;
	total = sum(total, span_of(packet->from.octets, address));
	total = sum(total, span_of(packet->to.octets, address));
	total = sum(total, span_of(pseudo, sizeof(pseudo)));
	total = sum(total, packet->payload);
	while (total > 0xffff)
		total = (total & 0xffff) + (total >> 16);
	return total == 0xffff;
}
