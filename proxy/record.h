/*
 * record - one structured line per thing that happened: JSON in the EVE shape.
 *
 * The envelope and the names inside the objects are Suricata's, word for word; what EVE lacks
 * stands beside (docs/records.md lists every field). Every text goes through printable(), every
 * text and list is bounded and says when it was cut: no input can forge a line or a field.
 */
#ifndef POSTERN_RECORD_H
#define POSTERN_RECORD_H

#include <sys/time.h>

#include "community_id.h"
#include "data.h"
#include "policy.h"

#define RECORD_TEXT_MAX	  1024 /* octets of one text; a cut one has "<name>_truncated": true */
#define RECORD_RCPT_MAX	  100  /* recipients listed; the rest is counted in rcpt_left_out */
#define RECORD_REPLY_MAX  150  /* replies listed; the rest is counted in replies_left_out ... */
#define RECORD_REPLY_RCPT 130  /* ... and so many of them to RCPT: the end mark's has its place */
#define RECORD_SMTP_MAX	  (64u << 10)	      /* octets of all texts in one smtp record */
#define RECORD_LINE_MAX	  (256u << 10)	      /* no line is longer */
#define RECORD_LINE_START "{\"timestamp\":\"" /* and all begin with this */

/*
 * Once, before a sandbox closes and before threads start: what libcrypto would otherwise
 * open at the first record. False: it does not work here.
 */
bool record_init(void);

/* What time it is: fills it in. */
typedef void record_clock(struct timeval *);
/* That of records, from now on; NULL: the system's. Returns the one that was. */
record_clock *record_use_clock(record_clock *);
/* As that clock says. */
void record_now(struct timeval *);

/* The session that a record belongs to; the caller keeps it as long as the records. */
struct record_session {
	uint64_t flow_id; /* 53 bits, so that every JSON reader keeps it exact */
	const char *app_proto;
	const char *forward;		      /* name of the forward section, or NULL */
	struct endpoint client, server;	      /* client leg, as the client sees it */
	struct endpoint up_client, up_server; /* server leg; up_client.ip.family IP_NONE: none */
	struct timeval started;
};

/*
 * Where finished lines go: complete, with their newline. Must not block, and
 * write no record itself. Records need no memory; one that would be longer than RECORD_LINE_MAX is
 * not written, and none is half a line.
 */
typedef void record_sink(void *arg, const char *line, size_t n);

enum record_source {
	RECORD_SERVER,
	RECORD_GATEWAY,
};

/* ---- one SMTP transaction: from MAIL (or what was refused instead of it) to its end ---- */

struct record_smtp;
struct mail;

struct record_smtp *record_smtp_new(void); /* NULL: no memory; all functions below take NULL */
void record_smtp_free(struct record_smtp *);
void record_smtp_helo(struct record_smtp *, struct span);
void record_smtp_from(
    struct record_smtp *, struct span); /* without brackets; "" is the null sender */
void record_smtp_rcpt(struct record_smtp *, struct span);
/* Mechanism, user when known (never a secret), whether the server said 235. */
void record_smtp_auth(struct record_smtp *, struct span mechanism, struct span user, bool done);
/*
 * command: "MAIL", "RCPT", "." ..., a constant; rcpt: of RCPT, without brackets, else empty.
 * reply: "250 2.1.0 Ok", all its lines with or without their CR LF.
 */
void record_smtp_reply(struct record_smtp *, const char *command, struct span rcpt, unsigned code,
    struct span reply, enum record_source);
/*
 * The first verdict that refused stays, unless it refused STARTTLS and nothing of the mail; one
 * that only would have is replaced by one that did, one that let pass by any later one.
 */
void record_smtp_verdict(struct record_smtp *, const struct verdict *);
/* size: octets of the message as forwarded. state: "accepted", "refused", "aborted", "in_doubt" ...
 */
void record_smtp_message(
    struct record_smtp *, uint64_t size, const char *transfer /* DATA, BDAT */);
/* So many octets of the message are not in the capture; size is that of the others. */
void record_smtp_missing(struct record_smtp *, uint64_t missing);
/* What is in the message: the caller's, until the record is written. NULL: it could not be known.
 */
void record_smtp_mail(struct record_smtp *, const struct mail *);
/*
 * Writes the record, and one for each file in the message. tx_id counts from 0 in a session.
 */
void record_smtp_write(struct record_smtp *, const struct record_session *, unsigned tx_id,
    const char *state, record_sink *, void *arg);

/* ---- FTP ---- */

#define RECORD_FTP_REPLIES_MAX 16 /* replies listed of one command; the rest is counted */

/* One command with its replies (event_type "ftp"), or the greeting. */
struct record_ftp {
	const char *command; /* NULL: none, the greeting */
	struct span args;    /* empty where the verb is secret */
	bool secret;	     /* nor is what the server says of a line that it did not understand */
	const struct record_ftp_reply {
		unsigned code;
		struct span text; /* all lines */
		enum record_source source;
		bool plain; /* the server's, and it quotes nothing all the same */
	} * replies;
	size_t n_replies;
	struct span user, path, directory; /* path: full, of commands that have one */
	uint16_t dynamic_port;	       /* of a data connection, as the client sees it; 0: none */
	bool passive;		       /* with dynamic_port: the client connects */
	const struct verdict *verdict; /* NULL: nothing was judged */
};
void record_ftp(const struct record_session *, const struct record_ftp *, unsigned tx_id,
    record_sink *, void *arg);

/* One transfer (event_type "ftp_data"), and the file in it ("fileinfo"). */
struct record_ftp_data {
	const char *command;		  /* "RETR", "STOR", "LIST", ... */
	struct span user, filename, path; /* filename: as the client named it; path: full */
	bool path_cut;
	enum an_dir dir;
	const char *type;		     /* "A", "I" */
	bool client_passive, server_passive; /* who connects; active: the server (side) does */
	bool let_by; /* past the gateway: octets are the kernel's count, headers with them */
	bool direct; /* observed: there is one connection, in legs[DATA_CLIENT] */
	/* [DATA_CLIENT, DATA_SERVER][peer, our end]; family IP_NONE: none. let_by: the server */
	/* itself is the other end of the client's, and there is no leg to the server. */
	struct endpoint legs[2][2];
	struct data_tls tls[2];		/* of the legs */
	uint64_t octets_in, octets_out; /* read from the source, written to the other side */
	uint64_t offset;		/* REST */
	uint64_t duration_ms;
	/* A constant: "complete" and nothing else is a whole transfer; "cut", "refused", ... */
	const char *outcome;
	bool deleted;	    /* what there was of it at the server: it was refused */
	const char *kept;   /* why it still is, where it was to be deleted: a constant, or NULL */
	const char *reason; /* or NULL */
	unsigned code;	    /* of the last reply that the client heard; 0: none */
	/*
	 * Of a file that was looked at (mail_file_new()), else NULL. mail_finish() only where the
	 * source came to its end: that is what "state" of its fileinfo says.
	 */
	const struct mail *content;
	const struct verdict *verdict;
};
/*
 * A file of which octets came (or all of it, when that is none) has a fileinfo record, looked at or
 * not; a listing has none. Where it is a message, "email" stands beside "ftp_data", and each of its
 * attachments has a fileinfo record too.
 */
void record_ftp_data(const struct record_session *, const struct record_ftp_data *, unsigned tx_id,
    record_sink *, void *arg);

/*
 * The same as a line of a classic xferlog (wu-ftpd's xferlog(5)); of a listing, or where no octet
 * came of a file that is no whole one: nothing. Blanks in names are "_", times UTC.
 */
#define RECORD_XFERLOG_START "\x1exferlog " /* in front of the line: the logger takes it off */
#define RECORD_XFERLOG_MAX   4096u
void record_xferlog(
    const struct record_session *, const struct record_ftp_data *, record_sink *, void *arg);

/* ---- POP3 and IMAP ---- */

/* One message, or part of one, that was fetched or stored (event_type "email"). */
struct record_fetched {
	const char *command;	   /* "RETR", "TOP", "FETCH", "APPEND", ...: a constant */
	struct span user, mailbox; /* mailbox: IMAP, as it was written */
	uint64_t number, uid;	   /* in the mailbox; 0: not known */
	/* of a part that was fetched alone: "1.2", "1.2.MIME", "HEADER"; else empty */
	struct span section;
	bool partial;	     /* not all of it: TOP, slices that leave a gap, one that was cut */
	const char *outcome; /* "complete", "partial", "cut", "refused", "aborted": constants */
	uint64_t octets;     /* that went by; of POP3 without stuffed dots */
	uint64_t missing;    /* and that are not in the capture */
	uint64_t urls; /* CATENATE: it was made of so many others, and nothing went by; or 0 */
	bool unseen;   /* nobody looked into it (mime.inspect = no), or could: no "email" */
	/*
	 * NULL: it could not be known. mail_finish() only where all of it came: that is what
	 * email.status and "state" of its files say, unless outcome is "partial" (TOP: finished
	 * for the verdict, and still a beginning).
	 */
	const struct mail *mail;
	const struct verdict *verdict; /* NULL: nothing was judged */
};
/*
 * What it was stands as "message" beside "email", and beside the "fileinfo" of each of its
 * attachments; those two are the same as of a message by SMTP.
 */
void record_fetched(const struct record_session *, const struct record_fetched *, unsigned tx_id,
    record_sink *, void *arg);

/* What a session did, at its end (event_type "pop3", its object "session"). */
struct record_pop3 {
	struct span user;
	const char *mechanism; /* "USER", "APOP", "PLAIN", ...; NULL: none */
	bool logged_in,
	    update; /* update: the server accepted QUIT in TRANSACTION, deletions happened */
	uint64_t listed, listed_octets; /* STAT's, or LIST's */
	uint64_t retrieved, retrieved_octets, tops, deleted, refused;
	const char *mode; /* "download_and_delete", "download_and_keep", or NULL */
	unsigned commands;
};
void record_pop3(
    const struct record_session *, const struct record_pop3 *, record_sink *, void *arg);

#define RECORD_MAILBOXES_MAX 50 /* selected ones that are listed; the rest is counted */

/* What a session did, at its end (event_type "imap", its object "session"). */
struct record_imap {
	struct span user;
	const char *mechanism; /* "LOGIN", "PLAIN", ...; NULL: none */
	bool logged_in, preauth;
	struct span client_id, server_id; /* of ID, as lists of "name" "value" */
	const struct span *mailboxes;	  /* selected, in order, each once */
	size_t n_mailboxes;
	uint64_t mailboxes_left_out;
	uint64_t fetched, fetched_octets, stored, copied, moved, expunged, appended,
	    appended_octets, searched, idle_ms, refused;
	unsigned commands;
};
void record_imap(
    const struct record_session *, const struct record_imap *, record_sink *, void *arg);
/* A command that was refused by the gateway, or a login (event_type: the session's app_proto). */
struct record_retrieval {
	/*
	 * Texts of the client's, and no secret is in them: of a login the verb alone, or with its
	 * mechanism. tag: empty for POP3.
	 */
	struct span tag, command, user;
	const char *status; /* what the client was told: "OK", "NO", "BAD"; "OK", "ERR"; or NULL */
	const struct verdict *verdict; /* NULL: nothing was judged */
};
void record_retrieval_command(const struct record_session *, const struct record_retrieval *,
    unsigned tx_id, record_sink *, void *arg);

/* ---- single records ---- */

/* layer "proto_parser"; event: enum an_anomaly's name; detail may be NULL (a constant of ours). */
void record_anomaly(const struct record_session *, const char *event, enum an_dir, uint64_t off,
    const char *detail, record_sink *, void *arg);

struct record_flow {
	uint64_t bytes_toserver, bytes_toclient;       /* client leg */
	uint64_t up_bytes_toserver, up_bytes_toclient; /* server leg */
	const char *state;    /* "closed", "new" (the server was never reached) */
	const char *reason;   /* "client_quit", "server_closed", "timeout_command", ... */
	uint64_t duration_ms; /* by a clock that nobody sets */
	unsigned tx_count;
	bool opaque; /* ended as a relay behind STARTTLS that nobody looked into */
};
void record_flow(
    const struct record_session *, const struct record_flow *, record_sink *, void *arg);

/* What an operator should see and what belongs to no session: event_type "stats". */
void record_stats(const char *name, uint64_t value, const char *text, record_sink *, void *arg);

struct record_lost {
	uint32_t slot; /* of a worker */
	uint64_t lines;
};
/*
 * Lines that could not be written: a stats record "log_lines_lost" with the sum, of it in "workers"
 * those of each of n workers, in "supervisor" those of none of them (0: left out).
 */
void record_log_lost(
    const struct record_lost workers[], size_t n, uint64_t supervisor, record_sink *, void *arg);

#endif
