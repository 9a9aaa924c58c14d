/*
 * What is written is what jansson would have written of the same values, and what is taken back
 * leaves no trace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>

#include "json_writer.h"

static void
assert_written(const struct buf *out, const char *want)
{
	assert_false(out->failed);
	if (!span_eq(buf_span(out), span_str(want)))
		fail_msg("%.*s, not %s", (int)out->n, (const char *)out->p, want);
}

static void
test_nesting(void **state)
{
	struct json_writer w;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	json_begin(&w, &out);
	json_open_object(&w, NULL);
	json_open_object(&w, "empty");
	json_close_object(&w);
	json_open_list(&w, "list");
	json_number(&w, NULL, 0);
	json_open_list(&w, NULL);
	json_close_list(&w);
	json_open_object(&w, NULL);
	json_truth(&w, "yes", true);
	json_truth(&w, "no", false);
	json_close_object(&w);
	json_text(&w, NULL, SPAN_NONE);
	json_close_list(&w);
	json_number(&w, "most", UINT64_MAX);
	json_close_object(&w);
	assert_written(&out, "{\"empty\":{},\"list\":[0,[],{\"yes\":true,\"no\":false},\"\"],"
			     "\"most\":18446744073709551615}");
	buf_free(&out);
}

/* Each ASCII octet alone and between others, and characters of two to four octets. */
static void
test_escapes_as_jansson(void **state)
{
	char text[] = "a?\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80?";
	struct json_writer w;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	for (unsigned c = 0; c < 0x80; c++) {
		json_t *value;
		char *want;

		text[1] = text[sizeof(text) - 2] = (char)c;
		value = json_stringn(text, sizeof(text) - 1);
		want = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		buf_clear(&out);
		json_begin(&w, &out);
		json_text(&w, NULL, span_of(text, sizeof(text) - 1));
		assert_written(&out, want);
		free(want);
		json_decref(value);
	}
	buf_free(&out);
}

static void
test_back(void **state)
{
	struct json_writer w;
	struct json_mark list, item;
	struct buf out;

	(void)state;
	buf_init(&out, 32);
	json_begin(&w, &out);
	json_open_object(&w, NULL);
	list = json_mark(&w);
	json_open_list(&w, "a");
	item = json_mark(&w);
	json_number(&w, NULL, 1);
	json_back(&w, item);
	json_number(&w, NULL, 2);
	item = json_mark(&w);
	json_open_object(&w, NULL);
	json_text(&w, "too", span_str("much for this buffer's ceiling"));
	json_close_object(&w);
	assert_true(out.failed);
	json_back(&w, item);
	json_number(&w, NULL, 3);
	json_close_list(&w);
	assert_written(&out, "{\"a\":[2,3]");
	json_back(&w, list);
	json_truth(&w, "b", true);
	json_close_object(&w);
	assert_written(&out, "{\"b\":true}");
	buf_free(&out);
}

/* A ceiling at each octet: whole, or failed. */
static void
test_ceiling(void **state)
{
	static const char want[] = "{\"key\":\"a\\\\b\\u0001\",\"n\":[12,true]}";

	(void)state;
	for (size_t max = 0; max <= sizeof(want); max++) {
		struct json_writer w;
		struct buf out;

		buf_init(&out, max);
		json_begin(&w, &out);
		json_open_object(&w, NULL);
		json_text(&w, "key", span_str("a\\b\x01"));
		json_open_list(&w, "n");
		json_number(&w, NULL, 12);
		json_truth(&w, NULL, true);
		json_close_list(&w);
		json_close_object(&w);
		assert_int_equal(out.failed, max < sizeof(want) - 1);
		if (!out.failed)
			assert_written(&out, want);
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nesting),
	    cmocka_unit_test(test_escapes_as_jansson),
	    cmocka_unit_test(test_back),
	    cmocka_unit_test(test_ceiling),
	};

	return cmocka_run_group_tests_name("json_writer", tests, NULL, NULL);
}
