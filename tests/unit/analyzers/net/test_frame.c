#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "net/frame.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

#define MACS "\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
#define V4   "E..."
#define V6   "`..."

struct row {
	const char *what;
	enum frame_link link;
	enum frame_verdict verdict;
	size_t ahead; /* octets ahead of the packet */
	const char *frame;
	size_t n;
};

#define ROW(what, link, verdict, ahead, frame)                                                     \
	{                                                                                          \
		what, link, verdict, ahead, frame, sizeof(frame) - 1                               \
	}
#define IP(what, link, head, packet) ROW(what, link, FRAME_IP, sizeof(head) - 1, head packet)
#define OTHER(what, link, frame)     ROW(what, link, FRAME_OTHER, 0, frame)
#define BAD(what, link, frame)	     ROW(what, link, FRAME_MALFORMED, 0, frame)

static const struct row rows[] = {
    IP("Ethernet, IPv4", FRAME_ETHERNET, MACS "\x08\0", V4),
    IP("Ethernet, IPv6", FRAME_ETHERNET, MACS "\x86\xdd", V6),
    IP("802.1Q", FRAME_ETHERNET, MACS "\x81\0\0\x05\x08\0", V4),
    IP("802.1ad with 802.1Q", FRAME_ETHERNET, MACS "\x88\xa8\0\x05\x81\0\0\x06\x86\xdd", V6),
    IP("0x9100", FRAME_ETHERNET, MACS "\x91\0\0\x05\x08\0", V4),
    IP("SNAP", FRAME_ETHERNET, MACS "\0\x0c\xaa\xaa\x03\0\0\0\x08\0", V4),
    IP("SNAP behind a tag", FRAME_ETHERNET, MACS "\x81\0\0\x05\0\x0c\xaa\xaa\x03\0\0\0\x08\0", V4),
    IP("802.2", FRAME_ETHERNET, MACS "\0\x07\x06\x06\x03", V4),
    IP("MPLS", FRAME_ETHERNET, MACS "\x88\x47\0\x01\x01\x40", V4),
    IP("two labels, multicast", FRAME_ETHERNET, MACS "\x88\x48\0\x01\0\x40\0\x02\x01\x40", V6),
    IP("PPPoE", FRAME_ETHERNET, MACS "\x88\x64\x11\0\0\x01\0\x06\0\x21", V4),
    IP("PPPoE, IPv6, one octet", FRAME_ETHERNET, MACS "\x88\x64\x11\0\0\x01\0\x05\x57", V6),
    IP("PPPoE, MPLS", FRAME_ETHERNET, MACS "\x88\x64\x11\0\0\x01\0\x0a\x02\x81\0\x01\x01\x40", V4),
    OTHER("ARP", FRAME_ETHERNET, MACS "\x08\x06...."),
    OTHER("ARP in SNAP", FRAME_ETHERNET, MACS "\0\x0c\xaa\xaa\x03\0\0\0\x08\x06...."),
    OTHER("SNAP of somebody", FRAME_ETHERNET, MACS "\0\x0c\xaa\xaa\x03\0\0\x0c\x08\0...."),
    OTHER("spanning tree", FRAME_ETHERNET, MACS "\0\x07\x42\x42\x03...."),
    OTHER("PPPoE discovery", FRAME_ETHERNET, MACS "\x88\x63\x11\x09\0\0\0\0"),
    OTHER("PPPoE session with a code", FRAME_ETHERNET, MACS "\x88\x64\x11\xa7\0\x01\0\0"),
    OTHER("LCP", FRAME_ETHERNET, MACS "\x88\x64\x11\0\0\x01\0\x06\xc0\x21\x09\0\0\x04"),
    OTHER("MPLS, not IP", FRAME_ETHERNET, MACS "\x88\x47\0\x01\x01\x40\0\0\0\0"),
    BAD("nothing behind", FRAME_ETHERNET, MACS "\x08\0"),
    BAD("labels without end", FRAME_ETHERNET, MACS "\x88\x47\0\0\0\0\0\0\0\0\0\0\0\0"),
    BAD("PPPoE, version 2", FRAME_ETHERNET, MACS "\x88\x64\x21\0\0\x01\0\x06\0\x21" V4),
    BAD("PPPoE, shorter than PPP", FRAME_ETHERNET, MACS "\x88\x64\x11\0\0\x01\0\x01\0\x21" V4),
    IP("raw, IPv4", FRAME_RAW, "", V4),
    IP("raw, IPv6", FRAME_RAW, "", V6),
    OTHER("raw, neither", FRAME_RAW, "\x10..."),
    BAD("raw, empty", FRAME_RAW, ""),
    IP("null, little", FRAME_NULL, "\x02\0\0\0", V4),
    IP("null, big", FRAME_NULL, "\0\0\0\x02", V4),
    IP("null, macOS", FRAME_NULL, "\x1e\0\0\0", V6),
    IP("null, FreeBSD", FRAME_NULL, "\x1c\0\0\0", V6),
    IP("null, NetBSD", FRAME_NULL, "\0\0\0\x18", V6),
    OTHER("null, something", FRAME_NULL, "\x07\0\0\0...."),
    IP("loop", FRAME_LOOP, "\0\0\0\x18", V6),
    OTHER("loop is in network order", FRAME_LOOP, "\x02\0\0\0" V4),
    IP("cooked", FRAME_COOKED, "\0\0\0\x01\0\x06\0\0\0\0\0\0\0\0\x08\0", V4),
    IP("cooked, tagged", FRAME_COOKED, "\0\0\0\x01\0\x06\0\0\0\0\0\0\0\0\x81\0\0\x01\x86\xdd", V6),
    IP("cooked, 802.2", FRAME_COOKED, "\0\0\0\x01\0\x06\0\0\0\0\0\0\0\0\0\x04\x06\x06\x03", V4),
    OTHER("cooked, 802.3", FRAME_COOKED, "\0\0\0\x01\0\x06\0\0\0\0\0\0\0\0\0\x01...."),
    OTHER("cooked, netlink", FRAME_COOKED, "\0\0\x03\x38\0\x06\0\0\0\0\0\0\0\0\x08\0...."),
    IP("cooked 2", FRAME_COOKED_2, "\x08\0\0\0\0\0\0\x02\0\x01\0\x06\0\0\0\0\0\0\0\0", V4),
    OTHER("cooked 2, ARP", FRAME_COOKED_2, "\x08\x06\0\0\0\0\0\x02\0\x01\0\x06\0\0\0\0\0\0\0\0.."),
    IP("PPP", FRAME_PPP, "\0\x21", V4),
    IP("PPP, HDLC", FRAME_PPP, "\xff\x03\0\x57", V6),
    IP("PPP, short", FRAME_PPP, "\xff\x03\x21", V4),
    IP("Cisco HDLC", FRAME_PPP, "\x0f\0\x08\0", V4),
    OTHER("PPP, LCP", FRAME_PPP, "\xff\x03\xc0\x21...."),
    IP("PPP_ETHER", FRAME_PPPOE, "\x11\0\0\x01\0\x06\0\x21", V4),
};

static enum frame_verdict
look(const struct row *r, size_t n, struct span *packet, uint8_t **storage)
{
	*storage = malloc(n > 0 ? n : 1);
	assert_non_null(*storage);
	memcpy(*storage, r->frame, n);
	return frame_packet(r->link, span_of(*storage, n), packet);
}

static void
packets_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		const struct row *r = &rows[i];
		struct span packet;
		uint8_t *storage;
		enum frame_verdict v = look(r, r->n, &packet, &storage);

		if (v != r->verdict)
			print_error("%s\n", r->what);
		assert_int_equal(v, r->verdict);
		if (v == FRAME_IP) {
			assert_ptr_equal(packet.p, storage + r->ahead);
			assert_int_equal(packet.n, r->n - r->ahead);
		}
		free(storage);
	}
}

/* A frame cut anywhere: a shorter packet, or none. */
static void
X_001_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		for (size_t n = 0; n < rows[i].n; n++) {
			struct span packet;
			uint8_t *storage;
			enum frame_verdict v = look(&rows[i], n, &packet, &storage);

			if (v == FRAME_IP) {
				assert_int_equal(rows[i].verdict, FRAME_IP);
				assert_true(packet.n > 0 && packet.p + packet.n == storage + n);
			}
			if (rows[i].verdict == FRAME_IP && n <= rows[i].ahead)
				assert_int_not_equal(v, FRAME_IP);
			free(storage);
		}
	}
}

/* What may stand behind a PPPoE length is padding. */
static void
pppoe_padding_is_none_of_it(void **state)
{
	static const char frame[] = MACS "\x88\x64\x11\0\0\x01\0\x06\0\x21" V4 "padding";
	struct span packet;

	(void)state;
	assert_int_equal(
	    frame_packet(FRAME_ETHERNET, span_of(frame, sizeof(frame) - 1), &packet), FRAME_IP);
	assert_int_equal(packet.n, sizeof(V4) - 1);
}

static void
tags_are_bounded(void **state)
{
	static const uint8_t tag[] = {0x81, 0, 0, 1}, ipv4[] = {0x08, 0, 'E'};
	uint8_t frame[14 + 4 * (FRAME_TAGS_MAX + 1) + 1] = {0};
	struct span packet;

	(void)state;
	for (size_t tags = 1; tags <= FRAME_TAGS_MAX + 1; tags++) {
		size_t type = 12 + 4 * tags;

		for (size_t i = 0; i < tags; i++)
			memcpy(frame + 12 + 4 * i, tag, sizeof(tag));
		memcpy(frame + type, ipv4, sizeof(ipv4));
		assert_int_equal(frame_packet(FRAME_ETHERNET, span_of(frame, type + 3), &packet),
		    tags <= FRAME_TAGS_MAX ? FRAME_IP : FRAME_MALFORMED);
	}
}

static void
link_types(void **state)
{
	static const struct {
		int number;
		enum frame_link link;
	} known[] = {{0, FRAME_NULL}, {1, FRAME_ETHERNET}, {9, FRAME_PPP}, {12, FRAME_RAW},
	    {14, FRAME_RAW}, {50, FRAME_PPP}, {51, FRAME_PPPOE}, {101, FRAME_RAW},
	    {108, FRAME_LOOP}, {113, FRAME_COOKED}, {228, FRAME_RAW}, {229, FRAME_RAW},
	    {276, FRAME_COOKED_2}};
	unsigned found = 0;
	enum frame_link link;

	(void)state;
	for (size_t i = 0; i < nitems(known); i++) {
		assert_true(frame_link_of(known[i].number, &link));
		assert_int_equal(link, known[i].link);
	}
	for (int number = -1; number < 400; number++)
		found += frame_link_of(number, &link);
	assert_int_equal(found, nitems(known));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(packets_are_found),
	    cmocka_unit_test(X_001_cut_anywhere),
	    cmocka_unit_test(pppoe_padding_is_none_of_it),
	    cmocka_unit_test(tags_are_bounded),
	    cmocka_unit_test(link_types),
	};

	return cmocka_run_group_tests_name("net frame", tests, NULL, NULL);
}
