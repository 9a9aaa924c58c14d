/*
 * connections - TCP segments as they stood on a wire to the octets of both directions, in order.
 *
 * What a stranger to both ends can know, and the policy where they could disagree (docs/captures.md
 * has the whole table; Ptacek and Newsham 1998):
 *  - Octets that came first stay. A segment that overlaps what is known already and says the same
 *    is a retransmission; one that says something else is CONNECTION_CONFLICT, and its octets are
 *    not taken. What has been handed out is compared over the last CONNECTION_COMPARE octets.
 *  - A segment ahead of its turn waits. A hole is given up, and is CONNECTION_GAP, when the other
 *    side has acknowledged what is behind it (the capture lost it, the receiver did not), or has
 *    said something in the segment that acknowledges the hole itself; when the capture has cut a
 *    segment; when the connection ends; when too much waits, or there is no memory for it.
 *  - A reset counts within the window that the receiver last announced (or at the exact next
 *    number where none is known); others are CONNECTION_STRAY. Octets far behind the window are,
 *    too, but they wait: a capture may have lost the window, and what lies between.
 *  - A SYN on a connection that has ended, one that the other side acknowledges, or one out of the
 *    window of a connection that has said nothing for CONNECTION_REUSE_SECONDS, begins a new one
 *    with the same ports.
 *  - Without a SYN the first segment that carries octets begins the connection in the middle
 *    (joined): who of both is the client is said by server_port(), else by who spoke first. Octets
 *    behind a reset begin one, too: the reset did not count.
 *  - Urgent octets stay in line (RFC 6093). SYN with data: taken where the server acknowledges it
 *    (RFC 7413).
 *
 * Memory: CONNECTION_IDLE_SIZE octets for each connection with nothing waiting (and with compare
 * what was handed out, as long as half of the memory is free), at most "memory" for everything
 * together; beyond it go first those that are over, then those with nothing but a SYN, then the one
 * that has been silent longest (CONNECTION_EVICTED). The one that is being read gives up its holes
 * first. Work: constant per segment, and linear in its octets; segments that wait are in a sorted
 * array of at most CONNECTION_WAITING_MAX.
 */
#ifndef POSTERN_TCP_CONNECTIONS_H
#define POSTERN_TCP_CONNECTIONS_H

#include "core/event.h"
#include "tcp/segment.h"

#define CONNECTIONS_MEMORY_MIN	 (2u << 20)
#define CONNECTION_IDLE_SIZE	 512u	    /* at most */
#define CONNECTION_WAITING_MAX	 4096	    /* segments ahead of their turn, per direction */
#define CONNECTION_WAITING_BYTES (4u << 20) /* and octets of them */
#define CONNECTION_COMPARE	 (16u << 10) /* of what was handed out, kept only with compare = true */
#define CONNECTION_REUSE_SECONDS 60
#define CONNECTION_IDLE_SECONDS	 3600 /* a connection that says nothing for so long is evicted */

struct connection_end {
	struct packet_address address;
	uint16_t port;
};

/* One connection; what is in it is the callee's to read. */
struct connection {
	struct connection_end client, server;
	uint64_t began;	    /* microseconds of the capture's time */
	uint64_t octets[2]; /* handed out, by direction */
	bool joined;	    /* its beginning is not in the capture */
	bool answered;	    /* segments of both directions were seen */
	void *of;	    /* the owner's own: NULL until it sets it */
	size_t owned;	    /* octets of what hangs there: connections_own() */
};

enum connection_what {
	CONNECTION_OPEN,    /* both have said SYN; or it is joined in the middle: ahead of its first
			       octets */
	CONNECTION_OCTETS,  /* the next ones of dir: good during the call */
	CONNECTION_GAP,	    /* n octets of dir are not in the capture */
	CONNECTION_END,	    /* dir has said FIN, and all of it was handed out */
	CONNECTION_RESET,   /* by the sender of dir: nothing comes any more in either direction */
	CONNECTION_EVICTED, /* for want of memory, idle for too long, its ports are used for
			       another, or the capture is over */
	CONNECTION_CONFLICT, /* two copies of the same octets differ: off is the first of them,
				octets are those that are not taken */
	CONNECTION_STRAY,    /* ev->oddity says what is odd about a segment */
	CONNECTION_CLOSED,   /* the last of each: free what hangs at of */
};

/* CONNECTION_STRAY: what of it receivers take otherwise than others, or not at all. */
enum connection_oddity {
	ODDITY_NONE,
	ODDITY_RESET,	 /* outside of the window: not taken */
	ODDITY_OCTETS,	 /* far behind the window: they wait until they are acknowledged, or their
			    turn   comes; or behind a FIN: not taken. Once per direction, and once
			    where   they are given up */
	ODDITY_SYN,	 /* within a connection: not taken */
	ODDITY_SYN_DATA, /* that the server did not acknowledge: not taken, they come once more */
	ODDITY_FIN,	 /* at another place than the first, or ahead of octets: not taken */
	ODDITY_URGENT,	 /* once per direction; taken, in line */
	ODDITY_HOPS,	 /* a reset, or octets, whose TTL is far from that of the direction's first:
			    taken;     once per direction */
};

/* "reset", "octets", "syn", "syn-data", "fin", "urgent", "hops". */
const char *connection_oddity_name(enum connection_oddity);

struct connection_event {
	enum connection_what what;
	enum connection_oddity oddity;
	enum an_dir dir;
	uint64_t off; /* octets of dir ahead of it, with those of gaps */
	struct span octets;
	uint64_t n;
};

struct connections_env {
	/*
	 * What happened; called from within connections_read() and connections_end(). Every
	 * connection that had CONNECTION_OPEN has CONNECTION_CLOSED; no other has any event.
	 */
	void (*happened)(void *arg, struct connection *, const struct connection_event *);
	/* The port is one that servers wait at: decides who is who in a connection that is joined.
	 */
	bool (*server_port)(void *arg, uint16_t port);
	void *arg;
	uint64_t seed[2]; /* random: nobody must be able to choose which ports share a bucket */
	size_t memory;	  /* octets, for all connections and what waits in them; less than
			     CONNECTIONS_MEMORY_MIN is taken for that */
	bool compare;	  /* keep CONNECTION_COMPARE octets of each direction, to tell changed
			     retransmissions */
	bool checksums; /* segments whose checksum does not hold are not taken, as a receiver would
			 */
};

struct connections;

struct connections *connections_new(const struct connections_env *); /* copied; NULL: no memory */
/* No event comes any more: connections_end() first. NULL is fine. */
void connections_free(struct connections *);

/*
 * packet: of protocol 6. now: microseconds of the capture's time; it may go back, and one packet
 * alone that is far ahead of all others makes nobody's idle time. False: it is no TCP segment.
 */
bool connections_read(struct connections *, const struct packet *, uint64_t now);
/*
 * What hangs at of takes so many octets now: they count for "memory", in place of those that were
 * said before, until CONNECTION_CLOSED.
 */
void connections_own(struct connections *, struct connection *, size_t octets);
/* The capture is over: what waits is handed out with its gaps, every connection is closed. */
void connections_end(struct connections *);

struct connections_stats {
	uint64_t segments, connections, alive, memory, /* now, octets */
	    memory_peak, evicted, bad_checksums, malformed;
};
void connections_stats(const struct connections *, struct connections_stats *);

#endif
