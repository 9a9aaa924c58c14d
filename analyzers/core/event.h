/*
 * event - what an analyzer says about the octets it was fed.
 *
 * One shape for all protocols: the relay, the capture reader and the fuzzers read the same
 * struct. What only one protocol has hangs below it, in a struct of that protocol.
 */
#ifndef POSTERN_EVENT_H
#define POSTERN_EVENT_H

#include "core/anomaly.h"
#include "core/span.h"

enum an_dir {
	AN_C2S, /* from the client */
	AN_S2C, /* from the server */
};

static inline enum an_dir
an_other(enum an_dir d)
{
	return d == AN_C2S ? AN_S2C : AN_C2S;
}

enum an_kind {
	EV_COMMAND,   /* a whole command line of the client */
	EV_SECRET,    /* a line that must not reach a record (SASL) */
	EV_REPLY,     /* a whole reply of the server, all its lines */
	EV_BODY,      /* octets of a message, content only: dots undone, chunk framing gone */
	EV_BODY_END,  /* the message is complete: its end mark, or its last chunk, has been seen */
	EV_CHUNK_END, /* a chunk of a message is complete, and it is not the last one */
	EV_LINE,      /* POP3: a line of an answer of many lines, and */
	EV_LINES_END, /* the dot behind them */
	/* IMAP: analyzers/imap/imap.h says what each is */
	EV_COMMAND_MORE,
	EV_LITERAL,
	EV_CONTINUE,
	EV_RESPONSE,
	EV_FETCH,
	EV_FETCH_ITEM,
	EV_FETCH_END,
	EV_TEXT,
	EV_OPAQUE,  /* octets behind an upgrade; nobody looks into them */
	EV_ANOMALY, /* parsing goes on; the policy decides what it means */
};

struct ftp_detail;  /* analyzers/ftp/ftp.h */
struct imap_detail; /* analyzers/imap/imap.h */
struct pop3_detail; /* analyzers/pop3/pop3.h */
struct smtp_detail; /* analyzers/smtp/smtp.h */

struct an_event {
	enum an_kind kind;
	enum an_dir dir;
	uint64_t off;		 /* stream offset of the first octet it is about */
	struct span octets;	 /* good until the next feed of the same direction */
	enum an_anomaly anomaly; /* AN_NONE, or what is odd about these octets */
	uint64_t slot;		 /* command or reply: number of the command in the dialogue */
	/* that of the protocol; the others are NULL */
	const struct smtp_detail *smtp;
	const struct ftp_detail *ftp;
	const struct pop3_detail *pop3;
	const struct imap_detail *imap;
};

/* What feed returns. */
enum an_status {
	AN_EVENT, /* *ev is filled in */
	AN_MORE,  /* everything was taken, nothing to say yet */
	AN_WAIT,  /* nothing was taken: what these octets are depends on the other direction */
	AN_NOMEM, /* only free may follow */
};

#define AN_KINDS (EV_ANOMALY + 1)

const char *an_kind_name(enum an_kind);

#endif
