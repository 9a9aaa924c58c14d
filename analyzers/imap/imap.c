#include "imap/imap.h"

#include <stdlib.h>

#include "imap/imap_state.h"

/* ---- faults ---- */

const char *
imap_fault_reply(enum imap_fault fault)
{
	static const char *const replies[] = {
#define X(id, reply, ends) reply,
	    IMAP_FAULTS(X)
#undef X
	};

	return replies[fault];
}

bool
imap_fault_ends(enum imap_fault fault)
{
	static const bool ends[] = {
#define X(id, reply, ends) ends,
	    IMAP_FAULTS(X)
#undef X
	};

	return ends[fault];
}

/* ---- the struct ---- */

static size_t
or_default(size_t value, size_t fallback)
{
	return value == 0 ? fallback : value;
}

static struct imap_limits
with_defaults(const struct imap_limits *in)
{
	struct imap_limits l = {0};

	if (in != NULL)
		l = *in;
	l.line = or_default(l.line, 65536);
	l.login_literal = or_default(l.login_literal, 8192);
	l.literal = or_default(l.literal, 1u << 20);
	l.response = or_default(l.response, 8192);
	l.capability = or_default(l.capability, 8192);
	return l;
}

struct imap *
imap_new(const struct imap_limits *limits)
{
	struct imap *s = calloc(1, sizeof(*s));
	size_t piece;

	if (s == NULL)
		return NULL;
	s->limits = with_defaults(limits);
	s->next = 1;
	line_init(&s->client.line, s->limits.line);
	piece = s->limits.line > s->limits.response ? s->limits.line : s->limits.response;
	buf_init(&s->server.held, piece > s->limits.capability ? piece : s->limits.capability);
	return s;
}

void
imap_free(struct imap *s)
{
	if (s == NULL)
		return;
	line_free(&s->client.line);
	imap_server_free(&s->server);
	imap_pending_free(&s->pending);
	free(s);
}

void
imap_offer(struct imap *s, enum imap_plus plus)
{
	s->plus = plus;
}

/* ---- replies take effect ---- */

bool
imap_plus_came(struct imap *s)
{
	struct imap_client *c = &s->client;

	if (c->reading == IMAP_READS_AFTER_PLUS) {
		c->reading = IMAP_READS_LITERAL;
		return true;
	}
	if (c->reading != IMAP_READS_AFTER_REPLY)
		return false;
	if (c->verb != IMAP_AUTHENTICATE && c->verb != IMAP_IDLE)
		return false;
	c->reading = c->verb == IMAP_IDLE ? IMAP_READS_DONE : IMAP_READS_SASL;
	return true;
}

/* What a tagged OK to these commands means for the session. */
static enum imap_phase
phase_after(enum imap_phase now, enum imap_verb verb)
{
	switch ((int)verb) {
	case IMAP_LOGIN:
	case IMAP_AUTHENTICATE:
	case IMAP_CLOSE:
	case IMAP_UNSELECT:
		return IMAP_AUTHENTICATED;
	case IMAP_SELECT:
	case IMAP_EXAMINE:
		return IMAP_SELECTED;
	case IMAP_UNAUTHENTICATE:
		return IMAP_NOT_AUTHENTICATED;
	case IMAP_LOGOUT:
		return IMAP_LOGGED_OUT;
	case IMAP_STARTTLS:
	case IMAP_COMPRESS:
		return IMAP_OPAQUE;
	default:
		return now;
	}
}

static void
greet(struct imap *s, enum imap_status status)
{
	s->phase = status == IMAP_ST_OK	       ? IMAP_NOT_AUTHENTICATED
		   : status == IMAP_ST_PREAUTH ? IMAP_AUTHENTICATED
					       : IMAP_LOGGED_OUT;
}

void
imap_apply(struct imap *s, uint64_t number, enum imap_verb verb, enum imap_status status)
{
	struct imap_client *c = &s->client;
	bool selects = verb == IMAP_SELECT || verb == IMAP_EXAMINE;

	if (status == IMAP_ST_OK)
		s->phase = phase_after(s->phase, verb);
	else if (selects && status == IMAP_ST_NO && s->phase == IMAP_SELECTED)
		s->phase = IMAP_AUTHENTICATED; /* RFC 9051 s6.3.2 */
	/* what the client has begun to send, or may send now, belongs to its next command */
	if (number == c->number &&
	    (c->reading == IMAP_READS_AFTER_PLUS || c->reading == IMAP_READS_AFTER_REPLY ||
		c->reading == IMAP_READS_SASL || c->reading == IMAP_READS_DONE))
		c->reading = IMAP_READS_COMMAND;
}

/* ---- what the caller does ---- */

/* Octets become opaque only by the word of the server that makes them so. */
static void
apply_own(struct imap *s, uint64_t number, enum imap_verb verb, enum imap_status status)
{
	bool upgrades = phase_after(IMAP_GREETING, verb) == IMAP_OPAQUE;

	imap_apply(s, number, verb, upgrades ? IMAP_ST_NO : status);
}

void
imap_answered(struct imap *s, enum imap_status status)
{
	struct imap_client *c = &s->client;

	imap_pending_drop(&s->pending, c->number);
	apply_own(s, c->number, c->verb, status);
	if (c->reading == IMAP_READS_LITERAL || c->reading == IMAP_READS_MORE)
		c->discard = true;
}

void
imap_continued(struct imap *s)
{
	(void)imap_plus_came(s);
}

bool
imap_answered_oldest(struct imap *s, enum imap_status status)
{
	struct imap_slot oldest;

	if (s->phase == IMAP_GREETING) {
		greet(s, status);
		return true;
	}
	if (s->pending.n == 0)
		return false;
	oldest = s->pending.slots[0];
	imap_pending_drop(&s->pending, oldest.number);
	apply_own(s, oldest.number, oldest.verb, status);
	return true;
}

/* ---- what the caller may ask ---- */

void
imap_secured(struct imap *s)
{
	s->phase = IMAP_NOT_AUTHENTICATED;
	s->offers = 0;
	s->plus = IMAP_PLUS_NONE;
}

/* ---- for whoever only listens ---- */

void
imap_observe(struct imap *s)
{
	s->observed = true;
}

void
imap_join(struct imap *s)
{
	s->phase = IMAP_SELECTED;
	s->plus = IMAP_PLUS_ANY;
	s->offers = UINT32_MAX;
	s->joined = s->passing = true;
}

static bool
server_gap(struct imap_server *t, uint64_t n)
{
	if (!t->literal || n > t->left)
		return false;
	t->left -= n;
	if (!t->body) {
		imap_structure_free(t->structure);
		t->structure = NULL;
	}
	return true;
}

bool
imap_gap(struct imap *s, enum an_dir dir, uint64_t n)
{
	struct imap_client *c = &s->client;

	if (n == 0)
		return false;
	if (dir == AN_S2C)
		return server_gap(&s->server, n);
	if (c->reading != IMAP_READS_LITERAL || !c->message || n > c->left)
		return false;
	c->left -= n;
	return true;
}

bool
imap_discard(struct imap *s, uint64_t slot)
{
	struct imap_client *c = &s->client;

	if (c->number != slot ||
	    (c->reading != IMAP_READS_LITERAL && c->reading != IMAP_READS_MORE))
		return false;
	c->discard = true;
	return true;
}

bool
imap_deaf(const struct imap *s, enum an_dir dir)
{
	return s->deaf[dir];
}

bool
imap_in_body(const struct imap *s, enum an_dir dir)
{
	if (dir == AN_S2C)
		return s->server.literal && s->server.body;
	return s->client.reading == IMAP_READS_LITERAL && s->client.message && !s->client.discard;
}

unsigned
imap_waiting(const struct imap *s)
{
	return s->pending.n + (s->phase == IMAP_GREETING ? 1u : 0u);
}

struct span
imap_tag(const struct imap *s, uint64_t number)
{
	const struct imap_slot *slot = imap_pending_number(&s->pending, number);

	return slot == NULL ? SPAN_NONE : span_of(slot->tag, slot->tag_n);
}

const struct imap_verb_row *
imap_slot_verb(const struct imap *s, uint64_t number)
{
	const struct imap_slot *slot = imap_pending_number(&s->pending, number);

	return imap_verb_row(slot == NULL ? IMAP_NONE : (enum imap_verb)slot->verb);
}

enum imap_phase
imap_phase(const struct imap *s)
{
	return s->phase;
}

bool
imap_client_owes(const struct imap *s)
{
	enum imap_reading r = s->client.reading;

	return r == IMAP_READS_LITERAL || r == IMAP_READS_MORE || r == IMAP_READS_SASL;
}

bool
imap_idles(const struct imap *s)
{
	return s->client.reading == IMAP_READS_DONE;
}

bool
imap_in_response(const struct imap *s)
{
	return s->server.inside;
}

/* ---- feed ---- */

void
imap_event(
    struct imap *s, struct an_event *ev, enum an_dir dir, enum an_kind kind, struct span octets)
{
	*ev = (struct an_event){.kind = kind, .dir = dir, .octets = octets, .imap = &s->detail};
	if (s->detail.verb == NULL)
		s->detail.verb = imap_verb_row(IMAP_NONE);
}

static enum an_status
feed_opaque(
    struct imap *s, enum an_dir dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	if (n == 0)
		return AN_MORE;
	*used = n;
	s->detail = (struct imap_detail){.verb = imap_verb_row(IMAP_STARTTLS)};
	imap_event(s, ev, dir, EV_OPAQUE, span_of(p, n));
	return AN_EVENT;
}

enum an_status
imap_feed(
    struct imap *s, enum an_dir dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	enum an_status status;

	*used = 0;
	if (s->deaf[dir]) {
		*used = n;
		status = AN_MORE;
	} else if (s->phase == IMAP_OPAQUE) {
		status = feed_opaque(s, dir, p, n, used, ev);
	} else if (s->passing && dir == AN_S2C) {
		*used = n;
		s->within_line = n > 0 ? p[n - 1] != '\n' : s->within_line;
		status = AN_MORE;
	} else if (dir == AN_C2S) {
		status = imap_feed_client(s, p, n, used, ev);
	} else {
		status = imap_feed_server(s, p, n, used, ev);
	}
	s->off[dir] += *used;
	if (status == AN_EVENT) /* an event ends where the octets end that were taken for it */
		ev->off = s->off[dir] - ev->octets.n;
	return status;
}
