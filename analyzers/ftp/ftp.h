/*
 * ftp - the dialogue of one control connection, both directions, streaming.
 * Sources: RFC 959 (commands s4.1, replies s4.2, their order s5.4), 854 and 1123 s4.1.2.12
 * (TELNET), 2228 and 4217 (AUTH), 2389, 2428, 3659.
 *
 * Feed octets of either direction in any chunking; per direction the events are the same for every
 * chunking. A 1xx reply goes with the oldest command that waits and leaves it waiting; any other
 * answers it. ABOR during a transfer gives two: one to the transfer, one to ABOR.
 *
 * TELNET: an IP, a Synch (IAC DM) or both in front of a command are taken and noted (detail.synch);
 * other sequences there are taken and are an anomaly; within a command they make it a fault
 * (FTP_LINE_TELNET). IAC IAC is one octet 255, in the detail and in ev->octets.
 *
 * Two kinds of callers, as with smtp.h: one that only watches, and one that stands in between and
 * says with ftp_answered() and ftp_sent() what it did itself.
 *
 * Memory: one command line (limits.line), one reply (limits.reply), FTP_SLOTS slots; an idle
 * dialogue holds only sizeof(struct ftp).
 */
#ifndef POSTERN_FTP_H
#define POSTERN_FTP_H

#include "core/buf.h"
#include "core/event.h"
#include "ftp/hostport.h"
#include "ftp/verbs.h"

#define FTP_SLOTS 32 /* commands that wait for their reply; with that many, AN_WAIT */

/* In octets, with CR LF. Zero: the default. */
struct ftp_limits {
	size_t line;	    /* command line; default 4096 */
	size_t endless;	    /* a line that has not ended by then; default 65536 */
	size_t reply_line;  /* default 4096 */
	size_t reply_lines; /* default 1000 */
	size_t reply;	    /* a whole reply; default 131072 */
};

/* X(enumerator, reply that says so, ends the session) */
#define FTP_FAULTS(X)                                                                              \
	X(FTP_OK, "", false)                                                                       \
	X(FTP_LINE_TOO_LONG, "500 Command line too long.", false)                                  \
	X(FTP_LINE_ENDLESS, "421 Command line never ends.", true)                                  \
	X(FTP_LINE_BARE_LF, "500 A line ends in CR LF.", true)                                     \
	X(FTP_LINE_BARE_CR, "501 CR within a command.", true)                                      \
	X(FTP_LINE_NUL, "501 NUL within a command.", true)                                         \
	X(FTP_LINE_TELNET, "500 TELNET sequence within a command.", false)                         \
	X(FTP_LINE_EMPTY, "500 Command not understood.", false)                                    \
	X(FTP_VERB_UNKNOWN, "502 Command not implemented.", false)                                 \
	X(FTP_VERB_FOREIGN, "421 This port speaks FTP. Goodbye.", true)                            \
	X(FTP_ARGS_SYNTAX, "501 Syntax error in parameters or arguments.", false)                  \
	X(FTP_ARGS_FAMILY, "522 Network protocol not supported, use (1,2).", false)

enum ftp_fault {
#define X(id, reply, ends) id,
	FTP_FAULTS(X)
#undef X
	    FTP_FAULT_COUNT
};

const char *ftp_fault_reply(enum ftp_fault);
bool ftp_fault_ends(enum ftp_fault);

/*
 * What hangs below an event of this protocol; good until the next feed of either direction. What
 * its spans point at is good as long as the octets of the event: who waits keeps a copy.
 */
struct ftp_detail {
	const struct ftp_verb_row *verb; /* EV_COMMAND; EV_REPLY: of the command it answers */

	/* EV_COMMAND; octets are the line without its end and without TELNET */
	enum ftp_fault fault;
	struct span word;	      /* the verb as written */
	struct span args;	      /* what follows the one blank behind it, not trimmed */
	bool synch;		      /* TELNET IP or Synch stood in front of it */
	struct ftp_hostport hostport; /* PORT, EPRT; EV_REPLY 227, 229: port 0 where it has none */
	enum ftp_epsv epsv;	      /* EPSV */
	uint64_t restart;	      /* REST */

	/* EV_REPLY; octets are all lines with their CR LF */
	unsigned code; /* 0: none (AN_INVALID_REPLY) */
	size_t lines;
	struct span text; /* of the last line, behind code and blank */
	bool preliminary; /* 1xx: the command still waits */
	bool own;	  /* to a command that ftp_sent() told of */
	bool unasked;	  /* nothing was waiting for it */
};

struct ftp;

struct ftp *ftp_new(const struct ftp_limits *); /* NULL limits: the defaults. NULL: no memory */
void ftp_free(struct ftp *);			/* NULL is fine */

/*
 * Takes octets up to and including one event. *used: how many were taken; what was not taken is
 * fed again. n may be 0.
 */
enum an_status ftp_feed(
    struct ftp *, enum an_dir, const uint8_t *p, size_t n, size_t *used, struct an_event *ev);

/* The client's newest command was answered by the caller, and the server never saw it. */
void ftp_answered(struct ftp *, unsigned code);
/* The caller sent the server a command of its own. Returns its slot. */
uint64_t ftp_sent(struct ftp *, enum ftp_verb);
/*
 * No reply of the server will come any more: the oldest command is answered by the caller. False:
 * none waits. Of ABOR one may come all the same: it is unasked.
 */
bool ftp_answered_oldest(struct ftp *, unsigned code);
/*
 * In FTP_ST_OPAQUE, before anything was fed in it: TLS ends at the caller, who feeds what is
 * inside. Both directions begin anew with a command of the client, for no greeting comes (RFC 4217
 * s4).
 */
void ftp_secured(struct ftp *);
/*
 * AUTH passed (234), or ADAT (235): from the reply on, both directions are opaque (EV_OPAQUE). What
 * a client sent behind AUTH and ahead of that reply is AN_WAIT until the reply decides.
 */

/* Commands that wait for a final reply, the greeting included; the oldest one's slot and verb. */
unsigned ftp_waiting(const struct ftp *);
uint64_t ftp_oldest(const struct ftp *);
const struct ftp_verb_row *ftp_oldest_verb(const struct ftp *); /* FTP_NONE's row: none waits */
/* A transfer command has its 1xx and not its end. */
bool ftp_transferring(const struct ftp *);

enum ftp_state {
	FTP_ST_GREETING, /* the server has not spoken */
	FTP_ST_COMMAND,
	FTP_ST_SYNC,   /* behind AUTH, whose reply decides what comes next */
	FTP_ST_OPAQUE, /* TLS */
};
enum ftp_state ftp_state(const struct ftp *);
const char *ftp_state_name(enum ftp_state);

/*
 * A reply (whole lines with CR LF) as a client is to read it, whichever rule of theirs it follows:
 * a line between the first and the last that begins with three digits and is not "code-" is
 * indented by a blank (RFC 959 s4.2), and IAC is doubled. False: no memory, or out is full.
 */
bool ftp_reply_write(struct span octets, struct buf *out);

#endif
