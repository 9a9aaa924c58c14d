/*
 * session_services - what a relay may ask for (struct relay_env, struct data_ops): answers of the
 * DNS, what a client may do, data connections, each for the session that it belongs to.
 */
#ifndef POSTERN_SESSION_SERVICES_H
#define POSTERN_SESSION_SERVICES_H

#include "session.h"

/* Fills in env and data_ops; all else but first, count and taken is set. log is where records go.
 */
void session_services(struct sessions *, struct log_pipe *log);

#endif
