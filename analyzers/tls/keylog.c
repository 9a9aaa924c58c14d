#include "tls/keylog.h"

#include <stdlib.h>

struct secret {
	struct secret *next;
	enum tls_secret kind;
	size_t n;
	uint8_t octets[];
};

/*
 * A leaf of a crit-bit tree and the inner node that came with it: n sessions are n leaves and n - 1
 * inner nodes, so that a session is one allocation. The node of the first one is never used.
 */
struct session {
	struct session *older; /* the one that was added before it */
	uint8_t random[TLS_RANDOM];
	struct secret *secrets;
	/* the inner node: below it all keys are equal up to this bit */
	unsigned bit;
	struct session *child[2];
	bool leaf[2]; /* child[i] is meant as a leaf, not as an inner node */
};

struct tls_keylog {
	struct session *root;
	bool root_leaf;
	struct session *newest;
	size_t n, noted, max; /* secrets of lines, of sessions that may be resumed, of either */
};

static const struct label {
	const char *text;
	enum tls_secret kind;
} labels[] = {
    {"CLIENT_RANDOM", TLS_MASTER},
    {"CLIENT_EARLY_TRAFFIC_SECRET", TLS_CLIENT_EARLY},
    {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", TLS_CLIENT_HANDSHAKE},
    {"SERVER_HANDSHAKE_TRAFFIC_SECRET", TLS_SERVER_HANDSHAKE},
    {"CLIENT_TRAFFIC_SECRET_0", TLS_CLIENT_TRAFFIC},
    {"SERVER_TRAFFIC_SECRET_0", TLS_SERVER_TRAFFIC},
};

struct tls_keylog *
tls_keylog_new(size_t max)
{
	struct tls_keylog *k = calloc(1, sizeof(*k));

	if (k != NULL)
		k->max = max;
	return k;
}

/* ---- the tree ---- */

static unsigned
bit_of(const uint8_t random[TLS_RANDOM], unsigned bit)
{
	return random[bit / 8] >> (7 - bit % 8) & 1;
}

/* The leaf that random would be beside, were it in the tree. */
static struct session *
nearest(const struct tls_keylog *k, const uint8_t random[TLS_RANDOM])
{
	struct session *at = k->root;
	bool leaf = k->root_leaf;

	while (at != NULL && !leaf) {
		unsigned side = bit_of(random, at->bit);

		leaf = at->leaf[side];
		at = at->child[side];
	}
	return at;
}

static struct session *
find_session(const struct tls_keylog *k, const uint8_t random[TLS_RANDOM])
{
	struct session *s = nearest(k, random);

	return s != NULL && memcmp(s->random, random, TLS_RANDOM) == 0 ? s : NULL;
}

/* They differ. */
static unsigned
first_difference(const uint8_t a[TLS_RANDOM], const uint8_t b[TLS_RANDOM])
{
	unsigned bit = 0;

	while (a[bit / 8] == b[bit / 8])
		bit += 8;
	while (bit_of(a, bit) == bit_of(b, bit))
		bit++;
	return bit;
}

static struct session *
add_session(struct tls_keylog *k, const uint8_t random[TLS_RANDOM])
{
	struct session **link = &k->root, *near = nearest(k, random), *s = calloc(1, sizeof(*s));
	bool *leaf = &k->root_leaf;
	unsigned side;

	if (s == NULL)
		return NULL;
	memcpy(s->random, random, TLS_RANDOM);
	if (near != NULL) {
		s->bit = first_difference(near->random, random);
		while (!*leaf && (*link)->bit < s->bit) {
			struct session *at = *link;

			side = bit_of(random, at->bit);
			link = &at->child[side];
			leaf = &at->leaf[side];
		}
		side = bit_of(random, s->bit);
		s->child[side] = s;
		s->leaf[side] = true;
		s->child[!side] = *link;
		s->leaf[!side] = *leaf;
	}
	*link = s;
	*leaf = near == NULL;
	s->older = k->newest;
	k->newest = s;
	return s;
}

static void
free_secret(struct secret *secret)
{
	explicit_bzero(secret->octets, secret->n);
	free(secret);
}

static void
free_session(struct session *s)
{
	struct secret *next;

	for (struct secret *at = s->secrets; at != NULL; at = next) {
		next = at->next;
		free_secret(at);
	}
	free(s);
}

void
tls_keylog_free(struct tls_keylog *k)
{
	struct session *older;

	if (k == NULL)
		return;
	for (struct session *at = k->newest; at != NULL; at = older) {
		older = at->older;
		free_session(at);
	}
	free(k);
}

/* ---- lines ---- */

static int
nibble(uint8_t c)
{
	c = octet_lower(c);
	if (octet_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Octets out of two hexadecimal digits each; 0: they are none, or more than max. */
static size_t
from_hex(struct span text, uint8_t *out, size_t max)
{
	if (text.n % 2 != 0 || text.n / 2 > max)
		return 0;
	for (size_t i = 0; i < text.n / 2; i++) {
		int high = nibble(text.p[2 * i]), low = nibble(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return 0;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return text.n / 2;
}

static bool
is_label(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!octet_is_alnum(s.p[i]) && s.p[i] != '_')
			return false;
	return s.n > 0;
}

static const struct label *
find_label(struct span name)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (span_eq(name, span_str(labels[i].text)))
			return &labels[i];
	return NULL;
}

/* A master secret has 48 octets, any other as many as the hash has (RFC 8446 s7.1). */
static bool
fits(enum tls_secret kind, size_t n)
{
	return n == 48 || (kind != TLS_MASTER && (n == 32 || n == 64));
}

static size_t *
counter(struct tls_keylog *k, enum tls_secret kind)
{
	return kind == TLS_RESUMED ? &k->noted : &k->n;
}

/* The newest of a kind counts. */
static void
drop_secret(struct tls_keylog *k, struct session *s, enum tls_secret kind)
{
	for (struct secret **at = &s->secrets; *at != NULL; at = &(*at)->next) {
		struct secret *old = *at;

		if (old->kind != kind)
			continue;
		*at = old->next;
		free_secret(old);
		*counter(k, kind) -= 1;
		return;
	}
}

static enum tls_keylog_line
keep(struct tls_keylog *k, const uint8_t random[TLS_RANDOM], enum tls_secret kind, struct span what)
{
	struct session *s = find_session(k, random);
	struct secret *secret;

	if (s != NULL)
		drop_secret(k, s, kind);
	if (*counter(k, kind) >= k->max)
		return TLS_KEYLOG_FULL;
	if (s == NULL)
		s = add_session(k, random);
	secret = s == NULL ? NULL : malloc(sizeof(*secret) + what.n);
	if (secret == NULL)
		return TLS_KEYLOG_FULL;
	secret->kind = kind;
	secret->n = what.n;
	memcpy(secret->octets, what.p, what.n);
	secret->next = s->secrets;
	s->secrets = secret;
	*counter(k, kind) += 1;
	return TLS_KEYLOG_TAKEN;
}

void
tls_keylog_note(struct tls_keylog *k, const uint8_t id[TLS_RANDOM], struct span master)
{
	uint8_t copy[TLS_SECRET_MAX];

	/* it may be that of the very session, which is dropped first */
	memcpy(copy, master.p, master.n);
	keep(k, id, TLS_RESUMED, span_of(copy, master.n));
	explicit_bzero(copy, sizeof(copy));
}

enum tls_keylog_line
tls_keylog_add(struct tls_keylog *k, struct span line)
{
	struct span rest =
	    line.n > 0 && line.p[line.n - 1] == '\r' ? span_first(line, line.n - 1) : line;
	struct span name = span_word(&rest), first = span_word(&rest), second = span_word(&rest);
	uint8_t random[TLS_RANDOM], octets[TLS_SECRET_MAX];
	const struct label *label = find_label(name);
	enum tls_keylog_line done;
	size_t n;

	if (name.n == 0 || name.p[0] == '#')
		return TLS_KEYLOG_NOTHING;
	if (!is_label(name) || first.n == 0 || second.n == 0 || span_trim(rest).n > 0)
		return TLS_KEYLOG_BAD;
	if (label == NULL)
		return TLS_KEYLOG_NOTHING;
	n = from_hex(second, octets, sizeof(octets));
	if (from_hex(first, random, sizeof(random)) != TLS_RANDOM || !fits(label->kind, n))
		return TLS_KEYLOG_BAD;
	done = keep(k, random, label->kind, span_of(octets, n));
	explicit_bzero(octets, sizeof(octets));
	return done;
}

/* ---- look-ups ---- */

struct span
tls_keylog_find(
    const struct tls_keylog *k, const uint8_t client_random[TLS_RANDOM], enum tls_secret kind)
{
	const struct session *s = find_session(k, client_random);

	for (const struct secret *at = s == NULL ? NULL : s->secrets; at != NULL; at = at->next)
		if (at->kind == kind)
			return span_of(at->octets, at->n);
	return SPAN_NONE;
}

bool
tls_keylog_has(const struct tls_keylog *k, const uint8_t client_random[TLS_RANDOM])
{
	const struct session *s = find_session(k, client_random);

	return s != NULL && s->secrets != NULL;
}
