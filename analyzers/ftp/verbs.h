/*
 * verbs - the commands of FTP in one table. Sources: RFC 959, 1123 s4.1, 1639, 2228, 2389, 2428,
 * 2640, 3659, 4217, 7151, and what servers really have (XCRC, HASH, MFMT, CSID, AVBL, ...).
 */
#ifndef POSTERN_FTP_VERBS_H
#define POSTERN_FTP_VERBS_H

#include "core/span.h"

enum ftp_verb {
	FTP_NONE, /* the greeting: a reply that no command asked for */
	FTP_ABOR,
	FTP_ACCT,
	FTP_ADAT,
	FTP_ALLO,
	FTP_APPE,
	FTP_AUTH,
	FTP_AVBL,
	FTP_CCC,
	FTP_CDUP,
	FTP_CLNT,
	FTP_COMB,
	FTP_CONF,
	FTP_CSID,
	FTP_CWD,
	FTP_DELE,
	FTP_DSIZ,
	FTP_ENC,
	FTP_EPRT,
	FTP_EPSV,
	FTP_ESTA,
	FTP_ESTP,
	FTP_FEAT,
	FTP_HASH,
	FTP_HELP,
	FTP_HOST,
	FTP_LANG,
	FTP_LIST,
	FTP_LPRT,
	FTP_LPSV,
	FTP_MD5,
	FTP_MDTM,
	FTP_MFCT,
	FTP_MFF,
	FTP_MFMT,
	FTP_MIC,
	FTP_MKD,
	FTP_MLSD,
	FTP_MLST,
	FTP_MMD5,
	FTP_MODE,
	FTP_NLST,
	FTP_NOOP,
	FTP_OPTS,
	FTP_PASS,
	FTP_PASV,
	FTP_PBSZ,
	FTP_PORT,
	FTP_PROT,
	FTP_PWD,
	FTP_QUIT,
	FTP_RANG,
	FTP_REIN,
	FTP_REST,
	FTP_RETR,
	FTP_RMD,
	FTP_RMDA,
	FTP_RNFR,
	FTP_RNTO,
	FTP_SITE,
	FTP_SIZE,
	FTP_SMNT,
	FTP_SPSV, /* and CPSV, SSCN, XPRT, P@SW: data connections that the gateway does not speak */
	FTP_STAT,
	FTP_STOR,
	FTP_STOU,
	FTP_STRU,
	FTP_SYST,
	FTP_THMB,
	FTP_TYPE,
	FTP_USER,
	FTP_XCRC,
	FTP_XCUP,
	FTP_XCWD,
	FTP_XMD5,
	FTP_XMKD,
	FTP_XPWD,
	FTP_XRMD,
	FTP_XSHA,
	FTP_XSHA1,
	FTP_XSHA256,
	FTP_XSHA512,
	FTP_FOREIGN, /* a request of another protocol (HTTP, SMTP), or a reply line of FTP itself */
	FTP_UNKNOWN,
};

enum ftp_args {
	FTP_ARGS_NONE,	   /* none allowed: 501 */
	FTP_ARGS_OPTIONAL, /* text, forwarded as it is */
	FTP_ARGS_REQUIRED,
	FTP_ARGS_HOSTPORT, /* PORT */
	FTP_ARGS_EPRT,
	FTP_ARGS_EPSV,
	FTP_ARGS_NUMBER, /* REST: octets */
};

/* What its data connection carries, when it has one. */
enum ftp_carries {
	FTP_NO_TRANSFER,
	FTP_DOWNLOAD, /* a file, from the server */
	FTP_UPLOAD,   /* a file, from the client */
	FTP_LISTING,  /* names of files, from the server */
};

/* One row per verb, sorted by name (the unit test checks it). */
struct ftp_verb_row {
	const char *name;
	enum ftp_verb verb;
	enum ftp_args args;
	enum ftp_carries carries;
	bool secret;  /* arguments never reach a record: PASS, ACCT, ADAT, ... */
	bool writes;  /* changes something at the server: refused by the read-only profile */
	bool path;    /* its argument is a path, relative to the working directory */
	bool anytime; /* may be given while a transfer runs (RFC 959 s4.1.3): ABOR, STAT, QUIT, NOOP
		       */
	bool tls;     /* of RFC 2228, 4217: AUTH, PBSZ, PROT, CCC, ... */
};

/* Never NULL: a word that is no verb gives the row of FTP_UNKNOWN or FTP_FOREIGN. Any case. */
const struct ftp_verb_row *ftp_verb_find(struct span word);
const struct ftp_verb_row *ftp_verb_row(enum ftp_verb);
/* "227", "211-Features": what only a server says (its row is that of FTP_FOREIGN). */
bool ftp_is_reply_word(struct span word);

#endif
