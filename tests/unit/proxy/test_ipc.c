/* V-004: whatever a worker writes on its end, the other side takes no harm and says what is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "ipc.h"

static int
set_up(void **state)
{
	int *ends = calloc(2, sizeof(int));

	assert_non_null(ends);
	assert_true(ipc_pair(ends));
	*state = ends;
	return 0;
}

static int
tear_down(void **state)
{
	int *ends = *state;

	close(ends[0]);
	close(ends[1]);
	free(ends);
	return 0;
}

static int
count_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Octets as they are, with n copies of a descriptor. */
static void
send_raw(int end, const void *octets, size_t size, size_t n)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(253 * sizeof(int))];
	} control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)octets, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n > 0) {
		control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
		for (size_t i = 0; i < n; i++)
			memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &end, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	assert_int_equal(sendmsg(end, &msg, 0), (ssize_t)size);
}

static enum ipc_result
receive(int end, enum ipc_peer from, struct ipc_message *m, size_t *n)
{
	int fds[IPC_FDS_MAX];
	const char *why = NULL;
	enum ipc_result got = ipc_receive(end, from, m, fds, n, &why);

	if (got == IPC_OK)
		for (size_t i = 0; i < *n; i++) {
			assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
			close(fds[i]);
		}
	else
		assert_int_equal(*n, 0);
	assert_true((got == IPC_GARBAGE) == (why != NULL));
	return got;
}

#define V4(a, b, c, d)                                                                             \
	{                                                                                          \
		IP_V4,                                                                             \
		{                                                                                  \
			a, b, c, d                                                                 \
		}                                                                                  \
	}
#define V6(last)                                                                                   \
	{                                                                                          \
		IP_V6,                                                                             \
		{                                                                                  \
			0x20, 0x01, 0x0d, 0xb8, [15] = (last)                                      \
		}                                                                                  \
	}
#define CLIENT V4(10, 0, 0, 1)
#define SERVER V4(192, 0, 2, 9)
#define NOBODY                                                                                     \
	{                                                                                          \
		IP_NONE,                                                                           \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

#define SAYS(t, a_, b_)                                                                            \
	{                                                                                          \
		.type = (t), .a = (a_), .b = (b_)                                                  \
	}
#define ABOUT(t, a_, b_, ...)                                                                      \
	{                                                                                          \
		.type = (t), .a = (a_), .b = (b_), .flow = { __VA_ARGS__ }                         \
	}
#define COUNTS(t, a_, b_, ...)                                                                     \
	{                                                                                          \
		.type = (t), .a = (a_), .b = (b_), .octets = { __VA_ARGS__ }                       \
	}

static const struct {
	const char *name;
	struct ipc_message m;
	size_t n;
	enum ipc_peer from;
	bool good;
} cases[] = {
    {"ready", SAYS(IPC_READY, 0, 0), 0, IPC_FROM_WORKER, true},
    {"ready of nobody", SAYS(IPC_READY, 0, 0), 0, IPC_FROM_LOGGER, false},
    {"ready with a value", SAYS(IPC_READY, 1, 0), 0, IPC_FROM_WORKER, false},
    {"ready with a descriptor", SAYS(IPC_READY, 0, 0), 1, IPC_FROM_WORKER, false},
    {"serving", SAYS(IPC_SERVING, 0, 0), 0, IPC_FROM_WORKER, true},
    {"sockets, IPv4", SAYS(IPC_MORE_SOCKETS, 4, 1), 0, IPC_FROM_WORKER, true},
    {"sockets, IPv6", SAYS(IPC_MORE_SOCKETS, 6, IPC_SOCKETS_MAX), 0, IPC_FROM_WORKER, true},
    {"sockets, IPv5", SAYS(IPC_MORE_SOCKETS, 5, 1), 0, IPC_FROM_WORKER, false},
    {"sockets, IPv7", SAYS(IPC_MORE_SOCKETS, 7, 1), 0, IPC_FROM_WORKER, false},
    {"no sockets", SAYS(IPC_MORE_SOCKETS, 4, 0), 0, IPC_FROM_WORKER, false},
    {"too many sockets", SAYS(IPC_MORE_SOCKETS, 4, IPC_SOCKETS_MAX + 1), 0, IPC_FROM_WORKER, false},
    {"a worker commands", SAYS(IPC_SERVE, 0, 0), 0, IPC_FROM_WORKER, false},
    {"a worker hands over", SAYS(IPC_SOCKETS, 4, 0), 3, IPC_FROM_WORKER, false},
    {"type 0", SAYS(0, 0, 0), 0, IPC_FROM_WORKER, false},
    {"a type behind the last", SAYS(IPC_TYPE_COUNT, 0, 0), 0, IPC_FROM_WORKER, false},
    {"a huge type", SAYS(UINT32_MAX, 0, 0), 0, IPC_FROM_WORKER, false},
    {"listener", SAYS(IPC_LISTENER, IPC_LISTEN_FORWARD, 255), 1, IPC_FROM_SUPERVISOR_TO_WORKER,
	true},
    {"listener without one", SAYS(IPC_LISTENER, 0, 0), 0, IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"two listeners", SAYS(IPC_LISTENER, 0, 0), 2, IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"listener of no kind", SAYS(IPC_LISTENER, IPC_LISTEN_COUNT, 0), 1,
	IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"sockets", SAYS(IPC_SOCKETS, 6, 0), IPC_FDS_MAX, IPC_FROM_SUPERVISOR_TO_WORKER, true},
    {"sockets of IPv5", SAYS(IPC_SOCKETS, 5, 0), 1, IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"retire", SAYS(IPC_RETIRE, UINT32_MAX, 0), 0, IPC_FROM_SUPERVISOR_TO_WORKER, true},
    {"a logger's file to a worker", SAYS(IPC_LOG_FILE, 0, 0), 1, IPC_FROM_SUPERVISOR_TO_WORKER,
	false},
    {"file", SAYS(IPC_LOG_FILE, 0, 0), 1, IPC_FROM_SUPERVISOR_TO_LOGGER, true},
    {"xferlog", SAYS(IPC_LOG_FILE, 1, 0), 1, IPC_FROM_SUPERVISOR_TO_LOGGER, true},
    {"file of no kind", SAYS(IPC_LOG_FILE, 2, 0), 1, IPC_FROM_SUPERVISOR_TO_LOGGER, false},
    {"pipe", SAYS(IPC_LOG_PIPE, 255, 0), 1, IPC_FROM_SUPERVISOR_TO_LOGGER, true},
    {"pipe of the supervisor", SAYS(IPC_LOG_PIPE, IPC_SLOT_SUPERVISOR, 0), 1,
	IPC_FROM_SUPERVISOR_TO_LOGGER, true},
    {"pipe of no slot", SAYS(IPC_LOG_PIPE, 256, 0), 1, IPC_FROM_SUPERVISOR_TO_LOGGER, false},
    {"rotate", SAYS(IPC_LOG_ROTATE, IPC_ROTATE_AGE, 0), 0, IPC_FROM_LOGGER, true},
    {"rotate for no reason", SAYS(IPC_LOG_ROTATE, IPC_ROTATE_COUNT, 0), 0, IPC_FROM_LOGGER, false},
    {"ready with a connection", ABOUT(IPC_READY, 0, 0, CLIENT, SERVER, 2000), 0, IPC_FROM_WORKER,
	false},
    {"ready with octets", COUNTS(IPC_READY, 0, 0, 1, 0), 0, IPC_FROM_WORKER, false},
    {"data listener", SAYS(IPC_LISTENER, IPC_LISTEN_DATA4, 30016), 1, IPC_FROM_SUPERVISOR_TO_WORKER,
	true},
    {"data listener on no port", SAYS(IPC_LISTENER, IPC_LISTEN_DATA6, 0), 1,
	IPC_FROM_SUPERVISOR_TO_WORKER, false},

    {"expect", ABOUT(IPC_DATA_EXPECT, 7, 30, CLIENT, SERVER, 2000), 0, IPC_FROM_WORKER, true},
    {"expect, IPv6", ABOUT(IPC_DATA_EXPECT, UINT32_MAX, 1, V6(1), V6(2), 65535), 0, IPC_FROM_WORKER,
	true},
    {"expect of the longest", ABOUT(IPC_DATA_EXPECT, 7, IPC_DATA_SECONDS_MAX, CLIENT, SERVER, 1024),
	0, IPC_FROM_WORKER, true},
    {"expect for ever", ABOUT(IPC_DATA_EXPECT, 7, IPC_DATA_SECONDS_MAX + 1, CLIENT, SERVER, 2000),
	0, IPC_FROM_WORKER, false},
    {"expect for no time", ABOUT(IPC_DATA_EXPECT, 7, 0, CLIENT, SERVER, 2000), 0, IPC_FROM_WORKER,
	false},
    {"expect with a descriptor", ABOUT(IPC_DATA_EXPECT, 7, 30, CLIENT, SERVER, 2000), 1,
	IPC_FROM_WORKER, false},
    {"expect of the supervisor", ABOUT(IPC_DATA_EXPECT, 7, 30, CLIENT, SERVER, 2000), 0,
	IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"F_002 F10 expect below 1024", ABOUT(IPC_DATA_EXPECT, 7, 30, CLIENT, SERVER, 1023), 0,
	IPC_FROM_WORKER, false},
    {"expect on no port", ABOUT(IPC_DATA_EXPECT, 7, 30, CLIENT, SERVER, 0), 0, IPC_FROM_WORKER,
	false},
    {"F_014 expect from anybody", ABOUT(IPC_DATA_EXPECT, 7, 30, NOBODY, SERVER, 2000), 0,
	IPC_FROM_WORKER, false},
    {"expect to nobody", ABOUT(IPC_DATA_EXPECT, 7, 30, CLIENT, NOBODY, 2000), 0, IPC_FROM_WORKER,
	false},
    {"expect from 0.0.0.0", ABOUT(IPC_DATA_EXPECT, 7, 30, V4(0, 0, 0, 0), SERVER, 2000), 0,
	IPC_FROM_WORKER, false},
    {"expect to ::", ABOUT(IPC_DATA_EXPECT, 7, 30, V6(1), {IP_V6, {0}}, 2000), 0, IPC_FROM_WORKER,
	false},
    {"expect of two families", ABOUT(IPC_DATA_EXPECT, 7, 30, CLIENT, V6(2), 2000), 0,
	IPC_FROM_WORKER, false},
    {"expect of family 5", ABOUT(IPC_DATA_EXPECT, 7, 30, {(enum ip_family)5, {10}}, SERVER, 2000),
	0, IPC_FROM_WORKER, false},
    {"expect of a huge family",
	ABOUT(IPC_DATA_EXPECT, 7, 30, {(enum ip_family)0x80000004u, {10}}, SERVER, 2000), 0,
	IPC_FROM_WORKER, false},
    {"expect with more than an IPv4 address",
	ABOUT(IPC_DATA_EXPECT, 7, 30, {IP_V4, {10, 0, 0, 1, [15] = 1}}, SERVER, 2000), 0,
	IPC_FROM_WORKER, false},
    {"expect of a mapped address",
	ABOUT(IPC_DATA_EXPECT, 7, 30, {IP_V6, {[10] = 0xff, 0xff, 10, 0, 0, 1}}, V6(2), 2000), 0,
	IPC_FROM_WORKER, false},
    {"expect with octets",
	{.type = IPC_DATA_EXPECT,
	    .a = 7,
	    .b = 30,
	    .flow = {CLIENT, SERVER, 2000},
	    .octets = {0, 1}},
	0, IPC_FROM_WORKER, false},
    {"pass", ABOUT(IPC_DATA_PASS, 7, 30, CLIENT, SERVER, 2000), 0, IPC_FROM_WORKER, true},
    {"F_002 pass below 1024", ABOUT(IPC_DATA_PASS, 7, 30, CLIENT, SERVER, 25), 0, IPC_FROM_WORKER,
	false},
    {"pass for no time", ABOUT(IPC_DATA_PASS, 7, 0, CLIENT, SERVER, 2000), 0, IPC_FROM_WORKER,
	false},
    {"forget", SAYS(IPC_DATA_FORGET, 7, 0), 0, IPC_FROM_WORKER, true},
    {"forget with a connection", ABOUT(IPC_DATA_FORGET, 7, 0, CLIENT, SERVER, 2000), 0,
	IPC_FROM_WORKER, false},
    {"forget with a value", SAYS(IPC_DATA_FORGET, 7, 1), 0, IPC_FROM_WORKER, false},
    {"count", SAYS(IPC_DATA_COUNT, 7, 0), 0, IPC_FROM_WORKER, true},
    {"count of a logger", SAYS(IPC_DATA_COUNT, 7, 0), 0, IPC_FROM_LOGGER, false},
    {"listen", ABOUT(IPC_DATA_LISTEN, 7, 0, NOBODY, SERVER, 0), 0, IPC_FROM_WORKER, true},
    {"listen on a port", ABOUT(IPC_DATA_LISTEN, 7, 0, NOBODY, SERVER, 2000), 0, IPC_FROM_WORKER,
	false},
    {"listen everywhere", ABOUT(IPC_DATA_LISTEN, 7, 0, NOBODY, V4(0, 0, 0, 0), 0), 0,
	IPC_FROM_WORKER, false},
    {"listen nowhere", SAYS(IPC_DATA_LISTEN, 7, 0), 0, IPC_FROM_WORKER, false},
    {"listen for somebody", ABOUT(IPC_DATA_LISTEN, 7, 0, CLIENT, SERVER, 0), 0, IPC_FROM_WORKER,
	false},
    {"F_044 bind to 20", ABOUT(IPC_DATA_BIND, 7, 0, NOBODY, SERVER, 20), 0, IPC_FROM_WORKER, true},
    {"bind to any port", ABOUT(IPC_DATA_BIND, 7, 0, NOBODY, V6(2), 0), 0, IPC_FROM_WORKER, true},
    {"bind to 22", ABOUT(IPC_DATA_BIND, 7, 0, NOBODY, SERVER, 22), 0, IPC_FROM_WORKER, false},
    {"bind to 2000", ABOUT(IPC_DATA_BIND, 7, 0, NOBODY, SERVER, 2000), 0, IPC_FROM_WORKER, false},
    {"N_014 a server with TLS", ABOUT(IPC_TLS_OFFERED, PROTOCOL_SMTP, 0, NOBODY, SERVER, 25), 0,
	IPC_FROM_WORKER, true},
    {"N_014 of no protocol", ABOUT(IPC_TLS_OFFERED, PROTOCOL_COUNT, 0, NOBODY, SERVER, 25), 0,
	IPC_FROM_WORKER, false},
    {"N_014 without a port", ABOUT(IPC_TLS_OFFERED, PROTOCOL_SMTP, 0, NOBODY, SERVER, 0), 0,
	IPC_FROM_WORKER, false},
    {"N_014 without an address", SAYS(IPC_TLS_OFFERED, PROTOCOL_SMTP, 0), 0, IPC_FROM_WORKER,
	false},
    {"N_014 by a logger", ABOUT(IPC_TLS_OFFERED, PROTOCOL_SMTP, 0, NOBODY, SERVER, 25), 0,
	IPC_FROM_LOGGER, false},
    {"bind to ::", ABOUT(IPC_DATA_BIND, 7, 0, NOBODY, {IP_V6, {0}}, 20), 0, IPC_FROM_WORKER, false},

    {"done", SAYS(IPC_DATA_ANSWER, 7, IPC_DATA_DONE), 0, IPC_FROM_SUPERVISOR_TO_WORKER, true},
    {"done, with a socket", SAYS(IPC_DATA_ANSWER, 7, IPC_DATA_DONE), 1,
	IPC_FROM_SUPERVISOR_TO_WORKER, true},
    {"done, counted", COUNTS(IPC_DATA_ANSWER, 7, IPC_DATA_DONE, 1, 2), 0,
	IPC_FROM_SUPERVISOR_TO_WORKER, true},
    {"done, with a socket and counted", COUNTS(IPC_DATA_ANSWER, 7, IPC_DATA_DONE, 1, 2), 1,
	IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"done, with two sockets", SAYS(IPC_DATA_ANSWER, 7, IPC_DATA_DONE), 2,
	IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"failed", SAYS(IPC_DATA_ANSWER, 7, IPC_DATA_FAILED), 0, IPC_FROM_SUPERVISOR_TO_WORKER, true},
    {"failed, with a socket", SAYS(IPC_DATA_ANSWER, 7, IPC_DATA_FAILED), 1,
	IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"too many, counted", COUNTS(IPC_DATA_ANSWER, 7, IPC_DATA_TOO_MANY, 1, 0), 0,
	IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"an answer of no kind", SAYS(IPC_DATA_ANSWER, 7, IPC_DATA_RESULTS), 0,
	IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"an answer of a worker", SAYS(IPC_DATA_ANSWER, 7, IPC_DATA_DONE), 0, IPC_FROM_WORKER, false},
};

static void
test_each_message(void **state)
{
	const int *ends = *state;
	int before = count_descriptors();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ipc_message m;
		size_t n;
		enum ipc_result got;

		send_raw(ends[0], &cases[i].m, sizeof(cases[i].m), cases[i].n);
		got = receive(ends[1], cases[i].from, &m, &n);
		if (got != (cases[i].good ? IPC_OK : IPC_GARBAGE))
			fail_msg("%s: %d", cases[i].name, (int)got);
		if (cases[i].good) {
			assert_memory_equal(&m, &cases[i].m, sizeof(m));
			assert_int_equal(n, cases[i].n);
		}
		assert_int_equal(count_descriptors(), before);
	}
}

/* Every size but the right one, and more descriptors than may come. */
static void
test_sizes(void **state)
{
	const int *ends = *state;
	const uint32_t octets[64] = {IPC_MORE_SOCKETS, 4, 1};
	int before = count_descriptors();
	struct ipc_message m;
	size_t n;

	for (size_t size = 1; size <= sizeof(octets); size++) {
		send_raw(ends[0], octets, size, 0);
		assert_int_equal(receive(ends[1], IPC_FROM_WORKER, &m, &n),
		    size == sizeof(m) ? IPC_OK : IPC_GARBAGE);
	}
	send_raw(ends[0], octets, sizeof(m), 253);
	assert_int_equal(receive(ends[1], IPC_FROM_WORKER, &m, &n), IPC_GARBAGE);
	assert_int_equal(count_descriptors(), before);
}

static void
test_random(void **state)
{
	const int *ends = *state;
	unsigned seed = 1;

	for (int i = 0; i < 100000; i++) {
		uint8_t octets[sizeof(struct ipc_message)] = {0};
		struct ipc_message m;
		size_t n, size;

		for (size_t k = 0; k < sizeof(octets); k++)
			octets[k] = (uint8_t)(rand_r(&seed) % 8 == 0 ? rand_r(&seed) : 0);
		octets[0] = (uint8_t)(rand_r(&seed) % (IPC_TYPE_COUNT + 2));
		size = rand_r(&seed) % 2 == 0 ? sizeof(m) : 1 + (size_t)rand_r(&seed) % sizeof(m);
		send_raw(ends[0], octets, size, (size_t)rand_r(&seed) % 3);
		if (receive(ends[1], (enum ipc_peer)(rand_r(&seed) % (IPC_FROM_LOGGER + 1)), &m,
			&n) == IPC_OK)
			assert_true(m.type > 0 && m.type < IPC_TYPE_COUNT);
	}
}

static void
test_send(void **state)
{
	const int *ends = *state;
	const struct ipc_message m = SAYS(IPC_SOCKETS, 4, 0);
	struct ipc_message got;
	int fds[IPC_FDS_MAX];
	enum ipc_result result;
	size_t n, sent = 0;

	for (size_t i = 0; i < IPC_FDS_MAX; i++)
		fds[i] = ends[0];
	assert_int_equal(receive(ends[1], IPC_FROM_SUPERVISOR_TO_WORKER, &got, &n), IPC_AGAIN);
	while ((result = ipc_send(ends[0], &m, fds, IPC_FDS_MAX)) == IPC_OK && sent < 100000)
		sent++;
	/* one that reads nothing blocks nobody */
	assert_int_equal(result, IPC_AGAIN);
	assert_true(sent > 0);
	for (; sent > 0; sent--) {
		assert_int_equal(receive(ends[1], IPC_FROM_SUPERVISOR_TO_WORKER, &got, &n), IPC_OK);
		assert_int_equal(n, IPC_FDS_MAX);
	}
}

/* A configuration with all its listeners goes at once, to a worker that is still busy. */
static void
test_room_for_all_listeners(void **state)
{
	const int *ends = *state;

	for (uint32_t i = 0; i < 256 + 8; i++) {
		const struct ipc_message m = SAYS(IPC_LISTENER, IPC_LISTEN_FORWARD, i);

		assert_int_equal(ipc_send(ends[0], &m, &ends[1], 1), IPC_OK);
	}
}

static void
test_closed(void **state)
{
	int *ends = *state;
	const struct ipc_message m = SAYS(IPC_READY, 0, 0);
	struct ipc_message got;
	size_t n;

	assert_int_equal(ipc_send(ends[0], &m, NULL, 0), IPC_OK);
	close(ends[0]);
	ends[0] = dup(ends[1]);
	assert_int_equal(receive(ends[1], IPC_FROM_WORKER, &got, &n), IPC_OK);
	assert_int_equal(receive(ends[1], IPC_FROM_WORKER, &got, &n), IPC_CLOSED);
	assert_int_equal(ipc_send(ends[1], &m, NULL, 0), IPC_CLOSED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_each_message, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_send, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_room_for_all_listeners, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_closed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
