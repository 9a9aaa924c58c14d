#include <stdlib.h>

#include "imap_gate.h"
#include "login_tie.h"

/* ---- what a command has done, once the server has said OK ---- */

/* BAD says nothing of the password: the command was not understood, or given up. */
static void
count_login(struct imap_gate *g, const struct imap_detail *d, const struct imap_command *c)
{
	const struct relay_env *env = g->relay.env;

	if (d->status != IMAP_ST_NO)
		env->take_back(env->arg, &g->relay, CLIENT_LOGIN);
	else
		login_failed(&g->relay, c->sasl);
}

static void
login_over(struct imap_gate *g, const struct an_event *ev, struct imap_command *c)
{
	const struct imap_detail *d = ev->imap;
	const char *user = c->sasl != NULL ? c->sasl->user : c->word == NULL ? "" : c->word;
	bool done = d->status == IMAP_ST_OK;

	memcpy(g->mechanism, "LOGIN", sizeof("LOGIN"));
	if (c->sasl != NULL)
		memcpy(g->mechanism, c->sasl->mechanism, sizeof(g->mechanism));
	if (!imap_observes(g))
		count_login(g, d, c);
	imap_record_command(g, ev,
	    done		      ? "OK"
	    : d->status == IMAP_ST_NO ? "NO"
				      : "BAD",
	    span_str(user), NULL);
	if (done || !g->was_logged_in)
		imap_note_text(&g->user, span_str(user));
	if (!done)
		return;
	g->logged_in = g->was_logged_in = true;
	g->errors = 0;
	g->relay.facts.authenticated = true;
}

/* "APPENDUID 38505 3955": where there was one message, it is this one. */
static uint64_t
appended_uid(struct span code)
{
	uint64_t uid = 0;

	if (!span_ieq(span_word(&code), span_str("APPENDUID")))
		return 0;
	span_word(&code);
	span_u64(span_word(&code), UINT32_MAX, &uid);
	return uid;
}

static void
appended(struct imap_gate *g, struct imap_command *c, struct span code)
{
	if (c->stored != NULL && c->stored->next == NULL)
		c->stored->uid = appended_uid(code);
	for (const struct imap_message *m = c->stored; m != NULL; m = m->next)
		g->counts.appended++;
	imap_stored_record(g, c, "complete");
}

/* "COPYUID 38505 304,319:320 3956:3958": how many messages went. */
static void
note_copyuid(struct imap_command *c, struct span code)
{
	if (c == NULL || !span_ieq(span_word(&code), span_str("COPYUID")))
		return;
	span_word(&code);
	c->count = imap_set_count(span_word(&code), 0);
}

static void
is_done(struct imap_gate *g, struct imap_command *c, struct span code)
{
	struct imap_counts *n = &g->counts;

	switch ((int)c->verb->verb) {
	case IMAP_SELECT:
	case IMAP_EXAMINE:
		imap_note_selected(g, c->word == NULL ? "" : c->word);
		break;
	case IMAP_CLOSE:
	case IMAP_UNSELECT:
		imap_note_selected(g, NULL);
		break;
	case IMAP_UNAUTHENTICATE:
		imap_note_selected(g, NULL);
		g->logged_in = false;
		break;
	case IMAP_COPY:
		n->copied += c->count;
		break;
	case IMAP_MOVE:
		n->moved += c->count;
		break;
	case IMAP_STORE:
		n->stored += c->count;
		break;
	case IMAP_SEARCH:
	case IMAP_SORT:
	case IMAP_THREAD:
	case IMAP_ESEARCH:
		n->searched++;
		break;
	case IMAP_APPEND:
	case IMAP_REPLACE:
		appended(g, c, code);
		break;
	default:
		break;
	}
}

/* ---- STARTTLS ---- */

/* Octets in the clear stand where the handshake is to begin; all that an observer can do is say so.
 */
static void
name_ahead(struct imap_gate *g, const struct an_event *ev)
{
	struct span server = channel_input(&g->relay.server);
	const struct span ahead[] = {[AN_C2S] = channel_input(&g->relay.client),
	    [AN_S2C] = span_from(server, server.n - g->behind)};

	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		if (ahead[dir].n > 0 && ahead[dir].p[0] != 0x16)
			imap_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, dir, ev->off);
}

/* Whoever spoke before the handshake is not to be believed inside. */
static bool
spoke_ahead(struct imap_gate *g, const struct an_event *ev)
{
	bool client = channel_input(&g->relay.client).n > 0;

	if (imap_observes(g)) {
		name_ahead(g, ev);
		return false;
	}
	if (!client && g->behind == 0)
		return false;
	imap_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, client ? AN_C2S : AN_S2C, ev->off);
	imap_give_up(g, ev->imap->tag, "BAD Octets ahead of TLS", "This session makes no sense",
	    client ? "client_ahead" : "server_ahead_of_tls");
	return true;
}

static void
begin_tls(struct imap_gate *g)
{
	struct relay *r = &g->relay;

	if (!imap_observes(g) && !relay_intercepts(r, g->policy.starttls)) {
		r->opaque = true;
		return;
	}
	relay_upgrade_both(r);
}

/* Capabilities of before may be anybody's word (RFC 9051 s6.2.1). */
void
imap_upgraded(struct imap_gate *g, enum an_dir dir, const char *why)
{
	struct relay *r = &g->relay;

	if (!relay_begins_anew(r, dir, why))
		return;
	g->asked = g->acted = imap_now(g);
	g->login_disabled = false;
	g->policy = relay_retrieval_policy(r, &r->env->config->policy->imap);
	imap_secured(g->dialogue);
}

/* ---- ahead of the login ---- */

static bool
is_of_mailboxes(const struct an_event *ev)
{
	switch ((int)ev->imap->kind) {
	case IMAP_KIND_EXISTS:
	case IMAP_KIND_RECENT:
	case IMAP_KIND_EXPUNGE:
	case IMAP_KIND_VANISHED:
	case IMAP_KIND_FLAGS:
	case IMAP_KIND_ENABLED:
	case IMAP_KIND_LIST:
		return ev->kind == EV_RESPONSE || ev->kind == EV_TEXT;
	default:
		return ev->kind == EV_FETCH;
	}
}

bool
imap_ahead_of_login(struct imap_gate *g, const struct an_event *ev)
{
	if (ev->dir != AN_S2C || !g->greeted || g->logged_in || g->relay.opaque ||
	    g->relay.reason != NULL || !is_of_mailboxes(ev))
		return false;
	imap_anomaly(g, AN_IMAP_AHEAD_OF_LOGIN, AN_S2C, ev->off);
	if (imap_observes(g))
		return false;
	imap_give_up(
	    g, SPAN_NONE, NULL, "The mail server sent an invalid response", "server_protocol");
	return true;
}

/*
 * Where a client that believed it would say its password next is anybody's word in the clear
 * (RFC 2221; N-011). Empty: the status has no such code.
 */
static struct span
referral_of(const struct imap_gate *g, const struct an_event *ev, bool logged_in)
{
	struct span code = ev->imap->code, at;
	size_t ahead;

	if (logged_in || g->relay.facts.tls || !span_ieq(span_word(&code), span_str("REFERRAL")))
		return SPAN_NONE;
	at = ev->imap->code;
	ahead = (size_t)(at.p - ev->octets.p);
	return ahead == 0 ? SPAN_NONE : span_of(at.p - 1, at.n + 2); /* with its brackets */
}

/* A status is the client's, without what leads it elsewhere. logged_in: it was, ahead of it. */
static void
pass_status(struct imap_gate *g, const struct an_event *ev, bool logged_in)
{
	struct span code = referral_of(g, ev, logged_in), behind;
	size_t before;

	if (code.n == 0) {
		imap_pass_capabilities(g, ev);
		return;
	}
	before = (size_t)(code.p - ev->octets.p);
	behind = span_from(ev->octets, before + code.n);
	if (behind.n > 0 && behind.p[0] == ' ')
		behind = span_from(behind, 1);
	imap_anomaly(g, AN_IMAP_REFERRAL, AN_S2C, ev->off);
	channel_put(&g->relay.client, span_first(ev->octets, before));
	channel_put(&g->relay.client, behind);
}

/* ---- events ---- */

static void
finish_command(struct imap_gate *g, const struct an_event *ev, struct imap_command *c)
{
	enum imap_status status = ev->imap->status;

	if (c->verb->verb == IMAP_LOGIN || c->verb->verb == IMAP_AUTHENTICATE)
		login_over(g, ev, c);
	else if (c->verb->verb == IMAP_IDLE)
		g->counts.idle_ms += imap_now(g) - c->since;
	note_copyuid(c, ev->imap->code);
	imap_store_urls(g, c);
	if (status == IMAP_ST_OK)
		is_done(g, c, ev->imap->code);
	else
		imap_stored_record(g, c, c->refused_rest ? "aborted" : "rejected");
	/* RFC 9051 s6.3.2: no mailbox is selected then */
	if (status == IMAP_ST_NO && (c->verb->verb == IMAP_SELECT || c->verb->verb == IMAP_EXAMINE))
		imap_note_selected(g, NULL);
}

/* Nobody can say what it answers; to whoever joined a session in the middle that happens. */
static void
on_unasked(struct imap_gate *g, const struct an_event *ev)
{
	if (g->joined)
		return;
	imap_anomaly(g, AN_UNMATCHED_REPLY, AN_S2C, ev->off);
	imap_give_up(
	    g, SPAN_NONE, NULL, "The mail server sent an invalid response", "server_protocol");
}

/* Only to an observer: the gateway lets nobody ask for it. */
static void
on_compressed(struct imap_gate *g, const struct an_event *ev)
{
	imap_anomaly(g, AN_NOT_FOLLOWED, AN_S2C, ev->off);
	imap_is_over(g);
}

/* As it should be, with the word of the server or of the client. */
static void
session_over(struct imap_gate *g, const char *reason)
{
	relay_end(&g->relay, reason, WISH_CLOSE, WISH_CLOSE);
	imap_is_over(g);
}

void
imap_on_reply(struct imap_gate *g, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;
	struct imap_command *c = imap_command_find(g, ev->slot);
	bool logged_in = g->logged_in;

	g->asked = imap_now(g);
	if (d->unasked) {
		on_unasked(g, ev);
		return;
	}
	if (c != NULL && c->refused && d->status != IMAP_ST_OK) {
		imap_refused_too(g, c);
		imap_command_drop(g, c);
		pass_status(g, ev, logged_in);
		return;
	}
	if (d->verb->verb == IMAP_STARTTLS && d->status == IMAP_ST_OK) {
		if (spoke_ahead(g, ev))
			return;
		begin_tls(g);
	}
	/* its message was not wanted, and will not come */
	if (g->storing != NULL && g->storing->waits && g->storing->slot == ev->slot)
		imap_store_abort(g, "rejected");
	else if (g->storing != NULL && g->storing->slot == ev->slot && c != NULL && c->refused_rest)
		imap_store_abort(g, "aborted");
	if (c != NULL) {
		finish_command(g, ev, c);
		imap_command_drop(g, c);
	}
	pass_status(g, ev, logged_in);
	if (d->verb->verb == IMAP_STARTTLS && d->status != IMAP_ST_OK) {
		imap_anomaly(g, AN_TLS_REJECTED, AN_S2C, ev->off);
		relay_upgrade_refused(&g->relay);
	}
	if (d->verb->verb == IMAP_COMPRESS && d->status == IMAP_ST_OK)
		on_compressed(g, ev);
	if (d->verb->verb == IMAP_LOGOUT)
		session_over(g, "client_logout");
	else if (d->status == IMAP_ST_BAD)
		imap_count_error(g);
}

static void
on_greeting(struct imap_gate *g, const struct imap_detail *d)
{
	g->greeted = true;
	g->preauth = d->status == IMAP_ST_PREAUTH;
	g->logged_in = g->was_logged_in = g->preauth;
}

static struct imap_command *
oldest_of(struct imap_gate *g, enum imap_verb verb)
{
	struct imap_command *c = g->commands;

	while (c != NULL && c->verb->verb != verb)
		c = c->next;
	return c;
}

static void
on_bye(struct imap_gate *g)
{
	g->bye = true;
	if (oldest_of(g, IMAP_LOGOUT) == NULL)
		session_over(g, "server_bye");
}

/* ---- messages that are gone ---- */

static void
gone(struct imap_gate *g, uint64_t n)
{
	g->exists -= n < g->exists ? n : g->exists;
	if (oldest_of(g, IMAP_EXPUNGE) != NULL)
		g->counts.expunged += n;
}

/* The number at hand has ended: how many messages it makes. */
static uint64_t
number_ends(struct imap_vanishing *v)
{
	uint64_t n = 0;

	if (v->digits)
		n = !v->range		  ? 1
		    : v->number > v->from ? v->number - v->from + 1
					  : v->from - v->number + 1;
	*v = (struct imap_vanishing){.comes = v->comes};
	return n;
}

/* A piece of a set; the CR LF behind it ends its last number. */
static uint64_t
count_piece(struct imap_vanishing *v, struct span piece)
{
	uint64_t n = 0;

	for (size_t i = 0; i < piece.n; i++) {
		uint8_t c = piece.p[i];

		if (octet_is_digit(c)) {
			v->digits = true;
			if (v->number <= UINT32_MAX)
				v->number = v->number * 10 + (c - '0');
		} else if (c == ':' && v->digits && !v->range) {
			*v = (struct imap_vanishing){
			    .from = v->number, .range = true, .comes = v->comes};
		} else {
			n += number_ends(v);
		}
	}
	return n;
}

/*
 * "* VANISHED (EARLIER) 41,43:116", "* VANISHED 42", or the first piece of one. EARLIER (RFC 7162
 * s3.2.10) tells of messages that were no part of this mailbox when it was selected.
 */
static void
on_vanished(struct imap_gate *g, struct span line)
{
	bool earlier;

	span_word(&line);
	span_word(&line);
	earlier = span_istarts(span_trim(line), span_str("("));
	g->vanishing = (struct imap_vanishing){.comes = !earlier};
	imap_fetch_expunged(g, 0);
	if (!earlier)
		gone(g, count_piece(&g->vanishing, line));
}

/* A piece of a response that is too long to be given whole. */
static void
note_text(struct imap_gate *g, const struct an_event *ev)
{
	if (ev->imap->kind == IMAP_KIND_VANISHED)
		on_vanished(g, ev->octets);
	else if (g->vanishing.comes)
		gone(g, count_piece(&g->vanishing, ev->octets));
	if (ev->imap->last)
		g->vanishing.comes = false;
}

static void
on_expunge(struct imap_gate *g, uint64_t number)
{
	imap_fetch_expunged(g, number);
	gone(g, 1);
}

static void
note_response(struct imap_gate *g, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;
	struct span line = ev->octets;

	switch ((int)d->kind) {
	case IMAP_KIND_EXISTS:
		g->exists = d->number;
		break;
	case IMAP_KIND_EXPUNGE:
		on_expunge(g, d->number);
		break;
	case IMAP_KIND_VANISHED:
		on_vanished(g, line);
		g->vanishing.comes = false;
		break;
	case IMAP_KIND_ID:
		span_word(&line);
		span_word(&line);
		imap_note_text(&g->server_id, span_trim(span_first(line, line.n - 2)));
		break;
	case IMAP_KIND_STATUS:
		note_copyuid(oldest_of(g, IMAP_MOVE), d->code);
		if (span_ieq(d->code, span_str("CLOSED"))) /* what follows is of the next one */
			imap_note_selected(g, NULL);
		break;
	default:
		break;
	}
}

void
imap_on_response(struct imap_gate *g, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;

	g->asked = imap_now(g);
	if (!g->greeted)
		on_greeting(g, d);
	if (g->preauth && g->policy.needs_tls &&
	    !imap_observes(g)) { /* nobody may be talked out of TLS (N-012) */
		imap_give_up(g, SPAN_NONE, NULL, "TLS is required here", "preauth_in_clear");
		return;
	}
	note_response(g, ev);
	pass_status(g, ev, g->logged_in);
	if (d->status == IMAP_ST_BYE)
		on_bye(g);
}

void
imap_on_continue(struct imap_gate *g, const struct an_event *ev)
{
	g->asked = imap_now(g);
	if (ev->imap->unasked) {
		on_unasked(g, ev);
		return;
	}
	/* a session that idles holds nothing */
	if (ev->imap->verb->verb == IMAP_IDLE)
		imap_fetch_forget(g);
	imap_pass(g, ev);
}

void
imap_on_text(struct imap_gate *g, const struct an_event *ev)
{
	if (ev->imap->structure != NULL)
		imap_fetch_structure(g, ev->imap->structure);
	if (ev->kind == EV_TEXT)
		note_text(g, ev);
	imap_pass(g, ev);
}
