/*
 * data_passed - a data connection that passes unproxied: the kernel lets it by and counts it.
 *
 * The hole stays as long as the transfer, or a firewall that knows connections only by our mark
 * would cut it; where nobody came in time it is closed. The kernel's element has a time of its own,
 * for a gateway that forgets: it begins anew while something moves, seldom, because what is
 * counted in that very moment may be lost.
 */
#ifndef POSTERN_DATA_PASSED_H
#define POSTERN_DATA_PASSED_H

#include <event2/event_struct.h>

#include "data_requests.h"

/* In whoever lets by; all zero while it does not. */
struct data_passed {
	uint32_t number; /* of the hole; 0: none */
	struct data_requests *requests;
	struct ipc_message pass;
	unsigned seconds; /* in which somebody has to come */
	uint64_t octets;  /* both ways, when that was looked at last */
	struct data_request *request;
	struct event renewal;
	void (*opened)(void *arg, bool done);
	/* octets: to the server, and back, headers of IP and TCP counted; NULL: nobody knows. */
	void (*counted)(void *arg, const uint64_t octets[2]);
	/* The hole is closed: nobody came, or (used) nothing moves any more. */
	void (*gone)(void *arg, bool used);
	void *arg;
};

/*
 * opened, counted, gone and arg are set. opened is called by the loop, when the kernel has
 * answered.
 *
 * lasts    seconds of the kernel's element, at most IPC_DATA_SECONDS_MAX
 * seconds  in which somebody has to come
 *
 * False: no memory; nothing is open.
 */
bool data_passed_open(struct data_passed *, struct event_base *, struct data_requests *,
    const struct ipc_flow *, unsigned lasts, unsigned seconds);
/* counted is called by the loop. False: no memory. */
bool data_passed_count(struct data_passed *);
/* Nobody is called any more. What is not open may be closed. */
void data_passed_close(struct data_passed *);

#endif
