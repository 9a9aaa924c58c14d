/*
 * bare_relay - the least that any proxy in user space has to do: takes connections that a tproxy
 * rule brings, connects to where they wanted to go from where they came, and carries octets.
 *
 *	bare_relay ADDRESS PORT copy|splice|sha256
 *
 * copy: through a buffer of 64 KiB; splice: through a pipe; sha256: copy, and a digest of all.
 * Looks at nothing and writes nothing down: it is the floor that ratios are taken to.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER ((size_t)64 << 10)
#define PIPE   (1 << 18)
#define BATCH  256

static enum { COPY, SPLICE, SHA256 } work;
static int loop;
static uint8_t buffer[BUFFER];

struct pair;

/* What one peer sends, on its way to the other. */
struct side {
	struct pair *pair;
	int fd;
	bool ended;	/* it sends no more */
	bool waits;	/* for the other one to take what is left */
	uint8_t *left;	/* copy: octets that did not fit */
	size_t n, sent; /* of them; splice: n are in the pipe */
	int pipe[2];
	EVP_MD_CTX *digest;
};

struct pair {
	struct side side[2];
	bool dead;
	struct pair *next;
};

static struct pair *graves;

static struct side *
other(struct side *s)
{
	return s == &s->pair->side[0] ? &s->pair->side[1] : &s->pair->side[0];
}

static void
listen_for(struct side *s)
{
	struct epoll_event ev = {.data.ptr = s};

	if (!s->ended && !s->waits)
		ev.events |= EPOLLIN;
	if (other(s)->waits)
		ev.events |= EPOLLOUT;
	epoll_ctl(loop, EPOLL_CTL_MOD, s->fd, &ev);
}

static void
end(struct pair *p)
{
	if (p->dead)
		return;
	p->dead = true;
	for (int i = 0; i < 2; i++) {
		struct side *s = &p->side[i];

		close(s->fd);
		free(s->left);
		EVP_MD_CTX_free(s->digest);
		if (s->pipe[0] >= 0) {
			close(s->pipe[0]);
			close(s->pipe[1]);
		}
	}
	p->next = graves;
	graves = p;
}

static void
source_ended(struct side *s)
{
	s->ended = true;
	if (other(s)->ended) {
		end(s->pair);
		return;
	}
	shutdown(other(s)->fd, SHUT_WR);
	listen_for(s);
}

static void
wait_for_room(struct side *s, bool waits)
{
	s->waits = waits;
	listen_for(s);
	listen_for(other(s));
}

static void
carry_by_pipe(struct side *s)
{
	ssize_t n;

	if (s->pipe[0] < 0) {
		if (pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
			err(1, "pipe2");
		fcntl(s->pipe[0], F_SETPIPE_SZ, PIPE);
	}
	n = splice(s->fd, NULL, s->pipe[1], NULL, PIPE, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n == 0) {
		source_ended(s);
		return;
	}
	if (n < 0) {
		if (errno != EAGAIN)
			end(s->pair);
		return;
	}
	s->n += (size_t)n;
	n = splice(s->pipe[0], NULL, other(s)->fd, NULL, s->n, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n < 0 && errno != EAGAIN) {
		end(s->pair);
		return;
	}
	s->n -= n < 0 ? 0 : (size_t)n;
	if (s->n > 0)
		wait_for_room(s, true);
}

static void
carry_by_copy(struct side *s)
{
	ssize_t n = recv(s->fd, buffer, sizeof(buffer), 0), out;

	if (n == 0) {
		source_ended(s);
		return;
	}
	if (n < 0) {
		if (errno != EAGAIN)
			end(s->pair);
		return;
	}
	if (work == SHA256) {
		if (s->digest == NULL) {
			s->digest = EVP_MD_CTX_new();
			EVP_DigestInit_ex(s->digest, EVP_sha256(), NULL);
		}
		EVP_DigestUpdate(s->digest, buffer, (size_t)n);
	}
	out = send(other(s)->fd, buffer, (size_t)n, MSG_NOSIGNAL);
	if (out < 0 && errno != EAGAIN) {
		end(s->pair);
		return;
	}
	if (out < 0)
		out = 0;
	if (out == n)
		return;
	s->n = (size_t)(n - out);
	s->sent = 0;
	s->left = malloc(s->n);
	if (s->left == NULL)
		err(1, "malloc");
	memcpy(s->left, buffer + out, s->n);
	wait_for_room(s, true);
}

/* There is room for what is left of s. */
static void
carry_rest(struct side *s)
{
	ssize_t n = work == SPLICE ? splice(s->pipe[0], NULL, other(s)->fd, NULL, s->n,
					 SPLICE_F_NONBLOCK | SPLICE_F_MOVE)
				   : send(other(s)->fd, s->left + s->sent, s->n, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN)
			end(s->pair);
		return;
	}
	s->n -= (size_t)n;
	s->sent += (size_t)n;
	if (s->n > 0)
		return;
	free(s->left);
	s->left = NULL;
	wait_for_room(s, false);
}

static void
happened(struct side *s, uint32_t events)
{
	if (s->pair->dead)
		return;
	if ((events & EPOLLOUT) != 0 && other(s)->waits)
		carry_rest(other(s));
	if (s->pair->dead)
		return;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
		return;
	if (s->ended || s->waits) {
		if ((events & (EPOLLHUP | EPOLLERR)) != 0)
			end(s->pair);
	} else if (work == SPLICE) {
		carry_by_pipe(s);
	} else {
		carry_by_copy(s);
	}
}

static int
connect_as(struct sockaddr_in *client, const struct sockaddr_in *server)
{
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	client->sin_port = 0;
	setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof(on));
	setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)client, sizeof(*client)) == 0 &&
	    (connect(fd, (const struct sockaddr *)server, sizeof(*server)) == 0 ||
		errno == EINPROGRESS))
		return fd;
	close(fd);
	return -1;
}

static void
begin(int fd, struct sockaddr_in *client)
{
	struct sockaddr_in server;
	int up = -1;
	struct pair *p = NULL;

	if (getsockname(fd, (struct sockaddr *)&server, &(socklen_t){sizeof(server)}) == 0)
		up = connect_as(client, &server);
	if (up >= 0)
		p = calloc(1, sizeof(*p));
	if (p == NULL) {
		close(fd);
		if (up >= 0)
			close(up);
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct side *s = &p->side[i];
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

		s->pair = p;
		s->fd = i == 0 ? fd : up;
		s->pipe[0] = s->pipe[1] = -1;
		epoll_ctl(loop, EPOLL_CTL_ADD, s->fd, &ev);
	}
}

static void
accept_some(int listener)
{
	for (int i = 0; i < 16; i++) {
		struct sockaddr_in client;
		int fd = accept4(listener, (struct sockaddr *)&client, &(socklen_t){sizeof(client)},
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		begin(fd, &client);
	}
}

static int
listen_at(const char *address, const char *port)
{
	const int on = 1;
	char *rest;
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, &rest, 10))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (*rest != '\0' || inet_pton(AF_INET, address, &at.sin_addr) != 1)
		errx(2, "%s %s: no address and port", address, port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, SOMAXCONN) != 0)
		err(1, "%s %s", address, port);
	return fd;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[BATCH], ev = {.events = EPOLLIN};
	int listener;

	if (argc != 4)
		errx(2, "usage: bare_relay ADDRESS PORT copy|splice|sha256");
	work = strcmp(argv[3], "splice") == 0	? SPLICE
	       : strcmp(argv[3], "sha256") == 0 ? SHA256
						: COPY;
	signal(SIGPIPE, SIG_IGN);
	listener = listen_at(argv[1], argv[2]);
	loop = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(loop, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		int n = epoll_wait(loop, events, BATCH, -1);

		for (int i = 0; i < n; i++)
			if (events[i].data.ptr == NULL)
				accept_some(listener);
			else
				happened(events[i].data.ptr, events[i].events);
		while (graves != NULL) {
			struct pair *p = graves;

			graves = p->next;
			free(p);
		}
	}
}
