#include "imap/pending.h"

#include <stdlib.h>

void
imap_pending_free(struct imap_pending *q)
{
	free(q->slots);
	*q = (struct imap_pending){0};
}

bool
imap_pending_push(struct imap_pending *q, uint64_t number, enum imap_verb verb, struct span tag)
{
	struct imap_slot *slot;

	if (q->n == q->cap) {
		uint8_t cap = q->cap == 0 ? 1 : (uint8_t)(q->cap * 2);

		slot = realloc(q->slots, cap * sizeof(*slot));
		if (slot == NULL)
			return false;
		q->slots = slot;
		q->cap = cap;
	}
	slot = &q->slots[q->n++];
	*slot =
	    (struct imap_slot){.number = number, .verb = (uint8_t)verb, .tag_n = (uint8_t)tag.n};
	if (tag.n > 0)
		memcpy(slot->tag, tag.p, tag.n);
	return true;
}

const struct imap_slot *
imap_pending_tag(const struct imap_pending *q, struct span tag)
{
	for (size_t i = 0; i < q->n; i++)
		if (span_eq(span_of(q->slots[i].tag, q->slots[i].tag_n), tag))
			return &q->slots[i];
	return NULL;
}

const struct imap_slot *
imap_pending_number(const struct imap_pending *q, uint64_t number)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->slots[i].number == number)
			return &q->slots[i];
	return NULL;
}

void
imap_pending_drop(struct imap_pending *q, uint64_t number)
{
	const struct imap_slot *slot = imap_pending_number(q, number);
	size_t i;

	if (slot == NULL)
		return;
	i = (size_t)(slot - q->slots);
	memmove(&q->slots[i], &q->slots[i + 1], (q->n - i - 1) * sizeof(*slot));
	if (--q->n == 0)
		imap_pending_free(q);
}
