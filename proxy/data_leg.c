#include "data_leg.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "address.h"
#include "tls_leg.h"

#define PORT_FTPDATA 20	   /* RFC 959 s5.2: the supervisor binds to no other for us */
#define RANDOM_FROM  10000 /* of ports that we choose ourselves */
#define CHOICES	     8	   /* of such a port */
#define HOLE_SLACK   2u	   /* seconds that the kernel keeps a hole longer than we do */
#define ACCEPT_ONCE  16
#define UNREAD_MAX   (1u << 30)

void
leg_init(struct leg *l)
{
	l->fd = l->listener = -1;
}

/* ---- telling ---- */

static struct endpoint
local_end(int fd)
{
	struct sockaddr_storage sa = {0};

	getsockname(fd, (struct sockaddr *)&sa, &(socklen_t){sizeof(sa)});
	return address_endpoint((const struct sockaddr *)&sa);
}

static void
fail(struct leg *l, const char *why)
{
	const struct data_news news = {.what = DATA_UNREACHABLE, .leg = l->which, .why = why};

	leg_close(l, true);
	l->told(l->arg, &news);
}

static void
unwatch(struct leg *l)
{
	if (l->watched)
		event_del(&l->ready);
	l->watched = false;
}

static void
watch(struct leg *l, int fd, short what, event_callback_fn fn)
{
	unwatch(l);
	event_assign(&l->ready, l->shared->base, fd, what, fn, l);
	event_add(&l->ready, NULL);
	l->watched = true;
}

static void
shaken(struct leg *l, const char *why)
{
	unwatch(l);
	event_del(&l->timer);
	tls_leg_forget_hello(l->tls);
	l->state = LEG_OPEN;
	l->shaken(l->arg, l, why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct leg *l = arg;

	(void)fd;
	(void)what;
	if (l->state == LEG_SHAKING)
		shaken(l, "tls_timeout");
	else
		fail(l, "timeout");
}

static void
start_timer(struct leg *l, unsigned seconds)
{
	struct timeval tv = {(time_t)seconds, 0};

	if (event_initialized(&l->timer))
		event_del(&l->timer);
	event_assign(&l->timer, l->shared->base, -1, 0, on_timer, l);
	event_add(&l->timer, &tv);
	l->seconds = seconds;
}

/* Whatever stands for a connection to come is taken away. */
static void
stop_waiting(struct leg *l)
{
	const struct ipc_message forget = {.type = IPC_DATA_FORGET, .a = l->number};

	unwatch(l);
	if (event_initialized(&l->timer))
		event_del(&l->timer);
	if (l->request != NULL)
		data_request_cancel(l->request);
	l->request = NULL;
	if (l->number != 0)
		data_requests_post(l->shared->requests, &forget);
	l->number = 0;
	data_holes_leave(&l->awaited);
	stock_leave(&l->waiter);
	if (l->listener >= 0)
		close(l->listener);
	l->listener = -1;
	if (l->connecting)
		clients_connected(l->shared->clients, l->client);
	l->connecting = false;
}

static void
opened(struct leg *l, const struct endpoint *peer)
{
	const struct data_news news = {
	    .what = DATA_OPEN, .leg = l->which, .at = local_end(l->fd), .peer = *peer};

	stop_waiting(l);
	l->state = LEG_OPEN;
	l->told(l->arg, &news);
}

/* ---- under TLS ---- */

static void
on_shake(evutil_socket_t fd, short what, void *arg)
{
	struct leg *l = arg;

	(void)what;
	switch (tls_leg_shake(l->tls)) {
	case TLS_LEG_SHAKING:
		watch(l, fd, tls_leg_wants_write(l->tls) ? EV_WRITE : EV_READ, on_shake);
		break;
	case TLS_LEG_OPEN:
		shaken(l, NULL);
		break;
	case TLS_LEG_HELLO: /* it was answered ahead */
	case TLS_LEG_FAILED:
		shaken(l, tls_leg_why(l->tls));
		break;
	}
}

void
leg_protect(struct leg *l, struct tls_leg *tls, unsigned seconds)
{
	l->tls = tls;
	l->state = LEG_SHAKING;
	start_timer(l, seconds);
	on_shake(l->fd, EV_WRITE, l);
}

static void
end_tls(struct leg *l, bool reset)
{
	if (l->tls != NULL && !reset)
		tls_leg_close(l->tls);
	tls_leg_free(l->tls);
	l->tls = NULL;
}

/* ---- its end ---- */

void
leg_close(struct leg *l, bool reset)
{
	stop_waiting(l);
	end_tls(l, reset);
	if (l->fd >= 0 && reset) {
		data_reset(l->fd);
	} else if (l->fd >= 0) {
		setsockopt(
		    l->fd, SOL_SOCKET, SO_LINGER, &(struct linger){0}, sizeof(struct linger));
		/* octets that nobody read would turn the end into a reset */
		recv(l->fd, NULL, UNREAD_MAX, MSG_TRUNC | MSG_DONTWAIT);
		close(l->fd);
	}
	l->fd = -1;
	l->state = LEG_NONE;
}

void
leg_part(struct leg *l)
{
	if (l->fd >= 0)
		data_farewell(l->shared->farewells, l->fd, l->tls);
	l->tls = NULL;
	l->fd = -1;
	leg_close(l, false);
}

/* ---- waiting for a peer ---- */

static void
intruder(struct leg *l, const struct endpoint *peer, const struct endpoint *at)
{
	const struct data_news news = {
	    .what = DATA_INTRUDER, .leg = l->which, .at = *at, .peer = *peer};

	l->told(l->arg, &news);
}

static void
listening(struct leg *l, const struct endpoint *at)
{
	const struct data_news news = {.what = DATA_LISTENING, .leg = l->which, .at = *at};

	l->told(l->arg, &news);
}

static void
came(void *arg, int fd, const struct endpoint *peer)
{
	struct leg *l = arg;

	if (l->request != NULL) /* the kernel knows, and says so in a moment */
		listening(l, &l->hole.at);
	l->fd = fd; /* armed, as its listener is */
	opened(l, peer);
}

static void
intruded(void *arg, const struct endpoint *peer)
{
	struct leg *l = arg;

	intruder(l, peer, &l->awaited.at);
}

static void
lost(void *arg)
{
	fail(arg, "no_hole");
}

/* Somebody connected to the listening socket of this leg alone. */
static void
on_listener(evutil_socket_t listener, short what, void *arg)
{
	struct leg *l = arg;

	(void)what;
	for (unsigned i = 0; i < ACCEPT_ONCE; i++) {
		struct sockaddr_storage sa = {0};
		socklen_t n = sizeof(sa);
		int fd =
		    accept4(listener, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct endpoint peer, at;

		if (fd < 0)
			return;
		peer = address_endpoint((const struct sockaddr *)&sa);
		if (ip_eq(&peer.ip, &l->hole.from)) {
			came(l, fd, &peer);
			return;
		}
		at = local_end(fd);
		data_reset(fd);
		intruder(l, &peer, &at);
	}
}

static void
on_listening_socket(void *arg, const struct data_answer *a)
{
	struct leg *l = arg;
	struct endpoint at;

	l->request = NULL;
	if (a->result != IPC_DATA_DONE || a->fd < 0) {
		if (a->fd >= 0)
			close(a->fd);
		fail(l, a->result == IPC_DATA_TOO_MANY ? "no_port" : "no_hole");
		return;
	}
	l->listener = a->fd;
	watch(l, a->fd, EV_READ | EV_PERSIST, on_listener);
	at = local_end(a->fd);
	listening(l, &at);
}

static void
ask(struct leg *l, const struct ipc_message *m,
    void (*answered)(void *, const struct data_answer *))
{
	l->request = data_requests_ask(l->shared->requests, m, answered, l);
	if (l->request == NULL)
		fail(l, "no_hole");
}

static uint32_t
kernel_seconds(unsigned seconds)
{
	return seconds > IPC_DATA_SECONDS_MAX - HOLE_SLACK ? IPC_DATA_SECONDS_MAX
							   : seconds + HOLE_SLACK;
}

/*
 * A port of our own choice, and nobody else's hole. Where the address is the gateway's (redirect)
 * it is one of those that are kept free for that.
 */
static void
choose_port(struct leg *l)
{
	const struct ftp_config *ftp = &l->shared->config->ftp;
	bool ours = l->arrival->mode == INTERCEPT_REDIRECT;
	unsigned from = ours ? ftp->data_ports_from : RANDOM_FROM;
	unsigned to = ours ? ftp->data_ports_to : UINT16_MAX;

	l->choices++;
	for (unsigned i = 0; i < CHOICES; i++) {
		l->hole.at.port = (uint16_t)(from + arc4random_uniform(to - from + 1));
		if (!data_holes_awaits(l->shared->holes, &l->hole.from, &l->hole.at))
			return;
	}
}

static void on_hole(void *, const struct data_answer *);

/* Registered before the kernel knows: the connection may come ahead of the answer. */
static void
expect(struct leg *l)
{
	struct ipc_message m = {.type = IPC_DATA_EXPECT,
	    .a = data_requests_number(l->shared->requests),
	    .b = kernel_seconds((unsigned)l->seconds),
	    .flow = {l->hole.from, l->hole.at.ip, l->hole.at.port}};

	if (l->hole.from.family != l->hole.at.ip.family || l->hole.at.port < IPC_DATA_PORT_MIN) {
		fail(l, "no_hole");
		return;
	}
	l->number = m.a;
	l->awaited = (struct awaited){.from = l->hole.from,
	    .at = l->hole.at,
	    .came = came,
	    .intruded = intruded,
	    .lost = lost,
	    .arg = l};
	data_holes_wait(l->shared->holes, &l->awaited);
	ask(l, &m, on_hole);
}

/*
 * Another worker's session may have the port that was chosen. Where no answer came the hole may be
 * there, or be about to be: its number is forgotten with the leg, and no other is asked for.
 */
static void
on_hole(void *arg, const struct data_answer *a)
{
	struct leg *l = arg;

	l->request = NULL;
	if (a->fd >= 0)
		close(a->fd); /* none belongs to such an answer */
	if (a->result == IPC_DATA_DONE) {
		listening(l, &l->hole.at);
	} else if (a->came && a->result == IPC_DATA_FAILED && l->choices > 0 &&
		   l->choices < CHOICES) {
		data_holes_leave(&l->awaited);
		choose_port(l);
		expect(l);
	} else {
		fail(l, "no_hole");
	}
}

void
leg_listen(struct leg *l, const struct data_hole *hole, unsigned seconds)
{
	struct ipc_message m = {.type = IPC_DATA_LISTEN, .flow.destination = hole->at.ip};

	l->state = LEG_OPENING;
	l->hole = *hole;
	start_timer(l, seconds);
	if (l->arrival->forward != NULL) {
		m.a = data_requests_number(l->shared->requests);
		ask(l, &m, on_listening_socket);
		return;
	}
	l->choices = 0;
	if (hole->at.port == 0)
		choose_port(l);
	expect(l);
}

/* ---- dialling ---- */

static const char *
reason_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "refused";
	case ETIMEDOUT:
		return "timeout";
	case EADDRNOTAVAIL:
	case EADDRINUSE:
		return "no_source_address";
	default:
		return "unreachable";
	}
}

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct leg *l = arg;
	int error = 0;

	(void)what;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
	if (error != 0)
		fail(l, reason_of(error));
	else
		opened(l, &l->dial.to);
}

static bool
speak_from(int fd, const struct endpoint *from)
{
	struct sockaddr_storage sa;
	socklen_t n = address_sockaddr(from, &sa);
	int on = 1;

	if (n == 0)
		return true;
	/* a port is found at connect(), so that each may serve many destinations */
	if (from->port == 0)
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&sa, n) == 0;
}

/* errno of what is wrong with it; 0: it is on its way. */
static int
start_connect(struct leg *l, int fd)
{
	struct sockaddr_storage to;
	socklen_t n = address_sockaddr(&l->dial.to, &to);

	if (connect(fd, (const struct sockaddr *)&to, n) != 0 && errno != EINPROGRESS)
		return errno;
	watch(l, fd, EV_WRITE, on_connected);
	return 0;
}

static void
connect_with(struct leg *l, int fd)
{
	int error;

	data_arm(fd);
	l->fd = fd;
	if (!speak_from(fd, &l->dial.from)) {
		fail(l, "no_source_address");
		return;
	}
	error = start_connect(l, fd);
	if (error != 0)
		fail(l, reason_of(error));
}

static void
on_socket(void *arg, int fd)
{
	connect_with(arg, fd);
}

static void
dial(struct leg *l)
{
	enum ip_family family = l->dial.to.ip.family;
	int fd;

	if (l->shared->stock == NULL || l->arrival->forward != NULL) {
		fd = socket(family == IP_V6 ? AF_INET6 : AF_INET,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0)
			fail(l, "no_socket");
		else
			connect_with(l, fd);
		return;
	}
	fd = stock_take(l->shared->stock, family);
	if (fd >= 0) {
		connect_with(l, fd);
		return;
	}
	l->waiter.ready = on_socket;
	l->waiter.arg = l;
	stock_wait(l->shared->stock, family, &l->waiter);
}

static void
dial_from_any_port(struct leg *l)
{
	l->dial.from.port = 0;
	dial(l);
}

/* To dial.from, by the supervisor. */
static void
on_bound(void *arg, const struct data_answer *a)
{
	struct leg *l = arg;
	int error;

	l->request = NULL;
	if (a->fd < 0) {
		dial_from_any_port(l);
		return;
	}
	data_arm(a->fd);
	l->fd = a->fd;
	error = start_connect(l, a->fd);
	if (error == EADDRNOTAVAIL || error == EADDRINUSE) {
		close(l->fd); /* the port has a connection there already, or had a moment ago */
		l->fd = -1;
		dial_from_any_port(l);
	} else if (error != 0) {
		fail(l, reason_of(error));
	}
}

void
leg_dial(struct leg *l, const struct data_dial *d, unsigned seconds)
{
	struct ipc_message bind = {
	    .type = IPC_DATA_BIND, .flow.destination = d->from.ip, .flow.port = d->from.port};

	l->state = LEG_OPENING;
	l->dial = *d;
	start_timer(l, seconds);
	if (!clients_connecting(l->shared->clients, l->client)) {
		fail(l, "connect_limit");
		return;
	}
	l->connecting = true;
	if (d->from.port == PORT_FTPDATA) {
		bind.a = data_requests_number(l->shared->requests);
		ask(l, &bind, on_bound);
	} else {
		dial(l);
	}
}
