/*
 * relay - who may send where: no server inside relays for clients outside.
 *
 * What counts is where the mail would finally go, by every reading that a server might have of
 * the address (readings.h). All of them must be local, or the recipient is refused.
 */
#ifndef POSTERN_RELAY_H
#define POSTERN_RELAY_H

#include "judgement.h"

/*
 * Why the check does not apply to this session: "off", "client_inside", "transit", "exempt",
 * "exempt_server", "authenticated". NULL: it applies.
 */
const char *relay_waived(const struct policy *, const struct facts *);

/* RCPT with a path that is neither null nor faulty. */
void relay_judge(struct judgement *);

/*
 * RCPT with more than one "@" (SMTP_PATH_DOUBLE_AT), a fault whatever the policy is. Where the
 * check enforces, the last host is ours or a literal and another one is not, it is an attempt to
 * relay: refused as such, true. Only the listed domains count as ours here.
 */
bool relay_judge_double_at(struct judgement *);

/* From outside to a host inside that may not be a mail server at all. */
bool relay_no_mail_server(const struct policy *, const struct facts *);

#endif
