/*
 * ftp_rules - what a client may say to an FTP server, and to whom data connections may lead. Pure,
 * as all policy. docs/policy.md has the tables of rules, reasons and replies.
 */
#ifndef POSTERN_FTP_RULES_H
#define POSTERN_FTP_RULES_H

#include "ftp/ftp.h"
#include "policy.h"

/* Who may be at the other end of a data connection, and what is known when the event comes. */
struct ftp_facts {
	struct ip client, server; /* peers of the control connections, as each sees the other */
	bool epsv_all;		  /* EPSV ALL was accepted */
	bool sized;		  /* PBSZ was accepted, behind which PROT may come (RFC 2228 s3) */
	bool protected;		  /* data connections are under TLS: PROT P was accepted */
};

#define FTP_DATA_PORT_MIN 1024 /* RFC 2577 s3 */

/*
 * EV_COMMAND of FTP. *out is always filled in; never VERDICT_ASK. rule "ftp"; reasons "syntax",
 * "denied", "read_only", "unknown", "mode", "resume", "tls", "needs_tls", "bounce", "low_port",
 * "family", "epsv_all", "too_long", "not_spoken" (LPRT, LPSV, SPSV, RANG, ...). A refusal's reply
 * has three digits and one line; what passes has rule and reason "none".
 */
void ftp_judge(const struct ftp_policy *, const struct ftp_facts *, const struct an_event *ev,
    struct verdict *out);
/* A reply of this code to this command may reach the client. */
bool ftp_reply_passes(const struct ftp_policy *, const struct ftp_verb_row *, unsigned code);

enum ftp_peer_verdict {
	FTP_PEER_OK,
	FTP_PEER_FOREIGN,  /* another address than the control connection's, and no fxp network */
	FTP_PEER_LOW_PORT, /* below FTP_DATA_PORT_MIN */
};
/* May a data connection lead there? expected: the control connection's peer on that side. */
enum ftp_peer_verdict ftp_peer_judge(
    const struct ftp_policy *, const struct ip *expected, const struct ftp_hostport *);
/* May the client see this line of the reply to FEAT? For ftp_features_rewrite(). */
bool ftp_feature_passes(
    const struct ftp_policy *, struct span keyword, struct span params, struct span *instead);

#endif
