/*
 * tap_process - the process that writes capture files: of the logger's kind.
 *
 * It is started by the supervisor for one configuration, drops to the configured user, is given the
 * directories, and closes its sandbox: no network, no program, and of files only new ones in those
 * directories. Then it is given the reading end of each worker's socket, which the supervisor keeps
 * too: one that dies costs what it had read and not written, and the next one goes on.
 *
 * It ends when it has no supervisor to listen to and all sockets are at their ends.
 */
#ifndef POSTERN_TAP_PROCESS_H
#define POSTERN_TAP_PROCESS_H

#include <stdatomic.h>

#include "process.h"
#include "tap.h"

#define TAP_ROLE "capture"

/* Descriptors of the role. */
enum tap_fd {
	TAP_CONTROL = PROCESS_FD, /* ipc */
	TAP_SETTINGS,		  /* struct tap_rule, one for each section: tap_hand_over() */
	TAP_STATE,		  /* struct tap_state, to write */
	TAP_FD_END
};

/* What it says of itself; the page outlives it. All but trouble only grow. */
struct tap_state {
	_Atomic uint64_t frames, octets, files;
	_Atomic uint64_t removed;  /* files that made room */
	_Atomic uint64_t lost;	   /* frames that could not be written */
	_Atomic uint64_t left_out; /* records of sessions that wait for a refusal: no room */
	_Atomic uint32_t trouble;  /* errno of the last write, 0: it went well */
};

/* The settings of all sections, in a sealed file; the caller's. -1: errno. */
int tap_hand_over(const struct config *);

/* argv: the role, the user to become. Returns the exit code. */
int tap_main(int argc, char **argv);

#endif
