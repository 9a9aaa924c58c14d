/* TCP connections from this process to itself. */
#ifndef POSTERN_TESTS_LOOPBACK_H
#define POSTERN_TESTS_LOOPBACK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* On any port of an address; *at is where. */
static inline int
loopback_listen(const char *address, struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*at = (struct sockaddr_in){.sin_family = AF_INET};
	assert_int_equal(inet_pton(AF_INET, address, &at->sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)at, &(socklen_t){sizeof(*at)});
	return fd;
}

/* A blocking connection from an address. */
static inline int
loopback_connect(const char *from, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in us = {.sin_family = AF_INET};

	assert_int_equal(inet_pton(AF_INET, from, &us.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&us, sizeof(us)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)to, sizeof(*to)), 0);
	return fd;
}

/* ours is non-blocking, as the gateway's are. */
static inline void
loopback_pair(int *peer, int *ours)
{
	struct sockaddr_in at;
	int listener = loopback_listen("127.0.0.1", &at), on = 1;

	*peer = loopback_connect("127.0.0.1", &at);
	*ours = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ours >= 0);
	setsockopt(*peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(*ours, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	close(listener);
}

#endif
