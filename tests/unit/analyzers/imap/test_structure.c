#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../alloc.h"
#include "core/buf.h"
#include "imap/structure.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OUT_MAX	  (1u << 20)

/* One line for each part: path type/subtype parameters | encoding | disposition | id | size */
static const struct {
	const char *name, *in, *want;
} rows[] = {
    {"a text", "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 2279 48)",
	"1 TEXT/PLAIN; CHARSET=\"US-ASCII\"|7BIT|||2279\n"},
    {"an empty list",
	"(\"TEXT\" \"PLAIN\" NIL \"<i@x>\" \"what\" \"8BIT\" 1 1 \"md5\" (\"inline\" NIL) (\"en\" "
	"\"de\") \"loc\" (1 (2)))",
	"1 TEXT/PLAIN|8BIT|inline|<i@x>|1\n"},
    {"two parts",
	"((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"UTF-8\") NIL NIL \"7BIT\" 1152 23)(\"APPLICATION\" "
	"\"PDF\" (\"NAME\" "
	"\"a.pdf\") \"<id>\" \"Compiler diff\" \"BASE64\" 4554 NIL (\"attachment\" (\"filename\" "
	"\"b \\\"c\\\\.pdf\" "
	"\"size\" \"3\")) NIL NIL) \"MIXED\" (\"boundary\" \"xx\") (\"inline\" NIL) \"en\" NIL)",
	"TEXT MULTIPART/MIXED; boundary=\"xx\"||inline||0\n"
	"1 TEXT/PLAIN; CHARSET=\"UTF-8\"|7BIT|||1152\n"
	"2 APPLICATION/PDF; NAME=\"a.pdf\"|BASE64|attachment; filename=\"b \\\"c\\\\.pdf\"; "
	"size=\"3\"|<id>|4554\n"},
    {"parts within parts, a message within them, and parts in it",
	"((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 1)((\"TEXT\" \"HTML\" NIL NIL NIL \"7BIT\" 2 "
	"1)(\"IMAGE\" \"PNG\" NIL "
	"NIL NIL \"BASE64\" 3) \"RELATED\")(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 99 "
	"(\"date\" \"subject\" ((NIL NIL "
	"\"a\" \"b\")) NIL NIL NIL NIL NIL NIL \"<m>\") ((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" "
	"4 1)(\"TEXT\" \"CSV\" NIL "
	"NIL NIL \"7BIT\" 5 1) \"MIXED\") 7 NIL (\"attachment\" (\"filename\" "
	"\"m.eml\")))(\"MESSAGE\" \"RFC822\" NIL NIL NIL "
	"\"7BIT\" 98 (NIL) (\"APPLICATION\" \"ZIP\" NIL NIL NIL \"BASE64\" 6) 3) \"MIXED\")",
	"TEXT MULTIPART/MIXED||||0\n1 TEXT/PLAIN|7BIT|||1\n2 MULTIPART/RELATED||||0\n2.1 "
	"TEXT/HTML|7BIT|||2\n2.2 "
	"IMAGE/PNG|BASE64|||3\n3 MESSAGE/RFC822|7BIT|attachment; filename=\"m.eml\"||99\n3.TEXT "
	"MULTIPART/MIXED||||0\n"
	"3.1 TEXT/PLAIN|7BIT|||4\n3.2 TEXT/CSV|7BIT|||5\n4 MESSAGE/RFC822|7BIT|||98\n4.1 "
	"APPLICATION/ZIP|BASE64|||6\n"},
    {"literals", "({4}\r\nTEXT \"PLAIN\" (\"NAME\" ~{7}\r\na\r\n\"(\\)) {0}\r\n NIL \"7BIT\" 1 1)",
	"1 TEXT/PLAIN; NAME=\"a__\\\"(\\\\)\"|7BIT|||1\n"},
    {"RFC 2231",
	"(\"A\" \"B\" (\"name*\" \"utf-8''%e2%82%ac.txt\" \"bad name\" \"x\" \"a\" NIL) NIL NIL "
	"\"7BIT\" 1)",
	"1 A/B; name*=utf-8''%e2%82%ac.txt; a=\"\"|7BIT|||1\nleft out\n"},
    {"not whole", "(\"TEXT\" \"PLAIN\"", "1 TEXT/PLAIN||||0\nnot whole\n"},
    {"more than whole", "(\"A\" \"B\") x", "1 A/B||||0\nnot whole\n"},
    {"nothing", "NIL", "not whole\n"},
    {"a literal that is none", "({03}\r\n", " /||||0\nnot whole\n"},
};

static void
write_part(struct buf *out, const struct imap_part *part)
{
	const struct span texts[] = {part->encoding, part->disposition, part->id};

	buf_str(out, part->path);
	buf_str(out, " ");
	buf_add(out, part->type);
	buf_str(out, "/");
	buf_add(out, part->subtype);
	buf_add(out, part->parameters);
	for (size_t i = 0; i < nitems(texts); i++) {
		buf_str(out, "|");
		buf_add(out, texts[i]);
	}
	buf_str(out, "|");
	buf_u64(out, part->size);
	buf_str(out, "\n");
}

static void
write_structure(struct buf *out, const struct imap_structure *s)
{
	for (size_t i = 0; i < imap_structure_parts(s); i++)
		write_part(out, imap_structure_part(s, i));
	buf_str(out, imap_structure_left_out(s) ? "left out\n" : "");
	buf_str(out, imap_structure_whole(s) ? "" : "not whole\n");
}

static void
play(size_t row, size_t cut, size_t step)
{
	struct imap_structure *s = imap_structure_new();
	struct span in = span_str(rows[row].in);
	struct buf out;

	assert_non_null(s);
	buf_init(&out, OUT_MAX);
	assert_true(imap_structure_feed(s, span_first(in, cut)));
	for (in = span_from(in, cut); in.n > 0; in = span_from(in, step))
		assert_true(imap_structure_feed(s, span_first(in, step)));
	write_structure(&out, s);
	if (!span_eq(buf_span(&out), span_str(rows[row].want)))
		fail_msg(
		    "%s, cut %zu:\n%.*s", rows[row].name, cut, (int)out.n, (const char *)out.p);
	buf_free(&out);
	imap_structure_free(s);
}

static void
test_structures_at_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		for (size_t cut = 0; cut <= strlen(rows[i].in); cut++)
			play(i, cut, SIZE_MAX);
		play(i, 0, 1);
	}
}

static void
test_no_memory(void **state)
{
	bool failed = true;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++, failed = true)
		for (unsigned n = 1; failed; n++) {
			struct imap_structure *s;
			bool fed = false;

			alloc_fail_at(n);
			s = imap_structure_new();
			if (s != NULL)
				fed = imap_structure_feed(s, span_str(rows[i].in));
			failed = alloc_failed();
			assert_int_equal(fed, !failed);
			imap_structure_free(s);
		}
}

static void
test_find(void **state)
{
	struct imap_structure *s = imap_structure_new();

	(void)state;
	assert_non_null(s);
	assert_true(imap_structure_feed(s, span_str(rows[3].in)));
	assert_int_equal(imap_structure_find(s, span_str("2.2"))->size, 3);
	assert_int_equal(imap_structure_find(s, span_str("3.text"))->size, 0);
	assert_null(imap_structure_find(s, span_str("9")));
	assert_null(imap_structure_find(s, SPAN_NONE));
	assert_null(imap_structure_part(s, imap_structure_parts(s)));
	imap_structure_free(s);
}

static void
feed_often(struct imap_structure *s, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		assert_true(imap_structure_feed(s, span_str(text)));
}

static void
test_bounds(void **state)
{
	struct imap_structure *s = imap_structure_new();

	(void)state;
	assert_non_null(s);
	feed_often(s, "(", 1);
	feed_often(s,
	    "(\"A\" \"B\" (\"name\" \"0123456789012345678901234567890123456789\") NIL NIL \"7BIT\" "
	    "1)",
	    3000);
	feed_often(s, " \"MIXED\")", 1);
	assert_true(imap_structure_whole(s));
	assert_true(imap_structure_left_out(s));
	assert_int_equal(imap_structure_parts(s), STRUCTURE_PARTS);
	imap_structure_free(s);

	s = imap_structure_new();
	assert_non_null(s);
	feed_often(s, "(", 100000);
	assert_false(imap_structure_whole(s));
	assert_true(imap_structure_left_out(s));
	imap_structure_free(s);

	s = imap_structure_new();
	assert_non_null(s);
	feed_often(s, "({9223372036854775807}\r\n", 1);
	feed_often(s, "0123456789012345678901234567890123456789", 100000);
	assert_true(imap_structure_left_out(s));
	imap_structure_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_structures_at_every_cut),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
