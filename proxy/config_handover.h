/*
 * config_handover - a configuration on its way from the supervisor to its workers, which open no
 * file: its text, and what the supervisor has read for it.
 *
 * A sealed file in memory: the text (which has no NUL), a NUL, and blocks, each behind its length
 * in octets (8, the host's order): the digests of content.deny_sha256, the secret of ticket keys,
 * the trust anchors, the certificates of CAs of our own, what goes with each of them, and chain and
 * key of each certificate section in the order of the file. Workers map it, so that a list of
 * millions is in memory once.
 *
 * It has the keys of servers inside: nobody but a worker may get the descriptor. Keys of CAs are
 * not in it (signer.h).
 */
#ifndef POSTERN_CONFIG_HANDOVER_H
#define POSTERN_CONFIG_HANDOVER_H

#include "config.h"

/*
 * secret: the same for all workers and generations, so that they read each other's tickets.
 *
 * A descriptor, the caller's to close; -1: errno.
 */
int config_hand_over(const struct config *, const uint8_t secret[TLS_SECRET]);
/*
 * path  what messages call the configuration; fd stays open and is not needed any more
 *
 * NULL: it is no such file, or no memory. Else to be freed with config_free().
 */
struct config *config_inherit(const char *path, int fd, FILE *err);

#endif
