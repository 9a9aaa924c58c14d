/*
 * cli - what "postern NAME ..." does; main only finds the name.
 */
#ifndef POSTERN_CLI_H
#define POSTERN_CLI_H

#include <stdio.h>

/* Exit codes. explain has its own for 1 and one more (explain.h). */
enum {
	EXIT_FINE = 0,
	EXIT_FAILED = 1, /* while running */
	EXIT_USAGE = 2,	 /* wrong usage or configuration */
};

struct command {
	const char *name;
	const char *usage; /* what follows "postern NAME" */
	/* argv[0] is the name; returns the exit code. */
	int (*run)(int argc, char **argv);
};

struct config;

/*
 * Reads what "-c FILE" names, by config_read() or config_glance(). NULL: usage or configuration is
 * wrong, and that was told.
 */
struct config *command_config(
    int argc, char **argv, struct config *(*read)(const char *path, FILE *err));

/* NULL: there is none of that name. */
const struct command *command_find(const char *name);
/* The usage of all of them. */
void commands_usage(FILE *);

#endif
