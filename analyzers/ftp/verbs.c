#include "ftp/verbs.h"

#include "core/words.h"

/* What a row says beside its name; PLAIN: nothing. */
#define PLAIN	.secret = false
#define SECRET	.secret = true
#define WRITES	.writes = true
#define PATH	.path = true
#define ANYTIME .anytime = true
#define TLS	.tls = true
#define NO	FTP_NO_TRANSFER

/*
 * Sorted by name. Ways to a data connection that the gateway does not speak share one verb,
 * FTP_SPSV, whatever their names: none of them may reach a server unseen.
 */
static const struct ftp_verb_row rows[] = {
    {"ABOR", FTP_ABOR, FTP_ARGS_NONE, NO, ANYTIME},		     /* RFC 959 s4.1.3 */
    {"ACCT", FTP_ACCT, FTP_ARGS_REQUIRED, NO, SECRET},		     /* RFC 959 s4.1.1 */
    {"ADAT", FTP_ADAT, FTP_ARGS_REQUIRED, NO, SECRET, TLS},	     /* RFC 2228 s3 */
    {"ALLO", FTP_ALLO, FTP_ARGS_REQUIRED, NO, PLAIN},		     /* RFC 959 s4.1.3 */
    {"APPE", FTP_APPE, FTP_ARGS_REQUIRED, FTP_UPLOAD, WRITES, PATH}, /* RFC 959 s4.1.3 */
    {"AUTH", FTP_AUTH, FTP_ARGS_REQUIRED, NO, TLS},		     /* RFC 2228 s3 */
    {"AVBL", FTP_AVBL, FTP_ARGS_OPTIONAL, NO, PATH},	     /* draft-peterson-streamlined-ftp */
    {"CCC", FTP_CCC, FTP_ARGS_NONE, NO, TLS},		     /* RFC 2228 s3 */
    {"CDUP", FTP_CDUP, FTP_ARGS_NONE, NO, PLAIN},	     /* RFC 959 s4.1.1 */
    {"CLNT", FTP_CLNT, FTP_ARGS_REQUIRED, NO, PLAIN},	     /* draft-peterson-streamlined-ftp */
    {"COMB", FTP_COMB, FTP_ARGS_REQUIRED, NO, WRITES},	     /* draft-bryan-ftp-comb */
    {"CONF", FTP_CONF, FTP_ARGS_REQUIRED, NO, SECRET, TLS},  /* RFC 2228 s3 */
    {"CONNECT", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET}, /* HTTP */
    {"CPSV", FTP_SPSV, FTP_ARGS_OPTIONAL, NO, PLAIN},	  /* PASV with the TLS roles turned round */
    {"CSID", FTP_CSID, FTP_ARGS_REQUIRED, NO, PLAIN},	  /* draft-peterson-streamlined-ftp */
    {"CWD", FTP_CWD, FTP_ARGS_REQUIRED, NO, PATH},	  /* RFC 959 s4.1.1 */
    {"DATA", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET}, /* SMTP */
    {"DELE", FTP_DELE, FTP_ARGS_REQUIRED, NO, WRITES, PATH},  /* RFC 959 s4.1.3 */
    {"DELETE", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},   /* HTTP */
    {"DSIZ", FTP_DSIZ, FTP_ARGS_OPTIONAL, NO, PATH},	      /* draft-peterson-streamlined-ftp */
    {"EHLO", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},     /* SMTP */
    {"ENC", FTP_ENC, FTP_ARGS_REQUIRED, NO, SECRET, TLS},     /* RFC 2228 s3 */
    {"EPRT", FTP_EPRT, FTP_ARGS_EPRT, NO, PLAIN},	      /* RFC 2428 s2 */
    {"EPSV", FTP_EPSV, FTP_ARGS_EPSV, NO, PLAIN},	      /* RFC 2428 s3 */
    {"ESTA", FTP_ESTA, FTP_ARGS_OPTIONAL, NO, PLAIN},	      /* draft-liu-ftpext2-ftp64 */
    {"ESTP", FTP_ESTP, FTP_ARGS_OPTIONAL, NO, PLAIN},	      /* draft-liu-ftpext2-ftp64 */
    {"FEAT", FTP_FEAT, FTP_ARGS_NONE, NO, PLAIN},	      /* RFC 2389 s3 */
    {"GET", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},      /* HTTP */
    {"HASH", FTP_HASH, FTP_ARGS_REQUIRED, NO, PATH},	      /* draft-bryan-ftpext-hash */
    {"HEAD", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},     /* HTTP */
    {"HELO", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},     /* SMTP */
    {"HELP", FTP_HELP, FTP_ARGS_OPTIONAL, NO, PLAIN},	      /* RFC 959 s4.1.3 */
    {"HOST", FTP_HOST, FTP_ARGS_REQUIRED, NO, PLAIN},	      /* RFC 7151 s3 */
    {"INVITE", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},   /* SIP */
    {"LANG", FTP_LANG, FTP_ARGS_OPTIONAL, NO, PLAIN},	      /* RFC 2640 s4 */
    {"LIST", FTP_LIST, FTP_ARGS_OPTIONAL, FTP_LISTING, PATH}, /* RFC 959 s4.1.3 */
    {"LPRT", FTP_LPRT, FTP_ARGS_REQUIRED, NO, PLAIN},	      /* RFC 1639 */
    {"LPSV", FTP_LPSV, FTP_ARGS_NONE, NO, PLAIN},	      /* RFC 1639 */
    {"MAIL", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},     /* SMTP */
    {"MD5", FTP_MD5, FTP_ARGS_REQUIRED, NO, PATH},	      /* draft-twine-ftpmd5 */
    {"MDTM", FTP_MDTM, FTP_ARGS_REQUIRED, NO, PATH},	      /* RFC 3659 s3 */
    {"MFCT", FTP_MFCT, FTP_ARGS_REQUIRED, NO, WRITES},	      /* draft-somers-ftp-mfxx */
    {"MFF", FTP_MFF, FTP_ARGS_REQUIRED, NO, WRITES},	      /* draft-somers-ftp-mfxx */
    {"MFMT", FTP_MFMT, FTP_ARGS_REQUIRED, NO, WRITES},	      /* draft-somers-ftp-mfxx */
    {"MIC", FTP_MIC, FTP_ARGS_REQUIRED, NO, SECRET, TLS},     /* RFC 2228 s3 */
    {"MKD", FTP_MKD, FTP_ARGS_REQUIRED, NO, WRITES, PATH},    /* RFC 959 s4.1.3 */
    {"MLSD", FTP_MLSD, FTP_ARGS_OPTIONAL, FTP_LISTING, PATH}, /* RFC 3659 s7 */
    {"MLST", FTP_MLST, FTP_ARGS_OPTIONAL, NO, PATH},	      /* RFC 3659 s7 */
    {"MMD5", FTP_MMD5, FTP_ARGS_REQUIRED, NO, PLAIN},	      /* draft-twine-ftpmd5 */
    {"MODE", FTP_MODE, FTP_ARGS_REQUIRED, NO, PLAIN},	      /* RFC 959 s4.1.2 */
    {"NLST", FTP_NLST, FTP_ARGS_OPTIONAL, FTP_LISTING, PATH}, /* RFC 959 s4.1.3 */
    {"NOOP", FTP_NOOP, FTP_ARGS_OPTIONAL, NO, ANYTIME},	      /* RFC 959 s4.1.3 */
    {"OPTIONS", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},  /* HTTP */
    {"OPTS", FTP_OPTS, FTP_ARGS_REQUIRED, NO, PLAIN},	      /* RFC 2389 s4 */
    {"P@SW", FTP_SPSV, FTP_ARGS_OPTIONAL, NO, PLAIN},  /* PASV to some servers, as a NAT wrote it */
    {"PASS", FTP_PASS, FTP_ARGS_OPTIONAL, NO, SECRET}, /* RFC 959 s4.1.1; empty for anonymous */
    {"PASV", FTP_PASV, FTP_ARGS_NONE, NO, PLAIN},      /* RFC 959 s4.1.2 */
    {"PATCH", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},     /* HTTP */
    {"PBSZ", FTP_PBSZ, FTP_ARGS_REQUIRED, NO, TLS},	       /* RFC 2228 s3 */
    {"PORT", FTP_PORT, FTP_ARGS_HOSTPORT, NO, PLAIN},	       /* RFC 959 s4.1.2 */
    {"POST", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},      /* HTTP */
    {"PROPFIND", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},  /* HTTP */
    {"PROT", FTP_PROT, FTP_ARGS_REQUIRED, NO, TLS},	       /* RFC 2228 s3 */
    {"PUT", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},       /* HTTP */
    {"PWD", FTP_PWD, FTP_ARGS_NONE, NO, PLAIN},		       /* RFC 959 s4.1.3 */
    {"QUIT", FTP_QUIT, FTP_ARGS_NONE, NO, ANYTIME},	       /* RFC 959 s4.1.1 */
    {"RANG", FTP_RANG, FTP_ARGS_REQUIRED, NO, PLAIN},	       /* draft-bryan-ftp-range */
    {"RCPT", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},      /* SMTP */
    {"REGISTER", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},  /* SIP */
    {"REIN", FTP_REIN, FTP_ARGS_NONE, NO, PLAIN},	       /* RFC 959 s4.1.1 */
    {"REST", FTP_REST, FTP_ARGS_NUMBER, NO, PLAIN},	       /* RFC 959 s4.1.3, 3659 s5 */
    {"RETR", FTP_RETR, FTP_ARGS_REQUIRED, FTP_DOWNLOAD, PATH}, /* RFC 959 s4.1.3 */
    {"RMD", FTP_RMD, FTP_ARGS_REQUIRED, NO, WRITES, PATH},     /* RFC 959 s4.1.3 */
    {"RMDA", FTP_RMDA, FTP_ARGS_REQUIRED, NO, WRITES, PATH},   /* draft-dd-ftp-rmda */
    {"RNFR", FTP_RNFR, FTP_ARGS_REQUIRED, NO, WRITES, PATH},   /* RFC 959 s4.1.3 */
    {"RNTO", FTP_RNTO, FTP_ARGS_REQUIRED, NO, WRITES, PATH},   /* RFC 959 s4.1.3 */
    {"SITE", FTP_SITE, FTP_ARGS_REQUIRED, NO, WRITES}, /* RFC 959 s4.1.3: CHMOD, UTIME, EXEC, ... */
    {"SIZE", FTP_SIZE, FTP_ARGS_REQUIRED, NO, PATH},   /* RFC 3659 s4 */
    {"SMNT", FTP_SMNT, FTP_ARGS_REQUIRED, NO, PATH},   /* RFC 959 s4.1.1 */
    {"SPSV", FTP_SPSV, FTP_ARGS_OPTIONAL, NO, PLAIN},  /* draft-rosenau-ftp-single-port */
    {"SSCN", FTP_SPSV, FTP_ARGS_OPTIONAL, NO, PLAIN},  /* TLS from server to server */
    {"STAT", FTP_STAT, FTP_ARGS_OPTIONAL, NO, ANYTIME, PATH},	     /* RFC 959 s4.1.3 */
    {"STOR", FTP_STOR, FTP_ARGS_REQUIRED, FTP_UPLOAD, WRITES, PATH}, /* RFC 959 s4.1.3 */
    {"STOU", FTP_STOU, FTP_ARGS_OPTIONAL, FTP_UPLOAD, WRITES, PATH}, /* RFC 959 s4.1.3 */
    {"STRU", FTP_STRU, FTP_ARGS_REQUIRED, NO, PLAIN},		     /* RFC 959 s4.1.2 */
    {"SYST", FTP_SYST, FTP_ARGS_NONE, NO, PLAIN},		     /* RFC 959 s4.1.3 */
    {"THMB", FTP_THMB, FTP_ARGS_REQUIRED, FTP_DOWNLOAD, PLAIN}, /* draft-peterson-streamlined-ftp */
    {"TRACE", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET},	/* HTTP */
    {"TYPE", FTP_TYPE, FTP_ARGS_REQUIRED, NO, PLAIN},		/* RFC 959 s4.1.2 */
    {"USER", FTP_USER, FTP_ARGS_REQUIRED, NO, PLAIN},		/* RFC 959 s4.1.1 */
    {"XCRC", FTP_XCRC, FTP_ARGS_REQUIRED, NO,
	PLAIN},					     /* as servers have them: XCRC name [from to] */
    {"XCUP", FTP_XCUP, FTP_ARGS_NONE, NO, PLAIN},    /* RFC 775 */
    {"XCWD", FTP_XCWD, FTP_ARGS_REQUIRED, NO, PATH}, /* RFC 775 */
    {"XMD5", FTP_XMD5, FTP_ARGS_REQUIRED, NO, PLAIN},
    {"XMKD", FTP_XMKD, FTP_ARGS_REQUIRED, NO, WRITES, PATH}, /* RFC 775 */
    {"XPRT", FTP_SPSV, FTP_ARGS_OPTIONAL, NO, PLAIN},	     /* EPRT before it had its name */
    {"XPWD", FTP_XPWD, FTP_ARGS_NONE, NO, PLAIN},	     /* RFC 775 */
    {"XRMD", FTP_XRMD, FTP_ARGS_REQUIRED, NO, WRITES, PATH}, /* RFC 775 */
    {"XSHA", FTP_XSHA, FTP_ARGS_REQUIRED, NO, PLAIN},
    {"XSHA1", FTP_XSHA1, FTP_ARGS_REQUIRED, NO, PLAIN},
    {"XSHA256", FTP_XSHA256, FTP_ARGS_REQUIRED, NO, PLAIN},
    {"XSHA512", FTP_XSHA512, FTP_ARGS_REQUIRED, NO, PLAIN},
};

/* No verbs of the wire, but replies and records need their rows. */
static const struct ftp_verb_row greeting = {"", FTP_NONE, FTP_ARGS_NONE, NO, PLAIN};
static const struct ftp_verb_row foreign = {"?", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET};
static const struct ftp_verb_row unknown = {"?", FTP_UNKNOWN, FTP_ARGS_OPTIONAL, NO, SECRET};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* "227", "211-Features": what only a server says. */
bool
ftp_is_reply_word(struct span word)
{
	return word.n >= 3 && octet_is_digit(word.p[0]) && octet_is_digit(word.p[1]) &&
	       octet_is_digit(word.p[2]) && (word.n == 3 || word.p[3] == '-');
}

const struct ftp_verb_row *
ftp_verb_find(struct span word)
{
	const struct ftp_verb_row *row = words_find(word, rows, N_ROWS, sizeof(rows[0]));

	if (row != NULL)
		return row->verb == FTP_FOREIGN ? &foreign : row;
	/* "Host: example" is a header field of HTTP, and a sign of a request that was sent here */
	if (ftp_is_reply_word(word) || (word.n > 1 && word.p[word.n - 1] == ':'))
		return &foreign;
	return &unknown;
}

const struct ftp_verb_row *
ftp_verb_row(enum ftp_verb verb)
{
	if (verb == FTP_NONE)
		return &greeting;
	if (verb == FTP_FOREIGN)
		return &foreign;
	/* rows are in the order of the verbs, with others between them; SPSV's first is out of it
	 */
	for (size_t i = verb == FTP_SPSV ? 0 : (size_t)verb - FTP_ABOR; i < N_ROWS; i++)
		if (rows[i].verb == verb)
			return &rows[i];
	return &unknown;
}
