#include "policy.h"

#include <stdlib.h>

#include "client_name.h"
#include "commands.h"
#include "judgement.h"
#include "relay.h"
#include "sender.h"
#include "smtp/command.h"
#include "tls_rules.h"

static const struct refusal bad_sender = {
    "syntax", "bad_domain", "501 5.1.7", "Bad domain name in sender address"};
static const struct refusal bad_recipient = {
    "syntax", "bad_domain", "501 5.1.3", "Bad domain name in recipient address"};
static const struct refusal null_recipient = {
    "syntax", "null_recipient", "501 5.1.3", "Recipient address required"};
static const struct refusal not_ascii = {
    "syntax", "not_ascii", "553 5.6.7", "Address is not ASCII and SMTPUTF8 was not asked for"};
static const struct refusal not_a_mail_server = {
    "servers", "not_a_mail_server", "550 5.7.1", "This host is not a mail server"};
static const struct refusal multi_bounce = {
    "bounce", "multi_recipient", "550 5.5.3", "A bounce has one recipient"};
static const struct refusal denied_sender = {"senders", "denied", "550 5.7.1", "Sender refused"};
static const struct refusal denied_recipient = {
    "recipients", "denied", "550 5.7.1", "Recipient refused"};
static const struct refusal no_memory = {"lists", "no_memory", "451 4.3.0", "Try again later"};

const char *
check_name(enum check check)
{
	static const char *const names[] = {"off", "report", "enforce"};

	return names[check];
}

static struct address_lists
lists_new(void)
{
	return (struct address_lists){addresses_new(), addresses_new()};
}

static bool
lists_made(const struct address_lists *lists)
{
	return lists->deny != NULL && lists->allow != NULL;
}

static void
lists_free(struct address_lists *lists)
{
	addresses_free(lists->deny);
	addresses_free(lists->allow);
}

struct policy *
policy_new(void)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (policy == NULL)
		return NULL;
	policy->inside = networks_new();
	policy->smtp_servers = networks_new();
	policy->relay.check = CHECK_ENFORCE;
	policy->relay.local_domains = domains_new();
	policy->relay.exempt = networks_new();
	policy->relay.exempt_servers = networks_new();
	policy->sender.check = CHECK_ENFORCE;
	policy->sender.exempt = domains_new();
	policy->senders = lists_new();
	policy->recipients = lists_new();
	policy->client_name.exempt = networks_new();
	policy->ftp.fxp = networks_new();
	if (policy->inside == NULL || policy->smtp_servers == NULL ||
	    policy->relay.local_domains == NULL || policy->relay.exempt == NULL ||
	    policy->relay.exempt_servers == NULL || policy->sender.exempt == NULL ||
	    !lists_made(&policy->senders) || !lists_made(&policy->recipients) ||
	    policy->client_name.exempt == NULL || policy->ftp.fxp == NULL) {
		policy_free(policy);
		return NULL;
	}
	return policy;
}

void
policy_free(struct policy *policy)
{
	if (policy == NULL)
		return;
	networks_free(policy->inside);
	networks_free(policy->smtp_servers);
	domains_free(policy->relay.local_domains);
	networks_free(policy->relay.exempt);
	networks_free(policy->relay.exempt_servers);
	domains_free(policy->sender.exempt);
	lists_free(&policy->senders);
	lists_free(&policy->recipients);
	networks_free(policy->client_name.exempt);
	networks_free(policy->ftp.fxp);
	for (size_t i = 0; i < policy->n_tls_rules; i++)
		tls_rule_end(&policy->tls_rules[i]);
	free(policy->tls_rules);
	free(policy);
}

void
policy_seal(struct policy *policy)
{
	for (size_t i = 0; i < policy->n_tls_rules; i++) {
		networks_seal(policy->tls_rules[i].clients);
		networks_seal(policy->tls_rules[i].servers);
	}
	networks_seal(policy->inside);
	networks_seal(policy->smtp_servers);
	networks_seal(policy->relay.exempt);
	networks_seal(policy->relay.exempt_servers);
	networks_seal(policy->client_name.exempt);
	networks_seal(policy->ftp.fxp);
}

void
policy_place(const struct policy *policy, struct facts *facts)
{
	facts->client_inside = networks_has(policy->inside, &facts->client);
	facts->server_inside = networks_has(policy->inside, &facts->server);
}

/* What stands between sender and sender check, recipient and relay check: the form of the address.
 */
static bool
address_ok(struct judgement *j, const struct refusal *bad_domain)
{
	if (!j->path->ascii && !j->utf8) {
		judgement_refuse(j, CHECK_ENFORCE, &not_ascii);
		return false;
	}
	if (j->path->domain_kind == SMTP_DOMAIN_NAME &&
	    !domain_canonical(j->path->domain, j->domain)) {
		judgement_refuse(j, CHECK_ENFORCE, bad_domain);
		return false;
	}
	return true;
}

enum listing {
	LISTED_NOT,
	LISTED_ALLOWED,
	LISTED_DENIED,
	LISTED_UNKNOWN, /* no memory */
};

static enum listing
listing_of(const struct judgement *j, const struct address_lists *lists)
{
	struct mailbox mailbox;

	if (addresses_empty(lists->deny) && addresses_empty(lists->allow))
		return LISTED_NOT;
	if (!mailbox_make(&mailbox, j->path, j->domain))
		return LISTED_UNKNOWN;
	if (addresses_has(lists->allow, &mailbox))
		return LISTED_ALLOWED;
	return addresses_has(lists->deny, &mailbox) ? LISTED_DENIED : LISTED_NOT;
}

static void
judge_sender(struct judgement *j)
{
	switch (listing_of(j, &j->policy->senders)) {
	case LISTED_ALLOWED:
		judgement_pass(j, "senders", "allowed");
		break;
	case LISTED_DENIED:
		judgement_refuse(j, CHECK_ENFORCE, &denied_sender);
		break;
	case LISTED_UNKNOWN:
		judgement_refuse(j, CHECK_ENFORCE, &no_memory);
		break;
	case LISTED_NOT:
		sender_judge(j);
		break;
	}
}

static void
judge_mail(struct judgement *j)
{
	if (!client_name_missing(j) && address_ok(j, &bad_sender))
		judge_sender(j);
}

/* Who is allowed here may be written to; where the mail may go is still for the relay check. */
static void
judge_recipient(struct judgement *j)
{
	switch (listing_of(j, &j->policy->recipients)) {
	case LISTED_DENIED:
		judgement_refuse(j, CHECK_ENFORCE, &denied_recipient);
		break;
	case LISTED_UNKNOWN:
		judgement_refuse(j, CHECK_ENFORCE, &no_memory);
		break;
	case LISTED_ALLOWED:
	case LISTED_NOT:
		relay_judge(j);
		break;
	}
}

static bool
is_multi_bounce(const struct judgement *j)
{
	return j->policy->refuse_multi_bounce && j->facts->null_sender && j->facts->recipients > 0;
}

static void
judge_rcpt(struct judgement *j)
{
	if (j->path->null)
		judgement_refuse(j, CHECK_ENFORCE, &null_recipient);
	else if (!address_ok(j, &bad_recipient))
		return;
	else if (relay_no_mail_server(j->policy, j->facts))
		judgement_refuse(j, CHECK_ENFORCE, &not_a_mail_server);
	else if (is_multi_bounce(j))
		judgement_refuse(j, CHECK_ENFORCE, &multi_bounce);
	else
		judge_recipient(j);
}

static const char *
fault_reason(enum smtp_fault fault)
{
	if (fault == SMTP_PATH_BAD)
		return "bad_address";
	return fault == SMTP_PARAM_BAD ? "bad_parameter" : "bad_command";
}

/* The analyzer's own words. */
static void
refuse_fault(struct judgement *j, const struct smtp_detail *smtp)
{
	struct refusal refusal = {"syntax", fault_reason(smtp->fault), "", ""};
	struct span reply = span_str("451 4.3.0 Try again later");
	struct buf words;

	judgement_refuse(j, CHECK_ENFORCE, &refusal);
	buf_init(&words, VERDICT_REPLY_MAX);
	if (smtp_command_refusal(smtp, &words))
		reply = buf_span(&words);
	memcpy(j->out->reply, reply.p, reply.n);
	j->out->reply[reply.n] = '\0';
	buf_free(&words);
}

/* An address with two "@" has a name of its own where it is an attempt to relay. */
static void
judge_fault(struct judgement *j, const struct smtp_detail *smtp)
{
	if (smtp->verb->verb == SMTP_RCPT && smtp->path_fault == SMTP_PATH_DOUBLE_AT &&
	    relay_judge_double_at(j))
		return;
	refuse_fault(j, smtp);
}

static void
judge_greeting(struct judgement *j, const struct smtp_detail *smtp)
{
	j->subject = smtp->args;
	client_name_judge(j);
}

static void
judge_command(struct judgement *j, const struct smtp_detail *smtp)
{
	enum smtp_verb verb = smtp->verb->verb;
	bool is_mail = verb == SMTP_MAIL, is_rcpt = verb == SMTP_RCPT;

	if (is_mail || is_rcpt) {
		j->path = &smtp->path;
		j->subject = smtp->path.raw;
	}
	j->utf8 = is_mail ? smtp->params.smtputf8 : j->facts->smtputf8;
	if (smtp->fault != SMTP_OK && verb != SMTP_XCLIENT && verb != SMTP_XFORWARD)
		judge_fault(j, smtp);
	else if (commands_need_tls(j, verb))
		return;
	else if (is_mail)
		judge_mail(j);
	else if (is_rcpt)
		judge_rcpt(j);
	else if (verb == SMTP_EHLO || verb == SMTP_HELO)
		judge_greeting(j, smtp);
	else
		commands_judge(j, verb);
}

void
policy_judge(const struct policy *policy, const struct facts *facts, const struct an_event *ev,
    const struct answers *answers, struct verdict *out)
{
	struct judgement j = {.policy = policy, .facts = facts, .answers = answers, .out = out};

	out->would_refuse = out->passes_tls = false;
	out->reply[0] = '\0';
	judgement_pass(&j, "none", "none");
	if (ev->kind == EV_COMMAND && ev->smtp != NULL)
		judge_command(&j, ev->smtp);
}
