#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/params.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

#define ALL 0xffffffffu

#define OK	 SMTP_PARAM_OK
#define UNKNOWN	 SMTP_PARAM_UNKNOWN
#define SYNTAX	 SMTP_PARAM_SYNTAX
#define BAD_SIZE SMTP_PARAM_BAD_SIZE

#define MAIL true
#define RCPT false

static void
assert_span(struct span s, const char *want)
{
	if (!span_eq(s, span_str(want)))
		fail_msg("'%.*s' where '%s' was expected", (int)s.n, (const char *)s.p, want);
}

struct row {
	const char *name;
	const char *in;
	bool is_mail;
	unsigned offered;
	enum smtp_param_fault fault;
	const char *bad;
};

static const struct row rows[] = {
    {"none", "", MAIL, 0, OK, ""},
    {"blanks", " \t ", MAIL, 0, OK, ""},
    {"all of MAIL", "SIZE=1 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x AUTH=<>", MAIL, ALL, OK, ""},
    {"all of RCPT", "NOTIFY=NEVER ORCPT=rfc822;a@b", RCPT, ALL, OK, ""},
    {"any case", "size=1 Body=7bit smtputf8 ret=hdrs", MAIL, ALL, OK, ""},
    {"unknown", "SIZE=1 XYZZY=1", MAIL, ALL, UNKNOWN, "XYZZY=1"},
    {"of the other command", "NOTIFY=NEVER", MAIL, ALL, UNKNOWN, "NOTIFY=NEVER"},
    {"of the other command, RCPT", "SIZE=1", RCPT, ALL, UNKNOWN, "SIZE=1"},
    {"prefix of a name", "SIZ=1", MAIL, ALL, UNKNOWN, "SIZ=1"},
    {"doubled", "SIZE=1 size=1", MAIL, ALL, SYNTAX, "size=1"},
    {"doubled flag", "SMTPUTF8 SMTPUTF8", MAIL, ALL, SYNTAX, "SMTPUTF8"},
    {"no name", "=1", MAIL, ALL, SYNTAX, "=1"},
    {"hyphen at the front", "-SIZE=1", MAIL, ALL, SYNTAX, "-SIZE=1"},
    {"no name at all", "<a@b>", MAIL, ALL, SYNTAX, "<a@b>"},
    {"control octet in a name", "SI\001ZE=1", MAIL, ALL, SYNTAX, "SI\001ZE=1"},
    {"value missing", "SIZE", MAIL, ALL, SYNTAX, "SIZE"},
    {"value missing, BODY", "BODY=", MAIL, ALL, SYNTAX, "BODY="},
    {"value too much", "SMTPUTF8=", MAIL, ALL, SYNTAX, "SMTPUTF8="},
    {"value too much, text", "SMTPUTF8=yes", MAIL, ALL, SYNTAX, "SMTPUTF8=yes"},

    {"SIZE not offered", "SIZE=1", MAIL, ALL & ~(unsigned)SMTP_EXT_SIZE, UNKNOWN, "SIZE=1"},
    {"SMTPUTF8 not offered", "SMTPUTF8", MAIL, ALL & ~(unsigned)SMTP_EXT_SMTPUTF8, UNKNOWN,
	"SMTPUTF8"},
    {"DSN not offered", "NOTIFY=NEVER", RCPT, ALL & ~(unsigned)SMTP_EXT_DSN, UNKNOWN,
	"NOTIFY=NEVER"},
    {"AUTH not offered", "AUTH=<>", MAIL, ALL & ~(unsigned)SMTP_EXT_AUTH, UNKNOWN, "AUTH=<>"},
    {"8BITMIME not offered", "BODY=7BIT", MAIL, SMTP_EXT_BINARYMIME, UNKNOWN, "BODY=7BIT"},
    {"BINARYMIME not offered", "BODY=BINARYMIME", MAIL, SMTP_EXT_8BITMIME, UNKNOWN,
	"BODY=BINARYMIME"},
    {"BINARYMIME offered", "BODY=BINARYMIME", MAIL, SMTP_EXT_BINARYMIME, OK, ""},

    {"S-074 twenty nines", "SIZE=99999999999999999999", MAIL, ALL, BAD_SIZE,
	"SIZE=99999999999999999999"},
    {"S-074 2^63-1", "SIZE=9223372036854775807", MAIL, ALL, OK, ""},
    {"S-074 2^63", "SIZE=9223372036854775808", MAIL, ALL, BAD_SIZE, "SIZE=9223372036854775808"},
    {"S-074 2^64", "SIZE=18446744073709551616", MAIL, ALL, BAD_SIZE, "SIZE=18446744073709551616"},
    {"S-074 20 digits", "SIZE=00000000000000000001", MAIL, ALL, OK, ""},
    {"S-074 21 digits", "SIZE=000000000000000000001", MAIL, ALL, BAD_SIZE,
	"SIZE=000000000000000000001"},
    {"S-074 empty", "SIZE=", MAIL, ALL, BAD_SIZE, "SIZE="},
    {"S-074 sign", "SIZE=-1", MAIL, ALL, BAD_SIZE, "SIZE=-1"},
    {"S-074 plus", "SIZE=+1", MAIL, ALL, BAD_SIZE, "SIZE=+1"},
    {"S-074 hex", "SIZE=0x10", MAIL, ALL, BAD_SIZE, "SIZE=0x10"},
    {"S-074 text behind", "SIZE=1k", MAIL, ALL, BAD_SIZE, "SIZE=1k"},
    {"S-074 second =", "SIZE=1=2", MAIL, ALL, BAD_SIZE, "SIZE=1=2"},

    {"BODY of another kind", "BODY=9BIT", MAIL, ALL, SYNTAX, "BODY=9BIT"},
    {"RET of another kind", "RET=ALL", MAIL, ALL, SYNTAX, "RET=ALL"},

    {"xtext", "ENVID=QQ314159+2Bx+7E", MAIL, ALL, OK, ""},
    {"xtext cut", "ENVID=a+2", MAIL, ALL, SYNTAX, "ENVID=a+2"},
    {"xtext of lower case", "ENVID=a+2b", MAIL, ALL, SYNTAX, "ENVID=a+2b"},
    {"xtext of no hex", "ENVID=a+2G", MAIL, ALL, SYNTAX, "ENVID=a+2G"},
    {"xtext hides CR", "ENVID=a+0D+0Ab", MAIL, ALL, SYNTAX, "ENVID=a+0D+0Ab"},
    {"xtext hides DEL", "ENVID=a+7F", MAIL, ALL, SYNTAX, "ENVID=a+7F"},
    {"xtext with =", "ENVID=a=b", MAIL, ALL, SYNTAX, "ENVID=a=b"},
    {"xtext with a control octet", "ENVID=a\002", MAIL, ALL, SYNTAX, "ENVID=a\002"},
    {"xtext not ASCII", "ENVID=\xc3\xbc", MAIL, ALL, SYNTAX, "ENVID=\xc3\xbc"},
    {"AUTH of a mailbox", "AUTH=e+3Dmc2@example.com", MAIL, ALL, OK, ""},
    {"AUTH empty", "AUTH=", MAIL, ALL, SYNTAX, "AUTH="},

    {"NOTIFY list", "NOTIFY=SUCCESS,failure,Delay", RCPT, ALL, OK, ""},
    {"NOTIFY NEVER and more", "NOTIFY=NEVER,DELAY", RCPT, ALL, SYNTAX, "NOTIFY=NEVER,DELAY"},
    {"NOTIFY twice", "NOTIFY=DELAY,DELAY", RCPT, ALL, SYNTAX, "NOTIFY=DELAY,DELAY"},
    {"NOTIFY comma at the end", "NOTIFY=DELAY,", RCPT, ALL, SYNTAX, "NOTIFY=DELAY,"},
    {"NOTIFY empty", "NOTIFY=", RCPT, ALL, SYNTAX, "NOTIFY="},

    {"ORCPT without a type", "ORCPT=a@b", RCPT, ALL, SYNTAX, "ORCPT=a@b"},
    {"ORCPT empty type", "ORCPT=;a@b", RCPT, ALL, SYNTAX, "ORCPT=;a@b"},
    {"ORCPT empty address", "ORCPT=rfc822;", RCPT, ALL, SYNTAX, "ORCPT=rfc822;"},
    {"ORCPT odd type", "ORCPT=rfc_822;a", RCPT, ALL, SYNTAX, "ORCPT=rfc_822;a"},
    {"ORCPT UTF-8", "ORCPT=utf-8;\xc3\xbc@x", RCPT, ALL, OK, ""},
    {"ORCPT UTF-8 escaped", "ORCPT=utf-8;\\x{FC}@x", RCPT, SMTP_EXT_DSN, OK, ""},
    {"ORCPT UTF-8 not offered", "ORCPT=utf-8;\xc3\xbc@x", RCPT, SMTP_EXT_DSN, SYNTAX,
	"ORCPT=utf-8;\xc3\xbc@x"},
    {"ORCPT UTF-8 of another type", "ORCPT=rfc822;\xc3\xbc@x", RCPT, ALL, SYNTAX,
	"ORCPT=rfc822;\xc3\xbc@x"},
    {"ORCPT bad UTF-8", "ORCPT=utf-8;\xc3(@x", RCPT, ALL, SYNTAX, "ORCPT=utf-8;\xc3(@x"},
};

static void
test_row(void **state)
{
	const struct row *c = *state;
	struct smtp_params params;
	struct span bad;

	assert_int_equal(
	    smtp_params_parse(span_str(c->in), c->is_mail, c->offered, &params, &bad), c->fault);
	assert_span(bad, c->bad);
}

static void
test_mail_values(void **state)
{
	struct smtp_params params;
	struct span bad;
	struct buf out;

	(void)state;
	assert_int_equal(
	    smtp_params_parse(span_str("size=100 \t BODY=BinaryMime  SMTPUTF8 RET=full"), MAIL, ALL,
		&params, &bad),
	    OK);
	assert_int_equal(params.size, 100);
	assert_int_equal(params.body, SMTP_BODY_BINARYMIME);
	assert_true(params.smtputf8);
	assert_int_equal(
	    params.used, SMTP_EXT_SIZE | SMTP_EXT_BINARYMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_DSN);
	buf_init(&out, 100);
	assert_true(smtp_params_canonical(&params, &out));
	assert_span(buf_span(&out), " size=100 BODY=BinaryMime SMTPUTF8 RET=full");
	buf_free(&out);
}

static void
test_bodies(void **state)
{
	static const struct {
		const char *in;
		enum smtp_body body;
		unsigned used;
	} cases[] = {
	    {"", SMTP_BODY_UNSAID, 0},
	    {"BODY=7BIT", SMTP_BODY_7BIT, SMTP_EXT_8BITMIME},
	    {"BODY=8BITMIME", SMTP_BODY_8BITMIME, SMTP_EXT_8BITMIME},
	    {"BODY=BINARYMIME", SMTP_BODY_BINARYMIME, SMTP_EXT_BINARYMIME},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct smtp_params params;
		struct span bad;

		assert_int_equal(
		    smtp_params_parse(span_str(cases[i].in), MAIL, ALL, &params, &bad), OK);
		assert_int_equal(params.body, cases[i].body);
		assert_int_equal(params.used, cases[i].used);
		assert_false(params.smtputf8);
		assert_int_equal(params.size, 0);
	}
}

/* RCPT cannot know what its MAIL asked for, so the caller is told. */
static void
test_orcpt_tells_of_utf8(void **state)
{
	struct smtp_params params;
	struct span bad;

	(void)state;
	assert_int_equal(
	    smtp_params_parse(span_str("ORCPT=UTF-8;\xc3\xbc@x"), RCPT, ALL, &params, &bad), OK);
	assert_int_equal(params.used, SMTP_EXT_DSN | SMTP_EXT_SMTPUTF8);
	assert_int_equal(
	    smtp_params_parse(span_str("ORCPT=utf-8;u@x"), RCPT, ALL, &params, &bad), OK);
	assert_int_equal(params.used, SMTP_EXT_DSN);
}

static void
test_value_lengths(void **state)
{
	static const struct {
		const char *front;
		bool is_mail;
		size_t longest; /* of what follows the front */
	} cases[] = {
	    {"ENVID=", MAIL, 100}, {"AUTH=", MAIL, 500},
	    {"ORCPT=rfc822;", RCPT, 493}, /* 500 with the type */
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++)
		for (size_t more = 0; more < 2; more++) {
			struct smtp_params params;
			struct span bad;
			struct buf b;

			buf_init(&b, 1000);
			buf_str(&b, cases[i].front);
			for (size_t n = 0; n < cases[i].longest + more; n++)
				buf_octet(&b, 'x');
			assert_int_equal(
			    smtp_params_parse(buf_span(&b), cases[i].is_mail, ALL, &params, &bad),
			    more == 0 ? OK : SYNTAX);
			buf_free(&b);
		}
}

static void
test_output_full(void **state)
{
	struct smtp_params params;
	struct span bad;
	struct buf out;

	(void)state;
	assert_int_equal(smtp_params_parse(span_str("SIZE=1"), MAIL, ALL, &params, &bad), OK);
	buf_init(&out, 6);
	assert_false(smtp_params_canonical(&params, &out));
	buf_free(&out);
}

static void
test_keywords(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 14; bit++) {
		const char *name = smtp_ext_name((enum smtp_ext)(1u << bit));

		assert_true(name[0] != '\0');
		assert_int_equal(smtp_ext_find(span_str(name)), 1u << bit);
	}
	assert_int_equal(smtp_ext_find(span_str("size")), SMTP_EXT_SIZE);
	assert_int_equal(smtp_ext_find(span_str("EnhancedStatusCodes")), SMTP_EXT_ENHANCED);
	assert_int_equal(smtp_ext_find(span_str("AUTH=LOGIN")), SMTP_EXT_AUTH);
	assert_int_equal(smtp_ext_find(span_str("SIZE=1")), 0);
	assert_int_equal(smtp_ext_find(span_str("XCLIENT")), 0);
	assert_int_equal(smtp_ext_find(SPAN_NONE), 0);
	assert_string_equal(smtp_ext_name((enum smtp_ext)0), "");
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_mail_values),
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_orcpt_tells_of_utf8),
	    cmocka_unit_test(test_value_lengths),
	    cmocka_unit_test(test_output_full),
	    cmocka_unit_test(test_keywords),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++)
		tests[nitems(fixed) + i] = (struct CMUnitTest){
		    rows[i].name, test_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
	return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
