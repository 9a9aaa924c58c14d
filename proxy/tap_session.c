#include "tap_session.h"

#include <stdlib.h>
#include <sys/time.h>

#include "core/buf.h"
#include "relay.h"
#include "tap_mask.h"

#define SPOTS_MAX 64 /* places in a queue that are masked or left out */
#define MASKS_MAX 8  /* places that are masked in what is written at once */

/* One connection of a capture. */
struct wire {
	struct tap_record record; /* what its records have in common; at: octets so far */
	bool open;
};

/* Octets of an output queue that do not go into the capture as they are. */
struct spot {
	uint64_t from, to;
	enum tap_sort sort;
};

struct side {
	struct tapped *tap;
	enum an_dir dir; /* in which its peer sends */
	struct wire wire;
	struct channel_watch watch;
	/* input: */
	struct buf line; /* parsed, and nobody has said what it is */
	struct tap_sense sense;
	bool told;    /* sense is of what is parsed next */
	bool overrun; /* the line was too long to be kept: the rest is as its beginning */
	/* output: */
	struct spot spots[SPOTS_MAX];
	size_t n_spots;
};

struct tapped {
	const struct taps *all;
	const struct capture_config *rule;
	struct relay *relay;
	struct side side[2]; /* by direction */
	struct tap_secrets secrets;
	enum an_dir handled; /* of the event that is being handled */
	struct tap_sense sense;
	struct buf greeting;
	bool greeted; /* the client has spoken: what came before is the greeting */
	uint32_t parts;
};

struct tap_data {
	struct tapped *tap;
	struct wire wire;
};

static uint64_t
now(void)
{
	struct timeval tv;

	record_now(&tv);
	return (uint64_t)tv.tv_sec * 1000000u + (uint64_t)tv.tv_usec;
}

/* ---- records ---- */

static uint8_t *
put(struct tapped *t, struct wire *w, enum tap_kind kind, size_t length, size_t n)
{
	const enum ip_family family = w->record.client.ip.family;

	if (family == IP_NONE || w->record.server.ip.family != family)
		return NULL; /* no address was to be had: there are no frames either */
	w->record.kind = (uint8_t)kind;
	w->record.refused = t->relay->seat.refused;
	return tap_pipe_put(t->all->pipe, &w->record, length, n);
}

static void
open_wire(struct tapped *t, struct wire *w, enum an_dir from, uint64_t when)
{
	struct tap_record *r = &w->record;

	w->open = true;
	r->part = t->parts++;
	r->at[AN_C2S] = r->at[AN_S2C] = 0;
	r->dir = (uint8_t)from;
	r->time = when;
	put(t, w, TAP_OPEN, 0, 0);
}

static void
close_wire(struct tapped *t, struct wire *w, enum an_dir by, enum tap_end end)
{
	if (!w->open)
		return;
	w->open = false;
	w->record.dir = (uint8_t)by;
	w->record.end = (uint8_t)end;
	w->record.time = now();
	put(t, w, TAP_CLOSE, 0, 0);
}

/* Places in some octets that are to be masked; they stay in one piece, as a line should. */
struct masks {
	struct tap_range r[MASKS_MAX];
	size_t n;
};

static void
mask(struct masks *m, size_t from, size_t to)
{
	if (from >= to)
		return;
	if (m->n == MASKS_MAX)
		m->r[m->n - 1].to = to; /* and all in between */
	else
		m->r[m->n++] = (struct tap_range){from, to};
}

/* The piece of n octets at p begins at "at" of what the masks are about. */
static void
apply(const struct masks *m, size_t at, uint8_t *p, size_t n)
{
	for (size_t i = 0; m != NULL && i < m->n; i++) {
		const size_t from = m->r[i].from > at ? m->r[i].from - at : 0;
		const size_t to = m->r[i].to > at ? m->r[i].to - at : 0;

		if (from < n && to > from)
			tap_mask_octets(p + from, (to < n ? to : n) - from);
	}
}

/* masks NULL: none. left_out: of the octets there is only their number. */
static void
put_octets(struct tapped *t, struct wire *w, enum an_dir dir, bool left_out, struct span s,
    const struct masks *masks)
{
	w->record.time = now();
	w->record.dir = (uint8_t)dir;
	for (size_t at = 0; at < s.n;) {
		const struct span piece = span_first(span_from(s, at), TAP_PIECE_MAX);
		uint8_t *there = put(t, w, TAP_OCTETS, piece.n, left_out ? 0 : piece.n);

		if (there != NULL && !left_out) {
			memcpy(there, piece.p, piece.n);
			apply(masks, at, there, piece.n);
		}
		w->record.at[dir] += piece.n;
		at += piece.n;
	}
}

/* ---- the connections of a session ---- */

static bool
wants(const struct tapped *t, enum an_dir dir)
{
	return dir == AN_C2S || (t->rule->legs & CAPTURE_LEG_SERVER) != 0;
}

static void
name_ends(const struct tapped *t, enum an_dir dir, struct tap_record *r)
{
	const struct record_session *s = &t->relay->session;

	r->leg = dir == AN_S2C;
	r->client = dir == AN_C2S ? s->client : s->up_client;
	r->server = dir == AN_C2S ? s->server : s->up_server;
	r->secure = t->relay->tls[dir] == RELAY_SECURE;
	r->shown = t->relay->unread && !r->secure
		       ? r->server.port
		       : tap_port_shown((enum protocol)r->protocol, r->server.port);
}

static uint64_t
when_it_began(const struct tapped *t)
{
	const struct timeval *tv = &t->relay->session.started;

	return (uint64_t)tv->tv_sec * 1000000u + (uint64_t)tv->tv_usec;
}

/* With its first octets, when all that is to be said of it is known. */
static void
open_side(struct side *s)
{
	struct tapped *t = s->tap;

	if (s->wire.open)
		return;
	name_ends(t, s->dir, &s->wire.record);
	open_wire(t, &s->wire, AN_C2S, s->dir == AN_C2S ? when_it_began(t) : now());
}

/* Octets of the dialogue, either way; side: which leg, dir: which way. */
static void
say(struct side *s, enum an_dir dir, enum tap_sort sort, struct span octets,
    const struct masks *masks)
{
	struct tapped *t = s->tap;

	if (octets.n == 0)
		return;
	open_side(s);
	if (s->dir == AN_C2S && dir == AN_C2S)
		t->greeted = true;
	if (s->dir == AN_C2S && !t->greeted && !buf_add(&t->greeting, octets)) {
		t->greeted = true; /* half of it is of no use */
		buf_clear(&t->greeting);
	}
	put_octets(t, &s->wire, dir, sort == TAP_CONTENT && !t->rule->content, octets, masks);
}

/* ---- what is parsed ---- */

static bool
masks_secrets(const struct tapped *t)
{
	return !t->rule->keep_secrets;
}

/* Secrets that it quotes are masked, wherever they stand. */
static void
mask_quoted(const struct tapped *t, struct span octets, struct masks *m)
{
	struct tap_search search = tap_secrets_search(&t->secrets, octets);
	struct tap_range r;

	while ((r = tap_secrets_next(&t->secrets, octets, &search)).from < octets.n)
		mask(m, r.from, r.to);
}

static void
mask_line(struct tapped *t, const struct tap_sense *sense, struct span line, struct masks *m)
{
	const struct tap_range r = tap_mask_line(sense, line);

	mask(m, r.from, r.to);
	tap_secrets_add(&t->secrets, span_first(span_from(line, r.from), r.to - r.from));
}

/* All of it, masked where nobody knows. */
static void
say_sense(struct side *s, const struct tap_sense *sense, struct span octets)
{
	struct masks m = {.n = 0};

	if (masks_secrets(s->tap) && sense->sort != TAP_CONTENT) {
		if (s->dir == AN_S2C)
			mask_quoted(s->tap, octets, &m);
		else
			mask_line(s->tap, sense, octets, &m);
	}
	say(s, s->dir, sense->sort, octets, &m);
}

static const struct tap_sense unknown = {.sort = TAP_SECRET};

static void
flush_line(struct side *s, const struct tap_sense *sense)
{
	say_sense(s, sense, buf_span(&s->line));
	if (s->line.p != NULL)
		explicit_bzero(s->line.p, s->line.n);
	buf_free(&s->line);
}

/* It is not known yet what these are. */
static void
keep(struct side *s, struct span octets)
{
	if (!s->overrun && buf_add(&s->line, octets))
		return;
	s->overrun = true;
	flush_line(s, &unknown);
	buf_init(&s->line, TAP_LINE_MAX);
	say_sense(s, &unknown, octets);
}

static void
on_parsed(void *arg, struct span octets)
{
	struct side *s = arg;
	struct tap_sense sense = s->sense;

	if (!s->told) {
		keep(s, octets);
		return;
	}
	if (s->line.n > 0 && buf_add(&s->line, octets)) {
		octets = SPAN_NONE;
	} else if ((s->overrun || s->line.n > 0) && sense.sort != TAP_CONTENT) {
		/* a line in pieces: no place in them is known */
		sense = unknown;
	}
	flush_line(s, &sense);
	say_sense(s, &sense, octets);
	buf_init(&s->line, TAP_LINE_MAX);
	s->told = s->overrun = false;
}

void
tapped_event(struct tapped *t, const struct an_event *ev)
{
	struct side *s = &t->side[ev->dir];

	t->handled = ev->dir;
	t->sense = tap_mask_sense(t->relay->ops->protocol, ev);
	s->sense = t->sense;
	s->told = true;
}

void
tapped_handled(struct tapped *t)
{
	t->handled = AN_S2C;
	t->sense = (struct tap_sense){.sort = TAP_PLAIN};
}

/* ---- what goes out ---- */

static void
add_spot(struct side *s, uint64_t from, uint64_t to, enum tap_sort sort)
{
	struct spot *last = s->n_spots == 0 ? NULL : &s->spots[s->n_spots - 1];

	if (from == to)
		return;
	if (last != NULL && last->to == from && last->sort == sort) {
		last->to = to;
	} else if (s->n_spots < SPOTS_MAX) {
		s->spots[s->n_spots++] = (struct spot){from, to, sort};
	} else {
		/* too many to be told apart: what is in between is masked too */
		last->to = to;
		last->sort = TAP_SECRET;
	}
}

static void
on_queued(void *arg, uint64_t at, struct span octets)
{
	struct side *s = arg;
	const struct tapped *t = s->tap;
	const bool passes = t->handled != s->dir; /* what is handled came from the other side */
	struct masks m = {.n = 0};

	if (passes && t->sense.sort == TAP_CONTENT) {
		if (!t->rule->content)
			add_spot(s, at, at + octets.n, TAP_CONTENT);
		return;
	}
	if (!masks_secrets(t))
		return;
	if (s->dir == AN_C2S || !passes) {
		mask_quoted(t, octets, &m);
	} else {
		const struct tap_range r = tap_mask_line(&t->sense, octets);

		mask(&m, r.from, r.to);
	}
	for (size_t i = 0; i < m.n; i++)
		add_spot(s, at + m.r[i].from, at + m.r[i].to, TAP_SECRET);
}

/* Octets up to the next that are left out, or these alone; masks: of them. Returns how many. */
static size_t
stretch(const struct side *s, uint64_t at, size_t n, enum tap_sort *sort, struct masks *m)
{
	*sort = TAP_PLAIN;
	for (size_t i = 0; i < s->n_spots && s->spots[i].from < at + n; i++) {
		const struct spot *spot = &s->spots[i];
		const size_t from = spot->from > at ? (size_t)(spot->from - at) : 0;
		const size_t to = spot->to > at ? (size_t)(spot->to - at) : 0;

		if (to == 0)
			continue;
		if (spot->sort == TAP_SECRET)
			mask(m, from, to < n ? to : n);
		else if (from > 0)
			return from;
		else {
			*sort = TAP_CONTENT;
			return to < n ? to : n;
		}
	}
	return n;
}

/* Spots that lie before "at" have been seen to. */
static void
forget_spots(struct side *s, uint64_t at)
{
	size_t done = 0;

	while (done < s->n_spots && s->spots[done].to <= at)
		done++;
	s->n_spots -= done;
	memmove(s->spots, s->spots + done, s->n_spots * sizeof(s->spots[0]));
}

static void
on_sent(void *arg, uint64_t at, struct span octets)
{
	struct side *s = arg;

	while (octets.n > 0) {
		struct masks m = {.n = 0};
		enum tap_sort sort;
		const size_t n = stretch(s, at, octets.n, &sort, &m);

		say(s, an_other(s->dir), sort, span_first(octets, n), &m);
		octets = span_from(octets, n);
		at += n;
	}
	forget_spots(s, at);
}

/* ---- from the beginning to the end ---- */

static bool
holds(const struct capture_config *c, const struct relay *r)
{
	return (c->protocols == 0 || (c->protocols & 1u << r->ops->protocol) != 0) &&
	       (networks_empty(c->clients) || networks_has(c->clients, &r->session.client.ip)) &&
	       (networks_empty(c->servers) || networks_has(c->servers, &r->session.up_server.ip));
}

static void
init_side(struct tapped *t, enum an_dir dir, uint8_t rule)
{
	struct side *s = &t->side[dir];

	s->tap = t;
	s->dir = dir;
	s->wire.record = (struct tap_record){.rule = rule,
	    .protocol = (uint8_t)t->relay->ops->protocol,
	    .flow = t->relay->session.flow_id};
	s->watch = (struct channel_watch){on_parsed, on_queued, on_sent, s};
	buf_init(&s->line, TAP_LINE_MAX);
	if (wants(t, dir))
		relay_from(t->relay, dir)->watch = &s->watch;
}

struct tapped *
tapped_new(const struct taps *all, struct relay *r)
{
	const struct config *c = all == NULL ? NULL : all->config;
	struct tapped *t;
	size_t i = 0;

	while (c != NULL && i < c->n_captures && !holds(&c->captures[i], r))
		i++;
	if (c == NULL || i == c->n_captures || (t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->all = all;
	t->rule = &c->captures[i];
	t->relay = r;
	t->handled = AN_S2C;
	buf_init(&t->greeting, TAP_GREETING_MAX);
	init_side(t, AN_C2S, (uint8_t)i);
	init_side(t, AN_S2C, (uint8_t)i);
	return t;
}

/* What nobody looked at any more. */
static void
flush(struct side *s)
{
	flush_line(s, &unknown);
	buf_init(&s->line, TAP_LINE_MAX);
	s->told = s->overrun = false;
}

static void
end_side(struct tapped *t, enum an_dir dir)
{
	const struct relay *r = t->relay;
	struct side *s = &t->side[dir];
	const bool gone = r->peer[dir] == PEER_GONE, ended = r->peer[dir] == PEER_EOF;
	const bool reset = gone || r->wish[dir] == WISH_RESET;

	flush(s);
	if (wants(t, dir))
		close_wire(
		    t, &s->wire, gone || ended ? dir : an_other(dir), reset ? TAP_RESET : TAP_FIN);
	relay_from(t->relay, dir)->watch = NULL;
	buf_free(&s->line);
}

void
tapped_free(struct tapped *t)
{
	if (t == NULL)
		return;
	end_side(t, AN_S2C);
	end_side(t, AN_C2S);
	t->side[AN_C2S].wire.record.time = now();
	name_ends(t, AN_C2S, &t->side[AN_C2S].wire.record);
	put(t, &t->side[AN_C2S].wire, TAP_OVER, 0, 0);
	buf_free(&t->greeting);
	explicit_bzero(t, sizeof(*t));
	free(t);
}

void
tapped_secured(struct tapped *t, enum an_dir dir)
{
	struct side *s = &t->side[dir];

	if (!s->wire.open) /* from its first octet on */
		return;
	flush(s);
	close_wire(t, &s->wire, AN_C2S, TAP_FIN);
	name_ends(t, dir, &s->wire.record);
	open_wire(t, &s->wire, AN_C2S, now());
	put_octets(t, &s->wire, AN_S2C, false, buf_span(&t->greeting), NULL);
}

/* ---- data connections ---- */

struct tap_data *
tap_data_new(struct tapped *t, const struct tap_leg *l)
{
	const enum an_dir dir = l->leg == DATA_CLIENT ? AN_C2S : AN_S2C;
	struct tap_data *d = t == NULL || !wants(t, dir) ? NULL : calloc(1, sizeof(*d));
	struct tap_record *r;

	if (d == NULL)
		return NULL;
	d->tap = t;
	r = &d->wire.record;
	*r = t->side[dir].wire.record;
	r->leg = l->leg == DATA_SERVER;
	r->client = l->client;
	r->server = l->server;
	r->shown = l->server.port;
	r->secure = 0;
	open_wire(t, &d->wire, l->server_dials ? AN_S2C : AN_C2S, now());
	return d;
}

void
tap_data_octets(struct tap_data *d, enum an_dir dir, bool secure, struct span s)
{
	if (d == NULL)
		return;
	d->wire.record.secure = secure;
	put_octets(d->tap, &d->wire, dir, !d->tap->rule->content, s, NULL);
}

void
tap_data_free(struct tap_data *d, enum an_dir by, enum tap_end end)
{
	if (d == NULL)
		return;
	close_wire(d->tap, &d->wire, by, end);
	free(d);
}
