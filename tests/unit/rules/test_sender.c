#include "trial.h"

/* The rows of the table in docs/policy.md; client outside unless a test says otherwise. */
struct row {
	const char *name;
	const char *path;
	const char *reply;
	const char *reason;
};

static const struct zone zone[] = {
    {DNS_MX, "good.example", DNS_OK, "mx.good.example"},
    {DNS_A, "mx.good.example", DNS_OK, "203.0.113.25"},
    {DNS_MX, "two.example", DNS_OK, "mx.good.example mx.six.example"},
    {DNS_MX, "six.example", DNS_OK, "mx.six.example"},
    {DNS_A, "mx.six.example", DNS_NODATA, NULL},
    {DNS_AAAA, "mx.six.example", DNS_OK, "2001:db8:2::25"},
    {DNS_MX, "empty.example", DNS_NODATA, NULL},
    {DNS_A, "empty.example", DNS_NODATA, NULL},
    {DNS_AAAA, "empty.example", DNS_NODATA, NULL},
    {DNS_MX, "liar.example", DNS_NODATA, NULL},
    {DNS_MX, "servfail.example", DNS_FAILED, NULL},
    {DNS_A, "servfail.example", DNS_OK, "203.0.113.1"},
    {DNS_MX, "timeout.example", DNS_TIMEOUT, NULL},
    {DNS_MX, "afail.example", DNS_NODATA, NULL},
    {DNS_A, "afail.example", DNS_FAILED, NULL},
    {DNS_MX, "aaaatimeout.example", DNS_NODATA, NULL},
    {DNS_A, "aaaatimeout.example", DNS_NODATA, NULL},
    {DNS_AAAA, "aaaatimeout.example", DNS_TIMEOUT, NULL},
    {DNS_MX, "null.example", DNS_OK, "."},
    {DNS_A, "null.example", DNS_OK, "203.0.113.1"},
    {DNS_MX, "nullandmore.example", DNS_OK, ". mx.good.example"},
    {DNS_MX, "localhost-mx.example", DNS_OK, "localhost"},
    {DNS_MX, "localhost2-mx.example", DNS_OK, "localhost.localdomain mail.localhost ."},
    {DNS_MX, "zero-mx.example", DNS_OK, "0.0.0.0"},
    {DNS_MX, "number127-mx.example", DNS_OK, "127.0.0.1"},
    {DNS_MX, "loop-a.example", DNS_OK, "loop.example"},
    {DNS_A, "loop.example", DNS_OK, "127.0.0.53 0.0.0.0"},
    {DNS_AAAA, "loop.example", DNS_OK, "::1 ::"},
    {DNS_MX, "loopandmore.example", DNS_OK, "localhost loop.example mx.good.example"},
    {DNS_MX, "number-mx.example", DNS_OK, "203.0.113.25"},
    {DNS_MX, "numberandmore.example", DNS_OK, "203.0.113.25 mx.good.example"},
    {DNS_MX, "private-mx.example", DNS_OK, "private.example"},
    {DNS_A, "private.example", DNS_OK, "10.1.2.3"},
    {DNS_AAAA, "private.example", DNS_OK, "fd00::1 fe80::1"},
    {DNS_MX, "privateandmore.example", DNS_OK, "private.example mx.good.example"},
    {DNS_MX, "dead-mx.example", DNS_OK, "dead1.example dead2.example"},
    {DNS_MX, "deadandmore.example", DNS_OK, "dead1.example mx.good.example"},
    {DNS_MX, "unknown-mx.example", DNS_OK, "unknown.example dead1.example"},
    {DNS_A, "unknown.example", DNS_TIMEOUT, NULL},
    {DNS_MX, "many-mx.example", DNS_OK, "d1.a d2.a d3.a d4.a d5.a d6.a d7.a d8.a mx.good.example"},
    {DNS_MX, "a-only.example", DNS_NODATA, NULL},
    {DNS_A, "a-only.example", DNS_OK, "203.0.113.1"},
    {DNS_MX, "aaaa-only.example", DNS_NODATA, NULL},
    {DNS_A, "aaaa-only.example", DNS_NODATA, NULL},
    {DNS_AAAA, "aaaa-only.example", DNS_OK, "2001:db8:2::1"},
    {DNS_MX, "broken.example", DNS_NXDOMAIN, NULL},
    {DNS_A, "broken.example", DNS_OK, "203.0.113.1"},
    {DNS_AAAA, "broken.example", DNS_FAILED, NULL},
    {DNS_MX, "xn--bcher-kva.example", DNS_OK, "mx.good.example"},
    {DNS_MX, "local.example", DNS_OK, "mx.good.example"},
    {DNS_A, NULL, DNS_OK, NULL},
};

static const struct row rows[] = {
    {"MX", "<s@good.example>", NULL, "mx"},
    {"MX with IPv6 only", "<s@six.example>", NULL, "mx"},
    {"D-001 NXDOMAIN", "<s@nowhere.example>",
	"451 4.1.8 <s@nowhere.example>... Sender domain must resolve", "nxdomain"},
    {"D-001 no MX, A, AAAA", "<s@empty.example>",
	"451 4.1.8 <s@empty.example>... Sender domain must resolve", "no_records"},
    {"D-001 one answer says that the name exists", "<s@liar.example>", "451 4.1.8", "no_records"},
    {"D-002 D-003 D-004 D-018 the resolver could not tell", "<s@servfail.example>",
	"451 4.4.3 <s@servfail.example>... Sender domain lookup failed", "dns_failed"},
    {"D-002 D-015 timeout", "<s@timeout.example>",
	"451 4.4.3 <s@timeout.example>... Sender domain lookup failed", "dns_timeout"},
    {"D-002 A fails", "<s@afail.example>", "451 4.4.3", "dns_failed"},
    {"D-002 AAAA times out", "<s@aaaatimeout.example>", "451 4.4.3", "dns_timeout"},
    {"D-005 null MX", "<s@null.example>", "550 5.7.27 <s@null.example>...", "null_mx"},
    {"D-005 null MX beside another", "<s@nullandmore.example>", NULL, "mx"},
    {"D-006 MX localhost", "<s@localhost-mx.example>", "550 5.7.27 <s@localhost-mx.example>...",
	"loopback_mx"},
    {"D-006 MX names of localhost", "<s@localhost2-mx.example>", "550 5.7.27", "loopback_mx"},
    {"D-006 MX 0.0.0.0", "<s@zero-mx.example>", "550 5.7.27", "loopback_mx"},
    {"D-006 MX 127.0.0.1", "<s@number127-mx.example>", "550 5.7.27", "loopback_mx"},
    {"D-006 MX with loopback addresses", "<s@loop-a.example>", "550 5.7.27", "loopback_mx"},
    {"D-006 loopback beside another", "<s@loopandmore.example>", NULL, "mx"},
    {"D-007 private beside another", "<s@privateandmore.example>", NULL, "mx"},
    {"D-008 MX is an address", "<s@number-mx.example>", "550 5.1.8 <s@number-mx.example>...",
	"address_mx"},
    {"D-008 address beside a name", "<s@numberandmore.example>", NULL, "mx"},
    {"D-009 one dead host of two", "<s@deadandmore.example>", NULL, "mx"},
    {"D-009 hosts that nobody could look up", "<s@unknown-mx.example>", NULL, "mx"},
    {"D-010 no domain", "<s>", "553 5.5.4 <s>... Domain name required", "no_domain"},
    {"D-011 null sender", "<>", NULL, "null_sender"},
    {"D-012 literal", "<s@[203.0.113.7]>", NULL, "literal"},
    {"D-012 IPv6 literal", "<s@[IPv6:2001:db8::1]>", NULL, "literal"},
    {"D-012 another tag", "<s@[X-25:31415]>", NULL, "literal"},
    {"D-013 only A", "<s@a-only.example>", NULL, "address"},
    {"D-013 only AAAA", "<s@aaaa-only.example>", NULL, "address"},
    {"D-014 MX is NXDOMAIN, but A exists", "<s@broken.example>", NULL, "address"},
    {"D-021 S-036 our own domain from outside", "<a@local.example>", NULL, "mx"},
    {"in capitals, with a dot", "<s@GOOD.Example.>", NULL, "mx"},
    {"behind a route", "<@nowhere.example:s@good.example>", NULL, "mx"},
};

static void
mail(struct trial *t, const char *path)
{
	char line[400];

	t->zone = zone;
	snprintf(line, sizeof(line), "MAIL FROM:%s", path);
	trial_judge(t, line);
}

/* The same for a client inside (but for what is said of it) and by report; off asks nobody. */
static void
test_row(void **state)
{
	const struct row *row = *state;
	struct trial t;

	trial_begin(&t);
	mail(&t, row->path);
	assert_said(&t, row->reply, "sender_domain", row->reason);

	t.policy->sender.check = CHECK_REPORT;
	mail(&t, row->path);
	if (row->reply == NULL)
		assert_said(&t, NULL, "sender_domain", row->reason);
	else
		assert_would_say(&t, row->reply, row->reason);

	t.policy->sender.check = CHECK_OFF;
	mail(&t, row->path);
	assert_said(&t, NULL, "sender_domain", "off");
	assert_int_equal(t.asked, 0);

	t.policy->sender.check = CHECK_ENFORCE;
	t.facts.client_inside = true;
	mail(&t, row->path);
	assert_said(&t, strcmp(row->reason, "no_domain") == 0 ? NULL : row->reply, "sender_domain",
	    row->reason);
	trial_end(&t);
}

static void
test_missing(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.policy->sender.missing_is_permanent = true;
	mail(&t, "<s@nowhere.example>");
	assert_said(&t, "550 5.1.8 <s@nowhere.example>... Sender domain must resolve",
	    "sender_domain", "nxdomain");
	mail(&t, "<s@empty.example>");
	assert_said(&t, "550 5.1.8", "sender_domain", "no_records");
	mail(&t, "<s@servfail.example>");
	assert_said(&t, "451 4.4.3", "sender_domain", "dns_failed");
	trial_end(&t);
}

/* Every combination of the check and the check within it, from outside. */
static void
hosts_matrix(enum check *inner, struct trial *t, const char *path, const char *reason)
{
	*inner = CHECK_OFF;
	mail(t, path);
	assert_said(t, NULL, "sender_domain", "mx");
	*inner = CHECK_REPORT;
	mail(t, path);
	assert_would_say(t, "550 5.1.8 <s@", reason);
	*inner = CHECK_ENFORCE;
	mail(t, path);
	assert_said(t, "550 5.1.8 <s@", "sender_domain", reason);
	t->policy->sender.check = CHECK_REPORT;
	mail(t, path);
	assert_would_say(t, "550 5.1.8 <s@", reason);
	t->policy->sender.check = CHECK_ENFORCE;
	t->facts.client_inside = true;
	mail(t, path);
	assert_said(t, NULL, "sender_domain", "mx");
	t->facts.client_inside = false;
	*inner = CHECK_OFF;
}

static void
test_hosts(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	hosts_matrix(&t.policy->sender.private_mx, &t, "<s@private-mx.example>", "private_mx");
	hosts_matrix(&t.policy->sender.dead_mx, &t, "<s@dead-mx.example>", "dead_mx");
	t.policy->sender.dead_mx = t.policy->sender.private_mx = CHECK_ENFORCE;
	mail(&t, "<s@privateandmore.example>");
	assert_said(&t, NULL, "sender_domain", "mx");
	mail(&t, "<s@deadandmore.example>");
	assert_said(&t, NULL, "sender_domain", "mx");
	mail(&t, "<s@loop-a.example>");
	assert_said(&t, "550 5.7.27", "sender_domain", "loopback_mx");
	mail(&t, "<s@unknown-mx.example>"); /* temporary until all are known not to exist */
	assert_said(&t, "451 4.4.3", "sender_domain", "dns_timeout");
	t.facts.client_inside = true;
	mail(&t, "<s@unknown-mx.example>");
	assert_said(&t, NULL, "sender_domain", "mx");
	trial_end(&t);
}

static void
test_literals(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.policy->sender.refuse_literals = true;
	mail(&t, "<s@[203.0.113.7]>");
	assert_said(&t, "550 5.7.1 <s@[203.0.113.7]>...", "sender_domain", "literal");
	mail(&t, "<s@[X-25:31415]>");
	assert_said(&t, "550 5.7.1", "sender_domain", "literal");
	mail(&t, "<>");
	assert_said(&t, NULL, "sender_domain", "null_sender");
	trial_end(&t);
}

static void
test_exempt(void **state)
{
	const char *why;
	struct trial t;

	(void)state;
	trial_begin(&t);
	assert_true(domains_add(t.policy->sender.exempt, "nowhere.example", &why));
	assert_true(domains_add(t.policy->sender.exempt, ".servfail.example", &why));
	mail(&t, "<s@NOWHERE.example>");
	assert_said(&t, NULL, "sender_domain", "exempt");
	assert_int_equal(t.asked, 0);
	mail(&t, "<s@x.nowhere.example>");
	assert_said(&t, "451 4.1.8", "sender_domain", "nxdomain");
	mail(&t, "<s@x.servfail.example>");
	assert_said(&t, NULL, "sender_domain", "exempt");
	mail(&t, "<s@servfail.example>");
	assert_said(&t, "451 4.4.3", "sender_domain", "dns_failed");
	trial_end(&t);
}

#define L63 "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffgggggggghhhhhhh"

static void
test_bad_domains(void **state)
{
	static const char *const bad[] = {"<s@xn--abc.example>", "<s@xn--.example>",
	    "<s@" L63 "h.example>", "<s@a_b.example>", "<s@a..b>", "<s@a%00.example>",
	    "<s@-a.example>", "<s@" L63 "." L63 "." L63 "." L63 "." L63 ">",
	    "<s@\xe2\x98\xba.example> SMTPUTF8"};
	struct trial t;

	(void)state;
	trial_begin(&t);
	for (size_t i = 0; i < nitems(bad); i++) {
		mail(&t, bad[i]);
		assert_int_equal(t.verdict.action, VERDICT_REFUSE);
		assert_string_equal(t.verdict.rule, "syntax");
		if (!span_starts(span_str(t.verdict.reply), span_str("501 5.1.7 ")))
			fail_msg("'%s': %s", bad[i], t.verdict.reply);
		assert_int_equal(t.asked, 0);
	}
	mail(&t, "<s@" L63 ".example>");
	assert_said(&t, "451 4.1.8", "sender_domain", "nxdomain");
	trial_end(&t);
}

static void
test_utf8(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	mail(&t, "<\xc3\xbc@good.example>");
	assert_said(&t, "553 5.6.7 <??@good.example>...", "syntax", "not_ascii");
	mail(&t, "<s@b\xc3\xbc"
		 "cher.example>");
	assert_said(&t, "553 5.6.7", "syntax", "not_ascii");
	mail(&t, "<s@b\xc3\xbc"
		 "cher.example> SMTPUTF8");
	assert_said(&t, NULL, "sender_domain", "mx");
	mail(&t, "<s@B\xc3\x9c"
		 "CHER.example> SMTPUTF8");
	assert_said(&t, NULL, "sender_domain", "mx");
	mail(&t, "<\xc3\xbc@nowhere.example> SMTPUTF8");
	assert_said(&t, "451 4.1.8 <\xc3\xbc@nowhere.example>...", "sender_domain", "nxdomain");
	trial_end(&t);
}

/* What is asked, and no more. */
static void
test_questions(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	mail(&t, "<s@good.example>");
	assert_int_equal(t.asked, 3); /* MX; A and AAAA of its host */
	mail(&t, "<s@two.example>");
	assert_int_equal(t.asked, 3); /* the first host will do */
	mail(&t, "<s@nowhere.example>");
	assert_int_equal(t.asked, 3); /* MX; A and AAAA */
	mail(&t, "<s@servfail.example>");
	assert_int_equal(t.asked, 1);
	mail(&t, "<s@null.example>");
	assert_int_equal(t.asked, 1);
	mail(&t, "<s@localhost-mx.example>");
	assert_int_equal(t.asked, 1);
	mail(&t, "<s@deadandmore.example>");
	assert_int_equal(t.asked, 5);
	mail(&t, "<s@many-mx.example>");
	assert_int_equal(t.asked, 1 + 2 * ANSWERS_HOSTS);
	mail(&t, "<>");
	assert_int_equal(t.asked, 0);
	mail(&t, "<s@[203.0.113.7]>");
	assert_int_equal(t.asked, 0);
	trial_end(&t);
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    {"D-001 missing = 550", test_missing, NULL, NULL, NULL},
	    {"D-007 D-009 private and dead hosts", test_hosts, NULL, NULL, NULL},
	    {"D-012 literals refused", test_literals, NULL, NULL, NULL},
	    {"D-019 bad domains before any DNS", test_bad_domains, NULL, NULL, NULL},
	    {"S-036 SMTPUTF8 senders", test_utf8, NULL, NULL, NULL},
	    cmocka_unit_test(test_exempt),
	    cmocka_unit_test(test_questions),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];
	size_t n = nitems(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	ROWS(rows, test_row)
	return cmocka_run_group_tests_name("sender", tests, NULL, NULL);
}
