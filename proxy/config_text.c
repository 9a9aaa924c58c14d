#include "config_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#define STEP (64u << 10)

const char *
config_text_name(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* Reads to the end. False: errno says why. */
static bool
read_all(int fd, char **text, size_t *n)
{
	size_t room = 0;
	ssize_t got;

	*text = NULL;
	*n = 0;
	do {
		if (room - *n < STEP) {
			char *more = realloc(*text, room + 2u * STEP);
			if (more == NULL)
				return false;
			*text = more;
			room += 2u * STEP;
		}
		got = read(fd, *text + *n, STEP);
		if (got < 0 && errno != EINTR)
			return false;
		if (got > 0)
			*n += (size_t)got;
		if (*n > CONFIG_FILE_MAX) {
			errno = EFBIG;
			return false;
		}
	} while (got != 0);
	return true;
}

char *
config_text_read(const char *path, size_t *n, FILE *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;

	if (fd < 0 || !read_all(fd, &text, n)) {
		if (errno == EFBIG)
			fprintf(err,
			    "%s: larger than %u octets, which is the most for a configuration\n",
			    config_text_name(path), CONFIG_FILE_MAX);
		else
			fprintf(err, "%s: %s\n", config_text_name(path), strerror(errno));
		free(text);
		text = NULL;
	}
	if (fd >= 0 && !is_stdin)
		close(fd);
	return text;
}
