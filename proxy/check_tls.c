#include "check_tls.h"

#include "config_value.h"
#include "pem.h"
#include "tls_rules.h"

#define WORDS_MAX  192
#define NAMES_TOLD 5 /* of a certificate; further ones are counted */

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
say(const struct tls_judgement *j, enum protocol p, char text[WORDS_MAX])
{
	const struct tls_words *w = &words_of[p];
	const char *clear = !j->required	 ? ""
			    : p == PROTOCOL_SMTP ? "; no mail and no login in the clear"
						 : "; no login in the clear";

	if (j->action == TLS_INTERCEPT)
		snprintf(text, WORDS_MAX, "%s%s", w->intercepted, clear);
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
	bool inside, identity;
	uint16_t port;
	bool mail; /* of SMTP alone */
};

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
directions_of(const struct config *c, enum protocol p, struct direction out[4])
{
	const struct direction all[] = {
	    {"servers inside with a certificate", true, true, 0, false},
	    {c->n_certificates > 0 ? "other servers inside" : "servers inside", true, false, 0,
		false},
	    {"mail servers outside (port 25)", false, false, TLS_MAIL_PORT, true},
	    {p == PROTOCOL_SMTP ? "others outside" : "servers outside", false, false, 0, false},
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool there = !all[i].mail || p == PROTOCOL_SMTP;

		if (all[i].inside)
			there = all[i].identity ? c->n_certificates > 0 : !any_server_has_one(c);
		if (there)
			out[n++] = all[i];
	}
	return n;
}

void
check_print_tls_of(const struct config *c, enum protocol p, FILE *out)
{
	struct policy without_rules = *c->policy;
	struct direction directions[4];
	char text[4][WORDS_MAX];
	size_t n = directions_of(c, p, directions), different = 0;

	without_rules.n_tls_rules = 0;
	for (size_t i = 0; i < n; i++) {
		const struct facts facts = {
		    .client_inside = !directions[i].inside, .server_inside = directions[i].inside};
		const struct tls_query q = {.protocol = (enum tls_protocol)p,
		    .port = directions[i].port,
		    .identity = directions[i].identity};
		struct tls_judgement j;

		tls_judge(&without_rules, &facts, &q, &j);
		say(&j, p, text[i]);
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
	const char *comma = "";

	fprintf(out, "#   Rule \"%s\": ", rule->name);
	for (unsigned p = 0; p < PROTOCOL_COUNT; p++)
		if ((rule->protocols & 1u << p) != 0) {
			fprintf(out, "%s%s", comma, protocol_name((enum protocol)p));
			comma = ", ";
		}
	fprintf(out, "%s%s%s%s%s: %s%s.\n", rule->protocols != 0 ? ", " : "",
	    towards[rule->towards], networks_empty(rule->servers) ? "" : " of some networks",
	    networks_empty(rule->clients) ? "" : ", some clients",
	    domains_empty(rule->server_names) ? "" : ", some names (where the client says one)",
	    actions[rule->action], required[rule->required]);
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

/* ---- both legs ---- */

static void
print_legs(const struct config *c, FILE *out)
{
	static const char *const does[] = {[CHECK_OFF] = "not looked at",
	    [CHECK_REPORT] = "recorded, and let by",
	    [CHECK_ENFORCE] = "refused"};
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

void
check_print_tls(const struct config *c, FILE *out)
{
	print_rules(c->policy, out);
	if (!config_uses_tls(c))
		return;
	print_legs(c, out);
	for (size_t i = 0; i < c->n_certificates; i++)
		print_certificate(&c->certificates[i], out);
	if (c->tls.key_log != NULL)
		fprintf(out,
		    "# Warning: tls.key_log: the keys of all sessions are written to %s; whoever "
		    "has them reads everything.\n",
		    c->tls.key_log);
}
