#include "trial.h"

/* The rows of the table in docs/policy.md; client 203.0.113.7, outside. */
static const struct zone zone[] = {
    {DNS_A, "mx.good.example", DNS_OK, "203.0.113.7"},
    {DNS_AAAA, "six.example", DNS_OK, "2001:db8:2::7"},
    {DNS_MX, "mailonly.example", DNS_OK, "mx.good.example"},
    {DNS_A, "mailonly.example", DNS_NODATA, NULL},
    {DNS_A, "halffail.example", DNS_FAILED, NULL},
    {DNS_MX, "halfgood.example", DNS_OK, "mx.good.example"},
    {DNS_A, "halfgood.example", DNS_TIMEOUT, NULL},
    {DNS_MX, "timeout.example", DNS_TIMEOUT, NULL},
    {DNS_PTR, "7.113.0.203.in-addr.arpa", DNS_OK, "mx.good.example"},
    {DNS_PTR, "8.113.0.203.in-addr.arpa", DNS_OK, "mx.good.example nowhere.example"},
    {DNS_PTR, "9.113.0.203.in-addr.arpa", DNS_OK, "nowhere.example mx.nine.example"},
    {DNS_A, "mx.nine.example", DNS_OK, "203.0.113.1 203.0.113.9"},
    {DNS_PTR, "10.113.0.203.in-addr.arpa", DNS_FAILED, NULL},
    {DNS_PTR, "11.113.0.203.in-addr.arpa", DNS_TIMEOUT, NULL},
    {DNS_PTR, "12.113.0.203.in-addr.arpa", DNS_OK, "nowhere.example halffail.example"},
    {DNS_PTR, "13.113.0.203.in-addr.arpa", DNS_NODATA, NULL},
    {DNS_PTR, "15.113.0.203.in-addr.arpa", DNS_OK,
	"a1.a a2.a a3.a a4.a a5.a a6.a a7.a a8.a mx.last.example"},
    {DNS_A, "mx.last.example", DNS_OK, "203.0.113.15"},
    {DNS_PTR, "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_OK,
	"six.example"},
    {DNS_A, NULL, DNS_OK, NULL},
};

#define LOOKUP "451 4.4.3 "

struct row {
	const char *name, *client, *reply, *reason;
};

static const struct row reverse_rows[] = {
    {"a name with the address", "203.0.113.7", NULL, "ok"},
    {"a name with another address", "203.0.113.8",
	"550 5.7.25 <203.0.113.8>... Client name refused", "not_confirmed"},
    {"one of two names", "203.0.113.9", NULL, "ok"},
    {"the DNS fails", "203.0.113.10", LOOKUP "<203.0.113.10>... Client name lookup failed",
	"dns_failed"},
    {"the DNS is silent", "203.0.113.11", LOOKUP, "dns_timeout"},
    {"one name cannot be looked up", "203.0.113.12", LOOKUP, "dns_failed"},
    {"no name", "203.0.113.13", "550 5.7.25 <203.0.113.13>... Client name refused", "no_reverse"},
    {"no such address", "203.0.113.14", "550 5.7.25 <203.0.113.14>...", "no_reverse"},
    {"the ninth name is not looked at", "203.0.113.15", "550 5.7.25", "not_confirmed"},
    {"IPv6", "2001:db8:2::7", NULL, "ok"},
    {"IPv6 without a name", "2001:db8:2::8", "550 5.7.25 <2001:db8:2::8>...", "no_reverse"},
};

static const struct row helo_rows[] = {
    {"a name with an address", "mx.good.example", NULL, "ok"},
    {"in capitals, with a dot", "MX.Good.Example.", NULL, "ok"},
    {"IPv6 only", "six.example", NULL, "ok"},
    {"MX only", "mailonly.example", NULL, "ok"},
    {"no such name", "nowhere.example", "550 5.7.1 <nowhere.example>... HELO name refused",
	"helo_unresolved"},
    {"the DNS fails", "halffail.example", LOOKUP "<halffail.example>... HELO name lookup failed",
	"dns_failed"},
    {"the DNS is silent", "timeout.example", LOOKUP, "dns_timeout"},
    {"one record is enough", "halfgood.example", NULL, "ok"},
    {"literal", "[203.0.113.7]", NULL, "ok"},
    {"IPv6 literal", "[IPv6:2001:db8::1]", NULL, "ok"},
    {"bare address", "203.0.113.7", "550 5.7.1 <203.0.113.7>... HELO name refused", "helo_invalid"},
    {"bare IPv6 address", "2001:db8::1", "550 5.7.1", "helo_invalid"},
    {"IPv6 literal without its tag", "[2001:db8::1]", "550 5.7.1", "helo_invalid"},
    {"IPv4 literal with a tag", "[IPv6:192.0.2.1]", "550 5.7.1", "helo_invalid"},
    {"bad literal", "[203.0.113.256]", "550 5.7.1", "helo_invalid"},
    {"half a literal", "[203.0.113.7", "550 5.7.1", "helo_invalid"},
    {"brackets", "[]", "550 5.7.1", "helo_invalid"},
    {"one label", "localhost", "550 5.7.1", "helo_invalid"},
    {"underscore", "my_pc.example", "550 5.7.1", "helo_invalid"},
    {"two dots", "a..example", "550 5.7.1", "helo_invalid"},
    {"UTF-8",
	"b\xc3\xbc"
	"cher.example",
	"550 5.7.1 <b??cher.example>...", "helo_invalid"},
    {"hyphen in front", "-a.example", "550 5.7.1", "helo_invalid"},
};

static void
begin(struct trial *t)
{
	trial_begin(t);
	t->zone = zone;
	t->policy->client_name.check = CHECK_ENFORCE;
}

/* EHLO and HELO; by report; and not at all for a client inside, or exempt, or when off. */
static void
judge_all(struct trial *t, const struct row *row, const char *name)
{
	char line[300];
	const char *why;

	snprintf(line, sizeof(line), "HELO %s", name);
	trial_judge(t, line);
	assert_said(t, row->reply, "client_name", row->reason);
	snprintf(line, sizeof(line), "EHLO %s", name);
	trial_judge(t, line);
	assert_said(t, row->reply, "client_name", row->reason);
	t->policy->client_name.check = CHECK_REPORT;
	trial_judge(t, line);
	if (row->reply == NULL)
		assert_said(t, NULL, "client_name", "ok");
	else
		assert_would_say(t, row->reply, row->reason);
	t->policy->client_name.check = CHECK_OFF;
	trial_judge(t, line);
	assert_said(t, NULL, "client_name", "off");
	assert_int_equal(t->asked, 0);
	t->policy->client_name.check = CHECK_ENFORCE;
	t->facts.client_inside = true;
	trial_judge(t, line);
	assert_said(t, NULL, "client_name", "client_inside");
	assert_int_equal(t->asked, 0);
	t->facts.client_inside = false;
	assert_true(networks_add(t->policy->client_name.exempt, "203.0.113.0/24", &why));
	assert_true(networks_add(t->policy->client_name.exempt, "2001:db8:2::/48", &why));
	policy_seal(t->policy);
	trial_judge(t, line);
	assert_said(t, NULL, "client_name", "exempt");
	assert_int_equal(t->asked, 0);
}

static void
test_reverse(void **state)
{
	const struct row *row = *state;
	struct trial t;

	begin(&t);
	t.policy->client_name.reverse = REVERSE_CONFIRMED;
	t.facts.client = ip_of(row->client);
	judge_all(&t, row, "whatever");
	trial_end(&t);
}

static void
test_helo(void **state)
{
	const struct row *row = *state;
	struct trial t;

	begin(&t);
	t.policy->client_name.helo = HELO_RESOLVES;
	judge_all(&t, row, row->client);
	trial_end(&t);
}

/* Each word of the configuration asks for what it says, and for no more. */
static void
test_words(void **state)
{
	struct trial t;

	(void)state;
	begin(&t);
	t.facts.client = ip_of("203.0.113.8");
	trial_judge(&t, "EHLO localhost"); /* none, any */
	assert_said(&t, NULL, "client_name", "ok");
	assert_int_equal(t.asked, 0);
	t.policy->client_name.reverse = REVERSE_EXISTS;
	trial_judge(&t, "EHLO localhost");
	assert_said(&t, NULL, "client_name", "ok");
	assert_int_equal(t.asked, 1);
	t.facts.client = ip_of("203.0.113.13");
	trial_judge(&t, "EHLO localhost");
	assert_said(&t, "550 5.7.25", "client_name", "no_reverse");
	t.policy->client_name.reverse = REVERSE_NONE;
	t.policy->client_name.helo = HELO_VALID;
	trial_judge(&t, "EHLO nowhere.example");
	assert_said(&t, NULL, "client_name", "ok");
	assert_int_equal(t.asked, 0);
	trial_judge(&t, "EHLO nowhere");
	assert_said(&t, "550 5.7.1", "client_name", "helo_invalid");
	t.policy->client_name.reverse = REVERSE_CONFIRMED;
	t.policy->client_name.helo = HELO_RESOLVES;
	trial_judge(&t, "EHLO localhost"); /* refused whatever the DNS says */
	assert_said(&t, "550 5.7.1", "client_name", "helo_invalid");
	assert_int_equal(t.asked, 0);
	t.facts.client = ip_of("203.0.113.10"); /* a fault that stays, and one that may not */
	trial_judge(&t, "EHLO nowhere.example");
	assert_said(&t, "550 5.7.1", "client_name", "helo_unresolved");
	t.facts.client = ip_of("203.0.113.13");
	trial_judge(&t, "EHLO timeout.example");
	assert_said(&t, "550 5.7.25", "client_name", "no_reverse");
	t.facts.client = ip_of("203.0.113.7");
	trial_judge(&t, "EHLO mx.good.example");
	assert_said(&t, NULL, "client_name", "ok");
	assert_int_equal(t.asked, 4); /* PTR; A, AAAA, MX: the name's A serves both */
	trial_end(&t);
}

/* Who is refused at EHLO does not get by without one. */
static void
test_missing(void **state)
{
	struct trial t;

	(void)state;
	begin(&t);
	t.policy->sender.check = CHECK_OFF;
	t.policy->client_name.helo = HELO_VALID;
	trial_judge(&t, "MAIL FROM:<a@b.example>");
	assert_said(&t, "503 5.5.1 ", "client_name", "not_greeted");
	t.facts.client_inside = true;
	trial_judge(&t, "MAIL FROM:<a@b.example>");
	assert_said(&t, NULL, "sender_domain", "off");
	t.facts.client_inside = false;
	t.policy->client_name.check = CHECK_REPORT;
	trial_judge(&t, "MAIL FROM:<a@b.example>");
	assert_said(&t, NULL, "sender_domain", "off");
	t.policy->client_name.check = CHECK_ENFORCE;
	t.facts.greeted = true;
	trial_judge(&t, "MAIL FROM:<a@b.example>");
	assert_said(&t, NULL, "sender_domain", "off");
	trial_end(&t);
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_missing),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(reverse_rows) + nitems(helo_rows)];
	size_t n = nitems(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	ROWS(reverse_rows, test_reverse)
	ROWS(helo_rows, test_helo)
	return cmocka_run_group_tests_name("client_name", tests, NULL, NULL);
}
