/*
 * signer_link - the supervisor's side of the signer: its start, its next start when it has died,
 * and a socket pair between it and each worker.
 *
 * The supervisor has the keys as a descriptor that it never reads. Nothing here blocks.
 */
#ifndef POSTERN_SIGNER_LINK_H
#define POSTERN_SIGNER_LINK_H

#include <sys/types.h>

#include "config.h"

struct signer_link;

struct signer_link *signer_link_new(void); /* NULL: no memory */
/* The process is ended. NULL is fine. */
void signer_link_free(struct signer_link *);

/*
 * The keys of this configuration from here on, or none: a process that has others is ended, and
 * signer_link_run() starts the next. False: errno, and nothing has changed.
 */
bool signer_link_change(struct signer_link *, const struct config *);
/*
 * Starts the process where there is none and keys are there, as this user where we are root. After
 * a death the next is started at once, after three within ten seconds in ten. False: it should have
 * been started, errno says why it was not.
 */
bool signer_link_run(struct signer_link *, const char *user);
/* waitpid() gave this pid: it has died. False: it is not ours. */
bool signer_link_reap(struct signer_link *, pid_t);

/* Which process it is that runs: no two have the same number. 0: none does. */
unsigned signer_link_number(const struct signer_link *);
/*
 * A worker's end of a new pair, of which the signer has been given the other; the caller's to
 * close. -1: there is none now, to be tried again.
 */
int signer_link_pair(struct signer_link *);

#endif
