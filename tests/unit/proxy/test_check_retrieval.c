/*
 * What "postern check" says of POP3 and IMAP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "check_retrieval.h"

#define NETWORK "inside = {\"10.0.0.0/8\"}\n"
#define REFUSES "content { deny_extensions = {\"exe\"} }\n"

/* To be freed. */
static char *
said_of(const char *text)
{
	struct config *c = config_parse("test", text, strlen(text), stderr);
	char *said = NULL;
	size_t n = 0;
	FILE *out;

	assert_non_null(c);
	out = open_memstream(&said, &n);
	check_print_retrieval(c, out);
	fclose(out);
	config_free(c);
	return said;
}

static void
assert_says(const char *text, const char *want, bool does)
{
	char *said = said_of(text);

	if ((strstr(said, want) != NULL) != does)
		fail_msg("\"%s\" is %sin:\n%s", want, does ? "not " : "", said);
	for (const char *line = said; *line != '\0'; line = strchr(line, '\n') + 1)
		assert_true(line[0] == '#' && strcspn(line, "\n") <= 130);
	free(said);
}

static void
test_nothing_where_none_is_served(void **state)
{
	char *said = said_of(NETWORK "intercept { mode = off }");

	(void)state;
	assert_string_equal(said, "");
	free(said);
	said = said_of(NETWORK "pop3 { ports = {} }\nimap { ports = {} }");
	assert_string_equal(said, "");
	free(said);
	assert_says(NETWORK "pop3 { ports = {} }", "# POP3", false);
	assert_says(NETWORK "pop3 { ports = {} }", "# IMAP", true);
}

static void
test_a_forward_serves_it(void **state)
{
	static const char text[] =
	    "intercept { mode = off }\n" NETWORK "forward \"f\" { listen = \"127.0.0.1:1110\"\n"
	    "to = \"192.0.2.1:110\" protocol = pop3 }";

	(void)state;
	assert_says(text, "# POP3: sessions are followed to their end", true);
	assert_says(text, "# IMAP", false);
}

static void
test_each_setting(void **state)
{
	static const struct {
		const char *text, *want;
		bool does;
	} rows[] = {
	    {"", "Messages are looked at and recorded", true},
	    {"", "One that may not be fetched", false}, /* nothing to look for */
	    {"", "Commands that are not known: refused", true},
	    {"", "TLS (STLS): refused (-ERR)", true},
	    {"", "TLS (STARTTLS): refused (NO)", true},
	    {"", "silent for 180 s before it has logged in, and 660 s behind it.", true},
	    {"", "and 1860 s behind it, 2100 s in IDLE.", true},
	    {"", "What deletes", false},
	    {"", "Memory: that of up to 17 messages in a session.", true},
	    {"mime { inspect = no }", "Memory", false},
	    {"mime { inspect = no }", "Messages are not looked at", true},
	    {REFUSES, "One that may not be fetched: recorded, and let by (pop3", true},
	    {REFUSES, "One that is fetched: recorded, and let by", true},
	    {REFUSES, "may not be there: refused (NO [CANNOT])", true},
	    {REFUSES "pop3 { refused_message = cut }", "is cut before its last line", true},
	    {"pop3 { read_only = yes }", "What deletes (DELE): refused (-ERR)", true},
	    {"imap { read_only = yes }", "change something at the server: refused (NO)", true},
	    {"imap { deny = {SETACL, \"UID EXPUNGE\"} }",
		"Commands refused (NO): SETACL, UID EXPUNGE.", true},
	    {"pop3 { unknown = pass }", "Commands that are not known: let by", true},
	    {"imap { unknown = pass }", "Warning", false}, /* nothing to look for */
	    {REFUSES "imap { unknown = pass }", "# Warning: imap.unknown: commands that", true},
	    {REFUSES, "Warning", false},
	    {REFUSES "pop3 { unknown = pass }", "Warning", false}, /* nothing would be cut */
	    {REFUSES "pop3 { refused_message = cut unknown = pass }", "# Warning: pop3.unknown",
		true},
	    {REFUSES "mime { inspect = no } content { check = off } imap { unknown = pass }",
		"Warning", false},
	    {"imap { read_only = yes unknown = pass }", "# Warning: imap.read_only", true},
	    {"pop3 { starttls = hide }", "TLS (STLS): hidden (-ERR)", true},
	    {"imap { starttls = hide }", "TLS (STARTTLS): hidden (BAD)", true},
	    {"imap { starttls = pass }", "let by; what follows is not looked at.", true},
	    {"imap { timeouts { idle = 3600 } }", "3600 s in IDLE", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text), NETWORK "%s", rows[i].text);
		assert_says(text, rows[i].want, rows[i].does);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_where_none_is_served),
	    cmocka_unit_test(test_a_forward_serves_it),
	    cmocka_unit_test(test_each_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
