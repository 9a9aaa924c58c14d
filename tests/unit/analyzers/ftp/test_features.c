#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../alloc.h"
#include "ftp/features.h"

#define REPLY                                                                                      \
	"211-Features:\r\n"                                                                        \
	" EPRT\r\n"                                                                                \
	"  AUTH TLS \r\n"                                                                          \
	"not indented\r\n"                                                                         \
	"\tMODE Z\r\n"                                                                             \
	" \r\n"                                                                                    \
	" MLST type*;size*;\r\n"                                                                   \
	"211 End\r\n"

static bool
keep(void *arg, struct span keyword, struct span params, struct span *instead)
{
	(void)arg;
	if (span_eq(keyword, span_str("MLST"))) {
		assert_true(span_eq(params, span_str("type*;size*;")));
		*instead = span_str("MLST type*;");
	}
	if (span_eq(keyword, span_str("MODE")))
		assert_true(span_eq(params, span_str("Z")));
	return !span_eq(keyword, span_str("AUTH")) && !span_eq(keyword, span_str("MODE"));
}

static const struct ftp_feature_filter filter = {.keep = keep};

static void
check(const char *reply, const char *want)
{
	struct buf out;

	buf_init(&out, 1000);
	assert_true(ftp_features_rewrite(span_str(reply), &filter, &out));
	assert_true(span_eq(buf_span(&out), span_str(want)));
	buf_free(&out);
}

static void
test_F15_rewrite(void **state)
{
	(void)state;
	check(REPLY, "211-Features:\r\n EPRT\r\n MLST type*;\r\n211 End\r\n");
	check("211 no features\r\n", "211 no features\r\n");
	check("211-none\r\n211 end\r\n", "211-none\r\n211 end\r\n");
	check("500 what?\r\n", "500 what?\r\n");
}

static void
test_has(void **state)
{
	(void)state;
	assert_true(ftp_features_has(span_str(REPLY), "eprt"));
	assert_true(ftp_features_has(span_str(REPLY), "AUTH"));
	assert_true(ftp_features_has(span_str(REPLY), "MODE"));
	assert_false(ftp_features_has(span_str(REPLY), "EPSV"));
	assert_false(ftp_features_has(span_str(REPLY), "not"));
	assert_false(ftp_features_has(span_str("211 EPSV\r\n"), "EPSV"));
	assert_false(ftp_features_has(span_str("211-EPSV\r\n211 EPSV\r\n"), "EPSV"));
}

static void
test_no_room(void **state)
{
	struct buf out;

	(void)state;
	for (size_t max = 0; max < 45; max++) {
		buf_init(&out, max);
		assert_false(ftp_features_rewrite(span_str(REPLY), &filter, &out));
		buf_free(&out);
	}
}

static void
test_no_memory(void **state)
{
	bool done = false;

	(void)state;
	for (unsigned n = 1; !done; n++) {
		struct buf out;
		bool ok;

		buf_init(&out, 1000);
		alloc_fail_at(n);
		ok = ftp_features_rewrite(span_str(REPLY), &filter, &out);
		done = !alloc_failed();
		assert_int_equal(ok, done);
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_F15_rewrite),
	    cmocka_unit_test(test_has),
	    cmocka_unit_test(test_no_room),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("ftp features", tests, NULL, NULL);
}
