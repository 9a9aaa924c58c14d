#include <stdlib.h>

#include "imap_gate.h"
#include "retrieval_rules.h"

/*
 * Octets read behind a refusal before the client is cut off, which is at once where it announces
 * more.
 */
#define DRAIN_MAX (256u << 20)
static const char endless[] = "A command goes on for long behind its refusal";

/* ---- the commands that the server has ---- */

struct imap_command *
imap_command_find(struct imap_gate *g, uint64_t slot)
{
	struct imap_command *c = g->commands;

	while (c != NULL && c->slot != slot)
		c = c->next;
	return c;
}

static void
command_free(struct imap_gate *g, struct imap_command *c)
{
	imap_stored_record(g, c, "aborted");
	free(c->word);
	free(c->sasl);
	free(c);
}

void
imap_command_drop(struct imap_gate *g, struct imap_command *c)
{
	struct imap_command **at = &g->commands;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	command_free(g, c);
}

void
imap_refused_too(struct imap_gate *g, struct imap_command *c)
{
	imap_store_forget(g, c);
	g->discards = imap_discard(g->dialogue, c->slot);
}

void
imap_commands_free(struct imap_gate *g)
{
	while (g->commands != NULL)
		imap_command_drop(g, g->commands);
}

static struct imap_command *
command_add(struct imap_gate *g, const struct an_event *ev)
{
	struct imap_command **at = &g->commands, *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		g->relay.client.failed = true;
		return NULL;
	}
	c->slot = ev->slot;
	c->verb = ev->imap->verb;
	c->uid = ev->imap->uid;
	c->since = imap_now(g);
	while (*at != NULL)
		at = &(*at)->next;
	*at = c;
	return c;
}

/* ---- arguments ---- */

/* The text of a quoted string whose first quote is gone; *args is what follows it. */
static size_t
quoted_word(struct span *args, char *out, size_t max)
{
	size_t n = 0, i = 0;

	for (; i < args->n && args->p[i] != '"'; i++) {
		if (args->p[i] == '\\' && i + 1 < args->n)
			i++;
		if (n < max)
			out[n++] = (char)args->p[i];
	}
	*args = span_from(*args, i + 1);
	return n;
}

/* The first astring of args, without quotes; false: there is none, it is a literal. */
static bool
first_word(struct span args, char **to)
{
	char text[IMAP_WORD_MAX];
	size_t n;

	args = span_trim(args);
	if (args.n == 0)
		return false;
	if (args.p[0] == '"') {
		args = span_from(args, 1);
		n = quoted_word(&args, text, sizeof(text) - 1);
	} else {
		struct span word = span_first(span_word(&args), sizeof(text) - 1);

		n = word.n;
		memcpy(text, word.p, n);
	}
	imap_note_text(to, span_of(text, n));
	return true;
}

uint64_t
imap_set_count(struct span set, uint64_t exists)
{
	uint64_t count = 0;

	while (set.n > 0) {
		ptrdiff_t comma = span_find(set, ',');
		struct span range = span_first(set, comma < 0 ? set.n : (size_t)comma);
		ptrdiff_t colon = span_find(range, ':');
		uint64_t from = exists, to;

		set = span_from(set, range.n + 1);
		span_u64(span_first(range, colon < 0 ? range.n : (size_t)colon), UINT32_MAX, &from);
		to = colon < 0 ? from : exists;
		if (colon >= 0)
			span_u64(span_from(range, (size_t)colon + 1), UINT32_MAX, &to);
		count += (to > from ? to - from : from - to) + 1;
	}
	return exists > 0 && count > exists ? exists : count;
}

/* "<0.65536>" in the arguments of a FETCH. */
static void
note_slices(struct imap_command *c, struct span args)
{
	for (ptrdiff_t at = span_find(args, '<'); at >= 0; at = span_find(args, '<')) {
		ptrdiff_t dot, end;
		struct imap_asked asked;

		args = span_from(args, (size_t)at + 1);
		dot = span_find(args, '.');
		end = span_find(args, '>');
		if (c->n_asked < IMAP_ASKED_MAX && dot > 0 && end > dot &&
		    span_u64(span_first(args, (size_t)dot), UINT64_MAX, &asked.origin) &&
		    span_u64(span_from(span_first(args, (size_t)end), (size_t)dot + 1), UINT64_MAX,
			&asked.octets))
			c->asked[c->n_asked++] = asked;
	}
}

static void
note_id(struct imap_gate *g, const struct imap_detail *d)
{
	if (d->last && d->args.n > 0 && d->args.p[0] == '(')
		imap_note_text(&g->client_id, d->args);
}

/* AUTHENTICATE mechanism [initial response] */
static void
note_authenticate(struct imap_gate *g, struct imap_command *c, struct span args)
{
	struct span mechanism = span_word(&args), initial = span_word(&args);

	c->sasl = calloc(1, sizeof(*c->sasl));
	if (c->sasl == NULL) {
		g->relay.client.failed = true;
		return;
	}
	sasl_begin(c->sasl, mechanism);
	if (initial.n > 0)
		sasl_response(c->sasl, initial);
}

static void
note_arguments(struct imap_gate *g, struct imap_command *c, const struct imap_detail *d)
{
	struct span rest = d->args;

	switch ((int)c->verb->verb) {
	case IMAP_LOGIN:
	case IMAP_SELECT:
	case IMAP_EXAMINE:
	case IMAP_APPEND:
		c->word_comes = !first_word(d->args, &c->word);
		break;
	case IMAP_REPLACE:
		span_word(&rest); /* the message that is replaced */
		c->word_comes = !first_word(rest, &c->word);
		break;
	case IMAP_AUTHENTICATE:
		note_authenticate(g, c, d->args);
		break;
	case IMAP_COPY:
	case IMAP_MOVE:
	case IMAP_STORE:
		c->count = imap_set_count(span_word(&rest), g->exists);
		break;
	case IMAP_FETCH:
		note_slices(c, d->args);
		break;
	case IMAP_ID:
		note_id(g, d);
		break;
	default:
		break;
	}
}

/* ---- refusals ---- */

/*
 * Counted and recorded. What made no sense counts against the client; what the configuration does
 * not want, or a server with LOGINDISABLED, an honest one may well try.
 */
static void
note_refusal(struct imap_gate *g, const struct an_event *ev, const struct verdict *v)
{
	struct relay *r = &g->relay;

	g->counts.refused++;
	board_verdict(&r->seat, v);
	imap_record_command(g, ev, v->reply[0] == 'N' ? "NO" : "BAD", SPAN_NONE, v);
	if (r->env->observed)
		return;
	if (strcmp(v->reason, "syntax") == 0 || strcmp(v->reason, "unknown") == 0)
		r->env->refused(r->env->arg, r);
}

static void
refuse(struct imap_gate *g, const struct an_event *ev, const struct verdict *v)
{
	const struct imap_detail *d = ev->imap;
	bool no = v->reply[0] == 'N';

	if (imap_fault_ends(d->fault)) {
		imap_give_up(g, d->tag, v->reply, "This session makes no sense", "client_protocol");
		return;
	}
	if (d->literal.announced && d->literal.plus && d->literal.octets > DRAIN_MAX) {
		imap_give_up(g, d->tag, v->reply, endless, "message_endless");
		return;
	}
	/* a tag that is none is of no command that waits */
	if (d->tag.n > 0)
		imap_answered(g->dialogue, no ? IMAP_ST_NO : IMAP_ST_BAD);
	/* where the client does not wait for "+", the rest of its command comes, and goes nowhere
	 */
	g->discards = d->literal.announced && d->literal.plus;
	g->drained = 0;
	imap_say(g, d->tag, v->reply);
	imap_count_error(g);
}

/* Whoever failed too often to log in has to wait. */
static bool
login_limited(struct imap_gate *g, const struct an_event *ev, struct verdict *v)
{
	const struct relay_env *env = g->relay.env;
	enum imap_verb verb = ev->imap->verb->verb;
	static const char reply[] = "NO [LIMIT] Too many failed logins, try again later";

	if (env->observed || (verb != IMAP_LOGIN && verb != IMAP_AUTHENTICATE) ||
	    env->allow(env->arg, &g->relay, CLIENT_LOGIN))
		return false;
	*v =
	    (struct verdict){.action = VERDICT_REFUSE, .rule = "limits", .reason = "auth_failures"};
	memcpy(v->reply, reply, sizeof(reply));
	return true;
}

/* ---- events ---- */

void
imap_on_command(struct imap_gate *g, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;
	struct imap_command *c;
	struct verdict v;
	bool refused;

	g->counts.commands++;
	g->discards = false;
	imap_judge(&g->policy, ev, g->login_disabled, &v);
	refused = v.action == VERDICT_REFUSE || login_limited(g, ev, &v);
	if (refused)
		note_refusal(g, ev, &v);
	if (refused && !imap_observes(g))
		refuse(g, ev, &v);
	/* no reply has a tag that is none */
	if (refused && (!imap_observes(g) || d->tag.n == 0))
		return;
	c = command_add(g, ev);
	if (c == NULL)
		return;
	c->refused = refused;
	c->bare_lf = d->fault == IMAP_LINE_BARE_LF;
	note_arguments(g, c, d);
	imap_store_line(g, c, d);
	if (d->message)
		imap_store_begin(g, c, d);
	imap_pass(g, ev);
	g->asked = imap_now(g);
}

static void
note_rest(struct imap_gate *g, const struct an_event *ev)
{
	const char *reply = imap_fault_reply(ev->imap->fault);
	struct verdict v = {.action = VERDICT_REFUSE, .rule = "imap", .reason = "syntax"};
	struct span text = span_first(span_str(reply), VERDICT_REPLY_MAX);

	memcpy(v.reply, text.p, text.n);
	note_refusal(g, ev, &v);
}

/* Half of the command is with the server: only the end of the session keeps it from the rest. */
static void
refuse_rest(struct imap_gate *g, const struct an_event *ev, struct imap_command *c)
{
	note_rest(g, ev);
	if (imap_observes(g)) { /* the server may say that it wants it, and nobody looks at it */
		if (c != NULL)
			c->refused_rest = true;
		g->discards = imap_discard(g->dialogue, ev->slot);
		return;
	}
	imap_give_up(g, imap_tag(g->dialogue, ev->slot), imap_fault_reply(ev->imap->fault),
	    "This session makes no sense", "client_protocol");
}

/* Observed: the command as a whole is refused already, and this line of it no more than that. */
static bool
is_refused_already(const struct imap_command *c, enum imap_fault fault)
{
	if (c == NULL || !c->refused)
		return false;
	if (fault == IMAP_LINE_BARE_LF)
		return c->bare_lf;
	return !imap_fault_ends(fault) || fault == IMAP_LITERAL_NOT_OFFERED ||
	       fault == IMAP_LITERAL_TOO_BIG;
}

/*
 * A command that the server has answered ahead of its end goes on, for some servers read on and
 * some take what follows for commands. One that would wait for "+" now has no more use, and two
 * readings.
 */
void
imap_on_more(struct imap_gate *g, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;
	struct imap_command *c = imap_command_find(g, ev->slot);

	if (d->fault != IMAP_OK && !is_refused_already(c, d->fault)) {
		refuse_rest(g, ev, c);
		return;
	}
	if (c != NULL)
		c->word_comes = false;
	if (c == NULL && d->literal.announced && !d->literal.plus && !imap_observes(g)) {
		imap_give_up(g, SPAN_NONE, NULL,
		    "A literal would be waited for that nobody asks for any more",
		    "client_protocol");
		return;
	}
	imap_store_line(g, c, d);
	if (!imap_store_goes_on(g, d))
		return;
	if (d->message)
		imap_store_begin(g, c, d);
	imap_pass(g, ev);
	g->asked = imap_now(g);
}

/* Octets of the first argument, if that is a literal. */
static void
add_word(struct imap_command *c, struct span octets)
{
	size_t n = c->word == NULL ? 0 : strlen(c->word);
	char text[IMAP_WORD_MAX];

	octets = span_first(octets, sizeof(text) - 1 - n);
	if (n > 0)
		memcpy(text, c->word, n);
	memcpy(text + n, octets.p, octets.n);
	imap_note_text(&c->word, span_of(text, n + octets.n));
}

void
imap_on_argument(struct imap_gate *g, const struct an_event *ev)
{
	struct imap_command *c = imap_command_find(g, ev->slot);

	if (g->discards) {
		g->drained += ev->octets.n;
		if (g->drained > DRAIN_MAX && !imap_observes(g))
			imap_give_up(g, SPAN_NONE, NULL, endless, "message_endless");
		return;
	}
	if (c != NULL && c->word_comes)
		add_word(c, ev->octets);
	imap_pass(g, ev);
}

static struct span
without_end(struct span line)
{
	while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '\n'))
		line.n--;
	return span_trim(line);
}

void
imap_on_secret(struct imap_gate *g, const struct an_event *ev)
{
	struct imap_command *c = imap_command_find(g, ev->slot);

	if (c == NULL || c->sasl == NULL) {
		imap_on_argument(g, ev);
		return;
	}
	if (ev->imap->fault != IMAP_OK && !c->bare_lf) /* observed */
		note_rest(g, ev);
	sasl_response(c->sasl, without_end(ev->octets));
	imap_pass(g, ev);
	g->asked = imap_now(g);
}
