#include "tap_frame.h"

#include <stdio.h>
#include <string.h>

#define SECTION_HEADER	0x0a0d0d0au
#define INTERFACE	1u
#define ENHANCED_PACKET 6u
#define ORDER		0x1a2b3c4du
#define LINKTYPE_RAW	101u
#define OPT_COMMENT	1u
#define OPT_APPLICATION 4u

#define IP4_HEADER  20u
#define IP6_HEADER  40u
#define TCP_HEADER  20u
#define TCP	    6u
#define HOPS	    64u
#define WINDOW	    65535u
#define COMMENT_MAX 256u

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

/* Where the next octets go. */
struct pen {
	uint8_t *p;
};

static void
put(struct pen *pen, const void *octets, size_t n)
{
	if (n > 0)
		memcpy(pen->p, octets, n);
	pen->p += n;
}

static void
put_le(struct pen *pen, uint64_t value, unsigned octets)
{
	for (unsigned i = 0; i < octets; i++)
		*pen->p++ = (uint8_t)(value >> 8 * i);
}

static void
put_be(struct pen *pen, uint32_t value, unsigned octets)
{
	for (unsigned i = octets; i-- > 0;)
		*pen->p++ = (uint8_t)(value >> 8 * i);
}

static void
pad(struct pen *pen, size_t n)
{
	while (n++ % 4 != 0)
		*pen->p++ = 0;
}

static void
put_option(struct pen *pen, unsigned code, const char *text)
{
	size_t n = strlen(text);

	put_le(pen, code, 2);
	put_le(pen, n, 2);
	put(pen, text, n);
	pad(pen, n);
	put_le(pen, 0, 4); /* opt_endofopt */
}

/* A block has its length at both ends. */
static size_t
end_block(struct pen *pen, uint8_t *block)
{
	size_t n = (size_t)(pen->p - block) + 4;

	put_le(pen, n, 4);
	put_le(&(struct pen){block + 4}, n, 4);
	return n;
}

size_t
tap_frame_begin(uint8_t out[TAP_FRAME_BEGIN])
{
	struct pen pen = {out};
	size_t n;

	put_le(&pen, SECTION_HEADER, 4);
	put_le(&pen, 0, 4);
	put_le(&pen, ORDER, 4);
	put_le(&pen, 1, 2); /* version 1.0 */
	put_le(&pen, 0, 2);
	put_le(&pen, UINT64_MAX, 8); /* length: not said */
	put_option(&pen, OPT_APPLICATION, "postern");
	n = end_block(&pen, out);
	put_le(&pen, INTERFACE, 4);
	put_le(&pen, 0, 4);
	put_le(&pen, LINKTYPE_RAW, 2);
	put_le(&pen, 0, 2);
	put_le(&pen, 0, 4); /* frames are as long as they like; times are microseconds */
	return n + end_block(&pen, out + n);
}

/* ---- what a frame is ---- */

struct frame {
	enum an_dir dir;
	uint8_t flags;
	uint32_t seq, ack;
	uint32_t length;    /* octets of the stream in it */
	struct span octets; /* of them, those that are there: all, or none */
	bool comment;
};

/* RFC 9293 s3.4.1 wants another one for each connection; here it has to be the same for all. */
static uint32_t
first_number(const struct tap_record *r, enum an_dir dir)
{
	uint64_t x = r->flow * UINT64_C(0x9e3779b97f4a7c15) + 2u * r->part + dir;

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(x ^ x >> 31);
}

/* ahead: SYN, octets, and FIN that were sent this way. */
static uint32_t
number(const struct tap_record *r, enum an_dir dir, uint64_t ahead)
{
	return first_number(r, dir) + (uint32_t)ahead;
}

static unsigned
pieces(const struct tap_record *r)
{
	return (r->length + TAP_PIECE_MAX - 1) / TAP_PIECE_MAX;
}

unsigned
tap_frame_count(const struct tap_record *r)
{
	switch (r->kind) {
	case TAP_OPEN:
		return 3;
	case TAP_OCTETS:
		return pieces(r) + 1;
	case TAP_CLOSE:
		return r->end == TAP_FIN ? 3 : 1;
	default:
		return 0;
	}
}

/* SYN, SYN and ACK, ACK. */
static struct frame
opening(const struct tap_record *r, unsigned i)
{
	static const uint8_t flags[] = {SYN, SYN | ACK, ACK};
	const enum an_dir from = (enum an_dir)r->dir, to = an_other(from);
	const enum an_dir dir = i == 1 ? to : from;

	return (struct frame){.dir = dir,
	    .flags = flags[i],
	    .seq = number(r, dir, i == 2),
	    .ack = i == 0 ? 0 : number(r, an_other(dir), 1),
	    .comment = i == 0};
}

/* Segments, and at last an acknowledgement of all of them. */
static struct frame
octets(const struct tap_record *r, unsigned i)
{
	const enum an_dir dir = (enum an_dir)r->dir, back = an_other(dir);
	const uint32_t from = i * TAP_PIECE_MAX;
	uint32_t n = r->length - from;

	if (i == pieces(r))
		return (struct frame){.dir = back,
		    .flags = ACK,
		    .seq = number(r, back, 1 + r->at[back]),
		    .ack = number(r, dir, 1 + r->at[dir] + r->length)};
	n = n < TAP_PIECE_MAX ? n : TAP_PIECE_MAX;
	return (struct frame){.dir = dir,
	    .flags = from + n == r->length ? ACK | PSH : ACK,
	    .seq = number(r, dir, 1 + r->at[dir] + from),
	    .ack = number(r, back, 1 + r->at[back]),
	    .length = n,
	    .octets = span_first(span_from(tap_record_octets(r), r->n == 0 ? 0 : from), n)};
}

/* FIN, the other side's, and an acknowledgement; or RST. */
static struct frame
closing(const struct tap_record *r, unsigned i)
{
	const enum an_dir from = (enum an_dir)r->dir;
	const enum an_dir dir = i == 1 ? an_other(from) : from;
	const uint64_t ours = 1 + r->at[dir], theirs = 1 + r->at[an_other(dir)];

	return (struct frame){.dir = dir,
	    .flags = r->end == TAP_RESET ? RST | ACK
		     : i == 2		 ? ACK
					 : FIN | ACK,
	    .seq = number(r, dir, ours + (i == 2)),
	    .ack = number(r, an_other(dir), theirs + (i > 0)),
	    .comment = i == 0};
}

static struct frame
frame_of(const struct tap_record *r, unsigned i)
{
	return r->kind == TAP_OPEN    ? opening(r, i)
	       : r->kind == TAP_CLOSE ? closing(r, i)
				      : octets(r, i);
}

/* ---- its octets ---- */

/* The sum of RFC 1071 over n octets, added to sum; only the last piece may have an odd length. */
static uint64_t
add_up(uint64_t sum, const uint8_t *p, size_t n)
{
	for (; n > 1; p += 2, n -= 2)
		sum += (uint64_t)(p[0] << 8 | p[1]);
	return n > 0 ? sum + (uint64_t)(p[0] << 8) : sum;
}

static uint32_t
fold(uint64_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)(~sum & 0xffff);
}

static size_t
address_size(const struct tap_record *r)
{
	return r->client.ip.family == IP_V4 ? 4 : 16;
}

static void
put_ip(struct pen *pen, const struct tap_record *r, const struct ip *from, const struct ip *to,
    uint32_t length)
{
	uint8_t *at = pen->p;

	if (r->client.ip.family == IP_V4) {
		put_be(pen, 0x4500, 2);
		put_be(pen, IP4_HEADER + length, 2);
		put_be(pen, 0x4000, 4); /* identification 0, do not fragment */
		put_be(pen, HOPS << 8 | TCP, 2);
		put_be(pen, 0, 2);
	} else {
		put_be(pen, 0x60000000, 4);
		put_be(pen, length, 2);
		put_be(pen, TCP << 8 | HOPS, 2);
	}
	put(pen, from->octets, address_size(r));
	put(pen, to->octets, address_size(r));
	if (r->client.ip.family == IP_V4)
		put_be(&(struct pen){at + 10}, fold(add_up(0, at, IP4_HEADER)), 2);
}

/*
 * Of octets that are not there nobody can check the sum: they count as zeros.
 */
static void
put_tcp(struct pen *pen, const struct tap_record *r, const struct frame *f, const uint16_t ports[2])
{
	const size_t both = 2 * address_size(r);
	uint8_t *at = pen->p;
	uint64_t sum;

	put_be(pen, ports[0], 2);
	put_be(pen, ports[1], 2);
	put_be(pen, f->seq, 4);
	put_be(pen, f->ack, 4);
	put_be(pen, TCP_HEADER / 4 << 12 | f->flags, 2);
	put_be(pen, WINDOW, 2);
	put_be(pen, 0, 4); /* checksum, urgent pointer */
	put(pen, f->octets.p, f->octets.n);
	sum = add_up(TCP + TCP_HEADER + f->length, at - both, both);
	sum = add_up(sum, at, TCP_HEADER + f->octets.n);
	put_be(&(struct pen){at + 16}, fold(sum), 2);
}

static void
put_comment(struct pen *pen, const struct tap_record *r, const char *name)
{
	char text[COMMENT_MAX], port[16] = "";

	if (r->shown != r->server.port)
		snprintf(port, sizeof(port), " port=%u", r->server.port);
	snprintf(text, sizeof(text), "postern flow_id=%ju capture=%s protocol=%s leg=%s%s%s",
	    (uintmax_t)r->flow, name, protocol_name((enum protocol)r->protocol),
	    r->leg == 0 ? "client" : "server", port, r->secure ? " tls" : "");
	put_option(pen, OPT_COMMENT, text);
}

size_t
tap_frame_write(
    const struct tap_record *r, const char *name, unsigned i, uint8_t out[TAP_FRAME_MAX])
{
	const struct frame f = frame_of(r, i);
	const bool up = f.dir == AN_C2S;
	const uint16_t ports[2] = {up ? r->client.port : r->shown, up ? r->shown : r->client.port};
	const size_t headers =
	    (r->client.ip.family == IP_V4 ? IP4_HEADER : IP6_HEADER) + TCP_HEADER;
	const size_t there = headers + f.octets.n;
	struct pen pen = {out};

	put_le(&pen, ENHANCED_PACKET, 4);
	put_le(&pen, 0, 4);
	put_le(&pen, 0, 4); /* interface */
	put_le(&pen, r->time >> 32, 4);
	put_le(&pen, r->time & UINT32_MAX, 4);
	put_le(&pen, there, 4);
	put_le(&pen, headers + f.length, 4);
	put_ip(&pen, r, up ? &r->client.ip : &r->server.ip, up ? &r->server.ip : &r->client.ip,
	    TCP_HEADER + f.length);
	put_tcp(&pen, r, &f, ports);
	pad(&pen, there);
	if (f.comment)
		put_comment(&pen, r, name);
	return end_block(&pen, out);
}
