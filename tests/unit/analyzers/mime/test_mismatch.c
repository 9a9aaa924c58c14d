#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mime/mismatch.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define PE	  "application/vnd.microsoft.portable-executable"
#define DOCX	  "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
#define OCTET	  "application/octet-stream"

static const struct {
	const char *declared, *detected, *name;
	const char *why;
} looks[] = {
    {"application/pdf", PE, "invoice.pdf", "a program under the name of something else"},
    {"application/pdf", PE, "", "a program declared as something else"},
    {OCTET, PE, "setup.exe", NULL},
    {OCTET, PE, "", NULL},
    {"text/plain", PE, "", "a program declared as something else"},
    {"text/plain", "text/x-shellscript", "a.txt", NULL},
    {"image/png", "text/html", "", "html declared as something else"},
    {OCTET, "text/html", "photo.jpg", "html under the name of something else"},
    {"text/plain", "text/html", "a.txt", NULL},
    {"application/zip", DOCX, "a.docx", NULL},
    {DOCX, "application/zip", "a.docx", NULL},
    {DOCX, "application/x-ole-storage", "a.docx", NULL},
    {"application/msword", "text/rtf", "a.doc", NULL},
    {"image/gif", "application/zip", "a.gif", "an archive under the name of something else"},
    {"text/plain", "application/pdf", "a.txt", "a document under the name of something else"},
    {"application/pdf", "application/x-iso9660-image", "a.pdf",
	"a disk image under the name of a document"},
    {"image/jpeg", "image/png", "a.jpg", NULL},
    {"image/jpeg", "text/plain", "a.jpg", "no image under the name of one"},
    {"image/svg+xml", "image/svg+xml", "a.svg", NULL},
    {"image/jpeg", OCTET, "a.jpg", NULL},
    {"application/pdf", "text/vbscript", "a.pdf", "a script under the name of something else"},
    {"image/png", "image/png", "a.exe", "a program's name on what is declared as something else"},
    {OCTET, PE, "a.pdf.exe", "double extension"},
    {OCTET, PE, "a.pdf .exe", "double extension"},
    {OCTET, PE, "a                  .exe", "blanks before the extension"},
    {OCTET, PE, "a.exe. .", "dots or blanks behind the extension"},
    {OCTET, PE,
	"a\xe2\x80\xae"
	"fdp.exe",
	"a file name that turns the order of its characters"},
    {OCTET, OCTET, "a\r\nb.txt", "control characters in a file name"},
    {OCTET, OCTET, "../../x.txt", "a file name that is a path elsewhere"},
    {OCTET, OCTET, "C:x.txt", "a file name that is a path elsewhere"},
    {OCTET, "text/plain", "release-1.2.txt", NULL},
    {OCTET, "application/gzip", "a.tar.gz", NULL},
    {"", "", "", NULL},
};

static void
test_looks(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(looks); i++) {
		struct span name = span_str(looks[i].name);
		const char *why = mismatch_look(
		    span_str(looks[i].declared), span_str(looks[i].detected), &name, name.n > 0);

		if (looks[i].why == NULL && why != NULL)
			fail_msg("%zu: '%s' where nothing was expected", i, why);
		if (looks[i].why != NULL && (why == NULL || strcmp(why, looks[i].why) != 0))
			fail_msg("%zu: '%s' where '%s' was expected", i, why == NULL ? "" : why,
			    looks[i].why);
	}
}

/* M-024: of several names the worst one decides, wherever it stands. */
static void
test_m024_worst_name(void **state)
{
	struct span names[] = {span_str("a.txt"), span_str("b.pdf"), span_str("c.exe"),
	    span_str("d.docm"), span_str("e.exe")};
	struct span two[] = {span_str("a.exe"), span_str("a.pdf")};

	(void)state;
	names_worst_first(names, nitems(names));
	assert_true(span_eq(names[0], span_str("c.exe")));
	assert_true(span_eq(names[1], span_str("e.exe")));
	assert_true(span_eq(names[2], span_str("d.docm")));
	assert_true(span_eq(names[3], span_str("b.pdf")));
	assert_true(span_eq(names[4], span_str("a.txt")));
	names_worst_first(names, 0);
	assert_string_equal(mismatch_look(span_str(OCTET), span_str(PE), two, 2),
	    "a program under the name of something else");
}

/* M-025: what a system makes of a name, not what is seen of it. */
static void
test_m025_extensions(void **state)
{
	static const struct {
		struct span name;
		const char *extension;
		enum content_class class;
	} names[] = {
	    {{(const uint8_t *)"a.exe\0.txt", 10}, "exe", CLASS_EXECUTABLE},
	    {{(const uint8_t *)"a.exe . ", 8}, "exe", CLASS_EXECUTABLE},
	    {{(const uint8_t *)"a.EXE", 5}, "EXE", CLASS_EXECUTABLE},
	    {{(const uint8_t *)"a.b/c", 5}, "", CLASS_UNKNOWN},
	    {{(const uint8_t *)"a\\b.Js", 6}, "Js", CLASS_SCRIPT},
	    {{(const uint8_t *)"", 0}, "", CLASS_UNKNOWN},
	    {{(const uint8_t *)"...", 3}, "", CLASS_UNKNOWN},
	    {{(const uint8_t *)"a.exe com", 9}, "exe com", CLASS_UNKNOWN},
	    {{(const uint8_t *)".htaccess", 9}, "htaccess", CLASS_UNKNOWN},
	    {{(const uint8_t *)"a.iso", 5}, "iso", CLASS_DISK},
	};

	(void)state;
	for (size_t i = 0; i < nitems(names); i++) {
		assert_true(span_eq(name_extension(names[i].name), span_str(names[i].extension)));
		assert_int_equal(class_of_name(names[i].name), names[i].class);
	}
	assert_string_equal(name_trick(names[0].name), "NUL in a file name");
	assert_null(name_trick(span_str("invoice.pdf")));
}

static void
test_class_names(void **state)
{
	(void)state;
	for (int c = 0; c < CLASSES; c++)
		assert_non_null(content_class_name((enum content_class)c));
	assert_int_equal(class_of_type(span_str("IMAGE/PNG")), CLASS_IMAGE);
	assert_int_equal(class_of_type(span_str("imagery")), CLASS_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_looks),
	    cmocka_unit_test(test_m024_worst_name),
	    cmocka_unit_test(test_m025_extensions),
	    cmocka_unit_test(test_class_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
