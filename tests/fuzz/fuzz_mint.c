/*
 * fuzz_mint - what is made of a server's certificate, and of what a worker asks the signer. The
 * first octet says which: even: the rest is a certificate; odd: it is laid over a question.
 *
 * Claims: whatever certificate OpenSSL reads, what is described of it is what the signer takes, and
 * its leaf keeps its bounds; what the signer does not refuse ends in a leaf or in none.
 */
#include <openssl/x509v3.h>

#include "fuzz.h"
#include "signer.h"
#include "tls_mint.h"

#define NOW ((int64_t)1795790000) /* 2026-11-27 */
#define DAY 86400

static struct ca ca;
static EVP_PKEY *key;

/* A CA without an end, so that it is never the CA that has expired. */
static void
make_ca(void)
{
	ca = (struct ca){X509_new(), EVP_EC_gen("P-256")};
	key = EVP_EC_gen("P-256");
	fuzz_claim(ca.certificate != NULL && ca.key != NULL && key != NULL);
	fuzz_claim(X509_set_version(ca.certificate, X509_VERSION_3) == 1);
	fuzz_claim(ASN1_TIME_set(X509_getm_notBefore(ca.certificate), 0) != NULL);
	fuzz_claim(
	    ASN1_TIME_set_string_X509(X509_getm_notAfter(ca.certificate), "99991231235959Z") == 1);
	fuzz_claim(X509_set_pubkey(ca.certificate, ca.key) == 1);
	fuzz_claim(X509_sign(ca.certificate, ca.key, EVP_sha256()) > 0);
}

static void
look_at_leaf(X509 *leaf, const struct leaf_wanted *w)
{
	int64_t from, to;

	fuzz_claim(i2d_X509(leaf, NULL) <= SIGNER_DER_MAX);
	fuzz_claim(leaf_time(X509_get0_notBefore(leaf), &from));
	fuzz_claim(leaf_time(X509_get0_notAfter(leaf), &to));
	fuzz_claim(from < to && to - from <= LEAF_DAYS * DAY);
	fuzz_claim(from >= w->not_before && to <= w->not_after);
	fuzz_claim(X509_check_ca(leaf) == 0);
}

static void
take_certificate(struct span der)
{
	const unsigned char *p = der.p;
	X509 *real = d2i_X509(NULL, &p, (long)der.n), *leaf;
	struct leaf_wanted w = {.n_names = 0};

	if (real != NULL && mint_describe(real, span_str("a.mail.example"), &w)) {
		fuzz_claim(leaf_set_key(&w, key));
		fuzz_claim(leaf_fault(&w) == NULL);
		leaf = leaf_sign(&ca, &w, NOW);
		fuzz_claim(leaf != NULL);
		look_at_leaf(leaf, &w);
		X509_free(leaf);
	}
	X509_free(real);
}

static void
take_question(struct span octets)
{
	struct leaf_wanted w = {.not_before = NOW - DAY, .not_after = NOW + DAY};
	X509 *leaf;

	fuzz_claim(leaf_set_key(&w, key) && leaf_add_name(&w, "mail.example"));
	octets = span_first(octets, sizeof(w));
	if (octets.n > 0)
		memcpy(&w, octets.p, octets.n);
	leaf = leaf_sign(&ca, &w, NOW);
	fuzz_claim(leaf == NULL || leaf_fault(&w) == NULL);
	if (leaf != NULL)
		look_at_leaf(leaf, &w);
	X509_free(leaf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (ca.certificate == NULL)
		make_ca();
	if (n > 0 && p[0] % 2 == 0)
		take_certificate(span_of(p + 1, n - 1));
	else if (n > 0)
		take_question(span_of(p + 1, n - 1));
	return 0;
}
