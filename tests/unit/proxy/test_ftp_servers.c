#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ftp_servers.h"

#define START UINT64_C(1000000)

static struct ip
address(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(span_str(text), &ip));
	return ip;
}

static struct ip
numbered(unsigned i)
{
	const uint8_t octets[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

	return ip_v4(octets);
}

static void
test_F5_what_a_server_refused_is_remembered_for_a_while(void **state)
{
	struct ftp_servers *s = ftp_servers_new();
	struct ip a = address("192.0.2.1"), b = address("2001:db8::1");

	(void)state;
	assert_int_equal(ftp_servers_refuse(s, &a, START), 0);
	ftp_servers_note(s, &a, FTP_REFUSES_EPSV, START);
	assert_int_equal(ftp_servers_refuse(s, &a, START), FTP_REFUSES_EPSV);
	assert_int_equal(ftp_servers_refuse(s, &b, START), 0);
	assert_int_equal(ftp_servers_refuse(s, &a, START + FTP_SERVERS_MS - 1), FTP_REFUSES_EPSV);
	assert_int_equal(ftp_servers_refuse(s, &a, START + FTP_SERVERS_MS), 0);
	ftp_servers_free(s);
}

static void
test_what_is_noted_adds_up(void **state)
{
	struct ftp_servers *s = ftp_servers_new();
	struct ip a = address("2001:db8::1");

	(void)state;
	ftp_servers_note(s, &a, FTP_REFUSES_EPSV, START);
	ftp_servers_note(s, &a, FTP_REFUSES_PASV, START + 10);
	assert_int_equal(
	    ftp_servers_refuse(s, &a, START + 10), FTP_REFUSES_EPSV | FTP_REFUSES_PASV);
	/* but not with what is forgotten */
	ftp_servers_note(s, &a, FTP_REFUSES_EPRT, START + 10 + FTP_SERVERS_MS);
	assert_int_equal(ftp_servers_refuse(s, &a, START + 10 + FTP_SERVERS_MS), FTP_REFUSES_EPRT);
	ftp_servers_free(s);
}

static void
test_more_servers_than_there_is_room_for(void **state)
{
	struct ftp_servers *s = ftp_servers_new();
	unsigned remembered = 0;
	uint64_t now = START;

	(void)state;
	for (unsigned i = 0; i < 100 * FTP_SERVERS_MAX; i++) {
		struct ip ip = numbered(i);

		ftp_servers_note(s, &ip, FTP_REFUSES_PASV, ++now);
		assert_int_equal(ftp_servers_refuse(s, &ip, now), FTP_REFUSES_PASV);
	}
	for (unsigned i = 0; i < 100 * FTP_SERVERS_MAX; i++) {
		struct ip ip = numbered(i);

		remembered += ftp_servers_refuse(s, &ip, now) != 0;
	}
	assert_true(remembered <= FTP_SERVERS_MAX);
	assert_true(remembered > FTP_SERVERS_MAX * 9 / 10);
	ftp_servers_free(s);
}

static void
test_without_a_table_nothing_is_known(void **state)
{
	struct ip a = address("192.0.2.1");

	(void)state;
	ftp_servers_note(NULL, &a, FTP_REFUSES_PASV, START);
	assert_int_equal(ftp_servers_refuse(NULL, &a, START), 0);
	ftp_servers_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_F5_what_a_server_refused_is_remembered_for_a_while),
	    cmocka_unit_test(test_what_is_noted_adds_up),
	    cmocka_unit_test(test_more_servers_than_there_is_room_for),
	    cmocka_unit_test(test_without_a_table_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
