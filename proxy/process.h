/*
 * process - starting another process of the gateway: fork and exec of the very binary that runs,
 * with every descriptor closed but those that are handed over.
 *
 * The child finds the descriptors at PROCESS_FD, PROCESS_FD + 1, ... in the order in which they
 * were given, and its role in argv[1] (main.c). It is killed when its parent ends, however that
 * ends: it asks the kernel for that first thing (process_follow_parent()).
 */
#ifndef POSTERN_PROCESS_H
#define POSTERN_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROCESS_FD	 3
#define PROCESS_FDS_MAX	 8
#define PROCESS_ARGS_MAX 8

/*
 * role    "worker", "logger", ...: a command that only processes of the gateway are given
 * args    n_args (at most PROCESS_ARGS_MAX) further arguments
 * fds     n_fds (at most PROCESS_FDS_MAX), all open; they stay open here
 *
 * Standard output goes to /dev/null unless keep_stdout; standard input always comes from there;
 * standard error stays. No signal is blocked or ignored in the child but SIGPIPE, SIGINT and
 * SIGHUP, which are ignored: the supervisor says when to end. Returns its pid, or -1 and errno.
 */
pid_t process_start(const char *role, const char *const args[], size_t n_args, const int fds[],
    size_t n_fds, bool keep_stdout);

/*
 * In the child: SIGKILL comes when the parent ends, and the handed over descriptors are
 * close-on-exec again. Ends the process at once when the parent has ended already. To be called
 * again after the user was changed, which makes the kernel forget it.
 */
void process_follow_parent(void);

/* The name in ps and top, at most 15 octets. */
void process_name(const char *);

#endif
