#include "log_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A lock in shared memory would make everybody wait for whoever died with it. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "atomics without a lock");

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int
log_state_new(void)
{
	int fd = memfd_create("postern-log-state", MFD_CLOEXEC | MFD_ALLOW_SEALING), why;

	if (fd < 0)
		return -1;
	if (ftruncate(fd, sizeof(struct log_state)) == 0 && fchmod(fd, 0600) == 0 &&
	    fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

int
log_state_reader(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

struct log_state *
log_state_map(int fd, bool writable)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	void *page;

	if (seals < 0 || fstat(fd, &st) != 0)
		return NULL;
	if ((seals & SEALS) != SEALS || st.st_size != sizeof(struct log_state)) {
		errno = EINVAL;
		return NULL;
	}
	page = mmap(NULL, sizeof(struct log_state), writable ? PROT_READ | PROT_WRITE : PROT_READ,
	    MAP_SHARED, fd, 0);
	return page == MAP_FAILED ? NULL : page;
}

void
log_state_unmap(struct log_state *state)
{
	if (state != NULL)
		munmap(state, sizeof(*state));
}

bool
log_state_trouble(const struct log_state *state)
{
	return atomic_load_explicit(&state->trouble, memory_order_relaxed) != 0;
}

uint64_t
log_state_lost(const struct log_state *state)
{
	uint64_t lost = 0;

	for (size_t i = 0; i < LOG_SLOTS; i++)
		lost += atomic_load_explicit(&state->slots[i].lost, memory_order_relaxed);
	return lost;
}
