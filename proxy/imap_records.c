#include <stdlib.h>

#include "imap_gate.h"

void
imap_note_text(char **to, struct span s)
{
	s = span_first(s, IMAP_WORD_MAX - 1);
	free(*to);
	*to = malloc(s.n + 1);
	if (*to == NULL)
		return;
	if (s.n > 0)
		memcpy(*to, s.p, s.n);
	(*to)[s.n] = '\0';
}

static struct span
text_or_none(const char *s)
{
	return s == NULL ? SPAN_NONE : span_str(s);
}

/* A name that is new is listed, as far as there is room. */
static void
add_mailbox(struct imap_gate *g, const char *mailbox)
{
	char **more;
	unsigned n = g->counts.mailboxes;

	for (unsigned i = 0; i < n; i++)
		if (strcmp(g->mailboxes[i], mailbox) == 0)
			return;
	more = n >= RECORD_MAILBOXES_MAX
		   ? NULL
		   : realloc((void *)g->mailboxes, (n + 1) * sizeof(*g->mailboxes));
	if (more == NULL) {
		g->counts.mailboxes_left_out++;
		return;
	}
	g->mailboxes = more;
	g->mailboxes[n] = strdup(mailbox);
	if (g->mailboxes[n] != NULL)
		g->counts.mailboxes++;
}

void
imap_note_selected(struct imap_gate *g, const char *mailbox)
{
	imap_fetch_forget(g);
	free(g->mailbox);
	g->mailbox = mailbox == NULL ? NULL : strdup(mailbox);
	if (mailbox != NULL)
		add_mailbox(g, mailbox);
}

/* Lines without CR are none to the gateway: only an observer has read them. */
static bool
is_nameless(const struct imap_detail *d)
{
	return d->fault == IMAP_LINE_BARE_LF && d->word.n > 0;
}

/* The verb, and of a login with a mechanism that; arguments may be secrets. */
static struct span
name_of(const struct imap_gate *g, const struct imap_detail *d, char *text, size_t size)
{
	struct buf name;
	size_t n;

	buf_init(&name, size);
	if (d->uid && !is_nameless(d))
		buf_str(&name, "UID ");
	buf_str(&name, is_nameless(d) ? imap_verb_row(IMAP_UNKNOWN)->name : d->verb->name);
	if (d->verb->verb == IMAP_AUTHENTICATE && !is_nameless(d) && g->mechanism[0] != '\0') {
		buf_str(&name, " ");
		buf_str(&name, g->mechanism);
	}
	n = name.n;
	if (n > 0)
		memcpy(text, name.p, n);
	buf_free(&name);
	return span_of(text, n);
}

/* A line that is no command may be a password that the server no longer waits for. */
static struct span
tag_of(const struct imap_detail *d)
{
	return d->verb->verb == IMAP_UNKNOWN || is_nameless(d) ? SPAN_NONE : d->tag;
}

void
imap_record_command(struct imap_gate *g, const struct an_event *ev, const char *status,
    struct span user, const struct verdict *v)
{
	struct relay *r = &g->relay;
	char name[64];
	struct record_retrieval record = {
	    .tag = tag_of(ev->imap),
	    .command = name_of(g, ev->imap, name, sizeof(name)),
	    .user = user,
	    .status = status,
	    .verdict = v,
	};

	record_retrieval_command(
	    &r->session, &record, r->tx_count++, r->env->sink, r->env->sink_arg);
}

void
imap_record_session(struct imap_gate *g)
{
	const struct imap_counts *c = &g->counts;
	struct relay *r = &g->relay;
	struct span mailboxes[RECORD_MAILBOXES_MAX];
	struct record_imap record = {
	    .user = text_or_none(g->user),
	    .mechanism = g->mechanism[0] == '\0' ? NULL : g->mechanism,
	    .logged_in = g->was_logged_in,
	    .preauth = g->preauth,
	    .client_id = text_or_none(g->client_id),
	    .server_id = text_or_none(g->server_id),
	    .mailboxes = mailboxes,
	    .n_mailboxes = c->mailboxes,
	    .mailboxes_left_out = c->mailboxes_left_out,
	    .fetched = c->fetched,
	    .fetched_octets = c->fetched_octets,
	    .stored = c->stored,
	    .copied = c->copied,
	    .moved = c->moved,
	    .expunged = c->expunged,
	    .appended = c->appended,
	    .appended_octets = c->appended_octets,
	    .searched = c->searched,
	    .idle_ms = c->idle_ms,
	    .refused = c->refused,
	    .commands = c->commands,
	};

	for (unsigned i = 0; i < c->mailboxes; i++)
		mailboxes[i] = span_str(g->mailboxes[i]);
	record_imap(&r->session, &record, r->env->sink, r->env->sink_arg);
}
