#include "data_requests.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "clock.h"

#define BUCKETS 1024

struct data_request {
	struct data_requests *all;
	struct ipc_message message;
	bool sent, asks;
	uint64_t due; /* clock_ms() by which it is answered */
	void (*answered)(void *, const struct data_answer *); /* NULL: nobody waits */
	void *arg;
	LIST_ENTRY(data_request) bucket; /* asks: by number */
	/* not sent: in the order of sending; sent: in the order of "due" */
	TAILQ_ENTRY(data_request) queue;
};

TAILQ_HEAD(queue, data_request);

struct data_requests {
	int control;
	struct event writable, timer;
	struct queue unsent, sent;
	LIST_HEAD(, data_request) buckets[BUCKETS];
	unsigned n;
	uint32_t number;
	void (*lost)(void *);
	void *arg;
};

static void
drop(struct data_request *q)
{
	struct data_requests *r = q->all;

	TAILQ_REMOVE(q->sent ? &r->sent : &r->unsent, q, queue);
	if (q->asks)
		LIST_REMOVE(q, bucket);
	r->n--;
	free(q);
}

static void
set_timer(struct data_requests *r)
{
	const struct data_request *first = TAILQ_FIRST(&r->sent);
	uint64_t now = clock_ms(), ms;
	struct timeval tv;

	if (first == NULL || evtimer_pending(&r->timer, NULL))
		return;
	ms = first->due > now ? first->due - now : 0;
	tv = (struct timeval){(time_t)(ms / 1000u), (suseconds_t)(ms % 1000u * 1000u)};
	event_add(&r->timer, &tv);
}

/* Ends the wait of whoever asked; what is not waited for is only forgotten. */
static void
answer(struct data_request *q, const struct data_answer *a)
{
	void (*answered)(void *, const struct data_answer *) = q->answered;
	void *arg = q->arg;

	drop(q);
	if (answered != NULL)
		answered(arg, a);
	else if (a->fd >= 0)
		close(a->fd);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct data_answer none = {.result = IPC_DATA_FAILED, .fd = -1};
	struct data_requests *r = arg;
	struct data_request *q;
	uint64_t now = clock_ms();

	(void)fd;
	(void)what;
	while ((q = TAILQ_FIRST(&r->sent)) != NULL && q->due <= now)
		answer(q, &none);
	set_timer(r);
}

static void
flush(struct data_requests *r)
{
	struct data_request *q;
	enum ipc_result result = IPC_OK;

	while ((q = TAILQ_FIRST(&r->unsent)) != NULL) {
		result = ipc_send(r->control, &q->message, NULL, 0);
		if (result != IPC_OK)
			break;
		if (!q->asks) {
			drop(q);
			continue;
		}
		TAILQ_REMOVE(&r->unsent, q, queue);
		q->sent = true;
		q->due = clock_ms() + DATA_ANSWER_MS;
		TAILQ_INSERT_TAIL(&r->sent, q, queue);
	}
	set_timer(r);
	if (result == IPC_AGAIN)
		event_add(&r->writable, NULL);
	else if (result == IPC_CLOSED)
		r->lost(r->arg);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

struct data_requests *
data_requests_new(struct event_base *base, int control, void (*lost)(void *), void *arg)
{
	struct data_requests *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->control = control;
	r->lost = lost;
	r->arg = arg;
	TAILQ_INIT(&r->unsent);
	TAILQ_INIT(&r->sent);
	event_assign(&r->writable, base, control, EV_WRITE, on_writable, r);
	event_assign(&r->timer, base, -1, 0, on_timer, r);
	return r;
}

void
data_requests_free(struct data_requests *r)
{
	struct data_request *q;

	if (r == NULL)
		return;
	while ((q = TAILQ_FIRST(&r->unsent)) != NULL || (q = TAILQ_FIRST(&r->sent)) != NULL)
		drop(q);
	event_del(&r->writable);
	event_del(&r->timer);
	free(r);
}

uint32_t
data_requests_number(struct data_requests *r)
{
	return ++r->number;
}

static struct data_request *
enqueue(struct data_requests *r, const struct ipc_message *m)
{
	struct data_request *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->all = r;
	q->message = *m;
	TAILQ_INSERT_TAIL(&r->unsent, q, queue);
	r->n++;
	return q;
}

struct data_request *
data_requests_ask(struct data_requests *r, const struct ipc_message *m,
    void (*answered)(void *, const struct data_answer *), void *arg)
{
	struct data_request *q = r->n < DATA_REQUESTS_MAX ? enqueue(r, m) : NULL;

	if (q == NULL)
		return NULL;
	q->asks = true;
	q->answered = answered;
	q->arg = arg;
	LIST_INSERT_HEAD(&r->buckets[m->a % BUCKETS], q, bucket);
	flush(r);
	return q;
}

void
data_request_cancel(struct data_request *q)
{
	if (q->sent)
		q->answered = NULL; /* its number is remembered until it is answered */
	else
		drop(q);
}

void
data_requests_post(struct data_requests *r, const struct ipc_message *m)
{
	if (enqueue(r, m) == NULL)
		r->lost(r->arg); /* what the supervisor is not told would stay for ever */
	else
		flush(r);
}

void
data_requests_answer(
    struct data_requests *r, const struct ipc_message *m, const int fds[], size_t n)
{
	struct data_answer a = {
	    .came = true, .result = (enum ipc_data)m->b, .fd = n > 0 ? fds[0] : -1};
	struct data_request *q, *asked = NULL;

	a.octets[0] = m->octets[0];
	a.octets[1] = m->octets[1];
	for (size_t i = 1; i < n; i++)
		close(fds[i]);
	/* answers of one number come in the order of its requests: the last one here is the oldest
	 */
	LIST_FOREACH(q, &r->buckets[m->a % BUCKETS], bucket)
	if (q->message.a == m->a && q->sent)
		asked = q;
	if (asked != NULL)
		answer(asked, &a);
	else if (a.fd >= 0)
		close(a.fd);
}
