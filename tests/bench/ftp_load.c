/*
 * ftp_load - sessions of FTP, one after the other, so many at once, for so many seconds.
 *
 *	ftp_load ADDRESS:PORT SIZE AT_ONCE SECONDS passive|active down|up
 *
 * Each logs in, transfers one file of SIZE octets and leaves. What comes is compared with what
 * ftp_sink sends. SECONDS 0: one session each. Prints one line of JSON.
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
static bool active, upload;
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

static const char *
agree(struct client *c, struct sockaddr_in *to)
{
	const char *reply;
	char line[80], ip[INET_ADDRSTRLEN];

	if (active) {
		inet_ntop(AF_INET, &c->data.sin_addr, ip, sizeof(ip));
		snprintf(line, sizeof(line), "EPRT |1|%s|%u|\r\n", ip, ntohs(c->data.sin_port));
		return say(c, line, "200") == NULL ? "EPRT" : NULL;
	}
	reply = say(c, "EPSV\r\n", "229");
	reply = reply == NULL ? NULL : strstr(reply, "(|||");
	if (reply == NULL)
		return "EPSV";
	*to = server;
	to->sin_port = htons((uint16_t)strtoul(reply + 4, NULL, 10));
	return NULL;
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
	const char *what = agree(c, &to);
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

static const char *
session(struct client *c)
{
	const char *what = NULL;

	c->lines = (struct wire_lines){.fd = wire_connect(&server)};
	if (c->lines.fd < 0)
		return "connect";
	if (c->data.sin_port == 0) {
		struct sockaddr_in us;

		getsockname(c->lines.fd, (struct sockaddr *)&us, &(socklen_t){sizeof(us)});
		c->data = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = us.sin_addr};
		c->data_listener = wire_listen(&c->data);
	}
	if (say(c, NULL, "220") == NULL || say(c, "USER anonymous\r\n", "331") == NULL ||
	    say(c, "PASS x\r\n", "230") == NULL || say(c, "TYPE I\r\n", "200") == NULL)
		what = "login";
	if (what == NULL)
		what = transfer(c);
	if (what == NULL && say(c, "QUIT\r\n", "221") == NULL)
		what = "QUIT";
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
	       "\"seconds\": %.6f, \"p50_us\": %.0f, \"p99_us\": %.0f}\n",
	    all.sessions, all.errors, all.what == NULL ? "" : all.what, (uintmax_t)all.octets,
	    seconds, kept == 0 ? 0.0 : (double)all.times[kept / 2],
	    kept == 0 ? 0.0 : (double)all.times[(size_t)kept * 99 / 100]);
	free(all.times);
}

int
main(int argc, char **argv)
{
	unsigned at_once;
	struct client *clients;
	double began;

	if (argc != 7)
		errx(2, "usage: ftp_load ADDRESS:PORT SIZE AT_ONCE SECONDS passive|active down|up");
	signal(SIGPIPE, SIG_IGN);
	server = wire_endpoint(argv[1]);
	size = argv[2];
	at_once = (unsigned)strtoul(argv[3], NULL, 10);
	active = strcmp(argv[5], "active") == 0;
	upload = strcmp(argv[6], "up") == 0;
	wire_piece();
	clients = calloc(at_once, sizeof(*clients));
	began = now();
	until = began + strtod(argv[4], NULL);
	for (unsigned i = 0; i < at_once; i++) {
		clients[i].times = calloc(TIMES_MAX, sizeof(float));
		if (clients[i].times == NULL ||
		    pthread_create(&clients[i].thread, NULL, run, &clients[i]) != 0)
			errx(1, "no memory or no threads");
	}
	for (unsigned i = 0; i < at_once; i++)
		pthread_join(clients[i].thread, NULL);
	report(clients, at_once, now() - began);
	return 0;
}
