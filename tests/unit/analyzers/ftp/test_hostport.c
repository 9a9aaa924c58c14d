#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ftp/hostport.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define TEN	  "0123456789"

/* want NULL: it cannot be read; "!": a family that nobody speaks */
struct row {
	const char *in, *want;
};

static const struct row ports[] = {
    {"192,0,2,1,4,0", "192,0,2,1,4,0"},
    {" 192,0,2,1,4,0 ", "192,0,2,1,4,0"},
    {"0,0,0,0,0,1", "0,0,0,0,0,1"},
    {"255,255,255,255,255,255", "255,255,255,255,255,255"},
    {"1,2,3", NULL},
    {"1,2,3,4,5", NULL},
    {"1,2,3,4,5,256", NULL},
    {"1,2,3,4,5,6,7", NULL},
    {"1,2,3,4,5,6,", NULL},
    {",1,2,3,4,5,6", NULL},
    {"1,,2,3,4,5,6", NULL},
    {"1,2,3,4,-1,6", NULL},
    {"1,2,3,4,+1,6", NULL},
    {"0x1f,2,3,4,5,6", NULL},
    {"01,02,3,4,5,6", NULL},
    {"192,000,2,1,4,0", NULL},
    {"192,0,2,10, 200,13", NULL},
    {"192,0,2,10,200 ,13", NULL},
    {"448,256,258,266,200,13", NULL},
    {"192,0,2,1,4,0x", NULL},
    {"192.0.2.1.4.0", NULL},
    {"192,0,2,1,0,0", NULL}, /* port 0 */
    {"1,2,3,4,5," TEN TEN TEN, NULL},
    {"", NULL},
};

static const struct row eprts[] = {
    {"|1|192.0.2.1|1024|", "|1|192.0.2.1|1024|"},
    {"|2|2001:db8::1|65535|", "|2|2001:db8::1|65535|"},
    {"|2|2001:0db8:0:0:0:0:0:1|1|", "|2|2001:db8::1|1|"},
    {"!1!192.0.2.10!51213!", "|1|192.0.2.10|51213|"},
    {"~1~192.0.2.10~51213~", "|1|192.0.2.10|51213|"},
    {"|3|192.0.2.1|1024|", "!"},
    {"|0|192.0.2.1|1024|", "!"},
    {"|01|192.0.2.1|1024|", "!"},
    {"|65535|x|y|", "!"},
    {"|1|2001:db8::1|1024|", NULL},
    {"|2|192.0.2.1|1024|", NULL},
    {"|2|::ffff:203.0.113.5|80|", NULL}, /* IPv4 in other clothes */
    {"|1|::ffff:203.0.113.5|80|", NULL},
    {"|2|fe80::1%eth0|1024|", NULL},
    {"|1|192.0.2.01|1024|", NULL},
    {"|1|192.0.2|1024|", NULL},
    {"|1|192.0.2.1|0|", NULL},
    {"|1|192.0.2.1|65536|", NULL},
    {"|1|192.0.2.1|01024|", NULL},
    {"|1|192.0.2.1|+1024|", NULL},
    {"|1|192.0.2.1||", NULL},
    {"|1|192.0.2.1|1024", NULL},
    {"|1|192.0.2.1|1024|x", NULL},
    {"|1|192.0.2.1|1024||", NULL},
    {"|1||1024|", NULL},
    {"||192.0.2.1|1024|", NULL},
    {"|x|192.0.2.1|1024|", NULL},
    {"\x01"
     "1\x01"
     "192.0.2.1\x01"
     "1024\x01",
	NULL},
    {"\xff"
     "1\xff"
     "192.0.2.1\xff"
     "1024\xff",
	NULL},
    {".1.192.0.2.1.1024.", NULL},
    {"11119211", NULL},
    {"|", NULL},
    {"", NULL},
};

static const struct row replies_227[] = {
    {"Entering Passive Mode (192,0,2,1,4,0)", "(192,0,2,1,4,0)"},
    {"Entering Passive Mode (192,0,2,1,4,0).", "(192,0,2,1,4,0)"},
    {"(a note) (192,0,2,1,4,0)", "(192,0,2,1,4,0)"},
    {"Entering Passive Mode 192,0,2,1,4,0", "(192,0,2,1,4,0)"},
    {"=192,0,2,1,4,0 is it", "(192,0,2,1,4,0)"},
    {"Entering Passive Mode (192,0,2,1,4,0", NULL},
    {"Entering Passive Mode ( 192,0,2,1,4,0)", NULL},
    {"Entering Passive Mode (192,0,2,1,4)", NULL},
    {"Entering Passive Mode (192,0,2,1,4,0,1)", NULL},
    {"Entering Passive Mode (192,0,2,1,4,256)", NULL},
    {"Entering Passive Mode (192,0,2,1,0,0)", NULL},
    {"Entering Passive Mode 192,0,2,1,4,0,1", NULL},
    {"Entering Passive Mode 192,0,2,1,4,0123", NULL},
    {"mode 2 is 192,0,2,1,4,0", NULL},
    {"(passive) 192,0,2,1,4,0", NULL}, /* with brackets, only what is in them counts */
    {"Entering Passive Mode", NULL},
    {"", NULL},
};

static const struct row replies_229[] = {
    {"Entering Extended Passive Mode (|||6446|)", "(|||6446|)"},
    {"(EPSV) (!!!6446!).", "(|||6446|)"},
    {"(|||1|)", "(|||1|)"},
    {"(|||65535|)", "(|||65535|)"},
    {"(|||0|)", NULL},
    {"(|||65536|)", NULL},
    {"(|||06446|)", NULL},
    {"(||h|99|)", NULL},
    {"(|1|203.0.113.5|51213|)", NULL},
    {"(|||6446)", NULL},
    {"(|||6446|", NULL},
    {"(||6446|)", NULL},
    {"(|||-1|)", NULL},
    {"(11164461)", NULL},
    {"|||6446|", NULL},
    {"", NULL},
};

static void
check(const struct row *row, bool read, const char *text)
{
	if (row->want == NULL || row->want[0] == '!') {
		if (read)
			fail_msg("'%s' was read: %s", row->in, text);
	} else if (!read) {
		fail_msg("'%s' was not read", row->in);
	} else {
		assert_string_equal(text, row->want);
	}
}

/* What was read is written in a form that is read again as the same. */
static void
test_F_003_port(void **state)
{
	char text[FTP_HOSTPORT_MAX];

	(void)state;
	for (size_t i = 0; i < nitems(ports); i++) {
		struct ftp_hostport h = {0}, again = {0};
		enum ftp_hostport_fault fault = ftp_port_parse(span_str(ports[i].in), &h);

		check(&ports[i], fault == FTP_HOSTPORT_OK, ftp_port_text(&h, text));
		if (fault != FTP_HOSTPORT_OK)
			continue;
		assert_int_equal(ftp_port_parse(span_str(text), &again), FTP_HOSTPORT_OK);
		assert_true(ip_eq(&h.ip, &again.ip) && h.port == again.port);
	}
}

static void
test_F_004_eprt(void **state)
{
	char text[FTP_HOSTPORT_MAX];

	(void)state;
	for (size_t i = 0; i < nitems(eprts); i++) {
		struct ftp_hostport h = {0};
		enum ftp_hostport_fault fault = ftp_eprt_parse(span_str(eprts[i].in), &h);
		bool family = eprts[i].want != NULL && eprts[i].want[0] == '!';

		check(&eprts[i], fault == FTP_HOSTPORT_OK, ftp_eprt_text(&h, text));
		assert_int_equal(fault == FTP_HOSTPORT_FAMILY, family);
	}
}

static void
test_F_005_F_006_227(void **state)
{
	char text[FTP_HOSTPORT_MAX];

	(void)state;
	for (size_t i = 0; i < nitems(replies_227); i++) {
		struct ftp_hostport h = {0};
		bool read = ftp_227_parse(span_str(replies_227[i].in), &h);

		check(&replies_227[i], read, ftp_227_text(&h, text));
		assert_true(read || h.port == 0);
	}
}

static void
test_F_017_229(void **state)
{
	char text[FTP_HOSTPORT_MAX];

	(void)state;
	for (size_t i = 0; i < nitems(replies_229); i++) {
		struct ftp_hostport h = {0};
		bool read = ftp_229_parse(span_str(replies_229[i].in), &h);

		check(&replies_229[i], read, ftp_229_text(&h, text));
		assert_int_equal(h.ip.family, IP_NONE);
	}
}

static void
test_F_016_F_017_epsv(void **state)
{
	static const struct {
		const char *in;
		enum ftp_hostport_fault fault;
		enum ftp_epsv epsv;
	} rows[] = {
	    {"", FTP_HOSTPORT_OK, FTP_EPSV_ANY},
	    {" ", FTP_HOSTPORT_OK, FTP_EPSV_ANY},
	    {"1", FTP_HOSTPORT_OK, FTP_EPSV_V4},
	    {"2", FTP_HOSTPORT_OK, FTP_EPSV_V6},
	    {"ALL", FTP_HOSTPORT_OK, FTP_EPSV_ALL},
	    {"aLl", FTP_HOSTPORT_OK, FTP_EPSV_ALL},
	    {"3", FTP_HOSTPORT_FAMILY, FTP_EPSV_ANY},
	    {"0", FTP_HOSTPORT_FAMILY, FTP_EPSV_ANY},
	    {"02", FTP_HOSTPORT_FAMILY, FTP_EPSV_ANY},
	    {"1 2", FTP_HOSTPORT_SYNTAX, FTP_EPSV_ANY},
	    {"ALL ALL", FTP_HOSTPORT_SYNTAX, FTP_EPSV_ANY},
	    {"|||1|", FTP_HOSTPORT_SYNTAX, FTP_EPSV_ANY},
	    {TEN TEN TEN, FTP_HOSTPORT_SYNTAX, FTP_EPSV_ANY},
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		enum ftp_epsv epsv = FTP_EPSV_ANY;

		assert_int_equal(ftp_epsv_parse(span_str(rows[i].in), &epsv), rows[i].fault);
		assert_int_equal(epsv, rows[i].epsv);
	}
}

/* The longest that there is fits. */
static void
test_longest(void **state)
{
	struct ftp_hostport h = {.port = 65535};
	char text[FTP_HOSTPORT_MAX];

	(void)state;
	assert_true(ip_parse(span_str("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"), &h.ip));
	assert_string_equal(
	    ftp_eprt_text(&h, text), "|2|2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff|65535|");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_F_003_port),
	    cmocka_unit_test(test_F_004_eprt),
	    cmocka_unit_test(test_F_005_F_006_227),
	    cmocka_unit_test(test_F_017_229),
	    cmocka_unit_test(test_F_016_F_017_epsv),
	    cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests_name("ftp hostport", tests, NULL, NULL);
}
