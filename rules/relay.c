#include "relay.h"

#include "readings.h"

#define RULE   "relay"
#define DENIED "Relaying denied"
#define LOOKUP "Recipient domain lookup failed"

static const struct refusal not_local = {RULE, "not_local", "550 5.7.1", DENIED};
static const struct refusal disguised = {RULE, "disguised", "550 5.7.1", DENIED};
static const struct refusal literal = {RULE, "literal", "550 5.7.1", DENIED};
static const struct refusal no_domain = {RULE, "no_domain", "501 5.1.3", "Domain name required"};
static const struct refusal dns_failed = {RULE, "dns_failed", "451 4.4.3", LOOKUP};
static const struct refusal dns_timeout = {RULE, "dns_timeout", "451 4.4.3", LOOKUP};
static const struct refusal no_memory = {RULE, "no_memory", "451 4.3.0", "Try again later"};

const char *
relay_waived(const struct policy *policy, const struct facts *facts)
{
	const struct relay_policy *relay = &policy->relay;

	if (relay->check == CHECK_OFF)
		return "off";
	if (facts->client_inside)
		return "client_inside";
	if (!facts->server_inside)
		return "transit";
	if (networks_has(relay->exempt, &facts->client))
		return "exempt";
	if (networks_has(relay->exempt_servers, &facts->server))
		return "exempt_server";
	if (relay->authenticated && facts->authenticated)
		return "authenticated";
	return NULL;
}

bool
relay_no_mail_server(const struct policy *policy, const struct facts *facts)
{
	return !facts->client_inside && facts->server_inside &&
	       !networks_empty(policy->smtp_servers) &&
	       !networks_has(policy->smtp_servers, &facts->server);
}

static void
refuse(struct judgement *j, const struct refusal *refusal)
{
	judgement_refuse(j, j->policy->relay.check, refusal);
}

/*
 * A host that an address hides must be listed, or be the very domain that is judged anyway:
 * look-ups for all of them would be a stranger's way to make us ask anything.
 */
static bool
is_local(const struct judgement *j, struct span host)
{
	char name[DOMAIN_TEXT_MAX];

	return domain_canonical(host, name) && (domains_has(j->policy->relay.local_domains, name) ||
						   span_eq(span_str(name), span_str(j->domain)));
}

static bool
hosts_are_local(const struct judgement *j, const struct readings *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (!is_local(j, r->hosts[i]))
			return false;
	return !r->too_many;
}

struct tally {
	bool server;		 /* the server's address was among the answers */
	enum dns_status unknown; /* DNS_OK, or how a look-up failed */
};

/* Only addresses of the server's own family can equal the server's. */
static void
tally_host(struct judgement *j, const char *host, struct tally *tally)
{
	const struct ip *server = &j->facts->server;
	enum dns_type type = server->family == IP_V6 ? DNS_AAAA : DNS_A;
	enum dns_status status;

	if (!judgement_answer(j, type, host, &status))
		return;
	if (dns_unknown(status))
		tally->unknown = status;
	for (size_t i = 0; i < answers_count(j->answers, type, host); i++)
		if (ip_eq(answers_address(j->answers, type, host, i), server))
			tally->server = true;
}

static void
tally_mx(struct judgement *j, struct tally *tally)
{
	size_t n = answers_count(j->answers, DNS_MX, j->domain);

	for (size_t i = 0, hosts = 0; i < n; i++) {
		const struct dns_mx *mx = answers_mx(j->answers, j->domain, i);

		if (mx->host[0] == '\0' || mx->is_address)
			continue;
		if (hosts++ == ANSWERS_HOSTS) {
			tally->unknown = DNS_FAILED; /* this host could be the server */
			break;
		}
		tally_host(j, mx->host, tally);
	}
}

/* A domain whose mail the DNS sends to this very server is a domain of this server. */
static void
judge_by_mx(struct judgement *j)
{
	struct tally tally = {false, DNS_OK};
	enum dns_status status;

	if (!judgement_answer(j, DNS_MX, j->domain, &status)) {
		judgement_undecided(j, RULE);
		return;
	}
	if (dns_unknown(status))
		tally.unknown = status;
	else if (status == DNS_OK)
		tally_mx(j, &tally);
	else /* without MX the domain is its own mail host (RFC 5321 s5.1) */
		tally_host(j, j->domain, &tally);

	if (tally.server)
		judgement_pass(j, RULE, "by_mx");
	else if (judgement_asks(j))
		judgement_undecided(j, RULE);
	else if (dns_unknown(tally.unknown))
		refuse(j, tally.unknown == DNS_TIMEOUT ? &dns_timeout : &dns_failed);
	else
		refuse(j, &not_local);
}

static void
judge_name(struct judgement *j)
{
	if (domains_has(j->policy->relay.local_domains, j->domain))
		judgement_pass(j, RULE, "local_domain");
	else if (j->policy->relay.by_mx)
		judge_by_mx(j);
	else
		refuse(j, &not_local);
}

static void
judge_literal(struct judgement *j)
{
	if (j->policy->relay.own_literal && j->path->domain_kind == SMTP_DOMAIN_LITERAL &&
	    ip_eq(&j->path->address, &j->facts->server))
		judgement_pass(j, RULE, "own_literal");
	else
		refuse(j, &literal);
}

/* RFC 5321 s4.5.1: every server takes mail for <postmaster>. */
static void
judge_bare(struct judgement *j, const struct readings *r)
{
	if (r->operators)
		refuse(j, &disguised);
	else if (span_ieq(buf_span(&r->plain), span_str("postmaster")))
		judgement_pass(j, RULE, "postmaster");
	else
		refuse(j, &no_domain);
}

static void
judge_readings(struct judgement *j, const struct readings *r)
{
	if (!hosts_are_local(j, r)) {
		refuse(j, &disguised);
		return;
	}
	switch (j->path->domain_kind) {
	case SMTP_DOMAIN_NAME:
		judge_name(j);
		break;
	case SMTP_DOMAIN_LITERAL:
	case SMTP_DOMAIN_TAGGED:
		judge_literal(j);
		break;
	case SMTP_DOMAIN_NONE:
		judge_bare(j, r);
		break;
	}
}

void
relay_judge(struct judgement *j)
{
	const char *waived = relay_waived(j->policy, j->facts);
	struct readings readings;

	if (waived != NULL) {
		judgement_pass(j, RULE, waived);
		return;
	}
	if (readings_make(&readings, j->path))
		judge_readings(j, &readings);
	else
		judgement_refuse(j, CHECK_ENFORCE, &no_memory);
	readings_free(&readings);
}

bool
relay_judge_double_at(struct judgement *j)
{
	struct readings readings;
	bool denied;

	if (j->policy->relay.check != CHECK_ENFORCE || relay_waived(j->policy, j->facts) != NULL)
		return false;
	if (j->path->domain_kind == SMTP_DOMAIN_NAME && !is_local(j, j->path->domain))
		return false;
	denied = readings_make(&readings, j->path) && !hosts_are_local(j, &readings);
	readings_free(&readings);
	if (denied)
		refuse(j, &disguised);
	return denied;
}
