#include "observed_protocol.h"

/* cmocka wants these ahead of it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* What the first octets of both say; GUESS_FOUND stands for "said". */
static const struct {
	const char *client, *server;
	enum guess guess;
	enum protocol said;
} cases[] = {
    {"", "", GUESS_MORE, 0},
    {"", "+OK ready\r\n", GUESS_FOUND, PROTOCOL_POP3},
    {"", "-ERR busy\r\n", GUESS_FOUND, PROTOCOL_POP3},
    {"", "+", GUESS_MORE, 0},
    {"", "+X", GUESS_NONE, 0},
    {"", "* OK ready\r\n", GUESS_FOUND, PROTOCOL_IMAP},
    {"", "* PREAUTH\r\n", GUESS_FOUND, PROTOCOL_IMAP},
    {"", "* B", GUESS_MORE, 0},
    {"", "220 mx ESMTP\r\n", GUESS_FOUND, PROTOCOL_SMTP},
    {"", "220-files\r\n220 an FTP server\r\n", GUESS_FOUND, PROTOCOL_FTP},
    {"", "22", GUESS_MORE, 0},
    {"", "220 ready\r\n", GUESS_MORE, 0},
    {"EHLO me\r\n", "220 ready\r\n", GUESS_FOUND, PROTOCOL_SMTP},
    {"user anna\r\n", "220 ready\r\n", GUESS_FOUND, PROTOCOL_FTP},
    {"AUTH TLS\r\n", "220 ready\r\n", GUESS_FOUND, PROTOCOL_FTP},
    {"EHL", "220 ready\r\n", GUESS_MORE, 0},
    {"GET / HTTP/1.1\r\n", "220 ready\r\n", GUESS_NONE, 0},
    {"USER anna\r\n", "331 password\r\n", GUESS_FOUND, PROTOCOL_FTP},
    {"USER anna\r\n", "+OK\r\n", GUESS_FOUND, PROTOCOL_POP3},
    {"USER anna\r\n", "", GUESS_MORE, 0},
    {"mail from:<a@b.example>\r\n", "", GUESS_FOUND, PROTOCOL_SMTP},
    {"mail from:<a@b.example>\r\n", "250 ok\r\n", GUESS_FOUND, PROTOCOL_SMTP},
    {"a001 LOGIN anna secret\r\n", "", GUESS_FOUND, PROTOCOL_IMAP},
    {"a001 login anna secret\r\n", "a001 OK\r\n", GUESS_FOUND, PROTOCOL_IMAP},
    {"GET / HTTP/1.1\r\n", "", GUESS_NONE, 0},
    {"", "SSH-2.0-OpenSSH\r\n", GUESS_NONE, 0},
    {"\x16\x03\x01", "", GUESS_MORE, 0},
};

static void
test_first_octets_tell(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum protocol said = PROTOCOL_COUNT;
		const enum guess guess =
		    observed_guess(span_str(cases[i].client), span_str(cases[i].server), &said);

		if (guess != cases[i].guess)
			fail_msg("\"%s\", \"%s\": %d", cases[i].client, cases[i].server, guess);
		if (guess == GUESS_FOUND)
			assert_int_equal(said, cases[i].said);
	}
}

static void
test_who_says_much_and_nothing_clear_is_none_of_ours(void **state)
{
	uint8_t much[OBSERVED_GUESS_MAX];
	enum protocol said;

	(void)state;
	memset(much, 'x', sizeof(much));
	assert_int_equal(
	    observed_guess(span_of(much, sizeof(much) - 1), SPAN_NONE, &said), GUESS_MORE);
	assert_int_equal(observed_guess(span_of(much, sizeof(much)), SPAN_NONE, &said), GUESS_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_octets_tell),
	    cmocka_unit_test(test_who_says_much_and_nothing_clear_is_none_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
