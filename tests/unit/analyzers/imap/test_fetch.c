#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/fetch.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	enum imap_content content;
	const char *section;
	bool sliced;
	uint64_t origin;
} rows[] = {
    {"BODY[]", IMAP_WHOLE, "", false, 0},
    {"body[]<65536>", IMAP_WHOLE, "", true, 65536},
    {"BODY[]<0.10>", IMAP_WHOLE, "", true, 0},
    {"BODY[]<x>", IMAP_WHOLE, "", false, 0},
    {"BINARY[]", IMAP_WHOLE, "", false, 0},
    {"BODY[HEADER]", IMAP_HEADER, "HEADER", false, 0},
    {"BODY[HEADER.FIELDS (A B)]", IMAP_HEADER, "HEADER.FIELDS (A B)", false, 0},
    {"BODY[HEADER.FIELDS.NOT (\"]\")]<3>", IMAP_HEADER, "HEADER.FIELDS.NOT (\"]\")", true, 3},
    {"BODY[TEXT]", IMAP_TEXT, "TEXT", false, 0},
    {"BODY[1.2.MIME]", IMAP_MIME_HEADER, "1.2.MIME", false, 0},
    {"BODY[1.HEADER]", IMAP_HEADER, "1.HEADER", false, 0},
    {"BODY[1.TEXT]", IMAP_TEXT, "1.TEXT", false, 0},
    {"BODY[1]", IMAP_PART, "1", false, 0},
    {"BODY[1.2.3]<7>", IMAP_PART, "1.2.3", true, 7},
    {"BODY[1.X-NEW]", IMAP_PART, "1.X-NEW", false, 0},
    {"BINARY[1.2]", IMAP_DECODED, "1.2", false, 0},
    {"BINARY.SIZE[1]", IMAP_NO_CONTENT, "", false, 0},
    {"RFC822", IMAP_WHOLE, "", false, 0},
    {"rfc822.header", IMAP_HEADER, "", false, 0},
    {"RFC822.TEXT", IMAP_TEXT, "", false, 0},
    {"RFC822.SIZE", IMAP_NO_CONTENT, "", false, 0},
    {"BODY", IMAP_NO_CONTENT, "", false, 0},
    {"BODYSTRUCTURE", IMAP_NO_CONTENT, "", false, 0},
    {"UID", IMAP_NO_CONTENT, "", false, 0},
};

static void
test_I7_names_of_items(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct imap_detail d = {.number = 1};
		struct span name = span_str(rows[i].name);

		imap_item_parse(name, &d);
		if (d.content != rows[i].content || d.sliced != rows[i].sliced ||
		    d.origin != rows[i].origin || !span_eq(d.section, span_str(rows[i].section)))
			fail_msg("%s: %d %.*s", rows[i].name, (int)d.content, (int)d.section.n,
			    (const char *)d.section.p);
		assert_int_equal(
		    imap_item_is_content(span_first(name, 16)), rows[i].content != IMAP_NO_CONTENT);
	}
	assert_true(imap_item_is_structure(span_str("body")));
	assert_true(imap_item_is_structure(span_str("BODYSTRUCTURE")));
	assert_false(imap_item_is_structure(span_str("BODY[]")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_I7_names_of_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
