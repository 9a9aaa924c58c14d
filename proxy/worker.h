/*
 * worker - the process that serves sessions: one event loop with everything in it.
 *
 * It is started by the supervisor without any privilege left to lose: it drops to the
 * configured user, makes its resolver, closes its sandbox, and only then is given listeners. From
 * there on it opens nothing, and takes whatever it needs from the supervisor (ipc.h).
 */
#ifndef POSTERN_WORKER_H
#define POSTERN_WORKER_H

#include "process.h"

/* What the supervisor hands over, in this order. */
enum worker_fd {
	WORKER_CONTROL = PROCESS_FD, /* ipc */
	WORKER_CONFIG,		     /* the configuration: config_handover.h */
	WORKER_LOG,		     /* the writing end of its log pipe */
	WORKER_LOG_STATE,	     /* log_state.h, to read */
	WORKER_BOARD,		     /* board.h, its own page, to write */
	WORKER_TLS_OFFERS,	     /* tls_offers.h, to read */
	WORKER_CAPTURE,		     /* tap_pipe.h, or what is none where nothing is captured */
	WORKER_FD_END
};

/*
 * argv: "worker", what messages call the configuration file, slot, generation. Returns the exit
 * code: 0 retired and done, 1 could not start or was given garbage (one line on standard error).
 */
int worker_main(int argc, char **argv);

#endif
