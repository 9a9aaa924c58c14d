#include "pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "config.h"
#include "domains.h"

/* ---- certificates and keys ---- */

static BIO *
bio_of(struct span text)
{
	return text.n > INT32_MAX ? NULL : BIO_new_mem_buf(text.p, (int)text.n);
}

/* That the text has ended is no fault; that it has none is the caller's matter. */
static bool
ended(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

/* False: one cannot be read, or no memory. */
static bool
read_certificates(BIO *bio, STACK_OF(X509) * into)
{
	X509 *one;

	while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_num(into) == PEM_CERTIFICATES_MAX || sk_X509_push(into, one) <= 0) {
			X509_free(one);
			return false;
		}
	return ended();
}

STACK_OF(X509) * pem_certificates(struct span text)
{
	BIO *bio = bio_of(text);
	STACK_OF(X509) *all = sk_X509_new_null();

	ERR_clear_error();
	if (bio == NULL || all == NULL || !read_certificates(bio, all) || sk_X509_num(all) == 0) {
		pem_certificates_free(all);
		all = NULL;
	}
	ERR_clear_error();
	BIO_free(bio);
	return all;
}

void
pem_certificates_free(STACK_OF(X509) * all)
{
	sk_X509_pop_free(all, X509_free);
}

struct span
pem_write(const STACK_OF(X509) * all, int n)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct span text = SPAN_NONE;
	bool ok = bio != NULL;
	char *octets, *copy;
	long size;

	for (int i = 0; ok && i < n; i++)
		ok = PEM_write_bio_X509(bio, sk_X509_value(all, i)) == 1;
	size = ok ? BIO_get_mem_data(bio, &octets) : 0;
	copy = size > 0 ? malloc((size_t)size) : NULL;
	if (copy != NULL) {
		memcpy(copy, octets, (size_t)size);
		text = span_of(copy, (size_t)size);
	}
	BIO_free(bio);
	ERR_clear_error();
	return text;
}

/* Nobody is there to be asked. */
static int
no_password(char *text, int size, int writing, void *encrypted)
{
	(void)text;
	(void)size;
	(void)writing;
	*(bool *)encrypted = true;
	return -1;
}

EVP_PKEY *
pem_key(struct span text, bool *encrypted)
{
	BIO *bio = bio_of(text);
	EVP_PKEY *key;

	*encrypted = false;
	key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, encrypted);
	ERR_clear_error();
	BIO_free(bio);
	return key;
}

/* ---- names ---- */

struct name_list {
	char **names;
	size_t n;
};

static bool
add_name(struct name_list *list, const ASN1_STRING *s)
{
	struct span text = span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	char name[TLS_NAME_TEXT] = "*.";
	size_t wild = span_starts(text, span_str("*.")) ? 2 : 0;

	if (list->n == PEM_NAMES_MAX || !domain_canonical(span_from(text, wild), name + wild))
		return true;
	list->names[list->n] = strdup(name);
	return list->names[list->n++] != NULL;
}

/* *any: subjectAltName has a DNS name, whether or not it will do. */
static bool
add_alternatives(struct name_list *list, X509 *x, bool *any)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool ok = true;

	for (int i = 0; ok && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);

		if (one->type != GEN_DNS)
			continue;
		*any = true;
		ok = add_name(list, one->d.dNSName);
	}
	GENERAL_NAMES_free(all);
	return ok;
}

static bool
add_common_name(struct name_list *list, X509 *x)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return at < 0 || add_name(list, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

char **
pem_names(X509 *x)
{
	struct name_list list = {.names = calloc(PEM_NAMES_MAX + 1, sizeof(char *))};
	bool any = false;

	if (list.names == NULL)
		return NULL;
	if (add_alternatives(&list, x, &any) && (any || add_common_name(&list, x)))
		return list.names;
	for (size_t i = 0; i < list.n; i++)
		free(list.names[i]);
	free(list.names);
	return NULL;
}
