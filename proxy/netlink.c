#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "core/buf.h"

struct netlink {
	int fd;
	uint32_t port;
	uint32_t sequence; /* of the last message */
	void *in;	   /* NETLINK_MESSAGE_MAX octets, for one datagram */
};

/* ---- the socket ---- */

static bool
set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* An option that this kernel lacks costs words or room, nothing else. */
static void
set_options(int fd, int protocol)
{
	if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, NETLINK_BUFFER))
		set(fd, SOL_SOCKET, SO_RCVBUF, NETLINK_BUFFER);
	if (!set(fd, SOL_SOCKET, SO_SNDBUFFORCE, NETLINK_BATCH_MAX))
		set(fd, SOL_SOCKET, SO_SNDBUF, NETLINK_BATCH_MAX);
	set(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
	set(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
	/* a dump of one table of routes, not of a million routes that somebody else has */
	if (protocol == NETLINK_ROUTE)
		set(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
}

static bool
bind_port(struct netlink *nl)
{
	struct sockaddr_nl own = {.nl_family = AF_NETLINK};
	socklen_t n = sizeof(own);

	if (bind(nl->fd, (struct sockaddr *)&own, n) != 0 ||
	    getsockname(nl->fd, (struct sockaddr *)&own, &n) != 0)
		return false;
	nl->port = own.nl_pid;
	return true;
}

struct netlink *
netlink_open(int protocol)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	int why;

	if (nl == NULL)
		return NULL;
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	nl->in = malloc(NETLINK_MESSAGE_MAX);
	if (nl->fd >= 0 && nl->in != NULL && bind_port(nl)) {
		set_options(nl->fd, protocol);
		return nl;
	}
	why = errno;
	netlink_close(nl);
	errno = why;
	return NULL;
}

void
netlink_close(struct netlink *nl)
{
	if (nl == NULL)
		return;
	if (nl->fd >= 0)
		close(nl->fd);
	free(nl->in);
	free(nl);
}

int
netlink_fd(const struct netlink *nl)
{
	return nl->fd;
}

uint32_t
netlink_port(const struct netlink *nl)
{
	return nl->port;
}

uint32_t
netlink_sequence(struct netlink *nl, uint32_t n)
{
	uint32_t first;

	if (n >= UINT32_MAX - nl->sequence)
		nl->sequence = 0;
	first = nl->sequence + 1;
	nl->sequence += n;
	return first;
}

/* The messages of one datagram are of one transaction, so its first one says whose they are. */
bool
netlink_leave_out(struct netlink *nl, uint32_t port)
{
	/* filters read in network order, and nlmsg_pid is in the host's */
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(nl->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0;
}

bool
netlink_join(struct netlink *nl, unsigned group)
{
	return setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0;
}

/* ---- sending and receiving ---- */

static bool
fail(struct netlink_error *err, int code)
{
	err->code = code;
	snprintf(err->text, sizeof(err->text), "%s", strerror(code));
	return false;
}

static bool
send_all(struct netlink *nl, const void *octets, size_t n, struct netlink_error *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent;

	do
		sent = sendto(nl->fd, octets, n, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)n ? true : fail(err, sent < 0 ? errno : EMSGSIZE);
}

/*
 * One datagram of the kernel into nl->in; what other processes send is thrown away. Returns its
 * octets, or -1 and errno: EAGAIN when nothing is there.
 */
static ssize_t
receive(struct netlink *nl)
{
	struct sockaddr_nl from = {0};
	socklen_t size;
	ssize_t n;

	do {
		size = sizeof(from);
		n = recvfrom(nl->fd, nl->in, NETLINK_MESSAGE_MAX, MSG_DONTWAIT | MSG_TRUNC,
		    (struct sockaddr *)&from, &size);
	} while (n < 0 ? errno == EINTR : size != sizeof(from) || from.nl_pid != 0);
	if (n > (ssize_t)NETLINK_MESSAGE_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	return n;
}

/* The same, and waits for it until end; ETIMEDOUT. */
static ssize_t
receive_until(struct netlink *nl, int64_t end)
{
	struct pollfd p = {.fd = nl->fd, .events = POLLIN};
	ssize_t n;

	while ((n = receive(nl)) < 0 && errno == EAGAIN) {
		int64_t left = end - (int64_t)clock_ms();
		if (left <= 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return -1;
	}
	return n;
}

/* ---- what an answer says ---- */

static int
on_error_attribute(const struct nlattr *a, void *arg)
{
	struct netlink_error *err = arg;
	size_t n = strlen(err->text);

	/* of the kernel; the validation looks for its NUL */
	if (mnl_attr_get_type(a) != NLMSGERR_ATTR_MSG ||
	    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0)
		return MNL_CB_OK;
	snprintf(err->text + n, sizeof(err->text) - n, " (%s)", mnl_attr_get_str(a));
	return MNL_CB_STOP;
}

/* skip: octets of the payload before the attributes that explain. */
static void
refused(const struct nlmsghdr *m, int code, size_t skip, struct netlink_error *err)
{
	err->seq = m->nlmsg_seq;
	fail(err, code);
	if ((m->nlmsg_flags & NLM_F_ACK_TLVS) != 0 && skip <= mnl_nlmsg_get_payload_len(m))
		mnl_attr_parse(m, (unsigned)skip, on_error_attribute, err);
}

/* Of NLMSG_ERROR, which is also how "done" is said: its errno, 0 for done. */
static int
answer_code(const struct nlmsghdr *m, size_t *skip)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

	if (mnl_nlmsg_get_payload_len(m) < sizeof(*e))
		return EBADMSG;
	*skip = sizeof(*e);
	if ((m->nlmsg_flags & NLM_F_CAPPED) == 0 && e->msg.nlmsg_len > sizeof(e->msg))
		*skip += NLMSG_ALIGN(e->msg.nlmsg_len - sizeof(e->msg));
	return -e->error;
}

/* Of NLMSG_DONE, the end of a dump. */
static int
end_code(const struct nlmsghdr *m, size_t *skip)
{
	int code = 0;

	*skip = sizeof(code);
	if (mnl_nlmsg_get_payload_len(m) >= sizeof(code))
		memcpy(&code, mnl_nlmsg_get_payload(m), sizeof(code));
	return -code;
}

/* ---- transactions ---- */

struct batch {
	uint32_t first, last; /* numbers of its messages */
	uint32_t asked;	      /* of the last one that asks for an answer; 0: none does */
	bool answered;	      /* ... has been answered */
	bool refused;
};

/*
 * False: no run of whole messages between the marks. Without the end mark the kernel would answer
 * every message and then undo it; the marks themselves are not answered by every kernel.
 */
static bool
batch_scan(const void *octets, size_t n, struct batch *b)
{
	const struct nlmsghdr *m = octets;
	int left = (int)n;
	uint16_t type = 0;

	if (n > NETLINK_BATCH_MAX || !mnl_nlmsg_ok(m, left) ||
	    m->nlmsg_type != NFNL_MSG_BATCH_BEGIN)
		return false;
	b->first = m->nlmsg_seq;
	for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
		b->last = m->nlmsg_seq;
		type = m->nlmsg_type;
		if (type > NFNL_MSG_BATCH_END && (m->nlmsg_flags & NLM_F_ACK) != 0)
			b->asked = m->nlmsg_seq;
	}
	return left == 0 && type == NFNL_MSG_BATCH_END && b->asked != 0;
}

static void
batch_answers(const struct nlmsghdr *m, size_t n, struct batch *b, struct netlink_error *err)
{
	for (int left = (int)n; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
		size_t skip = 0;
		int code;

		/* what answers an earlier one, that was given up, is not for us */
		if (m->nlmsg_type != NLMSG_ERROR || m->nlmsg_seq < b->first ||
		    m->nlmsg_seq > b->last)
			continue;
		if (m->nlmsg_seq == b->asked)
			b->answered = true;
		code = answer_code(m, &skip);
		if (code != 0 && (!b->refused || m->nlmsg_seq < err->seq)) {
			b->refused = true;
			refused(m, code, skip, err);
		}
	}
}

bool
netlink_batch(struct netlink *nl, const void *octets, size_t n, struct netlink_error *err)
{
	int64_t end = (int64_t)clock_ms() + NETLINK_WAIT_MS;
	struct batch b = {0};
	ssize_t got;

	*err = (struct netlink_error){0};
	if (!batch_scan(octets, n, &b))
		return fail(err, EINVAL);
	if (!send_all(nl, octets, n, err))
		return false;
	while (!b.answered && !b.refused) {
		if ((got = receive_until(nl, end)) < 0)
			return fail(err, errno);
		batch_answers(nl->in, (size_t)got, &b, err);
	}
	/*
	 * Transactions are carried out while they are sent, so by now all answers are there, and
	 * that of an earlier message may come behind that of the whole. One that was lost for want
	 * of room may be the refusal.
	 */
	while ((got = receive(nl)) >= 0)
		batch_answers(nl->in, (size_t)got, &b, err);
	if (errno != EAGAIN && !b.refused)
		return fail(err, errno);
	return !b.refused;
}

/* ---- requests ---- */

bool
netlink_request(struct netlink *nl, struct nlmsghdr *request, netlink_message *each, void *arg,
    struct netlink_error *err)
{
	int64_t end = (int64_t)clock_ms() + NETLINK_WAIT_MS;
	size_t skip = 0;
	ssize_t got;

	*err = (struct netlink_error){0};
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = netlink_sequence(nl, 1);
	if (!send_all(nl, request, request->nlmsg_len, err))
		return false;
	while ((got = receive_until(nl, end)) >= 0) {
		const struct nlmsghdr *m = nl->in;
		for (int left = (int)got; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
			int code;
			if (m->nlmsg_seq != request->nlmsg_seq)
				continue;
			if (m->nlmsg_type != NLMSG_ERROR) {
				if (each != NULL)
					each(arg, m);
				continue;
			}
			if ((code = answer_code(m, &skip)) != 0)
				refused(m, code, skip, err);
			return code == 0;
		}
	}
	return fail(err, errno);
}

/* ---- dumps ---- */

enum dump_state {
	DUMP_RUNS,
	DUMP_DONE,
	DUMP_FAILED,
};

/* Takes messages of one datagram into all. */
static enum dump_state
dump_take(const struct nlmsghdr *m, size_t n, uint32_t seq, struct buf *all, bool *overtaken,
    struct netlink_error *err)
{
	for (int left = (int)n; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
		size_t skip = 0;
		int code;

		if (m->nlmsg_seq != seq)
			continue;
		*overtaken |= (m->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
			code = m->nlmsg_type == NLMSG_ERROR ? answer_code(m, &skip)
							    : end_code(m, &skip);
			/* what a transaction in between does to a dump of tables */
			if (code == EINTR)
				*overtaken = true;
			if (code != 0)
				refused(m, code, skip, err);
			return code == 0 ? DUMP_DONE : DUMP_FAILED;
		}
		/* goes on to the end also without room: the socket must be free again */
		if (left >= (int)NLMSG_ALIGN(m->nlmsg_len))
			buf_add(all, span_of(m, NLMSG_ALIGN(m->nlmsg_len)));
	}
	return DUMP_RUNS;
}

static enum dump_state
dump_once(struct netlink *nl, struct nlmsghdr *request, struct buf *all, bool *overtaken,
    struct netlink_error *err)
{
	int64_t end = (int64_t)clock_ms() + NETLINK_WAIT_MS;
	enum dump_state state = DUMP_RUNS;
	ssize_t got;

	*err = (struct netlink_error){0};
	*overtaken = false;
	buf_clear(all);
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = netlink_sequence(nl, 1);
	if (!send_all(nl, request, request->nlmsg_len, err))
		return DUMP_FAILED;
	while (state == DUMP_RUNS) {
		if ((got = receive_until(nl, end)) < 0) {
			fail(err, errno);
			return DUMP_FAILED;
		}
		state = dump_take(nl->in, (size_t)got, request->nlmsg_seq, all, overtaken, err);
	}
	if (state == DUMP_DONE && all->failed) {
		fail(err, EMSGSIZE);
		state = DUMP_FAILED;
	}
	return state;
}

static void
dump_each(const struct buf *all, netlink_message *each, void *arg)
{
	const void *next = all->p;
	const struct nlmsghdr *m = next;

	for (int left = (int)all->n; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
		each(arg, m);
}

bool
netlink_dump(struct netlink *nl, struct nlmsghdr *request, netlink_message *each, void *arg,
    struct netlink_error *err)
{
	enum dump_state state = DUMP_FAILED;
	bool overtaken = true;
	struct buf all;

	buf_init(&all, NETLINK_DUMP_MAX);
	for (int tries = 0; overtaken && tries < NETLINK_TRIES; tries++)
		state = dump_once(nl, request, &all, &overtaken, err);
	if (overtaken)
		fail(err, EINTR);
	else if (state == DUMP_DONE && all.n > 0)
		dump_each(&all, each, arg);
	buf_free(&all);
	return state == DUMP_DONE && !overtaken;
}

/* ---- notifications ---- */

enum netlink_news
netlink_news(struct netlink *nl, netlink_message *each, void *arg)
{
	enum netlink_news news = NETLINK_NOTHING;
	size_t read = 0;
	ssize_t got = 0;

	while (read < NETLINK_BUFFER && (got = receive(nl)) >= 0) {
		const struct nlmsghdr *m = nl->in;
		for (int left = (int)got; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
			each(arg, m);
		read += (size_t)got;
		news = NETLINK_READ;
	}
	if (got >= 0 || errno == EAGAIN)
		return news;
	return errno == ENOBUFS || errno == EMSGSIZE ? NETLINK_MISSED : NETLINK_BROKEN;
}
