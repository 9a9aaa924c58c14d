/*
 * verbs - the commands of IMAP in one table. Sources: RFC 3501, 9051 and the extensions named in
 * the rows (IDLE 2177, NAMESPACE 2342, ID 2971, UNSELECT 3691, ACL 4314, QUOTA 9208, SORT and
 * THREAD 5256, COMPRESS 4978, ENABLE 5161, METADATA 5464, NOTIFY 5465, ESEARCH 7377, MOVE 6851,
 * ...).
 */
#ifndef POSTERN_IMAP_VERBS_H
#define POSTERN_IMAP_VERBS_H

#include "core/span.h"

enum imap_verb {
	IMAP_NONE,
	/* clang-format off */
	IMAP_APPEND, IMAP_AUTHENTICATE, IMAP_CAPABILITY, IMAP_CHECK, IMAP_CLOSE, IMAP_COMPRESS,
	IMAP_COPY, IMAP_CREATE, IMAP_DELETE, IMAP_DELETEACL, IMAP_ENABLE, IMAP_ESEARCH, IMAP_EXAMINE,
	IMAP_EXPUNGE, IMAP_FETCH, IMAP_GETACL, IMAP_GETMETADATA, IMAP_GETQUOTA, IMAP_GETQUOTAROOT,
	IMAP_ID, IMAP_IDLE, IMAP_LIST, IMAP_LISTRIGHTS, IMAP_LOGIN, IMAP_LOGOUT, IMAP_LSUB, IMAP_MOVE,
	IMAP_MYRIGHTS, IMAP_NAMESPACE, IMAP_NOOP, IMAP_NOTIFY, IMAP_RENAME, IMAP_REPLACE, IMAP_RESETKEY,
	IMAP_RLIST, IMAP_RLSUB, IMAP_SEARCH, IMAP_SELECT, IMAP_SETACL, IMAP_SETMETADATA, IMAP_SETQUOTA,
	IMAP_SORT, IMAP_STARTTLS, IMAP_STATUS, IMAP_STORE, IMAP_SUBSCRIBE, IMAP_THREAD,
	IMAP_UNAUTHENTICATE, IMAP_UNSELECT, IMAP_UNSUBSCRIBE,
	/* clang-format on */
	IMAP_FOREIGN, /* a request of another protocol (HTTP) */
	IMAP_UNKNOWN,
};

/* States of a session (RFC 9051 s3). */
enum imap_phase {
	IMAP_GREETING,
	IMAP_NOT_AUTHENTICATED,
	IMAP_AUTHENTICATED,
	IMAP_SELECTED,
	IMAP_LOGGED_OUT,
	IMAP_OPAQUE, /* TLS */
};

#define IMAP_IN(phase) (1u << (phase))

/* One row per verb, sorted by name (the unit test checks it). */
struct imap_verb_row {
	const char *name;
	enum imap_verb verb;
	unsigned phases; /* IMAP_IN(): where it may be given */
	bool uid;	 /* may stand behind UID */
	bool secret;	 /* LOGIN, AUTHENTICATE: arguments and literals never reach a record */
	bool sync;   /* what follows depends on its reply: STARTTLS, AUTHENTICATE, LOGIN, IDLE */
	bool writes; /* refused by the read-only profile */
	/*
	 * A server that does not know a command, or knows no arguments of it, reads what comes in a
	 * literal that is not waited for as commands. Such a literal passes where the server has
	 * named this capability; "": it knows the command in any case; NULL: no literal belongs
	 * here.
	 */
	const char *literals;
};

/* Never NULL. Any case. */
const struct imap_verb_row *imap_verb_find(struct span word);
const struct imap_verb_row *imap_verb_row(enum imap_verb);
const char *imap_phase_name(enum imap_phase);

#endif
