#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/buf.h"
#include "mime/charset.h"
#include "mime/param.h"
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

/* "main|name=value|name*=value|name~value": plain, RFC 2231, and what knows no RFC 2231. */
static void
describe(const struct param_value *v, struct buf *out)
{
	static const char *const marks[] = {"=", "*=", "~"};

	buf_add(out, v->main);
	for (size_t i = 0; i < v->n; i++) {
		buf_str(out, "|");
		buf_add(out, v->parameters[i].name);
		buf_str(out, marks[v->parameters[i].reading]);
		buf_add(out, v->parameters[i].value);
	}
	assert_true(buf_octet(out, '\0'));
}

#define BARE	"special octet outside of quotes"
#define MISSING "semicolon missing"
#define TWICE	"parameter twice: the first; or the last"
#define BOTH	"parameter twice: the RFC 2231 value; or the plain one"
#define SHORT	"parameter to its end; or to the first delimiter"
#define PAIR	"backslash quotes; or stands for itself"
#define GAP	"section of a parameter missing: the others joined; or those before it"

static const struct {
	const char *in, *want;
	const char *faults[3];
} CASES[] = {
    {"text/plain", "text/plain", {NULL}},
    {"Text/PLAIN; Charset=UTF-8", "text/plain|charset=UTF-8", {NULL}},
    {" text/plain ;charset = \"utf-8\" ;", "text/plain|charset=utf-8",
	{"blank or comment beside ="}},
    {"text (a (nested\\) one)) / (x) html (y); (z) a=b (c)", "text/html|a=b", {NULL}},
    {"text/plain; a=\"b;c=d\"; e=f", "text/plain|a=b;c=d|e=f", {NULL}},
    {"text/plain;\r\n\ta=\"b\r\n c\"", "text/plain|a=b c", {NULL}},
    /* M-006, M-007 */
    {"multipart/mixed; boundary=\"X;\"", "multipart/mixed|boundary=X;", {NULL}},
    {"multipart/mixed; boundary= Y", "multipart/mixed|boundary=Y", {"blank or comment beside ="}},
    {"multipart/mixed; boundary=a b", "multipart/mixed|boundary=a b|boundary=a",
	{"blank in a value outside of quotes", SHORT}},
    {"multipart/mixed; boundary=\"a\\\"b\"", "multipart/mixed|boundary=a\"b", {NULL}},
    {"multipart/mixed; boundary=\"a\\b\"", "multipart/mixed|boundary=ab|boundary=a\\b", {PAIR}},
    {"multipart/mixed; boundary=\"abc; x=y", "multipart/mixed|boundary=abc; x=y|boundary=abc|x=y",
	{"quote never closed", SHORT}},
    {"multipart/mixed; charset=\"x; boundary=Y",
	"multipart/mixed|charset=x; boundary=Y|charset=x|boundary=Y",
	{"quote never closed", SHORT}},
    {"multipart/mixed; boundary=\"abc", "multipart/mixed|boundary=abc", {"quote never closed"}},
    {"multipart/mixed; boundary=\"\"", "multipart/mixed|boundary=", {NULL}},
    {"multipart/mixed; boundary=", "multipart/mixed|boundary=", {NULL}},
    {"multipart/mixed; boundary=a(b)", "multipart/mixed|boundary=a(b)|boundary=a", {BARE, SHORT}},
    {"multipart/mixed; boundary==_x", "multipart/mixed|boundary==_x", {BARE}},
    /* M-001: both are there */
    {"multipart/mixed; boundary=X; boundary=Y", "multipart/mixed|boundary=X|boundary=Y", {TWICE}},
    {"multipart/mixed; boundary=X; boundary=X", "multipart/mixed|boundary=X|boundary=X", {NULL}},
    /* M-008 */
    {"a/b; boundary*0=\"A\"; boundary*1=\"B\"", "a/b|boundary*=AB|boundary~A", {NULL}},
    {"a/b; boundary*0*=utf-8''%41", "a/b|boundary*=A|boundary~utf-8''%41", {NULL}},
    /* RFC 2231 */
    {"a/b; name*=utf-8'de'gr%C3%bc.txt", "a/b|name*=grü.txt|name~utf-8'de'gr%C3%bc.txt", {NULL}},
    {"a/b; name*1*=%BC.exe; name*0*=utf-8''%C3", "a/b|name*=ü.exe|name~utf-8''%C3", {NULL}},
    {"a/b; name*0*=iso-8859-1'en'%fc; x=y; name*1=\"%41\"; name*2*=%41",
	"a/b|name*=ü%41A|name~iso-8859-1'en'%fc|x=y", {NULL}},
    {"a/b; name*0=a; name*2=c", "a/b|name*=ac|name~a", {GAP}},
    {"a/b; name*1=b", "a/b|name*=b|name~b", {GAP}},
    {"a/b; name*0=a; name*0=b", "a/b|name*=a|name~a",
	{"section of a parameter twice: the first; or the last"}},
    {"a/b; name*00=a", "a/b|name*=a|name~a", {"section with leading zeros"}},
    {"a/b; name*x=a", "a/b|name*x=a", {"section is no number"}},
    {"a/b; name*99999999999999999999=a", "a/b|name*99999999999999999999=a",
	{"section is no number"}},
    {"a/b; name*=abc", "a/b|name*=abc|name~abc", {"RFC 2231 value without a charset"}},
    {"a/b; name*=''abc", "a/b|name*=abc|name~''abc", {NULL}},
    {"a/b; name*=utf-8''%4", "a/b|name*=%4|name~utf-8''%4", {"% without two digits"}},
    {"a/b; name*=foo''%41", "a/b|name*=A|name~foo''%41", {"unknown charset of a parameter"}},
    {"a/b; name*=utf-8''%ff", "a/b|name*=\xef\xbf\xbd|name~utf-8''%ff",
	{"octets in a parameter that are none of its charset"}},
    /* M-024 */
    {"attachment; filename=\"a.txt\"; filename*=utf-8''b.exe",
	"attachment|filename=a.txt|filename*=b.exe|filename~utf-8''b.exe",
	{"type without a subtype", BOTH}},
    {"a/b; name=a.txt; name=b.exe", "a/b|name=a.txt|name=b.exe", {TWICE}},
    /* M-025 */
    {"a/b; name=\"=?utf-8?B?YS5leGU=?=\"", "a/b|name=a.exe", {"word in a parameter"}},
    {"a/b; name=\"=?utf-8?Q?a=C3?= =?utf-8?Q?=BC.exe?=\"", "a/b|name=aü.exe",
	{"word in a parameter"}},
    {"a/b; name=\"a\r\n .exe\"", "a/b|name=a .exe", {NULL}},
    {"a/b; name=\"a.exe \"", "a/b|name=a.exe ", {NULL}},
    {"a/b; name=\"a\xe2\x80\xaexe.txt\"", "a/b|name=a\xe2\x80\xaexe.txt", {NULL}},
    {"a/b; name=\"../../x\"", "a/b|name=../../x", {NULL}},
    {"a/b; name=\"C:\\dir\\x.exe\"", "a/b|name=C:dirx.exe|name=C:\\dir\\x.exe", {PAIR}},
    {"a/b; name=my file.exe; x=y", "a/b|name=my file.exe|name=my|x=y",
	{"blank in a value outside of quotes", SHORT}},
    /* M-026 */
    {"a/b; name=\"\xfc\"", "a/b|name=\xfc", {"octets in no known charset"}},
    {"a/b; name=\"ü\"", "a/b|name=ü", {NULL}},
    /* loose grammar */
    {"", "", {"nothing before the parameters"}},
    {";", "", {"nothing before the parameters"}},
    {"text", "text", {"type without a subtype"}},
    {"\"text/plain\"", "text/plain", {"quoted type"}},
    {"charset=utf-8", "|charset=utf-8",
	{"parameter where a type should be", "nothing before the parameters"}},
    {"text/plain charset=utf-8", "text/plain|charset=utf-8", {MISSING}},
    {"text/plain; a=b c=d", "text/plain|a=b|c=d", {MISSING}},
    {"text/plain; a=\"b\" c=d", "text/plain|a=b|c=d", {MISSING}},
    {"text/plain; a=\"b\"x; c=d", "text/plain|a=b|c=d", {"octets behind a quoted string"}},
    {"text/plain;; a=b", "text/plain|a=b", {"empty parameter"}},
    {"text/plain; a; b=c", "text/plain|b=c", {"parameter without a value"}},
    {"text/plain; =x; b=c", "text/plain|b=c",
	{"parameter without a name", "parameter without a value"}},
    {"text/html, text/plain; a=b", "text/html|a=b",
	{"several types in one field: the first; or the last"}},
    {"text/plain (open", "text/plain", {"comment never closed"}},
    {"text/plain; a=b(", "text/plain|a=b(|a=b", {BARE, SHORT}},
    {"text/plain; a=\"b\\", "text/plain|a=b\\", {"quote never closed"}},
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(CASES); i++) {
		struct param_value v;
		struct buf out;
		unsigned n = 0;

		buf_init(&out, 2000);
		assert_true(param_parse(span_str(CASES[i].in), PARAM_OF_TYPE, 0, &v));
		describe(&v, &out);
		assert_string_equal((const char *)out.p, CASES[i].want);
		for (; n < 3 && CASES[i].faults[n] != NULL; n++) {
			assert_true(n < v.faults.n);
			assert_string_equal(v.faults.each[n].detail, CASES[i].faults[n]);
		}
		assert_int_equal(v.faults.n, n);
		buf_free(&out);
		param_value_free(&v);
	}
}

static void
test_raw(void **state)
{
	struct param_value v;

	(void)state;
	assert_true(param_parse(span_str("inline; filename=\"=?utf-8?Q?=C3=BC?=\"; "
					 "x*1*=%42; x*0*=utf-8''%41"),
	    PARAM_OF_DISPOSITION, 0, &v));
	assert_true(span_eq(v.main, span_str("inline")));
	assert_true(span_eq(v.parameters[0].raw, span_str("=?utf-8?Q?=C3=BC?=")));
	assert_true(span_eq(param_find(&v, "x", 0)->raw, span_str("utf-8''%41%42")));
	assert_true(span_eq(param_find(&v, "x", 1)->value, span_str("utf-8''%41")));
	assert_null(param_find(&v, "x", 2));
	assert_null(param_find(&v, "y", 0));
	param_value_free(&v);
}

/* M-023, and parameters without RFC 2231 */
static void
test_many(void **state)
{
	static const char *const forms[] = {
	    "; filename*%u=x", "; a%u=b", "; a%u=\"b\\c", ";", "; a", "(", "; a*%u*=%%41"};
	size_t room = 4 << 20;
	char *text = malloc(room + 100);

	(void)state;
	assert_non_null(text);
	for (size_t k = 0; k < nitems(forms); k++) {
		size_t n = (size_t)sprintf(text, "a/b");
		struct param_value v;

		for (unsigned i = 0; i < 100000; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			n += (size_t)snprintf(text + n, 40, forms[k], i);
#pragma GCC diagnostic pop
		}
		assert_true(param_parse(span_of(text, n), PARAM_OF_TYPE, 0, &v));
		assert_true(v.n <= PARAM_MAX * PARAM_READINGS);
		if (k < 2) {
			assert_int_equal(v.left_out, 100000 - PARAM_MAX);
			assert_true(mime_faults_has(&v.faults, MIME_ODD_TOO_MANY_PARAMETERS));
			assert_int_equal(v.parameters[0].value.n, k == 0 ? PARAM_MAX : 1);
		}
		param_value_free(&v);
	}
	free(text);
}

/* M-025: a name of 32 KB, NUL inside */
static void
test_long_name(void **state)
{
	static uint8_t text[33000] = "attachment; filename=\"";
	struct param_value v;

	(void)state;
	memset(text + 22, 'x', 32768);
	text[100] = '\0';
	text[22 + 32768] = '"';
	assert_true(param_parse(span_of(text, 22 + 32768 + 1), PARAM_OF_DISPOSITION, 0, &v));
	assert_int_equal(v.n, 1);
	assert_int_equal(v.parameters[0].value.n, 32768);
	assert_int_equal(v.faults.n, 1);
	assert_int_equal(v.faults.each[0].what, MIME_ODD_NUL);
	param_value_free(&v);
}

static void
test_no_memory(void **state)
{
	struct span value = span_str("a/b; x*1*=%42; x*0*=latin1''%41; n=\"=?utf-8?Q?a?=\"; n=b c");
	bool failed = true;

	(void)state;
	for (unsigned n = 1; failed; n++) {
		struct param_value v;
		bool parsed;

		alloc_fail_at(n);
		parsed = param_parse(value, PARAM_OF_TYPE, 0, &v);
		failed = alloc_failed();
		assert_int_equal(parsed, !failed);
		assert_true(n > 4 || failed);
		if (parsed)
			param_value_free(&v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_raw),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_long_name),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
