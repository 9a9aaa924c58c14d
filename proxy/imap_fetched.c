#include <stdlib.h>

#include "imap_gate.h"

/* ---- what is kept while contents come ---- */

static struct imap_fetching *
fetching(struct imap_gate *g)
{
	struct imap_fetching *f = g->fetching;

	if (f != NULL)
		return f;
	f = calloc(1, sizeof(*f));
	if (f != NULL)
		f->known = imap_known_new();
	if (f == NULL || f->known == NULL) {
		free(f);
		g->relay.server.failed = true;
		return NULL;
	}
	g->fetching = f;
	return f;
}

static void
record(struct imap_gate *g, struct imap_message *m, const char *outcome)
{
	static const char header[] = "HEADER";

	if (m->header_only)
		memcpy(m->section, header, sizeof(header));
	else
		g->counts.fetched++;
	imap_message_record(
	    g, m, "FETCH", span_str(g->mailbox == NULL ? "" : g->mailbox), outcome, NULL);
}

static void
record_done(struct imap_gate *g)
{
	struct imap_fetching *f = g->fetching;

	while (f->done != NULL) {
		struct imap_message *m = f->done;

		f->done = m->next;
		if (m->uid == 0)
			m->uid = g->uid;
		record(g, m, m->gap ? "partial" : "complete");
	}
}

/* All of it is there; its UID may still come. */
static void
is_done(struct imap_gate *g, struct imap_message *m)
{
	struct imap_message **at = &g->fetching->done;
	struct verdict v;
	size_t n = 0;

	imap_message_judge(g, m, false, &v);
	m->header_only = false;
	m->next = NULL;
	for (; *at != NULL; at = &(*at)->next)
		n++;
	*at = m;
	if (n + 1 >= IMAP_DONE_MAX)
		record_done(g);
}

/* More of it may come; the one that has waited for longest makes room. */
static void
keep_open(struct imap_gate *g, struct imap_message *m)
{
	struct imap_message **at;
	size_t n = 0;

	m->next = g->fetching->open;
	g->fetching->open = m;
	for (at = &g->fetching->open; *at != NULL && n < IMAP_OPEN_MAX; at = &(*at)->next)
		n++;
	if (*at == NULL)
		return;
	m = *at;
	*at = NULL;
	record(g, m, "partial");
}

/* ---- which message, and which part of it ---- */

struct what {
	enum imap_content content;
	struct span section;
	bool kept;   /* else it is counted */
	bool header; /* the header of the message, its text may follow */
	bool text;   /* the text behind that header */
};

/* BODY[HEADER.FIELDS (...)], BODY[2.MIME]: what clients ask of whole mailboxes is counted. */
static struct what
what_is(const struct imap_detail *d)
{
	struct what w = {.content = d->content, .section = d->section};
	bool old = span_istarts(d->item, span_str("RFC822"));

	switch ((int)d->content) {
	case IMAP_WHOLE:
	case IMAP_PART:
	case IMAP_DECODED:
		w.kept = true;
		break;
	case IMAP_HEADER:
		w.kept = w.header = !d->sliced && (old || span_ieq(d->section, span_str("HEADER")));
		break;
	case IMAP_TEXT:
		w.kept = true;
		w.text = old || span_ieq(d->section, span_str("TEXT"));
		break;
	default:
		break;
	}
	if (w.header) {
		w.content = IMAP_WHOLE;
		w.section = SPAN_NONE;
	}
	if (w.text)
		w.section = span_str("TEXT");
	return w;
}

static bool
is_same_message(const struct imap_gate *g, const struct imap_message *m)
{
	if (g->uid != 0 && m->uid != 0)
		return g->uid == m->uid;
	return g->number != 0 && g->number == m->number;
}

static bool
is_same_part(const struct imap_message *m, const struct what *w)
{
	if (w->text && m->content == IMAP_WHOLE)
		return m->base > 0;
	return m->content == w->content && m->base == 0 &&
	       span_eq(span_str(m->section), span_first(w->section, sizeof(m->section) - 1));
}

/* Taken out of those that are open; NULL: nothing of it has come. */
static struct imap_message *
take_open(struct imap_gate *g, const struct what *w)
{
	struct imap_message **at = &g->fetching->open, *m;

	while (*at != NULL && !(is_same_message(g, *at) && is_same_part(*at, w)))
		at = &(*at)->next;
	m = *at;
	if (m != NULL)
		*at = m->next;
	return m;
}

static struct imap_message *
new_content(struct imap_gate *g, const struct what *w, uint64_t origin)
{
	struct imap_message *m = imap_message_new(g, w->content, w->section);

	if (m == NULL) {
		g->relay.server.failed = true;
		return NULL;
	}
	m->number = g->number;
	m->uid = g->uid;
	m->gap = origin > 0;
	if (m->gap) { /* what begins in the middle says nothing of what it is */
		mail_free(m->mail);
		m->mail = NULL;
	}
	if (m->content != IMAP_WHOLE)
		imap_message_of_part(g, m);
	return m;
}

/* ---- octets of content ---- */

static void
content_begin(struct imap_gate *g, const struct imap_detail *d)
{
	struct imap_fetching *f = fetching(g);
	struct what w = what_is(d);
	struct imap_message *m;

	if (f == NULL)
		return;
	f->sliced = d->sliced;
	f->header = w.header;
	f->origin = d->sliced ? d->origin : 0;
	f->came = 0;
	if (!w.kept)
		return;
	m = take_open(g, &w);
	if (m != NULL && (w.header || f->origin + m->base != m->octets)) {
		record(g, m, "partial");
		m = NULL;
	}
	f->current = m != NULL ? m : new_content(g, &w, f->origin);
	if (f->current != NULL)
		f->current->header_only = w.header;
}

/*
 * Slices that FETCH commands asked for, by where they begin; of several the shortest: what is taken
 * for the rest of a message has to be one.
 */
static uint64_t
asked_for(const struct imap_gate *g, uint64_t origin)
{
	uint64_t least = 0;

	for (const struct imap_command *c = g->commands; c != NULL; c = c->next)
		for (size_t i = 0; i < c->n_asked; i++)
			if (c->asked[i].origin == origin &&
			    (least == 0 || c->asked[i].octets < least))
				least = c->asked[i].octets;
	return least;
}

static uint64_t
size_of(const struct imap_gate *g, const struct imap_message *m)
{
	const struct imap_known *k = g->fetching->known;
	const struct imap_part *part;

	if (m->content == IMAP_WHOLE)
		return imap_known_size_of(k, g->number, g->uid);
	if (m->content != IMAP_PART)
		return 0;
	part = imap_known_part(k, g->number, g->uid, span_str(m->section));
	return part == NULL ? 0 : part->size;
}

/* A slice is the last one: it is shorter than what was asked for, or all that there is has come. */
static bool
is_last_slice(const struct imap_gate *g, const struct imap_message *m)
{
	const struct imap_fetching *f = g->fetching;
	uint64_t size = size_of(g, m);

	return f->came == 0 || f->came < asked_for(g, f->origin) || (size > 0 && m->octets >= size);
}

static void
content_end(struct imap_gate *g)
{
	struct imap_fetching *f = g->fetching;
	struct imap_message *m = f == NULL ? NULL : f->current;

	if (m == NULL)
		return;
	f->current = NULL;
	if (m->uid == 0)
		m->uid = g->uid;
	if (f->header)
		m->base = m->octets;
	if (f->header || (f->sliced && !is_last_slice(g, m)))
		keep_open(g, m);
	else
		is_done(g, m);
}

/* ---- events ---- */

void
imap_on_fetch(struct imap_gate *g, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;

	g->asked = imap_now(g);
	g->number = d->uid ? 0 : d->number;
	g->uid = d->uid ? d->number : 0;
	imap_pass(g, ev);
}

static void
note_uid(struct imap_gate *g, struct span value)
{
	if (!span_u64(value, UINT32_MAX, &g->uid) || g->fetching == NULL || g->number == 0)
		return;
	imap_known_uid(g->fetching->known, g->number, g->uid);
	for (struct imap_message *m = g->fetching->open; m != NULL; m = m->next)
		if (m->uid == 0 && m->number == g->number)
			m->uid = g->uid;
}

static void
note_size(struct imap_gate *g, struct span value)
{
	struct imap_fetching *f = fetching(g);
	uint64_t octets;

	if (f != NULL && span_u64(value, UINT64_MAX, &octets))
		imap_known_size(f->known, g->number, g->uid, octets);
}

void
imap_fetch_structure(struct imap_gate *g, const struct imap_structure *s)
{
	struct imap_fetching *f = fetching(g);

	if (f != NULL)
		imap_known_structure(f->known, g->number, g->uid, s);
}

void
imap_on_fetch_item(struct imap_gate *g, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;

	if (span_ieq(d->item, span_str("UID")))
		note_uid(g, d->value);
	else if (span_ieq(d->item, span_str("RFC822.SIZE")))
		note_size(g, d->value);
	if (d->structure != NULL)
		imap_fetch_structure(g, d->structure);
	if (d->content != IMAP_NO_CONTENT && (!d->nil || d->sliced))
		content_begin(g, d);
	if (d->nil)
		content_end(g);
	imap_pass(g, ev);
}

void
imap_fetch_octets(struct imap_gate *g, const struct an_event *ev)
{
	struct imap_fetching *f = g->fetching;

	g->counts.fetched_octets += ev->octets.n;
	if (f != NULL) {
		f->came += ev->octets.n;
		if (f->current != NULL)
			imap_message_feed(f->current, ev->octets);
	}
	imap_pass(g, ev);
}

void
imap_fetch_gap(struct imap_gate *g, uint64_t n)
{
	struct imap_fetching *f = g->fetching;

	g->counts.fetched_octets += n;
	if (f == NULL)
		return;
	f->came += n;
	if (f->current != NULL)
		imap_message_gap(f->current, n);
}

void
imap_fetch_content_end(struct imap_gate *g, const struct an_event *ev)
{
	(void)ev;
	content_end(g);
}

void
imap_on_fetch_end(struct imap_gate *g, const struct an_event *ev)
{
	if (g->fetching != NULL)
		record_done(g);
	imap_pass(g, ev);
}

/* ---- the mailbox changes ---- */

void
imap_fetch_expunged(struct imap_gate *g, uint64_t number)
{
	struct imap_fetching *f = g->fetching;

	if (f == NULL)
		return;
	imap_known_expunged(f->known, number);
	for (struct imap_message *m = f->open; m != NULL; m = m->next)
		m->number = number == 0 || m->number == number ? 0
			    : m->number > number	       ? m->number - 1
							       : m->number;
}

void
imap_fetch_forget(struct imap_gate *g)
{
	struct imap_fetching *f = g->fetching;

	if (f == NULL)
		return;
	record_done(g);
	if (f->current != NULL)
		record(g, f->current, "cut");
	while (f->open != NULL) {
		struct imap_message *m = f->open;

		f->open = m->next;
		record(g, m, "partial");
	}
	imap_known_free(f->known);
	free(f);
	g->fetching = NULL;
}
