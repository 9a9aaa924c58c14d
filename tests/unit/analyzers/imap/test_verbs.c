#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/verbs.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const char *const known[] = {"APPEND", "AUTHENTICATE", "CAPABILITY", "CHECK", "CLOSE",
    "COMPRESS", "COPY", "CREATE", "DELETE", "DELETEACL", "ENABLE", "ESEARCH", "EXAMINE", "EXPUNGE",
    "FETCH", "GETACL", "GETMETADATA", "GETQUOTA", "GETQUOTAROOT", "ID", "IDLE", "LIST",
    "LISTRIGHTS", "LOGIN", "LOGOUT", "LSUB", "MOVE", "MYRIGHTS", "NAMESPACE", "NOOP", "NOTIFY",
    "RENAME", "REPLACE", "RESETKEY", "RLIST", "RLSUB", "SEARCH", "SELECT", "SETACL", "SETMETADATA",
    "SETQUOTA", "SORT", "STARTTLS", "STATUS", "STORE", "SUBSCRIBE", "THREAD", "UNAUTHENTICATE",
    "UNSELECT", "UNSUBSCRIBE"};

/* Found by bisection: one row out of order, and some word is not found. */
static void
test_sorted(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(known); i++) {
		const struct imap_verb_row *row = imap_verb_find(span_str(known[i]));

		assert_string_equal(row->name, known[i]);
		assert_ptr_equal(imap_verb_row(row->verb), row);
	}
	for (int verb = IMAP_NONE; verb <= IMAP_UNKNOWN; verb++)
		assert_int_equal(imap_verb_row((enum imap_verb)verb)->verb, verb);
}

static void
test_any_case_and_nothing_like_it(void **state)
{
	static const char *const others[] = {"", "FETC", "FETCHX", "X", "UID", "XLIST", "DONE"};

	(void)state;
	assert_int_equal(imap_verb_find(span_str("fEtCh"))->verb, IMAP_FETCH);
	for (size_t i = 0; i < nitems(others); i++)
		assert_int_equal(imap_verb_find(span_str(others[i]))->verb, IMAP_UNKNOWN);
}

/* What no table has may hold a secret, and may change something. */
static void
test_unknown_is_careful(void **state)
{
	(void)state;
	assert_true(imap_verb_row(IMAP_UNKNOWN)->secret);
	assert_true(imap_verb_row(IMAP_UNKNOWN)->writes);
	assert_true(imap_verb_row(IMAP_LOGIN)->secret);
	assert_true(imap_verb_row(IMAP_AUTHENTICATE)->secret);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sorted),
	    cmocka_unit_test(test_any_case_and_nothing_like_it),
	    cmocka_unit_test(test_unknown_is_careful),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
