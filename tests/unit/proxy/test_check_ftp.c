/*
 * What "postern check" says of FTP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "check_ftp.h"

#define NETWORK "inside = {\"10.0.0.0/8\"}\n"
#define FORWARD(more)                                                                              \
	"forward \"f\" { listen = \"127.0.0.1:2121\" to = \"192.0.2.1:21\" protocol = ftp " more   \
	"}\n"

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
	check_print_ftp(c, out);
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
test_nothing_where_there_is_no_ftp(void **state)
{
	char *said = said_of(NETWORK "intercept { mode = off }");

	(void)state;
	assert_string_equal(said, "");
	free(said);
	said = said_of(NETWORK "ftp { ports = {} }");
	assert_string_equal(said, "");
	free(said);
}

static void
test_by_default(void **state)
{
	(void)state;
	assert_says(NETWORK, "# FTP: data connections to servers are passive (EPSV, PASV)", true);
	assert_says(NETWORK, "Files are looked at and recorded", true);
	assert_says(NETWORK, "stay here until it may pass", false); /* nothing to look for */
	assert_says(NETWORK, "Commands that are not known: refused (502)", true);
	assert_says(NETWORK, "TLS (AUTH): refused (534)", true);
	assert_says(NETWORK, "a transfer holds at most 64 KiB", true);
	assert_says(NETWORK, "its ports", false);
	assert_says(NETWORK, "xferlog", false);
	assert_says(NETWORK
	    "ftp { read_only = yes deny = {xmkd, 'site exec'} deny_replies = {'* 3'} }",
	    "Warning", false);
}

static void
test_each_setting(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"ftp { server_data = same }", "servers are made as the client chose"},
	    {"ftp { inspect = no }", "no rule of the section content holds for them"},
	    {"content { deny_extensions = {exe} }", "The last 256 KiB of each stay here"},
	    {"content { deny_extensions = {exe} }", "#   server has stays."},
	    {"content { deny_extensions = {exe} }\nftp { refused_upload = delete }",
		"has is deleted where the session itself made the file"},
	    {"content { mismatch = enforce }", "a transfer holds at most 320 KiB"},
	    {"ftp { read_only = yes }", "change something at the server: refused (550)"},
	    {"ftp { modes = pass }", "(MODE, STRU, TYPE): let by"},
	    {"ftp { resume = refuse }", "(REST), or behind its end (APPE): refused (502)"},
	    {"ftp { fxp = {'192.0.2.0/24'} }", "data connections may be made to: those of fxp.\n"},
	    {"ftp { banner = hide }", "What the server is called: hidden"},
	    {"ftp { deny = {dele, 'site exec'} }", "Commands refused (502): DELE, SITE EXEC.\n"},
	    {"ftp { deny_replies = {'* 3'} }", "no client hears (550): * 3.\n"},
	    {"ftp { deny = {dele, store} }",
		"# Warning: ftp.deny: \"STORE\" begins with no command"},
	    {"ftp { deny_replies = {'GET 2'} }", "# Warning: ftp.deny_replies: \"GET 2\" begins"},
	    {"ftp { read_only = yes unknown = pass }", "# Warning: ftp.read_only: commands that"},
	    {"ftp { starttls = hide }", "TLS (AUTH): hidden (502)"},
	    {"ftp { starttls = pass }", "TLS (AUTH): let by"},
	    {"intercept { mode = redirect }", "come to ports 40000 to 44999 of the gateway"},
	    {FORWARD(""), "come to its ports 40000 to 44999"},
	    {FORWARD("send_proxy = v2"), "# Warning: forward \"f\": send_proxy names the client"},
	    {"log = '/x/eve.json'\nlog_format = eve_xferlog", "a line of /x/xferlog.\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text), NETWORK "%s\n", rows[i].text);
		assert_says(text, rows[i].want, true);
		assert_says(NETWORK, rows[i].want, false);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_where_there_is_no_ftp),
	    cmocka_unit_test(test_by_default),
	    cmocka_unit_test(test_each_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
