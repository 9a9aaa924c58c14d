/*
 * budget - how many workers there are, what the descriptors of each are for, and so how many
 * sessions it can have.
 */
#ifndef POSTERN_BUDGET_H
#define POSTERN_BUDGET_H

#include "config.h"

#define BUDGET_SOCKETS_PER_SESSION 2
/* Look-ups in flight, listeners, pipes, the loop's own. */
#define BUDGET_RESERVED		   600
/* Sockets to servers in stock, per family, where sessions are taken off the wire. */
#define BUDGET_STOCK		   192

struct budget {
	unsigned workers;    /* 1 to WORKERS_MAX */
	unsigned long limit; /* descriptors that a process may have at most */
	unsigned reserved;   /* for everything but sessions, BUDGET_STOCK included */
	unsigned sessions;   /* of a worker at once, at least 1 */
	bool by_config;	     /* limits.sessions is the smaller bound */
};

void budget_compute(const struct config *, struct budget *out);
/* The limit of this process becomes what it may be at most. */
void budget_raise_limit(void);

#endif
