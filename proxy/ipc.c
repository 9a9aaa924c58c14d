#include "ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"

/* What each type of message must look like, and from whom it may come. */
struct rule {
	enum ipc_peer from;
	size_t fds_min, fds_max;
	uint32_t a_min, a_max, b_min, b_max;
};

#define SLOT_MAX (WORKERS_MAX - 1)

static const struct rule rules[IPC_TYPE_COUNT] = {
    [IPC_LISTENER] = {IPC_FROM_SUPERVISOR_TO_WORKER, 1, 1, 0, IPC_LISTEN_COUNT - 1, 0, UINT16_MAX},
    [IPC_SERVE] = {IPC_FROM_SUPERVISOR_TO_WORKER, 0, 0, 0, 0, 0, 0},
    [IPC_SOCKETS] = {IPC_FROM_SUPERVISOR_TO_WORKER, 1, IPC_FDS_MAX, 4, 6, 0, 0},
    [IPC_RETIRE] = {IPC_FROM_SUPERVISOR_TO_WORKER, 0, 0, 0, UINT32_MAX, 0, 0},
    [IPC_READY] = {IPC_FROM_WORKER, 0, 0, 0, 0, 0, 0},
    [IPC_SERVING] = {IPC_FROM_WORKER, 0, 0, 0, 0, 0, 0},
    [IPC_MORE_SOCKETS] = {IPC_FROM_WORKER, 0, 0, 4, 6, 1, IPC_SOCKETS_MAX},
    [IPC_DATA_EXPECT] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 1, IPC_DATA_SECONDS_MAX},
    [IPC_DATA_PASS] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 1, IPC_DATA_SECONDS_MAX},
    [IPC_DATA_FORGET] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 0, 0},
    [IPC_DATA_COUNT] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 0, 0},
    [IPC_DATA_LISTEN] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 0, 0},
    [IPC_DATA_BIND] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 0, 0},
    [IPC_DATA_ANSWER] = {IPC_FROM_SUPERVISOR_TO_WORKER, 0, 1, 0, UINT32_MAX, 0,
	IPC_DATA_RESULTS - 1},
    [IPC_LOG_FILE] = {IPC_FROM_SUPERVISOR_TO_LOGGER, 1, 1, 0, LOG_FILES - 1, 0, 0},
    [IPC_LOG_PIPE] = {IPC_FROM_SUPERVISOR_TO_LOGGER, 1, 1, 0, UINT32_MAX, 0, 0},
    [IPC_LOG_ROTATE] = {IPC_FROM_LOGGER, 0, 0, 0, IPC_ROTATE_COUNT - 1, 0, 0},
    [IPC_LOG_CLOSED] = {IPC_FROM_LOGGER, 0, 0, 0, 0, 0, 0},
    [IPC_BOARD] = {IPC_FROM_SUPERVISOR_TO_STATUS, 1, 1, 0, SLOT_MAX, 0, UINT32_MAX},
    [IPC_BOARD_GONE] = {IPC_FROM_SUPERVISOR_TO_STATUS, 0, 0, 0, SLOT_MAX, 0, UINT32_MAX},
};

bool
ipc_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0;
}

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(IPC_FDS_MAX * sizeof(int))];
};

enum ipc_result
ipc_send(int end, const struct ipc_message *m, const int fds[], size_t n)
{
	union control control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)m, .iov_len = sizeof(*m)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (n > 0) {
		control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	do
		sent = sendmsg(end, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent == (ssize_t)sizeof(*m))
		return IPC_OK;
	/* too many descriptors on their way count as no room: they are taken out in time */
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS
		   ? IPC_AGAIN
		   : IPC_CLOSED;
}

static void
close_all(const int fds[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* Takes the descriptors out of msg. The kernel puts no more there than there is room for. */
static size_t
take_descriptors(struct msghdr *msg, int fds[IPC_FDS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t here;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (here > IPC_FDS_MAX - n)
			here = IPC_FDS_MAX - n;
		memcpy(fds + n, CMSG_DATA(c), here * sizeof(int));
		n += here;
	}
	return n;
}

/* NULL: nothing is wrong. */
static const char *
fault_of(const struct ipc_message *m, ssize_t got, int flags, enum ipc_peer from, size_t n)
{
	const struct rule *r;

	if ((flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || got != (ssize_t)sizeof(*m))
		return "a message of the wrong size";
	if (m->type == 0 || m->type >= IPC_TYPE_COUNT)
		return "a message of no known type";
	r = &rules[m->type];
	if (r->from != from)
		return "a message that is not its to send";
	if (n < r->fds_min || n > r->fds_max)
		return "a message with the wrong number of descriptors";
	if (m->a < r->a_min || m->a > r->a_max || m->b < r->b_min || m->b > r->b_max)
		return "a message with a value out of bounds";
	if ((m->type == IPC_SOCKETS || m->type == IPC_MORE_SOCKETS) && m->a == 5)
		return "a message with a value out of bounds";
	if (m->type == IPC_LOG_PIPE && m->a > SLOT_MAX && m->a != IPC_SLOT_SUPERVISOR)
		return "a message with a value out of bounds";
	return NULL;
}

enum ipc_result
ipc_receive(int end, enum ipc_peer from, struct ipc_message *m, int fds[IPC_FDS_MAX], size_t *n,
    const char **why)
{
	union control control;
	struct iovec iov = {.iov_base = m, .iov_len = sizeof(*m)};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	ssize_t got;

	*n = 0;
	do
		got = recvmsg(end, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? IPC_AGAIN : IPC_CLOSED;
	*n = take_descriptors(&msg, fds);
	if (got == 0 && *n == 0)
		return IPC_CLOSED;
	*why = fault_of(m, got, msg.msg_flags, from, *n);
	if (*why == NULL)
		return IPC_OK;
	close_all(fds, *n);
	*n = 0;
	return IPC_GARBAGE;
}
