#include "ca_leaf.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "core/ip.h"
#include "domains.h"

#define DAY	 86400
#define TIME_MAX 253402300799 /* 9999-12-31T23:59:59Z (RFC 5280 s4.1.2.5) */
#define EXPONENT 65537

static const char *const attributes[LEAF_ATTRIBUTES] = {[LEAF_C] = "C",
    [LEAF_ST] = "ST",
    [LEAF_L] = "L",
    [LEAF_O] = "O",
    [LEAF_OU] = "OU",
    [LEAF_CN] = "CN"};

const char *
leaf_attribute_name(enum leaf_attribute a)
{
	return attributes[a];
}

/* ---- names ---- */

static bool
is_canonical_domain(const char *name)
{
	char canonical[DOMAIN_TEXT_MAX];
	bool any = strncmp(name, "*.", 2) == 0;
	const char *host = any ? name + 2 : name;

	/* all of a top-level domain is nobody's */
	return domain_canonical(span_str(host), canonical) && strcmp(host, canonical) == 0 &&
	       (!any || strchr(host, '.') != NULL);
}

/* As ip_text() writes it, so that there is one way to write each. */
static bool
is_address(const char *name, struct ip *ip)
{
	char text[IP_TEXT_MAX];

	return ip_parse(span_str(name), ip) && strcmp(name, ip_text(ip, text)) == 0;
}

static bool
is_name(const char *name)
{
	struct ip ip;

	return is_address(name, &ip) || is_canonical_domain(name);
}

static bool
has_name(const struct leaf_wanted *w, const char *name)
{
	for (size_t at = 0; at < w->names_size; at += strlen(w->names + at) + 1)
		if (strcmp(w->names + at, name) == 0)
			return true;
	return false;
}

bool
leaf_add_name(struct leaf_wanted *w, const char *name)
{
	size_t n = strlen(name) + 1;

	if (w->n_names >= LEAF_NAMES_MAX || n > LEAF_NAMES_OCTETS - w->names_size ||
	    !is_name(name) || has_name(w, name))
		return false;
	memcpy(w->names + w->names_size, name, n);
	w->names_size += (uint32_t)n;
	w->n_names++;
	return true;
}

static bool
names_fit(const struct leaf_wanted *w)
{
	size_t at = 0, n = 0;

	if (w->n_names > LEAF_NAMES_MAX || w->names_size > LEAF_NAMES_OCTETS)
		return false;
	if (w->names_size > 0 && w->names[w->names_size - 1] != '\0')
		return false;
	for (; at < w->names_size; at += strlen(w->names + at) + 1, n++)
		if (!is_name(w->names + at))
			return false;
	return n == w->n_names;
}

/* ---- the rest of the fields ---- */

bool
leaf_set_key(struct leaf_wanted *w, EVP_PKEY *key)
{
	BIGNUM *modulus = NULL;
	size_t n = 0;
	bool set = false;

	if (EVP_PKEY_is_a(key, "RSA") == 1) {
		w->key = LEAF_RSA;
		set = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 &&
		      BN_bn2binpad(modulus, w->public_key, LEAF_RSA_SIZE) == LEAF_RSA_SIZE;
		n = LEAF_RSA_SIZE;
	} else if (EVP_PKEY_is_a(key, "EC") == 1) {
		w->key = LEAF_P256;
		set = EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, w->public_key,
			  sizeof(w->public_key), &n) == 1;
	}
	BN_free(modulus);
	ERR_clear_error();
	w->n_public = (uint32_t)n;
	return set;
}

static bool
key_fits(const struct leaf_wanted *w)
{
	static const uint32_t sizes[LEAF_KEYS] = {
	    [LEAF_RSA] = LEAF_RSA_SIZE, [LEAF_P256] = LEAF_P256_SIZE};

	if (w->key >= LEAF_KEYS || w->n_public != sizes[w->key])
		return false;
	/* 2048 bits, all of them; and a point that is not compressed */
	return w->key == LEAF_RSA
		   ? w->public_key[0] >= 0x80 && (w->public_key[LEAF_RSA_SIZE - 1] & 1) == 1
		   : w->public_key[0] == POINT_CONVERSION_UNCOMPRESSED;
}

static bool
text_fits(const char text[LEAF_TEXT])
{
	const char *nul = memchr(text, '\0', LEAF_TEXT);

	if (nul == NULL || !span_is_utf8(span_str(text)))
		return false;
	for (const char *c = text; c < nul; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return true;
}

const char *
leaf_fault(const struct leaf_wanted *w)
{
	if (w->not_before < 0 || w->not_after > TIME_MAX || w->not_before >= w->not_after)
		return "dates that cannot be";
	if (!key_fits(w))
		return "a key that cannot be";
	for (unsigned i = 0; i < LEAF_ATTRIBUTES; i++)
		if (!text_fits(w->subject[i]))
			return "a subject that cannot be";
	return names_fit(w) ? NULL : "names that cannot be";
}

/* ---- what is signed ---- */

bool
leaf_time(const ASN1_TIME *time, int64_t *seconds)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days, rest;
	bool known = epoch != NULL && ASN1_TIME_diff(&days, &rest, epoch, time) == 1;

	if (known)
		*seconds = (int64_t)days * DAY + rest;
	ASN1_TIME_free(epoch);
	return known;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool
set_dates(X509 *x, const struct ca *ca, const struct leaf_wanted *w, int64_t now)
{
	bool over = w->not_after <= now;
	int64_t from = over ? w->not_after - LEAF_DAYS * DAY : now - LEAF_HOURS_BEFORE * 3600;
	int64_t begin = later(from, w->not_before), end, ca_end;

	if (!leaf_time(X509_get0_notAfter(ca->certificate), &ca_end))
		return false;
	end = earlier(earlier(begin + LEAF_DAYS * DAY, w->not_after), ca_end);
	return begin < end && ASN1_TIME_set(X509_getm_notBefore(x), (time_t)begin) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(x), (time_t)end) != NULL;
}

/* What is longer than X.509 lets it be is left out. */
static bool
set_subject(X509 *x, const struct leaf_wanted *w)
{
	X509_NAME *name = X509_NAME_new();
	bool set;

	for (unsigned i = 0; name != NULL && i < LEAF_ATTRIBUTES; i++)
		if (w->subject[i][0] != '\0')
			(void)X509_NAME_add_entry_by_txt(name, attributes[i], MBSTRING_UTF8,
			    (const unsigned char *)w->subject[i], -1, -1, 0);
	ERR_clear_error();
	set = name != NULL && X509_set_subject_name(x, name) == 1;
	X509_NAME_free(name);
	return set;
}

static EVP_PKEY *
public_key(const struct leaf_wanted *w)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx =
	    EVP_PKEY_CTX_new_from_name(NULL, w->key == LEAF_RSA ? "RSA" : "EC", NULL);
	BIGNUM *n = w->key == LEAF_RSA ? BN_bin2bn(w->public_key, LEAF_RSA_SIZE, NULL) : NULL;
	EVP_PKEY *key = NULL;
	bool built = build != NULL && ctx != NULL;

	if (built && w->key == LEAF_RSA)
		built = n != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
			OSSL_PARAM_BLD_push_ulong(build, OSSL_PKEY_PARAM_RSA_E, EXPONENT) == 1;
	else if (built)
		built = OSSL_PARAM_BLD_push_utf8_string(
			    build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
			OSSL_PARAM_BLD_push_octet_string(
			    build, OSSL_PKEY_PARAM_PUB_KEY, w->public_key, LEAF_P256_SIZE) == 1;
	if (built)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	return key;
}

/* NULL: no memory. */
static GENERAL_NAME *
general_name(const char *text)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	struct ip ip;
	bool address = is_address(text, &ip);
	ASN1_STRING *value = ASN1_STRING_type_new(address ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
	const void *octets = address ? (const void *)ip.octets : text;
	int n = !address ? (int)strlen(text) : ip.family == IP_V4 ? 4 : 16;

	if (name == NULL || value == NULL || ASN1_STRING_set(value, octets, n) != 1) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(value);
		return NULL;
	}
	GENERAL_NAME_set0_value(name, address ? GEN_IPADD : GEN_DNS, value);
	return name;
}

/*
 * One without names stays without them: its client finds that out itself. Critical where they are
 * all that there is (RFC 5280 s4.2.1.6).
 */
static bool
add_names(X509 *x, const struct leaf_wanted *w)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	bool added = all != NULL;

	for (size_t at = 0; added && at < w->names_size; at += strlen(w->names + at) + 1) {
		GENERAL_NAME *one = general_name(w->names + at);

		added = one != NULL && sk_GENERAL_NAME_push(all, one) > 0;
		if (!added)
			GENERAL_NAME_free(one);
	}
	if (added && w->n_names > 0)
		added = X509_add1_ext_i2d(x, NID_subject_alt_name, all,
			    X509_NAME_entry_count(X509_get_subject_name(x)) == 0, 0) == 1;
	GENERAL_NAMES_free(all);
	return added;
}

static bool
add_extensions(X509 *x, X509 *issuer, const struct leaf_wanted *w)
{
	const struct {
		int nid;
		const char *value;
	} rows[] = {{NID_basic_constraints, "critical,CA:FALSE"},
	    {NID_key_usage, w->key == LEAF_RSA ? "critical,digitalSignature,keyEncipherment"
					       : "critical,digitalSignature"},
	    {NID_ext_key_usage, "serverAuth"}, {NID_authority_key_identifier, "keyid"}};
	/* a site's own CA may have no identifier to be referred to by */
	size_t n = sizeof(rows) / sizeof(rows[0]) - (X509_get0_subject_key_id(issuer) == NULL);

	for (size_t i = 0; i < n; i++)
		if (!ca_add_extension(x, issuer, rows[i].nid, rows[i].value))
			return false;
	return add_names(x, w);
}

/* Some keys have their digest built in. */
static const EVP_MD *
digest_of(EVP_PKEY *key)
{
	char name[32];

	return EVP_PKEY_get_default_digest_name(key, name, sizeof(name)) == 2 &&
		       strcmp(name, "UNDEF") == 0
		   ? NULL
		   : EVP_sha256();
}

X509 *
leaf_sign(const struct ca *ca, const struct leaf_wanted *w, int64_t now)
{
	EVP_PKEY *key = leaf_fault(w) == NULL ? public_key(w) : NULL;
	X509 *x = key == NULL ? NULL : X509_new();

	if (x != NULL &&
	    !(X509_set_version(x, X509_VERSION_3) == 1 && ca_set_serial(x) &&
		X509_set_issuer_name(x, X509_get_subject_name(ca->certificate)) == 1 &&
		set_dates(x, ca, w, now) && set_subject(x, w) && X509_set_pubkey(x, key) == 1 &&
		add_extensions(x, ca->certificate, w) &&
		X509_sign(x, ca->key, digest_of(ca->key)) > 0)) {
		X509_free(x);
		x = NULL;
	}
	EVP_PKEY_free(key);
	ERR_clear_error();
	return x;
}
