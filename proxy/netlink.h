/*
 * netlink - a netlink socket: transactions, requests and dumps, each with an answer within
 * NETLINK_WAIT_MS or an error; and what the kernel tells on its own.
 *
 * A socket that joined a group is for netlink_news() alone: what comes there unasked would get
 * between the answers. Nothing here forks, and every socket is close-on-exec, because a child that
 * had a copy would keep a table of the "owner" kind alive.
 */
#ifndef POSTERN_NETLINK_H
#define POSTERN_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETLINK_WAIT_MS	    5000	/* for an answer */
#define NETLINK_BUFFER	    (4u << 20)	/* octets of answers and news that a socket holds */
#define NETLINK_BATCH_MAX   (64u << 20) /* octets of one transaction */
#define NETLINK_MESSAGE_MAX (64u << 10) /* octets in one datagram of the kernel */
#define NETLINK_DUMP_MAX    (64u << 20) /* octets of one dump; a longer one fails with EMSGSIZE */
#define NETLINK_TRIES	    10		/* of a dump while what is dumped changes */
#define NETLINK_TEXT_MAX    256		/* octets of an error's text with its NUL */

struct netlink;

struct netlink_error {
	uint32_t seq;		     /* of the first message that was refused; 0: none was */
	int code;		     /* errno: the kernel's, or ETIMEDOUT, ENOBUFS, EMSGSIZE, ... */
	char text[NETLINK_TEXT_MAX]; /* strerror(code), and the kernel's own words behind it */
};

/* One message of the kernel; it is gone when the function returns. */
typedef void netlink_message(void *arg, const struct nlmsghdr *);

/* protocol: NETLINK_NETFILTER, NETLINK_ROUTE. NULL: errno says why. */
struct netlink *netlink_open(int protocol);
void netlink_close(struct netlink *); /* NULL is fine */
int netlink_fd(const struct netlink *);
/* The socket's number, which is NFTA_TABLE_OWNER of a table that was made over it. */
uint32_t netlink_port(const struct netlink *);
/* The first of n sequence numbers that nothing else on this socket uses; never 0. */
uint32_t netlink_sequence(struct netlink *, uint32_t n);

/*
 * One transaction: octets of whole messages from NFNL_MSG_BATCH_BEGIN to NFNL_MSG_BATCH_END, their
 * numbers from netlink_sequence(), ascending. The last message before the end must ask for an
 * answer (NLM_F_ACK); others may, and one that is refused answers anyhow.
 *
 * False: nothing of it was done, err tells which message was refused first (its number is that of
 * the begin mark when it was the whole: no privilege, or the commit failed). Only with ENOBUFS or
 * ETIMEDOUT it is not known whether it was done.
 */
bool netlink_batch(struct netlink *, const void *octets, size_t n, struct netlink_error *err);

/*
 * One request, by whose own flags things are done; its sequence number and NLM_F_ACK are set here.
 * Messages that come before the answer go to each (may be NULL). False: see err.
 */
bool netlink_request(struct netlink *, struct nlmsghdr *, netlink_message *each, void *arg,
    struct netlink_error *err);

/*
 * A dump; sequence number and flags are set here. Whole and consistent or not at all: each is
 * called only when all messages are there, and a dump that was overtaken by a change
 * (NLM_F_DUMP_INTR) is tried again, at most NETLINK_TRIES times (then EINTR). What the kernel does
 * not call a change is no reason: while somebody else's transaction is prepared or given up, it may
 * show an object of nftables twice, or leave one out. A dump of one table has that only where that
 * very table is being changed.
 */
bool netlink_dump(struct netlink *, struct nlmsghdr *, netlink_message *each, void *arg,
    struct netlink_error *err);

/*
 * What is done over that socket of ours is not told on this one: whoever did it knows. Ahead of
 * netlink_join(). False: errno says why.
 */
bool netlink_leave_out(struct netlink *, uint32_t port);
/* A group of notifications: NFNLGRP_NFTABLES, RTNLGRP_IPV4_RULE, ... False: errno says why. */
bool netlink_join(struct netlink *, unsigned group);

enum netlink_news {
	NETLINK_NOTHING, /* ... has come */
	NETLINK_READ,	 /* all that had come went to each */
	NETLINK_MISSED,	 /* some was lost: look at the state itself again */
	NETLINK_BROKEN,	 /* errno says why; the socket is of no more use */
};
/* Never waits. Reads what has come, at most NETLINK_BUFFER octets. */
enum netlink_news netlink_news(struct netlink *, netlink_message *each, void *arg);

#endif
