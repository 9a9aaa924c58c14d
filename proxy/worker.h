/*
 * worker - one event loop with everything in it: listeners, sessions, resolver, log pipe.
 */
#ifndef POSTERN_WORKER_H
#define POSTERN_WORKER_H

#include "config.h"

/*
 * Serves until SIGTERM or SIGINT, then drains for config->drain seconds. Everything that needs a
 * file or a privilege is done before the loop starts. Writes operator messages to standard
 * error, and "postern: ready" when all listeners listen.
 * Returns the exit code: 0 fine, 1 could not start or run (one line on standard error).
 */
int worker_run(const struct config *);

/* Sessions at most, by configuration and descriptor limit. */
unsigned worker_sessions_max(const struct config *);

#endif
