/*
 * fuzz_imap_gate - the whole IMAP gate between a client and a server that say what the input wants.
 *
 * Two octets of options, then records: what happens (enum act), an octet, and octets where the act
 * has some. The relay is driven as proxy/session.c does it, with arrays for sockets and a clock of
 * the input's own.
 *
 * What is claimed is what a user relies on, whatever the two sides say:
 *  - the server gets whole lines, no CR, LF or NUL out of place, no command that the configuration
 *    does not want, no literal without waiting that it did not offer, and behind one that waits
 *    nothing until it has said "+" or refused the command;
 *  - the client gets whole lines, never a capability that would hide octets, and never an answer of
 *    the gateway within a literal of the server;
 *  - a message that is refused never reaches the server whole: its leg is reset;
 *  - queues keep their bound; no call works for ever, no deadline stands still, no session is left
 *    without one; every record is one line of JSON without a secret; the flow record and the one of
 *    the session are written once.
 */
#include <ctype.h>
#include <jansson.h>
#include <strings.h>

#include "fuzz.h"
#include "mime/analyzers_init.h"
#include "proxy/config.h"
#include "proxy/relay.h"

#define BACKLOG_MAX (4u << 20)
#define LINE_MAX    (2u << 16)
#define TAG_MAX	    65
#define TAGS_MAX    80 /* commands that wait: more than the dialogue has slots */

enum option {
	OPTION_READ_ONLY = 1 << 0,
	OPTION_DENY = 1 << 1,	 /* GETACL */
	OPTION_TLS = 1 << 2,	 /* passed */
	OPTION_CONTENT = 1 << 3, /* parts of more than 20 octets are refused */
	OPTION_INSPECT = 1 << 4,
	OPTION_UNKNOWN = 1 << 5, /* unknown = pass */
	OPTION_SMALL = 1 << 6,
	OPTION_SLOW = 1 << 7,
	OPTION_CONNECT = 1 << 8, /* the server is not connected from the start */
	OPTION_LIMITED = 1 << 9,
	OPTION_PRESSED = 1 << 10,
	OPTION_HIDE = 1 << 11, /* STARTTLS */
};

enum act {
	ACT_CLIENT, /* so many octets of the client */
	ACT_SERVER,
	ACT_CLIENT_SINGLE, /* one by one */
	ACT_SERVER_SINGLE,
	ACT_LINE,  /* a line of the client from the table */
	ACT_REPLY, /* a response of the server from the table */
	ACT_SERVE, /* the server says OK to the newest command */
	ACT_DRAIN,
	ACT_TICK,
	ACT_PEER,
	ACT_SECRET,
	ACT_LOGIN,
	ACT_COUNT,
};

/* What one side has got, read without the gate's own parsers. */
struct reader {
	bool off; /* nobody knows any more what it is */
	struct buf line;
	uint64_t literal; /* octets of it that are still to come */
	bool more;	  /* the line goes on behind a literal */
};

struct world {
	unsigned options;
	struct config config;
	struct relay_env env;
	struct relay *relay;
	uint64_t now;
	unsigned allowed;

	struct buf backlog[2];
	size_t begin[2];
	struct reader to_client, to_server;
	char tags[TAGS_MAX][TAG_MAX]; /* of commands that the server has */
	size_t n_tags;
	char tag[TAG_MAX];  /* of the newest */
	bool waits;	    /* it announced a literal, and waits for "+" */
	bool exchange;	    /* AUTHENTICATE or IDLE: its lines are no commands */
	bool offered;	    /* the server has said LITERAL somewhere */
	bool spoke_of_this; /* the input has the gateway's own words */
	uint8_t last;	    /* octet that the client said */

	bool secrets_told, refused;
	unsigned flows, sessions;
};

static bool
has_option(const struct world *w, enum option option)
{
	return (w->options & (unsigned)option) != 0;
}

static bool
has_text(struct span s, const char *text)
{
	return s.n > 0 && memmem(s.p, s.n, text, strlen(text)) != NULL;
}

/* ---- records ---- */

#define SECRET "kEy-f0r-Zoe"
#define OWN    "Command not allowed here"

static void
take_record(void *arg, const char *line, size_t n)
{
	struct world *w = arg;
	json_error_t error;
	json_t *record = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
	const char *outcome;

	fuzz_claim(record != NULL);
	fuzz_claim(n <= RECORD_LINE_MAX && memchr(line, '\n', n) == line + n - 1);
	fuzz_claim(w->secrets_told || !has_text(span_of(line, n), SECRET));
	if (strcmp(json_string_value(json_object_get(record, "event_type")), "flow") == 0)
		w->flows++;
	if (json_object_get(json_object_get(record, "imap"), "session") != NULL)
		w->sessions++;
	outcome = json_string_value(json_object_get(json_object_get(record, "message"), "outcome"));
	if (outcome != NULL && strcmp(outcome, "refused") == 0)
		w->refused = true;
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

/* ---- what reaches the server ---- */

/* "{12}" or "{12+}" at the end of a line; false: there is none. */
static bool
announced(struct span line, uint64_t *octets, bool *plus)
{
	struct span text = span_first(line, line.n - 2);
	ptrdiff_t at = span_rfind(text, '{');

	if (at < 0 || text.p[text.n - 1] != '}')
		return false;
	text = span_from(span_first(text, text.n - 1), (size_t)at + 1);
	*plus = text.n > 0 && text.p[text.n - 1] == '+';
	return span_u64(span_first(text, text.n - (*plus ? 1 : 0)), UINT64_MAX, octets);
}

static bool
is_among(struct span word, const char *const verbs[])
{
	for (; *verbs != NULL; verbs++)
		if (span_ieq(word, span_str(*verbs)))
			return true;
	return false;
}

static void
claim_wanted(const struct world *w, struct span verb)
{
	static const char *const writes[] = {"APPEND", "STORE", "COPY", "MOVE", "EXPUNGE", "CREATE",
	    "DELETE", "RENAME", "REPLACE", "SETACL", "SUBSCRIBE", NULL};
	static const char *const denied[] = {"GETACL", NULL};
	static const char *const tls[] = {"STARTTLS", NULL};
	static const char *const never[] = {"COMPRESS", NULL};

	fuzz_claim(!is_among(verb, never));
	fuzz_claim(!has_option(w, OPTION_READ_ONLY) || !is_among(verb, writes));
	fuzz_claim(!has_option(w, OPTION_DENY) || !is_among(verb, denied));
	fuzz_claim(has_option(w, OPTION_TLS) || !is_among(verb, tls));
}

/* Tags that two commands have say nothing of which is answered. */
static void
add_tag(struct world *w, struct span tag)
{
	fuzz_claim(tag.n > 0 && tag.n < TAG_MAX);
	w->to_server.off |= w->n_tags == TAGS_MAX;
	if (w->to_server.off)
		return;
	memcpy(w->tag, tag.p, tag.n);
	w->tag[tag.n] = '\0';
	for (size_t i = 0; i < w->n_tags; i++)
		w->to_server.off |= strcmp(w->tags[i], w->tag) == 0;
	memcpy(w->tags[w->n_tags++], w->tag, TAG_MAX);
}

static void
first_line(struct world *w, struct span line)
{
	static const char *const exchanges[] = {"AUTHENTICATE", "IDLE", NULL};
	struct span rest = span_first(line, line.n - 2), tag = span_word(&rest);
	struct span verb = span_word(&rest);

	if (span_ieq(verb, span_str("UID")))
		verb = span_word(&rest);
	add_tag(w, tag);
	claim_wanted(w, verb);
	w->exchange = is_among(verb, exchanges);
	if (span_ieq(verb, span_str("STARTTLS")))
		w->to_server.off = w->to_client.off = true;
}

static void
line_to_server(struct world *w, struct reader *r)
{
	struct span line = buf_span(&r->line);
	uint64_t octets = 0;
	bool plus = false;

	fuzz_claim(line.n >= 2 && line.p[line.n - 2] == '\r');
	for (size_t i = 0; i + 2 < line.n; i++)
		fuzz_claim(line.p[i] != '\r' && line.p[i] != '\0');
	if (w->exchange)
		return;
	if (!r->more)
		first_line(w, line);
	r->more = announced(line, &octets, &plus);
	if (!r->more)
		return;
	fuzz_claim(!plus || w->offered);
	r->literal = octets;
	w->waits = !plus;
}

static void
octet_to_server(struct world *w, uint8_t c)
{
	struct reader *r = &w->to_server;

	fuzz_claim(!w->waits);
	if (r->literal > 0) {
		r->literal--;
		return;
	}
	fuzz_claim(buf_octet(&r->line, c));
	if (c != '\n')
		return;
	line_to_server(w, r);
	buf_clear(&r->line);
}

/* ---- what reaches the client ---- */

/* The gateway's own answer: of a command that the server never had. */
static bool
is_own(struct span line)
{
	static const char *const texts[] = {OWN, "Unknown command", "Not now", "Syntax error",
	    "Nothing is changed here", "is not available", "Message too big",
	    "Too many failed logins", "LOGIN is disabled"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (has_text(line, texts[i]))
			return true;
	return false;
}

static void
tagged_to_client(struct world *w, struct span tag)
{
	for (size_t i = 0; i < w->n_tags; i++)
		if (span_eq(span_str(w->tags[i]), tag)) {
			memmove(
			    w->tags[i], w->tags[i + 1], (w->n_tags - i - 1) * sizeof(w->tags[0]));
			w->n_tags--;
			break;
		}
	if (!span_eq(span_str(w->tag), tag))
		return;
	/* a literal that waited will not come, and what does is a command */
	if (w->waits) {
		w->to_server.more = false;
		w->to_server.literal = 0;
	}
	w->waits = w->exchange = false;
}

/* Where a client looks for capabilities (RFC 9051 s7.1): anywhere else it is text for people. */
static bool
lists_capabilities(struct span line)
{
	struct span rest = line;

	span_word(&rest);
	span_word(&rest);
	return span_istarts(line, span_str("* CAPABILITY ")) ||
	       span_istarts(span_trim(rest), span_str("[CAPABILITY "));
}

static void
line_to_client(struct world *w, struct reader *r)
{
	struct span line = buf_span(&r->line), rest = line, tag = span_word(&rest);
	bool plus = false;

	fuzz_claim(line.n >= 2 && line.p[line.n - 2] == '\r');
	for (size_t i = 0; i + 2 < line.n; i++)
		fuzz_claim(line.p[i] != '\r' && line.p[i] != '\0');
	if (!r->more) {
		fuzz_claim(tag.n > 0);
		if (lists_capabilities(line))
			fuzz_claim(!has_text(line, "COMPRESS=DEFLATE"));
		if (line.p[0] == '+')
			w->waits = false;
		else if (line.p[0] != '*' && !is_own(line))
			tagged_to_client(w, tag);
	}
	r->more = announced(line, &r->literal, &plus);
	fuzz_claim(!r->more || !plus);
}

/* An answer of the gateway's own, within what the server says. */
static void
claim_undisturbed(const struct world *w, struct span literal)
{
	fuzz_claim(w->spoke_of_this || !has_text(literal, OWN));
}

static void
to_client(struct world *w, struct span s)
{
	struct reader *r = &w->to_client;

	while (s.n > 0) {
		struct span literal = span_first(s, r->literal < s.n ? (size_t)r->literal : s.n);

		claim_undisturbed(w, literal);
		r->literal -= literal.n;
		s = span_from(s, literal.n);
		if (s.n == 0)
			return;
		fuzz_claim(buf_octet(&r->line, s.p[0]));
		if (s.p[0] == '\n') {
			line_to_client(w, r);
			buf_clear(&r->line);
		}
		s = span_from(s, 1);
	}
}

/* What is sent when the input says so, says nothing of which was there first. */
static void
octets_out(struct world *w, enum an_dir dir, struct span s)
{
	if (has_option(w, OPTION_SLOW) || w->relay->opaque)
		w->to_server.off = w->to_client.off = true;
	if (dir == AN_C2S && !w->to_client.off)
		to_client(w, s);
	for (size_t i = 0; dir == AN_S2C && i < s.n && !w->to_server.off; i++)
		octet_to_server(w, s.p[i]);
}

/* ---- the relay is driven ---- */

static void
look_around(const struct world *w)
{
	const struct relay *r = w->relay;

	fuzz_claim(r->client.queued <= CHANNEL_QUEUE_MAX + 4 * CHANNEL_BLOCK);
	fuzz_claim(r->server.queued <= CHANNEL_QUEUE_MAX + 4 * CHANNEL_BLOCK);
	fuzz_claim(
	    (r->reason == NULL) == (r->wish[AN_C2S] == WISH_NONE || r->wish[AN_S2C] == WISH_NONE));
	fuzz_claim(
	    r->reason != NULL || r->peer[AN_S2C] == PEER_CONNECTING || relay_deadline(r) != 0);
	fuzz_claim(!w->refused || r->wish[AN_S2C] == WISH_RESET);
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
deliver(struct world *w, enum an_dir dir, size_t piece)
{
	struct span said = span_from(buf_span(&w->backlog[dir]), w->begin[dir]);

	while (said.n > 0 && relay_wants_read(w->relay, dir)) {
		struct channel_room room = channel_room(relay_from(w->relay, dir));
		size_t n = said.n < piece ? said.n : piece;

		fuzz_claim(room.n > 0);
		n = n < room.n ? n : room.n;
		memcpy(room.p, said.p, n);
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
	if (octets.n > 0 && dir == AN_C2S)
		w->last = octets.p[octets.n - 1];
	/* once it may have been offered, it may be used */
	if (octets.n > 0 && dir == AN_S2C)
		w->offered = w->offered || piece == 1 || memchr(octets.p, '2', octets.n) != NULL ||
			     has_text(octets, "ITERAL");
	buf_add(&w->backlog[dir], octets);
	deliver(w, dir, piece);
}

static void
say_text(struct world *w, enum an_dir dir, const char *text)
{
	say(w, dir, span_str(text), SIZE_MAX);
}

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): several lines at once */
static const char *const lines[] = {
    "a NOOP\r\n",
    "b CAPABILITY\r\n",
    "c SELECT INBOX\r\n",
    "d EXAMINE {5}\r\n",
    "INBOX\r\n",
    "e FETCH 1 BODY[]\r\n",
    "f UID FETCH 1:* (BODY.PEEK[2]<0.10> FLAGS)\r\n",
    "g FETCH 1 BODYSTRUCTURE\r\n",
    "h APPEND INBOX {30}\r\n",
    "i APPEND INBOX {30+}\r\n",
    "Subject: x\r\n\r\n012345678901234",
    "\r\n",
    " {30+}\r\n",
    "j APPEND INBOX CATENATE (TEXT {30+}\r\n",
    ")\r\n",
    "k IDLE\r\n",
    "DONE\r\n",
    "l AUTHENTICATE PLAIN\r\n",
    "AGEAYg==\r\n",
    "*\r\n",
    "m GETACL INBOX\r\n",
    "n GETACL {30+}\r\n",
    "o COMPRESS DEFLATE\r\n",
    "p STARTTLS\r\n",
    "\x16\x03\x01",
    "q LOGOUT\r\n",
    "r STORE 1 +FLAGS (\\Deleted)\r\n",
    "s UID MOVE 1 x\r\n",
    "t EXPUNGE\r\n",
    "u CLOSE\r\n",
    "v XYZZY\r\n",
    "w ID (\"name\" \"x\")\r\n",
    "x SEARCH ALL\r\ny NOOP\r\nz GETACL x\r\n",
    "a1 UNAUTHENTICATE\r\n",
    "a2 REPLACE 1 INBOX {30+}\r\n",
    "a3 CREATE {3}\r\na4 NOOP\r\n",
    "GET / HTTP/1.1\r\n",
};

static const char *const replies[] = {
    "* OK [CAPABILITY IMAP4rev1 LITERAL+ CATENATE MULTIAPPEND REPLACE COMPRESS=DEFLATE] ready\r\n",
    "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS] ready\r\n",
    "* PREAUTH ready\r\n",
    "* BYE no\r\n",
    "* CAPABILITY IMAP4rev1 LITERAL- COMPRESS=DEFLATE\r\n",
    "+ go\r\n",
    "* 3 EXISTS\r\n",
    "* 1 EXPUNGE\r\n",
    "* VANISHED 1:3\r\n",
    "* 1 FETCH (UID 7 BODY[] {30}\r\n",
    "Subject: x\r\n\r\n012345678901234",
    ")\r\n",
    " BODY[2]<0> {10}\r\n0123456789)\r\n",
    "* 1 FETCH (BODY[2]<10> \"012\" RFC822.SIZE 30)\r\n",
    "* 1 FETCH (BODY[HEADER] {14}\r\nSubject: x\r\n\r\n)\r\n",
    "* 1 FETCH (BODY[TEXT] \"x\")\r\n",
    "* 1 FETCH (BODYSTRUCTURE ((\"text\" \"plain\" NIL NIL NIL \"7bit\" 8 1)(\"image\" {3}\r\n",
    "png (\"name\" \"a\") NIL NIL \"base64\" 13) \"mixed\"))\r\n",
    "* 1 FETCH (FLAGS (\\Seen))\r\n",
    "* LIST () \"/\" {5}\r\nINBOX\r\n",
    "* SEARCH 1 2 3\r\n",
    "* ID NIL\r\n",
    "* ENABLED UTF8=ACCEPT\r\n",
    "* OK [COPYUID 1 1:3 4:6] done\r\n",
    "* 1 FETCH (BODY[] {999999999999}\r\n",
    "zz OK\r\n",
    "* 9 UIDFETCH (BODY[] NIL)\r\n",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

/* The newest command of the server's is answered, "+" if it waits for that. */
static void
serve(struct world *w, uint8_t value)
{
	static const char *const words[] = {" OK done\r\n", " NO\r\n",
	    " OK [CAPABILITY IMAP4rev1 LITERAL+ COMPRESS=DEFLATE] in\r\n", " BAD what\r\n"};
	char line[TAG_MAX + 80];

	if (w->waits || (w->exchange && (value & 8) != 0)) {
		say_text(w, AN_S2C, "+ go\r\n");
		return;
	}
	snprintf(line, sizeof(line), "%s%s", w->tag, words[value & 3]);
	say_text(w, AN_S2C, line);
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

/* Only where a command may begin. */
static void
say_secret(struct world *w)
{
	const struct relay *r = w->relay;
	bool begins = (w->last == '\n' || r->client.received == 0) && w->backlog[AN_C2S].n == 0 &&
		      channel_input(&r->client).n == 0;

	if (begins && !w->to_server.off && !w->to_server.more && !w->waits && !w->exchange &&
	    w->to_server.literal == 0 && w->to_server.line.n == 0)
		say_text(w, AN_C2S, "a9 LOGIN zoe " SECRET "\r\n");
}

static void
log_in(struct world *w)
{
	if (w->relay->server.received == 0)
		say_text(w, AN_S2C, replies[0]);
	say_text(w, AN_C2S, "a8 LOGIN zoe x\r\n");
	say_text(w, AN_S2C, "a8 OK in\r\n");
	say_text(w, AN_C2S, "a7 SELECT INBOX\r\n");
	say_text(w, AN_S2C, "* 3 EXISTS\r\na7 OK in\r\n");
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
		serve(w, value);
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

static char deny_getacl[] = "GETACL";
static char *deny[] = {deny_getacl, NULL};

static void
configure(struct world *w)
{
	struct imap_config *c = &w->config.imap;
	struct retrieval_policy *p;
	const char *why;

	w->config.mode = INTERCEPT_TPROXY;
	w->config.limits.pressed_timeout = 10;
	c->errors = has_option(w, OPTION_SMALL) ? 3 : 20;
	c->timeouts = (struct retrieval_timeouts){300, 180, 1860, 2100, 300};
	if (has_option(w, OPTION_SMALL))
		c->dialogue = (struct imap_limits){8192, 20, 100, 1000, 64, 128};
	mail_options_default(&w->config.mime.options);
	w->config.mime.inspect = has_option(w, OPTION_INSPECT) || has_option(w, OPTION_CONTENT);
	if (has_option(w, OPTION_CONTENT)) {
		w->config.content =
		    (struct content_policy){.check = CHECK_ENFORCE, .part_size = 10};
		w->config.content.rules[CONTENT_SIZE] = CHECK_ENFORCE;
	}
	w->config.policy = policy_new();
	if (w->config.policy == NULL)
		abort();
	p = &w->config.policy->imap;
	p->deny = has_option(w, OPTION_DENY) ? deny : NULL;
	p->read_only = has_option(w, OPTION_READ_ONLY);
	p->refuse_unknown = !has_option(w, OPTION_UNKNOWN);
	p->starttls = has_option(w, OPTION_TLS)	   ? STARTTLS_PASS
		      : has_option(w, OPTION_HIDE) ? STARTTLS_HIDE
						   : STARTTLS_AUTO;
	fuzz_claim(networks_add(w->config.policy->inside, "10.0.0.0/8", &why));
	policy_seal(w->config.policy);
}

static void
begin(struct world *w)
{
	struct record_session session = {.flow_id = 1, .forward = "test"};
	struct facts facts = {0};

	ip_parse(span_str("203.0.113.9"), &facts.client);
	ip_parse(span_str("10.0.0.25"), &facts.server);
	policy_place(w->config.policy, &facts);
	session.client = (struct endpoint){facts.client, 5555};
	session.server = session.up_server = (struct endpoint){facts.server, 143};
	w->env = (struct relay_env){.config = &w->config,
	    .sink = take_record,
	    .sink_arg = w,
	    .now = tell_time,
	    .refused = refused,
	    .allow = allow,
	    .take_back = take_back,
	    .pressed = pressed,
	    .arg = w};
	w->now = 1000;
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		buf_init(&w->backlog[dir], BACKLOG_MAX);
	buf_init(&w->to_client.line, LINE_MAX);
	buf_init(&w->to_server.line, LINE_MAX);
	w->relay = relay_new(&relay_imap, &w->env, &session, &facts);
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
	w->options = n > 1 ? p[0] + 256u * p[1] : 0;
	w->secrets_told = has_text(span_of(p, n), SECRET);
	w->spoke_of_this = has_text(span_of(p, n), OWN);
	configure(w);
	begin(w);
	play(w, span_from(span_of(p, n), 2));
	relay_free(w->relay);
	fuzz_claim(w->flows == 1 && w->sessions == 1);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		buf_free(&w->backlog[dir]);
	buf_free(&w->to_client.line);
	buf_free(&w->to_server.line);
	w->config.policy->imap.deny = NULL;
	policy_free(w->config.policy);
	free(w);
	return 0;
}
