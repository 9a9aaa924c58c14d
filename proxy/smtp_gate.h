/*
 * smtp_gate - SMTP through the gateway: a full server to the client, a full client to the server.
 *
 * What the files know of each other; nobody else includes this.
 *   relay_smtp.c        the row of the protocol: events in, deadlines, peers that go away
 *   smtp_commands.c     a command of the client: is it in order, may it pass, forward it
 *   smtp_limits.c       what a client does too often in a minute
 *   smtp_message.c      octets of a message: forward them clean, or refuse the message
 *   smtp_content.c      what is in a message, and whether it may pass
 *   smtp_pending.c      the list of commands that wait for their replies
 *   smtp_replies.c      replies to the client in the order of its commands, whoever gives them
 *   smtp_upgrade.c      STARTTLS: passed on, or TLS that ends here
 *   smtp_transaction.c  what is recorded of a mail from MAIL to its end
 *   smtp_observed.c     where nobody stands in between: the server's replies decide
 */
#ifndef POSTERN_SMTP_GATE_H
#define POSTERN_SMTP_GATE_H

#include <sys/queue.h>

#include "mime/mail.h"
#include "relay.h"
#include "smtp/command.h"
#include "smtp/sasl.h"
#include "smtp/smtp.h"

#define SMTP_ANOMALIES_MAX 64 /* records of anomalies per session; a hostile peer has no more */

/* One mail, from MAIL to the reply to its end mark; or what came before the first MAIL. */
struct transaction {
	struct record_smtp *record;
	unsigned refs;	/* commands whose replies are still to come */
	bool closed;	/* no further command belongs to it */
	bool notable;	/* worth a record */
	bool mail_seen; /* it began with a MAIL, whatever became of it */
	bool has_mail;	/* MAIL was forwarded and not refused so far */
	bool null_sender, smtputf8;
	bool chunk_failed; /* the server refused a chunk of its message */
	bool inspected;	   /* its message was to be looked at */
	enum smtp_body body;
	unsigned rcpt_waiting, rcpt_ok, rcpt_refused, rcpt_over;
	struct mail *mail;	/* what is in its message; NULL: nothing is known */
	const char *state;	/* "accepted", "rejected", ...; NULL: it never got to a message */
	const char *refused_as; /* observed: its state, should the server refuse it too; or NULL */
};

/* A command whose reply has not gone to the client. */
struct pending {
	char *text;	     /* the gateway's own reply with CR LF, waiting for its turn */
	const char *answers; /* ... and the name of the command that it is to, a constant */
	const char *ends;    /* reason: the session ends behind this reply */
	struct transaction *tx;
	const char *verb; /* its name, a constant */
	char *rcpt;	  /* of RCPT, for the record */
	char *helo;	  /* of EHLO and HELO: the name they carried */
	/* observed */
	struct doubt *line; /* doubted, and nothing of it is noted so far; or NULL */
	bool doubted;	    /* the gateway would have refused it: its reply decides */
	bool last;	    /* of BDAT: the last chunk */
	bool unseen;	    /* the command is not in the capture */
	/* of the list that it stands in */
	uint64_t slot;
	TAILQ_ENTRY(pending) others;
};

/* A command that is noted only when its reply shows that it was one. */
struct doubt {
	size_t n;
	uint8_t octets[];
};

/* What is known of the message that is coming in. */
struct message {
	bool open;	/* octets of it are expected */
	bool chunked;	/* it comes by BDAT */
	bool discard;	/* its octets go nowhere */
	bool dead;	/* BDAT: a chunk was refused, the rest up to LAST is too */
	bool unwanted;	/* BDAT, observed: the gateway would have ended the session with it */
	bool answered;	/* BDAT: the server refused this chunk before it was complete */
	bool forwarded; /* BDAT: the server has a chunk of it */
	bool last_chunk_empty;
	const char *refusal; /* what its end is answered with: kept, or a constant; NULL: nothing */
	char *kept;	     /* or NULL; to be freed with the message */
	const char *chunk_refusal; /* BDAT: what this chunk is answered with, a constant, or NULL */
	uint64_t size, drained;
	uint64_t missing; /* observed: octets that are not in the capture */
	uint64_t resumed; /* ... and where they end in the client's stream */
	bool said[AN_ANOMALY_COUNT];
	struct header_scan {
		bool done, field_start;
		uint8_t matched; /* octets of "received:" that this field has so far */
		bool empty_line;
		size_t size;
		unsigned hops;
	} header;
};

/* A command that waits for the answers to its verdict's questions. */
struct waiting {
	struct an_event event;
	struct smtp_detail detail;
	uint64_t until;	    /* all look-ups of one event have one budget */
	struct doubt *line; /* observed, and already accepted: what the event points into */
};

struct smtp_gate {
	struct relay relay;
	struct smtp *dialogue;

	/* a verdict that waits for DNS */
	struct answers *answers;
	void *lookup;
	struct waiting *waiting;

	/* not more than the dialogue has slots, most often one or none */
	TAILQ_HEAD(pendings, pending) pending;
	struct pending nowhere; /* in place of one that no memory is there for */
	struct transaction *tx; /* the open one, or NULL */
	struct message message;

	char *server_name;    /* that the server greeted with, canonical; NULL: none */
	char *helo;	      /* of the last EHLO or HELO, until its reply only proposed */
	unsigned server_exts; /* what the server offered */
	uint64_t size_max;    /* of a message: the smaller of ours and the server's; 0: none */
	unsigned errors, junk, anomalies;
	bool server_lost;    /* its leg is gone; the client hears so at its next command */
	uint64_t chunk;	     /* slot of the chunk that is coming in, or came in last */
	uint64_t last_chunk; /* slot of a last chunk that waits for its reply; 0: none */
	uint64_t chunk_end;  /* slot of a BDAT 0 LAST that is on its way; 0: none */
	bool doomed; /* server_lost, but for replies to earlier commands that it still owes */
	bool other_protocol; /* the client speaks one: that was said */
	bool quit;
	bool server_left;  /* it said 421: it will close, and need not be told of */
	struct sasl *sasl; /* of the AUTH exchange that is under way, or the last one */
	uint64_t asked;	   /* env->now() when the server was last given something to answer */
	uint64_t acted;	   /* when something last came of what peers sent */
	uint64_t tarpit_until, rate_since, rate_octets, rate_checked;
	size_t behind;		    /* octets that came in behind the event being handled */
	uint64_t missing;	    /* observed: octets of the client that are not in the capture */
	bool joining, join_dropped; /* observed: in the middle of what is not known yet */
	bool unheard;		    /* observed: the server's replies are taken for granted */
};

static inline struct smtp_gate *
gate_of(struct relay *r)
{
	return (struct smtp_gate *)(void *)r;
}

static inline uint64_t
gate_now(const struct smtp_gate *g)
{
	return g->relay.env->now(g->relay.env->arg);
}

static inline bool
gate_observes(const struct smtp_gate *g)
{
	return g->relay.env->observed;
}

static inline const struct smtp_config *
gate_config(const struct smtp_gate *g)
{
	return &g->relay.env->config->smtp;
}

/* ---- smtp_commands.c ---- */

void gate_command(struct smtp_gate *, const struct an_event *);
void gate_secret(struct smtp_gate *, const struct an_event *);
/* The answers to the questions of a verdict are in g->answers. */
void gate_judge_again(struct smtp_gate *);
void gate_forget_lookup(struct smtp_gate *);
/* What the records and the state want to know of a command, refused or not. */
void gate_note(struct smtp_gate *, const struct an_event *);
/* The command goes to the server: the state from here on. */
void gate_let_pass(struct smtp_gate *, const struct an_event *);
/*
 * What the policy says of it: judged now, or when the answers are in, and acted upon. line, where
 * it is not NULL: what the event points into, of a command that has passed already: its verdict is
 * only recorded. It is taken over, and *line is NULL, while there are answers to wait for.
 */
void gate_judge(struct smtp_gate *, const struct an_event *, struct doubt **line);

/* ---- smtp_limits.c ---- */

/* The client sends too many commands of this kind; true: it was answered, and that is recorded. */
bool gate_limited(struct smtp_gate *, const struct an_event *);
/* The server's last word on an AUTH that passed gate_limited(). */
void gate_login_over(struct smtp_gate *, unsigned code);
/* A limit made us say this, a reply without CR LF. */
void gate_record_limit(struct smtp_gate *, const char *reason, const char *reply);

/* ---- smtp_message.c ---- */

void gate_message_begin(struct smtp_gate *, bool chunked);
/* None is open, and nothing is known of one. */
void gate_message_forget(struct smtp_gate *);
void gate_body(struct smtp_gate *, const struct an_event *);
void gate_body_oddity(struct smtp_gate *, const struct an_event *);
void gate_body_end(struct smtp_gate *, const struct an_event *);
void gate_chunk_end(struct smtp_gate *, const struct an_event *);
/*
 * The message will not be delivered: its leg to the server is dropped without an end mark, its
 * octets are read to their end, which is answered with reply.
 */
void gate_message_refuse(
    struct smtp_gate *, const char *reply, const char *rule, const char *reason, const char *state);

/* Size and way of the message go to its record. */
void gate_record_message(struct smtp_gate *);
/* What the end of the message, or of the chunk, is answered with; NULL: the server answers. */
const char *gate_end_answer(const struct message *);
/* The server must never take what it has for a whole message: no end mark, no QUIT, a reset. */
void gate_drop_server(struct smtp_gate *);
/* Octets are expected from now on: their rate counts from here. */
void gate_watch_rate(struct smtp_gate *);

/* ---- smtp_content.c ---- */

void gate_content_begin(struct smtp_gate *);
void gate_content(struct smtp_gate *, struct span octets);
/* The message is complete: it is judged, and may be refused by this. */
void gate_content_end(struct smtp_gate *);

/* ---- smtp_replies.c ---- */

/* The gateway answers the newest command, in its turn. ends: NULL, or why the session ends. */
void gate_answer(
    struct smtp_gate *, uint64_t slot, const char *verb, const char *reply, const char *ends);
/* A reply of the server. */
void gate_reply(struct smtp_gate *, const struct an_event *);
/* Says "421 reason" in place of every reply that is still due, and ends the session. */
void gate_give_up(struct smtp_gate *, const char *reply, const char *reason);
/*
 * The server is gone: every command that waits for it gets this reply, in its turn; one whose
 * chunk is still coming in gets its own at the chunk's end.
 */
void gate_answer_waiting(struct smtp_gate *, const char *reply);
void gate_count_error(struct smtp_gate *);
void gate_anomaly(
    struct smtp_gate *, enum an_anomaly, enum an_dir, uint64_t off, const char *detail);
/* What is kept of a slot; NULL: nothing is. */
struct pending *gate_pending_find(const struct smtp_gate *, uint64_t slot);
/* The same, an empty one if need be: without memory the session ends. Good until it is released. */
struct pending *gate_pending(struct smtp_gate *, uint64_t slot);
/* What is kept of one slot is of the other from now on, of which nothing is. */
void gate_pending_move(struct smtp_gate *, uint64_t from, uint64_t to);
/* It is gone; what it points to is the caller's. */
void gate_pending_drop(struct smtp_gate *, struct pending *);

/* The client sent what it may send only when it has seen this reply (RFC 2920 s3.1). */
bool gate_sent_ahead(struct smtp_gate *, const struct an_event *);
/* The reply to the end of a message: its state. */
void gate_message_answered(struct smtp_gate *, const struct an_event *);
/* The chunk that is coming in is the newest command: it has its answer, and is not complete. */
bool gate_reply_early(const struct smtp_gate *, const struct an_event *);
/* The reply goes to the client as the server wrote it. */
void gate_pass_reply(struct smtp_gate *, const struct an_event *);

/* ---- smtp_upgrade.c ---- */

/* The reply to STARTTLS. */
void gate_starttls(struct smtp_gate *, const struct an_event *);
/* As ops->upgraded. */
void gate_upgraded(struct smtp_gate *, enum an_dir, const char *why);
/* It is not intercepted after all, for what the verdict says. */
void gate_let_tls_by(struct smtp_gate *, const struct verdict *);
/* What becomes of STARTTLS here. */
enum starttls gate_starttls_word(const struct smtp_gate *);

/* ---- smtp_observed.c ---- */

/* The gateway would have refused this command, and nothing of it is noted. */
void gate_doubt(struct smtp_gate *, const struct an_event *);
/*
 * The reply to a command that the gateway would have refused. True: it was refused, and stands in
 * the record as no more than that; else it is from here on what it would have been from the start.
 */
bool gate_doubt_confirmed(struct smtp_gate *, const struct an_event *);
/* Ahead of each event: its octets have a message, and that a transaction. False: no memory. */
bool gate_observed_takes(struct smtp_gate *, const struct an_event *);
void gate_observed_body_end(struct smtp_gate *, const struct an_event *);
void gate_observed_chunk(struct smtp_gate *, const struct an_event *);
void gate_observed_end(struct smtp_gate *, enum an_dir);
/* A reply that nothing waits for; false: it is none of those that a hole explains. */
bool gate_observed_unasked(struct smtp_gate *, const struct an_event *);
/* A step of a session whose beginning, or server, is not in the capture; false: an ordinary one. */
bool gate_observed_step(struct smtp_gate *, enum an_dir, bool *progress);
/* No more octets fit in, and those that have come wait for the other side's. */
bool gate_observed_stuck(struct smtp_gate *, enum an_dir);
/* As the rows of relay_ops. */
bool gate_gap(struct relay *, enum an_dir, uint64_t n);
bool gate_joined(struct relay *);
bool gate_unheard(struct relay *);

/* ---- smtp_transaction.c ---- */

/* The open transaction, a new one when there is none; NULL: no memory. */
struct transaction *gate_transaction(struct smtp_gate *);
/* No further command belongs to it; its record is written when the last reply is in. */
void gate_transaction_close(struct smtp_gate *);
/* The reply to this command will belong to tx; and: it has been given. */
void gate_hold(struct transaction *tx, struct pending *);
/* ... to the open one, whichever it was to belong to. */
void gate_hold_anew(struct smtp_gate *, struct pending *);
void gate_release(struct smtp_gate *, struct pending *);
/* A reply (lines with or without CR LF) goes to the record of the command. */
void gate_record_reply(struct smtp_gate *, const struct pending *, const char *verb,
    struct span reply, enum record_source);
void gate_record_verdict(struct smtp_gate *, const struct verdict *);
/* Whatever is open or held is written now: the session is over. */
void gate_transactions_finish(struct smtp_gate *);

#endif
