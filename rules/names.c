#include "names.h"

#include <stdlib.h>

#define TEXT_MAX    (1u << 30) /* octets of all texts of a set */
#define SLOTS_FIRST 16	       /* a power of two, as all later sizes */

/* at: where the text begins in the text of the set, plus one; 0: the slot is free. */
struct names_slot {
	uint32_t hash, at;
};

void
names_init(struct names *set)
{
	*set = (struct names){.slots = NULL};
	buf_init(&set->text, TEXT_MAX);
}

void
names_free(struct names *set)
{
	buf_free(&set->text);
	free(set->slots);
	names_init(set);
}

static uint32_t
hash_text(struct span text)
{
	uint32_t hash = NAMES_SEED;

	for (size_t i = text.n; i > 0; i--)
		hash = names_hash_octet(hash, text.p[i - 1]);
	return hash;
}

/* FNV's low bits are its weakest. */
static size_t
slot_first(uint32_t hash, size_t n_slots)
{
	return (hash ^ hash >> 15) & (n_slots - 1);
}

bool
names_has_hashed(const struct names *set, uint32_t hash, struct span text)
{
	if (set->n == 0)
		return false;
	for (size_t i = slot_first(hash, set->n_slots);; i = (i + 1) & (set->n_slots - 1)) {
		const struct names_slot *slot = &set->slots[i];
		const uint8_t *there;

		if (slot->at == 0)
			return false;
		there = set->text.p + slot->at - 1;
		if (slot->hash == hash && set->text.n - (slot->at - 1) > text.n &&
		    memcmp(there, text.p, text.n) == 0 && there[text.n] == '\0')
			return true;
	}
}

bool
names_has(const struct names *set, struct span text)
{
	return names_has_hashed(set, hash_text(text), text);
}

static void
slot_take(struct names_slot *slots, size_t n_slots, struct names_slot taken)
{
	size_t i = slot_first(taken.hash, n_slots);

	while (slots[i].at != 0)
		i = (i + 1) & (n_slots - 1);
	slots[i] = taken;
}

static bool
slots_grow(struct names *set)
{
	size_t n_slots = set->n_slots == 0 ? SLOTS_FIRST : 2 * set->n_slots;
	struct names_slot *slots = calloc(n_slots, sizeof(*slots));

	if (slots == NULL)
		return false;
	for (size_t i = 0; i < set->n_slots; i++)
		if (set->slots[i].at != 0)
			slot_take(slots, n_slots, set->slots[i]);
	free(set->slots);
	set->slots = slots;
	set->n_slots = n_slots;
	return true;
}

bool
names_add(struct names *set, struct span text)
{
	struct names_slot slot = {hash_text(text), (uint32_t)set->text.n + 1};

	if (names_has_hashed(set, slot.hash, text))
		return true;
	if (2 * (set->n + 1) > set->n_slots && !slots_grow(set))
		return false;
	if (!buf_add(&set->text, text) || !buf_octet(&set->text, '\0'))
		return false;
	slot_take(set->slots, set->n_slots, slot);
	set->n++;
	return true;
}
