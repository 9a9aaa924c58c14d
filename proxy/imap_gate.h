/*
 * imap_gate - IMAP through the gateway: the dialogue is passed on as it is read, commands are
 * refused here and there, capabilities are rewritten, messages are looked at as they go by.
 *
 * Observed (relay_env.observed), all of that has no effect: commands and messages that would have
 * been refused are with the server, whose replies say what becomes of them.
 *
 * What the files know of each other; nobody else includes this.
 *   relay_imap.c         the row of the protocol: events in, deadlines, peers that go away
 *   imap_commands.c      a command of the client: may it pass, what is noted of it
 *   imap_answers.c       what the gateway says itself, between two responses of the server
 *   imap_replies.c       what the server says
 *   imap_capabilities.c  lists of capabilities
 *   imap_stored.c        messages that the client stores: held at their last octet
 *   imap_fetched.c       contents of a FETCH, and slices that are put together
 *   imap_known.c         sizes and structures that the server told
 *   imap_messages.c      one message: what is in it, its record
 *   imap_records.c       what the session did
 *
 * Memory: an idle session holds struct imap_gate, the dialogue and a few short texts. Commands that
 * wait, messages and what is known of them are made when they come, and go.
 */
#ifndef POSTERN_IMAP_GATE_H
#define POSTERN_IMAP_GATE_H

#include "imap/imap.h"
#include "mime/mail.h"
#include "relay.h"
#include "smtp/sasl.h"

#define IMAP_ANOMALIES_MAX 64	/* records of anomalies per session */
#define IMAP_WORD_MAX	   1024 /* octets of a user or a mailbox that are kept, with a NUL */
#define IMAP_SECTION_MAX   72	/* of a section: longer ones are cut */
#define IMAP_ASKED_MAX	   8	/* slices that one FETCH asks for and that are remembered */
#define IMAP_STORED_MAX	   4	/* stored messages that wait for the server's answer */
#define IMAP_OPEN_MAX	   4	/* fetched messages of which slices have come */
#define IMAP_DONE_MAX	   8	/* contents of one FETCH response that wait for its UID */
#define IMAP_OWN_HELD	   2048 /* octets of own answers, then the client has to wait */

/* A message, or a part of one, that is fetched or stored. */
struct imap_message {
	struct imap_message *next;
	uint64_t number, uid; /* 0: not known */
	enum imap_content content;
	char section[IMAP_SECTION_MAX]; /* "": all of it */
	uint64_t octets;
	uint64_t missing;  /* of them, in the capture; what follows is only counted */
	uint64_t base;	   /* of octets, those of a header that was fetched before the text */
	bool header_only;  /* its text has not come */
	bool gap;	   /* something of it is missing: between its octets, or its beginning */
	bool refused;	   /* observed: what is in it is not wanted */
	bool unseen;	   /* nobody was to look into it, or could */
	unsigned urls;	   /* of which alone it is made; 0: octets came */
	struct mail *mail; /* NULL: nothing is known */
};

/* A command that the server has, until its tagged reply. */
struct imap_command {
	struct imap_command *next;
	uint64_t slot;
	const struct imap_verb_row *verb;
	bool uid;
	bool refused;		     /* observed: it would not have gone to the server */
	bool refused_rest;	     /* ... from its middle on */
	bool bare_lf;		     /* ... for its first line has no CR */
	bool word_comes;	     /* its first argument is a literal that is coming in */
	unsigned urls;		     /* CATENATE: other messages that it names */
	char *word;		     /* its first argument: a mailbox, or the user; or NULL */
	struct sasl *sasl;	     /* AUTHENTICATE */
	uint64_t count;		     /* messages that it names, or that the server said */
	uint64_t since;		     /* env->now() when it came */
	struct imap_message *stored; /* in order */
	size_t n_asked;
	struct imap_asked {
		uint64_t origin, octets;
	} asked[IMAP_ASKED_MAX]; /* slices */
};

/* A message on its way to the server. */
struct imap_storing {
	struct imap_message *message;
	uint64_t slot; /* of its command */
	uint64_t left; /* octets of the literal */
	uint8_t held;  /* its last octet */
	bool has_held;
	bool waits;	/* for the server's "+" */
	bool catenated; /* of several literals, or of other messages too */
};

/* Contents on their way to the client; made when the first comes. */
struct imap_fetching {
	struct imap_message *current; /* whose octets are coming in */
	bool sliced, header;
	uint64_t origin, came;	   /* of this slice */
	struct imap_message *done; /* of this response: wait for its UID */
	struct imap_message *open; /* slices have come, the newest first */
	struct imap_known *known;
};

/* Counts the messages of a set ("41,43:116") that comes in pieces; zeroed, it is ready. */
struct imap_vanishing {
	uint64_t from, number; /* number: the one at hand */
	bool range;	       /* from is set, and the number is where it ends */
	bool digits;	       /* of the number have come */
	bool comes;	       /* pieces follow */
};

struct imap_gate {
	struct relay relay;
	struct imap *dialogue;
	struct retrieval_policy policy; /* of this session, as it is now */
	struct imap_command *commands;	/* that the server has, the oldest first */
	struct imap_fetching *fetching; /* or NULL */
	struct imap_storing *storing;	/* a message of the newest command is coming in, or NULL */
	struct buf own;			/* answers that wait for the end of a response */
	uint64_t asked;			/* when the server was last given something to answer */
	uint64_t acted;			/* when something last came of what peers sent */
	uint64_t number, uid;		/* of the message whose FETCH response is coming in */
	uint64_t exists;		/* messages in the mailbox */
	struct imap_vanishing vanishing;
	size_t behind;	  /* octets that came in behind the event being handled */
	uint64_t drained; /* octets of a refused command */
	unsigned errors, anomalies;
	bool discards; /* octets of the newest command go nowhere: it was refused */
	bool joined;   /* the beginning of the session is not in the capture */
	bool greeted, bye, login_disabled, preauth, logged_in, was_logged_in;
	/* for the record of the session */
	char *user, *client_id, *server_id, *mailbox; /* mailbox: the selected one */
	char mechanism[SASL_MECHANISM_MAX];
	char **mailboxes;
	struct imap_counts {
		uint64_t fetched, fetched_octets, stored, copied, moved, expunged, appended,
		    appended_octets, searched, idle_ms, refused, mailboxes_left_out;
		unsigned commands, mailboxes;
	} counts;
};

static inline struct imap_gate *
imap_gate_of(struct relay *r)
{
	return (struct imap_gate *)(void *)r;
}

static inline uint64_t
imap_now(const struct imap_gate *g)
{
	return g->relay.env->now(g->relay.env->arg);
}

static inline const struct imap_config *
imap_config_of(const struct imap_gate *g)
{
	return &g->relay.env->config->imap;
}

static inline bool
imap_observes(const struct imap_gate *g)
{
	return g->relay.env->observed;
}

/* Where the gateway would end the session: an observer reads on no further. */
static inline void
imap_is_over(struct imap_gate *g)
{
	g->relay.lost_track = g->relay.lost_track || imap_observes(g);
}

/* To the other side, as it came. */
static inline void
imap_pass(struct imap_gate *g, const struct an_event *ev)
{
	channel_pass(relay_to(&g->relay, ev->dir), relay_from(&g->relay, ev->dir), ev->octets);
}

/* ---- imap_commands.c ---- */

void imap_on_command(struct imap_gate *, const struct an_event *);
void imap_on_more(struct imap_gate *, const struct an_event *);
/* Octets of an argument, or of a refused command. */
void imap_on_argument(struct imap_gate *, const struct an_event *);
void imap_on_secret(struct imap_gate *, const struct an_event *);
/* The command of that slot that the server has to answer, or NULL. */
struct imap_command *imap_command_find(struct imap_gate *, uint64_t slot);
/* Taken out of the list, and freed. */
void imap_command_drop(struct imap_gate *, struct imap_command *);
void imap_commands_free(struct imap_gate *);
/* Observed: the server has refused what would not have gone to it, and nothing comes of it. */
void imap_refused_too(struct imap_gate *, struct imap_command *);
/* How many messages a set names ("1:4,7:*") in a mailbox of so many. */
uint64_t imap_set_count(struct span set, uint64_t exists);

/* ---- imap_answers.c ---- */

/* "tag text": at once, or behind the response that the client is getting. */
void imap_say(struct imap_gate *, struct span tag, const char *text);
/* A response of the server is complete: what waited goes out. */
void imap_say_held(struct imap_gate *);
/*
 * "tag text" (text NULL: not that), "* BYE bye", and the end: the server is reset. In the middle of
 * a response the client is reset too, since nothing can be said there.
 */
void imap_give_up(
    struct imap_gate *, struct span tag, const char *text, const char *bye, const char *reason);
/* Once more the client did what it must not. */
void imap_count_error(struct imap_gate *);
void imap_anomaly(struct imap_gate *, enum an_anomaly, enum an_dir, uint64_t off);

/* ---- imap_replies.c ---- */

void imap_on_reply(struct imap_gate *, const struct an_event *);
void imap_on_response(struct imap_gate *, const struct an_event *);
void imap_on_continue(struct imap_gate *, const struct an_event *);
void imap_on_text(struct imap_gate *, const struct an_event *);
/*
 * The server tells of mailboxes while nobody is logged in: no client that believes it is served
 * (N-010). True: the session is ended.
 */
bool imap_ahead_of_login(struct imap_gate *, const struct an_event *);
/* As ops->upgraded. */
void imap_upgraded(struct imap_gate *, enum an_dir, const char *why);

/* ---- imap_capabilities.c ---- */

/* Passes a line on; a list of capabilities in it is rewritten, and what it offers is noted. */
void imap_pass_capabilities(struct imap_gate *, const struct an_event *);

/* ---- imap_stored.c ---- */

/*
 * The line announces a literal that is a message, or a piece of one (CATENATE). c: its command, or
 * NULL: the server has answered it already.
 */
void imap_store_begin(struct imap_gate *, struct imap_command *c, const struct imap_detail *);
/* Any line of a command that stores: what of CATENATE nobody sees here. */
void imap_store_line(struct imap_gate *, struct imap_command *c, const struct imap_detail *);
void imap_store_octets(struct imap_gate *, const struct an_event *);
/* The literal is complete. */
void imap_store_end(struct imap_gate *, const struct an_event *);
/*
 * Text of the command follows: what was held goes out. False: the message is refused, the session
 * ends.
 */
bool imap_store_goes_on(struct imap_gate *, const struct imap_detail *);
/* The server has answered: of a message that is made of others alone no octet ever came. */
void imap_store_urls(struct imap_gate *, struct imap_command *);
/* Observed: n octets of it are missing. */
void imap_store_gap(struct imap_gate *, uint64_t n);
/* Observed: it counts for nothing, and no more does what this command stored. */
void imap_store_forget(struct imap_gate *, struct imap_command *);
/* No more of it will come. */
void imap_store_abort(struct imap_gate *, const char *outcome);
/* The server has answered the command, or nobody will: a constant of struct record_fetched. */
void imap_stored_record(struct imap_gate *, struct imap_command *, const char *outcome);

/* ---- imap_fetched.c ---- */

void imap_on_fetch(struct imap_gate *, const struct an_event *);
void imap_on_fetch_item(struct imap_gate *, const struct an_event *);
void imap_fetch_octets(struct imap_gate *, const struct an_event *);
/* Observed: n octets of content are missing. */
void imap_fetch_gap(struct imap_gate *, uint64_t n);
void imap_fetch_content_end(struct imap_gate *, const struct an_event *);
void imap_on_fetch_end(struct imap_gate *, const struct an_event *);
/* A message went out of the mailbox: later ones have other numbers. 0: nobody knows which. */
void imap_fetch_expunged(struct imap_gate *, uint64_t number);
/* Nothing more of what was begun will come: records are written, memory is given back. */
void imap_fetch_forget(struct imap_gate *);
void imap_fetch_structure(struct imap_gate *, const struct imap_structure *);

/* ---- imap_known.c ---- */

#define IMAP_KNOWN_SIZES      256
#define IMAP_KNOWN_STRUCTURES 8

struct imap_known *imap_known_new(void); /* NULL: no memory */
void imap_known_free(struct imap_known *);
/* Of a message: octets; uid 0: not known (yet). The oldest makes room. */
void imap_known_size(struct imap_known *, uint64_t number, uint64_t uid, uint64_t octets);
/* 0: not known. */
uint64_t imap_known_size_of(const struct imap_known *, uint64_t number, uint64_t uid);
/* Copies; what there is no memory for is not known. */
void imap_known_structure(
    struct imap_known *, uint64_t number, uint64_t uid, const struct imap_structure *);
/* NULL: not known. Good until the next call that changes anything. */
const struct imap_part *imap_known_part(
    const struct imap_known *, uint64_t number, uint64_t uid, struct span path);
/* The UID of the message whose facts came last under this number. */
void imap_known_uid(struct imap_known *, uint64_t number, uint64_t uid);
void imap_known_expunged(struct imap_known *, uint64_t number);

/* ---- imap_messages.c ---- */

/* NULL: no memory. mail: what its octets are to be fed to; NULL: nothing is known of it. */
struct imap_message *imap_message_new(struct imap_gate *, enum imap_content, struct span section);
/* Of a part that is fetched alone: its header is what the server told of it. */
void imap_message_of_part(struct imap_gate *, struct imap_message *);
void imap_message_feed(struct imap_message *, struct span octets);
void imap_message_gap(struct imap_message *, uint64_t n);
/* All of it has come: what is in it is judged; may_hold: it can be refused. */
void imap_message_judge(struct imap_gate *, struct imap_message *, bool may_hold, struct verdict *);
/* Writes its record and frees it. verdict: NULL where none was asked for. */
void imap_message_record(struct imap_gate *, struct imap_message *, const char *command,
    struct span mailbox, const char *outcome, const struct verdict *);
void imap_message_free(struct imap_message *);

/* ---- imap_records.c ---- */

/* A login, or a command that was refused. */
void imap_record_command(struct imap_gate *, const struct an_event *, const char *status,
    struct span user, const struct verdict *);
void imap_note_selected(struct imap_gate *, const char *mailbox); /* NULL: none is */
/* A copy, bounded; *to is freed before. */
void imap_note_text(char **to, struct span);
void imap_record_session(struct imap_gate *);

#endif
