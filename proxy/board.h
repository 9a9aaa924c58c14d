/*
 * board - what a worker does, on a page of memory that others may look at: nobody has to ask it,
 * and nothing ever waits.
 *
 * One page per worker process: the supervisor makes it, the worker alone writes it, the process
 * behind "postern status" reads it (status_totals.h), without locks. A worker that was taken over
 * may write anything there: a reader believes no number and no text on it.
 *
 * All updates cost a few instructions, allocate nothing and never fail. Every function takes a
 * NULL board, and a seat that is all zero: nothing is counted then (tests, fuzzers).
 */
#ifndef POSTERN_BOARD_H
#define POSTERN_BOARD_H

#include "address.h"
#include "config.h"

#define BOARD_MAGIC	   UINT64_C(0x6472616f42747350)
#define BOARD_VERSION	   2
#define BOARD_PROTOCOLS	   (PROTOCOL_IMAP + 1)
#define BOARD_TALLIES	   256 /* different verdicts and reasons; further ones are "other" */
#define BOARD_RULE_MAX	   24  /* octets of a name with its NUL; a longer one is cut */
#define BOARD_REASON_MAX   40
#define BOARD_DNS_STATUSES (DNS_TIMEOUT + 1)
#define BOARD_DNS_BUCKETS  13 /* the last one: any time */

/* Upper bounds in milliseconds of all buckets but the last. */
extern const unsigned board_dns_bounds[BOARD_DNS_BUCKETS - 1];

enum board_leg { /* octets */
	BOARD_FROM_CLIENT,
	BOARD_TO_CLIENT,
	BOARD_TO_SERVER,
	BOARD_FROM_SERVER,
	BOARD_LEGS
};

enum board_message {
	BOARD_ACCEPTED,	  /* by the server, and the client was told so */
	BOARD_NOT_TAKEN,  /* refused, by the gateway or by the server */
	BOARD_UNFINISHED, /* one of the two left in the middle */
	BOARD_MESSAGES
};

/* What is counted by names: a rule (verdicts only) and a reason. */
enum board_tally_kind {
	BOARD_PASSED,
	BOARD_WOULD_REFUSE, /* a check that only reports */
	BOARD_REFUSED,
	BOARD_TURNED_AWAY, /* sessions that were not served */
	BOARD_ENDED,	   /* sessions, by the reason that their flow record has */
	BOARD_TALLY_KINDS
};

/* Counters that have no place of their own. */
enum board_counter {
	BOARD_DNS_ASKED,
	BOARD_DNS_REFUSED, /* not asked: too many were under way */
	BOARD_DNS_MS,	   /* all waiting for answers */
	BOARD_LOG_WRITTEN, /* lines */
	BOARD_LOG_DROPPED,
	BOARD_CAPTURE_WRITTEN, /* records of captures */
	BOARD_CAPTURE_DROPPED,
	BOARD_CLIENTS_BLOCKED, /* clients that were refused too often */
	BOARD_STOCK_WAITS4,    /* sessions that waited for a transparent socket */
	BOARD_STOCK_WAITS6,
	BOARD_CONNECTS, /* servers that were reached */
	BOARD_COUNTERS
};

/* What goes up and down. */
enum board_gauge {
	BOARD_PENDING_CONNECTS,
	BOARD_STOCK4, /* transparent sockets that wait for a session */
	BOARD_STOCK6,
	BOARD_DNS_OUTSTANDING,
	BOARD_DNS_DEAD, /* 1: the resolver is taken for dead */
	BOARD_GAUGES
};

enum board_state { BOARD_STARTING, BOARD_SERVING, BOARD_DRAINING, BOARD_STATES };

enum board_phase {
	BOARD_CONNECTING, /* to the server */
	BOARD_DIALOGUE,
	BOARD_DNS_WAIT, /* a verdict waits for answers */
	BOARD_MESSAGE,	/* octets of a message are coming in */
	BOARD_SLOWED,	/* a client that keeps making errors */
	BOARD_OPAQUE,	/* behind STARTTLS, passed on unseen */
	BOARD_CLOSING,
	BOARD_PHASES
};

/* ---- the page ---- */

struct board_protocol {
	uint64_t opened, ended, turned_away; /* turned away: by then most were opened too */
	uint64_t octets[BOARD_LEGS];
	uint64_t messages[BOARD_MESSAGES];
};

/* Nothing but 64-bit counters, so that totals are loops; all of them only grow. */
struct board_counts {
	struct board_protocol protocol[BOARD_PROTOCOLS];
	uint64_t dns_status[BOARD_DNS_STATUSES];
	uint64_t dns_bucket[BOARD_DNS_BUCKETS];
	uint64_t counter[BOARD_COUNTERS];
	uint64_t other[BOARD_TALLY_KINDS]; /* of kinds of tallies: the table was full */
};

#define BOARD_COUNTS (sizeof(struct board_counts) / sizeof(uint64_t))

struct board_tally {
	uint64_t count;
	uint32_t code; /* of the reply; 0: none */
	uint8_t kind, protocol;
	uint8_t spare[2];
	char rule[BOARD_RULE_MAX], reason[BOARD_REASON_MAX];
};

/* One session. Its seq is even while it is valid, and another one for every session. */
struct board_row {
	uint64_t seq;
	uint64_t flow_id;
	uint64_t started; /* milliseconds since 1970 */
	uint64_t octets[BOARD_LEGS];
	uint64_t phase, protocol;
	struct board_endpoint {
		uint32_t family; /* enum ip_family */
		uint32_t port;
		uint8_t octets[16];
	} client, server;
	uint64_t spare;
};

struct board_page {
	uint64_t magic, version, size;
	uint64_t slot, generation, pid, state;
	uint64_t started; /* milliseconds since 1970 */
	uint64_t gauge[BOARD_GAUGES];
	struct board_counts counts;
	uint64_t n_tallies;
	struct board_tally tallies[BOARD_TALLIES];
	uint64_t rows_used; /* no row from here on was ever written */
	struct board_row rows[];
};

/* Octets of the page of a worker with room for so many sessions. */
size_t board_size(unsigned sessions_max);

/* ---- in the worker ---- */

struct board;

/* fd: of a page made by board_size(), mapped here and closed in any case. NULL: errno. */
struct board *board_open(int fd, unsigned slot, unsigned generation);
void board_close(struct board *); /* NULL is fine */

void board_state(struct board *, enum board_state);
void board_add(struct board *, enum board_counter, uint64_t n);
/* Of a counter that somebody else keeps: what it has come to. */
void board_count(struct board *, enum board_counter, uint64_t so_far);
void board_set(struct board *, enum board_gauge, uint64_t value);
/* An asker got this answer, ms after the question went out. */
void board_dns(struct board *, enum dns_status, uint64_t ms);
/* A client was not served, and no session was made for it. */
void board_refused(struct board *, enum protocol, const char *reason);

/* The place of a session; all zero: none. */
struct board_seat {
	struct board *board;
	uint32_t row;
	enum protocol protocol;
	enum board_phase phase;
	uint64_t octets[BOARD_LEGS]; /* that are counted */
	bool refused;		     /* the session was not served, or refused something */
};

/*
 * All reasons and rules are constants of the program: [a-z0-9_]. Every session that was opened
 * has to be ended. octets are those of the whole session so far.
 */
void board_session_opened(
    struct board *, enum protocol, const struct record_session *, struct board_seat *);
void board_session_octets(struct board_seat *, const uint64_t octets[BOARD_LEGS]);
void board_session_phase(struct board_seat *, enum board_phase);
void board_session_ended(struct board_seat *, const char *reason);
/* The gateway does not serve this session. */
void board_session_refused(struct board_seat *, const char *reason);
void board_verdict(struct board_seat *, const struct verdict *);
void board_message(const struct board_seat *, enum board_message);

#endif
