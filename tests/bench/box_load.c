/*
 * box_load - sessions of POP3 or IMAP.
 *
 *	box_load pop3|imap ADDRESS:PORT MAILBOX MESSAGES AT_ONCE SECONDS
 *	box_load pop3|imap ADDRESS:PORT MAILBOX MESSAGES idle SESSIONS
 *
 * Each logs in, fetches so many messages whole and leaves; what comes is compared with what
 * box_sink sends. For so many seconds, one after the other, so many at once; one each where
 * SECONDS is 0. Prints one line of JSON.
 *
 * idle: as many stay, IMAP's in IDLE, until standard input ends; the line says when all are there.
 */
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "box_wire.h"
#include "ftp_wire.h"

#define HELD ((size_t)256 << 10)

static enum box_protocol protocol;
static struct sockaddr_in server;
static const char *mailbox;
static struct box box;
static unsigned messages;
static double until;

struct client {
	pthread_t thread;
	int fd;
	char *held; /* HELD octets; begin to end came and were not looked at */
	size_t begin, end;
	unsigned sessions, errors;
	uint64_t octets;
	const char *what; /* went wrong first */
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* More octets; false: there are none. */
static bool
fill(struct client *c)
{
	ssize_t n;

	if (c->begin == c->end)
		c->begin = c->end = 0;
	if (c->end == HELD) {
		memmove(c->held, c->held + c->begin, c->end - c->begin);
		c->end -= c->begin;
		c->begin = 0;
	}
	n = c->end == HELD ? 0 : recv(c->fd, c->held + c->end, HELD - c->end, 0);
	if (n > 0)
		c->end += (size_t)n;
	return n > 0;
}

/* The next line, with its end; NULL: there is none. */
static const char *
line(struct client *c, size_t *n)
{
	const char *from, *lf;

	do {
		from = c->held + c->begin;
		lf = memchr(from, '\n', c->end - c->begin);
	} while (lf == NULL && fill(c));
	if (lf == NULL)
		return NULL;
	*n = (size_t)(lf - from) + 1;
	c->begin += *n;
	return from;
}

/* Exactly these octets come. */
static bool
exactly(struct client *c, const char *want, size_t n)
{
	while (n > 0) {
		size_t some = c->end - c->begin;

		if (some == 0 && !fill(c))
			return false;
		some = c->end - c->begin < n ? c->end - c->begin : n;
		if (memcmp(c->held + c->begin, want, some) != 0)
			return false;
		c->begin += some;
		want += some;
		n -= some;
	}
	return true;
}

/* Lines up to one that begins like this. */
static bool
until_line(struct client *c, const char *start)
{
	const char *l;
	size_t n;

	while ((l = line(c, &n)) != NULL) {
		if (n >= strlen(start) && memcmp(l, start, strlen(start)) == 0)
			return true;
		if (protocol == BOX_POP3) /* one line, and another one */
			return false;
	}
	return false;
}

static bool
ask(struct client *c, const char *command, const char *answer)
{
	return wire_say(c->fd, command) && until_line(c, answer);
}

static bool
fetch(struct client *c, unsigned number)
{
	char command[64], head[BOX_HEAD_MAX];
	const size_t n = box_head(protocol, number, box.n, head);
	const char *tail = box_tail(protocol);

	snprintf(command, sizeof(command),
	    protocol == BOX_POP3 ? "RETR %u\r\n" : "a FETCH %u BODY.PEEK[]\r\n", number);
	if (!wire_say(c->fd, command) || !exactly(c, head, n) || !exactly(c, box.message, box.n) ||
	    !exactly(c, tail, strlen(tail)))
		return false;
	c->octets += box.n;
	return protocol == BOX_POP3 || until_line(c, "a OK");
}

static bool
log_in(struct client *c)
{
	char command[128];

	if (protocol == BOX_IMAP) {
		snprintf(command, sizeof(command), "a LOGIN %s secret\r\n", mailbox);
		return until_line(c, "* OK") && ask(c, command, "a OK") &&
		       ask(c, "a SELECT INBOX\r\n", "a OK");
	}
	snprintf(command, sizeof(command), "USER %s\r\n", mailbox);
	return until_line(c, "+OK") && ask(c, command, "+OK") && ask(c, "PASS secret\r\n", "+OK") &&
	       ask(c, "STAT\r\n", "+OK");
}

/* NULL: it is logged in, and has every message. */
static const char *
work(struct client *c)
{
	c->begin = c->end = 0;
	c->fd = wire_connect(&server);
	if (c->fd < 0)
		return "connect";
	if (!log_in(c))
		return "login";
	for (unsigned i = 1; i <= messages; i++)
		if (!fetch(c, i))
			return "fetch";
	return NULL;
}

static bool
leave(struct client *c)
{
	return protocol == BOX_POP3 ? ask(c, "QUIT\r\n", "+OK") : ask(c, "a LOGOUT\r\n", "a OK");
}

static void *
run(void *arg)
{
	struct client *c = arg;

	do {
		const char *what = work(c);

		if (what == NULL && !leave(c))
			what = "leave";
		if (c->fd >= 0)
			close(c->fd);
		if (what == NULL)
			c->sessions++;
		else
			c->errors++;
		if (c->what == NULL)
			c->what = what;
	} while (now() < until);
	return NULL;
}

static struct client *
clients_new(unsigned n)
{
	struct client *clients = calloc(n, sizeof(*clients));

	for (unsigned i = 0; clients != NULL && i < n; i++) {
		clients[i].held = malloc(HELD);
		if (clients[i].held == NULL)
			err(1, "malloc");
	}
	if (clients == NULL)
		err(1, "calloc");
	return clients;
}

static void
load(unsigned at_once, double seconds)
{
	struct client *clients = clients_new(at_once), all = {0};
	const double began = now();

	until = began + seconds;
	for (unsigned i = 0; i < at_once; i++)
		if (pthread_create(&clients[i].thread, NULL, run, &clients[i]) != 0)
			errx(1, "no threads");
	for (unsigned i = 0; i < at_once; i++) {
		pthread_join(clients[i].thread, NULL);
		all.sessions += clients[i].sessions;
		all.errors += clients[i].errors;
		all.octets += clients[i].octets;
		if (all.what == NULL)
			all.what = clients[i].what;
	}
	printf("{\"sessions\": %u, \"errors\": %u, \"error\": \"%s\", \"octets\": %ju, "
	       "\"seconds\": %.6f}\n",
	    all.sessions, all.errors, all.what == NULL ? "" : all.what, (uintmax_t)all.octets,
	    now() - began);
}

static void
idle(unsigned sessions)
{
	struct client *c = clients_new(1);
	unsigned held = 0;
	char octet;

	for (unsigned i = 0; i < sessions; i++) {
		const char *what = work(c);

		if (what == NULL && protocol == BOX_IMAP && !ask(c, "a IDLE\r\n", "+"))
			what = "IDLE";
		if (what == NULL)
			held++;
		else if (c->what == NULL)
			c->what = what;
	}
	printf("{\"held\": %u, \"error\": \"%s\"}\n", held, c->what == NULL ? "" : c->what);
	fflush(stdout);
	while (read(STDIN_FILENO, &octet, 1) > 0)
		;
}

int
main(int argc, char **argv)
{
	if (argc != 7)
		errx(2, "usage: box_load pop3|imap ADDRESS:PORT MAILBOX MESSAGES AT_ONCE SECONDS");
	signal(SIGPIPE, SIG_IGN);
	protocol = box_protocol(argv[1]);
	server = wire_endpoint(argv[2]);
	mailbox = argv[3];
	box = box_open(mailbox);
	messages = (unsigned)strtoul(argv[4], NULL, 10);
	if (strcmp(argv[5], "idle") == 0)
		idle((unsigned)strtoul(argv[6], NULL, 10));
	else
		load((unsigned)strtoul(argv[5], NULL, 10), strtod(argv[6], NULL));
	return 0;
}
