/*
 * sealed_blocks - what one process hands another in a sealed file in memory (memfd_create(2)):
 * spans of octets, each with its length ahead of it, in an order that both know. Nobody can change
 * it any more, and its length is bounded by who writes it.
 */
#ifndef POSTERN_SEALED_BLOCKS_H
#define POSTERN_SEALED_BLOCKS_H

#include "core/span.h"

/* A descriptor to write to; name is for /proc alone. -1: errno. */
int sealed_open(const char *name);
/* Octets as they are; and: with their length ahead. False: errno. */
bool sealed_write(int fd, struct span);
bool sealed_put(int fd, struct span);
/* ok: all was written. The descriptor, sealed; where that fails, or ok is false: closed, -1, errno.
 */
int sealed_finish(int fd, bool ok);

/* Takes the next span off the front of *rest. False: there is no whole one. */
bool sealed_take(struct span *rest, struct span *out);

#endif
