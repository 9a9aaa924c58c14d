/*
 * imap - the dialogue of one IMAP session, both directions, streaming.
 * Sources: RFC 9051 and 3501 (grammar s9), 7888 (LITERAL+, LITERAL-), 3516 (BINARY), 4466, 4469
 * (CATENATE), 3502 (MULTIAPPEND), 8508 (REPLACE), 2177 (IDLE), 4959 (SASL-IR), 9586 (UIDONLY).
 *
 * Feed octets of either direction in any chunking; per direction the events are the same for every
 * chunking, but for where runs of EV_BODY, EV_LITERAL and EV_SECRET are cut. **Every octet taken
 * belongs to exactly one event**, in order: whoever passes on ev->octets of all events passes on
 * the stream (but what follows a fault that ends the session: it is taken and not looked at).
 * Nothing is kept but one line of bounded length; literals stream, whatever size they announce,
 * and nothing is ever allocated by an announced size.
 *
 * A command (client):
 *	EV_COMMAND	its first line, with CR LF; it may end in the announcement of a literal
 *	EV_LITERAL	octets of a literal that is no message (EV_SECRET: of a secret command)
 *	EV_BODY		octets of a message: APPEND's, MULTIAPPEND's, REPLACE's, CATENATE's TEXT
 *	EV_BODY_END	the message is complete (no octets); what follows is text of the command
 *	EV_COMMAND_MORE	text behind a literal, with CR LF; detail.last: the command is complete.
 *With a fault: the server has the beginning already, only the end of the session helps EV_SECRET
 *a SASL response line; IDLE's DONE is EV_COMMAND_MORE with last
 *
 * Where a synchronising literal is refused (a tagged NO or BAD instead of "+"), the client's next
 * octets are a new command: until the server (or the caller, imap_answered()) has said which,
 * AN_WAIT. A command with a tag that is none (IMAP_BAD_TAG) waits for no reply.
 *
 * A response (server):
 *	EV_CONTINUE	"+ ..." whole line
 *	EV_REPLY	a tagged reply, whole line; slot: of its command (tags are matched in order)
 *	EV_RESPONSE	an untagged one, whole line where it is short and no FETCH; detail.kind says
 *			what; the greeting is one, of slot 0; lines of status and lists of
 *			capabilities are always whole
 *	EV_FETCH	"* 12 FETCH (": a message begins
 *	EV_FETCH_ITEM	one item's name and value, and the blanks before them. Content (BODY[...],
 *			RFC822..., BINARY[...]) that is a literal or a quoted string: name and
 *			announcement or first quote, then
 *	EV_BODY ... EV_BODY_END   its octets, without the backslashes of a quoted string (those,
 *			and its last quote, are in an EV_TEXT). NIL: detail.nil, no EV_BODY
 *	EV_LITERAL	of a value that is no content
 *	EV_FETCH_END	")" CR LF
 *	EV_TEXT		pieces of whatever else: long lists, search results, literals in LIST, rest
 *			of an item's value, ...; detail.last: of the response or value
 *			detail.kind: of the first piece of a response
 *	EV_ANOMALY	no sense can be made of the stream, or two clients could read it in two
 *			ways (no octets): the session has to end, nothing more comes this way
 */
#ifndef POSTERN_IMAP_H
#define POSTERN_IMAP_H

#include "core/event.h"
#include "imap/lex.h"
#include "imap/pending.h"
#include "imap/structure.h"
#include "imap/verbs.h"

/* In octets, with CR LF. Zero: the default. */
struct imap_limits {
	size_t line; /* one line of a command; default 65536, at least 8192 (RFC 7162 s4) */
	uint64_t login_literal; /* announced before login; default 8192: NO [TOOBIG], closed */
	uint64_t literal;	/* of a command, later; default 1 MiB: arguments, no messages */
	uint64_t message;	/* of APPEND; 0: any */
	size_t response;   /* untagged data that is given whole, and longest piece; default 8192 */
	size_t capability; /* a list of capabilities; default 8192. Lines of status: as "line" */
};

/* X(enumerator, what the tagged BAD (or NO) says, ends the session) */
#define IMAP_FAULTS(X)                                                                             \
	X(IMAP_OK, "", false)                                                                      \
	X(IMAP_LINE_TOO_LONG, "BAD Command line too long", true)                                   \
	X(IMAP_LINE_BARE_LF, "BAD A line ends in CR LF", true)                                     \
	X(IMAP_LINE_BARE_CR, "BAD CR within a command", true)                                      \
	X(IMAP_LINE_NUL, "BAD NUL within a command", true)                                         \
	X(IMAP_BAD_TAG, "BAD Invalid tag", false)                                                  \
	X(IMAP_VERB_UNKNOWN, "BAD Unknown command", false)                                         \
	X(IMAP_VERB_FOREIGN, "BAD This port speaks IMAP. Goodbye", true)                           \
	X(IMAP_WRONG_PHASE, "BAD Not now", false)                                                  \
	X(IMAP_SYNTAX, "BAD Syntax error", false)                                                  \
	X(IMAP_TOO_DEEP, "BAD Too many brackets", true)                                            \
	X(IMAP_BAD_LITERAL, "BAD Invalid literal", true)                                           \
	X(IMAP_LITERAL_TOO_BIG, "NO [TOOBIG] Literal too big", true)                               \
	X(IMAP_MESSAGE_TOO_BIG, "NO [TOOBIG] Message too big", false)                              \
	X(IMAP_NOT_DONE, "BAD Expected DONE", true)                                                \
	X(IMAP_LITERAL_UNSAFE, "BAD Not with a literal that is not waited for", false)             \
	X(IMAP_LITERAL_NOT_OFFERED, "BAD The server does not offer such literals", true)

enum imap_fault {
#define X(id, reply, ends) id,
	IMAP_FAULTS(X)
#undef X
	    IMAP_FAULT_COUNT
};

const char *imap_fault_reply(enum imap_fault);
bool imap_fault_ends(enum imap_fault);

enum imap_status {
	IMAP_ST_NONE,
	IMAP_ST_OK,
	IMAP_ST_NO,
	IMAP_ST_BAD,
	IMAP_ST_BYE,
	IMAP_ST_PREAUTH
};

enum imap_kind {
	IMAP_KIND_STATUS,     /* * OK, NO, BAD, BYE, PREAUTH; the greeting */
	IMAP_KIND_CAPABILITY, /* * CAPABILITY ... */
	IMAP_KIND_EXISTS,
	IMAP_KIND_RECENT,
	IMAP_KIND_EXPUNGE,
	IMAP_KIND_VANISHED,
	IMAP_KIND_FLAGS,
	IMAP_KIND_ENABLED,
	IMAP_KIND_ID,
	IMAP_KIND_LIST, /* LIST, LSUB, STATUS, NAMESPACE, SEARCH, SORT, ...: passed */
	IMAP_KIND_OTHER,
};

/* What of a message an item carries. */
enum imap_content {
	IMAP_NO_CONTENT,
	IMAP_WHOLE,	  /* BODY[], RFC822, BINARY[] */
	IMAP_HEADER,	  /* BODY[HEADER], RFC822.HEADER, BODY[1.HEADER], HEADER.FIELDS */
	IMAP_TEXT,	  /* BODY[TEXT], RFC822.TEXT, BODY[1.TEXT] */
	IMAP_MIME_HEADER, /* BODY[1.2.MIME] */
	IMAP_PART,	  /* BODY[1.2] as it stands in the message */
	IMAP_DECODED,	  /* BINARY[1.2]: its transfer encoding undone by the server */
};

/* What hangs below an event of this protocol; good until the next feed of either direction. */
struct imap_detail {
	const struct imap_verb_row *verb; /* of the command, or that is answered */

	/* EV_COMMAND, EV_COMMAND_MORE */
	enum imap_fault fault;
	struct span tag;  /* empty: IMAP_BAD_TAG */
	struct span word; /* the verb as it was written, without UID */
	bool uid;	  /* UID FETCH, ...; EV_FETCH: number is a UID (UIDFETCH) */
	struct span args; /* behind the verb, without the announcement and CR LF */
	struct imap_literal literal;
	bool message; /* the literal is a message: EV_BODY follows */
	bool last;    /* no literal follows: the command (response, value) is complete */

	/* EV_REPLY, EV_RESPONSE, EV_CONTINUE */
	enum imap_status status;
	struct span code; /* "CAPABILITY IMAP4rev1", without brackets; or empty */
	struct span text;
	enum imap_kind kind;
	struct span capabilities; /* the list, in whichever place; or empty */
	bool own, unasked;

	/* EV_FETCH, its items, EXISTS, EXPUNGE */
	uint64_t number;  /* sequence number */
	struct span item; /* "UID", "BODY[1.2]<0>", as the server wrote it */
	enum imap_content content;
	struct span section; /* "1.2", "1.2.MIME", or empty */
	bool sliced;
	uint64_t origin;   /* <origin> of a slice */
	struct span value; /* whole and no content; quoted strings without quotes, else empty */
	bool nil;
	const struct imap_structure *structure; /* with the last of a BODYSTRUCTURE; or NULL */
};

struct imap;

struct imap *imap_new(const struct imap_limits *); /* NULL limits: the defaults. NULL: no memory */
void imap_free(struct imap *);			   /* NULL is fine */

enum an_status imap_feed(
    struct imap *, enum an_dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev);

/* Which literals a client may send without waiting: what the server last offered. */
enum imap_plus { IMAP_PLUS_NONE, IMAP_PLUS_MINUS /* up to 4096 octets */, IMAP_PLUS_ANY };
void imap_offer(struct imap *, enum imap_plus);

/*
 * The newest command was answered by the caller with a tagged reply, and the server never saw it
 * (or not all of it): a synchronising literal will not come, one that was announced with "+" and
 * the rest of its command still does, and is EV_LITERAL to be thrown away.
 */
void imap_answered(struct imap *, enum imap_status);
/* The caller said "+ ..." itself: the literal comes. */
void imap_continued(struct imap *);
/*
 * Part of a response or literal of the server has been given out and its end has not: no octets of
 * the caller's own may go to the client now.
 */
bool imap_in_response(const struct imap *);
/* No reply of the server will come any more: the oldest command is answered by the caller. */
bool imap_answered_oldest(struct imap *, enum imap_status);

/*
 * In IMAP_OPAQUE behind STARTTLS, before anything was fed in it: TLS ends at the caller, who feeds
 * what is inside. Both directions begin anew with a command of the client, for no greeting comes,
 * and what the server has offered counts for nothing (RFC 9051 s6.2.1).
 */
void imap_secured(struct imap *);

/*
 * ---- for whoever only listens ----
 *
 * Nobody stands in between: literals that nobody would have let pass came all the same, and so did
 * what stands in the place of DONE, and lines that end in LF alone, which the server may well take.
 * The fault says so. To be called before anything is fed.
 */
void imap_observe(struct imap *);
/*
 * ... and the session began long ago: somebody is logged in, everything is offered, a mailbox may
 * be selected. What comes ahead of the first command that is known, under a tag with a digit in
 * it, is passed over, and so is all that the server says until then. Replies to tags that nobody
 * saw are unasked.
 */
void imap_join(struct imap *);
/*
 * n octets of a direction are missing here, n > 0. True: all of them are of a literal: of a message
 * that is stored, or of any that the server sends. False: nothing that follows can be understood.
 */
bool imap_gap(struct imap *, enum an_dir, uint64_t n);
/* What is still to come of this command, if it is the newest, is EV_LITERAL. True: something is. */
bool imap_discard(struct imap *, uint64_t slot);
/* Nothing of this direction is looked at any more. */
bool imap_deaf(const struct imap *, enum an_dir);
/* The octets of content, or of a message, are coming in. */
bool imap_in_body(const struct imap *, enum an_dir);

/* Commands that wait for their tagged reply, the greeting included. */
unsigned imap_waiting(const struct imap *);
/* Tag and verb of a slot that waits. */
struct span imap_tag(const struct imap *, uint64_t slot);
const struct imap_verb_row *imap_slot_verb(const struct imap *, uint64_t slot);
enum imap_phase imap_phase(const struct imap *);
/*
 * The newest command has begun and goes on with what the client sends: a literal, the text behind
 * it, a SASL response.
 */
bool imap_client_owes(const struct imap *);
/* An IDLE is under way. */
bool imap_idles(const struct imap *);

#endif
