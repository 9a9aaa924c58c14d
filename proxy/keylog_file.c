#include "keylog_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536

struct keylog_file {
	struct tls_keylog *keys;
	char *path;
	FILE *err;
	int fd;
	off_t at; /* octets that were read */
	/* the line that is not whole yet */
	char line[KEYLOG_LINE_MAX];
	size_t n_line;
	bool too_long;
	size_t lines; /* that were whole */
	size_t taken, bad, first_bad;
	bool full, failed; /* was told */
};

static void
tell(const struct keylog_file *f, const char *what)
{
	fprintf(f->err, "%s: %s\n", f->path, what);
}

/* ---- lines ---- */

static void
end_line(struct keylog_file *f)
{
	enum tls_keylog_line is =
	    f->too_long ? TLS_KEYLOG_BAD : tls_keylog_add(f->keys, span_of(f->line, f->n_line));

	f->lines++;
	f->n_line = 0;
	f->too_long = false;
	if (is == TLS_KEYLOG_TAKEN)
		f->taken++;
	if (is == TLS_KEYLOG_BAD && f->bad++ == 0)
		f->first_bad = f->lines;
	if (is == TLS_KEYLOG_FULL && !f->full) {
		f->full = true;
		fprintf(f->err, "%s:%zu: no more than %u secrets are kept\n", f->path, f->lines,
		    KEYLOG_SECRETS_MAX);
	}
}

static void
take(struct keylog_file *f, struct span s)
{
	while (s.n > 0) {
		ptrdiff_t end = span_find(s, '\n');
		struct span piece = end < 0 ? s : span_first(s, (size_t)end);

		if (piece.n > sizeof(f->line) - f->n_line)
			f->too_long = true;
		else if (piece.n > 0)
			memcpy(f->line + f->n_line, piece.p, piece.n);
		if (!f->too_long)
			f->n_line += piece.n;
		if (end < 0)
			return;
		end_line(f);
		s = span_from(s, piece.n + 1);
	}
}

static void
tell_bad(struct keylog_file *f)
{
	if (f->bad == 0)
		return;
	fprintf(f->err, "%s:%zu: no line of a key log", f->path, f->first_bad);
	if (f->bad > 1)
		fprintf(f->err, ", and %zu more", f->bad - 1);
	fputs("; passed over\n", f->err);
}

/* ---- octets ---- */

/* A failed read is told, and one that is the octet too much. */
static bool
read_all(struct keylog_file *f)
{
	uint8_t octets[PIECE];
	ssize_t n;

	while ((n = read(f->fd, octets, sizeof(octets))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			tell(f, strerror(errno));
			break;
		}
		f->at += n;
		if (f->at > (off_t)KEYLOG_FILE_MAX) {
			fprintf(f->err, "%s: larger than %u MiB\n", f->path, KEYLOG_FILE_MAX >> 20);
			break;
		}
		take(f, span_of(octets, (size_t)n));
	}
	explicit_bzero(octets, sizeof(octets));
	return n == 0;
}

static struct keylog_file *
begin(const char *path, FILE *err)
{
	struct keylog_file *f = calloc(1, sizeof(*f));

	if (f != NULL) {
		f->err = err;
		f->path = strdup(path);
		f->keys = tls_keylog_new(KEYLOG_SECRETS_MAX);
		f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	}
	if (f != NULL && f->path != NULL && f->keys != NULL && f->fd >= 0)
		return f;
	fprintf(err, "%s: %s\n", path, strerror(errno));
	keylog_file_close(f);
	return NULL;
}

void
keylog_file_close(struct keylog_file *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		close(f->fd);
	tls_keylog_free(f->keys);
	free(f->path);
	explicit_bzero(f->line, sizeof(f->line));
	free(f);
}

struct tls_keylog *
keylog_file_read(const char *path, FILE *err)
{
	struct keylog_file *f = begin(path, err);
	struct tls_keylog *keys = NULL;

	if (f == NULL)
		return NULL;
	if (read_all(f)) {
		if (f->n_line > 0 || f->too_long) /* the last line has no end */
			end_line(f);
		tell_bad(f);
		keys = f->keys;
		f->keys = NULL;
	}
	keylog_file_close(f);
	return keys;
}

/* ---- one that grows ---- */

struct keylog_file *
keylog_file_open(const char *path, FILE *err)
{
	struct keylog_file *f = begin(path, err);
	struct stat st;
	bool fine = false;

	if (f == NULL)
		return NULL;
	if (fstat(f->fd, &st) < 0)
		tell(f, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		tell(f, "no regular file");
	else
		fine = read_all(f);
	if (!fine) {
		keylog_file_close(f);
		return NULL;
	}
	tell_bad(f);
	return f;
}

static void
begin_anew(struct keylog_file *f)
{
	f->at = 0;
	f->n_line = 0;
	f->too_long = false;
	f->lines = 0;
	f->bad = 0;
}

bool
keylog_file_refresh(struct keylog_file *f)
{
	size_t taken = f->taken, bad = f->bad, left = KEYLOG_FILE_MAX;
	uint8_t octets[PIECE];
	off_t size = lseek(f->fd, 0, SEEK_END);
	ssize_t n = 0;

	if (size >= 0 && size < f->at) {
		begin_anew(f);
		bad = 0;
	}
	while (left > 0 && (n = pread(f->fd, octets, sizeof(octets), f->at)) > 0) {
		f->at += n;
		left -= (size_t)n < left ? (size_t)n : left;
		take(f, span_of(octets, (size_t)n));
	}
	if (n < 0 && !f->failed) {
		f->failed = true;
		tell(f, strerror(errno));
	}
	if (bad == 0)
		tell_bad(f);
	explicit_bzero(octets, sizeof(octets));
	return f->taken > taken;
}

struct tls_keylog *
keylog_file_keys(const struct keylog_file *f)
{
	return f->keys;
}
