#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mime/coded.h"

/* M-032 */
static void
test_m032_yenc(void **state)
{
	struct yenc_begin y;

	(void)state;
	assert_true(
	    yenc_begin(span_str("=ybegin part=2 total=3 line=128 size=123 name= a b.exe "), &y));
	assert_true(span_eq(y.name, span_str(" a b.exe")));
	assert_int_equal(y.line, 128);
	assert_int_equal(y.size, 123);
	assert_int_equal(y.part, 2);
	assert_int_equal(y.total, 3);
	assert_true(yenc_begin(span_str("=ybegin line=128 size=1"), &y));
	assert_int_equal(y.name.n, 0);
	assert_true(yenc_begin(span_str("=ybegin size=1 odd line=64 name="), &y));
	assert_false(yenc_begin(span_str("=ybegin size=1 name=line=5"), &y));
	assert_false(yenc_begin(span_str("=ybegin line=x size=1 name=a"), &y));
	assert_false(yenc_begin(span_str("=ybegin line=1 size=99999999999999999999 name=a"), &y));
	assert_false(yenc_begin(span_str("=ybeginning line=1 size=1"), &y));
	assert_false(yenc_begin(span_str("=ypart begin=1 end=2"), &y));
	assert_false(yenc_begin(SPAN_NONE, &y));
}

/* One octet stands for itself and four times in a row for the run's mark. */
static const char binhex[] = ":#R*PF'pbG#jPH'8!39\"36*!!N!#3!*\r\n!!!!!!!!!&!!!!\"`!!";

/* M-033 */
static void
test_m033_binhex(void **state)
{
	struct binhex b;

	(void)state;
	assert_true(binhex_announced(span_str("(This file must be converted with BinHex 4.0)")));
	assert_false(binhex_announced(span_str("This file must be converted")));
	assert_true(binhex_header(span_str(binhex), &b));
	assert_string_equal(b.name, "report.exe");
	assert_int_equal(b.name_n, 10);
	assert_memory_equal(b.type, "APPL", 4);
	assert_memory_equal(b.creator, "\x90\x90\x90\x90", 4);
	assert_int_equal(b.data, 5);
	assert_int_equal(b.resource, 7);
	for (size_t n = 0; n < 48; n++)
		assert_false(binhex_header(span_of(binhex, n), &b));
	assert_false(binhex_header(span_str(binhex + 1), &b));
	assert_false(binhex_header(span_str(": no alphabet"), &b));
	assert_false(
	    binhex_header(span_str(":!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"), &b));
}

static void
test_m033_apple(void **state)
{
	(void)state;
	assert_true(apple_file(span_of("\0\5\x16\7\0", 5)));
	assert_true(apple_file(span_of("\0\5\x16\0\0", 5)));
	assert_false(apple_file(span_of("\0\5\x16", 3)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_m032_yenc),
	    cmocka_unit_test(test_m033_binhex),
	    cmocka_unit_test(test_m033_apple),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
