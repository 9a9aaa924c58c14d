/*
 * What is said of certificates, keys and trust anchors that a configuration names, and how they go
 * to a worker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "config_handover.h"
#include "tls_keys.h"
#include "tls_made.h"

#define NETWORK	 "inside = {\"10.0.0.0/8\"}\n"
/* Whatever the system trusts. */
#define TRUSTING "inside = {\"10.0.0.0/8\"} tls { trust = '@/root.pem' }\n"
#define SECTION(name, chain, key, more)                                                            \
	"certificate \"" name "\" {\nchain = \"@/" chain "\"\nkey = \"@/" key "\"\n" more "}\n"
#define TEXT_MAX 65536

/* A directory with certificates of all kinds, made once. */
static char dir[] = "/tmp/postern-certificates-XXXXXX";

static char *
path_of(const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", dir, name);
	return path;
}

/* NAME.pem has the chain, as far as it is given, and NAME.key the key of the first. */
static void
write_pair(const char *name, const struct made *const *chain, const char *password)
{
	char file[32], path[128];
	struct buf text;

	buf_init(&text, TEXT_MAX);
	for (size_t i = 0; chain[i] != NULL; i++)
		made_certificate(chain[i], &text);
	snprintf(file, sizeof(file), "%s.pem", name);
	made_file(path_of(file, path), &text, 0644);
	made_key(chain[0], password, &text);
	snprintf(file, sizeof(file), "%s.key", name);
	made_file(path_of(file, path), &text, 0600);
	buf_free(&text);
}

static void
write_one(const char *name, const struct make *make)
{
	struct made m = made_new(make);

	write_pair(name, (const struct made *const[]){&m, NULL}, NULL);
	made_free(&m);
}

static void
write_chains(void)
{
	const struct make root = {.cn = "root", .is_ca = true};
	struct made r = made_new(&root);
	const struct make middle = {.cn = "middle", .is_ca = true, .issuer = &r};
	struct made m = made_new(&middle);
	const struct make leaf = {.cn = "leaf", .alternatives = "DNS:a.example", .issuer = &m};
	struct made l = made_new(&leaf);

	write_pair("chain", (const struct made *const[]){&l, &m, &r, NULL}, NULL);
	write_pair("gap", (const struct made *const[]){&l, &r, NULL}, NULL);
	write_pair("turned", (const struct made *const[]){&l, &r, &m, NULL}, NULL);
	write_pair("root", (const struct made *const[]){&r, NULL}, NULL);
	made_free(&l);
	made_free(&m);
	made_free(&r);
}

static void
write_text(const char *name, const char *text, mode_t mode)
{
	char path[128];
	struct buf b;

	buf_init(&b, TEXT_MAX);
	assert_true(buf_str(&b, text));
	made_file(path_of(name, path), &b, mode);
	buf_free(&b);
}

static int
begin_all(void **state)
{
	const struct make good = {.cn = "mail.example", .alternatives = "DNS:mail.example"},
			  rsa = {.cn = "rsa", .alternatives = "DNS:mail.example", .rsa = 2048},
			  weak = {.cn = "weak.example", .rsa = 1024},
			  sha1 = {.cn = "sha1.example", .digest = EVP_sha1()},
			  past = {.cn = "past.example", .from_days = -20, .to_days = -1},
			  soon = {.cn = "soon.example", .from_days = -20, .to_days = 5},
			  later = {.cn = "later.example", .from_days = 2, .to_days = 50};
	struct made m;

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	write_one("good", &good);
	write_one("rsa", &rsa);
	write_one("weak", &weak);
	write_one("sha1", &sha1);
	write_one("past", &past);
	write_one("soon", &soon);
	write_one("later", &later);
	m = made_new(&good);
	write_pair("locked", (const struct made *const[]){&m, NULL}, "secret");
	made_free(&m);
	write_chains();
	write_text("empty", "", 0600);
	write_text("text", "this is no certificate\n", 0600);
	write_text(
	    "broken", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", 0600);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static int
end_all(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* "@" stands for the directory. To be freed. */
static char *
with_directory(const char *text)
{
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	for (; *text != '\0'; text++)
		if (*text == '@')
			fputs(dir, f);
		else
			fputc(*text, f);
	fclose(f);
	return out;
}

/* *told: what was said, "@" for the directory again; to be freed. */
static struct config *
read_text(const char *text, char **told)
{
	char path[128], *whole = with_directory(text), *said = NULL, *to;
	size_t n = 0;
	FILE *err = open_memstream(&said, &n);
	struct config *c;
	struct buf b;

	buf_init(&b, TEXT_MAX);
	assert_true(buf_str(&b, whole));
	made_file(path_of("postern.conf", path), &b, 0600);
	buf_free(&b);
	free(whole);
	c = config_read(path, err);
	fclose(err);
	for (char *from = to = said; *from != '\0'; to++)
		if (strncmp(from, dir, strlen(dir)) == 0) {
			*to = '@';
			from += strlen(dir);
		} else {
			*to = *from++;
		}
	*to = '\0';
	*told = said;
	return c;
}

#define C    "@/postern.conf:"
#define WARN "warning: "

static const struct {
	const char *name, *text, *want;
	bool fails;
} rows[] = {
    {"a good one", TRUSTING SECTION("a", "good.pem", "good.key", ""), "", false},
    {"RSA of 2048 bits", TRUSTING SECTION("a", "rsa.pem", "rsa.key", ""), "", false},
    {"a chain with its root", TRUSTING SECTION("a", "chain.pem", "chain.key", ""), "", false},
    {"a file that is not there", TRUSTING SECTION("a", "none.pem", "good.key", ""),
	C "3: certificate.chain: @/none.pem: No such file or directory\n", true},
    {"a key that is not there", TRUSTING SECTION("a", "good.pem", "none.key", ""),
	C "4: certificate.key: @/none.key: No such file or directory\n", true},
    {"a directory", TRUSTING "certificate a {\nchain = '@'\nkey = '@/good.key' }",
	C "3: certificate.chain: @: is no file\n", true},
    {"an empty file", TRUSTING SECTION("a", "empty", "good.key", ""),
	C "3: certificate.chain: @/empty: is empty\n", true},
    {"a path from nowhere", TRUSTING "certificate a {\nchain = mail.pem\nkey = mail.key }",
	C "3: certificate.chain: \"mail.pem\" is no path that begins with \"/\"\n" C
	  "4: certificate.key: \"mail.key\" is no path that begins with \"/\"\n",
	true},
    {"no PEM", TRUSTING SECTION("a", "text", "text", ""),
	C "3: certificate.chain: @/text: has no certificate in PEM, or one that cannot be read\n" C
	  "4: certificate.key: @/text: has no private key in PEM, or one that cannot be read\n",
	true},
    {"a broken certificate", TRUSTING SECTION("a", "broken", "good.key", ""),
	C "3: certificate.chain: @/broken: has no certificate in PEM, or one that cannot be read\n",
	true},
    {"an encrypted key", TRUSTING SECTION("a", "locked.pem", "locked.key", ""),
	C "4: certificate.key: @/locked.key: the key is encrypted, and nobody is there to be asked "
	  "for its password\n",
	true},
    {"the key of another", TRUSTING SECTION("a", "good.pem", "rsa.key", ""),
	C "4: certificate.key: @/rsa.key: is not the key of the first certificate of @/good.pem\n",
	true},
    {"a chain with a gap", TRUSTING SECTION("a", "gap.pem", "gap.key", ""),
	C "3: certificate.chain: @/gap.pem: certificate 2 is not the issuer of certificate 1; the "
	  "server's own comes first, then each one's issuer\n",
	true},
    {"a chain out of order", TRUSTING SECTION("a", "turned.pem", "turned.key", ""),
	C
	"3: certificate.chain: @/turned.pem: certificate 2 is not the issuer of certificate 1; the "
	"server's own comes first, then each one's issuer\n" C
	"3: certificate.chain: @/turned.pem: certificate 3 is not the issuer of certificate 2; the "
	"server's own comes first, then each one's issuer\n",
	true},
    {"a weak key", TRUSTING SECTION("a", "weak.pem", "weak.key", ""),
	C
	"3: certificate.chain: @/weak.pem: the key of certificate 1 is too weak: 2048 bits of RSA, "
	"or as much of others, are the least\n",
	true},
    {"SHA-1", TRUSTING SECTION("a", "sha1.pem", "sha1.key", ""),
	C
	"3: certificate.chain: @/sha1.pem: certificate 1 is signed with SHA-1 or MD5, which nobody "
	"believes any more\n",
	true},
    {"one that has expired", TRUSTING SECTION("a", "past.pem", "past.key", ""),
	C "3: " WARN "certificate.chain: @/past.pem: certificate 1 has expired\n", false},
    {"one that expires soon", TRUSTING SECTION("a", "soon.pem", "soon.key", ""),
	C "3: " WARN "certificate.chain: @/soon.pem: certificate 1 expires in less than 14 days\n",
	false},
    {"one of tomorrow", TRUSTING SECTION("a", "later.pem", "later.key", ""),
	C "3: " WARN "certificate.chain: @/later.pem: certificate 1 is not valid yet\n", false},
    {"names that it does not have",
	TRUSTING SECTION("a", "good.pem", "good.key", "names = {mail.example, '*.example.org'}\n"),
	C "3: " WARN "certificate.chain: @/good.pem: certificate 1 is not for \"*.example.org\" of "
	  "certificate.names\n",
	false},
    {"names that are none", TRUSTING SECTION("a", "good.pem", "good.key", "names = {'*', a..b}\n"),
	C
	"5: certificate.names: \"*\" is not a name like \"mail.example.edu\", or \"*.\" and one\n" C
	"5: certificate.names: \"a..b\" is not a name like \"mail.example.edu\", or \"*.\" and "
	"one\n",
	true},
    {"two for one name",
	TRUSTING SECTION("a", "good.pem", "good.key", "") SECTION("b", "rsa.pem", "rsa.key", ""),
	C "6: certificate: \"b\" is for mail.example, and so is \"a\" on line 2; one name, one "
	  "certificate: say which in certificate.names\n",
	true},
    {"two that both say so",
	TRUSTING SECTION("a", "good.pem", "good.key", "names = {mail.example}\n")
	    SECTION("b", "rsa.pem", "rsa.key", "names = {MAIL.example.}\n"),
	C "7: certificate: \"b\" is for mail.example, and so is \"a\" on line 2; one name, one "
	  "certificate: say which in certificate.names\n",
	true},
    {"two that say which",
	TRUSTING SECTION("a", "good.pem", "good.key", "")
	    SECTION("b", "chain.pem", "chain.key", "names = {a.example}\n"),
	"", false},
    {"nothing in it", TRUSTING "certificate a { }",
	C "2: certificate.chain: missing; a path must be given\n" C
	  "2: certificate.key: missing; a path must be given\n",
	true},
    {"a name with blanks",
	TRUSTING "certificate 'a b' {\nchain = '@/good.pem'\nkey = '@/good.key' }",
	C "2: certificate: \"a b\" is not a name of 1 to 64 letters, digits, \"-\", \"_\", \".\"\n",
	true},
    {"trust that is not there", NETWORK "tls {\ntrust = '@/none' }",
	C "3: tls.trust: @/none: No such file or directory\n", true},
    {"trust in nothing", NETWORK "tls {\ntrust = '@/text' }",
	C "3: tls.trust: @/text: has no certificate in PEM, or one that cannot be read\n", true},
    {"a key log", NETWORK "tls {\nkey_log = '@/keys' }",
	C "3: " WARN "tls.key_log: whoever can read @/keys reads all that was said under TLS\n",
	false},
    {"a rule that locks everybody out", NETWORK "tls_rule a {\naction = refuse\nrequired = yes }",
	C "4: tls_rule.required: yes, and with tls_rule.action = refuse nobody could ever log in; "
	  "set one of them otherwise\n",
	true},
    {"a rule that weakens what it lets by",
	NETWORK "tls_rule a {\naction = pass\nold_versions = yes }",
	C "3: tls_rule.action: TLS does not end here, and tls_rule.verify, tls_rule.old_versions "
	  "and tls_rule.client_certificate are for where it does; take them out\n",
	true},
};

/* Of the gateway's own; what is there when nothing is said is the machine's matter. */
#define OWN(chain, key)                                                                            \
	NETWORK "tls { trust = '@/root.pem'\nown_certificate = '" chain "'\nown_key = '" key "' }"

static const struct {
	const char *name, *text, *want;
	bool fails;
} own_rows[] = {
    {"a good one", OWN("@/good.pem", "@/good.key"), "", false},
    {"one that is not there", OWN("@/none.pem", "@/good.key"),
	C "3: tls.own_certificate: @/none.pem: No such file or directory\n", true},
    {"the key of another", OWN("@/good.pem", "@/rsa.key"),
	C "4: tls.own_key: @/rsa.key: is not the key of the first certificate of @/good.pem\n",
	true},
    {"one without its key", NETWORK "tls {\nown_certificate = '@/good.pem' }",
	C
	"3: tls.own_certificate, tls.own_key: one of them alone is of no use; set both, or none\n",
	true},
    {"a key alone", NETWORK "tls {\n\nown_key = '@/good.key' }",
	C
	"4: tls.own_certificate, tls.own_key: one of them alone is of no use; set both, or none\n",
	true},
    {"no mail, and nobody reads it",
	NETWORK "smtp { ports = {} } tls { trust = '@/root.pem' own_certificate = '@/none.pem' "
		"own_key = '@/none.key' }",
	"", false},
};

static void
test_T_016_what_is_wrong_with_the_gateways_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(own_rows) / sizeof(own_rows[0]); i++) {
		char *told;
		struct config *c = read_text(own_rows[i].text, &told);

		if (strcmp(told, own_rows[i].want) != 0 || (c == NULL) != own_rows[i].fails)
			fail_msg("%s: wanted\n%sgot\n%s", own_rows[i].name, own_rows[i].want, told);
		config_free(c);
		free(told);
	}
}

static void
test_T_016_what_is_wrong_has_its_line(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *told;
		struct config *c = read_text(rows[i].text, &told);

		if (strcmp(told, rows[i].want) != 0 || (c == NULL) != rows[i].fails) {
			failed++;
			print_error("%s: wanted\n%sgot\n%s", rows[i].name, rows[i].want, told);
		}
		config_free(c);
		free(told);
	}
	assert_int_equal(failed, 0);
}

static void
test_T_016_a_key_that_others_may_read_is_told(void **state)
{
	char path[128], *told;
	struct config *c;

	(void)state;
	assert_int_equal(chmod(path_of("good.key", path), 0644), 0);
	c = read_text(TRUSTING SECTION("a", "good.pem", "good.key", ""), &told);
	assert_int_equal(chmod(path, 0640), 0);
	assert_non_null(c);
	assert_string_equal(told,
	    C "4: " WARN "certificate.key: @/good.key: others than its owner and group may "
	      "read or write it (mode 0644)\n");
	config_free(c);
	free(told);
	c = read_text(TRUSTING SECTION("a", "good.pem", "good.key", ""), &told);
	assert_string_equal(told, "");
	config_free(c);
	free(told);
}

/* ---- on the way to a worker ---- */

/* As the supervisor does it; to be freed. */
static struct config *
handed(const struct config *c)
{
	const uint8_t secret[TLS_SECRET] = {7, 7, 7};
	int fd = config_hand_over(c, secret);
	struct config *worker;

	assert_true(fd >= 0);
	worker = config_inherit("postern.conf", fd, stderr);
	close(fd);
	assert_non_null(worker);
	assert_memory_equal(worker->tls_secret, secret, TLS_SECRET);
	return worker;
}

static const char *
shown(const struct config *worker, const char *server_name)
{
	static char subject[128];
	const char *why = NULL;
	struct tls_keys *k = tls_keys_new(worker, &why);
	struct ip ip = {.family = IP_NONE};
	const struct tls_identity *id;

	assert_non_null(k);
	id = tls_keys_identity(k, span_str(server_name), &ip);
	snprintf(subject, sizeof(subject), "none");
	if (id != NULL)
		X509_NAME_get_text_by_NID(
		    X509_get_subject_name(id->leaf), NID_commonName, subject, sizeof(subject));
	tls_keys_free(k);
	return subject;
}

/* It is for no name, and for no server: who wants it asks for it. */
static void
test_the_gateways_own_is_handed_over(void **state)
{
	const struct make make = {.cn = "own.example", .alternatives = "DNS:mail.example"};
	struct config *c, *worker;
	struct tls_keys *k;
	const char *why = NULL;
	char *told;

	(void)state;
	write_one("own", &make);
	c = read_text(OWN("@/own.pem", "@/own.key"), &told);
	assert_string_equal(told, "");
	free(told);
	worker = handed(c);
	assert_true(config_uses_tls(worker));
	assert_string_equal(shown(worker, "mail.example"), "none");
	k = tls_keys_new(worker, &why);
	assert_non_null(k);
	assert_non_null(tls_keys_own(k));
	assert_string_equal(tls_keys_own(k)->name, "own");
	assert_int_equal(X509_check_private_key(tls_keys_own(k)->leaf, tls_keys_own(k)->key), 1);
	tls_keys_free(k);
	config_free(worker);
	config_free(c);
}

/* A new certificate needs no restart: who reads the configuration again has it. */
static void
test_files_are_handed_over_and_read_again(void **state)
{
	static const char text[] = NETWORK "tls { trust = '@/root.pem' }\n" SECTION(
	    "a", "live.pem", "live.key", "names = {mail.example}\n")
	    SECTION("b", "chain.pem", "chain.key", "servers = {'10.0.0.1'}\n");
	const struct make first = {.cn = "first", .alternatives = "DNS:mail.example"},
			  second = {.cn = "second", .alternatives = "DNS:mail.example"};
	struct config *c, *worker, *again;
	char *told;

	(void)state;
	write_one("live", &first);
	c = read_text(text, &told);
	assert_string_equal(told, "");
	free(told);
	worker = handed(c);
	assert_string_equal(shown(worker, "mail.example"), "first");
	assert_string_equal(shown(worker, "a.example"), "leaf");
	assert_int_equal(worker->tls.trust_pem.n, c->tls.trust_pem.n);
	write_one("live", &second);
	assert_string_equal(shown(worker, "mail.example"), "first");
	config_free(worker);
	again = read_text(text, &told);
	free(told);
	worker = handed(again);
	assert_string_equal(shown(worker, "mail.example"), "second");
	config_free(worker);
	config_free(again);
	/* what was read before is not touched by files that will not do any more */
	write_text("live.key", "-----BEGIN", 0600);
	assert_null(read_text(text, &told));
	free(told);
	worker = handed(c);
	assert_string_equal(shown(worker, "mail.example"), "first");
	config_free(worker);
	config_free(c);
}

/* Who needs none of these files need not be able to read them. */
static void
test_glance_reads_no_other_file(void **state)
{
	static const char text[] = TRUSTING SECTION("a", "none.pem", "none.key", "");
	char path[128], *told;
	struct config *c;

	(void)state;
	assert_null(read_text(text, &told));
	free(told);
	c = config_glance(path_of("postern.conf", path), stderr);
	assert_non_null(c);
	assert_int_equal(c->n_certificates, 1);
	assert_int_equal(c->certificates[0].key_pem.n, 0);
	config_free(c);
}

/* A handover that was cut anywhere is none. */
static void
test_handover_that_is_cut(void **state)
{
	static const char text[] = TRUSTING SECTION("a", "good.pem", "good.key", "");
	const uint8_t secret[TLS_SECRET] = {0};
	char *told, *copy;
	struct config *c = read_text(text, &told);
	int whole = config_hand_over(c, secret), fd;
	struct stat st;

	(void)state;
	free(told);
	assert_int_equal(fstat(whole, &st), 0);
	copy = malloc((size_t)st.st_size);
	assert_int_equal(pread(whole, copy, (size_t)st.st_size, 0), st.st_size);
	close(whole);
	for (size_t n = c->text_n; n < (size_t)st.st_size; n += 7) {
		fd = memfd_create("cut", MFD_CLOEXEC);
		assert_int_equal(write(fd, copy, n), (ssize_t)n);
		assert_null(config_inherit("postern.conf", fd, stderr));
		close(fd);
	}
	free(copy);
	config_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_T_016_what_is_wrong_has_its_line),
	    cmocka_unit_test(test_T_016_what_is_wrong_with_the_gateways_own),
	    cmocka_unit_test(test_the_gateways_own_is_handed_over),
	    cmocka_unit_test(test_T_016_a_key_that_others_may_read_is_told),
	    cmocka_unit_test(test_files_are_handed_over_and_read_again),
	    cmocka_unit_test(test_glance_reads_no_other_file),
	    cmocka_unit_test(test_handover_that_is_cut),
	};

	return cmocka_run_group_tests(tests, begin_all, end_all);
}
