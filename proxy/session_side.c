#include "session_side.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "session_connect.h"
#include "session_parts.h"
#include "wanted.h"

#define IOV_USED      64
#define LINGER_OCTETS (1u << 20) /* of what a client still sends, read and thrown away */
#define READS_MAX     8		 /* of one side in a row, ahead of what other sessions wait for */

static void on_writable(evutil_socket_t, short what, void *arg);

static struct tls_leg *
leg_of(const struct side *side)
{
	return upgrade_leg(&side->session->upgrade, side->dir);
}

void
side_say_end(struct side *side)
{
	if (leg_of(side) != NULL && relay_from(side->session->relay, side->dir)->queued == 0)
		tls_leg_close(leg_of(side));
}

bool
side_want_writable(struct side *side, bool wanted)
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

void
side_want_readable(struct side *side, bool wanted)
{
	event_wanted(&side->readable, &side->reading, wanted);
}

void
side_close(struct side *side, bool reset)
{
	if (side->fd < 0)
		return;
	if (reset)
		setsockopt(
		    side->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	side_want_readable(side, false);
	side_want_writable(side, false);
	side->lingering = false;
	close(side->fd);
	side->fd = -1;
}

bool
side_is_connecting(const struct side *side)
{
	return side->dir == AN_S2C && side->session->connect_until != 0;
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
	 * With the last words goes the end, which session_settle() says in a moment: in one packet.
	 * Not to a server, whose socket may be closed with octets that nobody has read: that is a
	 * reset, and takes along what was not sent.
	 */
	if (side->dir == AN_C2S && side->session->relay->wish[AN_C2S] == WISH_CLOSE)
		flags |= MSG_MORE;
	return sendmsg(side->fd, &m, flags);
}

static bool
may_write(const struct side *side)
{
	return side->fd >= 0 && !side_is_connecting(side) &&
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

bool
side_write_out(struct side *side)
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
		side_close(side, false);
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

bool
side_read_on(struct side *side)
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
	/* a handshake is gone on with by session_settle() */
	if (side->lingering)
		discard_input(side);
	else if (!upgrade_shakes(&s->upgrade, side->dir))
		read_in(side);
	session_settle(s);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct side *side = arg;

	(void)fd;
	(void)what;
	if (side_is_connecting(side))
		connect_finish(side->session);
	session_settle(side->session);
}

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

void
side_init(struct session *s, enum an_dir dir, int fd)
{
	struct side *side = &s->side[dir];

	*side = (struct side){.session = s, .dir = dir, .fd = fd};
	if (fd < 0)
		return;
	tune(fd, dir, s->arrival->protocol);
	event_assign(&side->readable, s->all->base, fd, EV_READ | EV_PERSIST, on_readable, side);
}
