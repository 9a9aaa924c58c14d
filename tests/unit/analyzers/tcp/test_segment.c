#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcp/segment.h"

/* A SYN of a Linux client. */
static const uint8_t syn[] = {0x9c, 0x40, 0x00, 0x19, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0, 0xa0,
    0x02, 0xff, 0xd7, 0, 0, 0, 0, 2, 4, 0xff, 0xd7, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3,
    7};

static struct packet
packet_of(const void *p, size_t n)
{
	return (struct packet){.from = {.octets = {127, 0, 0, 1}},
	    .to = {.octets = {127, 0, 0, 1}},
	    .protocol = 6,
	    .payload = span_of(p, n)};
}

static void
header_is_read(void **state)
{
	struct packet p = packet_of(syn, sizeof(syn));
	struct segment g;

	(void)state;
	p.hops = 63;
	assert_true(segment_read(&p, &g));
	assert_int_equal(g.from_port, 40000);
	assert_int_equal(g.to_port, 25);
	assert_int_equal(g.seq, 0x11223344);
	assert_int_equal(g.flags, SEGMENT_SYN);
	assert_int_equal(g.window, 0xffd7);
	assert_int_equal(g.scale, 7);
	assert_int_equal(g.hops, 63);
	assert_int_equal(g.payload.n, 0);
	for (size_t n = 0; n < sizeof(syn); n++) {
		p.payload.n = n;
		assert_false(segment_read(&p, &g));
	}
}

static void
header_lengths(void **state)
{
	uint8_t s[64] = {0};
	struct packet p = packet_of(s, sizeof(s));
	struct segment g;

	(void)state;
	p.missing = 3;
	for (unsigned words = 0; words < 16; words++) {
		s[12] = (uint8_t)(words << 4);
		assert_int_equal(segment_read(&p, &g), words >= 5);
		if (words < 5)
			continue;
		assert_ptr_equal(g.payload.p, s + (size_t)4 * words);
		assert_int_equal(g.payload.n, sizeof(s) - (size_t)4 * words);
		assert_int_equal(g.missing, 3);
		assert_int_equal(g.scale, SEGMENT_NO_SCALE);
	}
}

static void
options_are_read_to_their_end(void **state)
{
	static const struct {
		uint8_t octets[4];
		uint8_t scale;
	} cases[] = {
	    {{3, 3, 9, 0}, 9},
	    {{1, 3, 3, 9}, 9},
	    {{3, 3, 200, 0}, SEGMENT_SCALE_MAX},
	    {{0, 3, 3, 9}, SEGMENT_NO_SCALE},
	    {{1, 1, 3, 3}, SEGMENT_NO_SCALE},
	    {{3, 2, 9, 0}, SEGMENT_NO_SCALE},
	    {{8, 0, 3, 3}, SEGMENT_NO_SCALE},
	    {{8, 1, 3, 3}, SEGMENT_NO_SCALE},
	    {{1, 1, 1, 8}, SEGMENT_NO_SCALE},
	};
	uint8_t s[24] = {0};
	struct packet p = packet_of(s, sizeof(s));
	struct segment g;

	(void)state;
	s[12] = 6 << 4;
	s[13] = SEGMENT_SYN;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(s + 20, cases[i].octets, 4);
		assert_true(segment_read(&p, &g));
		assert_int_equal(g.scale, cases[i].scale);
	}
}

/* The sum as RFC 1071 has it, octet pair by octet pair. */
static uint16_t
slow_sum(const struct packet *p)
{
	uint8_t all[200] = {0};
	size_t address = p->from.v6 ? 16 : 4, n = 0;
	uint32_t sum = 0;

	memcpy(all + n, p->from.octets, address);
	memcpy(all + (n += address), p->to.octets, address);
	n += address;
	all[n + 1] = 6;
	all[n + 3] = (uint8_t)p->payload.n;
	memcpy(all + (n += 4), p->payload.p, p->payload.n);
	n += p->payload.n;
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)(all[i] << 8 | all[i + 1]);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void
checksums(void **state)
{
	uint8_t s[100];

	(void)state;
	for (unsigned v6 = 0; v6 <= 1; v6++) {
		for (size_t n = 20; n <= sizeof(s); n++) {
			struct packet p = packet_of(s, n);
			uint16_t sum;

			p.from.v6 = p.to.v6 = v6;
			for (size_t i = 0; i < n; i++)
				s[i] = (uint8_t)(i * 37 + n);
			s[16] = s[17] = 0;
			sum = slow_sum(&p);
			s[16] = (uint8_t)(sum >> 8);
			s[17] = (uint8_t)sum;
			assert_true(segment_checksum_holds(&p));
			s[n - 1] ^= 0x10;
			assert_false(segment_checksum_holds(&p));
			p.missing = 1; /* nobody can know */
			assert_true(segment_checksum_holds(&p));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(header_is_read),
	    cmocka_unit_test(header_lengths),
	    cmocka_unit_test(options_are_read_to_their_end),
	    cmocka_unit_test(checksums),
	};

	return cmocka_run_group_tests_name("tcp segment", tests, NULL, NULL);
}
