/*
 * pop3_gate - POP3 through the gateway. Commands go to the server one by one as they come,
 * pipelined where the client does so; its replies go to the client in the order of the commands,
 * and what the gateway answers itself waits for its turn among them.
 *
 * A message goes on while it comes; only the line with the dot waits for the verdict on what is in
 * it. Never a QUIT of the gateway's own: it would delete what was marked (RFC 1939 s6). Never a dot
 * of its own: a message that the server did not finish must not look like a whole one.
 *
 * Observed (relay_env.observed), all of that has no effect: commands that would have been refused
 * are with the server, whose replies say what becomes of them.
 *
 * What the files know of each other; nobody else includes this.
 *   relay_pop3.c     the row of the protocol: events in, deadlines, peers that go away
 *   pop3_commands.c  a command of the client: may it pass
 *   pop3_replies.c   a reply of the server, lists, answers of the gateway's own
 *   pop3_message.c   RETR and TOP: octets, what is in them, and whether they may be whole
 *   pop3_records.c   what is recorded of commands, messages and the session
 */
#ifndef POSTERN_POP3_GATE_H
#define POSTERN_POP3_GATE_H

#include "mime/mail.h"
#include "pop3/pop3.h"
#include "relay.h"
#include "smtp/sasl.h"

#define POP3_ANOMALIES_MAX 64 /* records of anomalies per session */
#define POP3_BAD_EARLY	   3  /* bad commands before login: the session ends (P-014) */

/* An answer of the gateway's that waits for the replies to the commands before it. */
struct pop3_late {
	struct pop3_late *next;
	uint64_t slot;
	const char *ends; /* NULL, or why the session ends behind it */
	char text[];	  /* without CR LF */
};

/* Observed: a command that would not have gone to the server, until that has answered it. */
struct pop3_refused {
	struct pop3_refused *next;
	uint64_t slot;
	const struct pop3_verb_row *verb;
	size_t n;
	uint8_t args[]; /* n octets; may be secrets */
};

/* The answer to RETR or TOP that is coming in. */
struct pop3_message {
	const struct pop3_verb_row *verb;
	uint32_t number;
	uint64_t octets;	     /* as LIST counts them: without stuffed dots (RFC 1939 s11) */
	uint64_t missing;	     /* in the capture; what follows is only counted */
	bool inspected;		     /* its content is looked at; with mail NULL: it could not be */
	struct mail *mail;	     /* NULL: nothing is known of it */
	bool said[AN_ANOMALY_COUNT]; /* each kind is recorded once per message */
};

struct pop3_gate {
	struct relay relay;
	struct pop3 *dialogue;		/* NULL: nothing happened yet */
	struct retrieval_policy policy; /* of this session, as it is now */
	struct pop3_late *late;		/* in the order of their slots */
	struct pop3_refused *refused;	/* likewise */
	struct pop3_message *message;	/* NULL: none is coming in */
	struct sasl *sasl;		/* while AUTH goes on */
	char *user;			/* as the client named it; NULL: it did not */
	char *before; /* while USER, APOP or AUTH is at the server: whom an earlier USER named */
	struct record_pop3 done; /* its texts are filled in at the end */
	uint64_t asked, acted;	 /* env->now(): the server's turn began; the last whole event */
	uint64_t greeted;	 /* when the server's greeting came */
	size_t behind;		 /* octets that came with the event, and belong to later ones */
	unsigned fetching;	 /* RETR and TOP at the server, or coming in */
	unsigned bad;		 /* commands that made no sense */
	unsigned anomalies;
	bool stls;	 /* the list of capabilities that is coming in has it */
	bool naming;	 /* USER is at the server */
	bool trying;	 /* a login is at the server */
	bool challenged; /* and the server went into it */
	bool astray; /* AUTH failed, and no known command came since: lines may be its secrets */
	char mechanism[SASL_MECHANISM_MAX]; /* of the login; "": none */
};

static inline struct pop3_gate *
pop3_gate_of(struct relay *r)
{
	return (struct pop3_gate *)(void *)r;
}

static inline uint64_t
pop3_now(const struct pop3_gate *g)
{
	return g->relay.env->now(g->relay.env->arg);
}

static inline const struct pop3_config *
pop3_config_of(const struct pop3_gate *g)
{
	return &g->relay.env->config->pop3;
}

static inline const struct retrieval_policy *
pop3_policy_of(const struct pop3_gate *g)
{
	return &g->policy;
}

static inline bool
pop3_observes(const struct pop3_gate *g)
{
	return g->relay.env->observed;
}

/* Where the gateway would end the session: an observer reads on no further. */
static inline void
pop3_is_over(struct pop3_gate *g)
{
	g->relay.lost_track = g->relay.lost_track || pop3_observes(g);
}

/* ---- pop3_commands.c ---- */

void pop3_command(struct pop3_gate *, const struct an_event *);
/* A line of AUTH. */
void pop3_secret(struct pop3_gate *, const struct an_event *);
/* The server has answered USER. */
void pop3_user_answered(struct pop3_gate *, bool ok);
/* The server has answered the login that is under way. */
void pop3_login_over(struct pop3_gate *, const struct an_event *);
/*
 * A reply to a command that would not have gone to the server. True: the server has refused it too,
 * and nothing comes of it; else it counts as what the client said.
 */
bool pop3_refused_too(struct pop3_gate *, const struct an_event *);
void pop3_refused_free(struct pop3_gate *);

/* ---- pop3_replies.c ---- */

/* The newest command is answered, one line without CR LF; ends: NULL, or why the session ends. */
void pop3_answer(struct pop3_gate *, uint64_t slot, const char *reply, const char *ends);
void pop3_reply(struct pop3_gate *, const struct an_event *);
void pop3_line(struct pop3_gate *, const struct an_event *);
void pop3_lines_end(struct pop3_gate *, const struct an_event *);
/* The answer to the oldest command is complete: the gateway's own that waited for it go out. */
void pop3_flush_late(struct pop3_gate *);
/*
 * Says "-ERR ..." and ends the session; where lines or a message are coming in, the client sees a
 * reset instead, so that it takes nothing for whole. The server sees a reset, and no QUIT.
 */
void pop3_give_up(struct pop3_gate *, const char *reply, const char *reason);

/* As ops->upgraded. */
void pop3_upgraded(struct pop3_gate *, enum an_dir, const char *why);

/* ---- pop3_message.c ---- */

/* +OK to RETR or TOP. */
void pop3_message_begin(struct pop3_gate *, const struct an_event *);
void pop3_body(struct pop3_gate *, const struct an_event *);
void pop3_body_oddity(struct pop3_gate *, const struct an_event *);
void pop3_body_end(struct pop3_gate *, const struct an_event *);
/* Observed: n octets of it are missing. */
void pop3_message_gap(struct pop3_gate *, uint64_t n);
/* It breaks off: its record says so. Nothing happens where none is coming in. */
void pop3_message_aborted(struct pop3_gate *);

/* ---- pop3_records.c ---- */

void pop3_record_command(
    struct pop3_gate *, struct span command, const char *status, const struct verdict *);
void pop3_record_message(struct pop3_gate *, const char *outcome, const struct verdict *);
void pop3_record_session(struct pop3_gate *);
void pop3_anomaly(
    struct pop3_gate *, enum an_anomaly, enum an_dir, uint64_t off, const char *detail);
/* A copy of a peer's octets, for records. NULL: no memory. */
char *pop3_keep(struct span);

#endif
