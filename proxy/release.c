#include "release.h"

#include <stdio.h>

#include "cli.h"
#include "interception.h"

int
release(int argc, char **argv)
{
	char why[INTERCEPTION_TEXT_MAX];

	if (argc > 1) {
		fprintf(stderr, "postern release: \"%s\": takes no options\n", argv[1]);
		commands_usage(stderr);
		return EXIT_USAGE;
	}
	switch (interception_release(why)) {
	case RELEASE_DONE:
		puts("The guard (table inet " FIREWALL_GUARD ") is gone: traffic passes "
		     "uninspected from now on.");
		return EXIT_FINE;
	case RELEASE_NONE:
		puts("There is no guard (table inet " FIREWALL_GUARD "): nothing stands in the "
		     "way of traffic.");
		return EXIT_FINE;
	case RELEASE_RUNNING:
		fputs("postern release: a gateway runs here and would put its guard back: stop it "
		      "first\n",
		    stderr);
		return EXIT_FAILED;
	case RELEASE_FAILED:
		break;
	}
	fprintf(stderr, "postern release: %s\n", why);
	return EXIT_FAILED;
}
