#include "digest_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a line: a digest, and the longest path behind it. */
#define LINE_OCTETS_MAX 8192

/* Reads a line of at most that much, without its end. -1: it is longer. */
static ssize_t
read_line(FILE *f, char *text)
{
	size_t n = 0;
	int c;

	while ((c = getc_unlocked(f)) != EOF && c != '\n') {
		if (n == LINE_OCTETS_MAX)
			return -1;
		text[n++] = (char)c;
	}
	return (ssize_t)n;
}

/* Reads line by line; false: *why and *number say what is wrong with which. */
static bool
read_lines(FILE *f, struct digests *into, const char **why, unsigned *number)
{
	char text[LINE_OCTETS_MAX];

	for (*number = 1; !feof(f) && !ferror(f); ++*number) {
		ssize_t n = read_line(f, text);

		if (n < 0) {
			*why = "is longer than 8192 octets";
			return false;
		}
		/* the beginning of a line that could not be read says nothing of it */
		if (!ferror(f) && !digests_add(into, span_of(text, (size_t)n), why))
			return false;
	}
	return true;
}

/* A pipe that nobody writes would hold up who reads it, or be an empty list. /dev/null is one. */
static FILE *
open_list(const char *path, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	FILE *f = NULL;
	struct stat st;
	bool known = fd >= 0 && fstat(fd, &st) == 0;

	if (known && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		*why = "is no file";
	else if (!known || (f = fdopen(fd, "r")) == NULL)
		*why = strerror(errno);
	if (f == NULL && fd >= 0)
		close(fd);
	return f;
}

void
digest_list_read(
    const char *path, struct digests *into, const char *what, unsigned line, struct faults *faults)
{
	const char *why = NULL;
	FILE *f = open_list(path, &why);
	unsigned number;

	if (f == NULL) {
		faults_add(faults, line, "%s: %s: %s", what, path, why);
		return;
	}
	if (!read_lines(f, into, &why, &number))
		faults_add(faults, line, "%s: %s: line %u %s", what, path, number, why);
	else if (ferror(f))
		faults_add(faults, line, "%s: %s: %s", what, path, strerror(errno));
	fclose(f);
	digests_seal(into);
}
