/*
 * policy - what may pass. A pure function of the configuration, the session's facts, one event
 * and the DNS answers known so far.
 *
 * It never touches a session, a socket, a clock or a file; that is why the gateway, "postern
 * explain" and the capture reader give the same verdict for the same mail.
 */
#ifndef POSTERN_POLICY_H
#define POSTERN_POLICY_H

#include "addresses.h"
#include "answers.h"
#include "core/event.h"
#include "domains.h"
#include "networks.h"
#include "smtp/path.h"

enum check {
	CHECK_OFF,
	CHECK_REPORT, /* says what it would have said, and lets it pass */
	CHECK_ENFORCE,
};

const char *check_name(enum check);

enum starttls {
	STARTTLS_AUTO, /* as tls_judge() finds */
	STARTTLS_PASS,
	STARTTLS_REFUSE,    /* 454 4.7.0 */
	STARTTLS_HIDE,	    /* taken out of the EHLO reply; the command: 502 5.5.1 */
	STARTTLS_INTERCEPT, /* TLS ends here, and begins anew towards the server */
	STARTTLS_REQUIRE,   /* the same; and in the clear there is no login and no mail */
};

/* The command goes to the server. */
static inline bool
starttls_passes(enum starttls does)
{
	return does == STARTTLS_PASS || does == STARTTLS_INTERCEPT || does == STARTTLS_REQUIRE;
}

/* What becomes of TLS between a client and a server: tls_rules.h. */
enum tls_action {
	TLS_INTERCEPT, /* it ends here, and begins anew towards the server */
	TLS_PASS,      /* what follows is relayed unread */
	TLS_REFUSE,
};

enum tls_protocol { TLS_FTP, TLS_SMTP, TLS_POP3, TLS_IMAP };

enum tls_towards { TLS_ANYBODY, TLS_INSIDE, TLS_OUTSIDE };

/* What is done where a server's certificate cannot be verified; auto: as "tls { }" has it. */
enum tls_verify {
	VERIFY_AUTO,
	VERIFY_OFF,	  /* it is let by */
	VERIFY_REPORT,	  /* the same, and recorded */
	VERIFY_UNTRUSTED, /* it is let by, and the client is shown what nobody trusts */
	VERIFY_ENFORCE,
};

/* What becomes of interception where a server outside publishes what its senders verify by. */
enum published {
	PUBLISHED_PASS,	  /* it passes unread, also where the DNS cannot tell */
	PUBLISHED_KNOWN,  /* it passes where that was found */
	PUBLISHED_IGNORE, /* nobody asks */
};

/* What the leg to the server is, whatever the client's is. */
enum tls_upstream {
	UPSTREAM_SAME,	   /* as the client's */
	UPSTREAM_STARTTLS, /* under TLS: the gateway asks for it */
	UPSTREAM_TLS,	   /* under TLS from the first octet on */
	UPSTREAM_PLAIN,	   /* in the clear */
};

/* tls_rule "name" { }: what stands in it must all hold; an empty set holds for all. */
struct tls_rule {
	char *name;
	unsigned protocols;		    /* a bit 1 << enum tls_protocol for each; 0: any */
	enum tls_towards towards;	    /* where the server is */
	struct networks *clients, *servers; /* sealed */
	struct domains *server_names;	    /* SNI; such a rule holds for none that is not known */
	enum tls_action action;
	enum { REQUIRED_AUTO, REQUIRED_NO, REQUIRED_YES } required; /* auto: as starttls has it */
	enum tls_verify verify;
	bool old_versions; /* the server may speak what is no good any more */
	enum tls_upstream upstream;
	char *upstream_name;	  /* of the server, where no client says one; NULL: none */
	char *client_certificate; /* shown to a server that asks: name of its section; NULL: none */
};

/* The rows of "smtp { relay { } }" and "smtp { sender_domain { } }"; sets are never NULL. */
struct relay_policy {
	enum check check;
	struct domains *local_domains;
	bool by_mx;
	bool authenticated;
	bool own_literal; /* user@[address of the server] is local */
	struct networks *exempt;
	struct networks *exempt_servers;
};

struct sender_policy {
	enum check check;
	bool missing_is_permanent;	/* 550 5.1.8 instead of 451 4.1.8 */
	enum check dead_mx, private_mx; /* REPORT or ENFORCE (550 5.1.8), OFF */
	bool refuse_literals;
	struct domains *exempt;
};

/* "smtp { sender_list { } }", "smtp { recipient_list { } }": allow wins. */
struct address_lists {
	struct addresses *deny, *allow;
};

/* "smtp { client_name { } }": of clients outside. */
struct client_name_policy {
	enum check check;
	enum {
		REVERSE_NONE,
		REVERSE_EXISTS,	   /* the client's address has a PTR record */
		REVERSE_CONFIRMED, /* and one of its names has that address */
	} reverse;
	enum {
		HELO_ANY,
		HELO_VALID,    /* a full domain name, or an address literal */
		HELO_RESOLVES, /* and the name has an A, AAAA or MX record */
	} helo;
	struct networks *exempt;
};

/* "ftp { }", as far as it says what may pass: ftp_rules.h. */
struct ftp_policy {
	char **deny;	     /* "DELE", "SITE EXEC": in capitals, NULL-terminated, or NULL: 502 */
	char **deny_replies; /* "RETR 150", "* 3": (command, beginning of a code): F14 */
	bool read_only;	     /* commands that write: 550 */
	bool refuse_unknown; /* verbs that are in no table: 502 */
	bool pass_modes;     /* MODE B, C, Z, STRU R, P, TYPE E, L other than 8; else 504 */
	bool refuse_resume;  /* REST: 502 */
	enum starttls starttls; /* AUTH; auto: refused (534) */
	bool needs_tls;		/* no login in the clear (530); never of the configuration's */
	bool in_tls;		/* the control connection is under TLS that ends here; likewise */
	bool protect_data;	/* in TLS: no transfer whose data goes in the clear (521, 534) */
	struct networks *fxp;	/* third parties that a data connection may lead to */
	bool hide_banner;	/* greeting and SYST say nothing of the server's software: F29 */
	unsigned user_max, password_max, path_max; /* octets of an argument: 501 */
};

/* "pop3 { }" and "imap { }", as far as they say what may pass: retrieval_rules.h. */
struct retrieval_policy {
	char **deny;	/* commands, in capitals ("UID EXPUNGE" too); NULL-terminated, or NULL */
	bool read_only; /* commands that change something are refused */
	bool refuse_unknown; /* verbs that are in no table */
	enum starttls starttls;
	bool needs_tls; /* no login in the clear; never of the configuration's own */
	bool in_tls;	/* it ends here, and cannot begin again; never of the configuration's own */
	bool cut; /* POP3: a message that the content policy refuses is cut; else only reported */
};

struct policy {
	struct networks *inside;
	struct networks *smtp_servers; /* inside hosts that may be mail servers; empty: any */
	enum starttls starttls;
	bool refuse_multi_bounce; /* a null sender with more than one recipient: 550 5.5.3 */
	bool auth_requires_tls;	  /* 538 5.7.11 on a session in the clear */
	struct relay_policy relay;
	struct sender_policy sender;
	struct address_lists senders, recipients;
	struct client_name_policy client_name;
	struct ftp_policy ftp;
	struct retrieval_policy pop3, imap;
	struct tls_rule *tls_rules; /* the first that holds decides */
	size_t n_tls_rules;
	enum published published; /* published.h */
};

/* Everything empty or off but relay.check and sender.check = enforce; NULL: no memory. */
struct policy *policy_new(void);
void policy_free(struct policy *);
/* After the last change: sorts the sets. */
void policy_seal(struct policy *);

/* What is known of the session when the event comes. */
struct facts {
	struct ip client, server;
	bool client_inside, server_inside;
	bool greeted;		 /* the server has accepted an EHLO or HELO */
	bool authenticated;	 /* this very server has said 235 to this client */
	bool null_sender;	 /* of the transaction that is open */
	unsigned recipients;	 /* of it, accepted or waiting for their reply */
	bool smtputf8;		 /* asked for at MAIL */
	bool tls;		 /* the client's leg is under TLS */
	bool tls_required;	 /* tls_judge(): no mail and no login in the clear */
	enum starttls starttls;	 /* tls_word() of it; STARTTLS_AUTO: as the policy has it */
	bool unless_published;	 /* of it */
	const char *server_name; /* that the server greets with, canonical; NULL: none; borrowed */
};

/*
 * Fills client_inside and server_inside by address; the caller knows of interfaces.
 */
void policy_place(const struct policy *, struct facts *);

#define VERDICT_REPLY_MAX 512 /* octets, the final CR LF not counted */

enum verdict_action {
	VERDICT_PASS,
	VERDICT_REFUSE, /* answer with reply; the command is not forwarded */
	VERDICT_ASK,	/* have the questions answered, then judge again */
};

struct verdict {
	enum verdict_action action;
	bool would_refuse; /* action is PASS because the check only reports */
	bool passes_tls;   /* action is PASS, of STARTTLS: TLS does not end here after all */
	/* Never of a judge: action is PASS because it depends on the DNS, and who only looks on did
	 * not see what that says. */
	bool undecided;
	const char *rule;   /* "relay", "sender_domain", "servers", ...: a constant, never NULL */
	const char *reason; /* "not_local", "nxdomain", "null_mx", ...: a constant, never NULL */
	char reply[VERDICT_REPLY_MAX + 1]; /* one line without CR LF: "550 5.7.1 ..." */
	size_t n_questions;
	struct dns_question questions[ANSWERS_MAX];
};

/*
 * ev       EV_COMMAND of a protocol that the policy knows; any other event passes
 * answers  NULL: none are known
 * out      always filled in. Text from a peer that stands in out->reply is printable
 *          ASCII or UTF-8 and cut to a bound.
 *
 * A command with a fault (ev->smtp->fault) is refused with the words of the analyzer. A refusal
 * of VRFY says 252: "answered here", not "failed". With VERDICT_ASK the reason is "undecided".
 * docs/policy.md has the tables of all checks, rules and reasons.
 */
void policy_judge(const struct policy *, const struct facts *, const struct an_event *ev,
    const struct answers *answers, struct verdict *out);

#endif
