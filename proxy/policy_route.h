/*
 * policy_route - what leads packets with our mark to a local socket, whatever their destination:
 *
 *	ip rule  add fwmark MARK/MASK lookup TABLE priority 25025 protocol 225
 *	ip route add local default dev lo table TABLE protocol 225
 *
 * for IPv4, and for IPv6 where the caller wants it. The protocol number is how our own are known:
 * what has it and is not as it should be (another mark or table in an earlier configuration, a
 * predecessor that was killed) is replaced, and everything else stays untouched.
 *
 * route is a socket of NETLINK_ROUTE. Every function that fails writes one line to why.
 */
#ifndef POSTERN_POLICY_ROUTE_H
#define POSTERN_POLICY_ROUTE_H

#include "netlink.h"

#define POLICY_ROUTE_PRIORITY 25025 /* before "main" (32766), behind "local" (0) */
#define POLICY_ROUTE_PROTOCOL 225   /* in /etc/iproute2/rt_protos it is nobody's */
#define POLICY_ROUTE_TEXT_MAX (NETLINK_TEXT_MAX + 192)

struct policy_route {
	uint32_t mark, mask;
	uint32_t table; /* 1 to 4294967294, but for 253 to 255, which the kernel uses */
	bool ipv6;	/* sysctl_ipv6() */
};

enum policy_route_state {
	POLICY_ROUTE_COMPLETE,
	POLICY_ROUTE_MISSING, /* a rule or a route is not there: policy_route_install() mends it */
	POLICY_ROUTE_TAKEN,   /* a rule or a route of somebody else uses the table */
	POLICY_ROUTE_UNKNOWN, /* could not look */
};

/* Changes nothing. */
enum policy_route_state policy_route_check(
    struct netlink *route, const struct policy_route *, char why[POLICY_ROUTE_TEXT_MAX]);
/*
 * Adds what is missing and removes leftovers; does nothing where all is as it should be. False: no
 * privilege, or the table is somebody else's. What was added before that stays, for
 * policy_route_remove().
 */
bool policy_route_install(
    struct netlink *route, const struct policy_route *, char why[POLICY_ROUTE_TEXT_MAX]);
/* Removes every rule and route that is ours, whatever its mark and table. */
bool policy_route_remove(
    struct netlink *route, const struct policy_route *, char why[POLICY_ROUTE_TEXT_MAX]);
/*
 * No rule of somebody else that packets with our mark can match is asked before ours, but for
 * "local". False: why names the last one, or says that nobody could look.
 */
bool policy_route_is_first(
    struct netlink *route, const struct policy_route *, char why[POLICY_ROUTE_TEXT_MAX]);

#endif
