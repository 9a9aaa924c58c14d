/*
 * data_holes - the data connections that a worker expects on its data listeners, and who may
 * come: one address, to one address and port, once. Whoever else comes is reset.
 *
 * Bounded: with DATA_HOLES_MAX of them the oldest makes room.
 */
#ifndef POSTERN_DATA_HOLES_H
#define POSTERN_DATA_HOLES_H

#include <sys/queue.h>

#include "community_id.h"

#define DATA_HOLES_MAX 16384

struct data_holes;

/* In whoever waits; all zero while it does not. One of the three functions is called by the loop.
 */
struct awaited {
	struct ip from;
	struct endpoint at;
	/* It came: fd is the waiter's, who waits no more. */
	void (*came)(void *arg, int fd, const struct endpoint *peer);
	/* Somebody else did, and was reset. */
	void (*intruded)(void *arg, const struct endpoint *peer);
	/* It made room for others, or somebody waits for the very same: it waits no more. */
	void (*lost)(void *arg);
	void *arg;
	struct data_holes *holes; /* NULL: does not wait */
	LIST_ENTRY(awaited) bucket;
	TAILQ_ENTRY(awaited) age;
};

struct data_holes *data_holes_new(void); /* NULL: no memory */
/* Nobody may wait any more. NULL is fine. */
void data_holes_free(struct data_holes *);
/* from, at, the functions and arg are set. May call lost of others. */
void data_holes_wait(struct data_holes *, struct awaited *);
/* Somebody waits for a connection from there to here. */
bool data_holes_awaits(struct data_holes *, const struct ip *from, const struct endpoint *at);
void data_holes_leave(struct awaited *); /* nothing happens to one that does not wait */
/* peer has connected, and wanted to come to "at"; fd is taken. True: somebody waited for it. */
bool data_holes_came(
    struct data_holes *, int fd, const struct endpoint *peer, const struct endpoint *at);

/*
 * What every data connection has from its first moment on: until its transfer has ended well, all
 * that a peer may ever see is a reset. One that is accepted has it from its listener.
 */
void data_arm(int fd);
/* Closes a connection with a reset. */
void data_reset(int fd);

#endif
