/*
 * readings - every host to which an address might send its mail in the end.
 *
 * A local part can hide a second address: user%other@local, other!user@local, other::user@local,
 * "user@other"@local, and mixtures of them. Which of the operators a server honours, and in which
 * order, is not known here. So none is preferred: whatever stands where some server might read a
 * host is one, and so is every host of a source route (RFC 5321 appendix C, F.2).
 */
#ifndef POSTERN_READINGS_H
#define POSTERN_READINGS_H

#include "smtp/path.h"

#define READINGS_MAX 16 /* hosts of one address; nobody means well who has more */

struct readings {
	struct buf plain; /* the local part without its quotes: the hosts point into it */
	bool operators;	  /* @ % ! : in the local part */
	bool too_many;	  /* there are more than READINGS_MAX */
	size_t n;
	struct span
	    hosts[READINGS_MAX]; /* as written; may be empty, a literal, or no host at all */
};

/*
 * The domain of the path itself is not among them. False: no memory. readings_free() in any case;
 * good as long as the text that the path was parsed from.
 */
bool readings_make(struct readings *, const struct smtp_path *);
void readings_free(struct readings *);

#endif
