#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/lex.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

/* What is said of the last octet; of those before it nothing but "go on". */
static const struct {
	const char *octets;
	size_t n;
	enum imap_lex_says says;
} rows[] = {
#define R(octets, says)                                                                            \
	{                                                                                          \
		(octets), sizeof(octets) - 1, (says)                                               \
	}
    R("a b (c \"d\" (e)) NIL\r\n", IMAP_LEX_END),
    R("\r\n", IMAP_LEX_END),
    R("\"a\\\"b\\\\\"\r\n", IMAP_LEX_END),
    R("BODY[HEADER.FIELDS (\"x\")]<0>\r\n", IMAP_LEX_END),
    R("(\"a\" \"b\")(\"c\" {3}\r\n", IMAP_LEX_LITERAL),
    R("{3}\r\n", IMAP_LEX_LITERAL),
    R("{0}\r\n", IMAP_LEX_LITERAL),
    R("{9223372036854775807}\r\n", IMAP_LEX_LITERAL),
    R("{9223372036854775808", IMAP_LEX_BAD_LITERAL),
    R("{4294967295+}\r\n", IMAP_LEX_LITERAL),
    R("{4294967296+", IMAP_LEX_BAD_LITERAL),
    R("~{3}\r\n", IMAP_LEX_LITERAL),
    R("a~{", IMAP_LEX_BAD_LITERAL),
    R("~~{", IMAP_LEX_BAD_LITERAL),
    R("a{", IMAP_LEX_BAD_LITERAL),
    R("{3}x", IMAP_LEX_BAD_LITERAL),
    R("{3} ", IMAP_LEX_BAD_LITERAL),
    R("{3+0", IMAP_LEX_BAD_LITERAL),
    R("{3\r", IMAP_LEX_BAD_LITERAL),
    R("{}", IMAP_LEX_BAD_LITERAL),
    R("{00", IMAP_LEX_BAD_LITERAL),
    R("{+", IMAP_LEX_BAD_LITERAL),
    R("{-", IMAP_LEX_BAD_LITERAL),
    R("a\"", IMAP_LEX_BAD_QUOTE),
    R("\"a\r", IMAP_LEX_BAD_QUOTE),
    R("\"a\\\"\r", IMAP_LEX_BAD_QUOTE),
    R("\"a\n", IMAP_LEX_BAD_LINE),
    R(")", IMAP_LEX_BAD_LIST),
    R("())", IMAP_LEX_BAD_LIST),
    R("a\n", IMAP_LEX_BAD_LINE),
    R("a\rb", IMAP_LEX_BAD_LINE),
    R("\r\r", IMAP_LEX_BAD_LINE),
    R("a\0", IMAP_LEX_BAD_LINE),
};

static void
test_every_way_a_line_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct imap_lex lex = {0};

		for (size_t j = 0; j < rows[i].n; j++) {
			enum imap_lex_says says = imap_lex(&lex, (uint8_t)rows[i].octets[j]);

			if (says != (j + 1 < rows[i].n ? IMAP_LEX_GO : rows[i].says))
				fail_msg("%s: %d at octet %zu", rows[i].octets, (int)says, j);
		}
	}
}

static void
test_what_is_announced(void **state)
{
	static const char line[] = "(a ~{12+}\r\n";
	struct imap_lex lex = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(line) - 1; i++)
		(void)imap_lex(&lex, (uint8_t)line[i]);
	assert_true(lex.announcement.literal.announced);
	assert_true(lex.announcement.literal.plus);
	assert_true(lex.announcement.literal.eight);
	assert_int_equal(lex.announcement.literal.octets, 12);
	/* behind the literal the list is still open */
	assert_int_equal(imap_lex(&lex, ')'), IMAP_LEX_GO);
	assert_int_equal(imap_lex(&lex, '\r'), IMAP_LEX_GO);
	assert_int_equal(imap_lex(&lex, '\n'), IMAP_LEX_END);
}

static void
test_I_012_nesting(void **state)
{
	struct imap_lex lex = {0};

	(void)state;
	for (size_t i = 0; i < IMAP_NESTING; i++)
		assert_int_equal(imap_lex(&lex, '('), IMAP_LEX_GO);
	assert_int_equal(imap_lex(&lex, '('), IMAP_LEX_TOO_DEEP);
}

static void
test_what_a_client_could_take_for_a_literal(void **state)
{
	static const char *const suspect[] = {"x {5}", "x{5}", "{5+}", "{5} ", "x {a5}"};
	static const char *const harmless[] = {"", "x", "{", "}", "{}", "{5} x", "{x}", "}5{"};

	(void)state;
	for (size_t i = 0; i < nitems(suspect); i++)
		assert_true(imap_literal_suspect(span_str(suspect[i])));
	for (size_t i = 0; i < nitems(harmless); i++)
		assert_false(imap_literal_suspect(span_str(harmless[i])));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_way_a_line_ends),
	    cmocka_unit_test(test_what_is_announced),
	    cmocka_unit_test(test_I_012_nesting),
	    cmocka_unit_test(test_what_a_client_could_take_for_a_literal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
