/*
 * worker_process - a worker as its supervisor sees it: started, fed, retired, mourned.
 */
#ifndef POSTERN_WORKER_PROCESS_H
#define POSTERN_WORKER_PROCESS_H

#include <event2/event.h>
#include <sys/types.h>

#include "data_service.h"
#include "listening.h"
#include "tls_offers.h"
#include "worker.h"

#define WORKER_INHERITS (WORKER_FD_END - WORKER_CONFIG)

#define WORKER_START_S 15 /* until it serves; one that does not is stuck */
#define WORKER_END_S   2  /* behind the seconds that a retiring worker was given */

enum worker_state {
	WORKER_STARTING, /* it has not said IPC_READY */
	WORKER_READY,	 /* it may be given listeners */
	WORKER_SERVING,
	WORKER_RETIRING, /* it accepts no more */
};

struct worker_process;

/* What happens to workers; none is called from within a function of this module. */
struct worker_events {
	void (*ready)(void *arg, struct worker_process *);
	/* It said something that no worker of ours says, and has been killed for it. */
	void (*garbage)(void *arg, struct worker_process *, const char *why);
	/* It did not do in time what it was told, and has been killed for it. */
	void (*stuck)(void *arg, struct worker_process *, const char *why);
	/* Sockets that it asked for cannot be made; they are tried again, and this is said once. */
	void (*missing)(void *arg, struct worker_process *, const char *why);
	/* A server offers STARTTLS. */
	void (*offered)(void *arg, const struct tls_offer *);
	void *arg;
};

struct worker_process {
	pid_t pid;
	unsigned slot;
	unsigned generation;
	unsigned board; /* the number of its page: status_link.h */
	enum worker_state state;
	unsigned signer; /* to which it is connected: signer_link.h; the caller's */
	bool killed;	 /* by us: how it ended is no news */
	/* the rest belongs to the module */
	const struct worker_events *events;
	int control;
	struct event *readable, *again, *deadline;
	struct event *writable;	   /* there is room for the answer */
	struct ipc_message answer; /* for which there was none; type 0: none waits */
	int answer_fd;		   /* that goes with it; -1: none */
	struct data_part *data;
	enum intercept_mode mode;
	uint32_t own_mark;
	unsigned owed[2];	     /* sockets asked for and not yet given: IPv4, IPv6 */
	bool missing;		     /* some could not be made, and that was said */
	struct worker_process *next; /* of the caller's list */
};

/*
 * events  must outlive it
 * fds     what the worker inherits, in the order of enum worker_fd from WORKER_CONFIG on; they stay
 *         open here
 * data    its part, which goes when it goes
 *
 * NULL: errno says why; data is still the caller's.
 */
struct worker_process *worker_process_start(struct event_base *, const struct worker_events *,
    const struct config *, const int fds[WORKER_INHERITS], struct data_part *data, unsigned slot,
    unsigned generation);
/* It is gone (waitpid() said so), or is killed now; its memory goes. */
void worker_process_free(struct worker_process *);

/* Listeners, and the word to serve. False: it does not listen any more; it will be reaped. */
bool worker_process_serve(struct worker_process *, const struct listening_set *);
/* Its socket to the signer, which stays open here. False: there is no room, or nobody there. */
bool worker_process_signer(struct worker_process *, int fd);
/*
 * It has so many seconds for its sessions from now on, also where it had more or fewer before.
 */
void worker_process_retire(struct worker_process *, unsigned seconds);
/* It ends now, with its sessions; it will be reaped. */
void worker_process_kill(struct worker_process *);

#endif
