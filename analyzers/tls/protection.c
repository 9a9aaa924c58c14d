#include "tls/protection.h"

#include <openssl/core_names.h>

#define VERSION_TLS10 0x0301
#define VERSION_TLS13 0x0304

#define NONCE		 12 /* of every AEAD (RFC 8446 s5.3, RFC 5288, RFC 6655, RFC 7905) */
#define EXPLICIT	 8  /* octets of it that TLS 1.2 sends with each record */
#define BLOCK		 16 /* of AES */
#define AAD_12		 13 /* sequence, type, version, length */
#define APPLICATION_DATA 23

void
tls_protection_free(struct tls_protection *p)
{
	EVP_CIPHER_CTX_free(p->cipher);
	EVP_MAC_CTX_free(p->mac);
	explicit_bzero(p, sizeof(*p));
}

static bool
is_tls13(const struct tls_protection *p)
{
	return p->version == VERSION_TLS13;
}

/* GCM and CCM of TLS 1.2: a part of the nonce is in the record. */
static size_t
explicit_nonce(const struct tls_protection *p)
{
	return !is_tls13(p) && (p->suite->mode == TLS_GCM || p->suite->mode == TLS_CCM) ? EXPLICIT
											: 0;
}

size_t
tls_iv_octets(const struct tls_suite *suite, uint16_t version)
{
	if (suite->mode == TLS_CBC)
		return version == VERSION_TLS10 ? BLOCK : 0;
	return version == VERSION_TLS13 || suite->mode == TLS_CHACHA20 ? NONCE : NONCE - EXPLICIT;
}

/* ---- keys ---- */

static bool
set_mac(struct tls_protection *p, const struct tls_keys *keys)
{
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(
		OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)p->suite->mac, 0),
	    OSSL_PARAM_construct_end(),
	};

	if (p->mac == NULL) {
		EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

		p->mac = hmac == NULL ? NULL : EVP_MAC_CTX_new(hmac);
		EVP_MAC_free(hmac);
	}
	return p->mac != NULL && EVP_MAC_init(p->mac, keys->mac, p->suite->tag, params) == 1;
}

/* CCM wants to know the size of its tag ahead of the key. */
static bool
set_cipher(struct tls_protection *p, const EVP_CIPHER *cipher, const struct tls_keys *keys)
{
	EVP_CIPHER_CTX *ctx = p->cipher;

	if (EVP_DecryptInit_ex2(ctx, cipher, NULL, NULL, NULL) != 1)
		return false;
	if (p->suite->mode == TLS_CBC)
		return EVP_DecryptInit_ex2(ctx, NULL, keys->key, keys->iv, NULL) == 1 &&
		       EVP_CIPHER_CTX_set_padding(ctx, 0) == 1;
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, NONCE, NULL) != 1)
		return false;
	if (p->suite->mode == TLS_CCM &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)p->suite->tag, NULL) != 1)
		return false;
	return EVP_DecryptInit_ex2(ctx, NULL, keys->key, NULL, NULL) == 1;
}

bool
tls_protection_set(struct tls_protection *p, const struct tls_suite *suite, uint16_t version,
    bool etm, const struct tls_keys *keys)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
	bool done = false;

	p->suite = suite;
	p->version = version;
	p->etm = etm;
	p->sequence = 0;
	memcpy(p->iv, keys->iv, sizeof(p->iv));
	if (p->cipher == NULL)
		p->cipher = EVP_CIPHER_CTX_new();
	if (cipher != NULL && p->cipher != NULL)
		done = set_cipher(p, cipher, keys) && (suite->mode != TLS_CBC || set_mac(p, keys));
	EVP_CIPHER_free(cipher);
	return done;
}

/* ---- records ---- */

static void
put_u64(uint8_t *out, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		out[i] = (uint8_t)v;
}

/* What is authenticated beside the content, up to TLS 1.2; n: octets of the content. */
static void
put_aad(const struct tls_protection *p, const uint8_t *header, size_t n, uint8_t aad[AAD_12])
{
	put_u64(aad, p->sequence);
	memcpy(aad + 8, header, 3);
	aad[11] = (uint8_t)(n >> 8);
	aad[12] = (uint8_t)n;
}

static void
put_nonce(const struct tls_protection *p, const uint8_t *explicit, uint8_t nonce[NONCE])
{
	uint8_t sequence[8];

	memcpy(nonce, p->iv, NONCE);
	if (explicit_nonce(p) > 0) {
		memcpy(nonce + NONCE - EXPLICIT, explicit, EXPLICIT);
		return;
	}
	put_u64(sequence, p->sequence);
	for (size_t i = 0; i < sizeof(sequence); i++)
		nonce[NONCE - sizeof(sequence) + i] ^= sequence[i];
}

/* sealed: what is encrypted, without the tag. */
static bool
decrypt(struct tls_protection *p, struct span sealed, const uint8_t *nonce, struct span aad,
    uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = p->cipher;
	uint8_t tag[BLOCK];
	int n;

	memcpy(tag, sealed.p + sealed.n, p->suite->tag);
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)p->suite->tag, tag) != 1 ||
	    EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1)
		return false;
	if (p->suite->mode == TLS_CCM) /* it verifies before it gives anything */
		return EVP_DecryptUpdate(ctx, NULL, &n, NULL, (int)sealed.n) == 1 &&
		       EVP_DecryptUpdate(ctx, NULL, &n, aad.p, (int)aad.n) == 1 &&
		       EVP_DecryptUpdate(ctx, out, &n, sealed.p, (int)sealed.n) == 1;
	return EVP_DecryptUpdate(ctx, NULL, &n, aad.p, (int)aad.n) == 1 &&
	       EVP_DecryptUpdate(ctx, out, &n, sealed.p, (int)sealed.n) == 1 &&
	       EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
}

static bool
open_aead(struct tls_protection *p, struct span record, uint8_t *room, struct span *content)
{
	size_t ahead = TLS_RECORD_HEADER + explicit_nonce(p), n;
	uint8_t nonce[NONCE], aad[AAD_12];
	struct span beside = span_first(record, TLS_RECORD_HEADER);

	if (record.n < ahead + p->suite->tag)
		return false;
	n = record.n - ahead - p->suite->tag;
	put_nonce(p, record.p + TLS_RECORD_HEADER, nonce);
	if (!is_tls13(p)) {
		put_aad(p, record.p, n, aad);
		beside = span_of(aad, sizeof(aad));
	}
	*content = span_of(room + ahead, n);
	return decrypt(p, span_of(record.p + ahead, n), nonce, beside, room + ahead);
}

static bool
mac_is(struct tls_protection *p, const uint8_t *header, size_t length, struct span what,
    const uint8_t *mac)
{
	uint8_t aad[AAD_12], own[EVP_MAX_MD_SIZE];
	size_t n;

	put_aad(p, header, length, aad);
	return EVP_MAC_init(p->mac, NULL, 0, NULL) == 1 &&
	       EVP_MAC_update(p->mac, aad, sizeof(aad)) == 1 &&
	       EVP_MAC_update(p->mac, what.p, what.n) == 1 &&
	       EVP_MAC_final(p->mac, own, &n, sizeof(own)) == 1 && n == p->suite->tag &&
	       memcmp(own, mac, n) == 0;
}

/* RFC 5246 s6.2.3.2: every octet of the padding is its length. */
static bool
take_padding(struct span *s)
{
	size_t padding;

	if (s->n == 0 || s->p[s->n - 1] >= s->n)
		return false;
	padding = s->p[s->n - 1];
	for (size_t i = 1; i <= padding; i++)
		if (s->p[s->n - 1 - i] != padding)
			return false;
	s->n -= padding + 1;
	return true;
}

/*
 * TLS 1.1 and 1.2 send the IV as the first block, and what that becomes is nothing; TLS 1.0 goes on
 * with the last block of the record before. Either way the blocks may be decrypted as one chain.
 */
static bool
open_cbc(struct tls_protection *p, struct span record, uint8_t *room, struct span *content)
{
	size_t iv = p->version == VERSION_TLS10 ? 0 : BLOCK, mac = p->suite->tag;
	struct span sealed = span_from(record, TLS_RECORD_HEADER);
	int n;

	if (p->etm) {
		if (sealed.n < mac)
			return false;
		sealed.n -= mac;
		if (!mac_is(p, record.p, sealed.n, sealed, sealed.p + sealed.n))
			return false;
	}
	if (sealed.n < iv + BLOCK || sealed.n % BLOCK != 0 ||
	    EVP_DecryptUpdate(p->cipher, room + TLS_RECORD_HEADER, &n, sealed.p, (int)sealed.n) !=
		1)
		return false;
	*content = span_of(room + TLS_RECORD_HEADER + iv, sealed.n - iv);
	if (!take_padding(content))
		return false;
	if (p->etm)
		return true;
	if (content->n < mac)
		return false;
	content->n -= mac;
	return mac_is(p, record.p, content->n, *content, content->p + content->n);
}

/* TLSInnerPlaintext: the last octet that is not zero is the type (RFC 8446 s5.4). */
static bool
take_type(struct span *content, uint8_t *type)
{
	while (content->n > 0 && content->p[content->n - 1] == 0)
		content->n--;
	if (content->n == 0)
		return false;
	*type = content->p[--content->n];
	return true;
}

bool
tls_protection_open(struct tls_protection *p, struct span record, uint8_t *room,
    struct span *content, uint8_t *type)
{
	bool authentic;

	*type = record.p[0];
	if (is_tls13(p) && *type != APPLICATION_DATA)
		return false;
	authentic = p->suite->mode == TLS_CBC ? open_cbc(p, record, room, content)
					      : open_aead(p, record, room, content);
	if (!authentic || (is_tls13(p) && !take_type(content, type)))
		return false;
	p->sequence++;
	return content->n <= TLS_PLAIN_MAX;
}
