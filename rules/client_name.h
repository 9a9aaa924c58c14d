/*
 * client_name - what a client outside is called: by the DNS, and by itself at EHLO and HELO.
 *
 * A resolver that could not tell is never a reason for a permanent reply. Names out of PTR
 * records are only asked for again; nobody is shown one.
 */
#ifndef POSTERN_CLIENT_NAME_H
#define POSTERN_CLIENT_NAME_H

#include "judgement.h"

/*
 * EHLO or HELO; j->subject is its name. Asks at once for PTR of the client's address and for A,
 * AAAA and MX of the name, as far as the policy wants to know; then for A or AAAA of at most
 * ANSWERS_HOSTS names out of the PTR records.
 */
void client_name_judge(struct judgement *);

/*
 * MAIL of a client that the check applies to, where it enforces, without an EHLO or HELO that was
 * accepted: most servers would take it all the same. True: refused.
 */
bool client_name_missing(struct judgement *);

#endif
