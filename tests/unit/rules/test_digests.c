#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "digests.h"

static const char hello[] = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

static void
test_lines(void **state)
{
	static const char *const good[] = {"", "# a list", "   ", "\r",
	    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
	    "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824\r",
	    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  hello.txt",
	    "\t2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 *a b"};
	static const char *const bad[] = {"x", "2cf24dba5fb0a30e26e83b2ac5b9e29e",
	    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982g",
	    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b98240",
	    "d41d8cd98f00b204e9800998ecf8427e  md5"};
	struct digests d = {0};
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!digests_add(&d, span_str(good[i]), &why))
			fail_msg("\"%s\" %s", good[i], why);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (digests_add(&d, span_str(bad[i]), &why))
			fail_msg("\"%s\" is taken for a digest", bad[i]);
	assert_int_equal(d.n, 4);
	digests_seal(&d);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.p[0], 0x2c);
	assert_int_equal(d.p[31], 0x24);
	digests_free(&d);
}

static void
test_empty(void **state)
{
	struct digests d = {0};
	uint8_t one[DIGEST_SIZE] = {0};

	(void)state;
	digests_seal(&d);
	assert_false(digests_has(&d, one));
	assert_true(digests_borrow(&d, SPAN_NONE));
	assert_false(digests_has(&d, one));
	assert_false(digests_borrow(&d, span_of(one, 31)));
	digests_free(&d);
}

static void
nth(uint32_t i, uint8_t digest[DIGEST_SIZE])
{
	memset(digest, 0, DIGEST_SIZE);
	i *= 2654435761u; /* odd: each i gives another one */
	memcpy(digest + 5, &i, sizeof(i));
}

/* A million of them, found and not found, in a set of its own and in a borrowed one. */
static void
test_a_million_M9(void **state)
{
	struct digests d = {0}, borrowed;
	uint8_t digest[DIGEST_SIZE];
	char line[2 * DIGEST_SIZE + 1];
	const char *why;

	(void)state;
	for (uint32_t i = 0; i < 1000000; i++) {
		nth(i, digest);
		for (size_t k = 0; k < DIGEST_SIZE; k++)
			snprintf(line + 2 * k, 3, "%02x", digest[k]);
		assert_true(digests_add(&d, span_str(line), &why));
	}
	digests_seal(&d);
	assert_int_equal(d.n, 1000000);
	assert_true(digests_borrow(&borrowed, span_of(d.p, d.n * DIGEST_SIZE)));
	for (uint32_t i = 0; i < 1000000; i += 7) {
		nth(i, digest);
		assert_true(digests_has(&d, digest) && digests_has(&borrowed, digest));
		digest[31] = 1;
		assert_false(digests_has(&d, digest) || digests_has(&borrowed, digest));
	}
	digests_free(&borrowed);
	digests_free(&d);
	assert_int_equal(d.n, 0);
}

static void
test_hello(void **state)
{
	struct digests d = {0};
	const char *why;
	uint8_t same[DIGEST_SIZE];

	(void)state;
	assert_true(digests_add(&d, span_str(hello), &why));
	digests_seal(&d);
	memcpy(same, d.p, DIGEST_SIZE);
	assert_true(digests_has(&d, same));
	same[0]++;
	assert_false(digests_has(&d, same));
	digests_free(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_hello),
	    cmocka_unit_test(test_a_million_M9),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
