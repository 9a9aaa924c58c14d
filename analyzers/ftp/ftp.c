#include "ftp/ftp.h"

#include <stdlib.h>

#include "core/reply.h"
#include "core/telnet.h"
#include "ftp/command.h"

/* Slots that only the caller's own commands may use, so that a full queue never stops them. */
#define OWN_SLOTS 4
#define SLOTS	  (FTP_SLOTS + OWN_SLOTS)

/* A command that waits for its reply. */
struct slot {
	enum ftp_verb verb : 8;
	bool own : 1;	      /* the caller's */
	bool preliminary : 1; /* its 1xx was seen */
	bool answered : 1;    /* ahead of its turn; takes effect when all before it have theirs */
	uint16_t code;	      /* then */
};

/* Where we are in a TELNET sequence that stands in front of a command. */
enum telnet_place { TELNET_OUTSIDE, TELNET_BEHIND_IAC, TELNET_OPTION };

struct ftp {
	struct ftp_limits limits;
	enum ftp_state state;
	uint64_t off[2];   /* octets taken, by direction */
	uint64_t begin[2]; /* where the line, or the reply, began that is being read */
	bool deaf[2];	   /* that direction made no sense; its rest is not looked at */

	struct line line;
	struct buf plain; /* the line without TELNET, where it had some */
	enum telnet_place place;
	bool synch;
	struct reply reply;

	struct slot slots[SLOTS];
	unsigned first, count;
	uint64_t next_slot; /* number of the next command */
	bool abor_owed;	    /* ABOR was answered by the caller, and the server may still do so */

	struct ftp_detail detail;
};

static size_t
or_default(size_t value, size_t fallback)
{
	return value == 0 ? fallback : value;
}

static struct ftp_limits
with_defaults(const struct ftp_limits *in)
{
	struct ftp_limits l = {0};

	if (in != NULL)
		l = *in;
	l.line = or_default(l.line, 4096);
	l.endless = or_default(l.endless, 65536);
	l.reply_line = or_default(l.reply_line, 4096);
	l.reply_lines = or_default(l.reply_lines, 1000);
	l.reply = or_default(l.reply, 131072);
	return l;
}

static struct slot *
slot_at(struct ftp *s, unsigned i)
{
	return &s->slots[(s->first + i) % SLOTS];
}

static const struct slot *
oldest(const struct ftp *s)
{
	return &s->slots[s->first];
}

static uint64_t
push(struct ftp *s, enum ftp_verb verb, bool own)
{
	*slot_at(s, s->count++) = (struct slot){.verb = verb, .own = own};
	return s->next_slot++;
}

struct ftp *
ftp_new(const struct ftp_limits *limits)
{
	struct ftp *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->limits = with_defaults(limits);
	line_init(&s->line, s->limits.line);
	buf_init(&s->plain, s->limits.line);
	reply_init_free_lines(
	    &s->reply, s->limits.reply_line, s->limits.reply_lines, s->limits.reply);
	push(s, FTP_NONE, false);
	return s;
}

void
ftp_free(struct ftp *s)
{
	if (s == NULL)
		return;
	line_free(&s->line);
	buf_free(&s->plain);
	reply_free(&s->reply);
	free(s);
}

enum ftp_state
ftp_state(const struct ftp *s)
{
	return s->state;
}

const char *
ftp_state_name(enum ftp_state state)
{
	static const char *const names[] = {
	    [FTP_ST_GREETING] = "greeting",
	    [FTP_ST_COMMAND] = "command",
	    [FTP_ST_SYNC] = "sync",
	    [FTP_ST_OPAQUE] = "opaque",
	};

	return names[state];
}

unsigned
ftp_waiting(const struct ftp *s)
{
	return s->count;
}

uint64_t
ftp_oldest(const struct ftp *s)
{
	return s->next_slot - s->count;
}

const struct ftp_verb_row *
ftp_oldest_verb(const struct ftp *s)
{
	return ftp_verb_row(s->count > 0 ? oldest(s)->verb : FTP_NONE);
}

bool
ftp_transferring(const struct ftp *s)
{
	return s->count > 0 && oldest(s)->preliminary &&
	       ftp_verb_row(oldest(s)->verb)->carries != FTP_NO_TRANSFER;
}

/* ---- replies take effect ---- */

/* What the last reply to a command means for what the client may send next. */
static void
apply(struct ftp *s, enum ftp_verb verb, unsigned code)
{
	switch ((int)verb) {
	case FTP_NONE:
		if (s->state == FTP_ST_GREETING)
			s->state = FTP_ST_COMMAND;
		break;
	case FTP_AUTH:
	case FTP_ADAT: /* RFC 2228 s3: with 2xx all that follows is protected */
		if (s->state == FTP_ST_SYNC)
			s->state = code / 100 == 2 ? FTP_ST_OPAQUE : FTP_ST_COMMAND;
		break;
	default:
		break;
	}
}

static struct slot
pop(struct ftp *s)
{
	struct slot slot = *slot_at(s, 0);

	s->first = (s->first + 1) % SLOTS;
	s->count--;
	return slot;
}

/* Answers that came ahead of their turn take effect in the order of the commands. */
static void
settle(struct ftp *s)
{
	while (s->count > 0 && slot_at(s, 0)->answered) {
		struct slot slot = pop(s);

		apply(s, slot.verb, slot.code);
	}
}

static void
answer(struct ftp *s, unsigned i, unsigned code)
{
	slot_at(s, i)->answered = true;
	slot_at(s, i)->code = (uint16_t)code;
	settle(s);
}

/* The client's newest command that has no answer; count: there is none. */
static unsigned
newest(struct ftp *s)
{
	for (unsigned i = s->count; i > 0; i--) {
		const struct slot *slot = slot_at(s, i - 1);

		if (!slot->own)
			return slot->answered ? s->count : i - 1;
	}
	return s->count;
}

void
ftp_answered(struct ftp *s, unsigned code)
{
	unsigned i = newest(s);

	if (i < s->count)
		answer(s, i, code);
}

bool
ftp_answered_oldest(struct ftp *s, unsigned code)
{
	if (s->count == 0)
		return false;
	s->abor_owed = slot_at(s, 0)->verb == FTP_ABOR;
	answer(s, 0, code);
	return true;
}

uint64_t
ftp_sent(struct ftp *s, enum ftp_verb verb)
{
	/* callers give the server one command at a time; a full queue is their bug, not a peer's */
	return s->count < SLOTS ? push(s, verb, true) : UINT64_MAX;
}

void
ftp_secured(struct ftp *s)
{
	s->state = FTP_ST_COMMAND;
	s->synch = false; /* said in the clear, by whomever */
}

/* ---- events ---- */

static void
event(struct ftp *s, struct an_event *ev, enum an_dir dir, enum an_kind kind, struct span octets)
{
	*ev = (struct an_event){
	    .kind = kind, .dir = dir, .off = s->begin[dir], .octets = octets, .ftp = &s->detail};
}

static enum an_status
feed_opaque(
    struct ftp *s, enum an_dir dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	if (n == 0)
		return AN_MORE;
	*used = n;
	s->detail = (struct ftp_detail){.verb = ftp_verb_row(FTP_AUTH)};
	event(s, ev, dir, EV_OPAQUE, span_of(p, n));
	return AN_EVENT;
}

/* ---- client to server ---- */

static enum an_anomaly
command_anomaly(const struct ftp_detail *d, bool from_a_server)
{
	switch ((int)d->fault) {
	case FTP_LINE_TOO_LONG:
	case FTP_LINE_ENDLESS:
		return AN_COMMAND_TOO_LONG;
	case FTP_LINE_BARE_LF:
		return AN_BARE_LF;
	case FTP_LINE_BARE_CR:
		return AN_BARE_CR;
	case FTP_LINE_NUL:
		return AN_NUL;
	case FTP_LINE_TELNET:
		return AN_TELNET_EVASION;
	case FTP_VERB_FOREIGN:
		return from_a_server ? AN_FTP_SPOOFED : AN_OTHER_PROTOCOL;
	default:
		return AN_NONE;
	}
}

static enum an_status
command_event(struct ftp *s, struct an_event *ev, struct span line)
{
	struct ftp_detail *d = &s->detail;

	d->synch = s->synch;
	s->synch = false;
	event(s, ev, AN_C2S, EV_COMMAND, line);
	ev->anomaly = command_anomaly(d, ftp_is_reply_word(d->word));
	ev->slot = push(s, d->verb->verb, false);
	if (d->fault == FTP_OK && (d->verb->verb == FTP_AUTH || d->verb->verb == FTP_ADAT))
		s->state = FTP_ST_SYNC;
	if (ftp_fault_ends(d->fault)) /* whoever goes on is out of step */
		s->deaf[AN_C2S] = true;
	return AN_EVENT;
}

/* No line can be made of these octets. */
static enum an_status
hopeless(struct ftp *s, struct an_event *ev, enum ftp_verb verb, enum ftp_fault fault)
{
	s->detail = (struct ftp_detail){.verb = ftp_verb_row(verb), .fault = fault};
	return command_event(s, ev, SPAN_NONE);
}

static bool
at_line_start(const struct ftp *s)
{
	return s->line.whole || s->line.n == 0;
}

/*
 * The octet behind an IAC that stands in front of a command. What is no sequence that may stand
 * there becomes part of the line, which is a fault there, or one octet 255. AN_MORE: go on.
 */
static enum an_status
behind_iac(struct ftp *s, uint8_t c, size_t *used, struct an_event *ev)
{
	static const uint8_t iac = TELNET_IAC;
	struct line_marks marks;
	struct span line;
	size_t taken;

	s->place = TELNET_OUTSIDE;
	if (c == TELNET_IP || c == TELNET_DM) {
		s->synch = true;
		(*used)++;
		return AN_MORE;
	}
	if (c >= TELNET_NOP && c <= TELNET_GA) {
		(*used)++;
		s->detail = (struct ftp_detail){.verb = ftp_verb_row(FTP_UNKNOWN)};
		event(s, ev, AN_C2S, EV_ANOMALY, SPAN_NONE);
		ev->anomaly = AN_TELNET_OPTION;
		return AN_EVENT;
	}
	if (c >= TELNET_WILL && c <= TELNET_DONT) {
		(*used)++;
		s->place = TELNET_OPTION;
		return AN_MORE;
	}
	return line_feed(&s->line, &iac, 1, &taken, &line, &marks) == LINE_NOMEM ? AN_NOMEM
										 : AN_MORE;
}

/* TELNET in front of a command. AN_MORE: there is none (any more), as far as the octets go. */
static enum an_status
feed_telnet(struct ftp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	enum an_status status = AN_MORE;

	while (status == AN_MORE && *used < n && at_line_start(s)) {
		switch (s->place) {
		case TELNET_OUTSIDE:
			s->begin[AN_C2S] = s->off[AN_C2S] + *used;
			if (p[*used] != TELNET_IAC)
				return AN_MORE;
			s->place = TELNET_BEHIND_IAC;
			(*used)++;
			break;
		case TELNET_BEHIND_IAC:
			status = behind_iac(s, p[*used], used, ev);
			break;
		case TELNET_OPTION:
			s->place = TELNET_OUTSIDE;
			(*used)++;
			s->detail = (struct ftp_detail){.verb = ftp_verb_row(FTP_UNKNOWN)};
			event(s, ev, AN_C2S, EV_ANOMALY, SPAN_NONE);
			ev->anomaly = AN_TELNET_OPTION;
			status = AN_EVENT;
			break;
		}
	}
	return status;
}

/* A line, taken apart. Where it has octets 255, they are in s->plain. */
static enum an_status
whole_line(struct ftp *s, struct span raw, struct line_marks marks, struct an_event *ev)
{
	struct span line = raw;
	bool telnet = false;

	if (span_find(raw, TELNET_IAC) >= 0) {
		if (!telnet_plain(raw, &s->plain, &telnet))
			return AN_NOMEM;
		line = buf_span(&s->plain);
	}
	ftp_command_parse(raw, line, telnet, marks, s->limits.line, &s->detail);
	return command_event(s, ev, line);
}

#define TLS_HANDSHAKE 0x16 /* first octet of a ClientHello */

/*
 * No octet beyond the limit of a line without end is looked at: whether the end came in the same
 * chunk must not matter.
 */
static enum an_status
feed_line(struct ftp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	size_t room = s->limits.endless + 1 - (s->line.whole ? 0 : s->line.n), taken = 0;
	struct line_marks marks;
	struct span raw;
	enum line_status status;

	if (at_line_start(s) && p[0] == TLS_HANDSHAKE) {
		*used += 1;
		return hopeless(s, ev, FTP_FOREIGN, FTP_VERB_FOREIGN);
	}
	status = line_feed(&s->line, p, n < room ? n : room, &taken, &raw, &marks);
	*used += taken;
	if (status == LINE_NOMEM)
		return AN_NOMEM;
	if (status == LINE_WHOLE)
		return whole_line(s, raw, marks, ev);
	return s->line.n > s->limits.endless ? hopeless(s, ev, FTP_UNKNOWN, FTP_LINE_ENDLESS)
					     : AN_MORE;
}

static enum an_status
feed_command(struct ftp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	enum an_status status;

	if (s->count >= FTP_SLOTS)
		return AN_WAIT;
	buf_free(&s->plain);
	status = feed_telnet(s, p, n, used, ev);
	if (status != AN_MORE || *used == n)
		return status;
	return feed_line(s, p + *used, n - *used, used, ev);
}

static enum an_status
feed_client(struct ftp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	if (s->deaf[AN_C2S]) {
		*used = n;
		return AN_MORE;
	}
	if (n == 0)
		return AN_MORE;
	switch (s->state) {
	case FTP_ST_GREETING:
	case FTP_ST_SYNC:
		return AN_WAIT;
	case FTP_ST_COMMAND:
		return feed_command(s, p, n, used, ev);
	case FTP_ST_OPAQUE:
		return feed_opaque(s, AN_C2S, p, n, used, ev);
	}
	return AN_MORE;
}

/* ---- server to client ---- */

/* The first command that waits for a reply of the server, from i on; count: none does. */
static unsigned
unanswered(struct ftp *s, unsigned i)
{
	while (i < s->count && slot_at(s, i)->answered)
		i++;
	return i;
}

/*
 * The replies that may come while a transfer runs and are these commands', not the transfer's: what
 * only they are told, and that a server cannot do it now. No transfer ends so once it has begun
 * (RFC 959 s5.4).
 */
static bool
answers_meanwhile(enum ftp_verb verb, unsigned code)
{
	if (code >= 500 && code <= 503)
		return true;
	switch ((int)verb) {
	case FTP_ABOR:
		return code == 225;
	case FTP_STAT:
		return code >= 211 && code <= 213;
	case FTP_NOOP:
		return code == 200;
	case FTP_QUIT:
		return code == 221;
	default:
		return false;
	}
}

/*
 * Which command a reply answers: the oldest one that waits, or, while that is a transfer which
 * runs, one behind it whose reply it can only be (RFC 959 s4.1.3: STAT during a transfer).
 */
static unsigned
answered_by(struct ftp *s, unsigned code)
{
	unsigned first = unanswered(s, 0);

	if (first != 0 || !ftp_transferring(s))
		return first;
	for (unsigned i = unanswered(s, 1); i < s->count; i = unanswered(s, i + 1))
		if (answers_meanwhile(slot_at(s, i)->verb, code))
			return i;
	return first;
}

/*
 * A reply to an ABOR that the caller has answered: taken for that to the command behind it, it
 * would shift all others. Only such a command has the code for itself that is ABOR, or a transfer
 * that runs; a server that has answered anything behind ABOR in another way owes nothing any more.
 */
static bool
is_late(const struct ftp *s, unsigned code)
{
	return s->abor_owed && (code == 225 || code == 226) && s->count > 0 &&
	       oldest(s)->verb != FTP_ABOR && !ftp_transferring(s);
}

/* The last line of a reply without its CR LF, from behind code and blank. */
static struct span
last_text(struct span octets)
{
	ptrdiff_t lf;

	octets = span_first(octets, octets.n - 2);
	lf = span_rfind(octets, '\n');
	return span_from(octets, (size_t)(lf + 1) + 4);
}

/* 227 and 229 mean something as the last word on PASV and EPSV, and nothing anywhere else. */
static enum an_anomaly
note_hostport(struct ftp_detail *d)
{
	struct ftp_hostport found = {0};

	if (d->code < 227 || d->code > 229)
		return AN_NONE;
	if (d->code == 227 && d->verb->verb == FTP_PASV)
		ftp_227_parse(d->text, &found);
	else if (d->code == 229 && d->verb->verb == FTP_EPSV)
		ftp_229_parse(d->text, &found);
	d->hostport = found;
	return found.port == 0 ? AN_FTP_BAD_DATA_ADDRESS : AN_NONE;
}

static enum an_status
bad_reply(struct ftp *s, const struct reply_found *found, struct an_event *ev)
{
	struct span rest = found->bad, word = span_word(&rest);
	enum ftp_verb verb = ftp_verb_find(word)->verb;

	event(s, ev, AN_S2C, EV_REPLY, SPAN_NONE);
	ev->slot = ftp_oldest(s);
	ev->anomaly = found->what;
	if (found->what == AN_INVALID_REPLY && verb != FTP_UNKNOWN && verb != FTP_FOREIGN)
		ev->anomaly = AN_FTP_SPOOFED;
	s->deaf[AN_S2C] = true;
	return AN_EVENT;
}

static enum an_status
reply_event(struct ftp *s, const struct reply_found *found, struct an_event *ev)
{
	struct ftp_detail *d = &s->detail;
	enum an_anomaly odd;
	unsigned i;

	*d = (struct ftp_detail){
	    .verb = ftp_verb_row(FTP_UNKNOWN), .code = found->code, .lines = found->lines};
	if (found->code == 0)
		return bad_reply(s, found, ev);
	i = is_late(s, found->code) ? s->count : answered_by(s, found->code);
	s->abor_owed = false;
	d->unasked = i >= s->count;
	d->preliminary = found->code < 200;
	d->text = last_text(found->octets);
	event(s, ev, AN_S2C, EV_REPLY, found->octets);
	ev->slot = ftp_oldest(s) + i;
	ev->anomaly = found->what;
	if (d->unasked) {
		ev->anomaly = AN_UNMATCHED_REPLY;
		return AN_EVENT;
	}
	d->verb = ftp_verb_row(slot_at(s, i)->verb);
	d->own = slot_at(s, i)->own;
	odd = note_hostport(d);
	if (ev->anomaly == AN_NONE)
		ev->anomaly = odd;
	if (d->preliminary)
		slot_at(s, i)->preliminary = true;
	else
		answer(s, i, found->code);
	return AN_EVENT;
}

static enum an_status
feed_server(struct ftp *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct reply_found found;

	if (s->deaf[AN_S2C]) {
		*used = n;
		return AN_MORE;
	}
	if (s->state == FTP_ST_OPAQUE)
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

enum an_status
ftp_feed(
    struct ftp *s, enum an_dir dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	enum an_status status;

	*used = 0;
	status = dir == AN_C2S ? feed_client(s, p, n, used, ev) : feed_server(s, p, n, used, ev);
	s->off[dir] += *used;
	if (status == AN_EVENT) /* the next event begins where this one ends */
		s->begin[dir] = s->off[dir];
	return status;
}
