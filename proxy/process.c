#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_NO_EXEC 127

/* Everything that the child needs between fork and exec, where nothing may be allocated. */
struct launch {
	const char *argv[PROCESS_ARGS_MAX + 3];
	const int *fds;
	size_t n_fds;
	bool keep_stdout;
	pid_t parent;
};

static void
follow(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

void
process_follow_parent(void)
{
	static pid_t parent;

	/* before the first call the kernel was asked by the child itself, ahead of its exec */
	if (parent == 0)
		parent = getppid();
	follow(parent);
	close_range(PROCESS_FD, ~0u, CLOSE_RANGE_CLOEXEC);
}

void
process_name(const char *name)
{
	prctl(PR_SET_NAME, name);
}

/* Puts the descriptors in their places; false: one cannot be put there. */
static bool
place_descriptors(const struct launch *l)
{
	int high[PROCESS_FDS_MAX], null = open("/dev/null", O_RDWR);

	if (null < 0)
		return false;
	/* out of the way first: one may stand where another one belongs */
	for (size_t i = 0; i < l->n_fds; i++) {
		high[i] = fcntl(l->fds[i], F_DUPFD, PROCESS_FD + PROCESS_FDS_MAX);
		if (high[i] < 0)
			return false;
	}
	if (dup2(null, STDIN_FILENO) < 0 || (!l->keep_stdout && dup2(null, STDOUT_FILENO) < 0))
		return false;
	for (size_t i = 0; i < l->n_fds; i++)
		if (dup2(high[i], PROCESS_FD + (int)i) < 0)
			return false;
	return close_range(PROCESS_FD + (unsigned)l->n_fds, ~0u, 0) == 0;
}

static void
settle_signals(void)
{
	static const int ignored[] = {SIGPIPE, SIGINT, SIGHUP};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void
become(const struct launch *l)
{
	follow(l->parent);
	settle_signals();
	/* the very binary that runs, also when its file was replaced by an upgrade meanwhile */
	if (place_descriptors(l))
		execv("/proc/self/exe", (char *const *)(uintptr_t)l->argv);
	_exit(EXIT_NO_EXEC);
}

pid_t
process_start(const char *role, const char *const args[], size_t n_args, const int fds[],
    size_t n_fds, bool keep_stdout)
{
	struct launch l = {.argv = {"postern", role},
	    .fds = fds,
	    .n_fds = n_fds,
	    .keep_stdout = keep_stdout,
	    .parent = getpid()};
	sigset_t all, before;
	pid_t pid;

	if (n_args > PROCESS_ARGS_MAX || n_fds > PROCESS_FDS_MAX) {
		errno = E2BIG;
		return -1;
	}
	for (size_t i = 0; i < n_args; i++)
		l.argv[i + 2] = args[i];
	/* a handler of ours must not run in the child */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become(&l);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}
