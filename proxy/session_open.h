/*
 * session_open - a session begins: who speaks to whom, what the rules make of that, and whether it
 * is welcome.
 */
#ifndef POSTERN_SESSION_OPEN_H
#define POSTERN_SESSION_OPEN_H

#include "session.h"

/*
 * A client was accepted on fd (non-blocking; owned from here on). Always ends by itself: with an
 * answer to the client where the protocol has one.
 */
void session_open(struct sessions *, int fd, const struct sockaddr *client, const struct arrival *);

#endif
