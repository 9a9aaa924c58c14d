/*
 * opening_state - what a session that is read consists of. For opening.c (records) and
 * opening_messages.c (the handshake) alone.
 */
#ifndef POSTERN_TLS_OPENING_STATE_H
#define POSTERN_TLS_OPENING_STATE_H

#include "core/buf.h"
#include "tls/opening.h"
#include "tls/protection.h"
#include "tls/schedule.h"

#define TLS_VERSION_10 0x0301
#define TLS_VERSION_12 0x0303
#define TLS_VERSION_13 0x0304

#define TLS_HANDSHAKE_MAX  65536 /* octets of a message that is looked into; others are not kept */
#define TLS_MESSAGE_HEADER 4
#define TLS_KEY_BLOCK_MAX  (2 * (TLS_MAC_MAX + TLS_KEY_MAX + TLS_IV_MAX))

/* What the records of a direction are protected with. */
enum tls_level {
	TLS_LEVEL_CLEAR,
	TLS_LEVEL_MASTER, /* up to TLS 1.2, and of TLS 1.3: */
	TLS_LEVEL_EARLY,
	TLS_LEVEL_HANDSHAKE,
	TLS_LEVEL_TRAFFIC,
};

struct tls_flow {
	/* a record in pieces, n octets of it; or where one that came whole is opened */
	uint8_t *room;
	size_t n_room, n;

	enum tls_level level;
	bool keyed; /* protection has the keys of this level */
	struct tls_protection protection;
	uint8_t secret[TLS_SECRET_MAX]; /* TLS 1.3: that of the level */

	uint8_t head[TLS_MESSAGE_HEADER]; /* of the handshake message at hand */
	size_t n_head;
	size_t left; /* octets of it that are still to come */
	bool keeps;  /* it is looked into */
	struct buf message;

	bool may_change; /* up to TLS 1.2: a ChangeCipherSpec is due */
	bool finished;	 /* its Finished, under protection */
	bool ended;
};

/* 0-RTT (RFC 8446 s2.3): what the client sends ahead of the server's word on it. */
enum tls_early {
	TLS_EARLY_NONE,
	TLS_EARLY_WAITS,   /* the server has not said yet */
	TLS_EARLY_TAKEN,   /* it reads it, and so do we */
	TLS_EARLY_REFUSED, /* it passes over it */
};

/* A ticket, or a session ID, as the key log knows it. */
struct tls_session_name {
	bool known;
	uint8_t sha256[TLS_RANDOM];
};

struct tls_opening {
	struct tls_keylog *keylog;
	struct tls_schedule *schedule;
	struct tls_flow flow[2]; /* by enum an_dir */
	bool broken;

	enum { TLS_EXPECTS_CLIENT, TLS_EXPECTS_SERVER, TLS_EXPECTS_NO_HELLO } expects;
	bool retried;  /* HelloRetryRequest */
	bool offers13; /* the client does */
	uint8_t client_random[TLS_RANDOM], server_random[TLS_RANDOM];
	uint16_t version; /* 0: the server has not said yet */
	const struct tls_suite *suite;
	bool etm;

	/* up to TLS 1.2: what a session is resumed by, where it is (tls_keylog_note()) */
	struct tls_session_name offered_ticket, offered_id, ticket, id;
	bool resumed;

	enum tls_early early;
	struct buf held; /* TLS_EARLY_WAITS: whole records of the client */
	size_t held_at;	 /* those ahead of it were given */
	size_t skipped;	 /* octets that were passed over */
};

/* The level of a direction changes; its keys are looked up when the next record comes. */
void tls_flow_level(struct tls_flow *, enum tls_level);
/* TLS 1.3: the keys of f->secret. False: no memory. */
bool tls_flow_key(struct tls_opening *, struct tls_flow *);
/* Octets of the handshake's record protocol, of one record. False: they make no sense. */
bool tls_opening_handshake(struct tls_opening *, enum an_dir, struct span);

#endif
