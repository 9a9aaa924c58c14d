#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mime/address_list.h"
#include "mime/charset.h"
#include "tests/unit/alloc.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static int
set_up(void **state)
{
	(void)state;
	return charset_init() ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	charset_close();
	return 0;
}

/* "name:address|name:address" */
static void
describe(const struct address_list *list, struct buf *out)
{
	for (size_t i = 0; i < list->n; i++) {
		if (i > 0)
			buf_str(out, "|");
		buf_add(out, list->each[i].name);
		buf_str(out, ":");
		buf_add(out, list->each[i].address);
	}
	assert_true(buf_octet(out, '\0'));
}

static void
test_cases(void **state)
{
	static const struct {
		const char *in, *want;
		const char *faults[2];
	} cases[] = {
	    {"", "", {NULL}},
	    {" , ,", "", {NULL}},
	    {"a@b.example", ":a@b.example", {NULL}},
	    {"a@b, c@d", ":a@b|:c@d", {NULL}},
	    {"Ann Other <a@b>, <c@d>", "Ann Other:a@b|:c@d", {NULL}},
	    {"\"Other, Ann\" <a@b>", "Other, Ann:a@b", {NULL}},
	    {"\"a \\\"b\\\" c\" <a@b>", "a \"b\" c:a@b", {NULL}},
	    {"=?utf-8?Q?J=C3=B6rg?= =?utf-8?Q?_M?= <j@b>", "Jörg M:j@b", {NULL}},
	    {"=?iso-8859-1?Q?J=F6rg=2C_M?= <j@b>, c@d", "Jörg, M:j@b|:c@d", {NULL}},
	    {"a@b (Ann (the) Other)", "Ann (the) Other:a@b", {NULL}},
	    {"a@b (=?utf-8?Q?=C3=BC?=)", "ü:a@b", {NULL}},
	    {"Ann (x) <a(y)@b(z)> (w)", "Ann:a@b", {NULL}},
	    {"Friends: a@b, Ann <c@d>;, e@f", ":a@b|Ann:c@d|:e@f", {NULL}},
	    {"undisclosed-recipients:;", "", {NULL}},
	    {"<@x,@y:a@b>", ":a@b", {NULL}},
	    {"\"a b\"@c", ":\"a b\"@c", {NULL}},
	    {"<\"a>b\"@c>", ":\"a>b\"@c", {NULL}},
	    {"jörg@bücher.example", ":jörg@bücher.example", {NULL}},
	    {"Jörg <j@b>", "Jörg:j@b", {NULL}},
	    {"Ann\r\n <a@b>,\r\n\tc@d", "Ann:a@b|:c@d", {NULL}},
	    {"a@[192.0.2.1]", ":a@[192.0.2.1]", {NULL}},
	    /* no addresses, or odd ones */
	    {"root", "root:", {"no address"}},
	    {"Ann <>", "Ann:", {"no address"}},
	    {"a@b; c@d", ":a@b|:c@d", {"semicolon for a comma"}},
	    {"Ann <a@b, c@d", "Ann:a@b|:c@d", {"bracket never closed"}},
	    {"a@b (open", "open:a@b", {"comment never closed"}},
	    {"\"open <a@b>, c@d", "open <a@b>, c@d:", {"quote never closed", "no address"}},
	    {"a@b@c", ":a@b@c", {"more than one @"}},
	    {"A <a@b> <c@d>", "A:c@d", {"more than one address in brackets"}},
	    {"\xfc <a@b>", "\xfc:a@b", {"octets in no known charset"}},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct address_list list;
		struct buf out;
		unsigned n = 0;

		buf_init(&out, 1000);
		address_list_init(&list, 100);
		assert_true(address_list_add(&list, span_str(cases[i].in)));
		describe(&list, &out);
		assert_string_equal((const char *)out.p, cases[i].want);
		for (; n < 2 && cases[i].faults[n] != NULL; n++) {
			assert_true(n < list.faults.n);
			assert_string_equal(list.faults.each[n].detail, cases[i].faults[n]);
		}
		assert_int_equal(list.faults.n, n);
		buf_free(&out);
		address_list_free(&list);
	}
}

static void
test_text(void **state)
{
	struct address_list list;

	(void)state;
	address_list_init(&list, 10);
	assert_true(address_list_add(&list, span_str("Ann <a@b>")));
	assert_true(address_list_add(&list, span_str("c@d, root")));
	assert_int_equal(list.n, 3);
	assert_true(span_eq(list.each[0].text, span_str("Ann <a@b>")));
	assert_true(span_eq(list.each[1].text, span_str("c@d")));
	assert_true(span_eq(list.each[2].text, span_str("root")));
	address_list_free(&list);
}

/* M-022, and other things a million times */
static void
test_million(void **state)
{
	static const char *const repeated[] = {"a@b.example, ", "\"", "(", "<", "<@", ":", ",",
	    "\"a\"@", "=?utf-8?Q?a?= <a@b>,", "x:a@b;", "\\", "@"};
	struct address_list list;

	(void)state;
	for (size_t i = 0; i < nitems(repeated); i++) {
		size_t n = strlen(repeated[i]), size = n * 1000000;
		uint8_t *text = malloc(size);

		assert_non_null(text);
		for (size_t k = 0; k < size; k++)
			text[k] = (uint8_t)repeated[i][k % n];
		address_list_init(&list, 1000);
		assert_true(address_list_add(&list, span_of(text, size)));
		assert_true(list.n <= 1000);
		if (i == 0) {
			assert_int_equal(list.n, 1000);
			assert_int_equal(list.left_out, 999000);
		}
		address_list_free(&list);
		free(text);
	}
}

static void
test_no_memory(void **state)
{
	struct span value = span_str("a@b, =?utf-8?Q?=C3=BC?= <c@d>, e@f, g@h, i@j, k@l, m@n, o@p, "
				     "q@r");
	bool failed = true;

	(void)state;
	for (unsigned n = 1; failed; n++) {
		struct address_list list;
		bool added;

		address_list_init(&list, 100);
		alloc_fail_at(n);
		added = address_list_add(&list, value);
		failed = alloc_failed();
		assert_int_equal(added, !failed);
		assert_true(n > 10 || failed);
		for (size_t i = 0; i < list.n; i++)
			assert_true(list.each[i].text.n >= 3);
		address_list_free(&list);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_million),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
