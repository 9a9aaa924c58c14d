#include "tls_rules.h"

#include <stdlib.h>

#include "commands.h"
#include "core/buf.h"

/* ---- rules ---- */

bool
tls_rule_begin(struct tls_rule *rule)
{
	rule->clients = networks_new();
	rule->servers = networks_new();
	rule->server_names = domains_new();
	return rule->clients != NULL && rule->servers != NULL && rule->server_names != NULL;
}

void
tls_rule_end(struct tls_rule *rule)
{
	networks_free(rule->clients);
	networks_free(rule->servers);
	domains_free(rule->server_names);
	free(rule->name);
	free(rule->client_certificate);
	free(rule->upstream_name);
}

static bool
in_networks(const struct networks *set, const struct ip *ip)
{
	return networks_empty(set) || networks_has(set, ip);
}

static bool
in_names(const struct domains *set, struct span name)
{
	char canonical[DOMAIN_TEXT_MAX];

	return domains_empty(set) ||
	       (name.n > 0 && domain_canonical(name, canonical) && domains_has(set, canonical));
}

static bool
holds(const struct tls_rule *rule, const struct facts *facts, const struct tls_query *q)
{
	bool here =
	    rule->towards == TLS_ANYBODY || facts->server_inside == (rule->towards == TLS_INSIDE);
	bool spoken = rule->protocols == 0 || (rule->protocols & 1u << q->protocol) != 0;

	return here && spoken && in_networks(rule->clients, &facts->client) &&
	       in_networks(rule->servers, &facts->server) && in_names(rule->server_names, q->name);
}

static const struct tls_rule *
first_rule(const struct policy *policy, const struct facts *facts, const struct tls_query *q)
{
	for (size_t i = 0; i < policy->n_tls_rules; i++)
		if (holds(&policy->tls_rules[i], facts, q))
			return &policy->tls_rules[i];
	return NULL;
}

/* ---- starttls of the protocol ---- */

static enum starttls
word_of(const struct policy *policy, enum tls_protocol protocol)
{
	const enum starttls words[] = {[TLS_FTP] = policy->ftp.starttls,
	    [TLS_SMTP] = policy->starttls,
	    [TLS_POP3] = policy->pop3.starttls,
	    [TLS_IMAP] = policy->imap.starttls};

	return words[protocol];
}

static struct tls_judgement
said(enum tls_action action, const char *reason)
{
	return (struct tls_judgement){.action = action, .rule = "starttls", .reason = reason};
}

/* Servers that send mail use TLS when they can, and some know which certificate they want to see.
 */
static bool
between_servers(const struct facts *facts, const struct tls_query *q)
{
	return q->protocol == TLS_SMTP && q->port == TLS_MAIL_PORT && !facts->server_inside;
}

bool
tls_may_show_own(const struct facts *facts, const struct tls_query *q)
{
	return q->own && q->protocol == TLS_SMTP && q->asked == TLS_MAIL_PORT && !q->implicit &&
	       !facts->client_inside && facts->server_inside;
}

/* Without a certificate to show: what nobody asked to be looked at passes where nothing goes blind.
 */
static struct tls_judgement
judge_auto(const struct policy *policy, const struct facts *facts, const struct tls_query *q)
{
	bool between = between_servers(facts, q);

	if (q->identity && !between)
		return said(TLS_INTERCEPT, "auto");
	if (tls_may_show_own(facts, q))
		return said(TLS_INTERCEPT, "own_certificate");
	if (q->protocol == TLS_SMTP && commands_go_blind(policy, facts))
		return said(TLS_REFUSE, "would_go_blind");
	if (between)
		return said(TLS_PASS, "between_servers");
	if (q->protocol == TLS_SMTP || q->implicit)
		return said(TLS_PASS, "auto");
	return said(TLS_REFUSE, "auto");
}

static struct tls_judgement
judge_word(const struct policy *policy, const struct facts *facts, const struct tls_query *q)
{
	struct tls_judgement j;

	switch (word_of(policy, q->protocol)) {
	case STARTTLS_PASS:
		return said(TLS_PASS, "pass");
	case STARTTLS_REFUSE:
		return said(TLS_REFUSE, "refuse");
	case STARTTLS_HIDE:
		j = said(TLS_REFUSE, "hide");
		j.hidden = true;
		return j;
	case STARTTLS_INTERCEPT:
		return said(TLS_INTERCEPT, "intercept");
	case STARTTLS_REQUIRE:
		return said(TLS_INTERCEPT, "require");
	case STARTTLS_AUTO:
		break;
	}
	return judge_auto(policy, facts, q);
}

/* ---- the whole ---- */

/* A client in the clear needs to be shown nothing. */
static bool
server_alone(const struct tls_judgement *j, const struct tls_query *q)
{
	return !q->implicit && (j->upstream == UPSTREAM_STARTTLS || j->upstream == UPSTREAM_TLS);
}

void
tls_judge(const struct policy *policy, const struct facts *facts, const struct tls_query *q,
    struct tls_judgement *out)
{
	const struct tls_rule *rule = first_rule(policy, facts, q);
	bool required = word_of(policy, q->protocol) == STARTTLS_REQUIRE;

	*out = judge_word(policy, facts, q);
	if (rule != NULL)
		*out = (struct tls_judgement){.action = rule->action,
		    .old_versions = rule->old_versions,
		    .verify = rule->verify,
		    .client_certificate = rule->client_certificate,
		    .upstream = rule->upstream,
		    .upstream_name = rule->upstream_name,
		    .rule = rule->name,
		    .reason = "rule"};
	if (rule != NULL && rule->required != REQUIRED_AUTO)
		required = rule->required == REQUIRED_YES;
	out->required = required;
	out->unless_published = out->action == TLS_INTERCEPT && between_servers(facts, q) &&
				!q->implicit && policy->published != PUBLISHED_IGNORE;
	if (out->action == TLS_INTERCEPT && !q->identity && !tls_may_show_own(facts, q) &&
	    !server_alone(out, q)) {
		out->action = TLS_REFUSE;
		out->reason = "no_identity";
	}
}

enum starttls
tls_word(const struct tls_judgement *j)
{
	static const enum starttls words[] = {[TLS_INTERCEPT] = STARTTLS_INTERCEPT,
	    [TLS_PASS] = STARTTLS_PASS,
	    [TLS_REFUSE] = STARTTLS_REFUSE};

	return j->hidden ? STARTTLS_HIDE : words[j->action];
}

static void
add_networks(struct buf *out, const char *setting, const struct ip *ip)
{
	char address[IP_TEXT_MAX];

	buf_str(out, setting);
	buf_str(out, " = {\"");
	buf_str(out, ip_text(ip, address));
	buf_str(out, "\"} ");
}

/* A name has no colons. */
void
tls_rule_to_pass(
    const struct facts *facts, const struct tls_query *q, bool for_client, char text[TLS_RULE_TEXT])
{
	static const char *const protocols[] = {
	    [TLS_FTP] = "ftp", [TLS_SMTP] = "smtp", [TLS_POP3] = "pop3", [TLS_IMAP] = "imap"};
	struct buf out = {.p = (uint8_t *)text, .cap = TLS_RULE_TEXT, .max = TLS_RULE_TEXT};
	char server[IP_TEXT_MAX];

	buf_str(&out, "tls_rule \"pass-");
	for (const char *c = ip_text(&facts->server, server); *c != '\0'; c++)
		buf_octet(&out, *c == ':' ? '-' : (uint8_t)*c);
	buf_str(&out, "\" { protocols = {\"");
	buf_str(&out, protocols[q->protocol]);
	buf_str(&out, "\"} ");
	if (for_client)
		add_networks(&out, "clients", &facts->client);
	add_networks(&out, "servers", &facts->server);
	buf_str(&out, "action = pass }");
	buf_octet(&out, '\0');
}

const char *
tls_action_name(enum tls_action action)
{
	static const char *const names[] = {
	    [TLS_INTERCEPT] = "intercepted", [TLS_PASS] = "passed", [TLS_REFUSE] = "refused"};

	return names[action];
}
