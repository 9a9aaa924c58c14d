/*
 * config_check - what no single value shows: values of a configuration that do not go together, and
 * files that it names.
 */
#ifndef POSTERN_CONFIG_CHECK_H
#define POSTERN_CONFIG_CHECK_H

#include "config.h"
#include "config_scan.h"
#include "faults.h"

/* A configuration while it is read. */
struct reading {
	struct config *config;
	struct config_scan scan;
	struct faults faults;
	bool files; /* what the configuration names is read too */
};

/* Of values that were all taken, each right by itself. What is wrong goes to the faults. */
void config_check(struct reading *);

#endif
