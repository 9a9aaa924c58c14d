/*
 * status_door - a listener for clients that ask one thing, get one answer, and are closed.
 *
 * Bounded in every way: clients at once, octets and time of a request, time of an answer. Nobody
 * who is slow, silent or loud keeps others from being answered for longer than that.
 */
#ifndef POSTERN_STATUS_DOOR_H
#define POSTERN_STATUS_DOOR_H

#include "core/span.h"

#define DOOR_CLIENTS	 16 /* at once; a further one is closed */
#define DOOR_REQUEST_MAX 8192
#define DOOR_ANSWER_MS	 10000
#define DOOR_LINGER_MS	 1000

struct event_base;
struct evbuffer;
struct status_door;

struct door_rules {
	const char *end;    /* of a request: it is complete when these octets have come */
	size_t request_max; /* octets, at most DOOR_REQUEST_MAX */
	unsigned request_ms;
	/* May this one ask? NULL: everybody may. */
	bool (*admits)(void *arg, int fd);
	/*
	 * The request without its end; p NULL: it was longer than request_max. An answer without an
	 * octet closes the client.
	 */
	void (*answer)(void *arg, struct span request, struct evbuffer *out);
};

struct door_stats {
	uint64_t answered;
	uint64_t refused; /* not admitted */
	uint64_t full;	  /* too many at once */
	uint64_t slow;	  /* out of time */
};

/* fd: listening and non-blocking, owned from here on. NULL: no memory. */
struct status_door *status_door_new(
    struct event_base *, int fd, const struct door_rules *, void *arg);
void status_door_free(struct status_door *); /* NULL is fine */
/* door may be NULL: all zero. */
struct door_stats status_door_stats(const struct status_door *);

#endif
