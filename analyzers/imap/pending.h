/*
 * pending - the commands of a session that wait for their tagged reply, in order. A server may
 * answer them in any order (RFC 9051 s5.5); of equal tags the oldest is answered first.
 *
 * At most IMAP_SLOTS of some 80 octets each; nothing is held while none waits.
 */
#ifndef POSTERN_IMAP_PENDING_H
#define POSTERN_IMAP_PENDING_H

#include "core/span.h"
#include "imap/verbs.h"

#define IMAP_SLOTS   64 /* commands that wait for their tagged reply; with that many, AN_WAIT */
#define IMAP_TAG_MAX 64 /* octets of a tag */

struct imap_slot {
	uint64_t number; /* of the command in the dialogue */
	uint8_t verb;	 /* enum imap_verb */
	uint8_t tag_n;
	uint8_t tag[IMAP_TAG_MAX];
};

/* All zeros: none waits. */
struct imap_pending {
	struct imap_slot *slots;
	uint8_t n, cap;
};

void imap_pending_free(struct imap_pending *);
/* tag: at most IMAP_TAG_MAX octets; fewer than IMAP_SLOTS wait. False: no memory. */
bool imap_pending_push(struct imap_pending *, uint64_t number, enum imap_verb, struct span tag);
/* The oldest of that tag, or NULL. Good until the next push or drop. */
const struct imap_slot *imap_pending_tag(const struct imap_pending *, struct span tag);
const struct imap_slot *imap_pending_number(const struct imap_pending *, uint64_t number);
void imap_pending_drop(struct imap_pending *, uint64_t number);

#endif
