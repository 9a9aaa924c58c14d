/*
 * sandbox_child - children that drop their privileges and close the sandbox, for tests.
 */
#ifndef POSTERN_TEST_SANDBOX_CHILD_H
#define POSTERN_TEST_SANDBOX_CHILD_H

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

#define ANYBODY	 "nobody" /* every Debian has it; as another user than root it is not looked at */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/*
 * A check inside of a child, whose asserts nobody would see: it ends, and says where.
 */
#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                 \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* Runs run(arg) in a child; returns the status of its end, 0 where run() comes back. */
static int
in_child(void (*run)(const void *arg), const void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		run(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
drop(void)
{
	const char *why = "";

	if (!sandbox_drop(ANYBODY, &why)) {
		fprintf(stderr, "%s\n", why);
		_exit(1);
	}
}

static inline void
close_sandbox(enum sandbox_role role)
{
	const char *why = "";

	drop();
	if (!sandbox_close(role, &why)) {
		fprintf(stderr, "%s\n", why);
		_exit(1);
	}
}

#endif
