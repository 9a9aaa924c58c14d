#include "smtp_gate.h"

/* Temporary, all of them: the next minute is a new one. */
static const struct limited {
	enum smtp_verb verb;
	enum client_act act;
	const char *reason, *reply;
} limited[] = {
    {SMTP_MAIL, CLIENT_MESSAGE, "message_rate",
	"451 4.7.1 Error: too many messages, try again later"},
    {SMTP_RCPT, CLIENT_RECIPIENT, "recipient_rate",
	"451 4.7.1 Error: too many recipients, try again later"},
    {SMTP_AUTH, CLIENT_LOGIN, "auth_failures",
	"454 4.7.0 Error: too many failed logins, try again later"},
};

void
gate_record_limit(struct smtp_gate *g, const char *reason, const char *reply)
{
	struct verdict v = {.action = VERDICT_REFUSE, .rule = "limits", .reason = reason};
	struct span text = span_first(span_str(reply), VERDICT_REPLY_MAX);

	memcpy(v.reply, text.p, text.n);
	gate_record_verdict(g, &v);
}

/*
 * A client with more recipients than it may have sends its mail to those that were taken, and is
 * not shut out before it can: the others are no errors, up to a number.
 */
static void
count_recipient(struct smtp_gate *g)
{
	if (++g->tx->rcpt_refused > gate_config(g)->recipients)
		gate_count_error(g);
}

bool
gate_limited(struct smtp_gate *g, const struct an_event *ev)
{
	const struct relay_env *env = g->relay.env;
	const struct limited *l = limited;

	if (gate_observes(g))
		return false;
	while (
	    l < limited + sizeof(limited) / sizeof(limited[0]) && l->verb != ev->smtp->verb->verb)
		l++;
	if (l == limited + sizeof(limited) / sizeof(limited[0]) ||
	    env->allow(env->arg, &g->relay, l->act))
		return false;
	gate_record_limit(g, l->reason, l->reply);
	if (l->verb == SMTP_RCPT)
		count_recipient(g);
	else
		gate_count_error(g);
	gate_answer(g, ev->slot, ev->smtp->verb->name, l->reply, NULL);
	return true;
}

/*
 * RFC 4954 s6: a password that is wrong is a 535. A server that cannot tell now (4xx) and a
 * command that it did not understand or did not want (500 to 504, and 501 for a client that gave
 * up) say nothing of the client's password.
 */
void
gate_login_over(struct smtp_gate *g, unsigned code)
{
	const struct relay_env *env = g->relay.env;

	if (code < 505 && !gate_observes(g))
		env->take_back(env->arg, &g->relay, CLIENT_LOGIN);
}
