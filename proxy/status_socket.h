/*
 * status_socket - where the gateway can be asked how it is: listeners that the supervisor makes.
 */
#ifndef POSTERN_STATUS_SOCKET_H
#define POSTERN_STATUS_SOCKET_H

#include <stddef.h>
#include <sys/socket.h>

#define STATUS_DEFAULT_PATH "/run/postern/status.sock"
#define STATUS_WHY_MAX	    256

/*
 * A listening unix socket, mode 0600. What a predecessor that died has left there is removed; one
 * that lives is not touched. Root makes the folder where it is missing. -1: why says so, in one
 * line that begins with the path.
 */
int status_socket_listen(const char *path, char why[STATUS_WHY_MAX]);
/* Connects to it, without blocking. -1: errno; ENAMETOOLONG: no socket can have that path. */
int status_socket_connect(const char *path);

/* A listening TCP socket for Prometheus. -1: as above. */
int status_metrics_listen(const struct sockaddr *, char why[STATUS_WHY_MAX]);

#endif
