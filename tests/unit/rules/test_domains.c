#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "domains.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

#define BUECHER "b\xc3\xbc\x63her.example"
#define L10	"abcdefghij"
#define L63	L10 L10 L10 L10 L10 L10 "abc"

struct row {
	const char *name;
	const char *in;
	const char *out; /* NULL: it is no domain */
};

static const struct row rows[] = {
    {"plain", "example.edu", "example.edu"},
    {"R-020 capitals", "EXAMPLE.Edu", "example.edu"},
    {"R-019 trailing dot", "example.edu.", "example.edu"},
    {"one label", "localhost", "localhost"},
    {"digits and hyphens", "3com.r3---sn-x.example", "3com.r3---sn-x.example"},
    {"D-019 label of 63", L63 ".example", L63 ".example"},
    {"R-026 D-019 label of 64", L63 "d.example", NULL},
    {"D-019 name of 253", L63 "." L63 "." L63 "." L10 L10 L10 L10 L10 L10 "a",
	L63 "." L63 "." L63 "." L10 L10 L10 L10 L10 L10 "a"},
    {"D-019 name of 254", L63 "." L63 "." L63 "." L10 L10 L10 L10 L10 L10 "ab", NULL},
    {"D-019 name of 255", L63 "." L63 "." L63 "." L63, NULL},
    {"empty", "", NULL},
    {"only a dot", ".", NULL},
    {"two trailing dots", "example.edu..", NULL},
    {"R-026 D-019 empty label", "a..b", NULL},
    {"dot at the front", ".example.edu", NULL},
    {"R-026 D-019 underscore", "a_b.example", NULL},
    {"R-026 hyphen at the front", "-a.example", NULL},
    {"hyphen at the end", "a-.example", NULL},
    {"hyphen at the very end", "a.example-", NULL},
    {"blank", "a b.example", NULL},
    {"D-019 percent", "a%00.example", NULL},
    {"literal", "[192.0.2.1]", NULL},
    {"dotted quad", "192.0.2.1", NULL},
    {"last label of digits", "example.123", NULL},
    {"U-label", BUECHER, "xn--bcher-kva.example"},
    {"U-label in capitals",
	"B\xc3\x9c"
	"CHER.Example",
	"xn--bcher-kva.example"},
    {"A-label", "xn--bcher-kva.example", "xn--bcher-kva.example"},
    {"A-label in capitals", "XN--BCHER-KVA.example", "xn--bcher-kva.example"},
    {"Greek capitals", "\xce\x92\xce\x8c.example", "xn--nxa6c.example"},
    {"Greek small letters", "\xce\xb2\xcf\x8c.example", "xn--nxa6c.example"},
    {"Cyrillic capitals", "\xd0\x9f\xd0\xa0\xd0\x98\xd0\x9c\xd0\x95\xd0\xa0.example",
	"xn--e1afmkfd.example"},
    {"Vietnamese capitals", "VI\xe1\xbb\x86T.example", "xn--vit-5kz.example"},
    {"sharp s is itself", "fa\xc3\x9f.example", "xn--fa-hia.example"},
    {"R-025 Greek omicron is no o",
	"l\xce\xbf"
	"cal.example",
	"xn--lcal-0nd.example"},
    {"R-025 U+3002",
	"local\xe3\x80\x82"
	"example",
	NULL},
    {"R-025 U+FF0E",
	"local\xef\xbc\x8e"
	"example",
	NULL},
    {"R-025 U+FF61",
	"local\xef\xbd\xa1"
	"example",
	NULL},
    {"full-width letters", "\xef\xbd\x81\xef\xbd\x82.example", NULL},
    {"emoji", "\xe2\x98\xba.example", NULL},
    {"not in Form C", "u\xcc\x88.example", NULL},
    {"two directions in a label",
	"\xd7\x90"
	"a.example",
	NULL},
    {"underscore beside a U-label", "a_b.\xc3\xbc.example", NULL},
    {"U-label beside a dotted end", "\xc3\xbc..example", NULL},
    {"bad UTF-8", "b\xc3.example", NULL},
    {"R-026 D-019 Punycode of nothing", "xn--", NULL},
    {"R-026 bad Punycode", "xn--zzzzzz--.example", NULL},
    {"R-026 Punycode of a control character", "xn--a.example", NULL},
    {"R-026 Punycode of ASCII", "xn--abc-.example", NULL},
    {"R-026 below a good name", "mail.xn--abc.example", NULL},
};

static void
test_canonical(void **state)
{
	const struct row *row = *state;
	char out[DOMAIN_TEXT_MAX];

	if (!domain_canonical(span_str(row->in), out))
		assert_null(row->out);
	else if (row->out == NULL)
		fail_msg("'%s' became '%s'", row->in, out);
	else
		assert_string_equal(out, row->out);
}

static void
test_nul(void **state)
{
	char out[DOMAIN_TEXT_MAX];

	(void)state;
	assert_false(domain_canonical(span_of("local.example\0.evil", 19), out));
	assert_false(domain_canonical(span_of("\xc3\xbc.example\0.evil", 16), out));
}

static void
test_huge(void **state)
{
	char text[70000], out[DOMAIN_TEXT_MAX];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 63; i < sizeof(text); i += 64)
		text[i] = '.';
	assert_false(domain_canonical(span_of(text, sizeof(text) - 1), out));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 == 0 ? '\xc3' : '\xbc';
	for (size_t n = 2; n < 3000; n += 2) /* the longest run has a Punycode of 59 octets */
		assert_int_equal(domain_canonical(span_of(text, n), out), n <= 2 * 57);
}

static struct domains *
set_of(const char *const *names)
{
	struct domains *set = domains_new();
	const char *why;

	assert_non_null(set);
	for (; *names != NULL; names++)
		assert_true(domains_add(set, *names, &why));
	return set;
}

static void
test_set(void **state)
{
	struct domains *set = set_of((const char *const[]){"example.edu", ".example.edu",
	    ".below.example", "Alone.example", BUECHER, "example.edu", NULL});

	(void)state;
	assert_true(domains_has(set, "example.edu"));
	assert_true(domains_has(set, "mail.example.edu"));
	assert_true(domains_has(set, "a.b.c.example.edu"));
	assert_false(domains_has(set, "notexample.edu"));
	assert_false(domains_has(set, "example.edu.evil"));
	assert_false(domains_has(set, "edu"));
	assert_false(domains_has(set, "below.example"));
	assert_true(domains_has(set, "x.below.example"));
	assert_true(domains_has(set, "alone.example"));
	assert_false(domains_has(set, "x.alone.example"));
	assert_true(domains_has(set, "xn--bcher-kva.example"));
	assert_false(domains_has(set, ""));
	domains_free(set);
}

static void
test_set_empty(void **state)
{
	struct domains *set = domains_new();

	(void)state;
	assert_true(domains_empty(set));
	assert_false(domains_has(set, "example.edu"));
	assert_true(domains_empty(NULL));
	assert_false(domains_has(NULL, "example.edu"));
	domains_free(set);
	domains_free(NULL);
}

static void
test_set_faults(void **state)
{
	static const char *const bad[] = {
	    "", ".", "..example", "a_b.example", "xn--", "192.0.2.1", "*", "a@b"};
	struct domains *set = domains_new();
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++)
		assert_false(domains_add(set, bad[i], &why));
	assert_string_equal(why, "is no domain name");
	assert_false(domains_add(set, "*.example", &why));
	assert_string_equal(why, "has a star: a leading dot means every name below it");
	assert_true(domains_empty(set));
	domains_free(set);
}

static void
test_set_many(void **state)
{
	struct domains *set = domains_new();
	char text[64];
	const char *why;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "%sd%u.example", i % 2 == 0 ? "" : ".", i);
		assert_true(domains_add(set, text, &why));
	}
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "d%u.example", i);
		assert_int_equal(domains_has(set, text), i % 2 == 0);
		snprintf(text, sizeof(text), "mail.d%u.example", i);
		assert_int_equal(domains_has(set, text), i % 2 == 1);
	}
	assert_false(domains_has(set, "d100000.example"));
	domains_free(set);
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    {"D-019 NUL", test_nul, NULL, NULL, NULL},
	    {"D-019 a huge name", test_huge, NULL, NULL, NULL},
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_set_empty),
	    cmocka_unit_test(test_set_faults),
	    cmocka_unit_test(test_set_many),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];
	size_t n = nitems(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++)
		tests[n++] = (struct CMUnitTest){
		    rows[i].name, test_canonical, NULL, NULL, (void *)(uintptr_t)&rows[i]};
	return cmocka_run_group_tests_name("domains", tests, NULL, NULL);
}
