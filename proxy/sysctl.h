/*
 * sysctl - the settings of the kernel that interception depends on: looked at, and one of them set.
 *
 * Every function that fails writes one line to why.
 */
#ifndef POSTERN_SYSCTL_H
#define POSTERN_SYSCTL_H

#include <stdbool.h>

#define SYSCTL_TEXT_MAX 256

/* The kernel has IPv6, and it is not switched off for every device. */
bool sysctl_ipv6(void);

/*
 * Packets of other hosts are forwarded in this family. False: they are not, or nobody can tell; why
 * has the command that changes it. It is never done here, because a host that begins to forward
 * before its firewall stands is open.
 */
bool sysctl_forwards(bool ipv6, char why[SYSCTL_TEXT_MAX]);

/*
 * net.ipv4.conf.all.src_valid_mark is 0. Where it is 1 (wg-quick sets that), the kernel looks up a
 * client's address under our mark too, finds it at "lo", and drops the packet: no IPv4 connection
 * is ever answered in tproxy mode. False: it is 1; why has the command that changes it.
 */
bool sysctl_source_check(char why[SYSCTL_TEXT_MAX]);

/*
 * net.ipv4.tcp_early_demux, which counts for IPv6 too. While it is 1, a socket in TIME_WAIT that
 * has the address of a host behind the gateway swallows a new connection of that host, once the
 * gateway has ended and packets are only forwarded.
 */
struct early_demux {
	bool changed; /* it was 1, and is 0 now by us */
};

/*
 * All zero before the first call; once more does no harm, and forgets nothing. False: is not 0, and
 * could not be set to 0.
 */
bool early_demux_off(struct early_demux *, char why[SYSCTL_TEXT_MAX]);
/* False: is not 0; for who may not set it. */
bool early_demux_is_off(char why[SYSCTL_TEXT_MAX]);
/*
 * At a clean stop. Whoever is killed leaves 0 behind; the next start takes that for the
 * administrator's will and leaves it alone, so it stays 0 until it is set again or the machine
 * starts anew. That costs a little speed and no connection.
 */
bool early_demux_restore(struct early_demux *, char why[SYSCTL_TEXT_MAX]);

/*
 * net.ipv4.tcp_migrate_req: where a listener of several on one address is closed (fewer workers, a
 * slot that rests), what is just coming in on it goes to another one instead of being reset.
 * True: it was 0, and is 1 now by us. A kernel that has no such setting, or nobody who may set it,
 * is no fault: those few connections are lost then.
 */
bool migrate_requests_on(void);
/* As it was before. */
void migrate_requests_off(void);

#endif
