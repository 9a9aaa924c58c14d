#include "certificate_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_value.h"
#include "own_certificate.h"
#include "pem.h"
#include "signer.h"

/* A file that is looked at, and who is told. */
struct looking {
	const char *setting; /* "certificate.chain" */
	const char *path;
	unsigned line;
	struct faults *faults;
};

static void __attribute__((format(printf, 3, 0)))
tell(void (*to)(struct faults *, unsigned, const char *, ...), const struct looking *l,
    const char *format, va_list ap)
{
	char what[FAULT_TEXT_MAX / 2];

	vsnprintf(what, sizeof(what), format, ap);
	to(l->faults, l->line, "%s: %.256s: %s", l->setting, l->path, what);
}

static void __attribute__((format(printf, 2, 3)))
fault(const struct looking *l, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	tell(faults_add, l, format, ap);
	va_end(ap);
}

static void __attribute__((format(printf, 2, 3)))
warn(const struct looking *l, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	tell(faults_warn, l, format, ap);
	va_end(ap);
}

/* ---- files ---- */

/* Reads up to size octets. -1: errno. */
static ssize_t
read_octets(int fd, char *text, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = read(fd, text + n, size - n);

		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return -1;
		if (got > 0)
			n += (size_t)got;
	}
	return (ssize_t)n;
}

/* A whole file of st->st_size octets; one that grows meanwhile is cut. */
static struct span
read_file(const struct looking *l, int fd, const struct stat *st)
{
	size_t size = (size_t)st->st_size;
	char *text = malloc(size);
	ssize_t n = text == NULL ? -1 : read_octets(fd, text, size);

	if (n > 0)
		return span_of(text, (size_t)n);
	fault(l, "%s", n == 0 ? "is empty" : strerror(errno));
	free(text);
	return SPAN_NONE;
}

/* Octets of the file, malloc()ed; none: that was told. A pipe would hold up who reads it. */
static struct span
load(const struct looking *l, size_t max, struct stat *st)
{
	struct span text = SPAN_NONE;
	int fd;

	if (l->path[0] != '/') {
		faults_add(l->faults, l->line, "%s: \"%.256s\" is no path that begins with \"/\"",
		    l->setting, l->path);
		return text;
	}
	fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) != 0)
		fault(l, "%s", strerror(errno));
	else if (!S_ISREG(st->st_mode))
		fault(l, "is no file");
	else if (st->st_size == 0)
		fault(l, "is empty");
	else if ((uint64_t)st->st_size > max)
		fault(l, "has more than %zu octets", max);
	else
		text = read_file(l, fd, st);
	if (fd >= 0)
		close(fd);
	return text;
}

/* What load() gave, when it is not needed any more. */
static void
wipe(struct span text)
{
	if (text.n > 0)
		OPENSSL_cleanse((void *)(uintptr_t)text.p, text.n);
	free((void *)(uintptr_t)text.p);
}

/* ---- certificates ---- */

static int
bits_of(X509 *x)
{
	EVP_PKEY *key = X509_get0_pubkey(x);

	return key == NULL ? 0 : EVP_PKEY_get_security_bits(key);
}

/* Of the digest under a signature, where it has one of its own. */
static bool
weak_digest(X509 *x)
{
	int digest;

	return X509_get_signature_info(x, &digest, NULL, NULL, NULL) == 1 &&
	       (digest == NID_sha1 || digest == NID_md5 || digest == NID_md5_sha1);
}

/* Whoever signs himself is believed for other reasons than the signature. */
static bool
signs_itself(X509 *x)
{
	return X509_check_issued(x, x) == X509_V_OK;
}

static void
look_at_strength(const struct looking *l, X509 *x, int number)
{
	if (bits_of(x) < CERTIFICATE_BITS_MIN)
		fault(l,
		    "the key of certificate %d is too weak: %d bits of RSA, or as much of "
		    "others, are the least",
		    number, 2048);
	if (weak_digest(x) && (number == 1 || !signs_itself(x)))
		fault(l,
		    "certificate %d is signed with SHA-1 or MD5, which nobody believes any "
		    "more",
		    number);
}

static void
look_at_time(const struct looking *l, X509 *x, int number)
{
	const ASN1_TIME *end = X509_get0_notAfter(x);
	time_t soon = time(NULL) + CERTIFICATE_DAYS_LEFT * (time_t)86400;

	if (X509_cmp_current_time(end) < 0)
		warn(l, "certificate %d has expired", number);
	else if (X509_cmp_time(end, &soon) < 0)
		warn(l, "certificate %d expires in less than %d days", number,
		    CERTIFICATE_DAYS_LEFT);
	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		warn(l, "certificate %d is not valid yet", number);
}

/* RFC 8446 s4.4.2: each certifies the one ahead of it. */
static void
look_at_chain(const struct looking *l, STACK_OF(X509) * chain)
{
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *x = sk_X509_value(chain, i);

		if (i > 0 && X509_check_issued(x, sk_X509_value(chain, i - 1)) != X509_V_OK)
			fault(l,
			    "certificate %d is not the issuer of certificate %d; the server's own "
			    "comes first, then each one's issuer",
			    i + 1, i);
		look_at_strength(l, x, i + 1);
		look_at_time(l, x, i + 1);
	}
}

/* A configured name that whoever verifies will not find. */
static void
look_at_names(const struct looking *l, const struct certificate *c, X509 *leaf)
{
	for (size_t i = 0; c->names != NULL && c->names[i] != NULL; i++) {
		char host[TLS_NAME_TEXT + 1];
		bool wild = c->names[i][0] == '*';

		snprintf(host, sizeof(host), "%s%s", wild ? "x" : "", c->names[i] + (wild ? 1 : 0));
		if (X509_check_host(leaf, host, 0, 0, NULL) != 1)
			warn(
			    l, "certificate 1 is not for \"%s\" of certificate.names", c->names[i]);
	}
}

static STACK_OF(X509) * read_chain(struct certificate *c, const struct looking *l)
{
	STACK_OF(X509) *chain = NULL;
	struct stat st;

	c->chain_pem = load(l, CERTIFICATE_FILE_MAX, &st);
	if (c->chain_pem.n == 0)
		return NULL;
	chain = pem_certificates(c->chain_pem);
	if (chain == NULL) {
		fault(l, "has no certificate in PEM, or one that cannot be read");
		return NULL;
	}
	look_at_chain(l, chain);
	look_at_names(l, c, sk_X509_value(chain, 0));
	return chain;
}

static EVP_PKEY *
read_key(struct certificate *c, const struct looking *l)
{
	EVP_PKEY *key;
	struct stat st;
	bool encrypted;

	c->key_pem = load(l, CERTIFICATE_FILE_MAX, &st);
	if (c->key_pem.n == 0)
		return NULL;
	if ((st.st_mode & S_IRWXO) != 0)
		warn(l, "others than its owner and group may read or write it (mode %04o)",
		    (unsigned)st.st_mode & 07777u);
	key = pem_key(c->key_pem, &encrypted);
	if (key == NULL && encrypted)
		fault(l, "the key is encrypted, and nobody is there to be asked for its password");
	else if (key == NULL)
		fault(l, "has no private key in PEM, or one that cannot be read");
	return key;
}

static void
read_both(struct certificate *c, const struct looking *at_chain, const struct looking *at_key)
{
	STACK_OF(X509) *chain = read_chain(c, at_chain);
	EVP_PKEY *key = read_key(c, at_key);

	if (chain != NULL && key != NULL &&
	    X509_check_private_key(sk_X509_value(chain, 0), key) != 1)
		fault(at_key, "is not the key of the first certificate of %.256s", at_chain->path);
	EVP_PKEY_free(key);
	pem_certificates_free(chain);
}

void
certificate_read(
    struct certificate *c, const struct certificate_lines *lines, struct faults *faults)
{
	const struct looking at_chain = {
	    lines->of_client ? "client_certificate.chain" : "certificate.chain", c->chain,
	    lines->chain, faults};
	const struct looking at_key = {
	    lines->of_client ? "client_certificate.key" : "certificate.key", c->key, lines->key,
	    faults};

	read_both(c, &at_chain, &at_key);
}

static unsigned
line_or_first(unsigned line)
{
	return line != 0 ? line : 1;
}

void
own_certificate_read(
    struct tls_config *tls, const struct certificate_lines *lines, struct faults *faults)
{
	const bool made = tls->own.chain == NULL;
	const struct looking at_chain = {"tls.own_certificate",
	    made ? OWN_CERTIFICATE_PATH : tls->own.chain, line_or_first(lines->chain), faults};
	const struct looking at_key = {
	    "tls.own_key", made ? OWN_KEY_PATH : tls->own.key, line_or_first(lines->key), faults};

	if (made && access(at_chain.path, F_OK) != 0 && access(at_key.path, F_OK) != 0)
		return;
	if (made && geteuid() != 0 && access(at_key.path, R_OK) != 0)
		warn(&at_key, "%s; this goes on without it", strerror(errno));
	else
		read_both(&tls->own, &at_chain, &at_key);
}

/* ---- names of two ---- */

/* The names of one section; *made: they are the caller's to free. */
static char **
names_of(const struct certificate *c, bool *made)
{
	STACK_OF(X509) * chain;
	char **names;

	*made = c->names == NULL || c->names[0] == NULL;
	if (!*made)
		return c->names;
	chain = pem_certificates(c->chain_pem);
	names = chain == NULL ? NULL : pem_names(sk_X509_value(chain, 0));
	pem_certificates_free(chain);
	return names;
}

struct claim {
	const char *name;
	size_t section;
};

static int
by_name(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : (x->section > y->section) - (x->section < y->section);
}

static void
compare_claims(struct claim *claims, size_t n, const struct certificate *all,
    const struct certificate_lines *lines, struct faults *faults)
{
	qsort(claims, n, sizeof(*claims), by_name);
	for (size_t i = 1; i < n; i++) {
		const struct claim *one = &claims[i - 1], *other = &claims[i];

		if (strcmp(one->name, other->name) == 0 && one->section != other->section)
			faults_add(faults, lines[other->section].section,
			    "certificate: \"%s\" is for %s, and so is \"%s\" on line %u; one name, "
			    "one certificate: say which in certificate.names",
			    all[other->section].name, other->name, all[one->section].name,
			    lines[one->section].section);
	}
}

void
certificates_compare(const struct certificate *all, size_t n, const struct certificate_lines *lines,
    struct faults *faults)
{
	char ***names = calloc(n + 1, sizeof(*names));
	bool *made = calloc(n + 1, sizeof(*made));
	struct claim *claims = NULL;
	size_t n_claims = 0;

	for (size_t i = 0; names != NULL && made != NULL && i < n; i++) {
		names[i] = names_of(&all[i], &made[i]);
		for (size_t k = 0; names[i] != NULL && names[i][k] != NULL; k++)
			n_claims++;
	}
	if (names != NULL && made != NULL)
		claims = calloc(n_claims + 1, sizeof(*claims));
	if (claims == NULL)
		faults_add(faults, 1, "out of memory");
	n_claims = 0;
	for (size_t i = 0; claims != NULL && i < n; i++)
		for (size_t k = 0; names[i] != NULL && names[i][k] != NULL; k++)
			claims[n_claims++] = (struct claim){names[i][k], i};
	if (claims != NULL)
		compare_claims(claims, n_claims, all, lines, faults);
	free(claims);
	for (size_t i = 0; names != NULL && made != NULL && i < n; i++)
		if (made[i])
			config_words_free(names[i]);
	free(made);
	free(names);
}

/* ---- CAs of our own ---- */

static void
look_at_authority(const struct looking *l, X509 *x)
{
	const char *why = ca_fault(x);

	if (why != NULL)
		fault(l, "certificate 1 %s", why);
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		fault(l, "certificate 1 has expired, and nobody would believe what it signs");
}

static STACK_OF(X509) * read_authority(struct tls_authority *ca, const struct looking *l)
{
	STACK_OF(X509) *chain = NULL;
	struct stat st;
	struct span text = load(l, CERTIFICATE_FILE_MAX, &st);

	if (text.n == 0)
		return NULL;
	chain = pem_certificates(text);
	/* a key that stands beside it would go where certificates go */
	ca->chain_pem = chain == NULL ? SPAN_NONE : pem_write(chain, sk_X509_num(chain));
	wipe(text);
	if (ca->chain_pem.n > 0) {
		look_at_chain(l, chain);
		look_at_authority(l, sk_X509_value(chain, 0));
		return chain;
	}
	fault(l, "has no certificate in PEM, or one that cannot be read");
	pem_certificates_free(chain);
	return NULL;
}

/* Its text, to be wiped. */
static struct span
read_authority_key(const struct looking *l, X509 *x)
{
	struct stat st;
	struct span text = load(l, CERTIFICATE_FILE_MAX, &st);
	EVP_PKEY *key = NULL;
	bool encrypted = false;

	if (text.n == 0)
		return text;
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		fault(l, "others than its owner may read or write it (mode %04o): chmod 0400",
		    (unsigned)st.st_mode & 07777u);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		fault(l, "belongs to user %u: whoever has it signs for every server",
		    (unsigned)st.st_uid);
	key = pem_key(text, &encrypted);
	if (key == NULL)
		fault(l, encrypted
			     ? "the key is encrypted, and nobody is there to be asked for its "
			       "password"
			     : "has no private key in PEM, or one that cannot be read");
	else if (x != NULL && X509_check_private_key(x, key) != 1)
		fault(l, "is not the key of the CA's certificate");
	EVP_PKEY_free(key);
	return text;
}

/* Those of them that sign: what goes with them may be an anchor all the same. */
static void
settle_authorities(struct tls_config *tls, STACK_OF(X509) *const chains[CA_COUNT],
    const struct span keys[CA_COUNT], const struct looking *last)
{
	const struct span pem[CA_COUNT] = {
	    tls->ca[CA_TRUSTED].chain_pem, tls->ca[CA_UNTRUSTED].chain_pem};
	STACK_OF(X509) *both = sk_X509_new_null();
	X509 *one = sk_X509_value(chains[CA_TRUSTED], 0);
	X509 *other = sk_X509_value(chains[CA_UNTRUSTED], 0);

	if (EVP_PKEY_eq(X509_get0_pubkey(one), X509_get0_pubkey(other)) == 1)
		fault(last, "is the CA of tls.ca too: then clients would trust what it signs");
	if (both != NULL && sk_X509_push(both, one) > 0 && sk_X509_push(both, other) > 0)
		tls->own_ca_pem = pem_write(both, CA_COUNT);
	sk_X509_free(both);
	tls->signer_file = signer_hand_over(pem, keys);
	if (tls->own_ca_pem.n == 0 || tls->signer_file < 0)
		fault(last, "cannot be handed to the signer: no memory");
}

void
authorities_read(
    struct tls_config *tls, const struct authority_lines lines[CA_COUNT], struct faults *faults)
{
	static const char *const settings[CA_COUNT][2] = {[CA_TRUSTED] = {"tls.ca", "tls.ca_key"},
	    [CA_UNTRUSTED] = {"tls.untrusted_ca", "tls.untrusted_ca_key"}};
	STACK_OF(X509) * chains[CA_COUNT] = {NULL};
	struct span keys[CA_COUNT] = {SPAN_NONE, SPAN_NONE};
	struct looking at_chain = {0};

	for (unsigned i = 0; i < CA_COUNT; i++) {
		struct tls_authority *ca = &tls->ca[i];
		const struct looking at_key = {settings[i][1], ca->key, lines[i].key, faults};

		at_chain = (struct looking){settings[i][0], ca->chain, lines[i].chain, faults};
		chains[i] = read_authority(ca, &at_chain);
		keys[i] = read_authority_key(
		    &at_key, chains[i] == NULL ? NULL : sk_X509_value(chains[i], 0));
	}
	if (chains[CA_TRUSTED] != NULL && chains[CA_UNTRUSTED] != NULL && keys[CA_TRUSTED].n > 0 &&
	    keys[CA_UNTRUSTED].n > 0)
		settle_authorities(tls, chains, keys, &at_chain);
	for (unsigned i = 0; i < CA_COUNT; i++) {
		pem_certificates_free(chains[i]);
		wipe(keys[i]);
	}
}

/* ---- trust anchors ---- */

/* Where systems keep those that all programs trust. */
static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt", /* Debian */
    "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

static const char *
system_bundle(void)
{
	for (size_t i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++)
		if (access(bundles[i], R_OK) == 0)
			return bundles[i];
	return NULL;
}

void
trust_read(struct tls_config *tls, unsigned line, struct faults *faults)
{
	const char *path = tls->trust != NULL ? tls->trust : system_bundle();
	const struct looking l = {"tls.trust", path, line_or_first(line), faults};
	STACK_OF(X509) * anchors;
	struct stat st;

	if (path == NULL) {
		faults_warn(faults, l.line,
		    "tls.trust: this system has no file of trust anchors (%s): no server's "
		    "certificate can be verified",
		    bundles[0]);
		return;
	}
	tls->trust_pem = load(&l, TRUST_FILE_MAX, &st);
	if (tls->trust_pem.n == 0)
		return;
	anchors = pem_certificates(tls->trust_pem);
	if (anchors == NULL)
		fault(&l, "has no certificate in PEM, or one that cannot be read");
	pem_certificates_free(anchors);
}
