#include "smtp/verbs.h"

#include "core/words.h"

#define SECRET true
#define SYNC   true
#define JUNK   true
#define NO     false

/* Sorted by name. What follows a SYNC command depends on its reply (RFC 2920 s3.1). */
static const struct smtp_verb_row rows[] = {
    /* name      verb           arguments           secret  sync  junk                          */
    {"AUTH", SMTP_AUTH, SMTP_ARGS_REQUIRED, SECRET, SYNC, NO},	   /* RFC 4954 s4         */
    {"BDAT", SMTP_BDAT, SMTP_ARGS_CHUNK, NO, NO, NO},		   /* RFC 3030 s2         */
    {"CONNECT", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, NO, SYNC, NO},   /* HTTP                */
    {"DATA", SMTP_DATA, SMTP_ARGS_NONE, NO, SYNC, NO},		   /* RFC 5321 s4.1.1.4   */
    {"DELETE", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, NO, SYNC, NO},	   /* HTTP                */
    {"EHLO", SMTP_EHLO, SMTP_ARGS_REQUIRED, NO, SYNC, NO},	   /* RFC 5321 s4.1.1.1   */
    {"ETRN", SMTP_ETRN, SMTP_ARGS_REQUIRED, NO, NO, JUNK},	   /* RFC 1985            */
    {"EXPN", SMTP_EXPN, SMTP_ARGS_REQUIRED, NO, NO, JUNK},	   /* RFC 5321 s4.1.1.7   */
    {"GET", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, NO, SYNC, NO},	   /* HTTP                */
    {"HEAD", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, NO, SYNC, NO},	   /* HTTP                */
    {"HELO", SMTP_HELO, SMTP_ARGS_REQUIRED, NO, SYNC, NO},	   /* RFC 5321 s4.1.1.1   */
    {"HELP", SMTP_HELP, SMTP_ARGS_OPTIONAL, NO, NO, JUNK},	   /* RFC 5321 s4.1.1.8   */
    {"MAIL", SMTP_MAIL, SMTP_ARGS_PATH, NO, NO, NO},		   /* RFC 5321 s4.1.1.2   */
    {"NOOP", SMTP_NOOP, SMTP_ARGS_OPTIONAL, NO, NO, JUNK},	   /* RFC 5321 s4.1.1.9   */
    {"OPTIONS", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, NO, SYNC, NO},   /* HTTP                */
    {"PATCH", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, NO, SYNC, NO},	   /* HTTP                */
    {"POST", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, NO, SYNC, NO},	   /* HTTP                */
    {"PUT", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, NO, SYNC, NO},	   /* HTTP                */
    {"QUIT", SMTP_QUIT, SMTP_ARGS_NONE, NO, SYNC, NO},		   /* RFC 5321 s4.1.1.10  */
    {"RCPT", SMTP_RCPT, SMTP_ARGS_PATH, NO, NO, NO},		   /* RFC 5321 s4.1.1.3   */
    {"RSET", SMTP_RSET, SMTP_ARGS_NONE, NO, NO, JUNK},		   /* RFC 5321 s4.1.1.5   */
    {"STARTTLS", SMTP_STARTTLS, SMTP_ARGS_NONE, NO, SYNC, NO},	   /* RFC 3207 s4         */
    {"TRACE", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, NO, SYNC, NO},	   /* HTTP                */
    {"VRFY", SMTP_VRFY, SMTP_ARGS_REQUIRED, NO, NO, JUNK},	   /* RFC 5321 s4.1.1.6   */
    {"XCLIENT", SMTP_XCLIENT, SMTP_ARGS_OPTIONAL, SECRET, NO, NO}, /* Postfix: forged origin */
    {"XFORWARD", SMTP_XFORWARD, SMTP_ARGS_OPTIONAL, NO, NO, NO},   /* Postfix             */
};

/* No verbs of the wire, but replies and records need their rows. */
static const struct smtp_verb_row greeting = {"", SMTP_NONE, SMTP_ARGS_NONE, NO, SYNC, NO};
static const struct smtp_verb_row message = {".", SMTP_MESSAGE, SMTP_ARGS_NONE, NO, NO, NO};
static const struct smtp_verb_row unknown = {"?", SMTP_UNKNOWN, SMTP_ARGS_OPTIONAL, SECRET, NO, NO};
static const struct smtp_verb_row foreign = {
    "?", SMTP_FOREIGN, SMTP_ARGS_OPTIONAL, SECRET, SYNC, NO};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

const struct smtp_verb_row *
smtp_verb_find(struct span word)
{
	const struct smtp_verb_row *row = words_find(word, rows, N_ROWS, sizeof(rows[0]));

	if (row != NULL)
		return row;
	/* "Host: example" is a header field of HTTP, and a sign of a request that was sent here */
	return word.n > 1 && word.p[word.n - 1] == ':' ? &foreign : &unknown;
}

const struct smtp_verb_row *
smtp_verb_row(enum smtp_verb verb)
{
	if (verb == SMTP_NONE)
		return &greeting;
	if (verb == SMTP_MESSAGE)
		return &message;
	if (verb == SMTP_FOREIGN)
		return &foreign;
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].verb == verb)
			return &rows[i];
	return &unknown;
}
