#include "seen_data.h"

#include <stdlib.h>

#define PAIRS_MAX 64

/* A connection, as far as it was seen. */
struct connection {
	struct fake_seen opened, ended; /* ended.what SEEN_OPEN: it has not */
	bool is_open, has_ended;
	bool by_syn;	   /* opened.peer is who connected, and not the client's end */
	struct buf octets; /* that nobody was shown yet */
	struct data_pair *pair;
};

struct data_pair {
	struct seen_data *data;
	struct relay *relay;
	struct endpoint at, also; /* family IP_NONE: not asked for yet */
	struct connection *connection;
	struct data_flow flow;
	bool active; /* the server connects */
	bool flows, told_open, told_end, released, over, closed;
	struct data_count count;
};

struct seen_data {
	struct connection connections[PAIRS_MAX]; /* by the number of the gateway's pair */
	struct data_pair pairs[PAIRS_MAX];
	size_t n_pairs;
	const char *fault;
};

struct seen_data *
seen_data_new(void)
{
	struct seen_data *d = calloc(1, sizeof(*d));

	for (size_t i = 0; i < PAIRS_MAX; i++)
		buf_init(&d->connections[i].octets, 64u << 20);
	return d;
}

const char *
seen_data_free(struct seen_data *d)
{
	const char *fault = d->fault;

	for (size_t i = 0; i < PAIRS_MAX; i++) {
		if (d->connections[i].is_open && d->connections[i].pair == NULL)
			fault = "a data connection was tied to nothing";
		if (i < d->n_pairs && !d->pairs[i].closed)
			fault = "a pair was left open";
		buf_free(&d->connections[i].octets);
	}
	free(d);
	return fault;
}

static void
demand(struct data_pair *p, bool ok, const char *what)
{
	if (!ok || p->closed)
		p->data->fault = p->closed ? "a pair was used that is closed" : what;
}

/* ---- what the gate asks for ---- */

struct data_pair *
seen_data_open(struct seen_data *d, struct relay *relay)
{
	struct data_pair *p;

	if (d->n_pairs == PAIRS_MAX)
		return NULL;
	p = &d->pairs[d->n_pairs++];
	*p = (struct data_pair){.data = d, .relay = relay};
	return p;
}

static void
expect_at(struct data_pair *p, enum data_leg leg, struct endpoint at, struct endpoint also)
{
	demand(p, p->at.ip.family == IP_NONE, "two connections were expected of one pair");
	demand(p, leg == DATA_CLIENT && at.ip.family != IP_NONE && at.port != 0,
	    "a connection to nowhere");
	p->at = at;
	p->also = also;
}

static void
seen_listen(struct data_pair *p, const struct data_hole *hole, unsigned seconds)
{
	demand(p, seconds > 0, "for no time");
	expect_at(p, hole->leg, hole->at, hole->also);
}

static void
seen_dial(struct data_pair *p, const struct data_dial *dial, unsigned seconds)
{
	demand(p, seconds > 0, "for no time");
	p->active = true;
	expect_at(p, dial->leg, dial->to, dial->also);
}

static bool
seen_let_by(struct data_pair *p, const struct endpoint *client, const struct endpoint *server,
    unsigned seconds)
{
	(void)client;
	(void)server;
	(void)seconds;
	demand(p, false, "an observer lets nobody by");
	return false;
}

static void
seen_flow(struct data_pair *p, const struct data_flow *flow)
{
	demand(p, !p->flows, "a flow twice");
	p->flow = *flow;
	p->flows = true;
}

static void
seen_release(struct data_pair *p)
{
	demand(p, p->told_end, "nothing is held back");
	p->released = true;
}

static void
seen_reset(struct data_pair *p)
{
	demand(p, false, "an observer resets nothing");
}

static void
seen_drop(struct data_pair *p, enum data_leg leg, bool reset)
{
	(void)leg;
	(void)reset;
	demand(p, false, "an observer drops nothing");
}

static const struct data_count *
seen_count(const struct data_pair *p)
{
	return &p->count;
}

static void
seen_close(struct data_pair *p)
{
	if (p == NULL)
		return;
	demand(p, true, "");
	p->closed = true;
}

const struct data_ops *
seen_data_ops(void)
{
	static const struct data_ops ops = {
	    .listen = seen_listen,
	    .dial = seen_dial,
	    .let_by = seen_let_by,
	    .flow = seen_flow,
	    .release = seen_release,
	    .reset = seen_reset,
	    .drop = seen_drop,
	    .count = seen_count,
	    .close = seen_close,
	};

	return &ops;
}

/* ---- what was seen ---- */

void
seen_data_add(struct seen_data *d, const struct fake_seen *seen)
{
	struct connection *c = &d->connections[seen->pair];

	switch (seen->what) {
	case SEEN_OPEN:
		c->opened = *seen;
		c->is_open = true;
		break;
	case SEEN_OCTETS:
		if (!buf_add(&c->octets, seen->octets))
			abort();
		break;
	case SEEN_END:
	case SEEN_CUT:
	case SEEN_NEVER:
		c->ended = *seen;
		c->has_ended = true;
		break;
	}
}

/* "203.0.113.9:5000" */
static bool
read_endpoint(const char *text, struct endpoint *out)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	if (colon == NULL || !span_u64(span_str(colon + 1), 65535, &port))
		return false;
	out->port = (uint16_t)port;
	return ip_parse(span_of(text, (size_t)(colon - text)), &out->ip);
}

/* Reasons live for ever. */
static const char *
why_of(const char *word)
{
	static const char *const whys[] = {"refused", "timeout", "reset", "gap", "capture_end"};

	for (size_t i = 0; i < sizeof(whys) / sizeof(whys[0]); i++)
		if (strcmp(whys[i], word) == 0)
			return whys[i];
	return NULL;
}

const char *
seen_data_line(struct seen_data *d, const char *text, struct span octets)
{
	struct fake_seen seen = {.octets = octets};
	char number[20] = "", what[20] = "", first[80] = "", second[80] = "";
	uint64_t pair;

	sscanf(text, "%19s %19s %79s to %79s", number, what, first, second);
	if (!span_u64(span_str(number), PAIRS_MAX - 1, &pair))
		return "which connection?";
	seen.pair = pair;
	if (strcmp(what, "octets") == 0) {
		seen.what = SEEN_OCTETS;
	} else if (strcmp(what, "ends") == 0) {
		seen.what = SEEN_END;
	} else if (strcmp(what, "opens") == 0 && read_endpoint(first, &seen.peer) &&
		   read_endpoint(second, &seen.told)) {
		seen.what = SEEN_OPEN;
		seen.at = seen.told;
	} else if (strcmp(what, "cut") == 0) {
		seen.what = SEEN_CUT;
		seen.why = why_of(first);
	} else if (strcmp(what, "never") == 0 && read_endpoint(second, &seen.told)) {
		seen.what = SEEN_NEVER;
		seen.why = why_of(first);
	} else {
		return "what?";
	}
	if (seen.what >= SEEN_CUT && seen.why == NULL)
		return "why?";
	seen_data_add(d, &seen);
	d->connections[seen.pair].by_syn = true;
	return NULL;
}

static bool
same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && ip_eq(&a->ip, &b->ip);
}

/* The newest pair that waits for such a connection. */
static struct data_pair *
pair_for(struct seen_data *d, const struct connection *c)
{
	const struct endpoint *told = c->is_open ? &c->opened.told : &c->ended.told;

	for (size_t i = d->n_pairs; i > 0; i--) {
		struct data_pair *p = &d->pairs[i - 1];

		if (!p->closed && p->connection == NULL && p->at.ip.family != IP_NONE &&
		    (same(&p->at, told) || same(&p->also, told)))
			return p;
	}
	return NULL;
}

static void
tell(struct data_pair *p, struct data_news news)
{
	news.leg = DATA_CLIENT;
	p->over = p->over || news.what == DATA_DONE || news.what == DATA_CUT ||
		  news.what == DATA_UNREACHABLE;
	relay_data_news(p->relay, p, &news);
}

static void
show_octets(struct data_pair *p, struct buf *octets)
{
	p->count.octets[DATA_CLIENT] += octets->n;
	if (p->flow.look)
		relay_data_octets(p->relay, p, buf_span(octets));
	buf_clear(octets);
}

static void
tell_open(struct data_pair *p, const struct connection *c)
{
	const bool turn = p->active && c->by_syn;
	struct data_news news = {.what = DATA_OPEN,
	    .peer = turn ? c->opened.at : c->opened.peer,
	    .at = turn ? c->opened.peer : c->opened.at};

	tell(p, news);
}

static bool
tell_end(struct data_pair *p, const struct connection *c)
{
	if (c->ended.what == SEEN_NEVER) {
		tell(p, (struct data_news){.what = DATA_UNREACHABLE, .why = c->ended.why});
	} else if (c->ended.what == SEEN_CUT) {
		tell(p, (struct data_news){.what = DATA_CUT, .why = c->ended.why});
	} else if (p->flow.look && !p->told_end) {
		p->told_end = true;
		tell(p, (struct data_news){.what = DATA_SOURCE_END});
	} else if (!p->flow.look || p->released) {
		tell(p, (struct data_news){.what = DATA_DONE});
	} else {
		return false;
	}
	return true;
}

/* The next thing; false: there is none. */
static bool
tell_one(struct data_pair *p)
{
	struct connection *c = p->connection;

	if (c == NULL || p->closed || p->over)
		return false;
	if (c->is_open && !p->told_open) {
		p->told_open = true;
		tell_open(p, c);
		return true;
	}
	if (p->flows && c->octets.n > 0) {
		show_octets(p, &c->octets);
		return true;
	}
	return c->has_ended && (p->flows || c->ended.what == SEEN_NEVER) && tell_end(p, c);
}

void
seen_data_go_on(struct seen_data *d)
{
	for (size_t i = 0; i < PAIRS_MAX; i++) {
		struct connection *c = &d->connections[i];

		if (c->pair == NULL && (c->is_open || c->has_ended)) {
			c->pair = pair_for(d, c);
			if (c->pair != NULL)
				c->pair->connection = c;
		}
		while (c->pair != NULL && tell_one(c->pair))
			continue;
	}
}
