/*
 * verbs - the commands of SMTP in one table (RFC 5321 s4.1.1 and the extensions named in it).
 */
#ifndef POSTERN_SMTP_VERBS_H
#define POSTERN_SMTP_VERBS_H

#include "core/span.h"

enum smtp_verb {
	SMTP_NONE, /* the greeting: a reply that no command asked for */
	SMTP_HELO,
	SMTP_EHLO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_ETRN,
	SMTP_AUTH,
	SMTP_STARTTLS,
	SMTP_QUIT,
	SMTP_XCLIENT,
	SMTP_XFORWARD,
	SMTP_MESSAGE, /* no verb: the end of a DATA body, which gets a reply of its own */
	SMTP_FOREIGN, /* a request of another protocol (HTTP) */
	SMTP_UNKNOWN,
};

enum smtp_args {
	SMTP_ARGS_NONE,	    /* none allowed: 501 5.5.4 */
	SMTP_ARGS_OPTIONAL, /* text, forwarded as it is */
	SMTP_ARGS_REQUIRED,
	SMTP_ARGS_PATH, /* FROM:<> or TO:<> with parameters */
	SMTP_ARGS_CHUNK,
};

/* One row per verb, sorted by name (the unit test checks it). */
struct smtp_verb_row {
	const char *name;
	enum smtp_verb verb;
	enum smtp_args args;
	bool secret; /* arguments never reach a record */
	bool sync;   /* what follows depends on its reply: last in a pipelined group */
	bool junk;   /* does no work for a mail: counted (NOOP, RSET, VRFY, ...) */
};

/* Never NULL: a word that is no verb gives the row of SMTP_UNKNOWN or SMTP_FOREIGN. */
const struct smtp_verb_row *smtp_verb_find(struct span word);
const struct smtp_verb_row *smtp_verb_row(enum smtp_verb);

#endif
