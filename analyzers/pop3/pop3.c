#include "pop3/pop3.h"

#include <stdlib.h>

#include "core/line.h"
#include "core/text.h"
#include "pop3/command.h"

/* A command that waits for its reply. */
struct slot {
	enum pop3_verb verb : 8;
	bool lines : 1;	   /* its +OK is followed by lines */
	bool answered : 1; /* by the caller; takes effect when all before it have their reply */
	bool ok : 1;	   /* then */
	bool idle : 1;	   /* it has a fault, and the client waits for no reply to it */
	uint32_t number;
};

/* What the client's next line is. */
enum client {
	CLIENT_COMMAND,
	CLIENT_SYNC, /* that depends on a reply */
	CLIENT_SASL, /* a response of AUTH */
};

/* What the server's next octets are. */
enum server {
	SERVER_REPLY,
	SERVER_LINES,
	SERVER_MESSAGE,
};

/* "AUTH ": such a line may be longer than others. */
static const char auth_word[] = "auth";
#define AUTH_WORD 5

struct pop3 {
	struct pop3_limits limits;
	enum pop3_phase phase;
	enum client client;
	enum server server;
	uint64_t off[2];   /* octets taken, by direction */
	uint64_t begin[2]; /* where the event began that is being read */
	bool deaf[2];	   /* that direction made no sense; its rest is not looked at */
	uint8_t auth_n;	   /* octets of the client's line that are those of auth_word */
	bool observed;	   /* nobody stands in between */
	bool joined;	   /* in the middle: nobody knows the phase */
	bool passing;	   /* and no command was seen */
	bool within_line;  /* passing: what the server said last is no whole line */
	bool gap;	   /* something of the message that is coming in is missing */
	uint64_t size;	   /* of that message, as the server said; 0: it did not */
	uint64_t came;	   /* of it */

	struct line line;   /* of the client */
	struct line answer; /* of the server */
	struct text text;

	struct slot slots[POP3_SLOTS];
	unsigned first, count;
	uint64_t next_slot; /* number of the next command */

	struct pop3_detail detail;
};

static size_t
or_default(size_t value, size_t fallback)
{
	return value == 0 ? fallback : value;
}

static struct pop3_limits
with_defaults(const struct pop3_limits *in)
{
	struct pop3_limits l = {0};

	if (in != NULL)
		l = *in;
	l.line = or_default(l.line, 512);
	l.endless = or_default(l.endless, 8192);
	l.auth_line = or_default(l.auth_line, 12288);
	l.reply_line = or_default(l.reply_line, 2048);
	l.list_line = or_default(l.list_line, 2048);
	l.body_line = or_default(l.body_line, 1000);
	return l;
}

static size_t
larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static struct slot *
slot_at(struct pop3 *s, unsigned i)
{
	return &s->slots[(s->first + i) % POP3_SLOTS];
}

/* The newest command is in s->detail. */
static uint64_t
push(struct pop3 *s)
{
	const struct pop3_detail *d = &s->detail;
	enum pop3_lines lines = d->verb->lines;

	*slot_at(s, s->count++) = (struct slot){.verb = d->verb->verb,
	    .number = d->number,
	    .lines = lines == POP3_LINES || lines == POP3_LINES_MESSAGE ||
		     (lines == POP3_LINES_BARE && d->args.n == 0)};
	return s->next_slot++;
}

struct pop3 *
pop3_new(const struct pop3_limits *limits)
{
	struct pop3 *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->limits = with_defaults(limits);
	line_init(&s->line, larger(s->limits.auth_line, s->limits.line));
	line_init(&s->answer,
	    larger(s->limits.auth_line, larger(s->limits.reply_line, s->limits.list_line)));
	s->detail.verb = pop3_verb_row(POP3_NONE);
	push(s);
	return s;
}

void
pop3_free(struct pop3 *s)
{
	if (s == NULL)
		return;
	line_free(&s->line);
	line_free(&s->answer);
	free(s);
}

void
pop3_secured(struct pop3 *s)
{
	s->phase = POP3_AUTHORIZATION;
}

void
pop3_observe(struct pop3 *s)
{
	s->observed = true;
}

void
pop3_join(struct pop3 *s)
{
	s->first = s->count = 0;
	s->phase = POP3_TRANSACTION;
	s->joined = s->passing = true;
}

bool
pop3_gap(struct pop3 *s, enum an_dir dir, uint64_t n)
{
	if (dir != AN_S2C || s->server != SERVER_MESSAGE || n == 0)
		return false;
	if (s->count > 1 && (s->came >= s->size || n >= s->size - s->came))
		return false;
	text_resume(&s->text, 0); /* offsets do not count them */
	s->came += n;
	s->gap = true;
	return true;
}

bool
pop3_deaf(const struct pop3 *s, enum an_dir dir)
{
	return s->deaf[dir];
}

unsigned
pop3_waiting(const struct pop3 *s)
{
	return s->count;
}

uint64_t
pop3_oldest(const struct pop3 *s)
{
	return s->next_slot - s->count;
}

enum pop3_phase
pop3_phase(const struct pop3 *s)
{
	return s->phase;
}

bool
pop3_in_lines(const struct pop3 *s)
{
	return s->server != SERVER_REPLY;
}

/* ---- replies take effect ---- */

/* Every change of phase goes through this: what an accepted command means for the session. */
static void
enter(struct pop3 *s, const struct slot *slot)
{
	switch ((int)slot->verb) {
	case POP3_NONE:
		s->phase = POP3_AUTHORIZATION;
		break;
	case POP3_USER: /* which changes nothing, but for those who did not know */
		if (s->joined)
			s->phase = POP3_AUTHORIZATION;
		break;
	case POP3_APOP:
	case POP3_PASS:
		s->phase = POP3_TRANSACTION;
		break;
	case POP3_AUTH: /* without an argument it only asks for mechanisms */
		if (!slot->lines)
			s->phase = POP3_TRANSACTION;
		break;
	case POP3_STLS:
		s->phase = POP3_OPAQUE;
		break;
	case POP3_QUIT:
		if (s->phase == POP3_TRANSACTION)
			s->phase = POP3_UPDATE;
		break;
	default:
		break;
	}
}

static void
apply(struct pop3 *s, const struct slot *slot, bool ok)
{
	if (pop3_verb_row(slot->verb)->sync && !slot->idle)
		s->client = CLIENT_COMMAND;
	if (ok)
		enter(s, slot);
}

static struct slot
pop(struct pop3 *s)
{
	struct slot slot = *slot_at(s, 0);

	s->first = (s->first + 1) % POP3_SLOTS;
	s->count--;
	return slot;
}

/* Answers that the caller gave take effect in the order of the commands. */
static void
settle(struct pop3 *s)
{
	while (s->count > 0 && slot_at(s, 0)->answered) {
		struct slot slot = pop(s);

		apply(s, &slot, slot.ok);
	}
}

void
pop3_answered(struct pop3 *s, bool ok)
{
	if (s->count == 0)
		return;
	slot_at(s, s->count - 1)->answered = true;
	slot_at(s, s->count - 1)->ok = ok;
	settle(s);
}

bool
pop3_answered_oldest(struct pop3 *s, bool ok)
{
	struct slot slot;

	if (s->count == 0)
		return false;
	slot = pop(s);
	s->server = SERVER_REPLY;
	apply(s, &slot, ok);
	settle(s);
	return true;
}

/* ---- events ---- */

static void
event(struct pop3 *s, struct an_event *ev, enum an_dir dir, enum an_kind kind, struct span octets)
{
	*ev = (struct an_event){
	    .kind = kind, .dir = dir, .off = s->begin[dir], .octets = octets, .pop3 = &s->detail};
}

static enum an_status
feed_opaque(
    struct pop3 *s, enum an_dir dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	if (n == 0)
		return AN_MORE;
	*used = n;
	s->detail = (struct pop3_detail){.verb = pop3_verb_row(POP3_STLS)};
	event(s, ev, dir, EV_OPAQUE, span_of(p, n));
	return AN_EVENT;
}

static void
detail_of_oldest(struct pop3 *s)
{
	s->detail = (struct pop3_detail){.verb = pop3_verb_row(POP3_UNKNOWN)};
	if (s->count == 0)
		return;
	s->detail.verb = pop3_verb_row(slot_at(s, 0)->verb);
	s->detail.number = slot_at(s, 0)->number;
}

/* The dot: the oldest command has all of its answer. */
static enum an_status
end_event(struct pop3 *s, struct an_event *ev, enum an_kind kind)
{
	struct slot slot;

	detail_of_oldest(s);
	event(s, ev, AN_S2C, kind, SPAN_NONE);
	ev->slot = pop3_oldest(s);
	s->server = SERVER_REPLY;
	s->gap = false;
	slot = pop(s);
	apply(s, &slot, true);
	settle(s);
	return AN_EVENT;
}

/* ---- client to server ---- */

static enum an_anomaly
command_anomaly(enum pop3_fault fault)
{
	switch ((int)fault) {
	case POP3_LINE_TOO_LONG:
	case POP3_LINE_ENDLESS:
		return AN_COMMAND_TOO_LONG;
	case POP3_LINE_BARE_LF:
		return AN_BARE_LF;
	case POP3_LINE_BARE_CR:
		return AN_BARE_CR;
	case POP3_LINE_NUL:
		return AN_NUL;
	case POP3_VERB_FOREIGN:
		return AN_OTHER_PROTOCOL;
	default:
		return AN_NONE;
	}
}

/* Where the stream goes on all the same. */
static bool
goes_on(const struct pop3 *s, enum pop3_fault fault)
{
	return !pop3_fault_ends(fault) || (s->observed && fault == POP3_LINE_BARE_LF);
}

static enum an_status
command_event(struct pop3 *s, struct an_event *ev, enum an_kind kind, struct span line)
{
	struct pop3_detail *d = &s->detail;

	if (d->fault == POP3_OK && !s->joined && !(d->verb->phases & POP3_IN(s->phase)))
		d->fault = POP3_WRONG_PHASE;
	event(s, ev, AN_C2S, kind, line);
	ev->anomaly = command_anomaly(d->fault);
	ev->slot = push(s);
	if ((d->fault == POP3_OK || d->fault == POP3_LINE_BARE_LF) && d->verb->sync)
		s->client = CLIENT_SYNC;
	slot_at(s, s->count - 1)->idle = s->client == CLIENT_COMMAND;
	if (!goes_on(s, d->fault)) /* whoever goes on is out of step */
		s->deaf[AN_C2S] = true;
	return AN_EVENT;
}

/* No line can be made of these octets. */
static enum an_status
hopeless(struct pop3 *s, struct an_event *ev, enum pop3_verb verb, enum pop3_fault fault)
{
	s->detail = (struct pop3_detail){.verb = pop3_verb_row(verb), .fault = fault};
	return command_event(s, ev, EV_COMMAND, SPAN_NONE);
}

static bool
at_line_start(const struct line *l)
{
	return l->whole || l->n == 0;
}

/* How many of these octets may still belong to a line that has "limit" octets at most. */
static size_t
within(const struct line *l, size_t limit, size_t n)
{
	size_t room = limit + 1 - (l->whole ? 0 : l->n);

	return n < room ? n : room;
}

/* Is this line AUTH's? Known with its fifth octet, in whatever pieces they come. */
static void
look_for_auth(struct pop3 *s, const uint8_t *p, size_t n)
{
	size_t at = at_line_start(&s->line) ? 0 : s->line.n;

	if (at == 0)
		s->auth_n = 0;
	for (size_t i = 0; i < n && at < AUTH_WORD && s->auth_n == at; i++, at++)
		if (at == AUTH_WORD - 1 ? p[i] == ' ' : octet_lower(p[i]) == (uint8_t)auth_word[at])
			s->auth_n++;
}

/* Lines that are no command that is known may be of anything. */
static bool
passes_over(struct pop3 *s)
{
	s->passing = s->passing && (s->within_line || s->detail.fault != POP3_OK);
	return s->passing;
}

#define TLS_HANDSHAKE 0x16 /* first octet of a ClientHello */

/*
 * No octet beyond the limit of a line without end is looked at: whether the end came in the same
 * chunk must not matter.
 */
static enum an_status
feed_command(struct pop3 *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct line_marks marks;
	struct span line;
	size_t limit;
	bool bare_lf;

	if (s->count >= POP3_SLOTS)
		return AN_WAIT;
	if (s->gap && at_line_start(&s->line)) { /* its end is among what is missing */
		s->begin[AN_S2C] = s->off[AN_S2C];
		return end_event(s, ev, EV_BODY_END);
	}
	if (at_line_start(&s->line) && p[0] == TLS_HANDSHAKE) {
		*used = 1;
		return hopeless(s, ev, POP3_FOREIGN, POP3_VERB_FOREIGN);
	}
	look_for_auth(s, p, n);
	limit = s->auth_n == AUTH_WORD ? larger(s->limits.auth_line, s->limits.endless)
				       : s->limits.endless;
	switch (line_feed(&s->line, p, within(&s->line, limit, n), used, &line, &marks)) {
	case LINE_NOMEM:
		return AN_NOMEM;
	case LINE_MORE:
		return s->line.n > limit ? hopeless(s, ev, POP3_UNKNOWN, POP3_LINE_ENDLESS)
					 : AN_MORE;
	case LINE_WHOLE:
		break;
	}
	bare_lf = s->observed && marks.bare_lf;
	marks.bare_lf = marks.bare_lf && !s->observed;
	pop3_command_parse(line, marks, &s->limits, &s->detail);
	if (passes_over(s))
		return AN_MORE;
	if (bare_lf && !pop3_fault_ends(s->detail.fault))
		s->detail.fault = POP3_LINE_BARE_LF;
	return command_event(s, ev, EV_COMMAND, line);
}

static enum an_status
feed_sasl(struct pop3 *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct pop3_detail *d = &s->detail;
	size_t limit = s->limits.auth_line;
	struct line_marks marks = {0};
	struct span line = SPAN_NONE;

	switch (line_feed(&s->line, p, within(&s->line, limit, n), used, &line, &marks)) {
	case LINE_NOMEM:
		return AN_NOMEM;
	case LINE_MORE:
		if (s->line.n <= limit)
			return AN_MORE;
		marks.too_long = true;
		break;
	case LINE_WHOLE:
		marks.too_long = marks.too_long || line.n + 2 > limit;
		break;
	}
	*d = (struct pop3_detail){.verb = pop3_verb_row(POP3_AUTH)};
	d->fault = marks.too_long  ? POP3_LINE_ENDLESS
		   : marks.bare_lf ? POP3_LINE_BARE_LF
		   : marks.nul	   ? POP3_LINE_NUL
		   : marks.bare_cr ? POP3_LINE_BARE_CR
				   : POP3_OK;
	d->args = line; /* so that no lines are taken to follow */
	if (d->args.n == 0)
		d->args = span_str("=");
	command_event(
	    s, ev, EV_SECRET, d->fault == POP3_OK || goes_on(s, d->fault) ? line : SPAN_NONE);
	d->args = SPAN_NONE;
	return AN_EVENT;
}

/* Nothing came: whoever waits for the next line keeps nothing of the last one. */
static enum an_status
rest(struct line *l)
{
	if (l->whole)
		line_free(l);
	return AN_MORE;
}

static enum an_status
feed_client(struct pop3 *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	if (s->deaf[AN_C2S]) {
		*used = n;
		return AN_MORE;
	}
	if (n == 0)
		return rest(&s->line);
	if (s->phase == POP3_OPAQUE)
		return feed_opaque(s, AN_C2S, p, n, used, ev);
	if (s->phase == POP3_GREETING)
		return AN_WAIT;
	switch (s->client) {
	case CLIENT_SYNC:
		return AN_WAIT;
	case CLIENT_COMMAND:
		return feed_command(s, p, n, used, ev);
	case CLIENT_SASL:
		return feed_sasl(s, p, n, used, ev);
	}
	return AN_MORE;
}

/* ---- server to client: replies ---- */

/* What makes no sense: nothing behind it does. */
static enum an_status
bad_answer(struct pop3 *s, struct an_event *ev, enum an_anomaly what)
{
	detail_of_oldest(s);
	event(s, ev, AN_S2C, EV_REPLY, SPAN_NONE);
	ev->slot = pop3_oldest(s);
	ev->anomaly = what;
	s->deaf[AN_S2C] = true;
	return AN_EVENT;
}

/* "[CODE]" at the front of the text (RFC 2449 s8). */
static struct span
response_code(struct span text)
{
	ptrdiff_t end = span_find(text, ']');

	if (text.n == 0 || text.p[0] != '[' || end < 1)
		return SPAN_NONE;
	return span_first(span_from(text, 1), (size_t)end - 1);
}

/* "+OK", "-ERR" or "+", then a blank or nothing; false: something else. */
static bool
parse_reply(struct span line, struct pop3_detail *d)
{
	static const struct {
		const char *word;
		bool ok, challenge;
	} words[] = {{"+OK", true, false}, {"-ERR", false, false}, {"+", false, true}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i].word);

		if (!span_starts(line, span_str(words[i].word)) || (line.n > n && line.p[n] != ' '))
			continue;
		d->ok = words[i].ok;
		d->challenge = words[i].challenge;
		d->text = span_from(line, n + 1);
		d->code = d->challenge ? SPAN_NONE : response_code(d->text);
		return true;
	}
	return false;
}

static enum an_anomaly
line_anomaly(struct line_marks marks, enum an_anomaly too_long)
{
	return marks.bare_lf	? AN_BARE_LF
	       : marks.too_long ? too_long
	       : marks.nul	? AN_NUL
	       : marks.bare_cr	? AN_BARE_CR
				: AN_NONE;
}

/* "120 octets" (RFC 1939 s5), which is no promise. */
static void
message_begins(struct pop3 *s, struct span said)
{
	text_init(&s->text, true, s->limits.body_line, true);
	s->came = s->size = 0;
	if (!span_u64(span_word(&said), UINT64_MAX, &s->size))
		s->size = 0;
}

/* The reply, as far as it is one line, takes effect. */
static void
replied(struct pop3 *s, const struct pop3_detail *d)
{
	struct slot slot;

	if (d->lines_follow) {
		s->server = d->verb->lines == POP3_LINES_MESSAGE ? SERVER_MESSAGE : SERVER_LINES;
		if (s->server == SERVER_MESSAGE)
			message_begins(s, d->text);
		return;
	}
	slot = pop(s);
	apply(s, &slot, d->ok);
	if (d->challenge)
		s->client = CLIENT_SASL;
	settle(s);
}

static enum an_status
reply_event(struct pop3 *s, struct an_event *ev, struct span line)
{
	struct pop3_detail *d = &s->detail;

	detail_of_oldest(s);
	d->unasked = s->count == 0;
	if (!parse_reply(line, d))
		return bad_answer(
		    s, ev, s->phase == POP3_GREETING ? AN_NO_WELCOME : AN_INVALID_REPLY);
	if (d->unasked && (d->ok || d->challenge))
		return bad_answer(s, ev, AN_UNMATCHED_REPLY);
	if (d->challenge && (d->verb->verb != POP3_AUTH || slot_at(s, 0)->lines))
		return bad_answer(s, ev, AN_INVALID_REPLY);
	event(s, ev, AN_S2C, EV_REPLY, line);
	ev->slot = pop3_oldest(s);
	d->wire = span_of(line.p, line.n + 2);
	if (d->unasked)
		return AN_EVENT;
	d->lines_follow = d->ok && slot_at(s, 0)->lines;
	replied(s, d);
	return AN_EVENT;
}

/* A line of the server's. AN_EVENT: it is whole and as it should be, or *ev says why not. */
static enum an_status
take_answer(struct pop3 *s, size_t limit, const uint8_t *p, size_t n, size_t *used,
    struct span *line, struct an_event *ev)
{
	struct line_marks marks = {0};
	enum an_anomaly odd;

	switch (line_feed(&s->answer, p, within(&s->answer, limit, n), used, line, &marks)) {
	case LINE_NOMEM:
		return AN_NOMEM;
	case LINE_MORE:
		if (s->answer.n <= limit)
			return AN_MORE;
		marks.too_long = true;
		break;
	case LINE_WHOLE:
		marks.too_long = marks.too_long || line->n + 2 > limit;
		break;
	}
	odd = line_anomaly(marks, AN_REPLY_LINE_TOO_LONG);
	return odd == AN_NONE ? AN_EVENT : bad_answer(s, ev, odd);
}

/* A challenge may be as long as what it is answered with (RFC 5034 s4). */
static size_t
reply_limit(struct pop3 *s)
{
	return s->count > 0 && slot_at(s, 0)->verb == POP3_AUTH
		   ? larger(s->limits.auth_line, s->limits.reply_line)
		   : s->limits.reply_line;
}

static enum an_status
feed_reply(struct pop3 *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct span line;
	enum an_status status = take_answer(s, reply_limit(s), p, n, used, &line, ev);

	if (status != AN_EVENT || s->deaf[AN_S2C])
		return status;
	return reply_event(s, ev, line);
}

/* ---- server to client: lines and messages ---- */

static enum an_status
feed_lines(struct pop3 *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct span line;
	enum an_status status = take_answer(s, s->limits.list_line, p, n, used, &line, ev);

	if (status != AN_EVENT || s->deaf[AN_S2C])
		return status;
	if (span_eq(line, span_str(".")))
		return end_event(s, ev, EV_LINES_END);
	detail_of_oldest(s);
	s->detail.wire = span_of(line.p, line.n + 2);
	event(s, ev, AN_S2C, EV_LINE, line.n > 0 && line.p[0] == '.' ? span_from(line, 1) : line);
	ev->slot = pop3_oldest(s);
	return AN_EVENT;
}

/* Where a stuffed dot stands right before the content, both go on together as they lie there. */
static void
set_wire(struct pop3_detail *d, const struct text_event *t, const uint8_t *p, size_t n)
{
	size_t at = (size_t)((uintptr_t)t->content.p - (uintptr_t)p);

	d->wire = t->content;
	if (!t->stuffed)
		return;
	if (at > 0 && at < n && p[at - 1] == '.')
		d->wire = span_of(t->content.p - 1, t->content.n + 1);
	else
		d->dot = true;
}

static enum an_status
feed_message(struct pop3 *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct text_event t;

	text_feed(&s->text, p, n, used, &t);
	if (t.what == TEXT_MORE)
		return AN_MORE;
	if (t.what == TEXT_END)
		return end_event(s, ev, EV_BODY_END);
	detail_of_oldest(s);
	if (t.what == TEXT_ODD) {
		event(s, ev, AN_S2C, EV_ANOMALY, SPAN_NONE);
		ev->off = s->off[AN_S2C] + *used - t.behind;
		s->detail.sequence = t.sequence;
	} else {
		set_wire(&s->detail, &t, p, n);
		s->came += t.content.n;
		event(s, ev, AN_S2C, EV_BODY, t.content);
	}
	ev->anomaly = t.anomaly;
	ev->slot = pop3_oldest(s);
	return AN_EVENT;
}

static enum an_status
feed_server(struct pop3 *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	if (s->deaf[AN_S2C]) {
		*used = n;
		return AN_MORE;
	}
	if (n == 0)
		return rest(&s->answer);
	if (s->phase == POP3_OPAQUE)
		return feed_opaque(s, AN_S2C, p, n, used, ev);
	if (s->passing) {
		s->within_line = p[n - 1] != '\n';
		*used = n;
		return AN_MORE;
	}
	switch (s->server) {
	case SERVER_REPLY:
		return feed_reply(s, p, n, used, ev);
	case SERVER_LINES:
		return feed_lines(s, p, n, used, ev);
	case SERVER_MESSAGE:
		return feed_message(s, p, n, used, ev);
	}
	return AN_MORE;
}

enum an_status
pop3_feed(
    struct pop3 *s, enum an_dir dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	enum an_status status;

	*used = 0;
	status = dir == AN_C2S ? feed_client(s, p, n, used, ev) : feed_server(s, p, n, used, ev);
	s->off[dir] += *used;
	if (status == AN_EVENT) /* the next event begins where this one ends */
		s->begin[dir] = s->off[dir];
	return status;
}
