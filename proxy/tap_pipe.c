#include "tap_pipe.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

struct datagram {
	STAILQ_ENTRY(datagram) next;
	size_t n;
	uint32_t records;
	_Alignas(8) uint8_t p[TAP_DATAGRAM_MAX];
};

#define WAITING_MAX (TAP_RING_MAX / sizeof(struct datagram))

struct tap_pipe {
	int fd;
	bool broken; /* nobody will read any more */
	bool waits;  /* the socket takes nothing at the moment */
	struct event writable, turn;
	STAILQ_HEAD(, datagram) queue;
	struct datagram *last; /* of the queue, and still being filled; NULL: it is empty */
	size_t n;	       /* in the queue */
	struct datagram *spare;
	record_sink *sink;
	void *sink_arg;
	uint64_t written, dropped, said;
};

bool
tap_pipe_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0;
}

static void
remove_first(struct tap_pipe *t)
{
	struct datagram *d = STAILQ_FIRST(&t->queue);

	STAILQ_REMOVE_HEAD(&t->queue, next);
	t->n--;
	if (d == t->last)
		t->last = NULL;
	if (t->spare == NULL)
		t->spare = d;
	else
		free(d);
}

/* The supervisor is gone too. */
static void
give_up(struct tap_pipe *t)
{
	t->broken = true;
	while (!STAILQ_EMPTY(&t->queue)) {
		t->dropped += STAILQ_FIRST(&t->queue)->records;
		remove_first(t);
	}
}

static void
say_dropped(struct tap_pipe *t)
{
	const uint64_t n = t->dropped - t->said;

	if (n == 0 || t->broken || t->n > WAITING_MAX / 2)
		return;
	t->said = t->dropped;
	record_stats("capture_dropped", n, "captures were not written fast enough, and have holes",
	    t->sink, t->sink_arg);
}

static void
send_all(struct tap_pipe *t)
{
	struct datagram *d;

	t->waits = false;
	while (!t->broken && (d = STAILQ_FIRST(&t->queue)) != NULL) {
		ssize_t n = send(t->fd, d->p, d->n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)) {
			t->waits = true;
			event_add(&t->writable, NULL);
			break;
		}
		if (n < 0)
			give_up(t);
		else
			remove_first(t);
	}
	say_dropped(t);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_all(arg);
}

struct tap_pipe *
tap_pipe_new(struct event_base *base, int fd, record_sink *sink, void *sink_arg)
{
	struct tap_pipe *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		close(fd);
		return NULL;
	}
	t->fd = fd;
	t->sink = sink;
	t->sink_arg = sink_arg;
	STAILQ_INIT(&t->queue);
	event_assign(&t->writable, base, fd, EV_WRITE, on_event, t);
	event_assign(&t->turn, base, -1, 0, on_event, t);
	return t;
}

static struct datagram *
add_datagram(struct tap_pipe *t)
{
	struct datagram *d = t->spare;

	if (t->n >= WAITING_MAX)
		return NULL;
	t->spare = NULL;
	if (d == NULL && (d = malloc(sizeof(*d))) == NULL)
		return NULL;
	d->n = d->records = 0;
	STAILQ_INSERT_TAIL(&t->queue, d, next);
	t->n++;
	t->last = d;
	return d;
}

/* Where so many octets go next; NULL: there is no room. */
static struct datagram *
room_for(struct tap_pipe *t, size_t n)
{
	struct datagram *d = t->last;

	if (d != NULL && TAP_DATAGRAM_MAX - d->n >= n)
		return d;
	if (d != NULL && !t->waits)
		send_all(t);
	return t->broken ? NULL : add_datagram(t);
}

uint8_t *
tap_pipe_put(struct tap_pipe *t, const struct tap_record *r, size_t length, size_t n)
{
	const size_t size = tap_record_size(n);
	struct datagram *d = room_for(t, size);
	struct tap_record *there;

	if (d == NULL) {
		t->dropped++;
		return NULL;
	}
	/* every octet of it: there is nothing of the heap's that another process should see */
	memset(d->p + d->n, 0, sizeof(*there));
	memset(d->p + d->n + size - 8, 0, n > 0 ? 8 : 0);
	there = (struct tap_record *)(void *)(d->p + d->n);
	*there = *r;
	there->size = (uint32_t)size;
	there->length = (uint32_t)length;
	there->n = (uint32_t)n;
	d->n += size;
	d->records++;
	t->written++;
	if (!t->waits)
		event_active(&t->turn, EV_TIMEOUT, 1);
	return (uint8_t *)(there + 1);
}

uint64_t
tap_pipe_dropped(const struct tap_pipe *t)
{
	return t->dropped;
}

uint64_t
tap_pipe_written(const struct tap_pipe *t)
{
	return t->written;
}

void
tap_pipe_free(struct tap_pipe *t, int wait_ms)
{
	if (t == NULL)
		return;
	const int64_t end = (int64_t)clock_ms() + wait_ms;
	struct pollfd out = {.fd = t->fd, .events = POLLOUT};
	int64_t left;

	send_all(t);
	while (t->waits && (left = end - (int64_t)clock_ms()) > 0)
		if (poll(&out, 1, (int)left) > 0)
			send_all(t);
	event_del(&t->writable);
	event_del(&t->turn);
	while (!STAILQ_EMPTY(&t->queue)) {
		t->dropped += STAILQ_FIRST(&t->queue)->records;
		remove_first(t);
	}
	free(t->spare);
	close(t->fd);
	free(t);
}
