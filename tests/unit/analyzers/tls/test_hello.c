#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/buf.h"
#include "tls/ja4.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static void
put_u16(struct buf *b, unsigned v)
{
	buf_octet(b, (uint8_t)(v >> 8));
	buf_octet(b, (uint8_t)v);
}

static void
put_codes(struct buf *b, const uint16_t *codes, size_t n)
{
	put_u16(b, (unsigned)(2 * n));
	for (size_t i = 0; i < n; i++)
		put_u16(b, codes[i]);
}

static void
put_extension(struct buf *b, unsigned type, struct span data)
{
	put_u16(b, type);
	put_u16(b, (unsigned)data.n);
	buf_add(b, data);
}

static void
put_begin(struct buf *b, unsigned version, size_t session_id)
{
	put_u16(b, version);
	for (unsigned i = 0; i < 32; i++)
		buf_octet(b, (uint8_t)i);
	buf_octet(b, (uint8_t)session_id);
	for (size_t i = 0; i < session_id; i++)
		buf_octet(b, 's');
}

/* What stands behind the extensions' length is put behind b. */
static void
put_extensions(struct buf *b, const struct buf *extensions)
{
	put_u16(b, (unsigned)extensions->n);
	buf_add(b, buf_span(extensions));
}

#define LITERAL(s) span_of(s, sizeof(s) - 1)

static const char server_name[] = "\0\x0f\0\0\x0cmail.example";
static const char alpn_h2[] = "\0\x0c\x02h2\x08http/1.1";
static const char versions_13[] = "\x06\x7a\x7a\x03\x04\x03\x03";

/* The client of FoxIO's own example: Chrome. */
static void
put_chrome(struct buf *b, const char *alpn, size_t n_alpn)
{
	static const uint16_t ciphers[] = {0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c,
	    0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035};
	static const uint16_t signatures[] = {
	    0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601};
	static const uint16_t plain[] = {0x001b, 0xff01, 0x0023, 0x000a, 0x0005, 0x0033, 0x0012,
	    0x000b, 0x0017, 0x002d, 0x4469, 0x0015};
	struct buf extensions, list;

	buf_init(&extensions, 4096);
	buf_init(&list, 4096);
	put_begin(b, 0x0303, 32);
	put_codes(b, ciphers, nitems(ciphers));
	buf_add(b, LITERAL("\x01\0"));
	put_extension(&extensions, 0x2a2a, SPAN_NONE);
	put_extension(&extensions, TLS_EXT_SERVER_NAME, LITERAL(server_name));
	for (size_t i = 0; i < nitems(plain); i++)
		put_extension(&extensions, plain[i], SPAN_NONE);
	put_extension(&extensions, TLS_EXT_ALPN, span_of(alpn, n_alpn));
	put_extension(&extensions, TLS_EXT_VERSIONS, LITERAL(versions_13));
	put_codes(&list, signatures, nitems(signatures));
	put_extension(&extensions, TLS_EXT_SIGNATURES, buf_span(&list));
	put_extensions(b, &extensions);
	buf_free(&extensions);
	buf_free(&list);
}

static void
expect_ja4(const char *alpn, size_t n_alpn, const char *expected)
{
	struct tls_client_hello h;
	struct buf b;
	char text[TLS_JA4_TEXT];

	buf_init(&b, 65536);
	put_chrome(&b, alpn, n_alpn);
	assert_true(tls_client_hello_parse(buf_span(&b), &h));
	assert_true(tls_ja4(&h, text));
	assert_string_equal(text, expected);
	buf_free(&b);
}

/* T15 */
static void
ja4_of_the_specification(void **state)
{
	(void)state;
	expect_ja4(alpn_h2, sizeof(alpn_h2) - 1, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	expect_ja4("\0\x05\x04imap", 7, "t13d1516ip_8daaf6152771_e5627efa2ab1");
	/* a name that has other characters is named by its hexadecimal digits: ab ... cd */
	expect_ja4("\0\x03\x02\xab\xcd", 5, "t13d1516ad_8daaf6152771_e5627efa2ab1");
}

static void
a_hello_is_read(void **state)
{
	struct tls_client_hello h;
	struct buf b;
	struct span list;

	(void)state;
	buf_init(&b, 65536);
	put_chrome(&b, alpn_h2, sizeof(alpn_h2) - 1);
	assert_true(tls_client_hello_parse(buf_span(&b), &h));
	assert_int_equal(h.version, 0x0304);
	assert_true(span_eq(h.server_name, span_str("mail.example")));
	list = h.alpn;
	assert_true(span_eq(tls_alpn_next(&list), span_str("h2")));
	assert_true(span_eq(tls_alpn_next(&list), span_str("http/1.1")));
	assert_int_equal(tls_alpn_next(&list).n, 0);
	assert_int_equal(h.session_id.n, 32);
	assert_false(h.resumes); /* nobody resumes by an ID in TLS 1.3 */
	assert_false(h.early_data || h.ech);
	buf_free(&b);
}

/* No part of a hello is one, nor is one with something behind it. */
static void
cut_anywhere_it_is_malformed(void **state)
{
	struct tls_client_hello h;
	struct buf b;
	size_t without; /* a hello without extensions may end there */

	(void)state;
	buf_init(&b, 65536);
	put_chrome(&b, alpn_h2, sizeof(alpn_h2) - 1);
	without = 2 + 32 + 1 + 32 + 2 + 16 * 2 + 2;
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(
		    tls_client_hello_parse(span_first(buf_span(&b), n), &h), n == without);
	buf_octet(&b, 0);
	assert_false(tls_client_hello_parse(buf_span(&b), &h));
	buf_free(&b);
}

struct extension_case {
	const char *what;
	unsigned type;
	struct span data;
	bool ok;
};

static void
extensions_are_read_to_their_end(void **state)
{
	const struct extension_case cases[] = {
	    {"no name at all", 0, LITERAL("\0\0"), true},
	    {"a name of another type", 0, LITERAL("\0\x04\x01\0\x01x"), true},
	    {"a name longer than its list", 0, LITERAL("\0\x04\0\0\x02x"), false},
	    {"octets behind the list of names", 0, LITERAL("\0\x04\0\0\x01xy"), false},
	    {"an empty list of protocols", 16, LITERAL("\0\0"), false},
	    {"an empty protocol", 16, LITERAL("\0\x01\0"), false},
	    {"a protocol longer than its list", 16, LITERAL("\0\x02\x02i"), false},
	    {"half a signature", 13, LITERAL("\0\x01\x04"), false},
	    {"half a version", 43, LITERAL("\x03\x03\x04\x03"), false},
	    {"early data", 42, LITERAL(""), true},
	    {"early data that says something", 42, LITERAL("x"), false},
	    {"whatever is not known", 0x1234, LITERAL("\xff\xff"), true},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct tls_client_hello h;
		struct buf b, extensions;

		buf_init(&b, 4096);
		buf_init(&extensions, 4096);
		put_begin(&b, 0x0303, 0);
		buf_add(&b, LITERAL("\0\x02\xc0\x2f\x01\0"));
		put_extension(&extensions, cases[i].type, cases[i].data);
		put_extensions(&b, &extensions);
		if (tls_client_hello_parse(buf_span(&b), &h) != cases[i].ok)
			fail_msg("%s", cases[i].what);
		buf_free(&b);
		buf_free(&extensions);
	}
}

static void
no_extension_twice_and_not_too_many(void **state)
{
	(void)state;
	for (size_t n = TLS_EXTENSIONS_MAX - 1; n <= TLS_EXTENSIONS_MAX + 1; n++)
		for (int twice = 0; twice <= 1; twice++) {
			struct tls_client_hello h;
			struct buf b, extensions;

			buf_init(&b, 4096);
			buf_init(&extensions, 4096);
			put_begin(&b, 0x0303, 0);
			buf_add(&b, LITERAL("\0\x02\xc0\x2f\x01\0"));
			for (size_t i = 0; i < n; i++)
				put_extension(&extensions,
				    (unsigned)(1000 + (twice && i + 1 == n ? 0 : i)), SPAN_NONE);
			put_extensions(&b, &extensions);
			assert_int_equal(tls_client_hello_parse(buf_span(&b), &h),
			    n <= TLS_EXTENSIONS_MAX && !twice);
			buf_free(&b);
			buf_free(&extensions);
		}
}

static void
expect_resumes(unsigned version, size_t session_id, unsigned type, const char *data, bool resumes)
{
	struct tls_client_hello h;
	struct buf b, extensions;

	buf_init(&b, 4096);
	buf_init(&extensions, 4096);
	put_begin(&b, version, session_id);
	buf_add(&b, LITERAL("\0\x02\xc0\x2f\x01\0"));
	put_extension(&extensions, type, span_str(data));
	put_extensions(&b, &extensions);
	assert_true(tls_client_hello_parse(buf_span(&b), &h));
	assert_int_equal(h.resumes, resumes);
	buf_free(&b);
	buf_free(&extensions);
}

static void
what_asks_for_resumption(void **state)
{
	(void)state;
	expect_resumes(0x0303, 0, TLS_EXT_TICKET, "", false);
	expect_resumes(0x0303, 0, TLS_EXT_TICKET, "ticket", true);
	expect_resumes(0x0303, 32, TLS_EXT_TICKET, "", true);
	expect_resumes(0x0303, 0, TLS_EXT_PRE_SHARED_KEY, "x", true);
}

/* ---- the server's ---- */

static bool
parse_server(unsigned type, struct span data, struct tls_server_hello *h, struct buf *b)
{
	struct buf extensions;
	bool ok;

	buf_init(b, 4096);
	buf_init(&extensions, 4096);
	put_begin(b, 0x0303, 32);
	buf_add(b, LITERAL("\x13\x01\0"));
	put_extension(&extensions, type, data);
	put_extensions(b, &extensions);
	ok = tls_server_hello_parse(buf_span(b), h);
	buf_free(&extensions);
	return ok;
}

static void
a_servers_hello_is_read(void **state)
{
	struct tls_server_hello h;
	struct buf b;

	(void)state;
	assert_true(parse_server(TLS_EXT_VERSIONS, LITERAL("\x03\x04"), &h, &b));
	assert_int_equal(h.version, 0x0304);
	assert_int_equal(h.cipher, 0x1301);
	assert_int_equal(h.session_id.n, 32);
	assert_false(h.retry || h.pre_shared);
	for (size_t n = 0; n < b.n; n++) /* one without extensions may end behind compression */
		assert_int_equal(tls_server_hello_parse(span_first(buf_span(&b), n), &h),
		    n == 2 + 32 + 1 + 32 + 3);
	buf_free(&b);
	assert_true(parse_server(TLS_EXT_PRE_SHARED_KEY, LITERAL("\0\0"), &h, &b) && h.pre_shared);
	buf_free(&b);
	assert_true(parse_server(TLS_EXT_ALPN, LITERAL("\0\x05\x04imap"), &h, &b));
	assert_true(span_eq(h.alpn, span_str("imap")));
	buf_free(&b);
	assert_false(parse_server(TLS_EXT_VERSIONS, LITERAL("\x03\x04\0"), &h, &b));
	buf_free(&b);
}

static void
names_of_versions(void **state)
{
	(void)state;
	assert_string_equal(tls_version_name(0x0304), "TLS 1.3");
	assert_string_equal(tls_version_name(0x0300), "SSLv3");
	assert_string_equal(tls_version_name(0x7f1c), "unknown");
	assert_true(tls_is_grease(0x0a0a) && tls_is_grease(0xfafa));
	assert_false(tls_is_grease(0x0a1a) || tls_is_grease(0x1301));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ja4_of_the_specification),
	    cmocka_unit_test(a_hello_is_read),
	    cmocka_unit_test(cut_anywhere_it_is_malformed),
	    cmocka_unit_test(extensions_are_read_to_their_end),
	    cmocka_unit_test(no_extension_twice_and_not_too_many),
	    cmocka_unit_test(what_asks_for_resumption),
	    cmocka_unit_test(a_servers_hello_is_read),
	    cmocka_unit_test(names_of_versions),
	};

	return cmocka_run_group_tests_name("tls hello", tests, NULL, NULL);
}
