#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "ftp_rules.h"
#include "retrieval_rules.h"
#include "smtp/command.h"
#include "tls_rules.h"

/* A question, and how it is answered: "action rule reason", with "required" where it is. */
struct asked {
	const char *client, *server;
	bool inside; /* the server; the client is elsewhere */
	struct tls_query q;
};

static struct ip
address(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(span_str(text), &ip));
	return ip;
}

static const char *
judged(const struct policy *policy, const struct asked *a)
{
	static char text[128];
	struct facts facts = {.client = address(a->client),
	    .server = address(a->server),
	    .client_inside = !a->inside,
	    .server_inside = a->inside};
	struct tls_judgement j;

	tls_judge(policy, &facts, &a->q, &j);
	snprintf(text, sizeof(text), "%s %s %s%s%s", tls_action_name(j.action), j.rule, j.reason,
	    j.hidden ? " hidden" : "", j.required ? " required" : "");
	return text;
}

static struct policy *
policy_of(enum starttls word)
{
	struct policy *p = policy_new();

	assert_non_null(p);
	p->starttls = p->ftp.starttls = p->pop3.starttls = p->imap.starttls = word;
	return p;
}

static struct asked
asks(enum tls_protocol protocol, bool inside, bool identity)
{
	return (struct asked){.client = "192.0.2.1",
	    .server = "10.0.0.25",
	    .inside = inside,
	    .q = {.protocol = protocol, .port = 143, .identity = identity}};
}

/* ---- starttls ---- */

static void
test_words_decide_where_no_rule_does(void **state)
{
	static const struct {
		enum starttls word;
		bool identity;
		const char *want;
		enum starttls effect;
	} rows[] = {
	    {STARTTLS_PASS, true, "passed starttls pass", STARTTLS_PASS},
	    {STARTTLS_REFUSE, true, "refused starttls refuse", STARTTLS_REFUSE},
	    {STARTTLS_HIDE, true, "refused starttls hide hidden", STARTTLS_HIDE},
	    {STARTTLS_INTERCEPT, true, "intercepted starttls intercept", STARTTLS_INTERCEPT},
	    {STARTTLS_INTERCEPT, false, "refused starttls no_identity", STARTTLS_REFUSE},
	    {STARTTLS_REQUIRE, true, "intercepted starttls require required", STARTTLS_INTERCEPT},
	    {STARTTLS_REQUIRE, false, "refused starttls no_identity required", STARTTLS_REFUSE},
	    {STARTTLS_AUTO, true, "intercepted starttls auto", STARTTLS_INTERCEPT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned protocol = TLS_FTP; protocol <= TLS_IMAP; protocol++) {
			struct policy *p = policy_of(rows[i].word);
			struct asked a = asks((enum tls_protocol)protocol, true, rows[i].identity);
			struct facts facts = {.server_inside = true};
			struct tls_judgement j;

			assert_string_equal(judged(p, &a), rows[i].want);
			tls_judge(p, &facts, &a.q, &j);
			assert_int_equal(tls_word(&j), rows[i].effect);
			policy_free(p);
		}
}

/* As ever: mail passes where no check would go blind, the others are refused. */
static void
test_auto_without_an_identity(void **state)
{
	struct policy *p = policy_of(STARTTLS_AUTO);
	struct asked in = asks(TLS_SMTP, true, false), out = asks(TLS_SMTP, false, false);

	(void)state;
	assert_string_equal(judged(p, &in), "refused starttls would_go_blind");
	assert_string_equal(judged(p, &out), "passed starttls auto");
	in.q.implicit = true;
	assert_string_equal(judged(p, &in), "refused starttls would_go_blind");
	p->relay.check = p->sender.check = CHECK_REPORT;
	assert_string_equal(judged(p, &in), "passed starttls auto");
	for (unsigned protocol = TLS_FTP; protocol <= TLS_IMAP; protocol++) {
		struct asked a = asks((enum tls_protocol)protocol, true, false);

		if (protocol == TLS_SMTP)
			continue;
		assert_string_equal(judged(p, &a), "refused starttls auto");
		a.q.implicit = true; /* what was taken off the wire for nothing goes on */
		assert_string_equal(judged(p, &a), "passed starttls auto");
	}
	policy_free(p);
}

static void
test_T_014_mail_between_servers_passes_unless_a_rule_says_otherwise(void **state)
{
	struct policy *p = policy_of(STARTTLS_AUTO);
	struct asked a = asks(TLS_SMTP, false, true);

	(void)state;
	a.q.port = TLS_MAIL_PORT;
	assert_string_equal(judged(p, &a), "passed starttls between_servers");
	a.q.port = 587;
	assert_string_equal(judged(p, &a), "intercepted starttls auto");
	a.q.port = TLS_MAIL_PORT;
	a.inside = true; /* somebody's mail for us */
	assert_string_equal(judged(p, &a), "intercepted starttls auto");
	a.inside = false;
	p->starttls = STARTTLS_INTERCEPT;
	assert_string_equal(judged(p, &a), "intercepted starttls intercept");
	policy_free(p);
}

/* For whoever takes any certificate: STARTTLS from outside to inside, at port 25. */
static void
test_the_gateways_own_certificate_is_for_mail_from_outside(void **state)
{
	static const struct {
		const char *what, *want;
		enum tls_protocol protocol;
		bool inside, implicit, identity;
		unsigned asked;
	} rows[] = {
	    {"mail", "intercepted starttls own_certificate", TLS_SMTP, true, false, false, 25},
	    {"one is kept", "intercepted starttls auto", TLS_SMTP, true, false, true, 25},
	    {"roaming users", "refused starttls would_go_blind", TLS_SMTP, true, false, false, 587},
	    {"from the first octet on", "refused starttls would_go_blind", TLS_SMTP, true, true,
		false, 25},
	    {"to outside", "passed starttls auto", TLS_SMTP, false, false, false, 25},
	    {"POP3", "refused starttls auto", TLS_POP3, true, false, false, 25},
	};
	struct policy *p = policy_of(STARTTLS_AUTO);
	struct asked a;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		a = asks(rows[i].protocol, rows[i].inside, rows[i].identity);
		a.q.own = true;
		a.q.asked = (uint16_t)rows[i].asked;
		a.q.implicit = rows[i].implicit;
		if (strcmp(judged(p, &a), rows[i].want) != 0)
			fail_msg("%s: %s", rows[i].what, judged(p, &a));
	}
	a = asks(TLS_SMTP, true, false);
	a.q.asked = TLS_MAIL_PORT;
	assert_string_equal(judged(p, &a), "refused starttls would_go_blind");
	a.q.own = true;
	p->starttls = STARTTLS_INTERCEPT;
	assert_string_equal(judged(p, &a), "intercepted starttls intercept");
	p->starttls = STARTTLS_PASS;
	assert_string_equal(judged(p, &a), "passed starttls pass");
	policy_free(p);
}

/* What is asked for first is for mail from server to server that would be intercepted. */
static void
test_T_014_when_what_is_published_is_asked_for(void **state)
{
	static const struct {
		enum starttls word;
		bool inside, implicit;
		unsigned port;
		enum published published;
		bool want;
	} rows[] = {
	    {STARTTLS_INTERCEPT, false, false, 25, PUBLISHED_PASS, true},
	    {STARTTLS_REQUIRE, false, false, 25, PUBLISHED_KNOWN, true},
	    {STARTTLS_INTERCEPT, false, false, 25, PUBLISHED_IGNORE, false},
	    {STARTTLS_INTERCEPT, false, false, 587, PUBLISHED_PASS, false},
	    {STARTTLS_INTERCEPT, false, true, 25, PUBLISHED_PASS, false},
	    {STARTTLS_INTERCEPT, true, false, 25, PUBLISHED_PASS, false},
	    {STARTTLS_AUTO, false, false, 25, PUBLISHED_PASS, false},
	    {STARTTLS_REFUSE, false, false, 25, PUBLISHED_PASS, false},
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy *p = policy_of(rows[i / 2].word);
		const struct facts facts = {
		    .client_inside = !rows[i / 2].inside, .server_inside = rows[i / 2].inside};
		const struct tls_query q = {.protocol = TLS_SMTP,
		    .port = (uint16_t)rows[i / 2].port,
		    .implicit = rows[i / 2].implicit,
		    .identity = i % 2 == 0}; /* with nothing to show, too */
		struct tls_judgement j;

		p->published = rows[i / 2].published;
		tls_judge(p, &facts, &q, &j);
		if (j.unless_published != rows[i / 2].want)
			fail_msg("row %zu", i / 2);
		policy_free(p);
	}
}

/* ---- rules ---- */

static struct tls_rule *
add_rule(struct policy *p, const char *name, enum tls_action action)
{
	struct tls_rule *rule;

	p->tls_rules = realloc(p->tls_rules, (p->n_tls_rules + 1) * sizeof(*p->tls_rules));
	assert_non_null(p->tls_rules);
	rule = &p->tls_rules[p->n_tls_rules++];
	*rule = (struct tls_rule){.name = strdup(name), .action = action};
	assert_true(tls_rule_begin(rule));
	return rule;
}

static void
test_T_022_first_rule_that_holds_decides(void **state)
{
	struct policy *p = policy_of(STARTTLS_REQUIRE);
	struct asked a = asks(TLS_IMAP, true, true);
	struct tls_rule *rule;
	const char *why;

	(void)state;
	rule = add_rule(p, "names", TLS_PASS);
	assert_true(domains_add(rule->server_names, ".bank.example", &why));
	rule = add_rule(p, "outside", TLS_REFUSE);
	rule->towards = TLS_OUTSIDE;
	rule = add_rule(p, "imap", TLS_PASS);
	rule->protocols = 1u << TLS_IMAP | 1u << TLS_POP3;
	rule->required = REQUIRED_NO;
	assert_true(networks_add(rule->clients, "192.0.2.0/24", &why));
	assert_true(networks_add(rule->servers, "10.0.0.25", &why));
	add_rule(p, "rest", TLS_INTERCEPT);
	policy_seal(p);
	assert_string_equal(judged(p, &a), "passed imap rule");
	a.q.protocol = TLS_SMTP;
	assert_string_equal(judged(p, &a), "intercepted rest rule required");
	a.q.protocol = TLS_POP3;
	assert_string_equal(judged(p, &a), "passed imap rule");
	a.server = "10.0.0.26";
	assert_string_equal(judged(p, &a), "intercepted rest rule required");
	a.server = "10.0.0.25";
	a.client = "192.0.3.1";
	assert_string_equal(judged(p, &a), "intercepted rest rule required");
	a.q.identity = false;
	assert_string_equal(judged(p, &a), "refused rest no_identity required");
	a.inside = false;
	assert_string_equal(judged(p, &a), "refused outside rule required");
	/* a name that is not known, or is none, is in no list */
	a.q.name = span_str("WWW.Bank.Example.");
	assert_string_equal(judged(p, &a), "passed names rule required");
	a.q.name = span_str("bank.example");
	assert_string_equal(judged(p, &a), "refused outside rule required");
	a.q.name = span_str("not a name");
	assert_string_equal(judged(p, &a), "refused outside rule required");
	policy_free(p);
}

/* A weaker leg is for the servers of its rule alone. */
static void
test_T_006_exceptions_are_of_their_rule(void **state)
{
	struct policy *p = policy_of(STARTTLS_AUTO);
	const struct tls_query q = {.protocol = TLS_IMAP, .identity = true};
	struct facts facts = {.server = address("10.0.0.25"), .server_inside = true};
	struct tls_rule *rule = add_rule(p, "old", TLS_INTERCEPT);
	struct tls_judgement j;
	const char *why;

	(void)state;
	rule->old_versions = true;
	rule->verify = VERIFY_REPORT;
	rule->client_certificate = strdup("us");
	assert_true(networks_add(rule->servers, "10.0.0.25", &why));
	policy_seal(p);
	tls_judge(p, &facts, &q, &j);
	assert_true(j.old_versions);
	assert_int_equal(j.verify, VERIFY_REPORT);
	assert_string_equal(j.client_certificate, "us");
	facts.server = address("10.0.0.26");
	tls_judge(p, &facts, &q, &j);
	assert_false(j.old_versions);
	assert_int_equal(j.verify, VERIFY_AUTO);
	assert_null(j.client_certificate);
	policy_free(p);
}

/* A client in the clear needs no certificate to be shown; FTP has none of it. */
static void
test_N_022_one_leg_alone_by_rule(void **state)
{
	struct policy *p = policy_of(STARTTLS_AUTO);
	struct tls_query q = {.protocol = TLS_IMAP};
	struct facts facts = {.server = address("10.0.0.25"), .server_inside = true};
	struct tls_rule *rule = add_rule(p, "old", TLS_INTERCEPT);
	struct tls_judgement j;
	const char *why;

	(void)state;
	rule->upstream = UPSTREAM_STARTTLS;
	rule->upstream_name = strdup("mx.example");
	assert_true(networks_add(rule->servers, "10.0.0.25", &why));
	policy_seal(p);
	tls_judge(p, &facts, &q, &j);
	assert_int_equal(j.upstream, UPSTREAM_STARTTLS);
	assert_int_equal(j.action, TLS_INTERCEPT);
	assert_string_equal(j.upstream_name, "mx.example");
	q.implicit = true;
	tls_judge(p, &facts, &q, &j);
	assert_int_equal(j.action, TLS_REFUSE);
	q.implicit = false;
	q.protocol = TLS_FTP;
	tls_judge(p, &facts, &q, &j);
	assert_int_equal(j.upstream, UPSTREAM_STARTTLS);
	assert_int_equal(j.action, TLS_INTERCEPT);
	rule->upstream = UPSTREAM_PLAIN;
	q.protocol = TLS_SMTP;
	tls_judge(p, &facts, &q, &j);
	assert_int_equal(j.action, TLS_REFUSE);
	facts.server = address("10.0.0.26");
	q.identity = true;
	tls_judge(p, &facts, &q, &j);
	assert_int_equal(j.upstream, UPSTREAM_SAME);
	policy_free(p);
}

/* The longest address fits; its colons are none of a name's. */
static void
test_T_012_the_rule_that_would_pass_a_server(void **state)
{
	static const struct {
		const char *server;
		enum tls_protocol protocol;
		const char *rule;
	} rows[] = {
	    {"10.0.0.25", TLS_SMTP,
		"tls_rule \"pass-10.0.0.25\" { protocols = {\"smtp\"} servers = {\"10.0.0.25\"} "
		"action = pass }"},
	    {"2001:db8:1234:5678:9abc:def0:1234:5678", TLS_IMAP,
		"tls_rule \"pass-2001-db8-1234-5678-9abc-def0-1234-5678\" { protocols = {\"imap\"} "
		"servers = {\"2001:db8:1234:5678:9abc:def0:1234:5678\"} action = pass }"},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct facts facts = {.server = address(rows[i].server)};
		const struct tls_query q = {.protocol = rows[i].protocol};
		char text[TLS_RULE_TEXT];

		tls_rule_to_pass(&facts, &q, false, text);
		assert_string_equal(text, rows[i].rule);
	}
}

static void
test_T_013_the_rule_that_lets_one_client_by(void **state)
{
	const struct facts facts = {.client = address("10.0.0.9"), .server = address("192.0.2.25")};
	const struct tls_query q = {.protocol = TLS_IMAP};
	char text[TLS_RULE_TEXT];

	(void)state;
	tls_rule_to_pass(&facts, &q, true, text);
	assert_string_equal(text,
	    "tls_rule \"pass-192.0.2.25\" { protocols = {\"imap\"} clients = {\"10.0.0.9\"} "
	    "servers = {\"192.0.2.25\"} action = pass }");
}

/* ---- in the clear, where TLS is required ---- */

static const char *
smtp_says(const struct policy *p, const struct facts *facts, enum smtp_verb verb)
{
	static struct verdict v;
	struct smtp_verb_row row = {.verb = verb};
	struct smtp_detail detail = {.verb = &row, .fault = SMTP_OK};
	struct an_event ev = {.kind = EV_COMMAND, .smtp = &detail};

	policy_judge(p, facts, &ev, NULL, &v);
	return v.reply;
}

static void
test_N_013_no_mail_in_the_clear_where_TLS_is_required(void **state)
{
	static const enum smtp_verb refused[] = {
	    SMTP_AUTH, SMTP_MAIL, SMTP_RCPT, SMTP_DATA, SMTP_BDAT, SMTP_VRFY, SMTP_UNKNOWN};
	struct policy *p = policy_of(STARTTLS_AUTO);
	struct facts facts = {.client_inside = true, .tls_required = true};

	(void)state;
	facts.starttls = STARTTLS_INTERCEPT;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_string_equal(smtp_says(p, &facts, refused[i]),
		    "530 5.7.0 Must issue a STARTTLS command first");
	assert_string_equal(smtp_says(p, &facts, SMTP_STARTTLS), "");
	assert_string_equal(smtp_says(p, &facts, SMTP_QUIT), "");
	facts.tls = true;
	assert_string_equal(smtp_says(p, &facts, SMTP_AUTH), "");
	p->auth_requires_tls = true; /* it has it */
	assert_string_equal(smtp_says(p, &facts, SMTP_AUTH), "");
	policy_free(p);
}

/* What tls_judge() said stands in place of the policy's word. */
static void
test_facts_say_what_STARTTLS_gets(void **state)
{
	struct policy *p = policy_of(STARTTLS_REFUSE);
	struct facts facts = {.client_inside = true};

	(void)state;
	assert_string_equal(
	    smtp_says(p, &facts, SMTP_STARTTLS), "454 4.7.0 TLS not available due to local policy");
	facts.starttls = STARTTLS_INTERCEPT;
	assert_string_equal(smtp_says(p, &facts, SMTP_STARTTLS), "");
	facts.starttls = STARTTLS_HIDE;
	assert_string_equal(
	    smtp_says(p, &facts, SMTP_STARTTLS), "502 5.5.1 Error: command not implemented");
	policy_free(p);
}

static void
test_no_login_in_the_clear_where_TLS_is_required(void **state)
{
	struct retrieval_policy p = {.starttls = STARTTLS_INTERCEPT, .needs_tls = true};
	struct ftp_policy f = {.starttls = STARTTLS_INTERCEPT, .needs_tls = true};

	(void)state;
	assert_false(pop3_capability_passes(&p, span_str("USER")));
	assert_false(pop3_capability_passes(&p, span_str("SASL PLAIN")));
	assert_true(pop3_capability_passes(&p, span_str("STLS")));
	assert_false(imap_capability_passes(&p, span_str("AUTH=PLAIN")));
	assert_true(imap_capability_passes(&p, span_str("STARTTLS")));
	p.needs_tls = false;
	assert_true(pop3_capability_passes(&p, span_str("USER")));
	assert_true(imap_capability_passes(&p, span_str("AUTH=PLAIN")));
	for (int i = 0; i < 2; i++) {
		struct span args = span_str(i == 0 ? "USER u" : "AUTH TLS");
		struct span verb = span_word(&args);
		struct ftp_detail detail = {.verb = ftp_verb_find(verb), .args = args};
		struct an_event ev = {.kind = EV_COMMAND, .ftp = &detail};
		const struct ftp_facts facts = {.epsv_all = false};
		struct verdict v;

		f.user_max = 64;
		ftp_judge(&f, &facts, &ev, &v);
		assert_string_equal(v.reply, i == 0 ? "530 Use AUTH TLS first." : "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_T_013_the_rule_that_lets_one_client_by),
	    cmocka_unit_test(test_words_decide_where_no_rule_does),
	    cmocka_unit_test(test_auto_without_an_identity),
	    cmocka_unit_test(test_T_014_mail_between_servers_passes_unless_a_rule_says_otherwise),
	    cmocka_unit_test(test_the_gateways_own_certificate_is_for_mail_from_outside),
	    cmocka_unit_test(test_T_014_when_what_is_published_is_asked_for),
	    cmocka_unit_test(test_T_022_first_rule_that_holds_decides),
	    cmocka_unit_test(test_T_006_exceptions_are_of_their_rule),
	    cmocka_unit_test(test_N_022_one_leg_alone_by_rule),
	    cmocka_unit_test(test_T_012_the_rule_that_would_pass_a_server),
	    cmocka_unit_test(test_N_013_no_mail_in_the_clear_where_TLS_is_required),
	    cmocka_unit_test(test_facts_say_what_STARTTLS_gets),
	    cmocka_unit_test(test_no_login_in_the_clear_where_TLS_is_required),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
