/*
 * proxy_protocol - the header that tells a server whom its client speaks for (HAProxy's
 * proxy-protocol.txt, versions 1 and 2): TCP over IPv4 or IPv6 with both addresses, nothing else.
 *
 * It is the first thing on the server's leg. A server takes it only where it was told to expect
 * one, and then has to take it from the gateway alone: whoever else may send one may claim any
 * address.
 */
#ifndef POSTERN_PROXY_PROTOCOL_H
#define POSTERN_PROXY_PROTOCOL_H

#include "community_id.h"
#include "config.h"

#define PROXY_HEADER_MAX 108 /* octets: the longest line of version 1 with its CR LF, and a NUL */

/*
 * client  who connected, from where
 * to      where it connected to
 * out     takes the header
 *
 * Returns its octets. 0: version is SEND_PROXY_NO, or there are not two addresses of one family;
 * a header that does not name the client (UNKNOWN, LOCAL) is never made.
 */
size_t proxy_header(enum send_proxy version, const struct endpoint *client,
    const struct endpoint *to, uint8_t out[PROXY_HEADER_MAX]);

#endif
