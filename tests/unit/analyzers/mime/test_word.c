#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mime/charset.h"
#include "mime/word.h"
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

#define APART  "word not set apart by blanks"
#define INSIDE "blank or ? in a word"

/* M-025, M-026 */
static const struct {
	const char *in, *want;
	const char *faults[2];
} CASES[] = {
    {"", "", {NULL}},
    {"plain = text ?=", "plain = text ?=", {NULL}},
    {"=?utf-8?Q?gr=C3=BC=C3=9Fe?=", "grüße", {NULL}},
    {"=?UTF-8?b?Z3LDvMOfZQ==?=", "grüße", {NULL}},
    {"=?utf-8*de?Q?gr=c3=bc?=", "grü", {NULL}},
    {"=?iso-8859-1?q?a_b=5f?= c", "a b_ c", {NULL}},
    {"(=?iso-8859-1?Q?=fc?=)", "(ü)", {NULL}},
    /* RFC 2047 s8 */
    {"=?ISO-8859-1?Q?a?= b", "a b", {NULL}},
    {"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab", {NULL}},
    {"=?ISO-8859-1?Q?a?=\r\n   =?ISO-8859-1?Q?b?=", "ab", {NULL}},
    {"=?ISO-8859-1?Q?a_?= =?ISO-8859-2?Q?_b?=", "a  b", {NULL}},
    /* a character cut in two, also across encodings */
    {"=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "ü", {NULL}},
    {"=?utf-8?B?4g==?= =?utf-8?Q?=82=ac?=", "€", {NULL}},
    {"=?utf-8?Q?=C3?= x =?utf-8?Q?=BC?=", "\xef\xbf\xbd x \xef\xbf\xbd",
	{"octets in a word that are none of its charset"}},
    {"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本", {NULL}},
    {"=?utf-7?Q?+AOQ-?=", "ä", {NULL}},
    /* broken words stay as they are */
    {"=?utf-8?Q?abc", "=?utf-8?Q?abc", {NULL}},
    {"=?utf-8?Q?abc?", "=?utf-8?Q?abc?", {NULL}},
    {"=?utf-8?X?abc?=", "=?utf-8?X?abc?=", {NULL}},
    {"=?utf-8?abc?=", "=?utf-8?abc?=", {NULL}},
    {"=??Q?abc?=", "=??Q?abc?=", {NULL}},
    {"=?utf 8?Q?abc?=", "=?utf 8?Q?abc?=", {NULL}},
    {"=?", "=?", {NULL}},
    {"=?a?Q?=?utf-8?Q?b?=", "=?a?Q?b", {APART}},
    {"=?utf-8?Q?=?=", "=", {"= without two digits in a word"}},
    {"=?utf-8?Q?"
     "?=",
	"", {NULL}},
    /* what programs decode though it is not allowed */
    {"a=?utf-8?Q?b?=c", "abc", {APART}},
    {"=?utf-8?Q?a b?=", "a b", {INSIDE}},
    {"=?utf-8?Q?what?_me?=", "what? me", {INSIDE}},
    {"=?utf-8?Q?a=ZZ?=", "a=ZZ", {"= without two digits in a word"}},
    {"=?utf-8?B?Z3!J1?=", "gru", {"no base64 in a word"}},
    {"=?utf-8?B?Z3J1e?=", "gru", {"a character alone in base64 of a word"}},
    {"=?utf-8?Q?a?==?utf-8?Q?b?=", "ab", {APART}},
    /* charsets nobody knows */
    {"x =?foo?Q?a?= =?utf-8?Q?b?=", "x =?foo?Q?a?= b", {"unknown charset of a word"}},
    {"=?foo?Q?a?= =?foo?Q?b?=", "=?foo?Q?a?= =?foo?Q?b?=", {"unknown charset of a word"}},
    /* octets above 0x7f */
    {"grüße", "grüße", {NULL}},
    {"a \xfc", "a \xfc", {"octets in no known charset"}},
    {"=?utf-8?Q?a\xfc?=", "a\xef\xbf\xbd",
	{"octets in no known charset", "octets in a word that are none of its charset"}},
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(CASES); i++) {
		struct mime_faults faults = {.n = 0};
		struct buf out;
		unsigned n = 0;

		buf_init(&out, MIME_WORD_GROWTH * strlen(CASES[i].in) + 1);
		assert_true(
		    mime_words_decode(span_str(CASES[i].in), MIME_WORDS_TEXT, &out, &faults));
		buf_octet(&out, '\0');
		assert_string_equal((const char *)out.p, CASES[i].want);
		for (; n < 2 && CASES[i].faults[n] != NULL; n++) {
			assert_true(n < faults.n);
			assert_string_equal(faults.each[n].detail, CASES[i].faults[n]);
		}
		assert_int_equal(faults.n, n);
		buf_clear(&out);
		assert_true(mime_words_decode(span_str(CASES[i].in), MIME_WORDS_TEXT, &out, NULL));
		buf_free(&out);
	}
}

static void
test_places(void **state)
{
	struct span word = span_str("=?utf-8?Q?a?=");
	struct mime_faults faults = {.n = 0};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_true(mime_words_any(span_str("x =?utf-8?Q?a?=")));
	assert_false(mime_words_any(span_str("x =?utf-8?Q?a")));
	assert_true(mime_words_decode(word, MIME_WORDS_PHRASE, &out, &faults));
	assert_true(mime_words_decode(word, MIME_WORDS_COMMENT, &out, &faults));
	assert_int_equal(faults.n, 0);
	assert_true(mime_words_decode(word, MIME_WORDS_PARAMETER, &out, &faults));
	assert_int_equal(faults.n, 1);
	assert_int_equal(faults.each[0].what, MIME_ODD_WORD);
	buf_clear(&out);
	faults.n = 0;
	assert_true(mime_words_decode(span_of("a\0b", 3), MIME_WORDS_TEXT, &out, &faults));
	assert_int_equal(out.n, 3);
	assert_int_equal(faults.n, 1);
	assert_int_equal(faults.each[0].what, MIME_ODD_NUL);
	assert_int_equal(faults.each[0].off, 1);
	buf_free(&out);
}

/* Repeats that would be slow if anything were looked at twice: a MiB in well under a second. */
static void
test_linear(void **state)
{
	static const char *const repeated[] = {"=?a?Q?", "=?a?Q?x ", "=?", "?=", "=?utf-8?Q?",
	    "=?utf-8?Q?a?= ", "=?utf-8?Q?=C3?=\t", "=?utf-8?B?////?= =?latin1?Q?a?=", "=?=", "="};
	size_t size = 1 << 20;
	uint8_t *text = malloc(size);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < nitems(repeated); i++) {
		size_t n = strlen(repeated[i]);
		struct mime_faults faults = {.n = 0};
		struct buf out;

		for (size_t k = 0; k < size; k++)
			text[k] = (uint8_t)repeated[i][k % n];
		buf_init(&out, MIME_WORD_GROWTH * size);
		assert_true(mime_words_decode(span_of(text, size), MIME_WORDS_TEXT, &out, &faults));
		mime_words_any(span_of(text, size));
		buf_free(&out);
	}
	free(text);
}

/* The octets of s, without its NUL. */
static void
put(uint8_t *at, const char *s)
{
	struct span octets = span_str(s);

	memcpy(at, octets.p, octets.n);
}

static void
test_long_word(void **state)
{
	char text[120] = "=?utf-8?Q?";
	struct mime_faults faults = {.n = 0};
	struct buf out;

	(void)state;
	buf_init(&out, 200);
	memset(text + 10, 'a', 64);
	put((uint8_t *)text + 73, "?=");
	assert_true(mime_words_decode(span_str(text), MIME_WORDS_TEXT, &out, &faults));
	assert_int_equal(faults.n, 0);
	text[73] = 'a';
	put((uint8_t *)text + 74, "?=");
	assert_true(mime_words_decode(span_str(text), MIME_WORDS_TEXT, &out, &faults));
	assert_int_equal(faults.n, 1);
	assert_int_equal(out.n, 63 + 64);
	buf_free(&out);
}

static void
test_no_memory(void **state)
{
	struct span value = span_str("x =?utf-8?Q?=C3?= =?utf-8?B?vA==?= =?latin1?Q?=fc?= y");
	bool failed = true;

	(void)state;
	for (unsigned n = 1; failed; n++) {
		struct buf out;
		bool decoded;

		buf_init(&out, 1000);
		alloc_fail_at(n);
		decoded = mime_words_decode(value, MIME_WORDS_TEXT, &out, NULL);
		failed = alloc_failed();
		assert_int_equal(decoded, !failed);
		assert_true(n > 1 || failed);
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_linear),
	    cmocka_unit_test(test_long_word),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
