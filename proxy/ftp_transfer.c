/*
 * A transfer, from its command to its one outcome.
 *
 * Two things end it, in any order: the fate of its octets (all are through, cut, refused, never
 * possible), and the server's last word. The client hears the one only when the other is known,
 * but for what the server cannot change any more: a refusal, or a client that cannot be reached.
 *
 *            command        1xx               fate of the octets      last word
 *   ANNOUNCED ------> OPENING -----> FLOWING ------------------> ENDING --------> IDLE
 *                        |              |  last word (held), then fate              ^
 *                        +--------------+-------------------------------------------+
 */
#include "ftp_gate.h"

#include <stdlib.h>
#include <string.h>

#include "ftp/command.h"

#define NO_CONNECTION "425 Can't open data connection."
#define REFUSED	      "550 File refused."
#define BROKEN	      "426 Data connection closed; transfer aborted."
#define NOT_RESUMED   "522 The session of the control connection has to be resumed."

/*
 * Milliseconds for the server's own word, which is better than ours: one that could not be reached
 * may have refused the command at the same moment, and one that was told to abort may do so.
 */
#define LAST_WORD_MS 1000

/* Milliseconds for the answer to ABOR behind that to the transfer; Pure-FTPd has one for both. */
#define ABOR_ANSWER_MS 3000

void
ftp_enter(struct ftp_gate *g, enum ftp_stage stage)
{
	/* what may follow what */
	static const bool legal[FTP_STAGES][FTP_STAGES] = {
	    [FTP_IDLE] = {[FTP_IDLE] = true, [FTP_AGREEING] = true},
	    [FTP_AGREEING] = {[FTP_IDLE] = true, [FTP_ANNOUNCED] = true},
	    [FTP_ANNOUNCED] = {[FTP_IDLE] = true, [FTP_OPENING] = true},
	    [FTP_OPENING] = {[FTP_IDLE] = true, [FTP_FLOWING] = true, [FTP_ENDING] = true},
	    [FTP_FLOWING] = {[FTP_IDLE] = true, [FTP_ENDING] = true},
	    [FTP_ENDING] = {[FTP_IDLE] = true},
	};

	/* a fault of this program: better no session than half a file */
	if (!legal[g->stage][stage])
		relay_end(&g->relay, "illegal_stage", WISH_RESET, WISH_RESET);
	g->stage = stage;
}

static const struct data_ops *
data_of(const struct ftp_gate *g)
{
	return g->relay.env->data;
}

static bool
is_upload(const struct ftp_transfer *t)
{
	return t->verb->carries == FTP_UPLOAD;
}

static bool
is_running(const struct ftp_gate *g)
{
	return g->stage == FTP_OPENING || g->stage == FTP_FLOWING || g->stage == FTP_ENDING;
}

/* ---- its end ---- */

const char *
ftp_transfer_outcome(const struct ftp_transfer *t)
{
	/* a server that refuses a command may have closed its port ahead of saying so */
	bool rejected = t->server_code >= 500 && !t->preliminary;

	if (t->unseen)
		return "unseen";
	if (t->refused)
		return "refused";
	if (t->unreachable && !rejected)
		return "unreachable";
	if (t->aborted && (!t->finished || t->server_code >= 400))
		return "aborted";
	if (t->cut && !rejected)
		return "cut";
	if (t->server_code >= 400)
		return t->preliminary ? "failed" : "rejected";
	return t->finished && t->server_code != 0 ? "complete" : "cut";
}

/* The client is told, if it was not yet. reply NULL: what the server said, which is held. */
static void
tell(struct ftp_gate *g, const char *reply)
{
	struct ftp_transfer *t = &g->transfer;

	if (g->exchange.verb == NULL)
		return;
	t->told = reply == NULL ? t->server_code : (unsigned)strtoul(reply, NULL, 10);
	if (g->held_code >= 200)
		ftp_release_reply(g, reply);
	else if (reply != NULL)
		ftp_say(g, reply);
}

/* In place of what the server said; NULL: that. */
static const char *
own_reply(const struct ftp_transfer *t)
{
	if (t->refused)
		return t->verdict == NULL ? REFUSED : t->verdict->reply;
	if (t->why != NULL && strcmp(t->why, "tls_not_resumed") == 0)
		return NOT_RESUMED;
	if (t->server_code >= 400 || t->finished)
		return NULL;
	return t->unreachable ? NO_CONNECTION : BROKEN;
}

static void
note_stray(struct ftp_gate *g)
{
	const struct ftp_transfer *t = &g->transfer;

	if (t->pair != NULL && data_of(g)->count(t->pair)->stray > 0)
		ftp_anomaly(g, AN_FTP_DATA_STRAY, is_upload(t) ? AN_S2C : AN_C2S, 0, t->verb->name);
}

/* F-031: never in silence, but said once. */
static void
note_not_resumed(struct ftp_gate *g)
{
	const struct data_tls *tls;

	if (g->transfer.pair == NULL || g->not_resumed || ftp_observed(g))
		return;
	tls = &data_of(g)->count(g->transfer.pair)->tls[DATA_SERVER];
	if (tls->version == NULL || tls->resumed)
		return;
	g->not_resumed = true;
	ftp_anomaly(g, AN_FTP_NOT_RESUMED, AN_S2C, 0, g->transfer.verb->name);
}

/* Without a word to the client, if it was not told anything. */
void
ftp_transfer_forget(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;

	note_stray(g);
	note_not_resumed(g);
	ftp_record_transfer(g);
	if (t->pair != NULL)
		data_of(g)->close(t->pair);
	mail_free(t->content);
	free(t->verdict);
	free(t->name);
	free(t->path);
	*t = (struct ftp_transfer){.verb = NULL};
	g->agreed = (struct ftp_agreement){.client = FTP_WAY_NONE};
	ftp_enter(g, FTP_IDLE);
}

static void
transfer_over(struct ftp_gate *g)
{
	tell(g, own_reply(&g->transfer));
	ftp_transfer_forget(g);
}

const char *
ftp_transfer_kept(const struct ftp_gate *g)
{
	const struct ftp_transfer *t = &g->transfer;

	if (!t->refused || ftp_observed(g) || !is_upload(t) || !ftp_config_of(g)->delete_refused ||
	    t->deleted)
		return NULL;
	if (t->existed)
		return "existed";
	return t->created ? "not_deleted" : "no_evidence";
}

/* An upload that was refused leaves a piece at the server; what was there before is never touched.
 */
static bool
cleans_up(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;

	if (!t->refused || !t->created || t->name == NULL || !ftp_config_of(g)->delete_refused)
		return false;
	ftp_ask(g, FTP_DELE, t->name);
	return true;
}

/* Both are known: the fate of the octets, and the server's last word. */
static void
conclude(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;

	if (g->stage == FTP_FLOWING && t->open[DATA_CLIENT] && t->open[DATA_SERVER])
		t->cut = true; /* octets were on their way */
	t->due = 0;
	if (t->aborted)
		g->abor_due = ftp_now(g) + ABOR_ANSWER_MS;
	if (!cleans_up(g))
		transfer_over(g);
}

/* Nothing flows any more. A 1xx that is held goes out ahead of what comes next. */
static void
octets_over(struct ftp_gate *g)
{
	g->transfer.due = 0;
	ftp_enter(g, FTP_ENDING);
	if (g->transfer.server_code != 0)
		conclude(g);
	else
		ftp_release_reply(g, NULL);
}

/* ---- its beginning ---- */

static char *
copy(const char *s)
{
	return s == NULL ? NULL : strdup(s);
}

static char *
copy_name(const struct ftp_exchange *x)
{
	struct span name = ftp_name_in(x->verb, x->args == NULL ? SPAN_NONE : span_str(x->args));

	return name.n == 0 ? NULL : strndup((const char *)name.p, name.n);
}

/* The legs may be open already, or on their way: what is known of them stays. */
bool
ftp_transfer_take_over(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;
	const struct ftp_exchange *x = &g->exchange;
	bool listing = x->verb->carries == FTP_LISTING;

	if (g->pair == NULL && !g->agreed.let_by && data_of(g) != NULL)
		g->pair = data_of(g)->open(g->relay.env->arg, &g->relay);
	if (g->pair == NULL)
		return false;
	t->pair = g->pair;
	g->pair = NULL;
	t->verb = x->verb;
	t->tx_id = x->tx_id;
	t->began = ftp_now(g);
	/* some servers keep it over a listing: a whole file taken for a piece is no harm */
	t->restart = listing ? 0 : g->restart;
	if (!listing)
		g->restart = 0;
	/* STOU: it is the server that names the file */
	t->name = x->verb->verb == FTP_STOU ? NULL : copy_name(x);
	t->path = x->verb->verb == FTP_STOU ? NULL : copy(x->path);
	return true;
}

/*
 * Would the name be this session's? Only then may a refused upload be deleted. In ASCII mode many
 * servers refuse SIZE of every file (RFC 3659 s4), which says nothing; and of some names MDTM would
 * set the time of another file.
 */
static bool
wants_to_know(const struct ftp_gate *g)
{
	const struct ftp_transfer *t = &g->transfer;

	return ftp_config_of(g)->delete_refused && t->verb->verb == FTP_STOR && t->name != NULL &&
	       t->restart == 0 && !g->ascii && ftp_content_may_refuse(g) &&
	       !ftp_mdtm_sets_time(span_str(t->name));
}

/*
 * 550 to one of these alone proves nothing: a server may say it for want of a right, or of the
 * verb (RFC 3659 s2.3). False: all that can be asked were.
 */
static const enum ftp_verb witnesses[] = {FTP_SIZE, FTP_MDTM, FTP_MLST};

static bool
ask_whether_it_is_there(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;
	size_t n = sizeof(witnesses) / sizeof(witnesses[0]) - (g->mlst ? 0 : 1);

	if (t->asked == n)
		return false;
	ftp_ask(g, witnesses[t->asked++], t->name);
	return true;
}

/* One that does not know, or knows the name, decides; else all of them have to be heard. */
static void
witness_spoke(struct ftp_gate *g, unsigned code)
{
	struct ftp_transfer *t = &g->transfer;

	t->existed = code / 100 == 2;
	if (code == 550 && ask_whether_it_is_there(g))
		return;
	t->created = code == 550;
	ftp_forward(g, NULL);
}

void
ftp_transfer_begin(struct ftp_gate *g, const struct an_event *ev)
{
	if (g->stage != FTP_ANNOUNCED) {
		/* the server does not hear of it, and keeps what REST said */
		ftp_anomaly(g, AN_FTP_FILE_BEFORE_PORT, AN_C2S, ev->off, ev->ftp->verb->name);
		ftp_say(g, "425 Use PORT or PASV first.");
		return;
	}
	if (!ftp_transfer_take_over(g)) {
		ftp_channel_forget(g);
		ftp_say(g, NO_CONNECTION);
		return;
	}
	ftp_enter(g, FTP_OPENING);
	if (ftp_way_is_passive(g->agreed.server) && !g->agreed.let_by)
		ftp_dial_server(g);
	if (!wants_to_know(g) || !ask_whether_it_is_there(g))
		ftp_forward(g, ev);
}

void
ftp_transfer_own_reply(struct ftp_gate *g, const struct an_event *ev)
{
	struct ftp_transfer *t = &g->transfer;

	enum ftp_verb verb = ev->ftp->verb->verb;

	if (verb == FTP_DELE && g->stage == FTP_ENDING) {
		t->deleted = ev->ftp->code / 100 == 2;
		transfer_over(g);
	} else if (t->asked > 0 && verb == witnesses[t->asked - 1] && g->stage == FTP_OPENING) {
		witness_spoke(g, ev->ftp->code);
	}
}

/* ---- what the server says ---- */

/* "150 FILE: name" (RFC 1123 s4.1.2.9), in any line of a reply; empty: it has none. */
static struct span
name_in(struct span lines)
{
	struct span label = span_str("FILE:");

	while (lines.n > 0) {
		ptrdiff_t end = span_find(lines, '\n');
		struct span line = end < 0 ? lines : span_first(lines, (size_t)end);
		struct span text = span_trim(span_from(line, 4)); /* code, blank or hyphen */

		if (span_istarts(text, label)) {
			text = span_trim(span_from(text, label.n));
			if (text.n > 0 && text.p[text.n - 1] == '\r')
				text.n--;
			return text;
		}
		lines = span_from(lines, end < 0 ? lines.n : (size_t)end + 1);
	}
	return SPAN_NONE;
}

/* STOU: the server says what it calls the file, in its first word or in its last. */
void
ftp_transfer_learn_name(struct ftp_gate *g, const struct an_event *ev)
{
	struct ftp_transfer *t = &g->transfer;
	struct span name = name_in(ev->octets);
	struct buf path;

	if (t->verb->verb != FTP_STOU || t->name != NULL || name.n == 0 ||
	    span_find(name, '\0') >= 0)
		return;
	t->name = strndup((const char *)name.p, name.n);
	t->created = t->name != NULL;
	buf_init(&path, FTP_PATH_MAX + 1);
	if (ftp_path_of(&g->directory, name, &path, &t->path_cut))
		t->path = strndup((const char *)path.p, path.n);
	buf_free(&path);
}

void
ftp_transfer_flow(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;
	struct data_flow flow = {
	    .dir = is_upload(t) ? AN_C2S : AN_S2C, .stall = ftp_config_of(g)->timeouts.data_idle};

	ftp_content_begin(g);
	flow.look = t->inspected;
	flow.hold = ftp_content_may_refuse(g) ? DATA_HOLD_MAX : 0;
	flow.fin_ends = ftp_config_of(g)->fin_ends;
	memcpy(flow.protected, g->protected, sizeof(flow.protected));
	data_of(g)->flow(t->pair, &flow);
}

/* The server has agreed: the client's leg, if it is ours to open, and the octets. */
static void
start_flow(struct ftp_gate *g)
{
	ftp_enter(g, FTP_FLOWING);
	ftp_transfer_flow(g);
	if (!ftp_way_is_passive(g->agreed.client))
		ftp_dial_client(g);
}

/* A client that waits to be connected hears of the transfer when it is (F-043). */
static bool
client_is_being_dialled(const struct ftp_gate *g)
{
	return g->stage == FTP_FLOWING && !g->transfer.open[DATA_CLIENT] &&
	       !ftp_way_is_passive(g->agreed.client);
}

static void
preliminary(struct ftp_gate *g, const struct an_event *ev)
{
	struct ftp_transfer *t = &g->transfer;

	if (g->stage == FTP_ENDING)
		return; /* too late: what the client hears next is the last it hears of this */
	if (g->stage == FTP_OPENING) {
		t->preliminary = true;
		ftp_transfer_learn_name(g, ev);
		start_flow(g);
	}
	if (client_is_being_dialled(g))
		ftp_hold_reply(g, ev);
	else
		ftp_pass_reply(g, ev);
}

/*
 * The server's last word is all there is to wait for: the fate of the octets is known, or nothing
 * of theirs can change it any more. A listing or a file that the server broke off is still shown to
 * its end, since that comes by itself.
 */
static bool
is_decided(const struct ftp_gate *g)
{
	const struct ftp_transfer *t = &g->transfer;

	if (g->stage == FTP_ENDING)
		return true;
	if (g->stage == FTP_OPENING && t->server_code >= 400)
		return true;
	if (g->agreed.let_by)
		return false;
	return t->aborted || (t->server_code >= 400 && (is_upload(t) || !t->open[DATA_CLIENT]));
}

/*
 * F-032: servers say 522, 425 or 450 when a data connection does not resume; or when its handshake
 * fails, which is no news where it is the other leg's fault.
 */
static bool
is_reuse_refused(const struct ftp_gate *g)
{
	const struct ftp_transfer *t = &g->transfer;
	enum data_leg leg = ftp_observed(g) ? DATA_CLIENT : DATA_SERVER;
	const struct data_tls *tls = t->pair == NULL ? NULL : &data_of(g)->count(t->pair)->tls[leg];

	if (!g->protected[DATA_SERVER] || tls == NULL || t->client_failed)
		return false;
	return t->server_code == 522 || (t->preliminary && !tls->resumed &&
					    (t->server_code == 425 || t->server_code == 450));
}

void
ftp_transfer_note_reuse(struct ftp_gate *g, const struct an_event *ev)
{
	if (is_reuse_refused(g))
		ftp_anomaly(g, AN_FTP_REUSE_REFUSED, AN_S2C, ev->off, g->transfer.verb->name);
}

/* Of what went past us the server's word is all that is known; nothing but the count is missing. */
static void
went_by(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;

	t->finished = t->server_code < 400;
	if (t->finished) /* it may have been still for long in between */
		t->why = NULL;
	if (t->aborted)
		g->abor_due = ftp_now(g) + ABOR_ANSWER_MS;
	tell(g, own_reply(t));
	ftp_counting_begin(g);
}

static void
last_word(struct ftp_gate *g, const struct an_event *ev)
{
	struct ftp_transfer *t = &g->transfer;

	t->server_code = ev->ftp->code;
	ftp_transfer_note_reuse(g, ev);
	ftp_transfer_learn_name(g, ev);
	if (g->stage == FTP_OPENING && t->server_code < 400)
		start_flow(g); /* without a 1xx */
	if (t->refused)	       /* it may have to wait until the file is deleted */
		ftp_record_reply(&g->exchange, t->server_code, ev->octets, RECORD_SERVER);
	else if (g->exchange.verb != NULL)
		ftp_hold_reply(g, ev);
	if (is_decided(g))
		conclude(g);
	else if (g->agreed.let_by)
		went_by(g);
}

void
ftp_transfer_reply(struct ftp_gate *g, const struct an_event *ev)
{
	if (!is_running(g))
		return; /* its transfer is over, whatever the server still says */
	if (ev->ftp->preliminary)
		preliminary(g, ev);
	else
		last_word(g, ev);
}

/* ---- what happens to the legs ---- */

static void
leg_is_open(struct ftp_gate *g, const struct data_news *news)
{
	ftp_leg_opened(g, news);
	if (news->leg == DATA_CLIENT && g->held_code != 0 && g->held_code < 200)
		ftp_release_reply(g, NULL);
}

static bool
had_a_hole(const struct ftp_gate *g, enum data_leg leg)
{
	return leg == DATA_CLIENT ? ftp_way_is_passive(g->agreed.client)
				  : !ftp_way_is_passive(g->agreed.server);
}

static void
leg_is_unreachable(struct ftp_gate *g, const struct data_news *news)
{
	struct ftp_transfer *t = &g->transfer;

	if (had_a_hole(g, news->leg))
		ftp_nobody_came(g, news);
	t->unreachable = true;
	t->why = news->why;
	data_of(g)->reset(t->pair);
	if (!g->exchange.at_server) { /* the server never heard of it */
		transfer_over(g);
	} else if (t->server_code != 0) {
		conclude(g);
	} else if (g->stage == FTP_OPENING) {
		t->due = ftp_now(g) + LAST_WORD_MS;
		ftp_enter(g, FTP_ENDING);
	} else {
		tell(g, NO_CONNECTION);
		ftp_enter(g, FTP_ENDING);
	}
}

static void
legs_are_cut(struct ftp_gate *g, const struct data_news *news)
{
	struct ftp_transfer *t = &g->transfer;

	t->cut = true;
	t->client_failed = news->leg == DATA_CLIENT;
	t->why = news->why;
	data_of(g)->reset(t->pair);
	octets_over(g);
}

/* Everything is known of the content; a window of it is still here. */
static void
source_has_ended(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;

	if (ftp_content_passes(g)) {
		data_of(g)->release(t->pair);
		return;
	}
	t->refused = true;
	t->why = "content";
	data_of(g)->reset(t->pair);
	if (t->server_code != 0) /* it is held, and so is what comes behind it */
		tell(g, own_reply(t));
	octets_over(g);
}

static void
all_is_through(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;

	t->finished = true;
	octets_over(g);
}

/* From here on the server's last word is waited for no longer than any other. */
static void
nothing_passes(struct ftp_gate *g, const struct data_news *news)
{
	g->transfer.quiet = true;
	g->transfer.why = news->why;
	if (strcmp(news->why, "timeout") == 0)
		ftp_nobody_came(g, news);
}

void
ftp_transfer_news(struct ftp_gate *g, const struct data_news *news)
{
	if (!is_running(g) || g->stage == FTP_ENDING)
		return; /* its fate is known */
	if (g->agreed.let_by) {
		if (news->what == DATA_UNREACHABLE)
			nothing_passes(g, news);
		return; /* what else happens to it happens elsewhere */
	}
	switch (news->what) {
	case DATA_OPEN:
		leg_is_open(g, news);
		break;
	case DATA_UNREACHABLE:
		leg_is_unreachable(g, news);
		break;
	case DATA_CUT:
		legs_are_cut(g, news);
		break;
	case DATA_SOURCE_END:
		source_has_ended(g);
		break;
	case DATA_DONE:
		all_is_through(g);
		break;
	case DATA_LISTENING:
	case DATA_INTRUDER:
		break; /* of an agreement; anybody's */
	}
}

static void
break_off(struct ftp_gate *g)
{
	g->transfer.due = 0;
	data_of(g)->reset(g->transfer.pair);
	octets_over(g);
}

void
ftp_transfer_abort(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;

	if (!is_running(g))
		return;
	t->aborted = true;
	if (g->stage == FTP_ENDING || g->agreed.let_by || ftp_observed(g))
		return;
	if (t->server_code != 0 || client_is_being_dialled(g))
		break_off(g);
	else
		t->due = ftp_now(g) + LAST_WORD_MS; /* the server's answer decides */
}

/*
 * Time is up: for a server that cannot be reached to say so itself, or for one that was told to
 * abort. Many a server hears of that only when its data connection goes.
 */
void
ftp_transfer_expired(struct ftp_gate *g)
{
	g->transfer.due = 0;
	if (g->stage == FTP_ENDING)
		tell(g, NO_CONNECTION);
	else if (g->transfer.aborted)
		break_off(g);
}

struct ftp_exchange *
ftp_abor_that_waits(struct ftp_gate *g)
{
	if (g->exchange.verb != NULL && g->exchange.verb->verb == FTP_ABOR)
		return &g->exchange;
	for (unsigned i = 0; i < g->n_meanwhile; i++)
		if (g->meanwhile[i].verb->verb == FTP_ABOR)
			return &g->meanwhile[i];
	return NULL;
}

/* Without this the server's next reply would be taken for that to ABOR, and all others shifted. */
void
ftp_abor_expired(struct ftp_gate *g)
{
	struct ftp_exchange *abor = ftp_abor_that_waits(g);

	g->abor_due = 0;
	if (abor == NULL || ftp_oldest_verb(g->dialogue)->verb != FTP_ABOR)
		return;
	ftp_answered_oldest(g->dialogue, 226);
	ftp_say_to(g, abor, "226 Abort successful.");
}

void
ftp_transfer_finish(struct ftp_gate *g)
{
	struct ftp_transfer *t = &g->transfer;

	if (!is_running(g))
		return;
	if (!t->finished && !t->refused && !t->unreachable && t->why == NULL)
		t->why = "session_ended";
	ftp_transfer_forget(g);
}
