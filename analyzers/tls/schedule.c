#include "tls/schedule.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>

#define VERSION_TLS12 0x0303

/* A session is of one version, and uses one of them. */
struct tls_schedule {
	EVP_KDF_CTX *prf, *expand;
};

struct tls_schedule *
tls_schedule_new(void)
{
	return calloc(1, sizeof(struct tls_schedule));
}

void
tls_schedule_free(struct tls_schedule *s)
{
	if (s == NULL)
		return;
	EVP_KDF_CTX_free(s->prf);
	EVP_KDF_CTX_free(s->expand);
	free(s);
}

static EVP_KDF_CTX *
ready(EVP_KDF_CTX **kept, const char *name)
{
	EVP_KDF *kdf;

	if (*kept != NULL) {
		EVP_KDF_CTX_reset(*kept);
		return *kept;
	}
	kdf = EVP_KDF_fetch(NULL, name, NULL);
	*kept = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	EVP_KDF_free(kdf);
	return *kept;
}

/* libcrypto's parameters are not const: it reads them all the same. */
static OSSL_PARAM
text_param(const char *key, const char *text)
{
	return OSSL_PARAM_construct_utf8_string(key, (char *)(uintptr_t)text, 0);
}

static OSSL_PARAM
octets_param(const char *key, struct span s)
{
	return OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)s.p, s.n);
}

bool
tls_prf(struct tls_schedule *s, const struct tls_suite *suite, uint16_t version, struct span secret,
    const char *label, struct span seed, uint8_t *out, size_t n)
{
	EVP_KDF_CTX *ctx = ready(&s->prf, "TLS1-PRF");
	const OSSL_PARAM params[] = {
	    text_param(OSSL_KDF_PARAM_DIGEST, version >= VERSION_TLS12 ? suite->prf : "MD5-SHA1"),
	    octets_param(OSSL_KDF_PARAM_SECRET, secret),
	    octets_param(OSSL_KDF_PARAM_SEED, span_str(label)),
	    octets_param(OSSL_KDF_PARAM_SEED, seed),
	    OSSL_PARAM_construct_end(),
	};

	return ctx != NULL && EVP_KDF_derive(ctx, out, n, params) == 1;
}

bool
tls_expand_label(struct tls_schedule *s, const struct tls_suite *suite, struct span secret,
    const char *label, uint8_t *out, size_t n)
{
	EVP_KDF_CTX *ctx = ready(&s->expand, "TLS13-KDF");
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
	    text_param(OSSL_KDF_PARAM_DIGEST, suite->prf),
	    octets_param(OSSL_KDF_PARAM_KEY, secret),
	    octets_param(OSSL_KDF_PARAM_PREFIX, span_str("tls13 ")),
	    octets_param(OSSL_KDF_PARAM_LABEL, span_str(label)),
	    OSSL_PARAM_construct_end(),
	};

	return ctx != NULL && EVP_KDF_derive(ctx, out, n, params) == 1;
}
