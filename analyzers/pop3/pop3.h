/*
 * pop3 - the dialogue of one POP3 session, both directions, streaming.
 * Sources: RFC 1939 (replies s3, phases), 2449 (CAPA, PIPELINING, [response codes]), 2595 (STLS),
 * 5034 (AUTH with initial response, lines up to 12,288 octets).
 *
 * Feed octets of either direction in any chunking; per direction the events are the same for every
 * chunking. Replies answer commands in order, through a queue of slots; whether lines follow a +OK
 * is decided by the command and its arguments, never by what the lines look like.
 *
 * Of an answer of many lines: EV_REPLY (the line with +OK), then EV_LINE each without its stuffed
 * dot, or for a message EV_BODY (content, dots undone; detail.wire has them), and at the dot
 * EV_LINES_END or EV_BODY_END. None is held, whatever its length; only CR LF . CR LF ends one, and
 * what a careless reader would take for that end is AN_SMUGGLING.
 *
 * A reply that is none, or that two readers could take for different things, is an EV_REPLY without
 * octets and with its anomaly; nothing of that direction is looked at any more. A "-ERR" that no
 * command asked for is a server's goodbye (unasked, no anomaly).
 *
 * Memory: one line of either direction, POP3_SLOTS slots; an idle dialogue holds only
 * sizeof(struct pop3).
 */
#ifndef POSTERN_POP3_H
#define POSTERN_POP3_H

#include "core/event.h"
#include "pop3/verbs.h"

#define POP3_SLOTS 64 /* commands that wait for their reply; with that many, AN_WAIT */

/* In octets, with CR LF. Zero: the default. */
struct pop3_limits {
	size_t line;	   /* command line; default 512, at least 255 (RFC 2449 s4) */
	size_t endless;	   /* a line that has not ended by then; default 8192 */
	size_t auth_line;  /* AUTH and the lines that follow it; default 12288 (RFC 5034 s4) */
	size_t reply_line; /* the first line of a reply; default 2048, at least 512. To AUTH, and
			    * the challenges before it, auth_line where that is more */
	size_t list_line;  /* of LIST, UIDL, CAPA; default 2048 */
	size_t body_line;  /* longer ones are an anomaly; default 1000 */
};

/* X(enumerator, reply that says so, ends the session) */
#define POP3_FAULTS(X)                                                                             \
	X(POP3_OK, "", false)                                                                      \
	X(POP3_LINE_TOO_LONG, "-ERR Command line too long", false)                                 \
	X(POP3_LINE_ENDLESS, "-ERR Command line never ends", true)                                 \
	X(POP3_LINE_BARE_LF, "-ERR A line ends in CR LF", true)                                    \
	X(POP3_LINE_BARE_CR, "-ERR CR within a command", true)                                     \
	X(POP3_LINE_NUL, "-ERR NUL within a command", true)                                        \
	X(POP3_LINE_EMPTY, "-ERR Unknown command", false)                                          \
	X(POP3_VERB_UNKNOWN, "-ERR Unknown command", false)                                        \
	X(POP3_VERB_FOREIGN, "-ERR This port speaks POP3. Goodbye", true)                          \
	X(POP3_ARGS_SYNTAX, "-ERR Wrong arguments", false)                                         \
	X(POP3_WRONG_PHASE, "-ERR Not now", false)

enum pop3_fault {
#define X(id, reply, ends) id,
	POP3_FAULTS(X)
#undef X
	    POP3_FAULT_COUNT
};

const char *pop3_fault_reply(enum pop3_fault);
bool pop3_fault_ends(enum pop3_fault);

/* What hangs below an event of this protocol; good until the next feed of either direction. */
struct pop3_detail {
	const struct pop3_verb_row
	    *verb; /* command; reply, lines, body: of the command they answer */

	/* EV_COMMAND */
	enum pop3_fault fault;
	struct span word, args; /* args: trimmed */
	bool initial;		/* AUTH with an initial response */

	/* first argument where it is one (RETR, DELE, LIST, TOP, UIDL); else 0. Of the command, and
	 * of all that answers it */
	uint32_t number;

	/* EV_REPLY: the line without its CR LF is the event's octets */
	bool ok;	  /* +OK */
	bool challenge;	  /* "+ ...": AUTH goes on */
	struct span text; /* behind +OK, -ERR or + */
	struct span code; /* "[AUTH]" without brackets (RFC 2449 s8), or empty */
	bool lines_follow;
	bool unasked;

	/* EV_REPLY, EV_LINE: with its CR LF. EV_BODY: with the stuffed dot before it, if any */
	struct span wire;
	bool dot;	      /* EV_BODY: a stuffed dot came before wire, in an earlier chunk */
	const char *sequence; /* EV_ANOMALY, AN_SMUGGLING: its octets by name */
};

struct pop3;

struct pop3 *pop3_new(const struct pop3_limits *); /* NULL limits: the defaults. NULL: no memory */
void pop3_free(struct pop3 *);			   /* NULL is fine */

/* As smtp_feed(). off: of the first octet that was taken for the event. SASL lines of the client
 * are EV_SECRET. */
enum an_status pop3_feed(
    struct pop3 *, enum an_dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev);

/* The newest command was answered by the caller, and the server never saw it. */
void pop3_answered(struct pop3 *, bool ok);
/* No reply of the server will come any more: the oldest command is answered by the caller. */
bool pop3_answered_oldest(struct pop3 *, bool ok);

/*
 * In POP3_OPAQUE, before anything was fed in it: TLS ends at the caller, who feeds what is inside.
 * Both directions begin anew with a command of the client, for no greeting comes (RFC 2595 s4).
 */
void pop3_secured(struct pop3 *);

/*
 * ---- for whoever only listens ----
 *
 * Nobody stands in between: a command that ends in LF alone, or a line of AUTH, was said all the
 * same, and the server may well take it; its fault says so. To be called before anything is fed.
 */
void pop3_observe(struct pop3 *);
/*
 * Before anything was fed: the session began long ago. What comes ahead of the first command that
 * is known is passed over, and so is all that the server says until then; no command is in the
 * wrong phase. Replies to commands that nobody saw, and that come behind that one, are taken for
 * its: who pipelines is not understood.
 */
void pop3_join(struct pop3 *);
/*
 * n octets of a direction are missing here, n > 0. True: within a message, which goes on (its next
 * octets are taken for those within a line): there is nothing behind it that the server could have
 * said, or it said how long the message is, and that is further on. A command that comes before
 * the dot ends such a message: EV_BODY_END, of the server's direction, with the client's octets.
 * False: nothing that follows can be understood.
 */
bool pop3_gap(struct pop3 *, enum an_dir, uint64_t n);
/* Nothing of this direction is looked at any more. */
bool pop3_deaf(const struct pop3 *, enum an_dir);

/* Commands that wait for a reply or its lines, the greeting included; the oldest one's slot. */
unsigned pop3_waiting(const struct pop3 *);
uint64_t pop3_oldest(const struct pop3 *);
enum pop3_phase pop3_phase(const struct pop3 *);
/* Lines of an answer, or of a message, are coming in. */
bool pop3_in_lines(const struct pop3 *);

#endif
