/*
 * "postern mime": messages, mboxes and Maildirs in a folder of our own, what is printed of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "mime_command.h"

#define MESSAGE(subject) "Subject: " subject "\n\nhello\n"

static char folder[] = "/tmp/test_mime_XXXXXX";

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* What a stream had in it that went to a file instead. */
struct caught {
	FILE *stream, *file;
	int before;
};

static struct caught
redirect(FILE *stream)
{
	struct caught c = {stream, tmpfile(), -1};

	assert_non_null(c.file);
	fflush(stream);
	c.before = dup(fileno(stream));
	dup2(fileno(c.file), fileno(stream));
	return c;
}

static char *
caught_text(struct caught *c)
{
	char *text = calloc(1, 1u << 20);

	fflush(c->stream);
	dup2(c->before, fileno(c->stream));
	close(c->before);
	rewind(c->file);
	text[fread(text, 1, (1u << 20) - 1, c->file)] = '\0';
	fclose(c->file);
	return text;
}

struct result {
	int code;
	char *out, *err;
};

static struct result
run(const char *first, const char *second, const char *third)
{
	char *argv[] = {(char[]){"mime"}, (char *)(uintptr_t)first, (char *)(uintptr_t)second,
	    (char *)(uintptr_t)third, NULL};
	int argc = third != NULL ? 4 : second != NULL ? 3 : first != NULL ? 2 : 1;
	struct result r;
	struct caught out = redirect(stdout), err = redirect(stderr);

	optind = 0;
	r.code = mime_command(argc, argv);
	r.out = caught_text(&out);
	r.err = caught_text(&err);
	return r;
}

static void
done(struct result *r)
{
	free(r->out);
	free(r->err);
}

static bool
has(const char *text, const char *what)
{
	return strstr(text, what) != NULL;
}

/* The subject of line n of what was printed with --json; "": there is no such line. */
static void
subject_of(const char *out, unsigned n, char subject[64])
{
	json_t *line;

	subject[0] = '\0';
	for (; n > 0 && out != NULL; n--)
		out = strchr(out, '\n') != NULL ? strchr(out, '\n') + 1 : NULL;
	if (out == NULL || *out == '\0')
		return;
	line = json_loads(out, JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(line);
	assert_non_null(json_object_get(line, "file"));
	snprintf(subject, 64, "%s",
	    json_string_value(json_object_get(json_object_get(line, "email"), "subject")));
	json_decref(line);
}

static void
subjects(const char *out, const char *const *want)
{
	char subject[64];
	unsigned i = 0;

	for (; want[i] != NULL; i++) {
		subject_of(out, i, subject);
		assert_string_equal(subject, want[i]);
	}
	subject_of(out, i, subject);
	assert_string_equal(subject, "");
}

static void
test_a_tree_for_people(void **state)
{
	struct result r;

	(void)state;
	put("a.eml", "From: a@b.example\nSubject: =?utf-8?Q?gr=C3=BCn?=\nMIME-Version: 1.0\n"
		     "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n--b\n"
		     "Content-Type: application/zip; name=\"a\x1b[2J.zip\"\n\nPK\n--b--\n");
	r = run("a.eml", NULL, NULL);
	assert_int_equal(r.code, EXIT_FINE);
	assert_string_equal(r.err, "");
	assert_true(has(r.out, "From     a@b.example\n"));
	assert_true(has(r.out, "Subject  gr\xc3\xbcn\n"));
	assert_true(has(r.out, "PART  TYPE             ENCODING"));
	assert_true(has(r.out, "\n-     multipart/mixed\n"));
	assert_true(
	    has(r.out, "\n  1   text/plain       7bit                     5 B  2cf24dba5fb0a30e"));
	assert_true(has(r.out, "  a\\x1b[2J.zip\n"));
	assert_null(strchr(r.out, '\x1b'));
	done(&r);
}

static void
test_json(void **state)
{
	struct result r;

	(void)state;
	put("one", MESSAGE("one"));
	put("two", MESSAGE("two"));
	r = run("--json", "two", "one");
	assert_int_equal(r.code, EXIT_FINE);
	subjects(r.out, (const char *const[]){"two", "one", NULL});
	assert_true(has(r.out, "{\"file\":\"two\",\"email\":{"));
	done(&r);
}

static void
test_an_mbox(void **state)
{
	struct result r;

	(void)state;
	put("mbox", "From a@b Fri Nov 27\n" MESSAGE(
			"one") "Frog\n>From here\n\n"
			       "From a@b Fri Nov 27\n" MESSAGE(
				   "two") "From within a paragraph\n\n"
					  "From a@b Fri Nov 27\r\nSubject: three\r\n\r\n\r\nFrom");
	r = run("--json", "mbox", NULL);
	assert_int_equal(r.code, EXIT_FINE);
	subjects(r.out, (const char *const[]){"one", "two", "three", NULL});
	assert_true(has(r.out, "\"message\":2"));
	/* "hello" and "From within a paragraph": the empty line behind them is the separator's */
	assert_true(has(r.out, "\"size\":30,"));
	assert_true(has(r.out, "\"size\":22,") && has(r.out, "\"size\":6,"));
	done(&r);
	r = run("mbox", NULL, NULL);
	assert_true(has(r.out, "== mbox, message 1\n"));
	assert_true(has(r.out, "== mbox, message 3\n"));
	done(&r);
}

/* A large one is the same: From_ lines stand anywhere in what is read at once. */
static void
test_a_large_mbox(void **state)
{
	FILE *f = fopen("large", "w");
	struct result r;
	unsigned lines = 0;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		fprintf(f, "From a@b x\nSubject: n%u\n\n", i);
		for (unsigned k = 0; k < i % 37; k++)
			fputs("Fro From\n", f);
		fputs("\n", f);
	}
	fclose(f);
	r = run("--json", "large", NULL);
	assert_int_equal(r.code, EXIT_FINE);
	for (const char *p = r.out; *p != '\0'; p++)
		lines += *p == '\n';
	assert_true(has(r.out, "\"subject\":\"n0\""));
	if (strlen(r.out) < (1u << 20) - 1)
		assert_int_equal(lines, 3000);
	else
		assert_true(lines > 1000);
	done(&r);
}

static void
test_a_maildir(void **state)
{
	struct result r;

	(void)state;
	mkdir("Maildir", 0700);
	mkdir("Maildir/cur", 0700);
	mkdir("Maildir/new", 0700);
	mkdir("Maildir/tmp", 0700);
	put("Maildir/cur/2", MESSAGE("second"));
	put("Maildir/cur/1", MESSAGE("first"));
	put("Maildir/cur/.hidden", MESSAGE("hidden"));
	put("Maildir/new/0", MESSAGE("third"));
	put("Maildir/tmp/x", MESSAGE("unfinished"));
	r = run("--json", "Maildir", NULL);
	assert_int_equal(r.code, EXIT_FINE);
	subjects(r.out, (const char *const[]){"first", "second", "third", NULL});
	assert_true(has(r.out, "{\"file\":\"Maildir/cur/1\""));
	done(&r);
}

static void
test_standard_input(void **state)
{
	int before = dup(STDIN_FILENO), fd;
	struct result r;

	(void)state;
	put("one", MESSAGE("one"));
	fd = open("one", O_RDONLY);
	dup2(fd, STDIN_FILENO);
	r = run("--json", "-", NULL);
	dup2(before, STDIN_FILENO);
	close(before);
	close(fd);
	assert_int_equal(r.code, EXIT_FINE);
	subjects(r.out, (const char *const[]){"one", NULL});
	assert_true(has(r.out, "{\"file\":\"-\""));
	done(&r);
}

static void
test_what_cannot_be_read(void **state)
{
	struct result r;

	(void)state;
	put("one", MESSAGE("one"));
	mkdir("empty", 0700);
	r = run("--json", "missing", "one");
	assert_int_equal(r.code, EXIT_FAILED);
	assert_string_equal(r.err, "postern mime: missing: No such file or directory\n");
	subjects(r.out, (const char *const[]){"one", NULL});
	done(&r);
	r = run("--json", "empty", "one");
	assert_int_equal(r.code, EXIT_FAILED);
	assert_string_equal(r.err,
	    "postern mime: empty: is a folder, and no Maildir: it has neither cur nor new\n");
	subjects(r.out, (const char *const[]){"one", NULL});
	done(&r);
}

static void
test_an_empty_file(void **state)
{
	struct result r;

	(void)state;
	put("nothing", "");
	r = run("--json", "nothing", NULL);
	assert_int_equal(r.code, EXIT_FINE);
	assert_true(has(r.out, "\"status\":\"PARSE_DONE\""));
	done(&r);
}

static void
test_usage(void **state)
{
	struct result r = run(NULL, NULL, NULL);

	(void)state;
	assert_int_equal(r.code, EXIT_USAGE);
	assert_true(has(r.err, "names no file"));
	assert_true(has(r.err, "postern mime    [--json] FILE..."));
	done(&r);
	r = run("--yaml", "one", NULL);
	assert_int_equal(r.code, EXIT_USAGE);
	assert_true(has(r.err, "unknown option"));
	done(&r);
}

static int
set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static int
tear_down(void **state)
{
	(void)state;
	if (chdir("/") != 0)
		return -1;
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_tree_for_people),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_an_mbox),
	    cmocka_unit_test(test_a_large_mbox),
	    cmocka_unit_test(test_a_maildir),
	    cmocka_unit_test(test_standard_input),
	    cmocka_unit_test(test_what_cannot_be_read),
	    cmocka_unit_test(test_an_empty_file),
	    cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
