#include <stdlib.h>

#include "due.h"
#include "pop3_gate.h"

static struct relay *
pop3_create(void)
{
	struct pop3_gate *g = calloc(1, sizeof(*g));

	/* relay is its first member */
	return (struct relay *)(void *)g;
}

static void
pop3_destroy(struct relay *r)
{
	struct pop3_gate *g = pop3_gate_of(r);

	while (g->late != NULL) {
		struct pop3_late *late = g->late;

		g->late = late->next;
		free(late);
	}
	pop3_refused_free(g);
	pop3_free(g->dialogue);
	free(g->sasl);
	free(g->user);
	free(g->before);
	free(g);
}

static bool
begin(struct pop3_gate *g)
{
	g->dialogue = pop3_new(&pop3_config_of(g)->dialogue);
	g->policy = relay_retrieval_policy(&g->relay, &g->relay.env->config->policy->pop3);
	g->asked = g->acted = g->greeted = pop3_now(g);
	if (g->dialogue == NULL)
		g->relay.client.failed = true;
	else if (pop3_observes(g))
		pop3_observe(g->dialogue);
	return g->dialogue != NULL;
}

/* ---- events ---- */

static void
pass_opaque(struct pop3_gate *g, const struct an_event *ev)
{
	if (!relay_pass_opaque(&g->relay, ev))
		pop3_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, ev->dir, ev->off, NULL);
}

/* The other kinds are those of other protocols. */
static void (*const handlers[AN_KINDS])(struct pop3_gate *, const struct an_event *) = {
    [EV_COMMAND] = pop3_command,
    [EV_SECRET] = pop3_secret,
    [EV_REPLY] = pop3_reply,
    [EV_LINE] = pop3_line,
    [EV_LINES_END] = pop3_lines_end,
    [EV_BODY] = pop3_body,
    [EV_BODY_END] = pop3_body_end,
    [EV_ANOMALY] = pop3_body_oddity,
    [EV_OPAQUE] = pass_opaque,
};

/*
 * A client that does not take its answers is not heard: it would be answered without end. Nor is
 * one that waits for a message which may be cut: DELE and QUIT behind it would delete what it never
 * got (P-010).
 */
static bool
hears_client(const struct pop3_gate *g)
{
	const struct pop3_message *m = g->message;

	if (g->relay.opaque || (m != NULL && m->missing > 0))
		return true;
	return !channel_full(&g->relay.client) && !(pop3_policy_of(g)->cut && g->fetching > 0);
}

static bool
pop3_step(struct relay *r, enum an_dir dir)
{
	struct pop3_gate *g = pop3_gate_of(r);
	struct channel *from = relay_from(r, dir);
	struct span in = channel_input(from);
	struct an_event ev;
	size_t used;

	if (g->dialogue == NULL && !begin(g))
		return false;
	if (dir == AN_C2S && !hears_client(g))
		return false;
	switch (pop3_feed(g->dialogue, dir, in.p, in.n, &used, &ev)) {
	case AN_EVENT:
		g->behind = in.n - used;
		g->acted = pop3_now(g);
		relay_shows(r, &ev);
		if (handlers[ev.kind] != NULL)
			handlers[ev.kind](g, &ev);
		if (pop3_deaf(g->dialogue, dir))
			pop3_is_over(g);
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

static void
pop3_answers_in(struct relay *r)
{
	(void)r; /* nothing of POP3 is looked up */
}

static void
pop3_forget(struct relay *r)
{
	(void)r; /* no octets of the client are kept */
}

/* ---- peers that go away ---- */

/* Nothing is said in the server's place: what it did with a QUIT, nobody knows. */
static void
server_went(struct pop3_gate *g)
{
	if (g->relay.opaque || pop3_waiting(g->dialogue) == 0)
		relay_end(&g->relay, "server_closed", WISH_CLOSE, WISH_CLOSE);
	else
		pop3_give_up(g, "-ERR [SYS/TEMP] The server closed the session", "server_closed");
	pop3_is_over(g);
}

/* A client that sends no more may still wait for replies to what it sent. */
static void
client_went(struct pop3_gate *g)
{
	struct relay *r = &g->relay;

	if (r->peer[AN_C2S] == PEER_GONE) {
		pop3_message_aborted(g);
		relay_end(r, "client_reset", WISH_RESET, WISH_RESET);
		pop3_is_over(g);
	} else if (hears_client(g) && (r->opaque || pop3_waiting(g->dialogue) == 0)) {
		relay_end(r, "client_closed", WISH_CLOSE, WISH_CLOSE);
	}
}

static void
pop3_peer_changed(struct relay *r, enum an_dir dir)
{
	struct pop3_gate *g = pop3_gate_of(r);

	if (g->dialogue == NULL && !begin(g))
		return;
	if (dir == AN_S2C)
		server_went(g);
	else
		client_went(g);
}

static const struct relay_farewells farewells = {
    .server_unreachable = "-ERR [SYS/TEMP] The server cannot be reached",
    .no_source_address = "-ERR [SYS/TEMP] No mailboxes at the moment",
    .audit = "-ERR [SYS/TEMP] This session could not be recorded, try again later",
    .loop = "-ERR [SYS/PERM] This is the gateway itself, and no server",
    .limits = "-ERR [SYS/TEMP] Too many connections, try again later",
};

static void
pop3_turn_away(struct relay *r, const char *reason)
{
	struct pop3_gate *g = pop3_gate_of(r);
	struct verdict v = {.action = VERDICT_REFUSE, .rule = "limits", .reason = reason};
	struct span reply = span_str(relay_farewell(&farewells, reason));

	board_session_refused(&r->seat, reason);
	if (g->dialogue == NULL && !begin(g))
		return;
	memcpy(v.reply, reply.p, reply.n);
	if (strcmp(reason, "server_unreachable") != 0)
		pop3_record_command(g, SPAN_NONE, "ERR", &v);
	pop3_give_up(g, relay_farewell(&farewells, reason), reason);
}

/* ---- what only a capture has ---- */

static bool
pop3_goes_on_behind(struct relay *r, enum an_dir dir, uint64_t n)
{
	struct pop3_gate *g = pop3_gate_of(r);

	/* whoever waits with what came before the gap stands ahead of it */
	if (g->dialogue == NULL || channel_input(&r->client).n > 0 ||
	    channel_input(&r->server).n > 0 || !pop3_gap(g->dialogue, dir, n))
		return false;
	pop3_message_gap(g, n);
	return true;
}

static bool
pop3_begins_within(struct relay *r)
{
	struct pop3_gate *g = pop3_gate_of(r);

	if (g->dialogue == NULL && !begin(g))
		return false;
	pop3_join(g->dialogue);
	g->done.logged_in = true;
	return true;
}

/* ---- time ---- */

/* While the client does not take what it has, the server is not what is waited for. */
static void
server_due(const struct pop3_gate *g, struct due *due)
{
	const struct retrieval_timeouts *t = &pop3_config_of(g)->timeouts;
	const struct relay *r = &g->relay;
	uint64_t since = later_of(later_of(g->asked, r->active[AN_S2C]), r->full[AN_S2C]);

	if (!(r->pause[AN_S2C] & PAUSE_FULL))
		due_sooner(due, since + (r->server.received == 0 ? t->greeting : t->reply) * 1000u,
		    "timeout_server");
}

/* Counted from the last whole command or reply: octets that make none are no activity. */
static void
idle_due(const struct pop3_gate *g, struct due *due)
{
	const struct retrieval_timeouts *t = &pop3_config_of(g)->timeouts;
	const struct relay *r = &g->relay;
	unsigned seconds = t->command;

	if (r->env->pressed(r->env->arg) && r->env->config->limits.pressed_timeout < seconds)
		seconds = r->env->config->limits.pressed_timeout;
	due_sooner(due, g->acted + seconds * 1000u, "timeout_command");
	if (pop3_phase(g->dialogue) == POP3_AUTHORIZATION)
		due_sooner(due, g->greeted + t->login * 1000u, "timeout_login");
}

static struct due
next_due(const struct pop3_gate *g)
{
	const struct relay *r = &g->relay;
	uint64_t command = pop3_config_of(g)->timeouts.command * 1000u;
	struct due due = {0, NULL};

	if (r->client.queued > 0)
		due_sooner(&due, r->wrote[AN_C2S] + command, "timeout_client");
	if (r->peer[AN_S2C] == PEER_CONNECTING)
		return due; /* connects have their own end */
	if (r->opaque)
		due_sooner(&due, later_of(r->active[AN_C2S], r->active[AN_S2C]) + command,
		    "timeout_opaque");
	else if (pop3_waiting(g->dialogue) > 0)
		server_due(g, &due);
	else
		idle_due(g, &due);
	return due;
}

static uint64_t
pop3_deadline(const struct relay *r)
{
	/* gates are only made writable by pop3_create() */
	const struct pop3_gate *g = pop3_gate_of((struct relay *)(uintptr_t)r);

	return g->dialogue == NULL && !r->opaque ? 0 : next_due(g).at;
}

static void
pop3_expired(struct relay *r)
{
	struct pop3_gate *g = pop3_gate_of(r);
	struct due due;

	if (g->dialogue == NULL && !r->opaque)
		return;
	due = next_due(g);
	if (due.at == 0 || due.at > pop3_now(g))
		return;
	if (strcmp(due.reason, "timeout_client") == 0 || r->opaque) {
		pop3_message_aborted(g);
		relay_end(r, due.reason, WISH_RESET, WISH_RESET);
	} else if (strcmp(due.reason, "timeout_server") == 0) {
		pop3_give_up(g, "-ERR [SYS/TEMP] The server does not answer", due.reason);
	} else {
		pop3_give_up(g, "-ERR Disconnected for inactivity", due.reason);
	}
}

static void
pop3_finish(struct relay *r)
{
	struct pop3_gate *g = pop3_gate_of(r);

	pop3_message_aborted(g);
	if (r->reached)
		pop3_record_session(g);
}

static bool
pop3_transfers(const struct relay *r)
{
	/* gates are only made writable by pop3_create() */
	return pop3_gate_of((struct relay *)(uintptr_t)r)->message != NULL;
}

static void
pop3_tls_over(struct relay *r, enum an_dir dir, const char *why)
{
	pop3_upgraded(pop3_gate_of(r), dir, why);
}

const struct relay_ops relay_pop3 = {
    .name = "pop3",
    .protocol = PROTOCOL_POP3,
    .server_speaks_first = true,
    .create = pop3_create,
    .destroy = pop3_destroy,
    .step = pop3_step,
    .peer_changed = pop3_peer_changed,
    .answered = pop3_answers_in,
    .forget = pop3_forget,
    .deadline = pop3_deadline,
    .expired = pop3_expired,
    .finish = pop3_finish,
    .turn_away = pop3_turn_away,
    .upgraded = pop3_tls_over,
    .transfers = pop3_transfers,
    .gap = pop3_goes_on_behind,
    .joined = pop3_begins_within,
};
