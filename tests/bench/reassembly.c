/*
 * reassembly - how fast frames become the octets of their streams, with nobody who looks at them.
 *
 * One line a measurement: name, MB/s of frames (10^6 octets), millions of packets a second. The
 * frames lie in memory, are of 100 connections in turns, and of 1448 octets unless it says
 * otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/frame.h"
#include "tcp/connections.h"

#define CONNECTIONS 100u
#define FRAMES	    (1u << 15) /* so many different ones; then their numbers are counted on */
#define LAPS	    32u
#define HEADERS	    (14 + 20 + 20)
#define FRAME_MAX   (HEADERS + 1448)

struct kind {
	const char *name;
	size_t octets;
	bool compare, checksums, turned;
};

static uint64_t taken;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
happened(void *arg, struct connection *c, const struct connection_event *ev)
{
	(void)arg;
	(void)c;
	if (ev->what == CONNECTION_OCTETS)
		taken += ev->n;
}

static bool
server_port(void *arg, uint16_t port)
{
	(void)arg;
	return port == 25;
}

static void
put(uint8_t *p, uint32_t v, unsigned octets)
{
	for (unsigned i = 0; i < octets; i++)
		p[i] = (uint8_t)(v >> 8 * (octets - 1 - i));
}

/* The n-th frame of the whole; its number is the last thing that goes in. */
static void
number_frame(uint8_t *frame, const struct kind *k, uint32_t n)
{
	uint32_t turn = n / CONNECTIONS;

	if (k->turned) /* two neighbours change places */
		turn ^= 1;
	put(frame + 38, turn * (uint32_t)k->octets, 4);
}

static void
make_frame(uint8_t *frame, const struct kind *k, uint32_t n)
{
	static const uint8_t head[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 0, 0,
	    0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1};

	memset(frame, 'x', FRAME_MAX);
	memcpy(frame, head, sizeof(head));
	put(frame + 16, (uint32_t)(40 + k->octets), 2);
	put(frame + 34, 1024 + n % CONNECTIONS, 2);
	put(frame + 36, 25, 2);
	memset(frame + 42, 0, 12);
	frame[46] = 5 << 4;
	put(frame + 48, 65535, 2);
	number_frame(frame, k, n);
}

static void
measure(const struct kind *k, uint8_t *frames)
{
	struct connections_env env = {.happened = happened,
	    .server_port = server_port,
	    .memory = 64u << 20,
	    .compare = k->compare,
	    .checksums = k->checksums};
	struct connections *cs = connections_new(&env);
	struct packets *ps = packets_new(env.seed);
	double began, spent;
	struct packet packet;
	struct span ip;

	if (cs == NULL || ps == NULL)
		exit(1);
	for (uint32_t i = 0; i < FRAMES; i++)
		make_frame(frames + (size_t)i * FRAME_MAX, k, i);
	taken = 0;
	began = now();
	for (uint32_t n = 0; n < LAPS * FRAMES; n++) {
		uint8_t *frame = frames + (size_t)(n % FRAMES) * FRAME_MAX;

		put(frame + 34, 1024 + n % CONNECTIONS, 2);
		number_frame(frame, k, n);
		if (frame_packet(FRAME_ETHERNET, span_of(frame, HEADERS + k->octets), &ip) ==
			FRAME_IP &&
		    packets_read(ps, ip, n >> 16, &packet) == PACKET_WHOLE)
			connections_read(cs, &packet, n);
	}
	spent = now() - began;
	connections_end(cs);
	if (!k->checksums && taken < (uint64_t)(LAPS * FRAMES - CONNECTIONS) * k->octets / 10 * 9)
		exit(1); /* not what was meant to be measured */
	printf("%-24s %8.0f MB/s %6.1f M/s\n", k->name,
	    (double)(HEADERS + k->octets) * LAPS * FRAMES / spent / 1e6,
	    LAPS * FRAMES / spent / 1e6);
	connections_free(cs);
	packets_free(ps);
}

int
main(void)
{
	static const struct kind kinds[] = {
	    {.name = "in order", .octets = 1448},
	    {.name = "in order, 64 octets", .octets = 64},
	    {.name = "in order, compared", .octets = 1448, .compare = true},
	    {.name = "neighbours change places", .octets = 1448, .turned = true},
	    {.name = "checksums that are wrong", .octets = 1448, .checksums = true},
	};
	uint8_t *frames = malloc((size_t)FRAMES * FRAME_MAX);

	if (frames == NULL)
		return 1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		measure(&kinds[i], frames);
	free(frames);
	return 0;
}
