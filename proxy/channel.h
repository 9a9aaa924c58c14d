/*
 * channel - one side of a session, without its socket: octets that came in and are not parsed
 * yet, and a queue of segments that go out.
 *
 * A segment is either borrowed, a span of the octets that came in on the other side, sent with
 * writev without a copy; or octets of our own. Input lies in blocks of CHANNEL_BLOCK octets that
 * live as long as a segment borrows from them. Three marks per direction: received, parsed,
 * released (= queued on the other side).
 *
 * Memory: an idle channel holds no block. Whatever a peer sends, a channel holds at most one
 * block of input, CHANNEL_LENT_MAX blocks that the other side's queue borrows from, and in its own
 * queue CHANNEL_QUEUE_MAX octets plus what one event adds (at most a block): CHANNEL_MEMORY_MAX.
 * The caller stops parsing while channel_full().
 */
#ifndef POSTERN_CHANNEL_H
#define POSTERN_CHANNEL_H

#include <sys/uio.h>

#include "core/span.h"

#define CHANNEL_BLOCK	     65536
#define CHANNEL_QUEUE_MAX    65536
#define CHANNEL_SEGMENTS_MAX 256
#define CHANNEL_LENT_MAX     4 /* (CHANNEL_QUEUE_MAX + CHANNEL_BLOCK) / (CHANNEL_BLOCK / 2) */
#define CHANNEL_MEMORY_MAX   ((2 + CHANNEL_LENT_MAX) * CHANNEL_BLOCK + CHANNEL_QUEUE_MAX)

struct block;
struct segment;

/*
 * Whoever wants to see what goes through a channel. parsed: so many octets of the input, which may
 * be none, are done with. queued and sent: octets for the peer, at the offset of its stream; what
 * is dropped was never sent.
 */
struct channel_watch {
	void (*parsed)(void *arg, struct span);
	void (*queued)(void *arg, uint64_t at, struct span);
	void (*sent)(void *arg, uint64_t at, struct span);
	void *arg;
};

struct channel {
	struct block *in;
	size_t begin, end; /* octets of in that are not parsed */
	bool held;	   /* spans of in are in use: nothing is moved or overwritten */
	bool failed;	   /* no memory: the session has to end */
	bool mute;	   /* set once, by the owner: what is queued is dropped at once */

	const struct channel_watch *watch; /* NULL: nobody does */

	struct segment *segments;
	size_t n_segments, max_segments;
	size_t queued; /* octets in the queue */

	uint64_t received, parsed, released, sent; /* octets since the start */
	uint64_t urgent; /* of released, up to and with the urgent octet; 0: none */
};

void channel_init(struct channel *);
void channel_free(struct channel *);

/* Where the next octets from the peer may be written; n == 0: there is no room now. */
struct channel_room {
	uint8_t *p;
	size_t n;
};
struct channel_room channel_room(struct channel *);
void channel_received(struct channel *, size_t n); /* that many were written there */

/* What is not parsed yet, and: the first n octets of it are. */
struct span channel_input(const struct channel *);
void channel_parsed(struct channel *, size_t n);
/* Nothing will be parsed any more. */
void channel_discard(struct channel *);

/*
 * Queues octets: put copies them; pass borrows what lies in "from"'s block and copies the rest.
 */
void channel_put(struct channel *, struct span);
void channel_pass(struct channel *, struct channel *from, struct span);

/*
 * The last octet queued so far is urgent: the socket's owner sends it with MSG_OOB (TELNET Synch,
 * RFC 854). One at a time; a later one takes its place.
 */
void channel_urgent(struct channel *);
/* Octets of the queue up to and with the urgent one; 0: none of them is. */
size_t channel_urgent_at(const struct channel *);

/* The queue has as much as it should have. */
bool channel_full(const struct channel *);
/* Up to max iovecs for writev; returns how many. And: n octets of them went out. */
size_t channel_iov(const struct channel *, struct iovec *, size_t max);
void channel_sent(struct channel *, size_t n);
/* Drops the queue. */
void channel_drop(struct channel *);

#endif
