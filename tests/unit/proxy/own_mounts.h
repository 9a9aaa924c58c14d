/*
 * own_mounts - a test that mounts small or read-only disks, where nobody else sees them.
 */
#ifndef POSTERN_TESTS_OWN_MOUNTS_H
#define POSTERN_TESTS_OWN_MOUNTS_H

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* False: it was not written whole. */
static inline bool
write_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool whole = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return whole;
}

/* In a namespace where we may mount: user and group stay what they are. */
static inline bool
keep_user(unsigned user, unsigned group)
{
	char users[64], groups[64];

	snprintf(users, sizeof(users), "%u %u 1", user, user);
	snprintf(groups, sizeof(groups), "%u %u 1", group, group);
	return write_proc("/proc/self/uid_map", users) &&
	       write_proc("/proc/self/setgroups", "deny") &&
	       write_proc("/proc/self/gid_map", groups);
}

/*
 * From here on this process has mounts of its own, whoever it is, and stays that. It cannot go
 * back. Can be the set-up of a group of tests.
 */
static inline int
own_mounts(void **state)
{
	unsigned user = geteuid(), group = getegid();

	(void)state;
	if (unshare(CLONE_NEWNS | (user == 0 ? 0 : CLONE_NEWUSER)) != 0)
		return -1;
	if (user != 0 && !keep_user(user, group))
		return -1;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

#endif
