/*
 * Workers that do not get anywhere: to be preloaded into the gateway. As long as the file
 * $STALL_WORKERS is there, one that begins sleeps for ever.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((constructor)) static void
begin(int argc, char **argv)
{
	const char *path = getenv("STALL_WORKERS");

	if (path == NULL)
		abort(); /* a test without it would show nothing */
	while (argc > 1 && strcmp(argv[1], "worker") == 0 && access(path, F_OK) == 0)
		pause();
}
