/*
 * firewall_holder FILE - installs the interception of a configuration and holds it, for tests of
 * the firewall alone. Reads one command a line, answers each with one line on standard output.
 *
 *	watch			"intact", "unseen TEXT", "mended TEXT", "broken TEXT": as
 *				interception_watch(all)
 *	news			the same, of what was told alone
 *	wait SECONDS		"ready" or "silent": whether interception_fd() becomes readable
 *	reload FILE		"done" or "failed TEXT"
 *	expect S D PORT LOCAL-PORT SECONDS, pass S D PORT SECONDS, forget data|passed S D PORT
 *	count S D PORT		"octets THERE BACK" or "failed TEXT"
 *	stop			"done" or "failed TEXT", and ends
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interception.h"

static unsigned
number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

static void
answer(bool done, const char *why)
{
	if (done)
		puts("done");
	else
		printf("failed %s\n", why);
}

static void
watch(struct interception *i, bool all)
{
	static const char *const words[] = {"intact", "unseen", "mended", "broken"};
	char why[INTERCEPTION_TEXT_MAX] = "";

	enum interception_state state = interception_watch(i, all, why);
	printf("%s %s\n", words[state], state == INTERCEPTION_INTACT ? "" : why);
}

static void
wait_for(const struct interception *i, int seconds)
{
	struct pollfd fd = {.fd = interception_fd(i), .events = POLLIN};

	puts(poll(&fd, 1, 1000 * seconds) == 1 ? "ready" : "silent");
}

static void
reload(struct interception *i, const char *file)
{
	enum protocol served[PROTOCOL_COUNT];
	size_t n = interception_protocols(served);
	struct config *c = config_read(file, stderr);
	char why[INTERCEPTION_TEXT_MAX] = "configuration";
	bool done = c != NULL && interception_reload(i, c, served, n, why);

	config_free(c);
	answer(done, why);
}

static void
flow(struct interception *i, const char *const words[8])
{
	size_t at = strcmp(words[0], "forget") == 0 ? 2 : 1;
	char why[INTERCEPTION_TEXT_MAX] = "";
	struct firewall_flow f = {.port = (uint16_t)number(words[at + 2])};
	uint64_t octets[2] = {0, 0};
	bool done;

	if (!ip_parse(span_str(words[at]), &f.source) ||
	    !ip_parse(span_str(words[at + 1]), &f.destination))
		abort();
	if (at == 2)
		done = interception_forget(
		    i, strcmp(words[1], "data") == 0 ? FIREWALL_DATA : FIREWALL_PASSED, &f, why);
	else if (strcmp(words[0], "expect") == 0)
		done =
		    interception_expect(i, &f, (uint16_t)number(words[4]), number(words[5]), why);
	else if (strcmp(words[0], "count") == 0)
		done = interception_counted(i, &f, octets, why);
	else
		done = interception_pass(i, &f, number(words[4]), why);
	if (done && strcmp(words[0], "count") == 0)
		printf("octets %llu %llu\n", (unsigned long long)octets[0],
		    (unsigned long long)octets[1]);
	else
		answer(done, why);
}

static void
obey(struct interception *i, char *line)
{
	const char *words[8] = {"", "", "", "", "", "", "", ""};
	size_t n = 0;

	for (const char *w = strtok(line, " \n"); w != NULL && n < 8; w = strtok(NULL, " \n"))
		words[n++] = w;
	if (strcmp(words[0], "watch") == 0 || strcmp(words[0], "news") == 0)
		watch(i, words[0][0] == 'w');
	else if (strcmp(words[0], "wait") == 0)
		wait_for(i, (int)number(words[1]));
	else if (strcmp(words[0], "reload") == 0)
		reload(i, words[1]);
	else
		flow(i, words);
}

int
main(int argc, char **argv)
{
	char why[INTERCEPTION_TEXT_MAX], line[1024];
	enum protocol served[PROTOCOL_COUNT];
	size_t n = interception_protocols(served);
	struct config *c = argc == 2 ? config_read(argv[1], stderr) : NULL;

	if (c == NULL)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	struct interception *i = interception_start(c, served, n, why);
	config_free(c);
	if (i == NULL) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	puts("ready");
	while (fgets(line, sizeof(line), stdin) != NULL && strncmp(line, "stop", 4) != 0)
		obey(i, line);
	answer(interception_stop(i, why), why);
	return 0;
}
