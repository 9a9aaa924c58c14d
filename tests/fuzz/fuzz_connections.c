/*
 * fuzz_connections - TCP segments, one behind the other. The first octet has options: 1: what was
 * handed out is compared, 2: checksums count. Then, for each: who sends (one bit), which of four
 * clients (two bits), how much of it is not in the capture (the five others), seconds since the one
 * before it, two octets of length, TCP header with all that follows; its ports are overwritten.
 *
 * Claims: OPEN ahead of everything, CLOSED behind it, and every connection has both; offsets grow
 * without holes but those that are named; octets of one offset are never said twice; nothing behind
 * END or RESET but what the header allows; memory is bounded, and given back.
 */
#include "fuzz.h"
#include "tcp/connections.h"

#define HEADER	    4
#define SERVER_PORT 25
#define SEED                                                                                       \
	{                                                                                          \
		1, 2                                                                               \
	}

struct state {
	uint64_t off[2];
	bool ended[2], over;
};

static unsigned alive;

static void
on_octets(const struct connection *c, const struct state *s, const struct connection_event *ev)
{
	static volatile uint8_t last;

	fuzz_claim(ev->octets.n > 0 && ev->octets.n == ev->n);
	fuzz_claim(c->octets[ev->dir] <= s->off[ev->dir]);
	for (size_t i = 0; i < ev->octets.n; i++)
		last = (uint8_t)(last + ev->octets.p[i]);
}

static void
heard(void *arg, struct connection *c, const struct connection_event *ev)
{
	struct state *s = c->of;

	(void)arg;
	if (ev->what == CONNECTION_OPEN) {
		fuzz_claim(s == NULL);
		c->of = calloc(1, sizeof(*s));
		fuzz_claim(c->of != NULL);
		alive++;
		return;
	}
	fuzz_claim(s != NULL);
	fuzz_claim(!s->over || ev->what == CONNECTION_CLOSED);
	if (ev->what == CONNECTION_CONFLICT)
		fuzz_claim(ev->octets.n > 0);
	else
		fuzz_claim(ev->off == s->off[ev->dir]);
	switch (ev->what) {
	case CONNECTION_OCTETS:
		on_octets(c, s, ev);
		/* FALLTHROUGH */
	case CONNECTION_GAP:
		fuzz_claim(!s->ended[ev->dir] && ev->n > 0);
		s->off[ev->dir] += ev->n;
		break;
	case CONNECTION_END:
		fuzz_claim(!s->ended[ev->dir]);
		s->ended[ev->dir] = true;
		break;
	case CONNECTION_STRAY:
		fuzz_claim(ev->oddity != ODDITY_NONE);
		break;
	case CONNECTION_RESET:
	case CONNECTION_EVICTED:
		s->over = true;
		break;
	case CONNECTION_CLOSED:
		fuzz_claim(s->over || (s->ended[0] && s->ended[1]));
		free(s);
		alive--;
		break;
	case CONNECTION_OPEN:
	case CONNECTION_CONFLICT:
		break;
	}
}

static bool
server_port(void *arg, uint16_t port)
{
	(void)arg;
	return port == SERVER_PORT;
}

static void
put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
read_one(struct connections *cs, const uint8_t *head, struct span segment, uint64_t now)
{
	bool from_server = head[0] & 1;
	uint16_t client = (uint16_t)(1024 + (head[0] >> 1 & 3));
	struct packet packet = {.protocol = 6, .hops = 64, .missing = head[0] >> 3};
	uint8_t *copy = malloc(segment.n > 0 ? segment.n : 1);

	fuzz_claim(copy != NULL);
	if (segment.n > 0)
		memcpy(copy, segment.p, segment.n);
	if (segment.n >= 4) {
		put_u16(copy, from_server ? SERVER_PORT : client);
		put_u16(copy + 2, from_server ? client : SERVER_PORT);
	}
	packet.from.octets[0] = from_server ? 2 : 1;
	packet.to.octets[0] = from_server ? 1 : 2;
	packet.payload = span_of(copy, segment.n);
	connections_read(cs, &packet, now);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct connections_env env = {.happened = heard,
	    .server_port = server_port,
	    .memory = CONNECTIONS_MEMORY_MIN,
	    .seed = SEED};
	struct span rest = span_of(p, n);
	struct connections_stats before, after;
	struct connections *cs;
	uint64_t now = 1000000;

	if (n == 0)
		return 0;
	env.compare = p[0] & 1;
	env.checksums = p[0] & 2;
	cs = connections_new(&env);
	fuzz_claim(cs != NULL);
	connections_stats(cs, &before);
	for (rest = span_from(rest, 1); rest.n >= HEADER;) {
		const uint8_t *head = rest.p;
		struct span segment =
		    span_first(span_from(rest, HEADER), (size_t)(head[2] << 8 | head[3]));

		now += head[1] * 1000000ull;
		read_one(cs, head, segment, now);
		rest = span_from(rest, HEADER + segment.n);
		connections_stats(cs, &after);
		fuzz_claim(after.memory_peak <= CONNECTIONS_MEMORY_MIN);
		fuzz_claim(alive <= after.alive && after.alive <= 4);
	}
	connections_end(cs);
	connections_stats(cs, &after);
	fuzz_claim(alive == 0 && after.alive == 0 && after.memory == before.memory);
	connections_free(cs);
	return 0;
}
