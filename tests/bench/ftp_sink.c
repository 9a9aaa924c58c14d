/*
 * ftp_sink - a server as light as can be: RETR N sends a file of N octets, STOR takes one.
 *
 *	ftp_sink ADDRESS:PORT
 *
 * EPSV, PASV, EPRT and PORT by IPv4, one thread for each session. STOR's file, too, has as many
 *octets as its name says: 426 of any other.
 */
#include <arpa/inet.h>
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ftp_wire.h"

#define STACK ((size_t)256 << 10) /* of a thread: a piece of a file and some lines */

struct serving {
	int control;
	int data_listener; /* the thread's own, for all of its sessions */
	struct sockaddr_in passive, active;
	bool to_client; /* the next data connection is ours to make */
};

static struct sockaddr_in address;
static int listener;
static atomic_uint waiting; /* threads, for sessions */

static int
open_data(const struct serving *s)
{
	return s->to_client ? wire_connect(&s->active) : accept(s->data_listener, NULL, NULL);
}

static bool
transfer(struct serving *s, bool sends, const char *name)
{
	const uint64_t all = strtoull(name, NULL, 10);
	uint64_t n = all;
	int fd;
	bool whole;

	if (!wire_say(s->control, "150 Here it comes.\r\n"))
		return false;
	fd = open_data(s);
	if (fd < 0)
		return wire_say(s->control, "425 Nobody there.\r\n");
	whole = (sends ? wire_send_file(fd, n) : wire_receive_file(fd, &n)) && n == all;
	close(fd);
	return wire_say(s->control, whole ? "226 Done.\r\n" : "426 Broken.\r\n");
}

/* EPRT |1|192.0.2.1|1024| and PORT 192,0,2,1,4,0 */
static bool
take_address(struct serving *s, const char *args)
{
	s->to_client = true;
	s->active = args[0] == '|' ? wire_extended(args + strlen("|1|")) : wire_six(args);
	return wire_say(s->control, "200 Fine.\r\n");
}

static bool
tell_address(struct serving *s, bool extended)
{
	const uint8_t *ip = (const uint8_t *)&s->passive.sin_addr;
	char line[100];
	unsigned port;

	if (s->passive.sin_port == 0)
		s->data_listener = wire_listen(&s->passive);
	port = ntohs(s->passive.sin_port);
	s->to_client = false;
	if (extended)
		snprintf(line, sizeof(line), "229 Come (|||%u|)\r\n", port);
	else
		snprintf(line, sizeof(line), "227 Come (%u,%u,%u,%u,%u,%u)\r\n", ip[0], ip[1],
		    ip[2], ip[3], port / 256, port % 256);
	return wire_say(s->control, line);
}

/* False: the session is over. */
static bool
answer(struct serving *s, const char *line)
{
	if (strncmp(line, "RETR ", 5) == 0 || strncmp(line, "STOR ", 5) == 0)
		return transfer(s, line[0] == 'R', line + 5);
	if (strcmp(line, "EPSV") == 0 || strcmp(line, "PASV") == 0)
		return tell_address(s, line[0] == 'E');
	if (strncmp(line, "EPRT ", 5) == 0 || strncmp(line, "PORT ", 5) == 0)
		return take_address(s, line + 5);
	if (strncmp(line, "USER ", 5) == 0)
		return wire_say(s->control, "331 And?\r\n");
	if (strncmp(line, "PASS ", 5) == 0)
		return wire_say(s->control, "230 Welcome.\r\n");
	if (strncmp(line, "TYPE ", 5) == 0)
		return wire_say(s->control, "200 Fine.\r\n");
	if (strcmp(line, "QUIT") == 0) {
		wire_say(s->control, "221 Bye.\r\n");
		return false;
	}
	return wire_say(s->control, "502 No.\r\n");
}

static void begin_thread(void);

static int
next_session(void)
{
	int fd;

	atomic_fetch_add(&waiting, 1);
	do
		fd = accept(listener, NULL, NULL);
	while (fd < 0);
	if (atomic_fetch_sub(&waiting, 1) == 1)
		begin_thread();
	return fd;
}

_Noreturn static void *
serve(void *unused)
{
	struct serving s = {.passive = {.sin_family = AF_INET, .sin_addr = address.sin_addr}};

	(void)unused;
	for (;;) {
		struct wire_lines lines = {.fd = next_session()};
		const char *line = NULL;

		s.control = lines.fd;
		if (wire_say(s.control, "220 ready\r\n"))
			line = wire_line(&lines);
		while (line != NULL && answer(&s, line))
			line = wire_line(&lines);
		close(s.control);
	}
}

static void
begin_thread(void)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	if (pthread_create(&t, &attr, serve, NULL) != 0)
		errx(1, "no more threads");
	pthread_attr_destroy(&attr);
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: ftp_sink ADDRESS:PORT");
	signal(SIGPIPE, SIG_IGN);
	address = wire_endpoint(argv[1]);
	listener = wire_listen(&address);
	serve(NULL);
}
