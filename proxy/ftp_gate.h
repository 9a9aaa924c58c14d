/*
 * ftp_gate - FTP through the gateway: a full server to the client, a full client to the server.
 *
 * One command is at the server at a time; what the client sends meanwhile waits, but for ABOR,
 * STAT, QUIT and NOOP during a transfer. So a reply is always known to be whose it is, and none
 * reaches the client that no command of its asked for.
 *
 * What the files know of each other; nobody else includes this.
 *   relay_ftp.c      the row of the protocol: events in, deadlines, peers that go away
 *   ftp_commands.c   a command of the client: may it pass, forward it, or begin something
 *   ftp_replies.c    a reply of the server: to the client, rewritten, or to the gateway itself
 *   ftp_protection.c AUTH, PBSZ, PROT: what of the session is under TLS
 *   ftp_channel.c    where the next data connection leads: PORT, EPRT, PASV, EPSV on both sides
 *   ftp_transfer.c   a transfer: legs, replies and octets in their order, to its one outcome
 *   ftp_content.c    what is in a file, and whether it may pass
 *   ftp_parked.c     transfers whose octets still come behind the server's last word
 *   ftp_observed.c   the same of a session that others have had: nothing is said, all is recorded
 *   ftp_records.c    what is recorded of commands and transfers
 */
#ifndef POSTERN_FTP_GATE_H
#define POSTERN_FTP_GATE_H

#include "data.h"
#include "ftp/ftp.h"
#include "ftp/path.h"
#include "ftp_rules.h"
#include "mime/mail.h"
#include "relay.h"

#define FTP_ANOMALIES_MAX 64 /* records of anomalies per session */
#define FTP_REPLIES_MAX	  4  /* kept of one command for its record: a 1xx or two and the last */
#define FTP_MEANWHILE_MAX 4  /* NOOP, STAT, QUIT during a transfer; the last place is ABOR's */

/* The gateway's answer, or the server's, to one command of the client's: what its record says. */
struct ftp_exchange_reply {
	uint32_t at, n; /* in texts */
	enum record_source source;
	uint16_t code;
	bool plain; /* it quotes nothing */
};

/*
 * A command of the client's that has no final reply yet. It begins when the command comes in, and
 * ends (its record is written, verb is NULL again) when its final reply is on its way to the
 * client. Until then no other command is looked at, but for those in "meanwhile".
 */
struct ftp_exchange {
	const struct ftp_verb_row *verb; /* NULL: there is none */
	unsigned tx_id;			 /* of its record; that of its transfer, too */
	char *word, *args;		 /* as the client wrote them; args NULL: none, or secret */
	char *path;			 /* full, of verbs that have one, at the time it came in */
	uint64_t slot;			 /* in the dialogue; with at_server: of the replies to it */
	bool secret;			 /* its arguments reach no record */
	bool at_server;			 /* it was forwarded */
	bool taken;	    /* the dialogue was told that it is answered here (ftp_answered()) */
	uint16_t data_port; /* PORT, 227, ...: what the client said or was told; 0: none */
	bool data_passive;
	struct ftp_exchange_reply replies[FTP_REPLIES_MAX];
	size_t n_replies;
	struct buf texts;
	struct verdict *verdict; /* NULL: it passed */
};

/* How the next data connection is made, on one side. */
enum ftp_way {
	FTP_WAY_NONE, /* nothing was agreed: the default port, which is refused (425) */
	FTP_WAY_PORT,
	FTP_WAY_EPRT,
	FTP_WAY_PASV,
	FTP_WAY_EPSV,
};

/* What the two sides have agreed on for the next transfer. */
struct ftp_agreement {
	enum ftp_way client, server;
	unsigned tried; /* 1 << enum ftp_way: what this agreement asked the server for */
	struct endpoint
	    client_at; /* PORT, EPRT: where the client waits; PASV, EPSV: what it was told */
	struct endpoint server_at; /* the same of the server, as we see it */
	bool let_by;		   /* the client connects to the server past us */
};

/* ftp_transfer.c has the table of what may follow what. */
enum ftp_stage {
	FTP_IDLE,
	FTP_AGREEING,  /* own commands are at the server (PASV, ...), or a hole is being opened */
	FTP_ANNOUNCED, /* the client knows; a transfer command may follow */
	FTP_OPENING,   /* a transfer command came in; the server has not agreed to it (1xx) */
	FTP_FLOWING,   /* it has: the last leg is opened, octets go */
	FTP_ENDING,    /* nothing flows any more, the server's last reply is not in */
	FTP_STAGES
};

struct ftp_transfer {
	const struct ftp_verb_row *verb;
	char *name; /* as the client gave it; STOU: as the server did; NULL: none */
	char *path; /* full; NULL: of no file */
	bool path_cut;
	unsigned tx_id;
	uint64_t restart, began;
	uint64_t over;		/* let by: when the server said its last word; 0: not yet */
	struct data_pair *pair; /* let_by: for its count only; NULL: there is none */
	/* Of the pair; they may open ahead of the transfer command. */
	bool open[DATA_LEGS];
	struct endpoint ends[DATA_LEGS][2]; /* peer, our end */
	/* What has happened so far; ftp_transfer_outcome() says what it comes to. */
	bool preliminary; /* the server has agreed to it */
	bool finished;	  /* all octets are on the other leg */
	bool cut, refused, aborted, unreachable;
	bool client_failed;	 /* cut: on the client's leg */
	bool quiet;		 /* let by, and nobody came, or nothing moves any more */
	bool flows;		 /* observed: data_ops.flow() was asked for */
	bool unseen;		 /* observed: it took place, and not in the capture */
	bool inspected;		 /* it was to be looked at */
	unsigned asked;		 /* of the verbs that tell whether the name is there */
	bool existed;		 /* the name was there before */
	bool created;		 /* by this session: all agreed that the name was not there */
	bool deleted;		 /* ... and is not any more: it was refused */
	const char *why;	 /* of what went wrong, a constant; NULL: nothing did */
	struct mail *content;	 /* NULL: not looked at */
	struct verdict *verdict; /* on the content; NULL: clean, or not judged */
	unsigned server_code;	 /* its last word; 0: not yet */
	unsigned told;		 /* code of the last reply that the client heard; 0: none */
	uint64_t due; /* env->now() when ftp_transfer_expired() is to be called; 0: never */
};

/*
 * A transfer that has had the server's last word, and whose octets are still coming: of one that is
 * let by, or observed, where they may not be in the capture. The session goes on meanwhile.
 */
struct ftp_parked {
	struct ftp_parked *next; /* a later one */
	struct ftp_transfer transfer;
	struct ftp_agreement agreed;
	enum ftp_stage stage;
	char *user;
	bool ascii;
};

#define FTP_PARKED_MAX 8

/* Of a session that was joined: lines are waited for, of at most so many octets. */
#define FTP_RESYNC_MAX 4096
enum ftp_step { FTP_IN_STEP, FTP_AT_LINE, FTP_WITHIN_LINE };

struct ftp_gate {
	struct relay relay;
	struct ftp *dialogue;
	struct ftp_policy policy; /* of this session */
	struct ftp_exchange exchange;
	/* FTP_MEANWHILE_MAX places, the oldest first; NULL: there are none */
	struct ftp_exchange *meanwhile;
	unsigned n_meanwhile;
	/* The server's 1xx, kept until the client's leg is open, or its last word, until octets are
	 * through. */
	struct buf held;
	unsigned held_code; /* 0: none is held */

	enum ftp_stage stage;
	struct ftp_agreement agreed;
	struct ftp_transfer transfer;
	struct data_pair *pair; /* of the agreement, until a transfer takes it */

	bool sized;	  /* PBSZ was accepted */
	bool not_resumed; /* it was said that the server's data connections resume nothing */
	bool protected[DATA_LEGS]; /* PROT P was: data of that leg is under TLS */

	struct ftp_path directory;
	char *user; /* of the last USER that the server took; NULL: none */
	bool epsv_all, ascii;
	bool mlst;	   /* the server has it, says its last reply to FEAT */
	bool quit;	   /* the client said so */
	bool left;	   /* and the server said goodbye */
	bool own_words;	   /* the reply being handled is ours, in the place of the server's */
	uint64_t scanned;  /* stream offset up to which whole lines of the client are counted */
	size_t lines;	   /* of them, those that are not looked at yet */
	size_t behind;	   /* octets that came in behind the event being handled */
	uint64_t restart;  /* REST, for the next transfer */
	uint64_t abor_due; /* env->now() when ftp_abor_expired() is to be called; 0: never */

	struct ftp_parked *parked; /* the oldest first */
	unsigned n_parked;

	/* Observed only. */
	struct ftp_agreement before; /* of the last transfer */
	bool supposed;		     /* the agreement is what is usual where there is none */
	struct endpoint asked_at;    /* what PORT or EPRT says that has no reply yet */
	bool out_of_step;	     /* what the client says next cannot be understood */
	bool unheard;		     /* the server's side is not in the capture */
	bool mid_reply;		     /* the server has begun a reply, and not ended it */
	enum ftp_step resync[2];     /* joined: what of a direction comes next */

	unsigned errors, anomalies;
	uint64_t asked,
	    acted; /* env->now() when the server was last asked; when anything last came of it */
};

static inline struct ftp_gate *
ftp_gate_of(struct relay *r)
{
	return (struct ftp_gate *)(void *)r;
}

static inline uint64_t
ftp_now(const struct ftp_gate *g)
{
	return g->relay.env->now(g->relay.env->arg);
}

static inline bool
ftp_observed(const struct ftp_gate *g)
{
	return g->relay.env->observed;
}

static inline const struct ftp_config *
ftp_config_of(const struct ftp_gate *g)
{
	return &g->relay.env->config->ftp;
}

/* ---- ftp_commands.c ---- */

/* Begins the exchange, has it judged, and hands it to whom it concerns or to the server. */
void ftp_command(struct ftp_gate *, const struct an_event *);
/*
 * The exchange's command goes to the server, written anew. ev NULL: later, from the exchange's own
 * copy (no secret verb).
 */
void ftp_forward(struct ftp_gate *, const struct an_event *);
/* The same, with other arguments than the client's. */
void ftp_forward_as(struct ftp_gate *, struct ftp_exchange *, const char *args);
/*
 * The client's command is the gateway's to answer: what comes next from the server is not the reply
 * to it, and it can still be forwarded later (SIZE ahead of STOR).
 */
void ftp_take(struct ftp_gate *);
/* A command of the gateway's own, for which the client's is taken; args may be NULL. Its final
 * reply goes to ftp_channel_reply(). */
void ftp_ask(struct ftp_gate *, enum ftp_verb, const char *args);

/* RNTO: the verdict on the new name, recorded where it refuses or would. */
void ftp_judge_name(
    struct ftp_gate *, struct ftp_exchange *, const struct an_event *, struct verdict *);
/* PORT, EPRT to where data may not lead. */
bool ftp_is_bounce(const struct verdict *);

/* ---- ftp_replies.c ---- */

void ftp_reply(struct ftp_gate *, const struct an_event *);
/* A reply that is well formed goes to whom it concerns. */
void ftp_dispatch(struct ftp_gate *, const struct an_event *);
/*
 * A reply of the server's goes to the client, line by line, and into the record of the exchange
 * that it belongs to; a final one ends that exchange.
 */
void ftp_pass_reply(struct ftp_gate *, const struct an_event *);
/* The same, of which the client reads these lines (with CR LF) in place of the server's. */
void ftp_pass_reply_as(struct ftp_gate *, const struct an_event *, struct span instead);
/*
 * The gateway replies to the exchange itself, one line without CR LF; a final reply ends the
 * exchange, a 1xx does not. What the server still says to that command is then nobody's: the
 * caller swallows it. Nothing happens where there is no exchange.
 */
void ftp_say(struct ftp_gate *, const char *reply);
/*
 * A reply to the exchange, 1xx or final, is kept (a copy), and the server not heard any further,
 * until ftp_release_reply(): it goes to the client; reply not NULL: this in its place. ftp_say()
 * drops what is held.
 */
void ftp_hold_reply(struct ftp_gate *, const struct an_event *);
void ftp_release_reply(struct ftp_gate *, const char *reply);
/* The same to one of "meanwhile". */
void ftp_say_to(struct ftp_gate *, struct ftp_exchange *, const char *reply);
/* Says "421 ..." and ends the session; a transfer is cut. */
void ftp_give_up(struct ftp_gate *, const char *reply, const char *reason);
void ftp_count_error(struct ftp_gate *);

/* A reply of one line is word for word what a verdict says. */
bool ftp_says(const struct an_event *, const struct verdict *);

/* ---- ftp_protection.c ---- */

/* What of TLS is the session's own, in the place of what is configured. */
struct ftp_policy ftp_session_policy(const struct relay *);
/* AUTH, PBSZ, PROT of the client, which are let pass; and the server's final replies to them. */
void ftp_protection_command(struct ftp_gate *, struct ftp_exchange *, const struct an_event *);
void ftp_protection_reply(struct ftp_gate *, struct ftp_exchange *, const struct an_event *);
/*
 * What the configuration wants of the server's side, and the client has not asked for: the gateway
 * asks itself, ahead of an agreement. True: ftp_channel_go_on() comes when the server has answered.
 */
bool ftp_protect_server(struct ftp_gate *);
/* A final reply to its PBSZ or PROT. */
void ftp_protection_own_reply(struct ftp_gate *, const struct an_event *);
/* A leg is under TLS, or will not be (why): for relay_ops.upgraded(). */
void ftp_upgraded(struct ftp_gate *, enum an_dir, const char *why);

/* ---- ftp_channel.c ---- */

/* PORT, EPRT, PASV, EPSV of the client. */
void ftp_channel_command(struct ftp_gate *, const struct an_event *);
/* A final reply to a command of the gateway's own (ev->ftp->verb; SIZE, MDTM, MLST, DELE go where
 * they belong).
 */
void ftp_channel_reply(struct ftp_gate *, const struct an_event *);
/* The server's side has the protection that it is to have; or cannot have it. */
void ftp_channel_go_on(struct ftp_gate *, bool protected);
/* News of the pair that waits for its transfer. */
void ftp_channel_news(struct ftp_gate *, const struct data_news *);
/* Nothing is agreed any more; holes are closed (REIN, USER, a new PORT, the end). */
void ftp_channel_forget(struct ftp_gate *);

enum ftp_way ftp_way_of(enum ftp_verb);
bool ftp_way_is_passive(enum ftp_way);
/* The client sees the server's address and the server the client's. */
bool ftp_transparent(const struct ftp_gate *);
/* The legs of transfer.pair that are ours to open. */
void ftp_dial_server(struct ftp_gate *);
void ftp_dial_client(struct ftp_gate *);
void ftp_leg_opened(struct ftp_gate *, const struct data_news *);
/* Somebody else came to a hole, or nobody in time: an anomaly. */
void ftp_intruder(struct ftp_gate *, const struct data_news *);
void ftp_nobody_came(struct ftp_gate *, const struct data_news *);

/* ---- ftp_transfer.c ---- */

/* RETR, STOR, LIST, ... of the client (g->exchange): opens legs and forwards it. */
void ftp_transfer_begin(struct ftp_gate *, const struct an_event *);
/* The server's replies to it, also those that come after the exchange has ended. */
void ftp_transfer_reply(struct ftp_gate *, const struct an_event *);
void ftp_transfer_news(struct ftp_gate *, const struct data_news *);
/* ABOR was forwarded; may be at any time. */
void ftp_transfer_abort(struct ftp_gate *);
/* transfer.due has come. */
void ftp_transfer_expired(struct ftp_gate *);
/* NULL: none does. */
struct ftp_exchange *ftp_abor_that_waits(struct ftp_gate *);
/* abor_due has come: the server has no answer to ABOR. */
void ftp_abor_expired(struct ftp_gate *);
/* A final reply to SIZE, MDTM, MLST or DELE, the gateway's own, on behalf of the transfer. */
void ftp_transfer_own_reply(struct ftp_gate *, const struct an_event *);
/* "complete", "cut", "refused", "unreachable", "aborted", "rejected" (by the server), a constant.
 */
const char *ftp_transfer_outcome(const struct ftp_transfer *);
/*
 * Why the piece of a refused upload is still at the server where it was to be deleted: "existed",
 * "no_evidence" (that it did not), "not_deleted", a constant; NULL: it is not, or need not be.
 */
const char *ftp_transfer_kept(const struct ftp_gate *);
/* Every change of stage goes through this. */
void ftp_enter(struct ftp_gate *, enum ftp_stage);
/* The session ends: whatever runs is cut and recorded. May be called again. */
void ftp_transfer_finish(struct ftp_gate *);

/* What begins a transfer: the pair and the exchange are its own. False: no memory. */
bool ftp_transfer_take_over(struct ftp_gate *);
/* STOU: the server's reply has the name. */
void ftp_transfer_learn_name(struct ftp_gate *, const struct an_event *);
/* The octets may go, or are looked at. */
void ftp_transfer_flow(struct ftp_gate *);
/* An anomaly, where a last word is of that. */
void ftp_transfer_note_reuse(struct ftp_gate *, const struct an_event *);
/* Its records, and it is no more. */
void ftp_transfer_forget(struct ftp_gate *);

/* ---- ftp_observed.c: in place of what the others do, where relay_env.observed ---- */

/* A command that was judged; its exchange is begun. */
void ftp_observed_command(
    struct ftp_gate *, struct ftp_exchange *, const struct an_event *, const struct verdict *);
/* A reply to PORT, EPRT, PASV, EPSV. */
void ftp_observed_agreed(struct ftp_gate *, struct ftp_exchange *, const struct an_event *);
void ftp_observed_transfer_reply(struct ftp_gate *, const struct an_event *);
void ftp_observed_news(struct ftp_gate *, struct data_pair *, const struct data_news *);
/* The transfer that a pair is of, parked or not; NULL: none. */
struct ftp_transfer *ftp_observed_transfer(struct ftp_gate *, const struct data_pair *);
/* Nothing more comes: what is parked is recorded as it is. */
void ftp_observed_finish(struct ftp_gate *);
/* What follows cannot be understood. */
void ftp_observed_lost(struct ftp_gate *);
/* Commands that still wait for the reply to one ahead of them: nothing answers any of them. */
void ftp_observed_rest(struct ftp_gate *);
/* relay_ops.joined: the session has begun already. */
bool ftp_observed_joined(struct ftp_gate *);
/* relay_ops.unheard; and, from then on: the exchange that is open went well. */
bool ftp_observed_unheard(struct ftp_gate *);
void ftp_observed_suppose(struct ftp_gate *);
/*
 * True: in cannot be read yet, and *skip octets of it are passed over: the rest of something whose
 * beginning is not there; up to the first line of the client's that begins with a verb, what the
 * server says is to others. Nothing else is ever true of a session that was seen from its start.
 */
bool ftp_observed_resync(struct ftp_gate *, enum an_dir, struct span in, size_t *skip);
/*
 * A command of the client's waits for the reply to one ahead of it, and the server speaks. Where
 * that is ABOR, and in is no answer to it, there is none: some have one reply for transfer and ABOR
 * together. False: in is too short to tell.
 */
bool ftp_observed_abor(struct ftp_gate *, struct span in);

/* ---- ftp_content.c ---- */

/* Could the transfer be refused for what is in it? Then its last octets have to be held. */
bool ftp_content_may_refuse(const struct ftp_gate *);
void ftp_content_begin(struct ftp_gate *);
/* Octets of transfer.pair, for relay_ops.data_octets(). */
void ftp_content(struct ftp_transfer *, struct span octets);
/* All octets are known: may they go? False: transfer.verdict has what the client is told. */
bool ftp_content_passes(struct ftp_gate *);

/* ---- ftp_parked.c ---- */

/*
 * The transfer is parked, and the next one may come. "finish" ends the oldest where there are too
 * many. No memory: nothing is parked, and the session has to end.
 */
void ftp_park(struct ftp_gate *, void (*finish)(struct ftp_gate *, struct ftp_parked *));
/* g's transfer and what its records say, and p's, change places. */
void ftp_parked_swap(struct ftp_gate *, struct ftp_parked *);
void ftp_parked_free(struct ftp_gate *, struct ftp_parked *);
/* NULL: none has this pair. */
struct ftp_parked *ftp_parked_of(struct ftp_gate *, const struct data_pair *);

/* The transfer was let by, and the client has heard its last word: it is parked, until the kernel's
 * count stands still. */
void ftp_counting_begin(struct ftp_gate *);
/* The client goes on, so it has what there was: counts are read now. False: there are none. */
bool ftp_counting_hurry(struct ftp_gate *);
void ftp_counting_news(struct ftp_gate *, struct data_pair *, const struct data_news *);
/* Records have the counts of the last look. */
void ftp_counting_finish(struct ftp_gate *);

/* ---- ftp_records.c ---- */

/* Its arguments reach no record. */
bool ftp_is_secret(const struct ftp_detail *);

void ftp_record_reply(struct ftp_exchange *, unsigned code, struct span lines, enum record_source);
/* The verdict that refused it, a copy. */
void ftp_record_verdict(struct ftp_gate *, struct ftp_exchange *, const struct verdict *);
/* The exchange has its last reply: its record is written, and it is empty again. */
void ftp_record_exchange(struct ftp_gate *, struct ftp_exchange *);
void ftp_record_transfer(struct ftp_gate *);
/* The path in a verb's argument: LIST, NLST and STAT have options ahead of it, "-la name". */
struct span ftp_name_in(const struct ftp_verb_row *, struct span args);
/* The exchange begins: its number, and its own copy of what was written. False: no memory. */
bool ftp_exchange_begin(struct ftp_gate *, struct ftp_exchange *, const struct an_event *);
void ftp_anomaly(struct ftp_gate *, enum an_anomaly, enum an_dir, uint64_t off, const char *detail);

#endif
