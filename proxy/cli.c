#include "cli.h"

#include <string.h>
#include <unistd.h>

#include "ca_command.h"
#include "certificate_command.h"
#include "check.h"
#include "config.h"
#include "explain.h"
#include "guard.h"
#include "mime_command.h"
#include "read_command.h"
#include "release.h"
#include "status_command.h"
#include "supervisor.h"
#include "watch_command.h"

static int run(int argc, char **argv);

static const struct command commands[] = {
    {"run", "[-c FILE]", run},
    {"check", "[-c FILE] [--rules]", check},
    {"guard", "[-c FILE]", guard},
    {"release", "", release},
    {"explain",
	"--client IP --server IP[:PORT] --from ADDR --to ADDR\n"
	"                       [--helo NAME] [--auth] [--device NAME] [-c FILE]",
	explain},
    {"status", "[--json] [--sessions] [-c FILE]", status_command},
    {"mime", "[--json] FILE...", mime_command},
    {"read",
	"[-c FILE] [--keylog FILE] [--resolve] [--extract DIR] [--extract-max MIB]\n"
	"                       [--memory MIB] [--checksums] FILE...",
	read_command},
    {"watch",
	"-i DEVICE [-c FILE] [--filter EXPR] [--promiscuous] [--buffer MIB]\n"
	"                       [--keylog FILE] [--extract DIR] [--extract-max MIB] [--memory "
	"MIB]\n"
	"                       [--checksums]",
	watch_command},
    {"ca", "init [-d DIR] [-o ORGANISATION] | show [-c FILE | CERTIFICATE...]", ca_command},
    {"certificate", "make [--name NAME] [CERTIFICATE KEY]", certificate_command},
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
		fprintf(out, "%s postern %-*s%s%s\n", i == 0 ? "usage:" : "      ",
		    commands[i].usage[0] != '\0' ? 7 : 0, commands[i].name,
		    commands[i].usage[0] != '\0' ? " " : "", commands[i].usage);
	fputs("       postern --version | --help\n", out);
}

struct config *
command_config(int argc, char **argv, struct config *(*read)(const char *path, FILE *err))
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
	return read(path, stderr);
}

static int
run(int argc, char **argv)
{
	struct config *c = command_config(argc, argv, config_read);

	if (c == NULL || !config_can_run(c, stderr)) {
		config_free(c);
		return EXIT_USAGE;
	}
	return supervisor_run(c);
}
