#include "trial.h"

#define DENIED "550 5.7.1 <"
#define L64    "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffgggggggghhhhhhhh"

struct row {
	const char *name;
	const char *path; /* of RCPT, from outside to mx.local.example, unauthenticated */
	const char *reply;
	const char *reason;
};

static const struct row denied[] = {
    {"R-001 R-002 foreign", "<r@evil.example>", DENIED "r@evil.example>... Relaying denied",
	"not_local"},
    {"R-005", "<r%evil.example@[192.0.2.25]>", DENIED "r%evil.example@[192.0.2.25]>...",
	"disguised"},
    {"R-006", "<r%evil.example@mx.local.example>", DENIED, "disguised"},
    {"R-007", "<\"r@evil.example\">", DENIED, "disguised"},
    {"R-008", "<\"r%evil.example\">", DENIED, "disguised"},
    {"R-009", "<r@evil.example@[192.0.2.25]>", DENIED, "disguised"},
    {"R-010", "<\"r@evil.example\"@[192.0.2.25]>", DENIED, "disguised"},
    {"R-011", "<r@evil.example@mx.local.example>", DENIED, "disguised"},
    {"R-012", "<@[192.0.2.25]:r@evil.example>", DENIED, "disguised"},
    {"R-013", "<@mx.local.example:r@evil.example>", DENIED, "not_local"},
    {"R-014", "<evil.example!r>", DENIED, "disguised"},
    {"R-015", "<evil.example!r@[192.0.2.25]>", DENIED, "disguised"},
    {"R-016", "<evil.example!r@mx.local.example>", DENIED, "disguised"},
    {"R-018 route list", "<@local.example,@evil.example:r@evil.example>", DENIED, "not_local"},
    {"R-018 short names", "<@a:@b:r@evil.example>", "501 5.1.3", "bad_address"},
    {"R-018 through a foreign host", "<@evil.example:u@local.example>", DENIED, "disguised"},
    {"R-019 trailing dot", "<r@evil.example.>", DENIED, "not_local"},
    {"R-020 capitals", "<r@EVIL.example>", DENIED, "not_local"},
    {"R-021 quoted pair", "<\"u\\@evil.example\"@local.example>", DENIED, "disguised"},
    {"R-021 never closed", "<\"u\\\"@evil.example>", "501 5.1.3", "bad_address"},
    {"R-022 percent", "<u%evil.example@local.example>", DENIED, "disguised"},
    {"R-022 bang", "<evil.example!u@local.example>", DENIED, "disguised"},
    {"R-022 both", "<evil.example!u%local.example@local.example>", DENIED, "disguised"},
    {"R-022 doubled", "<u%evil.example%local.example@local.example>", DENIED, "disguised"},
    {"R-022 DECnet", "<\"evil::u\"@local.example>", DENIED, "disguised"},
    {"R-022 nested route", "<\"@local.example:u@evil.example\"@local.example>", DENIED,
	"disguised"},
    {"R-022 empty host", "<u%@local.example>", DENIED, "disguised"},
    {"R-023", "<u@local.example@evil.example>", "501 5.1.3", "bad_address"},
    {"R-023 both local", "<u@local.example@mx.local.example>", "501 5.1.3", "bad_address"},
    {"R-023 behind the bracket", "<a@evil.example>u@local.example", "501 5.1.3", "bad_address"},
    {"R-023 text between", "<a@b>x@y", "501 5.1.3", "bad_address"},
    {"R-024 encoded word", "<=?utf-8?q?r=40evil.example=3e?=@local.example>", "501 5.1.3",
	"bad_address"},
    {"R-025 Greek omicron",
	"<u@l\xce\xbf"
	"cal.example>",
	"553 5.6.7 <u@l??cal.example>...", "not_ascii"},
    {"R-025 U+3002",
	"<u@local\xe3\x80\x82"
	"example>",
	"501 5.1.3", "bad_address"},
    {"R-025 full-width @",
	"<u\xef\xbc\xa0"
	"evil.example>",
	"501 5.1.3", "bad_address"},
    {"R-026 bad Punycode", "<u@xn--abc.example>", "501 5.1.3 <u@xn--abc.example>...", "bad_domain"},
    {"R-026 Punycode of a control character", "<u@mail.xn--a.example>", "501 5.1.3", "bad_domain"},
    {"R-026 Punycode of nothing", "<u@xn--.example>", "501 5.1.3", "bad_address"},
    {"R-026 label of 64", "<u@" L64 ".example>", "501 5.1.3", "bad_address"},
    {"R-026 empty label", "<u@a..b>", "501 5.1.3", "bad_address"},
    {"R-026 underscore", "<u@a_b.example>", "501 5.1.3", "bad_address"},
    {"R-026 hyphen", "<u@-a.example>", "501 5.1.3", "bad_address"},
    {"R-027 loopback", "<u@[127.0.0.1]>", DENIED, "literal"},
    {"R-027 IPv6", "<u@[IPv6:::1]>", DENIED, "literal"},
    {"R-027 the server", "<u@[192.0.2.25]>", DENIED, "literal"},
    {"R-027 another tag", "<u@[X-25:31415]>", DENIED, "literal"},
    {"R-027 no tag", "<u@[::ffff:192.0.2.25]>", "501 5.1.3", "bad_address"},
    {"R-027 a number", "<u@[3221225985]>", "501 5.1.3", "bad_address"},
    {"R-027 dotted quad", "<u@192.0.2.25>", "501 5.1.3", "bad_address"},
    {"R-028 null", "<>", "501 5.1.3", "null_recipient"},
    {"R-028 no domain", "<u>", "501 5.1.3 <u>... Domain name required", "no_domain"},
    {"R-028 no domain but an operator", "<u%local.example>", DENIED, "disguised"},
    {"R-029 empty quoted local part", "<\"\"@local.example>", "501 5.1.3", "bad_address"},
    {"R-029 empty domain", "<u@>", "501 5.1.3", "bad_address"},
    {"R-029 comment", "<u(c)@local.example>", "501 5.1.3", "bad_address"},
    {"a name that ends like ours", "<u@notlocal.example>", DENIED, "not_local"},
    {"a name that begins like ours", "<u@local.example.evil.example>", DENIED, "not_local"},
};

static const struct row passed[] = {
    {"local", "<u@local.example>", NULL, "local_domain"},
    {"below local", "<u@a.b.local.example>", NULL, "local_domain"},
    {"R-019 local with a trailing dot", "<u@local.example.>", NULL, "local_domain"},
    {"R-020 local in capitals", "<u@LOCAL.EXAMPLE>", NULL, "local_domain"},
    {"R-022 local by every reading", "<mx.local.example!u%local.example@local.example>", NULL,
	"local_domain"},
    {"R-018 route through ourselves", "<@mx.local.example:u@local.example>", NULL, "local_domain"},
    {"R-028 postmaster", "<postmaster>", NULL, "postmaster"},
    {"R-028 Postmaster", "<PostMaster>", NULL, "postmaster"},
    {"quoted without an operator", "<\"a b\"@local.example>", NULL, "local_domain"},
};

static const char *
rule_of(const char *reason)
{
	static const char *const syntax[] = {
	    "bad_address", "bad_domain", "not_ascii", "null_recipient"};

	for (size_t i = 0; i < nitems(syntax); i++)
		if (strcmp(reason, syntax[i]) == 0)
			return "syntax";
	return "relay";
}

static void
rcpt(struct trial *t, const char *path)
{
	char line[300];

	snprintf(line, sizeof(line), "RCPT TO:%s", path);
	trial_judge(t, line);
}

static void
test_row(void **state)
{
	const struct row *row = *state;
	struct trial t;

	trial_begin(&t);
	rcpt(&t, row->path);
	assert_said(&t, row->reply, rule_of(row->reason), row->reason);
	assert_int_equal(t.asked, 0);
	trial_end(&t);
}

/* The other lock: none of them gets through when only "report" is said, but for what is no syntax.
 */
static void
test_report(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.policy->relay.check = CHECK_REPORT;
	for (size_t i = 0; i < nitems(denied); i++) {
		rcpt(&t, denied[i].path);
		if (strcmp(rule_of(denied[i].reason), "syntax") == 0)
			assert_said(&t, denied[i].reply, "syntax", denied[i].reason);
		else if (t.verdict.action == VERDICT_PASS)
			assert_would_say(&t, denied[i].reply, denied[i].reason);
		else /* two "@" */
			assert_said(&t, "501 5.1.3", "syntax", "bad_address");
	}
	rcpt(&t, "<u@local.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	trial_end(&t);
}

static void
test_waived(void **state)
{
	const char *why;
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.policy->relay.check = CHECK_OFF;
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, NULL, "relay", "off");
	t.policy->relay.check = CHECK_ENFORCE;

	t.facts.client_inside = true;
	rcpt(&t, "<r%evil.example@other.example>");
	assert_said(&t, NULL, "relay", "client_inside");
	t.facts.client_inside = false;

	t.facts.server_inside = false;
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, NULL, "relay", "transit");
	t.facts.server_inside = true;

	assert_true(networks_add(t.policy->relay.exempt, "203.0.113.7", &why));
	policy_seal(t.policy);
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, NULL, "relay", "exempt");
	t.facts.client = ip_of("203.0.113.8");
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, DENIED, "relay", "not_local");

	assert_true(networks_add(t.policy->relay.exempt_servers, "192.0.2.24/31", &why));
	policy_seal(t.policy);
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, NULL, "relay", "exempt_server");
	t.facts.server = ip_of("192.0.2.26");
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, DENIED, "relay", "not_local");
	trial_end(&t);
}

/* R-031: where a client is, the caller says; an address of ours that comes from outside is outside.
 */
static void
test_place(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	assert_false(t.facts.client_inside);
	assert_true(t.facts.server_inside);
	t.facts.client = ip_of("192.0.2.200");
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, DENIED, "relay", "not_local");
	policy_place(t.policy, &t.facts);
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, NULL, "relay", "client_inside");
	t.facts.client = ip_of("::ffff:192.0.2.200");
	policy_place(t.policy, &t.facts);
	assert_true(t.facts.client_inside);
	trial_end(&t);
}

static void
test_authenticated(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.facts.authenticated = true;
	rcpt(&t, "<r@evil.example>"); /* the policy does not take it */
	assert_said(&t, DENIED, "relay", "not_local");
	t.policy->relay.authenticated = true;
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, NULL, "relay", "authenticated");
	t.facts.authenticated = false;
	rcpt(&t, "<r@evil.example>");
	assert_said(&t, DENIED, "relay", "not_local");
	trial_end(&t);
}

/* Whatever the sender claims to be, the recipient decides. */
static void
test_senders(void **state)
{
	static const char *const mail[] = {"MAIL FROM:<>", "MAIL FROM:<s@evil.example>",
	    "MAIL FROM:<s@mx.local.example>", "MAIL FROM:<s@[192.0.2.25]>",
	    "MAIL FROM:<s@localhost>"};
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.policy->sender.check = CHECK_OFF;
	for (size_t i = 0; i < nitems(mail); i++) {
		trial_judge(&t, mail[i]);
		assert_int_equal(t.verdict.action, VERDICT_PASS);
		t.facts.null_sender = i == 0;
		rcpt(&t, "<r@evil.example>");
		assert_said(&t, DENIED, "relay", "not_local");
	}
	trial_end(&t);
}

static void
test_own_literal(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.policy->relay.own_literal = true;
	rcpt(&t, "<u@[192.0.2.25]>");
	assert_said(&t, NULL, "relay", "own_literal");
	rcpt(&t, "<u@[IPv6:::ffff:192.0.2.25]>");
	assert_said(&t, NULL, "relay", "own_literal");
	rcpt(&t, "<u@[192.0.2.26]>");
	assert_said(&t, DENIED, "relay", "literal");
	rcpt(&t, "<u@[127.0.0.1]>");
	assert_said(&t, DENIED, "relay", "literal");
	rcpt(&t, "<r%evil.example@[192.0.2.25]>");
	assert_said(&t, DENIED, "relay", "disguised");
	rcpt(&t, "<\"r@evil.example\"@[192.0.2.25]>");
	assert_said(&t, DENIED, "relay", "disguised");
	rcpt(&t, "<r@evil.example@[192.0.2.25]>");
	assert_said(&t, DENIED, "relay", "disguised");
	trial_end(&t);
}

static void
test_idn(void **state)
{
	const char *why;
	struct trial t;

	(void)state;
	trial_begin(&t);
	assert_true(domains_add(t.policy->relay.local_domains,
	    "b\xc3\xbc"
	    "cher.example",
	    &why));
	t.facts.smtputf8 = true;
	rcpt(&t, "<u@b\xc3\xbc"
		 "cher.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	rcpt(&t, "<u@B\xc3\x9c"
		 "CHER.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	rcpt(&t, "<\xc3\xbc@local.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	rcpt(&t, "<u@l\xce\xbf"
		 "cal.example>");
	assert_said(&t,
	    "550 5.7.1 <u@l\xce\xbf"
	    "cal.example>... Relaying denied",
	    "relay", "not_local");
	rcpt(&t, "<u@\xe2\x98\xba.example>");
	assert_said(&t, "501 5.1.3 <u@\xe2\x98\xba.example>...", "syntax", "bad_domain");
	t.facts.smtputf8 = false;
	rcpt(&t, "<u@xn--bcher-kva.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	rcpt(&t, "<u@b\xc3\xbc"
		 "cher.example>");
	assert_said(&t, "553 5.6.7", "syntax", "not_ascii");
	trial_end(&t);
}

static const struct zone mx_zone[] = {
    {DNS_MX, "hosted.example", DNS_OK, "backup.example mx.example"},
    {DNS_A, "backup.example", DNS_OK, "198.51.100.1"},
    {DNS_AAAA, "backup.example", DNS_OK, "2001:db8:2::1"},
    {DNS_A, "mx.example", DNS_OK, "198.51.100.2 192.0.2.25"},
    {DNS_MX, "elsewhere.example", DNS_OK, "backup.example"},
    {DNS_MX, "no-mx.example", DNS_NODATA, NULL},
    {DNS_A, "no-mx.example", DNS_OK, "192.0.2.25"},
    {DNS_MX, "null.example", DNS_OK, "."},
    {DNS_A, "null.example", DNS_OK, "192.0.2.25"},
    {DNS_MX, "number.example", DNS_OK, "192.0.2.25"},
    {DNS_A, "192.0.2.25", DNS_OK, "192.0.2.25"}, /* as some resolvers do */
    {DNS_MX, "broken.example", DNS_FAILED, NULL},
    {DNS_MX, "slow.example", DNS_TIMEOUT, NULL},
    {DNS_MX, "half.example", DNS_OK, "down.example mx.example"},
    {DNS_MX, "down.example", DNS_OK, "down.example backup.example"},
    {DNS_A, "down.example", DNS_FAILED, NULL},
    {DNS_MX, "many.example", DNS_OK, "h1.a h2.a h3.a h4.a h5.a h6.a h7.a h8.a mx.example"},
    {DNS_MX, "six.example", DNS_OK, "mx6.example"},
    {DNS_A, "mx6.example", DNS_OK, "192.0.2.25"},
    {DNS_AAAA, "mx6.example", DNS_OK, "2001:db8:1::25"},
    {DNS_A, NULL, DNS_OK, NULL},
};

static const struct row by_mx[] = {
    {"by_mx: one of its hosts", "<u@hosted.example>", NULL, "by_mx"},
    {"by_mx: in capitals", "<u@HOSTED.example>", NULL, "by_mx"},
    {"by_mx: another server's", "<u@elsewhere.example>", DENIED, "not_local"},
    {"by_mx: no such domain", "<u@nowhere.example>", DENIED, "not_local"},
    {"by_mx: the address without an MX", "<u@no-mx.example>", NULL, "by_mx"},
    {"by_mx: null MX", "<u@null.example>", DENIED, "not_local"},
    {"by_mx: an address is no host", "<u@number.example>", DENIED, "not_local"},
    {"by_mx: server failure", "<u@broken.example>",
	"451 4.4.3 <u@broken.example>... Recipient domain lookup failed", "dns_failed"},
    {"by_mx: no answer", "<u@slow.example>", "451 4.4.3 <u@slow.example>...", "dns_timeout"},
    {"by_mx: one host fails, another one is it", "<u@half.example>", NULL, "by_mx"},
    {"by_mx: one host fails, the other one is not it", "<u@down.example>", "451 4.4.3",
	"dns_failed"},
    {"by_mx: more than eight hosts: the ninth might be it", "<u@many.example>", "451 4.4.3",
	"dns_failed"},
    {"by_mx: R-022 the same domain inside", "<u%hosted.example@hosted.example>", NULL, "by_mx"},
    {"by_mx: R-022 a foreign one inside", "<u%evil.example@hosted.example>", DENIED, "disguised"},
    {"by_mx: R-022 hidden ones must be listed", "<u%hosted.example@local.example>", DENIED,
	"disguised"},
    {"by_mx: R-011 two @", "<r@evil.example@hosted.example>", "501 5.1.3", "bad_address"},
    {"by_mx: R-027 literal", "<u@[192.0.2.25]>", DENIED, "literal"},
};

static void
test_by_mx_row(void **state)
{
	const struct row *row = *state;
	struct trial t;

	trial_begin(&t);
	t.zone = mx_zone;
	t.policy->relay.by_mx = true;
	rcpt(&t, row->path);
	assert_said(&t, row->reply, rule_of(row->reason), row->reason);
	t.policy->relay.check = CHECK_REPORT;
	rcpt(&t, row->path);
	if (row->reply != NULL && strcmp(rule_of(row->reason), "relay") == 0)
		assert_would_say(&t, row->reply, row->reason);
	trial_end(&t);
}

/* Nobody is asked where the answer could not change the verdict, and no more than is needed. */
static void
test_by_mx_questions(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.zone = mx_zone;
	t.policy->relay.by_mx = true;
	rcpt(&t, "<u@local.example>");
	assert_int_equal(t.asked, 0);
	rcpt(&t, "<u%evil.example@hosted.example>");
	assert_int_equal(t.asked, 0);
	rcpt(&t, "<u@hosted.example>");
	assert_int_equal(t.asked, 3); /* MX, and A of two hosts: the server has no IPv6 address */
	rcpt(&t, "<u@many.example>");
	assert_int_equal(t.asked, 1 + ANSWERS_HOSTS);
	t.facts.client_inside = true;
	rcpt(&t, "<u@elsewhere.example>");
	assert_int_equal(t.asked, 0);
	trial_end(&t);
}

static void
test_by_mx_families(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.zone = mx_zone;
	t.policy->relay.by_mx = true;
	t.facts.server = ip_of("2001:db8:1::25");
	rcpt(&t, "<u@six.example>");
	assert_said(&t, NULL, "relay", "by_mx");
	t.facts.server = ip_of("2001:db8:1::26");
	rcpt(&t, "<u@six.example>");
	assert_said(&t, DENIED, "relay", "not_local");
	trial_end(&t);
}

/* Beyond the bound an address is refused, even where every host that was looked at is local. */
static void
test_too_many(void **state)
{
	const char *why;
	struct trial t;

	(void)state;
	trial_begin(&t);
	assert_true(domains_add(t.policy->relay.local_domains, "l", &why));
	rcpt(&t, "<u%l%l%l%l%l%l%l%l%l%l%l%l%l%l%l%l@local.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	rcpt(&t, "<u%l%l%l%l%l%l%l%l%l%l%l%l%l%l%l%l%l@local.example>");
	assert_said(&t, DENIED, "relay", "disguised");
	trial_end(&t);
}

static void
test_huge(void **state)
{
	static char line[63 * 1024];
	struct span rcpt_to = span_str("RCPT TO:<u");
	struct trial t;

	(void)state;
	trial_begin(&t);
	memset(line, '%', sizeof(line));
	memcpy(line, rcpt_to.p, rcpt_to.n);
	snprintf(line + sizeof(line) - 16, 16, "@local.example>");
	trial_judge(&t, line);
	assert_said(&t, "501 5.1.3", "syntax", "bad_address");
	line[sizeof(line) - 17] = '@'; /* two of them: an attempt to relay, of any length */
	trial_judge(&t, line);
	assert_said(&t, DENIED "u%%%%", "relay", "disguised");
	assert_true(strlen(t.verdict.reply) < VERDICT_REPLY_MAX);
	trial_end(&t);
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    {"R-001 R-002 R-003 R-004 R-017 senders", test_senders, NULL, NULL, NULL},
	    {"R-027 own literal", test_own_literal, NULL, NULL, NULL},
	    {"R-022 too many hosts", test_too_many, NULL, NULL, NULL},
	    {"R-029 63 KB", test_huge, NULL, NULL, NULL},
	    {"R-025 IDN both ways", test_idn, NULL, NULL, NULL},
	    {"R-031 where the client is", test_place, NULL, NULL, NULL},
	    {"R-032 authenticated", test_authenticated, NULL, NULL, NULL},
	    cmocka_unit_test(test_report),
	    cmocka_unit_test(test_waived),
	    cmocka_unit_test(test_by_mx_questions),
	    cmocka_unit_test(test_by_mx_families),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(denied) + nitems(passed) + nitems(by_mx)];
	size_t n = nitems(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	ROWS(denied, test_row)
	ROWS(passed, test_row)
	ROWS(by_mx, test_by_mx_row)
	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
