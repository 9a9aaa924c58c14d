/*
 * imap_client - commands, their literals, SASL responses, DONE.
 */
#include "imap/append.h"
#include "imap/command.h"
#include "imap/imap_state.h"
#include "imap/offers.h"

#define TLS_HANDSHAKE	  0x16 /* first octet of a ClientHello */
#define LITERAL_MINUS_MAX 4096 /* RFC 7888 s5 */

/* ---- what depends on the session ---- */

static bool
waits_for(const struct imap *s, enum imap_verb verb)
{
	for (size_t i = 0; i < s->pending.n; i++)
		if (s->pending.slots[i].verb == verb)
			return true;
	return false;
}

static bool
waits_for_select(const struct imap *s)
{
	return waits_for(s, IMAP_SELECT) || waits_for(s, IMAP_EXAMINE);
}

/* Whether there will be a mailbox, nobody knows yet. */
static bool
may_leave_mailbox(const struct imap *s)
{
	return waits_for_select(s) || waits_for(s, IMAP_CLOSE) || waits_for(s, IMAP_UNSELECT);
}

/* A client may send what needs a mailbox ahead of the reply to SELECT. */
static bool
is_in_phase(const struct imap *s, const struct imap_verb_row *verb)
{
	if (s->joined || (verb->phases & IMAP_IN(s->phase)) != 0)
		return true;
	return s->phase == IMAP_AUTHENTICATED && (verb->phases & IMAP_IN(IMAP_SELECTED)) != 0 &&
	       waits_for_select(s);
}

/* Servers read so many arguments, and skip the line behind them: no literal there is one. */
static int
most_words(enum imap_verb verb)
{
	switch ((int)verb) {
	case IMAP_CREATE:
	case IMAP_DELETE:
	case IMAP_EXAMINE:
	case IMAP_GETACL:
	case IMAP_GETQUOTA:
	case IMAP_GETQUOTAROOT:
	case IMAP_MYRIGHTS:
	case IMAP_SELECT:
	case IMAP_SETQUOTA:
	case IMAP_STATUS:
	case IMAP_SUBSCRIBE:
	case IMAP_UNSUBSCRIBE:
		return 1;
	case IMAP_COPY:
	case IMAP_DELETEACL:
	case IMAP_LISTRIGHTS:
	case IMAP_LOGIN:
	case IMAP_LSUB:
	case IMAP_MOVE:
	case IMAP_RENAME:
	case IMAP_RLIST:
	case IMAP_RLSUB:
		return 2;
	case IMAP_SETACL:
		return 3;
	default: /* of any length */
		return UINT8_MAX;
	}
}

/*
 * Will the server read this literal as one? One that did not expect it says BAD, skips the line,
 * and reads the octets as commands; with "+" before them it would have said so in time.
 */
static bool
is_understood(const struct imap *s, const struct imap_detail *d)
{
	const char *listed = d->literal.eight ? "UTF8" : "CATENATE";

	if (s->joined)
		return true;
	if (d->verb->phases == IMAP_IN(IMAP_SELECTED) && may_leave_mailbox(s))
		return false;
	if ((d->verb->phases & IMAP_IN(s->phase)) == 0)
		return false;
	if (d->verb->literals == NULL || !imap_offers_has(s->offers, d->verb->literals))
		return false;
	if (d->literal.eight && !d->message)
		return false;
	if (most_words(d->verb->verb) < s->client.lex.words - s->client.verb_words)
		return false;
	if (s->client.lex.odd) /* "8bit data in atom" */
		return false;
	if (d->verb->verb != IMAP_APPEND && d->verb->verb != IMAP_REPLACE)
		return true;
	if (s->client.goes_on ? !imap_append_goes_on(d->args, s->client.list)
			      : !imap_append_begins(d->args, d->verb->verb == IMAP_REPLACE))
		return false;
	if (s->client.lex.depth > 0)
		return imap_offers_has(s->offers, listed);
	if (d->literal.eight && !imap_offers_has(s->offers, "BINARY"))
		return false;
	return !d->message || !s->client.messages || imap_offers_has(s->offers, "MULTIAPPEND");
}

/* A server that looks at no arguments of IDLE says "+", and waits for DONE and no literal. */
static bool
takes_none(const struct imap_verb_row *verb)
{
	return verb->literals == NULL && verb->verb != IMAP_UNKNOWN;
}

static enum imap_fault
literal_fault(const struct imap *s, const struct imap_detail *d)
{
	const struct imap_literal *l = &d->literal;
	bool logged_in = s->phase == IMAP_AUTHENTICATED || s->phase == IMAP_SELECTED;
	uint64_t limit = s->limits.message;

	if (!l->announced)
		return IMAP_OK;
	if (l->plus && (s->plus == IMAP_PLUS_NONE ||
			   (s->plus == IMAP_PLUS_MINUS && l->octets > LITERAL_MINUS_MAX)))
		return IMAP_LITERAL_NOT_OFFERED;
	if (!d->message || !logged_in)
		limit = logged_in ? s->limits.literal : s->limits.login_literal;
	if (limit > 0 && l->octets > limit)
		return d->message && logged_in ? IMAP_MESSAGE_TOO_BIG : IMAP_LITERAL_TOO_BIG;
	if (l->plus)
		return is_understood(s, d) ? IMAP_OK : IMAP_LITERAL_UNSAFE;
	return takes_none(d->verb) ? IMAP_SYNTAX : IMAP_OK;
}

static void
judge_in_session(struct imap *s)
{
	struct imap_detail *d = &s->detail;
	enum imap_fault literal = literal_fault(s, d);
	/* whether an unknown verb may pass is the policy's question */
	bool sound = d->fault == IMAP_OK || d->fault == IMAP_VERB_UNKNOWN;

	if (imap_fault_ends(d->fault))
		return;

	if (imap_fault_ends(literal) || (sound && literal != IMAP_OK))
		d->fault = literal;
	else if (d->fault == IMAP_OK && !is_in_phase(s, d->verb))
		d->fault = IMAP_WRONG_PHASE;
}

/* ---- events ---- */

static enum an_anomaly
anomaly_of(enum imap_fault fault)
{
	switch ((int)fault) {
	case IMAP_LINE_TOO_LONG:
		return AN_COMMAND_TOO_LONG;
	case IMAP_LINE_BARE_LF:
		return AN_BARE_LF;
	case IMAP_LINE_BARE_CR:
		return AN_BARE_CR;
	case IMAP_LINE_NUL:
		return AN_NUL;
	case IMAP_VERB_FOREIGN:
		return AN_OTHER_PROTOCOL;
	default:
		return AN_NONE;
	}
}

/* Where the stream goes on all the same, if nobody stands in between. */
static bool
goes_on(const struct imap *s, enum imap_fault fault)
{
	return s->observed && (fault == IMAP_LITERAL_TOO_BIG || fault == IMAP_LITERAL_NOT_OFFERED ||
				  fault == IMAP_NOT_DONE || fault == IMAP_LINE_BARE_LF);
}

/* With its end. */
static struct span
whole_line(const struct imap *s, struct span line)
{
	return span_of(line.p, line.n + (s->client.bare_lf ? 1 : 2));
}

/* Whatever of a line: its anomaly, its command; whoever goes on behind some faults is out of step.
 */
static enum an_status
line_event(struct imap *s, struct an_event *ev, enum an_kind kind, struct span octets)
{
	if (s->client.bare_lf && !imap_fault_ends(s->detail.fault))
		s->detail.fault = IMAP_LINE_BARE_LF;
	imap_event(s, ev, AN_C2S, kind, octets);
	ev->anomaly = anomaly_of(s->detail.fault);
	ev->slot = s->client.number;
	if (imap_fault_ends(s->detail.fault) && !goes_on(s, s->detail.fault))
		s->deaf[AN_C2S] = true;
	return AN_EVENT;
}

static enum an_status
hopeless(struct imap *s, struct an_event *ev, enum imap_verb verb, enum imap_fault fault)
{
	struct imap_client *c = &s->client;
	bool first = c->reading == IMAP_READS_COMMAND;

	if (first) {
		c->number = s->next++;
		c->verb = verb;
	}
	s->detail =
	    (struct imap_detail){.verb = imap_verb_row(c->verb), .fault = fault, .last = true};
	return line_event(s, ev, first ? EV_COMMAND : EV_COMMAND_MORE, SPAN_NONE);
}

/* What follows a line of a command. */
static void
go_on(struct imap *s)
{
	const struct imap_detail *d = &s->detail;
	struct imap_client *c = &s->client;
	/* a server may have refused it already, in the middle; then nothing more will come of it */
	bool waits = imap_pending_number(&s->pending, c->number) != NULL;

	c->left = d->literal.octets;
	c->message = d->message;
	c->messages = c->messages || d->message;
	if (!d->last && d->literal.plus)
		c->reading = IMAP_READS_LITERAL;
	else if (!d->last && waits)
		c->reading = IMAP_READS_AFTER_PLUS;
	else
		c->reading = waits && imap_verb_row(c->verb)->sync ? IMAP_READS_AFTER_REPLY
								   : IMAP_READS_COMMAND;
}

static enum an_status
command(struct imap *s, struct an_event *ev, struct span line)
{
	struct imap_client *c = &s->client;
	struct imap_detail *d = &s->detail;

	c->messages = c->goes_on = c->list = false;
	imap_command_parse(line, &c->lex, d);
	c->verb_words = d->uid ? 2 : 1;
	judge_in_session(s);
	c->number = s->next++;
	c->verb = d->verb->verb;
	c->discard = false;
	if (d->fault != IMAP_BAD_TAG && !imap_pending_push(&s->pending, c->number, c->verb, d->tag))
		return AN_NOMEM;
	go_on(s);
	return line_event(s, ev, EV_COMMAND, whole_line(s, line));
}

/* Behind a command that was answered already: nothing but where it ends matters. */
static enum an_status
discarded(struct imap *s, struct an_event *ev, struct span line)
{
	const struct imap_detail *d = &s->detail;

	if (imap_fault_ends(d->fault) && !goes_on(s, d->fault))
		return line_event(s, ev, EV_COMMAND_MORE, whole_line(s, line));
	if (d->last || !d->literal.plus) /* a client that waits for "+" got its answer before */
		s->client.reading = IMAP_READS_COMMAND;
	else
		go_on(s);
	s->detail.fault = IMAP_OK;
	return line_event(s, ev, EV_LITERAL, whole_line(s, line));
}

static enum an_status
command_more(struct imap *s, struct an_event *ev, struct span line)
{
	struct imap_detail *d = &s->detail;
	enum imap_fault literal;

	*d = (struct imap_detail){.verb = imap_verb_row(s->client.verb)};
	s->client.goes_on = true;
	s->client.list = s->client.lex.depth > 0;
	imap_command_more(line, &s->client.lex, d);
	literal = literal_fault(s, d);
	if (d->fault == IMAP_OK || imap_fault_ends(literal))
		d->fault = literal;
	if (s->client.discard)
		return discarded(s, ev, line);
	go_on(s);
	return line_event(s, ev, EV_COMMAND_MORE, whole_line(s, line));
}

static enum an_status
secret_line(struct imap *s, struct an_event *ev, struct span line)
{
	s->detail = (struct imap_detail){.verb = imap_verb_row(s->client.verb), .last = true};
	s->client.reading = IMAP_READS_AFTER_REPLY;
	return line_event(s, ev, EV_SECRET, whole_line(s, line));
}

static enum an_status
done_line(struct imap *s, struct an_event *ev, struct span line)
{
	s->detail =
	    (struct imap_detail){.verb = imap_verb_row(s->client.verb), .args = line, .last = true};
	if (!span_ieq(line, span_str("DONE")))
		s->detail.fault = IMAP_NOT_DONE;
	s->client.reading = IMAP_READS_COMMAND;
	return line_event(s, ev, EV_COMMAND_MORE, whole_line(s, line));
}

/* ---- octets ---- */

/*
 * No octet beyond the longest line is looked at: whether its end came in the same chunk must not
 * matter.
 */
static enum an_status
feed_line(struct imap *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct imap_client *c = &s->client;
	size_t room = s->limits.line + 1 - (c->line.whole ? 0 : c->line.n);
	struct line_marks marks;
	struct span line;

	switch (line_feed(&c->line, p, n < room ? n : room, used, &line, &marks)) {
	case LINE_NOMEM:
		return AN_NOMEM;
	case LINE_MORE:
		return c->line.n > s->limits.line
			   ? hopeless(s, ev, IMAP_UNKNOWN, IMAP_LINE_TOO_LONG)
			   : AN_MORE;
	case LINE_WHOLE:
		break;
	}
	c->bare_lf = s->observed && marks.bare_lf;
	marks.bare_lf = marks.bare_lf && !s->observed;
	if (imap_line_fault(marks) != IMAP_OK)
		return hopeless(s, ev, IMAP_UNKNOWN, imap_line_fault(marks));
	switch ((int)c->reading) {
	case IMAP_READS_MORE:
		return command_more(s, ev, line);
	case IMAP_READS_SASL:
		return secret_line(s, ev, line);
	case IMAP_READS_DONE:
		return done_line(s, ev, line);
	default:
		return command(s, ev, line);
	}
}

/* Text may look like a command: "please move it"; tags of clients have digits in them. */
static bool
is_surely_command(const struct imap *s, struct span line)
{
	struct imap_detail d;
	struct imap_lex lex;
	bool digit = false;

	if (s->within_line)
		return false;
	imap_command_parse(line, &lex, &d);
	for (size_t i = 0; i < d.tag.n; i++)
		digit = digit || octet_is_digit(d.tag.p[i]);
	return digit && d.fault == IMAP_OK;
}

/* Nothing is known of what came before. */
static enum an_status
pass_over(struct imap *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct line_marks marks;
	struct span line;

	switch (line_feed(&s->client.line, p, n, used, &line, &marks)) {
	case LINE_NOMEM:
		return AN_NOMEM;
	case LINE_MORE:
		return AN_MORE;
	case LINE_WHOLE:
		break;
	}
	if (imap_line_fault(marks) != IMAP_OK || !is_surely_command(s, line))
		return AN_MORE;
	s->passing = false;
	return command(s, ev, line);
}

static enum an_status
feed_command(struct imap *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	bool begins = s->client.line.whole || s->client.line.n == 0;

	if (s->pending.n >= IMAP_SLOTS)
		return AN_WAIT;
	if (begins && p[0] == TLS_HANDSHAKE) {
		*used = 1;
		return hopeless(s, ev, IMAP_FOREIGN, IMAP_VERB_FOREIGN);
	}
	return feed_line(s, p, n, used, ev);
}

static enum an_status
feed_literal(struct imap *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct imap_client *c = &s->client;
	bool message = c->message && !c->discard;
	const struct imap_verb_row *verb = imap_verb_row(c->verb);

	s->detail = (struct imap_detail){.verb = verb, .message = message};
	if (c->left == 0) {
		c->reading = IMAP_READS_MORE;
		imap_event(s, ev, AN_C2S, EV_BODY_END, SPAN_NONE);
		ev->slot = c->number;
		return AN_EVENT;
	}
	if (n == 0)
		return AN_MORE;
	*used = n < c->left ? n : (size_t)c->left;
	c->left -= *used;
	if (c->left == 0 && !message)
		c->reading = IMAP_READS_MORE;
	imap_event(s, ev, AN_C2S,
	    message			  ? EV_BODY
	    : verb->secret && !c->discard ? EV_SECRET
					  : EV_LITERAL,
	    span_of(p, *used));
	ev->slot = c->number;
	return AN_EVENT;
}

enum an_status
imap_feed_client(struct imap *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct imap_client *c = &s->client;

	if (s->phase == IMAP_GREETING)
		return n == 0 ? AN_MORE : AN_WAIT;
	if (s->passing)
		return n == 0 ? AN_MORE : pass_over(s, p, n, used, ev);
	if (c->reading == IMAP_READS_LITERAL) {
		if (c->left > 0 || (c->message && !c->discard))
			return feed_literal(s, p, n, used, ev);
		c->reading = IMAP_READS_MORE;
	}
	if (n == 0)
		return AN_MORE;
	switch ((int)c->reading) {
	case IMAP_READS_COMMAND:
		return feed_command(s, p, n, used, ev);
	case IMAP_READS_AFTER_PLUS:
	case IMAP_READS_AFTER_REPLY:
		return AN_WAIT;
	default:
		return feed_line(s, p, n, used, ev);
	}
}
