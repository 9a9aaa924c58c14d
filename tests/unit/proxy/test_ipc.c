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

static const struct {
	const char *name;
	struct ipc_message m;
	size_t n;
	enum ipc_peer from;
	bool good;
} cases[] = {
    {"ready", {IPC_READY, 0, 0}, 0, IPC_FROM_WORKER, true},
    {"ready of nobody", {IPC_READY, 0, 0}, 0, IPC_FROM_LOGGER, false},
    {"ready with a value", {IPC_READY, 1, 0}, 0, IPC_FROM_WORKER, false},
    {"ready with a descriptor", {IPC_READY, 0, 0}, 1, IPC_FROM_WORKER, false},
    {"serving", {IPC_SERVING, 0, 0}, 0, IPC_FROM_WORKER, true},
    {"sockets, IPv4", {IPC_MORE_SOCKETS, 4, 1}, 0, IPC_FROM_WORKER, true},
    {"sockets, IPv6", {IPC_MORE_SOCKETS, 6, IPC_SOCKETS_MAX}, 0, IPC_FROM_WORKER, true},
    {"sockets, IPv5", {IPC_MORE_SOCKETS, 5, 1}, 0, IPC_FROM_WORKER, false},
    {"sockets, IPv7", {IPC_MORE_SOCKETS, 7, 1}, 0, IPC_FROM_WORKER, false},
    {"no sockets", {IPC_MORE_SOCKETS, 4, 0}, 0, IPC_FROM_WORKER, false},
    {"too many sockets", {IPC_MORE_SOCKETS, 4, IPC_SOCKETS_MAX + 1}, 0, IPC_FROM_WORKER, false},
    {"a worker commands", {IPC_SERVE, 0, 0}, 0, IPC_FROM_WORKER, false},
    {"a worker hands over", {IPC_SOCKETS, 4, 0}, 3, IPC_FROM_WORKER, false},
    {"type 0", {0, 0, 0}, 0, IPC_FROM_WORKER, false},
    {"a type behind the last", {IPC_TYPE_COUNT, 0, 0}, 0, IPC_FROM_WORKER, false},
    {"a huge type", {UINT32_MAX, 0, 0}, 0, IPC_FROM_WORKER, false},
    {"listener", {IPC_LISTENER, IPC_LISTEN_FORWARD, 255}, 1, IPC_FROM_SUPERVISOR_TO_WORKER, true},
    {"listener without one", {IPC_LISTENER, 0, 0}, 0, IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"two listeners", {IPC_LISTENER, 0, 0}, 2, IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"listener of no kind", {IPC_LISTENER, IPC_LISTEN_COUNT, 0}, 1, IPC_FROM_SUPERVISOR_TO_WORKER,
	false},
    {"sockets", {IPC_SOCKETS, 6, 0}, IPC_FDS_MAX, IPC_FROM_SUPERVISOR_TO_WORKER, true},
    {"sockets of IPv5", {IPC_SOCKETS, 5, 0}, 1, IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"retire", {IPC_RETIRE, UINT32_MAX, 0}, 0, IPC_FROM_SUPERVISOR_TO_WORKER, true},
    {"a logger's file to a worker", {IPC_LOG_FILE, 0, 0}, 1, IPC_FROM_SUPERVISOR_TO_WORKER, false},
    {"file", {IPC_LOG_FILE, 0, 0}, 1, IPC_FROM_SUPERVISOR_TO_LOGGER, true},
    {"pipe", {IPC_LOG_PIPE, 255, 0}, 1, IPC_FROM_SUPERVISOR_TO_LOGGER, true},
    {"pipe of the supervisor", {IPC_LOG_PIPE, IPC_SLOT_SUPERVISOR, 0}, 1,
	IPC_FROM_SUPERVISOR_TO_LOGGER, true},
    {"pipe of no slot", {IPC_LOG_PIPE, 256, 0}, 1, IPC_FROM_SUPERVISOR_TO_LOGGER, false},
    {"rotate", {IPC_LOG_ROTATE, IPC_ROTATE_AGE, 0}, 0, IPC_FROM_LOGGER, true},
    {"rotate for no reason", {IPC_LOG_ROTATE, IPC_ROTATE_COUNT, 0}, 0, IPC_FROM_LOGGER, false},
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
		uint8_t octets[20];
		struct ipc_message m;
		size_t n, size;

		for (size_t k = 0; k < sizeof(octets); k++)
			octets[k] = (uint8_t)(rand_r(&seed) % 8 == 0 ? rand_r(&seed) : 0);
		octets[0] = (uint8_t)(rand_r(&seed) % 16);
		size = rand_r(&seed) % 2 == 0 ? sizeof(m) : 1 + (size_t)rand_r(&seed) % 20;
		send_raw(ends[0], octets, size, (size_t)rand_r(&seed) % 3);
		if (receive(ends[1], (enum ipc_peer)(rand_r(&seed) % 4), &m, &n) == IPC_OK)
			assert_true(m.type > 0 && m.type < IPC_TYPE_COUNT);
	}
}

static void
test_send(void **state)
{
	const int *ends = *state;
	const struct ipc_message m = {IPC_SOCKETS, 4, 0};
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
		const struct ipc_message m = {IPC_LISTENER, IPC_LISTEN_FORWARD, i};

		assert_int_equal(ipc_send(ends[0], &m, &ends[1], 1), IPC_OK);
	}
}

static void
test_closed(void **state)
{
	int *ends = *state;
	const struct ipc_message m = {IPC_READY, 0, 0};
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
