#include "readings.h"

#include "trial.h"

struct row {
	const char *name;
	const char *path;
	const char *hosts; /* in the order in which they were found, each behind a blank */
	bool operators;
};

static const struct row rows[] = {
    {"no operator", "<u@local.example>", "", false},
    {"no domain", "<u>", "", false},
    {"postmaster", "<postmaster>", "", false},
    {"dots and plus", "<first.last+tag=x@local.example>", "", false},
    {"R-022 percent", "<u%evil.example@local.example>", " evil.example", true},
    {"R-022 bang", "<evil.example!u@local.example>", " evil.example", true},
    {"R-014 bang without domain", "<evil.example!r>", " evil.example", true},
    {"two percents", "<u%a.example%b.example@local.example>", " a.example b.example", true},
    {"two bangs", "<a.example!b.example!u@local.example>", " a.example b.example", true},
    {"bang and percent", "<a.example!u%b.example@local.example>", " a.example b.example", true},
    {"percent and bang", "<u%a.example!v@local.example>", " a.example", true},
    {"R-010 quoted", "<\"r@evil.example\"@[192.0.2.25]>", " evil.example", true},
    {"R-007 quoted without domain", "<\"r@evil.example\">", " evil.example", true},
    {"R-021 quoted pair", "<\"u\\@evil.example\"@local.example>", " evil.example", true},
    {"quoted percent", "<\"u%evil.example\"@local.example>", " evil.example", true},
    {"quoted bang", "<\"evil.example!u\"@local.example>", " evil.example", true},
    {"DECnet", "<\"EVIL::u\"@local.example>", " EVIL", true},
    {"nested quotes", "<\"\\\"u@evil.example\\\"@b.example\"@local.example>",
	" evil.example\" b.example", true},
    {"nested route", "<\"@a.example,@b.example:u@c.example\"@local.example>",
	" a.example b.example c.example", true},
    {"nested literal", "<\"u@[192.0.2.9]\"@local.example>", " [192.0.2.9]", true},
    {"R-018 route", "<@local.example,@evil.example:r@evil.example>", " local.example evil.example",
	false},
    {"R-012 route through a literal", "<@[192.0.2.25]:r@evil.example>", " [192.0.2.25]", false},
    {"route and percent", "<@a.example:u%b.example@local.example>", " a.example b.example", true},
    {"percent at the end", "<u%@local.example>", " ", true},
    {"bang at the front", "<!u@local.example>", " ", true},
    {"SRS is no operator", "<SRS0=HHH=TT=evil.example=u@local.example>", "", false},
};

static void
test_row(void **state)
{
	const struct row *row = *state;
	struct readings readings;
	struct smtp_path path;
	struct span rest;
	struct buf hosts;

	assert_int_equal(
	    smtp_path_parse(span_str(row->path), false, true, &path, &rest), SMTP_PATH_OK);
	assert_true(readings_make(&readings, &path));
	buf_init(&hosts, 1000);
	for (size_t i = 0; i < readings.n; i++)
		assert_true(buf_octet(&hosts, ' ') && buf_add(&hosts, readings.hosts[i]));
	buf_octet(&hosts, '\0');
	assert_string_equal((const char *)hosts.p, row->hosts);
	assert_int_equal(readings.operators, row->operators);
	assert_false(readings.too_many);
	buf_free(&hosts);
	readings_free(&readings);
}

static void
test_bound(void **state)
{
	struct readings readings;
	struct smtp_path path;
	struct span rest;

	(void)state;
	assert_int_equal(smtp_path_parse(span_str("<u%a%b%c%d%e%f%g%h%i%j%k%l%m%n%o%p@x>"), false,
			     true, &path, &rest),
	    SMTP_PATH_OK);
	assert_true(readings_make(&readings, &path));
	assert_int_equal(readings.n, READINGS_MAX);
	assert_false(readings.too_many);
	readings_free(&readings);

	assert_int_equal(smtp_path_parse(span_str("<@y:u%a%b%c%d%e%f%g%h%i%j%k%l%m%n%o%p@x>"),
			     false, true, &path, &rest),
	    SMTP_PATH_OK);
	assert_true(readings_make(&readings, &path));
	assert_int_equal(readings.n, READINGS_MAX);
	assert_true(readings.too_many);
	readings_free(&readings);
}

int
main(void)
{
	struct CMUnitTest tests[1 + nitems(rows)] = {cmocka_unit_test(test_bound)};
	size_t n = 1;

	ROWS(rows, test_row)
	return cmocka_run_group_tests_name("readings", tests, NULL, NULL);
}
