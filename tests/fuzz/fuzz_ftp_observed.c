/*
 * fuzz_ftp_observed - the FTP gate of a capture: client, server and data connections have said and
 * done what the input wants, and nobody stands in between.
 *
 * An octet of options, then records: what is seen (enum act), an octet, and octets where the act
 * has some.
 *
 * What is claimed, whatever was seen:
 *  - nothing is said to anybody, waited for or ended; whatever comes finds room at once;
 *  - data connections are looked for at a port, and used as proxy/data.h says of observers;
 *  - a transfer is recorded as complete only when its octets were all seen, as unseen only when
 *    none were; all pairs are closed at the end;
 *  - every record is one line of JSON without a secret; the flow record is written once.
 */
#include <jansson.h>

#include "fuzz.h"
#include "mime/analyzers_init.h"
#include "proxy/config.h"
#include "proxy/relay.h"

#define PAIRS_MAX 512

enum option {
	OPTION_INSPECT = 1 << 0,
	OPTION_CONTENT = 1 << 1, /* files of more than 20 octets would be refused */
	OPTION_READ_ONLY = 1 << 2,
	OPTION_JOINED = 1 << 3,
	OPTION_SMALL = 1 << 4,
	OPTION_NO_PAIRS = 1 << 5, /* no memory for data connections, now and then */
};

enum act {
	ACT_CLIENT, /* so many octets of the client */
	ACT_SERVER,
	ACT_CLIENT_SINGLE, /* one by one */
	ACT_SERVER_SINGLE,
	ACT_LINE,  /* a line of the client from the table */
	ACT_REPLY, /* a reply of the server from the table */
	ACT_DATA,  /* something happens to a data connection */
	ACT_PEER,
	ACT_GAP,
	ACT_UNHEARD,
	ACT_TLS,
	ACT_COUNT,
};

struct data_pair {
	bool expected, open, flows, looks, ended, released, done, over, closed;
	struct data_count count;
};

struct world {
	unsigned options;
	struct config config;
	struct relay_env env;
	struct relay *relay;
	struct data_pair pairs[PAIRS_MAX];
	size_t n_pairs, refused;
	unsigned flows;
};

static bool
has_option(const struct world *w, enum option option)
{
	return (w->options & (unsigned)option) != 0;
}

/* ---- records ---- */

static void
claim_outcome(const struct world *w, const json_t *data)
{
	const char *outcome = json_string_value(json_object_get(data, "outcome"));
	bool whole = false;

	for (size_t i = 0; i < w->n_pairs; i++)
		whole = whole || (!w->pairs[i].closed && w->pairs[i].done);
	fuzz_claim(outcome != NULL && (strcmp(outcome, "complete") != 0 || whole));
	fuzz_claim(strcmp(outcome, "unseen") != 0 ||
		   json_integer_value(json_object_get(data, "octets_in")) == 0);
}

static void
take_record(void *arg, const char *line, size_t n)
{
	struct world *w = arg;
	json_error_t error;
	json_t *record = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
	const char *type;

	fuzz_claim(record != NULL);
	fuzz_claim(n <= RECORD_LINE_MAX && memchr(line, '\n', n) == line + n - 1);
	type = json_string_value(json_object_get(record, "event_type"));
	if (strcmp(type, "flow") == 0)
		w->flows++;
	if (strcmp(type, "ftp_data") == 0)
		claim_outcome(w, json_object_get(record, "ftp_data"));
	json_decref(record);
}

/* ---- services ---- */

static uint64_t
tell_time(void *arg)
{
	(void)arg;
	return 1000;
}

static void
refused(void *arg, struct relay *relay)
{
	(void)arg;
	(void)relay;
	fuzz_claim(false);
}

static bool
allow(void *arg, struct relay *relay, enum client_act act)
{
	refused(arg, relay);
	return act == CLIENT_LOGIN;
}

static void
take_back(void *arg, struct relay *relay, enum client_act act)
{
	(void)act;
	refused(arg, relay);
}

static bool
pressed(void *arg)
{
	(void)arg;
	return false;
}

/* ---- data connections ---- */

static struct data_pair *
data_open(void *arg, struct relay *relay)
{
	struct world *w = arg;

	fuzz_claim(relay == w->relay);
	if (w->n_pairs == PAIRS_MAX || (has_option(w, OPTION_NO_PAIRS) && ++w->refused % 7 == 0))
		return NULL;
	return &w->pairs[w->n_pairs++];
}

static void
expect(struct data_pair *p, enum data_leg leg, const struct endpoint *at)
{
	fuzz_claim(!p->closed && !p->expected && leg == DATA_CLIENT);
	fuzz_claim(at->ip.family != IP_NONE && at->port != 0);
	p->expected = true;
}

static void
data_listen(struct data_pair *p, const struct data_hole *hole, unsigned seconds)
{
	fuzz_claim(seconds > 0);
	expect(p, hole->leg, &hole->at);
}

static void
data_dial(struct data_pair *p, const struct data_dial *dial, unsigned seconds)
{
	fuzz_claim(seconds > 0);
	expect(p, dial->leg, &dial->to);
}

static void
data_flow(struct data_pair *p, const struct data_flow *flow)
{
	fuzz_claim(!p->closed && p->expected && !p->flows);
	p->flows = true;
	p->looks = flow->look;
}

static void
data_release(struct data_pair *p)
{
	fuzz_claim(!p->closed && p->ended);
	p->released = true;
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
	fuzz_claim(p == NULL || !p->closed);
	if (p != NULL)
		p->closed = true;
}

/* Of the others nothing is asked of who only looks on. */
static const struct data_ops data_ops = {
    .open = data_open,
    .listen = data_listen,
    .dial = data_dial,
    .flow = data_flow,
    .release = data_release,
    .count = data_count,
    .close = data_close,
};

/* ---- what is seen ---- */

static void
look_around(const struct world *w)
{
	const struct relay *r = w->relay;

	fuzz_claim(r->client.queued == 0 && r->server.queued == 0);
	fuzz_claim(r->wish[AN_C2S] == WISH_NONE && r->wish[AN_S2C] == WISH_NONE);
	fuzz_claim(relay_deadline(r) == 0);
}

static void
see(struct world *w, enum an_dir dir, struct span octets, size_t piece)
{
	while (octets.n > 0 && !relay_shaking(w->relay) && w->relay->peer[dir] < PEER_EOF) {
		struct channel_room room = channel_room(relay_from(w->relay, dir));
		size_t n = octets.n < piece ? octets.n : piece;

		fuzz_claim(room.n > 0);
		n = n < room.n ? n : room.n;
		memcpy(room.p, octets.p, n);
		octets = span_from(octets, n);
		relay_received(w->relay, dir, n);
		look_around(w);
	}
}

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): several lines at once */
static const char *const lines[] = {
    "USER zoe\r\n",
    "PASS kEy-f0r-Zoe\r\n",
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
    "REST 100\r\n",
    "ABOR\r\n",
    "\377\364\377\362ABOR\r\n",
    "STAT\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "TYPE I\r\n",
    "CWD a/../b\r\n",
    "PWD\r\n",
    "FEAT\r\n",
    "AUTH TLS\r\n",
    "PBSZ 0\r\nPROT P\r\n",
    "REIN\r\n",
    "RNTO x\r\n",
    "NOOP\r\nNOOP\r\nNOOP\r\nSTAT\r\nABOR\r\n",
    "PASV\r\nRETR a\r\nPASV\r\nSTOR b\r\nQUIT\r\n",
    "NO\rOP\r\n",
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
    "550 no\r\n",
    "221 bye\r\n",
    "234 go\r\n",
    "211-Features:\r\n MLST type*;\r\n211 End\r\n",
    "150 FILE: name\r\n",
    "150 go\r\n226 done\r\n",
    "426 cut\r\n226 ok\r\n",
    "PORT 1,2,3,4,5,6\r\n",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

#define CHOOSE(table, value) (table)[(value) % (sizeof(table) / sizeof((table)[0]))]

static void
tell(struct world *w, struct data_pair *p, enum data_what what)
{
	const struct data_news news = {
	    .what = what, .leg = DATA_CLIENT, .why = "reset", .peer = w->relay->session.client};

	relay_data_news(w->relay, p, &news);
	look_around(w);
}

static void
octets_flow(struct world *w, struct data_pair *p, uint8_t n)
{
	static const uint8_t text[256] = "From: a@b.example\r\nSubject: x\r\n\r\ntext\r\n";

	p->count.octets[DATA_CLIENT] += n;
	if (p->looks)
		relay_data_octets(w->relay, p, span_of(text, n));
}

static void
source_ends(struct world *w, struct data_pair *p)
{
	if (p->looks && !p->ended) {
		p->ended = true;
		tell(w, p, DATA_SOURCE_END);
	} else if (!p->looks || p->released) {
		p->done = p->over = true;
		tell(w, p, DATA_DONE);
	}
}

/* To one of those that can still hear of something: by value, any of them. */
static void
data_happens(struct world *w, uint8_t value)
{
	struct data_pair *p = NULL;
	size_t live = 0;

	for (size_t i = 0; i < w->n_pairs; i++)
		if (!w->pairs[i].closed && !w->pairs[i].over && w->pairs[i].expected &&
		    live++ % (1 + value / 8u) == 0)
			p = &w->pairs[i];
	if (p == NULL)
		return;
	if (!p->open) {
		p->open = value % 8 != 7;
		p->over = !p->open;
		tell(w, p, p->open ? DATA_OPEN : DATA_UNREACHABLE);
	} else if (value % 8 == 6) {
		p->over = true;
		tell(w, p, DATA_CUT);
	} else if (p->flows && !p->ended && value % 8 < 4) {
		octets_flow(w, p, value);
	} else if (p->flows) {
		source_ends(w, p);
	}
}

static void
shaken(struct world *w, const char *why)
{
	if (!relay_shaking(w->relay))
		return;
	relay_upgraded(w->relay, AN_S2C, why);
	relay_upgraded(w->relay, AN_C2S, why);
}

static void
act(struct world *w, enum act what, uint8_t value, struct span octets)
{
	const enum an_dir dir = (value & 1) != 0 ? AN_S2C : AN_C2S;

	switch (what) {
	case ACT_CLIENT:
	case ACT_CLIENT_SINGLE:
		see(w, AN_C2S, octets, what == ACT_CLIENT ? SIZE_MAX : 1);
		break;
	case ACT_SERVER:
	case ACT_SERVER_SINGLE:
		see(w, AN_S2C, octets, what == ACT_SERVER ? SIZE_MAX : 1);
		break;
	case ACT_LINE:
		see(w, AN_C2S, span_str(CHOOSE(lines, value)), SIZE_MAX);
		break;
	case ACT_REPLY:
		see(w, AN_S2C, span_str(CHOOSE(replies, value)), SIZE_MAX);
		break;
	case ACT_DATA:
		data_happens(w, value);
		break;
	case ACT_PEER:
		relay_peer(w->relay, dir, (value & 2) != 0 ? PEER_GONE : PEER_EOF);
		break;
	case ACT_GAP:
		relay_gap(w->relay, dir, value);
		break;
	case ACT_UNHEARD:
		if (w->relay->server.received == 0)
			relay_unheard(w->relay);
		break;
	case ACT_TLS:
		shaken(w, value == 0 ? "tls_cut" : NULL);
		break;
	case ACT_COUNT:
		break;
	}
	look_around(w);
}

static void
play(struct world *w, struct span records)
{
	while (records.n > 0) {
		enum act what = (enum act)(records.p[0] % ACT_COUNT);
		uint8_t value = records.n > 1 ? records.p[1] : 0;
		struct span octets = SPAN_NONE;

		records = span_from(records, 2);
		if (what <= ACT_SERVER_SINGLE) {
			octets = span_first(records, value);
			records = span_from(records, octets.n);
		}
		act(w, what, value, octets);
	}
}

/* ---- the world ---- */

static void
configure(struct world *w)
{
	struct ftp_config *c = &w->config.ftp;
	struct ftp_policy *p;

	c->inspect = has_option(w, OPTION_INSPECT);
	c->pending = c->errors = 3;
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
	p->read_only = has_option(w, OPTION_READ_ONLY);
	p->user_max = p->password_max = 256;
	p->path_max = 4000;
	policy_seal(w->config.policy);
}

static void
begin(struct world *w)
{
	struct record_session session = {.flow_id = 1};
	struct facts facts = {0};

	ip_parse(span_str("203.0.113.9"), &facts.client);
	ip_parse(span_str("10.0.0.25"), &facts.server);
	policy_place(w->config.policy, &facts);
	session.client = (struct endpoint){facts.client, 5555};
	session.server = (struct endpoint){facts.server, 21};
	w->env = (struct relay_env){.config = &w->config,
	    .observed = true,
	    .sink = take_record,
	    .sink_arg = w,
	    .now = tell_time,
	    .refused = refused,
	    .allow = allow,
	    .take_back = take_back,
	    .pressed = pressed,
	    .data = &data_ops,
	    .arg = w};
	w->relay = relay_new(&relay_ftp, &w->env, &session, &facts);
	if (w->relay == NULL)
		abort();
	relay_connected(w->relay, &session.client);
	if (has_option(w, OPTION_JOINED))
		relay_joined(w->relay);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *why;

	if (w == NULL || !analyzers_init(false, &why))
		abort();
	w->options = n > 0 ? p[0] : 0;
	configure(w);
	begin(w);
	play(w, span_from(span_of(p, n), 1));
	relay_free(w->relay);
	fuzz_claim(w->flows == 1);
	for (size_t i = 0; i < w->n_pairs; i++)
		fuzz_claim(w->pairs[i].closed);
	policy_free(w->config.policy);
	free(w);
	return 0;
}
