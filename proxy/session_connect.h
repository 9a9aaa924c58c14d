/*
 * session_connect - a session's connection to its server: whether there may be one, as whom, and
 * what it comes to.
 */
#ifndef POSTERN_SESSION_CONNECT_H
#define POSTERN_SESSION_CONNECT_H

struct session;

/*
 * Connects, at once or when there is a socket for it, and tells the relay. A client that waits for
 * too many servers already is turned away.
 */
void connect_begin(struct session *);
/* The server's socket is writable: somebody has answered there, or nobody will. */
void connect_finish(struct session *);
/* The client of a server that cannot be reached is told, or sees what it would have seen. */
void connect_failed(struct session *);
/* It waits for its server no longer, whatever came of it. */
void connect_over(struct session *);

#endif
