#include "smtp/smtp.h"

#include <stdlib.h>

#include "core/reply.h"
#include "core/text.h"
#include "smtp/command.h"

/* Slots that only the caller's own commands may use, so that a full queue never stops them. */
#define OWN_SLOTS 4
#define SLOTS	  (SMTP_SLOTS + OWN_SLOTS)
/* Slots of most sessions, which never have more than a few commands under way. */
#define FEW_SLOTS (2 * OWN_SLOTS)

/* A command that waits for its reply. */
struct slot {
	enum smtp_verb verb : 8;
	bool own : 1;	    /* the caller's */
	bool answered : 1;  /* by the caller; takes effect when all before it have their reply */
	bool undecided : 1; /* the server has not seen it */
	bool doubted : 1;   /* it is out of order, unless its reply says otherwise */
	bool idle : 1;	    /* it has a fault: nobody waits for what it would have led to */
	uint16_t code;	    /* then */
};

struct smtp {
	struct smtp_limits limits;
	enum smtp_state state;
	unsigned offered;
	uint64_t off[2]; /* octets taken, by direction */
	size_t added;	 /* octets of the event at hand that were not in the stream */
	uint64_t behind; /* octets of the stream between what it is about and what was taken */
	bool deaf[2];	 /* the stream of that direction made no sense; its rest is not looked at */

	struct line line;
	struct reply reply;
	struct text text;

	struct slot few[FEW_SLOTS], *many; /* many: SLOTS in place of few, or NULL */
	unsigned first, count;
	uint64_t next_slot; /* number of the next command */

	enum smtp_body body; /* declared by the last MAIL */
	uint64_t chunk_left;
	bool chunk_last, chunk_binary;
	bool begins; /* the newest command begins a new envelope, unless it is refused at once */
	enum smtp_body next_body;
	bool in_message; /* octets of a message have begun, or its end has not come */
	struct smtp_detail detail;
};

static size_t
or_default(size_t value, size_t fallback)
{
	return value == 0 ? fallback : value;
}

static struct smtp_limits
with_defaults(const struct smtp_limits *in)
{
	struct smtp_limits l = {0};

	if (in != NULL)
		l = *in;
	l.line = or_default(l.line, 4096);
	l.auth_line = or_default(l.auth_line, 12288);
	l.endless = or_default(l.endless, 65536);
	l.reply_line = or_default(l.reply_line, 2048);
	l.reply_lines = or_default(l.reply_lines, 256);
	l.reply = or_default(l.reply, 65536);
	l.body_line = or_default(l.body_line, 1000);
	return l;
}

static unsigned
slots(const struct smtp *s)
{
	return s->many != NULL ? SLOTS : FEW_SLOTS;
}

static struct slot *
slot_at(struct smtp *s, unsigned i)
{
	struct slot *all = s->many != NULL ? s->many : s->few;

	return &all[(s->first + i) % slots(s)];
}

/* For a command of the client, and the caller's own behind it. False: no memory. */
static bool
make_slots(struct smtp *s)
{
	struct slot *many;

	if (s->many != NULL || s->count + OWN_SLOTS < FEW_SLOTS)
		return true;
	many = calloc(SLOTS, sizeof(*many));
	if (many == NULL)
		return false;
	for (unsigned i = 0; i < s->count; i++)
		many[i] = *slot_at(s, i);
	s->many = many;
	s->first = 0;
	return true;
}

static uint64_t
push(struct smtp *s, enum smtp_verb verb, bool own)
{
	*slot_at(s, s->count++) = (struct slot){.verb = verb, .own = own};
	return s->next_slot++;
}

struct smtp *
smtp_new(const struct smtp_limits *limits)
{
	struct smtp *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->limits = with_defaults(limits);
	s->offered = ~0u;
	line_init(
	    &s->line, s->limits.auth_line > s->limits.line ? s->limits.auth_line : s->limits.line);
	reply_init(&s->reply, s->limits.reply_line, s->limits.reply_lines, s->limits.reply);
	s->reply.bare_lf = s->limits.watching;
	push(s, SMTP_NONE, false);
	return s;
}

void
smtp_free(struct smtp *s)
{
	if (s == NULL)
		return;
	line_free(&s->line);
	reply_free(&s->reply);
	free(s->many);
	free(s);
}

void
smtp_offer(struct smtp *s, unsigned exts)
{
	s->offered = exts;
}

void
smtp_secured(struct smtp *s)
{
	s->state = SMTP_ST_COMMAND;
	s->offered = ~0u;
	s->body = s->next_body = SMTP_BODY_UNSAID;
	s->begins = s->in_message = false;
}

enum smtp_state
smtp_state(const struct smtp *s)
{
	return s->state;
}

const char *
smtp_state_name(enum smtp_state state)
{
	static const char *const names[] = {
	    [SMTP_ST_GREETING] = "greeting",
	    [SMTP_ST_COMMAND] = "command",
	    [SMTP_ST_SYNC] = "sync",
	    [SMTP_ST_AUTH] = "auth",
	    [SMTP_ST_DATA] = "data",
	    [SMTP_ST_CHUNK] = "chunk",
	    [SMTP_ST_OPAQUE] = "opaque",
	};

	return names[state];
}

uint64_t
smtp_chunk_left(const struct smtp *s)
{
	return s->chunk_left;
}

unsigned
smtp_waiting(const struct smtp *s)
{
	return s->count;
}

uint64_t
smtp_oldest(const struct smtp *s)
{
	return s->next_slot - s->count;
}

/* ---- replies take effect ---- */

static void
begin_data(struct smtp *s)
{
	s->state = SMTP_ST_DATA;
	text_init(&s->text, true, s->limits.body_line, s->body >= SMTP_BODY_8BITMIME);
}

static void
new_envelope(struct smtp *s, enum smtp_body body)
{
	s->body = body;
	s->in_message = false;
}

/* What the reply to a command means for what the client may send next. */
static void
apply(struct smtp *s, const struct slot *slot, unsigned code)
{
	const enum smtp_verb verb = slot->verb;

	if (verb == SMTP_MESSAGE || !smtp_verb_row(verb)->sync || slot->idle ||
	    (s->state != SMTP_ST_SYNC && s->state != SMTP_ST_GREETING))
		return;
	s->state = SMTP_ST_COMMAND;
	if (verb == SMTP_DATA && code == 354)
		begin_data(s);
	else if (verb == SMTP_AUTH && code == 334)
		s->state = SMTP_ST_AUTH;
	else if (verb == SMTP_STARTTLS && code == 220)
		s->state = SMTP_ST_OPAQUE;
	else if ((verb == SMTP_EHLO || verb == SMTP_HELO) && code / 100 == 2)
		new_envelope(s, SMTP_BODY_UNSAID);
}

static struct slot
pop(struct smtp *s)
{
	struct slot slot = *slot_at(s, 0);

	s->first = (s->first + 1) % slots(s);
	s->count--;
	return slot;
}

/* Answers that the caller gave take effect in the order of the commands. */
static void
settle(struct smtp *s)
{
	while (s->count > 0 && slot_at(s, 0)->answered) {
		struct slot slot = pop(s);

		apply(s, &slot, slot.code);
	}
}

void
smtp_undecided(struct smtp *s, bool undecided)
{
	if (s->count > 0)
		slot_at(s, s->count - 1)->undecided = undecided;
}

void
smtp_answered(struct smtp *s, unsigned code)
{
	if (s->count == 0)
		return;
	slot_at(s, s->count - 1)->answered = true;
	slot_at(s, s->count - 1)->undecided = false;
	if (code >= 400)
		s->begins = false;
	slot_at(s, s->count - 1)->code = (uint16_t)code;
	settle(s);
}

bool
smtp_answered_oldest(struct smtp *s, unsigned code)
{
	struct slot slot;

	if (s->count == 0)
		return false;
	slot = pop(s);
	apply(s, &slot, code);
	settle(s);
	return true;
}

uint64_t
smtp_sent(struct smtp *s, enum smtp_verb verb)
{
	/* callers give the server one command at a time; a full queue is their bug, not a peer's */
	return s->count < slots(s) ? push(s, verb, true) : UINT64_MAX;
}

/* ---- events ---- */

static void
event(struct smtp *s, struct an_event *ev, enum an_dir dir, enum an_kind kind, struct span octets)
{
	*ev = (struct an_event){.kind = kind, .dir = dir, .octets = octets, .smtp = &s->detail};
}

static enum an_status
say(struct smtp *s, struct an_event *ev, enum an_dir dir, enum an_anomaly what, const char *detail)
{
	s->detail = (struct smtp_detail){.verb = smtp_verb_row(SMTP_UNKNOWN), .sequence = detail};
	event(s, ev, dir, EV_ANOMALY, SPAN_NONE);
	ev->anomaly = what;
	return AN_EVENT;
}

/* ---- client to server ---- */

static void
begin_chunk(struct smtp *s)
{
	s->state = SMTP_ST_CHUNK;
	s->chunk_left = s->detail.chunk;
	s->chunk_last = s->detail.last;
	s->chunk_binary = s->body == SMTP_BODY_BINARYMIME;
	if (!s->in_message)
		text_init(&s->text, false, s->limits.body_line, s->body >= SMTP_BODY_8BITMIME);
	s->in_message = !s->chunk_last;
}

/* The command is in s->detail; what does it change before its reply is known? */
static void
note_command(struct smtp *s)
{
	const struct smtp_detail *d = &s->detail;

	if (d->fault != SMTP_OK) {
		/* what follows may be anything, once the server has taken it all the same */
		if (s->limits.watching && d->verb->sync && d->verb->verb != SMTP_FOREIGN)
			s->state = SMTP_ST_SYNC;
		else
			slot_at(s, s->count - 1)->idle = true;
		return;
	}
	switch ((int)d->verb->verb) {
	case SMTP_MAIL:
	case SMTP_RSET:
		s->begins = true;
		s->next_body = d->params.body;
		break;
	case SMTP_BDAT:
		begin_chunk(s);
		break;
	default:
		break;
	}
	if (d->verb->sync)
		s->state = SMTP_ST_SYNC;
}

static enum an_anomaly
command_anomaly(enum smtp_fault fault)
{
	switch ((int)fault) {
	case SMTP_LINE_TOO_LONG:
	case SMTP_LINE_ENDLESS:
		return AN_COMMAND_TOO_LONG;
	case SMTP_LINE_BARE_LF:
		return AN_BARE_LF;
	case SMTP_LINE_BARE_CR:
		return AN_BARE_CR;
	case SMTP_VERB_FOREIGN:
		return AN_OTHER_PROTOCOL;
	case SMTP_BDAT_SYNTAX:
		return AN_INVALID_BDAT;
	default:
		return AN_NONE;
	}
}

/* Whoever goes on behind such a fault cannot be followed. */
static bool
out_of_step(const struct smtp *s)
{
	const struct smtp_detail *d = &s->detail;

	if (!smtp_fault_ends(d->fault))
		return false;
	return !s->limits.watching || d->fault == SMTP_LINE_ENDLESS || d->word.n == 0;
}

static enum an_status
command_event(struct smtp *s, struct an_event *ev, struct span line)
{
	event(s, ev, AN_C2S, EV_COMMAND, line);
	ev->anomaly = command_anomaly(s->detail.fault);
	ev->slot = push(s, s->detail.verb->verb, false);
	note_command(s);
	s->deaf[AN_C2S] = out_of_step(s);
	return AN_EVENT;
}

/* No line can be made of these octets. */
static enum an_status
hopeless(struct smtp *s, struct an_event *ev, enum smtp_verb verb, enum smtp_fault fault)
{
	s->detail = (struct smtp_detail){.verb = smtp_verb_row(verb), .fault = fault};
	return command_event(s, ev, SPAN_NONE);
}

/*
 * A line, or AN_EVENT when it has no end in sight. No octet beyond that limit is looked at: whether
 * the end came in the same chunk must not matter.
 */
static enum an_status
take_line(struct smtp *s, const uint8_t *p, size_t n, size_t *used, struct span *line,
    struct line_marks *marks, struct an_event *ev)
{
	size_t room = s->limits.endless + 1 - (s->line.whole ? 0 : s->line.n);

	switch (line_feed(&s->line, p, n < room ? n : room, used, line, marks)) {
	case LINE_NOMEM:
		return AN_NOMEM;
	case LINE_MORE:
		return s->line.n > s->limits.endless
			   ? hopeless(s, ev, SMTP_UNKNOWN, SMTP_LINE_ENDLESS)
			   : AN_MORE;
	case LINE_WHOLE:
		break;
	}
	return AN_EVENT;
}

static bool
at_line_start(const struct smtp *s)
{
	return s->line.whole || s->line.n == 0;
}

#define TLS_HANDSHAKE 0x16 /* first octet of a ClientHello */

static enum an_status
feed_command(struct smtp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct line_marks marks;
	struct span line;
	enum an_status status;

	if (s->count >= SMTP_SLOTS)
		return AN_WAIT;
	if (at_line_start(s) && p[0] == TLS_HANDSHAKE) {
		*used = 1;
		return hopeless(s, ev, SMTP_FOREIGN, SMTP_VERB_FOREIGN);
	}
	status = take_line(s, p, n, used, &line, &marks, ev);
	if (status != AN_EVENT || !s->line.whole)
		return status;
	smtp_command_parse(
	    line, marks, s->limits.line, s->limits.lenient_paths, s->offered, &s->detail);
	return command_event(s, ev, line);
}

static enum an_status
feed_sasl(struct smtp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct line_marks marks;
	struct span line;
	enum an_status status = take_line(s, p, n, used, &line, &marks, ev);

	if (status != AN_EVENT || !s->line.whole)
		return status;
	smtp_command_parse(line, marks, s->limits.auth_line, false, 0, &s->detail);
	if (!marks.bare_lf && !marks.too_long && !marks.bare_cr && !marks.nul)
		s->detail.fault = SMTP_OK;
	s->detail.verb = smtp_verb_row(SMTP_AUTH);
	event(s, ev, AN_C2S, EV_SECRET, line);
	ev->slot = push(s, SMTP_AUTH, false);
	s->state = SMTP_ST_SYNC;
	s->deaf[AN_C2S] = out_of_step(s);
	return AN_EVENT;
}

/* Where a stuffed dot stands right before the content, both go on together as they lie there. */
static struct span
wire_span(const struct text_event *t, const uint8_t *p, size_t n)
{
	size_t at = (size_t)((uintptr_t)t->content.p - (uintptr_t)p);

	if (t->stuffed && at > 0 && at < n && p[at - 1] == '.')
		return span_of(t->content.p - 1, t->content.n + 1);
	return t->content;
}

static enum an_status
body_event(
    struct smtp *s, const struct text_event *t, const uint8_t *p, size_t n, struct an_event *ev)
{
	if (t->what == TEXT_ODD) {
		s->behind = t->behind;
		return say(s, ev, AN_C2S, t->anomaly, t->sequence);
	}
	s->detail = (struct smtp_detail){.verb = smtp_verb_row(SMTP_MESSAGE),
	    .wire = wire_span(t, p, n),
	    .line_start = t->line_start};
	event(s, ev, AN_C2S, EV_BODY, t->content);
	ev->anomaly = t->anomaly;
	return AN_EVENT;
}

static enum an_status
message_end(struct smtp *s, struct an_event *ev, bool own_slot)
{
	s->detail = (struct smtp_detail){.verb = smtp_verb_row(SMTP_MESSAGE), .last = true};
	event(s, ev, AN_C2S, EV_BODY_END, SPAN_NONE);
	if (own_slot)
		ev->slot = push(s, SMTP_MESSAGE, false);
	else
		ev->slot = s->next_slot - 1;
	s->body = SMTP_BODY_UNSAID;
	s->state = SMTP_ST_COMMAND;
	return AN_EVENT;
}

static enum an_status
feed_data(struct smtp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct text_event t;

	text_feed(&s->text, p, n, used, &t);
	if (t.what == TEXT_MORE)
		return AN_MORE;
	if (t.what == TEXT_END)
		return message_end(s, ev, true);
	return body_event(s, &t, p, n, ev);
}

static enum an_status
chunk_end(struct smtp *s, struct an_event *ev)
{
	struct text_event t;

	if (!s->chunk_binary &&
	    (s->chunk_last ? text_finish(&s->text, &t) : text_flush(&s->text, &t)))
		return body_event(s, &t, NULL, 0, ev);
	if (s->chunk_last)
		return message_end(s, ev, false);
	s->detail = (struct smtp_detail){.verb = smtp_verb_row(SMTP_BDAT)};
	event(s, ev, AN_C2S, EV_CHUNK_END, SPAN_NONE);
	ev->slot = s->next_slot - 1;
	s->state = SMTP_ST_COMMAND;
	return AN_EVENT;
}

static enum an_status
feed_chunk(struct smtp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct text_event t = {.what = TEXT_RUN};

	if (s->chunk_left == 0)
		return chunk_end(s, ev);
	if (n > s->chunk_left)
		n = (size_t)s->chunk_left;
	if (n == 0)
		return AN_MORE;
	if (s->chunk_binary) {
		*used = n;
		t.content = span_of(p, n);
	} else {
		text_feed(&s->text, p, n, used, &t);
	}
	s->chunk_left -= *used;
	if (t.what == TEXT_MORE) /* a CR came last; is the chunk complete with it? */
		return s->chunk_left == 0 ? chunk_end(s, ev) : AN_MORE;
	return body_event(s, &t, p, n, ev);
}

static enum an_status
feed_opaque(
    struct smtp *s, enum an_dir dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	if (n == 0)
		return AN_MORE;
	*used = n;
	s->detail = (struct smtp_detail){.verb = smtp_verb_row(SMTP_STARTTLS)};
	event(s, ev, dir, EV_OPAQUE, span_of(p, n));
	return AN_EVENT;
}

static enum an_status
feed_client(struct smtp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	if (s->deaf[AN_C2S]) {
		*used = n;
		return AN_MORE;
	}
	if (s->begins) {
		s->begins = false;
		new_envelope(s, s->next_body);
	}
	if (!make_slots(s))
		return AN_NOMEM;
	if (n == 0 && !(s->state == SMTP_ST_CHUNK && s->chunk_left == 0))
		return AN_MORE;
	switch (s->state) {
	case SMTP_ST_GREETING:
	case SMTP_ST_SYNC:
		return AN_WAIT;
	case SMTP_ST_COMMAND:
		return feed_command(s, p, n, used, ev);
	case SMTP_ST_AUTH:
		return feed_sasl(s, p, n, used, ev);
	case SMTP_ST_DATA:
		return feed_data(s, p, n, used, ev);
	case SMTP_ST_CHUNK:
		return feed_chunk(s, p, n, used, ev);
	case SMTP_ST_OPAQUE:
		return feed_opaque(s, AN_C2S, p, n, used, ev);
	}
	return AN_MORE;
}

/* ---- server to client ---- */

static enum an_status
reply_event(struct smtp *s, const struct reply_found *found, struct an_event *ev)
{
	struct slot slot = {.verb = SMTP_UNKNOWN};
	bool unasked = s->count == 0 || slot_at(s, 0)->undecided;

	s->detail = (struct smtp_detail){.code = found->code,
	    .lines = found->lines,
	    .unasked = unasked,
	    .verb = smtp_verb_row(SMTP_UNKNOWN)};
	event(s, ev, AN_S2C, EV_REPLY, found->octets);
	s->added = found->added;
	ev->anomaly = found->what;
	ev->slot = smtp_oldest(s);
	if (found->code == 0) {
		s->deaf[AN_S2C] = true;
		return AN_EVENT;
	}
	if (s->detail.unasked) {
		ev->anomaly = AN_UNMATCHED_REPLY;
		return AN_EVENT;
	}
	slot = pop(s);
	if (slot.doubted && slot.verb == SMTP_MAIL && found->code < 300)
		new_envelope(s, s->next_body);
	s->detail.verb = smtp_verb_row(slot.verb);
	s->detail.own = slot.own;
	apply(s, &slot, found->code);
	settle(s);
	return AN_EVENT;
}

static enum an_status
feed_server(struct smtp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct reply_found found;

	if (s->deaf[AN_S2C]) {
		*used = n;
		return AN_MORE;
	}
	if (s->state == SMTP_ST_OPAQUE)
		return feed_opaque(s, AN_S2C, p, n, used, ev);
	switch (reply_feed(&s->reply, p, n, used, &found)) {
	case REPLY_NOMEM:
		return AN_NOMEM;
	case REPLY_MORE:
		return AN_MORE;
	case REPLY_WHOLE:
	case REPLY_BAD:
		break;
	}
	return reply_event(s, &found, ev);
}

/* ---- captures that do not have everything ---- */

void
smtp_joined(struct smtp *s)
{
	pop(s);
	s->state = SMTP_ST_COMMAND;
}

void
smtp_doubted(struct smtp *s)
{
	s->begins = false;
	slot_at(s, s->count - 1)->doubted = true;
}

uint64_t
smtp_resume(struct smtp *s, enum smtp_verb verb)
{
	if (smtp_verb_row(verb)->sync)
		s->state = SMTP_ST_SYNC;
	return push(s, verb, false);
}

bool
smtp_missing(struct smtp *s, uint64_t n)
{
	if (n == 0)
		return false;
	if (s->state == SMTP_ST_CHUNK && n <= s->chunk_left) {
		s->chunk_left -= n;
	} else if (s->state != SMTP_ST_DATA) {
		return false;
	}
	s->off[AN_C2S] += n;
	text_resume(&s->text, n);
	return true;
}

void
smtp_cut_short(struct smtp *s, struct an_event *ev)
{
	message_end(s, ev, true);
	ev->off = s->off[AN_C2S];
}

/* The verb of a line that has come whole, if it is one. */
static enum smtp_verb
verb_of(struct span next)
{
	ptrdiff_t end = span_find(next, '\n');
	struct span line = end < 0 ? SPAN_NONE : span_trim(span_first(next, (size_t)end));

	return line.n == 0 ? SMTP_UNKNOWN : smtp_verb_find(span_word(&line))->verb;
}

/* 0: it cannot be told yet. */
static unsigned
code_granted(enum smtp_verb verb, struct span next)
{
	switch ((int)verb) {
	case SMTP_NONE:
		return 220;
	case SMTP_DATA:
		return 354;
	case SMTP_AUTH: /* no response in base64 is a verb and a blank, or nothing else */
		if (span_find(next, '\n') < 0)
			return 0;
		return verb_of(next) >= SMTP_FOREIGN ? 334 : 235;
	case SMTP_STARTTLS:
		if (next.n == 0)
			return 0;
		return next.p[0] == TLS_HANDSHAKE ? 220 : 454;
	case SMTP_QUIT:
		return 221;
	default:
		return 250;
	}
}

bool
smtp_grant(struct smtp *s, struct span next, struct an_event *ev)
{
	struct slot slot;
	unsigned code;

	if (s->count == 0 || s->state == SMTP_ST_CHUNK)
		return false;
	code = code_granted(slot_at(s, 0)->verb, next);
	if (code == 0)
		return false;
	s->detail = (struct smtp_detail){.code = code, .verb = smtp_verb_row(slot_at(s, 0)->verb)};
	event(s, ev, AN_S2C, EV_REPLY, SPAN_NONE);
	ev->slot = smtp_oldest(s);
	slot = pop(s);
	apply(s, &slot, code);
	return true;
}

/* Octets that were taken with the event and are not in ev->octets. */
static size_t
line_ending(const struct an_event *ev)
{
	if (ev->kind != EV_COMMAND && ev->kind != EV_SECRET)
		return 0;
	return ev->octets.n == 0 ? 0 : ev->smtp->fault == SMTP_LINE_BARE_LF ? 1 : 2;
}

enum an_status
smtp_feed(
    struct smtp *s, enum an_dir dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	enum an_status status;

	*used = s->added = 0;
	s->behind = 0;
	status = dir == AN_C2S ? feed_client(s, p, n, used, ev) : feed_server(s, p, n, used, ev);
	s->off[dir] += *used;
	if (status == AN_EVENT) /* an event ends where the octets end that were taken for it */
		ev->off = s->off[dir] + s->added - ev->octets.n - line_ending(ev) - s->behind;
	return status;
}
