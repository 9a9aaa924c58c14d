/* What the service manager hears, and that nothing fails where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "notify.h"

/* A manager that listens; name has '@' for the kernel's own space of names. */
static int
manager(const char *name)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	memcpy(sun.sun_path, name, n);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *
heard(int fd)
{
	static char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void
test_named(const char *name)
{
	struct notify n;
	int fd = manager(name);

	notify_init(&n);
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_send(&n, "READY=1\nSTATUS=serving");
	assert_string_equal(heard(fd), "READY=1\nSTATUS=serving");
	assert_string_equal(heard(fd), "");
	notify_free(&n);
	close(fd);
}

static void
test_path(void **state)
{
	char folder[] = "/tmp/test_notify.XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	test_named(path);
	unlink(path);
	rmdir(folder);
}

static void
test_abstract(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "@test_notify.%ld", (long)getpid());
	test_named(name);
}

static void
test_reloading(void **state)
{
	static const char begin[] = "RELOADING=1\nMONOTONIC_USEC=";
	char name[64];
	struct notify n;

	(void)state;
	snprintf(name, sizeof(name), "@test_notify.%ld", (long)getpid());
	int fd = manager(name);
	notify_init(&n);
	notify_reloading(&n);
	const char *text = heard(fd);
	assert_memory_equal(text, begin, sizeof(begin) - 1);
	assert_true(strtoull(text + sizeof(begin) - 1, NULL, 10) > 0);
	notify_free(&n);
	close(fd);
}

/* Neither there nor nonsense, gone, or longer than an address can be. */
static void
test_nobody(void **state)
{
	char too_long[200] = "/";
	const char *names[] = {NULL, "", "@", "relative", "/nowhere/at/all", too_long};

	(void)state;
	memset(too_long + 1, 'x', sizeof(too_long) - 2);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct notify n;

		unsetenv("NOTIFY_SOCKET");
		if (names[i] != NULL)
			setenv("NOTIFY_SOCKET", names[i], 1);
		notify_init(&n);
		assert_int_equal(n.fd, -1);
		notify_send(&n, "READY=1");
		notify_reloading(&n);
		notify_free(&n);
		assert_null(getenv("NOTIFY_SOCKET"));
	}
}

static void
test_manager_gone(void **state)
{
	char name[64];
	struct notify n;

	(void)state;
	snprintf(name, sizeof(name), "@test_notify.%ld", (long)getpid());
	int fd = manager(name);
	notify_init(&n);
	close(fd);
	notify_send(&n, "READY=1");
	notify_free(&n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_path),
	    cmocka_unit_test(test_abstract),
	    cmocka_unit_test(test_reloading),
	    cmocka_unit_test(test_nobody),
	    cmocka_unit_test(test_manager_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
