#include "ftp_wire.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t piece[WIRE_PIECE];
static pthread_once_t made = PTHREAD_ONCE_INIT;

/* Nothing that compresses, or that a detector takes for a file of some type. */
static void
make(void)
{
	uint64_t x = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < sizeof(piece); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		piece[i] = (uint8_t)(x >> 32);
	}
}

const uint8_t *
wire_piece(void)
{
	pthread_once(&made, make);
	return piece;
}

bool
wire_send_file(int fd, uint64_t n)
{
	const uint8_t *from = wire_piece();
	size_t at = 0;

	while (n > 0) {
		size_t some = WIRE_PIECE - at;
		ssize_t sent = send(fd, from + at, some < n ? some : (size_t)n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		n -= (uint64_t)sent;
		at = (at + (size_t)sent) % WIRE_PIECE;
	}
	return true;
}

bool
wire_receive_file(int fd, uint64_t *n)
{
	static _Thread_local uint8_t got[WIRE_PIECE];
	const uint8_t *is = wire_piece();
	size_t at = 0;
	ssize_t some;

	*n = 0;
	while ((some = recv(fd, got, WIRE_PIECE - at, 0)) > 0) {
		if (memcmp(got, is + at, (size_t)some) != 0)
			return false;
		*n += (uint64_t)some;
		at = (at + (size_t)some) % WIRE_PIECE;
	}
	return some == 0;
}

const char *
wire_line(struct wire_lines *l)
{
	for (;;) {
		char *from = l->held + l->begin;
		char *lf = memchr(from, '\n', l->end - l->begin);
		ssize_t n;

		if (lf != NULL) {
			l->begin = (size_t)(lf - l->held) + 1;
			*lf = '\0';
			if (lf > from && lf[-1] == '\r')
				lf[-1] = '\0';
			return from;
		}
		memmove(l->held, from, l->end - l->begin);
		l->end -= l->begin;
		l->begin = 0;
		if (l->end == sizeof(l->held))
			return NULL;
		n = recv(l->fd, l->held + l->end, sizeof(l->held) - l->end, 0);
		if (n <= 0)
			return NULL;
		l->end += (size_t)n;
	}
}

bool
wire_say(int fd, const char *text)
{
	size_t n = strlen(text);

	return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static int
stream(void)
{
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

int
wire_listen(struct sockaddr_in *at)
{
	int fd = stream();

	if (bind(fd, (struct sockaddr *)at, sizeof(*at)) != 0 || listen(fd, SOMAXCONN) != 0)
		err(1, "listen");
	getsockname(fd, (struct sockaddr *)at, &(socklen_t){sizeof(*at)});
	return fd;
}

int
wire_connect(const struct sockaddr_in *to)
{
	int fd = stream();

	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0)
		return fd;
	close(fd);
	return -1;
}

struct sockaddr_in
wire_endpoint(const char *text)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char address[INET_ADDRSTRLEN] = "", *rest = NULL;

	if (colon != NULL && (size_t)(colon - text) < sizeof(address)) {
		memcpy(address, text, (size_t)(colon - text));
		at.sin_port = htons((uint16_t)strtoul(colon + 1, &rest, 10));
	}
	if (rest == NULL || *rest != '\0' || inet_pton(AF_INET, address, &at.sin_addr) != 1)
		errx(2, "%s: no ADDRESS:PORT", text);
	return at;
}

/* The next number of a text, and *text is behind it; 0: there is none. */
static unsigned
number(const char **text)
{
	char *end;
	unsigned long n;

	while (**text != '\0' && (**text < '0' || **text > '9'))
		(*text)++;
	n = strtoul(*text, &end, 10);
	*text = end;
	return (unsigned)n;
}

static struct sockaddr_in
address(const char **text)
{
	uint32_t ip = 0;

	for (int i = 0; i < 4; i++)
		ip = ip << 8 | (uint8_t)number(text);
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip)};
}

struct sockaddr_in
wire_six(const char *text)
{
	struct sockaddr_in at = address(&text);
	const unsigned high = number(&text);

	at.sin_port = htons((uint16_t)(high * 256 + number(&text)));
	return at;
}

struct sockaddr_in
wire_extended(const char *text)
{
	struct sockaddr_in at = address(&text);

	at.sin_port = htons((uint16_t)number(&text));
	return at;
}
