/*
 * shared_page - memory of a fixed size that one process writes and others only read.
 *
 * A memfd that can neither grow nor shrink, so that no reader ever meets a page that is not there.
 * What was not written yet costs no memory. Readers get a descriptor that cannot be mapped
 * writable.
 */
#ifndef POSTERN_SHARED_PAGE_H
#define POSTERN_SHARED_PAGE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * size octets of zeros. *writable is for the one who writes, *readable for the others; both are
 * close-on-exec, and the caller's. readable NULL: nobody else reads. False: errno.
 */
bool shared_page_new(const char *name, size_t size, int *writable, int *readable);

/*
 * Maps all of it. NULL: it is no such page (too small, may change its size), or errno. To be given
 * back with munmap(); the descriptor stays open and is not needed any more.
 */
void *shared_page_map(int fd, bool write, size_t at_least, size_t *size);

#endif
