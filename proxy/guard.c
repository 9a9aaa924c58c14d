#include "guard.h"

#include <stdio.h>

#include "cli.h"
#include "interception.h"

static int
put_up(const struct config *c)
{
	char why[INTERCEPTION_TEXT_MAX];
	enum protocol served[PROTOCOL_COUNT];
	size_t n = interception_protocols(served);

	switch (interception_guard_up(c, served, n, why)) {
	case GUARD_UP_DONE:
		puts("The guard (table inet " FIREWALL_GUARD ") stands: connections to "
		     "intercepted ports are reset until a gateway runs.");
		return EXIT_FINE;
	case GUARD_UP_RUNNING:
		puts("A gateway runs here and sees to its guard itself: nothing was changed.");
		return EXIT_FINE;
	case GUARD_UP_FAILED:
		break;
	}
	fprintf(stderr, "postern guard: %s\n", why);
	return EXIT_FAILED;
}

int
guard(int argc, char **argv)
{
	/* a certificate that will not do leaves no port open */
	struct config *c = command_config(argc, argv, config_glance);
	int code = EXIT_FINE;

	if (c == NULL || !config_is_roots_own(c, stderr))
		code = EXIT_USAGE;
	else if (c->mode == INTERCEPT_OFF)
		puts("There is nothing to guard: intercept.mode is off. Nothing was changed.");
	else if (c->intercept.on_exit_bypass)
		puts("There is nothing to guard: intercept.on_exit is bypass. Nothing was "
		     "changed.");
	else
		code = put_up(c);
	config_free(c);
	return code;
}
