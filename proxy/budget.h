/*
 * budget - how many workers there are, what the descriptors of each are for, and so how many
 * sessions it can have.
 */
#ifndef POSTERN_BUDGET_H
#define POSTERN_BUDGET_H

#include "config.h"
#include "data_farewell.h"
#include "data_pipe.h"

#define BUDGET_PER_SESSION     2 /* a socket to each side */
#define BUDGET_PER_FTP_SESSION 6 /* and a data connection to each side, and a pipe */
/* Look-ups in flight, listeners, pipes, the loop's own. */
#define BUDGET_RESERVED	       600
/* Where FTP is served: spare pipes, and sockets whose transfer has ended. */
#define BUDGET_DATA	       (2 * DATA_PIPES_SPARE + FAREWELLS_MAX)
/* Sockets to servers in stock, per family, where sessions are taken off the wire. */
#define BUDGET_STOCK	       192

struct budget {
	unsigned workers;    /* 1 to WORKERS_MAX */
	unsigned long limit; /* descriptors that a process may have at most */
	unsigned reserved;  /* for everything but sessions, BUDGET_STOCK and BUDGET_DATA included */
	unsigned each;	    /* for a session */
	unsigned long left; /* for sessions, by what each may need */
	unsigned sessions;  /* of a worker at once, at least 1; fewer where they are of FTP */
	bool by_config;	    /* limits.sessions is the smaller bound */
};

void budget_compute(const struct config *, struct budget *out);
/* The limit of this process becomes what it may be at most. */
void budget_raise_limit(void);

#endif
