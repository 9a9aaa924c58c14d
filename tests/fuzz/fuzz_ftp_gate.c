/*
 * fuzz_ftp_gate - the whole FTP gate between a client, a server and data connections that do what
 * the input wants.
 *
 * Two octets of options, then records: what happens (enum act), an octet, and octets where the act
 * has some. The relay is driven as proxy/session.c does it, with arrays for sockets, a struct
 * data_ops without any, and a clock of the input's own.
 *
 * What is claimed is what a user relies on, whatever the two sides say:
 *  - the server gets whole lines, no CR, LF or NUL out of place, TELNET only where it belongs, and
 *    no command that the configuration does not want;
 *  - the client gets whole replies, never more final ones than it sent commands, but for the
 *    greeting and one last word;
 *  - data connections lead to the peers of the control connections and nowhere else, never below
 *    port 1024; a 227 and a 229 name a hole that is open;
 *  - a transfer is recorded as complete only when its octets were all through;
 *  - data connections are used as their contract says, and all of them are closed at the end;
 *  - queues keep their bound; no call works for ever, no deadline stands still, no session is left
 *    without one; every record is one line of JSON without a secret; the flow record is written
 * once.
 */
#include <ctype.h>
#include <jansson.h>
#include <strings.h>

#include "fuzz.h"
#include "mime/analyzers_init.h"
#include "proxy/config.h"
#include "proxy/ftp_servers.h"
#include "proxy/relay.h"

#define BACKLOG_MAX (4u << 20)
#define LINE_MAX    (2u << 16)
#define PAIRS_MAX   512

enum option {
	OPTION_SAME = 1 << 0,	     /* server_data */
	OPTION_INTERCEPTED = 1 << 1, /* tproxy; else forward */
	OPTION_INSPECT = 1 << 2,
	OPTION_CONTENT = 1 << 3, /* files of more than 20 octets are refused */
	OPTION_DELETE = 1 << 4,	 /* refused_upload */
	OPTION_READ_ONLY = 1 << 5,
	OPTION_DENY = 1 << 6, /* RNFR, and replies */
	OPTION_TLS = 1 << 7,
	OPTION_SMALL = 1 << 8,
	OPTION_SLOW = 1 << 9,
	OPTION_CONNECT = 1 << 10, /* the server is not connected from the start */
	OPTION_LIMITED = 1 << 11,
	OPTION_PRESSED = 1 << 12,
	OPTION_UNKNOWN = 1 << 13, /* unknown = pass */
	OPTION_BANNER = 1 << 14,
	OPTION_NO_PAIRS = 1 << 15, /* data connections cannot be had, now and then */
};

enum act {
	ACT_CLIENT, /* so many octets of the client */
	ACT_SERVER,
	ACT_CLIENT_SINGLE, /* one by one */
	ACT_SERVER_SINGLE,
	ACT_LINE,  /* a line of the client from the table */
	ACT_REPLY, /* a reply of the server from the table */
	ACT_SERVE, /* the server answers what it was asked last, as a good one would */
	ACT_DATA,  /* something happens to a data connection */
	ACT_DRAIN,
	ACT_TICK,
	ACT_PEER,
	ACT_SECRET,
	ACT_LOGIN,
	ACT_COUNT,
};

enum leg_state { LEG_NONE, LEG_LISTENS, LEG_WAITS, LEG_DIALS, LEG_OPEN, LEG_GONE };

struct data_pair {
	enum leg_state legs[DATA_LEGS];
	struct endpoint at[DATA_LEGS];
	struct data_flow flow;
	bool flows, by, by_known, ended, released, done, over, closed;
	struct data_count count;
};

struct world {
	unsigned options;
	struct config config;
	struct relay_env env;
	struct relay *relay;
	struct ftp_servers *servers;
	uint64_t now;
	unsigned allowed;

	struct buf backlog[2];
	size_t begin[2];
	struct buf line[2];	   /* that is on its way to the peer of this direction */
	char asked[16];		   /* the verb that the server got last */
	unsigned commands, finals; /* lines of the client, final replies to it */
	unsigned reply_code;	   /* of the reply of several lines that it is getting; 0: none */

	struct data_pair pairs[PAIRS_MAX];
	size_t n_pairs;
	bool secrets_told;
	uint8_t last_of_client; /* its last octet; LF at the start */
	unsigned flows;
};

static bool
has_option(const struct world *w, enum option option)
{
	return (w->options & (unsigned)option) != 0;
}

/* ---- records ---- */

static bool
has_secret(struct span s)
{
	static const char secret[] = "kEy-f0r-Zoe";

	return memmem(s.p, s.n, secret, sizeof(secret) - 1) != NULL;
}

/* The transfer that is being recorded has its pair still. */
static void
claim_complete(const struct world *w)
{
	for (size_t i = w->n_pairs; i > 0; i--)
		if (!w->pairs[i - 1].closed) {
			fuzz_claim(w->pairs[i - 1].done || w->pairs[i - 1].by);
			return;
		}
	fuzz_claim(false);
}

static void
take_record(void *arg, const char *line, size_t n)
{
	struct world *w = arg;
	json_error_t error;
	json_t *record = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
	const char *type, *outcome;

	fuzz_claim(record != NULL);
	fuzz_claim(n <= RECORD_LINE_MAX && memchr(line, '\n', n) == line + n - 1);
	fuzz_claim(w->secrets_told || !has_secret(span_of(line, n)));
	type = json_string_value(json_object_get(record, "event_type"));
	if (strcmp(type, "flow") == 0)
		w->flows++;
	outcome =
	    json_string_value(json_object_get(json_object_get(record, "ftp_data"), "outcome"));
	if (outcome != NULL && strcmp(outcome, "complete") == 0)
		claim_complete(w);
	json_decref(record);
}

/* ---- services ---- */

static uint64_t
tell_time(void *arg)
{
	return ((const struct world *)arg)->now;
}

static void
refused(void *arg, struct relay *relay)
{
	(void)arg;
	(void)relay;
}

static bool
allow(void *arg, struct relay *relay, enum client_act act)
{
	struct world *w = arg;

	(void)relay;
	(void)act;
	return !has_option(w, OPTION_LIMITED) || ++w->allowed % 5 != 0;
}

static void
take_back(void *arg, struct relay *relay, enum client_act act)
{
	(void)arg;
	(void)relay;
	(void)act;
}

static bool
pressed(void *arg)
{
	return has_option(arg, OPTION_PRESSED);
}

/* ---- data connections, without sockets ---- */

static struct world *world; /* data_ops know their pair only */

static struct data_pair *
data_open(void *arg, struct relay *relay)
{
	struct world *w = arg;

	fuzz_claim(relay == w->relay);
	if (w->n_pairs == PAIRS_MAX || (has_option(w, OPTION_NO_PAIRS) && w->now % 7 == 0))
		return NULL;
	return &w->pairs[w->n_pairs++];
}

static const struct ip *
peer_of(enum data_leg leg)
{
	const struct record_session *s = &world->relay->session;

	return leg == DATA_CLIENT ? &s->client.ip : &s->up_server.ip;
}

static void
data_listen(struct data_pair *p, const struct data_hole *hole, unsigned seconds)
{
	fuzz_claim(!p->closed && p->legs[hole->leg] == LEG_NONE && seconds > 0);
	fuzz_claim(ip_eq(&hole->from, peer_of(hole->leg)));
	p->legs[hole->leg] = LEG_LISTENS;
	p->at[hole->leg] = hole->at;
}

static void
data_dial(struct data_pair *p, const struct data_dial *dial, unsigned seconds)
{
	fuzz_claim(!p->closed && p->legs[dial->leg] == LEG_NONE && seconds > 0);
	fuzz_claim(ip_eq(&dial->to.ip, peer_of(dial->leg)));
	fuzz_claim(dial->to.port >= 1024);
	p->legs[dial->leg] = LEG_DIALS;
}

static bool
data_let_by(struct data_pair *p, const struct endpoint *client, const struct endpoint *server,
    unsigned seconds)
{
	fuzz_claim(!p->closed && p->legs[DATA_CLIENT] == LEG_NONE && seconds > 0);
	fuzz_claim(ip_eq(&client->ip, peer_of(DATA_CLIENT)) && server->port >= 1024);
	fuzz_claim(ip_eq(&server->ip, peer_of(DATA_SERVER)));
	p->by = true;
	p->at[DATA_CLIENT] = *server;
	return true;
}

static void
data_flow(struct data_pair *p, const struct data_flow *flow)
{
	fuzz_claim(!p->closed && !p->flows && flow->stall > 0 && flow->hold <= DATA_HOLD_MAX);
	p->flow = *flow;
	p->flows = true;
}

static void
data_release(struct data_pair *p)
{
	fuzz_claim(!p->closed && p->flows);
	p->released = true;
}

static void
data_reset(struct data_pair *p)
{
	fuzz_claim(!p->closed);
	p->over = true;
}

static void
data_drop(struct data_pair *p, enum data_leg leg, bool reset)
{
	(void)reset;
	fuzz_claim(!p->closed);
	p->legs[leg] = LEG_NONE;
}

static const struct data_count *
data_count(const struct data_pair *p)
{
	fuzz_claim(!p->closed);
	return &p->count;
}

static void
data_close(struct data_pair *p)
{
	if (p == NULL)
		return;
	fuzz_claim(!p->closed);
	p->closed = true;
}

static const struct data_ops data_ops = {
    .open = data_open,
    .listen = data_listen,
    .dial = data_dial,
    .let_by = data_let_by,
    .flow = data_flow,
    .release = data_release,
    .reset = data_reset,
    .drop = data_drop,
    .count = data_count,
    .close = data_close,
};

/* ---- what reaches the server ---- */

static bool
is_verb(const char *line, const char *verb)
{
	size_t n = strlen(verb);

	return strncasecmp(line, verb, n) == 0 && !isalnum((uint8_t)line[n]);
}

/* Octet 255 is doubled, or begins the Synch in front of a command. */
static void
claim_telnet(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == 0xff) {
			fuzz_claim(i + 1 < n && p[i + 1] == 0xff);
			i++;
		}
}

/* Own address in what the gateway says of where it waits. */
static void
claim_own_address(const struct world *w, const char *line)
{
	struct ftp_hostport at = {0};
	struct span args = span_from(span_rtrim(span_str(line)), 5);
	bool port = is_verb(line, "PORT");

	args = span_first(args, args.n >= 2 ? args.n - 2 : 0);
	fuzz_claim(
	    (port ? ftp_port_parse(args, &at) : ftp_eprt_parse(args, &at)) == FTP_HOSTPORT_OK);
	fuzz_claim(ip_eq(&at.ip, &w->relay->session.up_client.ip));
}

static bool
is_among(const char *line, const char *const verbs[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_verb(line, verbs[i]))
			return true;
	return false;
}

static void
claim_wanted(const struct world *w, const char *line)
{
	static const char *const writes[] = {"STOR", "APPE", "STOU", "DELE", "MKD", "XMKD", "RMD",
	    "XRMD", "RNFR", "RNTO", "SITE", "MFMT"};
	static const char *const never[] = {"LPRT", "LPSV", "SPSV"};
	static const char *const modes[] = {"MODE Z", "MODE B", "STRU R", "TYPE E"};

	fuzz_claim(!has_option(w, OPTION_READ_ONLY) ||
		   !is_among(line, writes, sizeof(writes) / sizeof(writes[0])));
	fuzz_claim(!has_option(w, OPTION_DENY) || !is_verb(line, "RNFR"));
	fuzz_claim(has_option(w, OPTION_TLS) || !is_verb(line, "AUTH"));
	fuzz_claim(!is_among(line, never, sizeof(never) / sizeof(never[0])));
	fuzz_claim(!is_among(line, modes, sizeof(modes) / sizeof(modes[0])));
	if (is_verb(line, "PORT") || is_verb(line, "EPRT"))
		claim_own_address(w, line);
}

static void
line_to_server(struct world *w, const uint8_t *p, size_t n)
{
	static const uint8_t synch[4] = {0xff, 0xf4, 0xff, 0xf2};
	char line[LINE_MAX + 1];

	fuzz_claim(n >= 2 && n <= LINE_MAX && p[n - 2] == '\r');
	if (n > 4 && memcmp(p, synch, 4) == 0) {
		p += 4;
		n -= 4;
	}
	claim_telnet(p, n);
	for (size_t i = 0; i + 2 < n; i++)
		fuzz_claim(p[i] != '\r' && p[i] != '\0');
	memcpy(line, p, n);
	line[n] = '\0';
	claim_wanted(w, line);
	snprintf(w->asked, sizeof(w->asked), "%.*s", (int)strcspn(line, " \r"), line);
}

/* ---- what reaches the client ---- */

/* A 227 or 229 is for a hole that is open. */
static void
claim_hole(const struct world *w, struct span text, unsigned code)
{
	struct ftp_hostport at = {0};

	fuzz_claim(code == 227 ? ftp_227_parse(text, &at) : ftp_229_parse(text, &at));
	for (size_t i = 0; i < w->n_pairs; i++) {
		const struct data_pair *p = &w->pairs[i];

		if (p->at[DATA_CLIENT].port == at.port &&
		    (code == 229 || ip_eq(&p->at[DATA_CLIENT].ip, &at.ip)))
			return;
	}
	fuzz_claim(false);
}

static void
line_to_client(struct world *w, const uint8_t *p, size_t n)
{
	unsigned code = n > 4 && isdigit(p[0]) && isdigit(p[1]) && isdigit(p[2])
			    ? (unsigned)((p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0')
			    : 0;
	bool more = n > 4 && p[3] == '-';

	fuzz_claim(n >= 2 && p[n - 2] == '\r');
	claim_telnet(p, n);
	for (size_t i = 0; i + 2 < n; i++)
		fuzz_claim(p[i] != '\r' && p[i] != '\0');
	if (w->reply_code == 0) {
		fuzz_claim(code >= 100 && code < 600);
		w->reply_code = code;
	} else {
		more = more || code != w->reply_code;
		fuzz_claim(code == 0 || code == w->reply_code);
	}
	if (more)
		return;
	w->reply_code = 0;
	if (code >= 200)
		w->finals++;
	if (code == 227 || code == 229)
		claim_hole(w, span_of(p + 4, n - 6), code);
	/* the greeting, and a last word */
	fuzz_claim(w->finals <= w->commands + 2);
}

static void
octets_out(struct world *w, enum an_dir peer, struct span octets)
{
	struct buf *line = &w->line[peer];

	if (w->relay->opaque)
		return;
	for (size_t i = 0; i < octets.n; i++) {
		buf_octet(line, octets.p[i]);
		if (octets.p[i] != '\n')
			continue;
		if (peer == AN_S2C)
			line_to_server(w, line->p, line->n);
		else
			line_to_client(w, line->p, line->n);
		buf_clear(line);
	}
}

/* ---- the relay is driven ---- */

/* Data that flows has its own end (data.h), so has a connect. */
static void
look_around(const struct world *w)
{
	const struct relay *r = w->relay;
	bool moves = false;

	for (size_t i = 0; i < w->n_pairs; i++)
		moves = moves || (!w->pairs[i].closed && !w->pairs[i].over);
	fuzz_claim(r->client.queued <= CHANNEL_QUEUE_MAX + 4 * CHANNEL_BLOCK);
	fuzz_claim(r->server.queued <= CHANNEL_QUEUE_MAX + 4 * CHANNEL_BLOCK);
	fuzz_claim(
	    (r->reason == NULL) == (r->wish[AN_C2S] == WISH_NONE || r->wish[AN_S2C] == WISH_NONE));
	fuzz_claim(r->reason != NULL || moves || r->peer[AN_S2C] == PEER_CONNECTING ||
		   relay_deadline(r) != 0);
}

static void
drain(struct world *w, enum an_dir dir, size_t most)
{
	struct channel *c = relay_from(w->relay, dir);
	struct iovec iov[8];
	size_t n = channel_iov(c, iov, 8), sent = 0;

	for (size_t i = 0; i < n && (most == 0 || sent < most); i++) {
		size_t part =
		    most == 0 || iov[i].iov_len < most - sent ? iov[i].iov_len : most - sent;

		octets_out(w, dir, span_of(iov[i].iov_base, part));
		sent += part;
	}
	if (sent == 0)
		return;
	channel_sent(c, sent);
	relay_wrote(w->relay, dir);
	look_around(w);
}

static void
drain_all(struct world *w)
{
	while (w->relay->client.queued > 0 || w->relay->server.queued > 0) {
		drain(w, AN_C2S, 0);
		drain(w, AN_S2C, 0);
	}
}

static void
count_commands(struct world *w, struct span octets)
{
	for (size_t i = 0; i < octets.n; i++)
		w->commands += octets.p[i] == '\n';
}

static void
deliver(struct world *w, enum an_dir dir, size_t piece)
{
	struct span said = span_from(buf_span(&w->backlog[dir]), w->begin[dir]);

	while (said.n > 0 && relay_wants_read(w->relay, dir)) {
		struct channel_room room = channel_room(relay_from(w->relay, dir));
		size_t n = said.n < piece ? said.n : piece;

		fuzz_claim(room.n > 0);
		n = n < room.n ? n : room.n;
		memcpy(room.p, said.p, n);
		if (dir == AN_C2S)
			count_commands(w, span_first(said, n));
		said = span_from(said, n);
		w->begin[dir] += n;
		relay_received(w->relay, dir, n);
		look_around(w);
		if (!has_option(w, OPTION_SLOW))
			drain_all(w);
	}
	if (said.n == 0 || w->relay->wish[dir] != WISH_NONE) {
		buf_clear(&w->backlog[dir]);
		w->begin[dir] = 0;
	}
}

static void
say(struct world *w, enum an_dir dir, struct span octets, size_t piece)
{
	buf_add(&w->backlog[dir], octets);
	if (octets.n > 0 && dir == AN_C2S)
		w->last_of_client = octets.p[octets.n - 1];
	deliver(w, dir, piece);
}

static void
say_text(struct world *w, enum an_dir dir, const char *text)
{
	say(w, dir, span_str(text), SIZE_MAX);
}

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): several lines at once */
static const char *const lines[] = {
    "USER zoe\r\n",
    "PASV\r\n",
    "EPSV\r\n",
    "EPSV ALL\r\n",
    "PORT 203,0,113,9,78,32\r\n",
    "EPRT |1|203.0.113.9|20000|\r\n",
    "PORT 10,0,0,9,0,25\r\n",
    "RETR a\r\n",
    "STOR a\r\n",
    "STOU\r\n",
    "APPE b\r\n",
    "LIST -l\r\n",
    "NLST\r\n",
    "MLSD\r\n",
    "REST 100\r\n",
    "ABOR\r\n",
    "\377\364\377\362ABOR\r\n",
    "STAT\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "TYPE I\r\n",
    "TYPE A\r\n",
    "MODE Z\r\n",
    "CWD a/../b\r\n",
    "CDUP\r\n",
    "PWD\r\n",
    "FEAT\r\n",
    "SYST\r\n",
    "AUTH TLS\r\n",
    "\x16\x03\x01",
    "REIN\r\n",
    "RNFR x\r\n",
    "DELE x\r\n",
    "SITE CHMOD 1 x\r\n",
    "XYZZY\r\n",
    "NOOP\r\nNOOP\r\nNOOP\r\nSTAT\r\nABOR\r\n",
    "PASV\r\nRETR a\r\nPASV\r\nSTOR b\r\nQUIT\r\n",
    "227 x (10,0,0,25,78,33)\r\n",
    "HOST x\r\n",
    "CLNT x\r\n",
};

static const char *const replies[] = {
    "220 ready\r\n",
    "227 Entering Passive Mode (10,0,0,25,78,33)\r\n",
    "227 Entering Passive Mode (192,168,1,1,78,33)\r\n",
    "227 Entering Passive Mode (10,0,0,25,0,80)\r\n",
    "229 ok (|||20001|)\r\n",
    "200 ok\r\n",
    "150 go\r\n",
    "226 done\r\n",
    "250 ok\r\n",
    "257 \"/home/zoe\"\r\n",
    "331 password\r\n",
    "230 in\r\n",
    "350 more\r\n",
    "425 no\r\n",
    "426 cut\r\n",
    "421 bye\r\n",
    "500 what\r\n",
    "530 no\r\n",
    "550 no\r\n",
    "221 bye\r\n",
    "234 go\r\n",
    "211-Features:\r\n MLST type*;\r\n AUTH TLS\r\n211 End\r\n",
    "550-x\r\n227 Entering Passive Mode (10,0,0,1,0,22)\r\n550 end\r\n",
    "150 FILE: name\r\n",
    "150 go\r\n226 done\r\n",
    "426 cut\r\n226 ok\r\n",
    "213 5\r\n",
    "215 UNIX\r\n",
    "PORT 1,2,3,4,5,6\r\n",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

static const char *
good_reply(const struct world *w)
{
	static const struct {
		const char *verb, *reply;
	} good[] = {
	    {"USER", "331 password\r\n"},
	    {"PASS", "230 in\r\n"},
	    {"PASV", "227 Entering Passive Mode (10,0,0,25,78,33)\r\n"},
	    {"EPSV", "229 ok (|||20001|)\r\n"},
	    {"RETR", "150 go\r\n"},
	    {"STOR", "150 go\r\n"},
	    {"STOU", "150 FILE: name\r\n"},
	    {"APPE", "150 go\r\n"},
	    {"LIST", "150 go\r\n"},
	    {"NLST", "150 go\r\n"},
	    {"MLSD", "150 go\r\n"},
	    {"REST", "350 go\r\n"},
	    {"PWD", "257 \"/home/zoe\"\r\n"},
	    {"SIZE", "550 none\r\n"},
	    {"MDTM", "550 none\r\n"},
	    {"MLST", "550 none\r\n"},
	    {"FEAT", "211-have\r\n MLST type*;\r\n211 end\r\n"},
	    {"QUIT", "221 bye\r\n"},
	    {"AUTH", "234 go\r\n"},
	    {"", "220 ready\r\n"},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcasecmp(good[i].verb, w->asked) == 0)
			return good[i].reply;
	return "200 ok\r\n";
}

/* ---- what happens to data connections ---- */

static void
tell(struct world *w, struct data_pair *p, enum data_what what, enum data_leg leg)
{
	struct data_news news = {.what = what, .leg = leg, .why = "reset"};

	news.at = p->at[leg];
	news.peer = (struct endpoint){*peer_of(leg), 40000};
	relay_data_news(w->relay, p, &news);
	look_around(w);
}

/* Room for one more is found by the implementation where the gate left the port open. */
static void
listening(struct world *w, struct data_pair *p, enum data_leg leg)
{
	if (p->by ? p->by_known : p->legs[leg] != LEG_LISTENS)
		return;
	p->by_known = true;
	p->legs[leg] = p->by ? p->legs[leg] : LEG_WAITS;
	if (p->at[leg].port == 0)
		p->at[leg].port = (uint16_t)(40000 + w->n_pairs);
	tell(w, p, DATA_LISTENING, leg);
}

static void
leg_opens(struct world *w, struct data_pair *p, enum data_leg leg)
{
	if (p->legs[leg] != LEG_WAITS && p->legs[leg] != LEG_DIALS)
		return;
	p->legs[leg] = LEG_OPEN;
	tell(w, p, DATA_OPEN, leg);
}

static void
leg_fails(struct world *w, struct data_pair *p, enum data_leg leg)
{
	if (p->legs[leg] == LEG_NONE || p->legs[leg] == LEG_OPEN || p->legs[leg] == LEG_GONE)
		return;
	p->legs[leg] = LEG_GONE;
	tell(w, p, DATA_UNREACHABLE, leg);
}

static bool
may_flow(const struct data_pair *p)
{
	return p->flows && !p->ended && p->legs[DATA_CLIENT] == LEG_OPEN &&
	       p->legs[DATA_SERVER] == LEG_OPEN;
}

static void
octets_flow(struct world *w, struct data_pair *p, uint8_t n)
{
	static const uint8_t text[256] = "From: a@b.example\r\nSubject: x\r\n\r\ntext\r\n";

	if (!may_flow(p))
		return;
	p->count.octets[DATA_CLIENT] += n;
	p->count.octets[DATA_SERVER] += n;
	if (p->flow.look)
		relay_data_octets(w->relay, p, span_of(text, n));
}

static void
source_ends(struct world *w, struct data_pair *p)
{
	if (p->by || !may_flow(p))
		return;
	p->ended = true;
	if (p->flow.look)
		tell(w, p, DATA_SOURCE_END, DATA_CLIENT);
	else
		p->released = true;
}

static void
all_through(struct world *w, struct data_pair *p)
{
	/* the kernel is asked by release(), and not before */
	bool through =
	    p->by ? p->by_known && p->released : p->ended && (p->released || p->flow.hold == 0);

	if (!through)
		return;
	p->done = p->over = true;
	tell(w, p, DATA_DONE, DATA_CLIENT);
}

static void
cut(struct world *w, struct data_pair *p, enum data_leg leg)
{
	if (p->legs[leg] != LEG_OPEN)
		return;
	p->over = true;
	tell(w, p, DATA_CUT, leg);
}

static void
data_happens(struct world *w, uint8_t value)
{
	enum data_leg leg = (value & 8) != 0 ? DATA_SERVER : DATA_CLIENT;
	struct data_pair *p = NULL;

	for (size_t i = 0; i < w->n_pairs; i++)
		if (!w->pairs[i].closed && !w->pairs[i].over)
			p = &w->pairs[i];
	if (p == NULL)
		return;
	switch (value & 7) {
	case 0:
		listening(w, p, leg);
		break;
	case 1:
		leg_opens(w, p, leg);
		break;
	case 2:
		octets_flow(w, p, value);
		break;
	case 3:
		source_ends(w, p);
		break;
	case 4:
		all_through(w, p);
		break;
	case 5:
		cut(w, p, leg);
		break;
	case 6:
		leg_fails(w, p, leg);
		break;
	default:
		if (p->legs[leg] == LEG_WAITS)
			tell(w, p, DATA_INTRUDER, leg);
		break;
	}
}

/* ---- what happens ---- */

#define DUE_AT_ONCE 6

static void
tick(struct world *w, uint8_t seconds)
{
	uint64_t until = w->now + seconds * 1000u, due = relay_deadline(w->relay);
	unsigned at_once = 0;

	if (seconds == 0 && due > w->now)
		until = due;
	for (; due != 0 && due <= until; due = relay_deadline(w->relay)) {
		at_once = due > w->now ? 0 : at_once + 1;
		fuzz_claim(at_once <= DUE_AT_ONCE);
		w->now = due > w->now ? due : w->now;
		relay_expired(w->relay);
		look_around(w);
	}
	w->now = until > w->now ? until : w->now;
}

static void
connected(struct world *w)
{
	struct endpoint up = {.port = 40000};

	if (has_option(w, OPTION_INTERCEPTED))
		up.ip = w->relay->facts.client;
	else
		ip_parse(span_str("10.0.0.1"), &up.ip);
	if (w->relay->peer[AN_S2C] == PEER_CONNECTING)
		relay_connected(w->relay, &up);
}

/* A socket is read to its end before that end is seen; a reset may overtake. */
static void
peer(struct world *w, uint8_t what)
{
	enum an_dir dir = (what & 1) != 0 ? AN_S2C : AN_C2S;
	enum relay_peer now = (what & 2) != 0 ? PEER_GONE : PEER_EOF;

	if (what >= 8 && w->relay->reason == NULL)
		connected(w);
	else if (w->relay->wish[dir] == WISH_NONE && (now == PEER_GONE || w->backlog[dir].n == 0) &&
		 (w->relay->peer[dir] != PEER_CONNECTING || now == PEER_GONE))
		relay_peer(w->relay, dir, now);
	look_around(w);
}

/* Only as a line of its own: the beginning of another one may be parsed, and be held, already. */
static void
say_secret(struct world *w)
{
	if (w->last_of_client == '\n')
		say_text(w, AN_C2S, "PASS kEy-f0r-Zoe\r\n");
}

static void
log_in(struct world *w)
{
	if (w->asked[0] == '\0')
		say_text(w, AN_S2C, "220 ready\r\n");
	say_text(w, AN_C2S, "USER zoe\r\n");
	say_text(w, AN_S2C, "230 in\r\n");
}

#define CHOOSE(table, value) (table)[(value) % (sizeof(table) / sizeof((table)[0]))]

static void
act(struct world *w, enum act what, uint8_t value, struct span octets)
{
	switch (what) {
	case ACT_CLIENT:
	case ACT_CLIENT_SINGLE:
		say(w, AN_C2S, octets, what == ACT_CLIENT ? SIZE_MAX : 1);
		break;
	case ACT_SERVER:
	case ACT_SERVER_SINGLE:
		say(w, AN_S2C, octets, what == ACT_SERVER ? SIZE_MAX : 1);
		break;
	case ACT_LINE:
		say_text(w, AN_C2S, CHOOSE(lines, value));
		break;
	case ACT_REPLY:
		say_text(w, AN_S2C, CHOOSE(replies, value));
		break;
	case ACT_SERVE:
		say_text(w, AN_S2C, good_reply(w));
		break;
	case ACT_DATA:
		data_happens(w, value);
		break;
	case ACT_DRAIN:
		drain(w, (value & 1) != 0 ? AN_S2C : AN_C2S, value / 2u * 97);
		break;
	case ACT_TICK:
		tick(w, value);
		break;
	case ACT_PEER:
		peer(w, value % 12);
		break;
	case ACT_SECRET:
		say_secret(w);
		break;
	case ACT_LOGIN:
		log_in(w);
		break;
	case ACT_COUNT:
		break;
	}
}

static void
play(struct world *w, struct span records)
{
	while (records.n > 0 && !relay_over(w->relay)) {
		enum act what = (enum act)(records.p[0] % ACT_COUNT);
		uint8_t value = records.n > 1 ? records.p[1] : 0;
		struct span octets = SPAN_NONE;

		records = span_from(records, 2);
		if (what <= ACT_SERVER_SINGLE) {
			octets = span_first(records, value);
			records = span_from(records, octets.n);
		}
		act(w, what, value, octets);
		if (!has_option(w, OPTION_SLOW))
			drain_all(w);
		deliver(w, AN_C2S, SIZE_MAX);
		deliver(w, AN_S2C, SIZE_MAX);
	}
}

/* ---- the world ---- */

static char deny_rnfr[] = "RNFR", deny_pwd[] = "PWD 257";
static char *deny[] = {deny_rnfr, NULL}, *deny_replies[] = {deny_pwd, NULL};

static void
configure(struct world *w)
{
	struct ftp_config *c = &w->config.ftp;
	struct ftp_policy *p;
	const char *why;

	w->config.mode = INTERCEPT_TPROXY;
	w->config.limits.pressed_timeout = 10;
	c->server_data_same = has_option(w, OPTION_SAME);
	c->inspect = has_option(w, OPTION_INSPECT);
	c->delete_refused = has_option(w, OPTION_DELETE);
	c->pending = has_option(w, OPTION_SMALL) ? 3 : 20;
	c->errors = has_option(w, OPTION_SMALL) ? 3 : 20;
	c->dialogue = (struct ftp_limits){4096, 65536, 4096, 1000, 131072};
	if (has_option(w, OPTION_SMALL))
		c->dialogue = (struct ftp_limits){512, 700, 512, 20, 2048};
	c->timeouts = (struct ftp_timeouts){300, 900, 300, 30, 300};
	mail_options_default(&w->config.mime.options);
	w->config.mime.inspect = true;
	if (has_option(w, OPTION_CONTENT)) {
		w->config.content =
		    (struct content_policy){.check = CHECK_ENFORCE, .part_size = 20};
		w->config.content.rules[CONTENT_SIZE] = CHECK_ENFORCE;
	}
	w->config.policy = policy_new();
	if (w->config.policy == NULL)
		abort();
	p = &w->config.policy->ftp;
	p->deny = has_option(w, OPTION_DENY) ? deny : NULL;
	p->deny_replies = has_option(w, OPTION_DENY) ? deny_replies : NULL;
	p->read_only = has_option(w, OPTION_READ_ONLY);
	p->refuse_unknown = !has_option(w, OPTION_UNKNOWN);
	p->hide_banner = has_option(w, OPTION_BANNER);
	p->starttls = has_option(w, OPTION_TLS) ? STARTTLS_PASS : STARTTLS_AUTO;
	p->user_max = p->password_max = 256;
	p->path_max = 4000;
	fuzz_claim(networks_add(w->config.policy->inside, "10.0.0.0/8", &why));
	policy_seal(w->config.policy);
}

static void
begin(struct world *w)
{
	struct record_session session = {
	    .flow_id = 1, .forward = has_option(w, OPTION_INTERCEPTED) ? NULL : "test"};
	struct facts facts = {0};

	ip_parse(span_str("203.0.113.9"), &facts.client);
	ip_parse(span_str("10.0.0.25"), &facts.server);
	policy_place(w->config.policy, &facts);
	session.client = (struct endpoint){facts.client, 5555};
	session.server = session.up_server = (struct endpoint){facts.server, 21};
	if (session.forward != NULL)
		ip_parse(span_str("10.0.0.1"), &session.server.ip);
	w->servers = ftp_servers_new();
	w->env = (struct relay_env){.config = &w->config,
	    .sink = take_record,
	    .sink_arg = w,
	    .now = tell_time,
	    .refused = refused,
	    .allow = allow,
	    .take_back = take_back,
	    .pressed = pressed,
	    .data = &data_ops,
	    .ftp_servers = w->servers,
	    .arg = w};
	w->now = 1000;
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_init(&w->backlog[dir], BACKLOG_MAX);
		buf_init(&w->line[dir], LINE_MAX);
	}
	w->relay = relay_new(&relay_ftp, &w->env, &session, &facts);
	if (w->relay == NULL)
		abort();
	if (!has_option(w, OPTION_CONNECT))
		connected(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *why;

	if (w == NULL || !analyzers_init(false, &why))
		abort();
	world = w;
	w->options = n > 1 ? p[0] + 256u * p[1] : 0;
	w->secrets_told = has_secret(span_of(p, n));
	w->last_of_client = '\n';
	configure(w);
	begin(w);
	play(w, span_from(span_of(p, n), 2));
	relay_free(w->relay);
	fuzz_claim(w->flows == 1);
	for (size_t i = 0; i < w->n_pairs; i++)
		fuzz_claim(w->pairs[i].closed);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_free(&w->backlog[dir]);
		buf_free(&w->line[dir]);
	}
	ftp_servers_free(w->servers);
	w->config.policy->ftp.deny = w->config.policy->ftp.deny_replies = NULL;
	policy_free(w->config.policy);
	free(w);
	return 0;
}
