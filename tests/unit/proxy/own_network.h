/*
 * A network namespace of the test's own, with lo up: nothing of the host's is seen or changed. Who
 * is not root gets a user namespace with it.
 */
#ifndef POSTERN_TESTS_OWN_NETWORK_H
#define POSTERN_TESTS_OWN_NETWORK_H

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

static inline void
set_lo(short flags)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = flags};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
}

/* A set-up function of cmocka's. */
static inline int
own_network(void **state)
{
	uid_t user = geteuid();
	gid_t group = getegid();
	char map[64];

	(void)state;
	if (user == 0) {
		assert_int_equal(unshare(CLONE_NEWNET), 0);
	} else {
		assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
		write_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", user);
		write_text("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", group);
		write_text("/proc/self/gid_map", map);
	}
	set_lo(IFF_UP);
	return 0;
}

#endif
