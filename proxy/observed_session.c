#include <stdlib.h>

#include "address.h"
#include "arrival.h"
#include "observed.h"

#define UNHEARD_OCTETS 16384 /* of a client; a server that is there has said something by then */

/* Questions of the policy that wait for what the wire says. */
struct observed_question {
	struct answers *into; /* NULL: nothing is asked */
	size_t n;
	struct dns_question questions[ANSWERS_MAX];
};

struct observed_session {
	struct observer *observer;
	struct observed *of; /* NULL: its connection is over, and it waits for data */
	struct relay *relay;
	struct buf waiting[2]; /* octets that the relay has no room for, by direction */
	bool ended[2];	       /* and behind them is an end that it was not told of */
	bool server_moved;     /* the server has gone on: what is asked will not be answered */
	struct observed_question *asked;
	struct tls_sight *sight;
	struct tls_opening *opening;
	struct buf sealed;	     /* octets of the server for which there is no secret yet ... */
	bool is_sealed;		     /* ... or a record that the opening has */
	bool under_tls, closed_book; /* closed_book: nobody can read it */
	struct data_pair *pairs;
	bool settling;
};

/* ---- who is who ---- */

struct endpoint
observed_endpoint(const struct connection_end *e)
{
	return (struct endpoint){
	    .ip = e->address.v6 ? ip_v6(e->address.octets) : ip_v4(e->address.octets),
	    .port = e->port};
}

static bool
listens(const struct forward *f, const struct endpoint *at)
{
	const struct endpoint e = address_endpoint((const struct sockaddr *)&f->listen);

	return e.port == at->port && (ip_eq(&e.ip, &at->ip) || ip_is_unspecified(&e.ip));
}

static const struct forward *
forward_of(const struct config *c, const struct endpoint *server)
{
	for (size_t i = 0; i < c->n_forwards; i++)
		if (listens(&c->forwards[i], server))
			return &c->forwards[i];
	return NULL;
}

static bool
is_listed(const unsigned *ports, size_t n, unsigned port)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

bool
observed_port(const struct config *c, const struct endpoint *server, enum protocol *protocol,
    bool *implicit_tls)
{
	const struct forward *f = forward_of(c, server);

	if (f != NULL) {
		*protocol = f->protocol;
		*implicit_tls = f->implicit_tls;
		return true;
	}
	for (enum protocol p = 0; p < PROTOCOL_COUNT; p++) {
		size_t n;
		const unsigned *ports = config_ports(c, p, &n);

		if (!is_listed(ports, n, server->port))
			continue;
		ports = config_tls_ports(c, p, &n);
		*protocol = p;
		*implicit_tls = is_listed(ports, n, server->port);
		return true;
	}
	return false;
}

/* As the gateway would have it. */
static struct relay *
new_relay(struct observed *of, enum protocol p, bool implicit)
{
	struct observer *o = of->observer;
	const struct config *c = o->env.config;
	struct record_session rs = {.flow_id = ++o->stats.sessions,
	    .client = observed_endpoint(&of->tcp->client),
	    .server = observed_endpoint(&of->tcp->server),
	    .started = {
		(time_t)(of->tcp->began / 1000000u), (suseconds_t)(of->tcp->began % 1000000u)}};
	const struct forward *f = forward_of(c, &rs.server);
	struct facts facts = {.client = rs.client.ip};
	struct relay *r;

	rs.up_server = f == NULL ? rs.server : address_endpoint((const struct sockaddr *)&f->to);
	rs.forward = f == NULL ? NULL : f->name;
	facts.server = rs.up_server.ip;
	policy_place(c->policy, &facts);
	if (f != NULL)
		facts.server_inside = !f->outside;
	r = relay_new(relay_ops_of(p), &o->relay_env, &rs, &facts);
	if (r == NULL)
		return NULL;
	r->tls_asked = (struct tls_query){.protocol = (enum tls_protocol)p,
	    .port = rs.up_server.port,
	    .asked = rs.server.port,
	    .implicit = implicit,
	    .identity = true};
	tls_judge(c->policy, &r->facts, &r->tls_asked, &r->tls_said);
	/* a gateway would let it by unread; whoever has its keys reads it */
	if (o->env.keylog != NULL && r->tls_said.action == TLS_PASS)
		r->tls_said.action = TLS_INTERCEPT;
	r->facts.starttls = tls_word(&r->tls_said);
	r->facts.tls_required = r->tls_said.required;
	return r;
}

/* ---- TLS ---- */

/* One record for each handshake: what was seen of it, and whether it could be opened. */
static void
sight_over(struct observed_session *s)
{
	if (s->sight != NULL)
		relay_record_seen(
		    s->relay, s->closed_book ? "passed" : "opened", tls_sight_seen(s->sight));
	tls_sight_free(s->sight);
	s->sight = NULL;
}

static void
close_book(struct observed_session *s)
{
	if (s->closed_book)
		return;
	s->closed_book = true;
	tls_opening_free(s->opening);
	s->opening = NULL;
	buf_free(&s->sealed);
	s->is_sealed = false;
	s->relay->opaque = true;
	relay_unread(s->relay);
}

/* Both legs at once: nobody stands between them. */
static void
secured(struct observed_session *s)
{
	struct relay *r = s->relay;

	if (!relay_shaking(r) || s->closed_book)
		return;
	relay_upgraded(r, AN_S2C, NULL);
	relay_upgraded(r, AN_C2S, NULL);
}

static void give(struct observed_session *, enum an_dir, struct span);

/*
 * The key log has nothing for what comes next. One that grows may have it a moment later: a client
 * writes its secrets when it has the server's word, and that was on the wire before; but ahead of
 * what it says next itself. False: there is nothing to wait for.
 */
static bool
seal(struct observed_session *s, enum an_dir dir, struct span in)
{
	if (s->observer->env.more_keys == NULL || dir != AN_S2C || !buf_add(&s->sealed, in))
		return false;
	s->is_sealed = true;
	return true;
}

static void
opened(struct observed_session *s, enum an_dir dir, struct span in)
{
	bool more = true; /* a record may wait in the opening, with nothing behind it */

	while (more && s->opening != NULL) {
		struct span plain = SPAN_NONE;
		size_t used = 0;
		enum tls_opened what = tls_opening_feed(s->opening, dir, in, &used, &plain);

		in = span_from(in, used);
		more = in.n > 0;
		switch (what) {
		case TLS_OPENING_MORE:
			more = false;
			break;
		case TLS_OPENING_OCTETS:
			secured(s);
			give(s, dir, plain);
			break;
		case TLS_OPENING_END: /* of a handshake too, that came to nothing */
			if (tls_opening_secure(s->opening))
				secured(s);
			s->ended[dir] = true;
			break;
		case TLS_OPENING_NO_KEYS:
			more = observed_find_keys(s->observer);
			if (!more && !seal(s, dir, in))
				close_book(s);
			break;
		case TLS_OPENING_BROKEN:
			close_book(s);
			break;
		}
	}
	if (s->opening != NULL && tls_opening_secure(s->opening))
		secured(s);
}

/* What was sealed, now that more is said; the client's word was the last thing to wait for. */
static void
unseal(struct observed_session *s, bool last)
{
	struct buf kept = s->sealed;

	if (!s->is_sealed)
		return;
	buf_init(&s->sealed, OBSERVED_WAITING_MAX);
	s->is_sealed = false;
	observed_find_keys(s->observer);
	opened(s, AN_S2C, buf_span(&kept));
	buf_free(&kept);
	if (s->is_sealed && last)
		close_book(s);
}

static void
under_tls(struct observed_session *s, enum an_dir dir, struct span in)
{
	struct relay *r = s->relay;

	if (s->sight != NULL && !tls_sight_feed(s->sight, dir, in))
		sight_over(s);
	unseal(s, dir == AN_C2S);
	if (s->is_sealed && !seal(s, dir, in))
		close_book(s);
	if (s->opening == NULL)
		relay_from(r, dir)->received += in.n;
	else if (!s->is_sealed)
		opened(s, dir, in);
}

/* The server has agreed to TLS, or it is spoken from the first octet on. */
static void
begin_tls(struct observed_session *s)
{
	struct relay *r = s->relay;

	s->under_tls = true;
	s->sight = tls_sight_new();
	if (s->observer->env.keylog != NULL)
		s->opening = tls_opening_new(s->observer->env.keylog);
	if (s->opening == NULL)
		close_book(s);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		struct channel *from = relay_from(r, dir);
		struct span early = channel_input(from);
		struct buf kept;

		/* what came in the same segment is of the handshake */
		buf_init(&kept, OBSERVED_WAITING_MAX);
		buf_add(&kept, early);
		buf_add(&kept, buf_span(&s->waiting[dir]));
		buf_free(&s->waiting[dir]);
		channel_discard(from);
		if (kept.n > 0)
			under_tls(s, dir, buf_span(&kept));
		buf_free(&kept);
	}
}

/* ---- octets ---- */

/* As much as the relay takes; returns the rest. */
static struct span
feed(struct observed_session *s, enum an_dir dir, struct span in)
{
	struct relay *r = s->relay;

	while (in.n > 0 && !relay_shaking(r)) {
		struct channel_room room = channel_room(relay_from(r, dir));
		size_t n = room.n < in.n ? room.n : in.n;

		if (n == 0)
			break;
		memcpy(room.p, in.p, n);
		in = span_from(in, n);
		relay_received(r, dir, n);
	}
	return in;
}

static void
give(struct observed_session *s, enum an_dir dir, struct span in)
{
	struct buf *waiting = &s->waiting[dir];

	if (waiting->n == 0)
		in = feed(s, dir, in);
	if (in.n > 0 && !buf_add(waiting, in)) {
		/* nobody can tell what these octets are, and there are too many of them */
		buf_free(waiting);
		relay_gap(s->relay, dir, 0);
	}
}

static bool
drain(struct observed_session *s, enum an_dir dir)
{
	struct buf *waiting = &s->waiting[dir];
	size_t before = waiting->n;

	if (before == 0 || relay_shaking(s->relay))
		return false;
	buf_drop(waiting, before - feed(s, dir, buf_span(waiting)).n);
	if (waiting->n == 0)
		buf_free(waiting);
	return waiting->n != before;
}

/* The relay hears of an end when it has all that came ahead of it. */
static bool
tell_end(struct observed_session *s, enum an_dir dir)
{
	if (!s->ended[dir] || s->waiting[dir].n > 0 || s->relay->peer[dir] >= PEER_EOF)
		return false;
	relay_peer(s->relay, dir, PEER_EOF);
	return true;
}

/* ---- what the policy asks ---- */

void *
observed_ask(void *arg, struct relay *r, const struct dns_question *questions, size_t n,
    unsigned budget_ms, struct answers *into)
{
	struct observed_session *s = r->owner;

	(void)arg;
	(void)budget_ms;
	if (s->asked == NULL)
		s->asked = malloc(sizeof(*s->asked));
	if (s->asked == NULL)
		return NULL;
	s->asked->into = into;
	s->asked->n = n < ANSWERS_MAX ? n : ANSWERS_MAX;
	memcpy(s->asked->questions, questions, s->asked->n * sizeof(*questions));
	return s;
}

void
observed_unask(void *arg, void *handle)
{
	struct observed_session *s = handle;

	(void)arg;
	free(s->asked);
	s->asked = NULL;
}

/* What went by on the wire, then whoever may be asked. True: nothing is left open. */
static bool
answer_all(struct observed_session *s, struct observed_question *q)
{
	const struct observer *o = s->observer;
	enum dns_status status;
	bool all = true;

	for (size_t i = 0; i < q->n; i++)
		all = observed_names_find(o->names, &q->questions[i], q->into) && all;
	if (!all && o->env.resolve != NULL)
		all = o->env.resolve(o->env.resolve_arg, q->questions, q->n, q->into);
	for (size_t i = 0; i < q->n && all; i++)
		all = answers_status(q->into, q->questions[i].type, q->questions[i].name, &status);
	return all;
}

/*
 * A server that looks a sender up asks while its client waits: so what is not known yet may come,
 * until the server goes on. What is still open then is undecided.
 */
static bool
answer(struct observed_session *s)
{
	struct observed_question *q = s->asked;
	bool all;

	if (q == NULL)
		return false;
	all = answer_all(s, q);
	if (!all && !s->server_moved)
		return false;
	s->relay->undecided = !all;
	answers_fill(q->into, q->questions, q->n, DNS_TIMEOUT);
	s->asked = NULL;
	free(q);
	relay_answered(s->relay);
	return true;
}

static bool
tell_pairs(struct observed_session *s)
{
	for (struct data_pair *p = s->pairs; p != NULL; p = observed_data_next(p))
		if (observed_data_tell(p))
			return true; /* the list may be another one now */
	return false;
}

/* Everything that has become possible, until nothing has. */
void
observed_session_settle(struct observed_session *s)
{
	bool more = true;

	if (s->settling)
		return;
	s->settling = true;
	while (more) {
		more = answer(s);
		if (relay_shaking(s->relay) && !s->under_tls) {
			begin_tls(s);
			more = true;
		}
		for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
			more = drain(s, dir) || more;
			more = tell_end(s, dir) || more;
		}
		more = tell_pairs(s) || more;
	}
	s->settling = false;
}

/* ---- from the connection ---- */

struct observed_session *
observed_session_new(struct observed *of, enum protocol p, bool implicit)
{
	struct observed_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->observer = of->observer;
	s->of = of;
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		buf_init(&s->waiting[dir], OBSERVED_WAITING_MAX);
	buf_init(&s->sealed, OBSERVED_WAITING_MAX);
	s->relay = new_relay(of, p, implicit);
	if (s->relay == NULL) {
		free(s);
		return NULL;
	}
	s->relay->owner = s;
	if (implicit) /* ahead of all else: a gate's dialogue begins inside */
		relay_upgrade_both(s->relay);
	relay_connected(s->relay, &(struct endpoint){.port = 0});
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		if (of->missing[dir])
			observed_session_anomaly(s, AN_GAP, dir, 0);
	if (!implicit && (of->tcp->joined || of->missing[AN_C2S] || of->missing[AN_S2C]))
		relay_joined(s->relay);
	observed_session_settle(s);
	return s;
}

size_t
observed_session_size(struct observed_session *s)
{
	size_t size = OBSERVED_SESSION_SIZE;

	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		size += s->waiting[dir].n;
		size += relay_from(s->relay, dir)->in == NULL ? 0 : CHANNEL_BLOCK;
	}
	return s->relay->ops->transfers(s->relay) ? size + OBSERVED_MESSAGE_SIZE : size;
}

static void
suppose_server(struct observed_session *s)
{
	if (!s->of->tcp->answered && s->of->tcp->octets[AN_S2C] == 0 && !s->relay->unheard &&
	    !s->under_tls) {
		s->relay->unheard = true;
		relay_unheard(s->relay);
	}
}

void
observed_session_octets(struct observed_session *s, enum an_dir dir, struct span in)
{
	if (dir == AN_S2C) {
		s->server_moved = true;
		observed_session_settle(s);
	}
	if (s->under_tls)
		under_tls(s, dir, in);
	else
		give(s, dir, in);
	s->server_moved = false;
	if (dir == AN_C2S && s->of->tcp->octets[AN_C2S] >= UNHEARD_OCTETS)
		suppose_server(s);
	observed_session_settle(s);
}

void
observed_session_gap(struct observed_session *s, enum an_dir dir, uint64_t n)
{
	if (s->under_tls && !s->closed_book)
		close_book(s);
	if (s->waiting[dir].n > 0) /* behind octets that nobody could place yet */
		relay_unread(s->relay);
	relay_gap(s->relay, dir, n);
	observed_session_settle(s);
}

void
observed_session_peer(struct observed_session *s, enum an_dir dir, enum relay_peer what)
{
	if (what == PEER_EOF)
		s->ended[dir] = true;
	else
		relay_peer(s->relay, dir, what);
	observed_session_settle(s);
}

void
observed_session_anomaly(
    struct observed_session *s, enum an_anomaly what, enum an_dir dir, uint64_t off)
{
	const struct relay *r = s->relay;

	record_anomaly(
	    &r->session, an_anomaly_name(what), dir, off, NULL, r->env->sink, r->env->sink_arg);
}

struct data_pair **
observed_data_list(struct observed_session *s)
{
	return &s->pairs;
}

static void
session_free(struct observed_session *s)
{
	s->settling = true; /* what its end brings about is the relay's own */
	sight_over(s);
	relay_free(s->relay);
	free(s->asked);
	tls_opening_free(s->opening);
	buf_free(&s->sealed);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		buf_free(&s->waiting[dir]);
	free(s);
}

static bool
has_data(const struct observed_session *s)
{
	struct data_pair *p = s->pairs;

	while (p != NULL && !observed_data_lives(p))
		p = observed_data_next(p);
	return p != NULL;
}

void
observed_session_leave(struct observed_session *s)
{
	if (s->of == NULL && !has_data(s))
		session_free(s);
}

void
observed_session_over(struct observed_session *s, const char *reason)
{
	if (s == NULL)
		return;
	s->server_moved = true;
	suppose_server(s);
	unseal(s, true);
	observed_session_settle(s);
	relay_end(s->relay, reason, WISH_NONE, WISH_NONE);
	s->of = NULL;
	observed_session_leave(s);
}
