/*
 * firewall_nftnl - the tables as messages for the kernel: whole transactions in a caller's buffer.
 *
 * A batch is made without numbers; firewall_number() gives them when it is known who sends it.
 * firewall_refusal() puts into words which part of a batch the kernel did not take.
 */
#ifndef POSTERN_FIREWALL_NFTNL_H
#define POSTERN_FIREWALL_NFTNL_H

#include "firewall.h"

struct nlmsghdr;

/* Octets that a batch may take, which one message buffer has to hold: some 30,000 networks. */
#define FIREWALL_BATCH_MAX	 (4u << 20)
/* ... and one with flows that stay: 100,000 that pass, which are two elements each, take half. */
#define FIREWALL_FLOWS_BATCH_MAX (64u << 20)
#define FIREWALL_TEXT_MAX	 256 /* octets of a text with its NUL */

/*
 * Appends a transaction that puts each table in place of one of that name, and takes away the guard
 * where none is wanted. False: out is full (or there is no memory).
 *
 * flows  the kernel's messages about the flows of the table that is replaced (NFT_MSG_NEWSETELEM),
 *        which stay for the rest of their time; empty: there are none. Of more than fit into
 *        out those behind are lost: tables must not fail for them
 */
bool firewall_batch(const struct firewall *, struct span flows, struct buf *out);
/* The same of the guard alone. */
bool firewall_guard_batch(const struct firewall *, struct buf *out);
/* A transaction that takes a table away, whether it is there or not. */
bool firewall_remove_batch(const char *table, struct buf *out);

/* A connection by which the sets of kind FIREWALL_KEY_FLOW4 and 6 are asked. */
struct firewall_flow {
	struct ip source, destination; /* of one family */
	uint16_t port;		       /* of the destination */
};

enum firewall_flows {
	FIREWALL_DATA,	  /* ends at the gateway, at a port of its own */
	FIREWALL_PASSED,  /* passes unproxied, and is counted */
	FIREWALL_REPLIES, /* what comes back on such a one: the same flow, in a set of its own */
};

/*
 * A transaction that adds a flow for "seconds" (at least 1); port: the local one, of FIREWALL_DATA.
 * FIREWALL_PASSED: with what comes back on it. False also when the addresses are not of one family.
 *
 * anew   it is there already, and makes room for itself: its time, port and count begin anew. Then
 *        the kernel refuses with ENOENT one that is not there, else with EEXIST one that is
 */
bool firewall_flow_add_batch(enum firewall_flows, const struct firewall_flow *, uint16_t port,
    unsigned seconds, bool anew, struct buf *out);
/* One that takes it away; the kernel refuses with ENOENT what is not there. */
bool firewall_flow_delete_batch(enum firewall_flows, const struct firewall_flow *, struct buf *out);

#define FIREWALL_REQUEST_MAX 512 /* octets of a request for one flow */
/*
 * A request, no transaction, for one flow that is counted; the kernel answers with a message for
 * firewall_flow_counted(), or ENOENT. NULL: as above. Returns request.
 */
struct nlmsghdr *firewall_flow_request(
    enum firewall_flows, const struct firewall_flow *, uint8_t request[FIREWALL_REQUEST_MAX]);
/* Octets that were counted, headers of IP and TCP among them. False: the message has no count. */
bool firewall_flow_counted(const struct nlmsghdr *, uint64_t *octets);

/* How many messages there are in a batch. */
uint32_t firewall_messages(const struct buf *batch);
/* Numbers them: first, first + 1, ... */
void firewall_number(struct buf *batch, uint32_t first);

/*
 * Which part of the batch the kernel refused by message "seq" with errno "code", in words, and what
 * is missing or in the way. Returns text.
 */
const char *firewall_refusal(
    const struct buf *batch, uint32_t seq, int code, char text[FIREWALL_TEXT_MAX]);

/*
 * Whether the kernel has what a batch makes: tables, chains, rules and their expressions, sets and
 * their elements (but for those of sets that are filled while the gateway runs).
 *
 * batch  of firewall_batch(), or of firewall_guard_batch(): then the guard alone counts
 * dump   the kernel's messages about these tables, one behind the other: NFT_MSG_NEWTABLE,
 *        NEWCHAIN, NEWRULE, NEWSET, NEWSETELEM; those about other tables are passed over
 *
 * Of anything but FIREWALL_SAME text says what is different first. FIREWALL_GUARD_DIFFERS: the
 * guard alone is.
 */
enum firewall_difference {
	FIREWALL_SAME,
	FIREWALL_DIFFERS,
	FIREWALL_GUARD_DIFFERS,
};
enum firewall_difference firewall_compare(
    struct span batch, struct span dump, char text[FIREWALL_TEXT_MAX]);

#endif
