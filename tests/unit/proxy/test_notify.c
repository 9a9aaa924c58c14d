#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "notify.h"

/* A manager that listens; name is what it puts into the environment. */
struct bench {
	int fd;
	char name[108], text[512];
	struct notify notify;
};

static void
listen_at(struct bench *b)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t n = strlen(b->name);

	memcpy(sa.sun_path, b->name, n);
	if (b->name[0] == '@')
		sa.sun_path[0] = '\0';
	b->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(b->fd, (struct sockaddr *)&sa,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
	    0);
}

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->fd = b->notify.fd = -1;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	notify_end(&b->notify);
	if (b->fd >= 0)
		close(b->fd);
	if (b->name[0] == '/')
		unlink(b->name);
	free(b);
	return 0;
}

/* The next message, or "" when there is none. */
static const char *
heard(struct bench *b)
{
	ssize_t n = recv(b->fd, b->text, sizeof(b->text) - 1, 0);

	b->text[n < 0 ? 0 : n] = '\0';
	return b->text;
}

static void
start(struct bench *b)
{
	assert_int_equal(setenv("NOTIFY_SOCKET", b->name, 1), 0);
	assert_null(notify_init(&b->notify));
}

static void
start_at_path(struct bench *b)
{
	snprintf(b->name, sizeof(b->name), "%s/postern-notify-%d", P_tmpdir, getpid());
	listen_at(b);
	start(b);
}

static void
test_path(void **state)
{
	struct bench *b = *state;

	start_at_path(b);
	notify_send(&b->notify, "READY=1\nSTATUS=serving");
	assert_string_equal(heard(b), "READY=1\nSTATUS=serving");
	notify_send(&b->notify, "STOPPING=1");
	assert_string_equal(heard(b), "STOPPING=1");
	assert_string_equal(heard(b), "");
}

static void
test_abstract_name(void **state)
{
	struct bench *b = *state;

	snprintf(b->name, sizeof(b->name), "@postern-notify-%d", getpid());
	listen_at(b);
	start(b);
	notify_send(&b->notify, "READY=1");
	assert_string_equal(heard(b), "READY=1");
}

/* The manager compares the time with when it sent SIGHUP. */
static void
test_reloading(void **state)
{
	static const char before[] = "RELOADING=1\nMONOTONIC_USEC=";
	struct bench *b = *state;
	struct timespec from, to;
	unsigned long long usec;

	start_at_path(b);
	clock_gettime(CLOCK_MONOTONIC, &from);
	notify_reloading(&b->notify);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_int_equal(strncmp(heard(b), before, strlen(before)), 0);
	usec = strtoull(b->text + strlen(before), NULL, 10);
	assert_true(usec >= (unsigned long long)from.tv_sec * 1000000 +
				(unsigned long long)from.tv_nsec / 1000);
	assert_true(usec <= (unsigned long long)to.tv_sec * 1000000 +
				(unsigned long long)to.tv_nsec / 1000);
}

static void
test_environment_is_emptied(void **state)
{
	struct bench *b = *state;

	setenv("WATCHDOG_USEC", "2000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	start_at_path(b);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
}

static void
watchdog(struct bench *b, const char *usec, const char *pid)
{
	notify_end(&b->notify);
	setenv("WATCHDOG_USEC", usec, 1);
	if (pid != NULL)
		setenv("WATCHDOG_PID", pid, 1);
	start(b);
}

static void
test_watchdog(void **state)
{
	struct bench *b = *state;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	start_at_path(b);
	assert_int_equal(b->notify.watchdog_usec, 0);
	notify_watchdog(&b->notify);
	assert_string_equal(heard(b), "");
	watchdog(b, "2000000", pid);
	assert_int_equal(b->notify.watchdog_usec, 2000000);
	notify_watchdog(&b->notify);
	assert_string_equal(heard(b), "WATCHDOG=1");
	watchdog(b, "3000000", NULL);
	assert_int_equal(b->notify.watchdog_usec, 3000000);
	watchdog(b, "2000000", "1"); /* somebody else is watched */
	assert_int_equal(b->notify.watchdog_usec, 0);
	watchdog(b, "2s", pid);
	assert_int_equal(b->notify.watchdog_usec, 0);
}

static void
test_nobody_asked(void **state)
{
	struct bench *b = *state;

	assert_null(notify_init(&b->notify));
	assert_int_equal(b->notify.fd, -1);
	notify_send(&b->notify, "READY=1");
	notify_reloading(&b->notify);
	notify_watchdog(&b->notify);
}

static void
refuses(struct bench *b, const char *name)
{
	setenv("NOTIFY_SOCKET", name, 1);
	assert_non_null(notify_init(&b->notify));
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_int_equal(b->notify.fd, -1);
	notify_send(&b->notify, "READY=1");
}

static void
test_names_refused(void **state)
{
	struct bench *b = *state;
	char too_long[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];

	memset(too_long, '/', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	refuses(b, too_long);
	refuses(b, "");
	refuses(b, "/");
	refuses(b, "@");
	refuses(b, "relative");
	refuses(b, "/nobody/listens/here");
}

/* A manager that reads nothing stops nobody; one that is gone neither. */
static void
test_deaf_manager(void **state)
{
	struct bench *b = *state;

	start_at_path(b);
	for (int i = 0; i < 100000; i++)
		notify_send(&b->notify, "STATUS=again");
	close(b->fd);
	b->fd = -1;
	notify_send(&b->notify, "STOPPING=1");
}

/* The first descriptor from 3 on that would go on into a program that is started, or -1. */
static int
inherited(void)
{
	for (int fd = 3; fd < 64; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0 && (flags & FD_CLOEXEC) == 0)
			return fd;
	}
	return -1;
}

static void
test_socket_is_not_inherited(void **state)
{
	struct bench *b = *state;
	int before = inherited();

	start_at_path(b);
	assert_int_equal(inherited(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_path, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_abstract_name, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_reloading, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_environment_is_emptied, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_watchdog, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_nobody_asked, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_names_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_deaf_manager, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_socket_is_not_inherited, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
