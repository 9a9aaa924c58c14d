#include "worker_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"
#include "upstream_socket.h"

#define AGAIN_MS 20 /* until sockets are tried again that could not be made or handed over */

static void deliver(struct worker_process *);

static void
kill_for_garbage(struct worker_process *w, const char *why)
{
	worker_process_kill(w);
	event_del(w->readable);
	w->events->garbage(w->events->arg, w, why);
}

/* ---- data connections ---- */

/*
 * One that does not read its answers is not asked for more: whatever it does, there is one answer
 * that waits for it here, and no more.
 */
static void
give_answer(struct worker_process *w)
{
	const struct ipc_message *m = &w->answer;
	enum ipc_result sent = ipc_send(w->control, m, &w->answer_fd, w->answer_fd >= 0 ? 1 : 0);

	if (sent == IPC_AGAIN) {
		event_del(w->readable);
		event_add(w->writable, NULL);
		return;
	}
	if (w->answer_fd >= 0)
		close(w->answer_fd);
	w->answer_fd = -1;
	w->answer.type = 0;
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct worker_process *w = arg;

	(void)fd;
	(void)what;
	give_answer(w);
	if (w->answer.type == 0 && !w->killed)
		event_add(w->readable, NULL);
}

static bool
heed_data(struct worker_process *w, const struct ipc_message *m)
{
	if (w->state != WORKER_SERVING && w->state != WORKER_RETIRING)
		return false;
	if (data_part_heed(w->data, m, &w->answer, &w->answer_fd))
		give_answer(w);
	else
		w->answer.type = 0;
	return true;
}

static bool
heed_offer(struct worker_process *w, const struct ipc_message *m)
{
	const struct tls_offer o = {(enum protocol)m->a, m->flow.destination, m->flow.port};

	if (w->state != WORKER_SERVING && w->state != WORKER_RETIRING)
		return false;
	w->events->offered(w->events->arg, &o);
	return true;
}

/* False: it says what does not fit its state. */
static bool
heed(struct worker_process *w, const struct ipc_message *m)
{
	unsigned *owed = &w->owed[m->a == IP_V6];

	switch (m->type) {
	case IPC_READY:
		if (w->state != WORKER_STARTING && w->state != WORKER_RETIRING)
			return false;
		if (w->state == WORKER_STARTING) {
			w->state = WORKER_READY;
			w->events->ready(w->events->arg, w);
		}
		return true;
	case IPC_SERVING:
		if (w->state != WORKER_READY && w->state != WORKER_RETIRING)
			return false;
		if (w->state == WORKER_READY) {
			w->state = WORKER_SERVING;
			event_del(w->deadline);
		}
		return true;
	case IPC_MORE_SOCKETS:
		if (w->mode == INTERCEPT_OFF || *owed + m->b > IPC_SOCKETS_MAX)
			return false;
		*owed += m->b;
		deliver(w);
		return true;
	case IPC_DATA_EXPECT:
	case IPC_DATA_PASS:
	case IPC_DATA_FORGET:
	case IPC_DATA_COUNT:
	case IPC_DATA_LISTEN:
	case IPC_DATA_BIND:
		return heed_data(w, m);
	case IPC_TLS_OFFERED:
		return heed_offer(w, m);
	default:
		return false;
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct worker_process *w = arg;
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	const char *why = "a message that does not fit its state";
	enum ipc_result got;
	size_t n;

	(void)what;
	got = ipc_receive(fd, IPC_FROM_WORKER, &m, fds, &n, &why);
	if (got == IPC_GARBAGE || (got == IPC_OK && !heed(w, &m)))
		kill_for_garbage(w, why);
	else if (got == IPC_CLOSED)
		event_del(w->readable); /* it is on its way out, and will be reaped */
}

/* ---- sockets ---- */

/* A kernel without IPv6 takes no such session off the wire either: nobody waits for these. */
static void
cannot_make(struct worker_process *w, unsigned *owed)
{
	if (errno == EAFNOSUPPORT)
		*owed = 0;
	else if (!w->missing)
		w->events->missing(w->events->arg, w, strerror(errno));
	w->missing = *owed > 0;
}

/* One message full of sockets. True: they went, and more may. */
static bool
deliver_some(struct worker_process *w, enum ip_family family, unsigned *owed)
{
	const struct ipc_message m = {.type = IPC_SOCKETS, .a = family};
	int fds[IPC_FDS_MAX];
	size_t n = 0;
	bool sent;

	while (n < IPC_FDS_MAX && n < *owed) {
		fds[n] = upstream_socket(w->mode, w->own_mark, family);
		if (fds[n] < 0)
			break;
		n++;
	}
	if (n == 0)
		cannot_make(w, owed);
	sent = n > 0 && ipc_send(w->control, &m, fds, n) == IPC_OK;
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	if (sent)
		*owed -= (unsigned)n;
	w->missing = w->missing && !sent;
	return sent;
}

static void
deliver(struct worker_process *w)
{
	static const enum ip_family families[] = {IP_V4, IP_V6};
	struct timeval tv = {0, AGAIN_MS * 1000};

	for (size_t i = 0; i < 2; i++)
		while (w->owed[i] > 0 && deliver_some(w, families[i], &w->owed[i]))
			continue;
	if (w->owed[0] > 0 || w->owed[1] > 0)
		event_add(w->again, &tv);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	deliver(arg);
}

/* ---- the process ---- */

/* A worker may be stopped, or spin for ever: nobody waits for it longer than this. */
static void
set_deadline(struct worker_process *w, unsigned seconds)
{
	struct timeval tv = {(time_t)seconds, 0};

	event_add(w->deadline, &tv);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct worker_process *w = arg;
	const char *why = w->state == WORKER_RETIRING ? "it did not end in time"
						      : "it did not begin to serve in time";

	(void)fd;
	(void)what;
	worker_process_kill(w);
	w->events->stuck(w->events->arg, w, why);
}

static bool
launch(struct worker_process *w, const char *name, const int fds[WORKER_INHERITS])
{
	int ends[2], all[1 + WORKER_INHERITS];
	char slot[16], generation[16];
	const char *const args[] = {name, slot, generation};

	snprintf(slot, sizeof(slot), "%u", w->slot);
	snprintf(generation, sizeof(generation), "%u", w->generation);
	if (!ipc_pair(ends))
		return false;
	w->control = ends[0];
	all[0] = ends[1];
	memcpy(all + 1, fds, WORKER_INHERITS * sizeof(int));
	w->pid = process_start("worker", args, 3, all, 1 + WORKER_INHERITS, false);
	close(ends[1]);
	return w->pid > 0;
}

struct worker_process *
worker_process_start(struct event_base *base, const struct worker_events *events,
    const struct config *c, const int fds[WORKER_INHERITS], struct data_part *data, unsigned slot,
    unsigned generation)
{
	struct worker_process *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	*w = (struct worker_process){.slot = slot,
	    .generation = generation,
	    .events = events,
	    .control = -1,
	    .answer_fd = -1,
	    .mode = c->mode,
	    .own_mark = c->intercept.own_mark};
	if (launch(w, c->path, fds)) {
		w->readable = event_new(base, w->control, EV_READ | EV_PERSIST, on_readable, w);
		w->writable = event_new(base, w->control, EV_WRITE, on_writable, w);
		w->again = evtimer_new(base, on_again, w);
		w->deadline = evtimer_new(base, on_deadline, w);
		if (w->readable != NULL && w->writable != NULL && w->again != NULL &&
		    w->deadline != NULL && event_add(w->readable, NULL) == 0) {
			w->data = data;
			set_deadline(w, WORKER_START_S);
			return w;
		}
		kill(w->pid, SIGKILL);
		errno = ENOMEM;
	}
	worker_process_free(w);
	return NULL;
}

void
worker_process_free(struct worker_process *w)
{
	if (w == NULL)
		return;
	if (w->readable != NULL)
		event_free(w->readable);
	if (w->writable != NULL)
		event_free(w->writable);
	if (w->again != NULL)
		event_free(w->again);
	if (w->deadline != NULL)
		event_free(w->deadline);
	if (w->control >= 0)
		close(w->control);
	if (w->answer_fd >= 0)
		close(w->answer_fd);
	data_part_free(w->data);
	free(w);
}

static bool
hand_over(struct worker_process *w, const struct listening_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct listening *l = &set->all[i];
		const struct ipc_message m = {.type = IPC_LISTENER, .a = l->kind, .b = l->b};

		if (ipc_send(w->control, &m, &l->fd, 1) != IPC_OK)
			return false;
	}
	return true;
}

bool
worker_process_serve(struct worker_process *w, const struct listening_set *set)
{
	const struct ipc_message serve = {.type = IPC_SERVE};
	bool given = hand_over(w, set) && hand_over(w, data_part_listeners(w->data));

	data_part_handed_over(w->data);
	return given && ipc_send(w->control, &serve, NULL, 0) == IPC_OK;
}

bool
worker_process_signer(struct worker_process *w, int fd)
{
	const struct ipc_message m = {.type = IPC_SIGNER};

	return ipc_send(w->control, &m, &fd, 1) == IPC_OK;
}

void
worker_process_retire(struct worker_process *w, unsigned seconds)
{
	const struct ipc_message m = {.type = IPC_RETIRE, .a = seconds};

	w->state = WORKER_RETIRING;
	if (ipc_send(w->control, &m, NULL, 0) != IPC_OK)
		kill(w->pid, SIGKILL);
	else if (!w->killed)
		set_deadline(w, seconds + WORKER_END_S);
}

void
worker_process_kill(struct worker_process *w)
{
	kill(w->pid, SIGKILL);
	event_del(w->deadline);
	w->killed = true;
}
