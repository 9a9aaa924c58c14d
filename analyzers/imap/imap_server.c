/*
 * imap_server - responses, octet by octet to the pieces that events are made of; literals as they
 * come.
 */
#include "imap/fetch.h"
#include "imap/imap_state.h"
#include "imap/offers.h"
#include "imap/response.h"

/* What an octet does to the piece that is being gathered. */
enum step {
	GO,
	CUT,	 /* the piece ends with it */
	LITERAL, /* and a literal follows */
	LONG,	 /* it ends for no other reason than its length */
	BEFORE,	 /* it ends in front of the octet */
	BAD,
};

void
imap_server_free(struct imap_server *t)
{
	buf_free(&t->held);
	t->gave_held = false;
	imap_structure_free(t->structure);
	t->structure = NULL;
}

/* ---- the first words of a line ---- */

static struct span
word_of(const struct imap_server *t)
{
	return span_of(t->word, t->word_n);
}

static bool
is_word(const struct imap_server *t, const char *word)
{
	return span_ieq(word_of(t), span_str(word));
}

static void
second_word(struct imap_server *t)
{
	t->numbered = span_u64(word_of(t), UINT64_MAX, &t->number);
	t->status = imap_status_find(word_of(t)) != IMAP_ST_NONE;
	t->capability = is_word(t, "CAPABILITY");
	if (!t->numbered)
		t->telling = t->status ? IMAP_TELLS_STATUS : IMAP_TELLS_DATA;
}

static void
third_word(struct imap_server *t)
{
	t->uid = is_word(t, "UIDFETCH");
	t->telling = t->uid || is_word(t, "FETCH") ? IMAP_TELLS_OPEN : IMAP_TELLS_DATA;
}

/* A word is complete: is it known now what the line is? False: it is none. */
static bool
classify(struct imap_server *t)
{
	switch (t->words++) {
	case 0:
		t->untagged = is_word(t, "*");
		t->status = !t->untagged;
		if (t->status)
			t->telling = IMAP_TELLS_STATUS;
		return t->word_n > 0;
	case 1:
		second_word(t);
		/* a number that is too large for us may not be for a client */
		return t->word_n > 0 && (t->numbered || !octet_is_digit(t->word[0]));
	default:
		third_word(t);
		return t->word_n > 0;
	}
}

static enum step
status_octet(struct imap_server *t, uint8_t c)
{
	if (t->cr)
		return c == '\n' ? CUT : BAD;
	t->cr = c == '\r';
	return c == '\n' || c == '\0' ? BAD : GO;
}

static enum step
lexed(struct imap_server *t, uint8_t c)
{
	switch ((int)imap_lex(&t->lex, c)) {
	case IMAP_LEX_GO:
		return GO;
	case IMAP_LEX_END:
		return CUT;
	case IMAP_LEX_LITERAL:
		/* a server has nobody to wait for */
		return t->lex.announcement.literal.plus ? BAD : LITERAL;
	default:
		return BAD;
	}
}

static bool
is_name_octet(uint8_t c)
{
	return octet_is_alnum(c) || c == '-' || c == '_' || c == '.';
}

static enum step
head_octet(struct imap_server *t, uint8_t c)
{
	enum step step = lexed(t, c);

	if (c != ' ' && c != '\r') {
		/* clients find names in other ways: where one might see FETCH here, there is one */
		if (t->words == 0 ? c == '\n' || c == '\0' : !is_name_octet(c))
			return BAD;
		/* a tag may be longer; those words that matter are not */
		if (t->word_n < IMAP_WORD_MAX)
			t->word[t->word_n++] = c;
		return t->words > 0 ? step : GO;
	}
	if (!classify(t))
		return BAD;
	t->word_n = 0;
	if (c == ' ')
		return GO;
	/* the line ends here: as what? */
	if (t->telling == IMAP_TELLS_STATUS)
		return status_octet(t, c);
	if (t->telling == IMAP_TELLS_OPEN || t->words < 2)
		return BAD;
	t->telling = IMAP_TELLS_DATA;
	return GO;
}

/* ---- the items of a FETCH ---- */

static enum step
open_octet(struct imap_server *t, uint8_t c)
{
	t->blank = true;
	return c == '(' && lexed(t, c) == GO ? CUT : BAD;
}

static enum step
before_octet(struct imap_server *t, uint8_t c, size_t at)
{
	if (c == ' ') {
		t->blank = true;
		return GO;
	}
	if (c == ')') {
		t->telling = IMAP_TELLS_CLOSE;
		return lexed(t, c);
	}
	if (!t->blank || c <= ' ' || span_find(span_str("(\"{[]"), c) >= 0)
		return BAD;
	t->telling = IMAP_TELLS_NAME;
	t->name_at = at;
	t->bracket = false;
	t->word[0] = c;
	t->word_n = 1;
	return lexed(t, c);
}

static enum step
name_octet(struct imap_server *t, uint8_t c, size_t at)
{
	bool quoted = t->lex.quoted;

	if (t->word_n < IMAP_WORD_MAX)
		t->word[t->word_n++] = c;
	if (!t->bracket && c == ' ') {
		if (t->lex.depth != 1) /* a list within the brackets is still open */
			return BAD;
		t->name_n = at - t->name_at;
		t->streams = imap_item_is_content(span_first(word_of(t), t->name_n));
		t->telling = IMAP_TELLS_VALUE;
	} else if (!t->bracket && (c == '(' || c == ')' || c == '"')) {
		return BAD;
	}
	if (!quoted && c == '[')
		t->bracket = true;
	else if (!quoted && c == ']')
		t->bracket = false;
	return c == '\r' ? BAD : lexed(t, c);
}

static enum step
value_octet(struct imap_server *t, uint8_t c, size_t at)
{
	enum step step = lexed(t, c);

	t->value_at = at;
	if (step != GO || c == ')' || c == '\r')
		return BAD;
	switch (c) {
	case ' ':
		return GO;
	case '(':
		t->telling = IMAP_TELLS_LIST;
		return GO;
	case '"':
		t->telling = t->streams ? IMAP_TELLS_QUOTED : IMAP_TELLS_STRING;
		return t->streams ? CUT : GO;
	case '{':
	case '~':
		t->telling = IMAP_TELLS_ANNOUNCEMENT;
		return GO;
	default:
		t->telling = IMAP_TELLS_ATOM;
		return GO;
	}
}

static enum step
atom_octet(struct imap_server *t, uint8_t c)
{
	if (c == ' ' || c == ')')
		return BEFORE;
	return c == '(' || c == '\r' ? BAD : lexed(t, c);
}

static enum step
list_octet(struct imap_server *t, uint8_t c)
{
	enum step step = lexed(t, c);

	if (step == CUT)
		return BAD;
	return step == GO && t->lex.depth == 1 && c == ')' && !t->lex.quoted ? CUT : step;
}

static enum step
string_octet(struct imap_server *t, uint8_t c)
{
	enum step step = lexed(t, c);

	return step == GO && !t->lex.quoted ? CUT : step;
}

static enum step
announcement_octet(struct imap_server *t, uint8_t c)
{
	enum step step = lexed(t, c);

	/* "~" that no brace follows is no value */
	if (step == GO && !t->lex.cr && !imap_announcement_begun(&t->lex.announcement))
		return BAD;
	return step == CUT ? BAD : step;
}

static enum step
close_octet(struct imap_server *t, uint8_t c)
{
	return t->lex.cr || c == '\r' ? lexed(t, c) : BAD;
}

static enum step
take_octet(struct imap_server *t, uint8_t c, size_t at)
{
	switch ((int)t->telling) {
	case IMAP_TELLS_HEAD:
		return head_octet(t, c);
	case IMAP_TELLS_STATUS:
		return status_octet(t, c);
	case IMAP_TELLS_DATA:
		return lexed(t, c);
	case IMAP_TELLS_OPEN:
		return open_octet(t, c);
	case IMAP_TELLS_BEFORE:
		return before_octet(t, c, at);
	case IMAP_TELLS_NAME:
		return name_octet(t, c, at);
	case IMAP_TELLS_VALUE:
		return value_octet(t, c, at);
	case IMAP_TELLS_ATOM:
		return atom_octet(t, c);
	case IMAP_TELLS_LIST:
		return list_octet(t, c);
	case IMAP_TELLS_STRING:
		return string_octet(t, c);
	case IMAP_TELLS_ANNOUNCEMENT:
		return announcement_octet(t, c);
	case IMAP_TELLS_CLOSE:
		return close_octet(t, c);
	case IMAP_TELLS_QUOTED:
		break;
	}
	return BAD;
}

/* A piece has n octets and no end: may it be given out so, or is there no end in sight? */
static enum step
at_length(const struct imap *s, size_t n)
{
	const struct imap_server *t = &s->server;

	switch ((int)t->telling) {
	case IMAP_TELLS_HEAD: /* untagged: no word that matters is so long */
		return n < (t->untagged ? s->limits.response : s->limits.line) ? GO : BAD;
	case IMAP_TELLS_STATUS:
		return n < s->limits.line ? GO : BAD;
	case IMAP_TELLS_DATA:
		if (t->capability)
			return n < s->limits.capability ? GO : BAD;
		return n < s->limits.response || t->lex.cr ? GO : LONG;
	case IMAP_TELLS_LIST:
	case IMAP_TELLS_STRING:
		return n < s->limits.response ? GO : LONG;
	default:
		return n < s->limits.response ? GO : BAD;
	}
}

/* ---- pieces to events ---- */

static enum an_status
event(struct imap *s, struct an_event *ev, enum an_kind kind, struct span octets)
{
	imap_event(s, ev, AN_S2C, kind, octets);
	if (s->detail.capabilities.n > 0) /* whoever answers behind the login may know less */
		s->offers = imap_offers(s->detail.capabilities);
	return AN_EVENT;
}

static enum an_status
senseless(struct imap *s, struct an_event *ev, enum an_anomaly what)
{
	s->detail = (struct imap_detail){.verb = imap_verb_row(IMAP_UNKNOWN)};
	s->deaf[AN_S2C] = true;
	imap_server_free(&s->server);
	event(s, ev, EV_ANOMALY, SPAN_NONE);
	ev->anomaly = what;
	return AN_EVENT;
}

/* The next octet begins a line. */
static void
line_begins(struct imap_server *t)
{
	t->telling = IMAP_TELLS_HEAD;
	t->lex = (struct imap_lex){0};
	t->cr = t->inside = t->untagged = t->numbered = t->status = t->capability = false;
	t->word_n = t->words = 0;
}

static struct span
without_end(struct span line)
{
	return span_first(line, line.n - 2);
}

static enum an_status
plus_event(struct imap *s, struct an_event *ev, struct span line)
{
	s->detail.text = span_trim(span_from(without_end(line), 1));
	s->detail.verb = imap_verb_row(s->client.verb);
	s->detail.unasked = !imap_plus_came(s);
	if (imap_literal_suspect(s->detail.text))
		return senseless(s, ev, AN_INVALID_REPLY);
	event(s, ev, EV_CONTINUE, line);
	ev->slot = s->client.number;
	if (s->detail.unasked)
		ev->anomaly = AN_UNMATCHED_REPLY;
	return AN_EVENT;
}

static enum an_status
tagged_event(struct imap *s, struct an_event *ev, struct span line)
{
	struct imap_detail *d = &s->detail;
	struct span rest = without_end(line), tag = span_word(&rest);
	const struct imap_slot *slot = imap_pending_tag(&s->pending, tag);
	uint64_t number = 0;

	if (!imap_status_parse(span_trim(rest), d) || d->status == IMAP_ST_NONE ||
	    d->status > IMAP_ST_BAD)
		return senseless(s, ev, AN_INVALID_REPLY);
	d->tag = tag;
	d->unasked = slot == NULL;
	if (slot != NULL) {
		number = slot->number;
		d->verb = imap_verb_row(slot->verb);
		imap_pending_drop(&s->pending, number);
		imap_apply(s, number, d->verb->verb, d->status);
	}
	event(s, ev, EV_REPLY, line);
	ev->slot = number;
	if (d->unasked)
		ev->anomaly = AN_UNMATCHED_REPLY;
	return AN_EVENT;
}

static enum an_status
untagged_status_event(struct imap *s, struct an_event *ev, struct span line)
{
	struct imap_detail *d = &s->detail;

	if (!imap_status_parse(span_trim(span_from(without_end(line), 1)), d))
		return senseless(s, ev, AN_INVALID_REPLY);
	if (s->phase == IMAP_GREETING)
		(void)imap_answered_oldest(s, d->status);
	else if (d->status == IMAP_ST_BYE)
		s->phase = IMAP_LOGGED_OUT;
	return event(s, ev, EV_RESPONSE, line);
}

static enum an_status
status_event(struct imap *s, struct an_event *ev, struct span line)
{
	bool untagged = s->server.untagged;

	line_begins(&s->server);
	if (untagged)
		return untagged_status_event(s, ev, line);
	if (s->phase == IMAP_GREETING)
		return senseless(s, ev, AN_NO_WELCOME);
	if (line.p[0] == '+' && (line.p[1] == ' ' || line.p[1] == '\r'))
		return plus_event(s, ev, line);
	return tagged_event(s, ev, line);
}

static void
literal_begins(struct imap_server *t, bool body)
{
	t->literal = true;
	t->left = t->lex.announcement.literal.octets;
	t->body = body;
	t->body_end = false;
}

static enum an_status
data_event(struct imap *s, struct an_event *ev, struct span piece, enum step step)
{
	struct imap_server *t = &s->server;

	if (s->phase == IMAP_GREETING)
		return senseless(s, ev, AN_NO_WELCOME);
	if (step == CUT && !t->inside) {
		line_begins(t);
		imap_data_parse(span_trim(span_from(without_end(piece), 1)), &s->detail);
		return event(s, ev, EV_RESPONSE, piece);
	}
	if (step == LITERAL && t->capability)
		return senseless(s, ev, AN_INVALID_REPLY);
	if (!t->inside)
		imap_data_parse(span_trim(span_from(piece, 1)), &s->detail);
	if (step == LITERAL)
		literal_begins(t, false);
	t->inside = true;
	s->detail.last = step == CUT;
	if (step == CUT)
		line_begins(t);
	return event(s, ev, EV_TEXT, piece);
}

static enum an_status
open_event(struct imap *s, struct an_event *ev, struct span piece)
{
	struct imap_server *t = &s->server;

	if (s->phase == IMAP_GREETING)
		return senseless(s, ev, AN_NO_WELCOME);
	t->inside = true;
	t->telling = IMAP_TELLS_BEFORE;
	s->detail.number = t->number;
	s->detail.uid = t->uid;
	return event(s, ev, EV_FETCH, piece);
}

/* ---- items ---- */

static bool
feed_structure(struct imap *s, struct span octets)
{
	struct imap_server *t = &s->server;

	return t->structure == NULL || imap_structure_feed(t->structure, octets);
}

static void
plain_value(struct imap_detail *d, struct span value)
{
	d->nil = span_ieq(value, span_str("NIL"));
	d->value = d->nil ? SPAN_NONE : value;
	if (value.n >= 2 && value.p[0] == '"')
		d->value = span_of(value.p + 1, value.n - 2);
}

/* The item, or its beginning; how it goes on. False: no memory, or (*bad) no sense in it. */
static bool
begin_item(struct imap *s, struct span piece, bool *bad)
{
	struct imap_server *t = &s->server;
	struct imap_detail *d = &s->detail;
	struct span name = span_first(span_from(piece, t->name_at), t->name_n);
	struct span value = span_from(piece, t->value_at);

	imap_item_parse(name, d);
	t->content = d->content;
	if (imap_item_is_structure(name)) {
		imap_structure_free(t->structure);
		t->structure = imap_structure_new();
		return t->structure != NULL && feed_structure(s, value);
	}
	if (d->last)
		plain_value(d, value);
	/* a number for a text, a list for a message: what would a client make of it? */
	*bad = t->streams && t->telling != IMAP_TELLS_QUOTED &&
	       t->telling != IMAP_TELLS_ANNOUNCEMENT && !d->nil;
	return true;
}

/* What follows a piece of an item. */
static void
after_item(struct imap_server *t, enum step step)
{
	t->more = step == LONG || (step == LITERAL && t->telling == IMAP_TELLS_LIST);
	if (step == LITERAL)
		literal_begins(t, t->streams && t->telling == IMAP_TELLS_ANNOUNCEMENT);
	if (t->more || t->telling == IMAP_TELLS_QUOTED)
		return;
	t->telling = IMAP_TELLS_BEFORE;
	t->blank = false;
}

static enum an_status
item_event(struct imap *s, struct an_event *ev, struct span piece, enum step step)
{
	struct imap_server *t = &s->server;
	struct imap_detail *d = &s->detail;
	enum an_kind kind = t->more ? EV_TEXT : EV_FETCH_ITEM;
	bool bad = false;

	d->number = t->number;
	d->uid = t->uid;
	d->last = step == BEFORE || (step == CUT && t->telling != IMAP_TELLS_QUOTED);
	if (step == LITERAL)
		d->literal = t->lex.announcement.literal;
	if (t->more ? !feed_structure(s, piece) : !begin_item(s, piece, &bad))
		return AN_NOMEM;
	if (bad)
		return senseless(s, ev, AN_INVALID_REPLY);
	if (d->last && t->structure != NULL) {
		t->structure_given = true;
		if (imap_structure_whole(t->structure))
			d->structure = t->structure;
	}
	after_item(t, step);
	return event(s, ev, kind, piece);
}

static enum an_status
close_event(struct imap *s, struct an_event *ev, struct span piece)
{
	s->detail.number = s->server.number;
	s->detail.uid = s->server.uid;
	s->server.structure_given = true;
	line_begins(&s->server);
	return event(s, ev, EV_FETCH_END, piece);
}

static enum an_status
piece_event(struct imap *s, struct an_event *ev, struct span piece, enum step step)
{
	s->detail = (struct imap_detail){.verb = imap_verb_row(IMAP_NONE)};
	switch ((int)s->server.telling) {
	case IMAP_TELLS_STATUS:
		return status_event(s, ev, piece);
	case IMAP_TELLS_HEAD:
	case IMAP_TELLS_DATA:
		return data_event(s, ev, piece, step);
	case IMAP_TELLS_OPEN:
		return open_event(s, ev, piece);
	case IMAP_TELLS_CLOSE:
		return close_event(s, ev, piece);
	default:
		return item_event(s, ev, piece, step);
	}
}

/* ---- content ---- */

static enum an_status
content_event(struct imap *s, struct an_event *ev, enum an_kind kind, struct span octets)
{
	s->detail = (struct imap_detail){.verb = imap_verb_row(IMAP_NONE),
	    .number = s->server.number,
	    .uid = s->server.uid,
	    .content = s->server.content};
	return event(s, ev, kind, octets);
}

static enum an_status
feed_octets(struct imap *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct imap_server *t = &s->server;

	*used = n < t->left ? n : (size_t)t->left;
	t->left -= *used;
	if (t->left == 0) {
		t->literal = false;
		t->body_end = t->body;
	}
	if (t->body)
		return content_event(s, ev, EV_BODY, span_of(p, *used));
	if (t->more && !feed_structure(s, span_of(p, *used)))
		return AN_NOMEM;
	return content_event(s, ev, EV_LITERAL, span_of(p, *used));
}

/* Octets up to the end of a quoted string, or a backslash; the first of them in any case. */
static size_t
run_of(const uint8_t *p, size_t n, bool escaped)
{
	size_t i = escaped ? 1 : 0;

	while (i < n && p[i] != '"' && p[i] != '\\' && p[i] != '\r' && p[i] != '\n' && p[i] != '\0')
		i++;
	return i;
}

static enum an_status
feed_quoted(struct imap *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct imap_server *t = &s->server;

	*used = 1;
	if (p[0] == '\r' || p[0] == '\n' || p[0] == '\0')
		return senseless(s, ev, AN_INVALID_REPLY);
	if (t->lex.escaped || (p[0] != '"' && p[0] != '\\')) {
		*used = run_of(p, n, t->lex.escaped);
		t->lex.escaped = false;
		return content_event(s, ev, EV_BODY, span_of(p, *used));
	}
	if (p[0] == '\\') {
		t->lex.escaped = true;
		return content_event(s, ev, EV_TEXT, span_of(p, 1));
	}
	t->lex.quoted = false;
	t->telling = IMAP_TELLS_BEFORE;
	t->blank = false;
	t->body_end = true;
	return content_event(s, ev, EV_TEXT, span_of(p, 1));
}

/* ---- octets ---- */

/* Nothing is kept of what was given out. */
static void
forget(struct imap_server *t)
{
	if (t->gave_held) {
		buf_free(&t->held);
		t->gave_held = false;
	}
	if (t->structure_given) {
		imap_structure_free(t->structure);
		t->structure = NULL;
		t->structure_given = false;
	}
}

/* How the octets go on with the piece; *i: octets of it. */
static enum step
gather(struct imap *s, const uint8_t *p, size_t n, size_t *i)
{
	struct imap_server *t = &s->server;

	for (*i = 0; *i < n;) {
		size_t at = t->held.n + *i;
		enum step step = take_octet(t, p[*i], at);

		if (step == BEFORE)
			return step;
		++*i;
		if (step == GO)
			step = at_length(s, at + 1);
		if (step != GO)
			return step;
	}
	return GO;
}

static enum an_status
feed_text(struct imap *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct imap_server *t = &s->server;
	enum step step = gather(s, p, n, used);
	struct span piece = span_of(p, *used);

	if (step == BAD)
		return senseless(s, ev, AN_INVALID_REPLY);
	if (step == GO || t->held.n > 0) {
		if (!buf_add(&t->held, piece))
			return AN_NOMEM;
		piece = buf_span(&t->held);
	}
	if (step == GO)
		return AN_MORE;
	t->gave_held = t->held.n > 0;
	return piece_event(s, ev, piece, step);
}

enum an_status
imap_feed_server(struct imap *s, const uint8_t *p, size_t n, size_t *used, struct an_event *ev)
{
	struct imap_server *t = &s->server;

	forget(t);
	if (t->literal && t->left == 0) {
		t->literal = false;
		t->body_end = t->body;
	}
	if (t->body_end) {
		t->body_end = false;
		return content_event(s, ev, EV_BODY_END, SPAN_NONE);
	}
	if (n == 0)
		return AN_MORE;
	if (t->literal)
		return feed_octets(s, p, n, used, ev);
	if (t->telling == IMAP_TELLS_QUOTED)
		return feed_quoted(s, p, n, used, ev);
	return feed_text(s, p, n, used, ev);
}
