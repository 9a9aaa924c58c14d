/*
 * relay - the pump of one session: octets of two channels through the analyzer of its protocol,
 * events to the policy, what passes to the other channel.
 *
 * No sockets, no loop, no clock of its own: whoever owns it moves octets into and out of its
 * channels, tells it what happened to the peers, and looks at what it wants after each call. So
 * the same code runs between two sockets, between two arrays in a test, and in a fuzzer.
 *
 *      client socket -> client.in -> [analyzer, policy] -> server.out -> server socket
 *      client socket <- client.out <- [analyzer, policy] <- server.in <- server socket
 */
#ifndef POSTERN_PROXY_RELAY_H
#define POSTERN_PROXY_RELAY_H

#include "board.h"
#include "channel.h"
#include "clients.h"
#include "config.h"
#include "data.h"
#include "record.h"
#include "tap_session.h"
#include "tls/sight.h"
#include "tls_offers.h"
#include "tls_rules.h"

/* Why a direction is not parsed at the moment; it goes on when no reason is left. */
enum relay_pause {
	PAUSE_FULL = 1u << 0,	/* the other side does not take what is queued for it */
	PAUSE_DNS = 1u << 1,	/* a verdict waits for answers */
	PAUSE_HELD = 1u << 2,	/* what comes next depends on the server's reply */
	PAUSE_TARPIT = 1u << 3, /* a client that keeps making errors is slowed down */
};

/* What happened to a peer. */
enum relay_peer {
	PEER_CONNECTING, /* server only */
	PEER_OPEN,
	PEER_EOF,  /* it sends no more, and may still read */
	PEER_GONE, /* reset, or unreachable: neither */
};

/* What the owner has to do with a peer's socket once the relay has returned. */
enum relay_wish {
	WISH_NONE,
	WISH_CLOSE, /* close it when its queue has gone out */
	WISH_RESET, /* close it now, so that the peer cannot take what it has for whole */
};

/* How octets go on a leg. */
enum relay_tls {
	RELAY_CLEAR,
	RELAY_SHAKING, /* relay_upgrade() was called, relay_upgraded() was not */
	RELAY_SECURE,
	RELAY_BROKEN, /* the handshake failed: no octet may go there any more */
};

struct relay;

/* Services of the owner; all calls come from within relay_*() functions. */
struct relay_env {
	const struct config *config;
	/*
	 * The peers have spoken already, with nobody in between (postern read, watch): what they
	 * said is parsed, judged and recorded, and nothing is answered, changed, held back, limited
	 * or timed. A verdict that refuses is recorded as one, and the dialogue goes on with what
	 * the server really said; no reply of the gateway's reaches a record. Channels are mute;
	 * relay_end() is only the first word on why it ended, until a peer is gone. Of TLS,
	 * whatever the rules say: where the server agreed to it, relay_upgrade_both() is called,
	 * and the owner says what comes of it.
	 */
	bool observed;
	struct board *board; /* where sessions are counted; may be NULL */
	record_sink *sink;
	void *sink_arg;
	/* Milliseconds of a clock that never goes back. */
	uint64_t (*now)(void *arg);
	/*
	 * Starts look-ups; the answers go into "into", then relay_answered() is called (not from
	 * within ask). Returns a handle for unask; NULL: no memory.
	 */
	void *(*ask)(void *arg, struct relay *, const struct dns_question *, size_t n,
	    unsigned budget_ms, struct answers *into);
	void (*unask)(void *arg, void *handle);
	/* The client of this session was refused something. */
	void (*refused)(void *arg, struct relay *);
	/*
	 * The client of this session does something that is limited per minute; false: too often.
	 * And: one that was allowed does not count after all.
	 */
	bool (*allow)(void *arg, struct relay *, enum client_act);
	void (*take_back)(void *arg, struct relay *, enum client_act);
	/* There are so many sessions that idle ones should go sooner. */
	bool (*pressed)(void *arg);
	/* Data connections; NULL where no protocol has them. */
	const struct data_ops *data;
	/* What FTP servers were seen to refuse, for all sessions of a worker; NULL: not kept. */
	struct ftp_servers *ftp_servers;
	const struct tls_keys *tls_keys; /* NULL: no TLS ends here */
	struct tls_distrust *distrust;	 /* of clients in our CA; NULL: not kept */
	struct tls_mint *mint;		 /* identities of servers outside; NULL: there are none */
	/* Servers that offer STARTTLS: those that did; and: this one does. NULL: not kept. */
	const struct tls_offers *tls_offers;
	void (*offered)(void *arg, const struct tls_offer *);
	void *arg;
};

/* One row per protocol. */
struct relay_ops {
	const char *name; /* app_proto of records */
	enum protocol protocol;
	bool server_speaks_first;
	struct relay *(*create)(void); /* NULL: no memory; relay is its first member */
	void (*destroy)(struct relay *);
	/* Parses and handles one event of a direction; false: nothing was taken. */
	bool (*step)(struct relay *, enum an_dir);
	/*
	 * peer[dir] has changed, everything that was parseable is parsed; the server was reached.
	 */
	void (*peer_changed)(struct relay *, enum an_dir);
	void (*answered)(struct relay *);
	/* The client is done with: whatever of its octets is still looked at is looked at no more.
	 */
	void (*forget)(struct relay *);
	/* Milliseconds of env->now() at which expired() wants to be called; 0: never. */
	uint64_t (*deadline)(const struct relay *);
	void (*expired)(struct relay *);
	/* No octet can come or go any more: last records. */
	void (*finish)(struct relay *);
	/* In place of the dialogue: the gateway cannot serve ("421 ..."); text without CR LF. */
	void (*turn_away)(struct relay *, const char *reason);
	/* Octets of a message, or of a file, are coming in. */
	bool (*transfers)(const struct relay *);
	/*
	 * relay_upgraded() was called; NULL: it never calls relay_upgrade(). Where it failed, the
	 * leg has to have a wish afterwards.
	 */
	void (*upgraded)(struct relay *, enum an_dir, const char *why);
	/*
	 * Observed only. n octets of a direction (0: nobody knows how many) are missing here. True:
	 * what follows can be understood all the same, and nothing will be taken for what it is
	 * not; else, and where this is NULL, nothing of the session is looked at any more.
	 */
	bool (*gap)(struct relay *, enum an_dir, uint64_t n);
	/* Observed only, ahead of all octets: the beginning is not in the capture. NULL: not
	 * followed. */
	bool (*joined)(struct relay *);
	/*
	 * Observed only: no octet of the server's is in the capture, and none will be. What its
	 * replies would have allowed is taken for allowed, and they are in no record. NULL: not
	 * followed.
	 */
	bool (*unheard)(struct relay *);
	/* Something happened to data connections; and: octets flow through. NULL: it has none. */
	void (*data_news)(struct relay *, struct data_pair *, const struct data_news *);
	void (*data_octets)(struct relay *, struct data_pair *, struct span);
};

struct relay {
	void *owner; /* the owner's own */
	const struct relay_ops *ops;
	const struct relay_env *env;
	struct record_session session;
	struct facts facts;
	struct tls_query
	    tls_asked; /* ahead of any name; facts.starttls and tls_required are of it */
	struct tls_judgement tls_said; /* of the name that the client said, once it has */
	struct channel client, server; /* each: input from, and output to that peer */
	enum relay_peer peer[2];       /* by the direction that it sends: AN_C2S is the client */
	enum relay_peer told[2];       /* observed: what of it the gate was told */
	enum relay_wish wish[2];
	enum relay_tls tls[2];
	unsigned pause[2];  /* enum relay_pause bits */
	uint64_t began;	    /* env->now() */
	uint64_t active[2]; /* env->now() when octets last came, by direction */
	uint64_t full[2];   /* when PAUSE_FULL last held a direction */
	uint64_t wrote[2];  /* when octets last went out to the peer that sends in it */
	const char *reason; /* why the session ends; NULL: it does not yet */
	unsigned tx_count;
	bool opaque, client_spoke_tls;
	/* A rule has it that legs are not alike. */
	bool own_way;
	const char *one_sided; /* for records: "client", "server" is under TLS alone; NULL */
	struct relay_asking {  /* the gateway asks the server for TLS: relay_upstream.c */
		enum {
			ASKING_NOTHING,
			ASKING_GREETING, /* it waits for that */
			ASKING_HELLO,	 /* EHLO was said */
			ASKING_TLS,	 /* STARTTLS was said, or the handshake is on */
		} stage;
		struct buf greeting;
	} asking;
	bool stripped;	   /* it has no STARTTLS, and had it until lately */
	bool plus_offered; /* the server has mechanisms that are bound to the channel */
	bool unread;	   /* opaque from the first octet on: no gate sees any */
	/* Observed: nothing more is parsed; some answer of the DNS is not known, so that a verdict
	 * which depends on it is none; no octet of the server's is in the capture. */
	bool lost_track, undecided, unheard;
	struct tls_sight
	    *sight;   /* of a handshake that passes; NULL: none, or its record is written */
	bool reached; /* the server was connected */
	struct board_seat seat;
	struct tapped *tap; /* what of it goes to a capture; NULL: nothing */
};

/* facts and session are copied; env must outlive the relay. NULL: no memory. */
struct relay *relay_new(const struct relay_ops *, const struct relay_env *,
    const struct record_session *, const struct facts *);
/* Writes the last records; the owner closes sockets. NULL is fine. */
void relay_free(struct relay *);

/* The channel that sends in this direction, and the one that is sent to. */
struct channel *relay_from(struct relay *, enum an_dir);
struct channel *relay_to(struct relay *, enum an_dir);

/* Observed only: as the rows of relay_ops, each with its anomaly. */
void relay_gap(struct relay *, enum an_dir, uint64_t n);
void relay_joined(struct relay *);
void relay_unheard(struct relay *);
/* Observed only: nothing more of it is parsed; what comes is counted. */
void relay_unread(struct relay *);

/* Octets came in, or went out, or a pause may be over: parse on. */
void relay_run(struct relay *);
void relay_received(struct relay *, enum an_dir, size_t n); /* octets are in the channel */
/* Octets of the queue went out to the peer that sends in this direction (channel_sent() done). */
void relay_wrote(struct relay *, enum an_dir);
void relay_connected(struct relay *, const struct endpoint *up_client);
/* The peer that sends in this direction is at its end (PEER_EOF) or lost (PEER_GONE). */
void relay_peer(struct relay *, enum an_dir, enum relay_peer);
void relay_answered(struct relay *);
uint64_t relay_deadline(const struct relay *);
void relay_expired(struct relay *);
/* The session ends: reason is a constant, the first one stays. */
void relay_end(struct relay *, const char *reason, enum relay_wish client, enum relay_wish server);
/* Octets of this direction are wanted from the socket. */
bool relay_wants_read(const struct relay *, enum an_dir);
/* Nothing is left to do: both peers are done with. */
bool relay_over(const struct relay *);

/*
 * The gate asks for TLS on the leg to the peer that sends in this direction: once what is queued
 * for that peer has gone out, the owner shakes hands. From here to relay_upgraded() nothing is read
 * from either peer, nothing is parsed, and nothing goes out to that peer but what was queued
 * before: so octets that a peer sends ahead lie in its socket and are taken for a part of the
 * handshake, which they break (N-005). Octets that were read before are the gate's to judge.
 */
void relay_upgrade(struct relay *, enum an_dir);
/* The owner: it is done (why NULL), or it failed (a constant, "tls_cut", "tls_verify" ...). */
void relay_upgraded(struct relay *, enum an_dir, const char *why);
bool relay_shaking(const struct relay *); /* on some leg */
/*
 * TLS from the first octet on, where tls_asked and tls_said have it: both legs are asked for, or
 * what comes is passed unread, or the client hears an alert. To be called before all else. Gates
 * are not told of such an upgrade (ops->upgraded): their dialogue begins inside.
 */
void relay_begin_tls(struct relay *);
/*
 * Where a rule has it that the legs are not alike (tls_said.upstream): true, and what is to be done
 * for that is begun. And: looks at what the server says while it is asked; gates see nothing of it.
 * And: as ops->upgraded; false: it is none of its business.
 */
bool relay_upstream_begin(struct relay *);
void relay_upstream_run(struct relay *);
bool relay_upstream_upgraded(struct relay *, enum an_dir, const char *why);
/*
 * In place of such an upgrade, while nothing has been said to either peer: the body of the client's
 * hello goes to the server in records of our own, and what follows is passed unread. A hello is the
 * same one in whatever records it comes (RFC 8446 s4.4.1).
 */
void relay_pass_tls(struct relay *, struct span hello);
/*
 * What the policy of POP3 or IMAP is for this session now: starttls, needs_tls and in_tls are its
 * own.
 */
struct retrieval_policy relay_retrieval_policy(
    const struct relay *, const struct retrieval_policy *);
/*
 * The server has said what it can, in the clear, STARTTLS (offered) or not. True, once: it had it
 * until lately, and somebody on the way may have taken it out (N-014); with tls.stripped = enforce
 * the gate ends the session ("starttls_stripped").
 */
bool relay_stripped(struct relay *, bool offered);
/* TLS that the client asks for ends here. */
bool relay_intercepts(const struct relay *, enum starttls);
/* The server will not, and the client has heard it: where TLS is required that is the end (N-013).
 */
void relay_upgrade_refused(struct relay *);
/* POP3, IMAP: the server has said yes. Both legs are asked for; the client's hello comes first. */
void relay_upgrade_both(struct relay *);
/* ... of which ops->upgraded tells. True: both are secure, and the dialogue begins anew inside. */
bool relay_begins_anew(struct relay *, enum an_dir, const char *why);
/* In place of a dialogue, as ops->turn_away; who speaks TLS already hears nothing in the clear. */
void relay_turn_away(struct relay *, const char *reason);

/* Gates: this event is going to be handled. */
static inline void
relay_shows(struct relay *r, const struct an_event *ev)
{
	if (r->tap != NULL)
		tapped_event(r->tap, ev);
}

/* News of data connections, parse on. And: their octets. */
void relay_data_news(struct relay *, struct data_pair *, const struct data_news *);
void relay_data_octets(struct relay *, struct data_pair *, struct span);

/*
 * What a client hears that is not served, one reply without CR LF for each reason of turn_away;
 * limits have one, whichever it was.
 */
struct relay_farewells {
	const char *server_unreachable, *no_source_address, *audit, *loop, *limits;
};
const char *relay_farewell(const struct relay_farewells *, const char *reason);

/*
 * EV_OPAQUE, behind an upgrade to TLS: nobody looks inside, but what goes by has to begin like TLS,
 * and with the client. False: it did not, and the session ends (CVE-2011-0411).
 */
bool relay_pass_opaque(struct relay *, const struct an_event *);
/* The record of a handshake that somebody has seen from beside; seen NULL: nothing of it. */
void relay_record_seen(struct relay *, const char *action, const struct tls_seen *);
/* Nothing more is to be seen of such a handshake: what was stands in its record. */
void relay_sight_over(struct relay *);
/* TLS from the first octet on that is not wanted: an alert (access_denied), its record, the end. */
void relay_refuse_tls(struct relay *);

extern const struct relay_ops relay_ftp, relay_imap, relay_pop3, relay_smtp;
/* NULL: this version does not speak it. */
const struct relay_ops *relay_ops_of(enum protocol);

#endif
