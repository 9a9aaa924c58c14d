#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>

#include "tap_frame.h"
#include "taps.h"

/* ---- octet for octet ---- */

static void
test_begin_is_a_section_and_an_interface_T13(void **state)
{
	static const uint8_t wanted[] = {0x0a, 0x0d, 0x0d, 0x0a, 44, 0, 0, 0, 0x4d, 0x3c, 0x2b,
	    0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 4, 0, 7, 0, 'p', 'o',
	    's', 't', 'e', 'r', 'n', 0, 0, 0, 0, 0, 44, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 101, 0, 0,
	    0, 0, 0, 0, 0, 20, 0, 0, 0};
	uint8_t out[TAP_FRAME_BEGIN];

	(void)state;
	assert_int_equal(tap_frame_begin(out), sizeof(wanted));
	assert_memory_equal(out, wanted, sizeof(wanted));
}

static uint32_t
be(const uint8_t *p, unsigned n)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < n; i++)
		value = value << 8 | p[i];
	return value;
}

#define PACKET 28 /* behind the head of an enhanced packet block */
#define TCP_AT (PACKET + 20)

static void
test_a_segment_octet_for_octet_T13(void **state)
{
	/* by hand: block, RFC 791 s3.1, RFC 9293 s3.1; numbers and sums are checked below */
	static const uint8_t block[] = {6, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x42, 0x42,
	    0x0f, 0, 46, 0, 0, 0, 46, 0, 0, 0, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 6};
	static const uint8_t addresses[] = {192, 0, 2, 1, 192, 0, 2, 2, 4, 1, 0, 25};
	struct tap_record like = record_like(TAP_OCTETS, AN_C2S),
			  open = record_like(TAP_OPEN, AN_C2S);
	uint8_t out[TAP_FRAME_MAX], first[TAP_FRAME_MAX];
	const struct tap_record *r;
	struct record room;
	size_t n;

	(void)state;
	like.at[AN_C2S] = 100;
	like.at[AN_S2C] = 7;
	r = record_with(&room, like, span_str("QUIT\r\n"));
	assert_int_equal(tap_frame_count(r), 2);
	tap_frame_write(&open, "x", 0, first);
	n = tap_frame_write(r, "x", 0, out);
	assert_int_equal(n, 80);
	assert_memory_equal(out, block, sizeof(block));
	assert_memory_equal(out + PACKET + 12, addresses, sizeof(addresses));
	assert_int_equal(be(out + TCP_AT + 4, 4), be(first + TCP_AT + 4, 4) + 101);
	assert_int_equal(be(out + TCP_AT + 12, 4), 0x5018ffff); /* PSH, ACK */
	assert_memory_equal(out + TCP_AT + 20, "QUIT\r\n", 6);
	assert_int_equal(out[n - 4], 80);
}

/* RFC 1071 over what is there: zero where the sum in it is right. */
static uint32_t
sum_of(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void
assert_sums(const uint8_t *out)
{
	const bool v4 = out[PACKET] >> 4 == 4;
	const size_t ip = v4 ? 20 : 40;
	const size_t n = (size_t)(out[20] | out[21] << 8 | out[22] << 16) - ip;
	const uint8_t *addresses = out + PACKET + (v4 ? 12 : 8);

	if (v4)
		assert_int_equal(sum_of(out + PACKET, 20, 0), 0xffff);
	assert_int_equal(
	    sum_of(out + PACKET + ip, n, sum_of(addresses, v4 ? 8 : 32, 6 + (uint32_t)n)), 0xffff);
}

static void
test_sums_are_right_for_all_lengths_T13(void **state)
{
	static const uint8_t v6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 7};
	static uint8_t text[TAP_PIECE_MAX];
	struct tap_record like = record_like(TAP_OCTETS, AN_S2C);
	uint8_t out[TAP_FRAME_MAX];
	struct record room;

	(void)state;
	memset(text, 0xfe, sizeof(text));
	for (unsigned family = 0; family < 2; family++) {
		for (size_t n = 1; n < 70; n++) {
			const struct tap_record *r = record_with(&room, like, span_of(text, n));

			assert_true(tap_frame_write(r, "x", 0, out) % 4 == 0);
			assert_sums(out);
		}
		assert_true(tap_frame_write(record_with(&room, like, span_of(text, TAP_PIECE_MAX)),
				"x", 0, out) <= TAP_FRAME_MAX);
		assert_sums(out);
		like.client.ip = like.server.ip = ip_v6(v6);
	}
}

/* ---- a connection ---- */

/* Flags, and numbers less the first ones. */
static void
assert_frame(const struct tap_record *r, unsigned i, uint32_t flags, uint32_t seq, uint32_t ack)
{
	struct tap_record open = record_like(TAP_OPEN, AN_C2S);
	uint8_t out[TAP_FRAME_MAX], first[TAP_FRAME_MAX];
	uint32_t begins[2];
	bool up;

	tap_frame_write(&open, "x", 0, first);
	begins[0] = be(first + TCP_AT + 4, 4);
	tap_frame_write(&open, "x", 1, first);
	begins[1] = be(first + TCP_AT + 4, 4);
	tap_frame_write(r, "x", i, out);
	if (memcmp(out + 20, out + 24, 4) == 0) /* all of it is there */
		assert_sums(out);
	up = be(out + TCP_AT + 2, 2) == 25;
	assert_int_equal(out[TCP_AT + 13], flags);
	assert_int_equal(be(out + TCP_AT + 4, 4) - begins[!up], seq);
	if ((flags & 16) != 0)
		assert_int_equal(be(out + TCP_AT + 8, 4) - begins[up], ack);
}

static void
test_a_handshake_and_its_ends_T13(void **state)
{
	struct tap_record r = record_like(TAP_OPEN, AN_C2S);

	(void)state;
	assert_int_equal(tap_frame_count(&r), 3);
	assert_frame(&r, 0, 2, 0, 0);
	assert_frame(&r, 1, 18, 0, 1);
	assert_frame(&r, 2, 16, 1, 1);
	r = record_like(TAP_CLOSE, AN_S2C);
	r.at[AN_C2S] = 10;
	r.at[AN_S2C] = 20;
	assert_int_equal(tap_frame_count(&r), 3);
	assert_frame(&r, 0, 17, 21, 11);
	assert_frame(&r, 1, 17, 11, 22);
	assert_frame(&r, 2, 16, 22, 12);
	r.end = TAP_RESET;
	assert_int_equal(tap_frame_count(&r), 1);
	assert_frame(&r, 0, 20, 21, 11);
	r.kind = TAP_OVER;
	assert_int_equal(tap_frame_count(&r), 0);
}

/* L9: segments whose octets are not there have their length. */
static void
test_what_is_left_out_keeps_its_length_L9(void **state)
{
	struct tap_record r = record_like(TAP_OCTETS, AN_C2S);
	uint8_t out[TAP_FRAME_MAX];

	(void)state;
	r.length = 2 * TAP_PIECE_MAX + 5;
	assert_int_equal(tap_frame_count(&r), 4);
	assert_int_equal(tap_frame_write(&r, "x", 0, out), 72);
	assert_int_equal(out[20], 40);
	assert_int_equal(out[24] | out[25] << 8, 40 + TAP_PIECE_MAX);
	tap_frame_write(&r, "x", 2, out);
	assert_int_equal(out[24], 45);
	assert_frame(&r, 2, 24, 1 + 2 * TAP_PIECE_MAX, 1);
	assert_frame(&r, 3, 16, 1, 1 + r.length);
}

static void
test_a_comment_says_what_it_is_L9(void **state)
{
	struct tap_record r = record_like(TAP_OPEN, AN_C2S);
	static const char wanted[] =
	    "postern flow_id=1 capture=night protocol=smtp leg=server port=465 tls";
	uint8_t out[TAP_FRAME_MAX];

	(void)state;
	r.server.port = 465;
	r.secure = 1;
	r.leg = 1;
	tap_frame_write(&r, "night", 0, out);
	assert_int_equal(out[TCP_AT + 20], 1); /* opt_comment */
	assert_int_equal(out[TCP_AT + 22], sizeof(wanted) - 1);
	assert_memory_equal(out + TCP_AT + 24, wanted, sizeof(wanted) - 1);
	assert_int_equal(be(out + TCP_AT + 2, 2), 25);
}

static void
test_ports_that_are_shown_T13(void **state)
{
	(void)state;
	assert_int_equal(tap_port_shown(PROTOCOL_SMTP, 25), 25);
	assert_int_equal(tap_port_shown(PROTOCOL_SMTP, 587), 587);
	assert_int_equal(tap_port_shown(PROTOCOL_SMTP, 465), 25);
	assert_int_equal(tap_port_shown(PROTOCOL_IMAP, 993), 143);
	assert_int_equal(tap_port_shown(PROTOCOL_POP3, 995), 110);
	assert_int_equal(tap_port_shown(PROTOCOL_FTP, 990), 21);
}

/* ---- what comes from a worker that was taken over ---- */

static void
test_records_are_checked_X_007(void **state)
{
	struct record room;
	const struct tap_record *good =
	    record_with(&room, record_like(TAP_OCTETS, AN_C2S), span_str("12345"));
	struct tap_record *r = (struct tap_record *)(void *)room.octets;
	const struct tap_record kept = *good;
	struct {
		uint32_t *field;
		uint32_t value;
	} words[] = {{&r->size, 0}, {&r->size, 8}, {&r->size, UINT32_MAX}, {&r->n, 4},
	    {&r->n, TAP_PIECE_MAX + 1}, {&r->length, 0}, {&r->length, UINT32_MAX}};
	struct {
		uint8_t *field;
		uint8_t value;
	} octets[] = {{&r->kind, TAP_KINDS}, {&r->kind, TAP_OPEN}, {&r->rule, 2},
	    {&r->protocol, PROTOCOL_COUNT}, {&r->dir, 2}, {&r->end, TAP_ENDS}, {&r->refused, 2},
	    {&r->secure, 2}, {&r->leg, 2}};
	struct span rest = span_of(room.octets, r->size);
	bool bad;

	(void)state;
	assert_ptr_equal(tap_record_take(&rest, 2, &bad), r);
	assert_false(bad);
	assert_int_equal(rest.n, 0);
	assert_null(tap_record_take(&rest, 2, &bad));
	assert_false(bad);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		*words[i].field = words[i].value;
		rest = span_of(room.octets, kept.size);
		assert_null(tap_record_take(&rest, 2, &bad));
		assert_true(bad);
		*r = kept;
	}
	for (size_t i = 0; i < sizeof(octets) / sizeof(octets[0]); i++) {
		*octets[i].field = octets[i].value;
		rest = span_of(room.octets, kept.size);
		assert_null(tap_record_take(&rest, 2, &bad));
		assert_true(bad);
		*r = kept;
	}
	r->server.ip.family = IP_V6; /* two families */
	rest = span_of(room.octets, kept.size);
	assert_null(tap_record_take(&rest, 2, &bad));
	assert_true(bad);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_begin_is_a_section_and_an_interface_T13),
	    cmocka_unit_test(test_a_segment_octet_for_octet_T13),
	    cmocka_unit_test(test_sums_are_right_for_all_lengths_T13),
	    cmocka_unit_test(test_a_handshake_and_its_ends_T13),
	    cmocka_unit_test(test_what_is_left_out_keeps_its_length_L9),
	    cmocka_unit_test(test_a_comment_says_what_it_is_L9),
	    cmocka_unit_test(test_ports_that_are_shown_T13),
	    cmocka_unit_test(test_records_are_checked_X_007),
	};

	return cmocka_run_group_tests_name("tap frames", tests, NULL, NULL);
}
