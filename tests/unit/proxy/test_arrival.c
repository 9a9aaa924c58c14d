/*
 * Which connections are taken off the wire, and which of them begin with TLS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "arrival.h"
#include "interception.h"

#define NETWORK "inside = {\"10.0.0.0/8\"}\n"

static struct config *
config(const char *text)
{
	struct config *c = config_parse("-", text, strlen(text), stderr);

	assert_non_null(c);
	return c;
}

static bool
is_implicit(const struct config *c, const struct arrival *a, unsigned port)
{
	const struct endpoint wanted = {.port = (uint16_t)port};

	return arrival_is_implicit(c, a, &wanted);
}

static void
test_TLS_from_the_first_octet_is_known_by_the_port(void **state)
{
	struct config *c =
	    config(NETWORK "smtp { tls_ports = {465} } pop3 { tls_ports = {995, 1995} }");
	const struct arrival smtp = {.mode = INTERCEPT_TPROXY, .protocol = PROTOCOL_SMTP},
			     pop3 = {.mode = INTERCEPT_REDIRECT, .protocol = PROTOCOL_POP3};

	(void)state;
	assert_true(is_implicit(c, &smtp, 465));
	assert_false(is_implicit(c, &smtp, 25));
	assert_false(is_implicit(c, &smtp, 995));
	assert_true(is_implicit(c, &pop3, 1995));
	assert_false(is_implicit(c, &pop3, 110));
	config_free(c);
}

/* A forward section says so itself, whatever its port. */
static void
test_TLS_from_the_first_octet_of_a_forward_section(void **state)
{
	struct config *c = config(NETWORK
	    "forward a { listen = '127.0.0.1:2465' to = '192.0.2.1:465' implicit_tls = yes }\n"
	    "forward b { listen = '127.0.0.1:2525' to = '192.0.2.1:465' }\n"
	    "smtp { tls_ports = {465} }");
	const struct arrival a = {.forward = &c->forwards[0], .protocol = PROTOCOL_SMTP},
			     b = {.forward = &c->forwards[1], .protocol = PROTOCOL_SMTP};

	(void)state;
	assert_true(is_implicit(c, &a, 465));
	assert_false(is_implicit(c, &b, 465));
	config_free(c);
}

/* A blank for every run of white space. */
static void
squeeze(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; from++)
		if (strchr(" \t\n", *from) == NULL)
			*to++ = *from;
		else if (to == text || to[-1] != ' ')
			*to++ = ' ';
	*to = '\0';
}

/* What the firewall says of a configuration; to be freed. */
static char *
rules_of(const char *text)
{
	enum protocol served[PROTOCOL_COUNT];
	struct config *c = config(text);
	struct firewall *f = interception_firewall(c, served, interception_protocols(served));
	struct buf out;

	assert_non_null(f);
	buf_init(&out, 1u << 20);
	assert_true(firewall_text(f, &out));
	assert_true(buf_octet(&out, '\0'));
	firewall_free(f);
	config_free(c);
	squeeze((char *)out.p);
	return (char *)out.p;
}

static void
test_firewall_takes_ports_with_TLS(void **state)
{
	static const char *const modes[] = {"tproxy", "redirect"};
	char text[256];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *with, *without;

		snprintf(text, sizeof(text), NETWORK "intercept { mode = %s }", modes[i]);
		without = rules_of(text);
		snprintf(text, sizeof(text),
		    NETWORK "intercept { mode = %s }\nsmtp { tls_ports = {465} }\n"
			    "ftp { tls_ports = {990} }\npop3 { tls_ports = {995} }\n"
			    "imap { tls_ports = {993} }",
		    modes[i]);
		with = rules_of(text);
		assert_non_null(strstr(without, "elements = { 25, 587 }"));
		assert_null(strstr(without, "465"));
		assert_non_null(strstr(with, "elements = { 25, 465, 587 }"));
		assert_non_null(strstr(with, "elements = { 21, 990 }"));
		assert_non_null(strstr(with, "elements = { 110, 995 }"));
		assert_non_null(strstr(with, "elements = { 143, 993 }"));
		free(with);
		free(without);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_TLS_from_the_first_octet_is_known_by_the_port),
	    cmocka_unit_test(test_TLS_from_the_first_octet_of_a_forward_section),
	    cmocka_unit_test(test_firewall_takes_ports_with_TLS),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
