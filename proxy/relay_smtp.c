#include <stdlib.h>

#include "due.h"
#include "smtp_gate.h"

#define MINUTE		 60000u
#define RATE_CHECK_EVERY 30000u

static struct relay *
smtp_create(void)
{
	struct smtp_gate *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	TAILQ_INIT(&g->pending);
	/* relay is its first member */
	return (struct relay *)(void *)g;
}

static void
smtp_destroy(struct relay *r)
{
	struct smtp_gate *g = gate_of(r);

	gate_message_forget(g);
	smtp_free(g->dialogue);
	free(g->server_name);
	free(g->helo);
	free(g->sasl);
	free(g);
}

/* ---- events ---- */

static void
pass_opaque(struct smtp_gate *g, const struct an_event *ev)
{
	if (!relay_pass_opaque(&g->relay, ev))
		gate_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, ev->dir, ev->off, NULL);
}

/* The other kinds are those of other protocols. */
static void (*const handlers[AN_KINDS])(struct smtp_gate *, const struct an_event *) = {
    [EV_COMMAND] = gate_command,
    [EV_SECRET] = gate_secret,
    [EV_REPLY] = gate_reply,
    [EV_BODY] = gate_body,
    [EV_BODY_END] = gate_body_end,
    [EV_CHUNK_END] = gate_chunk_end,
    [EV_OPAQUE] = pass_opaque,
    [EV_ANOMALY] = gate_body_oddity,
};

/* A server that does not offer PIPELINING gets one command at a time. */
static bool
must_wait(struct smtp_gate *g)
{
	return !gate_observed_stuck(g, AN_C2S) && smtp_state(g->dialogue) == SMTP_ST_COMMAND &&
	       smtp_waiting(g->dialogue) > 0 && !(g->server_exts & SMTP_EXT_PIPELINING);
}

/* All octets of a chunk are passed on, and its end has not been handled: first that, then replies.
 */
static bool
chunk_ends(const struct smtp_gate *g)
{
	return smtp_state(g->dialogue) == SMTP_ST_CHUNK && smtp_chunk_left(g->dialogue) == 0;
}

static bool
begin(struct smtp_gate *g)
{
	struct smtp_limits limits = gate_config(g)->dialogue;

	if (gate_config(g)->body_line > 0)
		limits.body_line = gate_config(g)->body_line;
	limits.watching = gate_observes(g);
	g->dialogue = smtp_new(&limits);
	g->asked = g->acted = gate_now(g);
	if (g->dialogue == NULL)
		g->relay.client.failed = true;
	return g->dialogue != NULL;
}

static bool
smtp_step(struct relay *r, enum an_dir dir)
{
	struct smtp_gate *g = gate_of(r);
	struct channel *from = relay_from(r, dir);
	struct span in = channel_input(from);
	struct an_event ev;
	size_t used;
	bool progress;

	if (g->dialogue == NULL && !begin(g))
		return false;
	if (gate_observes(g) && gate_observed_step(g, dir, &progress))
		return progress;
	if (dir == AN_C2S ? must_wait(g) : chunk_ends(g))
		return false;
	switch (smtp_feed(g->dialogue, dir, in.p, in.n, &used, &ev)) {
	case AN_EVENT:
		g->behind = in.n - used;
		g->acted = gate_now(g);
		relay_shows(r, &ev);
		if (handlers[ev.kind] != NULL && (!gate_observes(g) || gate_observed_takes(g, &ev)))
			handlers[ev.kind](g, &ev);
		break;
	case AN_MORE:
		if (used == 0)
			return false;
		break;
	case AN_WAIT:
		if (!gate_observed_stuck(g, dir))
			return false;
		gate_anomaly(g, AN_PIPELINED, dir, from->parsed, "what follows is not read");
		r->lost_track = true;
		return true;
	case AN_NOMEM:
		from->failed = true;
		return false;
	}
	channel_parsed(from, used);
	if (gate_observes(g) && relay_shaking(r)) /* octets ahead of the handshake */
		channel_discard(from);
	return true;
}

static void
smtp_answers_in(struct relay *r)
{
	gate_judge_again(gate_of(r));
}

static void
smtp_forget(struct relay *r)
{
	gate_forget_lookup(gate_of(r));
}

/* ---- peers that go away ---- */

static bool
in_message(const struct smtp_gate *g)
{
	return g->message.open;
}

static void
server_went(struct smtp_gate *g)
{
	struct relay *r = &g->relay;

	if (r->opaque || (g->server_left && !in_message(g))) {
		relay_end(
		    r, g->server_left ? "server_421" : "server_closed", WISH_CLOSE, WISH_CLOSE);
	} else if (in_message(g) || g->doomed) {
		/* the client is heard to the end of its message, then told */
		if (in_message(g))
			gate_message_refuse(g, "451 4.3.0 Error: the mail server went away",
			    "session", "server_lost", "server_lost");
		gate_answer_waiting(g, "451 4.3.0 Error: the mail server went away");
		gate_drop_server(g);
	} else if (g->quit && smtp_waiting(g->dialogue) == 1) {
		gate_give_up(g, "221 2.0.0 Bye", "client_quit");
	} else if (smtp_waiting(g->dialogue) > 0 || g->last_chunk != 0) {
		if (g->last_chunk != 0 && gate_pending(g, g->last_chunk)->tx != NULL)
			gate_pending(g, g->last_chunk)->tx->state = "server_lost";
		gate_give_up(g, "421 4.3.0 Error: the mail server went away", "server_closed");
	} else if (g->quit) {
		relay_end(r, "client_quit", WISH_CLOSE, WISH_CLOSE);
	} else {
		gate_give_up(
		    g, "421 4.3.0 Error: the mail server closed the session", "server_closed");
	}
}

/*
 * A client that sends no more may still wait for replies to what it sent; one that leaves in
 * the middle of a message has not sent it.
 */
static void
client_went(struct smtp_gate *g)
{
	struct relay *r = &g->relay;

	if (in_message(g)) {
		gate_anomaly(g, AN_TRUNCATED, AN_C2S, r->client.parsed, NULL);
		if (g->tx != NULL && g->tx->state == NULL)
			g->tx->state = "aborted";
		relay_end(r, "client_aborted", WISH_RESET, WISH_RESET);
	} else if (r->opaque || smtp_waiting(g->dialogue) == 0 || g->server_lost) {
		relay_end(r, "client_closed", WISH_CLOSE, WISH_CLOSE);
	}
}

/* The server owes an answer to a message that has its end mark: that answer is still heard. */
static bool
message_on_its_way(struct smtp_gate *g)
{
	uint64_t first = smtp_oldest(g->dialogue);

	for (uint64_t slot = first; slot < first + smtp_waiting(g->dialogue); slot++) {
		const struct pending *p = gate_pending_find(g, slot);
		const char *state = p == NULL || p->tx == NULL ? NULL : p->tx->state;

		if (state != NULL && strcmp(state, "in_doubt") == 0)
			return true;
	}
	return false;
}

static void
smtp_peer_changed(struct relay *r, enum an_dir dir)
{
	struct smtp_gate *g = gate_of(r);

	if (g->dialogue == NULL && !begin(g))
		return;
	if (gate_observes(g))
		gate_observed_end(g, dir);
	else if (dir == AN_S2C)
		server_went(g);
	else if (r->peer[AN_C2S] == PEER_EOF || in_message(g) || message_on_its_way(g))
		client_went(g);
	else
		relay_end(r, "client_reset", WISH_RESET, WISH_RESET);
}

static const struct relay_farewells farewells = {
    .server_unreachable = "421 4.4.1 Error: the mail server cannot be reached",
    .no_source_address = "421 4.3.2 Error: not accepting mail at the moment",
    .audit = "421 4.3.0 Error: this session could not be recorded, try again later",
    .loop = "421 4.4.6 Error: this is the gateway itself, and no mail server",
    .limits = "421 4.7.0 Error: too many connections, try again later",
};

static void
smtp_turn_away(struct relay *r, const char *reason)
{
	struct smtp_gate *g = gate_of(r);
	const char *reply = relay_farewell(&farewells, reason);

	board_session_refused(&r->seat, reason);
	if (g->dialogue == NULL && !begin(g))
		return;
	if (strcmp(reason, "server_unreachable") != 0)
		gate_record_limit(g, reason, reply);
	gate_give_up(g, reply, reason);
}

/* ---- time ---- */

static unsigned
patience(const struct smtp_gate *g)
{
	const struct smtp_timeouts *t = &gate_config(g)->timeouts;

	if (g->tx == NULL && g->message.open)
		return t->reply;
	if (g->relay.session.up_server.port == 0 || g->relay.server.received == 0)
		return t->greeting;
	if (smtp_state(g->dialogue) == SMTP_ST_SYNC && g->tx != NULL && g->tx->has_mail)
		return t->data_init;
	return t->reply;
}

static void
server_due(struct smtp_gate *g, struct due *due)
{
	const struct relay *r = &g->relay;
	uint64_t since = later_of(g->asked, r->active[AN_S2C]);
	unsigned seconds = message_on_its_way(g) || g->last_chunk != 0
			       ? gate_config(g)->timeouts.data_end
			       : patience(g);

	due_sooner(due, since + seconds * 1000u, "timeout_server");
}

/* Octets of a message are what the client has to send next. */
static bool
receiving(const struct smtp_gate *g)
{
	return smtp_state(g->dialogue) == SMTP_ST_DATA || smtp_state(g->dialogue) == SMTP_ST_CHUNK;
}

static void
message_due(struct smtp_gate *g, struct due *due)
{
	const struct relay *r = &g->relay;
	uint64_t block = gate_config(g)->timeouts.data_block * 1000u;

	if (r->pause[AN_C2S] & PAUSE_FULL)
		due_sooner(due, r->wrote[AN_S2C] + block, "timeout_server");
	else
		due_sooner(
		    due, later_of(r->active[AN_C2S], r->full[AN_C2S]) + block, "timeout_data");
	if (r->env->config->limits.min_rate > 0)
		due_sooner(due,
		    later_of(g->rate_since + MINUTE, g->rate_checked + RATE_CHECK_EVERY), "rate");
}

/* Counted from the last whole command or reply: octets that make none are no activity. */
static void
idle_due(struct smtp_gate *g, struct due *due)
{
	const struct relay *r = &g->relay;
	unsigned seconds = gate_config(g)->timeouts.command;

	if (r->env->pressed(r->env->arg) && r->env->config->limits.pressed_timeout < seconds)
		seconds = r->env->config->limits.pressed_timeout;
	due_sooner(due, g->acted + seconds * 1000u, "timeout_command");
}

static struct due
next_due(struct smtp_gate *g)
{
	const struct relay *r = &g->relay;
	struct due due = {0, NULL};

	if (g->tarpit_until != 0)
		due_sooner(&due, g->tarpit_until, "tarpit");
	if (r->client.queued > 0)
		due_sooner(&due, r->wrote[AN_C2S] + gate_config(g)->timeouts.command * 1000u,
		    "timeout_client");
	if (r->peer[AN_S2C] == PEER_CONNECTING || (r->pause[AN_C2S] & PAUSE_DNS))
		return due; /* connects and look-ups have their own ends */
	if (r->opaque)
		due_sooner(&due,
		    later_of(r->active[AN_C2S], r->active[AN_S2C]) +
			gate_config(g)->timeouts.data_end * 1000u,
		    "timeout_opaque");
	else if (receiving(g))
		message_due(g, &due);
	else if (smtp_waiting(g->dialogue) > 0)
		server_due(g, &due);
	else if (in_message(g)) /* between two chunks */
		due_sooner(&due,
		    later_of(r->active[AN_C2S], r->active[AN_S2C]) +
			gate_config(g)->timeouts.data_block * 1000u,
		    "timeout_data");
	else
		idle_due(g, &due);
	return due;
}

static uint64_t
smtp_deadline(const struct relay *r)
{
	/* gates are only made writable by smtp_create() */
	struct smtp_gate *g = gate_of((struct relay *)(uintptr_t)r);

	return g->dialogue == NULL && !r->opaque ? 0 : next_due(g).at;
}

/*
 * The rate counts from where the client could last send freely: time in which the server did not
 * take what came says nothing of the client.
 */
static void
check_rate(struct smtp_gate *g)
{
	const struct relay *r = &g->relay;
	uint64_t now = gate_now(g);
	uint64_t octets = g->message.size + g->message.drained - g->rate_octets;

	g->rate_checked = now;
	if (r->full[AN_C2S] >= g->rate_since)
		g->rate_since = r->full[AN_C2S];
	else if (octets * 1000u / (now - g->rate_since) < r->env->config->limits.min_rate)
		gate_give_up(g, "421 4.4.2 Error: message comes too slowly", "too_slow");
}

static void
time_is_up(struct smtp_gate *g, const char *reason)
{
	struct relay *r = &g->relay;

	if (strcmp(reason, "timeout_client") == 0 || r->opaque)
		relay_end(r, reason, WISH_RESET, WISH_RESET);
	else if (strcmp(reason, "timeout_server") == 0)
		gate_give_up(g, "421 4.4.2 Error: the mail server does not answer", reason);
	else
		gate_give_up(g, "421 4.4.2 Error: timeout exceeded", reason);
}

static void
smtp_expired(struct relay *r)
{
	struct smtp_gate *g = gate_of(r);
	struct due due;

	if (g->dialogue == NULL && !r->opaque)
		return;
	due = next_due(g);
	if (due.at == 0 || due.at > gate_now(g))
		return;
	if (strcmp(due.reason, "tarpit") == 0) {
		g->tarpit_until = 0;
		r->pause[AN_C2S] &= ~(unsigned)PAUSE_TARPIT;
	} else if (strcmp(due.reason, "rate") == 0) {
		check_rate(g);
	} else {
		time_is_up(g, due.reason);
	}
}

static void
smtp_finish(struct relay *r)
{
	struct smtp_gate *g = gate_of(r);

	gate_forget_lookup(g);
	if (g->message.open && !g->message.unwanted && g->tx != NULL && g->tx->state == NULL)
		g->tx->state = r->lost_track ? "unseen" : "aborted";
	gate_transactions_finish(g);
}

static void
smtp_upgraded(struct relay *r, enum an_dir dir, const char *why)
{
	gate_upgraded(gate_of(r), dir, why);
}

static bool
smtp_transfers(const struct relay *r)
{
	/* gates are only made writable by smtp_create() */
	return in_message(gate_of((struct relay *)(uintptr_t)r));
}

const struct relay_ops relay_smtp = {
    .name = "smtp",
    .protocol = PROTOCOL_SMTP,
    .server_speaks_first = true,
    .create = smtp_create,
    .destroy = smtp_destroy,
    .step = smtp_step,
    .peer_changed = smtp_peer_changed,
    .answered = smtp_answers_in,
    .forget = smtp_forget,
    .deadline = smtp_deadline,
    .expired = smtp_expired,
    .finish = smtp_finish,
    .turn_away = smtp_turn_away,
    .transfers = smtp_transfers,
    .upgraded = smtp_upgraded,
    .gap = gate_gap,
    .joined = gate_joined,
    .unheard = gate_unheard,
};
