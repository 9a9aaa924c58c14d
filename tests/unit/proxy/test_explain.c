#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli.h"
#include "explain.h"

#define ARGS_MAX 24

/* No DNS is needed for what these decide. */
#define OFFLINE                                                                                    \
	"user = nobody\n"                                                                          \
	"inside = {\"10.0.0.0/8\"}\n"                                                              \
	"inside_devices = {\"lan0\"}\n"                                                            \
	"forward \"dmz\" { listen = \"127.0.0.1:2525\" to = \"192.0.2.25:2526\" }\n"               \
	"forward \"far\" { listen = \"127.0.0.1:2527\" to = \"10.0.0.99:25\" outside = yes }\n"    \
	"smtp { sender_list { deny = {\"/^bulk@/\"} }\n"                                           \
	"       recipient_list { deny = {\"root@example.edu\"} }\n"                                \
	"       client_name { check = enforce helo = valid }\n"                                    \
	"       relay { local_domains = {\"example.edu\"} by_mx = no }\n"                          \
	"       sender_domain { check = off } }\n"
/* Nobody answers on the discard port of this host. */
#define DEAF                                                                                       \
	"inside = {\"10.0.0.0/8\"}\n"                                                              \
	"resolvers = {\"127.0.0.1@9\"}\n"                                                          \
	"smtp { sender_domain { budget = 1 } }\n"

static int
file_of(const char *text, char path[64])
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

/* What a command prints goes to *said, to be freed; NULL: nobody wants to know. */
static int
run_with(const char *config, const char *command, const char *const *options, char **said)
{
	char path[64], *argv[ARGS_MAX], name[16], minus_c[] = "-c";
	int argc = 0, config_fd = file_of(config, path), out = memfd_create("out", MFD_CLOEXEC);
	int kept = dup(STDOUT_FILENO);

	snprintf(name, sizeof(name), "%s", command);
	argv[argc++] = name;
	argv[argc++] = minus_c;
	argv[argc++] = path;
	while (*options != NULL && argc < ARGS_MAX - 1)
		argv[argc++] = strdup(*options++);
	argv[argc] = NULL;
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	optind = 0; /* glibc: from the start, with a new argv */
	int code = command_find(command)->run(argc, argv);
	fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	while (argc > 3)
		free(argv[--argc]);

	off_t n = lseek(out, 0, SEEK_END);
	char *text = calloc(1, (size_t)n + 1);
	assert_int_equal(pread(out, text, (size_t)n, 0), n);
	close(out);
	close(kept);
	close(config_fd);
	if (said != NULL)
		*said = text;
	else
		free(text);
	return code;
}

#define OUTSIDE "--client", "198.51.100.7"
#define INSIDE	"--client", "10.0.0.7"
#define SERVER	"--server", "10.0.0.25"
#define FROM(a) "--from", a
#define TO(a)	"--to", a

static const struct {
	const char *name;
	const char *options[ARGS_MAX - 4];
	int code;
	const char *say; /* stands in what is printed */
} cases[] = {
    {"to a local domain", {OUTSIDE, SERVER, FROM("a@example.org"), TO("u@example.edu")},
	EXPLAIN_PASSES,
	"passes; rule relay, reason local_domain\n    told     what the server replies"},
    {"R-002 to a foreign domain", {OUTSIDE, SERVER, FROM("a@example.org"), TO("u@example.net")},
	EXPLAIN_REFUSED, "told     550 5.7.1 <u@example.net>... Relaying denied\n"},
    {"R-006 with a percent sign",
	{OUTSIDE, SERVER, FROM("a@example.org"), TO("<u%example.net@example.edu>")},
	EXPLAIN_REFUSED, "RCPT TO:<u%example.net@example.edu>\n    verdict  refused; rule relay"},
    {"R-001 null sender", {OUTSIDE, SERVER, FROM("<>"), TO("u@example.net")}, EXPLAIN_REFUSED,
	"MAIL FROM:<>\n    verdict  passes"},
    {"no grammar", {OUTSIDE, SERVER, FROM("a@@b"), TO("u@example.edu")}, EXPLAIN_REFUSED,
	"note     MAIL was refused"},
    {"from inside", {INSIDE, SERVER, FROM("a@example.org"), TO("u@example.net")}, EXPLAIN_PASSES,
	"client 10.0.0.7 is inside, server 10.0.0.25:25 is inside\n"},
    {"R-031 an inside address on an outside interface",
	{INSIDE, SERVER, FROM("a@example.org"), TO("u@example.net"), "--device", "wan0"},
	EXPLAIN_REFUSED, "client 10.0.0.7 is outside"},
    {"an inside address on an inside interface",
	{INSIDE, SERVER, FROM("a@example.org"), TO("u@example.net"), "--device", "lan0"},
	EXPLAIN_PASSES, "client 10.0.0.7 is inside"},
    {"R-032 authenticated", {OUTSIDE, SERVER, FROM("a@example.org"), TO("u@example.net"), "--auth"},
	EXPLAIN_PASSES, "the server has authenticated the client\n"},
    {"server of a forward section counts as inside",
	{OUTSIDE, "--server", "192.0.2.25:2526", FROM("a@example.org"), TO("u@example.net")},
	EXPLAIN_REFUSED, "server 192.0.2.25:2526 is inside"},
    {"server of a forward section that is outside",
	{OUTSIDE, "--server", "10.0.0.99", FROM("a@example.org"), TO("u@example.net")},
	EXPLAIN_PASSES, "server 10.0.0.99:25 is outside"},
    {"IPv6 server", {OUTSIDE, "--server", "[2001:db8::1]:587", FROM("a@example.org"), TO("u@a.b")},
	EXPLAIN_PASSES, "server [2001:db8::1]:587 is outside"},
    {"a greeting that is none",
	{OUTSIDE, SERVER, FROM("a@example.org"), TO("u@example.edu"), "--helo", ""},
	EXPLAIN_REFUSED, "EHLO \n    verdict  refused"},
    {"a greeting that says little",
	{OUTSIDE, SERVER, FROM("a@example.org"), TO("u@example.edu"), "--helo", "laptop"},
	EXPLAIN_REFUSED, "told     550 5.7.1 <laptop>... HELO name refused\n"},
    {"a sender on a list", {INSIDE, SERVER, FROM("Bulk@example.org"), TO("u@example.edu")},
	EXPLAIN_REFUSED,
	"rule senders, reason denied\n    told     550 5.7.1 <Bulk@example.org>..."},
    {"a recipient on a list", {OUTSIDE, SERVER, FROM("a@example.org"), TO("ROOT@example.edu")},
	EXPLAIN_REFUSED, "told     550 5.7.1 <ROOT@example.edu>... Recipient refused\n"},
    {"hostile text", {OUTSIDE, SERVER, FROM("a\033[2J@example.org"), TO("u@example.edu")},
	EXPLAIN_REFUSED, "MAIL FROM:<a\\x1b[2J@example.org>"},
    {"no client", {SERVER, FROM("a@example.org"), TO("u@example.edu")}, EXIT_USAGE, ""},
    {"no address", {"--client", "host", SERVER, FROM("a@b.c"), TO("u@d.e")}, EXIT_USAGE, ""},
    {"unknown option", {"--clients", "1.2.3.4"}, EXIT_USAGE, ""},
    {"no value", {OUTSIDE, SERVER, FROM("a@b.c"), "--to"}, EXIT_USAGE, ""},
    {"a word too many", {OUTSIDE, SERVER, FROM("a@b.c"), TO("u@d.e"), "x"}, EXIT_USAGE, ""},
};

static void
test_explain(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *said;
		int code = run_with(OFFLINE, "explain", cases[i].options, &said);
		if (code != cases[i].code || strstr(said, cases[i].say) == NULL)
			fail_msg("%s: exit code %d, wanted %d with\n%s\ngot\n%s", cases[i].name,
			    code, cases[i].code, cases[i].say, said);
		free(said);
	}
}

/* D-015: a DNS that says nothing decides nothing, and a refusal elsewhere counts for more. */
static void
test_deaf_dns(void **state)
{
	const char *const doubt[] = {
	    INSIDE, SERVER, FROM("a@example.org"), TO("u@example.net"), NULL};
	const char *const both[] = {
	    OUTSIDE, SERVER, FROM("a@example.org"), TO("u@[192.0.2.1]"), NULL};
	char *said;

	(void)state;
	assert_int_equal(run_with(DEAF, "explain", doubt, &said), EXPLAIN_UNDECIDED);
	assert_non_null(strstr(said, "DNS      MX example.org: "));
	assert_non_null(strstr(said, "undecided, refused for now; rule sender_domain"));
	assert_non_null(strstr(said, "told     451 4.4.3 "));
	free(said);
	assert_int_equal(run_with(DEAF, "explain", both, NULL), EXPLAIN_REFUSED);
}

/* ---- check and run ---- */

static void
test_check(void **state)
{
	const char *const none[] = {NULL}, *const word[] = {"x", NULL},
			  *const option[] = {"-x", NULL};
	char *said, *again;

	(void)state;
	assert_int_equal(run_with(OFFLINE, "check", none, &said), EXIT_FINE);
	assert_non_null(
	    strstr(said, "# Forward \"dmz\": who connects to 127.0.0.1:2525 speaks smtp "
			 "with 192.0.2.25:2526, which counts as inside.\n"));
	assert_null(strstr(said, "# Warning"));
	/* what it prints is a configuration, and means the same */
	assert_int_equal(run_with(said, "check", none, &again), EXIT_FINE);
	assert_string_equal(strchr(said, '\n'), strchr(again, '\n'));
	free(said);
	free(again);
	assert_int_equal(run_with("", "check", none, NULL), EXIT_USAGE);
	assert_int_equal(run_with(OFFLINE, "check", word, NULL), EXIT_USAGE);
	assert_int_equal(run_with(OFFLINE, "check", option, NULL), EXIT_USAGE);
}

/* A server that trusts the gateway relays for everybody, unless the gateway prevents it. */
static void
test_check_warns(void **state)
{
	const char *const none[] = {NULL};
	char *said;

	(void)state;
	assert_int_equal(run_with("forward a { listen = \"127.0.0.1:1\" to = \"127.0.0.1:2\" }\n"
				  "smtp { relay { check = off } }",
			     "check", none, &said),
	    EXIT_FINE);
	assert_non_null(strstr(said, "# Warning: the server sees the gateway's address"));
	free(said);
	assert_int_equal(
	    run_with("forward a { listen = \"127.0.0.1:1\" to = \"127.0.0.1:2\" send_proxy = v2 }\n"
		     "user = nobody\n"
		     "smtp { relay { check = off } }",
		"check", none, &said),
	    EXIT_FINE);
	assert_non_null(strstr(said, "has to expect a PROXY header of version 2"));
	assert_null(strstr(said, "# Warning"));
	free(said);
}

static void
test_run_refuses(void **state)
{
	const char *const none[] = {NULL};

	(void)state;
	assert_int_equal(
	    run_with("intercept { mode = off }\nsmtp { relay { check = off } }", "run", none, NULL),
	    EXIT_USAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_explain),
	    cmocka_unit_test(test_deaf_dns),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_check_warns),
	    cmocka_unit_test(test_run_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
