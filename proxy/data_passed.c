#include "data_passed.h"

#include <event2/event.h>

static bool
ask(struct data_passed *p, const struct ipc_message *m,
    void (*answered)(void *, const struct data_answer *))
{
	if (p->request != NULL)
		data_request_cancel(p->request);
	p->request = data_requests_ask(p->requests, m, answered, p);
	return p->request != NULL;
}

/* ---- as long as it lasts ---- */

static void
look_in(struct data_passed *p, unsigned seconds)
{
	struct timeval tv = {(time_t)seconds, 0};

	event_add(&p->renewal, &tv);
}

static void
on_renewed(void *arg, const struct data_answer *a)
{
	struct data_passed *p = arg;

	p->request = NULL;
	if (a->result == IPC_DATA_DONE)
		look_in(p, p->pass.b / 2);
	else
		p->gone(p->arg, true);
}

/* Nobody came, or nothing moves any more: the number stays ours, and stands for nothing. */
static void
give_up(struct data_passed *p)
{
	const struct ipc_message forget = {.type = IPC_DATA_FORGET, .a = p->number};

	data_requests_post(p->requests, &forget);
	p->gone(p->arg, p->octets > 0);
}

static void
on_looked(void *arg, const struct data_answer *a)
{
	struct data_passed *p = arg;
	uint64_t octets = a->octets[0] + a->octets[1], before = p->octets;

	p->request = NULL;
	if (a->result != IPC_DATA_DONE) { /* its time is over */
		p->gone(p->arg, before > 0);
		return;
	}
	p->octets = octets;
	if (octets == before)
		give_up(p);
	else if (before == 0)
		look_in(p, p->pass.b / 2);
	else
		ask(p, &p->pass, on_renewed);
}

static void
on_renewal(evutil_socket_t fd, short what, void *arg)
{
	struct data_passed *p = arg;
	const struct ipc_message m = {.type = IPC_DATA_COUNT, .a = p->number};

	(void)fd;
	(void)what;
	if (p->request == NULL)
		ask(p, &m, on_looked);
}

/* ---- from the first to the last ---- */

static void
on_opened(void *arg, const struct data_answer *a)
{
	struct data_passed *p = arg;
	bool done = a->result == IPC_DATA_DONE;

	p->request = NULL;
	if (done)
		look_in(p, p->seconds);
	p->opened(p->arg, done);
}

bool
data_passed_open(struct data_passed *p, struct event_base *base, struct data_requests *requests,
    const struct ipc_flow *flow, unsigned lasts, unsigned seconds)
{
	p->requests = requests;
	p->number = data_requests_number(requests);
	p->octets = 0;
	p->seconds = seconds;
	p->pass =
	    (struct ipc_message){.type = IPC_DATA_PASS, .a = p->number, .b = lasts, .flow = *flow};
	event_assign(&p->renewal, base, -1, 0, on_renewal, p);
	if (ask(p, &p->pass, on_opened))
		return true;
	p->number = 0;
	return false;
}

static void
on_counted(void *arg, const struct data_answer *a)
{
	struct data_passed *p = arg;

	p->request = NULL;
	p->counted(p->arg, a->result == IPC_DATA_DONE ? a->octets : NULL);
}

bool
data_passed_count(struct data_passed *p)
{
	const struct ipc_message m = {.type = IPC_DATA_COUNT, .a = p->number};

	event_del(&p->renewal);
	return ask(p, &m, on_counted);
}

void
data_passed_close(struct data_passed *p)
{
	const struct ipc_message forget = {.type = IPC_DATA_FORGET, .a = p->number};

	if (p->number == 0)
		return;
	event_del(&p->renewal);
	if (p->request != NULL)
		data_request_cancel(p->request);
	p->request = NULL;
	data_requests_post(p->requests, &forget);
	p->number = 0;
}
