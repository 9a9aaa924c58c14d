#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log_file.h"
#include "own_mounts.h"

static char why[LOG_FILE_WHY_MAX];

static int
set_up(void **state)
{
	static char folder[64];
	const char *parent = getenv("TMPDIR");

	snprintf(
	    folder, sizeof(folder), "%.40s/postern-XXXXXX", parent == NULL ? P_tmpdir : parent);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	why[0] = '\0';
	*state = folder;
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static int
tear_down(void **state)
{
	assert_int_equal(chdir("/"), 0);
	return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
assert_contents(const char *path, const char *want)
{
	char text[256] = "";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	if (f != NULL) {
		assert_true(fread(text, 1, sizeof(text) - 1, f) < sizeof(text));
		fclose(f);
	}
	assert_string_equal(text, want);
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void
write_and_close(int fd, const char *text)
{
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
test_opens(void **state)
{
	mode_t mask = umask(0022);
	struct stat st;
	char c;
	int fd = log_file_open("log", why);

	(void)state;
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND | O_NONBLOCK);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(write(fd, "one\n", 4), 4);
	assert_int_equal(pread(fd, &c, 1, 3), 1);
	close(fd);
	write_and_close(log_file_open("log", why), "two\n");
	assert_contents("log", "one\ntwo\n");
	umask(mask);
}

static void
test_standard_output(void **state)
{
	int saved, ends[2], fd;
	char text[8] = "";

	(void)state;
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	fd = log_file_open("-", why);
	close(STDOUT_FILENO);
	assert_int_equal(log_file_open("-", why), -1);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_string_equal(why, strerror(EBADF));
	assert_true(fd > STDERR_FILENO);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	/* it is somebody else's too, and stays as it is */
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	write_and_close(fd, "one\n");
	assert_int_equal(read(ends[0], text, sizeof(text) - 1), 4);
	assert_string_equal(text, "one\n");
	close(ends[0]);
	close(ends[1]);
}

static void
assert_refused(const char *path, const char *want)
{
	assert_int_equal(log_file_open(path, why), -1);
	assert_string_equal(why, want);
}

/* One clear line each. */
static void
test_refuses(void **state)
{
	(void)state;
	assert_refused("missing/log", strerror(ENOENT));
	assert_refused(".", "is no file, FIFO or character device");
	put("target", "");
	assert_int_equal(symlink("target", "link"), 0);
	assert_refused("link", "is a symbolic link; \"-\" is standard output");
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_refused("dangling", "is a symbolic link; \"-\" is standard output");
	assert_false(exists("nowhere"));
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_refused("fifo", "nobody reads it");
	assert_int_equal(mknod("socket", S_IFSOCK | 0600, 0), 0);
	assert_refused("socket", "is no file, FIFO or character device");
}

static void
test_fifo_and_device(void **state)
{
	int reader, fd;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fd = log_file_open("fifo", why);
	assert_true(fd >= 0);
	close(reader);
	assert_int_equal(write(fd, "x", 1), -1); /* not its own reader */
	close(fd);
	fd = log_file_open("/dev/full", why);
	assert_true(fd >= 0);
	close(fd);
}

/* L14: numbers move up, the oldest goes, whoever writes to the old file goes on. */
static void
test_l14_rotates(void **state)
{
	int old = log_file_open("log", why);
	char text[16], name[16];

	(void)state;
	for (int i = 1; i <= 5; i++) {
		snprintf(text, sizeof(text), "%d\n", i);
		assert_int_equal(write(old, text, 2), 2);
		int fd = log_file_rotate("log", 3, why);
		assert_true(fd >= 0);
		assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
		assert_int_equal(
		    fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND | O_NONBLOCK);
		assert_int_equal(write(old, "late\n", 5), 5);
		close(old);
		old = fd;
	}
	close(old);
	for (int i = 1; i <= 3; i++) {
		snprintf(name, sizeof(name), "log.%d", i);
		snprintf(text, sizeof(text), "%d\nlate\n", 6 - i);
		assert_contents(name, text);
	}
	assert_contents("log", "");
	assert_false(exists("log.4"));
	assert_false(exists("log.new"));
}

/* L14: only what is in the way moves. */
static void
test_l14_gap(void **state)
{
	(void)state;
	put("log", "0");
	put("log.1", "1");
	put("log.3", "3");
	put("log.new", "of a rotation that was cut short");
	write_and_close(log_file_rotate("log", 10, why), "new");
	assert_contents("log", "new");
	assert_contents("log.1", "0");
	assert_contents("log.2", "1");
	assert_contents("log.3", "3");
	assert_false(exists("log.new"));
}

static void
test_l14_keep_one(void **state)
{
	(void)state;
	put("log", "0");
	put("log.1", "1");
	write_and_close(log_file_rotate("log", 1, why), "new");
	assert_contents("log", "new");
	assert_contents("log.1", "0");
	assert_false(exists("log.2"));
}

/* Somebody took the log away: that is no reason not to begin a new one. */
static void
test_l14_gone(void **state)
{
	(void)state;
	write_and_close(log_file_rotate("log", 3, why), "new");
	assert_contents("log", "new");
	assert_false(exists("log.1"));
}

/* L14: a rename that fails leaves the log where it is. */
static void
test_l14_rename_fails(void **state)
{
	(void)state;
	put("log", "0");
	assert_int_equal(mkdir("log.1", 0700), 0);
	assert_int_equal(log_file_rotate("log", 1, why), -1);
	assert_string_equal(why, strerror(EISDIR));
	assert_contents("log", "0");
	assert_false(exists("log.new"));
	/* with more room the folder moves out of the way like any other name */
	write_and_close(log_file_rotate("log", 2, why), "new");
	assert_contents("log.1", "0");
}

static void
test_l14_not_a_file(void **state)
{
	char *path = calloc(1, PATH_MAX);

	(void)state;
	assert_int_equal(log_file_rotate("-", 3, why), -1);
	assert_string_equal(why, "cannot be rotated: it is no regular file");
	assert_int_equal(log_file_rotate("/dev/null", 3, why), -1);
	assert_int_equal(mkfifo("log", 0600), 0);
	assert_int_equal(log_file_rotate("log", 3, why), -1);
	assert_true(exists("log"));
	memset(path, 'x', PATH_MAX - 5);
	assert_int_equal(log_file_rotate(path, 3, why), -1);
	assert_string_equal(why, strerror(ENAMETOOLONG));
	free(path);
}

/* a folder that is read-only, and one that has no room for another file. */
static void
test_a021_folder(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(mkdir("disk", 0700), 0);
	assert_int_equal(mount("none", "disk", "tmpfs", 0, "size=64k,nr_inodes=2"), 0);
	put("disk/log", "0");
	fd = log_file_open("disk/log", why);
	assert_int_equal(log_file_rotate("disk/log", 3, why), -1);
	assert_string_equal(why, strerror(ENOSPC));
	write_and_close(fd, "1");
	assert_int_equal(mount("none", "disk", NULL, MS_REMOUNT | MS_RDONLY, "nr_inodes=9"), 0);
	assert_int_equal(log_file_rotate("disk/log", 3, why), -1);
	assert_string_equal(why, strerror(EROFS));
	assert_int_equal(log_file_open("disk/log", why), -1);
	assert_string_equal(why, strerror(EROFS));
	assert_contents("disk/log", "01");
	assert_false(exists("disk/log.1"));
	assert_int_equal(umount("disk"), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_opens),
	    TEST(test_standard_output),
	    TEST(test_refuses),
	    TEST(test_fifo_and_device),
	    TEST(test_l14_rotates),
	    TEST(test_l14_gap),
	    TEST(test_l14_keep_one),
	    TEST(test_l14_gone),
	    TEST(test_l14_rename_fails),
	    TEST(test_l14_not_a_file),
	    TEST(test_a021_folder),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("log_file", tests, own_mounts, NULL);
}
