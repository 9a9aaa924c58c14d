#include "listening.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "relay.h"

#define BACKLOG 4096

/* ---- what to listen on ---- */

static void
add_forwards(const struct config *c, struct listening_set *out)
{
	for (size_t i = 0; i < c->n_forwards; i++)
		out->all[out->n++] = (struct listening){.kind = IPC_LISTEN_FORWARD,
		    .b = (uint32_t)i,
		    .at = c->forwards[i].listen,
		    .fd = -1};
}

/*
 * Where the firewall sends what it takes off the wire. In tproxy mode nobody else can connect
 * there; in redirect mode packets are turned to the address of the interface they came in on.
 */
static void
add_caught(const struct config *c, enum protocol p, struct listening_set *out)
{
	bool anywhere = c->mode == INTERCEPT_REDIRECT;
	in_port_t port = htons((uint16_t)(c->intercept.listen_from + p));
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = port,
	    .sin_addr.s_addr = htonl(anywhere ? INADDR_ANY : INADDR_LOOPBACK)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
	    .sin6_port = port,
	    .sin6_addr = anywhere ? (struct in6_addr)IN6ADDR_ANY_INIT
				  : (struct in6_addr)IN6ADDR_LOOPBACK_INIT};
	struct listening *l4 = &out->all[out->n++], *l6 = &out->all[out->n++];

	*l4 = (struct listening){.kind = IPC_LISTEN_CAUGHT4, .b = p, .fd = -1};
	*l6 = (struct listening){.kind = IPC_LISTEN_CAUGHT6, .b = p, .fd = -1};
	memcpy(&l4->at, &in, sizeof(in));
	memcpy(&l6->at, &in6, sizeof(in6));
}

static bool
plan(const struct config *c, struct listening_set *out)
{
	*out = (struct listening_set){
	    .all = calloc(c->n_forwards + 2u * PROTOCOL_COUNT, sizeof(*out->all))};
	if (out->all == NULL)
		return false;
	add_forwards(c, out);
	for (unsigned p = 0; c->mode != INTERCEPT_OFF && p < PROTOCOL_COUNT; p++)
		if (relay_ops_of((enum protocol)p) != NULL)
			add_caught(c, (enum protocol)p, out);
	return true;
}

/* ---- sockets ---- */

static bool
set_up(int fd, const struct listening *l, const struct config *c)
{
	bool v6 = l->at.ss_family == AF_INET6;
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0)
		return false;
	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
		return false;
	if (l->kind == IPC_LISTEN_FORWARD || c->mode != INTERCEPT_TPROXY)
		return true;
	return v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on)) == 0
		  : setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) == 0;
}

/* Whoever has a descriptor of it, a worker too, could have ended that with shutdown(). */
static bool
still_listens(int fd)
{
	int listens = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &(socklen_t){sizeof(listens)}) ==
		   0 &&
	       listens != 0;
}

/* A listening socket, with shared or without SO_REUSEPORT; -1: errno. */
static int
listen_at(const struct listening *l, const struct config *c, bool shared)
{
	const struct sockaddr *sa = (const struct sockaddr *)&l->at;
	int on = 1, fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && set_up(fd, l, c) &&
	    (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
	    bind(fd, sa, address_size(sa)) == 0 && listen(fd, shared ? BACKLOG : 1) == 0)
		return fd;
	if (fd >= 0) {
		int kept = errno;

		close(fd);
		errno = kept;
	}
	return -1;
}

/* SO_REUSEPORT lets two gateways of one user share a port, and its clients: one of them fails. */
static bool
is_free(const struct listening *l, const struct config *c)
{
	int fd = listen_at(l, c, false);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static const struct listening *
same_place(const struct listening_set *old, const struct listening *l)
{
	for (size_t i = 0; i < old->n; i++) {
		const struct listening *o = &old->all[i];
		bool transparent = o->kind != IPC_LISTEN_FORWARD;

		/* all are made from zeroes */
		if (memcmp(&o->at, &l->at, sizeof(o->at)) == 0 &&
		    transparent == (l->kind != IPC_LISTEN_FORWARD) && still_listens(o->fd))
			return o;
	}
	return NULL;
}

/* Ours is in the way of a bind without SO_REUSEPORT, also where only one of both is a wildcard. */
static bool
ours_on_port(const struct listening_set *old, const struct listening *l)
{
	struct endpoint wanted = address_endpoint((const struct sockaddr *)&l->at);

	for (size_t i = 0; i < old->n; i++) {
		const struct sockaddr *at = (const struct sockaddr *)&old->all[i].at;

		if (at->sa_family == l->at.ss_family && address_endpoint(at).port == wanted.port)
			return true;
	}
	return false;
}

static const char *
explain(const struct listening *l, const struct config *c)
{
	static char text[256];
	struct endpoint e = address_endpoint((const struct sockaddr *)&l->at);
	char address[ADDRESS_TEXT_MAX];
	const char *why = errno == EADDRINUSE ? "somebody listens there already" : strerror(errno);
	const char *missing = "";

	if (errno == EACCES)
		missing = " (a port below 1024 needs CAP_NET_BIND_SERVICE)";
	else if (errno == EPERM)
		missing = " (transparent sockets need CAP_NET_ADMIN)";
	address_text(&e, address);
	if (l->kind == IPC_LISTEN_FORWARD)
		snprintf(text, sizeof(text), "forward \"%s\": cannot listen on %s: %s%s",
		    c->forwards[l->b].name, address, why, missing);
	else
		snprintf(text, sizeof(text),
		    "intercept.listen_from: cannot listen on %s for %s: %s%s", address,
		    protocol_name((enum protocol)l->b), why, missing);
	return text;
}

static bool
open_one(struct listening *l, const struct config *c, const struct listening_set *old, bool mine)
{
	const struct listening *o = same_place(old, l);

	if (o != NULL)
		l->fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
	else if (mine || ours_on_port(old, l) || is_free(l, c))
		l->fd = listen_at(l, c, true);
	return l->fd >= 0;
}

/* A kernel without IPv6 takes no such session off the wire either. */
static bool
is_missing_family(const struct listening *l)
{
	return l->kind == IPC_LISTEN_CAUGHT6 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
}

bool
listening_open(const struct config *c, const struct listening_set *old, bool mine,
    struct listening_set *out, const char **why)
{
	size_t kept = 0;

	if (!plan(c, out)) {
		*why = "out of memory";
		return false;
	}
	for (size_t i = 0; i < out->n; i++) {
		if (open_one(&out->all[i], c, old, mine)) {
			out->all[kept++] = out->all[i];
		} else if (!is_missing_family(&out->all[i])) {
			*why = explain(&out->all[i], c);
			out->n = kept;
			listening_close(out);
			return false;
		}
	}
	out->n = kept;
	return true;
}

void
listening_close(struct listening_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		close(set->all[i].fd);
	free(set->all);
	*set = (struct listening_set){.n = 0};
}
