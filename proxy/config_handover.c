#include "config_handover.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
write_all(int fd, struct span s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			s = span_from(s, (size_t)n);
	}
	return true;
}

int
config_hand_over(const struct config *c)
{
	const struct digests *d = &c->content.sha256;
	int fd = memfd_create("postern.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING), why;

	if (fd < 0)
		return -1;
	if (write_all(fd, span_of(c->text, c->text_n)) && write_all(fd, span_of("", 1)) &&
	    write_all(fd, span_of(d->p, d->n * DIGEST_SIZE)) &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

struct config *
config_inherit(const char *path, int fd, FILE *err)
{
	struct config *c = NULL;
	struct span all, text;
	struct stat st;
	ptrdiff_t nul;
	void *p;

	if (fstat(fd, &st) != 0 || st.st_size <= 0)
		return NULL;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	all = span_of(p, (size_t)st.st_size);
	nul = span_find(all, '\0');
	text = span_first(all, nul < 0 ? 0 : (size_t)nul);
	if (nul >= 0 && text.n <= CONFIG_FILE_MAX)
		c = config_parse(path, (const char *)text.p, text.n, err);
	if (c != NULL && digests_borrow(&c->content.sha256, span_from(all, text.n + 1))) {
		c->handed = all;
		return c;
	}
	config_free(c);
	munmap(p, (size_t)st.st_size);
	return NULL;
}
