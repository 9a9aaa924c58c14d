/*
 * Legs, pump and requests together, in forward mode and taken off the wire, with this test as the
 * supervisor at the other end of the IPC, and as the kernel that brings connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "data_pair.h"
#include "data_pipe.h"
#include "loopback.h"

#define NEWS_MAX 32
#define SECONDS	 5

struct lab {
	struct event_base *base;
	struct event *heard;
	struct config config;
	struct forward forward;
	struct arrival arrival;
	struct data_pipes pipes;
	struct data_shared shared;
	struct client_row *client;
	int control[2]; /* the worker's end, ours */
	struct relay relay;
	struct data_pair *pair;
	struct data_news news[NEWS_MAX];
	size_t n_news;
	uint64_t shown;
	bool close_at_news, close_at_octets, lost;
};

static void
on_news(struct relay *r, struct data_pair *pair, const struct data_news *news)
{
	struct lab *l = r->owner;

	assert_ptr_equal(pair, l->pair);
	assert_true(l->n_news < NEWS_MAX);
	l->news[l->n_news++] = *news;
	if (l->close_at_news) {
		data_pair_ops.close(l->pair);
		l->pair = NULL;
	}
}

static void
on_octets(struct relay *r, struct data_pair *pair, struct span s)
{
	struct lab *l = r->owner;

	assert_ptr_equal(pair, l->pair);
	l->shown += s.n;
	if (l->close_at_octets) {
		data_pair_ops.close(l->pair);
		l->pair = NULL;
	}
}

static void
on_lost(void *arg)
{
	struct lab *l = arg;

	l->lost = true;
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct lab *l = arg;
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	const char *why;
	size_t n;

	(void)what;
	while (ipc_receive(fd, IPC_FROM_SUPERVISOR_TO_WORKER, &m, fds, &n, &why) == IPC_OK)
		data_requests_answer(l->shared.requests, &m, fds, n);
}

static struct data_pair *
new_pair(struct lab *l)
{
	const struct data_owner owner = {.relay = &l->relay,
	    .arrival = &l->arrival,
	    .client = l->client,
	    .news = on_news,
	    .octets = on_octets};

	return data_pair_open(&l->shared, &owner);
}

/* Forward mode, or taken off the wire this way (without a stock: sockets are made here). */
static void
set_up(struct lab *l, enum intercept_mode mode)
{
	const struct ip us = {.family = IP_V4, .octets = {127, 0, 0, 1}};

	*l = (struct lab){.base = event_base_new(), .relay.owner = NULL};
	l->relay.owner = l;
	l->config.mode = mode;
	l->config.limits = (struct limits){.sessions_per_client = 10,
	    .pending_connects = 3,
	    .pending_connects_per_client = 2,
	    .client_prefix6 = 64};
	l->arrival = (struct arrival){.mode = mode, .protocol = PROTOCOL_FTP};
	if (mode == INTERCEPT_OFF)
		l->arrival.forward = &l->forward;
	assert_true(ipc_pair(l->control));
	l->shared = (struct data_shared){.base = l->base,
	    .config = &l->config,
	    .requests = data_requests_new(l->base, l->control[0], on_lost, l),
	    .holes = data_holes_new(),
	    .clients = clients_new(&l->config.limits),
	    .pipes = &l->pipes,
	    .farewells = data_farewells_new(l->base)};
	assert_int_equal(clients_enter(l->shared.clients, &us, 1, &l->client), CLIENT_WELCOME);
	l->heard = event_new(l->base, l->control[0], EV_READ | EV_PERSIST, on_answer, l);
	event_add(l->heard, NULL);
	l->pair = new_pair(l);
	assert_non_null(l->pair);
}

static void
tear_down(struct lab *l)
{
	data_pair_ops.close(l->pair);
	assert_int_equal(clients_pending(l->shared.clients), 0);
	clients_leave(l->shared.clients, l->client);
	event_free(l->heard);
	data_requests_free(l->shared.requests);
	data_holes_free(l->shared.holes);
	clients_free(l->shared.clients);
	data_pipes_free(&l->pipes);
	data_farewells_free(l->shared.farewells);
	close(l->control[0]);
	close(l->control[1]);
	event_base_free(l->base);
}

static void
run(struct lab *l, int ms)
{
	for (int i = 0; i < ms; i++) {
		event_base_loop(l->base, EVLOOP_NONBLOCK);
		poll(NULL, 0, 1);
	}
}

/* The next news, within two seconds. */
static struct data_news
next(struct lab *l, enum data_what what, enum data_leg leg)
{
	struct data_news news;

	for (int i = 0; i < 200 && l->n_news == 0; i++)
		run(l, 10);
	assert_true(l->n_news > 0);
	news = l->news[0];
	memmove(l->news, l->news + 1, --l->n_news * sizeof(news));
	assert_int_equal(news.what, what);
	assert_int_equal(news.leg, leg);
	return news;
}

/* ---- the supervisor ---- */

static bool
asked(struct lab *l, struct ipc_message *m)
{
	int fds[IPC_FDS_MAX];
	const char *why = "";
	size_t n;
	enum ipc_result result = ipc_receive(l->control[1], IPC_FROM_WORKER, m, fds, &n, &why);

	assert_true(result == IPC_OK || result == IPC_AGAIN);
	return result == IPC_OK;
}

static struct ipc_message
expect_asked(struct lab *l, enum ipc_type type)
{
	struct ipc_message m;

	run(l, 2);
	assert_true(asked(l, &m));
	assert_int_equal(m.type, type);
	return m;
}

static void
answer(struct lab *l, uint32_t number, enum ipc_data result, int fd)
{
	const struct ipc_message m = {.type = IPC_DATA_ANSWER, .a = number, .b = result};

	assert_int_equal(ipc_send(l->control[1], &m, &fd, fd >= 0), IPC_OK);
	if (fd >= 0)
		close(fd);
}

/* ---- the peers ---- */

static struct ip
ip(const char *text)
{
	struct ip out;

	assert_true(ip_parse(span_str(text), &out));
	return out;
}

/* A listener as the supervisor makes it. */
static int
listen_armed(struct sockaddr_in *at)
{
	int fd = loopback_listen("127.0.0.1", at);

	data_arm(fd);
	return fd;
}

/* Opens the client's hole in forward mode; *to is where it is. */
static void
listen_forward(struct lab *l, unsigned seconds, struct sockaddr_in *to)
{
	const struct data_hole hole = {
	    .leg = DATA_CLIENT, .from = ip("127.0.0.1"), .at = {.ip = ip("127.0.0.1")}};
	struct ipc_message m;
	struct data_news news;

	data_pair_ops.listen(l->pair, &hole, seconds);
	m = expect_asked(l, IPC_DATA_LISTEN);
	assert_true(ip_eq(&m.flow.destination, &hole.at.ip));
	answer(l, m.a, IPC_DATA_DONE, listen_armed(to));
	news = next(l, DATA_LISTENING, DATA_CLIENT);
	assert_int_equal(news.at.port, ntohs(to->sin_port));
}

/* Dials a server of ours; *server is its end. */
static void
dial_server(struct lab *l, int *server)
{
	struct sockaddr_in at;
	int listener = loopback_listen("127.0.0.1", &at);
	const struct data_dial dial = {.leg = DATA_SERVER,
	    .to = address_endpoint((const struct sockaddr *)&at),
	    .from.ip = ip("127.0.0.7")};
	struct data_news news;

	data_pair_ops.dial(l->pair, &dial, SECONDS);
	news = next(l, DATA_OPEN, DATA_SERVER);
	assert_true(ip_eq(&news.at.ip, &dial.from.ip));
	assert_int_equal(news.peer.port, dial.to.port);
	*server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*server >= 0);
	close(listener);
}

static void
both_open(struct lab *l, int *client, int *server)
{
	struct sockaddr_in to;

	set_up(l, INTERCEPT_OFF);
	listen_forward(l, SECONDS, &to);
	*client = loopback_connect("127.0.0.1", &to);
	next(l, DATA_OPEN, DATA_CLIENT);
	dial_server(l, server);
}

/* Octets until the end; -1: it ended with a reset. */
static ssize_t
rest_of(int fd)
{
	char octets[4096];
	ssize_t n, all = 0;

	while ((n = recv(fd, octets, sizeof(octets), 0)) > 0)
		all += n;
	return n < 0 && errno == ECONNRESET ? -1 : all;
}

static bool
refuses(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool refused = connect(fd, (const struct sockaddr *)to, sizeof(*to)) != 0;

	close(fd);
	return refused;
}

static const struct data_flow upload = {.dir = AN_C2S, .look = true, .hold = 100, .stall = 60};

static void
test_a_whole_transfer(void **state)
{
	struct lab l;
	int client, server;

	(void)state;
	both_open(&l, &client, &server);
	data_pair_ops.flow(l.pair, &upload);
	assert_int_equal(send(client, "hello", 5, 0), 5);
	shutdown(client, SHUT_WR);
	next(&l, DATA_SOURCE_END, DATA_CLIENT);
	assert_int_equal(l.shown, 5);
	run(&l, 20);
	assert_int_equal(l.n_news, 0);
	data_pair_ops.release(l.pair);
	assert_int_equal(l.n_news, 0);
	next(&l, DATA_DONE, DATA_CLIENT);
	assert_int_equal(rest_of(server), 5);
	assert_int_equal(rest_of(client), 0);
	assert_int_equal(data_pair_ops.count(l.pair)->octets[DATA_CLIENT], 5);
	assert_int_equal(data_pair_ops.count(l.pair)->octets[DATA_SERVER], 5);
	tear_down(&l);
	close(client);
	close(server);
}

/* The flow may be asked for ahead of the legs. */
static void
test_a_download_asked_for_early(void **state)
{
	const struct data_flow download = {.dir = AN_S2C, .stall = 60};
	struct sockaddr_in to;
	struct lab l;
	int client, server;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	data_pair_ops.flow(l.pair, &download);
	dial_server(&l, &server);
	assert_int_equal(send(server, "hello", 5, 0), 5);
	close(server);
	listen_forward(&l, SECONDS, &to);
	client = loopback_connect("127.0.0.1", &to);
	next(&l, DATA_OPEN, DATA_CLIENT);
	next(&l, DATA_SOURCE_END, DATA_SERVER);
	next(&l, DATA_DONE, DATA_SERVER);
	assert_int_equal(rest_of(client), 5);
	tear_down(&l);
	close(client);
}

/* A client that speaks the wrong way, late, still has all that was sent to it. */
static void
test_stray_octets_behind_the_end(void **state)
{
	const struct data_flow download = {.dir = AN_S2C, .stall = 60};
	struct lab l;
	int client, server;

	(void)state;
	both_open(&l, &client, &server);
	data_pair_ops.flow(l.pair, &download);
	assert_int_equal(send(server, "hello", 5, 0), 5);
	close(server);
	next(&l, DATA_SOURCE_END, DATA_SERVER);
	next(&l, DATA_DONE, DATA_SERVER);
	data_pair_ops.close(l.pair);
	l.pair = NULL;
	assert_int_equal(send(client, "and I?", 6, 0), 6);
	run(&l, 20);
	assert_int_equal(send(client, "still", 5, 0), 5);
	run(&l, 20);
	assert_int_equal(rest_of(client), 5);
	tear_down(&l);
	close(client);
}

static void
test_reset_cuts_both(void **state)
{
	struct lab l;
	int client, server;

	(void)state;
	both_open(&l, &client, &server);
	data_pair_ops.flow(l.pair, &upload);
	assert_int_equal(send(client, "hello", 5, 0), 5);
	run(&l, 20);
	data_pair_ops.reset(l.pair);
	run(&l, 20);
	assert_int_equal(l.n_news, 0);
	assert_int_equal(rest_of(server), -1);
	assert_int_equal(rest_of(client), -1);
	assert_int_equal(data_pair_ops.count(l.pair)->octets[DATA_CLIENT], 5);
	assert_int_equal(data_pair_ops.count(l.pair)->octets[DATA_SERVER], 0);
	tear_down(&l);
	close(client);
	close(server);
}

/* F-037: what the client cuts is cut at the server. */
static void
test_F_037_a_client_that_is_reset(void **state)
{
	struct lab l;
	int client, server;

	(void)state;
	both_open(&l, &client, &server);
	data_pair_ops.flow(l.pair, &upload);
	assert_int_equal(send(client, "hello", 5, 0), 5);
	run(&l, 20);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	close(client);
	assert_string_equal(next(&l, DATA_CUT, DATA_CLIENT).why, "reset");
	assert_int_equal(rest_of(server), -1);
	tear_down(&l);
	close(server);
}

/* F-041: a pair that is closed in the middle is two resets. */
static void
test_F_041_closed_in_the_middle(void **state)
{
	struct lab l;
	int client, server;

	(void)state;
	both_open(&l, &client, &server);
	data_pair_ops.flow(l.pair, &upload);
	l.close_at_octets = true;
	assert_int_equal(send(client, "hello", 5, 0), 5);
	run(&l, 20);
	assert_null(l.pair);
	assert_int_equal(l.n_news, 0);
	assert_int_equal(rest_of(server), -1);
	assert_int_equal(rest_of(client), -1);
	tear_down(&l);
	close(client);
	close(server);
}

static void
test_closed_from_within_news(void **state)
{
	struct sockaddr_in to;
	struct lab l;
	int client;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	listen_forward(&l, SECONDS, &to);
	client = loopback_connect("127.0.0.1", &to);
	l.close_at_news = true;
	run(&l, 20);
	assert_null(l.pair);
	assert_int_equal(rest_of(client), -1);
	tear_down(&l);
	close(client);
}

/* F-014: another address is reset and told, and the right one still comes in. */
static void
test_F_014_F_015_one_peer_once(void **state)
{
	struct sockaddr_in to;
	struct data_news news;
	struct lab l;
	int client, thief;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	listen_forward(&l, SECONDS, &to);
	thief = loopback_connect("127.0.0.66", &to);
	news = next(&l, DATA_INTRUDER, DATA_CLIENT);
	assert_true(ip_eq(&news.peer.ip, &(struct ip){IP_V4, {127, 0, 0, 66}}));
	assert_int_equal(rest_of(thief), -1);
	client = loopback_connect("127.0.0.1", &to);
	next(&l, DATA_OPEN, DATA_CLIENT);
	assert_true(refuses(&to));
	tear_down(&l);
	close(client);
	close(thief);
}

/* F-042 */
static void
test_F_042_nobody_comes(void **state)
{
	struct sockaddr_in to;
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	listen_forward(&l, 1, &to);
	assert_string_equal(next(&l, DATA_UNREACHABLE, DATA_CLIENT).why, "timeout");
	assert_true(refuses(&to));
	tear_down(&l);
}

static void
test_nobody_is_there(void **state)
{
	struct sockaddr_in at;
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	close(loopback_listen("127.0.0.1", &at));
	data_pair_ops.dial(l.pair,
	    &(struct data_dial){
		.leg = DATA_SERVER, .to = address_endpoint((const struct sockaddr *)&at)},
	    SECONDS);
	assert_int_equal(l.n_news, 0);
	assert_string_equal(next(&l, DATA_UNREACHABLE, DATA_SERVER).why, "refused");
	tear_down(&l);
}

/* A leg that is dropped has no news, and what comes late for it is closed. */
static void
test_dropped_ahead_of_its_answer(void **state)
{
	const struct data_hole hole = {
	    .leg = DATA_CLIENT, .from = ip("127.0.0.1"), .at = {.ip = ip("127.0.0.1")}};
	struct sockaddr_in to;
	struct ipc_message m;
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	data_pair_ops.listen(l.pair, &hole, SECONDS);
	m = expect_asked(&l, IPC_DATA_LISTEN);
	data_pair_ops.drop(l.pair, DATA_CLIENT, true);
	answer(&l, m.a, IPC_DATA_DONE, listen_armed(&to));
	run(&l, 20);
	assert_int_equal(l.n_news, 0);
	assert_true(refuses(&to));
	tear_down(&l);
}

/* A port of our own choice that is another one's hole: another port, some times. */
static void
test_another_port_is_chosen(void **state)
{
	const struct data_hole hole = {
	    .leg = DATA_CLIENT, .from = ip("127.0.0.1"), .at = {.ip = ip("127.0.0.1")}};
	struct ipc_message first, m;
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_TPROXY);
	data_pair_ops.listen(l.pair, &hole, SECONDS);
	first = expect_asked(&l, IPC_DATA_EXPECT);
	answer(&l, first.a, IPC_DATA_FAILED, -1);
	run(&l, 5);
	m = expect_asked(&l, IPC_DATA_EXPECT);
	assert_int_not_equal(m.a, first.a);
	answer(&l, m.a, IPC_DATA_DONE, -1);
	assert_int_equal(next(&l, DATA_LISTENING, DATA_CLIENT).at.port, m.flow.port);
	tear_down(&l);
}

/* No answer is no refusal: the hole may be there, so it is forgotten, and none is asked for anew.
 */
static void
test_a_hole_without_an_answer(void **state)
{
	const struct data_hole hole = {
	    .leg = DATA_CLIENT, .from = ip("127.0.0.1"), .at = {.ip = ip("127.0.0.1")}};
	struct ipc_message m;
	uint32_t number;
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_TPROXY);
	data_pair_ops.listen(l.pair, &hole, 10 * SECONDS);
	number = expect_asked(&l, IPC_DATA_EXPECT).a;
	run(&l, DATA_ANSWER_MS);
	assert_string_equal(next(&l, DATA_UNREACHABLE, DATA_CLIENT).why, "no_hole");
	m = expect_asked(&l, IPC_DATA_FORGET);
	assert_int_equal(m.a, number);
	assert_false(asked(&l, &m));
	tear_down(&l);
}

static void
test_no_port_is_free(void **state)
{
	const struct data_hole hole = {
	    .leg = DATA_CLIENT, .from = ip("127.0.0.1"), .at = {.ip = ip("127.0.0.1")}};
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	data_pair_ops.listen(l.pair, &hole, SECONDS);
	answer(&l, expect_asked(&l, IPC_DATA_LISTEN).a, IPC_DATA_TOO_MANY, -1);
	assert_string_equal(next(&l, DATA_UNREACHABLE, DATA_CLIENT).why, "no_port");
	tear_down(&l);
}

/* Too many connects that nobody answers: the same bounds as of sessions. */
static void
test_pending_connects_are_bounded(void **state)
{
	struct data_dial dial = {.leg = DATA_CLIENT, .to = {.port = 2000}, .from.port = 20};
	struct data_pair *other;
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_TPROXY); /* each waits for the supervisor */
	dial.to.ip = dial.from.ip = ip("127.0.0.1");
	data_pair_ops.dial(l.pair, &dial, SECONDS);
	dial.leg = DATA_SERVER;
	data_pair_ops.dial(l.pair, &dial, SECONDS);
	assert_int_equal(clients_pending(l.shared.clients), 2);
	other = l.pair;
	l.pair = new_pair(&l);
	data_pair_ops.dial(l.pair, &dial, SECONDS);
	assert_string_equal(next(&l, DATA_UNREACHABLE, DATA_SERVER).why, "connect_limit");
	data_pair_ops.close(other);
	tear_down(&l);
}

/* ---- taken off the wire ---- */

static struct ipc_message
listen_tproxy(struct lab *l, struct data_hole *hole)
{
	struct ipc_message m;

	*hole = (struct data_hole){.leg = DATA_CLIENT,
	    .from = ip("127.0.0.1"),
	    .at = {.ip = ip("198.51.100.7"), .port = 40000}};
	data_pair_ops.listen(l->pair, hole, SECONDS);
	m = expect_asked(l, IPC_DATA_EXPECT);
	assert_true(ip_eq(&m.flow.source, &hole->from));
	assert_true(ip_eq(&m.flow.destination, &hole->at.ip));
	assert_int_equal(m.flow.port, 40000);
	assert_true(m.b >= SECONDS);
	return m;
}

static void
test_expected_off_the_wire(void **state)
{
	struct ipc_message m, forget;
	struct data_hole hole;
	struct endpoint peer = {.port = 4711};
	struct data_news news;
	struct lab l;
	int client, ours;

	(void)state;
	set_up(&l, INTERCEPT_TPROXY);
	m = listen_tproxy(&l, &hole);
	run(&l, 20);
	assert_int_equal(l.n_news, 0); /* nobody is told ahead of the kernel */
	answer(&l, m.a, IPC_DATA_DONE, -1);
	news = next(&l, DATA_LISTENING, DATA_CLIENT);
	assert_int_equal(news.at.port, 40000);
	loopback_pair(&client, &ours);
	data_arm(ours); /* it has that from its listener */
	peer.ip = hole.from;
	assert_true(data_holes_came(l.shared.holes, ours, &peer, &hole.at));
	assert_int_equal(l.n_news, 0);
	news = next(&l, DATA_OPEN, DATA_CLIENT);
	assert_int_equal(news.peer.port, 4711);
	forget = expect_asked(&l, IPC_DATA_FORGET);
	assert_int_equal(forget.a, m.a);
	tear_down(&l);
	assert_int_equal(rest_of(client), -1);
	close(client);
}

/* The kernel brings it ahead of the supervisor's answer: it is told in its order. */
static void
test_a_connection_ahead_of_the_answer(void **state)
{
	struct ipc_message m;
	struct data_hole hole;
	struct endpoint peer = {.port = 4711};
	struct lab l;
	int client, ours;

	(void)state;
	set_up(&l, INTERCEPT_TPROXY);
	m = listen_tproxy(&l, &hole);
	loopback_pair(&client, &ours);
	data_arm(ours); /* it has that from its listener */
	peer.ip = hole.from;
	assert_true(data_holes_came(l.shared.holes, ours, &peer, &hole.at));
	next(&l, DATA_LISTENING, DATA_CLIENT);
	next(&l, DATA_OPEN, DATA_CLIENT);
	answer(&l, m.a, IPC_DATA_DONE, -1);
	run(&l, 10);
	assert_int_equal(l.n_news, 0);
	tear_down(&l);
	close(client);
}

static void
test_a_hole_is_forgotten_once(void **state)
{
	struct ipc_message m;
	struct data_hole hole;
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_TPROXY);
	m = listen_tproxy(&l, &hole);
	answer(&l, m.a, IPC_DATA_DONE, -1);
	next(&l, DATA_LISTENING, DATA_CLIENT);
	data_pair_ops.drop(l.pair, DATA_CLIENT, false);
	assert_int_equal(expect_asked(&l, IPC_DATA_FORGET).a, m.a);
	data_pair_ops.close(l.pair);
	l.pair = NULL;
	run(&l, 5);
	assert_false(asked(&l, &m));
	tear_down(&l);
}

/* F-044: from port 20 where it can be had, from any port of the same address where not. */
static void
test_F_044_from_port_20(void **state)
{
	struct sockaddr_in at, from = {.sin_family = AF_INET};
	struct data_dial dial = {.leg = DATA_CLIENT, .from = {.ip = ip("127.0.0.9"), .port = 20}};
	int listener = loopback_listen("127.0.0.1", &at), bound;
	struct data_news news;
	struct ipc_message m;
	struct lab l;

	(void)state;
	dial.to = address_endpoint((const struct sockaddr *)&at);
	set_up(&l, INTERCEPT_TPROXY);
	data_pair_ops.dial(l.pair, &dial, SECONDS);
	m = expect_asked(&l, IPC_DATA_BIND);
	assert_true(ip_eq(&m.flow.destination, &dial.from.ip));
	assert_int_equal(m.flow.port, 20);
	bound = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "127.0.0.9", &from.sin_addr);
	assert_int_equal(bind(bound, (struct sockaddr *)&from, sizeof(from)), 0);
	getsockname(bound, (struct sockaddr *)&from, &(socklen_t){sizeof(from)});
	answer(&l, m.a, IPC_DATA_DONE, bound);
	assert_int_equal(next(&l, DATA_OPEN, DATA_CLIENT).at.port, ntohs(from.sin_port));

	data_pair_ops.dial(l.pair, &dial, SECONDS);
	answer(&l, expect_asked(&l, IPC_DATA_BIND).a, IPC_DATA_FAILED, -1);
	news = next(&l, DATA_OPEN, DATA_CLIENT);
	assert_true(ip_eq(&news.at.ip, &dial.from.ip));
	tear_down(&l);
	close(listener);
}

/* ... and where that port has a connection to the very same place already. */
static void
test_a_port_that_is_in_use(void **state)
{
	struct sockaddr_in at, from = {.sin_family = AF_INET};
	struct data_dial dial = {.leg = DATA_CLIENT, .from = {.ip = ip("127.0.0.9"), .port = 20}};
	int listener = loopback_listen("127.0.0.1", &at), taken, bound, on = 1;
	struct data_news news;
	struct lab l;

	(void)state;
	dial.to = address_endpoint((const struct sockaddr *)&at);
	set_up(&l, INTERCEPT_TPROXY);
	taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bound = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "127.0.0.9", &from.sin_addr);
	setsockopt(taken, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(bound, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(taken, (struct sockaddr *)&from, sizeof(from)), 0);
	getsockname(taken, (struct sockaddr *)&from, &(socklen_t){sizeof(from)});
	assert_int_equal(bind(bound, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(taken, (struct sockaddr *)&at, sizeof(at)), 0);
	data_pair_ops.dial(l.pair, &dial, SECONDS);
	answer(&l, expect_asked(&l, IPC_DATA_BIND).a, IPC_DATA_DONE, bound);
	news = next(&l, DATA_OPEN, DATA_CLIENT);
	assert_true(ip_eq(&news.at.ip, &dial.from.ip));
	assert_int_not_equal(news.at.port, ntohs(from.sin_port));
	tear_down(&l);
	close(taken);
	close(listener);
}

static void
test_let_by_is_counted(void **state)
{
	const struct endpoint client = {.ip = ip("127.0.0.1")},
			      server = {.ip = ip("198.51.100.7"), .port = 40000};
	const struct data_flow download = {.dir = AN_S2C, .stall = 60};
	struct ipc_message m, counted = {.type = IPC_DATA_ANSWER, .octets = {40, 4000}};
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	assert_false(data_pair_ops.let_by(l.pair, &client, &server, SECONDS));
	tear_down(&l);
	set_up(&l, INTERCEPT_TPROXY);
	assert_true(data_pair_ops.let_by(l.pair, &client, &server, SECONDS));
	m = expect_asked(&l, IPC_DATA_PASS);
	answer(&l, m.a, IPC_DATA_DONE, -1);
	assert_int_equal(next(&l, DATA_LISTENING, DATA_CLIENT).at.port, 40000);
	data_pair_ops.flow(l.pair, &download);
	data_pair_ops.release(l.pair); /* from now on it is looked at */
	assert_int_equal(expect_asked(&l, IPC_DATA_COUNT).a, m.a);
	counted.a = m.a;
	assert_int_equal(ipc_send(l.control[1], &counted, NULL, 0), IPC_OK);
	run(&l, 300);
	assert_int_equal(expect_asked(&l, IPC_DATA_COUNT).a, m.a);
	assert_int_equal(data_pair_ops.count(l.pair)->octets[DATA_CLIENT], 4000);
	data_pair_ops.release(l.pair); /* now */
	assert_int_equal(expect_asked(&l, IPC_DATA_COUNT).a, m.a);
	assert_int_equal(expect_asked(&l, IPC_DATA_FORGET).a, m.a);
	assert_int_equal(ipc_send(l.control[1], &counted, NULL, 0), IPC_OK); /* to the look */
	counted.octets[1] = 5000;
	assert_int_equal(ipc_send(l.control[1], &counted, NULL, 0), IPC_OK);
	next(&l, DATA_DONE, DATA_SERVER);
	assert_int_equal(data_pair_ops.count(l.pair)->octets[DATA_CLIENT], 5000);
	tear_down(&l);
}

/* F_040: nothing moves for as long as flow() allows; what went by until then is known. */
static void
test_F_040_let_by_and_stalled(void **state)
{
	const struct endpoint client = {.ip = ip("127.0.0.1")},
			      server = {.ip = ip("198.51.100.7"), .port = 40000};
	const struct data_flow up = {.dir = AN_C2S, .stall = 1};
	struct ipc_message m, look, counted = {.type = IPC_DATA_ANSWER, .octets = {5000, 40}};
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_TPROXY);
	assert_true(data_pair_ops.let_by(l.pair, &client, &server, 1));
	m = expect_asked(&l, IPC_DATA_PASS);
	answer(&l, m.a, IPC_DATA_DONE, -1);
	next(&l, DATA_LISTENING, DATA_CLIENT);
	data_pair_ops.flow(l.pair, &up);
	counted.a = m.a;
	for (unsigned i = 0; i < 3; i++) { /* after a second, and each half second */
		for (unsigned ms = 0; !asked(&l, &look); ms++) {
			assert_true(ms < 3000);
			run(&l, 1);
		}
		assert_int_equal(look.type, IPC_DATA_COUNT);
		assert_int_equal(look.a, m.a);
		assert_int_equal(l.n_news, 0);
		assert_int_equal(ipc_send(l.control[1], &counted, NULL, 0), IPC_OK);
	}
	assert_string_equal(next(&l, DATA_UNREACHABLE, DATA_CLIENT).why, "stalled");
	assert_int_equal(expect_asked(&l, IPC_DATA_FORGET).a, m.a);
	assert_int_equal(data_pair_ops.count(l.pair)->octets[DATA_SERVER], 5000);
	tear_down(&l);
}

/* ---- requests ---- */

static void
on_answered(void *arg, const struct data_answer *a)
{
	unsigned *n = arg;

	assert_int_equal(a->result, IPC_DATA_DONE);
	assert_int_equal(a->fd, -1);
	(*n)++;
}

/* More than the pair of sockets takes at once: none is lost, all are answered. */
static void
test_many_requests(void **state)
{
	struct ipc_message m = {.type = IPC_DATA_COUNT}, got;
	unsigned answered = 0, heard = 0, asks = 0;
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_TPROXY);
	for (;; asks++) {
		m.a = data_requests_number(l.shared.requests);
		if (data_requests_ask(l.shared.requests, &m, on_answered, &answered) == NULL)
			break;
	}
	assert_int_equal(asks, DATA_REQUESTS_MAX);
	for (int i = 0; i < 3000 && answered < asks; i++) {
		while (asked(&l, &got)) {
			assert_int_equal(got.a, ++heard);
			answer(&l, got.a, IPC_DATA_DONE, -1);
			event_base_loop(l.base, EVLOOP_NONBLOCK);
		}
		run(&l, 1);
	}
	assert_int_equal(answered, asks);
	tear_down(&l);
}

/* An answer that nobody waits for does no harm, and its descriptor is closed. */
static void
test_answers_to_nobody(void **state)
{
	struct sockaddr_in at;
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	answer(&l, 77, IPC_DATA_DONE, loopback_listen("127.0.0.1", &at));
	run(&l, 10);
	assert_true(refuses(&at));
	tear_down(&l);
}

static void
test_the_supervisor_is_gone(void **state)
{
	const struct ipc_message m = {.type = IPC_SERVING};
	struct lab l;

	(void)state;
	set_up(&l, INTERCEPT_OFF);
	event_del(l.heard);
	shutdown(l.control[1], SHUT_RDWR);
	data_requests_post(l.shared.requests, &m);
	assert_true(l.lost);
	tear_down(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_whole_transfer),
	    cmocka_unit_test(test_a_download_asked_for_early),
	    cmocka_unit_test(test_stray_octets_behind_the_end),
	    cmocka_unit_test(test_reset_cuts_both),
	    cmocka_unit_test(test_F_037_a_client_that_is_reset),
	    cmocka_unit_test(test_F_041_closed_in_the_middle),
	    cmocka_unit_test(test_closed_from_within_news),
	    cmocka_unit_test(test_F_014_F_015_one_peer_once),
	    cmocka_unit_test(test_F_042_nobody_comes),
	    cmocka_unit_test(test_nobody_is_there),
	    cmocka_unit_test(test_dropped_ahead_of_its_answer),
	    cmocka_unit_test(test_another_port_is_chosen),
	    cmocka_unit_test(test_a_hole_without_an_answer),
	    cmocka_unit_test(test_no_port_is_free),
	    cmocka_unit_test(test_pending_connects_are_bounded),
	    cmocka_unit_test(test_expected_off_the_wire),
	    cmocka_unit_test(test_a_connection_ahead_of_the_answer),
	    cmocka_unit_test(test_a_hole_is_forgotten_once),
	    cmocka_unit_test(test_F_044_from_port_20),
	    cmocka_unit_test(test_a_port_that_is_in_use),
	    cmocka_unit_test(test_let_by_is_counted),
	    cmocka_unit_test(test_F_040_let_by_and_stalled),
	    cmocka_unit_test(test_many_requests),
	    cmocka_unit_test(test_answers_to_nobody),
	    cmocka_unit_test(test_the_supervisor_is_gone),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
