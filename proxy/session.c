#include "session.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "address.h"
#include "budget.h"
#include "clock.h"
#include "data_pair.h"
#include "proxy_protocol.h"
#include "session_protect.h"
#include "session_upgrade.h"
#include "tls_keys.h"
#include "wanted.h"

#define IOV_USED      64
#define CLOSE_MS      30000 /* a peer takes what is queued for it before its socket is closed */
#define LINGER_MS     2000  /* a client reads our last words before its socket is closed */
#define LINGER_OCTETS (1u << 20) /* of what it still sends, read and thrown away */
#define FLOW_ID_BITS  53
#define PRESS_EVERY   1000u /* milliseconds between two looks at all idle sessions */
#define READS_MAX     8	    /* of one side in a row, ahead of what other sessions wait for */

/* One socket. */
struct side {
	struct session *session;
	enum an_dir dir; /* in which its peer sends */
	int fd;
	struct event readable;
	struct event *writable; /* while somebody waits for it, which is seldom; else NULL */
	bool reading;		/* readable is added */
	bool lingering;
	bool filled;   /* the last read took all that there was room for: more is likely there */
	uint8_t reads; /* since an event told of octets */
	size_t lingered;
};

struct session {
	struct sessions *all;
	struct relay *relay;
	struct side side[2];
	struct upgrade upgrade; /* what of it is under TLS */
	struct event timer;
	uint64_t timer_at;	/* when it fires; 0: not added */
	uint64_t close_until;	/* when it is closed, whatever waits to go out; 0: it goes on */
	uint64_t connect_until; /* 0: the server is connected, or lost */
	struct client_row *client;
	const struct arrival *arrival;
	struct stock_waiter waiter; /* for a socket to the server */
	struct session *next, **link;
};

uint64_t
session_now(void *arg)
{
	(void)arg;
	return clock_ms();
}

static void settle(struct session *);

/* ---- sockets ---- */

static struct tls_leg *
leg_of(const struct side *side)
{
	return upgrade_leg(&side->session->upgrade, side->dir);
}

/* An end that the peer may take for one: nothing of what it was to have is missing (T-021). */
static void
say_end(struct side *side)
{
	if (leg_of(side) != NULL && relay_from(side->session->relay, side->dir)->queued == 0)
		tls_leg_close(leg_of(side));
}

static void on_writable(evutil_socket_t, short what, void *arg);

/* False: no memory. */
static bool
want_writable(struct side *side, bool wanted)
{
	if (wanted == (side->writable != NULL))
		return true;
	if (wanted) {
		side->writable = event_new(
		    side->session->all->base, side->fd, EV_WRITE | EV_PERSIST, on_writable, side);
		return side->writable != NULL && event_add(side->writable, NULL) == 0;
	}
	event_free(side->writable);
	side->writable = NULL;
	return true;
}

static void
close_side(struct side *side, bool reset)
{
	if (side->fd < 0)
		return;
	if (reset)
		setsockopt(
		    side->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	event_wanted(&side->readable, &side->reading, false);
	want_writable(side, false);
	side->lingering = false;
	close(side->fd);
	side->fd = -1;
}

static bool
is_connecting(const struct side *side)
{
	return side->dir == AN_S2C && side->session->connect_until != 0;
}

static void
connect_over(struct session *s)
{
	if (s->connect_until != 0)
		clients_connected(s->all->clients, s->client);
	s->connect_until = 0;
	stock_leave(&s->waiter);
}

/*
 * An urgent octet goes alone, with what marks it, behind all that is ahead of it (F-018); n iovecs
 * become as many as may go now.
 */
static size_t
mind_urgent(const struct channel *c, struct iovec *iov, size_t n, int *flags)
{
	size_t urgent = channel_urgent_at(c), left = urgent - 1;

	if (urgent == 0)
		return n;
	if (urgent == 1) {
		*flags |= MSG_OOB;
		left = 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (iov[i].iov_len >= left) {
			iov[i].iov_len = left;
			return i + 1;
		}
		left -= iov[i].iov_len;
	}
	return n;
}

/* As sendmsg(), of what is at the head of the queue. Nothing is urgent under TLS. */
static ssize_t
send_some(struct side *side, struct channel *c)
{
	struct iovec iov[IOV_USED];
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = channel_iov(c, iov, IOV_USED)};
	int flags = MSG_NOSIGNAL;

	if (leg_of(side) != NULL)
		return tls_leg_write(leg_of(side), iov, m.msg_iovlen);
	m.msg_iovlen = mind_urgent(c, iov, m.msg_iovlen, &flags);
	/*
	 * With the last words goes the end, which grant_wish() says in a moment: in one packet. Not
	 * to a server, whose socket may be closed with octets that nobody has read: that is a
	 * reset, and takes along what was not sent.
	 */
	if (side->dir == AN_C2S && side->session->relay->wish[AN_C2S] == WISH_CLOSE)
		flags |= MSG_MORE;
	return sendmsg(side->fd, &m, flags);
}

static bool
may_write(const struct side *side)
{
	return side->fd >= 0 && !is_connecting(side) &&
	       !upgrade_shakes(&side->session->upgrade, side->dir);
}

static void
lost(struct side *side)
{
	struct relay *r = side->session->relay;

	if (r->peer[side->dir] != PEER_GONE)
		upgrade_broken(&side->session->upgrade, side->dir);
	relay_peer(r, side->dir, PEER_GONE);
}

/* As much of the queue as the socket takes; true: something went out. */
static bool
write_out(struct side *side)
{
	struct relay *r = side->session->relay;
	struct channel *c = relay_from(r, side->dir);
	bool any = false;

	while (c->queued > 0 && may_write(side)) {
		ssize_t n = send_some(side, c);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			lost(side);
			return true;
		}
		if (n < 0)
			return any;
		channel_sent(c, (size_t)n);
		relay_wrote(r, side->dir);
		any = true;
	}
	return any;
}

static void
discard_input(struct side *side)
{
	uint8_t waste[4096];
	ssize_t n;

	while ((n = recv(side->fd, waste, sizeof(waste), 0)) > 0) {
		side->lingered += (size_t)n;
		if (side->lingered > LINGER_OCTETS)
			break;
	}
	if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		close_side(side, false);
}

static void
read_in(struct side *side)
{
	struct relay *r = side->session->relay;
	struct channel_room room = channel_room(relay_from(r, side->dir));
	ssize_t n;

	side->filled = false;
	if (room.n == 0) { /* out of memory: the relay sees to it */
		relay_run(r);
		return;
	}
	n = leg_of(side) == NULL ? recv(side->fd, room.p, room.n, 0)
				 : tls_leg_read(leg_of(side), room.p, room.n);
	side->filled = n > 0 && (size_t)n == room.n;
	side->reads++;
	if (n > 0)
		relay_received(r, side->dir, (size_t)n);
	else if (n == 0)
		relay_peer(r, side->dir, PEER_EOF);
	else if (errno != EAGAIN && errno != EINTR)
		lost(side);
}

/* In the clear: what is there without an event that costs more than the read. */
static bool
has_more(const struct side *side)
{
	return side->filled && side->reads < READS_MAX && leg_of(side) == NULL;
}

/* What OpenSSL has taken from the socket, and no event tells of. */
static bool
has_pending(const struct side *side)
{
	return side->session->relay->tls[side->dir] == RELAY_SECURE &&
	       tls_leg_pending(leg_of(side));
}

/* What comes without an event; true: something did, or the side is done with. */
static bool
read_on(struct side *side)
{
	if (side->fd < 0 || side->lingering || (!has_more(side) && !has_pending(side)) ||
	    !relay_wants_read(side->session->relay, side->dir))
		return false;
	read_in(side);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct side *side = arg;
	struct session *s = side->session;

	(void)fd;
	(void)what;
	side->reads = 0;
	if (side->lingering)
		discard_input(side);
	else if (!upgrade_shakes(&s->upgrade, side->dir)) /* else settle() goes on with it */
		read_in(side);
	settle(s);
}

/* The client of a server that cannot be reached is told, or sees what it would have seen. */
static void
server_unreachable(struct session *s)
{
	connect_over(s);
	if (s->arrival->forward == NULL && s->all->config->intercept.unreachable_reset)
		relay_end(s->relay, "server_unreachable", WISH_RESET, WISH_RESET);
	relay_peer(s->relay, AN_S2C, PEER_GONE);
}

static void
finish_connect(struct session *s)
{
	struct side *side = &s->side[AN_S2C];
	struct sockaddr_storage us = {0};
	socklen_t n = sizeof(us);
	int error = 0;
	struct endpoint e;

	getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
	if (error != 0 || getsockname(side->fd, (struct sockaddr *)&us, &n) != 0) {
		server_unreachable(s);
		return;
	}
	connect_over(s);
	e = address_endpoint((const struct sockaddr *)&us);
	relay_connected(s->relay, &e);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct side *side = arg;

	(void)fd;
	(void)what;
	if (is_connecting(side))
		finish_connect(side->session);
	settle(side->session);
}

/* ---- one session ---- */

/* Descriptors that a session may need. */
static unsigned
cost_of(enum protocol p)
{
	return p == PROTOCOL_FTP ? BUDGET_PER_FTP_SESSION : BUDGET_PER_SESSION;
}

bool
sessions_full(const struct sessions *all)
{
	return all->count >= all->max ||
	       (all->count > 0 && all->taken + BUDGET_PER_SESSION > all->descriptors);
}

static void
end(struct session *s)
{
	struct sessions *all = s->all;
	unsigned cost = cost_of(s->arrival->protocol);

	connect_over(s);
	close_side(&s->side[AN_C2S], false);
	close_side(&s->side[AN_S2C], false);
	if (s->timer_at != 0)
		event_del(&s->timer);
	upgrade_free(&s->upgrade);
	relay_free(s->relay);
	clients_leave(all->clients, s->client);
	*s->link = s->next;
	if (s->next != NULL)
		s->next->link = s->link;
	free(s);
	all->count--;
	all->taken -= cost;
	all->ended(all->arg);
}

/* What the relay wants of a socket. */
static void
grant_wish(struct side *side)
{
	struct session *s = side->session;
	enum relay_wish wish = s->relay->wish[side->dir];
	bool gone = s->relay->peer[side->dir] == PEER_GONE;

	if (side->fd < 0 || side->lingering || wish == WISH_NONE)
		return;
	if (wish == WISH_RESET || gone || upgrade_shakes(&s->upgrade, side->dir)) {
		close_side(side, wish == WISH_RESET);
	} else if (relay_from(s->relay, side->dir)->queued > 0) {
		return;
	} else if (side->dir == AN_S2C || s->relay->peer[AN_C2S] == PEER_EOF) {
		say_end(side);
		close_side(side, false);
	} else {
		/* closing now would reset a client that still sends, and lose our last words */
		say_end(side);
		shutdown(side->fd, SHUT_WR);
		side->lingering = true;
		s->close_until = session_now(NULL) + LINGER_MS;
	}
}

/* False: no memory. */
static bool
update_events(struct side *side)
{
	struct relay *r = side->session->relay;
	const struct upgrade *u = &side->session->upgrade;

	if (side->fd < 0)
		return true;
	if (is_connecting(side))
		return want_writable(side, true);
	if (upgrade_shakes(u, side->dir) && !side->lingering) {
		event_wanted(&side->readable, &side->reading, upgrade_wants_read(u, side->dir));
		return want_writable(side, upgrade_wants_write(u, side->dir));
	}
	event_wanted(
	    &side->readable, &side->reading, side->lingering || relay_wants_read(r, side->dir));
	return want_writable(side, relay_from(r, side->dir)->queued > 0);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a == 0 ? b : b == 0 || a < b ? a : b;
}

/* The timer is moved only when it would fire too late; one that fires too early is set again. */
static void
update_timer(struct session *s)
{
	uint64_t due = earlier(relay_deadline(s->relay), s->connect_until), now;
	struct timeval tv;

	if (s->relay->reason != NULL && s->close_until == 0)
		s->close_until = session_now(NULL) + CLOSE_MS;
	due = earlier(earlier(due, s->close_until), s->upgrade.until);
	if (due == 0 || (s->timer_at != 0 && s->timer_at <= due))
		return;
	now = session_now(NULL);
	s->timer_at = due;
	due = due > now ? due - now : 0;
	tv = (struct timeval){(time_t)(due / 1000u), (suseconds_t)(due % 1000u * 1000u)};
	event_add(&s->timer, &tv);
}

static void
wake(void *session)
{
	settle(session);
}

static bool
go_on_upgrading(struct session *s)
{
	const struct side *server = &s->side[AN_S2C];
	const int fds[] = {s->side[AN_C2S].fd, is_connecting(server) ? -1 : server->fd};

	return upgrade_run(&s->upgrade, fds);
}

/* After anything has happened: write, close what is done with, wait for the right things. */
static void
settle(struct session *s)
{
	bool more = true;

	while (more) {
		more = write_out(&s->side[AN_C2S]);
		more = write_out(&s->side[AN_S2C]) || more;
		more = go_on_upgrading(s) || more;
		more = read_on(&s->side[AN_C2S]) || more;
		more = read_on(&s->side[AN_S2C]) || more;
	}
	grant_wish(&s->side[AN_C2S]);
	grant_wish(&s->side[AN_S2C]);
	if (s->side[AN_C2S].fd < 0 && s->side[AN_S2C].fd < 0 && s->relay->reason != NULL) {
		end(s);
		return;
	}
	if (!update_events(&s->side[AN_C2S]) || !update_events(&s->side[AN_S2C])) {
		relay_end(s->relay, "no_memory", WISH_RESET, WISH_RESET);
		close_side(&s->side[AN_C2S], true);
		close_side(&s->side[AN_S2C], true);
		end(s);
		return;
	}
	update_timer(s);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	uint64_t now = session_now(NULL);

	(void)fd;
	(void)what;
	s->timer_at = 0;
	if (s->connect_until != 0 && s->connect_until <= now)
		server_unreachable(s);
	if (s->close_until != 0 && s->close_until <= now) {
		close_side(&s->side[AN_C2S], s->relay->client.queued > 0);
		close_side(&s->side[AN_S2C], s->relay->server.queued > 0);
	}
	upgrade_expired(&s->upgrade, now);
	if (relay_deadline(s->relay) != 0 && relay_deadline(s->relay) <= now)
		relay_expired(s->relay);
	settle(s);
}

/* ---- services for the relay ---- */

struct asking {
	struct session *session;
	struct lookup *lookup;
};

static void
on_answers(void *arg)
{
	struct asking *a = arg;
	struct session *s = a->session;

	free(a);
	upgrade_answered(&s->upgrade);
	relay_answered(s->relay);
	settle(s);
}

/* What counts only if it was validated is asked where that is done. */
static struct resolver *
resolver_for(const struct sessions *all, const struct dns_question *q, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (all->validator != NULL && (q[i].type == DNS_TLSA || q[i].type == DNS_TXT))
			return all->validator;
	return all->resolver;
}

static void *
start_lookup(void *arg, struct relay *r, const struct dns_question *q, size_t n, unsigned budget_ms,
    struct answers *into)
{
	struct sessions *all = arg;
	struct asking *a = malloc(sizeof(*a));

	if (a == NULL)
		return NULL;
	a->session = r->owner;
	a->lookup = resolver_ask(resolver_for(all, q, n), q, n, budget_ms, into, on_answers, a);
	if (a->lookup == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

static void
stop_lookup(void *arg, void *handle)
{
	struct asking *a = handle;

	(void)arg;
	lookup_cancel(a->lookup);
	free(a);
}

static void
count_refusal(void *arg, struct relay *r)
{
	struct sessions *all = arg;
	struct session *s = r->owner;
	char text[IP_TEXT_MAX];

	if (!clients_refused(all->clients, s->client, session_now(NULL)))
		return;
	board_add(all->board, BOARD_CLIENTS_BLOCKED, 1);
	record_stats("client_blocked", all->config->limits.block,
	    ip_text(&r->session.client.ip, text), all->env.sink, all->env.sink_arg);
}

static bool
allow(void *arg, struct relay *r, enum client_act act)
{
	struct sessions *all = arg;
	struct session *s = r->owner;

	return clients_allow(all->clients, s->client, act, session_now(NULL));
}

static void
take_back(void *arg, struct relay *r, enum client_act act)
{
	struct session *s = r->owner;

	(void)arg;
	clients_take_back(s->client, act);
}

static bool
under_pressure(void *arg)
{
	const struct sessions *all = arg;

	return (uint64_t)all->count * 100u >= (uint64_t)all->max * all->config->limits.pressure ||
	       (uint64_t)all->taken * 100u >=
		   (uint64_t)all->descriptors * all->config->limits.pressure;
}

static void
on_offered(void *arg, const struct tls_offer *o)
{
	struct sessions *all = arg;

	all->offered(all->arg, o);
}

static void
on_data_news(struct relay *r, struct data_pair *pair, const struct data_news *news)
{
	relay_data_news(r, pair, news);
	settle(r->owner);
}

static struct tls_leg *
protect_leg(struct relay *r, enum data_leg leg, int fd)
{
	const struct session *s = r->owner;

	return protect_data(&s->upgrade, leg, fd);
}

static const char *
judge_leg(struct relay *r, enum data_leg leg, struct tls_leg *tls, bool *resumed)
{
	const struct session *s = r->owner;

	return protect_verdict(&s->upgrade, leg, tls, resumed);
}

static struct data_pair *
open_data(void *arg, struct relay *r)
{
	struct sessions *all = arg;
	struct session *s = r->owner;
	const struct data_owner owner = {.relay = r,
	    .arrival = s->arrival,
	    .client = s->client,
	    .news = on_data_news,
	    .octets = relay_data_octets,
	    .protect = protect_leg,
	    .judge = judge_leg};

	return data_pair_open(all->data, &owner);
}

void
sessions_init(struct sessions *all, struct log_pipe *log)
{
	all->data_ops = data_pair_ops;
	all->data_ops.open = open_data;
	all->env = (struct relay_env){
	    .config = all->config,
	    .board = all->board,
	    .sink = log_pipe_write,
	    .sink_arg = log,
	    .now = session_now,
	    .ask = start_lookup,
	    .unask = stop_lookup,
	    .refused = count_refusal,
	    .allow = allow,
	    .take_back = take_back,
	    .pressed = under_pressure,
	    .data = &all->data_ops,
	    .ftp_servers = all->ftp_servers,
	    .tls_keys = all->tls_keys,
	    .mint = all->mint,
	    .distrust = all->distrust,
	    .tls_offers = all->tls_offers,
	    .offered = on_offered,
	    .arg = all,
	};
}

void
sessions_end(struct sessions *all)
{
	while (all->first != NULL)
		end(all->first);
}

/* ---- a new one ---- */

/* A client's socket has from its listener what all have in common (listening.h). */
static void
tune(int fd, enum an_dir dir, enum protocol p)
{
	int on = 1;

	if (dir == AN_S2C) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}
	/* a TELNET Synch has its DM where it was sent, not beside the stream (RFC 959 s4.1.3) */
	if (p == PROTOCOL_FTP)
		setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

static void
init_side(struct session *s, enum an_dir dir, int fd)
{
	struct side *side = &s->side[dir];

	*side = (struct side){.session = s, .dir = dir, .fd = fd};
	if (fd < 0)
		return;
	tune(fd, dir, s->arrival->protocol);
	event_assign(&side->readable, s->all->base, fd, EV_READ | EV_PERSIST, on_readable, side);
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

/* The session is over before it began, with a reply that says so. */
static void
turn_away(struct session *s, const char *reason)
{
	close_side(&s->side[AN_S2C], false);
	connect_over(s);
	relay_turn_away(s->relay, reason);
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

	init_side(s, AN_S2C, fd);
	if (fd < 0 || (a->forward != NULL && !introduce_client(s, a->forward->send_proxy))) {
		close_side(&s->side[AN_S2C], false);
		server_unreachable(s);
	} else if (a->forward == NULL && a->mode == INTERCEPT_TPROXY &&
		   !take_clients_address(s, fd)) {
		turn_away(s, "no_source_address");
	} else if (connect(fd, (const struct sockaddr *)&to, n) == 0) {
		finish_connect(s);
	} else if (errno != EINPROGRESS) {
		server_unreachable(s);
	}
}

static void
on_socket(void *arg, int fd)
{
	struct session *s = arg;

	connect_with(s, fd);
	settle(s);
}

static void
connect_server(struct session *s)
{
	enum ip_family family = s->relay->session.up_server.ip.family;
	int fd;

	if (!clients_connecting(s->all->clients, s->client)) {
		turn_away(s, "connect_limit");
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

/* Who is who. */
static void
identify(int fd, const struct arrival *a, struct record_session *rs)
{
	struct sockaddr_storage local = {0};

	if (a->forward == NULL) {
		rs->up_server = arrival_wanted(fd, a, &rs->server);
		return;
	}
	getsockname(fd, (struct sockaddr *)&local, &(socklen_t){sizeof(local)});
	rs->forward = a->forward->name;
	rs->server = address_endpoint((const struct sockaddr *)&local);
	rs->up_server = address_endpoint((const struct sockaddr *)&a->forward->to);
}

static void
place(const struct config *c, int fd, const struct arrival *a, struct facts *facts)
{
	policy_place(c->policy, facts);
	if (facts->client_inside && c->inside_devices[0] != NULL)
		facts->client_inside = arrival_on_device(fd, c->inside_devices);
	if (a->forward != NULL)
		facts->server_inside = !a->forward->outside;
}

/* What becomes of TLS, as far as it is known before anybody has said a name. */
static void
judge_tls(const struct sessions *all, const struct arrival *a, const struct record_session *rs,
    struct facts *facts, struct tls_query *q, struct tls_judgement *out)
{
	*q = (struct tls_query){.protocol = (enum tls_protocol)a->protocol,
	    .port = (uint16_t)rs->up_server.port,
	    .asked = (uint16_t)rs->server.port,
	    .implicit = arrival_is_implicit(all->config, a, &rs->up_server),
	    .identity = all->tls_keys != NULL &&
			tls_keys_can_show(all->tls_keys, &facts->server, facts->server_inside),
	    .own = all->tls_keys != NULL && tls_keys_own(all->tls_keys) != NULL};

	tls_judge(all->config->policy, facts, q, out);
	facts->starttls = tls_word(out);
	facts->tls_required = out->required;
	facts->unless_published = out->unless_published;
}

static struct relay *
new_relay(struct sessions *all, int fd, const struct sockaddr *client, const struct arrival *a)
{
	struct record_session rs = {.client = address_endpoint(client)};
	struct facts facts = {0};
	struct tls_query asked;
	struct tls_judgement said;
	struct relay *relay;
	uint64_t id;

	identify(fd, a, &rs);
	arc4random_buf(&id, sizeof(id));
	rs.flow_id = id >> (64 - FLOW_ID_BITS);
	gettimeofday(&rs.started, NULL);
	facts.client = rs.client.ip;
	facts.server = rs.up_server.ip;
	place(all->config, fd, a, &facts);
	judge_tls(all, a, &rs, &facts, &asked, &said);
	relay = relay_new(relay_ops_of(a->protocol), &all->env, &rs, &facts);
	if (relay != NULL) {
		relay->tls_asked = asked;
		relay->tls_said = said;
		relay->tap = tapped_new(all->taps, relay);
	}
	return relay;
}

static void
welcome(struct session *s, enum client_welcome how)
{
	static const char *const reasons[] = {[CLIENT_TOO_MANY] = "client_limit",
	    [CLIENT_BLOCKED] = "client_blocked",
	    [CLIENT_TOO_FAST] = "client_rate"};

	if (how != CLIENT_WELCOME)
		turn_away(s, reasons[how]);
	else if (s->all->unaudited(s->all->arg))
		turn_away(s, "audit");
	else if (s->arrival->forward == NULL &&
		 arrival_is_loop(s->all->config, &s->relay->session.up_server))
		turn_away(s, "loop");
	else
		connect_server(s);
}

/* With too many sessions, those that idle have less time from now on, the old ones too. */
static void
press(struct sessions *all)
{
	uint64_t now = session_now(NULL);

	if (!under_pressure(all) || now - all->pressed < PRESS_EVERY)
		return;
	all->pressed = now;
	for (struct session *s = all->first; s != NULL; s = s->next)
		update_timer(s);
}

void
session_open(struct sessions *all, int fd, const struct sockaddr *client, const struct arrival *a)
{
	struct session *s = calloc(1, sizeof(*s));
	struct endpoint from = address_endpoint(client);
	enum client_welcome how;

	if (s == NULL) {
		close(fd);
		return;
	}
	s->all = all;
	s->arrival = a;
	s->relay = new_relay(all, fd, client, a);
	if (s->relay == NULL) {
		free(s);
		close(fd);
		return;
	}
	s->relay->owner = s;
	s->upgrade = (struct upgrade){.relay = s->relay, .wake = wake, .owner = s};
	event_assign(&s->timer, all->base, -1, 0, on_timer, s);
	init_side(s, AN_C2S, fd);
	init_side(s, AN_S2C, -1);
	s->next = all->first;
	s->link = &all->first;
	if (all->first != NULL)
		all->first->link = &s->next;
	all->first = s;
	all->count++;
	all->taken += cost_of(a->protocol);
	how = clients_enter(all->clients, &from.ip, session_now(NULL), &s->client);
	relay_begin_tls(s->relay);
	if (s->relay->reason == NULL)
		welcome(s, how);
	settle(s);
	press(all);
}
