#include "check.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "budget.h"
#include "channel.h"
#include "check_captures.h"
#include "check_ftp.h"
#include "check_published.h"
#include "check_retrieval.h"
#include "check_tls.h"
#include "cli.h"
#include "config_text.h"
#include "interception.h"
#include "interception_advice.h"
#include "sandbox.h"

static size_t
larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/*
 * Octets of one session at most, whatever its peers send: per channel two blocks of input, the
 * queue and what one event adds to it (a reply at most), and in the dialogue a line and a reply.
 */
static size_t
session_octets(const struct config *c)
{
	const struct smtp_limits *smtp = &c->smtp.dialogue;
	const struct pop3_limits *pop3 = &c->pop3.dialogue;
	const struct imap_limits *imap = &c->imap.dialogue;
	size_t mail = 2 * smtp->reply + larger(smtp->auth_line, smtp->line),
	       files = 2 * c->ftp.dialogue.reply + c->ftp.dialogue.line,
	       box = larger(2 * larger(pop3->auth_line, pop3->line), 2 * imap->line);

	return 2 * (size_t)CHANNEL_MEMORY_MAX + larger(larger(mail, files), box);
}

static void
print_processes(const struct config *c)
{
	bool answers = strcmp(c->status, "-") != 0 || c->metrics.ss_family != AF_UNSPEC;
	struct budget budget;
	const char *why;

	budget_compute(c, &budget);
	printf("# Processes: %u worker%s, as user %s when root starts the gateway, which root must "
	       "to intercept;\n#   one that writes the log%s.\n",
	    budget.workers, budget.workers == 1 ? "" : "s", c->user,
	    answers ? ", and one that answers who asks for the status" : "");
	/* somebody else's gateway stays who it is */
	if (geteuid() == 0 && !sandbox_check_user(c->user, &why))
		printf("# Warning: %s; \"postern run\" refuses to start.\n", why);
}

static void
print_memory(const struct config *c, const struct budget *budget)
{
	size_t each = session_octets(c);

	printf("# Memory: a session in full flow holds at most %zu KiB, whatever is sent; all of "
	       "them at once %zu MiB.\n#   One that waits for its peers holds no buffer.\n",
	    each >> 10, (each * budget->sessions * budget->workers) >> 20);
	if (c->mime.inspect)
		printf("#   While a message comes in that was made to cost memory, at most %zu KiB "
		       "more.\n",
		    mail_octets_max(&c->mime.options) >> 10);
}

static void
print_sessions(const struct config *c)
{
	struct budget budget;

	budget_compute(c, &budget);
	printf("# Sessions: at most %u at once in each worker, ", budget.sessions);
	if (budget.by_config)
		puts("as limits.sessions says.");
	else
		printf(
		    "which is what a limit of %lu open files has room for,\n#   %u of them being "
		    "kept for everything else. A session of FTP may need as many as %d others.\n",
		    budget.limit, budget.reserved, BUDGET_PER_FTP_SESSION / BUDGET_PER_SESSION);
	print_memory(c, &budget);
}

/* Ports of the configuration, "25, 587". */
static void
print_ports(const unsigned *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%s%u", i > 0 ? ", " : "", ports[i]);
}

static void
print_caught(const struct config *c)
{
	for (unsigned p = 0; p < PROTOCOL_COUNT; p++) {
		size_t n;
		const unsigned *ports = config_ports(c, (enum protocol)p, &n);

		if (n == 0)
			continue;
		printf("#   %s, port%s ", protocol_name((enum protocol)p), n == 1 ? "" : "s");
		print_ports(ports, n);
		puts(": taken off the wire.");
		ports = config_tls_ports(c, (enum protocol)p, &n);
		if (n == 0)
			continue;
		fputs("#     of them with TLS from the first octet on: ", stdout);
		print_ports(ports, n);
		puts(".");
	}
	puts("#   Every other port passes by untouched.");
}

static void
print_marks(const struct intercept_config *i)
{
	printf("# Chains of your own that drop what they do not know need one rule more each:\n"
	       "#   hook input, what is taken off the wire:\n"
	       "#     meta mark & 0x%08x == 0x%08x accept\n"
	       "#   hook output, what the gateway sends to servers, and hook forward, FTP data "
	       "connections that it lets by:\n"
	       "#     meta mark & 0x%08x == 0x%08x accept\n"
	       "#   What is never touched (bypass, bypass_servers, other ports) has no mark.\n",
	    i->mark_mask, i->mark, i->mark_mask, i->own_mark);
}

static void
print_mode(const struct config *c)
{
	if (c->mode == INTERCEPT_OFF) {
		puts("# Interception: off. Only what connects to a forward section comes by; no "
		     "firewall rule and no mark is set.");
		return;
	}
	puts(c->mode == INTERCEPT_TPROXY
		 ? "# Interception: tproxy. Client and server see each other's address."
		 : "# Interception: redirect. Servers see the gateway's address in place of the "
		   "client's.");
	print_caught(c);
	puts(c->intercept.on_exit_bypass
		 ? "# While the gateway is down: connections to these ports pass by, uninspected."
		 : "# While the gateway is down: connections to these ports are reset; \"postern "
		   "release\" ends that.");
	print_marks(&c->intercept);
}

static const char *
proxy_words(const struct forward *f)
{
	static const char *const words[] = {[SEND_PROXY_NO] = "",
	    [SEND_PROXY_V1] =
		",\n#   and has to expect a PROXY header of version 1, from here alone",
	    [SEND_PROXY_V2] =
		",\n#   and has to expect a PROXY header of version 2, from here alone"};

	return words[f->send_proxy];
}

/* A mail server that has to take the gateway for the client. */
static bool
hides_clients(const struct config *c)
{
	for (size_t i = 0; i < c->n_forwards; i++)
		if (c->forwards[i].protocol == PROTOCOL_SMTP &&
		    c->forwards[i].send_proxy == SEND_PROXY_NO)
			return true;
	return c->mode == INTERCEPT_REDIRECT;
}

static void
print_forwards(const struct config *c)
{
	char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < c->n_forwards; i++) {
		const struct forward *f = &c->forwards[i];
		struct endpoint listen = address_endpoint((const struct sockaddr *)&f->listen);
		struct endpoint server = address_endpoint((const struct sockaddr *)&f->to);
		printf("# Forward \"%s\": who connects to %s speaks %s with %s, which counts as "
		       "%s%s.\n",
		    f->name, address_text(&listen, from), protocol_name(f->protocol),
		    address_text(&server, to), f->outside ? "outside" : "inside", proxy_words(f));
	}
	if (hides_clients(c) && c->policy->relay.check != CHECK_ENFORCE)
		puts(
		    "# Warning: the server sees the gateway's address in place of the client's. If "
		    "it trusts that address,\n#   it relays for everybody: smtp.relay.check = "
		    "enforce prevents that, or send_proxy.");
}

static const char *const does[] = {
    [CHECK_OFF] = "off", [CHECK_REPORT] = "recorded, and let by", [CHECK_ENFORCE] = "refused"};

static void
print_client_name(const struct client_name_policy *p)
{
	static const char *const reverse[] = {[REVERSE_NONE] = "",
	    [REVERSE_EXISTS] = "without a reverse name",
	    [REVERSE_CONFIRMED] = "without a reverse name that has their address"};
	static const char *const helo[] = {[HELO_ANY] = "",
	    [HELO_VALID] = "with a HELO name that is no full one",
	    [HELO_RESOLVES] = "with a HELO name that the DNS does not have"};
	bool both = p->reverse != REVERSE_NONE && p->helo != HELO_ANY;

	if (p->check != CHECK_OFF)
		printf("# Clients outside %s%s%s: %s.\n", reverse[p->reverse], both ? ", or " : "",
		    helo[p->helo], does[p->check]);
}

static void
print_lists(const struct policy *p)
{
	bool senders = !addresses_empty(p->senders.deny);
	bool recipients = !addresses_empty(p->recipients.deny);

	if (senders || recipients)
		printf("# %s%s%s on a list: refused, whoever the client is.\n",
		    senders ? "Senders" : "", senders && recipients ? " and recipients" : "",
		    senders ? "" : "Recipients");
}

static const char *const content_words[CONTENT_RULES] = {
    [CONTENT_SHA256] = "files whose SHA-256 digest is on the list",
    [CONTENT_TYPE] = "files of a type on the list, declared or detected",
    [CONTENT_EXTENSION] = "names on the list, in archives too",
    [CONTENT_MISMATCH] = "files that are not what they say",
    [CONTENT_BOMB] = "archives that unpack to far more than they are",
    [CONTENT_ENCRYPTED] = "encrypted archives",
    [CONTENT_PARTIAL] = "pieces of a whole (message/partial, a resumed transfer)",
    [CONTENT_SIZE] = "parts that are too large",
    [CONTENT_AMBIGUOUS] = "messages that mail programs read in different ways",
    [CONTENT_INCOMPLETE] = "messages with more than can be looked at",
};

/* What is done about the content of messages, one line for each thing that is done. */
static void
print_content(const struct config *c)
{
	const struct content_policy *p = &c->content;

	if (!c->mime.inspect) {
		puts("# What is in messages is not looked at.");
		return;
	}
	puts("# What is in messages is looked at and recorded, as far as the section mime says.");
	for (unsigned much = CHECK_ENFORCE; much > CHECK_OFF; much--)
		for (unsigned i = 0; i < CONTENT_RULES; i++)
			if (content_armed(p, (enum content_rule)i) &&
			    content_does(p, (enum content_rule)i) == (enum check)much)
				printf("#   %s: %s.\n", content_words[i], does[much]);
	if (p->check != CHECK_OFF && c->content_sha256 != NULL)
		printf("#   The list of digests, %s, has %zu.\n", c->content_sha256, p->sha256.n);
}

static void
print_checks(const struct config *c)
{
	const struct policy *p = c->policy;

	printf("# Relaying for others: %s. Sender domains that do not exist: %s.\n",
	    does[p->relay.check], does[p->sender.check]);
	print_client_name(&p->client_name);
	print_lists(p);
	if (config_serves(c, PROTOCOL_SMTP))
		check_print_tls_of(c, PROTOCOL_SMTP, stdout);
	print_content(c);
}

static void
print_advice(void *arg, const char *line)
{
	(void)arg;
	printf("# Warning: %s\n", line);
}

/* ---- check --rules ---- */

/* Octets of the text: more than the networks of the largest configuration take. */
#define RULES_TEXT_MAX (8 * CONFIG_FILE_MAX)

/* What belongs to the tables and is no part of them, as comments. */
static void
print_policy_route(const struct intercept_config *i)
{
	puts("# What leads the marked packets to the gateway; \"postern run\" makes it itself:");
	for (unsigned family = 4; family <= 6; family += 2)
		printf("#   ip -%u rule add fwmark 0x%08x/0x%08x lookup %u\n"
		       "#   ip -%u route add local default dev lo table %u\n",
		    family, i->mark, i->mark_mask, i->route_table, family, i->route_table);
}

static int
print_rules(const struct config *c)
{
	enum protocol served[PROTOCOL_COUNT];
	size_t n = interception_protocols(served);
	struct firewall *f;
	struct buf text;
	bool made;

	if (c->mode == INTERCEPT_OFF) {
		puts("# intercept.mode = off: the gateway sets no firewall rule.");
		return EXIT_FINE;
	}
	if (c->mode == INTERCEPT_TPROXY)
		print_policy_route(&c->intercept);
	print_marks(&c->intercept);
	buf_init(&text, RULES_TEXT_MAX);
	f = interception_firewall(c, served, n);
	made = f != NULL && firewall_text(f, &text);
	if (made)
		fwrite(text.p, 1, text.n, stdout);
	else
		fputs("postern check: no memory for the rules\n", stderr);
	firewall_free(f);
	buf_free(&text);
	return made ? EXIT_FINE : EXIT_FAILED;
}

static void
print_all(const struct config *c)
{
	printf("# %s, with its defaults filled in. What it means:\n#\n", config_text_name(c->path));
	print_mode(c);
	interception_advice(c, print_advice, NULL);
	print_forwards(c);
	print_checks(c);
	check_print_ftp(c, stdout);
	check_print_retrieval(c, stdout);
	check_print_tls(c, stdout);
	check_print_captures(c, stdout);
	print_processes(c);
	print_sessions(c);
	putchar('\n');
	config_print(c, stdout);
}

/* False: an option that is none; that was told. */
static bool
take_options(int argc, char **argv, const char **path, bool *rules)
{
	static const struct option options[] = {
	    {"rules", no_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (opt == 'r')
			*rules = true;
		else if (opt == 'c')
			*path = optarg;
		else
			break;
	}
	if (opt == -1 && optind == argc)
		return true;
	fputs(opt == -1 ? "postern check: takes options only\n"
			: "postern check: unknown option, or one without its value\n",
	    stderr);
	commands_usage(stderr);
	return false;
}

int
check(int argc, char **argv)
{
	const char *path = CONFIG_DEFAULT_PATH;
	bool rules = false;
	int code = EXIT_FINE;

	if (!take_options(argc, argv, &path, &rules))
		return EXIT_USAGE;
	struct config *c = config_read(path, stderr);
	if (c == NULL)
		return EXIT_USAGE;
	if (rules) {
		code = print_rules(c);
	} else {
		print_all(c);
		check_published(c, stderr);
	}
	config_free(c);
	return fflush(stdout) == 0 ? code : EXIT_FAILED;
}
