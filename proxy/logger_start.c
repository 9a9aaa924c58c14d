#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc.h"
#include "log_file.h"
#include "log_pipe.h"
#include "log_state.h"
#include "logger.h"
#include "process.h"

/* What stands between a gateway of one process and its logger. */
struct between {
	const char *path;
	int control, signals;
};

static void
send_file(const struct between *b, int file)
{
	struct ipc_message m = {.type = IPC_LOG_FILE};

	ipc_send(b->control, &m, &file, 1);
	close(file);
}

static void
reopen(const struct between *b)
{
	struct signalfd_siginfo info;
	char why[LOG_FILE_WHY_MAX];
	int file;

	if (read(b->signals, &info, sizeof(info)) != sizeof(info))
		return;
	file = log_file_open(b->path, why);
	if (file >= 0)
		send_file(b, file);
	else
		dprintf(
		    STDERR_FILENO, "postern: log: %s: %s; the old file stays open\n", b->path, why);
}

/* False: the logger is gone. */
static bool
listen_to_logger(const struct between *b)
{
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	size_t n;
	const char *why;
	enum ipc_result result = ipc_receive(b->control, IPC_FROM_LOGGER, &m, fds, &n, &why);

	return result == IPC_OK || result == IPC_AGAIN;
}

static pid_t
fork_logger(const struct between *b, int control, int state)
{
	char name[] = "logger", zero[] = "0", path[256];
	char *argv[] = {name, path, zero, zero, NULL};
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	snprintf(path, sizeof(path), "%s", b->path);
	close(b->control);
	close(b->signals);
	control = fcntl(control, F_DUPFD, 16);
	state = fcntl(state, F_DUPFD, 16);
	if (dup2(control, PROCESS_FD) < 0 || dup2(state, PROCESS_FD + 1) < 0)
		_exit(1);
	close_range(PROCESS_FD + 2, ~0u, 0);
	if (strcmp(path, "-") != 0) {
		/* it belongs to whoever started us, who may wait for its end */
		close(STDOUT_FILENO);
		open("/dev/null", O_WRONLY | O_CLOEXEC);
	}
	_exit(logger_main(4, argv));
}

static void
close_all_but(int a, int b)
{
	for (int fd = 3; fd < 64; fd++)
		if (fd != a && fd != b)
			close(fd);
	close_range(64, ~0u, 0);
}

static _Noreturn void
stand_between(const char *path, int file, int pipe_end, const sigset_t *usr1)
{
	struct ipc_message m = {.type = IPC_LOG_PIPE};
	struct between b = {.path = path};
	int ends[2], state, status = 1;
	pid_t logger;

	close_all_but(file, pipe_end);
	for (int s = SIGHUP; s <= SIGTERM; s++)
		signal(s, s == SIGKILL ? SIG_DFL : SIG_IGN);
	state = log_state_new();
	b.signals = signalfd(-1, usr1, SFD_CLOEXEC);
	if (state < 0 || b.signals < 0 || !ipc_pair(ends))
		_exit(1);
	b.control = ends[0];
	logger = fork_logger(&b, ends[1], state);
	close(ends[1]);
	send_file(&b, file);
	ipc_send(b.control, &m, &pipe_end, 1);
	close(pipe_end);
	if (strcmp(path, "-") != 0)
		close(STDOUT_FILENO);
	struct pollfd fds[] = {
	    {.fd = b.control, .events = POLLIN}, {.fd = b.signals, .events = POLLIN}};
	for (bool on = logger > 0; on;) {
		poll(fds, 2, -1);
		if (fds[1].revents != 0)
			reopen(&b);
		if (fds[0].revents != 0)
			on = listen_to_logger(&b);
	}
	waitpid(logger, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int
logger_start(const char *path, int *pid, const char **why)
{
	static char text[LOG_FILE_WHY_MAX];
	sigset_t usr1, before;
	int ends[2], file = log_file_open(path, text);

	*pid = -1;
	*why = text;
	if (file < 0)
		return -1;
	if (!log_pipe_pair(ends)) {
		snprintf(text, sizeof(text), "%s", strerror(errno));
		close(file);
		return -1;
	}
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &before);
	*pid = fork();
	if (*pid == 0)
		stand_between(path, file, ends[0], &usr1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(file);
	close(ends[0]);
	if (*pid > 0)
		return ends[1];
	snprintf(text, sizeof(text), "%s", strerror(errno));
	close(ends[1]);
	return -1;
}
