/*
 * kernel_tables - the tables of nftables as the kernel has them, over a netlink socket: sending
 * transactions, dumping what is there.
 *
 * Every function that fails writes one line to why.
 */
#ifndef POSTERN_KERNEL_TABLES_H
#define POSTERN_KERNEL_TABLES_H

#include "firewall_nftnl.h"
#include "netlink.h"

#define KERNEL_TABLES_TEXT_MAX (FIREWALL_TEXT_MAX + NETLINK_TEXT_MAX + 64)

/*
 * Numbers the batch and sends it. False: nothing of it was done; *code (may be NULL) is the errno.
 */
bool kernel_tables_send(
    struct netlink *, struct buf *batch, int *code, char why[KERNEL_TABLES_TEXT_MAX]);

/* The number that every change of any table counts up. */
bool kernel_tables_generation(
    struct netlink *, uint32_t *generation, char why[KERNEL_TABLES_TEXT_MAX]);

/*
 * The messages about our tables for firewall_compare(), of one generation. A table that is not
 * there is none of them.
 */
bool kernel_tables_dump(struct netlink *, const struct firewall *, struct buf *out,
    uint32_t *generation, char why[KERNEL_TABLES_TEXT_MAX]);
/* The messages about the elements of the sets that are filled while the gateway runs. */
bool kernel_tables_flows(struct netlink *, struct buf *out, char why[KERNEL_TABLES_TEXT_MAX]);

/* What a flow that is let by has counted. False: it is not there (any more), or as above. */
bool kernel_tables_count(struct netlink *, enum firewall_flows, const struct firewall_flow *,
    uint64_t *octets, char why[KERNEL_TABLES_TEXT_MAX]);

struct kernel_tables_present {
	bool guard; /* inet postern_guard is there */
	bool owned; /* inet postern is there and belongs to a living process */
};
bool kernel_tables_present(
    struct netlink *, struct kernel_tables_present *, char why[KERNEL_TABLES_TEXT_MAX]);

#endif
