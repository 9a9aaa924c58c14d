/*
 * listening - the listening sockets of one worker slot, made by the supervisor.
 *
 * Every slot has a set of its own on the same addresses (SO_REUSEPORT), and keeps it while its
 * workers come and go, so that what waits in a backlog is served by the next one.
 *
 * What is accepted on them has TCP_NODELAY and SO_KEEPALIVE from them.
 */
#ifndef POSTERN_LISTENING_H
#define POSTERN_LISTENING_H

#include "config.h"
#include "ipc.h"

struct listening {
	enum ipc_listener kind;
	uint32_t b; /* number of the forward, or protocol: IPC_LISTENER */
	struct sockaddr_storage at;
	int fd;
};

struct listening_set {
	struct listening *all;
	size_t n;
};

/*
 * old   the slot's set so far, which stays as it is; sockets on the same address are shared, so
 *       that no backlog is lost. May be empty
 * mine  this process listens on the address already (another slot, or an older set): else one
 *       that anybody listens on is refused, also where SO_REUSEPORT would let us in
 *
 * False: *why (good until the next call); *out is empty.
 */
bool listening_open(const struct config *, const struct listening_set *old, bool mine,
    struct listening_set *out, const char **why);
void listening_close(struct listening_set *);

#endif
