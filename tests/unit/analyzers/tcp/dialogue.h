/*
 * dialogue - segments between two ends into a table of connections, and what it says of them as a
 * text, one event a line:
 *
 *	open, open joined, > octets, < octets, > gap 3, > conflict 2 xy, > stray reset, > end,
 *	> reset, evicted, closed		(>: from the client, <: from the server)
 *
 * Sequence numbers are counted from each side's first octet, 0. The offsets of events are looked at
 * on the way, and that OPEN comes first and CLOSED last.
 */
#ifndef POSTERN_TESTS_DIALOGUE_H
#define POSTERN_TESTS_DIALOGUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/buf.h"
#include "tcp/connections.h"

#define SECOND	    1000000u
#define CLIENT_ISN  0xfffffff0u /* so that numbers wrap soon */
#define SERVER_ISN  7000u
#define CLIENT_PORT 40000
#define SERVER_PORT 25
#define TEXT_MAX    (1u << 20)

#define F SEGMENT_FIN
#define S SEGMENT_SYN
#define R SEGMENT_RST
#define P SEGMENT_PSH
#define A SEGMENT_ACK
#define U SEGMENT_URG

struct dialogue {
	struct connections *cs;
	struct buf text;
	uint64_t off[2], now;
	uint16_t client_port, window;
	uint8_t hops;
	uint32_t isn[2];
	size_t missing; /* of the next segment */
	bool alive, same_host;
};

static inline void
heard(void *arg, struct connection *c, const struct connection_event *ev)
{
	static const char *const names[] = {[CONNECTION_OPEN] = "open",
	    [CONNECTION_GAP] = "gap",
	    [CONNECTION_END] = "end",
	    [CONNECTION_RESET] = "reset",
	    [CONNECTION_EVICTED] = "evicted",
	    [CONNECTION_CONFLICT] = "conflict",
	    [CONNECTION_STRAY] = "stray",
	    [CONNECTION_CLOSED] = "closed"};
	struct dialogue *d = arg;
	bool directed = ev->what != CONNECTION_OPEN && ev->what != CONNECTION_EVICTED &&
			ev->what != CONNECTION_CLOSED;

	assert_int_equal(d->alive, ev->what != CONNECTION_OPEN);
	if (directed)
		buf_str(&d->text, ev->dir == AN_C2S ? "> " : "< ");
	if (ev->what != CONNECTION_OCTETS)
		buf_str(&d->text, names[ev->what]);
	if (ev->what == CONNECTION_OPEN) {
		d->alive = true;
		d->off[AN_C2S] = d->off[AN_S2C] = 0;
		if (c->joined)
			buf_str(&d->text, " joined");
	}
	d->alive &= ev->what != CONNECTION_CLOSED;
	if (ev->what != CONNECTION_CONFLICT)
		assert_int_equal(ev->off, d->off[ev->dir]);
	if (ev->what == CONNECTION_OCTETS || ev->what == CONNECTION_GAP)
		d->off[ev->dir] += ev->n;
	if (ev->what == CONNECTION_OCTETS)
		assert_int_equal(ev->n, ev->octets.n);
	if (ev->what == CONNECTION_GAP || ev->what == CONNECTION_CONFLICT) {
		buf_octet(&d->text, ' ');
		buf_u64(&d->text, ev->what == CONNECTION_GAP ? ev->n : ev->off);
	}
	if (ev->what == CONNECTION_CONFLICT)
		buf_octet(&d->text, ' ');
	if (ev->what == CONNECTION_STRAY) {
		buf_octet(&d->text, ' ');
		buf_str(&d->text, connection_oddity_name(ev->oddity));
	}
	buf_add(&d->text, ev->octets);
	buf_octet(&d->text, '\n');
}

static inline bool
is_server_port(void *arg, uint16_t port)
{
	(void)arg;
	return port == SERVER_PORT;
}

static inline void
dialogue_begin(struct dialogue *d, bool compare)
{
	struct connections_env env = {.happened = heard,
	    .server_port = is_server_port,
	    .arg = d,
	    .seed = {1, 2},
	    .memory = 16u << 20,
	    .compare = compare};

	*d = (struct dialogue){.now = SECOND,
	    .client_port = CLIENT_PORT,
	    .window = 4096,
	    .hops = 64,
	    .isn = {CLIENT_ISN, SERVER_ISN}};
	buf_init(&d->text, TEXT_MAX);
	d->cs = connections_new(&env);
	assert_non_null(d->cs);
}

static inline struct packet_address
address_of(uint8_t last)
{
	return (struct packet_address){.octets = {192, 0, 2, last}};
}

static inline void
put_number(uint8_t *p, uint32_t v, unsigned octets)
{
	for (unsigned i = 0; i < octets; i++)
		p[i] = (uint8_t)(v >> 8 * (octets - 1 - i));
}

/* The storage is of just this size, for sanitizers. */
static inline bool
say_span(struct dialogue *d, enum an_dir dir, unsigned flags, uint32_t seq, uint32_t ack,
    struct span octets)
{
	uint16_t ports[2] = {d->client_port, SERVER_PORT};
	uint8_t *p = calloc(1, 20 + octets.n);
	struct packet packet = {.from = address_of(dir == AN_C2S || d->same_host ? 1 : 2),
	    .to = address_of(dir == AN_C2S && !d->same_host ? 2 : 1),
	    .protocol = 6,
	    .hops = d->hops,
	    .missing = d->missing};
	bool taken;

	if (p == NULL) /* refused on purpose, to whom it matters not */
		p = calloc(1, 20 + octets.n);
	assert_non_null(p);
	put_number(p, ports[dir], 2);
	put_number(p + 2, ports[1 - dir], 2);
	put_number(p + 4, d->isn[dir] + 1 + seq, 4);
	if (flags & A)
		put_number(p + 8, d->isn[1 - dir] + 1 + ack, 4);
	p[12] = 5 << 4;
	p[13] = (uint8_t)flags;
	put_number(p + 14, d->window, 2);
	if (octets.n > 0)
		memcpy(p + 20, octets.p, octets.n);
	packet.payload = span_of(p, 20 + octets.n);
	taken = connections_read(d->cs, &packet, d->now++);
	free(p);
	d->missing = 0;
	return taken;
}

static inline void
say(struct dialogue *d, enum an_dir dir, unsigned flags, uint32_t seq, uint32_t ack,
    const char *octets)
{
	assert_true(say_span(d, dir, flags, seq, ack, span_str(octets)));
}

/* What was said since the last time. */
static inline void
said(struct dialogue *d, const char *expected)
{
	buf_octet(&d->text, '\0');
	assert_string_equal((const char *)buf_span(&d->text).p, expected);
	buf_clear(&d->text);
}

static inline void
shake(struct dialogue *d)
{
	say(d, AN_C2S, S, (uint32_t)-1, 0, "");
	said(d, "");
	say(d, AN_S2C, S | A, (uint32_t)-1, 0, "");
	said(d, "open\n");
	say(d, AN_C2S, A, 0, 0, "");
}

static inline void
dialogue_end(struct dialogue *d, const char *expected)
{
	struct connections_stats stats;

	connections_end(d->cs);
	said(d, expected);
	assert_false(d->alive);
	connections_stats(d->cs, &stats);
	assert_int_equal(stats.alive, 0);
	connections_free(d->cs);
	buf_free(&d->text);
}

#endif
