#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/ip.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static struct ip
ip_of(const char *text)
{
	struct ip ip = {0};

	if (!ip_parse(span_str(text), &ip))
		fail_msg("'%s' is no address", text);
	return ip;
}

/* want: the text form of what was read; NULL: no address. */
static void
test_parse_and_text(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"192.0.2.1", "192.0.2.1"},
	    {"0.0.0.0", "0.0.0.0"},
	    {"255.255.255.255", "255.255.255.255"},
	    {"256.0.0.1", NULL},
	    {"192.0.2", NULL},
	    {"192.0.2.1.5", NULL},
	    {"192.0.2.", NULL},
	    {".192.0.2", NULL},
	    {"192..2.1", NULL},
	    {"192.0.2.01", NULL}, /* octal to some */
	    {"0300.0.2.1", NULL},
	    {"0xc0.0.2.1", NULL},
	    {"3221225985", NULL},
	    {" 192.0.2.1", NULL},
	    {"192.0.2.1 ", NULL},
	    {"192.0.2.-1", NULL},
	    {"192.0.2.1/32", NULL},
	    {"::", "::"},
	    {"::1", "::1"},
	    {"2001:DB8::1", "2001:db8::1"},
	    {"2001:0db8:0:0:0:0:0:1", "2001:db8::1"},
	    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
	    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
	    {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
	    {"::ffff:192.0.2.25", "192.0.2.25"},
	    {"::ffff:c000:219", "192.0.2.25"},
	    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	    {"::ffff:192.0.2", NULL},
	    {"2001:db8::1::2", NULL},
	    {"2001:db8:::1", NULL},
	    {":1", NULL},
	    {"1:", NULL},
	    {"1:2:3:4:5:6:7", NULL},
	    {"1:2:3:4:5:6:7:8:9", NULL},
	    {"12345::", NULL},
	    {"g::", NULL},
	    {"fe80::1%eth0", NULL},
	    {"[::1]", NULL},
	    {"", NULL},
	    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		char text[IP_TEXT_MAX] = "";
		struct ip ip = {0};

		if (ip_parse(span_str(cases[i].text), &ip) != (cases[i].want != NULL))
			fail_msg("'%s'", cases[i].text);
		if (cases[i].want != NULL)
			assert_string_equal(ip_text(&ip, text), cases[i].want);
	}
}

/* Each octet in each place. */
static void
test_v4_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4 * 256; i++) {
		uint8_t octets[4] = {7, 7, 7, 7};
		char text[IP_TEXT_MAX], want[IP_TEXT_MAX];
		struct ip ip;

		octets[i / 256] = (uint8_t)i;
		ip = ip_v4(octets);
		snprintf(
		    want, sizeof(want), "%u.%u.%u.%u", octets[0], octets[1], octets[2], octets[3]);
		assert_string_equal(ip_text(&ip, text), want);
	}
}

static void
test_parse_nul(void **state)
{
	struct ip ip = {0};

	(void)state;
	assert_false(ip_parse(span_of("192.0.2.1\0", 10), &ip));
	assert_false(ip_parse(span_of("192.0.2.1\0x", 11), &ip));
	assert_false(ip_parse(SPAN_NONE, &ip));
	assert_int_equal(ip.family, IP_NONE);
}

static void
test_none(void **state)
{
	char text[IP_TEXT_MAX] = "x";
	struct ip none = {0}, any4 = ip_of("0.0.0.0"), any6 = ip_of("::");

	(void)state;
	assert_string_equal(ip_text(&none, text), "");
	assert_true(ip_eq(&none, &none));
	assert_false(ip_eq(&none, &any4));
	assert_false(ip_eq(&any4, &any6));
	assert_false(ip_is_unspecified(&none));
	assert_false(ip_is_loopback(&none));
	assert_false(ip_is_private(&none));
}

/* The same host is never two, whichever way the address comes in. */
static void
test_mapped_is_folded(void **state)
{
	static const uint8_t octets[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 25};
	struct ip mapped = ip_v6(octets), v4 = ip_v4(octets + 12), text = ip_of("192.0.2.25");

	(void)state;
	assert_int_equal(mapped.family, IP_V4);
	assert_true(ip_eq(&mapped, &v4));
	assert_true(ip_eq(&mapped, &text));
}

static void
test_network(void **state)
{
	static const struct {
		const char *ip;
		unsigned bits;
		const char *network;
	} cases[] = {
	    {"192.0.2.255", 32, "192.0.2.255"},
	    {"192.0.2.255", 31, "192.0.2.254"},
	    {"192.0.2.255", 25, "192.0.2.128"},
	    {"192.0.2.255", 24, "192.0.2.0"},
	    {"172.31.255.255", 12, "172.16.0.0"},
	    {"255.255.255.255", 1, "128.0.0.0"},
	    {"192.0.2.255", 0, "0.0.0.0"},
	    {"192.0.2.255", 999, "192.0.2.255"},
	    {"2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"},
	    {"2001:db8:ffff::", 33, "2001:db8:8000::"},
	    {"2001:db8::1", 128, "2001:db8::1"},
	    {"2001:db8::1", 127, "2001:db8::"},
	    {"2001:db8::1", 0, "::"},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct ip ip = ip_of(cases[i].ip);
		struct ip network = ip_network(&ip, cases[i].bits);
		char text[IP_TEXT_MAX];

		assert_string_equal(ip_text(&network, text), cases[i].network);
	}
}

static void
test_kinds(void **state)
{
	static const struct {
		const char *text;
		char kind; /* loopback, unspecified, private, or none of them */
	} cases[] = {
	    {"127.0.0.1", 'l'},
	    {"127.255.255.255", 'l'},
	    {"128.0.0.0", '-'},
	    {"126.255.255.255", '-'},
	    {"::1", 'l'},
	    {"::ffff:127.0.0.1", 'l'},
	    {"0.0.0.0", 'u'},
	    {"0.1.2.3", 'u'},
	    {"1.0.0.0", '-'},
	    {"::", 'u'},
	    {"::2", '-'},
	    {"10.0.0.0", 'p'},
	    {"10.255.255.255", 'p'},
	    {"11.0.0.0", '-'},
	    {"172.15.255.255", '-'},
	    {"172.16.0.0", 'p'},
	    {"172.31.255.255", 'p'},
	    {"172.32.0.0", '-'},
	    {"192.168.0.1", 'p'},
	    {"192.169.0.0", '-'},
	    {"169.254.1.1", 'p'},
	    {"100.63.255.255", '-'},
	    {"100.64.0.0", 'p'},
	    {"100.127.255.255", 'p'},
	    {"100.128.0.0", '-'},
	    {"fc00::1", 'p'},
	    {"fdff::", 'p'},
	    {"fe00::", '-'},
	    {"fe80::1", 'p'},
	    {"febf::1", 'p'},
	    {"fec0::1", '-'},
	    {"2001:db8::1", '-'},
	    {"192.0.2.1", '-'},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct ip ip = ip_of(cases[i].text);

		if (ip_is_loopback(&ip) != (cases[i].kind == 'l') ||
		    ip_is_unspecified(&ip) != (cases[i].kind == 'u') ||
		    ip_is_private(&ip) != (cases[i].kind == 'p'))
			fail_msg("%s", cases[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse_and_text),
	    cmocka_unit_test(test_v4_text),
	    cmocka_unit_test(test_parse_nul),
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_mapped_is_folded),
	    cmocka_unit_test(test_network),
	    cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
