/*
 * postern - an inline gateway for mail and files: whoever passes is seen.
 */
#include <string.h>

#include "cli.h"
#include "logger.h"
#include "signer.h"
#include "status_process.h"
#include "tap_process.h"
#include "worker.h"

/* Roles of processes that the supervisor starts (process.h); nobody else can. */
static const struct command roles[] = {
    {"worker", "", worker_main},
    {"logger", "", logger_main},
    {STATUS_ROLE, "", status_main},
    {SIGNER_ROLE, "", signer_main},
    {TAP_ROLE, "", tap_main},
};

static const struct command *
role_find(const char *name)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("postern " POSTERN_VERSION);
		return EXIT_FINE;
	}
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		commands_usage(stdout);
		return EXIT_FINE;
	}
	const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;

	if (command == NULL && argc > 1)
		command = role_find(argv[1]);
	if (command == NULL) {
		if (argc > 1)
			fprintf(stderr, "postern: there is no command \"%s\"\n", argv[1]);
		commands_usage(stderr);
		return EXIT_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}
