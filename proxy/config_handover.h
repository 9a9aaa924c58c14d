/*
 * config_handover - a configuration on its way from the supervisor to its workers, which open no
 * file: its text, and what the supervisor has read for it.
 *
 * A sealed file in memory: the text (which has no NUL), a NUL, the digests of content.deny_sha256.
 * Workers map it, so that a list of millions is in memory once.
 */
#ifndef POSTERN_CONFIG_HANDOVER_H
#define POSTERN_CONFIG_HANDOVER_H

#include "config.h"

/* A descriptor, the caller's to close; -1: errno. */
int config_hand_over(const struct config *);
/*
 * path  what messages call the configuration; fd stays open and is not needed any more
 *
 * NULL: it is no such file, or no memory. Else to be freed with config_free().
 */
struct config *config_inherit(const char *path, int fd, FILE *err);

#endif
