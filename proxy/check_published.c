#include "check_published.h"

#include <event2/event.h>
#include <stdlib.h>

#include "address.h"
#include "clock.h"
#include "config_text.h"
#include "config_tree.h"
#include "published.h"
#include "resolver.h"
#include "tls_keys.h"
#include "tls_rules.h"

#define HOSTS_MAX     5 /* of a domain that are looked at: three questions each */
#define QUESTIONS_MAX (3 * HOSTS_MAX)
#define SETTING	      "smtp.relay.local_domains"
#define RULE                                                                                       \
	"write a certificate section for its servers, or: tls_rule verified { protocols = "        \
	"{smtp} towards = inside "
_Static_assert(2 + QUESTIONS_MAX <= ANSWERS_MAX, "more questions than answers are kept");

struct looking {
	const struct config *config;
	struct tls_keys *keys;
	struct event_base *base;
	struct resolver *resolver;
	struct faults faults;
	uint64_t until;
	size_t waiting; /* domains whose answers are still to come */
};

/* One domain of the configuration. */
struct domain {
	struct looking *all;
	char name[DOMAIN_TEXT_MAX];
	unsigned line;
	struct answers *answers;
	bool hosts_asked;
};

/* ---- what would be shown of a server ---- */

/* Somebody who verifies sends mail to this address, and says the name of the host. */
static bool
would_show_own(const struct looking *all, const char *host, const struct ip *server)
{
	const struct facts facts = {.server = *server, .server_inside = true};
	const struct tls_query q = {.protocol = TLS_SMTP,
	    .port = TLS_MAIL_PORT,
	    .asked = TLS_MAIL_PORT,
	    .identity = tls_keys_can_show(all->keys, server, true),
	    .own = true,
	    .name = span_str(host)};
	struct tls_judgement j;

	if (tls_keys_identity(all->keys, q.name, server) != NULL)
		return false;
	tls_judge(all->config->policy, &facts, &q, &j);
	return j.action == TLS_INTERCEPT;
}

/* A server that mail for this host comes to. */
struct found {
	bool inside, own;
	struct ip server; /* that the gateway's own certificate would be shown for */
};

static void
look_at_server(
    const struct looking *all, const char *host, const struct ip *server, struct found *f)
{
	if (!f->own && would_show_own(all, host, server))
		f->server = *server;
	f->own = f->own || f->server.family != IP_NONE;
	f->inside = true;
}

static void
look_at_addresses(const struct domain *d, const char *host, struct found *f)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA};

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
		for (size_t i = 0; i < answers_count(d->answers, types[t], host); i++) {
			const struct ip *ip = answers_address(d->answers, types[t], host, i);

			if (networks_has(d->all->config->policy->inside, ip))
				look_at_server(d->all, host, ip, f);
		}
}

static void
look_at_forwards(const struct domain *d, const char *host, struct found *f)
{
	const struct config *c = d->all->config;

	for (size_t i = 0; i < c->n_forwards; i++) {
		struct endpoint to = address_endpoint((const struct sockaddr *)&c->forwards[i].to);

		if (c->forwards[i].protocol == PROTOCOL_SMTP && !c->forwards[i].outside)
			look_at_server(d->all, host, &to.ip, f);
	}
}

/* The servers may be behind addresses that the DNS does not have: then it is told all the same. */
static void
warn(const struct domain *d, const char *host, const char *by, const char *record)
{
	struct found f = {.inside = false};
	char server[IP_TEXT_MAX];

	look_at_addresses(d, host, &f);
	look_at_forwards(d, host, &f);
	if (f.inside && !f.own)
		return;
	if (f.own)
		faults_warn(&d->all->faults, d->line,
		    SETTING ": who sends mail for %s verifies certificates (%s: %s), and would be "
			    "shown the gateway's own for %s; " RULE
			    "servers = {\"%s\"} action = pass }",
		    d->name, by, record, host, ip_text(&f.server, server));
	else
		faults_warn(&d->all->faults, d->line,
		    SETTING ": who sends mail for %s verifies certificates (%s: %s), and may be "
			    "shown the gateway's own for %s; " RULE "action = pass }",
		    d->name, by, record, host);
}

/* ---- what a domain publishes ---- */

static void
record_of(const char *prefix, const char *name, char out[DNS_NAME_MAX + 16])
{
	snprintf(out, DNS_NAME_MAX + 16, "%s%s", prefix, name);
}

/* Host i that takes mail for it; without MX it does so itself (RFC 5321 s5.1). NULL: no more. */
static const char *
host_of(const struct domain *d, size_t i)
{
	size_t n = answers_count(d->answers, DNS_MX, d->name), seen = 0;

	if (n == 0)
		return i == 0 ? d->name : NULL;
	for (size_t k = 0; k < n && seen < HOSTS_MAX; k++) {
		const struct dns_mx *mx = answers_mx(d->answers, d->name, k);

		if (mx->host[0] != '\0' && !mx->is_address && seen++ == i)
			return mx->host;
	}
	return NULL;
}

/* True: it has, or the DNS could not tell, which is told. */
static bool
unknown(const struct domain *d, enum dns_type type, const char *name)
{
	enum dns_status status;

	if (!answers_status(d->answers, type, name, &status))
		status = DNS_FAILED;
	if (!dns_unknown(status))
		return false;
	faults_warn(&d->all->faults, d->line,
	    SETTING ": the DNS does not say (%s %s: %s) whether who sends mail for %s verifies "
		    "certificates",
	    dns_type_name(type), name, dns_status_name(status), d->name);
	return true;
}

static bool
has_policy(const struct domain *d, const char *at)
{
	for (size_t i = 0; i < answers_count(d->answers, DNS_TXT, at); i++)
		if (published_mta_sts(answers_txt(d->answers, at, i)))
			return true;
	return false;
}

static bool
has_dane(const struct domain *d, const char *at)
{
	if (!answers_secure(d->answers, DNS_TLSA, at))
		return false;
	for (size_t i = 0; i < answers_count(d->answers, DNS_TLSA, at); i++)
		if (dns_tlsa_usable(answers_tlsa(d->answers, at, i)))
			return true;
	return false;
}

/* One warning a domain says enough. */
static void
judge(const struct domain *d)
{
	char at[DNS_NAME_MAX + 16];
	const char *host;

	record_of("_mta-sts.", d->name, at);
	if (unknown(d, DNS_MX, d->name) || unknown(d, DNS_TXT, at))
		return;
	for (size_t i = 0; has_policy(d, at) && (host = host_of(d, i)) != NULL; i++)
		warn(d, host, "MTA-STS", at);
	for (size_t i = 0; (host = host_of(d, i)) != NULL; i++) {
		record_of("_25._tcp.", host, at);
		if (unknown(d, DNS_TLSA, at))
			return;
		if (has_dane(d, at))
			warn(d, host, "DANE", at);
	}
}

/* ---- questions ---- */

static void on_answers(void *domain);

static size_t
add_question(struct dns_question *to, size_t n, enum dns_type type, const char *name)
{
	return n + dns_question_set(&to[n], type, span_str(name));
}

static bool
ask(struct domain *d, const struct dns_question *q, size_t n)
{
	uint64_t now = clock_ms(), until = d->all->until;

	return resolver_ask(d->all->resolver, q, n, now < until ? (unsigned)(until - now) : 0,
		   d->answers, on_answers, d) != NULL;
}

static bool
ask_domain(struct domain *d)
{
	struct dns_question q[2];
	char at[DNS_NAME_MAX + 16];
	size_t n = add_question(q, 0, DNS_MX, d->name);

	record_of("_mta-sts.", d->name, at);
	return ask(d, q, add_question(q, n, DNS_TXT, at));
}

static bool
ask_hosts(struct domain *d)
{
	struct dns_question q[QUESTIONS_MAX];
	char at[DNS_NAME_MAX + 16];
	const char *host;
	size_t n = 0;

	for (size_t i = 0; i < HOSTS_MAX && (host = host_of(d, i)) != NULL; i++) {
		record_of("_25._tcp.", host, at);
		n = add_question(q, n, DNS_TLSA, at);
		n = add_question(q, n, DNS_A, host);
		n = add_question(q, n, DNS_AAAA, host);
	}
	d->hosts_asked = true;
	return n > 0 && ask(d, q, n);
}

static void
on_answers(void *domain)
{
	struct domain *d = domain;

	if (!d->hosts_asked && ask_hosts(d))
		return;
	if (--d->all->waiting == 0)
		event_base_loopbreak(d->all->base);
}

/* ---- all domains ---- */

static void
look_up(struct looking *all, struct domain *domains, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		domains[i].answers = answers_new();
		all->waiting += domains[i].answers != NULL && ask_domain(&domains[i]);
	}
	if (all->waiting > 0)
		event_base_dispatch(all->base);
	for (size_t i = 0; i < n; i++)
		judge(&domains[i]);
}

/* Those that can be asked for; how many. */
static size_t
take_domains(struct looking *all, struct domain *domains)
{
	size_t index, n = 0, left_out = 0;
	const struct setting *row =
	    config_setting_find(SECTION_RELAY, span_str("local_domains"), &index);
	cfg_t *section = config_tree_section(all->config->tree, SECTION_RELAY, 0);
	unsigned line = 0;

	for (unsigned i = 0; i < config_tree_count(section, row); i++) {
		struct span text = span_str(config_tree_text(section, row, i));
		struct domain *d = &domains[n];

		line = config_tree_line(section, row, i);
		if (span_starts(text, span_str(".")))
			continue;
		if (n == CHECK_PUBLISHED_DOMAINS) {
			left_out++;
			continue;
		}
		*d = (struct domain){.all = all, .line = line};
		n += domain_canonical(text, d->name);
	}
	if (left_out > 0)
		faults_warn(&all->faults, line,
		    SETTING ": %zu more than %d, and not looked up: whether who sends mail for "
			    "them verifies certificates",
		    left_out, CHECK_PUBLISHED_DOMAINS);
	return n;
}

/* NULL: *all is ready. */
static const char *
prepare(struct looking *all, struct config *quiet)
{
	const char *why = "out of memory";

	*quiet = *all->config;
	quiet->tls.key_log = NULL; /* nothing is said under TLS here */
	all->keys = tls_keys_new(quiet, &why);
	all->base = event_base_new();
	if (all->keys != NULL && all->base != NULL)
		all->resolver = resolver_new_validating(
		    all->base, all->config->resolvers, all->config->dnssec_anchors, &why);
	return all->resolver != NULL ? NULL : why;
}

void
check_published(const struct config *c, FILE *err)
{
	struct looking all = {.config = c, .until = clock_ms() + CHECK_PUBLISHED_MS};
	struct domain *domains;
	struct config quiet;
	const char *why;
	size_t n;

	if (c->tls.own.chain_pem.n == 0)
		return;
	faults_init(&all.faults);
	domains = calloc(CHECK_PUBLISHED_DOMAINS, sizeof(*domains));
	n = domains == NULL ? 0 : take_domains(&all, domains);
	why = domains == NULL ? "out of memory" : n == 0 ? NULL : prepare(&all, &quiet);
	if (why != NULL)
		faults_warn(&all.faults, 1, SETTING ": cannot be looked up: %s", why);
	else if (n > 0)
		look_up(&all, domains, n);
	faults_tell(&all.faults, config_text_name(c->path), err);
	for (size_t i = 0; i < n; i++)
		answers_free(domains[i].answers);
	resolver_free(all.resolver);
	if (all.base != NULL)
		event_base_free(all.base);
	tls_keys_free(all.keys);
	free(domains);
	faults_free(&all.faults);
}
