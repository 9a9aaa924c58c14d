#include "published.h"

#define RULE	"published"
#define DANE	"_25._tcp."
#define MTA_STS "_mta-sts."

/* What the names of a server come to. */
struct tally {
	const char *names[PUBLISHED_NAMES_MAX];
	size_t n;
	bool dane, mta_sts;
	enum dns_status unknown; /* DNS_OK, or how a look-up failed */
};

bool
published_mta_sts(const struct dns_txt *txt)
{
	static const char version[] = "v=STSv1";
	struct span text = span_of(txt->text, txt->n);

	if (!span_starts(text, span_str(version)))
		return false;
	text = span_from(text, sizeof(version) - 1);
	while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t'))
		text = span_from(text, 1);
	return text.n > 0 && text.p[0] == ';';
}

/* False: no name that DNS could be asked for. */
static bool
join(const char *prefix, const char *name, char out[DNS_NAME_MAX])
{
	struct span first = span_str(prefix), second = span_str(name);

	if (first.n + second.n >= DNS_NAME_MAX)
		return false;
	memcpy(out, first.p, first.n);
	memcpy(out + first.n, second.p, second.n);
	out[first.n + second.n] = '\0';
	return true;
}

static bool
has_dot(const char *name)
{
	return span_find(span_str(name), '.') >= 0;
}

/* The domain that a name is in; NULL: that of all names of a country, or of the world. */
static const char *
above(const char *name)
{
	ptrdiff_t dot = span_find(span_str(name), '.');

	return dot < 0 || !has_dot(name + dot + 1) ? NULL : name + dot + 1;
}

/* True: there are records. */
static bool
asked(struct judgement *j, enum dns_type type, const char *name, struct tally *tally)
{
	enum dns_status status;

	if (!judgement_answer(j, type, name, &status))
		return false;
	if (dns_unknown(status))
		tally->unknown = status;
	return status == DNS_OK;
}

static void
tally_dane(struct judgement *j, const char *name, struct tally *tally)
{
	char at[DNS_NAME_MAX];

	if (!join(DANE, name, at) || !asked(j, DNS_TLSA, at, tally) ||
	    !answers_secure(j->answers, DNS_TLSA, at))
		return;
	for (size_t i = 0; i < answers_count(j->answers, DNS_TLSA, at); i++)
		if (dns_tlsa_usable(answers_tlsa(j->answers, at, i)))
			tally->dane = true;
}

static void
tally_mta_sts(struct judgement *j, const char *domain, struct tally *tally)
{
	char at[DNS_NAME_MAX];

	if (!join(MTA_STS, domain, at) || !asked(j, DNS_TXT, at, tally))
		return;
	for (size_t i = 0; i < answers_count(j->answers, DNS_TXT, at); i++)
		if (published_mta_sts(answers_txt(j->answers, at, i)))
			tally->mta_sts = true;
}

static void
tally_name(struct judgement *j, const char *name, struct tally *tally)
{
	const char *domain = name;

	for (size_t i = 0; i < tally->n; i++)
		if (span_eq(span_str(tally->names[i]), span_str(name)))
			return;
	if (tally->n == PUBLISHED_NAMES_MAX || !has_dot(name))
		return;
	tally->names[tally->n++] = name;
	tally_dane(j, name, tally);
	for (size_t i = 0; domain != NULL && i <= PUBLISHED_ABOVE_MAX; i++, domain = above(domain))
		tally_mta_sts(j, domain, tally);
}

/* Many addresses have no name, and many reverse zones do not answer: that alone says nothing. */
static void
tally_address(struct judgement *j, struct tally *tally)
{
	enum dns_status before = tally->unknown;
	char reverse[DNS_NAME_MAX];

	dns_reverse_name(&j->facts->server, reverse);
	if (!asked(j, DNS_PTR, reverse, tally) && tally->n > 0)
		tally->unknown = before;
	for (size_t i = 0; i < answers_count(j->answers, DNS_PTR, reverse); i++)
		tally_name(j, answers_host(j->answers, reverse, i), tally);
}

static bool
passes(struct judgement *j, const char *reason)
{
	judgement_pass(j, RULE, reason);
	j->out->passes_tls = true;
	return true;
}

bool
published_judge(struct judgement *j)
{
	struct tally tally = {.unknown = DNS_OK};

	if (j->facts->server_name != NULL)
		tally_name(j, j->facts->server_name, &tally);
	tally_address(j, &tally);
	if (tally.dane || tally.mta_sts)
		return passes(j, tally.dane ? "dane" : "mta_sts");
	if (judgement_asks(j)) {
		judgement_undecided(j, RULE);
		return true;
	}
	if (dns_unknown(tally.unknown) && j->policy->published == PUBLISHED_PASS)
		return passes(j, tally.unknown == DNS_TIMEOUT ? "dns_timeout" : "dns_failed");
	return false;
}
