/*
 * tap_service - the processes that write captures (tap_process.h), as their supervisor sees them:
 * one for each configuration that has "capture" sections and still has workers.
 *
 * The supervisor keeps the reading end of every worker's socket beside the process, and never reads
 * it. One that dies is started again, at once or, where it keeps dying, with longer and longer
 * rests.
 */
#ifndef POSTERN_TAP_SERVICE_H
#define POSTERN_TAP_SERVICE_H

#include <sys/types.h>

#include "config.h"

#define TAP_WHY_MAX 512

struct tap_service;

struct tap_service *tap_service_new(void); /* NULL: no memory */
/* Waits until what workers sent is written, for at most wait_ms. NULL is fine. */
void tap_service_free(struct tap_service *, int wait_ms);

/*
 * Opens the directories of a configuration and starts its process, if it has captures. False: why
 * has one line, and nothing has changed.
 */
bool tap_service_begin(struct tap_service *, const struct config *, char why[TAP_WHY_MAX]);
/* This configuration is the only one from here on (NULL: none): others end with their workers. */
void tap_service_serving(struct tap_service *, const struct config *);
/*
 * For a worker of this configuration, the caller's to close: its end of a new socket, or /dev/null
 * where it has no captures. -1: errno.
 */
int tap_service_pipe(struct tap_service *, const struct config *);

/* Each second: those that are to be started again, and those that are done with. */
void tap_service_tick(struct tap_service *);
/* waitpid() gave this pid. False: it is not ours. */
bool tap_service_reap(struct tap_service *, pid_t);
/* New files are begun. */
void tap_service_rotate(struct tap_service *);

struct tap_service_stats {
	uint64_t frames, octets, files, removed, lost, left_out, restarts;
	int trouble; /* errno, 0: all goes well */
};
void tap_service_stats(const struct tap_service *, struct tap_service_stats *);

#endif
