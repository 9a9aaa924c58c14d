#include "digest_list.h"

#include <errno.h>
#include <stdlib.h>

/* Reads line by line; false: *why and *number say what is wrong with which. */
static bool
read_lines(FILE *f, struct digests *into, const char **why, unsigned *number)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t n;
	bool ok = true;

	*number = 0;
	while (ok && (n = getline(&text, &room, f)) > 0) {
		++*number;
		ok = digests_add(
		    into, span_of(text, (size_t)n - (text[n - 1] == '\n' ? 1 : 0)), why);
	}
	free(text);
	return ok;
}

void
digest_list_read(
    const char *path, struct digests *into, const char *what, unsigned line, struct faults *faults)
{
	FILE *f = fopen(path, "re");
	const char *why = NULL;
	unsigned number;

	if (f == NULL) {
		faults_add(faults, line, "%s: %s: %s", what, path, strerror(errno));
		return;
	}
	if (!read_lines(f, into, &why, &number))
		faults_add(faults, line, "%s: %s: line %u %s", what, path, number, why);
	else if (ferror(f))
		faults_add(faults, line, "%s: %s: %s", what, path, strerror(errno));
	fclose(f);
	digests_seal(into);
}
