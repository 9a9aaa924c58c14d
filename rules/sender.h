/*
 * sender - what which DNS answer means for the domain of MAIL FROM.
 *
 * The domain must have an MX, an A or an AAAA record, and its MX must be able to take mail. A
 * resolver that could not tell is never a reason for a permanent reply.
 */
#ifndef POSTERN_SENDER_H
#define POSTERN_SENDER_H

#include "judgement.h"

/*
 * MAIL with a path without fault, the null path among them. Asks for MX; without MX for A and
 * AAAA of the domain; with MX for A and AAAA of the first host, and of the others (ANSWERS_HOSTS in
 * all) only where the first one has no public address.
 */
void sender_judge(struct judgement *);

#endif
