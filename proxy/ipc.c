#include "ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "tap.h"

/* What struct ipc_flow has to be. */
enum flow_kind {
	FLOW_NONE,   /* all zero */
	FLOW_WHOLE,  /* both addresses, of one family, and a port that needs no privilege */
	FLOW_LISTEN, /* a destination without a port */
	FLOW_BIND,   /* a destination, port 20 or none */
	FLOW_SERVER, /* a destination with any port */
};

/* What each type of message must look like, and from whom it may come. */
struct rule {
	enum ipc_peer from;
	size_t fds_min, fds_max;
	uint32_t a_min, a_max, b_min, b_max;
	enum flow_kind flow;
};

#define SLOT_MAX     (WORKERS_MAX - 1)
#define PORT_FTPDATA 20 /* RFC 959 s5.2 */

static const struct rule rules[IPC_TYPE_COUNT] = {
    [IPC_LISTENER] = {IPC_FROM_SUPERVISOR_TO_WORKER, 1, 1, 0, IPC_LISTEN_COUNT - 1, 0, UINT16_MAX,
	FLOW_NONE},
    [IPC_SERVE] = {IPC_FROM_SUPERVISOR_TO_WORKER, 0, 0, 0, 0, 0, 0, FLOW_NONE},
    [IPC_SOCKETS] = {IPC_FROM_SUPERVISOR_TO_WORKER, 1, IPC_FDS_MAX, 4, 6, 0, 0, FLOW_NONE},
    [IPC_RETIRE] = {IPC_FROM_SUPERVISOR_TO_WORKER, 0, 0, 0, UINT32_MAX, 0, 0, FLOW_NONE},
    [IPC_SIGNER] = {IPC_FROM_SUPERVISOR_TO_WORKER, 1, 1, 0, 0, 0, 0, FLOW_NONE},
    [IPC_SIGNER_PEER] = {IPC_FROM_SUPERVISOR_TO_SIGNER, 1, 1, 0, 0, 0, 0, FLOW_NONE},
    [IPC_READY] = {IPC_FROM_WORKER, 0, 0, 0, 0, 0, 0, FLOW_NONE},
    [IPC_SERVING] = {IPC_FROM_WORKER, 0, 0, 0, 0, 0, 0, FLOW_NONE},
    [IPC_MORE_SOCKETS] = {IPC_FROM_WORKER, 0, 0, 4, 6, 1, IPC_SOCKETS_MAX, FLOW_NONE},
    [IPC_DATA_EXPECT] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 1, IPC_DATA_SECONDS_MAX, FLOW_WHOLE},
    [IPC_DATA_PASS] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 1, IPC_DATA_SECONDS_MAX, FLOW_WHOLE},
    [IPC_DATA_FORGET] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 0, 0, FLOW_NONE},
    [IPC_DATA_COUNT] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 0, 0, FLOW_NONE},
    [IPC_DATA_LISTEN] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 0, 0, FLOW_LISTEN},
    [IPC_DATA_BIND] = {IPC_FROM_WORKER, 0, 0, 0, UINT32_MAX, 0, 0, FLOW_BIND},
    [IPC_DATA_ANSWER] = {IPC_FROM_SUPERVISOR_TO_WORKER, 0, 1, 0, UINT32_MAX, 0,
	IPC_DATA_RESULTS - 1, FLOW_NONE},
    [IPC_TLS_OFFERED] = {IPC_FROM_WORKER, 0, 0, 0, PROTOCOL_COUNT - 1, 0, 0, FLOW_SERVER},
    [IPC_LOG_FILE] = {IPC_FROM_SUPERVISOR_TO_LOGGER, 1, 1, 0, LOG_FILES - 1, 0, 0, FLOW_NONE},
    [IPC_LOG_PIPE] = {IPC_FROM_SUPERVISOR_TO_LOGGER, 1, 1, 0, UINT32_MAX, 0, 0, FLOW_NONE},
    [IPC_LOG_ROTATE] = {IPC_FROM_LOGGER, 0, 0, 0, IPC_ROTATE_COUNT - 1, 0, 0, FLOW_NONE},
    [IPC_LOG_CLOSED] = {IPC_FROM_LOGGER, 0, 0, 0, 0, 0, 0, FLOW_NONE},
    [IPC_BOARD] = {IPC_FROM_SUPERVISOR_TO_STATUS, 1, 1, 0, SLOT_MAX, 0, UINT32_MAX, FLOW_NONE},
    [IPC_TAP_DIRECTORY] = {IPC_FROM_SUPERVISOR_TO_TAP, 1, 1, 0, TAP_RULES_MAX - 1, 0, 0, FLOW_NONE},
    [IPC_TAP_PIPE] = {IPC_FROM_SUPERVISOR_TO_TAP, 1, 1, 0, UINT32_MAX, 0, 0, FLOW_NONE},
    [IPC_TAP_ROTATE] = {IPC_FROM_SUPERVISOR_TO_TAP, 0, 0, 0, 0, 0, 0, FLOW_NONE},
    [IPC_BOARD_GONE] = {IPC_FROM_SUPERVISOR_TO_STATUS, 0, 0, 0, SLOT_MAX, 0, UINT32_MAX, FLOW_NONE},
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

/* One that a connection can have. A mapped address of IPv6 would be a host by two names. */
static bool
is_host(const struct ip *ip)
{
	static const uint8_t none[12], mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (ip->family == IP_V4)
		return memcmp(ip->octets + 4, none, sizeof(none)) == 0 && !ip_is_unspecified(ip);
	return ip->family == IP_V6 && memcmp(ip->octets, mapped, sizeof(mapped)) != 0 &&
	       !ip_is_unspecified(ip);
}

static bool
is_none(const struct ip *ip)
{
	static const uint8_t none[16];

	return ip->family == IP_NONE && memcmp(ip->octets, none, sizeof(none)) == 0;
}

static bool
flow_fits(const struct ipc_flow *f, enum flow_kind kind)
{
	switch (kind) {
	case FLOW_NONE:
		return is_none(&f->source) && is_none(&f->destination) && f->port == 0;
	case FLOW_WHOLE:
		return is_host(&f->source) && is_host(&f->destination) &&
		       f->source.family == f->destination.family && f->port >= IPC_DATA_PORT_MIN;
	case FLOW_LISTEN:
		return is_none(&f->source) && is_host(&f->destination) && f->port == 0;
	case FLOW_BIND:
		return is_none(&f->source) && is_host(&f->destination) &&
		       (f->port == 0 || f->port == PORT_FTPDATA);
	case FLOW_SERVER:
		return is_none(&f->source) && is_host(&f->destination) && f->port != 0;
	}
	return false;
}

/* What a type alone asks for, beyond its rule. */
static bool
values_fit(const struct ipc_message *m, size_t n)
{
	bool done = m->b == IPC_DATA_DONE;

	switch (m->type) {
	case IPC_SOCKETS:
	case IPC_MORE_SOCKETS:
		return m->a != 5;
	case IPC_LOG_PIPE:
		return m->a <= SLOT_MAX || m->a == IPC_SLOT_SUPERVISOR;
	case IPC_LISTENER:
		return (m->a != IPC_LISTEN_DATA4 && m->a != IPC_LISTEN_DATA6) ||
		       m->b >= IPC_DATA_PORT_MIN;
	case IPC_DATA_ANSWER: /* one is of LISTEN or BIND, or of COUNT */
		return (done || (n == 0 && m->octets[0] == 0 && m->octets[1] == 0)) &&
		       (n == 0 || (m->octets[0] == 0 && m->octets[1] == 0));
	default:
		return true;
	}
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
	if (!values_fit(m, n))
		return "a message with a value out of bounds";
	if (m->type != IPC_DATA_ANSWER && (m->octets[0] != 0 || m->octets[1] != 0))
		return "a message that counts octets";
	if (!flow_fits(&m->flow, r->flow))
		return "a message with a connection that cannot be";
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
