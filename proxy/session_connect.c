#include "session_connect.h"

#include <errno.h>
#include <sys/socket.h>

#include "address.h"
#include "proxy_protocol.h"
#include "session_parts.h"

void
connect_over(struct session *s)
{
	if (s->connect_until != 0)
		clients_connected(s->all->clients, s->client);
	s->connect_until = 0;
	stock_leave(&s->waiter);
}

void
connect_failed(struct session *s)
{
	connect_over(s);
	if (s->arrival->forward == NULL && s->all->config->intercept.unreachable_reset)
		relay_end(s->relay, "server_unreachable", WISH_RESET, WISH_RESET);
	relay_peer(s->relay, AN_S2C, PEER_GONE);
}

void
connect_finish(struct session *s)
{
	struct side *side = &s->side[AN_S2C];
	struct sockaddr_storage us = {0};
	socklen_t n = sizeof(us);
	int error = 0;
	struct endpoint e;

	getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
	if (error != 0 || getsockname(side->fd, (struct sockaddr *)&us, &n) != 0) {
		connect_failed(s);
		return;
	}
	connect_over(s);
	e = address_endpoint((const struct sockaddr *)&us);
	relay_connected(s->relay, &e);
}

/* Ahead of all that the relay will send; false: the client cannot be named. */
static bool
introduce_client(struct session *s, enum send_proxy version)
{
	struct relay *r = s->relay;
	uint8_t header[PROXY_HEADER_MAX];
	size_t n = proxy_header(version, &r->session.client, &r->session.server, header);

	channel_put(&r->server, span_of(header, n));
	return n > 0 || version == SEND_PROXY_NO;
}

/*
 * The server must see the client's address: one that trusts ours would relay for everybody. So
 * where the address cannot be had, there is no session.
 */
static bool
take_clients_address(const struct session *s, int fd)
{
	struct endpoint us = {.ip = s->relay->session.client.ip};
	struct sockaddr_storage sa;
	socklen_t n = address_sockaddr(&us, &sa);

	return bind(fd, (const struct sockaddr *)&sa, n) == 0;
}

/* fd, which may be -1, is the socket to the server from here on. */
static void
connect_with(struct session *s, int fd)
{
	const struct arrival *a = s->arrival;
	struct sockaddr_storage to;
	socklen_t n = address_sockaddr(&s->relay->session.up_server, &to);

	side_init(s, AN_S2C, fd);
	if (fd < 0 || (a->forward != NULL && !introduce_client(s, a->forward->send_proxy))) {
		side_close(&s->side[AN_S2C], false);
		connect_failed(s);
	} else if (a->forward == NULL && a->mode == INTERCEPT_TPROXY &&
		   !take_clients_address(s, fd)) {
		session_turn_away(s, "no_source_address");
	} else if (connect(fd, (const struct sockaddr *)&to, n) == 0) {
		connect_finish(s);
	} else if (errno != EINPROGRESS) {
		connect_failed(s);
	}
}

static void
on_socket(void *arg, int fd)
{
	struct session *s = arg;

	connect_with(s, fd);
	session_settle(s);
}

void
connect_begin(struct session *s)
{
	enum ip_family family = s->relay->session.up_server.ip.family;
	int fd;

	if (!clients_connecting(s->all->clients, s->client)) {
		session_turn_away(s, "connect_limit");
		return;
	}
	s->connect_until = session_now(NULL) + s->all->config->limits.connect_timeout * 1000u;
	if (s->arrival->forward != NULL) {
		connect_with(s, socket(family == IP_V6 ? AF_INET6 : AF_INET,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
		return;
	}
	fd = stock_take(s->all->stock, family);
	if (fd >= 0) {
		connect_with(s, fd);
		return;
	}
	s->waiter.ready = on_socket;
	s->waiter.arg = s;
	stock_wait(s->all->stock, family, &s->waiter);
}
