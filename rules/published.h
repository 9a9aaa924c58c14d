/*
 * published - what mail servers that send find in the DNS about the certificate of a server
 * outside: TLSA records (DANE, RFC 7672), or that there is a policy (MTA-STS, RFC 8461).
 *
 * Whoever verifies by that would see any other certificate as an attack, and send no mail. Only the
 * sender knows for certain which domain the mail is for. We know the server: the name that it
 * says in its greeting, and those of its address (PTR); and ask
 *   - for TLSA at _25._tcp.NAME, which counts only where DNSSEC has validated it;
 *   - for TXT at _mta-sts.DOMAIN, of the name itself and two domains above it.
 */
#ifndef POSTERN_PUBLISHED_H
#define POSTERN_PUBLISHED_H

#include "judgement.h"

#define PUBLISHED_NAMES_MAX 3 /* of a server that are asked for */
#define PUBLISHED_ABOVE_MAX 2 /* domains above a name */

/*
 * facts->unless_published: STARTTLS would be intercepted. True: it is judged, or undecided: it
 * passes unread for what was found ("dane", "mta_sts"), or because the DNS could not tell
 * ("dns_failed", "dns_timeout") where the policy wants that. False: nothing was found.
 */
bool published_judge(struct judgement *);

/* "v=STSv1;" ... (RFC 8461 s3.1) */
bool published_mta_sts(const struct dns_txt *);

#endif
