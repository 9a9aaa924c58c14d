#include "log_state.h"

#include <sys/mman.h>

#include "shared_page.h"

/* A lock in shared memory would make everybody wait for whoever died with it. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "atomics without a lock");

bool
log_state_new(int *writable, int *readable)
{
	return shared_page_new("postern-log-state", sizeof(struct log_state), writable, readable);
}

struct log_state *
log_state_map(int fd, bool write)
{
	size_t size;

	return shared_page_map(fd, write, sizeof(struct log_state), &size);
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
