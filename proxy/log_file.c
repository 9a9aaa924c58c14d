#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAGS (O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW)
#define MODE  0640

static int
fail(char why[LOG_FILE_WHY_MAX], const char *text)
{
	snprintf(why, LOG_FILE_WHY_MAX, "%s", text);
	return -1;
}

static bool
is_log(mode_t mode)
{
	return S_ISREG(mode) || S_ISFIFO(mode) || S_ISCHR(mode);
}

static int
fail_kind(char why[LOG_FILE_WHY_MAX], mode_t mode)
{
	return fail(why, S_ISLNK(mode) ? "is a symbolic link; \"-\" is standard output"
				       : "is no file, FIFO or character device");
}

bool
log_file_xferlog(const char *log, char path[PATH_MAX])
{
	const char *slash = strrchr(log, '/');
	int folder = slash == NULL ? 0 : (int)(slash + 1 - log);

	return folder < PATH_MAX &&
	       snprintf(path, PATH_MAX, "%.*s%s", folder, log, LOG_FILE_XFERLOG) < PATH_MAX;
}

int
log_file_open(const char *path, char why[LOG_FILE_WHY_MAX])
{
	struct stat st = {.st_mode = S_IFREG};
	int fd;

	if (strcmp(path, "-") == 0) {
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? fail(why, strerror(errno)) : fd;
	}
	if (lstat(path, &st) == 0 && !is_log(st.st_mode))
		return fail_kind(why, st.st_mode);
	/* a FIFO that is opened to read as well never says that nobody else reads it */
	fd = open(path, (S_ISREG(st.st_mode) ? O_RDWR | O_CREAT : O_WRONLY) | FLAGS, MODE);
	if (fd < 0)
		return fail(why, errno == ENXIO ? "nobody reads it" : strerror(errno));
	if (fstat(fd, &st) == 0 && is_log(st.st_mode))
		return fd;
	close(fd);
	return fail_kind(why, st.st_mode);
}

/* False: the name is too long. */
static bool
name_old(char name[PATH_MAX], const char *path, unsigned number)
{
	return snprintf(name, PATH_MAX, "%s.%u", path, number) < PATH_MAX;
}

/* The first number that is free, or keep: the file that is replaced. */
static unsigned
first_free(const char *path, unsigned keep)
{
	char name[PATH_MAX];
	struct stat st;
	unsigned number = 1;

	while (number < keep && name_old(name, path, number) && lstat(name, &st) == 0)
		number++;
	return number;
}

/* Every old file up to the first free number moves up by one; then path becomes the first. */
static bool
shift(const char *path, unsigned keep)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (unsigned number = first_free(path, keep); number > 1; number--) {
		name_old(to, path, number);
		name_old(from, path, number - 1);
		if (rename(from, to) != 0)
			return false;
	}
	name_old(to, path, 1);
	return rename(path, to) == 0 || errno == ENOENT;
}

/* The new file gets its name; where it cannot, the old one gets it back. */
static bool
take_place(const char *name, const char *path)
{
	char old[PATH_MAX];
	int why;

	if (rename(name, path) == 0)
		return true;
	why = errno;
	if (name_old(old, path, 1))
		rename(old, path);
	errno = why;
	return false;
}

/* What a rotation that was cut short has left is nobody's. */
static int
make_new(const char *name)
{
	unlink(name);
	return open(name, O_RDWR | O_CREAT | O_EXCL | FLAGS, MODE);
}

int
log_file_rotate(const char *path, unsigned keep, char why[LOG_FILE_WHY_MAX])
{
	char name[PATH_MAX];
	struct stat st;
	int fd;

	if (strcmp(path, "-") == 0 || (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)))
		return fail(why, "cannot be rotated: it is no regular file");
	/* the longest number is no longer than this suffix and ten digits */
	if (strlen(path) + sizeof(".new") + 10 > sizeof(name))
		return fail(why, strerror(ENAMETOOLONG));
	snprintf(name, sizeof(name), "%s.new", path);
	fd = make_new(name);
	if (fd < 0)
		return fail(why, strerror(errno));
	if (shift(path, keep) && take_place(name, path))
		return fd;
	fail(why, strerror(errno));
	close(fd);
	unlink(name);
	return -1;
}
