#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "ftp/command.h"
#include "ftp_rules.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define LINE_MAX  4096

/* The client 192.0.2.10 speaks to 198.51.100.21; 203.0.113.64/26 may be a third party. */
struct trial {
	struct policy *policy;
	struct ftp_policy *ftp;
	struct ftp_facts facts;
};

static struct ip
ip_of(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(span_str(text), &ip));
	return ip;
}

static void
begin(struct trial *t)
{
	const char *why;

	*t = (struct trial){.policy = policy_new()};
	assert_non_null(t->policy);
	t->ftp = &t->policy->ftp;
	assert_true(networks_add(t->ftp->fxp, "203.0.113.64/26", &why));
	policy_seal(t->policy);
	t->facts.client = ip_of("192.0.2.10");
	t->facts.server = ip_of("198.51.100.21");
}

static void
end(struct trial *t)
{
	policy_free(t->policy);
}

/* The verdict on a line: "" when it passes, else "reason code". */
static void
expect(const struct trial *t, const char *line, const char *want)
{
	struct ftp_detail d;
	struct an_event ev = {.kind = EV_COMMAND, .ftp = &d};
	struct verdict v;
	char said[64] = "";

	ftp_command_parse(
	    span_str(line), span_str(line), false, (struct line_marks){0}, LINE_MAX, &d);
	ftp_judge(t->ftp, &t->facts, &ev, &v);
	assert_int_not_equal(v.action, VERDICT_ASK);
	assert_non_null(v.rule);
	if (v.action == VERDICT_REFUSE) {
		assert_string_equal(v.rule, "ftp");
		assert_true(strlen(v.reply) > 4 && v.reply[3] == ' ');
		assert_null(strpbrk(v.reply, "\r\n"));
		snprintf(said, sizeof(said), "%s %.3s", v.reason, v.reply);
	}
	if (strcmp(said, want) != 0)
		fail_msg("'%s': '%s' where '%s' was expected", line, said, want);
}

static void
test_F_001_F_002_F9_port(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
	    {"PORT 192,0,2,10,200,13", ""},
	    {"PORT 192,0,2,10,4,0", ""},
	    {"PORT 192,0,2,10,3,255", "low_port 504"},
	    {"PORT 192,0,2,10,0,22", "low_port 504"},
	    {"PORT 203,0,113,5,80,80", "bounce 500"},
	    {"PORT 203,0,113,5,0,80", "bounce 500"},
	    {"PORT 127,0,0,1,0,25", "bounce 500"},
	    {"PORT 127,0,0,1,40,25", "bounce 500"},
	    {"PORT 0,0,0,0,40,25", "bounce 500"},
	    {"PORT 198,51,100,21,0,25", "bounce 500"},
	    {"PORT 203,0,113,64,80,80", ""}, /* F_048: in fxp */
	    {"PORT 203,0,113,64,0,80", "low_port 504"},
	    {"PORT 203,0,113,63,80,80", "bounce 500"},
	    {"PORT 192,0,2,10,200", "syntax 501"},
	    {"EPRT |1|192.0.2.10|51213|", ""},
	    {"EPRT |1|192.0.2.10|80|", "low_port 504"},
	    {"EPRT |1|203.0.113.5|20560|", "bounce 500"},
	    {"EPRT |2|2001:db8::1|20560|", "family 522"},
	    {"EPRT |2|::ffff:203.0.113.5|20560|", "syntax 501"},
	    {"EPRT |3|x|20560|", "syntax 522"},
	    {"EPSV", ""},
	    {"EPSV 1", ""},
	    {"EPSV 2", "family 522"},
	    {"EPSV 3", "syntax 522"},
	    {"PASV", ""},
	};
	struct trial t;

	(void)state;
	begin(&t);
	for (size_t i = 0; i < nitems(rows); i++)
		expect(&t, rows[i].line, rows[i].want);
	end(&t);
}

static void
test_F6_ipv6(void **state)
{
	struct trial t;

	(void)state;
	begin(&t);
	t.facts.client = ip_of("2001:db8::10");
	t.facts.server = ip_of("2001:db8::21");
	expect(&t, "EPRT |2|2001:db8::10|51213|", "");
	expect(&t, "EPRT |2|2001:db8::11|51213|", "bounce 500");
	expect(&t, "EPRT |2|::1|51213|", "bounce 500");
	expect(&t, "EPRT |1|192.0.2.10|51213|", "family 522");
	expect(&t, "PORT 192,0,2,10,200,13", "bounce 500");
	expect(&t, "EPSV 2", "");
	expect(&t, "EPSV 1", "family 522");
	end(&t);
}

static void
test_F_016_epsv_all(void **state)
{
	struct trial t;

	(void)state;
	begin(&t);
	expect(&t, "EPSV ALL", "");
	t.facts.epsv_all = true;
	expect(&t, "EPSV", "");
	expect(&t, "EPSV ALL", "");
	expect(&t, "PORT 192,0,2,10,200,13", "epsv_all 503");
	expect(&t, "EPRT |1|192.0.2.10|51213|", "epsv_all 503");
	expect(&t, "PASV", "epsv_all 503");
	expect(&t, "LPRT 4,4,192,0,2,10,2,80,80", "not_spoken 502");
	end(&t);
}

static void
test_F_047_not_spoken(void **state)
{
	static const char *const lines[] = {"LPRT 4,4,203,0,113,5,2,80,80", "LPSV", "SPSV", "CPSV",
	    "SSCN ON", "XPRT |1|192.0.2.10|51213|", "P@SW", "RANG 0 10", "ESTA 1", "ESTP"};
	struct trial t;

	(void)state;
	begin(&t);
	for (size_t i = 0; i < nitems(lines); i++)
		expect(&t, lines[i], "not_spoken 502");
	end(&t);
}

static void
test_F12_denied(void **state)
{
	char *deny[] = {(char[]){"DELE"}, (char[]){"SITE EXEC"}, (char[]){"MKD"},
	    (char[]){"TYPE A N"}, (char[]){"PRET"}, NULL};
	struct trial t;

	(void)state;
	begin(&t);
	t.ftp->deny = deny;
	expect(&t, "DELE x", "denied 502");
	expect(&t, "dele x", "denied 502");
	expect(&t, "SITE EXEC /bin/sh", "denied 502");
	expect(&t, "SITE  exec", "denied 502");
	expect(&t, "SITE \tEXEC\tx", "denied 502");
	/* what some servers take for the same word */
	expect(&t, "SITE \vEXEC x", "denied 502");
	expect(&t, "SITE EXEC\fx", "denied 502");
	expect(&t, "SITE \"EXEC\" x", "denied 502");
	expect(&t, "SITE \"EX\\EC\" x", "denied 502");
	expect(&t, "SITE \"\" EXEC", "");
	expect(&t, "SITE CHMOD 600 x", "");
	expect(&t, "SITE EXECUTE", "");
	expect(&t, "XMKD x", "denied 502"); /* the same under its other name */
	expect(&t, "TYPE A", "");
	expect(&t, "TYPE A N", "denied 502");
	expect(&t, "PRET RETR x", "denied 502");
	expect(&t, "RETR x", "");
	end(&t);
}

static void
test_F12_unknown(void **state)
{
	struct trial t;

	(void)state;
	begin(&t);
	expect(&t, "XPWN x", "");
	expect(&t, "PA$V", "syntax 500");
	t.ftp->refuse_unknown = true;
	expect(&t, "XPWN x", "unknown 502");
	expect(&t, "NOOP", "");
	end(&t);
}

static void
test_F13_read_only(void **state)
{
	static const char *const writes[] = {"STOR x", "STOU", "APPE x", "DELE x", "MKD x", "RMD x",
	    "RNFR x", "RNTO x", "SITE CHMOD 777 x", "MFMT 20200101000000 x", "XMKD x", "XRMD x",
	    "RMDA x", "COMB a b", "MDTM 20200101000000 x", "MDTM  20200101000000  x y",
	    "MDTM 20200101 x", "MDTM 20200101000000.5 x", "MDTM 20200101000000+120 x"};
	static const char *const reads[] = {"RETR x", "LIST", "NLST", "MLSD", "MLST", "SIZE x",
	    "MDTM x", "MDTM 20200101000000", "MDTM 2020 x", "MDTM 20200101", "MDTM 20200101.txt x",
	    "MDTM 202001011200 x", "CWD x", "PWD", "REST 5"};
	struct trial t;

	(void)state;
	begin(&t);
	t.ftp->read_only = true;
	for (size_t i = 0; i < nitems(writes); i++)
		expect(&t, writes[i], "read_only 550");
	for (size_t i = 0; i < nitems(reads); i++)
		expect(&t, reads[i], "");
	end(&t);
}

static void
test_F_023_modes(void **state)
{
	static const char *const plain[] = {
	    "MODE S", "mode s", "STRU F", "TYPE I", "TYPE A", "TYPE A N", "TYPE L 8", "type i"};
	static const char *const others[] = {"MODE Z", "MODE B", "MODE C", "MODE X", "STRU R",
	    "STRU P", "TYPE E", "TYPE L 36", "TYPE L", "TYPE L 08", "TYPE X"};
	struct trial t;

	(void)state;
	begin(&t);
	for (size_t i = 0; i < nitems(plain); i++)
		expect(&t, plain[i], "");
	for (size_t i = 0; i < nitems(others); i++)
		expect(&t, others[i], "mode 504");
	t.ftp->pass_modes = true;
	for (size_t i = 0; i < nitems(others); i++)
		expect(&t, others[i], "");
	end(&t);
}

static void
test_F28_resume(void **state)
{
	struct trial t;

	(void)state;
	begin(&t);
	expect(&t, "REST 100", "");
	expect(&t, "APPE x", "");
	t.ftp->refuse_resume = true;
	expect(&t, "REST 100", "resume 502");
	expect(&t, "REST 0", ""); /* nothing is left out */
	expect(&t, "APPE x", "resume 502");
	expect(&t, "STOR x", "");
	end(&t);
}

static void
test_F_028_F_029_tls(void **state)
{
	struct trial t;

	(void)state;
	begin(&t);
	for (int i = 0; i < 2; i++) {
		t.ftp->starttls = i == 0 ? STARTTLS_AUTO : STARTTLS_REFUSE;
		expect(&t, "AUTH TLS", "tls 534");
		expect(&t, "AUTH GSSAPI", "tls 534");
		expect(&t, "PBSZ 0", "tls 503");
		expect(&t, "PROT P", "tls 503");
		expect(&t, "CCC", "tls 533");
	}
	t.ftp->starttls = STARTTLS_HIDE;
	expect(&t, "AUTH TLS", "tls 502");
	expect(&t, "PROT P", "tls 502");
	t.ftp->starttls = STARTTLS_PASS;
	expect(&t, "AUTH TLS", "");
	expect(&t, "AUTH ssl", "");
	expect(&t, "AUTH TLS-C", "");
	expect(&t, "AUTH GSSAPI", "tls 504"); /* nobody here speaks it */
	expect(&t, "ADAT YQ==", "tls 503");
	expect(&t, "ENC YQ==", "tls 503");
	expect(&t, "PBSZ 0", "");
	end(&t);
}

static void
test_F22_lengths(void **state)
{
	struct trial t;

	(void)state;
	begin(&t);
	expect(&t, "USER 123456789", "");
	t.ftp->user_max = 8;
	t.ftp->password_max = 10;
	t.ftp->path_max = 12;
	expect(&t, "USER 12345678", "");
	expect(&t, "USER 123456789", "too_long 501");
	expect(&t, "PASS 1234567890", "");
	expect(&t, "PASS 12345678901", "too_long 501");
	expect(&t, "RETR 123456789012", "");
	expect(&t, "RETR 1234567890123", "too_long 501");
	expect(&t, "SITE 1234567890123", "");
	end(&t);
}

static void
test_F14_replies(void **state)
{
	char *deny[] = {
	    (char[]){"RETR 150"}, (char[]){"* 3"}, (char[]){"MKD 25"}, (char[]){"PWD"}, NULL};
	struct trial t;

	(void)state;
	begin(&t);
	assert_true(ftp_reply_passes(t.ftp, ftp_verb_row(FTP_RETR), 150));
	t.ftp->deny_replies = deny;
	assert_false(ftp_reply_passes(t.ftp, ftp_verb_row(FTP_RETR), 150));
	assert_true(ftp_reply_passes(t.ftp, ftp_verb_row(FTP_RETR), 125));
	assert_true(ftp_reply_passes(t.ftp, ftp_verb_row(FTP_STOR), 150));
	assert_false(ftp_reply_passes(t.ftp, ftp_verb_row(FTP_USER), 331));
	assert_false(ftp_reply_passes(t.ftp, ftp_verb_row(FTP_REST), 350));
	assert_false(ftp_reply_passes(t.ftp, ftp_verb_row(FTP_MKD), 257));
	assert_false(ftp_reply_passes(t.ftp, ftp_verb_row(FTP_XMKD), 257));
	assert_true(ftp_reply_passes(t.ftp, ftp_verb_row(FTP_PWD), 257)); /* no code in that row */
	end(&t);
}

static void
test_F_005_F8_F9_peers(void **state)
{
	struct ftp_hostport h = {.ip = ip_of("198.51.100.21"), .port = 2000};
	struct trial t;

	(void)state;
	begin(&t);
	assert_int_equal(ftp_peer_judge(t.ftp, &t.facts.server, &h), FTP_PEER_OK);
	h.port = 1023;
	assert_int_equal(ftp_peer_judge(t.ftp, &t.facts.server, &h), FTP_PEER_LOW_PORT);
	h = (struct ftp_hostport){.ip = ip_of("10.1.1.1"), .port = 80};
	assert_int_equal(ftp_peer_judge(t.ftp, &t.facts.server, &h), FTP_PEER_FOREIGN);
	h = (struct ftp_hostport){.ip = ip_of("203.0.113.100"), .port = 2000};
	assert_int_equal(ftp_peer_judge(t.ftp, &t.facts.server, &h), FTP_PEER_OK);
	h = (struct ftp_hostport){.port = 2000}; /* 229: of the peer, whoever that is */
	assert_int_equal(ftp_peer_judge(t.ftp, &t.facts.server, &h), FTP_PEER_OK);
	end(&t);
}

static bool
shown(const struct trial *t, const char *feature)
{
	struct span params = span_str(feature), keyword = span_word(&params), instead = SPAN_NONE;

	return ftp_feature_passes(t->ftp, keyword, span_trim(params), &instead);
}

static void
test_F15_features(void **state)
{
	static const char *const always[] = {"EPRT", "EPSV", "PASV", "MDTM", "SIZE", "TVFS", "UTF8",
	    "MLST type*;size*;modify*;", "LANG EN*", "HOST", "CLNT", "HASH SHA-256*", "XCRC"};
	static const char *const never[] = {"LPRT", "SPSV", "CPSV", "SSCN", "RANG STREAM", "POST",
	    "AUTH TLS", "AUTH SSL", "PBSZ", "PROT", "CCC", "MODE Z"};
	static char deny[] = "MFMT";
	char *denied[] = {deny, NULL};
	struct trial t;

	(void)state;
	begin(&t);
	t.ftp->user_max = t.ftp->password_max = 16;
	for (size_t i = 0; i < nitems(always); i++)
		assert_true(shown(&t, always[i]));
	for (size_t i = 0; i < nitems(never); i++)
		assert_false(shown(&t, never[i]));
	assert_true(shown(&t, "REST STREAM") && shown(&t, "MFMT") && shown(&t, "WHAT"));
	t.ftp->refuse_resume = t.ftp->refuse_unknown = true;
	t.ftp->deny = denied;
	assert_false(shown(&t, "REST STREAM") || shown(&t, "MFMT") || shown(&t, "WHAT"));
	assert_true(shown(&t, "UTF8"));
	t.ftp->read_only = true;
	assert_false(shown(&t, "MFF modify;"));
	t.ftp->pass_modes = true;
	assert_true(shown(&t, "MODE Z"));
	t.ftp->starttls = STARTTLS_PASS;
	assert_true(shown(&t, "AUTH TLS") && shown(&t, "PBSZ") && shown(&t, "PROT"));
	assert_true(shown(&t, "AUTH TLS;SSL;"));
	assert_false(shown(&t, "AUTH GSSAPI") || shown(&t, "ADAT"));
	end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_F_001_F_002_F9_port),
	    cmocka_unit_test(test_F6_ipv6),
	    cmocka_unit_test(test_F_016_epsv_all),
	    cmocka_unit_test(test_F_047_not_spoken),
	    cmocka_unit_test(test_F12_denied),
	    cmocka_unit_test(test_F12_unknown),
	    cmocka_unit_test(test_F13_read_only),
	    cmocka_unit_test(test_F_023_modes),
	    cmocka_unit_test(test_F28_resume),
	    cmocka_unit_test(test_F_028_F_029_tls),
	    cmocka_unit_test(test_F22_lengths),
	    cmocka_unit_test(test_F14_replies),
	    cmocka_unit_test(test_F_005_F8_F9_peers),
	    cmocka_unit_test(test_F15_features),
	};

	return cmocka_run_group_tests_name("ftp_rules", tests, NULL, NULL);
}
