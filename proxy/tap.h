/*
 * tap - what passes through the gateway, written in the clear to capture files ("capture" in the
 * configuration): records between a worker and the process that writes the files.
 *
 *	worker    struct tapped (tap_session.h) looks at the channels of a session: octets as the
 *gate has parsed them, octets as they went out; secrets are masked here |	  tap_pipe.h:
 *datagrams, a bounded queue, never blocks process   tap_process.h: frames (tap_frame.h), files
 *(tap_files.h), sessions that wait for a refusal (tap_held.h)
 *
 * A record has all that its frames need: whoever reads one needs to remember nothing of those
 * before it. So records that are lost are a hole in the sequence numbers of a capture and nothing
 * else, and a process that died is replaced in the middle of sessions.
 *
 * One datagram is one or more whole records, one behind the other. Both ends are the same program:
 * the host's order of octets, no versions.
 */
#ifndef POSTERN_TAP_H
#define POSTERN_TAP_H

#include "community_id.h"
#include "config.h"
#include "core/event.h"

#define TAP_RULES_MAX	 64	     /* capture sections */
#define TAP_PIECE_MAX	 16384u	     /* octets of a stream in one record, and in one segment */
#define TAP_DATAGRAM_MAX (56u << 10) /* at least a record */
#define TAP_RING_MAX	 (8u << 20)  /* octets of datagrams that wait in a worker */
#define TAP_PIECES_MAX	 (1u << 30)  /* octets that one record may leave out */

enum tap_kind {
	TAP_OPEN,   /* a connection begins: three frames of a handshake */
	TAP_OCTETS, /* n octets of direction dir; n < length: the rest is left out */
	TAP_CLOSE,  /* it ends: end */
	TAP_OVER,   /* the session is over; no frame */
	TAP_KINDS
};

enum tap_end { TAP_FIN, TAP_RESET, TAP_ENDS };

struct tap_record {
	uint32_t size; /* of all of it, octets included; a multiple of 8 */
	uint8_t kind;
	uint8_t rule;	  /* which capture section */
	uint8_t protocol; /* enum protocol */
	uint8_t dir;	  /* enum an_dir: of octets, SYN, FIN or RST */
	uint8_t end;
	uint8_t refused; /* the session has been, by now */
	uint8_t secure;	 /* on the wire it is under TLS */
	uint8_t leg;	 /* 0: to the client, 1: to the server */
	uint32_t part;	 /* which connection of the session */
	uint64_t flow;	 /* flow_id */
	uint64_t time;	 /* microseconds since 1970 */
	uint64_t at[2];	 /* by direction: octets of the stream ahead of this record */
	uint32_t length; /* octets of the stream that it is about */
	uint32_t n;	 /* octets that follow; length, or 0 */
	struct endpoint client, server; /* of one family */
	uint16_t shown; /* port of the server in frames: where the protocol is looked for */
};

#define TAP_RECORD_MAX (sizeof(struct tap_record) + TAP_PIECE_MAX + 8)

/* Octets of a record with n octets behind it. */
size_t tap_record_size(size_t n);
/* The octets behind it. */
struct span tap_record_octets(const struct tap_record *);
/*
 * Takes the next record off a datagram, checked in all its fields; rules: sections that there are.
 * NULL: there is none, or (*bad) it is none. The datagram is aligned to 8.
 */
const struct tap_record *tap_record_take(struct span *datagram, unsigned rules, bool *bad);

/* The port by which this protocol is known in the clear, unless the true one is one of them. */
uint16_t tap_port_shown(enum protocol, uint16_t port);

/* Of the supervisor and the process: what a section says of files. */
struct tap_rule {
	char name[CONFIG_TITLE_MAX + 1];
	uint8_t refused_only;
	uint32_t file_seconds;	    /* 0: any */
	uint64_t file_size, budget; /* octets */
};

#endif
