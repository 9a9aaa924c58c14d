/*
 * data_requests - what a worker asks its supervisor for data connections (ipc.h: IPC_DATA_*), and
 * the way of all its messages to the supervisor, so that none of them is lost where the pair is
 * full for a moment.
 *
 * Every request has a number of its own, and at most one answer within DATA_ANSWER_MS: later it
 * counts as one that failed, and a descriptor that comes late is closed.
 */
#ifndef POSTERN_DATA_REQUESTS_H
#define POSTERN_DATA_REQUESTS_H

#include "ipc.h"

#define DATA_REQUESTS_MAX 8192 /* of a worker that are not answered, or not sent */
#define DATA_ANSWER_MS	  10000

struct event_base;
struct data_requests;
struct data_request;

struct data_answer {
	bool came; /* false: none came; what was asked for may be done all the same */
	enum ipc_data result;
	int fd; /* the caller's; -1: none came */
	uint64_t octets[2];
};

/* lost: the supervisor is gone, or cannot be told (called by the loop or from within a request). */
struct data_requests *data_requests_new(
    struct event_base *, int control, void (*lost)(void *arg), void *arg);
/* Nobody is called any more. NULL is fine. */
void data_requests_free(struct data_requests *);

/* A number that no other request has had for 2^32 of them. */
uint32_t data_requests_number(struct data_requests *);
/*
 * Sends the message, whose a is such a number. answered is called once, by the loop, unless the
 * request was cancelled. NULL: no memory, or too many.
 */
struct data_request *data_requests_ask(struct data_requests *, const struct ipc_message *,
    void (*answered)(void *arg, const struct data_answer *), void *arg);
void data_request_cancel(struct data_request *);
/* Any message that has no answer. */
void data_requests_post(struct data_requests *, const struct ipc_message *);
/* An IPC_DATA_ANSWER came, with n descriptors, which are taken. */
void data_requests_answer(
    struct data_requests *, const struct ipc_message *, const int fds[], size_t n);

#endif
