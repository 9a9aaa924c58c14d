#include <stdlib.h>

#include "login_tie.h"
#include "pop3/command.h"
#include "pop3_gate.h"
#include "retrieval_rules.h"

/* The longest line that can be configured. */
#define COMMAND_MAX 65536u

/* ---- refusals ---- */

/* Made no sense, whatever the configuration wants. */
static bool
is_bad(const struct verdict *v)
{
	return strcmp(v->reason, "syntax") == 0 || strcmp(v->reason, "unknown") == 0;
}

static bool
too_many(const struct pop3_gate *g)
{
	unsigned max = pop3_config_of(g)->errors;

	if (!g->done.logged_in && max > POP3_BAD_EARLY)
		max = POP3_BAD_EARLY;
	return g->bad >= max;
}

/* A verb that is in no table is named as the client wrote it, unless it may be a line of AUTH's. */
static struct span
name_of(const struct pop3_gate *g, const struct pop3_detail *d)
{
	if (d->fault == POP3_LINE_BARE_LF && d->word.n > 0) /* only an observer has read it */
		return span_str(pop3_verb_row(POP3_UNKNOWN)->name);
	return d->verb->verb == POP3_UNKNOWN && !g->astray && span_is_ascii(d->word) &&
		       d->word.n > 0
		   ? d->word
		   : span_str(d->verb->name);
}

/* Observed: it is with the server all the same. */
static void
keep_refused(struct pop3_gate *g, const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;
	struct pop3_refused **link = &g->refused, *r = malloc(sizeof(*r) + d->args.n);

	if (r == NULL) {
		g->relay.client.failed = true;
		return;
	}
	*r = (struct pop3_refused){.slot = ev->slot, .verb = d->verb, .n = d->args.n};
	if (d->args.n > 0)
		memcpy(r->args, d->args.p, d->args.n);
	while (*link != NULL)
		link = &(*link)->next;
	*link = r;
	if (d->verb->lines == POP3_LINES_MESSAGE)
		g->fetching++;
}

static void
refused_drop(struct pop3_gate *g)
{
	struct pop3_refused *r = g->refused;

	g->refused = r->next;
	explicit_bzero(r->args, r->n);
	free(r);
}

void
pop3_refused_free(struct pop3_gate *g)
{
	while (g->refused != NULL)
		refused_drop(g);
}

/* Counted and recorded. */
static void
note_refusal(struct pop3_gate *g, const struct pop3_detail *d, const struct verdict *v)
{
	g->done.refused++;
	board_verdict(&g->relay.seat, v);
	pop3_record_command(g, name_of(g, d), "ERR", v);
	if (d->verb->verb == POP3_AUTH)
		g->astray = true;
}

static void
refuse(struct pop3_gate *g, const struct an_event *ev, const struct verdict *v)
{
	const struct pop3_detail *d = ev->pop3;
	const char *ends = pop3_fault_ends(d->fault) ? "client_protocol" : NULL;

	note_refusal(g, d, v);
	if (pop3_observes(g)) {
		keep_refused(g, ev);
		return;
	}
	if (is_bad(v)) {
		g->bad++;
		g->relay.env->refused(g->relay.env->arg, &g->relay);
	}
	if (ends == NULL && too_many(g))
		pop3_answer(g, ev->slot, "-ERR Too many bad commands", "too_many_errors");
	else
		pop3_answer(g, ev->slot, v->reply, ends);
}

static void
refuse_for(struct pop3_gate *g, const struct an_event *ev, const char *rule, const char *reason,
    const char *reply)
{
	struct verdict v = {.action = VERDICT_REFUSE, .rule = rule, .reason = reason};
	struct span text = span_first(span_str(reply), VERDICT_REPLY_MAX);

	memcpy(v.reply, text.p, text.n);
	refuse(g, ev, &v);
}

/* ---- who logs in ---- */

static void
set_user(struct pop3_gate *g, struct span user)
{
	free(g->user);
	g->user = pop3_keep(user);
}

/* As the client names it now; whom it named before may still be the one who logs in. */
static void
name_user(struct pop3_gate *g, struct span user)
{
	free(g->before);
	g->before = g->user;
	g->user = pop3_keep(user);
}

/* What the server did not take leaves it with the user that it had (Cyrus: a second USER). */
static void
user_settled(struct pop3_gate *g, bool ok)
{
	if (!ok && g->before != NULL) {
		free(g->user);
		g->user = g->before;
	} else {
		free(g->before);
	}
	g->before = NULL;
}

void
pop3_user_answered(struct pop3_gate *g, bool ok)
{
	g->naming = false;
	user_settled(g, ok);
}

static void
set_mechanism(struct pop3_gate *g, struct span mechanism)
{
	struct sasl s;

	sasl_begin(&s, mechanism);
	memcpy(g->mechanism, s.mechanism, sizeof(g->mechanism));
}

/* What stands before the digest (RFC 1939 s7, APOP). */
static struct span
apop_user(struct span args)
{
	ptrdiff_t at = span_rfind(args, ' ');

	return at < 0 ? SPAN_NONE : span_trim(span_first(args, (size_t)at));
}

static void
begin_sasl(struct pop3_gate *g, struct span args)
{
	struct span mechanism = span_word(&args), initial = span_word(&args);

	set_mechanism(g, mechanism);
	name_user(g, SPAN_NONE);
	free(g->sasl);
	g->sasl = calloc(1, sizeof(*g->sasl));
	if (g->sasl == NULL)
		return; /* the login goes on; its record lacks the user */
	sasl_begin(g->sasl, mechanism);
	if (initial.n > 0)
		sasl_response(g->sasl, initial);
}

/* What the records want to know of a command that goes to the server. True: it is a login. */
static bool
note_login(struct pop3_gate *g, const struct pop3_detail *d)
{
	switch ((int)d->verb->verb) {
	case POP3_USER:
		name_user(g, d->args);
		g->naming = true;
		return false;
	case POP3_PASS:
		set_mechanism(g, span_str("USER"));
		return true;
	case POP3_APOP:
		set_mechanism(g, span_str("APOP"));
		name_user(g, apop_user(d->args));
		return true;
	case POP3_AUTH:
		if (d->args.n == 0)
			return false;
		begin_sasl(g, d->args);
		return true;
	default:
		return false;
	}
}

bool
pop3_refused_too(struct pop3_gate *g, const struct an_event *ev)
{
	const struct pop3_refused *r = g->refused;
	const struct pop3_detail *d = ev->pop3;
	struct pop3_detail said;

	if (r == NULL || r->slot != ev->slot)
		return false;
	if (!d->ok && !d->challenge) {
		if (r->verb->lines == POP3_LINES_MESSAGE)
			g->fetching--;
		refused_drop(g);
		return true;
	}
	said = (struct pop3_detail){.verb = r->verb, .args = span_of(r->args, r->n)};
	g->trying = note_login(g, &said);
	refused_drop(g);
	return false;
}

/* RFC 2449 s8, 3206 s4: the server cannot now, which says nothing of the client's password. */
static bool
is_temporary(struct span code)
{
	static const char *const codes[] = {"IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM"};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (span_ieq(code, span_str(codes[i])))
			return true;
	return false;
}

/* A word that no server took for a mechanism may be anything, a secret too (P-013). */
static bool
is_mechanism(const struct pop3_gate *g)
{
	static const char *const names[] = {"USER", "APOP", "PLAIN", "LOGIN", "CRAM-MD5",
	    "DIGEST-MD5", "XOAUTH2", "OAUTHBEARER", "EXTERNAL", "GSSAPI", "NTLM", "ANONYMOUS"};

	if (g->challenged || span_starts(span_str(g->mechanism), span_str("SCRAM-")))
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(g->mechanism, names[i]) == 0)
			return true;
	return false;
}

static void
count_login(struct pop3_gate *g, const struct pop3_detail *d)
{
	const struct relay_env *env = g->relay.env;

	if (d->ok || is_temporary(d->code))
		env->take_back(env->arg, &g->relay, CLIENT_LOGIN);
	else
		login_failed(&g->relay, g->sasl);
}

void
pop3_login_over(struct pop3_gate *g, const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;
	struct buf command;

	g->trying = false;
	if (!pop3_observes(g))
		count_login(g, d);
	if (g->sasl != NULL && g->sasl->user[0] != '\0')
		set_user(g, span_str(g->sasl->user));
	free(g->sasl);
	g->sasl = NULL;
	if (!d->ok && !is_mechanism(g))
		g->mechanism[0] = '\0';
	g->challenged = false;
	g->astray = !d->ok && d->verb->verb == POP3_AUTH;
	g->done.logged_in = d->ok;
	buf_init(&command, 64);
	buf_str(&command, d->verb->name);
	if (d->verb->verb == POP3_AUTH && g->mechanism[0] != '\0') {
		buf_octet(&command, ' ');
		buf_str(&command, g->mechanism);
	}
	pop3_record_command(g, buf_span(&command), d->ok ? "OK" : "ERR", NULL);
	buf_free(&command);
	user_settled(g, d->ok);
}

/* ---- it passes ---- */

static void
forward(struct pop3_gate *g, const struct an_event *ev)
{
	struct channel *c = &g->relay.server;
	struct buf out;

	if (ev->pop3->verb->lines == POP3_LINES_MESSAGE)
		g->fetching++;
	if (pop3_waiting(g->dialogue) == 1)
		g->asked = pop3_now(g);
	buf_init(&out, COMMAND_MAX + 2);
	if (pop3_command_write(ev->pop3, ev->octets, &out))
		channel_put(c, buf_span(&out));
	else
		c->failed = true;
	if (ev->pop3->verb->secret && out.p != NULL)
		explicit_bzero(out.p, out.n);
	buf_free(&out);
}

/* Sent together with USER, only the server knows who it is that logs in. */
static bool
names_another(enum pop3_verb verb)
{
	return verb == POP3_USER || verb == POP3_APOP || verb == POP3_AUTH;
}

static void
let_pass(struct pop3_gate *g, const struct an_event *ev)
{
	const struct relay_env *env = g->relay.env;

	if (ev->pop3->verb->verb == POP3_STLS && g->behind > 0) {
		pop3_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, AN_C2S, ev->off, ev->pop3->verb->name);
		if (!env->observed) {
			pop3_answer(
			    g, ev->slot, "-ERR Nothing may be sent ahead of TLS", "client_ahead");
			return;
		}
	}
	if (g->naming && names_another(ev->pop3->verb->verb)) {
		refuse_for(g, ev, "pop3", "syntax", "-ERR Wait for the reply to USER");
		return;
	}
	if (note_login(g, ev->pop3)) {
		/* counted as a failure until the server has said otherwise */
		if (!env->observed && !env->allow(env->arg, &g->relay, CLIENT_LOGIN)) {
			refuse_for(g, ev, "limits", "auth_failures",
			    "-ERR [SYS/TEMP] Too many failed logins, try again later");
			return;
		}
		g->trying = true;
	}
	forward(g, ev);
}

/* ---- a command comes in ---- */

void
pop3_command(struct pop3_gate *g, const struct an_event *ev)
{
	struct verdict v;

	g->done.commands++;
	if (ev->pop3->verb->verb != POP3_UNKNOWN)
		g->astray = false;
	if (ev->anomaly != AN_NONE)
		pop3_anomaly(g, ev->anomaly, AN_C2S, ev->off, NULL);
	pop3_judge(pop3_policy_of(g), ev, &v);
	if (v.action == VERDICT_REFUSE) {
		refuse(g, ev, &v);
		return;
	}
	board_verdict(&g->relay.seat, &v);
	let_pass(g, ev);
}

/* False: it goes no further. */
static bool
secret_passes(struct pop3_gate *g, const struct an_event *ev)
{
	const char *reply = pop3_fault_reply(ev->pop3->fault);
	struct verdict v = {.action = VERDICT_REFUSE, .rule = "pop3", .reason = "syntax"};

	if (ev->pop3->fault == POP3_OK)
		return true;
	pop3_anomaly(g, ev->anomaly, AN_C2S, ev->off, NULL);
	if (!pop3_observes(g)) {
		refuse_for(g, ev, v.rule, v.reason, reply);
		return false;
	}
	memcpy(v.reply, reply, strlen(reply));
	note_refusal(g, ev->pop3, &v);
	return true;
}

void
pop3_secret(struct pop3_gate *g, const struct an_event *ev)
{
	struct channel *c = &g->relay.server;

	if (!secret_passes(g, ev))
		return;
	if (g->sasl != NULL)
		sasl_response(g->sasl, ev->octets);
	channel_put(c, ev->octets);
	channel_put(c, span_str("\r\n"));
	g->asked = pop3_now(g);
}
