/*
 * firewall_advice - which of the administrator's own chains would drop what the gateway takes,
 * lets by, or sends; and the command that prevents it.
 *
 * An "accept" in our tables is not final: every other chain of the same hook still has its say.
 * Looked at are filter chains of nftables that drop what they do not know (policy drop, or an
 * unconditional drop or reject) or whose source is not reached with its mark (fib saddr . mark),
 * and have no rule, here or in a chain that they jump to, that accepts the mark. A rule that tests
 * our mark and something else besides is taken for one: whoever wrote it knows of us. Nothing is
 * changed.
 */
#ifndef POSTERN_FIREWALL_ADVICE_H
#define POSTERN_FIREWALL_ADVICE_H

#include <stdbool.h>
#include <stdint.h>

#define FIREWALL_ADVICE_LINE_MAX   1024	 /* octets with the NUL */
#define FIREWALL_ADVICE_CHAINS_MAX 20000 /* of all tables; more are not looked at */

struct firewall_marks {
	uint32_t mark;	   /* of what is taken off its way: seen in "input" */
	uint32_t own_mark; /* of what we send, and let by: seen in "output" and "forward" */
	uint32_t mask;
};

/* One line without its newline, printable; gone when the function returns. */
typedef void firewall_advice_line(void *arg, const char *line);

/*
 * False: could not look (no privilege, no nftables in this kernel, no memory), which is one of the
 * lines too. Without a line there is nothing to do.
 */
bool firewall_advice(const struct firewall_marks *, firewall_advice_line *, void *arg);

#endif
