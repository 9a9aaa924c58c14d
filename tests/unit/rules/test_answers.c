#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "answers.h"

static struct dns_answer
answer_of(enum dns_type type, const char *name, enum dns_status status)
{
	struct dns_answer answer = {.status = status};

	assert_true(dns_question_set(&answer.question, type, span_str(name)));
	return answer;
}

static void
test_records(void **state)
{
	struct answers *answers = answers_new();
	struct dns_answer mx = answer_of(DNS_MX, "a.example", DNS_OK);
	struct dns_answer a = answer_of(DNS_A, "a.example", DNS_OK);
	struct dns_answer ptr = answer_of(DNS_PTR, "1.2.0.192.in-addr.arpa", DNS_OK);
	enum dns_status status;

	(void)state;
	mx.n = 2;
	memcpy(mx.mx[0].host, "mx1.example", 12);
	memcpy(mx.mx[1].host, "mx2.example", 12);
	ptr.n = 2;
	memcpy(ptr.host[1], "b.example", 10);
	assert_true(answers_put(answers, &ptr));
	memset(&ptr, 0, sizeof(ptr));
	a.n = 1;
	a.address[0] = ip_v4((const uint8_t[]){192, 0, 2, 1});
	assert_true(answers_put(answers, &mx));
	assert_true(answers_put(answers, &a));
	memset(&mx, 0, sizeof(mx)); /* a copy was kept */

	assert_true(answers_status(answers, DNS_MX, "a.example", &status));
	assert_int_equal(status, DNS_OK);
	assert_int_equal(answers_count(answers, DNS_MX, "a.example"), 2);
	assert_string_equal(answers_mx(answers, "a.example", 1)->host, "mx2.example");
	assert_int_equal(answers_count(answers, DNS_A, "a.example"), 1);
	assert_true(ip_eq(answers_address(answers, DNS_A, "a.example", 0), &a.address[0]));
	assert_false(answers_status(answers, DNS_AAAA, "a.example", &status));
	assert_false(answers_status(answers, DNS_MX, "b.example", &status));
	assert_int_equal(answers_count(answers, DNS_MX, "b.example"), 0);
	assert_int_equal(answers_count(answers, DNS_PTR, "1.2.0.192.in-addr.arpa"), 2);
	assert_string_equal(answers_host(answers, "1.2.0.192.in-addr.arpa", 1), "b.example");
	answers_free(answers);
}

static void
test_records_of_certificates(void **state)
{
	struct answers *answers = answers_new();
	struct dns_answer tlsa = answer_of(DNS_TLSA, "_25._tcp.a.example", DNS_OK);
	struct dns_answer txt = answer_of(DNS_TXT, "_mta-sts.a.example", DNS_OK);

	(void)state;
	tlsa.secure = true;
	tlsa.n = txt.n = 2;
	tlsa.tlsa[1] = (struct dns_tlsa){3, 1, 1, 32};
	memcpy(txt.txt[1].text, "v=", txt.txt[1].n = 2);
	assert_true(answers_put(answers, &tlsa));
	assert_true(answers_put(answers, &txt));
	memset(&tlsa, 0, sizeof(tlsa)); /* a copy was kept */
	memset(&txt, 0, sizeof(txt));
	assert_true(answers_secure(answers, DNS_TLSA, "_25._tcp.a.example"));
	assert_false(answers_secure(answers, DNS_TXT, "_mta-sts.a.example"));
	assert_false(answers_secure(answers, DNS_TXT, "_25._tcp.a.example"));
	assert_int_equal(answers_count(answers, DNS_TLSA, "_25._tcp.a.example"), 2);
	assert_int_equal(answers_tlsa(answers, "_25._tcp.a.example", 1)->n, 32);
	assert_int_equal(answers_txt(answers, "_mta-sts.a.example", 1)->n, 2);
	answers_free(answers);
}

static void
test_first_stays(void **state)
{
	struct answers *answers = answers_new();
	struct dns_answer no = answer_of(DNS_A, "a.example", DNS_NXDOMAIN);
	struct dns_answer empty = answer_of(DNS_A, "b.example", DNS_OK);
	enum dns_status status;

	(void)state;
	assert_true(answers_put(answers, &no));
	no.status = DNS_FAILED;
	assert_true(answers_put(answers, &no));
	assert_true(answers_status(answers, DNS_A, "a.example", &status));
	assert_int_equal(status, DNS_NXDOMAIN);
	assert_true(answers_put(answers, &empty)); /* "ok" without a record */
	assert_true(answers_status(answers, DNS_A, "b.example", &status));
	assert_int_equal(status, DNS_NODATA);
	answers_free(answers);
}

static void
test_fill(void **state)
{
	struct answers *answers = answers_new();
	struct dns_answer ok = answer_of(DNS_A, "a.example", DNS_NODATA);
	struct dns_question asked[3];
	enum dns_status status;

	(void)state;
	asked[0] = ok.question;
	dns_question_set(&asked[1], DNS_AAAA, span_str("a.example"));
	dns_question_set(&asked[2], DNS_A, span_str("b.example"));
	assert_true(answers_put(answers, &ok));
	assert_true(answers_fill(answers, asked, 3, DNS_TIMEOUT));
	assert_true(answers_status(answers, DNS_A, "a.example", &status));
	assert_int_equal(status, DNS_NODATA);
	assert_true(answers_status(answers, DNS_AAAA, "a.example", &status));
	assert_int_equal(status, DNS_TIMEOUT);
	assert_true(answers_status(answers, DNS_A, "b.example", &status));
	assert_int_equal(status, DNS_TIMEOUT);
	answers_free(answers);
}

static void
test_bound(void **state)
{
	struct answers *answers = answers_new();
	char name[32];

	(void)state;
	for (unsigned i = 0; i <= ANSWERS_MAX; i++) {
		struct dns_answer answer;

		snprintf(name, sizeof(name), "h%u.example", i);
		answer = answer_of(DNS_A, name, DNS_NODATA);
		assert_int_equal(answers_put(answers, &answer), i < ANSWERS_MAX);
	}
	answers_free(answers);
}

static void
test_none(void **state)
{
	enum dns_status status;

	(void)state;
	assert_false(answers_status(NULL, DNS_A, "a.example", &status));
	assert_int_equal(answers_count(NULL, DNS_A, "a.example"), 0);
	answers_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_records_of_certificates),
	    cmocka_unit_test(test_first_stays),
	    cmocka_unit_test(test_fill),
	    cmocka_unit_test(test_bound),
	    cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
