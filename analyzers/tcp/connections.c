#include "tcp/connections.h"

#include <assert.h>
#include <stdlib.h>

#include "tcp/table.h"

#define ALLOCATED    16u	  /* what malloc() itself needs for each, about */
#define RESERVE	     (512u << 10) /* one segment can make the whole grow by at most this */
#define SECOND	     1000000u	  /* microseconds */
#define LEAP_SECONDS (CONNECTION_IDLE_SECONDS / 2)
#define HOPS_MOST    8			/* routes that change make no more difference */
#define LATE_MOST    ((int64_t)1 << 24) /* octets: so far back nothing is sent once more */

static_assert(sizeof(struct flow) + ALLOCATED + 2 * sizeof(struct flow *) <= CONNECTION_IDLE_SIZE,
    "CONNECTION_IDLE_SIZE is promised");

struct connections {
	struct connections_env env;
	struct table table;
	uint64_t clock; /* the latest time that was told */
	uint64_t leap;	/* a time far ahead of it that only one packet has told; 0: none has */
	size_t limit;
	size_t memory;
	struct connections_stats stats;
};

const char *
connection_oddity_name(enum connection_oddity oddity)
{
	static const char *const names[] = {
	    [ODDITY_NONE] = "none",
	    [ODDITY_RESET] = "reset",
	    [ODDITY_OCTETS] = "octets",
	    [ODDITY_SYN] = "syn",
	    [ODDITY_SYN_DATA] = "syn-data",
	    [ODDITY_FIN] = "fin",
	    [ODDITY_URGENT] = "urgent",
	    [ODDITY_HOPS] = "hops",
	};

	return names[oddity];
}

struct connections *
connections_new(const struct connections_env *env)
{
	struct connections *cs = calloc(1, sizeof(*cs));
	size_t memory = env->memory < CONNECTIONS_MEMORY_MIN ? CONNECTIONS_MEMORY_MIN : env->memory;

	if (cs == NULL)
		return NULL;
	cs->env = *env;
	cs->limit = memory - RESERVE;
	if (!table_init(&cs->table, memory / CONNECTION_IDLE_SIZE, env->seed)) {
		free(cs);
		return NULL;
	}
	cs->memory = cs->stats.memory_peak = table_memory(&cs->table);
	return cs;
}

static struct stream_owner
owner_of(struct connections *cs, struct flow *f, enum an_dir dir)
{
	return (struct stream_owner){.env = &cs->env,
	    .connection = &f->connection,
	    .dir = dir,
	    .memory = &cs->memory,
	    .memory_kept = cs->limit / 2};
}

static void
tell(struct connections *cs, struct flow *f, enum an_dir dir, enum connection_what what)
{
	struct stream_owner o = owner_of(cs, f, dir);

	stream_tell(&o, &(struct connection_event){.what = what, .off = f->stream[dir].off});
}

static void
odd(struct connections *cs, struct flow *f, enum an_dir dir, enum connection_oddity oddity)
{
	struct stream_owner o = owner_of(cs, f, dir);

	stream_odd(&o, &f->stream[dir], oddity);
}

/* ---- how they end ---- */

static void
free_streams(struct connections *cs, struct flow *f)
{
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		struct stream_owner o = owner_of(cs, f, dir);

		stream_free(&o, &f->stream[dir]);
	}
}

/* Says how it ended; CONNECTION_END: both directions have said that themselves. */
static void
close_flow(struct connections *cs, struct flow *f, enum an_dir dir, enum connection_what why)
{
	if (f->state != FLOW_OPEN)
		return;
	for (enum an_dir d = AN_C2S; d <= AN_S2C; d++) {
		struct stream_owner o = owner_of(cs, f, d);

		stream_flush(&o, &f->stream[d]);
	}
	if (why != CONNECTION_END)
		tell(cs, f, dir, why);
	tell(cs, f, dir, CONNECTION_CLOSED);
	connections_own(cs, &f->connection, 0);
	free_streams(cs, f);
	f->connection.of = NULL;
	f->reset = why == CONNECTION_RESET;
	f->reset_dir = dir;
	table_touch(&cs->table, f, FLOW_OVER);
}

void
connections_own(struct connections *cs, struct connection *c, size_t octets)
{
	cs->memory += octets;
	cs->memory -= c->owned;
	c->owned = octets;
}

static void
remove_flow(struct connections *cs, struct flow *f)
{
	if (f->state == FLOW_OPEN) {
		cs->stats.evicted++;
		close_flow(cs, f, AN_C2S, CONNECTION_EVICTED);
	}
	free_streams(cs, f);
	table_remove(&cs->table, f);
	free(f);
	cs->memory -= sizeof(*f) + ALLOCATED;
}

/* Those that have been silent for too long. */
static void
sweep(struct connections *cs)
{
	static const uint64_t patience[] = {
	    [FLOW_OPENING] = CONNECTION_REUSE_SECONDS,
	    [FLOW_OPEN] = CONNECTION_IDLE_SECONDS,
	    [FLOW_OVER] = CONNECTION_REUSE_SECONDS,
	};
	struct flow *f;

	for (enum flow_state state = FLOW_OPENING; state < FLOW_STATES; state++) {
		while ((f = cs->table.of[state].oldest) != NULL &&
		       cs->clock - f->seen > patience[state] * SECOND)
			remove_flow(cs, f);
	}
}

/* Who goes first: what is over, what never began, and then who was silent longest. */
static struct flow *
most_dispensable(struct connections *cs)
{
	static const enum flow_state order[] = {FLOW_OVER, FLOW_OPENING, FLOW_OPEN};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (cs->table.of[order[i]].oldest != NULL)
			return cs->table.of[order[i]].oldest;
	}
	return NULL;
}

static bool
yield(struct connections *cs, struct flow *f)
{
	bool yielded = false;

	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		struct stream_owner o = owner_of(cs, f, dir);

		yielded |= stream_yield(&o, &f->stream[dir]);
	}
	return yielded;
}

/* last: the one that was read; it gives up its holes before itself. It may be gone. */
static void
keep_within_limit(struct connections *cs, const struct flow *last)
{
	struct flow *f;

	if (cs->memory > cs->stats.memory_peak)
		cs->stats.memory_peak = cs->memory;
	while (cs->memory > cs->limit && (f = most_dispensable(cs)) != NULL) {
		if (f != last || f->state != FLOW_OPEN || !yield(cs, f))
			remove_flow(cs, f);
	}
}

void
connections_end(struct connections *cs)
{
	struct flow *f;

	while ((f = most_dispensable(cs)) != NULL) {
		uint64_t evicted = cs->stats.evicted;

		remove_flow(cs, f);
		cs->stats.evicted = evicted;
	}
}

void
connections_free(struct connections *cs)
{
	struct flow *f;

	if (cs == NULL)
		return;
	while ((f = most_dispensable(cs)) != NULL) {
		free_streams(cs, f);
		table_remove(&cs->table, f);
		free(f);
	}
	table_free(&cs->table);
	free(cs);
}

void
connections_stats(const struct connections *cs, struct connections_stats *out)
{
	*out = cs->stats;
	out->alive = cs->table.of[FLOW_OPENING].n + cs->table.of[FLOW_OPEN].n;
	out->memory = cs->memory;
}

/* ---- how they begin ---- */

/* Windows are scaled only where both have said that they are (RFC 7323 s2.2). */
static void
agree_scale(struct flow *f)
{
	struct stream *client = &f->stream[AN_C2S], *server = &f->stream[AN_S2C];

	if (client->scale == SEGMENT_NO_SCALE || server->scale == SEGMENT_NO_SCALE)
		client->scale = server->scale = 0;
}

static void
hear(struct flow *f, enum an_dir dir, const struct segment *g)
{
	if (!f->stream[dir].heard)
		f->stream[dir].hops = g->hops;
	f->stream[dir].heard = true;
	f->connection.answered = f->stream[an_other(dir)].heard;
}

static void
open_flow(struct connections *cs, struct flow *f)
{
	agree_scale(f);
	table_touch(&cs->table, f, FLOW_OPEN);
	cs->stats.connections++;
	tell(cs, f, AN_C2S, CONNECTION_OPEN);
}

/* A joined connection: who sent this is the client. */
static bool
is_client(const struct connections *cs, const struct segment *g)
{
	bool from = cs->env.server_port(cs->env.arg, g->from_port);
	bool to = cs->env.server_port(cs->env.arg, g->to_port);

	return from == to || to;
}

static bool
begins(const struct segment *g)
{
	if (g->flags & SEGMENT_RST)
		return false;
	if (g->flags & SEGMENT_SYN)
		return true;
	/* one zero may ask whether the other side is still there, in the place of another octet */
	if (g->payload.n == 1 && g->missing == 0 && g->payload.p[0] == '\0')
		return false;
	return g->payload.n + g->missing > 0;
}

static struct flow *
begin_flow(struct connections *cs, const struct connection_end *from,
    const struct connection_end *to, const struct segment *g, uint64_t now, enum an_dir *dir)
{
	struct flow *f = begins(g) ? calloc(1, sizeof(*f)) : NULL;
	bool client;

	if (f == NULL)
		return NULL;
	client = g->flags & SEGMENT_SYN ? !(g->flags & SEGMENT_ACK) : is_client(cs, g);
	*dir = client ? AN_C2S : AN_S2C;
	f->connection.client = client ? *from : *to;
	f->connection.server = client ? *to : *from;
	f->connection.began = now;
	f->connection.joined = !(g->flags & SEGMENT_SYN);
	for (enum an_dir d = AN_C2S; d <= AN_S2C; d++)
		f->stream[d].scale = SEGMENT_SCALE_MAX; /* until it is known */
	table_add(&cs->table, f);
	cs->memory += sizeof(*f) + ALLOCATED;
	return f;
}

/* ---- segments of a connection ---- */

/* The server has not taken what came with the SYN: it will come once more. */
static void
settle_syn_data(struct connections *cs, struct flow *f, enum an_dir dir, uint32_t ack)
{
	struct stream *s = &f->stream[dir];
	struct stream_owner o = owner_of(cs, f, dir);

	if (s->waiting == 0 || ack != f->isn[dir] + 1)
		return;
	stream_drop(&o, s);
	odd(cs, f, dir, ODDITY_SYN_DATA);
}

/* A SYN of a connection that has not begun. */
static void
opening_syn(struct connections *cs, struct flow *f, enum an_dir dir, const struct segment *g)
{
	enum an_dir other = an_other(dir);
	struct stream_owner o = owner_of(cs, f, dir), o_other = owner_of(cs, f, other);
	struct stream *s = &f->stream[dir], *of_other = &f->stream[other];

	if (f->syn[dir] && f->isn[dir] == g->seq)
		return;
	hear(f, dir, g);
	stream_drop(&o, s);
	f->syn[dir] = true;
	f->isn[dir] = g->seq;
	s->scale = g->scale;
	stream_begin(s, g->seq + 1);
	if (g->payload.n > 0)
		stream_hold(&o, s, g->payload);
	if (g->flags & SEGMENT_ACK) {
		/* what the server answers is what counts, whichever SYN was seen last */
		if (of_other->begun && g->ack - of_other->next > of_other->waiting)
			stream_drop(&o_other, of_other);
		if (!of_other->begun || (of_other->waiting == 0 && g->ack != of_other->next))
			stream_begin(of_other, g->ack);
	}
	if (!f->syn[other] && !(g->flags & SEGMENT_ACK))
		return;
	open_flow(cs, f);
	if (g->flags & SEGMENT_ACK) {
		settle_syn_data(cs, f, other, g->ack);
		stream_acknowledged(
		    &o_other, of_other, stream_place(of_other, g->ack), g->window, false);
	}
	stream_resume(&o, s);
}

/* It goes on with a SYN: once more the same, or another one that is not to be taken. */
static void
open_syn(struct connections *cs, struct flow *f, enum an_dir dir, const struct segment *g)
{
	if (f->syn[dir] && f->isn[dir] == g->seq)
		return;
	if (!(g->flags & SEGMENT_ACK)) {
		f->was_tried = true;
		f->tried = g->seq;
		f->tried_dir = dir;
	}
	odd(cs, f, dir, ODDITY_SYN);
}

/* A SYN that begins another connection between the same ports. */
static bool
renews(const struct connections *cs, const struct flow *f, enum an_dir dir, const struct segment *g)
{
	const struct stream *s = &f->stream[dir];
	int64_t place;

	if (!(g->flags & SEGMENT_SYN) || (f->syn[dir] && f->isn[dir] == g->seq))
		return false;
	if (f->state == FLOW_OVER)
		return true;
	if (f->state == FLOW_OPENING)
		return false;
	if (g->flags & SEGMENT_ACK)
		return f->was_tried && f->tried_dir != dir && g->ack == f->tried + 1;
	if (cs->clock - f->seen < CONNECTION_REUSE_SECONDS * (uint64_t)SECOND)
		return false;
	place = stream_place(s, g->seq);
	return !s->begun || !s->windowed || place < (int64_t)s->acked || place > (int64_t)s->edge;
}

/* Octets that cannot be late ones of a connection that is over. */
static bool
follows(const struct flow *f, enum an_dir dir, const struct segment *g)
{
	const struct stream *s = &f->stream[dir];
	int64_t ahead;

	if (!s->begun || !begins(g) || (f->reset && f->reset_dir != dir))
		return false;
	ahead = stream_place(s, g->seq) - (int64_t)s->off;
	return ahead >= (f->reset ? 0 : 2) || ahead < -LATE_MOST;
}

/* Somebody else may have sent it, or meant it not to arrive. */
static void
note_hops(struct connections *cs, struct flow *f, enum an_dir dir, const struct segment *g)
{
	struct stream *s = &f->stream[dir];

	if (s->hopped || !s->heard || abs((int)s->hops - (int)g->hops) <= HOPS_MOST)
		return;
	s->hopped = true;
	odd(cs, f, dir, ODDITY_HOPS);
}

/* Whether the receiver would take a reset, as far as a stranger can know (RFC 5961 s3). */
static bool
reset_counts(const struct stream *s, uint32_t seq)
{
	int64_t place = stream_place(s, seq);

	if (!s->begun)
		return false;
	if (place == (int64_t)s->off || (s->fin && place == (int64_t)s->fin_at + 1))
		return true;
	return s->windowed && place >= (int64_t)s->acked && place <= (int64_t)s->edge;
}

static void
on_reset(struct connections *cs, struct flow *f, enum an_dir dir, const struct segment *g)
{
	enum an_dir other = an_other(dir);
	bool answers_syn = (g->flags & SEGMENT_ACK) && f->syn[other] &&
			   g->ack - f->isn[other] - 1 <= f->stream[other].waiting;

	if (f->state == FLOW_OPENING) {
		if (answers_syn || reset_counts(&f->stream[dir], g->seq))
			remove_flow(cs, f);
	} else if (reset_counts(&f->stream[dir], g->seq)) {
		note_hops(cs, f, dir, g);
		close_flow(cs, f, dir, CONNECTION_RESET);
	} else {
		odd(cs, f, dir, ODDITY_RESET);
	}
}

static void
note_oddities(struct connections *cs, struct flow *f, enum an_dir dir, const struct segment *g)
{
	struct stream *s = &f->stream[dir];

	if (!s->beyond && stream_place(s, g->seq) > (int64_t)s->off &&
	    (uint64_t)stream_place(s, g->seq) > stream_limit(s)) {
		s->beyond = true;
		odd(cs, f, dir, ODDITY_OCTETS);
	}
	if (!s->urgent && (g->flags & SEGMENT_URG)) {
		s->urgent = true;
		odd(cs, f, dir, ODDITY_URGENT);
	}
	note_hops(cs, f, dir, g);
}

static void
on_acknowledgement(
    struct connections *cs, struct flow *f, enum an_dir dir, const struct segment *g, bool answers)
{
	enum an_dir other = an_other(dir);
	struct stream_owner o = owner_of(cs, f, other);
	struct stream *s = &f->stream[other];
	uint32_t window = (uint32_t)g->window << f->stream[dir].scale;

	if (!s->begun)
		stream_begin(s, g->ack);
	stream_acknowledged(&o, s, stream_place(s, g->ack), window, answers);
}

static void
on_octets(struct connections *cs, struct flow *f, enum an_dir dir, const struct segment *g)
{
	struct stream_owner o = owner_of(cs, f, dir);
	struct stream *s = &f->stream[dir];
	int64_t place = stream_place(s, g->seq);

	if (g->payload.n + g->missing > 0) {
		note_oddities(cs, f, dir, g);
		stream_take(&o, s, place, g->payload, g->missing);
	}
	if (g->flags & SEGMENT_FIN)
		stream_finish(&o, s, place + (int64_t)(g->payload.n + g->missing));
}

/* Neither SYN nor RST. */
static void
on_segment(struct connections *cs, struct flow *f, enum an_dir dir, const struct segment *g)
{
	struct stream *s = &f->stream[dir];
	size_t n = g->payload.n + g->missing;

	if (!s->begun)
		stream_begin(s, g->seq);
	hear(f, dir, g);
	if (f->state == FLOW_OPENING && n > 0)
		open_flow(cs, f);
	if (g->flags & SEGMENT_ACK) {
		if (f->state == FLOW_OPEN)
			on_acknowledgement(cs, f, dir, g, n > 0);
		else if (!f->stream[an_other(dir)].begun)
			stream_begin(&f->stream[an_other(dir)], g->ack);
	}
	if (f->state != FLOW_OPEN)
		return;
	on_octets(cs, f, dir, g);
	if (f->stream[AN_C2S].ended && f->stream[AN_S2C].ended)
		close_flow(cs, f, dir, CONNECTION_END);
}

static void
read_segment(struct connections *cs, struct flow *f, enum an_dir dir, const struct segment *g)
{
	f->seen = cs->clock;
	table_touch(&cs->table, f, f->state);
	if (g->flags & SEGMENT_RST) {
		on_reset(cs, f, dir, g);
		return;
	}
	if (g->flags & SEGMENT_SYN) {
		if (f->state == FLOW_OPENING)
			opening_syn(cs, f, dir, g);
		else
			open_syn(cs, f, dir, g);
		return;
	}
	on_segment(cs, f, dir, g);
}

/*
 * The clock never goes back. Where it leaps, a second packet has to say so, too: one whose time is
 * damaged must not end everything that is going on.
 */
static void
set_clock(struct connections *cs, uint64_t now)
{
	if (cs->leap != 0 && now >= cs->leap)
		cs->clock = cs->leap;
	cs->leap = 0;
	if (now <= cs->clock)
		return;
	if (cs->clock != 0 && now - cs->clock > LEAP_SECONDS * (uint64_t)SECOND)
		cs->leap = now;
	else
		cs->clock = now;
}

bool
connections_read(struct connections *cs, const struct packet *packet, uint64_t now)
{
	struct connection_end from, to;
	struct segment g;
	struct flow *f;
	enum an_dir dir;

	if (!segment_read(packet, &g)) {
		cs->stats.malformed++;
		return false;
	}
	cs->stats.segments++;
	if (cs->env.checksums && !segment_checksum_holds(packet)) {
		cs->stats.bad_checksums++;
		return true;
	}
	set_clock(cs, now);
	sweep(cs);
	from = (struct connection_end){packet->from, g.from_port};
	to = (struct connection_end){packet->to, g.to_port};
	f = table_find(&cs->table, &from, &to, &dir);
	if (f != NULL &&
	    (renews(cs, f, dir, &g) || (f->state == FLOW_OVER && follows(f, dir, &g)))) {
		remove_flow(cs, f);
		f = NULL;
	}
	if (f == NULL && (f = begin_flow(cs, &from, &to, &g, now, &dir)) == NULL)
		return true;
	if (f->state != FLOW_OVER)
		read_segment(cs, f, dir, &g);
	keep_within_limit(cs, f);
	return true;
}
