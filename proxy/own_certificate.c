#include "own_certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY	    (24 * 60 * 60)
#define SERIAL_BITS 120 /* RFC 5280 s4.1.2.2: at most 20 octets, positive */
#define COMMON_NAME_MAX                                                                            \
	64		  /* ub-common-name (RFC 5280 A.1); a longer name stands beside it alone   \
			   */
#define EXTENSION_MAX 512 /* "DNS:" and a name */

/* ---- certificate ---- */

static bool
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool ok = e != NULL && X509_add_ext(x, e, -1) == 1;

	X509_EXTENSION_free(e);
	return ok;
}

/* What it may be used for, and that it certifies nobody. */
static bool
add_extensions(X509 *x, const char *name)
{
	char names[EXTENSION_MAX];

	snprintf(names, sizeof(names), "DNS:%s", name);
	return add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(x, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(x, NID_ext_key_usage, "serverAuth") &&
	       add_extension(x, NID_subject_alt_name, names);
}

static bool
set_serial(X509 *x)
{
	BIGNUM *number = BN_new();
	bool ok = number != NULL &&
		  BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
		  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;

	BN_free(number);
	return ok;
}

static bool
set_names(X509 *x, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(x);
	const char *shown = strlen(name) <= COMMON_NAME_MAX ? name : "mail gateway";

	return X509_NAME_add_entry_by_txt(
		   subject, "CN", MBSTRING_UTF8, (const unsigned char *)shown, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(x, subject) == 1;
}

/* NULL: OpenSSL will not, or no memory. */
static X509 *
certify(EVP_PKEY *key, const char *name)
{
	X509 *x = X509_new();

	/* from yesterday on: not every clock is right */
	if (x != NULL && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
	    set_names(x, name) && X509_gmtime_adj(X509_getm_notBefore(x), -DAY) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x), OWN_CERTIFICATE_DAYS * (long)DAY) != NULL &&
	    X509_set_pubkey(x, key) == 1 && add_extensions(x, name) &&
	    X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

/* ---- files ---- */

/* A file that nobody sees yet, beside the one that it becomes. */
struct file {
	const char *path;
	char temporary[PATH_MAX]; /* "": there is none */
};

static bool
write_pem(int fd, X509 *x, EVP_PKEY *key)
{
	BIO *bio = BIO_new_fd(fd, BIO_NOCLOSE);
	bool ok = bio != NULL && (x != NULL ? PEM_write_bio_X509(bio, x) == 1
					    : PEM_write_bio_PKCS8PrivateKey(
						  bio, key, NULL, NULL, 0, NULL, NULL) == 1);

	BIO_free(bio);
	return ok;
}

/* Of x, else of key. False: errno. */
static bool
prepare(struct file *f, mode_t mode, X509 *x, EVP_PKEY *key)
{
	int fd;
	bool ok;

	if (strlen(f->path) + sizeof(".XXXXXX") > sizeof(f->temporary)) {
		errno = ENAMETOOLONG;
		return false;
	}
	snprintf(f->temporary, sizeof(f->temporary), "%s.XXXXXX", f->path);
	fd = mkostemp(f->temporary, O_CLOEXEC);
	if (fd < 0) {
		*f->temporary = '\0';
		return false;
	}
	errno = 0;
	ok = write_pem(fd, x, key) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
	if (!ok && errno == 0)
		errno = EIO;
	close(fd);
	return ok;
}

/* The name that it is to have may not be there: link() makes one, or fails. */
static bool
publish(const struct file *key, const struct file *certificate)
{
	int error;

	if (link(key->temporary, key->path) != 0)
		return false;
	if (link(certificate->temporary, certificate->path) == 0)
		return true;
	error = errno;
	unlink(key->path);
	errno = error;
	return false;
}

static void
forget(const struct file *f)
{
	if (*f->temporary != '\0')
		unlink(f->temporary);
}

static bool
write_both(EVP_PKEY *key, X509 *x, const char *key_path, const char *certificate_path)
{
	struct file of_key = {.path = key_path}, of_certificate = {.path = certificate_path};
	bool ok = prepare(&of_key, 0400, NULL, key) && prepare(&of_certificate, 0444, x, NULL) &&
		  publish(&of_key, &of_certificate);
	int error = errno;

	forget(&of_key);
	forget(&of_certificate);
	errno = error;
	return ok;
}

/* ---- both ---- */

enum own_made
own_certificate_make(const char *name, const char *certificate, const char *key, const char **why)
{
	static char said[2 * PATH_MAX + 128];
	struct stat st;
	bool has_key = lstat(key, &st) == 0, has_certificate = lstat(certificate, &st) == 0;
	EVP_PKEY *made;
	X509 *x;
	enum own_made done = OWN_FAILED;

	if (has_key && has_certificate)
		return OWN_THERE;
	*why = said;
	if (has_key || has_certificate) {
		snprintf(said, sizeof(said), "%s is there, and %s is not; nothing is overwritten",
		    has_key ? key : certificate, has_key ? certificate : key);
		return OWN_FAILED;
	}
	made = EVP_EC_gen("P-256");
	x = made == NULL ? NULL : certify(made, name);
	if (x == NULL)
		snprintf(said, sizeof(said), "OpenSSL cannot make a key or a certificate");
	else if (write_both(made, x, key, certificate))
		done = OWN_MADE;
	else
		snprintf(said, sizeof(said), "%s, %s: %s", key, certificate, strerror(errno));
	ERR_clear_error();
	X509_free(x);
	EVP_PKEY_free(made);
	return done;
}
