/*
 * tls_made - keys and certificates for tests, made when they run: none is in a file that is kept.
 *
 * Whatever cannot be made ends the test.
 */
#ifndef POSTERN_TESTS_TLS_MADE_H
#define POSTERN_TESTS_TLS_MADE_H

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"

#define MADE_DAY (24 * 60 * 60)

struct made {
	EVP_PKEY *key;
	X509 *x;
};

struct make {
	const char *cn;
	const char *alternatives;  /* "DNS:a.example,IP:192.0.2.1"; NULL: no subjectAltName */
	const struct made *issuer; /* NULL: itself */
	bool is_ca;
	int rsa;		 /* bits; 0: ECDSA with P-256 */
	long from_days, to_days; /* from now; 0 to 0: yesterday to next year */
	const EVP_MD *digest;	 /* NULL: SHA-256 */
};

static inline void
made_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline struct made
made_new(const struct make *m)
{
	static long serial;
	bool plain = m->from_days == 0 && m->to_days == 0;
	struct made out = {.x = X509_new()};
	X509_NAME *name = X509_NAME_new();

	out.key = m->rsa > 0 ? EVP_RSA_gen((unsigned)m->rsa) : EVP_EC_gen("P-256");
	assert_non_null(out.key);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_UTF8, (const unsigned char *)m->cn, -1, -1, 0);
	X509_set_version(out.x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(out.x), ++serial);
	X509_set_subject_name(out.x, name);
	X509_set_issuer_name(out.x, m->issuer == NULL ? name : X509_get_subject_name(m->issuer->x));
	X509_NAME_free(name);
	X509_gmtime_adj(X509_getm_notBefore(out.x), MADE_DAY * (plain ? -1 : m->from_days));
	X509_gmtime_adj(X509_getm_notAfter(out.x), MADE_DAY * (plain ? 365 : m->to_days));
	X509_set_pubkey(out.x, out.key);
	if (m->is_ca)
		made_extension(out.x, NID_basic_constraints, "critical,CA:TRUE");
	if (m->alternatives != NULL)
		made_extension(out.x, NID_subject_alt_name, m->alternatives);
	assert_true(X509_sign(out.x, m->issuer == NULL ? out.key : m->issuer->key,
			m->digest == NULL ? EVP_sha256() : m->digest) > 0);
	return out;
}

static inline void
made_free(struct made *m)
{
	X509_free(m->x);
	EVP_PKEY_free(m->key);
}

/* What was written to a BIO goes behind what is in out. */
static inline void
made_take(BIO *bio, struct buf *out)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	assert_true(n > 0);
	assert_true(buf_add(out, span_of(p, (size_t)n)));
	BIO_free(bio);
}

static inline void
made_certificate(const struct made *m, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_X509(bio, m->x), 1);
	made_take(bio, out);
}

/* password: NULL: in the clear. */
static inline void
made_key(const struct made *m, const char *password, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(
	    PEM_write_bio_PKCS8PrivateKey(bio, m->key, password == NULL ? NULL : EVP_aes_128_cbc(),
		password, password == NULL ? 0 : (int)strlen(password), NULL, NULL),
	    1);
	made_take(bio, out);
}

/* Writes a file, and empties the text. */
static inline void
made_file(const char *path, struct buf *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, text->p, text->n), (ssize_t)text->n);
	close(fd);
	buf_clear(text);
}

#endif
