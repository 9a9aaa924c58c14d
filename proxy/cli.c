#include "cli.h"

#include <string.h>
#include <unistd.h>

#include "check.h"
#include "config_text.h"
#include "explain.h"
#include "release.h"
#include "worker.h"

static int run(int argc, char **argv);

static const struct command commands[] = {
    {"run", "[-c FILE]", run},
    {"check", "[-c FILE] [--rules]", check},
    {"release", "", release},
    {"explain",
	"--client IP --server IP[:PORT] --from ADDR --to ADDR\n"
	"                       [--helo NAME] [--auth] [--device NAME] [-c FILE]",
	explain},
};

const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

void
commands_usage(FILE *out)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "%s postern %-7s %s\n", i == 0 ? "usage:" : "      ", commands[i].name,
		    commands[i].usage);
	fputs("       postern --version | --help\n", out);
}

struct config *
command_config(int argc, char **argv)
{
	const char *path = CONFIG_DEFAULT_PATH;
	int opt;

	opterr = 0;
	while ((opt = getopt(argc, argv, "c:")) != -1) {
		if (opt != 'c') {
			fprintf(stderr, "postern %s: unknown option, or one without its value\n",
			    argv[0]);
			commands_usage(stderr);
			return NULL;
		}
		path = optarg;
	}
	if (optind < argc) {
		fprintf(stderr, "postern %s: \"%s\" is not an option of this command\n", argv[0],
		    argv[optind]);
		commands_usage(stderr);
		return NULL;
	}
	return config_read(path, stderr);
}

/* ---- run ---- */

/* Whoever asks for more than this version does is told, and not left with less than he thinks. */
static bool
can_run(const struct config *c)
{
	const char *file = config_text_name(c->path);

	if (c->mode != INTERCEPT_OFF) {
		fprintf(stderr,
		    "%s: intercept.mode: transparent interception needs a later version; "
		    "this one serves forward sections with intercept.mode = off\n",
		    file);
		return false;
	}
	if (c->inside_devices[0] != NULL) {
		fprintf(stderr,
		    "%s: inside_devices: needs a later version; this one tells inside from "
		    "outside by address alone\n",
		    file);
		return false;
	}
	if (c->n_forwards == 0) {
		fprintf(stderr, "%s: no forward section: there is nothing to serve\n", file);
		return false;
	}
	for (size_t i = 0; i < c->n_forwards; i++)
		if (c->forwards[i].protocol != PROTOCOL_SMTP) {
			fprintf(stderr,
			    "%s: forward \"%s\": protocol %s needs a later version; this "
			    "one speaks smtp\n",
			    file, c->forwards[i].name, protocol_name(c->forwards[i].protocol));
			return false;
		}
	return true;
}

static int
run(int argc, char **argv)
{
	struct config *c = command_config(argc, argv);

	if (c == NULL || !can_run(c)) {
		config_free(c);
		return EXIT_USAGE;
	}
	int code = worker_run(c);
	config_free(c);
	return code;
}
