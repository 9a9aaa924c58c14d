#include "listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#define AT_ONCE 64  /* clients accepted before others have their turn */
#define REST_MS 200 /* when descriptors have run out */

struct listener {
	int fd;
	struct arrival arrival;
	struct event readable, rest;
	bool added, paused, resting, closing;
	void (*accepted)(void *, int, const struct sockaddr *, const struct arrival *);
	void *arg;
};

static void
update(struct listener *l)
{
	bool wanted = l->fd >= 0 && !l->paused && !l->resting && !l->closing;

	if (wanted && !l->added)
		event_add(&l->readable, NULL);
	else if (!wanted && l->added)
		event_del(&l->readable);
	l->added = wanted;
}

static void
on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	l->resting = false;
	if (l->closing && l->fd >= 0) {
		close(l->fd);
		l->fd = -1;
	}
	update(l);
}

static void
rest(struct listener *l)
{
	struct timeval tv = {0, REST_MS * 1000};

	l->resting = true;
	event_add(&l->rest, &tv);
	update(l);
}

static void
on_client(evutil_socket_t listening, short what, void *arg)
{
	struct listener *l = arg;

	(void)what;
	for (int i = 0; i < AT_ONCE && !l->closing && !l->paused; i++) {
		struct sockaddr_storage sa;
		socklen_t n = sizeof(sa);
		int fd =
		    accept4(listening, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			l->accepted(l->arg, fd, (const struct sockaddr *)&sa, &l->arrival);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			rest(l);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

struct listener *
listener_new(struct event_base *base, int fd, const struct arrival *arrival,
    void (*accepted)(void *, int, const struct sockaddr *, const struct arrival *), void *arg)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		close(fd);
		return NULL;
	}
	/* a flag of the socket, not of the descriptor: others who have it could have changed it */
	evutil_make_socket_nonblocking(fd);
	*l = (struct listener){.fd = fd, .arrival = *arrival, .accepted = accepted, .arg = arg};
	event_assign(&l->readable, base, fd, EV_READ | EV_PERSIST, on_client, l);
	event_assign(&l->rest, base, -1, 0, on_rested, l);
	update(l);
	return l;
}

void
listener_close(struct listener *l)
{
	struct timeval now = {0, 0};

	if (l->closing)
		return;
	l->closing = true;
	update(l);
	event_add(&l->rest, &now);
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	listener_close(l);
	event_del(&l->rest);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

void
listener_pause(struct listener *l, bool pause)
{
	l->paused = pause;
	update(l);
}
