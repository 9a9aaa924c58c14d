#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../alloc.h"
#include "ftp/path.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const struct step {
	const char *from, *args, *to;
} steps[] = {
    {"", "a", "a"},
    {"a", "b", "a/b"},
    {"a", "..", ""},
    {"", "..", ".."},
    {"..", "..", "../.."},
    {"..", "a", "../a"},
    {"../a", "..", ".."},
    {"", "/", "/"},
    {"/", "..", "/"},
    {"/a/b", "..", "/a"},
    {"/a", "..", "/"},
    {"/", "a", "/a"},
    {"/a", "b/./c//d/", "/a/b/c/d"},
    {"/a/b", "../../../../etc", "/etc"},
    {"/a/b", "/x//y/../z/", "/x/z"},
    {"/a/b", "~user", "~user"},
    {"~user", "..", "~user/.."}, /* above somebody's home is not where the login ended */
    {"~user", "../../a", "~user/../../a"},
    {"~user/a", "..", "~user"},
    {"/~user", "..", "/"},
    {"/a", "..b", "/a/..b"},
    {"/a", " b ", "/a/ b "}, /* blanks belong to names */
    {"/a", ".", "/a"},
    {"/a", "", "/a"},
    {"a/b", "../../..", ".."},
};

static void
test_F24_enter(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(steps); i++) {
		const struct step *s = &steps[i];
		struct ftp_path p;
		struct buf full;
		bool cut;

		ftp_path_init(&p);
		buf_init(&full, FTP_PATH_MAX);
		assert_true(ftp_path_enter(&p, span_str(s->from)));
		assert_true(span_eq(buf_span(&p.text), span_str(s->from)));
		assert_true(ftp_path_of(&p, span_str(s->args), &full, &cut));
		assert_false(cut);
		assert_true(ftp_path_enter(&p, span_str(s->args)));
		if (!span_eq(buf_span(&p.text), span_str(s->to)))
			fail_msg("'%s' in '%s' is '%.*s'", s->args, s->from, (int)p.text.n,
			    (const char *)p.text.p);
		assert_true(span_eq(buf_span(&full), span_str(s->to)));
		buf_free(&full);
		ftp_path_free(&p);
	}
}

static void
test_up_and_forget(void **state)
{
	struct ftp_path p;

	(void)state;
	ftp_path_init(&p);
	assert_true(ftp_path_enter(&p, span_str("/a/b")));
	assert_true(ftp_path_up(&p));
	assert_true(span_eq(buf_span(&p.text), span_str("/a")));
	ftp_path_forget(&p);
	assert_int_equal(p.text.n, 0);
	ftp_path_free(&p);
}

static void
test_257(void **state)
{
	static const struct {
		const char *text, *name; /* NULL: there is none */
	} rows[] = {
	    {"\"/a/b\" is the current directory", "/a/b"},
	    {"\"/a \"\"quoted\"\" b\"", "/a \"quoted\" b"},
	    {"\"\"\"\"", "\""},
	    {"Directory \"x\" was made", "x"},
	    {"\"\" empty", ""},
	    {"\"/a", NULL},
	    {"\"/a\"\"", NULL},
	    {"/a is the current directory", NULL},
	    {"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct buf out;
		bool found;

		buf_init(&out, 100);
		found = ftp_257_parse(span_str(rows[i].text), &out);
		assert_int_equal(found, rows[i].name != NULL);
		if (found)
			assert_true(span_eq(buf_span(&out), span_str(rows[i].name)));
		buf_free(&out);
	}
}

static void
test_told(void **state)
{
	struct ftp_path p;
	bool understood;

	(void)state;
	ftp_path_init(&p);
	assert_true(ftp_path_enter(&p, span_str("lost")));
	assert_true(ftp_path_told(&p, span_str("no quotes"), &understood));
	assert_false(understood);
	assert_true(span_eq(buf_span(&p.text), span_str("lost")));
	assert_true(ftp_path_told(&p, span_str("\"\" what"), &understood));
	assert_false(understood);
	assert_true(ftp_path_told(&p, span_str("\"/home/u\""), &understood));
	assert_true(understood);
	assert_true(span_eq(buf_span(&p.text), span_str("/home/u")));
	ftp_path_free(&p);
}

/* What is longer than the ceiling is cut, says so, and is whole again after an absolute path. */
static void
test_cut(void **state)
{
	struct ftp_path p;
	struct buf full;
	char name[FTP_PATH_MAX];
	bool cut;

	(void)state;
	memset(name, 'a', sizeof(name));
	ftp_path_init(&p);
	buf_init(&full, FTP_PATH_MAX);
	assert_true(ftp_path_enter(&p, span_str("/b")));
	assert_true(ftp_path_of(&p, span_of(name, sizeof(name)), &full, &cut));
	assert_true(cut && full.n <= FTP_PATH_MAX);
	assert_true(ftp_path_enter(&p, span_of(name, sizeof(name))));
	assert_true(p.cut);
	assert_true(ftp_path_of(&p, span_str("x"), &full, &cut));
	assert_true(cut);
	for (int i = 0; i < 2000; i++)
		assert_true(ftp_path_enter(&p, span_str("abc")));
	assert_true(p.text.n <= FTP_PATH_MAX);
	for (int i = 0; i < 2000; i++)
		assert_true(ftp_path_enter(&p, span_str("..")));
	assert_true(ftp_path_of(&p, span_str("/x"), &full, &cut));
	assert_false(cut);
	assert_true(ftp_path_enter(&p, span_str("/x")));
	assert_false(p.cut);
	buf_free(&full);
	ftp_path_free(&p);
}

static bool
walk(struct ftp_path *p, struct buf *full)
{
	bool cut, understood;

	return ftp_path_enter(p, span_str("/a/b")) &&
	       ftp_path_told(p, span_str("\"/c\"\"d\" it is"), &understood) && understood &&
	       ftp_path_up(p) && ftp_path_of(p, span_str("e/f"), full, &cut);
}

static void
test_no_memory(void **state)
{
	bool done = false;

	(void)state;
	for (unsigned n = 1; !done; n++) {
		struct ftp_path p;
		struct buf full;
		bool ok;

		ftp_path_init(&p);
		buf_init(&full, FTP_PATH_MAX);
		alloc_fail_at(n);
		ok = walk(&p, &full);
		done = !alloc_failed();
		assert_int_equal(ok, done);
		buf_free(&full);
		ftp_path_free(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_F24_enter),
	    cmocka_unit_test(test_up_and_forget),
	    cmocka_unit_test(test_257),
	    cmocka_unit_test(test_told),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("ftp path", tests, NULL, NULL);
}
