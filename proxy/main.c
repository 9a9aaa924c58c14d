/*
 * postern - an inline gateway for mail and files: whoever passes is seen.
 */
#include <string.h>

#include "cli.h"
#include "status_process.h"

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
	if (argc > 1 && strcmp(argv[1], STATUS_ROLE) == 0)
		return status_main(argc - 1, argv + 1);
	const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;
	if (command == NULL) {
		if (argc > 1)
			fprintf(stderr, "postern: there is no command \"%s\"\n", argv[1]);
		commands_usage(stderr);
		return EXIT_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}
