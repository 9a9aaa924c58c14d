/*
 * log_service - the logger as its supervisor sees it: the file it writes, the pipes it reads, and
 * a new process when one dies.
 *
 * The supervisor keeps the reading end of every pipe beside the logger, and never reads it: so a
 * logger that dies costs what it had read and not yet written, and workers notice nothing.
 */
#ifndef POSTERN_LOG_SERVICE_H
#define POSTERN_LOG_SERVICE_H

#include <event2/event.h>

#include "config.h"
#include "record.h"

struct log_service;

/*
 * Opens the file of config->log (and with config->xferlog the one beside it: both are opened
 * again, replaced and rotated together), starts the logger and the supervisor's own pipe to it. The
 * configuration is copied as far as it is needed.
 * NULL: *why, one line, good until the next call.
 */
struct log_service *log_service_new(struct event_base *, const struct config *, const char **why);
/* Waits until all that was written into pipes is in the file, for at most wait_ms. NULL is fine. */
void log_service_free(struct log_service *, int wait_ms);

/* A new pipe for a worker: its writing end, non-blocking, the caller's. -1: errno. */
int log_service_pipe(struct log_service *, unsigned slot);
/* A reader's descriptor of the page that says whether records are being lost (log_state.h); stays
 * ours. */
int log_service_state(const struct log_service *);
/* Of the type record_sink: the supervisor's own records. */
void log_service_write(void *log_service, const char *line, size_t n);

/* Opens the path again (log rotation by others). */
void log_service_reopen(struct log_service *);
/*
 * A new configuration: another file, or other bounds of rotation. False: the file cannot be
 * opened, *why, and all stays as it was.
 */
bool log_service_change(struct log_service *, const struct config *, const char **why);

struct log_service_stats {
	uint64_t lost, rotations, restarts;
	bool trouble;
};
void log_service_stats(const struct log_service *, struct log_service_stats *);

/* waitpid() gave this. False: no logger of ours. One that died is replaced. */
bool log_service_reap(struct log_service *, pid_t, int status);

#endif
