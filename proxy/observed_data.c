#include <stdlib.h>

#include "observed.h"

/*
 * A pair is expected (in the table of ports), then has its connection, then what came of it is told
 * to the gate in order: open, octets, end. What comes ahead of flow() is kept, up to a bound.
 */
struct data_pair {
	struct observer *observer;
	struct relay *relay;
	struct data_pair *next_expected, **expected_link; /* link NULL: it is not expected */
	struct data_pair *next, **link;			  /* of the same session */
	struct endpoint to,
	    also;	      /* where the connection leads; also: another name of it, or none */
	struct ip from;	      /* whose it is; IP_NONE: anybody's */
	bool client_connects; /* else the server does */

	struct observed *of;	 /* NULL: not seen yet, or closed */
	struct endpoint ends[2]; /* client's and server's end */
	struct buf kept;	 /* octets of the source ahead of flow() */
	struct tls_opening *opening;
	struct data_flow flow;
	bool seen, flowing, released;
	bool ended[2];	  /* by the direction that its sender sends in */
	bool notified[2]; /* under TLS: with a close_notify */
	const char *why;  /* it is cut, whatever ends; NULL: it is not */
	const char *gone; /* so is what has not ended, for the connection is over */
	struct {
		bool open, end, over; /* over: DONE or CUT, nothing more is told */
	} told;
	struct data_count count;
};

static struct data_pair **
bucket(struct observer *o, uint16_t port)
{
	return &o->expected[port & (EXPECTED_BUCKETS - 1)];
}

static void
expect(struct data_pair *p)
{
	struct data_pair **at = bucket(p->observer, p->to.port);

	p->next_expected = *at;
	p->expected_link = at;
	if (*at != NULL)
		(*at)->expected_link = &p->next_expected;
	*at = p;
}

static void
expect_no_more(struct data_pair *p)
{
	if (p->expected_link == NULL)
		return;
	*p->expected_link = p->next_expected;
	if (p->next_expected != NULL)
		p->next_expected->expected_link = p->expected_link;
	p->expected_link = NULL;
}

/* ---- what the gate asks for ---- */

static struct data_pair *
data_open(void *arg, struct relay *r)
{
	struct data_pair *p = calloc(1, sizeof(*p)), **list = observed_data_list(r->owner);

	if (p == NULL)
		return NULL;
	p->observer = arg;
	p->relay = r;
	buf_init(&p->kept, OBSERVED_WAITING_MAX);
	p->next = *list;
	p->link = list;
	if (*list != NULL)
		(*list)->link = &p->next;
	*list = p;
	return p;
}

static void
data_listen(struct data_pair *p, const struct data_hole *hole, unsigned seconds)
{
	(void)seconds;
	expect_no_more(p);
	p->to = hole->at;
	p->also = hole->also;
	p->from = hole->from;
	p->client_connects = true;
	expect(p);
}

static void
data_dial(struct data_pair *p, const struct data_dial *dial, unsigned seconds)
{
	(void)seconds;
	expect_no_more(p);
	p->to = dial->to;
	p->also = dial->also;
	p->from = dial->from.ip;
	p->client_connects = false;
	expect(p);
}

static bool
data_let_by(struct data_pair *p, const struct endpoint *client, const struct endpoint *server,
    unsigned seconds)
{
	(void)p;
	(void)client;
	(void)server;
	(void)seconds;
	return false; /* nobody is passed by who only looks on */
}

static void
data_flow(struct data_pair *p, const struct data_flow *flow)
{
	p->flow = *flow;
	p->flowing = true;
}

static void
data_release(struct data_pair *p)
{
	p->released = true;
}

static void
leave_connection(struct data_pair *p)
{
	if (p->of == NULL)
		return;
	p->of->pair = NULL;
	p->of->is = OBSERVED_NOTHING;
	p->of = NULL;
}

static void
data_reset(struct data_pair *p)
{
	expect_no_more(p);
	leave_connection(p);
	p->told.over = true;
}

static void
data_drop(struct data_pair *p, enum data_leg leg, bool reset)
{
	(void)leg; /* there is one */
	(void)reset;
	expect_no_more(p);
	leave_connection(p);
	p->seen = p->told.open = false;
}

static const struct data_count *
data_count(const struct data_pair *p)
{
	return &p->count;
}

static void
data_close(struct data_pair *p)
{
	if (p == NULL)
		return;
	expect_no_more(p);
	leave_connection(p);
	*p->link = p->next;
	if (p->next != NULL)
		p->next->link = p->link;
	buf_free(&p->kept);
	tls_opening_free(p->opening);
	free(p);
}

const struct data_ops observed_data_ops = {
    .open = data_open,
    .listen = data_listen,
    .dial = data_dial,
    .let_by = data_let_by,
    .flow = data_flow,
    .release = data_release,
    .reset = data_reset,
    .drop = data_drop,
    .count = data_count,
    .close = data_close,
};

struct data_pair *
observed_data_next(struct data_pair *p)
{
	return p->next;
}

bool
observed_data_lives(const struct data_pair *p)
{
	return p->of != NULL && !p->told.over;
}

/* ---- the connection ---- */

static bool
same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && ip_eq(&a->ip, &b->ip);
}

/*
 * Who connects to an address of somebody else's that was said may be a third party (FXP); to the
 * control connection's own peer, be it behind a NAT, the other one of both alone.
 */
static bool
is_expected(const struct data_pair *p, const struct endpoint *from, const struct endpoint *to)
{
	if (same_endpoint(to, &p->to) && p->also.port != 0)
		return true;
	return (same_endpoint(to, &p->to) || same_endpoint(to, &p->also)) &&
	       ip_eq(&from->ip, &p->from);
}

struct data_pair *
observed_data_claim(struct observer *o, struct observed *of)
{
	const struct endpoint from = observed_endpoint(&of->tcp->client),
			      to = observed_endpoint(&of->tcp->server);
	struct data_pair *p = *bucket(o, to.port);

	while (p != NULL && !is_expected(p, &from, &to))
		p = p->next_expected;
	if (p == NULL)
		return NULL;
	expect_no_more(p);
	p->of = of;
	p->seen = true;
	p->ends[DATA_CLIENT] = p->client_connects ? from : to;
	p->ends[DATA_SERVER] = p->client_connects ? to : from;
	return p;
}

struct observed_session *
observed_data_session(struct data_pair *p)
{
	return p->relay->owner;
}

/* In which direction of the transfer the connection's own dir goes. */
static enum an_dir
direction(const struct data_pair *p, enum an_dir dir)
{
	return p->client_connects ? dir : an_other(dir);
}

static void
count(struct data_pair *p, size_t n)
{
	const uint64_t now = p->relay->env->now(p->relay->env->arg);

	if (p->count.began == 0)
		p->count.began = now;
	p->count.ended = now;
	p->count.octets[DATA_CLIENT] += n;
	p->count.octets[DATA_SERVER] += n;
}

static void
show(struct data_pair *p, struct span octets)
{
	count(p, octets.n);
	if (p->flow.look && octets.n > 0)
		relay_data_octets(p->relay, p, octets);
}

static bool
is_protected(const struct data_pair *p)
{
	return p->flow.protected[DATA_CLIENT] || p->flow.protected[DATA_SERVER];
}

static void
open_some(struct data_pair *p, enum an_dir dir, struct span in)
{
	bool more = true; /* a record may wait in the opening, with nothing behind it */

	if (p->opening == NULL && p->observer->env.keylog != NULL)
		p->opening = tls_opening_new(p->observer->env.keylog);
	if (p->opening == NULL)
		p->why = "tls_no_keys";
	while (more && p->why == NULL) {
		struct span plain = SPAN_NONE;
		size_t used = 0;
		/* the client of FTP is the client of TLS, whoever connects (RFC 4217 s7) */
		enum tls_opened what = tls_opening_feed(p->opening, dir, in, &used, &plain);

		in = span_from(in, used);
		more = in.n > 0;
		if (what == TLS_OPENING_MORE)
			return;
		if (what == TLS_OPENING_NO_KEYS && observed_find_keys(p->observer))
			more = true;
		else if (what == TLS_OPENING_OCTETS && dir == p->flow.dir)
			show(p, plain);
		else if (what == TLS_OPENING_OCTETS)
			p->count.stray += plain.n;
		else if (what == TLS_OPENING_END)
			p->ended[dir] = p->notified[dir] = true;
		else
			p->why = what == TLS_OPENING_NO_KEYS ? "tls_no_keys" : "tls_broken";
	}
}

/* Of a transfer that is going on. */
static void
take(struct data_pair *p, enum an_dir dir, struct span in)
{
	if (is_protected(p))
		open_some(p, dir, in);
	else if (dir == p->flow.dir)
		show(p, in);
	else
		p->count.stray += in.n;
}

/* Octets ahead of flow(), each run with its direction and length in front. */
struct kept {
	enum an_dir dir;
	size_t n;
};

static void
keep(struct data_pair *p, enum an_dir dir, struct span in)
{
	const struct kept head = {dir, in.n};

	if (!buf_add(&p->kept, span_of(&head, sizeof(head))) || !buf_add(&p->kept, in)) {
		buf_free(&p->kept);
		p->why = "gap";
	}
}

static void
take_kept(struct data_pair *p)
{
	struct span rest = buf_span(&p->kept);
	struct kept head;

	while (rest.n >= sizeof(head)) {
		memcpy(&head, rest.p, sizeof(head));
		rest = span_from(rest, sizeof(head));
		take(p, head.dir, span_first(rest, head.n));
		rest = span_from(rest, head.n);
	}
	buf_free(&p->kept);
}

void
observed_data_octets(struct data_pair *p, enum an_dir dir, struct span in)
{
	if (p->told.over || p->why != NULL)
		return;
	if (p->flowing && p->told.open)
		take(p, direction(p, dir), in);
	else
		keep(p, direction(p, dir), in);
	observed_session_settle(p->relay->owner);
}

void
observed_data_gap(struct data_pair *p)
{
	if (p->why == NULL)
		p->why = "gap";
	observed_session_settle(p->relay->owner);
}

void
observed_data_end(struct data_pair *p, enum an_dir dir)
{
	p->ended[direction(p, dir)] = true;
	observed_session_settle(p->relay->owner);
}

void
observed_data_over(struct data_pair *p, const char *why)
{
	p->gone = why;
	leave_connection(p);
	observed_session_settle(p->relay->owner);
}

/* ---- what the gate is told ---- */

static void
tell(struct data_pair *p, enum data_what what, const char *why)
{
	const struct data_news news = {.what = what,
	    .leg = DATA_CLIENT,
	    .peer = p->ends[DATA_CLIENT],
	    .at = p->ends[DATA_SERVER],
	    .why = why};

	relay_data_news(p->relay, p, &news);
}

/* Why it is cut; NULL: it is not, so far. A FIN under TLS is no end (RFC 8446 s6.1). */
static const char *
cut(const struct data_pair *p)
{
	const enum an_dir dir = p->flow.dir;

	if (p->why != NULL)
		return p->why;
	if (!p->ended[dir])
		return p->gone;
	return is_protected(p) && !p->notified[dir] && !p->flow.fin_ends ? "tls_cut" : NULL;
}

bool
observed_data_tell(struct data_pair *p)
{
	if (p->told.over || !p->seen)
		return false;
	if (!p->told.open) {
		p->told.open = true;
		tell(p, DATA_OPEN, NULL);
		return true;
	}
	if (!p->flowing)
		return false;
	if (p->kept.n > 0)
		take_kept(p);
	if (cut(p) != NULL && !p->told.end) {
		p->told.over = true;
		tell(p, DATA_CUT, cut(p));
		return true;
	}
	if (!p->ended[p->flow.dir])
		return false;
	if (!p->told.end && p->flow.look) {
		p->told.end = true;
		tell(p, DATA_SOURCE_END, NULL);
		return true;
	}
	if (p->flow.look && !p->released)
		return false;
	p->told.over = true;
	tell(p, DATA_DONE, NULL);
	return true;
}
