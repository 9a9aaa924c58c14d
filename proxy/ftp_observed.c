/*
 * A session that client and server have had with each other, and that is only looked at (postern
 * read, watch). What was said stays said: nothing is answered, asked, opened or held back, and
 * what the policy would have refused is recorded as refused and followed all the same.
 *
 * The client's next command is looked at when the one ahead of it has its reply, as by the gateway
 * itself: so directories, logins and agreements are those of the moment.
 *
 * A transfer has two ends here, too: the server's last word, and the end of its octets, in any
 * order. The first does not wait for the second: the transfer is parked, and the session goes on.
 */
#include <stdlib.h>

#include "core/reply.h"
#include "ftp_gate.h"

static const struct data_ops *
data_of(const struct ftp_gate *g)
{
	return g->relay.env->data;
}

void
ftp_observed_lost(struct ftp_gate *g)
{
	g->relay.lost_track = true;
}

/* ---- agreements ---- */

/* The control connection's own peer with the port that was said, where another one was said. */
static struct endpoint
behind_nat(const struct endpoint *said, const struct ip *peer)
{
	if (ip_eq(&said->ip, peer))
		return (struct endpoint){.port = 0};
	return (struct endpoint){*peer, said->port};
}

static bool
have_pair(struct ftp_gate *g)
{
	if (g->pair == NULL && data_of(g) != NULL)
		g->pair = data_of(g)->open(g->relay.env->arg, &g->relay);
	return g->pair != NULL;
}

/* Whoever follows data connections is told which one to look for. */
static void
look_for(struct ftp_gate *g, enum ftp_way way, struct endpoint at, struct endpoint also)
{
	const struct record_session *s = &g->relay.session;
	const unsigned seconds = ftp_config_of(g)->timeouts.data_open;
	const struct data_hole hole = {
	    .leg = DATA_CLIENT, .from = s->client.ip, .at = at, .also = also};
	const struct data_dial dial = {
	    .leg = DATA_CLIENT, .to = at, .also = also, .from = {.ip = s->server.ip}};

	ftp_channel_forget(g);
	if (!have_pair(g)) {
		g->relay.client.failed = true;
		return;
	}
	g->agreed = (struct ftp_agreement){.client = way, .server = way, .client_at = at};
	ftp_enter(g, FTP_AGREEING);
	ftp_enter(g, FTP_ANNOUNCED);
	if (ftp_way_is_passive(way))
		data_of(g)->listen(g->pair, &hole, seconds);
	else
		data_of(g)->dial(g->pair, &dial, seconds);
}

/* Where a 227 or 229 leads. False: nowhere. */
static bool
server_waits(struct ftp_gate *g, const struct an_event *ev, struct endpoint *at)
{
	const struct ip *server = &g->relay.session.server.ip;
	struct ftp_hostport said = ev->ftp->hostport;

	if (said.port == 0) /* an anomaly of its own, or not in the capture */
		return false;
	if (said.ip.family == IP_NONE)
		said.ip = *server;
	*at = (struct endpoint){said.ip, said.port};
	switch (ftp_peer_judge(&g->policy, server, &said)) {
	case FTP_PEER_FOREIGN:
		ftp_anomaly(g, AN_FTP_FOREIGN_ADDRESS, AN_S2C, ev->off, NULL);
		break;
	case FTP_PEER_LOW_PORT:
		ftp_anomaly(g, AN_FTP_BAD_DATA_ADDRESS, AN_S2C, ev->off, "low_port");
		break;
	case FTP_PEER_OK:
		break;
	}
	return true;
}

static bool
is_epsv_all(const struct ftp_exchange *x)
{
	return x->verb->verb == FTP_EPSV && x->args != NULL &&
	       span_ieq(span_trim(span_str(x->args)), span_str("ALL"));
}

void
ftp_observed_agreed(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	const struct record_session *s = &g->relay.session;
	const enum ftp_way way = ftp_way_of(x->verb->verb);
	const bool passive = ftp_way_is_passive(way);
	struct endpoint at = g->asked_at;

	if (ev->ftp->code / 100 == 2 && is_epsv_all(x))
		g->epsv_all = true;
	else if (ev->ftp->code / 100 == 2 && (passive ? server_waits(g, ev, &at) : at.port != 0)) {
		x->data_port = at.port;
		x->data_passive = passive;
		look_for(g, way, at, behind_nat(&at, passive ? &s->server.ip : &s->client.ip));
	}
	ftp_pass_reply(g, ev);
}

/* ---- transfers ---- */

static bool
is_running(const struct ftp_gate *g)
{
	return g->stage == FTP_OPENING || g->stage == FTP_FLOWING || g->stage == FTP_ENDING;
}

static void
flow_once(struct ftp_gate *g)
{
	if (g->transfer.flows)
		return;
	g->transfer.flows = true;
	ftp_transfer_flow(g);
}

/*
 * Nothing was agreed on, and the client asks for a transfer: some servers have one PASV for many; a
 * PORT counts once, and behind it data goes to the client's own port (RFC 959 s3.2). It may come
 * ahead of the server's reply, and forgotten it is when that says no.
 */
static void
suppose_agreement(struct ftp_gate *g)
{
	const struct endpoint own = g->relay.session.client, last = g->before.client_at;

	if (ftp_way_is_passive(g->before.client))
		look_for(g, g->before.client, last, behind_nat(&last, &g->relay.session.server.ip));
	else
		look_for(g, FTP_WAY_PORT, own, (struct endpoint){.port = 0});
	g->supposed = true;
}

static void
begin_transfer(struct ftp_gate *g)
{
	if (g->stage != FTP_ANNOUNCED)
		return;
	if (!ftp_transfer_take_over(g)) {
		g->relay.client.failed = true;
		return;
	}
	g->supposed = false;
	ftp_enter(g, FTP_OPENING);
	if (g->transfer.verb->verb != FTP_STOU) /* whose name is not known yet */
		flow_once(g);
}

/* ---- commands ---- */

/* One that is refused, or ahead of which nothing was agreed on, begins when the server agrees. */
static void
asks_for_transfer(struct ftp_gate *g, const struct an_event *ev, bool refused)
{
	const bool agreed = g->stage == FTP_ANNOUNCED;

	if (!agreed && !refused && !g->unheard)
		ftp_anomaly(g, AN_FTP_FILE_BEFORE_PORT, AN_C2S, ev->off, ev->ftp->verb->name);
	if (!agreed)
		suppose_agreement(g);
	else if (!refused)
		begin_transfer(g);
}

/* What was agreed on ends with the attempt at something else, but not with one that is refused. */
static void
asks_for_a_way(struct ftp_gate *g, const struct an_event *ev, bool refused)
{
	const struct ftp_detail *d = ev->ftp;

	g->asked_at = (struct endpoint){d->hostport.ip, d->hostport.port};
	if (!refused)
		ftp_channel_forget(g);
}

void
ftp_observed_command(
    struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev, const struct verdict *v)
{
	const bool refused = v->action == VERDICT_REFUSE;
	struct verdict of_name;

	x->at_server = true;
	if (refused)
		ftp_record_verdict(g, x, v);
	else
		board_verdict(&g->relay.seat, v);
	if (ftp_is_bounce(v))
		ftp_anomaly(g, AN_FTP_BOUNCE, AN_C2S, ev->off, x->verb->name);
	g->out_of_step = ftp_fault_ends(ev->ftp->fault);
	if (x->verb->carries != FTP_NO_TRANSFER) {
		asks_for_transfer(g, ev, refused);
		return;
	}
	switch ((int)x->verb->verb) {
	case FTP_PORT:
	case FTP_EPRT:
	case FTP_PASV:
	case FTP_EPSV:
		asks_for_a_way(g, ev, refused);
		break;
	case FTP_RNTO:
		if (!refused)
			ftp_judge_name(g, x, ev, &of_name);
		break;
	case FTP_ABOR:
		ftp_transfer_abort(g);
		break;
	case FTP_QUIT:
		g->quit = true;
		break;
	default:
		break;
	}
}

/* ---- the end of a transfer ---- */

/*
 * The last reply is, word for word, what the policy has for such content: a gateway has said it,
 * and the client has not the file, or the server not the whole of it.
 */
static bool
says_the_verdict(const struct ftp_transfer *t, const struct an_event *ev)
{
	return t->verdict != NULL && t->verdict->action == VERDICT_REFUSE &&
	       ftp_says(ev, t->verdict);
}

static void
transfer_over(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;

	t->unseen = !t->open[DATA_CLIENT] && t->server_code / 100 == 2;
	if (g->stage == FTP_FLOWING && t->open[DATA_CLIENT] && !t->finished)
		t->cut = true; /* octets were on their way */
	ftp_transfer_forget(g);
}

/* As the gateway decides it: nothing that octets still do can change what it was. */
static bool
is_decided(const struct ftp_gate *g)
{
	const struct ftp_transfer *t = &g->transfer;

	if (g->stage == FTP_ENDING || (g->stage == FTP_OPENING && t->server_code >= 400))
		return true;
	return t->aborted ||
	       (t->server_code >= 400 && (t->verb->carries == FTP_UPLOAD || !t->open[DATA_CLIENT]));
}

static void
finish_parked(struct ftp_gate *g, struct ftp_parked *p)
{
	ftp_parked_swap(g, p);
	if (g->transfer.open[DATA_CLIENT] && g->transfer.why == NULL)
		g->transfer.why = "session_ended";
	transfer_over(g);
	ftp_parked_swap(g, p);
	ftp_parked_free(g, p);
}

void
ftp_observed_finish(struct ftp_gate *g)
{
	while (g->parked != NULL)
		finish_parked(g, g->parked);
}

/* ---- what the server says ---- */

static void
preliminary(struct ftp_gate *g, const struct an_event *ev)
{
	g->transfer.preliminary = true;
	ftp_transfer_learn_name(g, ev);
	if (g->stage == FTP_OPENING)
		ftp_enter(g, FTP_FLOWING);
	flow_once(g);
	ftp_pass_reply(g, ev);
}

static void
last_word(struct ftp_gate *g, const struct an_event *ev)
{
	struct ftp_transfer *t = &g->transfer;

	t->server_code = ev->ftp->code;
	t->told = g->unheard ? 0 : t->server_code;
	ftp_transfer_note_reuse(g, ev);
	ftp_transfer_learn_name(g, ev);
	if (g->stage == FTP_OPENING && t->server_code < 400) {
		ftp_enter(g, FTP_FLOWING);
		flow_once(g);
	}
	if (says_the_verdict(t, ev)) {
		t->refused = true;
		t->why = "content";
	}
	g->before = g->agreed;
	ftp_pass_reply(g, ev);
	if (is_decided(g))
		transfer_over(g);
	else
		ftp_park(g, finish_parked);
}

void
ftp_observed_transfer_reply(struct ftp_gate *g, const struct an_event *ev)
{
	const bool is_its = g->exchange.verb != NULL && g->exchange.slot == ev->slot;

	if (is_its && !is_running(g) && ev->ftp->code < 400)
		begin_transfer(g);
	else if (is_its && g->supposed)
		ftp_channel_forget(g);
	if (!is_its || !is_running(g))
		ftp_pass_reply(g, ev);
	else if (ev->ftp->preliminary)
		preliminary(g, ev);
	else
		last_word(g, ev);
}

/* ---- what happens to the connection ---- */

static void
octets_over(struct ftp_gate *g)
{
	ftp_enter(g, FTP_ENDING);
	if (g->transfer.server_code != 0)
		transfer_over(g);
}

static void
lost_connection(struct ftp_gate *g, const struct data_news *news)
{
	struct ftp_transfer *t = &g->transfer;

	t->why = news->why;
	if (news->what == DATA_CUT)
		t->cut = true;
	else
		t->unreachable = true;
	octets_over(g);
}

static void
transfer_news(struct ftp_gate *g, const struct data_news *news)
{
	if (!is_running(g) || g->stage == FTP_ENDING)
		return; /* its fate is known */
	switch (news->what) {
	case DATA_OPEN:
		ftp_leg_opened(g, news);
		break;
	case DATA_UNREACHABLE:
	case DATA_CUT:
		lost_connection(g, news);
		break;
	case DATA_SOURCE_END:
		ftp_content_passes(g); /* or would not: t->verdict */
		data_of(g)->release(g->transfer.pair);
		break;
	case DATA_DONE:
		g->transfer.finished = true;
		octets_over(g);
		break;
	case DATA_LISTENING:
	case DATA_INTRUDER:
		break; /* of holes, which nobody opens here */
	}
}

struct ftp_transfer *
ftp_observed_transfer(struct ftp_gate *g, const struct data_pair *pair)
{
	struct ftp_parked *p;

	if (pair == g->transfer.pair)
		return &g->transfer;
	p = ftp_parked_of(g, pair);
	return p == NULL ? NULL : &p->transfer;
}

void
ftp_observed_news(struct ftp_gate *g, struct data_pair *pair, const struct data_news *news)
{
	struct ftp_parked *p;
	bool over;

	if (pair == g->transfer.pair) {
		transfer_news(g, news);
		return;
	}
	p = ftp_parked_of(g, pair);
	if (p == NULL)
		return;
	ftp_parked_swap(g, p);
	transfer_news(g, news);
	over = g->stage == FTP_IDLE;
	ftp_parked_swap(g, p);
	if (over)
		ftp_parked_free(g, p);
}

/* ---- commands without a reply ---- */

/* False: it is none, or what follows it would depend on its reply. */
static bool
look_at_next(struct ftp_gate *g)
{
	struct channel *client = &g->relay.client;
	struct span in = channel_input(client);
	struct an_event ev;
	size_t used;

	ftp_transfer_finish(g);
	ftp_record_exchange(g, &g->exchange);
	while (g->n_meanwhile > 0)
		ftp_record_exchange(g, &g->meanwhile[0]);
	if (ftp_state(g->dialogue) == FTP_ST_SYNC || ftp_state(g->dialogue) == FTP_ST_OPAQUE)
		return false;
	while (ftp_answered_oldest(g->dialogue, 221))
		continue;
	if (ftp_feed(g->dialogue, AN_C2S, in.p, in.n, &used, &ev) != AN_EVENT)
		return false;
	if (ev.kind == EV_COMMAND)
		ftp_command(g, &ev);
	channel_parsed(client, used);
	return true;
}

void
ftp_observed_rest(struct ftp_gate *g)
{
	if (!ftp_observed(g) || g->dialogue == NULL || g->relay.lost_track)
		return;
	while (channel_input(&g->relay.client).n > 0 && g->resync[AN_C2S] == FTP_IN_STEP &&
	       look_at_next(g))
		continue;
}

/* ---- a server that is not heard ---- */

/* The greeting was said, and is in no record. */
static void
suppose_greeting(struct ftp_gate *g)
{
	ftp_answered_oldest(g->dialogue, 220);
	buf_free(&g->exchange.texts);
	g->exchange = (struct ftp_exchange){0};
	g->relay.tx_count = 0;
}

bool
ftp_observed_unheard(struct ftp_gate *g)
{
	if (ftp_state(g->dialogue) == FTP_ST_GREETING)
		suppose_greeting(g);
	g->unheard = true;
	return true;
}

/* What a server says when it does what it was told. */
static unsigned
usual_code(enum ftp_verb verb)
{
	static const struct {
		enum ftp_verb verb;
		unsigned code;
	} rows[] = {{FTP_USER, 331}, {FTP_PASS, 230}, {FTP_REST, 350}, {FTP_RNFR, 350},
	    {FTP_AUTH, 234}, {FTP_QUIT, 221}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].verb == verb)
			return rows[i].code;
	return 200;
}

static void
suppose_reply(struct ftp_gate *g, const struct ftp_verb_row *verb, unsigned code)
{
	struct ftp_detail detail = {
	    .verb = verb, .code = code, .lines = 1, .preliminary = code < 200};
	struct an_event ev = {
	    .kind = EV_REPLY, .dir = AN_S2C, .slot = g->exchange.slot, .ftp = &detail};

	ftp_dispatch(g, &ev);
}

void
ftp_observed_suppose(struct ftp_gate *g)
{
	const struct ftp_verb_row *verb = g->exchange.verb;
	const bool carries = verb != NULL && verb->carries != FTP_NO_TRANSFER;

	if (!g->unheard || verb == NULL)
		return;
	ftp_answered_oldest(g->dialogue, usual_code(verb->verb));
	if (carries)
		suppose_reply(g, verb, 150);
	suppose_reply(g, verb, carries ? 226 : usual_code(verb->verb));
}

/* ---- a session whose beginning is not there ---- */

bool
ftp_observed_joined(struct ftp_gate *g)
{
	suppose_greeting(g);
	g->resync[AN_C2S] = g->resync[AN_S2C] = FTP_AT_LINE;
	return true;
}

static size_t
verb_length(struct span in)
{
	size_t n = 0;

	while (n < in.n && octet_is_alpha(in.p[n]))
		n++;
	return n;
}

/* A line of the client's that begins with a verb; of the server's: one that begins like a reply. */
static bool
begins_well(enum an_dir dir, struct span line)
{
	enum ftp_verb verb;

	if (dir == AN_S2C)
		return line.n > 0 && octet_is_digit(line.p[0]);
	verb = ftp_verb_find(span_first(line, verb_length(line)))->verb;
	return verb != FTP_UNKNOWN && verb != FTP_FOREIGN;
}

bool
ftp_observed_resync(struct ftp_gate *g, enum an_dir dir, struct span in, size_t *skip)
{
	ptrdiff_t end;

	*skip = 0;
	if (g->resync[dir] == FTP_IN_STEP || in.n == 0)
		return g->resync[dir] != FTP_IN_STEP;
	end = span_find(in, '\n');
	if (g->resync[dir] == FTP_AT_LINE && end >= 0 && begins_well(dir, in) &&
	    (dir == AN_C2S || g->resync[AN_C2S] == FTP_IN_STEP)) {
		g->resync[dir] = FTP_IN_STEP;
		return false;
	}
	if (end < 0 && in.n < FTP_RESYNC_MAX && g->resync[dir] == FTP_AT_LINE)
		return true;
	g->resync[dir] = end < 0 ? FTP_WITHIN_LINE : FTP_AT_LINE;
	*skip = end < 0 ? in.n : (size_t)end + 1;
	return true;
}

/* ---- ABOR ---- */

/* 200, 225, 226, 250 and all that says no: what an ABOR may hear (RFC 959 s5.4, and practice). */
static bool
may_answer_abor(unsigned code)
{
	return code >= 400 || code == 200 || code == 225 || code == 226 || code == 250;
}

bool
ftp_observed_abor(struct ftp_gate *g, struct span in)
{
	struct ftp_exchange *x = ftp_abor_that_waits(g);

	if (g->mid_reply || x == NULL || ftp_oldest_verb(g->dialogue)->verb != FTP_ABOR)
		return true;
	if (in.n < 3)
		return false;
	if (may_answer_abor(reply_code_ftp(span_first(in, 3))))
		return true;
	ftp_answered_oldest(g->dialogue, 226);
	ftp_record_exchange(g, x);
	return true;
}
