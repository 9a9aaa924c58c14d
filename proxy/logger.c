#include "logger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "record.h"

#define LOGGER_BUFFER (4 * RECORD_LINE_MAX)
#define PIPE_OCTETS   (1 << 20)
#define RETRY_MS      1000

struct logger {
	const char *path;
	int in, out, signals;
	uint8_t *p; /* LOGGER_BUFFER octets: whole lines, then the beginning of one */
	size_t n;
	bool torn;     /* the file ends in a line whose rest stands at the front of p */
	bool skipping; /* up to the end of a line that is too long to be one of ours */
	int trouble;   /* errno of the last write, 0: it went well */
	uint64_t lost; /* lines since the last stats record */
};

static int
open_file(const char *path)
{
	if (strcmp(path, "-") == 0)
		return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	/* O_NONBLOCK: a FIFO that nobody reads is an error now and not a process that hangs */
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

/* ---- the file ---- */

static void
say_trouble(const struct logger *l)
{
	dprintf(STDERR_FILENO, "postern: log: %s: %s; records are being lost\n", l->path,
	    strerror(l->trouble));
}

/* Standard output may be a pipe or a terminal that takes nothing for a while. */
static bool
may_go_on(const struct logger *l)
{
	struct pollfd out = {.fd = l->out, .events = POLLOUT};

	return errno == EINTR || (errno == EAGAIN && poll(&out, 1, RETRY_MS) > 0);
}

/* Writes up to n octets of p; fewer: l->trouble says why. */
static size_t
write_octets(struct logger *l, size_t n)
{
	size_t sent = 0;
	int before = l->trouble;

	l->trouble = 0;
	while (sent < n) {
		ssize_t got = write(l->out, l->p + sent, n - sent);

		if (got > 0) {
			sent += (size_t)got;
		} else if (got == 0 || !may_go_on(l)) {
			l->trouble = got == 0 ? EIO : errno;
			break;
		}
	}
	if (l->trouble != 0 && before == 0)
		say_trouble(l);
	return sent;
}

static size_t
count_lines(struct span s)
{
	ptrdiff_t lf;
	size_t lines = 0;

	for (; (lf = span_find(s, '\n')) >= 0; lines++)
		s = span_from(s, (size_t)lf + 1);
	return lines;
}

/* Takes out the octets from..to. */
static void
cut_out(struct logger *l, size_t from, size_t to)
{
	memmove(l->p + from, l->p + to, l->n - to);
	l->n -= to - from;
}

/*
 * Writes all whole lines. Those that cannot be written are lost, but for the rest of one that is
 * in the file already in part.
 */
static void
write_lines(struct logger *l)
{
	size_t whole = (size_t)(span_rfind(span_of(l->p, l->n), '\n') + 1), sent, keep;

	if (whole == 0)
		return;
	sent = write_octets(l, whole);
	if (sent > 0)
		l->torn = l->p[sent - 1] != '\n';
	keep = sent;
	if (l->torn)
		keep += (size_t)span_find(span_of(l->p + sent, whole - sent), '\n') + 1;
	l->lost += count_lines(span_of(l->p + keep, whole - keep));
	cut_out(l, keep, whole);
	cut_out(l, 0, sent);
}

/* Puts a line of ours before the line that has only begun. */
static void
put_first(void *logger, const char *line, size_t n)
{
	struct logger *l = logger;

	if (n > LOGGER_BUFFER - l->n)
		return;
	memmove(l->p + n, l->p, l->n);
	memcpy(l->p, line, n);
	l->n += n;
}

/* Tries to say how many lines were lost; where that fails, they are still to be said. */
static void
say_lost(struct logger *l)
{
	uint64_t lost = l->lost;

	if (lost == 0 || l->torn)
		return;
	l->lost = 0;
	record_stats("log_lines_lost", lost, "the log could not be written", put_first, l);
	write_lines(l);
	if (l->lost > 0)
		l->lost = lost;
	else
		dprintf(STDERR_FILENO, "postern: log: %s: %ju records were lost\n", l->path,
		    (uintmax_t)lost);
}

/* A disk that was full is tried again with whatever comes, and from time to time. */
static void
write_all(struct logger *l)
{
	write_lines(l);
	say_lost(l);
}

static void
reopen(struct logger *l)
{
	struct signalfd_siginfo info;
	int out;

	if (read(l->signals, &info, sizeof(info)) != sizeof(info))
		return;
	out = open_file(l->path);
	if (out < 0) {
		dprintf(STDERR_FILENO, "postern: log: %s: %s; the old file stays open\n", l->path,
		    strerror(errno));
		return;
	}
	close(l->out);
	l->out = out;
	if (l->torn) { /* its beginning is in the old file */
		cut_out(l, 0, (size_t)span_find(span_of(l->p, l->n), '\n') + 1);
		l->lost++;
		l->torn = false;
	}
	write_all(l);
}

/* ---- the pipe ---- */

/* Drops what cannot be a line of ours, so that the buffer never stays full. */
static void
skip_endless(struct logger *l)
{
	ptrdiff_t lf;

	if (l->skipping && (lf = span_find(span_of(l->p, l->n), '\n')) >= 0) {
		cut_out(l, 0, (size_t)lf + 1);
		l->skipping = false;
		l->lost++;
	}
	if (l->skipping || l->n == LOGGER_BUFFER) {
		l->skipping = true;
		l->n = 0;
	}
}

/* False: the last writer is gone. */
static bool
read_pipe(struct logger *l)
{
	ssize_t got = read(l->in, l->p + l->n, LOGGER_BUFFER - l->n);

	if (got < 0)
		return errno == EINTR || errno == EAGAIN;
	if (got == 0)
		return false;
	l->n += (size_t)got;
	if (l->skipping)
		skip_endless(l);
	write_all(l);
	if (l->n == LOGGER_BUFFER)
		skip_endless(l);
	return true;
}

static void
run(struct logger *l)
{
	struct pollfd fds[] = {
	    {.fd = l->in, .events = POLLIN}, {.fd = l->signals, .events = POLLIN}};
	bool open = true;

	while (open) {
		int ready = poll(fds, 2, l->torn || l->lost > 0 ? RETRY_MS : -1);

		if (ready == 0)
			write_all(l);
		if (ready > 0 && (fds[1].revents & POLLIN) != 0)
			reopen(l);
		if (ready > 0 && (fds[0].revents & (POLLIN | POLLHUP)) != 0)
			open = read_pipe(l);
	}
	if (!l->torn && l->n > 0) { /* a writer died inside a line */
		l->n = 0;
		l->lost++;
	}
	write_all(l);
}

/* ---- the process ---- */

static void
close_all_but(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

/* Standard output belongs to whoever started us; it may wait for its end. */
static void
let_go_of_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
}

/* SIGUSR1 was blocked before the fork, so that none is missed. */
static int
take_signals(const sigset_t *usr1)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	return signalfd(-1, usr1, SFD_CLOEXEC);
}

static _Noreturn void
logger_main(const char *path, int in, int out, const sigset_t *usr1)
{
	struct logger l = {.path = path, .in = in, .out = out};

	prctl(PR_SET_NAME, "postern-log");
	close_all_but(in, out);
	if (strcmp(path, "-") != 0)
		let_go_of_stdio();
	l.signals = take_signals(usr1);
	l.p = malloc(LOGGER_BUFFER);
	if (l.signals < 0 || l.p == NULL)
		_exit(1);
	run(&l);
	_exit(l.lost > 0 || l.torn ? 1 : 0);
}

/* Forks with SIGUSR1 blocked in the child and as it was in the parent. */
static pid_t
start(const char *path, int in, int out)
{
	sigset_t usr1, before;
	pid_t pid;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &before);
	pid = fork();
	if (pid == 0)
		logger_main(path, in, out, &usr1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int
logger_start(const char *path, int *pid, const char **why)
{
	int ends[2] = {-1, -1}, out = open_file(path);

	*pid = -1;
	if (out >= 0 && pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0) {
		/* Fewer turns of both processes; the default serves as well. */
		fcntl(ends[1], F_SETPIPE_SZ, PIPE_OCTETS);
		*pid = start(path, ends[0], out);
	}
	if (*pid < 0)
		*why = strerror(errno);
	if (out >= 0)
		close(out);
	if (ends[0] >= 0)
		close(ends[0]);
	if (*pid < 0 && ends[1] >= 0)
		close(ends[1]);
	return *pid < 0 ? -1 : ends[1];
}
