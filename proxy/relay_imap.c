#include <stdlib.h>

#include "due.h"
#include "imap_gate.h"

static struct relay *
imap_create(void)
{
	struct imap_gate *g = calloc(1, sizeof(*g));

	/* relay is its first member */
	return (struct relay *)(void *)g;
}

static void
imap_destroy(struct relay *r)
{
	struct imap_gate *g = imap_gate_of(r);

	imap_free(g->dialogue);
	for (unsigned i = 0; i < g->counts.mailboxes; i++)
		free(g->mailboxes[i]);
	free(g->mailboxes);
	free(g->user);
	free(g->client_id);
	free(g->server_id);
	free(g->mailbox);
	buf_free(&g->own);
	free(g);
}

/* Answers of the gateway while the client gets a response: one for each of its commands, and more.
 */
#define OWN_MAX (64u << 10)

static bool
begin(struct imap_gate *g)
{
	buf_init(&g->own, OWN_MAX);
	g->dialogue = imap_new(&imap_config_of(g)->dialogue);
	g->policy = relay_retrieval_policy(&g->relay, &g->relay.env->config->policy->imap);
	g->asked = g->acted = imap_now(g);
	if (g->dialogue == NULL)
		g->relay.client.failed = true;
	else if (imap_observes(g))
		imap_observe(g->dialogue);
	return g->dialogue != NULL;
}

/* ---- events ---- */

static void
on_body(struct imap_gate *g, const struct an_event *ev)
{
	if (ev->dir == AN_S2C)
		imap_fetch_octets(g, ev);
	else
		imap_store_octets(g, ev);
}

static void
on_body_end(struct imap_gate *g, const struct an_event *ev)
{
	if (ev->dir == AN_S2C)
		imap_fetch_content_end(g, ev);
	else
		imap_store_end(g, ev);
}

static void
on_literal(struct imap_gate *g, const struct an_event *ev)
{
	if (ev->dir == AN_C2S)
		imap_on_argument(g, ev);
	else
		imap_on_text(g, ev);
}

/* The server's stream makes no sense, or two clients could read it in two ways. */
static void
on_nonsense(struct imap_gate *g, const struct an_event *ev)
{
	imap_anomaly(g, ev->anomaly, ev->dir, ev->off);
	imap_give_up(g, SPAN_NONE, NULL, "The mail server sent an invalid response",
	    ev->dir == AN_S2C ? "server_protocol" : "client_protocol");
}

static void
on_opaque(struct imap_gate *g, const struct an_event *ev)
{
	if (!relay_pass_opaque(&g->relay, ev))
		imap_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, ev->dir, ev->off);
}

/* The other kinds are those of other protocols. */
static void (*const handlers[AN_KINDS])(struct imap_gate *, const struct an_event *) = {
    [EV_COMMAND] = imap_on_command,
    [EV_COMMAND_MORE] = imap_on_more,
    [EV_SECRET] = imap_on_secret,
    [EV_LITERAL] = on_literal,
    [EV_BODY] = on_body,
    [EV_BODY_END] = on_body_end,
    [EV_REPLY] = imap_on_reply,
    [EV_RESPONSE] = imap_on_response,
    [EV_CONTINUE] = imap_on_continue,
    [EV_FETCH] = imap_on_fetch,
    [EV_FETCH_ITEM] = imap_on_fetch_item,
    [EV_FETCH_END] = imap_on_fetch_end,
    [EV_TEXT] = imap_on_text,
    [EV_OPAQUE] = on_opaque,
    [EV_ANOMALY] = on_nonsense,
};

/*
 * A client that reads none of its answers is asked for no further command: they would pile up. One
 * that is in the middle of a command is heard: it may read only when it has said all of it.
 */
static bool
hears_client(const struct imap_gate *g)
{
	const struct relay *r = &g->relay;

	return r->opaque || !channel_full(&r->client) || imap_client_owes(g->dialogue);
}

/* Observed: no sense can be made of what follows, and nobody ends the session. */
static void
lose_track(struct imap_gate *g, const struct an_event *ev)
{
	if (imap_observes(g) && ev->dir == AN_C2S)
		imap_anomaly(
		    g, ev->anomaly == AN_NONE ? AN_NOT_FOLLOWED : ev->anomaly, AN_C2S, ev->off);
	imap_is_over(g);
}

static bool
imap_step(struct relay *r, enum an_dir dir)
{
	struct imap_gate *g = imap_gate_of(r);
	struct channel *from = relay_from(r, dir);
	struct span in = channel_input(from);
	struct an_event ev;
	size_t used;

	if (g->dialogue == NULL && !begin(g))
		return false;
	if (dir == AN_C2S && !hears_client(g))
		return false;
	switch (imap_feed(g->dialogue, dir, in.p, in.n, &used, &ev)) {
	case AN_EVENT:
		g->behind = in.n - used;
		g->acted = imap_now(g);
		relay_shows(r, &ev);
		if (!imap_ahead_of_login(g, &ev) && handlers[ev.kind] != NULL)
			handlers[ev.kind](g, &ev);
		if (dir == AN_S2C)
			imap_say_held(g);
		if (imap_deaf(g->dialogue, dir))
			lose_track(g, &ev);
		break;
	case AN_MORE:
		if (used == 0)
			return false;
		break;
	case AN_WAIT:
		return false;
	case AN_NOMEM:
		from->failed = true;
		return false;
	}
	channel_parsed(from, used);
	return true;
}

/* Nothing of it ever waits for DNS. */
static void
imap_answers_in(struct relay *r)
{
	(void)r;
}

static void
imap_forget(struct relay *r)
{
	(void)r;
}

/* ---- peers that go away ---- */

static bool
in_message(const struct imap_gate *g)
{
	return g->storing != NULL || (g->fetching != NULL && g->fetching->current != NULL);
}

static void
server_went(struct imap_gate *g)
{
	struct relay *r = &g->relay;
	bool lost = r->peer[AN_S2C] == PEER_GONE;

	if (r->opaque)
		relay_end(r, "server_closed", lost ? WISH_RESET : WISH_CLOSE, WISH_CLOSE);
	else if (g->bye)
		relay_end(r, "server_bye", WISH_CLOSE, WISH_CLOSE);
	else
		imap_give_up(
		    g, SPAN_NONE, NULL, "The mail server closed the session", "server_closed");
	imap_is_over(g);
}

/* Its commands are complete, and answers to them are still to come. */
static bool
client_waits(const struct imap_gate *g)
{
	return imap_waiting(g->dialogue) > 0 && !imap_idles(g->dialogue) && g->relay.reached;
}

static void
client_went(struct imap_gate *g)
{
	struct relay *r = &g->relay;

	/* what it began will never be complete */
	if (!r->opaque && !imap_idles(g->dialogue) && imap_client_owes(g->dialogue))
		relay_end(r, "client_aborted", WISH_RESET, WISH_RESET);
	else if (r->peer[AN_C2S] == PEER_GONE)
		relay_end(r, "client_reset", WISH_RESET, WISH_RESET);
	else if (r->opaque || !client_waits(g))
		relay_end(r, "client_closed", WISH_CLOSE, WISH_CLOSE);
	else
		return;
	imap_is_over(g);
}

static void
imap_peer_changed(struct relay *r, enum an_dir dir)
{
	struct imap_gate *g = imap_gate_of(r);

	if (g->dialogue == NULL && !begin(g))
		return;
	if (dir == AN_S2C)
		server_went(g);
	else
		client_went(g);
}

static const struct relay_farewells farewells = {
    .server_unreachable = "[UNAVAILABLE] The mail server cannot be reached",
    .no_source_address = "[UNAVAILABLE] Not serving mail at the moment",
    .audit = "[UNAVAILABLE] This session could not be recorded, try again later",
    .loop = "This is the gateway itself, and no mail server",
    .limits = "[UNAVAILABLE] Too many connections, try again later",
};

static void
imap_turn_away(struct relay *r, const char *reason)
{
	struct imap_gate *g = imap_gate_of(r);

	board_session_refused(&r->seat, reason);
	if (g->dialogue == NULL && !begin(g))
		return;
	imap_give_up(g, SPAN_NONE, NULL, relay_farewell(&farewells, reason), reason);
}

/* ---- what only a capture has ---- */

static bool
imap_goes_on_behind(struct relay *r, enum an_dir dir, uint64_t n)
{
	struct imap_gate *g = imap_gate_of(r);
	bool body;

	/* whoever waits with what came before the gap stands ahead of it */
	if (g->dialogue == NULL || channel_input(relay_from(r, dir)).n > 0)
		return false;
	body = imap_in_body(g->dialogue, dir);
	if (!imap_gap(g->dialogue, dir, n))
		return false;
	if (body && dir == AN_S2C)
		imap_fetch_gap(g, n);
	else if (body)
		imap_store_gap(g, n);
	return true;
}

static bool
imap_begins_within(struct relay *r)
{
	struct imap_gate *g = imap_gate_of(r);

	if (g->dialogue == NULL && !begin(g))
		return false;
	imap_join(g->dialogue);
	g->joined = g->greeted = g->logged_in = g->was_logged_in = true;
	return true;
}

/* ---- time ---- */

static uint64_t
last_octet(const struct relay *r)
{
	return later_of(r->active[AN_C2S], r->active[AN_S2C]);
}

/* The server has something to say; while the client does not take what it said, it may wait. */
static void
server_due(const struct imap_gate *g, struct due *due)
{
	const struct relay *r = &g->relay;
	const struct retrieval_timeouts *t = &imap_config_of(g)->timeouts;
	uint64_t since = later_of(g->asked, r->active[AN_S2C]);

	if (r->pause[AN_S2C] & PAUSE_FULL)
		due_sooner(due, later_of(r->wrote[AN_C2S], r->full[AN_S2C]) + t->reply * 1000u,
		    "timeout_client");
	else if (!g->greeted)
		due_sooner(due, since + t->greeting * 1000u, "timeout_server");
	else
		due_sooner(
		    due, later_of(since, r->full[AN_S2C]) + t->reply * 1000u, "timeout_server");
}

/* The client has begun something, and has to go on with it; and the server to take it. */
static void
client_due(const struct imap_gate *g, struct due *due)
{
	const struct relay *r = &g->relay;
	uint64_t patience = imap_config_of(g)->timeouts.reply * 1000u;

	if (r->pause[AN_C2S] & PAUSE_FULL)
		due_sooner(
		    due, later_of(r->wrote[AN_S2C], r->full[AN_C2S]) + patience, "timeout_server");
	else
		due_sooner(
		    due, later_of(last_octet(r), r->full[AN_C2S]) + patience, "timeout_data");
}

/* Counted from the last whole command or response: octets that make none are no activity. */
static void
idle_due(const struct imap_gate *g, struct due *due)
{
	const struct relay *r = &g->relay;
	unsigned seconds = imap_config_of(g)->timeouts.command;

	if (r->env->pressed(r->env->arg) && r->env->config->limits.pressed_timeout < seconds)
		seconds = r->env->config->limits.pressed_timeout;
	due_sooner(due, g->acted + seconds * 1000u, "timeout_command");
}

static struct due
next_due(const struct imap_gate *g)
{
	const struct relay *r = &g->relay;
	const struct retrieval_timeouts *t = &imap_config_of(g)->timeouts;
	struct due due = {0, NULL};

	if (r->client.queued > 0)
		due_sooner(&due, r->wrote[AN_C2S] + t->command * 1000u, "timeout_client");
	if (r->peer[AN_S2C] == PEER_CONNECTING)
		return due; /* connects have their own end */
	if (r->opaque) {
		due_sooner(&due, last_octet(r) + t->idle * 1000u, "timeout_opaque");
		return due;
	}
	if (g->greeted && !g->was_logged_in)
		due_sooner(&due, r->began + t->login * 1000u, "timeout_login");
	if (imap_client_owes(g->dialogue))
		client_due(g, &due);
	else if (imap_idles(g->dialogue))
		due_sooner(&due, last_octet(r) + t->idle * 1000u, "timeout_idle");
	else if (imap_waiting(g->dialogue) > 0)
		server_due(g, &due);
	else
		idle_due(g, &due);
	return due;
}

static uint64_t
imap_deadline(const struct relay *r)
{
	/* gates are only made writable by imap_create() */
	const struct imap_gate *g = imap_gate_of((struct relay *)(uintptr_t)r);

	return g->dialogue == NULL && !r->opaque ? 0 : next_due(g).at;
}

static void
imap_expired(struct relay *r)
{
	struct imap_gate *g = imap_gate_of(r);
	struct due due;

	if (g->dialogue == NULL && !r->opaque)
		return;
	due = next_due(g);
	if (due.at == 0 || due.at > imap_now(g))
		return;
	if (strcmp(due.reason, "timeout_client") == 0 || r->opaque)
		relay_end(r, due.reason, WISH_RESET, WISH_RESET);
	else if (strcmp(due.reason, "timeout_server") == 0)
		imap_give_up(g, SPAN_NONE, NULL, "[UNAVAILABLE] The mail server does not answer",
		    due.reason);
	else
		imap_give_up(g, SPAN_NONE, NULL, "Autologout: idle for too long", due.reason);
}

static void
imap_finish(struct relay *r)
{
	struct imap_gate *g = imap_gate_of(r);

	imap_fetch_forget(g);
	imap_store_abort(g, "aborted");
	imap_commands_free(g);
	imap_record_session(g);
}

static bool
imap_transfers(const struct relay *r)
{
	/* gates are only made writable by imap_create() */
	return in_message(imap_gate_of((struct relay *)(uintptr_t)r));
}

static void
imap_tls_over(struct relay *r, enum an_dir dir, const char *why)
{
	imap_upgraded(imap_gate_of(r), dir, why);
}

const struct relay_ops relay_imap = {
    .name = "imap",
    .protocol = PROTOCOL_IMAP,
    .server_speaks_first = true,
    .create = imap_create,
    .destroy = imap_destroy,
    .step = imap_step,
    .peer_changed = imap_peer_changed,
    .answered = imap_answers_in,
    .forget = imap_forget,
    .deadline = imap_deadline,
    .expired = imap_expired,
    .finish = imap_finish,
    .turn_away = imap_turn_away,
    .upgraded = imap_tls_over,
    .transfers = imap_transfers,
    .gap = imap_goes_on_behind,
    .joined = imap_begins_within,
};
