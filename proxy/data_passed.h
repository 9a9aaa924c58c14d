/*
 * data_passed - a data connection that passes unproxied: the kernel lets it by and counts it.
 *
 * The hole stays as long as the transfer, or a firewall that knows connections only by our mark
 * would cut it; where nobody came in time, or nothing moves any more, it is closed. The count is
 * looked at twice in the time that may pass without an octet: a transfer that stands still is given
 * up after that time, and no later than half as long again. The kernel's element has a time of its
 * own, for a gateway that forgets: it begins anew seldom, because what is counted in that very
 * moment may be lost. Behind the server's last word its own buffers are still sent: the hole stays,
 * and the count goes on, until that stands still, or somebody knows that the client has all.
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
	unsigned seconds;   /* in which somebody has to come */
	uint64_t octets[2]; /* as counted has them, when that was looked at last */
	unsigned idle;	    /* seconds without an octet after which it is given up; 0: never */
	unsigned waits, quiet, age; /* milliseconds until the next look; since something moved,
				     * since the element's time began, when that was looked at */
	bool over;		    /* gone was called */
	bool rests;		    /* data_passed_rest() was called */
	bool closing;		    /* data_passed_count() was */
	struct data_request *request;
	struct event renewal;
	void (*opened)(void *arg, bool done);
	/* octets: to the server, and back, headers of IP and TCP counted; last: no more will come.
	 */
	void (*counted)(void *arg, const uint64_t octets[2], bool last);
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
/*
 * The transfer has begun: gone is called when nothing moves for "idle" seconds (1 and more). What
 * is not there yet keeps its time to come.
 */
void data_passed_flows(struct data_passed *, unsigned idle);
/*
 * The server has said its last word, and may have octets in its own buffers yet: counted is called
 * by the loop, again and again, until they have stood still for DATA_PASSED_REST_MS.
 */
#define DATA_PASSED_REST_MS 5000
void data_passed_rest(struct data_passed *);
/*
 * No octet is missing: the hole is closed, and counted called by the loop, once more. False: no
 * memory. Nothing happens the second time.
 */
bool data_passed_count(struct data_passed *);
/* Nobody is called any more. What is not open may be closed. */
void data_passed_close(struct data_passed *);

#endif
