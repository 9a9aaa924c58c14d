#include <stdlib.h>

#include "due.h"
#include "ftp_gate.h"

static struct relay *
ftp_create(void)
{
	struct ftp_gate *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	ftp_path_init(&g->directory);
	g->ascii = true;
	/* relay is its first member */
	return (struct relay *)(void *)g;
}

static void
ftp_destroy(struct relay *r)
{
	struct ftp_gate *g = ftp_gate_of(r);

	ftp_free(g->dialogue);
	ftp_path_free(&g->directory);
	buf_free(&g->held);
	free(g->user);
	free(g->meanwhile);
	free(g);
}

/* The greeting is the first exchange: the server's reply to a command that nobody wrote. */
static bool
begin(struct ftp_gate *g)
{
	struct ftp_detail detail = {.verb = ftp_verb_row(FTP_NONE)};
	struct an_event ev = {.kind = EV_COMMAND, .ftp = &detail};

	buf_init(&g->held, ftp_config_of(g)->dialogue.reply);
	g->dialogue = ftp_new(&ftp_config_of(g)->dialogue);
	g->policy = ftp_session_policy(&g->relay);
	g->asked = g->acted = ftp_now(g);
	if (g->dialogue == NULL || !ftp_exchange_begin(g, &g->exchange, &ev)) {
		g->relay.client.failed = true;
		return false;
	}
	g->exchange.at_server = true;
	return true;
}

/* ---- when the client is heard ---- */

static bool
is_busy(const struct ftp_gate *g)
{
	return g->exchange.verb != NULL || ftp_waiting(g->dialogue) > 0;
}

static size_t
count_lines(struct span s)
{
	size_t n = 0;

	for (ptrdiff_t at = span_find(s, '\n'); at >= 0; at = span_find(s, '\n')) {
		n++;
		s = span_from(s, (size_t)at + 1);
	}
	return n;
}

/* Every octet is counted once, however many steps it waits. */
static void
count_waiting_lines(struct ftp_gate *g, struct span in)
{
	uint64_t parsed = g->relay.client.parsed;

	if (g->scanned < parsed)
		g->scanned = parsed;
	g->lines += count_lines(span_from(in, (size_t)(g->scanned - parsed)));
	g->scanned = parsed + in.n;
}

static void
lines_taken(struct ftp_gate *g, struct span taken)
{
	uint64_t parsed = g->relay.client.parsed;

	if (g->scanned > parsed)
		g->lines -= count_lines(span_first(taken, (size_t)(g->scanned - parsed)));
}

/* TELNET commands ahead of a verb; a client that sends more of them than this has to wait. */
#define TELNET_AHEAD_MAX 16

static struct span
behind_telnet(struct span in)
{
	size_t at = 0;

	while (at < TELNET_AHEAD_MAX && at + 1 < in.n && in.p[at] == 0xff && in.p[at + 1] >= 0xf0 &&
	       in.p[at + 1] != 0xff)
		at += in.p[at + 1] >= 0xfb ? 3 : 2;
	return span_from(in, at);
}

static enum ftp_verb
verb_ahead(struct span in, bool *anytime)
{
	struct span word = behind_telnet(in);
	const struct ftp_verb_row *row;
	size_t n = 0;

	while (n < word.n && octet_is_alpha(word.p[n]))
		n++;
	row = ftp_verb_find(span_first(word, n));
	*anytime = row->anytime;
	return row->verb;
}

/* A whole line waits that may be given while the server is busy with a transfer. */
static bool
may_interrupt(const struct ftp_gate *g, struct span in)
{
	const struct ftp_verb_row *running = g->exchange.verb;
	bool anytime;
	enum ftp_verb verb;

	if (g->lines == 0 ||
	    !(ftp_transferring(g->dialogue) ||
		(running != NULL && running->carries != FTP_NO_TRANSFER && g->exchange.at_server)))
		return false;
	verb = verb_ahead(in, &anytime);
	return anytime && g->n_meanwhile < FTP_MEANWHILE_MAX - (verb == FTP_ABOR ? 0 : 1);
}

/* The next line of the client may be looked at now. */
static bool
hears_client(struct ftp_gate *g, struct span in)
{
	if (ftp_state(g->dialogue) == FTP_ST_OPAQUE)
		return true;
	if (channel_full(&g->relay.client))
		return false; /* it reads none of its answers: they would pile up */
	if (!is_busy(g))
		return true;
	count_waiting_lines(g, in);
	if (may_interrupt(g, in))
		return true;
	if (ftp_observed(g) && in.n < CHANNEL_BLOCK / 2)
		return false; /* however many: nobody is kept waiting */
	if (g->lines > ftp_config_of(g)->pending || ftp_observed(g)) {
		ftp_anomaly(g, AN_FTP_TOO_MANY_PENDING, AN_C2S, g->relay.client.parsed, NULL);
		ftp_give_up(g, "421 Too many commands ahead of their replies.", "too_many_pending");
		if (ftp_observed(g))
			ftp_observed_lost(g);
	}
	return false;
}

/*
 * The next reply may be looked at now. Observed: a command that waits in line may be the one that
 * it answers, and comes first.
 */
static bool
hears_server(struct ftp_gate *g, struct span in)
{
	struct span waits = channel_input(&g->relay.client);

	if (!ftp_observed(g))
		return g->held_code == 0;
	if (waits.n == 0)
		return true;
	count_waiting_lines(g, waits);
	if (g->lines > 0 && is_busy(g) && !ftp_observed_abor(g, in))
		return false;
	return g->lines == 0 || is_busy(g);
}

/* ---- events ---- */

static void
pass_opaque(struct ftp_gate *g, const struct an_event *ev)
{
	if (!relay_pass_opaque(&g->relay, ev))
		ftp_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, ev->dir, ev->off, NULL);
}

static void
on_anomaly(struct ftp_gate *g, const struct an_event *ev)
{
	ftp_anomaly(g, ev->anomaly, ev->dir, ev->off, NULL);
}

/* The other kinds are those of other protocols. */
static void (*const handlers[AN_KINDS])(struct ftp_gate *, const struct an_event *) = {
    [EV_COMMAND] = ftp_command,
    [EV_REPLY] = ftp_reply,
    [EV_OPAQUE] = pass_opaque,
    [EV_ANOMALY] = on_anomaly,
};

/* 221 may come ahead of the end of a transfer, which is waited for (RFC 959 s4.1.1, QUIT). */
static void
leave_when_done(struct ftp_gate *g)
{
	if (g->left && g->exchange.verb == NULL && !ftp_transferring(g->dialogue) &&
	    !ftp_counting_hurry(g))
		relay_end(&g->relay, "client_quit", WISH_CLOSE, WISH_CLOSE);
}

/* Not sooner: whoever handles an event may hold one that it has just ended. */
static void
give_back_places(struct ftp_gate *g)
{
	if (g->n_meanwhile == 0 && g->meanwhile != NULL) {
		free(g->meanwhile);
		g->meanwhile = NULL;
	}
}

static bool
ftp_step(struct relay *r, enum an_dir dir)
{
	struct ftp_gate *g = ftp_gate_of(r);
	struct channel *from = relay_from(r, dir);
	struct span in = channel_input(from);
	struct an_event ev;
	size_t used;

	if (g->dialogue == NULL && !begin(g))
		return false;
	if (ftp_observed_resync(g, dir, in, &used)) {
		channel_parsed(from, used);
		return used > 0;
	}
	if (dir == AN_C2S ? !hears_client(g, in) : !hears_server(g, in))
		return r->lost_track && in.n > 0;
	switch (ftp_feed(g->dialogue, dir, in.p, in.n, &used, &ev)) {
	case AN_EVENT:
		g->behind = in.n - used;
		if (dir == AN_S2C)
			g->mid_reply = false;
		g->acted = ftp_now(g);
		relay_shows(r, &ev);
		if (dir == AN_C2S)
			lines_taken(g, span_first(in, used));
		if (handlers[ev.kind] != NULL)
			handlers[ev.kind](g, &ev);
		ftp_observed_suppose(g);
		leave_when_done(g);
		give_back_places(g);
		break;
	case AN_MORE:
		if (used == 0)
			return false;
		g->mid_reply = g->mid_reply || dir == AN_S2C;
		if (dir == AN_C2S)
			lines_taken(g, span_first(in, used));
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
ftp_answers_in(struct relay *r)
{
	(void)r; /* nothing of FTP is looked up */
}

static void
ftp_forget(struct relay *r)
{
	(void)r; /* no octets of the client are kept */
}

static bool
has_data(const struct ftp_gate *g)
{
	return g->stage == FTP_OPENING || g->stage == FTP_FLOWING;
}

/* ---- peers that go away ---- */

static void
server_went(struct ftp_gate *g)
{
	struct relay *r = &g->relay;

	if (g->held_code !=
	    0) /* its last word is known, and the octets of the transfer are on their way */
		return;
	if (r->opaque || g->left)
		relay_end(r, g->left ? "client_quit" : "server_closed", WISH_CLOSE, WISH_CLOSE);
	else if (g->quit && ftp_waiting(g->dialogue) == 1)
		ftp_give_up(g, "221 Goodbye.", "client_quit");
	else
		ftp_give_up(g, "421 The server closed the session.", "server_closed");
}

/* A client that sends no more may still wait for its reply, but not for a file. */
static void
client_went(struct ftp_gate *g)
{
	struct relay *r = &g->relay;

	if (has_data(g) || g->held_code != 0)
		relay_end(r, "client_aborted", WISH_RESET, WISH_RESET);
	else if (r->peer[AN_C2S] == PEER_GONE)
		relay_end(r, "client_reset", WISH_RESET, WISH_RESET);
	else if (r->opaque || !is_busy(g))
		relay_end(r, "client_closed", WISH_CLOSE, WISH_CLOSE);
	else
		return;
	ftp_transfer_finish(g);
	ftp_channel_forget(g);
}

static void
peer_went(struct ftp_gate *g, enum an_dir dir)
{
	if (dir == AN_S2C)
		server_went(g);
	else
		client_went(g);
}

static const char *const peer_is_gone[] = {[AN_C2S] = "client_closed", [AN_S2C] = "server_closed"};

static void
ftp_peer_changed(struct relay *r, enum an_dir dir)
{
	struct ftp_gate *g = ftp_gate_of(r);

	if (g->dialogue == NULL && !begin(g))
		return;
	if (ftp_observed(g)) /* data may come to their end later */
		relay_end(r, peer_is_gone[dir], WISH_NONE, WISH_NONE);
	else if (r->peer[dir] != PEER_EOF || !ftp_counting_hurry(g))
		peer_went(g, dir);
}

/* ---- data connections ---- */

/* Peers that went meanwhile were not let go. */
static void
count_is_in(struct ftp_gate *g, struct data_pair *pair, const struct data_news *news)
{
	ftp_counting_news(g, pair, news);
	if (g->parked != NULL)
		return;
	leave_when_done(g); /* who has said QUIT has not just gone */
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		if (g->relay.peer[dir] == PEER_EOF && g->relay.reason == NULL)
			peer_went(g, dir);
}

static void
ftp_data_news(struct relay *r, struct data_pair *pair, const struct data_news *news)
{
	struct ftp_gate *g = ftp_gate_of(r);

	g->acted = ftp_now(g);
	if (news->what == DATA_INTRUDER)
		ftp_intruder(g, news);
	else if (ftp_observed(g) && pair != g->pair)
		ftp_observed_news(g, pair, news);
	else if (pair == g->pair)
		ftp_channel_news(g, news);
	else if (pair == g->transfer.pair)
		ftp_transfer_news(g, news);
	else
		count_is_in(g, pair, news);
	leave_when_done(g);
}

static void
ftp_data_octets(struct relay *r, struct data_pair *pair, struct span octets)
{
	struct ftp_transfer *t = ftp_observed_transfer(ftp_gate_of(r), pair);

	if (t != NULL)
		ftp_content(t, octets);
}

static const struct relay_farewells farewells = {
    .server_unreachable = "421 The server cannot be reached.",
    .no_source_address = "421 No transfers at the moment.",
    .audit = "421 This session could not be recorded, try again later.",
    .loop = "421 This is the gateway itself, and no server.",
    .limits = "421 Too many connections, try again later.",
};

static void
ftp_turn_away(struct relay *r, const char *reason)
{
	struct ftp_gate *g = ftp_gate_of(r);
	struct verdict v = {.action = VERDICT_REFUSE, .rule = "limits", .reason = reason};
	struct span reply = span_str(relay_farewell(&farewells, reason));

	board_session_refused(&r->seat, reason);
	if (g->dialogue == NULL && !begin(g))
		return;
	memcpy(v.reply, reply.p, reply.n);
	if (strcmp(reason, "server_unreachable") != 0)
		ftp_record_verdict(g, &g->exchange, &v);
	ftp_give_up(g, relay_farewell(&farewells, reason), reason);
}

/* ---- time ---- */

/*
 * Milliseconds that the client's next command waits for the server's last word to a transfer that
 * the client has had its 425 of. The client cannot know what it waits for.
 */
#define SETTLED_MS 5000

/* The client knows what became of the transfer, the server says nothing, and a command waits. */
static bool
waits_for_nothing(const struct ftp_gate *g)
{
	return g->stage == FTP_ENDING && g->exchange.verb == NULL && g->transfer.unreachable &&
	       g->transfer.server_code == 0 && g->lines > 0;
}

static void
server_due(const struct ftp_gate *g, struct due *due)
{
	const struct ftp_timeouts *t = &ftp_config_of(g)->timeouts;
	const struct relay *r = &g->relay;
	uint64_t since = later_of(later_of(g->asked, g->acted), r->active[AN_S2C]);
	unsigned seconds = r->server.received == 0 ? t->greeting : t->reply;

	due_sooner(due, since + seconds * 1000u, "timeout_server");
	if (waits_for_nothing(g))
		due_sooner(due, later_of(since, r->active[AN_C2S]) + SETTLED_MS, "timeout_server");
}

/* Counted from the last whole command or reply: octets that make none are no activity. */
static void
idle_due(const struct ftp_gate *g, struct due *due)
{
	const struct relay *r = &g->relay;
	unsigned seconds = ftp_config_of(g)->timeouts.command;

	if (r->env->pressed(r->env->arg) && r->env->config->limits.pressed_timeout < seconds)
		seconds = r->env->config->limits.pressed_timeout;
	due_sooner(due, g->acted + seconds * 1000u, "timeout_command");
}

/*
 * Data flows, or waits for its verdict: whoever moves it watches its time, and ends it (F-039). So
 * does the kernel's count where it passes unproxied, also behind the server's last word.
 */
static bool
data_moves(const struct ftp_gate *g)
{
	return (g->stage == FTP_FLOWING && !g->transfer.quiet) || g->held_code != 0 ||
	       g->parked != NULL;
}

static struct due
next_due(const struct ftp_gate *g)
{
	const struct relay *r = &g->relay;
	struct due due = {0, NULL};

	if (r->client.queued > 0)
		due_sooner(&due, r->wrote[AN_C2S] + ftp_config_of(g)->timeouts.command * 1000u,
		    "timeout_client");
	if (g->transfer.due != 0)
		due_sooner(&due, g->transfer.due, "transfer");
	if (g->abor_due != 0)
		due_sooner(&due, g->abor_due, "abor");
	if (r->peer[AN_S2C] == PEER_CONNECTING)
		return due; /* connects have their own end */
	if (r->opaque)
		due_sooner(&due,
		    later_of(r->active[AN_C2S], r->active[AN_S2C]) +
			ftp_config_of(g)->timeouts.command * 1000u,
		    "timeout_opaque");
	else if (data_moves(g))
		return due;
	else if (is_busy(g))
		server_due(g, &due);
	else
		idle_due(g, &due);
	return due;
}

static uint64_t
ftp_deadline(const struct relay *r)
{
	/* gates are only made writable by ftp_create() */
	const struct ftp_gate *g = ftp_gate_of((struct relay *)(uintptr_t)r);

	return (g->dialogue == NULL && !r->opaque) || ftp_observed(g) ? 0 : next_due(g).at;
}

static void
ftp_expired(struct relay *r)
{
	struct ftp_gate *g = ftp_gate_of(r);
	struct due due;

	if ((g->dialogue == NULL && !r->opaque) || ftp_observed(g))
		return;
	due = next_due(g);
	if (due.at == 0 || due.at > ftp_now(g))
		return;
	if (strcmp(due.reason, "transfer") == 0) {
		ftp_transfer_expired(g);
	} else if (strcmp(due.reason, "abor") == 0) {
		ftp_abor_expired(g);
	} else if (strcmp(due.reason, "timeout_client") == 0 || r->opaque) {
		relay_end(r, due.reason, WISH_RESET, WISH_RESET);
		ftp_transfer_finish(g);
		ftp_channel_forget(g);
	} else if (strcmp(due.reason, "timeout_server") == 0) {
		ftp_give_up(g, "421 The server does not answer.", due.reason);
	} else {
		ftp_give_up(g, "421 Timeout.", due.reason);
	}
}

static void
ftp_finish(struct relay *r)
{
	struct ftp_gate *g = ftp_gate_of(r);

	ftp_observed_rest(g);
	ftp_transfer_finish(g);
	if (ftp_observed(g))
		ftp_observed_finish(g);
	else
		ftp_counting_finish(g);
	ftp_channel_forget(g);
	ftp_record_exchange(g, &g->exchange);
	while (g->n_meanwhile > 0)
		ftp_record_exchange(g, &g->meanwhile[0]);
}

static bool
ftp_transfers(const struct relay *r)
{
	/* gates are only made writable by ftp_create() */
	const struct ftp_gate *g = ftp_gate_of((struct relay *)(uintptr_t)r);

	return has_data(g) || g->n_parked > 0;
}

static bool
ftp_joined(struct relay *r)
{
	struct ftp_gate *g = ftp_gate_of(r);

	return (g->dialogue != NULL || begin(g)) && ftp_observed_joined(g);
}

static bool
ftp_unheard(struct relay *r)
{
	struct ftp_gate *g = ftp_gate_of(r);

	return (g->dialogue != NULL || begin(g)) && ftp_observed_unheard(g);
}

static void
ftp_tls_over(struct relay *r, enum an_dir dir, const char *why)
{
	ftp_upgraded(ftp_gate_of(r), dir, why);
}

const struct relay_ops relay_ftp = {
    .name = "ftp",
    .protocol = PROTOCOL_FTP,
    .server_speaks_first = true,
    .create = ftp_create,
    .destroy = ftp_destroy,
    .step = ftp_step,
    .peer_changed = ftp_peer_changed,
    .answered = ftp_answers_in,
    .forget = ftp_forget,
    .deadline = ftp_deadline,
    .expired = ftp_expired,
    .finish = ftp_finish,
    .turn_away = ftp_turn_away,
    .upgraded = ftp_tls_over,
    .transfers = ftp_transfers,
    .joined = ftp_joined,
    .unheard = ftp_unheard,
    .data_news = ftp_data_news,
    .data_octets = ftp_data_octets,
};
