/* Octets of one transfer between real sockets: whole or cut, never in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "data_pump.h"
#include "loopback.h"

#define STALL 30

/* source_peer -> [source, pump, sink] -> sink_peer, an upload */
struct lab {
	struct event_base *base;
	struct data_pipes pipes;
	struct data_pump *pump;
	struct data_count count;
	int source_peer, source, sink, sink_peer;
	bool ended, done, cut, stops;
	enum data_leg fault;
	const char *why;
	uint64_t shown, sum; /* octets shown, and what they add up to */
};

static bool
on_octets(void *arg, struct span s)
{
	struct lab *l = arg;

	l->shown += s.n;
	for (size_t i = 0; i < s.n; i++)
		l->sum = l->sum * 31 + s.p[i];
	if (l->stops) {
		data_pump_free(l->pump);
		l->pump = NULL;
		return false;
	}
	return true;
}

static void
on_told(void *arg, enum pump_what what, enum data_leg leg, const char *why)
{
	struct lab *l = arg;

	assert_false(l->done || l->cut);
	if (what == PUMP_SOURCE_END)
		l->ended = true;
	else if (what == PUMP_DONE)
		l->done = true;
	else
		l->cut = true;
	l->fault = leg;
	l->why = why;
}

static void
arm(int fd)
{
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
}

/* Its sockets are there. */
static void
begin(struct lab *l, bool look, size_t hold, unsigned stall)
{
	struct pump_plan plan = {.source = DATA_CLIENT,
	    .count = &l->count,
	    .look = look,
	    .hold = hold,
	    .stall = stall,
	    .octets = on_octets,
	    .told = on_told,
	    .arg = l};

	l->base = event_base_new();
	arm(l->source);
	arm(l->sink);
	plan.fds[DATA_CLIENT] = l->source;
	plan.fds[DATA_SERVER] = l->sink;
	l->pump = data_pump_new(l->base, &l->pipes, &plan);
	assert_non_null(l->pump);
}

static void
set_up(struct lab *l, bool look, size_t hold, unsigned stall)
{
	*l = (struct lab){0};
	loopback_pair(&l->source_peer, &l->source);
	loopback_pair(&l->sink_peer, &l->sink);
	begin(l, look, hold, stall);
}

/* The gateway's end of both, as a pair does it. */
static void
close_ours(struct lab *l)
{
	data_pump_free(l->pump);
	l->pump = NULL;
	if (l->source >= 0)
		close(l->source);
	if (l->sink >= 0)
		close(l->sink);
	l->source = l->sink = -1;
}

static void
tear_down(struct lab *l)
{
	close_ours(l);
	close(l->source_peer);
	close(l->sink_peer);
	data_pipes_free(&l->pipes);
	event_base_free(l->base);
}

/* The loop, for so long, or until something that is the end. */
static void
run(struct lab *l, int ms)
{
	for (int i = 0; i < ms && !l->done && !l->cut; i++) {
		event_base_loop(l->base, EVLOOP_NONBLOCK);
		poll(NULL, 0, 1);
	}
}

static void
put(int fd, size_t n)
{
	uint8_t octets[4096];

	while (n > 0) {
		size_t some = n < sizeof(octets) ? n : sizeof(octets);

		memset(octets, (int)(n % 251), sizeof(octets));
		assert_int_equal(send(fd, octets, some, MSG_NOSIGNAL), (ssize_t)some);
		n -= some;
	}
}

/* What is there now. */
static size_t
take(int fd)
{
	uint8_t octets[65536];
	size_t n = 0;
	ssize_t got;

	while ((got = recv(fd, octets, sizeof(octets), MSG_DONTWAIT)) > 0)
		n += (size_t)got;
	return n;
}

/* How the stream ends that a peer sees: 0 well, ECONNRESET cut, EAGAIN not yet. */
static int
end_of(int fd)
{
	uint8_t octets[65536];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t got;

	do {
		if (poll(&p, 1, 300) == 0)
			return EAGAIN;
		got = recv(fd, octets, sizeof(octets), MSG_DONTWAIT);
	} while (got > 0);
	return got == 0 ? 0 : errno;
}

/* ---- many octets: a thread at each end ---- */

struct stream {
	int fd;
	size_t n;
	uint64_t sum;
	unsigned pause; /* microseconds between two reads */
};

static void *
send_stream(void *arg)
{
	struct stream *s = arg;
	uint8_t octets[50000];
	uint32_t x = 1;

	for (size_t left = s->n; left > 0;) {
		size_t some = left < sizeof(octets) ? left : sizeof(octets);

		for (size_t i = 0; i < some; i++) {
			x = x * 1664525u + 1013904223u;
			octets[i] = (uint8_t)(x >> 24);
			s->sum = s->sum * 31 + octets[i];
		}
		if (send(s->fd, octets, some, MSG_NOSIGNAL) != (ssize_t)some)
			return NULL;
		left -= some;
	}
	shutdown(s->fd, SHUT_WR);
	return NULL;
}

static void *
receive_stream(void *arg)
{
	struct stream *s = arg;
	uint8_t octets[50000];
	ssize_t n;

	while ((n = recv(s->fd, octets, sizeof(octets), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			s->sum = s->sum * 31 + octets[i];
		s->n += (size_t)n;
		usleep(s->pause);
	}
	return NULL;
}

static void
whole(bool look, size_t hold, size_t n, unsigned pause)
{
	struct lab l;
	struct stream in = {.n = n}, out = {.pause = pause};
	pthread_t sender, receiver;

	set_up(&l, look, hold, STALL);
	in.fd = l.source_peer;
	out.fd = l.sink_peer;
	pthread_create(&sender, NULL, send_stream, &in);
	pthread_create(&receiver, NULL, receive_stream, &out);
	while (!l.done && !l.cut) {
		event_base_loop(l.base, EVLOOP_ONCE);
		if (l.ended && hold > 0 && l.pump != NULL)
			data_pump_release(l.pump);
	}
	assert_true(l.done);
	assert_true(l.ended);
	close_ours(&l);
	pthread_join(sender, NULL);
	pthread_join(receiver, NULL);
	assert_int_equal(out.n, n);
	assert_true(out.sum == in.sum);
	assert_int_equal(l.count.octets[DATA_CLIENT], n);
	assert_int_equal(l.count.octets[DATA_SERVER], n);
	assert_int_equal(l.shown, look ? n : 0);
	assert_true(!look || l.sum == in.sum);
	assert_true((l.count.began != 0) == (n > 0));
	tear_down(&l);
}

static void
test_whole(void **state)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 327680, 1u << 20, (8u << 20) + 7};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		whole(false, 0, sizes[i], 0);
		whole(true, 0, sizes[i], 0);
		whole(true, DATA_HOLD_MAX, sizes[i], 0);
		whole(true, 1000, sizes[i], 0);
	}
}

static void
test_a_slow_sink_holds_the_source_back(void **state)
{
	(void)state;
	whole(false, 0, 6u << 20, 300);
	whole(true, DATA_HOLD_MAX, 6u << 20, 300);
}

/* ---- bounds ---- */

static void
fill(int fd)
{
	uint8_t octets[4096] = {0};

	while (send(fd, octets, sizeof(octets), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		continue;
}

static void
bounded(bool look, size_t hold, uint64_t most)
{
	struct lab l;
	int small = 65536;

	set_up(&l, look, hold, STALL);
	setsockopt(l.sink, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (int i = 0; i < 100; i++) {
		fill(l.source_peer);
		run(&l, 2);
	}
	assert_true(l.count.octets[DATA_CLIENT] - l.count.octets[DATA_SERVER] <= most);
	assert_true(l.count.octets[DATA_SERVER] > 0);
	tear_down(&l);
}

/* A sink that takes nothing: no more than a ring, or a pipe, is read ahead. */
static void
test_memory_is_bounded(void **state)
{
	(void)state;
	bounded(true, 0, DATA_RING);
	bounded(true, DATA_HOLD_MAX, DATA_RING + DATA_HOLD_MAX);
	bounded(false, 0, DATA_PIPE_OCTETS);
}

/* ---- how many calls ---- */

static unsigned reads, writes; /* that moved octets */

ssize_t __real_recvmsg(int, struct msghdr *, int);
ssize_t __real_sendmsg(int, const struct msghdr *, int);
ssize_t __wrap_recvmsg(int, struct msghdr *, int);
ssize_t __wrap_sendmsg(int, const struct msghdr *, int);

ssize_t
__wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n = __real_recvmsg(fd, m, flags);

	reads += n > 0;
	return n;
}

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t n = __real_sendmsg(fd, m, flags);

	writes += n > 0;
	return n;
}

/* Ours has room for all that is sent, either way, from its first packet on. */
static void
roomy_pair(int *peer, int *ours)
{
	const int room = 1 << 20;
	struct sockaddr_in at;
	int listener = loopback_listen("127.0.0.1", &at);

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	*peer = loopback_connect("127.0.0.1", &at);
	*ours = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ours >= 0);
	close(listener);
}

static void
wait_until_queued(int fd, size_t n)
{
	int there = 0;

	for (int i = 0; i < 2000 && (size_t)there < n; i++) {
		assert_int_equal(ioctl(fd, FIONREAD, &there), 0);
		poll(NULL, 0, 1);
	}
	assert_int_equal(there, n);
}

static void
take_all(int fd, size_t n)
{
	size_t taken = 0;

	for (int i = 0; i < 2000 && taken < n; i++) {
		taken += take(fd);
		poll(NULL, 0, 1);
	}
	assert_int_equal(taken, n);
}

/* Once a read was short the octets lie across the ring's end, which must cut neither call in two.
 */
static void
calls_behind_a_short_read(size_t hold)
{
	const unsigned full = 2;
	struct lab l = {0};

	roomy_pair(&l.source_peer, &l.source);
	roomy_pair(&l.sink_peer, &l.sink);
	begin(&l, true, hold, STALL);
	put(l.source_peer, hold + 1000);
	run(&l, 20);
	take_all(l.sink_peer, 1000);
	reads = writes = 0;
	put(l.source_peer, full * DATA_RING);
	wait_until_queued(l.source, full * DATA_RING);
	run(&l, 20);
	take_all(l.sink_peer, full * DATA_RING);
	assert_int_equal(reads, full);
	assert_int_equal(writes, full);
	tear_down(&l);
}

static void
test_a_call_takes_what_fits_the_ring(void **state)
{
	(void)state;
	calls_behind_a_short_read(0);
	calls_behind_a_short_read(DATA_RING / 2);
}

/* ---- the window ---- */

static void
test_a_window_stays_until_the_verdict(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l, true, 1000, STALL);
	put(l.source_peer, 999);
	run(&l, 20);
	assert_int_equal(take(l.sink_peer), 0);
	put(l.source_peer, 501);
	run(&l, 20);
	assert_int_equal(take(l.sink_peer), 500);
	shutdown(l.source_peer, SHUT_WR);
	run(&l, 20);
	assert_true(l.ended);
	assert_false(l.done);
	assert_int_equal(l.shown, 1500);
	assert_int_equal(take(l.sink_peer), 0);
	data_pump_release(l.pump);
	assert_false(l.done); /* never from within */
	run(&l, 20);
	assert_true(l.done);
	assert_int_equal(take(l.sink_peer), 1000);
	assert_int_equal(end_of(l.sink_peer), 0);
	tear_down(&l);
}

/* Nothing came, and nothing is held but the end: a file of that name may be refused. */
static void
test_the_end_of_an_empty_file_waits_for_the_verdict(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l, true, 1000, STALL);
	shutdown(l.source_peer, SHUT_WR);
	run(&l, 20);
	assert_true(l.ended);
	assert_false(l.done);
	data_pump_release(l.pump);
	run(&l, 20);
	assert_true(l.done);
	assert_int_equal(end_of(l.sink_peer), 0);
	tear_down(&l);
}

static void
test_a_window_that_is_refused_is_a_reset(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l, true, DATA_HOLD_MAX, STALL);
	put(l.source_peer, 5000);
	shutdown(l.source_peer, SHUT_WR);
	run(&l, 20);
	assert_true(l.ended);
	close_ours(&l);
	assert_int_equal(l.count.octets[DATA_SERVER], 0);
	assert_int_equal(end_of(l.sink_peer), ECONNRESET);
	assert_int_equal(end_of(l.source_peer), ECONNRESET);
	tear_down(&l);
}

static void
test_release_in_the_middle(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l, true, DATA_HOLD_MAX, STALL);
	put(l.source_peer, 5000);
	run(&l, 20);
	data_pump_release(l.pump);
	run(&l, 20);
	assert_int_equal(take(l.sink_peer), 5000);
	put(l.source_peer, 7);
	run(&l, 20);
	assert_int_equal(take(l.sink_peer), 7);
	tear_down(&l);
}

/* Whoever looks may have seen enough: the pump is gone from within. */
static void
test_stopped_while_looking(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l, true, 0, STALL);
	l.stops = true;
	put(l.source_peer, 5000);
	run(&l, 20);
	assert_null(l.pump);
	assert_false(l.done || l.cut || l.ended);
	tear_down(&l);
}

/* ---- cuts ---- */

static void
reset(int *fd)
{
	arm(*fd);
	close(*fd);
	*fd = -1;
}

/* F-037: a source that is reset ends with a reset at the sink. */
static void
test_F_037_source_is_reset(void **state)
{
	(void)state;
	for (int look = 0; look < 2; look++) {
		struct lab l;

		set_up(&l, look == 1, 0, STALL);
		put(l.source_peer, 100000);
		run(&l, 20);
		reset(&l.source_peer);
		run(&l, 1000);
		assert_true(l.cut);
		assert_false(l.ended);
		assert_string_equal(l.why, "reset");
		assert_int_equal(l.fault, DATA_CLIENT);
		close_ours(&l);
		assert_int_equal(end_of(l.sink_peer), ECONNRESET);
		tear_down(&l);
	}
}

static void
test_sink_is_reset(void **state)
{
	(void)state;
	for (int look = 0; look < 2; look++) {
		struct lab l;

		set_up(&l, look == 1, 0, STALL);
		run(&l, 5);
		reset(&l.sink_peer);
		run(&l, 1000);
		assert_true(l.cut);
		assert_int_equal(l.fault, DATA_SERVER);
		close_ours(&l);
		assert_int_equal(end_of(l.source_peer), ECONNRESET);
		tear_down(&l);
	}
}

/* The sink has closed for good, octets go on: it is a cut, and not done. */
static void
test_sink_closes_early(void **state)
{
	(void)state;
	for (int look = 0; look < 2; look++) {
		struct lab l;

		set_up(&l, look == 1, 0, STALL);
		close(l.sink_peer);
		l.sink_peer = -1;
		run(&l, 10);
		assert_false(l.cut);
		put(l.source_peer, 1000);
		run(&l, 20);
		put(l.source_peer, 1000);
		run(&l, 1000);
		assert_true(l.cut);
		assert_int_equal(l.fault, DATA_SERVER);
		tear_down(&l);
	}
}

/* A sink that only says that it sends nothing gets everything. */
static void
test_half_closed_sink(void **state)
{
	(void)state;
	for (int look = 0; look < 2; look++) {
		struct lab l;

		set_up(&l, look == 1, 0, STALL);
		shutdown(l.sink_peer, SHUT_WR);
		run(&l, 10);
		put(l.source_peer, 100000);
		shutdown(l.source_peer, SHUT_WR);
		run(&l, 1000);
		assert_true(l.done);
		assert_int_equal(take(l.sink_peer), 100000);
		assert_int_equal(end_of(l.sink_peer), 0);
		tear_down(&l);
	}
}

static void
test_stray_octets_go_nowhere(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l, false, 0, STALL);
	put(l.sink_peer, 300000);
	run(&l, 30);
	put(l.source_peer, 10);
	shutdown(l.source_peer, SHUT_WR);
	run(&l, 1000);
	assert_true(l.done);
	assert_int_equal(l.count.stray, 300000);
	assert_int_equal(take(l.source_peer), 0);
	assert_int_equal(take(l.sink_peer), 10);
	tear_down(&l);
}

/* F-040 */
static void
test_F_040_stalled(void **state)
{
	(void)state;
	for (int look = 0; look < 2; look++) {
		struct lab l;

		set_up(&l, look == 1, 0, 1);
		run(&l, 500);
		put(l.source_peer, 10);
		run(&l, 700);
		assert_false(l.cut); /* an octet came in the middle */
		run(&l, 1500);
		assert_true(l.cut);
		assert_string_equal(l.why, "stalled");
		assert_int_equal(l.fault, DATA_CLIENT);
		tear_down(&l);
	}
}

/* What waits for a verdict does not stall. */
static void
test_a_held_window_does_not_stall(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l, true, 1000, 1);
	put(l.source_peer, 10);
	shutdown(l.source_peer, SHUT_WR);
	run(&l, 2500);
	assert_true(l.ended);
	assert_false(l.cut);
	data_pump_release(l.pump);
	run(&l, 100);
	assert_true(l.done);
	tear_down(&l);
}

/* F-038: until the end has gone out, a process that is killed is a reset; behind it, it is none. */
static void
test_F_038_armed_until_the_end(void **state)
{
	struct lab l;
	struct linger linger;

	(void)state;
	set_up(&l, true, 1000, STALL);
	put(l.source_peer, 2000);
	shutdown(l.source_peer, SHUT_WR);
	run(&l, 20);
	getsockopt(l.sink, SOL_SOCKET, SO_LINGER, &linger, &(socklen_t){sizeof(linger)});
	assert_int_equal(linger.l_onoff, 1);
	assert_int_equal(linger.l_linger, 0);
	data_pump_release(l.pump);
	run(&l, 100);
	assert_true(l.done);
	getsockopt(l.sink, SOL_SOCKET, SO_LINGER, &linger, &(socklen_t){sizeof(linger)});
	assert_int_equal(linger.l_onoff, 0);
	close_ours(&l);
	assert_int_equal(take(l.sink_peer), 2000);
	assert_int_equal(end_of(l.sink_peer), 0);
	tear_down(&l);
}

/* Peers that keep up need no pipe of their own. */
static void
test_pipes_are_shared(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l, false, 0, STALL);
	for (int i = 0; i < 10; i++) {
		put(l.source_peer, 10000);
		run(&l, 5);
		assert_int_equal(take(l.sink_peer), 10000);
		assert_int_equal(l.pipes.n, 1);
	}
	tear_down(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_a_slow_sink_holds_the_source_back),
	    cmocka_unit_test(test_memory_is_bounded),
	    cmocka_unit_test(test_a_call_takes_what_fits_the_ring),
	    cmocka_unit_test(test_a_window_stays_until_the_verdict),
	    cmocka_unit_test(test_a_window_that_is_refused_is_a_reset),
	    cmocka_unit_test(test_the_end_of_an_empty_file_waits_for_the_verdict),
	    cmocka_unit_test(test_release_in_the_middle),
	    cmocka_unit_test(test_stopped_while_looking),
	    cmocka_unit_test(test_F_037_source_is_reset),
	    cmocka_unit_test(test_sink_is_reset),
	    cmocka_unit_test(test_sink_closes_early),
	    cmocka_unit_test(test_half_closed_sink),
	    cmocka_unit_test(test_stray_octets_go_nowhere),
	    cmocka_unit_test(test_F_040_stalled),
	    cmocka_unit_test(test_a_held_window_does_not_stall),
	    cmocka_unit_test(test_F_038_armed_until_the_end),
	    cmocka_unit_test(test_pipes_are_shared),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
