#include "data_pair.h"

#include <event2/event.h>
#include <stdlib.h>

#include "data_passed.h"
#include "data_pump.h"
#include "tls_leg.h"

#define NEWS_MAX     12
#define SHAKE_S	     30		    /* seconds for a handshake (N-021) */
#define INTRUDERS_AT (NEWS_MAX - 8) /* with so many waiting, another intruder is not told */

struct data_pair {
	struct data_shared *shared;
	struct data_owner owner;
	struct leg legs[DATA_LEGS];
	struct data_pump *pump;
	struct data_flow flow;
	bool flows, released; /* flow() and release() were called */
	bool over;	      /* reset, or done: nothing flows any more */
	bool failed;	      /* ... and it was told that it cannot */
	struct data_count count;
	/* for captures: */
	struct tap_leg ends[DATA_LEGS];
	bool dialled[DATA_LEGS];
	struct tap_data *taps[DATA_LEGS];
	/* let by: */
	struct endpoint server;
	struct data_passed passed;

	struct data_news news[NEWS_MAX]; /* not told yet */
	size_t n_news;
	struct event turn;
	bool busy, closed; /* the owner is being called; it closed the pair meanwhile */
};

static enum data_leg
source_of(const struct data_pair *p)
{
	return p->flow.dir == AN_C2S ? DATA_CLIENT : DATA_SERVER;
}

/* ---- news ---- */

static void
tell(struct data_pair *p, const struct data_news *news)
{
	if (p->n_news == NEWS_MAX || (news->what == DATA_INTRUDER && p->n_news >= INTRUDERS_AT))
		return;
	p->news[p->n_news++] = *news;
	event_active(&p->turn, EV_TIMEOUT, 0);
}

/* The owner was called; true: it closed the pair, which is gone now. */
static bool
came_back(struct data_pair *p)
{
	bool closed = p->closed;

	p->busy = false;
	if (closed)
		free(p);
	return closed;
}

/* ---- captures ---- */

static void
name_ends(struct data_pair *p, const struct data_news *news)
{
	const bool client = news->leg == DATA_CLIENT;

	p->ends[news->leg] = (struct tap_leg){.leg = news->leg,
	    .client = client ? news->peer : news->at,
	    .server = client ? news->at : news->peer,
	    .server_dials = p->dialled[news->leg] == client};
}

static void
end_taps(struct data_pair *p, enum tap_end end)
{
	for (enum data_leg i = DATA_CLIENT; i < DATA_LEGS; i++) {
		tap_data_free(p->taps[i], p->flow.dir, end);
		p->taps[i] = NULL;
	}
}

static void
begin_taps(struct data_pair *p)
{
	end_taps(p, TAP_RESET);
	for (enum data_leg i = DATA_CLIENT; i < DATA_LEGS; i++)
		p->taps[i] = tap_data_new(p->owner.relay->tap, &p->ends[i]);
}

static void
on_seen(void *arg, enum data_leg leg, struct span octets)
{
	const struct data_pair *p = arg;

	tap_data_octets(p->taps[leg], p->flow.dir, p->legs[leg].tls != NULL, octets);
}

static void
stop_pump(struct data_pair *p)
{
	data_pump_free(p->pump);
	p->pump = NULL;
}

static void
reset_both(struct data_pair *p)
{
	stop_pump(p);
	end_taps(p, TAP_RESET);
	leg_close(&p->legs[DATA_CLIENT], true);
	leg_close(&p->legs[DATA_SERVER], true);
	p->over = true;
}

static void
end_well(struct data_pair *p)
{
	stop_pump(p);
	end_taps(p, TAP_FIN);
	leg_close(&p->legs[source_of(p)], false);
	leg_part(&p->legs[source_of(p) == DATA_CLIENT ? DATA_SERVER : DATA_CLIENT]);
	p->over = true;
}

/* ---- octets ---- */

static bool
on_octets(void *arg, struct span octets)
{
	struct data_pair *p = arg;
	bool go_on;

	p->busy = true;
	p->owner.octets(p->owner.relay, p, octets);
	go_on = p->pump != NULL;
	return !came_back(p) && go_on;
}

static void
on_pump(void *arg, enum pump_what what, enum data_leg leg, const char *why)
{
	static const enum data_what told[] = {
	    [PUMP_SOURCE_END] = DATA_SOURCE_END, [PUMP_DONE] = DATA_DONE, [PUMP_CUT] = DATA_CUT};
	struct data_pair *p = arg;
	const struct data_news news = {.what = told[what], .leg = leg, .why = why};

	tell(p, &news);
}

/* It is told once, and nothing begins any more. */
static void
cut(struct data_pair *p, enum data_leg leg, const char *why)
{
	const struct data_news news = {.what = DATA_CUT, .leg = leg, .why = why};

	if (!p->failed)
		tell(p, &news);
	p->failed = true;
}

static void
start_pump(struct data_pair *p)
{
	begin_taps(p);

	struct pump_plan plan = {.source = source_of(p),
	    .fds = {p->legs[DATA_CLIENT].fd, p->legs[DATA_SERVER].fd},
	    .tls = {p->legs[DATA_CLIENT].tls, p->legs[DATA_SERVER].tls},
	    .fin_ends = p->flow.fin_ends,
	    .count = &p->count,
	    .look = p->flow.look,
	    .hold = p->flow.look && !p->released ? p->flow.hold : 0,
	    .stall = p->flow.stall,
	    .octets = on_octets,
	    .seen = p->taps[DATA_CLIENT] != NULL || p->taps[DATA_SERVER] != NULL ? on_seen : NULL,
	    .told = on_pump,
	    .arg = p};

	p->pump = data_pump_new(p->shared->base, p->shared->pipes, &plan);
	if (p->pump == NULL)
		cut(p, source_of(p), "no_memory");
}

/* ---- under TLS ---- */

/* It is under TLS, or need not be. */
static bool
is_ready(const struct data_pair *p, enum data_leg i)
{
	return !p->flow.protected[i] || p->count.tls[i].version != NULL;
}

static void
protect(struct data_pair *p, enum data_leg i)
{
	struct tls_leg *tls = p->owner.protect(p->owner.relay, i, p->legs[i].fd);

	if (tls == NULL)
		cut(p, i, "tls_not_made");
	else
		leg_protect(&p->legs[i], tls, SHAKE_S);
}

/* Both are connected, and the octets of one may go to the other: then each shakes hands. */
static void
go_on(struct data_pair *p)
{
	bool all = true;

	if (!p->flows || p->over || p->failed || p->pump != NULL ||
	    p->legs[DATA_CLIENT].state < LEG_OPEN || p->legs[DATA_SERVER].state < LEG_OPEN)
		return;
	for (enum data_leg i = DATA_CLIENT; i < DATA_LEGS; i++) {
		if (!is_ready(p, i) && p->legs[i].state == LEG_OPEN)
			protect(p, i);
		if (p->failed)
			return;
		all = all && is_ready(p, i);
	}
	if (all && p->pump == NULL)
		start_pump(p);
}

static void
on_shaken(void *arg, struct leg *l, const char *why)
{
	struct data_pair *p = arg;
	bool resumed = false;

	if (why == NULL)
		why = p->owner.judge(p->owner.relay, l->which, l->tls, &resumed);
	if (why != NULL) {
		cut(p, l->which, why);
		return;
	}
	p->count.tls[l->which] = (struct data_tls){.version = SSL_get_version(tls_leg_ssl(l->tls)),
	    .resumed = SSL_session_reused(tls_leg_ssl(l->tls)) == 1};
	go_on(p);
}

/* Legs are closed ahead of the news that they are. */
static void
act_on(struct data_pair *p, const struct data_news *news)
{
	if (news->what == DATA_DONE)
		end_well(p);
	else if (news->what == DATA_CUT)
		reset_both(p);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct data_pair *p = arg;

	(void)fd;
	(void)what;
	while (p->n_news > 0) {
		struct data_news news = p->news[0];

		p->n_news--;
		for (size_t i = 0; i < p->n_news; i++)
			p->news[i] = p->news[i + 1];
		act_on(p, &news);
		p->busy = true;
		p->owner.news(p->owner.relay, p, &news);
		if (came_back(p))
			return;
	}
}

static void
on_leg(void *arg, const struct data_news *news)
{
	struct data_pair *p = arg;

	if (news->what == DATA_OPEN)
		name_ends(p, news);
	tell(p, news);
	go_on(p);
}

/* ---- let by ---- */

static void
on_let_by(void *arg, bool done)
{
	struct data_pair *p = arg;
	const struct data_news news = {.what = done ? DATA_LISTENING : DATA_UNREACHABLE,
	    .leg = DATA_CLIENT,
	    .at = p->server,
	    .why = done ? NULL : "no_hole"};

	if (!done) /* two legs may take its place */
		data_passed_close(&p->passed);
	tell(p, &news);
}

/* What the kernel counted, headers too, stands for both legs. */
static void
take_count(struct data_pair *p, const uint64_t octets[2])
{
	p->count.octets[DATA_CLIENT] = p->count.octets[DATA_SERVER] =
	    octets[p->flow.dir == AN_C2S ? 0 : 1];
}

static void
on_passed_gone(void *arg, bool used)
{
	const struct data_news news = {
	    .what = DATA_UNREACHABLE, .leg = DATA_CLIENT, .why = used ? "stalled" : "timeout"};
	struct data_pair *p = arg;

	take_count(p, p->passed.octets);
	tell(p, &news);
}

static void
passed_is_done(struct data_pair *p)
{
	const struct data_news done = {.what = DATA_DONE, .leg = source_of(p)};

	tell(p, &done);
}

static void
on_counted(void *arg, const uint64_t octets[2], bool last)
{
	struct data_pair *p = arg;

	take_count(p, octets);
	if (last)
		passed_is_done(p);
}

static bool
let_by(struct data_pair *p, const struct endpoint *client, const struct endpoint *server,
    unsigned seconds)
{
	const struct ipc_flow f = {client->ip, server->ip, server->port};

	if (p->owner.arrival->forward != NULL || p->owner.arrival->mode != INTERCEPT_TPROXY ||
	    client->ip.family != server->ip.family || server->port < IPC_DATA_PORT_MIN)
		return false;
	p->passed.opened = on_let_by;
	p->passed.counted = on_counted;
	p->passed.gone = on_passed_gone;
	p->passed.arg = p;
	p->server = *server;
	return data_passed_open(
	    &p->passed, p->shared->base, p->shared->requests, &f, IPC_DATA_SECONDS_MAX, seconds);
}

/* ---- what the gate asks for ---- */

struct data_pair *
data_pair_open(struct data_shared *shared, const struct data_owner *owner)
{
	struct data_pair *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->shared = shared;
	p->owner = *owner;
	for (enum data_leg i = DATA_CLIENT; i < DATA_LEGS; i++) {
		p->legs[i] = (struct leg){.shared = shared,
		    .arrival = owner->arrival,
		    .client = owner->client,
		    .which = i,
		    .told = on_leg,
		    .shaken = on_shaken,
		    .arg = p};
		leg_init(&p->legs[i]);
	}
	event_assign(&p->turn, shared->base, -1, 0, on_turn, p);
	return p;
}

static void
listen_for(struct data_pair *p, const struct data_hole *hole, unsigned seconds)
{
	leg_close(&p->legs[hole->leg], true);
	p->dialled[hole->leg] = false;
	leg_listen(&p->legs[hole->leg], hole, seconds);
}

static void
dial(struct data_pair *p, const struct data_dial *d, unsigned seconds)
{
	leg_close(&p->legs[d->leg], true);
	p->dialled[d->leg] = true;
	leg_dial(&p->legs[d->leg], d, seconds);
}

static void
flow(struct data_pair *p, const struct data_flow *f)
{
	p->flow = *f;
	if (p->flow.hold > DATA_HOLD_MAX)
		p->flow.hold = DATA_HOLD_MAX;
	p->flows = true;
	if (p->passed.number != 0)
		data_passed_flows(&p->passed, f->stall);
	else
		go_on(p);
}

static void
release(struct data_pair *p)
{
	const bool again = p->released;

	p->released = true;
	if (p->passed.number != 0 && !again)
		data_passed_rest(&p->passed);
	else if (p->passed.number != 0 && !data_passed_count(&p->passed))
		passed_is_done(p);
	else if (p->passed.number == 0 && p->pump != NULL)
		data_pump_release(p->pump);
}

/* What is waiting to be told of a leg that is no more. */
static void
forget_news(struct data_pair *p, enum data_leg which)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_news; i++)
		if (p->news[i].leg != which)
			p->news[kept++] = p->news[i];
	p->n_news = kept;
}

static void
reset(struct data_pair *p)
{
	data_passed_close(&p->passed);
	reset_both(p);
	p->n_news = 0;
}

static void
drop(struct data_pair *p, enum data_leg which, bool with_reset)
{
	stop_pump(p);
	end_taps(p, with_reset ? TAP_RESET : TAP_FIN);
	leg_close(&p->legs[which], with_reset);
	p->count.tls[which] = (struct data_tls){.version = NULL};
	forget_news(p, which);
}

static const struct data_count *
count(const struct data_pair *p)
{
	return &p->count;
}

static void
close_pair(struct data_pair *p)
{
	if (p == NULL)
		return;
	reset(p);
	event_del(&p->turn);
	if (p->busy)
		p->closed = true;
	else
		free(p);
}

const struct data_ops data_pair_ops = {
    .listen = listen_for,
    .dial = dial,
    .let_by = let_by,
    .flow = flow,
    .release = release,
    .reset = reset,
    .drop = drop,
    .count = count,
    .close = close_pair,
};
