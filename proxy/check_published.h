/*
 * check_published - of "postern check": senders of mail for the domains of this configuration that
 * verify certificates (DANE, MTA-STS), and would be shown the gateway's own.
 */
#ifndef POSTERN_CHECK_PUBLISHED_H
#define POSTERN_CHECK_PUBLISHED_H

#include <stdio.h>

#include "config.h"

#define CHECK_PUBLISHED_DOMAINS 64   /* of smtp.relay.local_domains; further ones are counted */
#define CHECK_PUBLISHED_MS	5000 /* for all look-ups */

/*
 * Asks the DNS for the domains of smtp.relay.local_domains (those that stand for all names below a
 * domain are no names to ask for), and warns, "FILE:LINE: warning: ...", with the rule to write.
 * What could not be looked up is told too. Nothing where there is no certificate of its own.
 */
void check_published(const struct config *, FILE *err);

#endif
