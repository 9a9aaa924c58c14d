#include "data_passed.h"

#include <event2/event.h>
#include <string.h>

#define REST_LOOK_MS 250

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
look_in(struct data_passed *p, unsigned ms)
{
	struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	p->waits = ms;
	event_add(&p->renewal, &tv);
}

/* Milliseconds: half of the kernel's time, and half of what may pass without an octet. */
static unsigned
period(const struct data_passed *p)
{
	unsigned seconds = p->pass.b;

	if (p->rests)
		return REST_LOOK_MS;
	if (p->idle != 0 && p->idle < seconds)
		seconds = p->idle;
	return seconds * 500;
}

static bool
has_come(const struct data_passed *p)
{
	return p->octets[0] + p->octets[1] > 0;
}

static void
over(struct data_passed *p, bool used)
{
	p->over = true;
	p->gone(p->arg, used);
}

static void
on_renewed(void *arg, const struct data_answer *a)
{
	struct data_passed *p = arg;

	p->request = NULL;
	p->age = 0;
	if (a->result == IPC_DATA_DONE)
		look_in(p, period(p));
	else
		over(p, true);
}

/* What cannot be asked now is asked the next time. */
static void
renew(struct data_passed *p)
{
	if (!ask(p, &p->pass, on_renewed))
		look_in(p, period(p));
}

/* False: it stands still, and that was the last look. */
static bool
goes_on(struct data_passed *p)
{
	const bool last = p->quiet >= DATA_PASSED_REST_MS;

	p->counted(p->arg, p->octets, last);
	return !last;
}

/* Nobody came, or nothing moves any more: the number stays ours, and stands for nothing. */
static void
give_up(struct data_passed *p)
{
	const struct ipc_message forget = {.type = IPC_DATA_FORGET, .a = p->number};

	data_requests_post(p->requests, &forget);
	over(p, has_come(p));
}

static void
on_looked(void *arg, const struct data_answer *a)
{
	struct data_passed *p = arg;
	bool same = memcmp(a->octets, p->octets, sizeof(p->octets)) == 0;

	p->request = NULL;
	if (a->result != IPC_DATA_DONE) { /* its time is over */
		over(p, has_come(p));
		return;
	}
	p->age += p->waits;
	p->quiet = same ? p->quiet + p->waits : 0;
	memcpy(p->octets, a->octets, sizeof(p->octets));
	if (p->rests && !goes_on(p))
		return;
	if (!p->rests && (!has_come(p) || (p->idle != 0 && p->quiet / 1000 >= p->idle)))
		give_up(p);
	else if (p->age / 500 >= p->pass.b)
		renew(p);
	else
		look_in(p, period(p));
}

static void
on_renewal(evutil_socket_t fd, short what, void *arg)
{
	struct data_passed *p = arg;
	const struct ipc_message m = {.type = IPC_DATA_COUNT, .a = p->number};

	(void)fd;
	(void)what;
	if (p->request == NULL && !ask(p, &m, on_looked))
		look_in(p, period(p));
}

void
data_passed_flows(struct data_passed *p, unsigned idle)
{
	p->idle = idle;
	p->quiet = 0;
	/* who came looks in too seldom by now; of who did not, the time to come goes on */
	if (has_come(p) && p->request == NULL && !p->over) {
		event_del(&p->renewal);
		renew(p);
	}
}

/* ---- from the first to the last ---- */

static void
on_opened(void *arg, const struct data_answer *a)
{
	struct data_passed *p = arg;
	bool done = a->result == IPC_DATA_DONE;

	p->request = NULL;
	if (done)
		look_in(p, p->seconds * 1000);
	p->opened(p->arg, done);
}

bool
data_passed_open(struct data_passed *p, struct event_base *base, struct data_requests *requests,
    const struct ipc_flow *flow, unsigned lasts, unsigned seconds)
{
	p->requests = requests;
	p->number = data_requests_number(requests);
	p->octets[0] = p->octets[1] = 0;
	p->idle = p->quiet = p->age = 0;
	p->over = p->rests = p->closing = false;
	p->seconds = seconds;
	p->pass =
	    (struct ipc_message){.type = IPC_DATA_PASS, .a = p->number, .b = lasts, .flow = *flow};
	event_assign(&p->renewal, base, -1, 0, on_renewal, p);
	if (ask(p, &p->pass, on_opened))
		return true;
	p->number = 0;
	return false;
}

void
data_passed_rest(struct data_passed *p)
{
	p->rests = true;
	p->quiet = 0;
	event_del(&p->renewal);
	p->waits = 0;
	on_renewal(-1, 0, p);
}

static void
on_counted(void *arg, const struct data_answer *a)
{
	struct data_passed *p = arg;

	p->request = NULL;
	p->counted(p->arg, a->result == IPC_DATA_DONE ? a->octets : p->octets, true);
}

bool
data_passed_count(struct data_passed *p)
{
	const struct ipc_message count = {.type = IPC_DATA_COUNT, .a = p->number};
	const struct ipc_message forget = {.type = IPC_DATA_FORGET, .a = p->number};

	bool asked;

	if (p->closing)
		return true;
	p->closing = true;
	event_del(&p->renewal);
	asked = ask(p, &count, on_counted);
	/* at once, not with the answer: the server may use its port again for the next file */
	data_requests_post(p->requests, &forget);
	return asked;
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
	if (!p->closing)
		data_requests_post(p->requests, &forget);
	p->number = 0;
}
