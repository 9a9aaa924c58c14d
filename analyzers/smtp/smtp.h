/*
 * smtp - the dialogue of one SMTP session, both directions, streaming.
 * Sources: RFC 5321 (syntax 4.1, replies 4.2, end mark 4.5.2), 2920 (pipelining), 3030 (BDAT),
 * 3207 (STARTTLS), 4954 (AUTH).
 *
 * Feed octets of either direction in any chunking; per direction the events are the same for
 * every chunking. Replies are matched to commands through a queue of slots: a reply answers the
 * oldest command that waits for one, pipelined or not.
 *
 * Two kinds of callers. One that only watches feeds both directions and nothing more. One that
 * stands in between also says what it did itself: smtp_answered() when it answered a command
 * instead of the server, smtp_sent() when it gave the server a command of its own.
 *
 * Memory: one command line (limits.line), one reply (limits.reply), SMTP_SLOTS slots, from
 * the moment on that more than a few are in use; an idle dialogue holds only sizeof(struct smtp).
 */
#ifndef POSTERN_SMTP_H
#define POSTERN_SMTP_H

#include "core/event.h"
#include "smtp/params.h"
#include "smtp/path.h"
#include "smtp/verbs.h"

#define SMTP_SLOTS 64 /* commands that wait for their reply; with that many, AN_WAIT */

/* In octets, with CR LF. Zero: the default. */
struct smtp_limits {
	size_t line;	    /* command line; default 4096, at least 512 (RFC 5321 s4.5.3.1.4) */
	size_t auth_line;   /* AUTH and the lines that follow it; default 12288 (RFC 4954 s4) */
	size_t endless;	    /* a line that has not ended by then; default 65536 */
	size_t reply_line;  /* default 2048, at least 512 (RFC 5321 s4.5.3.1.5) */
	size_t reply_lines; /* default 256 */
	size_t reply;	    /* a whole reply; default 65536 */
	size_t body_line;   /* longer ones are an anomaly; default 1000 (RFC 5321 s4.5.3.1.6) */
	bool lenient_paths; /* MAIL FROM:a@b without brackets is taken */
	/*
	 * Of a caller that only watches: whether a command with a fault is one is for the server's
	 * reply to say, and the client is heard on, whatever the fault, but for SMTP_LINE_ENDLESS
	 * and TLS. Replies may have lines that end in a bare LF.
	 */
	bool watching;
};

/* X(enumerator, reply that says so, ends the session) */
#define SMTP_FAULTS(X)                                                                             \
	X(SMTP_OK, "", false)                                                                      \
	X(SMTP_LINE_TOO_LONG, "500 5.5.2 Error: line too long", false)                             \
	X(SMTP_LINE_ENDLESS, "421 4.7.0 Error: line never ends", true)                             \
	X(SMTP_LINE_BARE_LF, "550 5.5.2 Error: bare <LF> received", true)                          \
	X(SMTP_LINE_BARE_CR, "550 5.5.2 Error: bare <CR> received", true)                          \
	X(SMTP_LINE_CONTROL, "500 5.5.2 Error: bad syntax", false)                                 \
	X(SMTP_LINE_UTF8, "500 5.5.2 Error: bad UTF-8 syntax", false)                              \
	X(SMTP_LINE_EMPTY, "500 5.5.2 Error: bad syntax", false)                                   \
	X(SMTP_VERB_UNKNOWN, "502 5.5.1 Error: command not recognized", false)                     \
	X(SMTP_VERB_FOREIGN, "221 2.7.0 Error: this port speaks SMTP. Goodbye.", true)             \
	X(SMTP_ARGS_SYNTAX, "501 5.5.4 Error: bad command syntax", false)                          \
	X(SMTP_PATH_BAD, "501 5.1.3 Error: ", false)                                               \
	X(SMTP_PARAM_BAD, "501 5.5.4 Error: ", false)                                              \
	X(SMTP_BDAT_SYNTAX, "521 5.5.4 Syntax: BDAT count [LAST]", true)

enum smtp_fault {
#define X(id, reply, ends) id,
	SMTP_FAULTS(X)
#undef X
	    SMTP_FAULT_COUNT
};

const char *smtp_fault_reply(enum smtp_fault);
bool smtp_fault_ends(enum smtp_fault); /* the session cannot go on in step */

/*
 * What hangs below an event of this protocol; good until the next feed of either direction. What
 * its spans point at is good as long as the octets of the event: who waits keeps a copy.
 */
struct smtp_detail {
	const struct smtp_verb_row *verb; /* EV_COMMAND; EV_REPLY: of the command it answers */

	/* EV_COMMAND */
	enum smtp_fault fault;
	struct span word;		 /* the verb as written */
	struct span args;		 /* what follows it, trimmed */
	enum smtp_path_fault path_fault; /* with SMTP_PATH_BAD */
	enum smtp_param_fault param_fault;
	struct span param_bad;
	struct smtp_path path; /* MAIL, RCPT */
	struct smtp_params params;
	uint64_t chunk;	      /* BDAT: octets */
	bool last;	      /* BDAT: LAST */
	const char *sequence; /* EV_ANOMALY AN_SMUGGLING: "LF . CR LF" */

	/* EV_REPLY; octets are all lines with their CR LF */
	unsigned code; /* of the last line; 0: none (AN_INVALID_REPLY) */
	size_t lines;
	bool own;     /* to a command that smtp_sent() told of */
	bool unasked; /* nothing was waiting for it */

	/* EV_BODY */
	struct span wire; /* the same octets with the stuffed dot before them, if any */
	bool line_start;  /* the first octet stands at the start of a line */
};

struct smtp;

struct smtp *smtp_new(const struct smtp_limits *); /* NULL limits: the defaults. NULL: no memory */
void smtp_free(struct smtp *);			   /* NULL is fine */

/*
 * Takes octets up to and including one event. *used: how many were taken; what was not taken is
 * fed again. n may be 0.
 */
enum an_status smtp_feed(
    struct smtp *, enum an_dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev);

/* The keywords that parameters may use from now on; a watcher need not call it. */
void smtp_offer(struct smtp *, unsigned exts);

/*
 * The newest command was answered by the caller with this code, and the server never saw it.
 * To be called before the client direction is fed again.
 */
void smtp_answered(struct smtp *, unsigned code);
/*
 * The newest command waits for a verdict: the server has not seen it, and no reply can be its.
 * Called again with false, or smtp_answered(), when the verdict is in.
 */
void smtp_undecided(struct smtp *, bool undecided);
/* The caller sent the server a command of its own. Returns its slot. */
uint64_t smtp_sent(struct smtp *, enum smtp_verb);
/*
 * No reply of the server will come any more (its leg is gone): the oldest command is answered
 * by the caller. False: none waits.
 */
bool smtp_answered_oldest(struct smtp *, unsigned code);

/*
 * In SMTP_ST_OPAQUE, before anything was fed in it: TLS ends at the caller, who feeds what is
 * inside. Both directions begin anew, with a command of the client: no greeting comes, and no
 * keyword, nor envelope, of before counts (RFC 3207 s4.2).
 */
void smtp_secured(struct smtp *);

/*
 * Of callers that watch: the newest command is out of order, and changes nothing unless the server
 * takes it all the same. To be called before the client is fed again.
 */
void smtp_doubted(struct smtp *);
/*
 * Of callers that watch, for captures that do not have everything.
 *
 * joined: before anything was fed: the beginning is missing, and what comes next is a command.
 * resume: the client has said this, which was not seen: its reply is what comes next of the server.
 * Returns its slot. It is a bug where something else waits for a reply.
 */
void smtp_joined(struct smtp *);
uint64_t smtp_resume(struct smtp *, enum smtp_verb);
/*
 * n octets of the client are missing here, within a message: it goes on. False: they are not
 * within one, or nobody can know. Behind it, in SMTP_ST_DATA, a reply of the server tells that the
 * end mark was among them: smtp_cut_short().
 */
bool smtp_missing(struct smtp *, uint64_t n);
/*
 * In SMTP_ST_DATA: the message has come to its end, unseen, and *ev says so (EV_BODY_END). The next
 * octets of the client are a command.
 */
void smtp_cut_short(struct smtp *, struct an_event *ev);
/*
 * The server is not heard: its reply to the oldest command (EV_REPLY, no octets) is the one that
 * lets the dialogue go on as "next", what the client has sent behind it, tells. False: none waits,
 * or it depends on octets that have not come.
 */
bool smtp_grant(struct smtp *, struct span next, struct an_event *ev);

/* Commands (and bodies) that wait for a reply, the greeting included; the oldest one's slot. */
unsigned smtp_waiting(const struct smtp *);
uint64_t smtp_oldest(const struct smtp *);

enum smtp_state {
	SMTP_ST_GREETING, /* the server has not spoken */
	SMTP_ST_COMMAND,
	SMTP_ST_SYNC, /* behind a command whose reply decides what comes next */
	SMTP_ST_AUTH, /* the next line is a SASL response */
	SMTP_ST_DATA,
	SMTP_ST_CHUNK,
	SMTP_ST_OPAQUE, /* TLS */
};
enum smtp_state smtp_state(const struct smtp *);
const char *smtp_state_name(enum smtp_state);
/* In SMTP_ST_CHUNK: octets of the chunk that have not been fed. */
uint64_t smtp_chunk_left(const struct smtp *);

#endif
