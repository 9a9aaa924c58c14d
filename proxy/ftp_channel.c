#include <stdio.h>

#include "ftp_gate.h"
#include "ftp_servers.h"

#define ACTIVE_SOURCE_PORT 20 /* RFC 959 s5.2: data comes from the port next to that of control */

static const struct {
	enum ftp_verb verb;
	bool passive; /* who gave this command connects */
	bool v4_only;
	unsigned refused; /* enum ftp_server_refuses */
	const char *done; /* what a client hears */
} ways[] = {
    [FTP_WAY_NONE] = {FTP_NONE, false, false, 0, NULL},
    [FTP_WAY_PORT] = {FTP_PORT, false, true, 0, "200 PORT command successful."},
    [FTP_WAY_EPRT] = {FTP_EPRT, false, false, FTP_REFUSES_EPRT, "200 EPRT command successful."},
    [FTP_WAY_PASV] = {FTP_PASV, true, true, FTP_REFUSES_PASV, NULL},
    [FTP_WAY_EPSV] = {FTP_EPSV, true, false, FTP_REFUSES_EPSV, NULL},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

enum ftp_way
ftp_way_of(enum ftp_verb verb)
{
	for (enum ftp_way way = FTP_WAY_PORT; way < WAYS; way++)
		if (ways[way].verb == verb)
			return way;
	return FTP_WAY_NONE;
}

bool
ftp_way_is_passive(enum ftp_way way)
{
	return ways[way].passive;
}

bool
ftp_transparent(const struct ftp_gate *g)
{
	return g->relay.session.forward == NULL && g->relay.env->config->mode == INTERCEPT_TPROXY;
}

/* ---- no agreement, for one reason or another ---- */

static void
close_pair(struct ftp_gate *g)
{
	if (g->pair != NULL)
		g->relay.env->data->close(g->pair);
	g->pair = NULL;
}

void
ftp_channel_forget(struct ftp_gate *g)
{
	close_pair(g);
	g->supposed = false;
	g->agreed = (struct ftp_agreement){.client = FTP_WAY_NONE};
	g->transfer = (struct ftp_transfer){.verb = NULL}; /* legs that were open already */
	ftp_enter(g, FTP_IDLE);
}

static void
no_agreement(struct ftp_gate *g, const char *reply)
{
	ftp_channel_forget(g);
	ftp_say(g, reply);
}

static void
no_connection(struct ftp_gate *g)
{
	no_agreement(g, "425 Can't open data connection.");
}

static bool
have_pair(struct ftp_gate *g)
{
	const struct data_ops *data = g->relay.env->data;

	if (g->pair == NULL && data != NULL)
		g->pair = data->open(g->relay.env->arg, &g->relay);
	return g->pair != NULL;
}

/* ---- the server's side ---- */

/*
 * In which order the server is asked. A client that uses the extensions (RFC 2428) has them tried
 * first, since its server most likely has them too.
 */
static const enum ftp_way *
order(const struct ftp_gate *g)
{
	static const enum ftp_way passive[2][WAYS] = {
	    {FTP_WAY_PASV, FTP_WAY_EPSV, FTP_WAY_PORT, FTP_WAY_EPRT, FTP_WAY_NONE},
	    {FTP_WAY_EPSV, FTP_WAY_PASV, FTP_WAY_EPRT, FTP_WAY_PORT, FTP_WAY_NONE},
	};
	static const enum ftp_way active[2][WAYS] = {
	    {FTP_WAY_PORT, FTP_WAY_EPRT, FTP_WAY_NONE},
	    {FTP_WAY_EPRT, FTP_WAY_PORT, FTP_WAY_NONE},
	};
	bool extended = g->agreed.client == FTP_WAY_EPRT || g->agreed.client == FTP_WAY_EPSV;

	if (ftp_config_of(g)->server_data_same && !ways[g->agreed.client].passive)
		return active[extended];
	return passive[extended];
}

/* The first one that was not tried yet and, if there is one, that it is not known to refuse. */
static enum ftp_way
next_way(const struct ftp_gate *g)
{
	const struct ip *server = &g->relay.session.up_server.ip;
	unsigned refused = ftp_servers_refuse(g->relay.env->ftp_servers, server, ftp_now(g));
	enum ftp_way second = FTP_WAY_NONE;

	for (const enum ftp_way *way = order(g); *way != FTP_WAY_NONE; way++) {
		if ((g->agreed.tried & 1u << *way) != 0 ||
		    (ways[*way].v4_only && server->family != IP_V4))
			continue;
		if ((ways[*way].refused & refused) == 0)
			return *way;
		if (second == FTP_WAY_NONE)
			second = *way;
	}
	return second;
}

/* A hole for the server; in tproxy mode the address there is the client's own. */
static void
wait_for_server(struct ftp_gate *g)
{
	const struct record_session *s = &g->relay.session;
	struct data_hole hole = {
	    .leg = DATA_SERVER, .from = s->up_server.ip, .at = {.ip = s->up_client.ip}};

	ftp_take(g); /* the server is told of the hole, and not of the command, once it is open */
	if (have_pair(g))
		g->relay.env->data->listen(g->pair, &hole, ftp_config_of(g)->timeouts.data_open);
	else
		no_connection(g);
}

static void
ask_server(struct ftp_gate *g)
{
	enum ftp_way way = next_way(g);

	g->agreed.server = way;
	g->agreed.tried |= 1u << way;
	if (way == FTP_WAY_NONE)
		no_connection(g);
	else if (ways[way].passive)
		ftp_ask(g, ways[way].verb, NULL);
	else
		wait_for_server(g);
}

/* The hole for the server is open: it is told where. */
static void
tell_server(struct ftp_gate *g)
{
	struct ftp_hostport at = {g->agreed.server_at.ip, g->agreed.server_at.port};
	char text[FTP_HOSTPORT_MAX];

	if (g->agreed.server == FTP_WAY_PORT)
		ftp_ask(g, FTP_PORT, ftp_port_text(&at, text));
	else
		ftp_ask(g, FTP_EPRT, ftp_eprt_text(&at, text));
}

/* ---- the client's side ---- */

static void
announce(struct ftp_gate *g)
{
	struct ftp_hostport at = {g->agreed.client_at.ip, g->agreed.client_at.port};
	char text[FTP_HOSTPORT_MAX], reply[FTP_HOSTPORT_MAX + 48];

	g->exchange.data_port = at.port;
	g->exchange.data_passive = ways[g->agreed.client].passive;
	ftp_enter(g, FTP_ANNOUNCED);
	if (!ways[g->agreed.client].passive)
		snprintf(reply, sizeof(reply), "%s", ways[g->agreed.client].done);
	else if (g->agreed.client == FTP_WAY_PASV)
		snprintf(
		    reply, sizeof(reply), "227 Entering Passive Mode %s.", ftp_227_text(&at, text));
	else
		snprintf(reply, sizeof(reply), "229 Entering Extended Passive Mode %s",
		    ftp_229_text(&at, text));
	ftp_say(g, reply);
}

/*
 * Files that nobody looks into need not pass through the gateway where both sides want the same
 * connection anyway. Nobody else than the control connection's peers may use it, so not with fxp.
 */
static bool
let_by(struct ftp_gate *g)
{
	const struct record_session *s = &g->relay.session;
	struct endpoint client = {.ip = s->client.ip};

	if (ftp_config_of(g)->inspect || g->protected[DATA_CLIENT] || g->protected[DATA_SERVER] ||
	    !ftp_transparent(g) || !ways[g->agreed.server].passive ||
	    !ip_eq(&g->agreed.server_at.ip, &s->server.ip))
		return false;
	return g->relay.env->data->let_by(
	    g->pair, &client, &g->agreed.server_at, ftp_config_of(g)->timeouts.data_open);
}

/*
 * A hole for the client: where sessions are taken off the wire at the server's own address and
 * port, which is why a 227 can say what the server said; else (forward) at our own.
 */
static void
open_hole(struct ftp_gate *g)
{
	const struct data_hole hole = {
	    .leg = DATA_CLIENT, .from = g->relay.session.client.ip, .at = g->agreed.client_at};

	g->relay.env->data->listen(g->pair, &hole, ftp_config_of(g)->timeouts.data_open);
}

static void
wait_for_client(struct ftp_gate *g)
{
	if (!have_pair(g)) {
		no_connection(g);
		return;
	}
	g->agreed.client_at = (struct endpoint){.ip = g->relay.session.server.ip};
	if (ways[g->agreed.server].passive)
		g->agreed.client_at.port = g->agreed.server_at.port;
	g->agreed.let_by = let_by(g);
	if (!g->agreed.let_by)
		open_hole(g);
}

static void
server_agreed(struct ftp_gate *g)
{
	if (ways[g->agreed.client].passive)
		wait_for_client(g);
	else
		announce(g);
}

/* ---- commands of the client ---- */

static const char *
family_fault(const struct ftp_gate *g, const struct ftp_detail *d)
{
	enum ip_family family = g->relay.session.client.ip.family;

	if (d->verb->verb == FTP_PASV && family != IP_V4)
		return "425 PASV is of IPv4, use EPSV.";
	if (d->verb->verb != FTP_EPSV || d->epsv == FTP_EPSV_ANY ||
	    d->epsv == (family == IP_V4 ? FTP_EPSV_V4 : FTP_EPSV_V6))
		return NULL;
	return family == IP_V4 ? "522 Network protocol not supported, use (1)."
			       : "522 Network protocol not supported, use (2).";
}

void
ftp_channel_command(struct ftp_gate *g, const struct an_event *ev)
{
	const struct ftp_detail *d = ev->ftp;
	const char *fault = family_fault(g, d);

	ftp_channel_forget(g);
	if (d->verb->verb == FTP_EPSV && d->epsv == FTP_EPSV_ALL) {
		/* a promise of the client's, which we hold it to; the server's side stays free */
		g->epsv_all = true;
		ftp_say(g, "200 EPSV ALL command successful.");
		return;
	}
	if (fault != NULL) {
		ftp_say(g, fault);
		return;
	}
	g->agreed.client = ftp_way_of(d->verb->verb);
	g->agreed.client_at = (struct endpoint){d->hostport.ip, d->hostport.port};
	ftp_enter(g, FTP_AGREEING);
	if (!ftp_protect_server(g))
		ask_server(g);
}

void
ftp_channel_go_on(struct ftp_gate *g, bool protected)
{
	if (g->stage != FTP_AGREEING)
		return;
	if (protected)
		ask_server(g);
	else
		no_agreement(g, "425 The server does not protect data connections.");
}

/* ---- what the server says to ours ---- */

/* This way is not for that server; it is asked for the next one. */
static void
server_refused(struct ftp_gate *g, unsigned code)
{
	const struct ip *server = &g->relay.session.up_server.ip;

	close_pair(g); /* there was a hole for PORT or EPRT at most */
	if (code == 530) {
		no_agreement(g, "530 Please log in with USER and PASS.");
	} else if (code < 500 || code == 503) {
		no_connection(g);
	} else {
		ftp_servers_note(
		    g->relay.env->ftp_servers, server, ways[g->agreed.server].refused, ftp_now(g));
		ask_server(g);
	}
}

/*
 * Where a 227 or 229 leads: to the control connection's peer, whatever else it says, but for
 * networks of "fxp" (RFC 2577 s3; F-005, F8).
 */
static void
server_waits(struct ftp_gate *g, const struct an_event *ev)
{
	const struct ftp_policy *policy = &g->policy;
	const struct ip *server = &g->relay.session.up_server.ip;
	struct ftp_hostport at = ev->ftp->hostport;

	if (at.port == 0) {
		ftp_anomaly(g, AN_FTP_BAD_DATA_ADDRESS, AN_S2C, ev->off, NULL);
		no_connection(g);
		return;
	}
	if (at.ip.family == IP_NONE)
		at.ip = *server;
	if (ftp_peer_judge(policy, server, &at) == FTP_PEER_FOREIGN) {
		ftp_anomaly(g, AN_FTP_FOREIGN_ADDRESS, AN_S2C, ev->off, NULL);
		at.ip = *server;
	}
	if (ftp_peer_judge(policy, server, &at) == FTP_PEER_LOW_PORT) {
		ftp_anomaly(g, AN_FTP_BAD_DATA_ADDRESS, AN_S2C, ev->off, "low_port");
		ftp_channel_forget(g);
		ftp_give_up(g, "425 Can't open data connection.", "ftp_low_port");
		return;
	}
	g->agreed.server_at = (struct endpoint){at.ip, at.port};
	server_agreed(g);
}

void
ftp_channel_reply(struct ftp_gate *g, const struct an_event *ev)
{
	if (ev->ftp->verb->verb == FTP_PBSZ || ev->ftp->verb->verb == FTP_PROT) {
		ftp_protection_own_reply(g, ev);
		return;
	}
	if (ftp_way_of(ev->ftp->verb->verb) == FTP_WAY_NONE) {
		ftp_transfer_own_reply(g, ev);
		return;
	}
	if (g->stage != FTP_AGREEING)
		return;
	if (ev->ftp->code >= 400 || ev->ftp->code == 0)
		server_refused(g, ev->ftp->code);
	else if (ways[g->agreed.server].passive)
		server_waits(g, ev);
	else
		server_agreed(g);
}

/* ---- news of holes and of those who come to them ---- */

static void
hole_is_open(struct ftp_gate *g, const struct data_news *news)
{
	if (news->leg == DATA_SERVER && !g->agreed.let_by) {
		g->agreed.server_at = news->at;
		tell_server(g);
		return;
	}
	if (!g->agreed.let_by)
		g->agreed.client_at = news->at;
	announce(g);
}

void
ftp_leg_opened(struct ftp_gate *g, const struct data_news *news)
{
	g->transfer.open[news->leg] = true;
	g->transfer.ends[news->leg][0] = news->peer;
	g->transfer.ends[news->leg][1] = news->at;
}

void
ftp_intruder(struct ftp_gate *g, const struct data_news *news)
{
	ftp_anomaly(g, AN_FTP_DATA_INTRUDER, news->leg == DATA_CLIENT ? AN_C2S : AN_S2C, 0,
	    news->leg == DATA_CLIENT ? "client_leg" : "server_leg");
}

void
ftp_nobody_came(struct ftp_gate *g, const struct data_news *news)
{
	ftp_anomaly(
	    g, AN_FTP_UNUSED_HOLE, news->leg == DATA_CLIENT ? AN_C2S : AN_S2C, 0, news->why);
}

/* A hole could not be opened, or nobody came in time, or who came has left again. */
static void
hole_is_gone(struct ftp_gate *g, const struct data_news *news)
{
	if (g->stage == FTP_AGREEING && g->agreed.let_by) {
		/* another one of theirs still passes on that port: this one goes through us */
		g->agreed.let_by = false;
		open_hole(g);
		return;
	}
	if (g->stage == FTP_AGREEING) {
		no_connection(g);
		return;
	}
	if (news->what == DATA_UNREACHABLE)
		ftp_nobody_came(g, news);
	ftp_channel_forget(g);
}

void
ftp_channel_news(struct ftp_gate *g, const struct data_news *news)
{
	switch (news->what) {
	case DATA_LISTENING:
		if (g->stage == FTP_AGREEING)
			hole_is_open(g, news);
		break;
	case DATA_OPEN:
		ftp_leg_opened(g, news);
		break;
	case DATA_UNREACHABLE:
	case DATA_CUT:
		hole_is_gone(g, news);
		break;
	case DATA_INTRUDER:
	case DATA_SOURCE_END:
	case DATA_DONE:
		break; /* anybody's; of a transfer only */
	}
}

/* ---- legs that we open, when a transfer begins ---- */

void
ftp_dial_server(struct ftp_gate *g)
{
	const struct record_session *s = &g->relay.session;
	struct data_dial dial = {.leg = DATA_SERVER, .to = g->agreed.server_at};

	/* from where the control connection comes: servers hold the two against each other */
	if (dial.to.ip.family == s->up_client.ip.family)
		dial.from.ip = s->up_client.ip;
	g->relay.env->data->dial(g->transfer.pair, &dial, ftp_config_of(g)->timeouts.data_open);
}

void
ftp_dial_client(struct ftp_gate *g)
{
	const struct record_session *s = &g->relay.session;
	struct data_dial dial = {.leg = DATA_CLIENT, .to = g->agreed.client_at};
	bool own = s->forward != NULL;

	/* in redirect mode the address that the client spoke to is not ours to speak from */
	if ((own || ftp_transparent(g)) && dial.to.ip.family == s->server.ip.family)
		dial.from.ip = s->server.ip;
	if (ftp_transparent(g))
		dial.from.port = ACTIVE_SOURCE_PORT;
	g->relay.env->data->dial(g->transfer.pair, &dial, ftp_config_of(g)->timeouts.data_open);
}
