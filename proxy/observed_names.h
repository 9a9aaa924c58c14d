/*
 * observed_names - DNS answers that went by on the wire (RFC 1035 s4.1, over UDP), kept for what
 * the policy asks.
 *
 * Kept as they came, and parsed when somebody asks: a question has the last answer that was seen
 * to it. At most OBSERVED_NAMES_MAX of them, of OBSERVED_NAMES_OCTETS in all; the oldest go first.
 */
#ifndef POSTERN_OBSERVED_NAMES_H
#define POSTERN_OBSERVED_NAMES_H

#include "answers.h"
#include "core/span.h"

#define OBSERVED_NAMES_MAX    16384
#define OBSERVED_NAMES_OCTETS (8u << 20)
#define OBSERVED_NAME_PACKET  4096 /* octets of a message; a longer one is not kept */

struct observed_names;

/* seed: random, so that nobody can choose names that share a bucket. NULL: no memory. */
struct observed_names *observed_names_new(const uint64_t seed[2]);
void observed_names_free(struct observed_names *);
/* The payload of a datagram from a name server's port; whatever is no answer is passed over. */
void observed_names_add(struct observed_names *, struct span message);
/* False: nobody was seen to ask that; or no memory. */
bool observed_names_find(
    const struct observed_names *, const struct dns_question *, struct answers *into);

#endif
