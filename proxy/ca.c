#include "ca.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "pem.h"

#define DAY 86400L

/* ---- for whoever makes certificates ---- */

/* The top bits are 01: positive, and always of the same length. */
bool
ca_set_serial(X509 *x)
{
	unsigned char octets[CA_SERIAL_SIZE];
	BIGNUM *number = NULL;
	bool set;

	if (RAND_bytes(octets, sizeof(octets)) != 1)
		return false;
	octets[0] = (unsigned char)((octets[0] & 0x3f) | 0x40);
	number = BN_bin2bn(octets, sizeof(octets), NULL);
	set = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;
	BN_free(number);
	return set;
}

bool
ca_add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	bool added;

	X509V3_set_ctx(&ctx, issuer == NULL ? x : issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	added = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return added;
}

/* ---- a new one ---- */

static bool
set_name(X509_NAME *name, const char *field, const char *text)
{
	return text == NULL || X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
				   (const unsigned char *)text, -1, -1, 0) == 1;
}

static bool
add_extensions(X509 *x)
{
	static const struct {
		int nid;
		const char *value;
	} rows[] = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
	    {NID_key_usage, "critical,keyCertSign"}, {NID_subject_key_identifier, "hash"},
	    {NID_authority_key_identifier, "keyid:always"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!ca_add_extension(x, NULL, rows[i].nid, rows[i].value))
			return false;
	return true;
}

/* A day old already: clocks of clients are not exact. */
static bool
fill(X509 *x, EVP_PKEY *key, const char *name, const char *organisation)
{
	X509_NAME *subject = X509_get_subject_name(x);

	return X509_set_version(x, X509_VERSION_3) == 1 && ca_set_serial(x) &&
	       set_name(subject, "O", organisation) && set_name(subject, "CN", name) &&
	       X509_set_issuer_name(x, subject) == 1 &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -DAY) != NULL &&
	       X509_gmtime_adj(X509_getm_notAfter(x), CA_DAYS * DAY) != NULL &&
	       X509_set_pubkey(x, key) == 1 && add_extensions(x) &&
	       X509_sign(x, key, EVP_sha256()) > 0;
}

bool
ca_make(const char *name, const char *organisation, struct ca *out)
{
	*out = (struct ca){.certificate = X509_new(), .key = EVP_RSA_gen(CA_BITS)};
	if (out->certificate != NULL && out->key != NULL &&
	    fill(out->certificate, out->key, name, organisation))
		return true;
	ERR_clear_error();
	ca_free(out);
	return false;
}

void
ca_free(struct ca *ca)
{
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
	*ca = (struct ca){NULL, NULL};
}

/* ---- one that is there ---- */

const char *
ca_fault(X509 *x)
{
	if (X509_check_ca(x) != 1 || (X509_get_extension_flags(x) & EXFLAG_BCONS) == 0)
		return "is no certificate of a CA (basicConstraints)";
	if ((X509_get_key_usage(x) & KU_KEY_CERT_SIGN) == 0)
		return "may not sign certificates (keyUsage)";
	return NULL;
}

bool
ca_read(struct span chain_pem, struct span key_pem, struct ca *out)
{
	STACK_OF(X509) *chain = pem_certificates(chain_pem);
	bool encrypted;

	*out = (struct ca){NULL, pem_key(key_pem, &encrypted)};
	out->certificate = chain == NULL ? NULL : sk_X509_shift(chain);
	pem_certificates_free(chain);
	if (out->certificate != NULL && out->key != NULL && ca_fault(out->certificate) == NULL &&
	    X509_check_private_key(out->certificate, out->key) == 1)
		return true;
	ERR_clear_error();
	ca_free(out);
	return false;
}
