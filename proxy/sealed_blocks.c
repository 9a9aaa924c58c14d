#include "sealed_blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int
sealed_open(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

bool
sealed_write(int fd, struct span s)
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

bool
sealed_put(int fd, struct span s)
{
	uint64_t n = s.n;

	return sealed_write(fd, span_of(&n, sizeof(n))) && sealed_write(fd, s);
}

int
sealed_finish(int fd, bool ok)
{
	int why;

	if (ok && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	why = errno;
	if (fd >= 0)
		close(fd);
	errno = why;
	return -1;
}

bool
sealed_take(struct span *rest, struct span *out)
{
	uint64_t n;

	if (rest->n < sizeof(n))
		return false;
	memcpy(&n, rest->p, sizeof(n));
	*rest = span_from(*rest, sizeof(n));
	if (n > rest->n)
		return false;
	*out = span_first(*rest, (size_t)n);
	*rest = span_from(*rest, (size_t)n);
	return true;
}
