#include "tap_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "tap_frame.h"

#define SUFFIX	".pcapng"
#define SECONDS "20261127T204501"
#define NUMBER	"000001"

struct tap_files {
	int directory;
	const struct tap_rule *rule;
	int fd;		  /* -1: none is open */
	uint64_t whole;	  /* octets of the file that are written */
	uint64_t began;	  /* clock_ms() */
	uint64_t tried;	  /* when the last write failed; 0: none has */
	unsigned numbers; /* of files, in this second */
	time_t second;
	bool rotate;
	size_t n;	  /* octets that wait, of whole blocks */
	uint32_t waiting; /* frames of them */
	uint8_t *p;
	struct tap_files_stats stats;
};

struct tap_files *
tap_files_new(int directory, const struct tap_rule *rule)
{
	struct tap_files *f = calloc(1, sizeof(*f));

	if (f != NULL)
		f->p = malloc(TAP_FILES_BUFFER);
	if (f == NULL || f->p == NULL) {
		free(f);
		close(directory);
		return NULL;
	}
	f->directory = directory;
	f->rule = rule;
	f->fd = -1;
	return f;
}

/* ---- which files are ours ---- */

static bool
is_digits(const char *name, const char *like)
{
	for (; *like != '\0'; name++, like++)
		if (*like == 'T' ? *name != 'T' : *name < '0' || *name > '9')
			return false;
	return true;
}

/* Of this section: its name does not end before the time begins. */
static bool
is_ours(const struct tap_files *f, const char *name)
{
	char head[TAP_FILES_NAME];
	const size_t n = (size_t)snprintf(head, sizeof(head), "postern-%s-", f->rule->name);

	return strncmp(name, head, n) == 0 &&
	       strlen(name) == n + strlen(SECONDS "-" NUMBER SUFFIX) &&
	       is_digits(name + n, SECONDS) && name[n + strlen(SECONDS)] == '-' &&
	       is_digits(name + n + strlen(SECONDS "-"), NUMBER) &&
	       strcmp(name + n + strlen(SECONDS "-" NUMBER), SUFFIX) == 0;
}

/* What there is of ours: octets on disk, and the name of the oldest; false: it cannot be known. */
static bool
look(const struct tap_files *f, uint64_t *octets, char oldest[TAP_FILES_NAME])
{
	const int fd = fcntl(f->directory, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	struct stat st;

	*octets = 0;
	oldest[0] = '\0';
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	rewinddir(dir);
	while ((e = readdir(dir)) != NULL) {
		if (!is_ours(f, e->d_name) ||
		    fstatat(f->directory, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		*octets += (uint64_t)st.st_size;
		if (oldest[0] == '\0' || strcmp(e->d_name, oldest) < 0)
			memcpy(oldest, e->d_name, strlen(e->d_name) + 1); /* ours: it fits */
	}
	closedir(dir);
	return true;
}

/* Room for one more file of full size. */
static void
make_room(struct tap_files *f)
{
	const uint64_t may_be = f->rule->budget - f->rule->file_size;
	char oldest[TAP_FILES_NAME];
	uint64_t octets;

	while (look(f, &octets, oldest) && octets > may_be && oldest[0] != '\0') {
		if (unlinkat(f->directory, oldest, 0) != 0)
			return;
		f->stats.removed++;
	}
}

/* ---- one file ---- */

static void
trouble(struct tap_files *f, int error)
{
	if (f->stats.trouble == 0)
		dprintf(STDERR_FILENO, "postern: capture %s: %s; frames are being lost\n",
		    f->rule->name, strerror(error));
	f->stats.trouble = error;
	f->tried = clock_ms();
}

static void
well(struct tap_files *f)
{
	if (f->stats.trouble != 0)
		dprintf(STDERR_FILENO, "postern: capture %s: goes on; %ju frames were lost\n",
		    f->rule->name, (uintmax_t)f->stats.lost);
	f->stats.trouble = 0;
	f->tried = 0;
}

static bool
resting(const struct tap_files *f)
{
	return f->tried != 0 && clock_ms() - f->tried < TAP_FILES_RETRY_MS;
}

/* All of it, or the file is as it was. */
static bool
write_whole(struct tap_files *f, const uint8_t *p, size_t n)
{
	size_t done = 0;
	ssize_t got = 1;
	int error;

	while (done < n && got > 0) {
		got = write(f->fd, p + done, n - done);
		if (got > 0)
			done += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
	}
	if (done == n) {
		f->whole += n;
		f->stats.octets += n;
		well(f);
		return true;
	}
	error = got < 0 ? errno : ENOSPC;
	if (ftruncate(f->fd, (off_t)f->whole) != 0 || lseek(f->fd, (off_t)f->whole, SEEK_SET) < 0)
		f->rotate = true;
	trouble(f, error);
	return false;
}

static void
close_file(struct tap_files *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->whole = 0;
}

/* The name of the next one: later than all before. */
static void
next_name(struct tap_files *f, char name[TAP_FILES_NAME])
{
	const time_t now = time(NULL);
	struct tm tm;

	f->numbers = now == f->second ? f->numbers + 1 : 1;
	f->second = now;
	gmtime_r(&now, &tm);
	snprintf(name, TAP_FILES_NAME, "postern-%s-%04d%02d%02dT%02d%02d%02d-%06u" SUFFIX,
	    f->rule->name, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec, f->numbers % 1000000u);
}

#define NAMES_TRIED 1000 /* others have been here in this second: a process that died */

static bool
begin_file(struct tap_files *f)
{
	uint8_t head[TAP_FRAME_BEGIN];
	char name[TAP_FILES_NAME];

	close_file(f);
	make_room(f);
	for (unsigned i = 0; f->fd < 0 && i < NAMES_TRIED; i++) {
		next_name(f, name);
		f->fd = openat(
		    f->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (f->fd < 0 && errno != EEXIST)
			break;
	}
	if (f->fd < 0) {
		trouble(f, errno);
		return false;
	}
	f->whole = 0;
	f->began = clock_ms();
	f->rotate = false;
	f->stats.files++;
	if (write_whole(f, head, tap_frame_begin(head)))
		return true;
	close_file(f);
	unlinkat(f->directory, name, 0);
	return false;
}

static bool
is_old(const struct tap_files *f)
{
	return f->rule->file_seconds > 0 &&
	       clock_ms() - f->began >= f->rule->file_seconds * UINT64_C(1000);
}

static bool
is_over(const struct tap_files *f, size_t more)
{
	return f->fd < 0 || f->rotate || f->whole + more > f->rule->file_size || is_old(f);
}

/* ---- frames ---- */

void
tap_files_flush(struct tap_files *f)
{
	const bool written = f->n > 0 && !resting(f) && (!is_over(f, f->n) || begin_file(f)) &&
			     write_whole(f, f->p, f->n);

	if (written)
		f->stats.frames += f->waiting;
	else
		f->stats.lost += f->waiting;
	f->n = 0;
	f->waiting = 0;
	/* one that nothing more comes for is whole, and others may take it away */
	if (f->fd >= 0 && is_old(f))
		close_file(f);
}

void
tap_files_write(struct tap_files *f, const struct tap_record *r)
{
	const unsigned n = tap_frame_count(r);

	for (unsigned i = 0; i < n; i++) {
		if (f->n > 0 && (TAP_FILES_BUFFER - f->n < TAP_FRAME_MAX ||
				    f->whole + f->n + TAP_FRAME_MAX > f->rule->file_size))
			tap_files_flush(f);
		f->n += tap_frame_write(r, f->rule->name, i, f->p + f->n);
		f->waiting++;
	}
}

void
tap_files_rotate(struct tap_files *f)
{
	tap_files_flush(f);
	close_file(f);
}

const struct tap_files_stats *
tap_files_stats(const struct tap_files *f)
{
	return &f->stats;
}

void
tap_files_free(struct tap_files *f)
{
	if (f == NULL)
		return;
	tap_files_flush(f);
	close_file(f);
	close(f->directory);
	free(f->p);
	free(f);
}
