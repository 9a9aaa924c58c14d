#include "status_command.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "config.h"
#include "config_text.h"
#include "core/buf.h"
#include "interception.h"
#include "status_socket.h"

#define ANSWER_MAX (64u << 20) /* octets */
#define ANSWER_MS  10000

struct asked {
	bool json, sessions;
	const char *config; /* NULL: the usual one */
};

/* ---- what is asked, and where ---- */

static bool
take_options(int argc, char **argv, struct asked *a)
{
	static const struct option options[] = {
	    {"json", no_argument, NULL, 'j'}, {"sessions", no_argument, NULL, 's'}, {0}};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (opt == 'j')
			a->json = true;
		else if (opt == 's')
			a->sessions = true;
		else if (opt == 'c')
			a->config = optarg;
		else
			break;
	}
	if (opt == -1 && optind == argc)
		return true;
	fprintf(stderr, "postern status: unknown option, or one without its value\n");
	commands_usage(stderr);
	return false;
}

/*
 * The path of the socket; free(). Where the configuration cannot be read, or is faulty by now, the
 * gateway may run all the same: then it is asked at the usual place. NULL: no memory.
 */
static char *
socket_path(const struct asked *a)
{
	const char *file = a->config == NULL ? CONFIG_DEFAULT_PATH : a->config;
	FILE *faults = fopen("/dev/null", "w");
	struct config *c = faults == NULL ? NULL : config_glance(file, faults);
	char *path = strdup(c == NULL ? STATUS_DEFAULT_PATH : c->status);

	if (c == NULL && a->config != NULL)
		fprintf(stderr,
		    "postern status: %s cannot be read or has faults (postern check names them): "
		    "asking at %s\n",
		    config_text_name(file), STATUS_DEFAULT_PATH);
	if (faults != NULL)
		fclose(faults);
	config_free(c);
	return path;
}

/* ---- asking ---- */

/* False: it takes too long. */
static bool
wait_for(int fd, short what, int64_t until)
{
	struct pollfd p = {.fd = fd, .events = what};
	int64_t left = until - (int64_t)clock_ms();

	return left > 0 && poll(&p, 1, (int)left) > 0;
}

/* The whole answer; false: none, or not all of it. */
static bool
ask(int fd, const char *line, struct buf *answer)
{
	int64_t until = (int64_t)clock_ms() + ANSWER_MS;
	char part[16384];
	ssize_t n = -1;

	if (!wait_for(fd, POLLOUT, until) || send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		return false;
	while (wait_for(fd, POLLIN, until)) {
		n = recv(fd, part, sizeof(part), 0);
		if (n == 0)
			break;
		if (n > 0 && !buf_add(answer, span_of(part, (size_t)n)))
			return false;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
	}
	return n == 0 && answer->n > 0;
}

static int
not_running(const struct asked *a, const char *why)
{
	static const struct {
		const char *state, *words;
	} guards[] = {
	    [GUARD_PRESENT] = {"present",
		"in place: intercepted ports are closed; \"postern release\" opens them"},
	    [GUARD_ABSENT] = {"absent", "NONE: traffic passes uninspected"},
	    [GUARD_UNKNOWN] = {"unknown", "unknown: only root (CAP_NET_ADMIN) can see it"},
	};
	enum guard_presence guard = interception_guard_present();

	if (a->json)
		printf("{\"running\":false,\"guard\":{\"state\":\"%s\"}}\n", guards[guard].state);
	else
		printf("postern is not running (%s)\nguard: %s\n", why, guards[guard].words);
	return EXIT_FAILED;
}

static int
refused(const char *path, const char *why)
{
	fprintf(stderr, "postern status: %s: %s\n", path, why);
	return EXIT_FAILED;
}

static int
show(const struct asked *a, const struct buf *answer)
{
	json_error_t error;
	json_t *o = json_loadb((const char *)answer->p, answer->n, 0, &error);

	if (o == NULL) {
		fprintf(stderr, "postern status: what answers there is no postern\n");
		return EXIT_FAILED;
	}
	if (a->json)
		fwrite(answer->p, 1, answer->n, stdout);
	else if (a->sessions)
		status_print_sessions(o, stdout);
	else
		status_print(o, stdout);
	json_decref(o);
	return EXIT_FINE;
}

static int
ask_at(const struct asked *a, const char *path)
{
	struct buf answer;
	int fd, code;

	if (strcmp(path, "-") == 0)
		return refused("status", "is switched off in the configuration");
	fd = status_socket_connect(path);
	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return not_running(a, "nobody answers at its socket");
	if (fd < 0)
		return refused(path, strerror(errno));
	buf_init(&answer, ANSWER_MAX);
	if (ask(fd, a->sessions ? "sessions\n" : "status\n", &answer))
		code = show(a, &answer);
	else
		code = refused(path,
		    "no answer: it answers root and the user who has started the gateway, "
		    "and few at once");
	buf_free(&answer);
	close(fd);
	return code;
}

int
status_command(int argc, char **argv)
{
	struct asked a = {0};
	char *path;
	int code;

	if (!take_options(argc, argv, &a))
		return EXIT_USAGE;
	path = socket_path(&a);
	if (path == NULL)
		return refused("status", "out of memory");
	code = ask_at(&a, path);
	free(path);
	return code;
}
