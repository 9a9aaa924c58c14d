#include "extract.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/buf.h"

#define NAME_MAX_HERE 80   /* 64 digits and ".eml"; ".postern-" and two numbers */
#define NAME_TRIES    1000 /* temporary names that others may have before ours */

struct extract {
	struct extract_settings settings;
	struct mail_sink sink;
	struct extract_counts counts;
	int dir;
	uint64_t serial; /* of temporary names */
	uint64_t used;	 /* of the budget */
	size_t held;	 /* octets, in all files */
	size_t open;	 /* files */
	bool full, failed, taken_told;
};

struct file {
	struct extract *x;
	enum mail_content kind;
	uint64_t size;	  /* octets of it so far */
	uint64_t written; /* of these, on disk */
	uint64_t cost;	  /* of the budget */
	struct buf held;  /* the rest */
	bool on_disk;
	char temporary[NAME_MAX_HERE];
	dev_t device; /* of what was made under that name */
	ino_t inode;
};

static void __attribute__((format(printf, 2, 3))) tell(struct extract *x, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	x->settings.tell(x->settings.tell_arg, line);
}

/* A fault of the file system: told once, and nothing more is written. */
static bool
fail(struct extract *x, const char *what)
{
	if (!x->failed)
		tell(x, "%s: cannot %s: %s; no more is extracted", x->settings.dir, what,
		    strerror(errno));
	x->failed = true;
	return false;
}

/* ---- files that are not whole yet ---- */

static bool
is_the_one(const struct file *f, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_dev == f->device && st->st_ino == f->inode;
}

/* Opened under a name that nobody has; -1: it cannot be. */
static int
make(struct file *f)
{
	struct extract *x = f->x;
	struct stat st;
	int fd = -1;

	for (unsigned i = 0; fd < 0 && i < NAME_TRIES && (i == 0 || errno == EEXIST); i++) {
		snprintf(f->temporary, sizeof(f->temporary), ".postern-%ld-%" PRIu64,
		    (long)getpid(), x->serial++);
		fd = openat(x->dir, f->temporary,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (fd < 0)
		return -1;
	f->on_disk = true;
	if (fstat(fd, &st) == 0) {
		f->device = st.st_dev;
		f->inode = st.st_ino;
		return fd;
	}
	close(fd);
	return -1;
}

/*
 * No descriptor is kept: a capture may have more messages open at once than a process may have
 * descriptors. What is found under the name has to be what was made there.
 */
static int
open_again(const struct file *f)
{
	int fd = openat(
	    f->x->dir, f->temporary, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) != 0 || !is_the_one(f, &st))) {
		close(fd);
		errno = ESTALE;
		return -1;
	}
	return fd;
}

static bool
write_all(int fd, struct span s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno != EINTR)
			return false;
		s = span_from(s, n < 0 ? 0 : (size_t)n);
	}
	return true;
}

/* Takes what it needs of the budget; false: there is not so much left. */
static bool
afford(struct file *f, uint64_t size)
{
	struct extract *x = f->x;
	const uint64_t blocks = size / EXTRACT_FILE_COST + (size % EXTRACT_FILE_COST > 0),
		       cost = (blocks > 0 ? blocks : 1) * EXTRACT_FILE_COST;

	if (cost - f->cost > x->settings.max - x->used) {
		if (!x->full)
			tell(x,
			    "%s: the budget of %" PRIu64 " MiB is used up: no more is extracted",
			    x->settings.dir, x->settings.max >> 20);
		x->full = true;
		return false;
	}
	x->used += cost - f->cost;
	f->cost = cost;
	return true;
}

/* What is held, and these octets. */
static bool
write_out(struct file *f, struct span more)
{
	struct extract *x = f->x;
	bool ok;
	int fd;

	if (x->full || x->failed || !afford(f, f->written + f->held.n + more.n))
		return false;
	fd = f->on_disk ? open_again(f) : make(f);
	if (fd < 0)
		return fail(x, "make a file");
	ok = write_all(fd, buf_span(&f->held)) && write_all(fd, more);
	if (close(fd) != 0 || !ok)
		return fail(x, "write a file");
	f->written += f->held.n + more.n;
	x->held -= f->held.n;
	buf_clear(&f->held);
	return true;
}

/* What is under the name by now may be somebody else's: that stays. */
static void
remove_temporary(const struct file *f)
{
	struct extract *x = f->x;
	struct stat st;

	if (fstatat(x->dir, f->temporary, &st, AT_SYMLINK_NOFOLLOW) != 0 || !is_the_one(f, &st))
		return;
	if (unlinkat(x->dir, f->temporary, 0) != 0)
		fail(x, "remove a file that is not whole");
}

/* Gone, with what there is of it on disk. */
static void
drop(struct file *f)
{
	struct extract *x = f->x;

	if (f->on_disk)
		remove_temporary(f);
	x->used -= f->cost;
	x->held -= f->held.n;
	x->open--;
	buf_free(&f->held);
	free(f);
}

/* ---- under the name of its digest ---- */

enum place { PLACE_FREE, PLACE_SAME, PLACE_TAKEN };

/* Of nothing but a digest: 64 digits. */
static void
name_of(const struct file *f, const uint8_t *sha256, char out[NAME_MAX_HERE])
{
	span_hex(span_of(sha256, 32), out);
	memcpy(out + 64, ".eml", sizeof(".eml"));
	if (f->kind != MAIL_CONTENT_MESSAGE)
		out[64] = '\0';
}

static enum place
look(const struct file *f, const char *name)
{
	struct stat st;

	if (fstatat(f->x->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? PLACE_FREE : PLACE_TAKEN;
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->size ? PLACE_SAME : PLACE_TAKEN;
}

/* Where a file system has no RENAME_NOREPLACE (NFS, FUSE) link() does not overwrite either. */
static bool
rename_new(const struct file *f, const char *name)
{
	const int dir = f->x->dir;

	if (renameat2(dir, f->temporary, dir, name, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	return linkat(dir, f->temporary, dir, name, 0) == 0 && unlinkat(dir, f->temporary, 0) == 0;
}

static enum place
take_name(struct file *f, const char *name)
{
	enum place place = look(f, name);

	if (place != PLACE_FREE)
		return place;
	if ((f->held.n > 0 || !f->on_disk) && !write_out(f, SPAN_NONE))
		return PLACE_TAKEN;
	if (rename_new(f, name)) {
		f->on_disk = false; /* not under the other name */
		return PLACE_FREE;
	}
	if (errno == EEXIST)
		return look(f, name);
	fail(f->x, "name a file");
	return PLACE_TAKEN;
}

static void
tell_taken(struct extract *x, const char *name)
{
	if (!x->taken_told && !x->full && !x->failed)
		tell(x,
		    "%s/%s: is there already, and not with the size of what has this digest: left "
		    "as it is",
		    x->settings.dir, name);
	x->taken_told = true;
}

/* ---- what a mail calls ---- */

static void *
begin(void *arg, enum mail_content kind)
{
	struct extract *x = arg;
	struct file *f = x->full || x->failed ? NULL : calloc(1, sizeof(*f));

	if (f == NULL) {
		x->counts.refused++;
		return NULL;
	}
	f->x = x;
	f->kind = kind;
	buf_init(&f->held, EXTRACT_PIECE);
	x->open++;
	return f;
}

static bool
hold(struct file *f, struct span octets)
{
	struct extract *x = f->x;

	if (octets.n > EXTRACT_PIECE - f->held.n || octets.n > EXTRACT_HELD - x->held ||
	    !buf_add(&f->held, octets))
		return false;
	x->held += octets.n;
	return true;
}

static bool
octets_came(void *arg, void *of, struct span octets)
{
	struct extract *x = arg;
	struct file *f = of;

	f->size += octets.n;
	if (hold(f, octets) || write_out(f, octets))
		return true;
	x->counts.refused++;
	drop(f);
	return false;
}

static bool
ended(void *arg, void *of, const uint8_t *sha256)
{
	struct extract *x = arg;
	struct file *f = of;
	char name[NAME_MAX_HERE];
	enum place place;

	if (sha256 == NULL) {
		drop(f);
		return false;
	}
	name_of(f, sha256, name);
	place = take_name(f, name);
	if (place == PLACE_FREE) {
		*(f->kind == MAIL_CONTENT_MESSAGE ? &x->counts.messages : &x->counts.files) += 1;
		x->counts.octets += f->size;
		f->cost = 0; /* it stays */
	} else if (place == PLACE_SAME) {
		x->counts.known++;
	} else {
		x->counts.refused++;
		tell_taken(x, name);
	}
	drop(f);
	return place != PLACE_TAKEN;
}

/* ---- the directory ---- */

/* Made by this very call it is ours alone; else it is whose it was. */
static bool
open_directory(struct extract *x)
{
	const struct extract_settings *s = &x->settings;
	const bool made = mkdir(s->dir, 0700) == 0;

	if (!made && errno != EEXIST) {
		tell(x, "%s: cannot make this directory: %s", s->dir, strerror(errno));
		return false;
	}
	x->dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (made ? O_NOFOLLOW : 0));
	if (x->dir < 0) {
		tell(x, "%s: %s", s->dir, strerror(errno));
		return false;
	}
	if (made && s->uid != (uid_t)-1 && fchown(x->dir, s->uid, s->gid) != 0) {
		tell(x, "%s: cannot give it to its user: %s", s->dir, strerror(errno));
		return false;
	}
	return true;
}

struct extract *
extract_new(const struct extract_settings *s)
{
	struct extract *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		s->tell(s->tell_arg, "no memory");
		return NULL;
	}
	x->settings = *s;
	x->dir = -1;
	x->sink = (struct mail_sink){begin, octets_came, ended, x};
	if (open_directory(x))
		return x;
	extract_free(x);
	return NULL;
}

void
extract_free(struct extract *x)
{
	if (x == NULL)
		return;
	if (x->dir >= 0)
		close(x->dir);
	free(x);
}

void
extract_use(struct extract *x, struct mail_options *o)
{
	o->sink = &x->sink;
	o->sha256 = true;
}

bool
extract_may_write(struct extract *x)
{
	if (faccessat(x->dir, ".", W_OK | X_OK, AT_EACCESS) == 0)
		return true;
	tell(x, "%s: cannot make files in it: %s", x->settings.dir, strerror(errno));
	return false;
}

const struct extract_counts *
extract_counts(const struct extract *x)
{
	return &x->counts;
}

bool
extract_failed(const struct extract *x)
{
	return x->failed;
}
