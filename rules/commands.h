/*
 * commands - what is said to commands that name no sender and no recipient.
 */
#ifndef POSTERN_COMMANDS_H
#define POSTERN_COMMANDS_H

#include "judgement.h"
#include "smtp/verbs.h"

/* Any verb; one that the policy has nothing against passes with rule and reason "none". */
void commands_judge(struct judgement *, enum smtp_verb);

/*
 * Behind STARTTLS that passes nobody looks: a check that refuses from outside to inside would
 * refuse no more.
 */
bool commands_go_blind(const struct policy *, const struct facts *);

/* In the clear, where TLS is required: refused with 530 5.7.0, true (RFC 3207 s4). */
bool commands_need_tls(struct judgement *, enum smtp_verb);

#endif
