#include "tls_staple.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#define CLOCKS_DIFFER  300 /* seconds by which the responder's clock may be off */
#define FEATURE_STATUS 5   /* status_request, in the list of features (RFC 7633 s4.2.3) */

/* RFC 7633: a certificate that is worth nothing without a staple. */
static bool
must_staple(X509 *leaf)
{
	TLS_FEATURE *features = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
	bool must = false;

	for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
		if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == FEATURE_STATUS)
			must = true;
	TLS_FEATURE_free(features);
	return must;
}

/* Names and keys in an answer are hashed in the way of whoever made it. */
static bool
is_of(const OCSP_CERTID *id, X509 *leaf, X509 *issuer)
{
	ASN1_OBJECT *hash = NULL;
	OCSP_CERTID *wanted;
	bool same;

	OCSP_id_get0_info(NULL, &hash, NULL, NULL, (OCSP_CERTID *)(uintptr_t)id);
	wanted = OCSP_cert_to_id(EVP_get_digestbyobj(hash), leaf, issuer);
	same = wanted != NULL && OCSP_id_cmp(id, wanted) == 0;
	OCSP_CERTID_free(wanted);
	return same;
}

static long
verdict_of(OCSP_SINGLERESP *one)
{
	ASN1_GENERALIZEDTIME *from, *until;
	int status = OCSP_single_get0_status(one, NULL, NULL, &from, &until);

	if (OCSP_check_validity(from, until, CLOCKS_DIFFER, -1) != 1)
		return X509_V_ERR_OCSP_VERIFY_FAILED;
	if (status == V_OCSP_CERTSTATUS_REVOKED)
		return X509_V_ERR_CERT_REVOKED;
	return status == V_OCSP_CERTSTATUS_GOOD ? X509_V_OK : X509_V_ERR_OCSP_CERT_UNKNOWN;
}

static long
judge(SSL *ssl, OCSP_BASICRESP *answer)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	X509 *leaf = sk_X509_value(chain, 0);
	X509 *issuer = sk_X509_value(chain, sk_X509_num(chain) > 1 ? 1 : 0);

	if (leaf == NULL || answer == NULL ||
	    OCSP_basic_verify(answer, chain, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), 0) != 1)
		return X509_V_ERR_OCSP_VERIFY_FAILED;
	for (int i = 0; i < OCSP_resp_count(answer); i++) {
		OCSP_SINGLERESP *one = OCSP_resp_get0(answer, i);

		if (is_of(OCSP_SINGLERESP_get0_id(one), leaf, issuer))
			return verdict_of(one);
	}
	return X509_V_ERR_OCSP_VERIFY_FAILED;
}

long
tls_staple_verdict(SSL *ssl)
{
	const unsigned char *p = NULL;
	long n = SSL_get_tlsext_status_ocsp_resp(ssl, &p);
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *answer;
	long verdict;

	if (n <= 0 || p == NULL)
		return leaf != NULL && must_staple(leaf) ? X509_V_ERR_OCSP_VERIFY_NEEDED
							 : X509_V_OK;
	response = d2i_OCSP_RESPONSE(NULL, &p, n);
	answer = response == NULL ? NULL : OCSP_response_get1_basic(response);
	verdict = judge(ssl, answer);
	OCSP_BASICRESP_free(answer);
	OCSP_RESPONSE_free(response);
	return verdict;
}
