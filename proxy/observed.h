/*
 * observed - what the files of the observer know of each other; nobody else includes this.
 * observer.h says which file does what.
 */
#ifndef POSTERN_OBSERVED_H
#define POSTERN_OBSERVED_H

#include "observed_names.h"
#include "observer.h"
#include "relay.h"
#include "tcp/connections.h"
#include "tls/opening.h"

#define OBSERVED_WAITING_MAX  (1u << 20) /* octets of a direction that wait for the other one's */
#define EXPECTED_BUCKETS      1024	 /* a power of two */
/* What a session counts for in observer_env.memory; and while a message or a file is looked at. */
#define OBSERVED_SESSION_SIZE (6u << 10)
#define OBSERVED_MESSAGE_SIZE (96u << 10)

struct observed_session;

/* One connection; hangs at connection.of. */
struct observed {
	struct observer *observer;
	struct connection *tcp;
	enum {
		OBSERVED_UNKNOWN, /* what it has said so far is held, and tells nothing */
		OBSERVED_SESSION,
		OBSERVED_DATA,
		OBSERVED_NOTHING, /* of none of ours, or not followed any more */
	} is;
	struct buf held[2];
	bool ended[2];	 /* OBSERVED_UNKNOWN: by direction */
	bool missing[2]; /* its first octets are */
	bool evicted;
	struct observed_session *session;
	struct data_pair *pair;
};

struct observer {
	struct observer_env env;
	struct relay_env relay_env;
	struct data_ops data_ops;
	struct packets *packets;
	struct connections *connections;
	struct observed_names *names;
	struct data_pair *expected[EXPECTED_BUCKETS]; /* by the port that is connected to */
	struct timeval now;
	struct timeval leap; /* a time far ahead of it that only one frame has told; 0: none has */
	bool ending;
	struct observer_stats stats;
	uint64_t anomalies;
};

struct endpoint observed_endpoint(const struct connection_end *);

/* A key log that grows is looked at again; true: there is more in it. */
bool observed_find_keys(const struct observer *);

/* ---- observed_session.c ---- */

/* Its relay, with what is held; the connection is one of this protocol. NULL: no memory. */
struct observed_session *observed_session_new(struct observed *, enum protocol, bool implicit_tls);
/*
 * Its connection is over, and why: the last records, which wait for data that is still flowing.
 * NULL is fine; it is not to be used any more, but for what its data connections bring.
 */
void observed_session_over(struct observed_session *, const char *reason);
/* After anything of its data connections: one that waited for no more than this is gone then. */
void observed_session_leave(struct observed_session *);
/* Octets of memory that it takes, about. */
size_t observed_session_size(struct observed_session *);
void observed_session_octets(struct observed_session *, enum an_dir, struct span);
void observed_session_gap(struct observed_session *, enum an_dir, uint64_t n);
void observed_session_peer(struct observed_session *, enum an_dir, enum relay_peer);
void observed_session_anomaly(
    struct observed_session *, enum an_anomaly, enum an_dir, uint64_t off);
/* After anything has happened to its data connections. */
void observed_session_settle(struct observed_session *);

/* Those that relay_env wants; arg is the observer. */
void *observed_ask(void *arg, struct relay *, const struct dns_question *, size_t n,
    unsigned budget_ms, struct answers *into);
void observed_unask(void *arg, void *handle);

/* Which protocol a port is of by configuration; false: of none. */
bool observed_port(
    const struct config *, const struct endpoint *server, enum protocol *, bool *implicit_tls);

/* ---- observed_data.c ---- */

extern const struct data_ops observed_data_ops;
/* The pair that waits for a connection between these two, which has it from here on; or NULL. */
struct data_pair *observed_data_claim(struct observer *, struct observed *);
/* Whose it is. */
struct observed_session *observed_data_session(struct data_pair *);
void observed_data_octets(struct data_pair *, enum an_dir, struct span);
/* Octets of it are not to be had. */
void observed_data_gap(struct data_pair *);
void observed_data_end(struct data_pair *, enum an_dir);
/* The connection is over, for a reason that counts where it has not ended: a constant. */
void observed_data_over(struct data_pair *, const char *why);
/* It has a connection, which was not cut off. */
bool observed_data_lives(const struct data_pair *);
/* Tells the gate what it was not told yet; true: there was something. */
bool observed_data_tell(struct data_pair *);

/* The pairs of a session, by relay: kept in a list that begins there. */
struct data_pair *observed_data_next(struct data_pair *);
struct data_pair **observed_data_list(struct observed_session *);

#endif
