#include "client_name.h"

#define RULE "client_name"

static const struct refusal no_reverse = {RULE, "no_reverse", "550 5.7.25", "Client name refused"};
static const struct refusal not_confirmed = {
    RULE, "not_confirmed", "550 5.7.25", "Client name refused"};
static const struct refusal helo_invalid = {RULE, "helo_invalid", "550 5.7.1", "HELO name refused"};
static const struct refusal helo_unresolved = {
    RULE, "helo_unresolved", "550 5.7.1", "HELO name refused"};
/* [status == DNS_TIMEOUT] */
static const struct refusal reverse_unknown[] = {
    {RULE, "dns_failed", "451 4.4.3", "Client name lookup failed"},
    {RULE, "dns_timeout", "451 4.4.3", "Client name lookup failed"}};
static const struct refusal helo_unknown[] = {
    {RULE, "dns_failed", "451 4.4.3", "HELO name lookup failed"},
    {RULE, "dns_timeout", "451 4.4.3", "HELO name lookup failed"}};
static const struct refusal not_greeted = {
    RULE, "not_greeted", "503 5.5.1", "EHLO or HELO must come first"};

/* What the answers so far say of one name. */
struct finding {
	bool open;		       /* a question has no answer yet */
	const struct refusal *refusal; /* NULL: nothing against it */
};

#define FINE ((struct finding){false, NULL})
#define OPEN ((struct finding){true, NULL})

static struct finding
against(const struct refusal *refusal)
{
	return (struct finding){false, refusal};
}

/* ---- by the DNS ---- */

/* Does one of the client's names have the client's address? */
static struct finding
find_confirmed(struct judgement *j, const char *reverse)
{
	const struct ip *client = &j->facts->client;
	enum dns_type type = client->family == IP_V6 ? DNS_AAAA : DNS_A;
	size_t n = answers_count(j->answers, DNS_PTR, reverse);
	struct finding found = against(&not_confirmed);

	for (size_t i = 0; i < n && i < ANSWERS_HOSTS; i++) {
		const char *host = answers_host(j->answers, reverse, i);
		enum dns_status status;

		if (!judgement_answer(j, type, host, &status))
			found.open = true;
		else if (dns_unknown(status))
			found.refusal = &reverse_unknown[status == DNS_TIMEOUT];
		for (size_t k = 0; k < answers_count(j->answers, type, host); k++)
			if (ip_eq(answers_address(j->answers, type, host, k), client))
				return FINE;
	}
	return found;
}

static struct finding
find_reverse(struct judgement *j)
{
	char reverse[DNS_NAME_MAX];
	enum dns_status status;

	if (j->policy->client_name.reverse == REVERSE_NONE)
		return FINE;
	dns_reverse_name(&j->facts->client, reverse);
	if (!judgement_answer(j, DNS_PTR, reverse, &status))
		return OPEN;
	if (dns_unknown(status))
		return against(&reverse_unknown[status == DNS_TIMEOUT]);
	if (status != DNS_OK)
		return against(&no_reverse);
	return j->policy->client_name.reverse == REVERSE_CONFIRMED ? find_confirmed(j, reverse)
								   : FINE;
}

/* ---- by itself ---- */

/* RFC 5321 s4.1.3: [192.0.2.1], [IPv6:2001:db8::1] */
static bool
is_literal(struct span name)
{
	struct span tag = span_str("IPv6:"), address;
	struct ip ip;

	if (name.n < 2 || name.p[0] != '[' || name.p[name.n - 1] != ']')
		return false;
	address = span_of(name.p + 1, name.n - 2);
	if (span_istarts(address, tag)) {
		address = span_from(address, tag.n);
		return span_find(address, ':') >= 0 && ip_parse(address, &ip);
	}
	return span_find(address, ':') < 0 && ip_parse(address, &ip);
}

/* RFC 5321 s4.1.1.1, s2.3.5: not "localhost", not a bare address; A-labels (RFC 6531 s3.7.1). */
static bool
is_full_name(struct span name, char canonical[DOMAIN_TEXT_MAX])
{
	return span_is_ascii(name) && domain_canonical(name, canonical) &&
	       span_find(span_str(canonical), '.') >= 0;
}

static struct finding
find_helo_host(struct judgement *j, const char *host)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_MX};
	struct finding found = against(&helo_unresolved);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		enum dns_status status;

		if (!judgement_answer(j, types[i], host, &status))
			found.open = true;
		else if (status == DNS_OK)
			return FINE;
		else if (dns_unknown(status))
			found.refusal = &helo_unknown[status == DNS_TIMEOUT];
	}
	return found;
}

static struct finding
find_helo(struct judgement *j)
{
	char host[DOMAIN_TEXT_MAX];

	if (j->policy->client_name.helo == HELO_ANY || is_literal(j->subject))
		return FINE;
	if (!is_full_name(j->subject, host))
		return against(&helo_invalid);
	return j->policy->client_name.helo == HELO_RESOLVES ? find_helo_host(j, host) : FINE;
}

/* ---- both ---- */

/* Why the check does not apply to this session; NULL: it does. */
static const char *
waived(const struct judgement *j)
{
	const struct client_name_policy *policy = &j->policy->client_name;

	if (policy->check == CHECK_OFF)
		return "off";
	if (j->facts->client_inside)
		return "client_inside";
	return networks_has(policy->exempt, &j->facts->client) ? "exempt" : NULL;
}

static bool
is_permanent(const struct finding *found)
{
	return !found->open && found->refusal != NULL && found->refusal->status[0] == '5';
}

static void
refuse_reverse(struct judgement *j, const struct refusal *refusal)
{
	char ip[IP_TEXT_MAX];

	j->subject = span_str(ip_text(&j->facts->client, ip));
	judgement_refuse(j, j->policy->client_name.check, refusal);
}

static void
judge_findings(struct judgement *j, const struct finding *reverse, const struct finding *helo)
{
	bool permanent = is_permanent(reverse) || is_permanent(helo);

	if ((reverse->open || helo->open) && !permanent)
		judgement_undecided(j, RULE);
	else if (reverse->refusal != NULL)
		refuse_reverse(j, reverse->refusal);
	else if (helo->refusal != NULL)
		judgement_refuse(j, j->policy->client_name.check, helo->refusal);
	else
		judgement_pass(j, RULE, "ok");
}

void
client_name_judge(struct judgement *j)
{
	const char *reason = waived(j);
	struct finding reverse, helo;

	if (reason != NULL) {
		judgement_pass(j, RULE, reason);
		return;
	}
	helo = find_helo(j);
	/* one permanent fault is enough, and nobody need be asked about another */
	reverse = is_permanent(&helo) ? FINE : find_reverse(j);
	judge_findings(j, &reverse, &helo);
}

bool
client_name_missing(struct judgement *j)
{
	if (j->facts->greeted || j->policy->client_name.check != CHECK_ENFORCE || waived(j) != NULL)
		return false;
	judgement_refuse(j, CHECK_ENFORCE, &not_greeted);
	return true;
}
