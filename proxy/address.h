/*
 * address - socket addresses of the kernel and the endpoints that everybody else speaks of.
 */
#ifndef POSTERN_ADDRESS_H
#define POSTERN_ADDRESS_H

#include <sys/socket.h>

#include "record.h"

#define ADDRESS_TEXT_MAX (IP_TEXT_MAX + 8)

/* AF_INET or AF_INET6, a mapped address folded to IPv4; anything else: no address, port 0. */
struct endpoint address_endpoint(const struct sockaddr *);
/* Octets of an AF_INET or AF_INET6 address. */
socklen_t address_size(const struct sockaddr *);
/* The other way round; returns its octets, 0 for an endpoint without an address. */
socklen_t address_sockaddr(const struct endpoint *, struct sockaddr_storage *);
/* "192.0.2.1:25", "[2001:db8::1]:25" */
const char *address_text(const struct endpoint *, char text[ADDRESS_TEXT_MAX]);

#endif
