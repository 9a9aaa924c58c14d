#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ftp/verbs.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const char *const known[] = {"ABOR", "ACCT", "ADAT", "ALLO", "APPE", "AUTH", "AVBL", "CCC",
    "CDUP", "CLNT", "COMB", "CONF", "CSID", "CWD", "DELE", "DSIZ", "ENC", "EPRT", "EPSV", "ESTA",
    "ESTP", "FEAT", "HASH", "HELP", "HOST", "LANG", "LIST", "LPRT", "LPSV", "MD5", "MDTM", "MFCT",
    "MFF", "MFMT", "MIC", "MKD", "MLSD", "MLST", "MMD5", "MODE", "NLST", "NOOP", "OPTS", "PASS",
    "PASV", "PBSZ", "PORT", "PROT", "PWD", "QUIT", "RANG", "REIN", "REST", "RETR", "RMD", "RMDA",
    "RNFR", "RNTO", "SITE", "SIZE", "SMNT", "STAT", "STOR", "STOU", "STRU", "SYST", "THMB", "TYPE",
    "USER", "XCRC", "XCUP", "XCWD", "XMD5", "XMKD", "XPWD", "XRMD", "XSHA", "XSHA1", "XSHA256",
    "XSHA512"};

/* Found by bisection: one row out of order, and some word is not found. */
static void
test_sorted(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(known); i++) {
		const struct ftp_verb_row *row = ftp_verb_find(span_str(known[i]));

		assert_string_equal(row->name, known[i]);
		assert_ptr_equal(ftp_verb_row(row->verb), row);
	}
	for (int verb = FTP_NONE; verb <= FTP_UNKNOWN; verb++)
		assert_int_equal(ftp_verb_row((enum ftp_verb)verb)->verb, verb);
}

static void
test_F_047_other_ways_to_a_data_connection(void **state)
{
	static const char *const others[] = {"SPSV", "CPSV", "SSCN", "XPRT", "P@SW", "p@sw"};

	(void)state;
	for (size_t i = 0; i < nitems(others); i++)
		assert_int_equal(ftp_verb_find(span_str(others[i]))->verb, FTP_SPSV);
}

static void
test_F_010_F_013_foreign(void **state)
{
	static const char *const foreign[] = {"CONNECT", "DATA", "DELETE", "EHLO", "GET", "HEAD",
	    "HELO", "INVITE", "MAIL", "OPTIONS", "PATCH", "POST", "PROPFIND", "PUT", "RCPT",
	    "REGISTER", "TRACE", "post", "Host:", "X-Y:", "227", "211-Features", "220-"};

	(void)state;
	for (size_t i = 0; i < nitems(foreign); i++)
		assert_int_equal(ftp_verb_find(span_str(foreign[i]))->verb, FTP_FOREIGN);
	assert_true(ftp_is_reply_word(span_str("227")));
	assert_true(ftp_is_reply_word(span_str("211-a")));
	assert_false(ftp_is_reply_word(span_str("2270")));
	assert_false(ftp_is_reply_word(span_str("22")));
	assert_false(ftp_is_reply_word(span_str("POST")));
}

static void
test_case(void **state)
{
	(void)state;
	assert_int_equal(ftp_verb_find(span_str("rEtR"))->verb, FTP_RETR);
	assert_int_equal(ftp_verb_find(span_str("xsha256"))->verb, FTP_XSHA256);
}

/* A longer or a shorter word is another word. */
static void
test_whole_words(void **state)
{
	static const char *const others[] = {"", "R", "RET", "RETRX", "RETR2", "PASVPORT", "QUI",
	    "ZZZZ", "AAAA", "GE", "GETS", "CW\xc4\x8e", ":", "PRET", "XSHA2567"};

	(void)state;
	for (size_t i = 0; i < nitems(others); i++)
		assert_int_equal(ftp_verb_find(span_str(others[i]))->verb, FTP_UNKNOWN);
	assert_int_equal(ftp_verb_find(span_of("RETR\0", 5))->verb, FTP_UNKNOWN);
}

static void
test_F_046_secrets(void **state)
{
	static const enum ftp_verb secret[] = {
	    FTP_PASS, FTP_ACCT, FTP_ADAT, FTP_MIC, FTP_CONF, FTP_ENC, FTP_UNKNOWN, FTP_FOREIGN};
	static const enum ftp_verb open[] = {FTP_USER, FTP_RETR, FTP_SITE, FTP_HOST, FTP_AUTH};

	(void)state;
	for (size_t i = 0; i < nitems(secret); i++)
		assert_true(ftp_verb_row(secret[i])->secret);
	for (size_t i = 0; i < nitems(open); i++)
		assert_false(ftp_verb_row(open[i])->secret);
}

static void
test_F13_what_writes(void **state)
{
	static const enum ftp_verb writes[] = {FTP_APPE, FTP_COMB, FTP_DELE, FTP_MFCT, FTP_MFF,
	    FTP_MFMT, FTP_MKD, FTP_RMD, FTP_RMDA, FTP_RNFR, FTP_RNTO, FTP_SITE, FTP_STOR, FTP_STOU,
	    FTP_XMKD, FTP_XRMD};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < nitems(writes); i++)
		assert_true(ftp_verb_row(writes[i])->writes);
	for (size_t i = 0; i < nitems(known); i++)
		n += ftp_verb_find(span_str(known[i]))->writes;
	assert_int_equal(n, nitems(writes));
}

static void
test_what_carries(void **state)
{
	(void)state;
	assert_int_equal(ftp_verb_row(FTP_RETR)->carries, FTP_DOWNLOAD);
	assert_int_equal(ftp_verb_row(FTP_STOR)->carries, FTP_UPLOAD);
	assert_int_equal(ftp_verb_row(FTP_STOU)->carries, FTP_UPLOAD);
	assert_int_equal(ftp_verb_row(FTP_APPE)->carries, FTP_UPLOAD);
	assert_int_equal(ftp_verb_row(FTP_LIST)->carries, FTP_LISTING);
	assert_int_equal(ftp_verb_row(FTP_NLST)->carries, FTP_LISTING);
	assert_int_equal(ftp_verb_row(FTP_MLSD)->carries, FTP_LISTING);
	assert_int_equal(ftp_verb_row(FTP_MLST)->carries, FTP_NO_TRANSFER);
	assert_int_equal(ftp_verb_row(FTP_STAT)->carries, FTP_NO_TRANSFER);
}

/* RFC 959 s4.1.3: these may be given while a transfer runs. */
static void
test_anytime(void **state)
{
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < nitems(known); i++)
		n += ftp_verb_find(span_str(known[i]))->anytime;
	assert_int_equal(n, 4);
	assert_true(ftp_verb_row(FTP_ABOR)->anytime && ftp_verb_row(FTP_STAT)->anytime);
	assert_true(ftp_verb_row(FTP_QUIT)->anytime && ftp_verb_row(FTP_NOOP)->anytime);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sorted),
	    cmocka_unit_test(test_F_047_other_ways_to_a_data_connection),
	    cmocka_unit_test(test_F_010_F_013_foreign),
	    cmocka_unit_test(test_case),
	    cmocka_unit_test(test_whole_words),
	    cmocka_unit_test(test_F_046_secrets),
	    cmocka_unit_test(test_F13_what_writes),
	    cmocka_unit_test(test_what_carries),
	    cmocka_unit_test(test_anytime),
	};

	return cmocka_run_group_tests_name("ftp verbs", tests, NULL, NULL);
}
