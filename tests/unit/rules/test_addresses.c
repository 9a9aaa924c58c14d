#include "trial.h"

#include <stdlib.h>
#include <time.h>

#include "addresses.h"

/* One pattern, one address: is it in the set? The address as it stands in a command. */
static bool
listed(const char *pattern, const char *path)
{
	struct addresses *set = addresses_new();
	char domain[DOMAIN_TEXT_MAX] = "";
	struct smtp_path parsed;
	struct mailbox mailbox;
	struct span rest;
	const char *why;
	bool found;

	assert_non_null(set);
	if (!addresses_add(set, pattern, &why))
		fail_msg("'%s' %s", pattern, why);
	assert_false(addresses_empty(set));
	if (smtp_path_parse(span_str(path), false, true, &parsed, &rest) != SMTP_PATH_OK)
		fail_msg("'%s' is no path", path);
	if (parsed.domain_kind == SMTP_DOMAIN_NAME)
		assert_true(domain_canonical(parsed.domain, domain));
	assert_true(mailbox_make(&mailbox, &parsed, domain));
	found = addresses_has(set, &mailbox);
	addresses_free(set);
	return found;
}

#define UMLAUT "b\xc3\xbc"

static const struct row {
	const char *name, *pattern, *path;
	bool want;
} rows[] = {
    {"address", "u@a.example", "<u@a.example>", true},
    {"another local part", "u@a.example", "<v@a.example>", false},
    {"another domain", "u@a.example", "<u@b.example>", false},
    {"longer on the left", "u@a.example", "<xu@a.example>", false},
    {"longer on the right", "u@a.example", "<u@a.example.org>", false},
    {"case of the address", "u@a.example", "<U@A.Example>", true},
    {"case of the pattern", "U@A.EXAMPLE", "<u@a.example>", true},
    {"trailing dot", "u@a.example", "<u@a.example.>", true},
    {"quotes that are not needed", "u@a.example", "<\"u\"@a.example>", true},
    {"quoted pair that is not needed", "u@a.example", "<\"\\u\"@a.example>", true},
    {"quotes in the pattern", "\"u\"@a.example", "<u@a.example>", true},
    {"quotes that are needed", "\"u v\"@a.example", "<\"u\\ v\"@a.example>", true},
    {"at sign in quotes", "\"u@v\"@a.example", "<\"u@v\"@a.example>", true},
    {"source route", "u@a.example", "<@x.example,@y.example:u@a.example>", true},
    {"percent is another address", "u@a.example", "<u%a.example@b.example>", false},
    {"tag is another address", "u@a.example", "<u+tag@a.example>", false},
    {"U-label", "u@" UMLAUT "cher.example", "<u@xn--bcher-kva.example>", true},
    {"A-label", "u@xn--bcher-kva.example",
	"<u@B\xc3\x9c"
	"CHER.example>",
	true},
    {"UTF-8 local part", UMLAUT "@a.example", "<" UMLAUT "@A.example>", true},
    {"single label", "device@printer", "<device@printer>", true},
    {"literal", "u@[192.0.2.1]", "<u@[192.0.2.1]>", true},
    {"another literal", "u@[192.0.2.1]", "<u@[192.0.2.2]>", false},
    {"IPv6 literal in other words", "u@[IPv6:2001:DB8::1]", "<u@[ipv6:2001:db8:0::1]>", true},
    {"tagged literal", "u@[x-25:31415]", "<u@[X-25:31415]>", true},
    {"null is no address", "u@a.example", "<>", false},

    {"domain", "@a.example", "<u@a.example>", true},
    {"domain, bare", "@a.example", "<a.example>", false},
    {"domain, not below", "@a.example", "<u@x.a.example>", false},
    {"domain, not another that ends so", "@a.example", "<u@xa.example>", false},
    {"domain in capitals, with a dot", "@A.Example.", "<u@a.EXAMPLE.>", true},
    {"domain, local part does not count", "@a.example", "<a.example@b.example>", false},
    {"domain and null", "@a.example", "<>", false},
    {"domain, U-label", "@" UMLAUT "cher.example", "<u@xn--bcher-kva.example>", true},
    {"below", "@.a.example", "<u@x.a.example>", true},
    {"below, deeper", "@.a.example", "<u@y.x.a.example>", true},
    {"below is not itself", "@.a.example", "<u@a.example>", false},

    {"null sender", "<>", "<>", true},
    {"null sender is nobody else", "<>", "<u@a.example>", false},

    {"expression", "/^u[0-9]+@/", "<u12@a.example>", true},
    {"expression that does not match", "/^u[0-9]+@/", "<u@a.example>", false},
    {"expression, anywhere", "/spam/", "<u@nospam.example>", true},
    {"expression, case", "/^SPAM@/", "<Spam@a.example>", true},
    {"expression, not on brackets", "/^<|>$/", "<u@a.example>", false},
    {"expression sees no needless quotes", "/^u@a\\.example$/", "<\"u\"@A.example.>", true},
    {"expression sees no route", "/x\\.example/", "<@x.example:u@a.example>", false},
    {"expression sees A-labels", "/@xn--/", "<u@" UMLAUT "cher.example>", true},
    {"expression and null", "/^$/", "<>", true},
    {"expression for all but null", "/./", "<>", false},
    {"expression, bare local part", "/^postmaster$/", "<Postmaster>", true},
    {"expression with slashes", "/a/b/", "<a/b@a.example>", true},
};

static void
test_row(void **state)
{
	const struct row *row = *state;

	if (listed(row->pattern, row->path) != row->want)
		fail_msg("'%s' and '%s'", row->pattern, row->path);
}

static void
test_faults(void **state)
{
	static const char *const cases[][2] = {
	    {"", "is no address"},
	    {"a.example", "has no \"@\"; with one in front of it, it is a domain"},
	    {"u@", "is no address"},
	    {"u@a..b", "is no address"},
	    {"u@a_b.example", "is no address"},
	    {"u@xn--abc.example", "is no address"},
	    {"u@v@a.example", "is no address"},
	    {"@x.example:u@a.example", "is no domain name"},
	    {"<u@a.example>", "is no address"},
	    {"u@a.example> <v@a.example", "is no address"},
	    {"u@a.example ", "is no address"},
	    {"@", "is no domain name"},
	    {"@.", "is no domain name"},
	    {"@a..b", "is no domain name"},
	    {"@[192.0.2.1]", "is no domain name"},
	    {"@*.example", "has a star: a leading dot means every name below it"},
	    {"/", "is an expression without the \"/\" that ends it"},
	    {"/a", "is an expression without the \"/\" that ends it"},
	    {"//", "has an empty alternative"},
	    {"/(a/", "has a ( that nothing closes"},
	};
	struct addresses *set = addresses_new();

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		const char *why = NULL;

		if (addresses_add(set, cases[i][0], &why) || strcmp(why, cases[i][1]) != 0)
			fail_msg("'%s': %s", cases[i][0], why != NULL ? why : "taken");
	}
	assert_true(addresses_empty(set));
	addresses_free(set);
	addresses_free(NULL);
}

static void
test_many_expressions(void **state)
{
	struct addresses *set = addresses_new();
	const char *why;

	(void)state;
	for (unsigned i = 0; i < ADDRESSES_EXPRESSIONS_MAX; i++)
		assert_true(addresses_add(set, "/a/", &why));
	assert_false(addresses_add(set, "/a/", &why));
	assert_string_equal(why, "is one expression too many; 256 may stand here");
	assert_true(addresses_add(set, "u@a.example", &why));
	addresses_free(set);
}

static struct mailbox
mailbox_of(const char *text, const char *domain)
{
	struct mailbox m = {.null = false};

	snprintf(m.text, sizeof(m.text), "%s@%s", text, domain);
	snprintf(m.domain, sizeof(m.domain), "%s", domain);
	return m;
}

/* The time must not grow with the list; a slow machine under sanitizers needs a wide bound. */
static void
test_large(void **state)
{
	enum { LISTED = 100000, LOOKUPS = 1000000, NS_MAX = 10000 };
	struct addresses *set = addresses_new();
	struct mailbox hit = mailbox_of("u77777", "a.example");
	struct mailbox domain = mailbox_of("x", "d77777.example");
	struct mailbox miss = mailbox_of("v", "x.y.z.example");
	char pattern[64];
	const char *why;
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < LISTED; i++) {
		snprintf(pattern, sizeof(pattern), i % 2 ? "u%u@a.example" : "@d%u.example", i | 1);
		assert_true(addresses_add(set, pattern, &why));
	}
	clock_t from = clock();
	for (unsigned i = 0; i < LOOKUPS; i++)
		found += addresses_has(set, i % 3 == 0 ? &hit : i % 3 == 1 ? &domain : &miss);
	double ns = (double)(clock() - from) / CLOCKS_PER_SEC * 1e9 / LOOKUPS;
	assert_int_equal(found, LOOKUPS / 3 * 2 + 1);
	print_message("%.0f ns for a look-up among %d\n", ns, LISTED);
	assert_true(ns < NS_MAX);
	addresses_free(set);
}

/* ---- the lists of the policy ---- */

static void
add(struct addresses *set, const char *pattern)
{
	const char *why;

	assert_true(addresses_add(set, pattern, &why));
}

static const struct zone zone[] = {
    {DNS_MX, "good.example", DNS_OK, "mx.good.example"},
    {DNS_A, "mx.good.example", DNS_OK, "203.0.113.25"},
    {DNS_A, NULL, DNS_OK, NULL},
};

static void
test_senders(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	t.zone = zone;
	add(t.policy->senders.deny, "@good.example");
	add(t.policy->senders.deny, "/^bulk/");
	add(t.policy->senders.allow, "boss@good.example");
	add(t.policy->senders.allow, "@.printers");
	trial_judge(&t, "MAIL FROM:<s@good.example>");
	assert_said(&t, "550 5.7.1 <s@good.example>... Sender refused", "senders", "denied");
	assert_int_equal(t.asked, 0);
	trial_judge(&t, "MAIL FROM:<@x.example:\"S\"@GOOD.example.>");
	assert_said(&t, "550 5.7.1 <", "senders", "denied");
	trial_judge(&t, "MAIL FROM:<Bulk-7@nowhere.example>");
	assert_said(&t, "550 5.7.1 <", "senders", "denied");
	trial_judge(&t, "MAIL FROM:<boss@good.example>"); /* allow wins */
	assert_said(&t, NULL, "senders", "allowed");
	trial_judge(&t, "MAIL FROM:<hp@lobby.printers>"); /* a domain that does not exist */
	assert_said(&t, NULL, "senders", "allowed");
	assert_int_equal(t.asked, 0);
	trial_judge(&t, "MAIL FROM:<s@nowhere.example>");
	assert_said(&t, "451 4.1.8", "sender_domain", "nxdomain");
	trial_judge(&t, "MAIL FROM:<>");
	assert_said(&t, NULL, "sender_domain", "null_sender");
	add(t.policy->senders.deny, "<>");
	trial_judge(&t, "MAIL FROM:<>");
	assert_said(&t, "550 5.7.1 <>... Sender refused", "senders", "denied");
	t.facts.client_inside = true; /* everybody */
	t.policy->sender.check = CHECK_OFF;
	trial_judge(&t, "MAIL FROM:<s@good.example>");
	assert_said(&t, "550 5.7.1 <s@good.example>...", "senders", "denied");
	trial_judge(&t, "MAIL FROM:<s@a..b>"); /* a list makes no address of what is none */
	assert_said(&t, "501 5.1.7", "syntax", "bad_address");
	trial_end(&t);
}

/* R-002: whom the list allows may be written to, and nobody relays for it. */
static void
test_recipients(void **state)
{
	struct trial t;

	(void)state;
	trial_begin(&t);
	add(t.policy->recipients.deny, "@local.example");
	add(t.policy->recipients.deny, "/^root@/");
	add(t.policy->recipients.allow, "u@local.example");
	add(t.policy->recipients.allow, "@evil.example");
	trial_judge(&t, "RCPT TO:<u@local.example>");
	assert_said(&t, NULL, "relay", "local_domain");
	trial_judge(&t, "RCPT TO:<v@local.example>");
	assert_said(&t, "550 5.7.1 <v@local.example>... Recipient refused", "recipients", "denied");
	trial_judge(&t, "RCPT TO:<Root@x.local.example>");
	assert_said(&t, "550 5.7.1 <Root@x.local.example>...", "recipients", "denied");
	trial_judge(&t, "RCPT TO:<s@evil.example>");
	assert_said(&t, "550 5.7.1 <s@evil.example>... Relaying denied", "relay", "not_local");
	trial_judge(&t, "RCPT TO:<u%evil.example@local.example>");
	assert_said(&t, "550 5.7.1 <", "recipients", "denied");
	t.facts.client_inside = true;
	trial_judge(&t, "RCPT TO:<v@local.example>");
	assert_said(&t, "550 5.7.1", "recipients", "denied");
	trial_judge(&t, "RCPT TO:<s@evil.example>");
	assert_said(&t, NULL, "relay", "client_inside");
	trial_end(&t);
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_many_expressions),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_senders),
	    {"R-002 an allowed recipient is no relay", test_recipients, NULL, NULL, NULL},
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];
	size_t n = nitems(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	ROWS(rows, test_row)
	return cmocka_run_group_tests_name("addresses", tests, NULL, NULL);
}
