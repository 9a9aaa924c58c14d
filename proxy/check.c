#include "check.h"

#include <stdio.h>

#include "address.h"
#include "budget.h"
#include "channel.h"
#include "cli.h"
#include "config_text.h"
#include "firewall_advice.h"
#include "relay.h"

/*
 * Octets of one session at most, whatever its peers send: per channel two blocks of input, the
 * queue and what one event adds to it (a reply at most), and in the dialogue a line and a reply.
 */
static size_t
session_octets(const struct smtp_limits *l)
{
	size_t line = l->auth_line > l->line ? l->auth_line : l->line;

	return 2 * (size_t)CHANNEL_MEMORY_MAX + 2 * l->reply + line;
}

static void
print_processes(const struct config *c)
{
	struct budget budget;

	budget_compute(c, &budget);
	printf("# Processes: %u worker%s, as user %s when root starts the gateway, which root must "
	       "to intercept;\n#   and one that writes the log.\n",
	    budget.workers, budget.workers == 1 ? "" : "s", c->user);
}

static void
print_sessions(const struct config *c)
{
	struct budget budget;
	size_t each = session_octets(&c->smtp.dialogue);

	budget_compute(c, &budget);
	printf("# Sessions: at most %u at once in each worker, ", budget.sessions);
	if (budget.by_config)
		puts("as limits.sessions says.");
	else
		printf(
		    "which is what a limit of %lu open files has room for,\n#   %u of them being "
		    "kept for everything else.\n",
		    budget.limit, budget.reserved);
	printf("# Memory: a session in full flow holds at most %zu KiB, whatever is sent; all of "
	       "them at once %zu MiB.\n#   One that waits for its peers holds no buffer.\n",
	    each >> 10, (each * budget.sessions * budget.workers) >> 20);
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
	const struct {
		enum protocol protocol;
		const unsigned *ports;
		size_t n;
	} rows[] = {{PROTOCOL_SMTP, c->smtp.ports, c->smtp.n_ports},
	    {PROTOCOL_FTP, c->ftp.ports, c->ftp.n_ports},
	    {PROTOCOL_POP3, c->pop3.ports, c->pop3.n_ports},
	    {PROTOCOL_IMAP, c->imap.ports, c->imap.n_ports}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool served = relay_ops_of(rows[i].protocol) != NULL;

		if (rows[i].n == 0)
			continue;
		printf("#   %s, port ", protocol_name(rows[i].protocol));
		print_ports(rows[i].ports, rows[i].n);
		puts(served ? ": taken off the wire."
			    : ": passes by untouched; this version does not speak it.");
	}
	puts("#   Every other port passes by untouched.");
}

static void
print_marks(const struct config *c)
{
	const struct intercept_config *i = &c->intercept;

	printf("# Marks: 0x%08x is on packets taken off their way: an input chain that drops must "
	       "accept them.\n"
	       "#   0x%08x is on what goes to servers and on what passes unproxied: an output or "
	       "forward chain\n#   that drops must accept it. Both under the mask 0x%08x.\n",
	    i->mark, i->own_mark, i->mark_mask);
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
	print_marks(c);
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

/* A server that has to take the gateway for the client. */
static bool
hides_clients(const struct config *c)
{
	for (size_t i = 0; i < c->n_forwards; i++)
		if (c->forwards[i].send_proxy == SEND_PROXY_NO)
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

static void
print_checks(const struct config *c)
{
	const struct policy *p = c->policy;

	printf("# Relaying for others: %s. Sender domains that do not exist: %s.\n",
	    does[p->relay.check], does[p->sender.check]);
	print_client_name(&p->client_name);
	print_lists(p);
}

static void
print_advice(void *arg, const char *line)
{
	(void)arg;
	printf("# Warning: %s\n", line);
}

/* What other people's firewall rules on this host, as they are now, would do to our sessions. */
static void
print_other_rules(const struct config *c)
{
	const struct intercept_config *i = &c->intercept;

	if (c->mode != INTERCEPT_OFF)
		firewall_advice(&(struct firewall_marks){i->mark, i->own_mark, i->mark_mask},
		    print_advice, NULL);
}

int
check(int argc, char **argv)
{
	struct config *c = command_config(argc, argv);

	if (c == NULL)
		return EXIT_USAGE;
	printf("# %s, with its defaults filled in. What it means:\n#\n", config_text_name(c->path));
	print_mode(c);
	print_other_rules(c);
	print_forwards(c);
	print_checks(c);
	print_processes(c);
	print_sessions(c);
	putchar('\n');
	config_print(c, stdout);
	config_free(c);
	return fflush(stdout) == 0 ? EXIT_FINE : EXIT_FAILED;
}
