#include "check_tls.h"

#include "ca.h"
#include "config_value.h"
#include "own_certificate.h"
#include "pem.h"
#include "tls_rules.h"

#define WORDS_MAX  192
#define NAMES_TOLD 5 /* of a certificate; further ones are counted */
#define OWN	   ", by the gateway's own certificate"

/* ---- one protocol ---- */

/* How a client asks for TLS, and what it hears. */
static const struct tls_words {
	const char *command, *refused, *hidden, *passed, *intercepted;
} words_of[PROTOCOL_COUNT] = {
    [PROTOCOL_SMTP] = {"STARTTLS", "454", "502", "", "looked into"},
    [PROTOCOL_FTP] = {"AUTH", "534", "502", ", and data connections are not opened",
	"looked into, data connections with it"},
    [PROTOCOL_POP3] = {"STLS", "-ERR", "-ERR", "", "looked into"},
    [PROTOCOL_IMAP] = {"STARTTLS", "NO", "BAD", "", "looked into"},
};

static void
say(const struct tls_judgement *j, enum protocol p, bool own, char text[WORDS_MAX])
{
	const struct tls_words *w = &words_of[p];
	const char *clear = !j->required	 ? ""
			    : p == PROTOCOL_SMTP ? "; no mail and no login in the clear"
						 : "; no login in the clear";

	if (j->action == TLS_INTERCEPT)
		snprintf(text, WORDS_MAX, "%s%s%s", w->intercepted, own ? OWN : "", clear);
	else if (j->action == TLS_PASS)
		snprintf(
		    text, WORDS_MAX, "let by; what follows is not looked at%s%s", w->passed, clear);
	else
		snprintf(text, WORDS_MAX, "%s (%s)%s%s", j->hidden ? "hidden" : "refused",
		    j->hidden ? w->hidden : w->refused,
		    strcmp(j->reason, "no_identity") == 0 ? ", there being no certificate to show"
							  : "",
		    clear);
}

/* Sessions that may be told apart, without rules. */
struct direction {
	const char *who;
	bool there; /* in this configuration, of this protocol */
	bool inside, identity;
	bool own; /* the gateway's certificate may be shown */
	uint16_t port;
};

#define DIRECTIONS_MAX 5

static bool
any_server_has_one(const struct config *c)
{
	for (size_t i = 0; i < c->n_certificates; i++)
		if (networks_empty(c->certificates[i].servers))
			return true;
	return false;
}

/* Returns how many. */
static size_t
directions_of(const struct config *c, enum protocol p, struct direction out[DIRECTIONS_MAX])
{
	const bool ca = c->tls.ca[CA_TRUSTED].chain != NULL;
	const bool smtp = p == PROTOCOL_SMTP;
	const bool own = smtp && c->tls.own.chain_pem.n > 0, all_have = any_server_has_one(c);
	const struct direction all[] = {
	    {"servers inside with a certificate", c->n_certificates > 0, true, true, false, 0},
	    {"mail from outside (port 25) to servers inside without", own && !all_have, true, false,
		true, TLS_MAIL_PORT},
	    {own			? "all else to servers inside without"
		: c->n_certificates > 0 ? "other servers inside"
					: "servers inside",
		!all_have, true, false, false, 0},
	    {"mail servers outside (port 25)", smtp, false, ca, false, TLS_MAIL_PORT},
	    {smtp ? "others outside" : "servers outside", true, false, ca, false, 0},
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].there)
			out[n++] = all[i];
	return n;
}

void
check_print_tls_of(const struct config *c, enum protocol p, FILE *out)
{
	struct policy without_rules = *c->policy;
	struct direction directions[DIRECTIONS_MAX];
	char text[DIRECTIONS_MAX][WORDS_MAX];
	size_t n = directions_of(c, p, directions), different = 0;

	without_rules.n_tls_rules = 0;
	for (size_t i = 0; i < n; i++) {
		const struct facts facts = {
		    .client_inside = !directions[i].inside, .server_inside = directions[i].inside};
		const struct tls_query q = {.protocol = (enum tls_protocol)p,
		    .port = directions[i].port,
		    .asked = directions[i].port,
		    .own = directions[i].own,
		    .identity = directions[i].identity};
		struct tls_judgement j;

		tls_judge(&without_rules, &facts, &q, &j);
		say(&j, p, directions[i].own, text[i]);
		different += strcmp(text[i], text[0]) != 0;
	}
	for (size_t i = 0; i < (different > 0 ? n : 1); i++)
		fprintf(out, "#   TLS (%s)%s%s: %s.\n", words_of[p].command,
		    different > 0 ? ", " : "", different > 0 ? directions[i].who : "", text[i]);
}

/* ---- rules ---- */

static void
print_rule(const struct tls_rule *rule, FILE *out)
{
	static const char *const towards[] = {[TLS_ANYBODY] = "any server",
	    [TLS_INSIDE] = "servers inside",
	    [TLS_OUTSIDE] = "servers outside"};
	static const char *const required[] = {[REQUIRED_AUTO] = "",
	    [REQUIRED_NO] = ", and may be done without",
	    [REQUIRED_YES] = ", and is required"};
	static const char *const actions[] = {
	    [TLS_INTERCEPT] = "looked into", [TLS_PASS] = "let by", [TLS_REFUSE] = "refused"};
	static const char *const upstream[] = {[UPSTREAM_SAME] = "",
	    [UPSTREAM_STARTTLS] = "; the gateway asks the server for TLS itself",
	    [UPSTREAM_TLS] = "; the server is under TLS, whatever the client is",
	    [UPSTREAM_PLAIN] = "; the server is in the clear, though the client is under TLS"};
	const char *comma = "";

	fprintf(out, "#   Rule \"%s\": ", rule->name);
	for (unsigned p = 0; p < PROTOCOL_COUNT; p++)
		if ((rule->protocols & 1u << p) != 0) {
			fprintf(out, "%s%s", comma, protocol_name((enum protocol)p));
			comma = ", ";
		}
	fprintf(out, "%s%s%s%s%s: %s%s%s%s%s%s.\n", rule->protocols != 0 ? ", " : "",
	    towards[rule->towards], networks_empty(rule->servers) ? "" : " of some networks",
	    networks_empty(rule->clients) ? "" : ", some clients",
	    domains_empty(rule->server_names) ? "" : ", some names (where the client says one)",
	    actions[rule->action], required[rule->required], upstream[rule->upstream],
	    rule->client_certificate != NULL ? "; shown where asked for: client certificate \""
					     : "",
	    rule->client_certificate != NULL ? rule->client_certificate : "",
	    rule->client_certificate != NULL ? "\"" : "");
}

static void
print_rules(const struct policy *p, FILE *out)
{
	if (p->n_tls_rules == 0)
		return;
	fputs(
	    "# What becomes of TLS: the first of these that holds, else what stands above.\n", out);
	for (size_t i = 0; i < p->n_tls_rules; i++)
		print_rule(&p->tls_rules[i], out);
}

/* ---- certificates ---- */

static void
print_names(char *const *names, FILE *out)
{
	size_t n = 0;

	for (; names != NULL && names[n] != NULL; n++)
		if (n < NAMES_TOLD)
			fprintf(out, "%s%s", n > 0 ? ", " : "", names[n]);
	if (n > NAMES_TOLD)
		fprintf(out, " and %zu more", n - NAMES_TOLD);
	if (n == 0)
		fputs("no name", out);
}

static void
print_end(X509 *leaf, FILE *out)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm) == 1)
		fprintf(out, "; valid until %04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1,
		    tm.tm_mday);
}

static void
print_own_certificate(const struct certificate *own, FILE *out)
{
	STACK_OF(X509) *chain = own->chain_pem.n == 0 ? NULL : pem_certificates(own->chain_pem);
	X509 *leaf = chain == NULL ? NULL : sk_X509_value(chain, 0);

	if (leaf == NULL)
		return;
	fprintf(out, "#   Own certificate, for mail from outside (port 25) alone: %s",
	    own->chain != NULL ? own->chain : OWN_CERTIFICATE_PATH);
	print_end(leaf, out);
	fputs(".\n", out);
	pem_certificates_free(chain);
}

static void
print_certificate(const struct certificate *c, FILE *out)
{
	STACK_OF(X509) *chain = c->chain_pem.n == 0 ? NULL : pem_certificates(c->chain_pem);
	X509 *leaf = chain == NULL ? NULL : sk_X509_value(chain, 0);
	bool named = c->names != NULL && c->names[0] != NULL;
	char **names = named || leaf == NULL ? NULL : pem_names(leaf);

	fprintf(out, "#   Certificate \"%s\": for ", c->name);
	print_names(named ? c->names : names, out);
	fputs(networks_empty(c->servers) ? ", and any server inside where no other is"
					 : ", and servers of its networks",
	    out);
	if (leaf != NULL)
		print_end(leaf, out);
	fputs(".\n", out);
	config_words_free(names);
	pem_certificates_free(chain);
}

static void
print_client_certificate(const struct certificate *c, FILE *out)
{
	STACK_OF(X509) *chain = c->chain_pem.n == 0 ? NULL : pem_certificates(c->chain_pem);

	fprintf(out, "#   Client certificate \"%s\": for servers that ask, by rule", c->name);
	if (chain != NULL)
		print_end(sk_X509_value(chain, 0), out);
	fputs(".\n", out);
	pem_certificates_free(chain);
}

/* ---- CAs of our own ---- */

static void
print_authority(const struct tls_authority *ca, const char *does, FILE *out)
{
	STACK_OF(X509) *chain = ca->chain_pem.n == 0 ? NULL : pem_certificates(ca->chain_pem);

	fprintf(out, "#   %s: %s", ca->chain, does);
	if (chain != NULL)
		print_end(sk_X509_value(chain, 0), out);
	fputs(".\n", out);
	pem_certificates_free(chain);
}

static void
print_authorities(const struct config *c, FILE *out)
{
	if (c->tls.ca[CA_TRUSTED].chain == NULL)
		return;
	fputs(
	    "# Clients of servers outside are shown certificates that are made on the way, signed "
	    "by one of two CAs (postern ca show):\n",
	    out);
	print_authority(&c->tls.ca[CA_TRUSTED],
	    "for servers that were verified; clients have to trust it", out);
	print_authority(&c->tls.ca[CA_UNTRUSTED],
	    "for servers that were not, and are let by; no client may trust it", out);
}

/* ---- both legs ---- */

static void
print_legs(const struct config *c, FILE *out)
{
	static const char *const does[] = {[VERIFY_OFF] = "not looked at",
	    [VERIFY_REPORT] = "recorded, and let by",
	    [VERIFY_UNTRUSTED] = "let by, and the client is shown what nobody trusts",
	    [VERIFY_ENFORCE] = "refused"};
	const struct tls_config *t = &c->tls;
	STACK_OF(X509) *anchors = t->trust_pem.n == 0 ? NULL : pem_certificates(t->trust_pem);

	fprintf(out,
	    "# TLS %s and newer, on both legs. Server certificates that cannot be verified: %s; "
	    "inside: %s.\n#   %d trust anchors%s%s.\n",
	    t->minimum == TLS_MINIMUM_1_3 ? "1.3" : "1.2", does[t->verify], does[t->verify_inside],
	    anchors == NULL ? 0 : sk_X509_num(anchors),
	    t->trust != NULL ? ", of " : ", the system's", t->trust != NULL ? t->trust : "");
	pem_certificates_free(anchors);
}

/* What is usual goes without saying. */
static void
print_stripped(const struct config *c, FILE *out)
{
	if (c->tls.stripped != CHECK_REPORT)
		fprintf(out, "# Servers that offered STARTTLS within 30 days and do not now: %s.\n",
		    c->tls.stripped == CHECK_OFF ? "nobody looks" : "the session ends");
}

static void
print_published(const struct config *c, FILE *out)
{
	if (config_asks_published(c))
		fprintf(out,
		    "# Mail servers outside (port 25) whose senders verify certificates (DANE, "
		    "MTA-STS): let by%s.\n",
		    c->policy->published == PUBLISHED_PASS
			? ", also where the DNS does not say whether they do"
			: "");
}

void
check_print_tls(const struct config *c, FILE *out)
{
	print_stripped(c, out);
	print_rules(c->policy, out);
	print_published(c, out);
	if (!config_uses_tls(c))
		return;
	print_legs(c, out);
	for (size_t i = 0; i < c->n_certificates; i++)
		print_certificate(&c->certificates[i], out);
	for (size_t i = 0; i < c->n_client_certificates; i++)
		print_client_certificate(&c->client_certificates[i], out);
	print_authorities(c, out);
	print_own_certificate(&c->tls.own, out);
	if (c->tls.key_log != NULL)
		fprintf(out,
		    "# Warning: tls.key_log: the keys of all sessions are written to %s; whoever "
		    "has them reads everything.\n",
		    c->tls.key_log);
}
