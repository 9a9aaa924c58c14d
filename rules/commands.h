/*
 * commands - what is said to commands that name no sender and no recipient.
 */
#ifndef POSTERN_COMMANDS_H
#define POSTERN_COMMANDS_H

#include "judgement.h"
#include "smtp/verbs.h"

/* Any verb; one that the policy has nothing against passes with rule and reason "none". */
void commands_judge(struct judgement *, enum smtp_verb);

#endif
