#include "domains.h"

#include <stdlib.h>

#include "core/buf.h"
#include "idna.h"

#define LABEL_MAX   63		/* RFC 1035 s2.3.4 */
#define TEXT_MAX    (1u << 30)	/* octets of all names of a set */
#define SLOTS_FIRST 16		/* a power of two, as all later sizes */
#define HASH_SEED   2166136261u /* FNV-1a */
#define HASH_PRIME  16777619u

/* Letters, digits and hyphens, no hyphen at either end (RFC 1123 s2.1). */
static bool
label_ok(struct span label)
{
	if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!octet_is_alnum(label.p[i]) && label.p[i] != '-')
			return false;
	return true;
}

static bool
all_digits(struct span label)
{
	for (size_t i = 0; i < label.n; i++)
		if (!octet_is_digit(label.p[i]))
			return false;
	return true;
}

/* *a_label: at least one label begins with "xn--". */
static bool
host_name_ok(struct span name, bool *a_label)
{
	*a_label = false;
	if (name.n >= DOMAIN_TEXT_MAX)
		return false;
	for (;;) {
		ptrdiff_t dot = span_find(name, '.');
		struct span label = dot < 0 ? name : span_first(name, (size_t)dot);

		if (!label_ok(label))
			return false;
		if (label.n >= 4 && memcmp(label.p, "xn--", 4) == 0)
			*a_label = true;
		if (dot < 0)
			return !all_digits(label); /* 192.0.2.1 is no name (RFC 1123 s2.1) */
		name = span_from(name, (size_t)dot + 1);
	}
}

bool
domain_canonical(struct span name, char out[DOMAIN_TEXT_MAX])
{
	uint8_t text[IDNA_INPUT_MAX];
	struct span lowered;
	bool a_label;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > sizeof(text))
		return false;
	for (size_t i = 0; i < name.n; i++)
		text[i] = octet_lower(name.p[i]);
	lowered = span_of(text, name.n);
	if (!span_is_ascii(lowered)) {
		return idna_to_ascii(lowered, out, DOMAIN_TEXT_MAX) &&
		       host_name_ok(span_str(out), &a_label);
	}
	if (!host_name_ok(lowered, &a_label))
		return false;
	if (a_label)
		return idna_to_ascii(lowered, out, DOMAIN_TEXT_MAX);
	memcpy(out, lowered.p, lowered.n);
	out[lowered.n] = '\0';
	return true;
}

/* at: where the name begins in the text of the set, plus one; 0: the slot is free. */
struct slot {
	uint32_t hash, at;
};

struct domains {
	struct buf text; /* names with a NUL behind each, "below" ones with their dot in front */
	struct slot *slots;
	size_t n, n_slots; /* at most half of the slots are taken */
};

struct domains *
domains_new(void)
{
	struct domains *set = calloc(1, sizeof(*set));

	if (set != NULL)
		buf_init(&set->text, TEXT_MAX);
	return set;
}

void
domains_free(struct domains *set)
{
	if (set == NULL)
		return;
	buf_free(&set->text);
	free(set->slots);
	free(set);
}

/* From the last octet to the first: so one pass has the hash of every suffix. */
static uint32_t
hash_octet(uint32_t hash, uint8_t c)
{
	return (hash ^ c) * HASH_PRIME;
}

static uint32_t
hash_name(struct span name)
{
	uint32_t hash = HASH_SEED;

	for (size_t i = name.n; i > 0; i--)
		hash = hash_octet(hash, name.p[i - 1]);
	return hash;
}

/* FNV's low bits are its weakest. */
static size_t
slot_first(uint32_t hash, size_t n_slots)
{
	return (hash ^ hash >> 15) & (n_slots - 1);
}

static bool
has_name(const struct domains *set, uint32_t hash, struct span name)
{
	for (size_t i = slot_first(hash, set->n_slots);; i = (i + 1) & (set->n_slots - 1)) {
		const struct slot *slot = &set->slots[i];
		const uint8_t *text;

		if (slot->at == 0)
			return false;
		text = set->text.p + slot->at - 1;
		if (slot->hash == hash && set->text.n - (slot->at - 1) > name.n &&
		    memcmp(text, name.p, name.n) == 0 && text[name.n] == '\0')
			return true;
	}
}

static void
slot_take(struct slot *slots, size_t n_slots, struct slot taken)
{
	size_t i = slot_first(taken.hash, n_slots);

	while (slots[i].at != 0)
		i = (i + 1) & (n_slots - 1);
	slots[i] = taken;
}

static bool
slots_grow(struct domains *set)
{
	size_t n_slots = set->n_slots == 0 ? SLOTS_FIRST : 2 * set->n_slots;
	struct slot *slots = calloc(n_slots, sizeof(*slots));

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

static bool
add_name(struct domains *set, struct span name)
{
	struct slot slot = {hash_name(name), (uint32_t)set->text.n + 1};

	if (2 * (set->n + 1) > set->n_slots && !slots_grow(set))
		return false;
	if (has_name(set, slot.hash, name))
		return true;
	if (!buf_add(&set->text, name) || !buf_octet(&set->text, '\0'))
		return false;
	slot_take(set->slots, set->n_slots, slot);
	set->n++;
	return true;
}

bool
domains_add(struct domains *set, const char *text, const char **why)
{
	char name[1 + DOMAIN_TEXT_MAX] = ".";
	bool below = text[0] == '.';

	if (!domain_canonical(span_str(below ? text + 1 : text), name + 1)) {
		*why = text[0] == '*' ? "has a star: a leading dot means every name below it"
				      : "is no domain name";
		return false;
	}
	if (!add_name(set, span_str(below ? name : name + 1))) {
		*why = "does not fit into memory";
		return false;
	}
	return true;
}

bool
domains_has(const struct domains *set, const char *canonical)
{
	struct span name = span_str(canonical);
	uint32_t hash = HASH_SEED;

	if (domains_empty(set))
		return false;
	for (size_t i = name.n; i > 0; i--) {
		hash = hash_octet(hash, name.p[i - 1]);
		if (name.p[i - 1] == '.' && has_name(set, hash, span_from(name, i - 1)))
			return true;
	}
	return has_name(set, hash, name);
}

bool
domains_empty(const struct domains *set)
{
	return set == NULL || set->n == 0;
}
