#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy_protocol.h"

static struct endpoint
endpoint(const char *ip, uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_true(ip_parse(span_str(ip), &e.ip));
	return e;
}

static const uint8_t binary4[] =
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\x00\x71\x09\x0a\x19\x00\x01\x15\xb3\x00\x19";
static const uint8_t binary6[] =
    "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xfd\0\0\x25\0\0\0\0\0\0\0\0\0\0\0\x01"
    "\xff\xff\x02\x4b";

static const struct {
	const char *name, *client, *to;
	uint16_t client_port, to_port;
	enum send_proxy version;
	const void *want;
	size_t n;
} cases[] = {
#define TEXT(s) .version = SEND_PROXY_V1, .want = (s), .n = sizeof(s) - 1
    {"S11 line, IPv4", "203.0.113.9", "10.25.0.1", 5555, 25,
	TEXT("PROXY TCP4 203.0.113.9 10.25.0.1 5555 25\r\n")},
    {"S11 line, IPv6", "2001:db8::2", "fd00:25::1", 65535, 587,
	TEXT("PROXY TCP6 2001:db8::2 fd00:25::1 65535 587\r\n")},
    {"S11 line, as long as they get", "2001:db8:1111:2222:3333:4444:5555:6666",
	"2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", 65535, 65535,
	TEXT("PROXY TCP6 2001:db8:1111:2222:3333:4444:5555:6666 "
	     "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff 65535 65535\r\n")},
    {"S11 binary, IPv4", "203.0.113.9", "10.25.0.1", 5555, 25, .version = SEND_PROXY_V2,
	.want = binary4, .n = sizeof(binary4) - 1},
    {"S11 binary, IPv6", "2001:db8::2", "fd00:25::1", 65535, 587, .version = SEND_PROXY_V2,
	.want = binary6, .n = sizeof(binary6) - 1},
    {"S11 none", "203.0.113.9", "10.25.0.1", 5555, 25, .version = SEND_PROXY_NO},
    {"S11 two families, line", "203.0.113.9", "fd00::1", 1, 2, .version = SEND_PROXY_V1},
    {"S11 two families, binary", "2001:db8::2", "10.25.0.1", 1, 2, .version = SEND_PROXY_V2},
    /* a mapped address is an IPv4 address, and goes out as one */
    {"S11 mapped", "::ffff:203.0.113.9", "10.25.0.1", 5555, 25, .version = SEND_PROXY_V2,
	.want = binary4, .n = sizeof(binary4) - 1},
};

static void
test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct endpoint client = endpoint(cases[i].client, cases[i].client_port);
		struct endpoint to = endpoint(cases[i].to, cases[i].to_port);
		uint8_t out[PROXY_HEADER_MAX];
		size_t n = proxy_header(cases[i].version, &client, &to, out);

		if (n != cases[i].n || (n > 0 && memcmp(out, cases[i].want, n) != 0))
			fail_msg("%s: %zu octets: %.*s", cases[i].name, n, (int)n, (char *)out);
	}
}

/* A header that says nothing of the client is never made. */
static void
test_no_address(void **state)
{
	struct endpoint none = {.port = 1}, to = endpoint("10.25.0.1", 25);
	uint8_t out[PROXY_HEADER_MAX];

	(void)state;
	for (enum send_proxy v = SEND_PROXY_NO; v <= SEND_PROXY_V2; v++) {
		assert_int_equal(proxy_header(v, &none, &to, out), 0);
		assert_int_equal(proxy_header(v, &none, &none, out), 0);
		assert_int_equal(proxy_header(v, &to, &none, out), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_no_address),
	};

	return cmocka_run_group_tests_name("proxy_protocol", tests, NULL, NULL);
}
