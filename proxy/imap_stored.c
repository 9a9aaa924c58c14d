#include <limits.h>
#include <stdlib.h>

#include "imap_gate.h"

/* What the client is told of a refused message: "550 5.7.1 why" without its codes. */
static const char *
reason_of(const char *reply)
{
	while (*reply == ' ' || *reply == '.' || octet_is_digit((uint8_t)*reply))
		reply++;
	return reply;
}

/* "CATENATE (URL ... TEXT {12}": pieces of one message. */
static bool
is_piece(struct span args)
{
	return span_iends(span_rtrim(args), span_str("TEXT"));
}

/* "(URL ..." or " URL ...", and not within a name that somebody gave his mailbox. */
static unsigned
count_urls(struct span args)
{
	bool begins = false, quoted = false;
	unsigned n = 0;

	for (; args.n > 0; args = span_from(args, 1)) {
		uint8_t c = args.p[0];

		if (quoted && c == '\\')
			args = span_from(args, 1);
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && begins && span_istarts(args, span_str("URL ")))
			n++;
		begins = c == ' ' || c == '(';
	}
	return n;
}

void
imap_store_line(struct imap_gate *g, struct imap_command *c, const struct imap_detail *d)
{
	unsigned urls = count_urls(d->args);

	if (c != NULL && urls <= UINT_MAX - c->urls)
		c->urls += urls;
	if (g->storing != NULL && g->storing->catenated)
		g->storing->message->gap = g->storing->message->gap || urls > 0;
}

static void
add_stored(struct imap_gate *g, struct imap_command *c, struct imap_message *m)
{
	struct imap_message **at = &c->stored;
	size_t n = 0;

	for (; *at != NULL; at = &(*at)->next)
		n++;
	*at = m;
	if (n < IMAP_STORED_MAX)
		return;
	/* so many in one command: what becomes of the first is not waited for */
	m = c->stored;
	c->stored = m->next;
	imap_message_record(
	    g, m, "APPEND", span_str(c->word == NULL ? "" : c->word), "in_doubt", NULL);
}

void
imap_store_begin(struct imap_gate *g, struct imap_command *c, const struct imap_detail *d)
{
	struct imap_storing *s = g->storing;

	if (s == NULL) {
		s = g->storing = calloc(1, sizeof(*s));
		if (s != NULL)
			s->message = imap_message_new(g, IMAP_WHOLE, SPAN_NONE);
	}
	if (s == NULL || s->message == NULL) {
		g->relay.client.failed = true;
		return;
	}
	s->slot = c == NULL ? 0 : c->slot;
	s->left = d->literal.octets;
	s->waits = !d->literal.plus;
	s->catenated = s->catenated || is_piece(d->args);
	s->message->gap = s->message->gap || (s->catenated && c != NULL && c->urls > 0);
}

void
imap_store_octets(struct imap_gate *g, const struct an_event *ev)
{
	struct imap_storing *s = g->storing;
	struct span octets = ev->octets;

	if (s == NULL)
		return;
	s->waits = false;
	imap_message_feed(s->message, octets);
	g->counts.appended_octets += octets.n;
	s->left -= octets.n < s->left ? octets.n : s->left;
	if (s->left == 0 && octets.n > 0) {
		s->held = octets.p[octets.n - 1];
		s->has_held = true;
		octets = span_first(octets, octets.n - 1);
	}
	channel_pass(&g->relay.server, &g->relay.client, octets);
	g->asked = imap_now(g);
}

static void
release(struct imap_gate *g)
{
	if (g->storing->has_held)
		channel_put(&g->relay.server, span_of(&g->storing->held, 1));
	g->storing->has_held = false;
}

static void
storing_end(struct imap_gate *g)
{
	free(g->storing);
	g->storing = NULL;
}

/* NO, goodbye, and a reset of the server: it has not got the message's last octet. */
static void
refuse(struct imap_gate *g, struct imap_command *c, const struct verdict *v)
{
	static const char no[] = "NO [CANNOT] ";
	char text[sizeof(no) + VERDICT_REPLY_MAX];
	struct span why = span_first(span_str(reason_of(v->reply)), VERDICT_REPLY_MAX);
	struct imap_message *m = g->storing->message;
	uint64_t slot = g->storing->slot;

	memcpy(text, no, sizeof(no) - 1);
	memcpy(text + sizeof(no) - 1, why.p, why.n);
	text[sizeof(no) - 1 + why.n] = '\0';
	storing_end(g);
	g->counts.refused++;
	imap_message_record(
	    g, m, "APPEND", span_str(c == NULL || c->word == NULL ? "" : c->word), "refused", v);
	imap_give_up(g, imap_tag(g->dialogue, slot), text,
	    "A message was refused, and the session ends with it", "message_refused");
}

/* All octets of a message are there; false: it is refused. */
static bool
complete(struct imap_gate *g)
{
	struct imap_message *m = g->storing->message;
	struct imap_command *c = imap_command_find(g, g->storing->slot);
	struct verdict v;

	imap_message_judge(g, m, true, &v);
	if (v.action == VERDICT_REFUSE && !imap_observes(g)) {
		refuse(g, c, &v);
		return false;
	}
	m->refused = v.action == VERDICT_REFUSE;
	g->counts.refused += m->refused;
	release(g);
	storing_end(g);
	if (c != NULL)
		add_stored(g, c, m);
	else
		imap_message_record(
		    g, m, "APPEND", SPAN_NONE, m->refused ? "refused" : "rejected", NULL);
	return true;
}

void
imap_store_end(struct imap_gate *g, const struct an_event *ev)
{
	(void)ev;
	/* pieces go on, or end, with the text that follows */
	if (g->storing != NULL && !g->storing->catenated)
		complete(g);
}

bool
imap_store_goes_on(struct imap_gate *g, const struct imap_detail *d)
{
	struct span text = span_trim(d->args);

	if (g->storing == NULL)
		return true;
	if (d->last || (text.n > 0 && text.p[0] == ')'))
		return complete(g);
	release(g);
	return true;
}

void
imap_store_urls(struct imap_gate *g, struct imap_command *c)
{
	bool stores = c->verb->verb == IMAP_APPEND || c->verb->verb == IMAP_REPLACE;
	struct imap_message *m;

	if (!stores || c->urls == 0 || c->stored != NULL)
		return;
	m = imap_message_new(g, IMAP_PART, SPAN_NONE);
	if (m == NULL) {
		g->relay.client.failed = true;
		return;
	}
	m->gap = m->unseen = true;
	m->urls = c->urls;
	c->stored = m;
}

void
imap_store_abort(struct imap_gate *g, const char *outcome)
{
	struct imap_message *m = g->storing == NULL ? NULL : g->storing->message;
	struct imap_command *c = m == NULL ? NULL : imap_command_find(g, g->storing->slot);

	if (g->storing == NULL)
		return;
	storing_end(g);
	if (m == NULL || m->octets == 0) /* nothing of it ever came */
		imap_message_free(m);
	else
		imap_message_record(g, m, "APPEND",
		    span_str(c == NULL || c->word == NULL ? "" : c->word), outcome, NULL);
}

void
imap_store_gap(struct imap_gate *g, uint64_t n)
{
	struct imap_storing *s = g->storing;

	if (s == NULL)
		return;
	s->waits = false;
	imap_message_gap(s->message, n);
	g->counts.appended_octets += n;
	s->left -= n < s->left ? n : s->left;
}

void
imap_store_forget(struct imap_gate *g, struct imap_command *c)
{
	if (g->storing != NULL && g->storing->slot == c->slot) {
		struct imap_message *m = g->storing->message;

		storing_end(g);
		m->next = c->stored;
		c->stored = m;
	}
	while (c->stored != NULL) {
		struct imap_message *m = c->stored;

		c->stored = m->next;
		g->counts.appended_octets -= m->octets;
		imap_message_free(m);
	}
}

/* Observed: those that the gateway would not have let pass, each by itself. False: there is none.
 */
static bool
record_refused(struct imap_gate *g, struct imap_command *c, struct span mailbox)
{
	struct imap_message **at = &c->stored;
	bool some = false;

	while (*at != NULL) {
		struct imap_message *m = *at;

		if (!m->refused) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		imap_message_record(g, m, "APPEND", mailbox, "refused", NULL);
		some = true;
	}
	return some;
}

void
imap_stored_record(struct imap_gate *g, struct imap_command *c, const char *outcome)
{
	struct span mailbox = span_str(c->word == NULL ? "" : c->word);

	/* one that is refused takes the others with it */
	if (strcmp(outcome, "rejected") == 0 && record_refused(g, c, mailbox))
		outcome = "aborted";
	while (c->stored != NULL) {
		struct imap_message *m = c->stored;

		c->stored = m->next;
		imap_message_record(g, m, "APPEND", mailbox, outcome, NULL);
	}
}
