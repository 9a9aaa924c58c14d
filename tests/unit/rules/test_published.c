/*
 * What a mail server outside publishes about its certificate, and what becomes of STARTTLS that
 * would be intercepted: SECURITY T-014.
 */
#include "trial.h"

#include "published.h"

#define HASH   32 /* octets of SHA-256 */
#define SERVER "203.0.113.25"
#define PTR    "25.113.0.203.in-addr.arpa"

static struct answers *answers;

static void
put(const struct dns_answer *a)
{
	assert_true(answers_put(answers, a));
}

static struct dns_answer
answer_of(enum dns_type type, const char *name, enum dns_status status)
{
	struct dns_answer a = {.status = status};

	assert_true(dns_question_set(&a.question, type, span_str(name)));
	return a;
}

static void
put_tlsa(const char *name, bool secure, unsigned usage, size_t n)
{
	struct dns_answer a = answer_of(DNS_TLSA, name, DNS_OK);

	a.secure = secure;
	a.n = 1;
	a.tlsa[0] = (struct dns_tlsa){(uint8_t)usage, 1, 1, (uint16_t)n};
	put(&a);
}

static void
put_txt(const char *name, const char *text)
{
	struct dns_answer a = answer_of(DNS_TXT, name, DNS_OK);

	a.n = 1;
	a.txt[0].n = (uint8_t)strlen(text);
	memcpy(a.txt[0].text, text, strlen(text));
	put(&a);
}

static void
put_ptr(const char *host)
{
	struct dns_answer a = answer_of(DNS_PTR, PTR, DNS_OK);

	a.n = 1;
	memcpy(a.host[0], host, strlen(host) + 1);
	put(&a);
}

/* All other questions are answered like this. */
static enum dns_status others;
static unsigned asked;

/* "passes RULE REASON", "STATUS RULE REASON". */
static const char *
judged(struct policy *policy, const char *server_name)
{
	static char said[128];
	struct verdict v;
	struct smtp_verb_row row = {.verb = SMTP_STARTTLS};
	struct smtp_detail detail = {.verb = &row, .fault = SMTP_OK};
	struct an_event ev = {.kind = EV_COMMAND, .smtp = &detail};
	struct facts facts = {.client_inside = true,
	    .client = ip_of("192.0.2.7"),
	    .server = ip_of(SERVER),
	    .starttls = STARTTLS_INTERCEPT,
	    .unless_published = true,
	    .server_name = server_name};

	asked = 0;
	for (unsigned round = 0;; round++) {
		assert_true(round <= 3);
		memset(&v, 0xa5, sizeof(v));
		policy_judge(policy, &facts, &ev, answers, &v);
		if (v.action != VERDICT_ASK)
			break;
		assert_true(v.n_questions > 0);
		asked += (unsigned)v.n_questions;
		for (size_t i = 0; i < v.n_questions; i++) {
			struct dns_answer a = {.status = others, .question = v.questions[i]};
			put(&a);
		}
	}
	assert_int_equal(v.action, VERDICT_PASS);
	snprintf(said, sizeof(said), "%s %s %s", v.passes_tls ? "by" : "on", v.rule, v.reason);
	return said;
}

static int
begin(void **state)
{
	(void)state;
	answers = answers_new();
	others = DNS_NXDOMAIN;
	return answers == NULL;
}

static int
end(void **state)
{
	(void)state;
	answers_free(answers);
	return 0;
}

static const char *
judged_once(const char *server_name)
{
	struct policy *p = policy_new();
	const char *said;

	assert_non_null(p);
	said = judged(p, server_name);
	policy_free(p);
	return said;
}

#define ON "on starttls intercept"

static void
test_T_014_dane_of_the_name_in_the_greeting(void **state)
{
	(void)state;
	put_tlsa("_25._tcp.mx.other.example", true, 3, HASH);
	assert_string_equal(judged_once("mx.other.example"), "by published dane");
}

static void
test_T_014_dane_of_the_name_of_the_address(void **state)
{
	(void)state;
	put_ptr("mx.other.example");
	put_tlsa("_25._tcp.mx.other.example", true, 2, HASH);
	assert_string_equal(judged_once("localhost"), "by published dane");
}

static void
test_T_014_dane_that_nobody_has_signed(void **state)
{
	(void)state;
	put_tlsa("_25._tcp.mx.other.example", false, 3, HASH);
	assert_string_equal(judged_once("mx.other.example"), ON);
}

/* PKIX-EE, and a digest that is none: senders do without (RFC 7672 s3.1.3). */
static void
test_T_015_dane_that_nobody_can_use(void **state)
{
	(void)state;
	put_tlsa("_25._tcp.mx.other.example", true, 1, HASH);
	put_ptr("mx.another.example");
	put_tlsa("_25._tcp.mx.another.example", true, 3, 16);
	assert_string_equal(judged_once("mx.other.example"), ON);
}

static void
test_T_014_mta_sts_of_a_domain_above(void **state)
{
	(void)state;
	put_txt("_mta-sts.other.example", "v=STSv1; id=20260101T000000;");
	assert_string_equal(judged_once("mx1.eu.other.example"), "by published mta_sts");
}

static void
test_T_014_mta_sts_three_domains_above_is_not_asked_for(void **state)
{
	(void)state;
	put_txt("_mta-sts.other.example", "v=STSv1; id=1;");
	assert_string_equal(judged_once("a.b.c.other.example"), ON);
}

static void
test_T_014_other_texts_are_no_policy(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {{"v=STSv1; id=1", true}, {"v=STSv1 ;id=1", true}, {"v=STSv1;", true},
	    {"v=STSv1", false}, {"v=STSv12; id=1", false}, {"V=STSv1; id=1", false}, {"", false},
	    {"v=spf1 -all", false}, {" v=STSv1;", false}};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct dns_txt txt = {.n = (uint8_t)strlen(rows[i].text)};

		memcpy(txt.text, rows[i].text, txt.n);
		if (published_mta_sts(&txt) != rows[i].want)
			fail_msg("'%s'", rows[i].text);
	}
}

static void
test_T_014_nothing_published(void **state)
{
	(void)state;
	put_ptr("mx.other.example");
	assert_string_equal(judged_once("mx.other.example"), ON); /* one name, asked for once */
	assert_int_equal(asked, 3);				  /* TLSA, and two TXT */
}

static void
test_T_014_at_most_three_names(void **state)
{
	struct dns_answer ptr = answer_of(DNS_PTR, PTR, DNS_OK);

	(void)state;
	ptr.n = DNS_HOST_MAX;
	for (size_t i = 0; i < ptr.n; i++)
		snprintf(ptr.host[i], DNS_NAME_MAX, "a.b.c.d%zu.example", i);
	put(&ptr);
	assert_string_equal(judged_once("x.y.z.other.example"), ON);
	assert_int_equal(asked, 3 * 4);
}

/* Where the DNS cannot tell the administrator says what is worse. */
static void
test_T_014_the_DNS_cannot_tell(void **state)
{
	static const struct {
		enum dns_status status;
		enum published policy;
		const char *want;
	} rows[] = {{DNS_FAILED, PUBLISHED_PASS, "by published dns_failed"},
	    {DNS_TIMEOUT, PUBLISHED_PASS, "by published dns_timeout"},
	    {DNS_FAILED, PUBLISHED_KNOWN, ON}, {DNS_TIMEOUT, PUBLISHED_KNOWN, ON}};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct policy *p = policy_new();

		p->published = rows[i].policy;
		answers_free(answers);
		answers = answers_new();
		others = rows[i].status;
		assert_string_equal(judged(p, "mx.other.example"), rows[i].want);
		policy_free(p);
	}
}

/* A reverse zone that does not answer is nothing unusual. */
static void
test_T_014_no_name_of_the_address(void **state)
{
	struct dns_answer a = answer_of(DNS_PTR, PTR, DNS_FAILED);

	(void)state;
	put(&a);
	assert_string_equal(judged_once("mx.other.example"), ON);
	/* but then nobody knows any name */
	assert_string_equal(judged_once(NULL), "by published dns_failed");
}

static void
test_a_name_that_is_too_long_to_be_asked_for(void **state)
{
	char name[DNS_NAME_MAX];

	(void)state;
	memset(name, 'x', sizeof(name));
	for (size_t i = 50; i < sizeof(name); i += 51)
		name[i] = '.';
	name[DNS_NAME_MAX - 1] = '\0';
	assert_string_equal(judged_once(name), ON);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_T_014_dane_of_the_name_in_the_greeting, begin, end),
	    cmocka_unit_test_setup_teardown(test_T_014_dane_of_the_name_of_the_address, begin, end),
	    cmocka_unit_test_setup_teardown(test_T_014_dane_that_nobody_has_signed, begin, end),
	    cmocka_unit_test_setup_teardown(test_T_015_dane_that_nobody_can_use, begin, end),
	    cmocka_unit_test_setup_teardown(test_T_014_mta_sts_of_a_domain_above, begin, end),
	    cmocka_unit_test_setup_teardown(
		test_T_014_mta_sts_three_domains_above_is_not_asked_for, begin, end),
	    cmocka_unit_test_setup_teardown(test_T_014_other_texts_are_no_policy, begin, end),
	    cmocka_unit_test_setup_teardown(test_T_014_nothing_published, begin, end),
	    cmocka_unit_test_setup_teardown(test_T_014_at_most_three_names, begin, end),
	    cmocka_unit_test_setup_teardown(test_T_014_the_DNS_cannot_tell, begin, end),
	    cmocka_unit_test_setup_teardown(test_T_014_no_name_of_the_address, begin, end),
	    cmocka_unit_test_setup_teardown(
		test_a_name_that_is_too_long_to_be_asked_for, begin, end),
	};

	return cmocka_run_group_tests_name("published", tests, NULL, NULL);
}
