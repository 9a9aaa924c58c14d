#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mime/sealed.h"

#define nitems(a)    (sizeof(a) / sizeof((a)[0]))
#define OCTETS(text) text, sizeof(text) - 1
#define PKCS7	     "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"

static const struct {
	const char *octets;
	size_t n;
	const char *kind;
	bool encrypted;
} looks[] = {
    {OCTETS("\x30\x80" PKCS7 "\x02\xa0"), "smime-signed", false},
    {OCTETS("\x30\x82\1\2" PKCS7 "\x02\xa0"), "smime-signed", false},
    {OCTETS("\x30\x20" PKCS7 "\x03\xa0"), "smime-encrypted", true},
    {OCTETS("\x30\x83\1\2\3" PKCS7 "\x06\xa0"), "smime-encrypted", true},
    {OCTETS("\x30\x80\x06\x0b\x2a\x86\x48\x86\xf7\x0d\1\x09\x10\1\x17\xa0"), "smime-encrypted",
	true},
    {OCTETS("\x30\x80\x06\x0b\x2a\x86\x48\x86\xf7\x0d\1\x09\x10\1\x09\xa0"), "smime-compressed",
	false},
    {OCTETS("\x30\x80" PKCS7 "\x01\xa0"), "none", false},
    {OCTETS("\x30\xff"), "none", false},
    {OCTETS("\x30"), "none", false},
    {OCTETS(""), "none", false},
    {OCTETS("-----BEGIN PGP MESSAGE-----\nVersion: 1\n\nhQEMA1\n"), "pgp-encrypted", true},
    {OCTETS("-----BEGIN PGP MESSAGE-----\r\n\r\nwcBMA\r\n"), "pgp-encrypted", true},
    {OCTETS("-----BEGIN PGP MESSAGE-----\r\n\r\nkA0DAA\r\n"), "pgp-signed", false},
    {OCTETS("-----BEGIN PGP MESSAGE-----\n"), "pgp-encrypted", true},
    {OCTETS("\r\n-----BEGIN PGP SIGNED MESSAGE-----\n"), "pgp-signed", false},
    {OCTETS("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"), "pgp-key", false},
    {OCTETS("\x85\x01\x0c\x03\1\2"), "pgp-encrypted", true},
    {OCTETS("\xc1\xc0\x4c\x03\1\2"), "pgp-encrypted", true},
    {OCTETS("\x85\x01\x0c\x63\1\2"), "none", false},
    {OCTETS("\x89PNG\r\n\x1a\n"), "none", false},
    {OCTETS("plain text"), "none", false},
};

static void
test_m033_looks(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(looks); i++) {
		enum sealed kind = sealed_look(span_of(looks[i].octets, looks[i].n));

		if (strcmp(sealed_name(kind), looks[i].kind) != 0)
			fail_msg(
			    "%zu: %s where %s was expected", i, sealed_name(kind), looks[i].kind);
		assert_int_equal(sealed_is_encrypted(kind), looks[i].encrypted);
	}
}

/* Cut anywhere: no octet behind the end is looked at (a sanitizer sees it). */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(looks); i++)
		for (size_t n = 0; n < looks[i].n; n++)
			assert_in_range(
			    sealed_look(span_of(looks[i].octets, n)), 0, SEALED_KINDS - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_m033_looks),
	    cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
