/*
 * upstream_socket - a socket with which a worker may connect to a server.
 */
#ifndef POSTERN_UPSTREAM_SOCKET_H
#define POSTERN_UPSTREAM_SOCKET_H

#include "config.h"
#include "core/ip.h"

/*
 * A non-blocking TCP socket that carries intercept.own_mark; in tproxy mode it may be bound to
 * any address, and takes its port only when it is connected, so that ports do not run out.
 * Needs CAP_NET_ADMIN. -1: errno.
 */
int upstream_socket(enum intercept_mode, uint32_t own_mark, enum ip_family);

#endif
