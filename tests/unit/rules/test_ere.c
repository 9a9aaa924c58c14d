#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <regex.h>
#include <stdlib.h>

#include "ere.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static bool
matches(const char *expression, const char *text)
{
	const char *why;
	struct ere *e = ere_new(span_str(expression), &why);
	bool found;

	if (e == NULL)
		fail_msg("'%s' %s", expression, why);
	found = ere_matches(e, span_str(text));
	ere_free(e);
	return found;
}

static const struct {
	const char *expression, *text;
	bool want;
} matching[] = {
    {"a", "bab", true},
    {"a", "bcb", false},
    {"A", "bab", true},
    {"a", "BAB", true},
    {"^a", "ba", false},
    {"a$", "ab", false},
    {"^$", "", true},
    {"^$", "a", false},
    {"x*", "", true},
    {"^a.c$", "abc", true},
    {"^a.c$", "ac", false},
    {"a\\.c", "abc", false},
    {"a\\.c", "a.c", true},
    {"^(ab|cd)+$", "abcdab", true},
    {"^(ab|cd)+$", "abc", false},
    {"^(a|b|c)$", "c", true},
    {"^a|b$", "ax", true},
    {"^a{2,3}$", "a", false},
    {"^a{2,3}$", "aa", true},
    {"^a{2,3}$", "aaa", true},
    {"^a{2,3}$", "aaaa", false},
    {"^a{2}$", "aaa", false},
    {"^a{2,}$", "aaaaaaa", true},
    {"^a{2,}$", "a", false},
    {"^a{0,1}b$", "b", true},
    {"^a{0}b$", "ab", false},
    {"^(a{0}|b)$", "", true},
    {"^(a|(b|c(d|e)*){2})$", "cdeb", true},
    {"^(a|(b|c(d|e)*){2})$", "cde", false},
    {"^(ab?c){2}$", "abcac", true},
    {"^a?b$", "aab", false},
    {"^a+b$", "b", false},
    {"^(a*)*$", "aaa", true},
    {"^(a*)+b$", "aaac", false},
    {"^[abc]+$", "abcCBA", true},
    {"^[a-c]+$", "abd", false},
    {"^[A-C]+$", "abc", true},
    {"^[^a-c]$", "b", false},
    {"^[^a-c]$", "B", false},
    {"^[^a-c]$", "d", true},
    {"^[]a]+$", "]a", true},
    {"^[^]a]$", "]", false},
    {"^[a-]+$", "a-", true},
    {"^[.*]$", "*", true},
    {"^[[:digit:]._-]+@", "12.3-4@", true},
    {"^[[:upper:]]$", "a", true},
    {"^[[:alpha:][:digit:]]+$", "a1", true},
    {"^[^[:alpha:]]$", "a", false},
    {"^[[:punct:]]$", "@", true},
    {"^[[:space:]]$", "x", false},
    {"^[[:xdigit:]]+$", "09afAF", true},
    {"^[[:xdigit:]]$", "g", false},
    {"a.*b.*c", "xxaxxbxxcxx", true},
    {"\\(\\)\\|\\$\\^\\*\\+\\?\\{\\\\", "()|$^*+?{\\", true},
    {"a$b", "a$b", false}, /* an anchor everywhere */
    {"}", "}", true},
    {"]", "]", true},
    {"^..$", "\xc3\xbc", true}, /* octets */
    {"\xc3\xbc", "m\xc3\xbcll", true},
};

static void
test_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(matching); i++)
		if (matches(matching[i].expression, matching[i].text) != matching[i].want)
			fail_msg("'%s' %s '%s'", matching[i].expression,
			    matching[i].want ? "must match" : "must not match", matching[i].text);
}

static void
test_faults(void **state)
{
	static const struct {
		const char *expression, *why;
	} cases[] = {
	    {"", "has an empty alternative"},
	    {"a|", "has an empty alternative"},
	    {"|a", "has an empty alternative"},
	    {"()", "has an empty alternative"},
	    {"(a", "has a ( that nothing closes"},
	    {"a)", "has a ) that nothing opens"},
	    {"[a", "has a [ that nothing closes"},
	    {"[", "has a [ that nothing closes"},
	    {"[]", "has a [ that nothing closes"},
	    {"[^", "has a [ that nothing closes"},
	    {"[a-", "has a [ that nothing closes"},
	    {"[b-a]", "has a range that ends before it begins"},
	    {"[[:letter:]]", "has an unknown class between [: and :]"},
	    {"[[=a=]]", "has a collating element between [ and ]"},
	    {"[[.a.]]", "has a collating element between [ and ]"},
	    {"[\xc3\xbc]", "has a letter beyond ASCII between [ and ]"},
	    {"*a", "has a repetition of nothing"},
	    {"(+a)", "has a repetition of nothing"},
	    {"a|?", "has a repetition of nothing"},
	    {"{2}", "has a repetition of nothing"},
	    {"a{", "has a bad repetition between { and }"},
	    {"a{}", "has a bad repetition between { and }"},
	    {"a{,3}", "has a bad repetition between { and }"},
	    {"a{3,2}", "has a bad repetition between { and }"},
	    {"a{2", "has a bad repetition between { and }"},
	    {"a{x}", "has a bad repetition between { and }"},
	    {"a{256}", "has a number above 255 between { and }"},
	    {"a{99999999999999999999}", "has a number above 255 between { and }"},
	    {"(a)\\1", "has a backslash that no special character follows"},
	    {"\\w", "has a backslash that no special character follows"},
	    {"a\\", "has a backslash that no special character follows"},
	    {"(a{255}){255}", "is too large: {n} counts n times"},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		const char *why = NULL;
		struct ere *e = ere_new(span_str(cases[i].expression), &why);

		if (e != NULL || strcmp(why, cases[i].why) != 0)
			fail_msg("'%s': %s", cases[i].expression, e != NULL ? "taken" : why);
	}
}

/* n of "before", text, n of "behind" */
static struct ere *
wrapped(const char *before, const char *text, const char *behind, size_t n, const char **why)
{
	char expression[20000];
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		used +=
		    (size_t)snprintf(expression + used, sizeof(expression) - used, "%s", before);
	used += (size_t)snprintf(expression + used, sizeof(expression) - used, "%s", text);
	for (size_t i = 0; i < n; i++)
		used +=
		    (size_t)snprintf(expression + used, sizeof(expression) - used, "%s", behind);
	return ere_new(span_of(expression, used), why);
}

static void
test_bounds(void **state)
{
	const char *why;
	struct ere *e;

	(void)state;
	e = wrapped("(", "a", ")", 32, &why);
	assert_non_null(e);
	ere_free(e);
	assert_null(wrapped("(", "a", ")", 33, &why));
	assert_string_equal(why, "has parentheses that are more than 32 deep");
	assert_null(wrapped("(", "a", ")", 5000, &why));

	e = wrapped("", "a", "b", ERE_STATES_MAX - 2, &why);
	assert_non_null(e);
	ere_free(e);
	assert_null(wrapped("", "a", "b", ERE_STATES_MAX - 1, &why));
	assert_string_equal(why, "is too large: {n} counts n times");
	assert_null(wrapped("", "a", "|b", 5000, &why));
	e = wrapped("", "a", "|b", 300, &why);
	assert_non_null(e);
	assert_true(ere_matches(e, span_str("b")));
	ere_free(e);
}

/* Those that libc never ends with, or only with all memory: one pass. */
static void
test_hostile(void **state)
{
	static const char *const expressions[] = {"^(a*)*$", "^(a|aa)+$", "^(a|b)*a(a|b){200}x",
	    "^((a{1,15}){1,15})*$", "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x"};
	char text[400];

	(void)state;
	memset(text, 'a', sizeof(text) - 2);
	memcpy(text + sizeof(text) - 2, "!", 2);
	for (size_t i = 0; i < nitems(expressions); i++)
		for (unsigned k = 0; k < 100; k++)
			assert_false(matches(expressions[i], text));
}

/* ---- the same as libc, for whatever both take ---- */

static unsigned
any(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static size_t
put(char *out, const char *text)
{
	memcpy(out, text, strlen(text) + 1);
	return strlen(text);
}

static size_t
put_repetition(unsigned *seed, char *out)
{
	static const char *const repetitions[] = {
	    "", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "{1,3}", "{0}"};

	return put(out, repetitions[any(seed, nitems(repetitions))]);
}

static size_t
put_atom(unsigned *seed, char *out)
{
	static const char *const atoms[] = {
	    "a", "b", "c", ".", "[ab]", "[^a]", "[[:alpha:]]", "\\."};
	size_t n = put(out, atoms[any(seed, nitems(atoms))]);

	return n + put_repetition(seed, out + n);
}

static void
make_expression(unsigned *seed, char *out)
{
	unsigned open = 0, steps = 1 + any(seed, 8);
	size_t n = put_atom(seed, out);

	while (steps > 0 || open > 0) {
		unsigned what = any(seed, 5);

		if (steps == 0 || (what == 0 && open > 0)) {
			n += put(out + n, ")");
			n += put_repetition(seed, out + n);
			open--;
		} else {
			if (what == 1)
				n += put(out + n, "|");
			if (what <= 2 && open < 3) {
				n += put(out + n, "(");
				open++;
			}
			n += put_atom(seed, out + n);
		}
		steps -= steps > 0;
	}
}

static void
test_like_libc(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		char inner[1000], expression[1010], text[12];
		const char *why;
		regex_t theirs;

		make_expression(&seed, inner);
		snprintf(expression, sizeof(expression), any(&seed, 2) ? "^(%s)$" : "%s", inner);
		struct ere *ours = ere_new(span_str(expression), &why);
		if (ours == NULL)
			fail_msg("'%s' %s", expression, why);
		assert_int_equal(
		    regcomp(&theirs, expression, REG_EXTENDED | REG_ICASE | REG_NOSUB), 0);
		for (unsigned k = 0; k < 20; k++) {
			unsigned n = any(&seed, sizeof(text));

			for (unsigned c = 0; c < n; c++)
				text[c] = "abcAd."[any(&seed, 6)];
			text[n] = '\0';
			if (ere_matches(ours, span_str(text)) !=
			    (regexec(&theirs, text, 0, NULL, 0) == 0))
				fail_msg("'%s' and '%s': libc thinks otherwise", expression, text);
		}
		regfree(&theirs);
		ere_free(ours);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_matches),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_like_libc),
	};

	return cmocka_run_group_tests_name("ere", tests, NULL, NULL);
}
