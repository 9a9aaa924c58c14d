#include "tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

/* ---- HKDF ---- */

static OSSL_PARAM
octets(const char *name, const void *p, size_t n)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)p, n);
}

static bool
hkdf(const uint8_t secret[TLS_SECRET], struct span info, struct tls_ticket_keys *out)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
	    octets(OSSL_KDF_PARAM_KEY, secret, TLS_SECRET),
	    octets(OSSL_KDF_PARAM_INFO, info.p, info.n), OSSL_PARAM_construct_end()};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	bool done = context != NULL &&
		    EVP_KDF_derive(context, (unsigned char *)out, sizeof(*out), params) == 1;

	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return done;
}
_Static_assert(sizeof(struct tls_ticket_keys) == TLS_TICKET_NAME + 2 * TLS_TICKET_KEY,
    "the keys are derived in one piece");

bool
tls_ticket_derive(const uint8_t secret[TLS_SECRET], uint64_t hour, struct tls_ticket_keys *out)
{
	uint8_t info[] = "postern session ticket ........";

	for (size_t i = 0; i < sizeof(hour); i++)
		info[sizeof(info) - 1 - i] = (uint8_t)(hour >> (8 * i));
	return hkdf(secret, span_of(info, sizeof(info)), out);
}

/* ---- two hours ---- */

static bool
derive_both(struct tls_tickets *t, uint64_t hour)
{
	t->known = tls_ticket_derive(t->secret, hour, &t->keys[0]) &&
		   tls_ticket_derive(t->secret, hour - 1, &t->keys[1]);
	t->hour = hour;
	return t->known;
}

bool
tls_tickets_begin(struct tls_tickets *t, const uint8_t secret[TLS_SECRET], uint64_t seconds)
{
	memcpy(t->secret, secret, TLS_SECRET);
	return derive_both(t, seconds / TLS_TICKET_HOUR);
}

void
tls_tickets_wipe(struct tls_tickets *t)
{
	OPENSSL_cleanse(t, sizeof(*t));
}

static bool
use_keys(const struct tls_ticket_keys *k, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, bool encrypt)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {octets(OSSL_MAC_PARAM_KEY, k->mac, TLS_TICKET_KEY),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end()};

	return EVP_MAC_CTX_set_params(mac, params) == 1 &&
	       EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, encrypt) == 1;
}

int
tls_tickets_use(struct tls_tickets *t, uint64_t seconds, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool encrypt)
{
	uint64_t hour = seconds / TLS_TICKET_HOUR;
	unsigned age = 0;

	if ((!t->known || hour != t->hour) && !derive_both(t, hour))
		return -1;
	if (encrypt) {
		if (RAND_bytes(iv, TLS_TICKET_IV) != 1)
			return -1;
		memcpy(name, t->keys[0].name, TLS_TICKET_NAME);
	}
	while (age < 2 && CRYPTO_memcmp(name, t->keys[age].name, TLS_TICKET_NAME) != 0)
		age++;
	if (age == 2)
		return 0;
	if (!use_keys(&t->keys[age], iv, cipher, mac, encrypt))
		return -1;
	return age == 0 ? 1 : 2;
}
