/*
 * tls_rules - what becomes of TLS between a client and a server: the rules in their order, then
 * starttls of the protocol. Pure, as all policy.
 */
#ifndef POSTERN_TLS_RULES_H
#define POSTERN_TLS_RULES_H

#include "policy.h"

#define TLS_MAIL_PORT 25 /* mail from server to server (RFC 5321 s4.5.4.2) */

/* What is known beside struct facts. */
struct tls_query {
	enum tls_protocol protocol;
	uint16_t port;	/* of the server */
	uint16_t asked; /* port that the client asked for; another where it was forwarded */
	bool implicit;	/* TLS from the first octet on; else the client asks for it */
	bool identity;	/* there is a certificate to be shown of this server: kept, or minted */
	bool own;	/* the gateway has one of its own */
	struct span
	    name; /* of the server, as the client says it (SNI); empty: not known, or none */
};

struct tls_judgement {
	enum tls_action action;
	bool hidden;		/* refused as if the server did not have it */
	bool required;		/* in the clear there is no login and no mail */
	bool unless_published;	/* what the server's senders verify by is to be asked for first */
	bool old_versions;	/* of the server: TLS 1.0, 1.1, and ciphers of then */
	enum tls_verify verify; /* of the server's certificate */
	enum tls_upstream upstream;	/* what the server's leg is */
	const char *upstream_name;	/* NULL: none */
	const char *client_certificate; /* that it may see where it asks for one; NULL: none */
	/* For records: the name of a tls_rule, or "starttls"; lives as long as the policy. */
	const char *rule;
	/*
	 * "rule", "intercept", "pass", "refuse", "hide", "require"; "auto"; "would_go_blind";
	 * "between_servers"; "own_certificate": auto, and there is no other one to be shown;
	 * "no_identity": what should be intercepted and cannot is refused.
	 */
	const char *reason;
};

/* facts: client and server, and who of them is inside. *out is always filled in. */
void tls_judge(const struct policy *, const struct facts *, const struct tls_query *,
    struct tls_judgement *out);
/*
 * Where no certificate of the server is there, the gateway may show its own: STARTTLS of mail from
 * outside that comes for a server inside (port 25). Servers that send mail take any certificate
 * (RFC 7435), but for those that DANE or MTA-STS tells which; roaming users (port 587) never do.
 */
bool tls_may_show_own(const struct facts *, const struct tls_query *);
/* The same as a word of starttls that is not auto, for whoever judges commands. */
enum starttls tls_word(const struct tls_judgement *);
const char *tls_action_name(enum tls_action);

#define TLS_RULE_TEXT 256 /* octets of such a rule, with its NUL */

/*
 * Writes the rule by which this server would be let by, as it would stand in a configuration;
 * for_client: for this client alone.
 */
void tls_rule_to_pass(
    const struct facts *, const struct tls_query *, bool for_client, char text[TLS_RULE_TEXT]);

/* Makes and frees the sets of a rule, and frees its texts. False: no memory. */
bool tls_rule_begin(struct tls_rule *);
void tls_rule_end(struct tls_rule *);

#endif
