#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/sasl.h"

#define nitems(a)     (sizeof(a) / sizeof((a)[0]))
#define RESPONSES_MAX 3

struct row {
	const char *name;
	const char *mechanism;
	const char *responses[RESPONSES_MAX]; /* in base64 */
	const char *user;
};

static const struct row rows[] = {
    {"PLAIN", "PLAIN", {"AGFubmEAc2VjcmV0"}, "anna"},			   /* NUL anna NUL secret */
    {"PLAIN for somebody", "PLAIN", {"cm9vdABhbm5hAHNlY3JldA=="}, "anna"}, /* root NUL anna ... */
    {"PLAIN, empty first", "PLAIN", {"=", "AGFubmEAc2VjcmV0"}, ""},
    {"PLAIN with one NUL", "PLAIN", {"AHNlY3JldA=="}, ""}, /* NUL secret */
    {"PLAIN without NUL", "PLAIN", {"c2VjcmV0"}, ""},
    {"PLAIN in lower case", "plain", {"AGFubmEAc2VjcmV0"}, "anna"},
    {"LOGIN", "LOGIN", {"YW5uYQ==", "c2VjcmV0"}, "anna"},
    {"LOGIN, no base64", "LOGIN", {"anna!", "c2VjcmV0"}, ""},
    {"EXTERNAL", "EXTERNAL", {"YW5uYQ=="}, "anna"},
    {"EXTERNAL, empty", "EXTERNAL", {"="}, ""},
    {"CRAM-MD5", "CRAM-MD5", {"YW5uYSBiOTEzYTYwMmM3ZWRhN2E0OTViNGU2ZTczMzRkMzg5MA=="}, "anna"},
    {"CRAM-MD5 without digest", "CRAM-MD5", {"YW5uYSBzZWNyZXQ="}, ""},
    {"SCRAM-SHA-256", "SCRAM-SHA-256", {"biwsbj1hbm5hLHI9eHg=", "Yz1iaXdz"}, "anna"},
    {"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS", {"biwsbj1hbm5hLHI9eHg="}, "anna"},
    {"SCRAM, the second response", "SCRAM-SHA-256", {"eHg=", "biwsbj1hbm5hLHI9eHg="}, ""},
    {"DIGEST-MD5", "DIGEST-MD5", {"dXNlcm5hbWU9ImFubmEiLHJlYWxtPSJ4Ig=="}, "anna"},
    {"XOAUTH2", "XOAUTH2", {"dXNlcj1hbm5hAWF1dGg9QmVhcmVyIHRvawEB"}, "anna"},
    {"OAUTHBEARER", "OAUTHBEARER", {"bixhPWFubmEsAWF1dGg9QmVhcmVyIHQBAQ=="}, "anna"},
    {"XOAUTH2 that never ends its user", "XOAUTH2", {"dXNlcj1zZWNyZXQ="}, ""},
    {"another mechanism", "GSSAPI", {"AGFubmEAc2VjcmV0"}, ""},
};

static void
test_row(void **state)
{
	const struct row *row = *state;
	struct sasl s;

	sasl_begin(&s, span_str(row->mechanism));
	for (size_t i = 0; i < RESPONSES_MAX && row->responses[i] != NULL; i++)
		sasl_response(&s, span_str(row->responses[i]));
	assert_string_equal(s.user, row->user);
}

static void
test_mechanism(void **state)
{
	struct sasl s;

	(void)state;
	sasl_begin(&s, span_str("scram-sha-256"));
	assert_string_equal(s.mechanism, "SCRAM-SHA-256");
	sasl_begin(&s, span_str("A12345678901234567890"));
	assert_string_equal(s.mechanism, "");
}

/* A new exchange knows nothing of the one before. */
static void
test_begins_anew(void **state)
{
	struct sasl s;

	(void)state;
	sasl_begin(&s, span_str("LOGIN"));
	sasl_response(&s, span_str("YW5uYQ=="));
	assert_string_equal(s.user, "anna");
	sasl_begin(&s, span_str("LOGIN"));
	assert_string_equal(s.user, "");
	assert_int_equal(s.responses, 0);
}

static void
test_long_user(void **state)
{
	char text[12288];
	struct sasl s;

	(void)state;
	memset(text, 'Y', sizeof(text)); /* "YYYY" decodes to three letters */
	sasl_begin(&s, span_str("LOGIN"));
	sasl_response(&s, span_of(text, sizeof(text)));
	assert_int_equal(strlen(s.user), SASL_USER_MAX - 1);
}

/* What is kept has the user in it and nothing of the secret (S-039). */
static void
test_keeps_no_secret(void **state)
{
	struct sasl s;

	(void)state;
	sasl_begin(&s, span_str("PLAIN"));
	sasl_response(&s, span_str("AGFubmEAc2VjcmV0"));
	for (struct span all = span_of(&s, sizeof(s)); all.n > 0; all = span_from(all, 1))
		assert_false(span_starts(all, span_str("secret")));
}

/* What a login is tied to: its mechanism, and of SCRAM the first octet that the client says. */
static void
test_T_030_T_031_T_032_ties(void **state)
{
	static const struct {
		const char *mechanism, *response;
		enum sasl_tie tie;
	} ties[] = {
	    {"SCRAM-SHA-256-PLUS", "cD10bHMtZXhwb3J0ZXIsLG49YW5uYSxyPXg=", SASL_CHANNEL},
	    {"scram-sha-1-plus", NULL, SASL_CHANNEL},
	    {"SCRAM-SHA-256", "cD10bHMtdW5pcXVlLCxuPWFubmEscj14", SASL_CHANNEL},
	    {"SCRAM-SHA-256", "eSwsbj1hbm5hLHI9eA==", SASL_CHANNEL_MISSED},
	    {"SCRAM-SHA-256", "biwsbj1hbm5hLHI9eA==", SASL_FREE},
	    {"SCRAM-SHA-256", NULL, SASL_FREE},
	    {"SCRAM-SHA-256", "=", SASL_FREE},
	    {"PLAIN", "eQBhbm5hAHBhc3M=", SASL_FREE},
	    {"LOGIN", "cGV0ZXI=", SASL_FREE},
	    {"EXTERNAL", "=", SASL_CERTIFICATE},
	    {"GSSAPI", NULL, SASL_CHANNEL_MAYBE},
	    {"GSS-SPNEGO", NULL, SASL_CHANNEL_MAYBE},
	    {"GS2-KRB5-PLUS", NULL, SASL_CHANNEL_MAYBE},
	    {"NTLM", NULL, SASL_CHANNEL_MAYBE},
	    {"XOAUTH2", NULL, SASL_FREE},
	    {"-PLUS", NULL, SASL_FREE},
	    {"SECRET-PLUS", NULL, SASL_FREE},
	};
	struct sasl s;

	(void)state;
	for (size_t i = 0; i < nitems(ties); i++) {
		sasl_begin(&s, span_str(ties[i].mechanism));
		if (ties[i].response != NULL)
			sasl_response(&s, span_str(ties[i].response));
		assert_int_equal(sasl_tie(&s), ties[i].tie);
	}
	/* only the first response says it */
	sasl_begin(&s, span_str("SCRAM-SHA-1"));
	sasl_response(&s, span_str("bg=="));
	sasl_response(&s, span_str("cA=="));
	assert_int_equal(sasl_tie(&s), SASL_FREE);
	assert_true(sasl_is_plus(span_str("scram-sha-512-plus")));
	assert_false(sasl_is_plus(span_str("SCRAM-SHA-512")));
	assert_false(sasl_is_plus(SPAN_NONE));
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_mechanism),
	    cmocka_unit_test(test_begins_anew),
	    cmocka_unit_test(test_long_user),
	    cmocka_unit_test(test_keeps_no_secret),
	    cmocka_unit_test(test_T_030_T_031_T_032_ties),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++)
		tests[nitems(fixed) + i] = (struct CMUnitTest){
		    rows[i].name, test_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
	return cmocka_run_group_tests_name("sasl", tests, NULL, NULL);
}
