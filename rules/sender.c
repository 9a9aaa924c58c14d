#include "sender.h"

#define RULE	"sender_domain"
#define RESOLVE "Sender domain must resolve"
#define LOOKUP	"Sender domain lookup failed"

static const struct refusal no_domain = {RULE, "no_domain", "553 5.5.4", "Domain name required"};
static const struct refusal literal = {
    RULE, "literal", "550 5.7.1", "Sender must have a domain name, not an address"};
static const struct refusal dns_failed = {RULE, "dns_failed", "451 4.4.3", LOOKUP};
static const struct refusal dns_timeout = {RULE, "dns_timeout", "451 4.4.3", LOOKUP};
static const struct refusal null_mx = {
    RULE, "null_mx", "550 5.7.27", "Sender domain does not accept mail (null MX)"};
static const struct refusal loopback_mx = {
    RULE, "loopback_mx", "550 5.7.27", "Sender domain does not accept mail (MX is loopback)"};
static const struct refusal address_mx = {
    RULE, "address_mx", "550 5.1.8", "MX of sender domain is an address instead of a name"};
static const struct refusal dead_mx = {
    RULE, "dead_mx", "550 5.1.8", "MX hosts of sender domain do not exist"};
static const struct refusal private_mx = {
    RULE, "private_mx", "550 5.1.8", "MX hosts of sender domain have private addresses only"};
/* [missing_is_permanent] */
static const struct refusal nxdomain[] = {
    {RULE, "nxdomain", "451 4.1.8", RESOLVE}, {RULE, "nxdomain", "550 5.1.8", RESOLVE}};
static const struct refusal no_records[] = {
    {RULE, "no_records", "451 4.1.8", RESOLVE}, {RULE, "no_records", "550 5.1.8", RESOLVE}};

/* What a domain's MX records come to. */
struct tally {
	size_t hosts;		 /* names that were looked up, at most ANSWERS_HOSTS */
	bool usable;		 /* a public address */
	bool private_net;	 /* a private address */
	bool loopback;		 /* loopback or 0.0.0.0, by name or by address */
	bool address;		 /* an address in the place of a name */
	enum dns_status unknown; /* DNS_OK, or how a host's look-up failed */
};

static void
refuse(struct judgement *j, const struct refusal *refusal)
{
	judgement_refuse(j, j->policy->sender.check, refusal);
}

static void
refuse_unknown(struct judgement *j, enum dns_status status)
{
	refuse(j, status == DNS_TIMEOUT ? &dns_timeout : &dns_failed);
}

static void
tally_address(struct tally *tally, const struct ip *ip)
{
	if (ip_is_loopback(ip) || ip_is_unspecified(ip))
		tally->loopback = true;
	else if (ip_is_private(ip))
		tally->private_net = true;
	else
		tally->usable = true;
}

/* Both families are asked at once: the time for all look-ups of a MAIL is short. */
static void
tally_host(struct judgement *j, const char *host, struct tally *tally)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA};

	tally->hosts++;
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		enum dns_status status;

		if (!judgement_answer(j, types[t], host, &status))
			continue;
		if (dns_unknown(status))
			tally->unknown = status;
		for (size_t i = 0; i < answers_count(j->answers, types[t], host); i++)
			tally_address(tally, answers_address(j->answers, types[t], host, i));
	}
}

/* RFC 6761 s6.3, and what Unix hosts have called themselves for ages. */
static bool
is_localhost(struct span host)
{
	return span_ieq(host, span_str("localhost")) || span_iends(host, span_str(".localhost")) ||
	       span_ieq(host, span_str("localhost.localdomain"));
}

/* An MX that needs no look-up: the root (RFC 7505), localhost, an address. */
static bool
tally_name(struct tally *tally, const struct dns_mx *mx)
{
	struct span host = span_str(mx->host);
	struct ip ip;

	if (host.n == 0)
		return true;
	if (is_localhost(host)) {
		tally->loopback = true;
		return true;
	}
	if (!mx->is_address)
		return false;
	if (ip_parse(host, &ip) && (ip_is_loopback(&ip) || ip_is_unspecified(&ip)))
		tally->loopback = true; /* "MX 0 0.0.0.0" means it */
	else
		tally->address = true;
	return true;
}

/* Stops at the first host that can take mail, and after the first that must be asked for. */
static void
tally_mx(struct judgement *j, struct tally *tally)
{
	size_t n = answers_count(j->answers, DNS_MX, j->domain);

	for (size_t i = 0; i < n && tally->hosts < ANSWERS_HOSTS && !tally->usable; i++) {
		const struct dns_mx *mx = answers_mx(j->answers, j->domain, i);

		if (tally_name(tally, mx))
			continue;
		tally_host(j, mx->host, tally);
		if (tally->hosts == 1 && judgement_asks(j))
			break;
	}
}

/* A check within the check: it refuses only where both do. */
static void
refuse_reported(struct judgement *j, enum check check, const struct refusal *refusal)
{
	enum check outer = j->policy->sender.check;

	if (check == CHECK_OFF || j->facts->client_inside)
		judgement_pass(j, RULE, "mx");
	else
		judgement_refuse(j, check < outer ? check : outer, refusal);
}

/* Some host could not be looked up: the MX is there, so that counts only where hosts do. */
static void
judge_unknown_hosts(struct judgement *j, enum dns_status status)
{
	const struct sender_policy *sender = &j->policy->sender;
	bool enforced = sender->dead_mx == CHECK_ENFORCE || sender->private_mx == CHECK_ENFORCE;

	if (enforced && !j->facts->client_inside)
		refuse_unknown(j, status);
	else
		judgement_pass(j, RULE, "mx");
}

static void
judge_hosts(struct judgement *j, const struct tally *tally)
{
	if (tally->usable)
		judgement_pass(j, RULE, "mx");
	else if (judgement_asks(j))
		judgement_undecided(j, RULE);
	else if (dns_unknown(tally->unknown))
		judge_unknown_hosts(j, tally->unknown);
	else if (tally->private_net)
		refuse_reported(j, j->policy->sender.private_mx, &private_mx);
	else if (tally->loopback)
		refuse(j, &loopback_mx);
	else
		refuse_reported(j, j->policy->sender.dead_mx, &dead_mx);
}

static void
judge_mx(struct judgement *j)
{
	struct tally tally = {0};

	tally_mx(j, &tally);
	if (tally.hosts > 0)
		judge_hosts(j, &tally);
	else if (tally.loopback)
		refuse(j, &loopback_mx);
	else if (tally.address)
		refuse(j, &address_mx);
	else
		refuse(j, &null_mx);
}

/* mx is DNS_NODATA or DNS_NXDOMAIN; of both, broken servers say the wrong one. */
static void
judge_without_mx(struct judgement *j, enum dns_status mx)
{
	bool permanent = j->policy->sender.missing_is_permanent;
	enum dns_status a, aaaa;
	bool has_a = judgement_answer(j, DNS_A, j->domain, &a);
	bool has_aaaa = judgement_answer(j, DNS_AAAA, j->domain, &aaaa);

	if ((has_a && a == DNS_OK) || (has_aaaa && aaaa == DNS_OK))
		judgement_pass(j, RULE, "address");
	else if (!has_a || !has_aaaa)
		judgement_undecided(j, RULE);
	else if (dns_unknown(a) || dns_unknown(aaaa))
		refuse_unknown(j, dns_unknown(a) ? a : aaaa);
	else if (mx == DNS_NXDOMAIN && a == DNS_NXDOMAIN && aaaa == DNS_NXDOMAIN)
		refuse(j, &nxdomain[permanent]);
	else
		refuse(j, &no_records[permanent]);
}

static void
judge_name(struct judgement *j)
{
	enum dns_status mx;

	if (domains_has(j->policy->sender.exempt, j->domain))
		judgement_pass(j, RULE, "exempt");
	else if (!judgement_answer(j, DNS_MX, j->domain, &mx))
		judgement_undecided(j, RULE);
	else if (mx == DNS_OK)
		judge_mx(j);
	else if (dns_unknown(mx))
		refuse_unknown(j, mx);
	else
		judge_without_mx(j, mx);
}

void
sender_judge(struct judgement *j)
{
	if (j->policy->sender.check == CHECK_OFF) {
		judgement_pass(j, RULE, "off");
		return;
	}
	if (j->path->null) { /* bounces have no sender (RFC 5321 s4.5.5) */
		judgement_pass(j, RULE, "null_sender");
		return;
	}
	switch (j->path->domain_kind) {
	case SMTP_DOMAIN_NAME:
		judge_name(j);
		break;
	case SMTP_DOMAIN_LITERAL:
	case SMTP_DOMAIN_TAGGED:
		if (j->policy->sender.refuse_literals)
			refuse(j, &literal);
		else
			judgement_pass(j, RULE, "literal");
		break;
	case SMTP_DOMAIN_NONE:
		if (j->facts->client_inside)
			judgement_pass(j, RULE, "no_domain");
		else
			refuse(j, &no_domain);
		break;
	}
}
