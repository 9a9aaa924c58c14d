/*
 * stream - one direction of a connection: segments in any order to octets in theirs.
 *
 * Places are offsets from the first octet, with those of gaps; a place may lie ahead of it (a
 * segment from before the capture). What is handed out straight away is not copied.
 */
#ifndef POSTERN_TCP_STREAM_H
#define POSTERN_TCP_STREAM_H

#include "tcp/connections.h"

/*
 * No window is larger (RFC 7323 s2.3): so far back a number may lie; what is not there is ahead, as
 * far as a capture that lost gigabytes may need it.
 */
#define STREAM_BACK	    ((uint32_t)1 << 30)
#define STREAM_WINDOW_LEAST 65535u /* one that the capture lost may have been so much larger */

/* Octets that came ahead of their turn. */
struct stream_piece {
	uint64_t off;
	uint32_t n, missing; /* missing: behind them, not in the capture */
	uint8_t *octets;
};

struct stream {
	uint64_t off;	    /* of the next octet */
	uint32_t next;	    /* and its sequence number */
	uint32_t kept_room; /* of kept, a power of two */
	uint64_t acked;	    /* by the receiver: 1 more when a FIN was */
	uint64_t claimed;   /* the same, also where the window says that it cannot be */
	uint64_t edge;	    /* of the window that it announced */
	uint64_t absent;    /* what is not there up to here will not come */
	uint64_t fin_at;
	uint32_t window; /* the greatest that it announced */
	uint8_t scale;	 /* of the windows that the sender of this direction announces */
	bool begun;	 /* next is known */
	bool heard;	 /* the capture has segments of it */
	bool windowed;	 /* acked and edge are known */
	bool fin, ended; /* a FIN was seen, CONNECTION_END was said */
	uint8_t hops;	 /* of the first segment */
	bool urgent, beyond, hopped; /* ODDITY_URGENT, ODDITY_OCTETS, ODDITY_HOPS were said */
	/* in order, without overlaps: [first, last) of room; NULL: there never were any */
	struct stream_piece *piece;
	uint32_t first, last, room, waiting; /* waiting: octets in them */
	/* the last octets that were handed out, from kept_from on; a ring */
	uint8_t *kept;
	uint64_t kept_from;
};

/* Who hears what happens, and whose memory it is. */
struct stream_owner {
	const struct connections_env *env;
	struct connection *connection;
	enum an_dir dir;
	size_t *memory;
	size_t memory_kept; /* with more in use nothing more is kept to be compared */
};

/* The next octet has this sequence number. */
void stream_begin(struct stream *, uint32_t seq);
/* Behind these no receiver would take any. */
uint64_t stream_limit(const struct stream *);
int64_t stream_place(const struct stream *, uint32_t seq);

/* Octets from "place" on, "missing" more behind them. */
void stream_take(
    const struct stream_owner *, struct stream *, int64_t place, struct span, size_t missing);
/* The same, but they wait, whatever their place: what comes with a SYN. */
void stream_hold(const struct stream_owner *, struct stream *, struct span);
void stream_drop(const struct stream_owner *, struct stream *); /* what waits */

/*
 * The receiver has everything up to "place". answered: it has said something upon that, so that
 * what the capture does not have by now it does not have at all.
 */
void stream_acknowledged(
    const struct stream_owner *, struct stream *, int64_t place, uint32_t window, bool answered);
/* Whatever can go on now. */
void stream_resume(const struct stream_owner *, struct stream *);
void stream_finish(const struct stream_owner *, struct stream *, int64_t place); /* a FIN */
/* Nothing comes any more: what waits is handed out. */
void stream_flush(const struct stream_owner *, struct stream *);
/* Gives up the first hole, to free what waits behind it; false: nothing waits. */
bool stream_yield(const struct stream_owner *, struct stream *);
void stream_free(const struct stream_owner *, struct stream *);

void stream_tell(const struct stream_owner *, const struct connection_event *);
void stream_odd(const struct stream_owner *, const struct stream *, enum connection_oddity);

#endif
