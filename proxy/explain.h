/*
 * explain - "postern explain": what would be said to one client that sends one mail, and why.
 *
 * The commands are parsed and judged by the very code of the gateway, and the DNS is asked as
 * the gateway asks it; only the peers are missing.
 */
#ifndef POSTERN_EXPLAIN_H
#define POSTERN_EXPLAIN_H

enum {
	EXPLAIN_PASSES = 0,
	EXPLAIN_REFUSED = 1,
	EXPLAIN_UNDECIDED = 3, /* the DNS could not tell */
};

/* argv[0] is "explain". Returns one of the above, or 2: wrong usage or configuration. */
int explain(int argc, char **argv);

#endif
