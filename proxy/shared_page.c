#include "shared_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* The same memory behind a descriptor that was opened for reading alone. */
static int
open_readable(int fd)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool
shared_page_new(const char *name, size_t size, int *writable, int *readable)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), error;

	if (fd < 0)
		return false;
	/* without the mode, whoever reads could open it again, to write */
	if (ftruncate(fd, (off_t)size) == 0 && fchmod(fd, 0600) == 0 &&
	    fcntl(fd, F_ADD_SEALS, SEALED) == 0) {
		*writable = fd;
		if (readable == NULL || (*readable = open_readable(fd)) >= 0)
			return true;
	}
	error = errno;
	close(fd);
	errno = error;
	return false;
}

void *
shared_page_map(int fd, bool write, size_t at_least, size_t *size)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	void *page;

	if (seals < 0 || fstat(fd, &st) != 0)
		return NULL;
	if ((seals & SEALED) != SEALED || st.st_size < (off_t)at_least) {
		errno = EINVAL;
		return NULL;
	}
	*size = (size_t)st.st_size;
	page = mmap(NULL, *size, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	return page == MAP_FAILED ? NULL : page;
}
