#include "status_door.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
	struct status_door *door;
	struct bufferevent *bev;
	struct event *deadline;
	enum {
		ASKING,
		ANSWERED,
		LINGERING, /* everything is sent: what still comes is thrown away */
	} state;
	LIST_ENTRY(client) of_door;
};

struct status_door {
	struct event_base *base;
	struct evconnlistener *listener;
	struct door_rules rules;
	void *arg;
	struct door_stats stats;
	unsigned n_clients;
	LIST_HEAD(, client) clients;
};

static void
client_free(struct client *c)
{
	LIST_REMOVE(c, of_door);
	c->door->n_clients--;
	if (c->deadline != NULL)
		event_free(c->deadline);
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	free(c);
}

static void
set_deadline(struct client *c, unsigned ms)
{
	struct timeval tv = {(time_t)(ms / 1000u), (suseconds_t)(ms % 1000u * 1000u)};

	event_add(c->deadline, &tv);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;

	(void)fd;
	(void)what;
	if (c->state != LINGERING)
		c->door->stats.slow++;
	client_free(c);
}

/* ---- the answer ---- */

/* Closing at once would reset a client that still sends, and lose what it has not read. */
static void
linger(struct client *c)
{
	c->state = LINGERING;
	c->door->stats.answered++;
	shutdown(bufferevent_getfd(c->bev), SHUT_WR);
	bufferevent_enable(c->bev, EV_READ);
	set_deadline(c, DOOR_LINGER_MS);
}

/* All that there was to write is written. */
static void
on_written(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	(void)bev;
	if (c->state == ANSWERED)
		linger(c);
}

static void
answer(struct client *c, struct span request)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	c->state = ANSWERED;
	bufferevent_disable(c->bev, EV_READ);
	c->door->rules.answer(c->door->arg, request, out);
	if (evbuffer_get_length(out) == 0)
		client_free(c);
	else
		set_deadline(c, DOOR_ANSWER_MS);
}

/* ---- the request ---- */

static void
on_octets(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;
	const struct door_rules *rules = &c->door->rules;
	struct evbuffer *in = bufferevent_get_input(bev);
	uint8_t request[DOOR_REQUEST_MAX];
	struct evbuffer_ptr end;

	if (c->state != ASKING) {
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	end = evbuffer_search(in, rules->end, strlen(rules->end), NULL);
	if (end.pos >= 0 && (size_t)end.pos <= rules->request_max) {
		evbuffer_remove(in, request, (size_t)end.pos);
		answer(c, span_of(request, (size_t)end.pos));
	} else if (evbuffer_get_length(in) >= rules->request_max + strlen(rules->end)) {
		answer(c, SPAN_NONE);
	}
}

/* Its end, or an error. */
static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	client_free(arg);
}

static void
welcome(struct status_door *door, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return;
	}
	c->door = door;
	LIST_INSERT_HEAD(&door->clients, c, of_door);
	door->n_clients++;
	c->bev = bufferevent_socket_new(door->base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->deadline = evtimer_new(door->base, on_deadline, c);
	if (c->bev == NULL)
		close(fd);
	if (c->bev == NULL || c->deadline == NULL) {
		client_free(c);
		return;
	}
	bufferevent_setcb(c->bev, on_octets, on_written, on_event, c);
	bufferevent_setwatermark(
	    c->bev, EV_READ, 0, door->rules.request_max + strlen(door->rules.end));
	bufferevent_enable(c->bev, EV_READ);
	set_deadline(c, door->rules.request_ms);
}

static void
on_accepted(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int n, void *arg)
{
	struct status_door *door = arg;

	(void)listener;
	(void)from;
	(void)n;
	if (door->rules.admits != NULL && !door->rules.admits(door->arg, fd)) {
		door->stats.refused++;
		close(fd);
	} else if (door->n_clients == DOOR_CLIENTS) {
		door->stats.full++;
		close(fd);
	} else {
		welcome(door, fd);
	}
}

struct status_door *
status_door_new(struct event_base *base, int fd, const struct door_rules *rules, void *arg)
{
	struct status_door *door = calloc(1, sizeof(*door));

	if (door == NULL) {
		close(fd);
		return NULL;
	}
	door->base = base;
	door->rules = *rules;
	door->arg = arg;
	LIST_INIT(&door->clients);
	door->listener = evconnlistener_new(
	    base, on_accepted, door, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (door->listener == NULL) {
		close(fd);
		free(door);
		return NULL;
	}
	return door;
}

void
status_door_free(struct status_door *door)
{
	struct client *c;

	if (door == NULL)
		return;
	while ((c = LIST_FIRST(&door->clients)) != NULL)
		client_free(c);
	evconnlistener_free(door->listener);
	free(door);
}

struct door_stats
status_door_stats(const struct status_door *door)
{
	struct door_stats none = {0};

	return door == NULL ? none : door->stats;
}
