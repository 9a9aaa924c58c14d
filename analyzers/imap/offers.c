#include "imap/offers.h"

static const char *const names[] = {"ACL", "BINARY", "CATENATE", "ID", "MAILBOX-REFERRALS",
    "METADATA", "MOVE", "MULTIAPPEND", "MULTISEARCH", "NOTIFY", "QUOTA", "REPLACE", "SORT",
    "THREAD", "URLAUTH", "UTF8"};

#define N_NAMES (sizeof(names) / sizeof(names[0]))

/* "QUOTA", "QUOTA=RES-STORAGE", "METADATA-SERVER" */
static bool
offers(struct span word, const char *name)
{
	struct span rest = span_from(word, strlen(name));

	if (!span_istarts(word, span_str(name)))
		return false;
	return rest.n == 0 || rest.p[0] == '=' || span_ieq(rest, span_str("-SERVER"));
}

/* What IMAP4rev2 has in it (RFC 9051 appendix E). */
static bool
offers_with_rev2(struct span word, const char *name)
{
	return span_ieq(word, span_str("IMAP4rev2")) && strcmp(name, "MOVE") == 0;
}

uint32_t
imap_offers(struct span capabilities)
{
	uint32_t bits = 0;
	struct span word;

	while ((word = span_word(&capabilities)).n > 0)
		for (size_t i = 0; i < N_NAMES; i++)
			if (offers(word, names[i]) || offers_with_rev2(word, names[i]))
				bits |= UINT32_C(1) << i;
	return bits;
}

bool
imap_offers_has(uint32_t bits, const char *name)
{
	for (size_t i = 0; i < N_NAMES; i++)
		if (strcmp(names[i], name) == 0)
			return (bits >> i & 1) != 0;
	return name[0] == '\0';
}
