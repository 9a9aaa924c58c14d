/*
 * streams FILE FOLDER - the streams of a capture as analyzers/tcp reads them, with nobody who
 * understands them: what another program that reads captures is held against.
 *
 * A file in FOLDER for each direction that says something: "A.p-B.q.n", A the sender, n = 0, 1, ...
 * the connections of these ends. A gap is so many NULs. One line for each connection on standard
 * output: "A.p-B.q.n", A the client, and behind it those of "joined", "gap", "conflict", "stray"
 * and "reset" that it has. Exit code 1: it could not be read to its end, or not be written.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture_file.h"
#include "net/packet.h"
#include "tcp/connections.h"

#define STREAM_NAME_MAX 160
#define GAP_MAX		(1u << 20)

enum oddness {
	ODD_JOINED = 1 << 0,
	ODD_GAP = 1 << 1,
	ODD_SKIP = 1 << 2,
	ODD_CONFLICT = 1 << 3,
	ODD_STRAY = 1 << 4,
	ODD_RESET = 1 << 5,
};

static const char *const oddnesses[] = {"joined", "gap", "skip", "conflict", "stray", "reset"};

struct stream {
	char name[2][STREAM_NAME_MAX]; /* by direction */
	FILE *file[2];
	unsigned odd;
};

static const char *folder;

static void
give_up(const char *what)
{
	perror(what);
	exit(1);
}

static void
write_end(const struct connection_end *end, char *text, size_t n)
{
	char address[INET6_ADDRSTRLEN];

	if (inet_ntop(end->address.v6 ? AF_INET6 : AF_INET, end->address.octets, address,
		sizeof(address)) == NULL)
		give_up("address");
	snprintf(text, n, "%s.%u", address, end->port);
}

static FILE *
open_file(const char *name, const char *mode)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return fopen(path, mode);
}

/* The first number that neither direction has a file of. */
static void
name_stream(struct stream *s, const struct connection *c)
{
	char client[64], server[64];

	write_end(&c->client, client, sizeof(client));
	write_end(&c->server, server, sizeof(server));
	for (unsigned n = 0;; n++) {
		FILE *there, *back;

		snprintf(s->name[AN_C2S], STREAM_NAME_MAX, "%s-%s.%u", client, server, n);
		snprintf(s->name[AN_S2C], STREAM_NAME_MAX, "%s-%s.%u", server, client, n);
		there = open_file(s->name[AN_C2S], "rb");
		back = open_file(s->name[AN_S2C], "rb");
		if (there != NULL)
			fclose(there);
		if (back != NULL)
			fclose(back);
		if (there == NULL && back == NULL)
			return;
	}
}

static void
open_stream(struct connection *c)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		give_up("memory");
	name_stream(s, c);
	s->odd = c->joined ? ODD_JOINED : 0;
	for (int dir = 0; dir < 2; dir++)
		if ((s->file[dir] = open_file(s->name[dir], "wb")) == NULL)
			give_up(s->name[dir]);
	c->of = s;
}

static void
put(struct stream *s, enum an_dir dir, struct span octets)
{
	if (fwrite(octets.p, 1, octets.n, s->file[dir]) != octets.n)
		give_up(s->name[dir]);
}

static void
put_gap(struct stream *s, enum an_dir dir, uint64_t n)
{
	s->odd |= n > GAP_MAX ? ODD_GAP | ODD_SKIP : ODD_GAP;
	for (; n > 0 && n <= GAP_MAX; n--)
		if (putc(0, s->file[dir]) == EOF)
			give_up(s->name[dir]);
}

static void
close_stream(struct connection *c)
{
	struct stream *s = c->of;

	if (s == NULL)
		return;
	fputs(s->name[AN_C2S], stdout);
	for (unsigned i = 0; i < sizeof(oddnesses) / sizeof(oddnesses[0]); i++)
		if ((s->odd & 1u << i) != 0)
			printf(" %s", oddnesses[i]);
	putchar('\n');
	if (fclose(s->file[AN_C2S]) != 0 || fclose(s->file[AN_S2C]) != 0)
		give_up(s->name[AN_C2S]);
	free(s);
	c->of = NULL;
}

static void
happened(void *arg, struct connection *c, const struct connection_event *ev)
{
	struct stream *s = c->of;

	(void)arg;
	switch (ev->what) {
	case CONNECTION_OPEN:
		open_stream(c);
		break;
	case CONNECTION_OCTETS:
		put(s, ev->dir, ev->octets);
		break;
	case CONNECTION_GAP:
		put_gap(s, ev->dir, ev->n);
		break;
	case CONNECTION_CONFLICT:
		s->odd |= ODD_CONFLICT;
		break;
	case CONNECTION_STRAY:
		s->odd |= ODD_STRAY;
		break;
	case CONNECTION_RESET:
		s->odd |= ODD_RESET;
		break;
	case CONNECTION_END:
	case CONNECTION_EVICTED:
		break;
	case CONNECTION_CLOSED:
		close_stream(c);
		break;
	}
}

static bool
server_port(void *arg, uint16_t port)
{
	(void)arg;
	return port < 1024;
}

static bool
read_capture(struct capture_file *f, struct packets *packets, struct connections *connections)
{
	char why[CAPTURE_FILE_WHY];
	struct captured frame;
	enum captured_verdict got;
	struct packet packet;
	struct span ip;

	while ((got = capture_file_next(f, &frame, why)) == CAPTURED_FRAME) {
		const uint64_t second = (uint64_t)frame.when.tv_sec;

		if (frame_packet(capture_file_link(f), frame.octets, &ip) == FRAME_IP &&
		    packets_read(packets, ip, second, &packet) == PACKET_WHOLE &&
		    packet.protocol == 6)
			connections_read(
			    connections, &packet, second * 1000000u + (uint64_t)frame.when.tv_usec);
	}
	if (got == CAPTURED_DAMAGE)
		fprintf(stderr, "%s\n", why);
	return got == CAPTURED_END;
}

int
main(int argc, char **argv)
{
	struct connections_env env = {.happened = happened,
	    .server_port = server_port,
	    .memory = 256u << 20,
	    .compare = true};
	struct connections *connections = connections_new(&env);
	struct packets *packets = packets_new(env.seed);
	char why[CAPTURE_FILE_WHY];
	struct capture_file *f;
	bool whole;

	if (argc != 3 || connections == NULL || packets == NULL) {
		fputs("usage: streams FILE FOLDER\n", stderr);
		return 1;
	}
	folder = argv[2];
	f = capture_file_open(argv[1], CAPTURE_FILE_BUFFER_MIN, why);
	if (f == NULL) {
		fprintf(stderr, "%s: %s\n", argv[1], why);
		return 1;
	}
	whole = read_capture(f, packets, connections);
	connections_end(connections);
	connections_free(connections);
	packets_free(packets);
	capture_file_close(f);
	return whole && fflush(stdout) == 0 ? 0 : 1;
}
