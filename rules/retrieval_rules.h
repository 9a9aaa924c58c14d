/*
 * retrieval_rules - what a client may say to a POP3 or an IMAP server. Pure, as all policy.
 */
#ifndef POSTERN_RETRIEVAL_RULES_H
#define POSTERN_RETRIEVAL_RULES_H

#include "imap/imap.h"
#include "policy.h"
#include "pop3/pop3.h"

/*
 * EV_COMMAND. *out is always filled in; never VERDICT_ASK. rule "pop3"; reasons "syntax", "denied",
 * "read_only", "unknown", "tls", "needs_tls". A refusal's reply is one line "-ERR ..." without CR
 * LF.
 */
void pop3_judge(const struct retrieval_policy *, const struct an_event *ev, struct verdict *out);
/*
 * The same for IMAP: rule "imap"; the reply is "NO [CANNOT] ..." or "BAD ...", to be put behind the
 * tag. login_disabled: the server has said LOGINDISABLED: LOGIN is refused ("privacy_required").
 */
void imap_judge(const struct retrieval_policy *, const struct an_event *ev, bool login_disabled,
    struct verdict *out);

/*
 * May the client see this capability ("SASL PLAIN LOGIN", "STLS"; "COMPRESS=DEFLATE", "STARTTLS")?
 * What would hide octets from the gateway is taken out; nothing is added.
 */
bool pop3_capability_passes(const struct retrieval_policy *, struct span capability);
bool imap_capability_passes(const struct retrieval_policy *, struct span capability);
/* May the client see this mechanism of AUTH, in "SASL PLAIN LOGIN" or in the answer to AUTH alone?
 */
bool pop3_mechanism_passes(const struct retrieval_policy *, struct span mechanism);

#endif
