#include "domains.h"

#include <stdlib.h>

#include "idna.h"
#include "names.h"

#define LABEL_MAX 63 /* RFC 1035 s2.3.4 */

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

struct domains {
	struct names names; /* "below" ones with their dot in front */
};

struct domains *
domains_new(void)
{
	struct domains *set = calloc(1, sizeof(*set));

	if (set != NULL)
		names_init(&set->names);
	return set;
}

void
domains_free(struct domains *set)
{
	if (set == NULL)
		return;
	names_free(&set->names);
	free(set);
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
	if (!names_add(&set->names, span_str(below ? name : name + 1))) {
		*why = "does not fit into memory";
		return false;
	}
	return true;
}

bool
domains_has(const struct domains *set, const char *canonical)
{
	struct span name = span_str(canonical);
	uint32_t hash = NAMES_SEED;

	if (domains_empty(set))
		return false;
	for (size_t i = name.n; i > 0; i--) {
		hash = names_hash_octet(hash, name.p[i - 1]);
		if (name.p[i - 1] == '.' &&
		    names_has_hashed(&set->names, hash, span_from(name, i - 1)))
			return true;
	}
	return names_has_hashed(&set->names, hash, name);
}

bool
domains_empty(const struct domains *set)
{
	return set == NULL || set->names.n == 0;
}
