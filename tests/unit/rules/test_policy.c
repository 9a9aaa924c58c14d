#include "trial.h"

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(check_name(CHECK_OFF), "off");
	assert_string_equal(check_name(CHECK_REPORT), "report");
	assert_string_equal(check_name(CHECK_ENFORCE), "enforce");
}

static void
test_new(void **state)
{
	struct policy *policy = policy_new();

	(void)state;
	assert_int_equal(policy->relay.check, CHECK_ENFORCE);
	assert_int_equal(policy->sender.check, CHECK_ENFORCE);
	assert_int_equal(policy->sender.dead_mx, CHECK_OFF);
	assert_int_equal(policy->client_name.check, CHECK_OFF);
	assert_true(addresses_empty(policy->senders.deny));
	assert_true(addresses_empty(policy->recipients.allow));
	assert_int_equal(policy->starttls, STARTTLS_AUTO);
	assert_true(networks_empty(policy->inside));
	assert_true(networks_empty(policy->smtp_servers));
	assert_true(domains_empty(policy->relay.local_domains));
	assert_false(policy->relay.by_mx);
	policy_free(policy);
	policy_free(NULL);
}

static void
test_others_pass(void **state)
{
	static const char *const lines[] = {
	    "NOOP", "RSET", "QUIT", "HELP", "DATA", "AUTH PLAIN AHUAcA=="};
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.exts |= SMTP_EXT_AUTH | SMTP_EXT_HELP;
	for (size_t i = 0; i < nitems(lines); i++) {
		trial_judge(&t, lines[i]);
		assert_said(&t, NULL, "none", "none");
	}
	trial_end(&t);
}

static void
test_other_events(void **state)
{
	static const enum an_kind kinds[] = {EV_SECRET, EV_REPLY, EV_BODY, EV_BODY_END, EV_ANOMALY};
	struct trial t;

	(void)state;
	trial_begin(&t);
	for (size_t i = 0; i < nitems(kinds); i++) {
		struct an_event ev = {.kind = kinds[i]};

		policy_judge(t.policy, &t.facts, &ev, NULL, &t.verdict);
		assert_said(&t, NULL, "none", "none");
	}
	trial_end(&t);
}

static void
test_servers(void **state)
{
	const char *why;
	struct trial t;

	(void)state;
	trial_begin(&t);
	assert_true(networks_add(t.policy->smtp_servers, "192.0.2.25", &why));
	policy_seal(t.policy);
	trial_judge(&t, "RCPT TO:<u@local.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	t.facts.server = ip_of("192.0.2.26");
	trial_judge(&t, "RCPT TO:<u@local.example>");
	assert_said(&t, "550 5.7.1 <u@local.example>...", "servers", "not_a_mail_server");
	t.policy->relay.check = CHECK_OFF;
	t.policy->sender.check = CHECK_OFF;
	trial_judge(&t, "RCPT TO:<postmaster>");
	assert_said(&t, "550 5.7.1 <postmaster>...", "servers", "not_a_mail_server");
	trial_judge(&t, "STARTTLS"); /* nobody would see the RCPT behind it */
	assert_said(&t, "454 4.7.0", "starttls", "would_go_blind");
	t.facts.client_inside = true;
	trial_judge(&t, "RCPT TO:<u@local.example>");
	assert_said(&t, NULL, "relay", "off");
	t.facts.client_inside = false;
	t.facts.server_inside = false;
	trial_judge(&t, "RCPT TO:<u@local.example>");
	assert_said(&t, NULL, "relay", "off");
	trial_end(&t);
}

static void
test_multi_bounce(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.facts.null_sender = true;
	t.facts.recipients = 1;
	trial_judge(&t, "RCPT TO:<u@local.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	t.policy->refuse_multi_bounce = true;
	trial_judge(&t, "RCPT TO:<u@local.example>");
	assert_said(&t, "550 5.5.3 <u@local.example>...", "bounce", "multi_recipient");
	t.facts.recipients = 0;
	trial_judge(&t, "RCPT TO:<u@local.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	t.facts.recipients = 1;
	t.facts.null_sender = false;
	trial_judge(&t, "RCPT TO:<u@local.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	trial_end(&t);
}

static void
test_probes(void **state)
{
	static const char *const lines[][3] = {{"VRFY u@evil.example", "252 2.5.2 ", "vrfy"},
	    {"EXPN list", "502 5.5.1 ", "expn"}, {"ETRN evil.example", "502 5.5.1 ", "etrn"}};
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.exts |= SMTP_EXT_VRFY | SMTP_EXT_EXPN | SMTP_EXT_ETRN;
	for (size_t i = 0; i < nitems(lines); i++) {
		trial_judge(&t, lines[i][0]);
		assert_said(&t, lines[i][1], "commands", lines[i][2]);
		t.policy->relay.check = CHECK_REPORT;
		trial_judge(&t, lines[i][0]);
		assert_would_say(&t, lines[i][1], lines[i][2]);
		t.policy->relay.check = CHECK_OFF;
		trial_judge(&t, lines[i][0]);
		assert_said(&t, NULL, "commands", "off");
		t.policy->relay.check = CHECK_ENFORCE;
		t.facts.client_inside = true;
		trial_judge(&t, lines[i][0]);
		assert_said(&t, NULL, "commands", "client_inside");
		t.facts.client_inside = false;
		t.facts.server_inside = false;
		trial_judge(&t, lines[i][0]);
		assert_said(&t, NULL, "commands", "transit");
		t.facts.server_inside = true;
	}
	trial_end(&t);
}

/* Not even from inside, with every check off. */
static void
test_forged_origin(void **state)
{
	static const char *const lines[] = {
	    "XCLIENT ADDR=192.0.2.1", "XFORWARD NAME=a", "xclient", "XFORWARD"};
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.policy->relay.check = CHECK_OFF;
	t.policy->sender.check = CHECK_OFF;
	t.facts.client_inside = true;
	for (size_t i = 0; i < nitems(lines); i++) {
		trial_judge(&t, lines[i]);
		assert_said(&t, "550 5.7.0 ", "commands", "forged_origin");
	}
	trial_end(&t);
}

static void
test_auth_requires_tls(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.exts |= SMTP_EXT_AUTH;
	t.policy->auth_requires_tls = true;
	trial_judge(&t, "AUTH PLAIN AHUAcA==");
	assert_said(&t, "538 5.7.11 ", "auth", "needs_tls");
	assert_null(strstr(t.verdict.reply, "AHUAcA"));
	trial_end(&t);
}

static void
test_starttls(void **state)
{
	const char *why;
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.exts |= SMTP_EXT_STARTTLS;
	trial_judge(&t, "STARTTLS");
	assert_said(&t, "454 4.7.0 ", "starttls", "would_go_blind");
	t.policy->relay.check = CHECK_REPORT;
	trial_judge(&t, "STARTTLS"); /* the sender check still enforces */
	assert_said(&t, "454 4.7.0 ", "starttls", "would_go_blind");
	t.policy->sender.check = CHECK_OFF;
	trial_judge(&t, "STARTTLS");
	assert_said(&t, NULL, "starttls", "auto");
	t.facts.client_inside = true; /* lists hold for everybody, auto looks at who comes in */
	assert_true(addresses_add(t.policy->recipients.deny, "@a.example", &why));
	trial_judge(&t, "STARTTLS");
	assert_said(&t, NULL, "starttls", "auto");
	t.facts.client_inside = false;
	trial_judge(&t, "STARTTLS");
	assert_said(&t, "454 4.7.0 ", "starttls", "would_go_blind");
	t.policy->relay.check = CHECK_ENFORCE;
	t.facts.client_inside = true;
	trial_judge(&t, "STARTTLS");
	assert_said(&t, NULL, "starttls", "auto");
	t.facts.client_inside = false;
	t.facts.server_inside = false;
	trial_judge(&t, "STARTTLS");
	assert_said(&t, NULL, "starttls", "auto");
	t.facts.server_inside = true;
	t.policy->starttls = STARTTLS_PASS;
	trial_judge(&t, "STARTTLS");
	assert_said(&t, NULL, "starttls", "pass");
	t.facts.client_inside = true;
	t.policy->starttls = STARTTLS_REFUSE;
	trial_judge(&t, "STARTTLS");
	assert_said(&t, "454 4.7.0 ", "starttls", "refused");
	t.policy->starttls = STARTTLS_HIDE;
	trial_judge(&t, "STARTTLS");
	assert_said(&t, "502 5.5.1 ", "starttls", "hidden");
	trial_end(&t);
}

/* Nothing with a fault ever passes, whatever the checks are. */
static void
test_faults(void **state)
{
	static const char *const lines[][3] = {
	    {"MAIL FROM:<s@a..b>", "501 5.1.7 ", "bad_address"},
	    {"RCPT TO:<s@a..b>", "501 5.1.3 ", "bad_address"},
	    {"RCPT TO:<a@b>x@y", "501 5.1.3 ", "bad_address"},
	    {"RCPT TO:<a@b.example> NOPE=1", "555 5.5.4 ", "bad_parameter"},
	    {"MAIL FROM:<a@b.example> SIZE=x", "501 5.5.4 ", "bad_parameter"},
	    {"DATA now", "501 5.5.4 ", "bad_command"},
	    {"FOO", "502 5.5.1 ", "bad_command"},
	};
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.policy->relay.check = CHECK_OFF;
	t.policy->sender.check = CHECK_REPORT;
	for (size_t i = 0; i < nitems(lines); i++) {
		trial_judge(&t, lines[i][0]);
		assert_said(&t, lines[i][1], "syntax", lines[i][2]);
	}
	trial_end(&t);
}

/* A reply is one line of printable text, whatever an address holds. */
static void
test_reply_text(void **state)
{
	struct smtp_detail detail = {.verb = smtp_verb_row(SMTP_RCPT)};
	struct an_event ev = {.kind = EV_COMMAND, .smtp = &detail};
	static const uint8_t euro[] = {0xe2, 0x82, 0xac};
	uint8_t raw[2000];
	struct trial t;

	(void)state;
	trial_begin(&t);
	detail.path.domain_kind = SMTP_DOMAIN_LITERAL;
	detail.path.local = span_str("u");
	detail.path.ascii = true;
	detail.path.raw = span_of("a\r\n250 ok\0\x1b[2J\x7f\xff", 16);
	policy_judge(t.policy, &t.facts, &ev, NULL, &t.verdict);
	assert_string_equal(t.verdict.reply, "550 5.7.1 <a?\?250 ok?\?[2J?\?>... Relaying denied");

	t.facts.smtputf8 = true;
	detail.path.raw = span_str("\xc3\xbc\xc2\x9b"
				   "A");
	policy_judge(t.policy, &t.facts, &ev, NULL, &t.verdict);
	assert_string_equal(t.verdict.reply, "550 5.7.1 <\xc3\xbc?\?A>... Relaying denied");

	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = euro[i % 3];
	detail.path.raw = span_of(raw, sizeof(raw) - sizeof(raw) % 3);
	policy_judge(t.policy, &t.facts, &ev, NULL, &t.verdict);
	assert_true(span_is_utf8(span_str(t.verdict.reply)));
	assert_true(span_iends(span_str(t.verdict.reply), span_str(">... Relaying denied")));
	trial_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_new),
	    cmocka_unit_test(test_others_pass),
	    cmocka_unit_test(test_other_events),
	    cmocka_unit_test(test_servers),
	    {"R-035 bounce to several", test_multi_bounce, NULL, NULL, NULL},
	    {"R-036 VRFY, EXPN, ETRN", test_probes, NULL, NULL, NULL},
	    {"S-040 XCLIENT, XFORWARD", test_forged_origin, NULL, NULL, NULL},
	    {"S-039 AUTH in the clear", test_auth_requires_tls, NULL, NULL, NULL},
	    cmocka_unit_test(test_starttls),
	    cmocka_unit_test(test_faults),
	    {"D-020 reply text", test_reply_text, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
