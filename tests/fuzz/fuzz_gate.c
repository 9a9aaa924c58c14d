/*
 * fuzz_gate - the whole SMTP gate between a client and a server that say what the input wants.
 *
 * Two octets of options, then records: what happens (enum act), an octet, and octets where the
 * act has some. The relay is driven as proxy/session.c does it, with arrays for sockets, a clock
 * and DNS answers of the input's own.
 *
 * What is claimed is what a user relies on, whatever the two sides say:
 *  - the server gets whole lines, no CR, LF or NUL out of place, no command that it was not meant
 *    to get, and nothing behind DATA, STARTTLS and AUTH before its own reply;
 *  - it gets an end mark only for a message that the client ended and the gate did not refuse,
 *    and the client a 2xx for its own only when the server has said so;
 *  - from a client outside it gets only local recipients, until it has said 235 itself;
 *  - the client gets one reply per command, in whole lines, and at most one more at the end;
 *  - queues keep their bound; no call works for ever, no deadline stands still, no session is
 *    left without one;
 *  - every record is one line of JSON without a secret; the flow record is written once.
 */
#include <jansson.h>

#include "fuzz.h"
#include "mime/analyzers_init.h"
#include "proxy/config.h"
#include "proxy/relay.h"
#include "smtp_reader.h"

#define BACKLOG_MAX   (4u << 20) /* octets that a side has said and nobody has read */
#define LINE_MAX_SLOP 8		 /* a canonical command has brackets that were left out */

enum option {
	OPTION_INSIDE = 1 << 0,	   /* the client is */
	OPTION_NORMALIZE = 1 << 1, /* bare_newline */
	OPTION_SENDER = 1 << 2,	   /* sender_domain.check = enforce */
	OPTION_BY_MX = 1 << 3,
	OPTION_TLS = 1 << 4,	  /* starttls = pass */
	OPTION_SLOW = 1 << 5,	  /* what is queued goes out only when the input says so */
	OPTION_CONNECT = 1 << 6,  /* the server is not connected from the start */
	OPTION_SMALL = 1 << 7,	  /* limits that are soon reached */
	OPTION_LIMITED = 1 << 8,  /* some acts are too many for a minute */
	OPTION_PRESSED = 1 << 9,  /* there are too many sessions */
	OPTION_SIZE = 1 << 10,	  /* message_size, header_size, body_line, hops */
	OPTION_TARPIT = 1 << 11,  /* error_delay */
	OPTION_CLEAR = 1 << 12,	  /* auth_requires_tls */
	OPTION_NO_DNS = 1 << 13,  /* look-ups cannot be begun */
	OPTION_LENIENT = 1 << 14, /* lenient_paths */
	OPTION_CONTENT = 1 << 15, /* messages are looked at, and parts of 20 octets refused */
};

enum act {
	ACT_CLIENT,	   /* so many octets of the client */
	ACT_SERVER,	   /* of the server */
	ACT_CLIENT_SINGLE, /* one by one */
	ACT_SERVER_SINGLE,
	ACT_LINE,   /* a line of the client from the table */
	ACT_REPLY,  /* a reply of the server from the table */
	ACT_SERVE,  /* the server answers all that it was asked, as a good one would */
	ACT_DRAIN,  /* so many octets go out to the server, or the client; 0: all */
	ACT_TICK,   /* so many seconds go by; 0: the deadline comes */
	ACT_ANSWER, /* the answers of the DNS, by the octet */
	ACT_PEER,   /* connected, at its end, gone */
	ACT_BULK,   /* many lines of text from the client */
	ACT_SECRET, /* the client logs in */
	ACT_COUNT,
};

struct world {
	unsigned options;
	struct config config;
	struct relay_env env;
	struct relay *relay;
	uint64_t now;
	unsigned allowed;

	struct buf backlog[2]; /* said by the peer of this direction, not read yet */
	size_t begin[2];
	uint64_t parsed[2], released[2]; /* marks of the channels that the readers have come to */
	struct reader client, server;
	struct replies to_client, from_server;
	bool server_broken; /* the server's replies make no sense any more */
	bool authenticated;
	unsigned extra; /* replies that no command asked for */
	size_t steps;

	struct answers *into; /* a look-up that waits */
	struct dns_question questions[ANSWERS_MAX];
	size_t n_questions;

	bool secrets_told; /* the input has the secret itself: who says it is not known then */
	unsigned last_secret;
	unsigned flows;
};

static bool
has_option(const struct world *w, enum option option)
{
	return (w->options & (unsigned)option) != 0;
}

/* ---- records ---- */

/* The password, and its base64 as it stands in the lines of the table. */
static const char *const secrets[] = {
    "kEy-f0r-Zoe", "a0V5LWYwci1ab2", "tFeS1mMHItWm9l", "rRXktZjByLVpvZ"};

static bool
has_secret(struct span s)
{
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (memmem(s.p, s.n, secrets[i], strlen(secrets[i])) != NULL)
			return true;
	return false;
}

static void
take_record(void *arg, const char *line, size_t n)
{
	struct world *w = arg;
	json_error_t error;
	json_t *record = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);

	fuzz_claim(record != NULL);
	fuzz_claim(n <= RECORD_LINE_MAX && memchr(line, '\n', n) == line + n - 1);
	fuzz_claim(w->secrets_told || !has_secret(span_of(line, n)));
	if (strcmp(json_string_value(json_object_get(record, "event_type")), "flow") == 0)
		w->flows++;
	json_decref(record);
}

/* ---- services ---- */

static uint64_t
tell_time(void *arg)
{
	return ((const struct world *)arg)->now;
}

static void *
ask(void *arg, struct relay *relay, const struct dns_question *q, size_t n, unsigned budget_ms,
    struct answers *into)
{
	struct world *w = arg;

	(void)relay;
	(void)budget_ms;
	fuzz_claim(w->into == NULL && n > 0 && n <= ANSWERS_MAX);
	if (has_option(w, OPTION_NO_DNS))
		return NULL;
	w->into = into;
	w->n_questions = n;
	memcpy(w->questions, q, n * sizeof(*q));
	return w;
}

static void
unask(void *arg, void *handle)
{
	struct world *w = arg;

	fuzz_claim(handle == w && w->into != NULL);
	w->into = NULL;
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

/* ---- what may reach the server ---- */

static bool
ends_with(const char *s, size_t n, const char *end)
{
	size_t m = strlen(end);

	return n >= m && strncasecmp(s + n - m, end, m) == 0;
}

static bool
is_local(const struct world *w, const char *host, size_t n)
{
	if (n > 0 && host[n - 1] == '.')
		n--;
	if (n == 13 && strncasecmp(host, "local.example", n) == 0)
		return true;
	return ends_with(host, n, ".local.example") ||
	       (has_option(w, OPTION_BY_MX) && ends_with(host, n, "mx.example"));
}

/* Every host that somebody might find in a local part is local: u%host, host!u, u@host. */
static void
claim_local_part(const struct world *w, const char *local, size_t n)
{
	char plain[READER_LINE];
	size_t m = 0, from = 0;
	char before = ' ';

	for (size_t i = 0; i < n; i++) {
		if (local[i] == '"')
			continue;
		if (local[i] == '\\' && i + 1 < n)
			i++;
		plain[m++] = local[i];
	}
	for (size_t i = 0; i <= m; i++) {
		char c = ' ';

		if (i < m)
			c = plain[i];
		if (i < m && (c == '\0' || strchr("@%!", c) == NULL))
			continue;
		if (before == '@' || before == '%' || c == '!')
			fuzz_claim(is_local(w, plain + from, i - from));
		before = c;
		from = i + 1;
	}
}

static void
claim_recipient(const struct world *w, const char *line)
{
	const char *path = strchr(line, '<'), *end, *at = NULL;
	bool quoted = false;

	fuzz_claim(path != NULL && strncmp(line, "RCPT TO:<", 9) == 0);
	for (end = ++path; *end != '\0' && (quoted || *end != '>'); end++) {
		if (*end == '"')
			quoted = !quoted;
		else if (quoted && *end == '\\' && end[1] != '\0')
			end++;
		else if (!quoted && *end == '@')
			at = end;
	}
	fuzz_claim(*end == '>');
	if (at == NULL) {
		fuzz_claim(strncasecmp(path, "postmaster>", 11) == 0 ||
			   strncasecmp(path, "\"postmaster\">", 13) == 0);
		return;
	}
	for (const char *p = path; p < end; p++)
		if ((uint8_t)*p >= 0x80)
			return; /* what IDNA makes of it is not for a simple reader */
	fuzz_claim(is_local(w, at + 1, (size_t)(end - at - 1)));
	claim_local_part(w, path, (size_t)(at - path));
}

static bool
is_known(const struct reader *r)
{
	static const char *const verbs[] = {"EHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT", "RSET",
	    "NOOP", "VRFY", "EXPN", "HELP", "ETRN", "AUTH", "STARTTLS", "QUIT"};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strncmp(r->line, verbs[i], strlen(verbs[i])) == 0 &&
		    (r->line[strlen(verbs[i])] == ' ' || r->line[strlen(verbs[i])] == '\r'))
			return true;
	return false;
}

static void
claim_server_line(const struct world *w, size_t n, bool sasl)
{
	const struct reader *r = &w->server;
	const struct smtp_limits *l = &w->config.smtp.dialogue;
	bool auth = sasl || strncmp(r->line, "AUTH ", 5) == 0;
	bool judged = !has_option(w, OPTION_INSIDE) && !w->authenticated;

	fuzz_claim(n <= (auth ? l->auth_line : l->line) + LINE_MAX_SLOP);
	fuzz_claim(n >= 2 && r->line[n - 2] == '\r');
	for (size_t i = 0; i + 2 < n; i++)
		fuzz_claim(r->line[i] != '\r' && r->line[i] != '\0');
	if (sasl)
		return;
	fuzz_claim(is_known(r));
	if (!judged)
		return;
	fuzz_claim(!reader_verb(r, "VRFY") && !reader_verb(r, "EXPN") && !reader_verb(r, "ETRN"));
	if (reader_verb(r, "RCPT"))
		claim_recipient(w, r->line);
}

/* Behind these nothing is sent before their reply. */
static bool
waits_for_reply(const struct reader *r)
{
	enum due_kind newest = r->count == 0 ? DUE_COMMAND : r->dues[r->count - 1].kind;

	return newest == DUE_GREETING || newest == DUE_DATA || newest == DUE_AUTH ||
	       newest == DUE_TLS;
}

/* The message is whole for the server: the client has just ended one, and nobody answered it. */
static void
claim_end(struct world *w)
{
	const struct reader *r = &w->client;
	struct due *newest = &w->client.dues[r->count == 0 ? 0 : r->count - 1];

	fuzz_claim(!w->server.stray || w->server.binary);
	fuzz_claim(r->mode == READ_LINES && r->n == 0);
	fuzz_claim(r->count > 0 && newest->kind == DUE_END && !newest->sent);
	newest->sent = true;
}

static void
octet_to_server(struct world *w, uint8_t c)
{
	struct reader *r = &w->server;
	bool sasl = r->sasl, in_text = r->mode == READ_TEXT, in_lines = r->mode == READ_LINES;
	size_t n = r->n + 1;

	if (r->mode == READ_TLS)
		return;
	fuzz_claim(!in_lines || !waits_for_reply(r));
	reader_octet(r, c);
	fuzz_claim(!in_text || !r->stray);
	fuzz_claim(!in_lines || n < READER_LINE);
	if (r->got_line) {
		claim_server_line(w, n, sasl);
		fuzz_claim(!r->chunk_last || !reader_verb(r, "BDAT") ||
			   strcmp(r->line, "BDAT 0 LAST\r\n") == 0);
	}
	if (r->got_end)
		claim_end(w);
}

/* ---- replies ---- */

static void
octet_from_server(struct world *w, uint8_t c)
{
	struct due due;

	if (w->server_broken || w->server.mode == READ_TLS || !replies_octet(&w->from_server, c))
		return;
	if (!reader_answered(&w->server, w->from_server.code, &due)) {
		w->server_broken = true;
		return;
	}
	if (due.kind == DUE_AUTH && w->from_server.code == 235)
		w->authenticated = true;
	if (due.kind != DUE_END)
		return;
	for (unsigned i = 0; i < w->client.count; i++) {
		struct due *end = &w->client.dues[i];

		if (end->kind == DUE_END && end->sent && end->code == 0) {
			end->code = w->from_server.code;
			return;
		}
	}
}

/* The end mark of the client is answered. */
static void
claim_end_reply(const struct world *w, const struct due *end, unsigned code)
{
	if (code / 100 == 2)
		fuzz_claim(end->sent && end->code == code);
	else if (end->sent)
		fuzz_claim(end->code == code || w->relay->reason != NULL);
}

static void
octet_to_client(struct world *w, uint8_t c)
{
	struct replies *r = &w->to_client;
	bool behind_cr = r->n > 0 && r->line[r->n - 1] == '\r';
	struct due due;

	if (w->client.mode == READ_TLS)
		return;
	fuzz_claim(r->n < READER_LINE && c != '\0');
	fuzz_claim((c == '\n') == behind_cr);
	fuzz_claim(r->n >= 3 || isdigit(c));
	fuzz_claim(r->n != 3 || c == ' ' || c == '-' || c == '\r');
	if (!replies_octet(r, c))
		return;
	if (!reader_answered(&w->client, r->code, &due)) {
		fuzz_claim(++w->extra == 1 && w->relay->reason != NULL);
		return;
	}
	if (due.kind == DUE_END)
		claim_end_reply(w, &due, r->code);
}

/* ---- looking at the channels ---- */

/* The last n octets of a queue. */
static void
read_queue(
    struct world *w, const struct channel *c, size_t n, void (*read)(struct world *, uint8_t))
{
	struct iovec iov[CHANNEL_SEGMENTS_MAX + 2 * SMTP_SLOTS];
	size_t count = channel_iov(c, iov, sizeof(iov) / sizeof(iov[0])), skip = c->queued - n;

	fuzz_claim(count < sizeof(iov) / sizeof(iov[0]));
	for (size_t i = 0; i < count; i++) {
		const uint8_t *p = iov[i].iov_base;
		size_t from = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		skip -= from;
		for (size_t k = from; k < iov[i].iov_len; k++)
			read(w, p[k]);
	}
}

static void
look_at_queue(struct world *w, enum an_dir dir, void (*read)(struct world *, uint8_t))
{
	const struct channel *c = relay_to(w->relay, dir);
	uint64_t n = c->released - w->released[dir];
	size_t most = CHANNEL_QUEUE_MAX + CHANNEL_BLOCK + SMTP_SLOTS * (VERDICT_REPLY_MAX + 2);

	w->released[dir] = c->released;
	fuzz_claim(c->queued <= most);
	/* what was dropped with its queue reaches nobody */
	read_queue(w, c, n < c->queued ? (size_t)n : c->queued, read);
}

/* In this order things happened within one step. */
static void
look(struct world *w, enum an_dir dir, const uint8_t *taken, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (dir == AN_S2C)
			octet_from_server(w, taken[i]);
		else if (w->client.mode != READ_TLS)
			reader_octet(&w->client, taken[i]);
	look_at_queue(w, AN_C2S, octet_to_server);
	look_at_queue(w, AN_S2C, octet_to_client);
}

/* A step of the gate's own, with a look at what it did. */
static bool
watched_step(struct relay *r, enum an_dir dir)
{
	struct world *w = r->owner;
	const struct channel *c = relay_from(r, dir);
	struct span in = channel_input(c);
	uint64_t parsed = c->parsed;
	uint8_t *copy = malloc(in.n > 0 ? in.n : 1);
	bool more;

	if (copy == NULL)
		abort();
	if (in.n > 0)
		memcpy(copy, in.p, in.n);
	fuzz_claim(++w->steps < (1u << 20));
	more = relay_smtp.step(r, dir);
	fuzz_claim(c->parsed - parsed <= in.n);
	look(w, dir, copy, (size_t)(c->parsed - parsed));
	free(copy);
	return more;
}

/* After each call: is everything in a state that the owner can go on from? */
static void
look_around(struct world *w)
{
	struct relay *r = w->relay;
	bool waits = w->into != NULL || r->peer[AN_S2C] == PEER_CONNECTING;

	look(w, AN_C2S, NULL, 0);
	w->steps = 0;
	fuzz_claim((w->into != NULL) == ((r->pause[AN_C2S] & PAUSE_DNS) != 0));
	fuzz_claim(
	    (r->reason == NULL) == (r->wish[AN_C2S] == WISH_NONE || r->wish[AN_S2C] == WISH_NONE));
	fuzz_claim(r->reason != NULL || waits || relay_deadline(r) != 0);
	/* a clean end in the middle of a message looks like the whole of it */
	fuzz_claim(r->wish[AN_S2C] != WISH_CLOSE || w->server.mode != READ_TEXT);
}

/* ---- what happens ---- */

static void
drain(struct world *w, enum an_dir dir, size_t most)
{
	struct channel *c = relay_from(w->relay, dir);
	size_t n = most == 0 || most > c->queued ? c->queued : most;

	if (n == 0)
		return;
	channel_sent(c, n);
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

/* The relay reads what a peer has said as far as it wants. */
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
	buf_add(&w->backlog[dir], octets);
	deliver(w, dir, piece);
}

static void
say_text(struct world *w, enum an_dir dir, const char *text)
{
	say(w, dir, span_str(text), SIZE_MAX);
}

static const char *const lines[] = {
    "EHLO c.example\r\n",
    "HELO c.example\r\n",
    "MAIL FROM:<a@b.example>\r\n",
    "MAIL FROM:<a@mx.example> BODY=8BITMIME SIZE=90\r\n",
    "MAIL FROM:<> BODY=BINARYMIME\r\n",
    "RCPT TO:<u@local.example>\r\n",
    "RCPT TO:<u@mx.example>\r\n",
    "RCPT TO:<u@other.example>\r\n",
    "RCPT TO:<u%other.example@local.example>\r\n",
    "RCPT TO:<\"u@other.example\"@local.example>\r\n",
    "RCPT TO:<postmaster>\r\n",
    "DATA\r\n",
    ".\r\n",
    "Subject: x\r\n\r\ntext\r\n.\r\n",
    "..stuffed\r\n",
    "text\n.\r\ntext\r\n.\r\n",
    "BDAT 4\r\na\r\n.",
    "BDAT 4 LAST\r\na\r\n.",
    "BDAT 2\r\na\r",
    "BDAT 2\r\n\nb",
    "BDAT 0 LAST\r\n",
    "BDAT 0\r\n",
    "BDAT 3000\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "VRFY u\r\n",
    "ETRN h\r\n",
    "HELP\r\n",
    "AUTH LOGIN\r\n",
    "dXNlcg==\r\n",
    "*\r\n",
    "STARTTLS\r\n",
    "\x16\x03\x01",
    "QUIT\r\n",
    "XCLIENT ADDR=10.0.0.1\r\n",
    "GET / HTTP/1.1\r\n",
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@local.example>\r\nDATA\r\n",
    "MAIL FROM:<>\r\nRCPT TO:<u@local.example>\r\nBDAT 3 LAST\r\nx\r\nNOOP\r\n",
    "Received: x\r\n",
};

#define EHLO_REPLY                                                                                 \
	"250-mx\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"         \
	"250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-AUTH PLAIN LOGIN\r\n250-STARTTLS\r\n"    \
	"250-XCLIENT NAME\r\n250 ENHANCEDSTATUSCODES\r\n"

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): a reply of several lines */
static const char *const replies[] = {
    "220 mx\r\n",
    "250 2.0.0 ok\r\n",
    EHLO_REPLY,
    "250-mx\r\n250 CHUNKING\r\n",
    "354 go\r\n",
    "334 \r\n",
    "235 ok\r\n",
    "221 bye\r\n",
    "421 later\r\n",
    "450 later\r\n",
    "550 5.1.1 no\r\n",
    "554-no\r\n554 no\r\n",
    "250-a\r\n550 b\r\n",
    "250 a\r\n250 b\r\n250 c\r\n",
    "354 go\r\n250 ahead\r\n",
    "220 go\r\n\x16\x03\x03",
    "250 bare\n",
    "what\r\n",
    "\x16\x03\x03",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

static const char *
good_reply(enum due_kind kind)
{
	switch (kind) {
	case DUE_GREETING:
	case DUE_TLS:
		return "220 mx\r\n";
	case DUE_EHLO:
		return EHLO_REPLY;
	case DUE_DATA:
		return "354 go\r\n";
	case DUE_AUTH:
		return "235 2.7.0 ok\r\n";
	case DUE_COMMAND:
	case DUE_CHUNK:
	case DUE_END:
		break;
	}
	return "250 2.0.0 ok\r\n";
}

/* As many as were asked for when it began, and what follows from that. */
static void
serve(struct world *w)
{
	for (unsigned i = 0; i < 100 && w->server.count > 0 && !w->server_broken; i++) {
		if (has_option(w, OPTION_SLOW))
			drain_all(w);
		if (!relay_wants_read(w->relay, AN_S2C) || w->backlog[AN_S2C].n > 0)
			return;
		say_text(w, AN_S2C, good_reply(w->server.dues[0].kind));
	}
}

/* Only these hosts are ever the server's own address. */
static void
answer_one(struct world *w, const struct dns_question *q, uint8_t choice)
{
	static const enum dns_status bad[] = {
	    DNS_NODATA, DNS_NXDOMAIN, DNS_FAILED, DNS_TIMEOUT, DNS_NODATA, DNS_NXDOMAIN};
	struct dns_answer *a = calloc(1, sizeof(*a));
	bool own = ends_with(q->name, strlen(q->name), "mx.example");

	if (a == NULL)
		abort();
	a->question = *q;
	a->status = choice % 8 < 6 ? DNS_OK : bad[choice / 8 % 6];
	a->n = a->status == DNS_OK;
	if (a->n > 0 && q->type == DNS_MX) {
		snprintf(a->mx[0].host, sizeof(a->mx[0].host), "%s",
		    own		      ? "mx.example"
		    : choice % 3 == 0 ? ""
				      : "o.example");
	} else if (a->n > 0 && q->type == DNS_A) {
		uint8_t octets[4] = {10, 0, 0, 25};

		if (!own)
			octets[3] = 26;
		a->address[0] = ip_v4(octets);
	} else if (a->n > 0) {
		a->address[0] = ip_v6((const uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, choice});
	}
	answers_put(w->into, a);
	free(a);
}

static void
answer(struct world *w, uint8_t choices)
{
	if (w->into == NULL)
		return;
	for (size_t i = 0; i < w->n_questions; i++)
		answer_one(w, &w->questions[i], (uint8_t)(choices + 41 * i));
	w->into = NULL;
	relay_answered(w->relay);
	look_around(w);
}

/* Several things may be due at one moment, but none of them for ever. */
#define DUE_AT_ONCE 5

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
	struct endpoint up = {w->relay->facts.client, 40000};

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

/* The second of a pair only behind its first: else a password would be taken for a user. */
static void
say_secret(struct world *w, unsigned which)
{
	static const char *const said[] = {
	    "AUTH PLAIN AHpvZQBrRXktZjByLVpvZQ==\r\n", /* NUL zoe NUL kEy-f0r-Zoe */
	    "AUTH LOGIN em9l\r\n",		       /* zoe */
	    "a0V5LWYwci1ab2U=\r\n",		       /* kEy-f0r-Zoe */
	    "AUTH PLAIN\r\n",
	    "AHpvZQBrRXktZjByLVpvZQ==\r\n",
	};
	const struct reader *r = &w->client;

	which %= 5;
	if ((which == 2 || which == 4) && w->last_secret != which - 1)
		return;
	/* only as a line of its own, and not as one of a message */
	if (w->backlog[AN_C2S].n > 0 || channel_input(&w->relay->client).n > 0 || r->n > 0 ||
	    r->mode != READ_LINES)
		return;
	w->last_secret = which;
	say_text(w, AN_C2S, said[which]);
}

static void
bulk(struct world *w, uint8_t n)
{
	static const char text[] =
	    "0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklmnopqrst\r\n";

	for (unsigned i = 0; i < n * 8u; i++)
		buf_str(&w->backlog[AN_C2S], text);
	deliver(w, AN_C2S, SIZE_MAX);
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
		serve(w);
		break;
	case ACT_DRAIN:
		drain(w, (value & 1) != 0 ? AN_S2C : AN_C2S, value / 2u * 97);
		break;
	case ACT_TICK:
		tick(w, value);
		break;
	case ACT_ANSWER:
		answer(w, value);
		break;
	case ACT_PEER:
		peer(w, value % 12);
		break;
	case ACT_BULK:
		bulk(w, value);
		break;
	case ACT_SECRET:
		say_secret(w, value);
		return;
	case ACT_COUNT:
		break;
	}
	w->last_secret = 0;
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

static void
configure(struct world *w)
{
	struct smtp_config *c = &w->config.smtp;
	const char *why;

	w->config.dns_budget = 5;
	w->config.limits.min_rate = 500;
	w->config.limits.pressed_timeout = 10;
	c->timeouts = (struct smtp_timeouts){300, 300, 300, 120, 180, 600};
	c->dialogue =
	    (struct smtp_limits){4096, 12288, 65536, 2048, 256, 65536, 1000, false, false};
	c->recipients = 100;
	c->errors = 20;
	c->junk_commands = 100;
	c->header_size = 1u << 20;
	c->hops = 100;
	c->bare_newline =
	    has_option(w, OPTION_NORMALIZE) ? BARE_NEWLINE_NORMALIZE : BARE_NEWLINE_REJECT;
	c->error_delay = has_option(w, OPTION_TARPIT) ? 1000 : 0;
	if (has_option(w, OPTION_SMALL)) {
		c->dialogue = (struct smtp_limits){512, 700, 2000, 512, 16, 1200, 80, false, false};
		c->recipients = 3;
		c->errors = 6;
		c->junk_commands = 5;
	}
	if (has_option(w, OPTION_SIZE)) {
		c->message_size = 5000;
		c->header_size = 300;
		c->body_line = 90;
		c->hops = 2;
	}
	c->dialogue.lenient_paths = has_option(w, OPTION_LENIENT);

	w->config.mime.inspect = has_option(w, OPTION_CONTENT);
	mail_options_default(&w->config.mime.options);
	w->config.content = (struct content_policy){.check = CHECK_ENFORCE, .part_size = 20};
	w->config.content.rules[CONTENT_SIZE] = CHECK_ENFORCE;
	w->config.content.rules[CONTENT_AMBIGUOUS] = CHECK_REPORT;

	w->config.policy = policy_new();
	if (w->config.policy == NULL)
		abort();
	w->config.policy->starttls = has_option(w, OPTION_TLS) ? STARTTLS_PASS : STARTTLS_AUTO;
	w->config.policy->auth_requires_tls = has_option(w, OPTION_CLEAR);
	w->config.policy->relay.authenticated = true;
	w->config.policy->relay.by_mx = has_option(w, OPTION_BY_MX);
	w->config.policy->sender.check = has_option(w, OPTION_SENDER) ? CHECK_ENFORCE : CHECK_OFF;
	fuzz_claim(networks_add(w->config.policy->inside, "10.0.0.0/8", &why));
	fuzz_claim(domains_add(w->config.policy->relay.local_domains, "local.example", &why));
	fuzz_claim(domains_add(w->config.policy->relay.local_domains, ".local.example", &why));
	policy_seal(w->config.policy);
}

static void
begin(struct world *w, struct relay_ops *ops)
{
	struct record_session session = {.flow_id = 1, .forward = "test"};
	struct facts facts = {0};
	size_t line_max = w->config.smtp.dialogue.line;

	ip_parse(
	    span_str(has_option(w, OPTION_INSIDE) ? "10.0.0.9" : "203.0.113.9"), &facts.client);
	ip_parse(span_str("10.0.0.25"), &facts.server);
	policy_place(w->config.policy, &facts);
	session.client = (struct endpoint){facts.client, 5555};
	session.server = session.up_server = (struct endpoint){facts.server, 25};
	*ops = relay_smtp;
	ops->step = watched_step;
	w->env = (struct relay_env){.config = &w->config,
	    .sink = take_record,
	    .sink_arg = w,
	    .now = tell_time,
	    .ask = ask,
	    .unask = unask,
	    .refused = refused,
	    .allow = allow,
	    .take_back = take_back,
	    .pressed = pressed,
	    .arg = w};
	w->now = 1000;
	reader_init(&w->client, line_max);
	reader_init(&w->server, line_max);
	buf_init(&w->backlog[AN_C2S], BACKLOG_MAX);
	buf_init(&w->backlog[AN_S2C], BACKLOG_MAX);
	w->relay = relay_new(ops, &w->env, &session, &facts);
	if (w->relay == NULL)
		abort();
	w->relay->owner = w;
	if (!has_option(w, OPTION_CONNECT))
		connected(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct world *w = calloc(1, sizeof(*w));
	struct relay_ops ops;
	const char *why;

	if (w == NULL || !analyzers_init(false, &why))
		abort();
	w->options = n > 1 ? p[0] + 256u * p[1] : 0;
	w->secrets_told = has_secret(span_of(p, n));
	configure(w);
	begin(w, &ops);
	play(w, span_from(span_of(p, n), 2));
	relay_free(w->relay);
	fuzz_claim(w->flows == 1 && w->into == NULL);
	buf_free(&w->backlog[AN_C2S]);
	buf_free(&w->backlog[AN_S2C]);
	policy_free(w->config.policy);
	free(w);
	return 0;
}
