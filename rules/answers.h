/*
 * answers - the DNS answers that are known while one event is judged.
 *
 * The rules never look anything up. They name the questions they need in their verdict, the
 * caller has them answered, and judges the same event again with the answers; until nothing is
 * asked any more. At most ANSWERS_MAX answers belong to one event: that bounds memory and work.
 */
#ifndef POSTERN_ANSWERS_H
#define POSTERN_ANSWERS_H

#include "dns/dns.h"

/*
 * MX, A and AAAA of a domain, A and AAAA of ANSWERS_HOSTS of its MX hosts. A client's name needs
 * fewer: PTR of its address, A or AAAA of ANSWERS_HOSTS of its names; MX, A and AAAA of one more.
 */
#define ANSWERS_HOSTS 8
#define ANSWERS_MAX   (3 + 2 * ANSWERS_HOSTS)

struct answers;

struct answers *answers_new(void); /* NULL: no memory */
void answers_free(struct answers *);
/*
 * Keeps a compact copy; DNS_OK without a record becomes DNS_NODATA. A question that has an answer
 * keeps it. False: full, or no memory.
 */
bool answers_put(struct answers *, const struct dns_answer *);
/* Every question of a list that has no answer yet gets this one (a budget that ran out). */
bool answers_fill(struct answers *, const struct dns_question *, size_t n, enum dns_status);

/* Is there an answer, and which? DNS_OK is the only status with records. NULL has no answers. */
bool answers_status(const struct answers *, enum dns_type, const char *name, enum dns_status *);
size_t answers_count(const struct answers *, enum dns_type, const char *name);
/* i below answers_count(); good until answers_free(). */
const struct dns_mx *answers_mx(const struct answers *, const char *name, size_t i);
const struct ip *answers_address(const struct answers *, enum dns_type, const char *name, size_t i);
const char *answers_host(const struct answers *, const char *name, size_t i); /* of PTR */
const struct dns_tlsa *answers_tlsa(const struct answers *, const char *name, size_t i);
const struct dns_txt *answers_txt(const struct answers *, const char *name, size_t i);
/* The answer was validated by DNSSEC. */
bool answers_secure(const struct answers *, enum dns_type, const char *name);

#endif
