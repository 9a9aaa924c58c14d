#include "imap/verbs.h"

#include "core/words.h"

#include <stddef.h>

#define PRE   IMAP_IN(IMAP_NOT_AUTHENTICATED)
#define IN    (IMAP_IN(IMAP_AUTHENTICATED) | IMAP_IN(IMAP_SELECTED))
#define BOX   IMAP_IN(IMAP_SELECTED)
#define ANY   (PRE | IN)
#define UID   true
#define SEC   true
#define SYNC  true
#define WRITE true
#define NO    false

/* Sorted by name. CLOSE removes what anybody has marked as deleted. */
static const struct imap_verb_row rows[] = {
    /* name       verb     phases  uid secret sync  writes  literals                */
    {"APPEND", IMAP_APPEND, IN, NO, NO, NO, WRITE, ""},			  /* RFC 9051 s6.3.12  */
    {"AUTHENTICATE", IMAP_AUTHENTICATE, PRE, NO, SEC, SYNC, NO, NULL},	  /* RFC 9051 s6.2.2   */
    {"CAPABILITY", IMAP_CAPABILITY, ANY, NO, NO, NO, NO, NULL},		  /* RFC 9051 s6.1.1   */
    {"CHECK", IMAP_CHECK, BOX, NO, NO, NO, NO, NULL},			  /* RFC 3501 s6.4.1   */
    {"CLOSE", IMAP_CLOSE, BOX, NO, NO, NO, WRITE, NULL},		  /* RFC 9051 s6.4.1   */
    {"COMPRESS", IMAP_COMPRESS, IN, NO, NO, SYNC, NO, NULL},		  /* RFC 4978          */
    {"COPY", IMAP_COPY, BOX, UID, NO, NO, WRITE, ""},			  /* RFC 9051 s6.4.7   */
    {"CREATE", IMAP_CREATE, IN, NO, NO, NO, WRITE, ""},			  /* RFC 9051 s6.3.4   */
    {"DELETE", IMAP_DELETE, IN, NO, NO, NO, WRITE, ""},			  /* RFC 9051 s6.3.5   */
    {"DELETEACL", IMAP_DELETEACL, IN, NO, NO, NO, WRITE, "ACL"},	  /* RFC 4314 s3.2     */
    {"ENABLE", IMAP_ENABLE, IN, NO, NO, NO, NO, NULL},			  /* RFC 5161          */
    {"ESEARCH", IMAP_ESEARCH, IN, NO, NO, NO, NO, "MULTISEARCH"},	  /* RFC 7377          */
    {"EXAMINE", IMAP_EXAMINE, IN, NO, NO, NO, NO, ""},			  /* RFC 9051 s6.3.3   */
    {"EXPUNGE", IMAP_EXPUNGE, BOX, UID, NO, NO, WRITE, NULL},		  /* RFC 9051 s6.4.3   */
    {"FETCH", IMAP_FETCH, BOX, UID, NO, NO, NO, ""},			  /* RFC 9051 s6.4.5   */
    {"GETACL", IMAP_GETACL, IN, NO, NO, NO, NO, "ACL"},			  /* RFC 4314 s3.3     */
    {"GETMETADATA", IMAP_GETMETADATA, IN, NO, NO, NO, NO, "METADATA"},	  /* RFC 5464 s4.2     */
    {"GETQUOTA", IMAP_GETQUOTA, IN, NO, NO, NO, NO, "QUOTA"},		  /* RFC 9208 s4.1.2   */
    {"GETQUOTAROOT", IMAP_GETQUOTAROOT, IN, NO, NO, NO, NO, "QUOTA"},	  /* RFC 9208 s4.1.3   */
    {"ID", IMAP_ID, ANY, NO, NO, NO, NO, "ID"},				  /* RFC 2971          */
    {"IDLE", IMAP_IDLE, IN, NO, NO, SYNC, NO, NULL},			  /* RFC 2177          */
    {"LIST", IMAP_LIST, IN, NO, NO, NO, NO, ""},			  /* RFC 9051 s6.3.9   */
    {"LISTRIGHTS", IMAP_LISTRIGHTS, IN, NO, NO, NO, NO, "ACL"},		  /* RFC 4314 s3.4     */
    {"LOGIN", IMAP_LOGIN, PRE, NO, SEC, SYNC, NO, ""},			  /* RFC 9051 s6.2.3   */
    {"LOGOUT", IMAP_LOGOUT, ANY, NO, NO, SYNC, NO, NULL},		  /* RFC 9051 s6.1.3   */
    {"LSUB", IMAP_LSUB, IN, NO, NO, NO, NO, ""},			  /* RFC 3501 s6.3.9   */
    {"MOVE", IMAP_MOVE, BOX, UID, NO, NO, WRITE, "MOVE"},		  /* RFC 6851          */
    {"MYRIGHTS", IMAP_MYRIGHTS, IN, NO, NO, NO, NO, "ACL"},		  /* RFC 4314 s3.5     */
    {"NAMESPACE", IMAP_NAMESPACE, IN, NO, NO, NO, NO, NULL},		  /* RFC 2342          */
    {"NOOP", IMAP_NOOP, ANY, NO, NO, NO, NO, NULL},			  /* RFC 9051 s6.1.2   */
    {"NOTIFY", IMAP_NOTIFY, IN, NO, NO, NO, NO, "NOTIFY"},		  /* RFC 5465          */
    {"RENAME", IMAP_RENAME, IN, NO, NO, NO, WRITE, ""},			  /* RFC 9051 s6.3.6   */
    {"REPLACE", IMAP_REPLACE, BOX, UID, NO, NO, WRITE, "REPLACE"},	  /* RFC 8508          */
    {"RESETKEY", IMAP_RESETKEY, IN, NO, NO, NO, WRITE, "URLAUTH"},	  /* RFC 4467 s7       */
    {"RLIST", IMAP_RLIST, IN, NO, NO, NO, NO, "MAILBOX-REFERRALS"},	  /* RFC 2193 s5       */
    {"RLSUB", IMAP_RLSUB, IN, NO, NO, NO, NO, "MAILBOX-REFERRALS"},	  /* RFC 2193 s6       */
    {"SEARCH", IMAP_SEARCH, BOX, UID, NO, NO, NO, ""},			  /* RFC 9051 s6.4.4   */
    {"SELECT", IMAP_SELECT, IN, NO, NO, NO, NO, ""},			  /* RFC 9051 s6.3.2   */
    {"SETACL", IMAP_SETACL, IN, NO, NO, NO, WRITE, "ACL"},		  /* RFC 4314 s3.1     */
    {"SETMETADATA", IMAP_SETMETADATA, IN, NO, NO, NO, WRITE, "METADATA"}, /* RFC 5464 s4.3     */
    {"SETQUOTA", IMAP_SETQUOTA, IN, NO, NO, NO, WRITE, "QUOTA"},	  /* RFC 9208 s4.1.1   */
    {"SORT", IMAP_SORT, BOX, UID, NO, NO, NO, "SORT"},			  /* RFC 5256          */
    {"STARTTLS", IMAP_STARTTLS, PRE, NO, NO, SYNC, NO, NULL},		  /* RFC 9051 s6.2.1   */
    {"STATUS", IMAP_STATUS, IN, NO, NO, NO, NO, ""},			  /* RFC 9051 s6.3.11  */
    {"STORE", IMAP_STORE, BOX, UID, NO, NO, WRITE, ""},			  /* RFC 9051 s6.4.6   */
    {"SUBSCRIBE", IMAP_SUBSCRIBE, IN, NO, NO, NO, WRITE, ""},		  /* RFC 9051 s6.3.7   */
    {"THREAD", IMAP_THREAD, BOX, UID, NO, NO, NO, "THREAD"},		  /* RFC 5256          */
    {"UNAUTHENTICATE", IMAP_UNAUTHENTICATE, IN, NO, NO, SYNC, NO, NULL},  /* RFC 8437         */
    {"UNSELECT", IMAP_UNSELECT, BOX, NO, NO, NO, NO, NULL},		  /* RFC 3691          */
    {"UNSUBSCRIBE", IMAP_UNSUBSCRIBE, IN, NO, NO, NO, WRITE, ""},	  /* RFC 9051 s6.3.8   */
};

/* No verbs of the wire, but replies and records need their rows. */
static const struct imap_verb_row greeting = {"", IMAP_NONE, 0, NO, NO, NO, NO, NULL};
/* Whatever it may be: its arguments may be secrets, and it may write. */
static const struct imap_verb_row unknown = {"?", IMAP_UNKNOWN, ANY, UID, SEC, NO, WRITE, NULL};
static const struct imap_verb_row foreign = {"?", IMAP_FOREIGN, ANY, NO, SEC, NO, WRITE, NULL};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

const struct imap_verb_row *
imap_verb_find(struct span word)
{
	const struct imap_verb_row *row = words_find(word, rows, N_ROWS, sizeof(rows[0]));

	if (row != NULL)
		return row;
	return &unknown;
}

const struct imap_verb_row *
imap_verb_row(enum imap_verb verb)
{
	if (verb == IMAP_NONE)
		return &greeting;
	if (verb == IMAP_FOREIGN)
		return &foreign;
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].verb == verb)
			return &rows[i];
	return &unknown;
}

const char *
imap_phase_name(enum imap_phase phase)
{
	static const char *const names[] = {
	    [IMAP_GREETING] = "greeting",
	    [IMAP_NOT_AUTHENTICATED] = "not_authenticated",
	    [IMAP_AUTHENTICATED] = "authenticated",
	    [IMAP_SELECTED] = "selected",
	    [IMAP_LOGGED_OUT] = "logged_out",
	    [IMAP_OPAQUE] = "opaque",
	};

	return names[phase];
}
