/*
 * log_state - what the logger says to everybody else: one small shared page.
 *
 * The supervisor makes it, the logger writes into it, workers and the status command look: whether
 * records are being lost right now costs a worker one load. The counters outlive a logger, so that
 * its successor says what it did not come to say.
 */
#ifndef POSTERN_LOG_STATE_H
#define POSTERN_LOG_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

/* A worker's slot each, and behind them the supervisor's own lines. */
#define LOG_SLOTS	    (WORKERS_MAX + 1)
#define LOG_SLOT_SUPERVISOR WORKERS_MAX

/* All counters since the page was made. Written by the logger alone. */
struct log_state {
	_Atomic uint32_t trouble;	/* 0: all is written, and all that was lost has been said */
	_Atomic uint64_t octets, lines; /* written */
	_Atomic uint64_t rotations;	/* a new file came while another one was in use */
	struct {
		_Atomic uint64_t lost, said; /* lines; said: in a stats record that was written */
	} slots[LOG_SLOTS];
};

/* As shared_page_new(): *writable is the logger's, *readable for everybody else. False: errno. */
bool log_state_new(int *writable, int *readable);
/* As shared_page_map(). fd may be closed after it. NULL: errno; EINVAL: no such page. */
struct log_state *log_state_map(int fd, bool write);
/* NULL is fine. */
void log_state_unmap(struct log_state *);

/* Records are being lost, or some were and that could not be said yet. */
bool log_state_trouble(const struct log_state *);
/* Lines that were lost, all slots together. */
uint64_t log_state_lost(const struct log_state *);

#endif
