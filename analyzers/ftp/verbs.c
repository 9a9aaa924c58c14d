#include "ftp/verbs.h"

/* What a row says beside its name. */
#define PLAIN	0u
#define SECRET	(1u << 0)
#define WRITES	(1u << 1)
#define PATH	(1u << 2)
#define ANYTIME (1u << 3)
#define TLS	(1u << 4)
#define NO	FTP_NO_TRANSFER

#define ROW(word, its_verb, its_args, what, facts)                                                 \
	{                                                                                          \
		.name = (word), .verb = (its_verb), .args = (its_args), .carries = (what),         \
		.secret = ((facts)&SECRET) != 0, .writes = ((facts)&WRITES) != 0,                  \
		.path = ((facts)&PATH) != 0, .anytime = ((facts)&ANYTIME) != 0,                    \
		.tls = ((facts)&TLS) != 0                                                          \
	}

/*
 * Sorted by name. Ways to a data connection that the gateway does not speak share one verb,
 * FTP_SPSV, whatever their names: none of them may reach a server unseen.
 */
static const struct ftp_verb_row rows[] = {
    ROW("ABOR", FTP_ABOR, FTP_ARGS_NONE, NO, ANYTIME),			 /* RFC 959 s4.1.3 */
    ROW("ACCT", FTP_ACCT, FTP_ARGS_REQUIRED, NO, SECRET),		 /* RFC 959 s4.1.1 */
    ROW("ADAT", FTP_ADAT, FTP_ARGS_REQUIRED, NO, SECRET | TLS),		 /* RFC 2228 s3 */
    ROW("ALLO", FTP_ALLO, FTP_ARGS_REQUIRED, NO, PLAIN),		 /* RFC 959 s4.1.3 */
    ROW("APPE", FTP_APPE, FTP_ARGS_REQUIRED, FTP_UPLOAD, WRITES | PATH), /* RFC 959 s4.1.3 */
    ROW("AUTH", FTP_AUTH, FTP_ARGS_REQUIRED, NO, TLS),			 /* RFC 2228 s3 */
    ROW("AVBL", FTP_AVBL, FTP_ARGS_OPTIONAL, NO, PATH),		/* draft-peterson-streamlined-ftp */
    ROW("CCC", FTP_CCC, FTP_ARGS_NONE, NO, TLS),		/* RFC 2228 s3 */
    ROW("CDUP", FTP_CDUP, FTP_ARGS_NONE, NO, PLAIN),		/* RFC 959 s4.1.1 */
    ROW("CLNT", FTP_CLNT, FTP_ARGS_REQUIRED, NO, PLAIN),	/* draft-peterson-streamlined-ftp */
    ROW("COMB", FTP_COMB, FTP_ARGS_REQUIRED, NO, WRITES),	/* draft-bryan-ftp-comb */
    ROW("CONF", FTP_CONF, FTP_ARGS_REQUIRED, NO, SECRET | TLS), /* RFC 2228 s3 */
    ROW("CONNECT", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET), /* HTTP */
    ROW("CPSV", FTP_SPSV, FTP_ARGS_OPTIONAL, NO, PLAIN), /* PASV with the TLS roles turned round */
    ROW("CSID", FTP_CSID, FTP_ARGS_REQUIRED, NO, PLAIN), /* draft-peterson-streamlined-ftp */
    ROW("CWD", FTP_CWD, FTP_ARGS_REQUIRED, NO, PATH),	 /* RFC 959 s4.1.1 */
    ROW("DATA", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),	 /* SMTP */
    ROW("DELE", FTP_DELE, FTP_ARGS_REQUIRED, NO, WRITES | PATH), /* RFC 959 s4.1.3 */
    ROW("DELETE", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),	 /* HTTP */
    ROW("DSIZ", FTP_DSIZ, FTP_ARGS_OPTIONAL, NO, PATH),	       /* draft-peterson-streamlined-ftp */
    ROW("EHLO", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),   /* SMTP */
    ROW("ENC", FTP_ENC, FTP_ARGS_REQUIRED, NO, SECRET | TLS),  /* RFC 2228 s3 */
    ROW("EPRT", FTP_EPRT, FTP_ARGS_EPRT, NO, PLAIN),	       /* RFC 2428 s2 */
    ROW("EPSV", FTP_EPSV, FTP_ARGS_EPSV, NO, PLAIN),	       /* RFC 2428 s3 */
    ROW("ESTA", FTP_ESTA, FTP_ARGS_OPTIONAL, NO, PLAIN),       /* draft-liu-ftpext2-ftp64 */
    ROW("ESTP", FTP_ESTP, FTP_ARGS_OPTIONAL, NO, PLAIN),       /* draft-liu-ftpext2-ftp64 */
    ROW("FEAT", FTP_FEAT, FTP_ARGS_NONE, NO, PLAIN),	       /* RFC 2389 s3 */
    ROW("GET", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),    /* HTTP */
    ROW("HASH", FTP_HASH, FTP_ARGS_REQUIRED, NO, PATH),	       /* draft-bryan-ftpext-hash */
    ROW("HEAD", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),   /* HTTP */
    ROW("HELO", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),   /* SMTP */
    ROW("HELP", FTP_HELP, FTP_ARGS_OPTIONAL, NO, PLAIN),       /* RFC 959 s4.1.3 */
    ROW("HOST", FTP_HOST, FTP_ARGS_REQUIRED, NO, PLAIN),       /* RFC 7151 s3 */
    ROW("INVITE", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET), /* SIP */
    ROW("LANG", FTP_LANG, FTP_ARGS_OPTIONAL, NO, PLAIN),       /* RFC 2640 s4 */
    ROW("LIST", FTP_LIST, FTP_ARGS_OPTIONAL, FTP_LISTING, PATH), /* RFC 959 s4.1.3 */
    ROW("LPRT", FTP_LPRT, FTP_ARGS_REQUIRED, NO, PLAIN),	 /* RFC 1639 */
    ROW("LPSV", FTP_LPSV, FTP_ARGS_NONE, NO, PLAIN),		 /* RFC 1639 */
    ROW("MAIL", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),	 /* SMTP */
    ROW("MD5", FTP_MD5, FTP_ARGS_REQUIRED, NO, PATH),		 /* draft-twine-ftpmd5 */
    ROW("MDTM", FTP_MDTM, FTP_ARGS_REQUIRED, NO, PATH),		 /* RFC 3659 s3 */
    ROW("MFCT", FTP_MFCT, FTP_ARGS_REQUIRED, NO, WRITES),	 /* draft-somers-ftp-mfxx */
    ROW("MFF", FTP_MFF, FTP_ARGS_REQUIRED, NO, WRITES),		 /* draft-somers-ftp-mfxx */
    ROW("MFMT", FTP_MFMT, FTP_ARGS_REQUIRED, NO, WRITES),	 /* draft-somers-ftp-mfxx */
    ROW("MIC", FTP_MIC, FTP_ARGS_REQUIRED, NO, SECRET | TLS),	 /* RFC 2228 s3 */
    ROW("MKD", FTP_MKD, FTP_ARGS_REQUIRED, NO, WRITES | PATH),	 /* RFC 959 s4.1.3 */
    ROW("MLSD", FTP_MLSD, FTP_ARGS_OPTIONAL, FTP_LISTING, PATH), /* RFC 3659 s7 */
    ROW("MLST", FTP_MLST, FTP_ARGS_OPTIONAL, NO, PATH),		 /* RFC 3659 s7 */
    ROW("MMD5", FTP_MMD5, FTP_ARGS_REQUIRED, NO, PLAIN),	 /* draft-twine-ftpmd5 */
    ROW("MODE", FTP_MODE, FTP_ARGS_REQUIRED, NO, PLAIN),	 /* RFC 959 s4.1.2 */
    ROW("NLST", FTP_NLST, FTP_ARGS_OPTIONAL, FTP_LISTING, PATH), /* RFC 959 s4.1.3 */
    ROW("NOOP", FTP_NOOP, FTP_ARGS_OPTIONAL, NO, ANYTIME),	 /* RFC 959 s4.1.3 */
    ROW("OPTIONS", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),	 /* HTTP */
    ROW("OPTS", FTP_OPTS, FTP_ARGS_REQUIRED, NO, PLAIN),	 /* RFC 2389 s4 */
    ROW("P@SW", FTP_SPSV, FTP_ARGS_OPTIONAL, NO,
	PLAIN), /* PASV to some servers, as a NAT wrote it */
    ROW("PASS", FTP_PASS, FTP_ARGS_OPTIONAL, NO, SECRET), /* RFC 959 s4.1.1; empty for anonymous */
    ROW("PASV", FTP_PASV, FTP_ARGS_NONE, NO, PLAIN),	  /* RFC 959 s4.1.2 */
    ROW("PATCH", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),	  /* HTTP */
    ROW("PBSZ", FTP_PBSZ, FTP_ARGS_REQUIRED, NO, TLS),		  /* RFC 2228 s3 */
    ROW("PORT", FTP_PORT, FTP_ARGS_HOSTPORT, NO, PLAIN),	  /* RFC 959 s4.1.2 */
    ROW("POST", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),	  /* HTTP */
    ROW("PROPFIND", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),  /* HTTP */
    ROW("PROT", FTP_PROT, FTP_ARGS_REQUIRED, NO, TLS),		  /* RFC 2228 s3 */
    ROW("PUT", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),	  /* HTTP */
    ROW("PWD", FTP_PWD, FTP_ARGS_NONE, NO, PLAIN),		  /* RFC 959 s4.1.3 */
    ROW("QUIT", FTP_QUIT, FTP_ARGS_NONE, NO, ANYTIME),		  /* RFC 959 s4.1.1 */
    ROW("RANG", FTP_RANG, FTP_ARGS_REQUIRED, NO, PLAIN),	  /* draft-bryan-ftp-range */
    ROW("RCPT", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),	  /* SMTP */
    ROW("REGISTER", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET),  /* SIP */
    ROW("REIN", FTP_REIN, FTP_ARGS_NONE, NO, PLAIN),		  /* RFC 959 s4.1.1 */
    ROW("REST", FTP_REST, FTP_ARGS_NUMBER, NO, PLAIN),		  /* RFC 959 s4.1.3, 3659 s5 */
    ROW("RETR", FTP_RETR, FTP_ARGS_REQUIRED, FTP_DOWNLOAD, PATH), /* RFC 959 s4.1.3 */
    ROW("RMD", FTP_RMD, FTP_ARGS_REQUIRED, NO, WRITES | PATH),	  /* RFC 959 s4.1.3 */
    ROW("RMDA", FTP_RMDA, FTP_ARGS_REQUIRED, NO, WRITES | PATH),  /* draft-dd-ftp-rmda */
    ROW("RNFR", FTP_RNFR, FTP_ARGS_REQUIRED, NO, WRITES | PATH),  /* RFC 959 s4.1.3 */
    ROW("RNTO", FTP_RNTO, FTP_ARGS_REQUIRED, NO, WRITES | PATH),  /* RFC 959 s4.1.3 */
    ROW("SITE", FTP_SITE, FTP_ARGS_REQUIRED, NO,
	WRITES), /* RFC 959 s4.1.3: CHMOD, UTIME, EXEC, ... */
    ROW("SIZE", FTP_SIZE, FTP_ARGS_REQUIRED, NO, PATH),	 /* RFC 3659 s4 */
    ROW("SMNT", FTP_SMNT, FTP_ARGS_REQUIRED, NO, PATH),	 /* RFC 959 s4.1.1 */
    ROW("SPSV", FTP_SPSV, FTP_ARGS_OPTIONAL, NO, PLAIN), /* draft-rosenau-ftp-single-port */
    ROW("SSCN", FTP_SPSV, FTP_ARGS_OPTIONAL, NO, PLAIN), /* TLS from server to server */
    ROW("STAT", FTP_STAT, FTP_ARGS_OPTIONAL, NO, ANYTIME | PATH),	 /* RFC 959 s4.1.3 */
    ROW("STOR", FTP_STOR, FTP_ARGS_REQUIRED, FTP_UPLOAD, WRITES | PATH), /* RFC 959 s4.1.3 */
    ROW("STOU", FTP_STOU, FTP_ARGS_OPTIONAL, FTP_UPLOAD, WRITES | PATH), /* RFC 959 s4.1.3 */
    ROW("STRU", FTP_STRU, FTP_ARGS_REQUIRED, NO, PLAIN),		 /* RFC 959 s4.1.2 */
    ROW("SYST", FTP_SYST, FTP_ARGS_NONE, NO, PLAIN),			 /* RFC 959 s4.1.3 */
    ROW("THMB", FTP_THMB, FTP_ARGS_REQUIRED, FTP_DOWNLOAD,
	PLAIN),						      /* draft-peterson-streamlined-ftp */
    ROW("TRACE", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET), /* HTTP */
    ROW("TYPE", FTP_TYPE, FTP_ARGS_REQUIRED, NO, PLAIN),      /* RFC 959 s4.1.2 */
    ROW("USER", FTP_USER, FTP_ARGS_REQUIRED, NO, PLAIN),      /* RFC 959 s4.1.1 */
    ROW("XCRC", FTP_XCRC, FTP_ARGS_REQUIRED, NO,
	PLAIN),					     /* as servers have them: XCRC name [from to] */
    ROW("XCUP", FTP_XCUP, FTP_ARGS_NONE, NO, PLAIN), /* RFC 775 */
    ROW("XCWD", FTP_XCWD, FTP_ARGS_REQUIRED, NO, PATH), /* RFC 775 */
    ROW("XMD5", FTP_XMD5, FTP_ARGS_REQUIRED, NO, PLAIN),
    ROW("XMKD", FTP_XMKD, FTP_ARGS_REQUIRED, NO, WRITES | PATH), /* RFC 775 */
    ROW("XPRT", FTP_SPSV, FTP_ARGS_OPTIONAL, NO, PLAIN),	 /* EPRT before it had its name */
    ROW("XPWD", FTP_XPWD, FTP_ARGS_NONE, NO, PLAIN),		 /* RFC 775 */
    ROW("XRMD", FTP_XRMD, FTP_ARGS_REQUIRED, NO, WRITES | PATH), /* RFC 775 */
    ROW("XSHA", FTP_XSHA, FTP_ARGS_REQUIRED, NO, PLAIN),
    ROW("XSHA1", FTP_XSHA1, FTP_ARGS_REQUIRED, NO, PLAIN),
    ROW("XSHA256", FTP_XSHA256, FTP_ARGS_REQUIRED, NO, PLAIN),
    ROW("XSHA512", FTP_XSHA512, FTP_ARGS_REQUIRED, NO, PLAIN),
};

/* No verbs of the wire, but replies and records need their rows. */
static const struct ftp_verb_row greeting = ROW("", FTP_NONE, FTP_ARGS_NONE, NO, PLAIN);
static const struct ftp_verb_row foreign = ROW("?", FTP_FOREIGN, FTP_ARGS_OPTIONAL, NO, SECRET);
static const struct ftp_verb_row unknown = ROW("?", FTP_UNKNOWN, FTP_ARGS_OPTIONAL, NO, SECRET);

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static int
compare(struct span word, const char *name)
{
	size_t i = 0;

	for (; i < word.n && name[i] != '\0'; i++) {
		uint8_t a = octet_lower(word.p[i]), b = octet_lower((uint8_t)name[i]);

		if (a != b)
			return a < b ? -1 : 1;
	}
	return i < word.n ? 1 : name[i] != '\0' ? -1 : 0;
}

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
	size_t low = 0, high = N_ROWS;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(word, rows[middle].name);

		if (order == 0)
			return rows[middle].verb == FTP_FOREIGN ? &foreign : &rows[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
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
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].verb == verb)
			return &rows[i];
	return &unknown;
}
