/*
 * slots - the places of workers: one per core or as configured, each with listeners of its own
 * and with the worker that serves them.
 *
 * A configuration is a generation of workers. A new one is started beside the old, on the same
 * listeners; when all of its workers are ready they serve and the old ones retire, and when one of
 * them cannot, all of the new are ended and nothing has changed.
 *
 * A worker that dies is replaced at once on the listeners of its slot, whose backlog it inherits.
 * After SLOT_DEATHS deaths within SLOT_DEATH_WINDOW seconds the slot rests for SLOT_REST seconds
 * with its listeners closed: left open, its share of the clients would wait for nobody.
 */
#ifndef POSTERN_SLOTS_H
#define POSTERN_SLOTS_H

#include <event2/event.h>

#include "config.h"
#include "data_service.h"

#define SLOT_DEATHS	  3
#define SLOT_DEATH_WINDOW 10
#define SLOT_REST	  10

struct slots;

/* serving, refused and gone come once the slots are done with their own affairs. */
struct slots_events {
	/*
	 * All workers of the generation that was begun are ready; the last word before they serve.
	 * False: they are not to, *why (good until the next call).
	 */
	bool (*take_over)(void *arg, const char **why);
	/* The generation that was begun serves, and the one before it retires. */
	void (*serving)(void *arg);
	/* It could not; *why is one line. Of the first generation nothing is left. */
	void (*refused)(void *arg, const char *why);
	/* After slots_stop(): the last worker is gone. */
	void (*gone)(void *arg);
	/* The writing end of a new pipe to the logger, the caller's to close; -1: errno. */
	int (*log_pipe)(void *arg, unsigned slot);
	/* For captures: tap_service_pipe(); the caller's to close; -1: errno. */
	int (*capture)(void *arg, const struct config *);
	/* A page to read (log_state.h), which stays open. */
	int (*log_state)(void *arg);
	/* A page to write (board.h), the caller's to close, and its number; -1: errno. */
	int (*board)(void *arg, unsigned slot, const struct config *, unsigned *number);
	/*
	 * Which signer runs (0: none does, or none is wanted); and a worker's end of a socket pair
	 * to it, the caller's to close; -1: to be tried again.
	 */
	unsigned (*signer)(void *arg);
	int (*signer_pair)(void *arg);
	/* Its worker is gone. */
	void (*board_gone)(void *arg, unsigned number);
	/* For the log: what happened to a worker. event is a constant. */
	void (*note)(void *arg, const char *event, unsigned slot, const char *text);
	void *arg;
};

/* NULL: no memory. events and the service must outlive it. */
struct slots *slots_new(struct event_base *, const struct slots_events *, struct data_service *);
/* Kills what still runs. NULL is fine. */
void slots_free(struct slots *);

/*
 * Begins a generation; serving or refused will be called, later. The configuration must live until
 * then, and as long as its generation serves.
 * False: it cannot even begin, *why (good until the next call), and nothing has changed.
 */
bool slots_begin(struct slots *, const struct config *, const char **why);

/* waitpid() gave this. False: no worker of these slots. */
bool slots_reap(struct slots *, pid_t, int status);

/* No new sessions; what runs has so many seconds. Called again, with fewer: it has those. */
void slots_stop(struct slots *, unsigned seconds);

/* Another signer runs, or may: every worker that serves is connected to it that is not yet. */
void slots_connect_signer(struct slots *);

struct slots_stats {
	unsigned slots, serving, resting;
	unsigned generation;
	uint64_t deaths; /* of workers that were not told to end */
};
void slots_stats(const struct slots *, struct slots_stats *);

#endif
