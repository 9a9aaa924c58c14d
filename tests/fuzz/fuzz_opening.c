/*
 * fuzz_opening - sessions of TLS and the key log for them. Two octets say how many of the others
 * are the key log; what follows are pieces of the wire: an octet of how, two of length, the octets.
 *
 * How: bit 0 is the direction. Bit 1: the octets are no records but what is in one, of the type
 * that is the first of them, and the harness protects it as TLS 1.3 does under SECRET: bits 2 and 3
 * say with the secret of the handshake (0), of the application (1), or of it after one and two
 * updates. So that what cannot be forged is reached too.
 *
 * Claims: whatever comes, what is read is the same for every chunking, and nothing is read of one
 * who has ended, or behind what was broken.
 */
#include <openssl/evp.h>

#include "core/buf.h"
#include "fuzz.h"
#include "tls/opening.h"
#include "tls/schedule.h"
#include "tls/wire.h"

#define SECRETS_MAX 100
#define HEARD_MAX   (1u << 20)
#define SHA256_N    32
#define TAG	    16
#define HEADER	    5

/* The secret of both directions; the key log of the corpus has it. */
static const uint8_t SECRET[SHA256_N] = {1, 2, 3};

enum { LEVEL_HANDSHAKE, LEVEL_TRAFFIC, LEVEL_UPDATED, LEVEL_EARLY, LEVELS };

static struct {
	uint8_t key[LEVELS][16], iv[LEVELS][12];
	bool made;
} keys;

static void
make_keys(void)
{
	const struct tls_suite *suite = tls_suite_of(0x1301, 0x0304);
	struct tls_schedule *s = tls_schedule_new();
	uint8_t secret[SHA256_N];

	memcpy(secret, SECRET, sizeof(secret));
	for (int level = 0; level < LEVELS; level++) {
		struct span of = span_of(secret, sizeof(secret));

		if (level == LEVEL_EARLY)
			memcpy(secret, SECRET, sizeof(secret));
		if (level == LEVEL_UPDATED)
			tls_expand_label(s, suite, of, "traffic upd", secret, sizeof(secret));
		tls_expand_label(s, suite, of, "key", keys.key[level], sizeof(keys.key[level]));
		tls_expand_label(s, suite, of, "iv", keys.iv[level], sizeof(keys.iv[level]));
	}
	tls_schedule_free(s);
	keys.made = true;
}

/* content: what is in the record, and its type behind it. */
static void
seal(struct buf *wire, struct span content, unsigned level, uint64_t sequence)
{
	size_t n = content.n + TAG;
	const uint8_t header[HEADER] = {23, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};
	static uint8_t out[65536 + TAG];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12];
	int m;

	memcpy(nonce, keys.iv[level], sizeof(nonce));
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(sequence >> 8 * i);
	EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, keys.key[level], nonce);
	EVP_EncryptUpdate(ctx, NULL, &m, header, HEADER);
	EVP_EncryptUpdate(ctx, out, &m, content.p, (int)content.n);
	EVP_EncryptFinal_ex(ctx, out + m, &m);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, out + content.n);
	EVP_CIPHER_CTX_free(ctx);
	buf_add(wire, span_of(header, HEADER));
	buf_add(wire, span_of(out, n));
}

/* ---- what is read ---- */

struct heard {
	struct buf octets[2];
	bool ended[2];
	enum tls_opened over;
};

static void
feed(struct tls_opening *o, struct heard *h, enum an_dir dir, struct span in)
{
	struct span plain;
	size_t used;
	bool more = true;

	while (more && h->over == TLS_OPENING_MORE) {
		enum tls_opened said = tls_opening_feed(o, dir, in, &used, &plain);

		fuzz_claim(used <= in.n);
		in = span_from(in, used);
		more = said != TLS_OPENING_MORE;
		fuzz_claim(more || in.n == 0);
		if (said == TLS_OPENING_OCTETS) {
			fuzz_claim(plain.n > 0 && plain.n <= 16384 && !h->ended[dir]);
			buf_add(&h->octets[dir], plain);
		} else if (said == TLS_OPENING_END) {
			fuzz_claim(!h->ended[dir]);
			h->ended[dir] = true;
		} else {
			h->over = said;
		}
	}
	if (h->over == TLS_OPENING_BROKEN)
		fuzz_claim(tls_opening_feed(o, dir, in, &used, &plain) == TLS_OPENING_BROKEN);
}

static struct tls_keylog *
keylog_of(struct span lines)
{
	struct tls_keylog *k = tls_keylog_new(SECRETS_MAX);

	fuzz_claim(k != NULL);
	while (lines.n > 0) {
		ptrdiff_t end = span_find(lines, '\n');
		size_t line = end < 0 ? lines.n : (size_t)end;

		tls_keylog_add(k, span_first(lines, line));
		lines = span_from(lines, line + 1);
	}
	return k;
}

static struct heard
hear(struct span lines, struct span wire, size_t piece)
{
	struct tls_keylog *k = keylog_of(lines);
	struct tls_opening *o = tls_opening_new(k);
	struct tls_wire w = tls_wire_of(wire);
	uint64_t sequence[2][LEVELS] = {0};
	struct heard h = {.over = TLS_OPENING_MORE};
	struct buf sealed;

	fuzz_claim(o != NULL);
	buf_init(&sealed, 1u << 17);
	buf_init(&h.octets[AN_C2S], HEARD_MAX);
	buf_init(&h.octets[AN_S2C], HEARD_MAX);
	while (w.rest.n > 0 && h.over == TLS_OPENING_MORE) {
		unsigned how = tls_number(&w, 1), level = how >> 2 & 3;
		enum an_dir dir = how & 1 ? AN_S2C : AN_C2S;
		struct span s = tls_vector(&w, 2);

		if (how & 2) {
			buf_clear(&sealed);
			seal(&sealed, s, level, sequence[dir][level]++);
			s = buf_span(&sealed);
		}
		for (; s.n > 0; s = span_from(s, piece))
			feed(o, &h, dir, span_first(s, piece));
	}
	buf_free(&sealed);
	tls_opening_free(o);
	tls_keylog_free(k);
	return h;
}

static bool
same(const struct heard *a, const struct heard *b)
{
	return a->over == b->over && a->ended[0] == b->ended[0] && a->ended[1] == b->ended[1] &&
	       span_eq(buf_span(&a->octets[0]), buf_span(&b->octets[0])) &&
	       span_eq(buf_span(&a->octets[1]), buf_span(&b->octets[1]));
}

static void
heard_free(struct heard *h)
{
	buf_free(&h->octets[0]);
	buf_free(&h->octets[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const size_t pieces[] = {1, 7, 100};
	struct tls_wire w = tls_wire_of(span_of(p, n));
	struct span lines = tls_vector(&w, 2);
	struct heard whole, other;

	if (!keys.made)
		make_keys();
	whole = hear(lines, w.rest, n + 1 + HEADER + TAG);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		other = hear(lines, w.rest, pieces[i]);
		fuzz_claim(same(&whole, &other));
		heard_free(&other);
	}
	heard_free(&whole);
	return 0;
}
