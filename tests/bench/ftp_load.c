/*
 * ftp_load - sessions of FTP, one after the other, so many at once, for so many seconds.
 *
 *	ftp_load ADDRESS:PORT SIZE AT_ONCE SECONDS EPSV|PASV|EPRT|PORT down|up
 *	ftp_load ADDRESS:PORT idle SESSIONS
 *
 * Each logs in, transfers one file of SIZE octets and leaves. What comes is compared with what
 * ftp_sink sends. SECONDS 0: one session each. Prints one line of JSON.
 *
 * idle: as many log in and stay until standard input ends; the line says when all are there.
 */
#include <arpa/inet.h>
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ftp_wire.h"

#define TIMES_MAX 200000 /* durations that one thread keeps */

static struct sockaddr_in server;
static const char *size;
static enum { EPSV, PASV, EPRT, PORT } way;
static bool upload;
static double until;

struct client {
	pthread_t thread;
	int data_listener;
	struct sockaddr_in data;
	struct wire_lines lines;
	unsigned sessions, errors;
	uint64_t octets;
	const char *what; /* went wrong first */
	float *times;	  /* of sessions, in microseconds */
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Sends a command (NULL: none) and takes one reply. NULL: another one came. */
static const char *
say(struct client *c, const char *command, const char *code)
{
	const char *line;

	if (command != NULL && !wire_say(c->lines.fd, command))
		return NULL;
	line = wire_line(&c->lines);
	return line != NULL && strncmp(line, code, 3) == 0 ? line : NULL;
}

/* A listener of the client's own, at the address that the server sees. */
static void
listen_for_data(struct client *c)
{
	struct sockaddr_in us;

	if (c->data.sin_port != 0)
		return;
	getsockname(c->lines.fd, (struct sockaddr *)&us, &(socklen_t){sizeof(us)});
	c->data = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = us.sin_addr};
	c->data_listener = wire_listen(&c->data);
}

/* NULL: the server knows where to connect to. */
static const char *
tell_address(struct client *c)
{
	const uint8_t *ip = (const uint8_t *)&c->data.sin_addr;
	char line[80], text[INET_ADDRSTRLEN];
	unsigned port;

	listen_for_data(c);
	port = ntohs(c->data.sin_port);
	inet_ntop(AF_INET, ip, text, sizeof(text));
	if (way == EPRT)
		snprintf(line, sizeof(line), "EPRT |1|%s|%u|\r\n", text, port);
	else
		snprintf(line, sizeof(line), "PORT %u,%u,%u,%u,%u,%u\r\n", ip[0], ip[1], ip[2],
		    ip[3], port / 256, port % 256);
	return say(c, line, "200") == NULL ? "EPRT or PORT" : NULL;
}

/* NULL: *to is where to connect to, at the host that was called: nowhere else may a way lead. */
static const char *
ask_address(struct client *c, struct sockaddr_in *to)
{
	const bool extended = way == EPSV;
	const char *reply = say(c, extended ? "EPSV\r\n" : "PASV\r\n", extended ? "229" : "227");

	reply = reply == NULL ? NULL : strchr(reply, '(');
	if (reply == NULL)
		return "EPSV or PASV";
	*to = extended ? server : wire_six(reply);
	if (extended)
		to->sin_port = htons((uint16_t)strtoul(reply + strlen("(|||"), NULL, 10));
	return to->sin_addr.s_addr == server.sin_addr.s_addr ? NULL : "another host's 227";
}

static const char *
carry(struct client *c, int fd)
{
	const uint64_t all = strtoull(size, NULL, 10);
	uint64_t n = all;

	if (upload ? !wire_send_file(fd, all) : !wire_receive_file(fd, &n))
		return "data";
	c->octets += n;
	return n == all ? NULL : "size";
}

/* NULL: all went well. */
static const char *
transfer(struct client *c)
{
	struct sockaddr_in to;
	const bool active = way == EPRT || way == PORT;
	const char *what = active ? tell_address(c) : ask_address(c, &to);
	char line[80];
	int fd = -1;

	if (what != NULL)
		return what;
	snprintf(line, sizeof(line), "%s %s\r\n", upload ? "STOR" : "RETR", size);
	if (!wire_say(c->lines.fd, line))
		return line[0] == 'S' ? "STOR" : "RETR";
	if (!active)
		fd = wire_connect(&to);
	if (say(c, NULL, "150") == NULL)
		what = "150";
	if (what == NULL && active)
		fd = accept(c->data_listener, NULL, NULL);
	if (what == NULL)
		what = fd < 0 ? "no data connection" : carry(c, fd);
	if (fd >= 0)
		close(fd);
	if (what == NULL && say(c, NULL, "226") == NULL)
		what = "226";
	return what;
}

/* NULL: it is logged in. */
static const char *
enter(struct client *c)
{
	c->lines = (struct wire_lines){.fd = wire_connect(&server)};
	if (c->lines.fd < 0)
		return "connect";
	if (say(c, NULL, "220") == NULL || say(c, "USER anonymous\r\n", "331") == NULL ||
	    say(c, "PASS x\r\n", "230") == NULL || say(c, "TYPE I\r\n", "200") == NULL)
		return "login";
	return NULL;
}

static const char *
session(struct client *c)
{
	const char *what = enter(c);

	if (what == NULL)
		what = transfer(c);
	if (what == NULL && say(c, "QUIT\r\n", "221") == NULL)
		what = "QUIT";
	if (c->lines.fd >= 0)
		close(c->lines.fd);
	return what;
}

static void *
run(void *arg)
{
	struct client *c = arg;

	do {
		double began = now();
		const char *what = session(c);

		if (what != NULL) {
			c->errors++;
			if (c->what == NULL)
				c->what = what;
			continue;
		}
		if (c->sessions < TIMES_MAX)
			c->times[c->sessions] = (float)((now() - began) * 1e6);
		c->sessions++;
	} while (now() < until);
	return NULL;
}

static int
by_size(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
report(struct client *clients, unsigned n, double seconds)
{
	struct client all = {.times = calloc((size_t)n * TIMES_MAX, sizeof(float))};
	unsigned kept = 0;

	if (all.times == NULL)
		err(1, "calloc");
	for (unsigned i = 0; i < n; i++) {
		unsigned some = clients[i].sessions < TIMES_MAX ? clients[i].sessions : TIMES_MAX;

		memcpy(all.times + kept, clients[i].times, some * sizeof(float));
		kept += some;
		all.sessions += clients[i].sessions;
		all.errors += clients[i].errors;
		all.octets += clients[i].octets;
		if (all.what == NULL)
			all.what = clients[i].what;
	}
	qsort(all.times, kept, sizeof(float), by_size);
	printf("{\"sessions\": %u, \"errors\": %u, \"error\": \"%s\", \"octets\": %ju, "
	       "\"seconds\": %.6f, \"p50\": %.0f, \"p99\": %.0f}\n",
	    all.sessions, all.errors, all.what == NULL ? "" : all.what, (uintmax_t)all.octets,
	    seconds, kept == 0 ? 0.0 : (double)all.times[kept / 2],
	    kept == 0 ? 0.0 : (double)all.times[(size_t)kept * 99 / 100]);
	free(all.times);
}

static void
load(unsigned at_once, double seconds)
{
	struct client *clients = calloc(at_once, sizeof(*clients));
	const double began = now();

	if (clients == NULL)
		err(1, "calloc");
	until = began + seconds;
	for (unsigned i = 0; i < at_once; i++) {
		clients[i].times = calloc(TIMES_MAX, sizeof(float));
		if (clients[i].times == NULL ||
		    pthread_create(&clients[i].thread, NULL, run, &clients[i]) != 0)
			errx(1, "no memory or no threads");
	}
	for (unsigned i = 0; i < at_once; i++)
		pthread_join(clients[i].thread, NULL);
	report(clients, at_once, now() - began);
}

/* What is held ends with the program. */
static void
idle(unsigned sessions)
{
	struct client c = {0};
	unsigned held = 0;
	char octet;

	for (unsigned i = 0; i < sessions; i++) {
		const char *what = enter(&c);

		if (what == NULL)
			held++;
		else if (c.what == NULL)
			c.what = what;
	}
	printf("{\"held\": %u, \"error\": \"%s\"}\n", held, c.what == NULL ? "" : c.what);
	fflush(stdout);
	while (read(STDIN_FILENO, &octet, 1) > 0)
		;
}

_Noreturn static void
usage(void)
{
	errx(2, "usage: ftp_load ADDRESS:PORT SIZE AT_ONCE SECONDS EPSV|PASV|EPRT|PORT down|up\n"
		"       ftp_load ADDRESS:PORT idle SESSIONS");
}

static void
choose_way(const char *name)
{
	static const char *const names[] = {
	    [EPSV] = "EPSV", [PASV] = "PASV", [EPRT] = "EPRT", [PORT] = "PORT"};

	for (way = EPSV; way <= PORT; way++)
		if (strcmp(name, names[way]) == 0)
			return;
	usage();
}

int
main(int argc, char **argv)
{
	const bool idles = argc == 4 && strcmp(argv[2], "idle") == 0;

	if (!idles && argc != 7)
		usage();
	signal(SIGPIPE, SIG_IGN);
	server = wire_endpoint(argv[1]);
	if (idles) {
		idle((unsigned)strtoul(argv[3], NULL, 10));
		return 0;
	}
	size = argv[2];
	choose_way(argv[5]);
	upload = strcmp(argv[6], "up") == 0;
	wire_piece();
	load((unsigned)strtoul(argv[3], NULL, 10), strtod(argv[4], NULL));
	return 0;
}
