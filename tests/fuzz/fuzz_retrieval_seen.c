/*
 * fuzz_retrieval_seen - a capture of POP3 or IMAP: the gates observe (relay_env.observed) what two
 * sides say that nobody stands between, with holes in it, or without its beginning.
 *
 * An octet of options, one that is not looked at, then records: an octet (bit 0: the server's; bits
 * 1 and 2, both: a hole of so many octets in that place, both and bit 3: of unknown length), how
 * many octets, and those.
 *
 * What is claimed, whatever is said:
 *  - nothing is queued for anybody, and nobody is closed, limited or refused;
 *  - every octet is taken, but for those that wait for the other side;
 *  - every record is one line of JSON, and the one of the session is written once;
 *  - the records of messages and commands are the same for every chunking.
 */
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "mime/analyzers_init.h"
#include "proxy/config.h"
#include "proxy/relay.h"

#define RECORDS_MAX (4u << 20)

enum option {
	OPTION_IMAP = 1 << 0,
	OPTION_JOINED = 1 << 1,
	OPTION_STRICT = 1 << 2, /* much of it would be refused */
};

struct world {
	unsigned options;
	struct config config;
	struct relay_env env;
	struct relay *relay;
	struct buf said; /* records that no chunking changes */
	unsigned sessions;
};

/* ---- services ---- */

static void
at_no_time(struct timeval *tv)
{
	*tv = (struct timeval){0};
}

static uint64_t
tell_time(void *arg)
{
	(void)arg;
	return 1000;
}

static void
refused(void *arg, struct relay *r)
{
	(void)arg;
	(void)r;
	fuzz_claim(false);
}

static bool
allow(void *arg, struct relay *r, enum client_act act)
{
	(void)arg;
	(void)r;
	(void)act;
	fuzz_claim(false);
	return true;
}

static void
take_back(void *arg, struct relay *r, enum client_act act)
{
	(void)allow(arg, r, act);
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
	w->sessions += json_object_get(json_object_get(record, "pop3"), "session") != NULL ||
		       json_object_get(json_object_get(record, "imap"), "session") != NULL;
	/* octets ahead of TLS are seen as such only where they are there in time */
	if (strcmp(type, "anomaly") != 0)
		buf_add(&w->said, span_of(line, n));
	json_decref(record);
}

/* ---- one capture ---- */

static void
configure(struct world *w)
{
	static char login[] = "LOGIN", user[] = "USER", select[] = "SELECT";
	static char *deny[] = {login, user, select, NULL};
	const bool strict = (w->options & OPTION_STRICT) != 0;
	struct policy *p = policy_new();
	const char *why;

	if (p == NULL)
		abort();
	mail_options_default(&w->config.mime.options);
	w->config.mime.inspect = true;
	w->config.policy = p;
	p->pop3.refuse_unknown = p->imap.refuse_unknown = strict;
	p->pop3.read_only = p->imap.read_only = p->pop3.cut = strict;
	p->pop3.deny = p->imap.deny = strict ? deny : NULL;
	if (strict) {
		w->config.content =
		    (struct content_policy){.check = CHECK_ENFORCE, .part_size = 10};
		w->config.content.rules[CONTENT_SIZE] = CHECK_ENFORCE;
	}
	fuzz_claim(networks_add(p->inside, "10.0.0.0/8", &why));
	policy_seal(p);
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
	session.server = session.up_server = (struct endpoint){facts.server, 143};
	w->env = (struct relay_env){.config = &w->config,
	    .observed = true,
	    .sink = take_record,
	    .sink_arg = w,
	    .now = tell_time,
	    .refused = refused,
	    .allow = allow,
	    .take_back = take_back,
	    .arg = w};
	w->relay = relay_new(
	    w->options & OPTION_IMAP ? &relay_imap : &relay_pop3, &w->env, &session, &facts);
	if (w->relay == NULL)
		abort();
	relay_connected(w->relay, &session.client);
	if (w->options & OPTION_JOINED)
		relay_joined(w->relay);
}

static void
see(struct world *w, enum an_dir dir, struct span octets, size_t at_once)
{
	while (octets.n > 0 && !relay_shaking(w->relay)) {
		struct channel_room room = channel_room(relay_from(w->relay, dir));
		size_t n = at_once < octets.n ? at_once : octets.n;

		if (n > room.n)
			n = room.n;
		if (n == 0) /* too much waits for the other side */
			return;
		memcpy(room.p, octets.p, n);
		octets = span_from(octets, n);
		relay_received(w->relay, dir, n);
		fuzz_claim(w->relay->client.queued == 0 && w->relay->server.queued == 0);
		fuzz_claim(w->relay->wish[AN_C2S] == WISH_NONE);
		fuzz_claim(w->relay->wish[AN_S2C] == WISH_NONE);
	}
}

static void
play(struct world *w, struct span in, size_t at_once)
{
	while (in.n >= 2) {
		enum an_dir dir = in.p[0] & 1 ? AN_S2C : AN_C2S;
		unsigned hole = in.p[0] >> 1 & 7;
		uint8_t n = in.p[1];

		in = span_from(in, 2);
		if ((hole & 3) == 3) {
			relay_gap(w->relay, dir, hole & 4 ? 0 : n);
			continue;
		}
		see(w, dir, span_first(in, n), at_once);
		in = span_from(in, n);
	}
	relay_peer(w->relay, AN_S2C, PEER_EOF);
	relay_peer(w->relay, AN_C2S, PEER_EOF);
}

static void
observe(struct world *w, struct span in, size_t at_once)
{
	w->sessions = 0;
	buf_init(&w->said, RECORDS_MAX);
	begin(w);
	play(w, in, at_once);
	relay_free(w->relay);
	fuzz_claim(w->sessions == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct world *w = calloc(1, sizeof(*w)), *other = calloc(1, sizeof(*other));
	struct span in = span_from(span_of(p, n), 2);
	const char *why;

	if (w == NULL || other == NULL || !analyzers_init(false, &why))
		abort();
	record_use_clock(at_no_time);
	w->options = n > 1 ? p[0] : 0;
	configure(w);
	*other = *w;
	observe(w, in, SIZE_MAX);
	observe(other, in, 1);
	fuzz_claim(span_eq(buf_span(&w->said), buf_span(&other->said)));
	buf_free(&w->said);
	buf_free(&other->said);
	w->config.policy->pop3.deny = w->config.policy->imap.deny = NULL;
	policy_free(w->config.policy);
	free(w);
	free(other);
	return 0;
}
