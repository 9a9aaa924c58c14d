/*
 * box_sink - a server of POP3 and IMAP as light as can be, for thousands of sessions.
 *
 *	box_sink ADDRESS
 *
 * Ports 110 and 143. The user's name says what is in the mailbox (box_wire.h); any password will
 * do. One thread, one command after the other.
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "box_wire.h"
#include "ftp_wire.h"

#define BATCH	  256
#define MAILBOXES 8
#define MESSAGES  20u

struct session {
	int fd;
	enum box_protocol protocol;
	const struct box *box;
	char in[512]; /* a command that is not complete */
	size_t n;
	char said[256]; /* IMAP: of a command in front of a literal, which has no line end in it */
	char head[512], tail[128];
	struct iovec out[3]; /* head, message, tail */
	bool waits, quits;
};

static struct {
	char name[64];
	struct box box;
} boxes[MAILBOXES];
static int loop;

static const struct box *
box_of(const char *name)
{
	for (size_t i = 0; i < MAILBOXES; i++) {
		if (boxes[i].name[0] == '\0') {
			snprintf(boxes[i].name, sizeof(boxes[i].name), "%s", name);
			boxes[i].box = box_open(name);
		}
		if (strcmp(boxes[i].name, name) == 0)
			return &boxes[i].box;
	}
	errx(1, "too many mailboxes");
}

/* head and tail are in place. */
static void
answer(struct session *s, bool message)
{
	s->out[0] = (struct iovec){s->head, strlen(s->head)};
	s->out[1] = message ? (struct iovec){s->box->message, s->box->n} : (struct iovec){0};
	s->out[2] = (struct iovec){s->tail, strlen(s->tail)};
}

static void
say(struct session *s, const char *text)
{
	snprintf(s->head, sizeof(s->head), "%s", text);
	s->tail[0] = '\0';
	answer(s, false);
}

static void
send_message(struct session *s, const char *number, const char *behind)
{
	box_head(s->protocol, (unsigned)strtoul(number, NULL, 10), s->box->n, s->head);
	snprintf(s->tail, sizeof(s->tail), "%s%s", box_tail(s->protocol), behind);
	answer(s, true);
}

static void
pop3(struct session *s, const char *line)
{
	char text[128] = "+OK\r\n";

	if (strncasecmp(line, "USER ", 5) == 0)
		s->box = box_of(line + 5);
	if (strncasecmp(line, "RETR ", 5) == 0 && s->box != NULL) {
		send_message(s, line + 5, "");
		return;
	}
	if (strcasecmp(line, "STAT") == 0 && s->box != NULL)
		snprintf(text, sizeof(text), "+OK %u %zu\r\n", MESSAGES, MESSAGES * s->box->n);
	s->quits = strcasecmp(line, "QUIT") == 0;
	say(s, text);
}

/* False: a literal comes, and more of the command. */
static bool
whole(struct session *s, const char *more)
{
	const char *brace = strrchr(more, '{');
	const size_t n = strlen(more), at = strlen(s->said);

	if (brace != NULL && n > 0 && more[n - 1] == '}') {
		snprintf(s->said + at, sizeof(s->said) - at, "%.*s", (int)(brace - more), more);
		say(s, "+ go on\r\n");
		return false;
	}
	snprintf(s->said + at, sizeof(s->said) - at, "%s", more);
	return true;
}

static void
imap(struct session *s, const char *line)
{
	static char last[32];
	char tag[32] = "", verb[32] = "", arg[64] = "", text[256];

	if (!whole(s, line))
		return;
	sscanf(s->said, "%31s %31s %63s", tag, verb, arg);
	s->said[0] = '\0';
	if (strcasecmp(tag, "DONE") == 0)
		snprintf(tag, sizeof(tag), "%s", last);
	snprintf(text, sizeof(text), "%s OK done\r\n", tag);
	if (strcasecmp(verb, "LOGIN") == 0)
		s->box = box_of(arg);
	if (strcasecmp(verb, "FETCH") == 0 && s->box != NULL) {
		send_message(s, arg, text);
		return;
	}
	if (strcasecmp(verb, "SELECT") == 0)
		snprintf(text, sizeof(text),
		    "* FLAGS (\\Seen)\r\n* %u EXISTS\r\n* 0 RECENT\r\n%s OK done\r\n", MESSAGES,
		    tag);
	if (strcasecmp(verb, "IDLE") == 0) {
		snprintf(last, sizeof(last), "%s", tag);
		snprintf(text, sizeof(text), "+ idling\r\n");
	}
	s->quits = strcasecmp(verb, "LOGOUT") == 0;
	if (s->quits)
		snprintf(text, sizeof(text), "* BYE\r\n%s OK done\r\n", tag);
	say(s, text);
}

static void
listen_for(struct session *s, bool out)
{
	struct epoll_event ev = {.events = out ? EPOLLOUT : EPOLLIN, .data.ptr = s};

	if (out != s->waits)
		epoll_ctl(loop, EPOLL_CTL_MOD, s->fd, &ev);
	s->waits = out;
}

/* Sends what there is; false: the session is over. */
static bool
flush(struct session *s)
{
	unsigned i = 0;

	while (i < 3) {
		const struct msghdr m = {.msg_iov = s->out + i, .msg_iovlen = 3 - i};
		ssize_t n = s->out[i].iov_len == 0 ? 0 : sendmsg(s->fd, &m, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			listen_for(s, true);
			return true;
		}
		if (n < 0)
			return false;
		for (; i < 3 && (size_t)n >= s->out[i].iov_len; i++) {
			n -= (ssize_t)s->out[i].iov_len;
			s->out[i].iov_len = 0;
		}
		if (i < 3) {
			s->out[i].iov_base = (char *)s->out[i].iov_base + n;
			s->out[i].iov_len -= (size_t)n;
		}
	}
	listen_for(s, false);
	return !s->quits;
}

/* The next command, if it is there. */
static bool
command(struct session *s)
{
	char *lf = memchr(s->in, '\n', s->n);
	char line[sizeof(s->in)];
	size_t n;

	if (lf == NULL)
		return false;
	n = (size_t)(lf - s->in) + 1;
	memcpy(line, s->in, n);
	line[n >= 2 && line[n - 2] == '\r' ? n - 2 : n - 1] = '\0';
	memmove(s->in, s->in + n, s->n - n);
	s->n -= n;
	if (s->protocol == BOX_POP3)
		pop3(s, line);
	else
		imap(s, line);
	return true;
}

/* False: the session is over. */
static bool
happened(struct session *s)
{
	ssize_t n;

	if (s->waits && !flush(s))
		return false;
	if (s->waits)
		return true;
	n = recv(s->fd, s->in + s->n, sizeof(s->in) - s->n, 0);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	s->n += (size_t)n;
	while (!s->waits && command(s))
		if (!flush(s))
			return false;
	return s->n < sizeof(s->in);
}

static void
begin(int fd, enum box_protocol p)
{
	struct session *s = calloc(1, sizeof(*s));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

	if (s == NULL)
		err(1, "calloc");
	s->fd = fd;
	s->protocol = p;
	epoll_ctl(loop, EPOLL_CTL_ADD, fd, &ev);
	say(s, p == BOX_POP3 ? "+OK ready\r\n" : "* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n");
	flush(s);
}

static void
end(struct session *s)
{
	close(s->fd);
	free(s);
}

int
main(int argc, char **argv)
{
	static struct session listeners[2];
	struct epoll_event events[BATCH];

	if (argc != 2)
		errx(2, "usage: box_sink ADDRESS");
	signal(SIGPIPE, SIG_IGN);
	loop = epoll_create1(EPOLL_CLOEXEC);
	for (int p = BOX_POP3; p <= BOX_IMAP; p++) {
		char at[64];
		struct sockaddr_in address;
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &listeners[p]};

		snprintf(at, sizeof(at), "%s:%d", argv[1], p == BOX_POP3 ? 110 : 143);
		address = wire_endpoint(at);
		listeners[p].fd = wire_listen(&address);
		epoll_ctl(loop, EPOLL_CTL_ADD, listeners[p].fd, &ev);
	}
	for (;;) {
		int n = epoll_wait(loop, events, BATCH, -1);

		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;
			int fd;

			if (s != &listeners[BOX_POP3] && s != &listeners[BOX_IMAP]) {
				if (!happened(s))
					end(s);
				continue;
			}
			fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (fd >= 0)
				begin(fd, s == &listeners[BOX_POP3] ? BOX_POP3 : BOX_IMAP);
		}
	}
}
