/*
 * data - the pair of data connections of one transfer: one leg to the client, one to the server,
 * octets from one to the other. What the FTP gate asks for, and what it is told.
 *
 * The gate decides where legs lead and when octets flow; whoever implements struct data_ops owns
 * sockets, holes in the firewall, buffers and time (data_pair.c; arrays in tests). Each request is
 * answered by news, never from within the request.
 *
 * A leg that is cut is a reset on the other leg: both sockets carry SO_LINGER {1, 0} until the
 * true end of the source was seen and everything is flushed, so that a gateway that dies in the
 * middle never makes half a file look whole.
 *
 * Memory of a pair: none while nothing flows; DATA_RING octets plus the window that is held back
 * where octets are looked at, or a leg is under TLS; a pipe in the kernel else. TLS_LEG_IDLE for
 * each leg that is under TLS.
 */
#ifndef POSTERN_DATA_H
#define POSTERN_DATA_H

#include "community_id.h"
#include "core/event.h"

#define DATA_HOLD_MAX (256u << 10) /* octets that stay back until the verdict */
#define DATA_RING     (64u << 10)

struct relay;
struct data_pair;

enum data_leg { DATA_CLIENT, DATA_SERVER, DATA_LEGS };

enum data_what {
	DATA_LISTENING,	  /* the leg's hole is open: at says what its peer is to be told */
	DATA_OPEN,	  /* the leg is connected; at: our end of it, peer: its other end */
	DATA_UNREACHABLE, /* the leg will not be; why; nothing is left of it */
	DATA_INTRUDER,	 /* somebody else came to the leg's hole, was reset, and we go on waiting */
	DATA_SOURCE_END, /* of a flow that is looked at: the source has ended well, all its octets
			  * were shown; with a hold, window and end wait for release() */
	DATA_DONE,	 /* ... and all of them, with the end, are on the other leg */
	DATA_CUT, /* leg was reset, stalled, or went away ahead of the end; both are closed */
};

struct data_news {
	enum data_what what;
	enum data_leg leg;
	struct endpoint at, peer;
	const char *why; /* a constant: "refused", "timeout", "no_hole", "reset", "stalled", ... */
};

/* A leg that waits for its peer: for one connection, then its hole is closed. */
struct data_hole {
	enum data_leg leg;
	struct ip from; /* the only address that may come */
	/*
	 * Where it is going to connect to. port 0: any that the implementation likes (a random
	 * one). Where sessions are taken off the wire this address may be anybody's; in forward
	 * mode it is the gateway's own, with a port of ftp.data_ports, whatever the port here.
	 */
	struct endpoint at;
	struct endpoint also; /* observed only; family IP_NONE: nowhere else */
};

struct data_dial {
	enum data_leg leg;
	struct endpoint to;
	struct endpoint also; /* observed only; family IP_NONE: nowhere else */
	/* Our end: the address to speak from (IP_NONE: the host's choice) and its port (20, or 0).
	 */
	struct endpoint from;
};

struct data_flow {
	enum an_dir dir; /* AN_C2S: an upload */
	bool look;	 /* octets are shown to relay_ops.data_octets() as they come */
	size_t
	    hold; /* of them, so many stay back until data_ops.release(); at most DATA_HOLD_MAX */
	unsigned stall; /* seconds without an octet, either way, after which it is cut */
	/*
	 * Legs that shake hands once both are open, ahead of any octet, each as the control
	 * connection on its side has (RFC 4217 s10). One that fails is cut: "tls_...".
	 */
	bool protected[DATA_LEGS];
	bool fin_ends; /* of a leg under TLS: an end without close_notify is one, and no cut */
};

/* What came of the handshake of a leg. */
struct data_tls {
	const char *version; /* "TLSv1.3", a constant; NULL: there was none */
	bool resumed;	     /* the session of the control connection */
};

struct data_count {
	uint64_t octets[DATA_LEGS]; /* read from or written to that leg (as the direction is) */
	uint64_t stray;		    /* that came the wrong way, and went nowhere */
	uint64_t began, ended;	    /* relay_env.now() of the first and last octet; 0: none */
	struct data_tls tls[DATA_LEGS];
};

/*
 * All of one thread; arg is relay_env.arg.
 *
 * Where the session is observed (relay_env.observed) nobody opens anything, and there is one leg,
 * DATA_CLIENT, the connection between client and server itself. listen() says that the client is
 * going to connect to hole.at, dial() that the server is going to connect to dial.to; each is
 * answered with DATA_OPEN (peer: the client's end, at: the server's) when that connection is seen,
 * which may be at once, or with DATA_UNREACHABLE when it is known not to come. The dialogue may
 * show an address that a NAT on the way has changed, or has not: "at" and "to" are what was said,
 * "also" is the control connection's own peer with the port that was said, where those are two.
 * "from" says who is expected; that somebody else comes (FXP) is no reason to look away. Octets
 * that are seen ahead of flow() are kept for it, in bounds.
 * DATA_SOURCE_END, then release(), then DATA_DONE as ever; DATA_CUT, with "reset" or "gap" or
 * "capture_end", where the end is not one. Of the count, octets[DATA_CLIENT] and tls[DATA_CLIENT]
 * are of that connection. Whoever ends a relay whose control connection is over waits while
 * relay_ops.transfers(): data may come to its end later.
 */
struct data_ops {
	/* The legs of the next transfer. NULL: no memory. News go to relay->ops->data_news(). */
	struct data_pair *(*open)(void *arg, struct relay *);
	/* Opens a hole; "seconds" until it closes by itself: DATA_UNREACHABLE, "timeout". */
	void (*listen)(struct data_pair *, const struct data_hole *, unsigned seconds);
	void (*dial)(struct data_pair *, const struct data_dial *, unsigned seconds);
	/*
	 * In place of two legs: the client may connect straight to the server there, for so many
	 * seconds, past the gateway: DATA_LISTENING once the kernel knows. False: it cannot be done
	 * here (no interception, other families). From release() on the kernel's count is looked
	 * at, and DATA_DONE comes when it stands still; a second release() says that nothing more
	 * will come: the hole is closed, and DATA_DONE comes at once. count() has octets of the
	 * direction of flow(), with their headers. DATA_UNREACHABLE, "timeout" or "stalled", when
	 * nobody came in time, or nothing moved for as long as flow() allows (half as long again at
	 * most): the hole is closed, and what went by can still be asked for.
	 */
	bool (*let_by)(struct data_pair *, const struct endpoint *client,
	    const struct endpoint *server, unsigned seconds);
	/* May be called before both legs are open; octets flow once they are. */
	void (*flow)(struct data_pair *, const struct data_flow *);
	/* What is held back may go, now and later: DATA_DONE, or DATA_CUT, is still to come. */
	void (*release)(struct data_pair *);
	/* Both legs are reset, nothing that is held back goes anywhere. No news afterwards. */
	void (*reset)(struct data_pair *);
	/* One leg is closed or reset, its hole with it, and has no news: the other stays. */
	void (*drop)(struct data_pair *, enum data_leg, bool reset);
	const struct data_count *(*count)(const struct data_pair *);
	/* Closes what is open (what has not ended is reset). No news afterwards. NULL is fine. */
	void (*close)(struct data_pair *);
};

#endif
