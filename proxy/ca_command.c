#include "ca_command.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ca.h"
#include "cli.h"
#include "config.h"
#include "pem.h"
#include "printable.h"
#include "tls/certificate.h"

#define PATH_OCTETS 4096
#define FILE_OCTETS (1u << 20)
#define KEY_MODE    0400
#define CHAIN_MODE  0444

static int
complain(const char *what, const char *why)
{
	fprintf(stderr, "postern ca: %s%s%s\n", what, *what != '\0' ? ": " : "", why);
	return EXIT_FAILED;
}

static int
usage(void)
{
	fputs("usage: postern ca init [-d DIRECTORY] [-o ORGANISATION]\n"
	      "       postern ca show [-c FILE | CERTIFICATE...]\n",
	    stderr);
	return EXIT_USAGE;
}

/* ---- init ---- */

/* In the order in which they are made; by enum ca_which, certificate and key. */
static const char *const files[CA_COUNT][2] = {
    [CA_TRUSTED] = {"ca.pem", "ca.key"}, [CA_UNTRUSTED] = {"untrusted-ca.pem", "untrusted-ca.key"}};

struct making {
	const char *directory;
	unsigned made; /* files, so far */
};

static bool
path_of(const struct making *m, unsigned number, char path[PATH_OCTETS])
{
	int n = snprintf(path, PATH_OCTETS, "%s/%s", m->directory, files[number / 2][number % 2]);

	return n > 0 && n < PATH_OCTETS;
}

static bool
write_pem(int fd, const struct ca *ca, bool key)
{
	BIO *bio = BIO_new_fd(fd, BIO_NOCLOSE);
	bool ok = bio != NULL &&
		  (key ? PEM_write_bio_PKCS8PrivateKey(bio, ca->key, NULL, NULL, 0, NULL, NULL)
		       : PEM_write_bio_X509(bio, ca->certificate)) == 1;

	BIO_free(bio);
	return ok && fsync(fd) == 0;
}

/* NULL, or why not. */
static const char *
write_file(struct making *m, const struct ca *ca, char path[PATH_OCTETS])
{
	bool key = m->made % 2 == 1, written;
	int fd;

	if (!path_of(m, m->made, path))
		return strerror(ENAMETOOLONG);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    key ? KEY_MODE : CHAIN_MODE);
	if (fd < 0)
		return errno == EEXIST ? "it is there already, and nothing is overwritten"
				       : strerror(errno);
	m->made++;
	written = fchmod(fd, key ? KEY_MODE : CHAIN_MODE) == 0 && write_pem(fd, ca, key);
	return close(fd) == 0 && written ? NULL : "cannot be written";
}

/* All of them, or none. */
static void
take_back(struct making *m)
{
	char path[PATH_OCTETS];

	while (m->made > 0)
		if (path_of(m, --m->made, path))
			unlink(path);
}

/* Keys take a while to make: what is in the way is told before. */
static bool
is_in_the_way(const struct making *m)
{
	char path[PATH_OCTETS];
	struct stat st;

	for (unsigned i = 0; i < 2 * CA_COUNT; i++)
		if (path_of(m, i, path) && lstat(path, &st) == 0) {
			complain(path, "it is there already, and nothing is overwritten");
			return true;
		}
	return false;
}

static bool
make(enum ca_which which, const char *organisation, struct ca *out)
{
	static const char *const names[CA_COUNT] = {[CA_TRUSTED] = "Postern interception CA",
	    [CA_UNTRUSTED] = "Postern UNTRUSTED: not verified"};
	char name[CA_NAME_MAX + 1], day[16];
	time_t now = time(NULL);
	struct tm tm;

	/* clients tell CAs apart by their names: one that is made anew is another one */
	gmtime_r(&now, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	snprintf(name, sizeof(name), "%s, %s", names[which], day);
	return ca_make(name, organisation, out);
}

static int
make_all(const char *directory, const char *organisation)
{
	struct making m = {.directory = directory};
	char path[PATH_OCTETS] = "";
	const char *why = NULL;

	if (is_in_the_way(&m))
		return EXIT_FAILED;
	for (unsigned i = 0; why == NULL && i < CA_COUNT; i++) {
		struct ca ca;

		if (!make((enum ca_which)i, organisation, &ca)) {
			take_back(&m);
			return complain("", "a CA cannot be made: is the organisation at most 64 "
					    "characters of UTF-8?");
		}
		for (unsigned k = 0; why == NULL && k < 2; k++)
			why = write_file(&m, &ca, path);
		ca_free(&ca);
	}
	if (why == NULL)
		return EXIT_FINE;
	take_back(&m);
	return complain(path, why);
}

static int
init(int argc, char **argv)
{
	const char *directory = CA_DIRECTORY, *organisation = NULL;
	int opt, code;

	opterr = 0;
	while ((opt = getopt(argc, argv, "d:o:")) != -1) {
		if (opt == 'd')
			directory = optarg;
		else if (opt == 'o')
			organisation = optarg;
		else
			return usage();
	}
	if (optind < argc)
		return usage();
	code = make_all(directory, organisation);
	if (code != EXIT_FINE)
		return code;
	printf("Made in %s: two CAs, each with its key. In the configuration:\n\n"
	       "    tls {\n"
	       "        ca = \"%s/%s\"\n"
	       "        ca_key = \"%s/%s\"\n"
	       "        untrusted_ca = \"%s/%s\"\n"
	       "        untrusted_ca_key = \"%s/%s\"\n"
	       "    }\n\n"
	       "Clients have to trust %s, and must never trust %s.\n"
	       "The keys are for root alone: keep them out of backups that others read.\n",
	    directory, directory, files[0][0], directory, files[0][1], directory, files[1][0],
	    directory, files[1][1], files[0][0], files[1][0]);
	return EXIT_FINE;
}

/* ---- show ---- */

/* Octets of the file, malloc()ed; empty: that was told. */
static struct span
read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = fd < 0 ? NULL : malloc(FILE_OCTETS);
	size_t size = 0;
	ssize_t n = -1;

	while (text != NULL && size < FILE_OCTETS &&
	       (n = read(fd, text + size, FILE_OCTETS - size)) > 0)
		size += (size_t)n;
	if (n < 0)
		complain(path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (n >= 0 && size > 0)
		return span_of(text, size);
	free(text);
	return SPAN_NONE;
}

static struct tls_certificate *
facts_of(X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	struct tls_certificate *facts =
	    n > 0 ? tls_certificate_parse(span_of(der, (size_t)n)) : NULL;

	OPENSSL_free(der);
	return facts;
}

static bool
show_one(const char *what, const char *path, X509 *x)
{
	struct tls_certificate *facts = facts_of(x);
	const char *fault = ca_fault(x);
	struct buf text;

	if (facts == NULL)
		return false;
	buf_init(&text, 4 * TLS_SUBJECT_MAX);
	printable(buf_span(&facts->subject), 4 * TLS_SUBJECT_MAX, &text);
	printf("%s\n  file      %s\n  subject   %.*s\n  serial    %s\n  valid     %s to %s (UTC)\n"
	       "  SHA-256   %s\n",
	    what, path, (int)text.n, (const char *)text.p, facts->serial, facts->not_before,
	    facts->not_after, facts->sha256);
	if (fault != NULL)
		printf("  warning   it %s\n", fault);
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		puts("  warning   it has expired");
	buf_free(&text);
	tls_certificate_free(facts);
	return true;
}

static bool
show_file(const char *what, const char *path)
{
	struct span text = read_file(path);
	STACK_OF(X509) *all = text.n == 0 ? NULL : pem_certificates(text);
	bool shown = all != NULL && show_one(what, path, sk_X509_value(all, 0));

	if (text.n > 0 && !shown)
		complain(path, "has no certificate in PEM, or one that cannot be read");
	pem_certificates_free(all);
	free((void *)(uintptr_t)text.p);
	return shown;
}

static int
show_configured(const char *path)
{
	static const char *const what[CA_COUNT] = {
	    [CA_TRUSTED] = "tls.ca: clients have to trust it",
	    [CA_UNTRUSTED] = "tls.untrusted_ca: no client may trust it"};
	struct config *c = config_glance(path, stderr);
	bool shown = true;

	if (c == NULL)
		return EXIT_USAGE;
	if (c->tls.ca[CA_TRUSTED].chain == NULL)
		puts("No CA is configured: servers outside are not looked into under TLS.");
	for (unsigned i = 0; i < CA_COUNT; i++)
		if (c->tls.ca[i].chain != NULL)
			shown = show_file(what[i], c->tls.ca[i].chain) && shown;
	config_free(c);
	return shown ? EXIT_FINE : EXIT_FAILED;
}

static int
show(int argc, char **argv)
{
	const char *path = NULL;
	bool shown = true;
	int opt;

	opterr = 0;
	while ((opt = getopt(argc, argv, "c:")) != -1) {
		if (opt != 'c')
			return usage();
		path = optarg;
	}
	if (path != NULL && optind < argc)
		return usage();
	if (optind == argc)
		return show_configured(path != NULL ? path : CONFIG_DEFAULT_PATH);
	for (; optind < argc; optind++)
		shown = show_file("certificate", argv[optind]) && shown;
	return shown ? EXIT_FINE : EXIT_FAILED;
}

int
ca_command(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "init") == 0)
		return init(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "show") == 0)
		return show(argc - 1, argv + 1);
	return usage();
}
