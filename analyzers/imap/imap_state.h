/*
 * imap_state - what a dialogue remembers; for imap.c (both directions together), imap_client.c and
 * imap_server.c only.
 */
#ifndef POSTERN_IMAP_STATE_H
#define POSTERN_IMAP_STATE_H

#include "core/line.h"
#include "imap/imap.h"

/* What the client's next octets are. */
enum imap_reading {
	IMAP_READS_COMMAND,
	IMAP_READS_MORE,    /* text behind a literal */
	IMAP_READS_LITERAL, /* client.left octets, then its end */
	IMAP_READS_SASL,
	IMAP_READS_DONE,
	IMAP_READS_AFTER_PLUS,	/* nobody knows: a literal, or a new command */
	IMAP_READS_AFTER_REPLY, /* nobody knows, until a command that changes everything has it */
};

struct imap_client {
	struct line line;
	bool bare_lf; /* observed: the line at hand has no CR */
	enum imap_reading reading;
	uint64_t number;     /* of the newest command */
	enum imap_verb verb; /* its */
	struct imap_lex lex;
	uint8_t verb_words; /* of the verb: 2 with UID */
	bool goes_on;	    /* the line at hand is not its first */
	bool list;	    /* and began within brackets */
	uint64_t left;
	bool message;  /* the literal is one */
	bool messages; /* of this command: one was there already */
	bool discard;  /* the caller has answered already: what comes is thrown away */
};

/* What the server's next octets are. */
enum imap_telling {
	IMAP_TELLS_HEAD,   /* the first words of a line */
	IMAP_TELLS_STATUS, /* free text up to CR LF */
	IMAP_TELLS_DATA,
	IMAP_TELLS_OPEN,   /* the bracket behind FETCH */
	IMAP_TELLS_BEFORE, /* between two items */
	IMAP_TELLS_NAME,
	IMAP_TELLS_VALUE, /* its first octet */
	IMAP_TELLS_ATOM,
	IMAP_TELLS_LIST,
	IMAP_TELLS_STRING,
	IMAP_TELLS_ANNOUNCEMENT,
	IMAP_TELLS_CLOSE,  /* CR LF behind the last bracket */
	IMAP_TELLS_QUOTED, /* content */
};

/* More digits than 64 bits hold, and more letters than any name that matters has. */
#define IMAP_WORD_MAX 24

struct imap_server {
	struct buf held; /* a piece that came in several chunks; empty most of the time */
	bool gave_held;	 /* the last event lies there */
	enum imap_telling telling;
	struct imap_lex lex;
	bool cr;

	/* the first words of a line */
	uint8_t word[IMAP_WORD_MAX];
	uint8_t word_n, words;
	bool untagged, numbered, status, capability, uid;
	uint64_t number;

	bool inside; /* a piece of the response was given out */

	/* the item at hand: where it lies in the piece */
	bool blank, bracket;
	bool streams; /* it is content */
	size_t name_at, name_n, value_at;
	enum imap_content content;
	bool more; /* of the value: its beginning was given out */

	/* a literal: its octets, then what follows */
	bool literal;
	uint64_t left;
	bool body, body_end;
	struct imap_structure *structure;
	bool structure_given; /* out, or of no use: it goes with the next feed */
};

struct imap {
	struct imap_limits limits;
	enum imap_phase phase;
	enum imap_plus plus;
	uint32_t offers;  /* offers.h: what the server last named */
	uint64_t off[2];  /* octets taken, by direction */
	bool observed;	  /* nobody stands in between */
	bool joined;	  /* in the middle: nobody knows the phase */
	bool passing;	  /* and no command was seen */
	bool within_line; /* passing: what the server said last is no whole line */
	bool deaf[2]; /* the stream of that direction made no sense; its rest is not looked at */
	struct imap_pending pending;
	uint64_t next; /* number of the next command */
	struct imap_client client;
	struct imap_server server;
	struct imap_detail detail;
};

void imap_event(struct imap *, struct an_event *, enum an_dir, enum an_kind, struct span octets);
/* "+" has come, from wherever. False: nobody waits for it. */
bool imap_plus_came(struct imap *);
/* A command has its tagged reply. */
void imap_apply(struct imap *, uint64_t number, enum imap_verb, enum imap_status);

enum an_status imap_feed_client(
    struct imap *, const uint8_t *p, size_t n, size_t *used, struct an_event *);
enum an_status imap_feed_server(
    struct imap *, const uint8_t *p, size_t n, size_t *used, struct an_event *);
/* What a server holds of its last event, or of one that has not come yet. */
void imap_server_free(struct imap_server *);

#endif
