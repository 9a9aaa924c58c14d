#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "ca_leaf.h"
#include "pem.h"
#include "tls_made.h"
#include "tls_mint.h"

#define DAY 86400

/* Made once: a key takes a while. */
static struct ca made_ca;
static EVP_PKEY *keys[LEAF_KEYS];

static int
set_up(void **state)
{
	(void)state;
	keys[LEAF_RSA] = EVP_RSA_gen(2048);
	keys[LEAF_P256] = EVP_EC_gen("P-256");
	return ca_make("Test CA", "Campus", &made_ca) ? 0 : 1;
}

static int
tear_down(void **state)
{
	(void)state;
	ca_free(&made_ca);
	EVP_PKEY_free(keys[LEAF_RSA]);
	EVP_PKEY_free(keys[LEAF_P256]);
	return 0;
}

static struct leaf_wanted
wanted(enum leaf_key key)
{
	int64_t now = (int64_t)time(NULL);
	struct leaf_wanted w = {.not_before = now - 30 * DAY, .not_after = now + 60 * DAY};

	assert_true(leaf_set_key(&w, keys[key]));
	assert_true(leaf_add_name(&w, "mx.example"));
	return w;
}

/* ---- a CA ---- */

static void
test_a_CA_signs_leaves_and_nothing_else_T_016(void **state)
{
	X509 *x = made_ca.certificate;

	(void)state;
	assert_null(ca_fault(x));
	assert_int_equal(X509_get_pathlen(x), 0);
	assert_int_equal(X509_get_key_usage(x), KU_KEY_CERT_SIGN);
	assert_int_equal(EVP_PKEY_get_bits(made_ca.key), CA_BITS);
	assert_int_equal(X509_verify(x, made_ca.key), 1);
	assert_true(X509_cmp_current_time(X509_get0_notBefore(x)) < 0);
}

static void
test_serials_are_random_and_positive_T_017(void **state)
{
	X509 *x = X509_new();
	BIGNUM *last = BN_new();

	(void)state;
	for (int i = 0; i < 200; i++) {
		BIGNUM *number;

		assert_true(ca_set_serial(x));
		number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
		assert_int_equal(BN_num_bits(number), CA_SERIAL_SIZE * 8 - 1);
		assert_false(BN_is_negative(number));
		assert_int_not_equal(BN_cmp(number, last), 0);
		BN_free(last);
		last = number;
	}
	BN_free(last);
	X509_free(x);
}

static void
test_what_is_no_CA(void **state)
{
	const struct make plain = {.cn = "x"}, ca = {.cn = "x", .is_ca = true};
	struct made one = made_new(&plain), other = made_new(&ca);
	struct ca out;
	struct buf chain, key;

	(void)state;
	assert_non_null(ca_fault(one.x));
	assert_null(ca_fault(other.x)); /* no keyUsage: it may */
	made_extension(other.x, NID_key_usage, "digitalSignature");
	buf_init(&chain, 65536);
	buf_init(&key, 65536);
	made_certificate(&one, &chain);
	made_key(&one, NULL, &key);
	assert_false(ca_read(buf_span(&chain), buf_span(&key), &out));
	assert_null(out.key);
	assert_false(ca_read(span_str("nothing"), buf_span(&key), &out));
	assert_false(ca_make(
	    "sixty-five characters are one too many for the name of a CA in X.509", NULL, &out));
	assert_false(ca_make("x", "\xff\xfe", &out));
	buf_free(&chain);
	buf_free(&key);
	made_free(&one);
	made_free(&other);
}

/* ---- fields ---- */

/* What is put over a description that is good. */
struct change {
	size_t at, n;
	const void *octets;
	bool rsa;
};

#define PUT(member, text) offsetof(struct leaf_wanted, member), sizeof(text) - 1, text
#define SET(member, type, v)                                                                       \
	offsetof(struct leaf_wanted, member), sizeof(type), &(const type)                          \
	{                                                                                          \
		v                                                                                  \
	}
#define NOBODY "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void
test_fields_are_checked_T_016(void **state)
{
	static const char full[LEAF_TEXT] = NOBODY NOBODY NOBODY;
	const struct change rows[] = {
	    {SET(not_before, int64_t, INT64_MAX), false},
	    {SET(not_before, int64_t, -1), false},
	    {SET(not_after, int64_t, INT64_MAX), false},
	    {SET(not_after, int64_t, 1), false},
	    {SET(key, uint32_t, LEAF_KEYS), false},
	    {SET(key, uint32_t, LEAF_RSA), false},
	    {SET(n_public, uint32_t, 64), false},
	    {SET(n_public, uint32_t, UINT32_MAX), false},
	    {PUT(public_key, "\x02"), false},
	    {PUT(public_key, "\x7f"), true},
	    {PUT(public_key[255], "\x02"), true},
	    {offsetof(struct leaf_wanted, subject[LEAF_CN]), LEAF_TEXT, full, false},
	    {PUT(subject[LEAF_O], "a\nb"), false},
	    {PUT(subject[LEAF_O], "\xff"), false},
	    {SET(n_names, uint32_t, 2), false},
	    {SET(n_names, uint32_t, UINT32_MAX), false},
	    {SET(names_size, uint32_t, LEAF_NAMES_OCTETS + 1), false},
	    {SET(names_size, uint32_t, UINT32_MAX), false},
	    {SET(names_size, uint32_t, 4), false},
	    {PUT(names, "MX.example"), false},
	    {PUT(names, "*x.example"), false},
	    {PUT(names, "1.02.3.4\0x"), false},
	};

	(void)state;
	_Static_assert(sizeof(NOBODY NOBODY NOBODY) == LEAF_TEXT + 1, "a text without its end");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct leaf_wanted w = wanted(rows[i].rsa ? LEAF_RSA : LEAF_P256);

		assert_null(leaf_fault(&w));
		memcpy((char *)&w + rows[i].at, rows[i].octets, rows[i].n);
		assert_non_null(leaf_fault(&w));
		assert_null(leaf_sign(&made_ca, &w, (int64_t)time(NULL)));
	}
}

/* A point that is on no curve is found out by who uses it. */
static void
test_a_point_that_is_none_T_016(void **state)
{
	struct leaf_wanted w = wanted(LEAF_P256);

	(void)state;
	w.public_key[40] ^= 1;
	assert_null(leaf_fault(&w));
	assert_null(leaf_sign(&made_ca, &w, (int64_t)time(NULL)));
}

static void
test_names(void **state)
{
	struct leaf_wanted w = {.n_names = 0};
	char name[64];
	size_t n = 0;

	(void)state;
	assert_true(leaf_add_name(&w, "a.example"));
	assert_true(leaf_add_name(&w, "*.a.example"));
	assert_true(leaf_add_name(&w, "192.0.2.1"));
	assert_true(leaf_add_name(&w, "2001:db8::1"));
	assert_false(leaf_add_name(&w, "a.example"));
	assert_false(leaf_add_name(&w, "2001:DB8::1"));
	assert_false(leaf_add_name(&w, "*.*"));
	assert_false(leaf_add_name(&w, "*.example")); /* all of a top-level domain */
	assert_false(leaf_add_name(&w, ""));
	assert_false(leaf_add_name(&w, "a b"));
	assert_int_equal(w.n_names, 4);
	do
		snprintf(name, sizeof(name), "host-%zu.example", n++);
	while (leaf_add_name(&w, name));
	assert_int_equal(w.n_names, LEAF_NAMES_MAX);
	w.n_names = w.names_size = 0;
	for (n = 0, name[0] = '\0'; n < LEAF_NAMES_MAX; n++) {
		snprintf(name, sizeof(name), "a-name-that-is-rather-long-%03zu.example.edu", n);
		if (!leaf_add_name(&w, name))
			break;
	}
	assert_true(w.names_size <= LEAF_NAMES_OCTETS && n > 100 && n < LEAF_NAMES_MAX);
}

/* ---- leaves ---- */

static void
test_a_leaf_is_what_clients_take_T_017(void **state)
{
	(void)state;
	for (enum leaf_key key = 0; key < LEAF_KEYS; key++) {
		struct leaf_wanted w = wanted(key);
		X509_STORE *store = X509_STORE_new();
		X509_STORE_CTX *ctx = X509_STORE_CTX_new();
		X509 *x;

		memcpy(w.subject[LEAF_O], "M\xc3\xbcller", 8);
		memcpy(w.subject[LEAF_CN], "mx.example", 11);
		assert_true(leaf_add_name(&w, "192.0.2.1"));
		assert_true(leaf_add_name(&w, "2001:db8::1"));
		x = leaf_sign(&made_ca, &w, (int64_t)time(NULL));
		assert_non_null(x);
		X509_STORE_add_cert(store, made_ca.certificate);
		X509_STORE_CTX_init(ctx, store, x, NULL);
		X509_VERIFY_PARAM_set_flags(
		    X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
		X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
		assert_int_equal(X509_verify_cert(ctx), 1);
		assert_int_equal(X509_check_host(x, "mx.example", 0, 0, NULL), 1);
		assert_int_equal(X509_check_ip_asc(x, "192.0.2.1", 0), 1);
		assert_int_equal(X509_check_ip_asc(x, "2001:db8::1", 0), 1);
		assert_int_equal(X509_check_private_key(x, keys[key]), 1);
		assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
		assert_int_equal(X509_check_ca(x), 0);
		assert_true(X509_get_ext_by_NID(x, NID_crl_distribution_points, -1) < 0);
		assert_true(X509_get_ext_by_NID(x, NID_info_access, -1) < 0);
		X509_STORE_CTX_free(ctx);
		X509_STORE_free(store);
		X509_free(x);
	}
}

static void
test_names_that_are_all_are_critical(void **state)
{
	struct leaf_wanted w = wanted(LEAF_P256);
	X509 *x = leaf_sign(&made_ca, &w, (int64_t)time(NULL));
	int at = X509_get_ext_by_NID(x, NID_subject_alt_name, -1);

	(void)state;
	assert_true(at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(x, at)) == 1);
	X509_free(x);
	w.n_names = w.names_size = 0;
	x = leaf_sign(&made_ca, &w, (int64_t)time(NULL));
	assert_true(X509_get_ext_by_NID(x, NID_subject_alt_name, -1) < 0);
	X509_free(x);
}

/* Days from now of the real one and of the leaf; hours where days are not enough. */
static void
test_dates_T_017(void **state)
{
	static const struct {
		int64_t from, to, want_from, want_to; /* seconds from now */
	} rows[] = {
	    {-90 * DAY, 90 * DAY, -DAY, 6 * DAY},
	    {-90 * DAY, 2 * DAY, -DAY, 2 * DAY},
	    {-3600, 90 * DAY, -3600, 7 * DAY - 3600},
	    {2 * DAY, 90 * DAY, 2 * DAY, 9 * DAY},	/* not yet */
	    {-90 * DAY, -5 * DAY, -12 * DAY, -5 * DAY}, /* not any more */
	    {-8 * DAY, -5 * DAY, -8 * DAY, -5 * DAY},
	};
	int64_t now = (int64_t)time(NULL), from, to;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct leaf_wanted w = wanted(LEAF_P256);
		X509 *x;

		w.not_before = now + rows[i].from;
		w.not_after = now + rows[i].to;
		x = leaf_sign(&made_ca, &w, now);
		assert_non_null(x);
		assert_true(leaf_time(X509_get0_notBefore(x), &from));
		assert_true(leaf_time(X509_get0_notAfter(x), &to));
		assert_int_equal(from - now, rows[i].want_from);
		assert_int_equal(to - now, rows[i].want_to);
		assert_true(to - from <= LEAF_DAYS * DAY);
		X509_free(x);
	}
}

static void
test_not_beyond_the_end_of_the_CA_T_017(void **state)
{
	struct leaf_wanted w = wanted(LEAF_P256);
	int64_t end, to;
	X509 *x;

	(void)state;
	assert_true(leaf_time(X509_get0_notAfter(made_ca.certificate), &end));
	w.not_after = end + 300 * DAY;
	x = leaf_sign(&made_ca, &w, end - 3600);
	assert_true(leaf_time(X509_get0_notAfter(x), &to));
	assert_int_equal(to, end);
	X509_free(x);
	assert_null(leaf_sign(&made_ca, &w, end + 2 * DAY));
}

/* ---- out of a real one ---- */

static void
test_describe(void **state)
{
	const struct make how = {.cn = "mx.example",
	    .alternatives =
		"DNS:MX.Example,DNS:*.campus.example,DNS:*.*,DNS:a b,IP:192.0.2.1,email:a@b"};
	struct made real = made_new(&how);
	struct leaf_wanted w = {.n_names = 0};
	static const char expected[] = "*.campus.example\0mx.example\0"
				       "192.0.2.1\0";
	static const char names[] = "a.campus.example"; /* asked for: the wildcard comes first */

	(void)state;
	assert_true(mint_describe(real.x, span_str(names), &w));
	assert_true(leaf_set_key(&w, keys[LEAF_P256]));
	assert_null(leaf_fault(&w));
	assert_int_equal(w.n_names, 3);
	assert_memory_equal(w.names, expected, sizeof(expected) - 1);
	assert_string_equal(w.subject[LEAF_CN], "mx.example");
	assert_string_equal(w.subject[LEAF_O], "");
	made_free(&real);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_CA_signs_leaves_and_nothing_else_T_016),
	    cmocka_unit_test(test_serials_are_random_and_positive_T_017),
	    cmocka_unit_test(test_what_is_no_CA),
	    cmocka_unit_test(test_fields_are_checked_T_016),
	    cmocka_unit_test(test_a_point_that_is_none_T_016),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_a_leaf_is_what_clients_take_T_017),
	    cmocka_unit_test(test_names_that_are_all_are_critical),
	    cmocka_unit_test(test_dates_T_017),
	    cmocka_unit_test(test_not_beyond_the_end_of_the_CA_T_017),
	    cmocka_unit_test(test_describe),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
