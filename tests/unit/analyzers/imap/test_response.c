#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/response.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *line;
	bool sound;
	enum imap_status status;
	const char *code, *text, *capabilities;
} lines[] = {
    {"OK done", true, IMAP_ST_OK, "", "done", ""},
    {"ok", true, IMAP_ST_OK, "", "", ""},
    {"NO [ALERT] full", true, IMAP_ST_NO, "ALERT", "full", ""},
    {"BAD  [X Y]", true, IMAP_ST_BAD, "X Y", "", ""},
    {"BYE", true, IMAP_ST_BYE, "", "", ""},
    {"PREAUTH [capability IMAP4rev1  A=B ] x", true, IMAP_ST_PREAUTH, "capability IMAP4rev1  A=B ",
	"x", "IMAP4rev1  A=B"},
    {"OK [CAPABILITYX A] x", true, IMAP_ST_OK, "CAPABILITYX A", "x", ""},
    {"OK x [CAPABILITY A]", true, IMAP_ST_OK, "", "x [CAPABILITY A]", ""},
    {"FINE x", true, IMAP_ST_NONE, "", "x", ""},
    {"OK [CAPABILITY A", false, IMAP_ST_OK, "", "[CAPABILITY A", ""},
    {"OK x {5}", false, IMAP_ST_OK, "", "x {5}", ""},
};

static void
test_lines_of_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		struct imap_detail d = {.number = 0};
		bool sound = imap_status_parse(span_str(lines[i].line), &d);

		if (sound != lines[i].sound || d.status != lines[i].status ||
		    !span_eq(d.code, span_str(lines[i].code)) ||
		    !span_eq(d.text, span_str(lines[i].text)) ||
		    !span_eq(d.capabilities, span_str(lines[i].capabilities)))
			fail_msg("%s", lines[i].line);
	}
}

static const struct {
	const char *line;
	enum imap_kind kind;
	uint64_t number;
	const char *text;
} data[] = {
    {"3 EXISTS", IMAP_KIND_EXISTS, 3, ""},
    {"0 recent", IMAP_KIND_RECENT, 0, ""},
    {"7 EXPUNGE", IMAP_KIND_EXPUNGE, 7, ""},
    {"EXISTS", IMAP_KIND_OTHER, 0, ""},
    {"7 FLAGS", IMAP_KIND_OTHER, 7, ""},
    {"VANISHED (EARLIER) 1:3", IMAP_KIND_VANISHED, 0, "(EARLIER) 1:3"},
    {"FLAGS (\\Seen)", IMAP_KIND_FLAGS, 0, "(\\Seen)"},
    {"ENABLED QRESYNC", IMAP_KIND_ENABLED, 0, "QRESYNC"},
    {"ID (\"name\" \"x\")", IMAP_KIND_ID, 0, "(\"name\" \"x\")"},
    {"CAPABILITY IMAP4rev2 X", IMAP_KIND_CAPABILITY, 0, "IMAP4rev2 X"},
    {"LIST () NIL x", IMAP_KIND_LIST, 0, "() NIL x"},
    {"STATUS x (MESSAGES 1)", IMAP_KIND_LIST, 0, "x (MESSAGES 1)"},
    {"SEARCH", IMAP_KIND_LIST, 0, ""},
    {"X-NEW 1", IMAP_KIND_OTHER, 0, "1"},
};

static void
test_data(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(data); i++) {
		struct imap_detail d = {.number = 0};

		imap_data_parse(span_str(data[i].line), &d);
		if (d.kind != data[i].kind || d.number != data[i].number ||
		    !span_eq(d.text, span_str(data[i].text)))
			fail_msg("%s", data[i].line);
		assert_true(
		    span_eq(d.capabilities, d.kind == IMAP_KIND_CAPABILITY ? d.text : SPAN_NONE));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines_of_status),
	    cmocka_unit_test(test_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
