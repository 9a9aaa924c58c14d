#include "pop3/verbs.h"

#include "core/words.h"

#define ANY    POP3_ARGS_TEXT
#define BEFORE POP3_IN(POP3_AUTHORIZATION)
#define WITHIN POP3_IN(POP3_TRANSACTION)
#define BOTH   (BEFORE | WITHIN)

#define PLAIN  .secret = false
#define SECRET .secret = true
#define SYNC   .sync = true
#define WRITES .writes = true

#define FOREIGN(name)                                                                              \
	{                                                                                          \
		name, POP3_FOREIGN, BOTH, 0, ANY, POP3_SINGLE, SECRET                              \
	}

static const struct pop3_verb_row rows[] = {
    {"APOP", POP3_APOP, BEFORE, 2, ANY, POP3_SINGLE, SECRET, SYNC},   /* RFC 1939 s7 */
    {"AUTH", POP3_AUTH, BEFORE, 0, 2, POP3_LINES_BARE, SECRET, SYNC}, /* RFC 5034 s4 */
    {"CAPA", POP3_CAPA, BOTH, 0, 0, POP3_LINES, PLAIN},		      /* RFC 2449 s5 */
    FOREIGN("CONFIG"),						      /* Redis */
    FOREIGN("CONNECT"),						      /* HTTP */
    {"DELE", POP3_DELE, WITHIN, 1, 1, POP3_SINGLE, WRITES},	      /* RFC 1939 s5 */
    FOREIGN("DELETE"),						      /* HTTP */
    FOREIGN("EHLO"),						      /* SMTP */
    FOREIGN("EVAL"),						      /* Redis */
    FOREIGN("FLUSHALL"),					      /* Redis */
    FOREIGN("GET"),						      /* HTTP, Redis */
    FOREIGN("HEAD"),						      /* HTTP */
    FOREIGN("HELO"),						      /* SMTP */
    FOREIGN("INFO"),						      /* Redis */
    FOREIGN("INVITE"),						      /* SIP */
    {"LANG", POP3_LANG, BOTH, 0, 1, POP3_LINES_BARE, PLAIN},	      /* RFC 6856 s3 */
    {"LAST", POP3_LAST, WITHIN, 0, 0, POP3_SINGLE, PLAIN},	      /* RFC 1460 */
    {"LIST", POP3_LIST, WITHIN, 0, 1, POP3_LINES_BARE, PLAIN},	      /* RFC 1939 s5 */
    FOREIGN("MAIL"),						      /* SMTP */
    {"NOOP", POP3_NOOP, WITHIN, 0, 0, POP3_SINGLE, PLAIN},	      /* RFC 1939 s5 */
    FOREIGN("OPTIONS"),						      /* HTTP */
    {"PASS", POP3_PASS, BEFORE, 0, ANY, POP3_SINGLE, SECRET, SYNC},   /* RFC 1939 s7 */
    FOREIGN("PING"),						      /* Redis */
    FOREIGN("POST"),						      /* HTTP */
    FOREIGN("PUT"),						      /* HTTP */
    {"QUIT", POP3_QUIT, BOTH, 0, 0, POP3_SINGLE, SYNC},		      /* RFC 1939 s6 */
    FOREIGN("RCPT"),						      /* SMTP */
    FOREIGN("REGISTER"),					      /* SIP */
    {"RETR", POP3_RETR, WITHIN, 1, 1, POP3_LINES_MESSAGE, PLAIN},     /* RFC 1939 s5 */
    {"RSET", POP3_RSET, WITHIN, 0, 0, POP3_SINGLE, PLAIN},	      /* RFC 1939 s5 */
    FOREIGN("SET"),						      /* Redis */
    FOREIGN("SLAVEOF"),						      /* Redis */
    {"STAT", POP3_STAT, WITHIN, 0, 0, POP3_SINGLE, PLAIN},	      /* RFC 1939 s5 */
    {"STLS", POP3_STLS, BEFORE, 0, 0, POP3_SINGLE, SYNC},	      /* RFC 2595 s4 */
    {"TOP", POP3_TOP, WITHIN, 2, 2, POP3_LINES_MESSAGE, PLAIN},	      /* RFC 1939 s7 */
    FOREIGN("TRACE"),						      /* HTTP */
    {"UIDL", POP3_UIDL, WITHIN, 0, 1, POP3_LINES_BARE, PLAIN},	      /* RFC 1939 s7 */
    {"USER", POP3_USER, BEFORE, 1, ANY, POP3_SINGLE, PLAIN},	      /* RFC 1939 s7 */
    {"UTF8", POP3_UTF8, BEFORE, 0, 0, POP3_SINGLE, PLAIN},	      /* RFC 6856 s2 */
    {"XTND", POP3_XTND, WITHIN, 0, ANY, POP3_SINGLE, PLAIN},	      /* XMIT: 4.4BSD popper */
};

/* No verbs of the wire, but replies and records need their rows. */
static const struct pop3_verb_row greeting = {"", POP3_NONE, 0, 0, 0, POP3_SINGLE, PLAIN};
static const struct pop3_verb_row foreign = {"?", POP3_FOREIGN, BOTH, 0, ANY, POP3_SINGLE, SECRET};
static const struct pop3_verb_row unknown = {"?", POP3_UNKNOWN, BOTH, 0, ANY, POP3_SINGLE, SECRET};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* "Host:" is a header field of HTTP; "*2" and "$4" are Redis (RESP); "+OK" is a server's. */
static bool
is_foreign(struct span word)
{
	return word.n > 0 && (!octet_is_alnum(word.p[0]) || word.p[word.n - 1] == ':');
}

const struct pop3_verb_row *
pop3_verb_find(struct span word)
{
	const struct pop3_verb_row *row = words_find(word, rows, N_ROWS, sizeof(rows[0]));

	if (row != NULL)
		return row->verb == POP3_FOREIGN ? &foreign : row;
	return is_foreign(word) ? &foreign : &unknown;
}

const struct pop3_verb_row *
pop3_verb_row(enum pop3_verb verb)
{
	if (verb == POP3_NONE)
		return &greeting;
	if (verb == POP3_FOREIGN)
		return &foreign;
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].verb == verb)
			return &rows[i];
	return &unknown;
}

const char *
pop3_phase_name(enum pop3_phase phase)
{
	static const char *const names[] = {
	    [POP3_GREETING] = "greeting",
	    [POP3_AUTHORIZATION] = "authorization",
	    [POP3_TRANSACTION] = "transaction",
	    [POP3_UPDATE] = "update",
	    [POP3_OPAQUE] = "opaque",
	};

	return names[phase];
}
