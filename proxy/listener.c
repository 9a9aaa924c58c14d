#include "listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "address.h"

#define BACKLOG 4096
#define AT_ONCE 64  /* clients accepted before others have their turn */
#define REST_MS 200 /* when descriptors have run out */

struct listener {
	int fd;
	const struct forward *forward;
	struct event readable, rest;
	bool added, paused, resting;
	void (*accepted)(void *, int, const struct sockaddr *, const struct forward *);
	void *arg;
};

static const char *
explain(const struct forward *f, const char *what, char *text, size_t n)
{
	struct endpoint e = address_endpoint((const struct sockaddr *)&f->listen);
	char address[ADDRESS_TEXT_MAX];

	snprintf(text, n, "forward \"%s\": cannot %s %s: %s", f->name, what,
	    address_text(&e, address), strerror(errno));
	return text;
}

int
listener_socket(const struct forward *f, const char **why)
{
	static char text[256];
	const struct sockaddr *sa = (const struct sockaddr *)&f->listen;
	int on = 1, fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		*why = explain(f, "make a socket for", text, sizeof(text));
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (sa->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, sa, address_size(sa)) != 0 || listen(fd, BACKLOG) != 0) {
		*why = explain(f, "listen on", text, sizeof(text));
		close(fd);
		return -1;
	}
	return fd;
}

static void
update(struct listener *l)
{
	bool wanted = !l->paused && !l->resting;

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
	for (int i = 0; i < AT_ONCE && !l->paused; i++) {
		struct sockaddr_storage sa;
		socklen_t n = sizeof(sa);
		int fd =
		    accept4(listening, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			l->accepted(l->arg, fd, (const struct sockaddr *)&sa, l->forward);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			rest(l);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

struct listener *
listener_new(struct event_base *base, int fd, const struct forward *f,
    void (*accepted)(void *, int, const struct sockaddr *, const struct forward *), void *arg)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		close(fd);
		return NULL;
	}
	*l = (struct listener){.fd = fd, .forward = f, .accepted = accepted, .arg = arg};
	event_assign(&l->readable, base, fd, EV_READ | EV_PERSIST, on_client, l);
	event_assign(&l->rest, base, -1, 0, on_rested, l);
	update(l);
	return l;
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	if (l->added)
		event_del(&l->readable);
	event_del(&l->rest);
	close(l->fd);
	free(l);
}

void
listener_pause(struct listener *l, bool pause)
{
	l->paused = pause;
	update(l);
}
