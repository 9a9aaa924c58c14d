/*
 * arrival - how a client came to the gateway, and where it wanted to go.
 */
#ifndef POSTERN_ARRIVAL_H
#define POSTERN_ARRIVAL_H

#include "config.h"
#include "record.h"

/* What all clients of one listener have in common. */
struct arrival {
	const struct forward *forward; /* the section whose address they connect to; or NULL: */
	enum intercept_mode mode;      /* they were taken off the wire, this way, */
	enum protocol protocol;	       /* because of the port they wanted */
};

/*
 * Where the client that was accepted on fd wanted to go: the socket's own address, but in redirect
 * mode what the kernel remembers of a connection that was turned. Of one that was not, the
 * socket's own address is the truth there too.
 *
 * asked  the same as the client sees it: in tproxy mode somebody else on this host may have
 *        translated the destination ahead of the gateway (DNAT). What the client is told, and
 *        where it is called from, has to be this
 */
struct endpoint arrival_wanted(int fd, const struct arrival *, struct endpoint *asked);

/* TLS is spoken from the first octet on by who wanted to go there, and by the server. */
bool arrival_is_implicit(
    const struct config *, const struct arrival *, const struct endpoint *wanted);

/*
 * The client wanted to go to a port that the gateway itself listens on, and that is never taken
 * off the wire (config checks that): it connected to the listener, and the connect to its
 * destination would come back here.
 */
bool arrival_is_loop(const struct config *, const struct endpoint *wanted);

/*
 * True: the client that was accepted on fd arrived on one of these interfaces (NULL-terminated
 * names). The kernel says on which (IP_PKTOPTIONS); where it does not, it is none of them.
 */
bool arrival_on_device(int fd, char *const devices[]);

#endif
