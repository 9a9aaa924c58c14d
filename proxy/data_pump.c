#include "data_pump.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "clock.h"
#include "tls_leg.h"
#include "wanted.h"

#define TURN_OCTETS (1u << 20) /* read before others have their turn */
#define STRAY_ONCE  (256u << 10)
#define TLS_ONCE    16384	/* a record (RFC 8446 s5.1) */
#define STRAY_TLS   (16u << 20) /* that are decrypted; a peer that sends more is cut */

struct data_pump {
	struct pump_plan plan;
	struct data_pipes *pipes;
	struct event readable, stray, writable, timer, kick;
	bool reading, straying, writing; /* the events that are added */
	enum data_leg source, sink;
	uint64_t in, out; /* octets read, and written */
	uint64_t moved;	  /* clock_ms() of the last octet in or out */
	bool ended;	  /* the source's FIN was seen */
	bool blocked;	  /* the sink takes nothing at the moment */
	bool over;	  /* PUMP_DONE or PUMP_CUT was told */
	bool ringed;	  /* octets come through this process */
	/* ringed: octets "out" to "in" of the stream are here, modulo cap */
	uint8_t *ring;
	size_t cap;
	/* else */
	struct data_pipe pipe;
	bool piped;
};

enum step {
	STEP_MOVED,
	STEP_NOTHING, /* no octets there, no room for them */
	STEP_OVER,    /* the pump is at its end, or gone */
};

/* Octets that are here: read and not written. */
static size_t
held(const struct data_pump *p)
{
	return (size_t)(p->in - p->out);
}

/* ... and of them, those that may go. */
static size_t
sendable(const struct data_pump *p)
{
	size_t n = held(p);

	return n > p->plan.hold ? n - p->plan.hold : 0;
}

static void
give_back(struct data_pump *p)
{
	free(p->ring);
	p->ring = NULL;
	if (p->piped)
		data_pipe_give(p->pipes, &p->pipe, held(p) == 0);
	p->piped = false;
}

static void
rest(struct data_pump *p)
{
	event_wanted(&p->readable, &p->reading, false);
	event_wanted(&p->stray, &p->straying, false);
	event_wanted(&p->writable, &p->writing, false);
	event_del(&p->timer);
	event_del(&p->kick);
}

static enum step
cut(struct data_pump *p, enum data_leg leg, const char *why)
{
	p->over = true;
	rest(p);
	give_back(p);
	p->plan.told(p->plan.arg, PUMP_CUT, leg, why);
	return STEP_OVER;
}

static bool
has_room(const struct data_pump *p)
{
	return held(p) < (p->ringed ? p->cap : DATA_PIPE_OCTETS);
}

/* Which events are waited for. */
static void
settle(struct data_pump *p)
{
	if (held(p) == 0)
		give_back(p);
	/* a pipe may be full of short pieces long before it has its octets */
	event_wanted(
	    &p->readable, &p->reading, !p->ended && has_room(p) && (p->ringed || !p->blocked));
	event_wanted(&p->writable, &p->writing, p->blocked);
}

/* All octets are out. */
static enum step
finish(struct data_pump *p)
{
	int sink = p->plan.fds[p->sink];

	switch (
	    p->plan.tls[p->sink] == NULL ? TLS_LEG_CLOSED : tls_leg_close(p->plan.tls[p->sink])) {
	case TLS_LEG_CLOSED:
		break;
	case TLS_LEG_CLOSE_LATER:
		p->blocked = true;
		settle(p);
		return STEP_NOTHING;
	case TLS_LEG_NOT_CLOSED:
		return cut(p, p->sink, "reset");
	}
	/*
	 * In this order: killed in between, the kernel still ends it well. One that its peer has
	 * reset is no longer connected, and cannot be shut down.
	 */
	if (setsockopt(sink, SOL_SOCKET, SO_LINGER, &(struct linger){0}, sizeof(struct linger)) !=
		0 ||
	    shutdown(sink, SHUT_WR) != 0)
		return cut(p, p->sink, "reset");
	p->over = true;
	rest(p);
	give_back(p);
	p->plan.told(p->plan.arg, PUMP_DONE, p->source, NULL);
	return STEP_OVER;
}

static void
moved(struct data_pump *p, enum data_leg leg, size_t n)
{
	struct data_count *c = p->plan.count;

	p->moved = clock_ms();
	c->octets[leg] += n;
	if (c->began == 0)
		c->began = p->moved;
	c->ended = p->moved;
	if (leg == p->source)
		p->in += n;
	else
		p->out += n;
}

/*
 * Where in the ring n octets of the stream are, from "off" on; returns in how many pieces. Both go
 * with one call: by pieces, one short read would cut all that come after it, and all packets.
 */
static size_t
pieces(const struct data_pump *p, uint64_t off, size_t n, struct iovec iov[2])
{
	size_t at = (size_t)(off % p->cap), first = n < p->cap - at ? n : p->cap - at;

	iov[0] = (struct iovec){p->ring + at, first};
	iov[1] = (struct iovec){p->ring, n - first};
	return n > first ? 2 : 1;
}

/* To whoever captures them: n octets of the stream, from "off" on. */
static void
show(const struct data_pump *p, enum data_leg leg, uint64_t off, size_t n)
{
	struct iovec iov[2];
	size_t n_iov;

	if (p->plan.seen == NULL) /* as always where there is no ring */
		return;
	n_iov = pieces(p, off, n, iov);
	for (size_t i = 0; i < n_iov; i++)
		p->plan.seen(p->plan.arg, leg, span_of(iov[i].iov_base, iov[i].iov_len));
}

/* To whoever looks at them; false: the pump is at its end, or gone. */
static bool
look_at(const struct data_pump *p, uint64_t off, size_t n)
{
	struct iovec iov[2];
	size_t n_iov = pieces(p, off, n, iov);

	for (size_t i = 0; i < n_iov && p->plan.look; i++)
		if (!p->plan.octets(p->plan.arg, span_of(iov[i].iov_base, iov[i].iov_len)))
			return false;
	return true;
}

/* ---- in ---- */

/* Why a leg that was read, or written, is no more. */
static const char *
why_of(const struct data_pump *p, enum data_leg leg)
{
	const struct tls_leg *tls = p->plan.tls[leg];

	if (errno == ENOMEM)
		return "no_memory";
	return tls == NULL || tls_leg_why(tls) == NULL ? "reset" : tls_leg_why(tls);
}

/* F-036: a FIN is no end under TLS, for anybody may send it. */
static bool
is_end(const struct data_pump *p, ssize_t n)
{
	const struct tls_leg *tls = p->plan.tls[p->source];

	return n == 0 || (tls != NULL && p->plan.fin_ends && tls_leg_ended_by_fin(tls));
}

/* n: of the call that read. */
static enum step
came(struct data_pump *p, ssize_t n)
{
	if (n > 0) {
		moved(p, p->source, (size_t)n);
		return STEP_MOVED;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return STEP_NOTHING;
	if (!is_end(p, n))
		return cut(p, p->source, why_of(p, p->source));
	p->ended = true;
	p->plan.told(p->plan.arg, PUMP_SOURCE_END, p->source, NULL);
	return STEP_NOTHING;
}

static enum step
receive(struct data_pump *p)
{
	const uint64_t off = p->in;
	struct iovec iov[2];
	struct msghdr m = {.msg_iov = iov};
	enum step step;
	ssize_t n;

	if (p->ring == NULL && (p->ring = malloc(p->cap)) == NULL)
		return cut(p, p->source, "no_memory");
	m.msg_iovlen = pieces(p, off, p->cap - held(p), iov);
	n = p->plan.tls[p->source] == NULL
		? recvmsg(p->plan.fds[p->source], &m, 0)
		: tls_leg_read(p->plan.tls[p->source], iov[0].iov_base, iov[0].iov_len);
	step = came(p, n);
	if (step != STEP_MOVED)
		return step;
	show(p, p->source, off, (size_t)n);
	return look_at(p, off, (size_t)n) ? STEP_MOVED : STEP_OVER;
}

static enum step
splice_in(struct data_pump *p)
{
	if (!p->piped && !data_pipe_take(p->pipes, &p->pipe))
		return cut(p, p->source, "no_memory");
	p->piped = true;
	return came(p, splice(p->plan.fds[p->source], NULL, p->pipe.in, NULL,
			   DATA_PIPE_OCTETS - held(p), SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

static enum step
take_in(struct data_pump *p)
{
	if (p->ended || !has_room(p))
		return STEP_NOTHING;
	return p->ringed ? receive(p) : splice_in(p);
}

/* ---- out ---- */

static ssize_t
send_some(struct data_pump *p)
{
	struct iovec iov[2];
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = pieces(p, p->out, sendable(p), iov)};

	if (p->plan.tls[p->sink] != NULL)
		return tls_leg_write(p->plan.tls[p->sink], iov, m.msg_iovlen);
	/* with the last octets goes the end, which finish() says in a moment: in one packet */
	return sendmsg(p->plan.fds[p->sink], &m,
	    MSG_NOSIGNAL | (p->ended && sendable(p) == held(p) ? MSG_MORE : 0));
}

static ssize_t
put_out(struct data_pump *p)
{
	if (p->ringed)
		return send_some(p);
	return splice(p->pipe.out, NULL, p->plan.fds[p->sink], NULL, held(p),
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

static enum step
write_out(struct data_pump *p)
{
	enum step step = STEP_NOTHING;

	p->blocked = false;
	while (sendable(p) > 0) {
		ssize_t n = put_out(p);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			p->blocked = true;
			break;
		}
		if (n <= 0)
			return cut(p, p->sink, why_of(p, p->sink));
		show(p, p->sink, p->out, (size_t)n);
		moved(p, p->sink, (size_t)n);
		step = STEP_MOVED;
	}
	return step;
}

/* ---- what happens ---- */

/* What OpenSSL has taken from the socket, and no event tells of. */
static bool
is_pending(const struct data_pump *p)
{
	const struct tls_leg *tls = p->plan.tls[p->source];

	return tls != NULL && !p->ended && has_room(p) && tls_leg_pending(tls);
}

static void
turn(struct data_pump *p)
{
	uint64_t until = p->in + TURN_OCTETS;
	enum step in, out;

	do {
		in = take_in(p);
		/* what more there is goes along, and so does the end of what is small */
		if (in == STEP_OVER || (in == STEP_MOVED && p->ringed && take_in(p) == STEP_OVER))
			return;
		out = write_out(p);
		if (out == STEP_OVER)
			return;
	} while (in == STEP_MOVED && !p->blocked && p->in < until);
	/* the end is held with the window: an empty file must not look whole ahead of its verdict
	 */
	if (p->ended && held(p) == 0 && p->plan.hold == 0) {
		finish(p);
		return;
	}
	settle(p);
	if (is_pending(p))
		event_active(&p->kick, EV_TIMEOUT, 0);
}

static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	turn(arg);
}

/* As recv(). TCP: octets are not even copied; under TLS there are tickets among them. */
static ssize_t
take_stray(struct data_pump *p)
{
	uint8_t waste[TLS_ONCE];

	return p->plan.tls[p->sink] == NULL
		   ? recv(p->plan.fds[p->sink], NULL, STRAY_ONCE, MSG_TRUNC)
		   : tls_leg_read(p->plan.tls[p->sink], waste, sizeof(waste));
}

static void
on_stray(evutil_socket_t fd, short what, void *arg)
{
	struct data_pump *p = arg;
	ssize_t n = take_stray(p);

	(void)fd;
	(void)what;
	if (n > 0)
		p->plan.count->stray += (size_t)n;
	if (n > 0 && p->plan.tls[p->sink] != NULL && p->plan.count->stray > STRAY_TLS)
		cut(p, p->sink, "stray");
	else if (n == 0)
		event_wanted(&p->stray, &p->straying, false);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		cut(p, p->sink, why_of(p, p->sink));
}

static void
set_timer(struct data_pump *p, uint64_t ms)
{
	struct timeval tv = {(time_t)(ms / 1000u), (suseconds_t)(ms % 1000u * 1000u)};

	event_add(&p->timer, &tv);
}

/* Not moved with every octet: one that fires too early is set again. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct data_pump *p = arg;
	uint64_t now = clock_ms(), due;

	(void)fd;
	(void)what;
	if (p->ended && p->plan.hold > 0 && sendable(p) == 0)
		p->moved = now; /* it is the verdict that is waited for */
	due = p->moved + p->plan.stall * UINT64_C(1000);
	if (due <= now)
		cut(p, p->blocked ? p->sink : p->source, "stalled");
	else
		set_timer(p, due - now);
}

struct data_pump *
data_pump_new(struct event_base *base, struct data_pipes *pipes, const struct pump_plan *plan)
{
	struct data_pump *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->plan = *plan;
	p->pipes = pipes;
	p->source = plan->source;
	p->sink = plan->source == DATA_CLIENT ? DATA_SERVER : DATA_CLIENT;
	p->cap = DATA_RING + plan->hold;
	if (plan->tls[p->sink] != NULL) /* that it sends no more means nothing */
		tls_leg_take_fin(plan->tls[p->sink]);
	p->ringed = plan->look || plan->seen != NULL || plan->tls[DATA_CLIENT] != NULL ||
		    plan->tls[DATA_SERVER] != NULL;
	p->moved = clock_ms();
	event_assign(&p->readable, base, plan->fds[p->source], EV_READ | EV_PERSIST, on_ready, p);
	event_assign(&p->stray, base, plan->fds[p->sink], EV_READ | EV_PERSIST, on_stray, p);
	event_assign(&p->writable, base, plan->fds[p->sink], EV_WRITE | EV_PERSIST, on_ready, p);
	event_assign(&p->timer, base, -1, 0, on_timer, p);
	event_assign(&p->kick, base, -1, 0, on_ready, p);
	event_wanted(&p->stray, &p->straying, true);
	event_wanted(&p->readable, &p->reading, true);
	set_timer(p, plan->stall * UINT64_C(1000));
	return p;
}

void
data_pump_release(struct data_pump *p)
{
	if (p->over)
		return;
	p->plan.hold = 0;
	p->moved = clock_ms();
	event_active(&p->kick, EV_TIMEOUT, 0);
}

void
data_pump_free(struct data_pump *p)
{
	if (p == NULL)
		return;
	rest(p);
	give_back(p);
	free(p);
}
