/*
 * status_totals - the pages of all workers added up.
 *
 * A worker that was taken over may write anything on its page, at any time. So every number and
 * every index is bounded here, a name is taken once and must look like one of ours, and a counter
 * that goes back is held where it was. What a worker counted stays when it is gone: no total ever
 * goes back as long as the gateway runs, also when the process that adds up is started anew.
 */
#ifndef POSTERN_STATUS_TOTALS_H
#define POSTERN_STATUS_TOTALS_H

#include "board.h"

#define STATUS_PAGES_MAX 1024 /* of workers that run, in all generations */
#define STATUS_TALLIES	 1024 /* different ones in the totals; further ones are "other" */
#define STATUS_COUNT_MAX (UINT64_C(1) << 50) /* of one counter; it stays there */
#define STATUS_SESSIONS	 20000		     /* in a list */

/* What all workers counted together; and by slot, what each counted. */
struct status_sum {
	struct board_counts slot[WORKERS_MAX];
	uint64_t n_tallies;
	struct board_tally tallies[STATUS_TALLIES];
};

/* One worker process. */
struct status_worker {
	unsigned slot;
	uint64_t generation, pid, started, sessions_max; /* what it says of itself: bounded */
	enum board_state state;
	uint64_t opened[BOARD_PROTOCOLS], active[BOARD_PROTOCOLS];
	uint64_t gauge[BOARD_GAUGES];
};

struct status_totals;

/*
 * base: a page (status_base_new()) that outlives this process, with what the workers that are gone
 * have counted; closed in any case. NULL: errno.
 */
struct status_totals *status_totals_new(int base);
void status_totals_free(struct status_totals *);
/* Made once by the supervisor, and kept; for whoever adds up. -1: errno. */
int status_base_new(void);

/* serial: the page's own number. fd is closed in any case. False: it is no page, or there are too
 * many. */
bool status_totals_add(struct status_totals *, unsigned slot, unsigned serial, int fd);
/* The worker is gone, and its sessions with it. */
void status_totals_gone(struct status_totals *, unsigned slot, unsigned serial);

/* Looks at all pages. Good until the next call of any function; NULL: no memory. */
const struct status_sum *status_totals_sum(struct status_totals *);
/* Everything of all slots that were ever seen. */
void status_sum_all(const struct status_sum *, struct board_counts *all);
bool status_slot_seen(const struct status_totals *, unsigned slot);

size_t status_totals_workers(const struct status_totals *);
/* i below status_totals_workers(); after status_totals_sum(). */
void status_totals_worker(const struct status_totals *, size_t i, struct status_worker *);

/* Calls "each" for every session, at most STATUS_SESSIONS; returns how many there are in all. */
size_t status_totals_sessions(const struct status_totals *,
    void (*each)(void *arg, unsigned slot, const struct board_row *), void *arg);

#endif
