/*
 * own_mounts - a test that mounts small or read-only disks, where nobody else sees them.
 */
#ifndef POSTERN_TESTS_OWN_MOUNTS_H
#define POSTERN_TESTS_OWN_MOUNTS_H

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

/*
 * From here on this process has mounts of its own, whoever it is, and stays that. It cannot go
 * back. Can be the set-up of a group of tests.
 */
static inline int
own_mounts(void **state)
{
	char map[64];
	unsigned user = geteuid();
	int n = snprintf(map, sizeof(map), "%u %u 1", user, user), fd;

	(void)state;
	if (unshare(CLONE_NEWNS | (user == 0 ? 0 : CLONE_NEWUSER)) != 0)
		return -1;
	if (user != 0) {
		fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, map, (size_t)n) != n)
			return -1;
		close(fd);
	}
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

#endif
