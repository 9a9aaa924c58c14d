#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/telnet.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OCTETS(s) (s), sizeof(s) - 1

static const struct {
	const char *in;
	size_t n;
	const char *out;
	bool found;
} lines[] = {
    {OCTETS(""), "", false}, {OCTETS("abc"), "abc", false},
    {OCTETS("a\xff\xff"
	    "b"),
	"a\xff"
	"b",
	false},
    {OCTETS("\xff\xff\xff\xff"), "\xff\xff", false},
    {OCTETS("a\xff\xf1"
	    "b"),
	"ab", true},
    {OCTETS("a\xff\xfb\x01"
	    "b"),
	"ab", true},
    {OCTETS("a\xff\xfe\xff"
	    "b"),
	"ab", true},
    {OCTETS("a\xff\xfa\x18x\xff\xffy\xff\xf0"
	    "b"),
	"ab", true},
    {OCTETS("a\xff\xfa\x18x y"), "a", true}, /* it does not end */
    {OCTETS("a\xff"), "a", true}, {OCTETS("a\xff\xfd"), "a", true},
    {OCTETS("a\xff"
	    "b"),
	"ab", true}, /* no sequence at all */
};

static void
test_plain(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		struct buf out;
		bool found;

		buf_init(&out, 100);
		assert_true(telnet_plain(span_of(lines[i].in, lines[i].n), &out, &found));
		assert_true(span_eq(buf_span(&out), span_str(lines[i].out)));
		assert_int_equal(found, lines[i].found);
		buf_free(&out);
	}
}

/* What was written is read as what it was. */
static void
test_write(void **state)
{
	struct buf out, again;
	bool found;

	(void)state;
	buf_init(&out, 100);
	buf_init(&again, 100);
	assert_true(telnet_write(span_str("\xff"
					  "a\xff\xff"),
	    &out));
	assert_int_equal(out.n, 7);
	assert_true(telnet_plain(buf_span(&out), &again, &found));
	assert_false(found);
	assert_true(span_eq(buf_span(&again), span_str("\xff"
						       "a\xff\xff")));
	buf_free(&out);
	buf_free(&again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests_name("telnet", tests, NULL, NULL);
}
