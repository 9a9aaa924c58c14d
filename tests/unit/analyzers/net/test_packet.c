#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "net/packet.h"
#include "tests/unit/alloc.h"

#define LITERAL(s) span_of(s, sizeof(s) - 1)

#define TCP 6

struct made {
	uint8_t octets[70000];
	size_t n;
};

static void
put(struct made *m, struct span s)
{
	if (s.n > 0)
		memcpy(m->octets + m->n, s.p, s.n);
	m->n += s.n;
}

static void
put_u16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* fragment: as in the header, flags and the offset in units of 8. */
static struct span
v4(struct made *m, uint8_t protocol, uint16_t id, uint16_t fragment, struct span payload)
{
	static const uint8_t header[20] = {
	    0x45, 0, 0, 0, 0, 0, 0, 0, 61, 0, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2};

	m->n = 0;
	put(m, span_of(header, sizeof(header)));
	put(m, payload);
	put_u16(m->octets + 2, m->n);
	put_u16(m->octets + 4, id);
	put_u16(m->octets + 6, fragment);
	m->octets[9] = protocol;
	return span_of(m->octets, m->n);
}

static struct span
v6(struct made *m, uint8_t protocol, struct span payload)
{
	m->n = 0;
	put(m, LITERAL("\x60\0\0\0\0\0\0\x3d"));
	put(m, LITERAL("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"));
	put(m, LITERAL("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"));
	put(m, payload);
	put_u16(m->octets + 4, payload.n);
	m->octets[6] = protocol;
	return span_of(m->octets, m->n);
}

/* An IPv6 fragment of protocol "next". */
static struct span
v6_fragment(struct made *m, uint8_t next, uint8_t id, size_t offset, bool more, struct span payload)
{
	uint8_t inner[2000] = {next, 0, 0, 0, 0, 0, 0, id};

	put_u16(inner + 2, offset | more);
	memcpy(inner + 8, payload.p, payload.n);
	return v6(m, 44, span_of(inner, 8 + payload.n));
}

static const uint64_t seed[2] = {1, 2};
static struct packets *ps;
static struct made m;

static enum packet_verdict
read_at(uint64_t now, struct span ip, struct packet *out)
{
	static uint8_t *storage; /* of just this size */

	free(storage);
	storage = malloc(ip.n > 0 ? ip.n : 1);
	assert_non_null(storage);
	if (ip.n > 0)
		memcpy(storage, ip.p, ip.n);
	return packets_read(ps, span_of(storage, ip.n), now, out);
}

static void
reads(struct span ip, uint8_t protocol, const char *payload)
{
	struct packet p;

	assert_int_equal(read_at(0, ip, &p), PACKET_WHOLE);
	assert_int_equal(p.protocol, protocol);
	assert_int_equal(p.payload.n, strlen(payload));
	assert_memory_equal(p.payload.p, payload, p.payload.n);
}

static void
gives(struct span ip, enum packet_verdict v)
{
	struct packet p;

	assert_int_equal(read_at(0, ip, &p), v);
}

static int
begin(void **state)
{
	(void)state;
	ps = packets_new(seed);
	return ps == NULL;
}

static int
end(void **state)
{
	struct packet p;

	(void)state;
	read_at(0, SPAN_NONE, &p);
	packets_free(ps);
	return 0;
}

static void
whole_packets(void **state)
{
	struct packet p;

	(void)state;
	assert_int_equal(read_at(0, v4(&m, TCP, 1, 0x4000, span_str("abc")), &p), PACKET_WHOLE);
	assert_false(p.from.v6 || p.contradicted);
	assert_memory_equal(p.from.octets, "\xc0\0\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(p.to.octets[3], 2);
	assert_int_equal(p.hops, 61);
	assert_int_equal(p.missing, 0);
	reads(span_of(m.octets, m.n), TCP, "abc");
	put(&m, span_str("padding of Ethernet"));
	reads(span_of(m.octets, m.n), TCP, "abc");
	assert_int_equal(read_at(0, v6(&m, TCP, span_str("abc")), &p), PACKET_WHOLE);
	assert_true(p.from.v6 && p.from.octets[15] == 1 && p.to.octets[15] == 2);
	assert_int_equal(p.hops, 61);
	put(&m, span_str("padding"));
	reads(span_of(m.octets, m.n), TCP, "abc");
}

static void
what_the_capture_cut_is_missing(void **state)
{
	struct packet p;

	(void)state;
	v4(&m, TCP, 1, 0, span_str("abcdef"));
	assert_int_equal(read_at(0, span_of(m.octets, m.n - 2), &p), PACKET_WHOLE);
	assert_int_equal(p.payload.n, 4);
	assert_int_equal(p.missing, 2);
	for (size_t n = 0; n < 20; n++)
		gives(span_of(m.octets, n), PACKET_MALFORMED);
	v6(&m, TCP, span_str("abcdef"));
	assert_int_equal(read_at(0, span_of(m.octets, m.n - 6), &p), PACKET_WHOLE);
	assert_int_equal(p.missing, 6);
	for (size_t n = 0; n < 40; n++)
		gives(span_of(m.octets, n), PACKET_MALFORMED);
}

/* Cards cut up what has no length; what the capture has then is all of it. */
static void
a_length_of_zero(void **state)
{
	struct packet p;

	(void)state;
	v4(&m, TCP, 1, 0, span_str("abcdef"));
	put_u16(m.octets + 2, 0);
	assert_int_equal(read_at(0, span_of(m.octets, m.n), &p), PACKET_WHOLE);
	assert_int_equal(p.payload.n, 6);
	v6(&m, TCP, span_str("abcdef"));
	put_u16(m.octets + 4, 0);
	assert_int_equal(read_at(0, span_of(m.octets, m.n), &p), PACKET_WHOLE);
	assert_int_equal(p.payload.n, 6);
}

static void
X_001_senseless_headers(void **state)
{
	(void)state;
	v4(&m, TCP, 1, 0, span_str("abc"));
	m.octets[0] = 0x44;
	gives(span_of(m.octets, m.n), PACKET_MALFORMED);
	m.octets[0] = 0x46; /* its header is longer than it */
	gives(span_of(m.octets, m.n), PACKET_MALFORMED);
	m.octets[0] = 0x55;
	gives(span_of(m.octets, m.n), PACKET_MALFORMED);
	m.octets[0] = 0x45;
	put_u16(m.octets + 2, 19);
	gives(span_of(m.octets, m.n), PACKET_MALFORMED);
	gives(SPAN_NONE, PACKET_MALFORMED);
}

static void
options_and_extension_headers(void **state)
{
	(void)state;
	v4(&m, TCP, 1, 0, span_str("optiabc"));
	m.octets[0] = 0x46;
	reads(span_of(m.octets, m.n), TCP, "abc");
	reads(v6(&m, 0,
		  LITERAL("\x3c\0------"	   /* hop by hop, */
			  "\x2b\x01--------------" /* destination, */
			  "\x33\0------"	   /* routing, */
			  "\x06\x01----------"	   /* authentication */
			  "abc")),
	    TCP, "abc");
	gives(v6(&m, 0, LITERAL("\x06\x01-----")), PACKET_MALFORMED);
	gives(v6(&m, 0, LITERAL("\x06\0---")), PACKET_MALFORMED);
	reads(v6(&m, 59, span_str("nothing")), 59, "nothing");
	reads(v6(&m, 50, span_str("sealed")), 50, "sealed");
}

static void
fragments_in_any_order(void **state)
{
	static const char *const parts[] = {"01234567", "89abcdef", "ghi"};
	static const unsigned orders[][3] = {
	    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		for (unsigned j = 0; j < 3; j++) {
			unsigned part = orders[i][j];
			struct span s = v4(&m, TCP, (uint16_t)i,
			    (uint16_t)(part | (part < 2 ? 0x2000 : 0)), span_str(parts[part]));

			if (j < 2)
				gives(s, PACKET_KEPT);
			else
				reads(s, TCP, "0123456789abcdefghi");
		}
		for (unsigned j = 0; j < 3; j++) {
			unsigned part = orders[i][j];
			struct span s = v6_fragment(&m, part == 0 ? TCP : 17, (uint8_t)i,
			    8 * (size_t)part, part < 2, span_str(parts[part]));

			if (j < 2)
				gives(s, PACKET_KEPT);
			else
				reads(s, TCP, "0123456789abcdefghi");
		}
	}
	assert_int_equal(packets_lost(ps), 0);
}

/* The rest of the extension headers may be in the fragments (RFC 7112 wants them in the first). */
static void
fragments_with_extension_headers(void **state)
{
	(void)state;
	gives(v6_fragment(&m, 60, 1, 8, false, span_str("abc")), PACKET_KEPT);
	reads(v6_fragment(&m, 60, 1, 0, true, LITERAL("\x06\0------")), TCP, "abc");
	reads(v6_fragment(&m, TCP, 1, 0, false, span_str("alone")), TCP, "alone");
	gives(v6_fragment(&m, 44, 2, 8, false, span_str("abc")), PACKET_KEPT);
	gives(v6_fragment(&m, 44, 2, 0, true, LITERAL("\x06\0\0\0\0\0\0\x01")), PACKET_MALFORMED);
}

static void
X_002_fragments_of_v4_that_contradict(void **state)
{
	struct packet p;

	(void)state;
	gives(v4(&m, TCP, 1, 0x2000, span_str("0123456789abcdef")), PACKET_KEPT);
	gives(v4(&m, TCP, 1, 0x2001, span_str("89abcdef")), PACKET_KEPT); /* the same */
	gives(v4(&m, TCP, 1, 0x2001, span_str("89aXcdefghijklmn")), PACKET_CONFLICT);
	assert_int_equal(read_at(0, v4(&m, TCP, 1, 0x0003, span_str("op")), &p), PACKET_WHOLE);
	assert_true(p.contradicted);
	assert_int_equal(p.payload.n, 26);
	assert_memory_equal(p.payload.p, "0123456789abcdefghijklmnop", 26);
}

/* What came first is in the whole, and the whole says that there was something else. */
static void
X_002_the_whole_says_so(void **state)
{
	struct packet p;

	(void)state;
	gives(v4(&m, TCP, 1, 0x2000, span_str("01234567")), PACKET_KEPT);
	gives(v4(&m, TCP, 1, 0x2001, span_str("89abcdef")), PACKET_KEPT);
	assert_int_equal(
	    read_at(0, v4(&m, TCP, 1, 0x0001, span_str("89aXcdefgh")), &p), PACKET_WHOLE);
	assert_true(p.contradicted);
	assert_int_equal(p.payload.n, 18);
	assert_memory_equal(p.payload.p, "0123456789abcdefgh", 18);
}

static void
X_002_ends_that_contradict(void **state)
{
	(void)state;
	gives(v4(&m, TCP, 1, 0x0002, span_str("end")), PACKET_KEPT);
	gives(v4(&m, TCP, 1, 0x0001, span_str("end")), PACKET_CONFLICT);
	gives(v4(&m, TCP, 1, 0x2003, span_str("01234567")), PACKET_CONFLICT);
	gives(v4(&m, TCP, 2, 0x2003, span_str("01234567")), PACKET_KEPT);
	gives(v4(&m, TCP, 2, 0x0001, span_str("end")), PACKET_CONFLICT);
}

/* RFC 5722: of the datagram nothing is taken any more. */
static void
X_002_fragments_of_v6_that_overlap(void **state)
{
	(void)state;
	gives(v6_fragment(&m, TCP, 1, 0, true, span_str("0123456789abcdef")), PACKET_KEPT);
	gives(v6_fragment(&m, TCP, 1, 0, true, span_str("0123456789abcdef")), PACKET_KEPT);
	gives(v6_fragment(&m, TCP, 1, 8, false, span_str("89abcdefg")), PACKET_CONFLICT);
	gives(v6_fragment(&m, TCP, 1, 16, false, span_str("g")), PACKET_KEPT);
	gives(v6_fragment(&m, TCP, 2, 0, true, span_str("01234567")), PACKET_KEPT);
	gives(v6_fragment(&m, TCP, 2, 0, true, span_str("0123X567")), PACKET_CONFLICT);
	gives(v6_fragment(&m, TCP, 2, 8, false, span_str("g")), PACKET_KEPT);
}

static void
X_001_senseless_fragments(void **state)
{
	static uint8_t much[65520];

	(void)state;
	gives(v4(&m, TCP, 1, 0x2000, span_str("0123456")), PACKET_MALFORMED);
	gives(v4(&m, TCP, 1, 0x2000, SPAN_NONE), PACKET_MALFORMED);
	gives(v4(&m, TCP, 1, 0x1fff, span_str("01234567")), PACKET_MALFORMED);
	gives(v4(&m, TCP, 1, 0x1000, span_of(much, 33000)), PACKET_MALFORMED);
	v4(&m, TCP, 1, 0x2000, span_str("0123456789abcdef"));
	gives(span_of(m.octets, m.n - 8), PACKET_MALFORMED); /* cut by the capture */
	gives(v4(&m, TCP, 1, 0x0001, span_str("89")), PACKET_KEPT);
}

/* A fragment too much of each of many datagrams: the oldest go, and are counted. */
static void
fragments_are_bounded(void **state)
{
	struct packet p;

	(void)state;
	for (unsigned i = 0; i < PACKET_FRAGMENTS_MAX + 10; i++)
		gives(v4(&m, TCP, (uint16_t)i, 0x2000, span_str("01234567")), PACKET_KEPT);
	assert_int_equal(packets_lost(ps), 10);
	gives(v4(&m, TCP, 9, 0x0001, span_str("late")), PACKET_KEPT);
	reads(v4(&m, TCP, PACKET_FRAGMENTS_MAX + 9, 0x0001, span_str("late")), TCP, "01234567late");
	assert_int_equal(
	    read_at(PACKET_FRAGMENT_SECONDS, v4(&m, 17, 1, 0x2000, span_str("01234567")), &p),
	    PACKET_KEPT);
	assert_true(packets_lost(ps) < 20);
	read_at(PACKET_FRAGMENT_SECONDS + 1, v4(&m, 17, 1, 0x2001, span_str("01234567")), &p);
	assert_int_equal(packets_lost(ps), PACKET_FRAGMENTS_MAX + 10);
	for (unsigned i = 0; i < 200; i++) /* 64 KiB each */
		read_at(PACKET_FRAGMENT_SECONDS + 1,
		    v4(&m, TCP, (uint16_t)i, 0x3ff0, span_str("01234567")), &p);
	assert_true(packets_lost(ps) > PACKET_FRAGMENTS_MAX + 100);
}

static void
the_largest_datagram(void **state)
{
	static uint8_t much[65515];
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (uint8_t)(i * 7);
	for (size_t at = 0; at < sizeof(much); at += 1480) {
		size_t n = sizeof(much) - at < 1480 ? sizeof(much) - at : 1480;
		bool last = at + n == sizeof(much);
		enum packet_verdict v = read_at(0,
		    v4(&m, TCP, 1, (uint16_t)(at / 8 | (last ? 0 : 0x2000)), span_of(much + at, n)),
		    &p);

		assert_int_equal(v, last ? PACKET_WHOLE : PACKET_KEPT);
	}
	assert_int_equal(p.payload.n, sizeof(much));
	assert_memory_equal(p.payload.p, much, sizeof(much));
}

static struct span
wrap(struct made *out, uint8_t protocol, struct span inner, bool six)
{
	return six ? v6(out, protocol, inner) : v4(out, protocol, 1, 0, inner);
}

static void
tunnels(void **state)
{
	static struct made a, b;

	(void)state;
	reads(wrap(&a, 4, v4(&m, TCP, 1, 0, span_str("abc")), false), TCP, "abc");
	reads(wrap(&a, 41, v6(&m, TCP, span_str("abc")), false), TCP, "abc");
	reads(wrap(&a, 4, v4(&m, TCP, 1, 0, span_str("abc")), true), TCP, "abc");
	reads(wrap(&a, 41, v6(&m, TCP, span_str("abc")), true), TCP, "abc");
	v4(&m, TCP, 1, 0, span_str("abc"));
	b.n = 0;
	put(&b, LITERAL("\0\0\x08\0"));
	put(&b, span_of(m.octets, m.n));
	reads(wrap(&a, 47, span_of(b.octets, b.n), false), TCP, "abc");
	b.n = 0;
	put(&b, LITERAL("\x90\0\x65\x58----####MMMMMMmmmmmm\x08\0")); /* sum, number, Ethernet */
	put(&b, span_of(m.octets, m.n));
	reads(wrap(&a, 47, span_of(b.octets, b.n), true), TCP, "abc");
}

static void
tunnels_that_are_not_followed(void **state)
{
	static struct made nest[PACKET_TUNNELS_MAX + 2];
	struct packet p;
	struct span s;

	(void)state;
	assert_int_equal(
	    read_at(0, wrap(&m, 47, LITERAL("\x20\0\x08\0KEY-E"), false), &p), PACKET_WHOLE);
	assert_int_equal(p.protocol, 47);
	assert_int_equal(
	    read_at(0, wrap(&m, 47, LITERAL("\0\0\x88\x0b...."), false), &p), PACKET_WHOLE);
	assert_int_equal(p.protocol, 47);
	gives(wrap(&m, 47, LITERAL("\0\0\x08"), false), PACKET_MALFORMED);
	gives(wrap(&m, 47, LITERAL("\x80\0\x08\0----"), false), PACKET_MALFORMED);
	gives(wrap(&m, 4, SPAN_NONE, false), PACKET_MALFORMED);
	gives(wrap(&m, 4, span_str("nonsense"), false), PACKET_MALFORMED);
	s = v4(&nest[0], TCP, 1, 0, span_str("abc"));
	for (unsigned i = 1; i <= PACKET_TUNNELS_MAX; i++)
		s = wrap(&nest[i], 4, s, false);
	reads(s, TCP, "abc");
	s = wrap(&nest[PACKET_TUNNELS_MAX + 1], 4, s, false);
	assert_int_equal(read_at(0, s, &p), PACKET_WHOLE);
	assert_int_equal(p.protocol, 4);
}

/* Fragments of a tunnel, and fragments in what these make: storage of the one, read by the other.
 */
static void
fragments_within_fragments(void **state)
{
	static struct made outer;
	struct packet p;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct span inner = v4(&m, TCP, 7, i == 0 ? 0x2000 : 0x0001,
		    i == 0 ? span_str("01234567") : span_str("89"));

		assert_int_equal(inner.n, i == 0 ? 28 : 22);
		assert_int_equal(
		    read_at(
			0, v4(&outer, 4, (uint16_t)(50 + i), 0x2000, span_first(inner, 16)), &p),
		    PACKET_KEPT);
		assert_int_equal(
		    read_at(0, v4(&outer, 4, (uint16_t)(50 + i), 0x0002, span_from(inner, 16)), &p),
		    i == 0 ? PACKET_KEPT : PACKET_WHOLE);
	}
	assert_int_equal(p.payload.n, 10);
	assert_memory_equal(p.payload.p, "0123456789", 10);
}

static void
memory_runs_out(void **state)
{
	struct packet p;
	unsigned n;

	(void)state;
	for (n = 1;; n++) {
		struct packets *own;
		enum packet_verdict v = PACKET_KEPT;

		alloc_fail_at(n);
		own = packets_new(seed);
		for (unsigned i = 0; own != NULL && i < 2; i++)
			v = packets_read(own,
			    v4(&m, TCP, 7, i == 0 ? 0x2000 : 0x0001,
				i == 0 ? span_str("01234567") : span_str("89")),
			    0, &p);
		if (!alloc_failed()) {
			assert_int_equal(v, PACKET_WHOLE);
			packets_free(own);
			break;
		}
		assert_int_equal(v, PACKET_KEPT);
		packets_free(own);
	}
	assert_true(n > 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(whole_packets),
	    TEST(what_the_capture_cut_is_missing),
	    TEST(a_length_of_zero),
	    TEST(X_001_senseless_headers),
	    TEST(options_and_extension_headers),
	    TEST(fragments_in_any_order),
	    TEST(fragments_with_extension_headers),
	    TEST(X_002_fragments_of_v4_that_contradict),
	    TEST(X_002_the_whole_says_so),
	    TEST(X_002_ends_that_contradict),
	    TEST(X_002_fragments_of_v6_that_overlap),
	    TEST(X_001_senseless_fragments),
	    TEST(fragments_are_bounded),
	    TEST(the_largest_datagram),
	    TEST(tunnels),
	    TEST(tunnels_that_are_not_followed),
	    TEST(fragments_within_fragments),
	    TEST(memory_runs_out),
	};

	return cmocka_run_group_tests_name("net packet", tests, NULL, NULL);
}
