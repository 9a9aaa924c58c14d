/*
 * observer - one who stands beside the wire: frames in, the records of the gateway out.
 *
 * Frames become packets (net/frame, net/packet), packets the octets of connections
 * (tcp/connections), connections sessions: each through the very gate that would have stood in
 * between, told that it only observes (relay_env.observed). FTP's data connections are tied to
 * their sessions; DNS answers on the way are what the policy has for answers.
 *
 * The files behind it, in the order that an octet takes:
 *   observer.c            frames, the table of connections, what each connection is
 *   observed_protocol.c   what the first octets say
 *   observed_session.c    a session: its relay, TLS that a key log opens, what waits for its turn
 *   observed_data.c       FTP's data connections: expected, seen, handed to the gate
 *   observed_names.c      DNS answers that went by, and what the policy asks
 */
#ifndef POSTERN_OBSERVER_H
#define POSTERN_OBSERVER_H

#include <sys/time.h>

#include "config.h"
#include "net/frame.h"
#include "record.h"
#include "tls/keylog.h"

#define OBSERVER_MEMORY	   (256u << 20) /* octets, unless it is said otherwise */
#define OBSERVER_ANOMALIES 100 /* records of frames that cannot be read; of the rest the number */

struct mail_sink; /* mime/mail.h */
struct observer;

struct observer_env {
	const struct config *config;
	record_sink *sink;
	void *sink_arg;
	struct tls_keylog
	    *keylog; /* NULL: what is under TLS stays so; resumed sessions are noted in it */
	/*
	 * Of a key log that grows: true when it has secrets that it had not before. What one
	 * session lacks waits until its client has said more. NULL: it does not grow.
	 */
	bool (*more_keys)(void *arg);
	void *keys_arg;
	/*
	 * Answers a question of the policy's that nobody asked on the wire; may take its time.
	 * False: no memory. NULL: what is not on the wire is undecided.
	 */
	bool (*resolve)(void *arg, const struct dns_question *, size_t n, struct answers *into);
	void *resolve_arg;
	size_t memory;	/* octets that connections may have, with all that waits in them */
	bool checksums; /* segments with a wrong checksum are not taken */
	struct mail_sink *extract; /* where contents go; NULL: nowhere */
};

/* env is copied; what it points at must outlive the observer. NULL: no memory. */
struct observer *observer_new(const struct observer_env *);

/* Where a frame comes from, for what is said of it. */
struct observed_frame {
	const char *source; /* name of the file, or the device */
	uint64_t number;    /* of the frame in it, from 1 */
	/*
	 * Time is what it says. One that goes back is taken for standing still, and one that is far
	 * ahead of all others is believed when the next frame says so, too.
	 */
	struct timeval when;
	enum frame_link link;
	struct span octets; /* what of it the capture has: IP says how long it was */
};

void observer_frame(struct observer *, const struct observed_frame *);
/*
 * Something is wrong with a source at this frame: an anomaly. For what happens once to a source:
 * it is always written.
 */
void observer_damage(
    struct observer *, const char *source, uint64_t number, const char *event, const char *detail);
/*
 * Nothing more comes: every session ends, with its records; then what was only counted: frames
 * beyond OBSERVER_ANOMALIES, datagrams that never became whole, segments with a wrong checksum.
 */
void observer_end(struct observer *);
void observer_free(struct observer *); /* after observer_end(). NULL is fine */

struct observer_stats {
	uint64_t frames, octets; /* that came */
	uint64_t other;		 /* frames that are no IP, IP that is no TCP */
	uint64_t malformed;	 /* that could not be read */
	uint64_t records, connections, sessions, evicted, memory_peak;
};
void observer_stats(const struct observer *, struct observer_stats *);

#endif
