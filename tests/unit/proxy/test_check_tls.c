/*
 * What "postern check" says of TLS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "check_tls.h"

#define NETWORK "inside = {\"10.0.0.0/8\"}\n"
#define ANY	"certificate a { chain = '/a' key = '/a' names = {a.example, '*.a.example'} }\n"
#define SOME	"certificate a { chain = '/a' key = '/a' servers = {'10.0.0.1'} }\n"

/* To be freed. */
static char *
said_of(const char *text, enum protocol p)
{
	struct config *c = config_parse("test", text, strlen(text), stderr);
	char *said = NULL;
	size_t n = 0;
	FILE *out;

	assert_non_null(c);
	out = open_memstream(&said, &n);
	check_print_tls_of(c, p, out);
	fputs("--\n", out);
	check_print_tls(c, out);
	fclose(out);
	config_free(c);
	return said;
}

static const struct {
	const char *text;
	enum protocol protocol;
	const char *want;
} rows[] = {
    /* without certificates, as ever */
    {"", PROTOCOL_IMAP, "#   TLS (STARTTLS): refused (NO).\n--\n"},
    {"pop3 { starttls = pass }", PROTOCOL_POP3,
	"#   TLS (STLS): let by; what follows is not looked at.\n--\n"},
    {"ftp { starttls = hide }", PROTOCOL_FTP, "#   TLS (AUTH): hidden (502).\n--\n"},
    {"", PROTOCOL_SMTP,
	"#   TLS (STARTTLS), servers inside: refused (454).\n"
	"#   TLS (STARTTLS), mail servers outside (port 25): let by; what follows is not looked "
	"at.\n"
	"#   TLS (STARTTLS), others outside: let by; what follows is not looked at.\n--\n"},
    {"imap { starttls = intercept }", PROTOCOL_IMAP,
	"#   TLS (STARTTLS): refused (NO), there being no certificate to show.\n--\n"},
    {ANY "ftp { starttls = intercept }", PROTOCOL_FTP,
	"#   TLS (AUTH), servers inside with a certificate: looked into, data connections with "
	"it.\n"
	"#   TLS (AUTH), servers outside: refused (534), there being no certificate to show.\n--\n"
	"# TLS 1.2 and newer, on both legs. Server certificates that cannot be verified: refused; "
	"inside: recorded, and let by.\n#   0 trust anchors, the system's.\n"
	"#   Certificate \"a\": for a.example, *.a.example, and any server inside where no other "
	"is.\n"},
    /* of some servers, or of all */
    {SOME, PROTOCOL_IMAP,
	"#   TLS (STARTTLS), servers inside with a certificate: looked into.\n"
	"#   TLS (STARTTLS), other servers inside: refused (NO).\n"
	"#   TLS (STARTTLS), servers outside: refused (NO).\n--\n"
	"# TLS 1.2 and newer, on both legs. Server certificates that cannot be verified: refused; "
	"inside: recorded, and let by.\n#   0 trust anchors, the system's.\n"
	"#   Certificate \"a\": for no name, and servers of its networks.\n"},
    {ANY "pop3 { starttls = require }\ntls { minimum = 1.3 trust = '/t' key_log = '/k' }",
	PROTOCOL_POP3,
	"#   TLS (STLS), servers inside with a certificate: looked into; no login in the clear.\n"
	"#   TLS (STLS), servers outside: refused (-ERR), there being no certificate to show; no "
	"login in the clear.\n--\n"
	"# TLS 1.3 and newer, on both legs. Server certificates that cannot be verified: refused; "
	"inside: recorded, and let by.\n#   0 trust anchors, of /t.\n"
	"#   Certificate \"a\": for a.example, *.a.example, and any server inside where no other "
	"is.\n"
	"# Warning: tls.key_log: the keys of all sessions are written to /k; whoever has them "
	"reads "
	"everything.\n"},
    {"tls_rule bank { protocols = {imap, smtp} towards = outside server_names = {bank.example} "
     "action = pass }\ntls_rule rest { clients = {'192.0.2.0/24'} required = yes }",
	PROTOCOL_IMAP,
	"#   TLS (STARTTLS): refused (NO).\n--\n"
	"# What becomes of TLS: the first of these that holds, else what stands above.\n"
	"#   Rule \"bank\": smtp, imap, servers outside, some names (where the client says one): "
	"let "
	"by.\n"
	"#   Rule \"rest\": any server, some clients: looked into, and is required.\n"},
};

static void
test_what_becomes_of_TLS_is_printed(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512], *said;

		snprintf(text, sizeof(text), "%s%s", NETWORK, rows[i].text);
		said = said_of(text, rows[i].protocol);
		if (strcmp(said, rows[i].want) != 0) {
			failed++;
			print_error("%s: wanted\n%sgot\n%s", text, rows[i].want, said);
		}
		free(said);
	}
	assert_int_equal(failed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_becomes_of_TLS_is_printed)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
