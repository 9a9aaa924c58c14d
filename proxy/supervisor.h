/*
 * supervisor - the process that an administrator starts: it makes what needs a privilege, starts
 * the others, and sees to it that they live.
 *
 * It reads the configuration, installs the firewall tables, makes listeners and sockets, opens the
 * log, and never reads an octet of a peer.
 */
#ifndef POSTERN_SUPERVISOR_H
#define POSTERN_SUPERVISOR_H

#include "config.h"

/*
 * Serves until SIGTERM or SIGINT, then drains for config->drain seconds (a second signal: at once).
 * SIGHUP: reads the file again; a fault leaves everything as it was. SIGUSR1: opens the log again.
 * Writes operator messages to standard error, and "postern: ready" when clients are served.
 * The configuration is owned from here on. Returns the exit code: 0 fine, 1 could not start or run
 * (one line on standard error).
 */
int supervisor_run(struct config *);

#endif
