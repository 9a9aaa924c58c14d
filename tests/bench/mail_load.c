/*
 * mail_load - sessions of SMTP, POP3 or IMAP, in the clear or under TLS from the first octet on.
 *
 *	mail_load smtp|pop3|imap ADDRESS:PORT MAILBOX MESSAGES AT_ONCE SECONDS [TLS]
 *	mail_load smtp|pop3|imap ADDRESS:PORT MAILBOX MESSAGES idle SESSIONS [TLS]
 *	TLS: ISSUER 1.2|1.3 full|resumed
 *
 * Each logs in, fetches so many messages whole (SMTP: sends them) and leaves; with none it leaves
 * at the greeting (SMTP: behind EHLO). What comes is compared with what mail_sink sends. For so
 * many seconds, one after the other, so many at once; one each where SECONDS is 0. Prints one line
 * of JSON; p50 and p99 are microseconds of a session, from connect to the last answer.
 *
 * TLS: the server's certificate must be of this issuer. resumed: all but the first session of each
 * client must be resumed; one that is not is an error.
 *
 * idle: as many stay, IMAP's in IDLE, until standard input ends; the line says when all are there.
 */
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ftp_wire.h"
#include "mail_wire.h"
#include "tls_wire.h"

#define HELD	((size_t)256 << 10)
#define HOLDERS 8 /* who open the sessions that wait: some gateways answer late, and idle */

static enum mail_protocol protocol;
static struct sockaddr_in server;
static const char *mailbox;
static struct mailbox box;
static unsigned messages;
static double until;
static SSL_CTX *tls; /* NULL: in the clear */
static bool resumes;

struct client {
	pthread_t thread;
	struct tls_wire wire;
	SSL_SESSION *session; /* to be resumed */
	char *held;	      /* HELD octets; begin to end came and were not looked at */
	size_t begin, end;
	unsigned share; /* sessions that it holds */
	unsigned sessions, resumed, errors;
	uint64_t octets;
	double *took; /* seconds of each session */
	size_t room;
	const char *what; /* went wrong first */
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* More octets; false: there are none. */
static bool
fill(struct client *c)
{
	ssize_t n;

	if (c->begin == c->end)
		c->begin = c->end = 0;
	if (c->end == HELD) {
		memmove(c->held, c->held + c->begin, c->end - c->begin);
		c->end -= c->begin;
		c->begin = 0;
	}
	n = c->end == HELD ? 0 : tls_wire_receive(&c->wire, c->held + c->end, HELD - c->end);
	if (n > 0)
		c->end += (size_t)n;
	return n > 0;
}

/* The next line, with its end; NULL: there is none. */
static const char *
line(struct client *c, size_t *n)
{
	const char *from, *lf;

	do {
		from = c->held + c->begin;
		lf = memchr(from, '\n', c->end - c->begin);
	} while (lf == NULL && fill(c));
	if (lf == NULL)
		return NULL;
	*n = (size_t)(lf - from) + 1;
	c->begin += *n;
	return from;
}

/* Exactly these octets come. */
static bool
exactly(struct client *c, const char *want, size_t n)
{
	while (n > 0) {
		size_t some = c->end - c->begin;

		if (some == 0 && !fill(c))
			return false;
		some = c->end - c->begin < n ? c->end - c->begin : n;
		if (memcmp(c->held + c->begin, want, some) != 0)
			return false;
		c->begin += some;
		want += some;
		n -= some;
	}
	return true;
}

/* Another line of the same answer can follow. */
static bool
goes_on(const char *l, size_t n)
{
	return protocol == MAIL_IMAP || (protocol == MAIL_SMTP && n > 3 && l[3] == '-');
}

/* Lines up to one that begins like this. */
static bool
until_line(struct client *c, const char *start)
{
	const char *l;
	size_t n;

	while ((l = line(c, &n)) != NULL) {
		if (n >= strlen(start) && memcmp(l, start, strlen(start)) == 0)
			return true;
		if (!goes_on(l, n))
			return false;
	}
	return false;
}

static bool
say(struct client *c, char *what, size_t n)
{
	struct iovec rest = {what, n};

	while (rest.iov_len > 0) {
		ssize_t sent = tls_wire_send(&c->wire, &rest, 1);

		if (sent <= 0)
			return false;
		rest.iov_base = (char *)rest.iov_base + sent;
		rest.iov_len -= (size_t)sent;
	}
	return true;
}

static bool
ask(struct client *c, const char *command, const char *answer)
{
	char text[160];
	const int n = snprintf(text, sizeof(text), "%s\r\n", command);

	return say(c, text, (size_t)n) && until_line(c, answer);
}

/* ---- SMTP ---- */

static bool
smtp_enter(struct client *c)
{
	return ask(c, "EHLO client.example.org", "250 ");
}

static bool
smtp_turn(struct client *c, unsigned number)
{
	char from[128];

	(void)number;
	snprintf(from, sizeof(from), "MAIL FROM:<%s@example.org>", mailbox);
	return ask(c, from, "250") && ask(c, "RCPT TO:<b@campus.example>", "250") &&
	       ask(c, "DATA", "354") && say(c, box.message, box.n + strlen(MAIL_DOT)) &&
	       until_line(c, "250");
}

/* ---- POP3 and IMAP ---- */

static bool
pop3_enter(struct client *c)
{
	char user[128];

	snprintf(user, sizeof(user), "USER %s", mailbox);
	return ask(c, user, "+OK") && ask(c, "PASS secret", "+OK") && ask(c, "STAT", "+OK");
}

static bool
imap_enter(struct client *c)
{
	char login[128];

	snprintf(login, sizeof(login), "a LOGIN %s secret", mailbox);
	return ask(c, login, "a OK") && ask(c, "a SELECT INBOX", "a OK");
}

static bool
message_comes(struct client *c, const char *command, unsigned number)
{
	char head[MAIL_HEAD_MAX], text[64];
	const size_t n = mail_head(protocol, number, box.n, head);
	const char *tail = mail_tail(protocol);
	const int said = snprintf(text, sizeof(text), "%s\r\n", command);

	return say(c, text, (size_t)said) && exactly(c, head, n) &&
	       exactly(c, box.message, box.n) && exactly(c, tail, strlen(tail));
}

static bool
pop3_turn(struct client *c, unsigned number)
{
	char command[32];

	snprintf(command, sizeof(command), "RETR %u", number);
	return message_comes(c, command, number);
}

static bool
imap_turn(struct client *c, unsigned number)
{
	char command[48];

	snprintf(command, sizeof(command), "a FETCH %u BODY.PEEK[]", number);
	return message_comes(c, command, number) && until_line(c, "a OK");
}

/* What is said to a server, and what it answers. */
static const struct {
	const char *greeting, *leave, *left, *wait, *waits;
	bool (*enter)(struct client *);
	bool (*turn)(struct client *, unsigned number);
} talks[] = {
    [MAIL_SMTP] = {"220", "QUIT", "221", "NOOP", "250", smtp_enter, smtp_turn},
    [MAIL_POP3] = {"+OK", "QUIT", "+OK", "NOOP", "+OK", pop3_enter, pop3_turn},
    [MAIL_IMAP] = {"* OK", "a LOGOUT", "a OK", "a IDLE", "+", imap_enter, imap_turn},
};

/* ---- sessions ---- */

/* OpenSSL's: a ticket came. */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

/* NULL: it is done. */
static const char *
shake_hands(struct client *c)
{
	char name[] = MAIL_SERVER;
	SSL *ssl = SSL_new(tls);
	const bool has_ticket = c->session != NULL; /* another one can come within the handshake */

	c->wire.ssl = ssl;
	if (ssl == NULL || SSL_set_fd(ssl, c->wire.fd) != 1 ||
	    SSL_set_tlsext_host_name(ssl, name) != 1 || SSL_set1_host(ssl, name) != 1)
		errx(1, "no TLS");
	SSL_set_app_data(ssl, c);
	if (resumes && has_ticket)
		SSL_set_session(ssl, c->session);
	if (SSL_connect(ssl) != 1)
		return SSL_get_verify_result(ssl) == X509_V_OK ? "handshake" : "certificate";
	if (SSL_session_reused(ssl))
		c->resumed++;
	return resumes && has_ticket && !SSL_session_reused(ssl) ? "not resumed" : NULL;
}

/* NULL: it is logged in, and every message has gone its way. */
static const char *
work(struct client *c)
{
	const char *what = NULL;

	c->begin = c->end = 0;
	c->wire = (struct tls_wire){.fd = wire_connect(&server)};
	if (c->wire.fd < 0)
		return "connect";
	if (tls != NULL)
		what = shake_hands(c);
	if (what != NULL)
		return what;
	if (!until_line(c, talks[protocol].greeting))
		return "greeting";
	if ((messages > 0 || protocol == MAIL_SMTP) && !talks[protocol].enter(c))
		return "login";
	for (unsigned i = 1; i <= messages; i++) {
		if (!talks[protocol].turn(c, i))
			return "message";
		c->octets += box.n;
	}
	return NULL;
}

static void
note_time(struct client *c, double seconds)
{
	if (c->sessions == c->room) {
		c->room = c->room == 0 ? 1024 : 2 * c->room;
		c->took = realloc(c->took, c->room * sizeof(*c->took));
		if (c->took == NULL)
			err(1, "realloc");
	}
	c->took[c->sessions++] = seconds;
}

static void *
run(void *arg)
{
	struct client *c = arg;

	do {
		const double began = now();
		const char *what = work(c);

		if (what == NULL && !ask(c, talks[protocol].leave, talks[protocol].left))
			what = "leave";
		if (what == NULL)
			note_time(c, now() - began);
		else
			c->errors++;
		tls_wire_end(&c->wire);
		if (c->what == NULL)
			c->what = what;
	} while (now() < until);
	return NULL;
}

static struct client *
clients_new(unsigned n)
{
	struct client *clients = calloc(n, sizeof(*clients));

	for (unsigned i = 0; clients != NULL && i < n; i++) {
		clients[i].held = calloc(1, HELD);
		if (clients[i].held == NULL)
			err(1, "calloc");
	}
	if (clients == NULL)
		err(1, "calloc");
	return clients;
}

/* What one has done is also what all have done. */
static void
add(struct client *all, const struct client *c)
{
	for (unsigned i = 0; i < c->sessions; i++)
		note_time(all, c->took[i]);
	all->resumed += c->resumed;
	all->errors += c->errors;
	all->octets += c->octets;
	if (all->what == NULL)
		all->what = c->what;
}

static int
compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Microseconds that the p-th part of all sessions took at most. */
static double
quantile(const struct client *all, double p)
{
	return all->sessions == 0 ? 0 : all->took[(size_t)(p * (all->sessions - 1))] * 1e6;
}

static void
load(unsigned at_once, double seconds)
{
	struct client *clients = clients_new(at_once), all = {0};
	const double began = now();
	double took;

	until = began + seconds;
	for (unsigned i = 0; i < at_once; i++)
		if (pthread_create(&clients[i].thread, NULL, run, &clients[i]) != 0)
			errx(1, "no threads");
	for (unsigned i = 0; i < at_once; i++)
		pthread_join(clients[i].thread, NULL);
	took = now() - began;
	for (unsigned i = 0; i < at_once; i++)
		add(&all, &clients[i]);
	if (all.sessions > 0)
		qsort(all.took, all.sessions, sizeof(*all.took), compare);
	printf("{\"sessions\": %u, \"resumed\": %u, \"errors\": %u, \"error\": \"%s\", "
	       "\"octets\": %ju, \"seconds\": %.6f, \"p50\": %.1f, \"p99\": %.1f}\n",
	    all.sessions, all.resumed, all.errors, all.what == NULL ? "" : all.what,
	    (uintmax_t)all.octets, took, quantile(&all, 0.5), quantile(&all, 0.99));
}

/* Its share of the sessions that wait; they stay until the program ends. */
static void *
hold(void *arg)
{
	struct client *c = arg;

	for (unsigned i = 0; i < c->share; i++) {
		const char *what = work(c);

		if (what == NULL && !ask(c, talks[protocol].wait, talks[protocol].waits))
			what = "wait";
		if (what == NULL)
			c->sessions++;
		else if (c->what == NULL)
			c->what = what;
	}
	return NULL;
}

static void
idle(unsigned sessions)
{
	struct client *clients = clients_new(HOLDERS);
	const char *what = NULL;
	unsigned held = 0;
	char octet;

	for (unsigned i = 0; i < HOLDERS; i++) {
		clients[i].share = sessions / HOLDERS + (i < sessions % HOLDERS);
		if (pthread_create(&clients[i].thread, NULL, hold, &clients[i]) != 0)
			errx(1, "no threads");
	}
	for (unsigned i = 0; i < HOLDERS; i++) {
		pthread_join(clients[i].thread, NULL);
		held += clients[i].sessions;
		if (what == NULL)
			what = clients[i].what;
	}
	printf("{\"held\": %u, \"error\": \"%s\"}\n", held, what == NULL ? "" : what);
	fflush(stdout);
	while (read(STDIN_FILENO, &octet, 1) > 0)
		;
}

int
main(int argc, char **argv)
{
	if (argc != 7 && argc != 10)
		errx(2,
		    "usage: mail_load smtp|pop3|imap ADDRESS:PORT MAILBOX MESSAGES AT_ONCE SECONDS "
		    "[ISSUER 1.2|1.3 full|resumed]");
	signal(SIGPIPE, SIG_IGN);
	protocol = mail_protocol(argv[1]);
	server = wire_endpoint(argv[2]);
	mailbox = argv[3];
	box = mailbox_open(mailbox);
	messages = (unsigned)strtoul(argv[4], NULL, 10);
	if (argc == 10) {
		tls = tls_wire_client(argv[7], argv[8]);
		resumes = strcmp(argv[9], "resumed") == 0;
		SSL_CTX_set_session_cache_mode(
		    tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(tls, keep_session);
	}
	if (strcmp(argv[5], "idle") == 0)
		idle((unsigned)strtoul(argv[6], NULL, 10));
	else
		load((unsigned)strtoul(argv[5], NULL, 10), strtod(argv[6], NULL));
	return 0;
}
