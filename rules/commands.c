#include "commands.h"

#include "published.h"
#include "relay.h"

/*
 * They change whom the server believes to speak to: what a server grants its gateway must not be
 * had through it.
 */
static const struct refusal origin = {
    "commands", "forged_origin", "550 5.7.0", "Error: insufficient authorization"};
static const struct refusal vrfy = {
    "commands", "vrfy", "252 2.5.2", "Cannot verify the user, but will try to deliver"};
static const struct refusal expn = {"commands", "expn", "502 5.5.1", "Error: EXPN is disabled"};
static const struct refusal etrn = {"commands", "etrn", "502 5.5.1", "Error: ETRN is disabled"};
static const struct refusal clear_auth = {
    "auth", "needs_tls", "538 5.7.11", "Encryption required for authentication"};
/* RFC 3207 s4 */
static const struct refusal clear = {
    "starttls", "required", "530 5.7.0", "Must issue a STARTTLS command first"};
static const struct refusal no_tls = {
    "starttls", "refused", "454 4.7.0", "TLS not available due to local policy"};
static const struct refusal blind = {
    "starttls", "would_go_blind", "454 4.7.0", "TLS not available due to local policy"};
static const struct refusal hidden = {
    "starttls", "hidden", "502 5.5.1", "Error: command not implemented"};

bool
commands_go_blind(const struct policy *policy, const struct facts *facts)
{
	return relay_no_mail_server(policy, facts) ||
	       (!facts->client_inside && facts->server_inside &&
		   (policy->relay.check == CHECK_ENFORCE || policy->sender.check == CHECK_ENFORCE ||
		       !addresses_empty(policy->senders.deny) ||
		       !addresses_empty(policy->recipients.deny)));
}

static void
judge_starttls(struct judgement *j)
{
	enum starttls does = j->facts->starttls;

	if (j->facts->unless_published && published_judge(j))
		return;
	switch (does != STARTTLS_AUTO ? does : j->policy->starttls) {
	case STARTTLS_AUTO:
		if (commands_go_blind(j->policy, j->facts))
			judgement_refuse(j, CHECK_ENFORCE, &blind);
		else
			judgement_pass(j, "starttls", "auto");
		break;
	case STARTTLS_PASS:
		judgement_pass(j, "starttls", "pass");
		break;
	case STARTTLS_REFUSE:
		judgement_refuse(j, CHECK_ENFORCE, &no_tls);
		break;
	case STARTTLS_HIDE:
		judgement_refuse(j, CHECK_ENFORCE, &hidden);
		break;
	case STARTTLS_INTERCEPT:
	case STARTTLS_REQUIRE:
		judgement_pass(j, "starttls", "intercept");
		break;
	}
}

/* They tell a stranger who has a mailbox, or have the server send: what the relay check stops. */
static void
judge_probe(struct judgement *j, const struct refusal *refusal)
{
	const char *waived = relay_waived(j->policy, j->facts);

	if (waived != NULL)
		judgement_pass(j, "commands", waived);
	else
		judgement_refuse(j, j->policy->relay.check, refusal);
}

bool
commands_need_tls(struct judgement *j, enum smtp_verb verb)
{
	static const enum smtp_verb free_ones[] = {
	    SMTP_HELO, SMTP_EHLO, SMTP_NOOP, SMTP_RSET, SMTP_HELP, SMTP_STARTTLS, SMTP_QUIT};

	if (!j->facts->tls_required || j->facts->tls)
		return false;
	for (size_t i = 0; i < sizeof(free_ones) / sizeof(free_ones[0]); i++)
		if (free_ones[i] == verb)
			return false;
	j->subject = SPAN_NONE;
	judgement_refuse(j, CHECK_ENFORCE, &clear);
	return true;
}

void
commands_judge(struct judgement *j, enum smtp_verb verb)
{
	if (verb == SMTP_XCLIENT || verb == SMTP_XFORWARD)
		judgement_refuse(j, CHECK_ENFORCE, &origin);
	else if (verb == SMTP_VRFY)
		judge_probe(j, &vrfy);
	else if (verb == SMTP_EXPN)
		judge_probe(j, &expn);
	else if (verb == SMTP_ETRN)
		judge_probe(j, &etrn);
	else if (verb == SMTP_STARTTLS)
		judge_starttls(j);
	else if (verb == SMTP_AUTH && j->policy->auth_requires_tls && !j->facts->tls)
		judgement_refuse(j, CHECK_ENFORCE, &clear_auth);
	else
		judgement_pass(j, "none", "none");
}
