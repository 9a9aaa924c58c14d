/*
 * fuzz_frame - link layers. The first octet chooses the link type, the others are the frame.
 *
 * Claims: a packet lies in the frame and is not empty; a longer frame has a packet at the same
 * place, or none.
 */
#include "fuzz.h"
#include "net/frame.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span frame, packet, shorter;
	enum frame_link link;
	enum frame_verdict v;

	if (n == 0)
		return 0;
	link = (enum frame_link)(p[0] % FRAME_LINKS);
	frame = span_of(p + 1, n - 1);
	v = frame_packet(link, frame, &packet);
	fuzz_claim(v == FRAME_IP || v == FRAME_OTHER || v == FRAME_MALFORMED);
	if (v != FRAME_IP)
		return 0;
	fuzz_claim(packet.n > 0 && fuzz_inside(packet, frame));
	for (size_t cut = 1; cut <= packet.n && cut < 8; cut++) {
		v = frame_packet(link, span_first(frame, frame.n - cut), &shorter);
		fuzz_claim(v != FRAME_IP || (shorter.p == packet.p && shorter.n <= packet.n));
	}
	return 0;
}
