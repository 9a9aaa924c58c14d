/*
 * mail_sink - a server of SMTP, POP3 and IMAP as light as can be, for thousands of sessions.
 *
 *	mail_sink ADDRESS [CHAIN KEY]
 *
 * Ports 25, 110 and 143, and with a certificate 465, 995 and 993. The user's name, or the sender's,
 * says what is in the mailbox (mail_wire.h); any password will do. A message by SMTP is taken if
 * it is octet for octet what a mailbox of that name has. One thread, one command after the other.
 *
 * Port 7: one line of JSON, what was served so far: sessions that were greeted, full and resumed
 * handshakes, messages that went out or were taken, and those that were not what they had to be.
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

#include "ftp_wire.h"
#include "mail_wire.h"
#include "tls_wire.h"

#define BATCH	  256
#define MAILBOXES 8
#define MESSAGES  20u

struct session {
	struct tls_wire wire;
	enum mail_protocol protocol;
	bool shakes; /* hands are not shaken yet */
	const struct mailbox *box;
	bool comes; /* SMTP: a message, of which "came" octets were what they must be */
	size_t came;
	char in[512]; /* a command that is not complete */
	size_t n;
	char said[256]; /* IMAP: of a command in front of a literal, which has no line end in it */
	char head[512], tail[128];
	struct iovec out[3]; /* head, message, tail */
	bool waits, quits;
};

static struct {
	char name[64];
	struct mailbox box;
} boxes[MAILBOXES];
static struct {
	unsigned long sessions, full, resumed, messages, different;
} served;
static int loop;
static SSL_CTX *tls;

/* Where sessions come in; port 7 has none. */
static struct listener {
	int port, fd;
	bool counts, secure;
	enum mail_protocol protocol;
} listeners[] = {
    {.port = 7, .counts = true},
    {.port = 25, .protocol = MAIL_SMTP},
    {.port = 110, .protocol = MAIL_POP3},
    {.port = 143, .protocol = MAIL_IMAP},
    {.port = 465, .protocol = MAIL_SMTP, .secure = true},
    {.port = 995, .protocol = MAIL_POP3, .secure = true},
    {.port = 993, .protocol = MAIL_IMAP, .secure = true},
};
#define LISTENERS (sizeof(listeners) / sizeof(listeners[0]))

static const struct mailbox *
mailbox_of(const char *name)
{
	for (size_t i = 0; i < MAILBOXES; i++) {
		if (boxes[i].name[0] == '\0') {
			snprintf(boxes[i].name, sizeof(boxes[i].name), "%s", name);
			boxes[i].box = mailbox_open(name);
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
	mail_head(s->protocol, (unsigned)strtoul(number, NULL, 10), s->box->n, s->head);
	snprintf(s->tail, sizeof(s->tail), "%s%s", mail_tail(s->protocol), behind);
	answer(s, true);
	served.messages++;
}

static void
listen_for(struct session *s, bool out)
{
	struct epoll_event ev = {.events = out ? EPOLLOUT : EPOLLIN, .data.ptr = s};

	if (out != s->waits)
		epoll_ctl(loop, EPOLL_CTL_MOD, s->wire.fd, &ev);
	s->waits = out;
}

/* Sends what there is; false: the session is over. */
static bool
flush(struct session *s)
{
	unsigned i = 0;

	while (i < 3) {
		ssize_t n = s->out[i].iov_len == 0 ? 0 : tls_wire_send(&s->wire, s->out + i, 3 - i);

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

/* MAIL FROM:<mailbox@...> */
static void
smtp_sender(struct session *s, const char *line)
{
	char name[64] = "";

	if (sscanf(line + strlen("MAIL FROM:"), "<%63[^@>]", name) == 1)
		s->box = mailbox_of(name);
	say(s, "250 2.1.0 ok\r\n");
}

static void
smtp(struct session *s, const char *line)
{
	if (strncasecmp(line, "MAIL FROM:", 10) == 0) {
		smtp_sender(s, line);
	} else if (strncasecmp(line, "EHLO ", 5) == 0) {
		say(s, "250-" MAIL_SERVER "\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
	} else if (strcasecmp(line, "DATA") == 0 && s->box != NULL) {
		s->comes = true;
		s->came = 0;
		say(s, "354 go on\r\n");
	} else if (strcasecmp(line, "QUIT") == 0) {
		s->quits = true;
		say(s, "221 2.0.0 bye\r\n");
	} else {
		say(s, "250 2.0.0 ok\r\n");
	}
}

/* Some more of a message by SMTP. False: the session is over. */
static bool
message_comes(struct session *s)
{
	static char got[64 << 10];
	const size_t left = s->box->n + strlen(MAIL_DOT) - s->came;
	ssize_t n = tls_wire_receive(&s->wire, got, left < sizeof(got) ? left : sizeof(got));

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	if (memcmp(got, s->box->message + s->came, (size_t)n) != 0) {
		served.different++;
		s->quits = true;
		say(s, "554 5.6.0 this is not what was sent\r\n");
		return flush(s);
	}
	s->came += (size_t)n;
	if ((size_t)n < left)
		return true;
	s->comes = false;
	served.messages++;
	say(s, "250 2.0.0 taken\r\n");
	return flush(s);
}

static void
pop3(struct session *s, const char *line)
{
	char text[128] = "+OK\r\n";

	if (strncasecmp(line, "USER ", 5) == 0)
		s->box = mailbox_of(line + 5);
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
		s->box = mailbox_of(arg);
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

static void (*const talk[])(struct session *, const char *line) = {
    [MAIL_SMTP] = smtp, [MAIL_POP3] = pop3, [MAIL_IMAP] = imap};

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
	talk[s->protocol](s, line);
	return true;
}

/* Commands, as far as they are there. False: the session is over. */
static bool
commands_come(struct session *s)
{
	ssize_t n = tls_wire_receive(&s->wire, s->in + s->n, sizeof(s->in) - s->n);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	s->n += (size_t)n;
	while (!s->waits && !s->comes && command(s))
		if (!flush(s))
			return false;
	return s->n < sizeof(s->in);
}

static bool
greet(struct session *s)
{
	static const char *const greetings[] = {
	    [MAIL_SMTP] = "220 " MAIL_SERVER " ESMTP\r\n",
	    [MAIL_POP3] = "+OK ready\r\n",
	    [MAIL_IMAP] = "* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n",
	};

	served.sessions++;
	say(s, greetings[s->protocol]);
	return flush(s);
}

/* False: the session is over. */
static bool
shake_hands(struct session *s)
{
	if (tls_wire_shake(&s->wire) <= 0)
		return errno == EAGAIN;
	s->shakes = false;
	if (SSL_session_reused(s->wire.ssl))
		served.resumed++;
	else
		served.full++;
	return greet(s);
}

/* False: the session is over. */
static bool
happened(struct session *s)
{
	if (s->shakes && !shake_hands(s))
		return false;
	if (s->waits && !flush(s))
		return false;
	do {
		if (s->shakes || s->waits)
			return true;
		if (!(s->comes ? message_comes : commands_come)(s))
			return false;
	} while (tls_wire_pending(&s->wire));
	return true;
}

static void
end(struct session *s)
{
	tls_wire_end(&s->wire);
	free(s);
}

static void
begin(int fd, const struct listener *l)
{
	struct session *s = calloc(1, sizeof(*s));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

	if (s == NULL)
		err(1, "calloc");
	s->wire.fd = fd;
	s->protocol = l->protocol;
	s->shakes = l->secure;
	epoll_ctl(loop, EPOLL_CTL_ADD, fd, &ev);
	if (l->secure) {
		s->wire.ssl = SSL_new(tls);
		if (s->wire.ssl == NULL || SSL_set_fd(s->wire.ssl, fd) != 1)
			errx(1, "no TLS");
		SSL_set_accept_state(s->wire.ssl);
	} else if (!greet(s)) {
		end(s);
	}
}

static void
tell_counts(int fd)
{
	dprintf(fd,
	    "{\"sessions\": %lu, \"full\": %lu, \"resumed\": %lu, \"messages\": %lu, "
	    "\"different\": %lu}\n",
	    served.sessions, served.full, served.resumed, served.messages, served.different);
	close(fd);
}

static void
accept_one(const struct listener *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 && l->counts)
		tell_counts(fd);
	else if (fd >= 0)
		begin(fd, l);
}

static void
listen_at(const char *address)
{
	for (struct listener *l = listeners; l < listeners + LISTENERS; l++) {
		char at[64];
		struct sockaddr_in where;
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = l};

		if (l->secure && tls == NULL)
			continue;
		snprintf(at, sizeof(at), "%s:%d", address, l->port);
		where = wire_endpoint(at);
		l->fd = wire_listen(&where);
		epoll_ctl(loop, EPOLL_CTL_ADD, l->fd, &ev);
	}
}

int
main(int argc, char **argv)
{
	struct epoll_event events[BATCH];

	if (argc != 2 && argc != 4)
		errx(2, "usage: mail_sink ADDRESS [CHAIN KEY]");
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4)
		tls = tls_wire_server(argv[2], argv[3]);
	loop = epoll_create1(EPOLL_CLOEXEC);
	listen_at(argv[1]);
	for (;;) {
		int n = epoll_wait(loop, events, BATCH, -1);

		for (int i = 0; i < n; i++) {
			void *who = events[i].data.ptr;

			if ((uintptr_t)who >= (uintptr_t)listeners &&
			    (uintptr_t)who < (uintptr_t)(listeners + LISTENERS))
				accept_one(who);
			else if (!happened(who))
				end(who);
		}
	}
}
