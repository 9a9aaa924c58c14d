/*
 * verbs - the commands of POP3 in one table. Sources: RFC 1939, 2449 (CAPA), 2595 (STLS), 5034 and
 * 1734 (AUTH), 6856 (UTF8, LANG), 1460 (LAST).
 */
#ifndef POSTERN_POP3_VERBS_H
#define POSTERN_POP3_VERBS_H

#include "core/span.h"

enum pop3_verb {
	POP3_NONE, /* the greeting: a reply that no command asked for */
	POP3_APOP,
	POP3_AUTH,
	POP3_CAPA,
	POP3_DELE,
	POP3_LANG,
	POP3_LAST,
	POP3_LIST,
	POP3_NOOP,
	POP3_PASS,
	POP3_QUIT,
	POP3_RETR,
	POP3_RSET,
	POP3_STAT,
	POP3_STLS,
	POP3_TOP,
	POP3_UIDL,
	POP3_USER,
	POP3_UTF8,
	POP3_XTND,
	POP3_FOREIGN, /* a request of another protocol (HTTP) */
	POP3_UNKNOWN,
};

/* When +OK is followed by lines up to a dot (RFC 1939 s3). */
enum pop3_lines {
	POP3_SINGLE,
	POP3_LINES,	    /* always: CAPA */
	POP3_LINES_BARE,    /* without an argument: LIST, UIDL, AUTH, LANG */
	POP3_LINES_MESSAGE, /* always, and they are a message: RETR, TOP */
};

/* The phases of a session (RFC 1939 s3). */
enum pop3_phase {
	POP3_GREETING, /* the server has not spoken */
	POP3_AUTHORIZATION,
	POP3_TRANSACTION,
	POP3_UPDATE, /* QUIT was accepted in transaction: deletions happen now */
	POP3_OPAQUE, /* TLS */
};

#define POP3_IN(phase) (1u << (phase))

#define POP3_ARGS_TEXT 255 /* args_max: text up to the end of the line, blanks and all */

/* One row per verb, sorted by name (the unit test checks it). */
struct pop3_verb_row {
	const char *name;
	enum pop3_verb verb;
	unsigned phases;		  /* POP3_IN(): where it may be given */
	unsigned char args_min, args_max; /* words */
	enum pop3_lines lines;
	bool secret; /* arguments never reach a record: PASS, APOP's digest, AUTH's response */
	bool sync;   /* what follows depends on its reply: AUTH, STLS, PASS, APOP, QUIT */
	bool writes; /* DELE: refused by the read-only profile */
};

/* Never NULL. Any case. */
const struct pop3_verb_row *pop3_verb_find(struct span word);
const struct pop3_verb_row *pop3_verb_row(enum pop3_verb);
const char *pop3_phase_name(enum pop3_phase);

#endif
