#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <string.h>

#include "imap/imap.h"
#include "pop3/pop3.h"
#include "smtp/smtp.h"
#include "tap_mask.h"

/* What becomes of a line, by what its sense says. */
static void
assert_masked(struct tap_sense sense, const char *line, const char *wanted)
{
	const struct tap_range r = tap_mask_line(&sense, span_str(line));
	const size_t n = strlen(line);
	char octets[256];

	assert_true(r.from <= r.to && r.to <= n);
	snprintf(octets, sizeof(octets), "%s", line);
	tap_mask_octets((uint8_t *)octets + r.from, r.to - r.from);
	assert_string_equal(octets, wanted);
}

static void
test_lines_X_007(void **state)
{
	const struct tap_sense plain = {.sort = TAP_PLAIN}, all = {.sort = TAP_SECRET},
			       one = {TAP_SECRET, 1, false}, two = {TAP_SECRET, 2, false},
			       imap = {TAP_SECRET, 3, true}, rest = {TAP_SECRET, 0, true};

	(void)state;
	assert_masked(plain, "MAIL FROM:<a@b>\r\n", "MAIL FROM:<a@b>\r\n");
	assert_masked(all, "c2VjcmV0\r\n", "********\r\n");
	assert_masked(all, "", "");
	assert_masked(all, "\r\n", "\r\n");
	assert_masked(one, "PASS se cret\r\n", "PASS *******\r\n");
	assert_masked(one, "PASS\r\n", "PASS\r\n");
	assert_masked(one, "PASS   x\n", "PASS   *\n");
	assert_masked(two, "AUTH PLAIN AGEAYg==\r\n", "AUTH PLAIN ********\r\n");
	assert_masked(two, "AUTH PLAIN\r\n", "AUTH PLAIN\r\n");
	assert_masked(imap, "a LOGIN anna secret\r\n", "a LOGIN anna ******\r\n");
	assert_masked(imap, "a LOGIN \"an \\\" na\" \"se cret\"\r\n",
	    "a LOGIN \"an \\\" na\" \"*******\"\r\n");
	assert_masked(imap, "a LOGIN {4}\r\n", "a LOGIN {4}\r\n");
	assert_masked(imap, "a LOGIN anna {6+}\r\n", "a LOGIN anna {6+}\r\n");
	assert_masked(rest, " {6}\r\n", " {6}\r\n");
	assert_masked(rest, " secret\r\n", " ******\r\n");
	assert_masked(rest, " \"secret\"\r\n", " \"******\"\r\n");
	assert_masked(rest, "x{6x}\r\n", "*****\r\n");
	assert_masked(rest, "6}\r\n", "**\r\n");
	assert_masked(imap, "a LOGIN \"anna secret\r\n", "a LOGIN ************\r\n");
	assert_masked(imap, "a LOGIN \"anna\" \"secret\r\n", "a LOGIN \"anna\" *******\r\n");
}

static void
test_senses_X_007(void **state)
{
	struct smtp_detail smtp = {.verb = smtp_verb_find(span_str("AUTH"))};
	struct pop3_detail pop3 = {.verb = pop3_verb_find(span_str("PASS"))};
	struct imap_detail imap = {.verb = imap_verb_find(span_str("LOGIN"))};
	struct an_event ev = {.kind = EV_COMMAND, .smtp = &smtp, .pop3 = &pop3, .imap = &imap};
	struct tap_sense s;

	(void)state;
	s = tap_mask_sense(PROTOCOL_SMTP, &ev);
	assert_int_equal(s.sort, TAP_SECRET);
	assert_int_equal(s.keep, 2);
	smtp.verb = smtp_verb_find(span_str("c2VjcmV0"));
	s = tap_mask_sense(PROTOCOL_SMTP, &ev);
	assert_int_equal(s.sort, TAP_SECRET);
	assert_int_equal(s.keep, 0);
	smtp.verb = smtp_verb_find(span_str("RCPT"));
	assert_int_equal(tap_mask_sense(PROTOCOL_SMTP, &ev).sort, TAP_PLAIN);
	s = tap_mask_sense(PROTOCOL_POP3, &ev);
	assert_int_equal(s.sort, TAP_SECRET);
	assert_int_equal(s.keep, 1);
	s = tap_mask_sense(PROTOCOL_IMAP, &ev);
	assert_int_equal(s.keep, 3);
	assert_true(s.literals);
	ev.kind = EV_COMMAND_MORE;
	assert_int_equal(tap_mask_sense(PROTOCOL_IMAP, &ev).keep, 0);
	ev.kind = EV_SECRET;
	assert_int_equal(tap_mask_sense(PROTOCOL_IMAP, &ev).sort, TAP_SECRET);
	/* of a LOGIN that was refused, with literals that nobody is asked for */
	ev.kind = EV_LITERAL;
	s = tap_mask_sense(PROTOCOL_IMAP, &ev);
	assert_int_equal(s.sort, TAP_SECRET);
	assert_int_equal(s.keep, 0);
	ev.dir = AN_S2C;
	assert_int_equal(tap_mask_sense(PROTOCOL_IMAP, &ev).sort, TAP_PLAIN);
	ev.dir = AN_C2S;
	ev.kind = EV_BODY;
	assert_int_equal(tap_mask_sense(PROTOCOL_IMAP, &ev).sort, TAP_CONTENT);
	ev.kind = EV_REPLY;
	assert_int_equal(tap_mask_sense(PROTOCOL_IMAP, &ev).sort, TAP_PLAIN);
}

static void
assert_quoted(const struct tap_secrets *all, const char *said, const char *wanted)
{
	const struct span s = span_str(said);
	struct tap_search search = tap_secrets_search(all, s);
	struct tap_range r;
	char octets[512];

	snprintf(octets, sizeof(octets), "%s", said);
	while ((r = tap_secrets_next(all, s, &search)).from < s.n)
		tap_mask_octets((uint8_t *)octets + r.from, r.to - r.from);
	assert_string_equal(octets, wanted);
}

static void
test_secrets_that_are_quoted_X_007(void **state)
{
	struct tap_secrets all = {.next = 0};

	(void)state;
	assert_quoted(&all, "500 no hunter2 here", "500 no hunter2 here");
	tap_secrets_add(&all, span_str("no")); /* too short to mean anything */
	tap_secrets_add(&all, span_str("hunter2 "));
	assert_quoted(&all, "500 no hunter2 and hunter2 here", "500 no ******* and ******* here");
	for (unsigned i = 0; i < TAP_QUOTED; i++)
		tap_secrets_add(&all, span_str("something else"));
	assert_quoted(&all, "500 no hunter2 here", "500 no hunter2 here"); /* long ago */
}

/* One attempt at a password may be the beginning, or some part, of the next. */
static void
test_secrets_within_others_X_007(void **state)
{
	struct tap_secrets all = {.next = 0};

	(void)state;
	tap_secrets_add(&all, span_str("hunter"));
	tap_secrets_add(&all, span_str("hunter22"));
	tap_secrets_add(&all, span_str("r22xyz"));
	assert_quoted(&all, "500 hunter22!", "500 ********!");
	assert_quoted(&all, "500 hunter22xyz!", "500 ***********!");
	assert_quoted(&all, "500 hunterhunterhunt", "500 ************hunt");
}

/* Only the beginning of a long one is kept. */
static void
test_a_long_secret_that_is_quoted_X_007(void **state)
{
	struct tap_secrets all = {.next = 0};
	char said[TAP_QUOTED_MAX + 32], wanted[sizeof(said)];

	(void)state;
	memset(said, 's', sizeof(said));
	memset(wanted, '*', sizeof(wanted));
	memcpy(said + TAP_QUOTED_MAX, "the rest\r\nx", sizeof("the rest\r\nx"));
	memcpy(wanted + TAP_QUOTED_MAX, "********\r\nx", sizeof("********\r\nx"));
	tap_secrets_add(&all, span_first(span_str(said), TAP_QUOTED_MAX + 8));
	assert_quoted(&all, said, wanted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines_X_007),
	    cmocka_unit_test(test_senses_X_007),
	    cmocka_unit_test(test_secrets_that_are_quoted_X_007),
	    cmocka_unit_test(test_secrets_within_others_X_007),
	    cmocka_unit_test(test_a_long_secret_that_is_quoted_X_007),
	};

	return cmocka_run_group_tests_name("tap mask", tests, NULL, NULL);
}
