#include "relay.h"

#include <stdlib.h>

const struct relay_ops *
relay_ops_of(enum protocol p)
{
	static const struct relay_ops *const rows[PROTOCOL_COUNT] = {[PROTOCOL_FTP] = &relay_ftp,
	    [PROTOCOL_SMTP] = &relay_smtp,
	    [PROTOCOL_POP3] = &relay_pop3,
	    [PROTOCOL_IMAP] = &relay_imap};

	return rows[p];
}

struct relay *
relay_new(const struct relay_ops *ops, const struct relay_env *env,
    const struct record_session *session, const struct facts *facts)
{
	struct relay *r = ops->create();

	if (r == NULL)
		return NULL;
	r->ops = ops;
	r->env = env;
	r->session = *session;
	r->session.app_proto = ops->name;
	r->facts = *facts;
	r->peer[AN_C2S] = PEER_OPEN;
	r->peer[AN_S2C] = PEER_CONNECTING;
	r->began = env->now(env->arg);
	r->active[AN_C2S] = r->active[AN_S2C] = r->began;
	r->wrote[AN_C2S] = r->wrote[AN_S2C] = r->active[AN_C2S];
	channel_init(&r->client);
	channel_init(&r->server);
	r->client.mute = r->server.mute = env->observed;
	board_session_opened(env->board, ops->protocol, session, &r->seat);
	return r;
}

static enum board_phase
phase(const struct relay *r)
{
	if (r->reason != NULL)
		return BOARD_CLOSING;
	if (r->peer[AN_S2C] == PEER_CONNECTING)
		return BOARD_CONNECTING;
	if (r->opaque)
		return BOARD_OPAQUE;
	if (r->pause[AN_C2S] & PAUSE_DNS)
		return BOARD_DNS_WAIT;
	if (r->pause[AN_C2S] & PAUSE_TARPIT)
		return BOARD_SLOWED;
	return r->ops->transfers(r) ? BOARD_MESSAGE : BOARD_DIALOGUE;
}

static void
show(struct relay *r)
{
	const uint64_t octets[BOARD_LEGS] = {[BOARD_FROM_CLIENT] = r->client.received,
	    [BOARD_TO_CLIENT] = r->client.sent,
	    [BOARD_TO_SERVER] = r->server.sent,
	    [BOARD_FROM_SERVER] = r->server.received};

	if (r->seat.board == NULL)
		return;
	board_session_octets(&r->seat, octets);
	board_session_phase(&r->seat, phase(r));
}

static void
record_end(struct relay *r)
{
	struct record_flow flow = {
	    .bytes_toserver = r->client.received,
	    .bytes_toclient = r->env->observed ? r->server.received : r->client.sent,
	    .up_bytes_toserver = r->server.sent,
	    .up_bytes_toclient = r->server.received,
	    .state = r->reached ? "closed" : "new",
	    .reason = r->reason == NULL ? "stopped" : r->reason,
	    .duration_ms = r->env->now(r->env->arg) - r->began,
	    .tx_count = r->tx_count,
	    .opaque = r->opaque,
	};

	record_flow(&r->session, &flow, r->env->sink, r->env->sink_arg);
}

void
relay_free(struct relay *r)
{
	if (r == NULL)
		return;
	r->ops->finish(r);
	relay_sight_over(r);
	record_end(r);
	show(r);
	board_session_ended(&r->seat, r->reason == NULL ? "stopped" : r->reason);
	tapped_free(r->tap);
	buf_free(&r->asking.greeting);
	channel_free(&r->client);
	channel_free(&r->server);
	r->ops->destroy(r);
}

struct channel *
relay_from(struct relay *r, enum an_dir dir)
{
	return dir == AN_C2S ? &r->client : &r->server;
}

struct channel *
relay_to(struct relay *r, enum an_dir dir)
{
	return dir == AN_C2S ? &r->server : &r->client;
}

/* Both ends of a pause are noted: nobody counts the time in between against a peer. */
static void
pause_full(struct relay *r, enum an_dir dir, bool full)
{
	bool was = (r->pause[dir] & PAUSE_FULL) != 0;

	if (full)
		r->pause[dir] |= PAUSE_FULL;
	else
		r->pause[dir] &= ~(unsigned)PAUSE_FULL;
	if (full || was)
		r->full[dir] = r->env->now(r->env->arg);
}

static bool
may_parse(struct relay *r, enum an_dir dir)
{
	if (r->wish[dir] != WISH_NONE || relay_shaking(r) || r->asking.stage != ASKING_NOTHING)
		return false;
	pause_full(r, dir, channel_full(relay_to(r, dir)) && r->wish[an_other(dir)] == WISH_NONE);
	return r->pause[dir] == 0;
}

static bool
step(struct relay *r, enum an_dir dir)
{
	struct channel *from = relay_from(r, dir);
	struct an_event all = {.kind = EV_OPAQUE, .dir = dir, .octets = channel_input(from)};

	if (r->lost_track && all.octets.n > 0) {
		channel_parsed(from, all.octets.n);
		return true;
	}
	if (!r->unread) {
		const bool taken = r->ops->step(r, dir);

		if (r->tap != NULL)
			tapped_handled(r->tap);
		return taken;
	}
	if (all.octets.n == 0)
		return false;
	relay_shows(r, &all);
	relay_pass_opaque(r, &all);
	channel_parsed(from, all.octets.n);
	return true;
}

/*
 * An answer has come, and perhaps others right behind it. Between two peers nobody else stands in,
 * they may well be to what the client has said already, and what waited for this answer.
 */
static bool
others_turn(const struct relay *r, enum an_dir dir)
{
	return r->env->observed && dir == AN_S2C && channel_input(&r->client).n > 0;
}

/* Both directions in turn, as long as one of them gets anywhere. */
static void
pump(struct relay *r)
{
	bool progress = true;

	while (progress) {
		progress = false;
		for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
			while (may_parse(r, dir) && step(r, dir)) {
				progress = true;
				if (others_turn(r, dir))
					break;
			}
	}
}

/* A side that is closed takes and gives nothing any more. */
static void
drop_closed(struct relay *r)
{
	if (r->wish[AN_C2S] != WISH_NONE || r->peer[AN_C2S] == PEER_GONE)
		r->ops->forget(r);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		if (r->wish[dir] != WISH_NONE || r->peer[dir] == PEER_GONE)
			channel_discard(relay_from(r, dir));
		if (r->wish[dir] == WISH_RESET || r->peer[dir] == PEER_GONE ||
		    r->tls[dir] == RELAY_BROKEN)
			channel_drop(relay_from(r, dir));
	}
}

static void
peer_changed(struct relay *r, enum an_dir dir)
{
	if (dir == AN_S2C && !r->reached)
		relay_turn_away(r, "server_unreachable");
	else
		r->ops->peer_changed(r, dir);
}

/* Of a peer that is done with nothing is to be said; where nobody closes it, it is said once. */
static bool
has_ended(const struct relay *r, enum an_dir dir)
{
	if (r->wish[dir] != WISH_NONE || (r->env->observed && r->told[dir] == r->peer[dir]))
		return false;
	return r->peer[dir] == PEER_GONE || (r->peer[dir] == PEER_EOF && r->pause[dir] == 0);
}

void
relay_run(struct relay *r)
{
	relay_upstream_run(r);
	pump(r);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		if (has_ended(r, dir)) {
			r->told[dir] = r->peer[dir];
			peer_changed(r, dir);
			pump(r);
		}
	if (r->client.failed || r->server.failed)
		relay_end(r, "no_memory", WISH_RESET, WISH_RESET);
	drop_closed(r);
	show(r);
}

/* ---- what only a capture has ---- */

static void
record_hole(struct relay *r, enum an_anomaly what, enum an_dir dir, const char *detail)
{
	record_anomaly(&r->session, an_anomaly_name(what), dir, relay_from(r, dir)->received,
	    detail, r->env->sink, r->env->sink_arg);
}

void
relay_unread(struct relay *r)
{
	r->lost_track = true;
	r->pause[AN_C2S] = r->pause[AN_S2C] = 0;
	relay_run(r);
}

void
relay_gap(struct relay *r, enum an_dir dir, uint64_t n)
{
	const bool followed = !r->lost_track && !r->unread && !r->opaque && r->ops->gap != NULL &&
			      r->ops->gap(r, dir, n);

	record_hole(r, AN_GAP, dir, followed ? NULL : "what follows is not read");
	if (followed)
		relay_run(r);
	else
		relay_unread(r);
}

void
relay_joined(struct relay *r)
{
	const bool followed = r->ops->joined != NULL && r->ops->joined(r);

	record_hole(r, AN_JOINED, AN_C2S, followed ? NULL : "what follows is not read");
	if (!followed)
		relay_unread(r);
}

void
relay_unheard(struct relay *r)
{
	const bool followed = r->ops->unheard != NULL && r->ops->unheard(r);

	record_hole(r, AN_UNHEARD, AN_S2C, followed ? NULL : "what follows is not read");
	if (followed)
		relay_run(r);
	else
		relay_unread(r);
}

void
relay_received(struct relay *r, enum an_dir dir, size_t n)
{
	channel_received(relay_from(r, dir), n);
	r->active[dir] = r->env->now(r->env->arg);
	relay_run(r);
}

void
relay_wrote(struct relay *r, enum an_dir dir)
{
	r->wrote[dir] = r->env->now(r->env->arg);
	relay_run(r);
}

void
relay_connected(struct relay *r, const struct endpoint *up_client)
{
	r->peer[AN_S2C] = PEER_OPEN;
	r->session.up_client = *up_client;
	r->reached = true;
	board_add(r->seat.board, BOARD_CONNECTS, 1);
	r->active[AN_S2C] = r->env->now(r->env->arg);
	relay_run(r);
}

void
relay_peer(struct relay *r, enum an_dir dir, enum relay_peer what)
{
	if (what > r->peer[dir])
		r->peer[dir] = what;
	relay_run(r);
}

void
relay_answered(struct relay *r)
{
	r->ops->answered(r);
	relay_run(r);
}

void
relay_upgrade(struct relay *r, enum an_dir dir)
{
	r->tls[dir] = RELAY_SHAKING;
}

void
relay_begin_tls(struct relay *r)
{
	if (relay_upstream_begin(r) || !r->tls_asked.implicit)
		return;
	switch (r->tls_said.action) {
	case TLS_INTERCEPT:
		relay_upgrade_both(r);
		break;
	case TLS_PASS:
		r->opaque = r->unread = true;
		break;
	case TLS_REFUSE:
		board_session_refused(&r->seat, "tls_refused");
		relay_refuse_tls(r);
		break;
	}
}

bool
relay_stripped(struct relay *r, bool offered)
{
	const struct relay_env *env = r->env;
	const struct tls_offer o = {.protocol = r->ops->protocol,
	    .ip = r->session.up_server.ip,
	    .port = (uint16_t)r->session.up_server.port};
	uint64_t age;

	if (r->stripped || r->facts.tls || r->facts.authenticated || env->offered == NULL ||
	    env->config->tls.stripped == CHECK_OFF)
		return false;
	age = tls_offers_age(env->tls_offers, &o, (uint64_t)r->session.started.tv_sec);
	if (offered && (age == UINT64_MAX || age >= TLS_OFFERS_RENEW))
		env->offered(env->arg, &o);
	r->stripped = !offered && age != UINT64_MAX;
	return r->stripped;
}

bool
relay_intercepts(const struct relay *r, enum starttls word)
{
	return r->env->tls_keys != NULL && !r->facts.tls &&
	       (word == STARTTLS_INTERCEPT || word == STARTTLS_REQUIRE);
}

struct retrieval_policy
relay_retrieval_policy(const struct relay *r, const struct retrieval_policy *configured)
{
	struct retrieval_policy p = *configured;

	if (r->facts.starttls != STARTTLS_AUTO)
		p.starttls = r->facts.starttls;
	if (r->facts.tls) /* once is enough */
		p.starttls = STARTTLS_REFUSE;
	p.needs_tls = r->facts.tls_required && !r->facts.tls;
	p.in_tls = r->facts.tls;
	return p;
}

void
relay_upgrade_refused(struct relay *r)
{
	if (r->facts.tls_required)
		relay_end(r, "tls_rejected", WISH_CLOSE, WISH_CLOSE);
}

void
relay_upgrade_both(struct relay *r)
{
	relay_upgrade(r, AN_C2S);
	relay_upgrade(r, AN_S2C);
}

bool
relay_begins_anew(struct relay *r, enum an_dir dir, const char *why)
{
	if (why != NULL)
		relay_end(r, why, WISH_CLOSE, WISH_CLOSE);
	if (why != NULL && r->env->observed)
		r->lost_track = true;
	if (why != NULL || dir == AN_S2C) /* the client's leg is the last */
		return false;
	r->facts.tls = true;
	return true;
}

void
relay_turn_away(struct relay *r, const char *reason)
{
	r->ops->turn_away(r, reason);
	if (r->tls_asked.implicit && r->tls[AN_C2S] != RELAY_SECURE)
		channel_drop(&r->client);
}

static void
tell_gate(struct relay *r, enum an_dir dir, const char *why)
{
	if (relay_upstream_upgraded(r, dir, why))
		return;
	if (r->tls_asked.implicit)
		relay_begins_anew(r, dir, why);
	else
		r->ops->upgraded(r, dir, why);
}

void
relay_upgraded(struct relay *r, enum an_dir dir, const char *why)
{
	r->tls[dir] = why == NULL ? RELAY_SECURE : RELAY_BROKEN;
	r->plus_offered = false; /* what was said in the clear counts for nothing */
	r->active[dir] = r->wrote[dir] = r->env->now(r->env->arg);
	if (why != NULL)
		channel_drop(relay_from(r, dir));
	else if (r->tap != NULL)
		tapped_secured(r->tap, dir);
	tell_gate(r, dir, why);
	relay_run(r);
}

bool
relay_shaking(const struct relay *r)
{
	return r->tls[AN_C2S] == RELAY_SHAKING || r->tls[AN_S2C] == RELAY_SHAKING;
}

void
relay_data_news(struct relay *r, struct data_pair *pair, const struct data_news *news)
{
	r->ops->data_news(r, pair, news);
	relay_run(r);
}

void
relay_data_octets(struct relay *r, struct data_pair *pair, struct span octets)
{
	r->ops->data_octets(r, pair, octets);
}

/* A handshake has a deadline of its own. */
uint64_t
relay_deadline(const struct relay *r)
{
	if (r->env->observed || r->reason != NULL || relay_shaking(r))
		return 0;
	return r->ops->deadline(r);
}

void
relay_expired(struct relay *r)
{
	r->ops->expired(r);
	relay_run(r);
}

void
relay_end(struct relay *r, const char *reason, enum relay_wish client, enum relay_wish server)
{
	if (r->reason == NULL)
		r->reason = reason;
	if (r->env->observed)
		return;
	if (r->wish[AN_C2S] < client)
		r->wish[AN_C2S] = client;
	if (r->wish[AN_S2C] < server)
		r->wish[AN_S2C] = server;
}

bool
relay_wants_read(const struct relay *r, enum an_dir dir)
{
	const struct channel *from = dir == AN_C2S ? &r->client : &r->server;

	if (r->peer[dir] != PEER_OPEN || r->wish[dir] != WISH_NONE || relay_shaking(r))
		return false;
	/* one block is read ahead, so that octets sent too early are seen */
	if (from->in == NULL || from->end < CHANNEL_BLOCK)
		return true;
	return !from->held && from->begin > 0;
}

bool
relay_over(const struct relay *r)
{
	return r->wish[AN_C2S] != WISH_NONE && r->wish[AN_S2C] != WISH_NONE &&
	       (r->client.queued == 0 || r->wish[AN_C2S] == WISH_RESET) &&
	       (r->server.queued == 0 || r->wish[AN_S2C] == WISH_RESET);
}

const char *
relay_farewell(const struct relay_farewells *f, const char *reason)
{
	const struct {
		const char *reason, *reply;
	} rows[] = {
	    {"no_source_address", f->no_source_address}, {"audit", f->audit}, {"loop", f->loop}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].reason, reason) == 0)
			return rows[i].reply;
	if (span_starts(span_str(reason), span_str("tls_")) ||
	    span_starts(span_str(reason), span_str("server_")))
		return f->server_unreachable;
	return f->limits;
}
