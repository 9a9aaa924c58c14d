/*
 * Files that --extract makes: their names, what is in them, and everything that must not happen to
 * what else is in the directory, or beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extract.h"
#include "mime/analyzers_init.h"

#define LARGE (3 * EXTRACT_PIECE + 5)

static const char letter[] =
    "From: a@example.org\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n"
    "\r\n"
    "--b\r\n"
    "Content-Type: text/plain\r\n"
    "\r\n"
    ".. hello\r\n"
    "--b\r\n"
    "Content-Type: application/octet-stream; name=\"../../../tmp/x\"\r\n"
    "Content-Disposition: attachment; filename*=utf-8''..%2F..%2Fetc%2Fpasswd%00.txt\r\n"
    "\r\n"
    "root\r\n"
    "--b--\r\n";

static struct {
	char text[4096];
	unsigned lines;
} told;

static void
tell(void *arg, const char *line)
{
	const size_t n = strlen(told.text);

	assert_ptr_equal(arg, &told);
	assert_null(strchr(line, '\n'));
	snprintf(told.text + n, sizeof(told.text) - n, "%s\n", line);
	told.lines++;
}

static struct extract *
open_with(uint64_t max)
{
	const struct extract_settings s = {.dir = "out",
	    .max = max,
	    .tell = tell,
	    .tell_arg = &told,
	    .uid = (uid_t)-1,
	    .gid = (gid_t)-1};

	return extract_new(&s);
}

static struct extract *
open_default(void)
{
	struct extract *x = open_with((uint64_t)EXTRACT_MAX_DEFAULT << 20);

	assert_non_null(x);
	assert_int_equal(told.lines, 0);
	return x;
}

static struct mail_options
options_of(struct extract *x)
{
	struct mail_options o;

	mail_options_default(&o);
	o.sha256 = false;
	extract_use(x, &o);
	assert_true(o.sha256);
	return o;
}

/* ---- the directory ---- */

static char *
hex_of(struct span s)
{
	static char text[65];
	uint8_t digest[32];

	assert_int_equal(EVP_Digest(s.p, s.n, digest, NULL, EVP_sha256(), NULL), 1);
	span_hex(span_of(digest, sizeof(digest)), text);
	return text;
}

static const char *
path_of(struct span content, const char *extension)
{
	static char path[128];

	snprintf(path, sizeof(path), "out/%s%s", hex_of(content), extension);
	return path;
}

static unsigned
entries(void)
{
	DIR *d = opendir("out");
	const struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void
assert_file(struct span content, const char *extension)
{
	const char *path = path_of(content, extension);
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	uint8_t *found = malloc(content.n + 1);
	size_t n = 0;
	struct stat st;
	ssize_t got;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_non_null(found);
	while (n < content.n + 1 && (got = read(fd, found + n, content.n + 1 - n)) > 0)
		n += (size_t)got;
	assert_int_equal(n, content.n);
	assert_memory_equal(found, content.p, n);
	free(found);
	close(fd);
}

static void
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void
assert_text(const char *path, const char *want)
{
	char found[64] = "";
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, found, sizeof(found) - 1) >= 0);
	assert_string_equal(found, want);
	close(fd);
}

/* ---- what goes by ---- */

/* A message, whole, in pieces of that size. */
static void
send_message(struct extract *x, struct span text, size_t piece)
{
	struct mail_options o = options_of(x);
	struct mail *m = mail_new(&o);

	assert_non_null(m);
	for (; text.n > 0; text = span_from(text, piece))
		assert_true(mail_feed(m, span_first(text, piece)));
	mail_finish(m);
	mail_free(m);
}

/* Whether its record says that it is stored. */
static bool
send_file(struct extract *x, struct span octets)
{
	struct mail_options o = options_of(x);
	struct mail *m = mail_file_new(&o, span_str("../hostile"), false);
	bool stored;

	assert_non_null(m);
	assert_true(mail_feed(m, octets));
	mail_finish(m);
	stored = mail_part(m, 0)->stored;
	mail_free(m);
	return stored;
}

static struct span
large(uint8_t seed)
{
	static uint8_t octets[LARGE];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(seed + i * i / 251);
	return span_of(octets, sizeof(octets));
}

static void
test_message_and_its_parts(void **state)
{
	struct extract *x = open_default();
	struct stat st;

	(void)state;
	send_message(x, span_str(letter), 7);
	assert_int_equal(stat("out", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(entries(), 3);
	assert_file(span_str(letter), ".eml");
	assert_file(span_str(".. hello"), "");
	assert_file(span_str("root"), "");
	assert_int_equal(extract_counts(x)->messages, 1);
	assert_int_equal(extract_counts(x)->files, 2);
	assert_int_equal(extract_counts(x)->octets, sizeof(letter) - 1 + 8 + 4);
	assert_int_equal(told.lines, 0);
	extract_free(x);
}

/* Larger than what is held: it lies under another name until its digest is known. */
static void
test_large_file(void **state)
{
	struct extract *x = open_default();

	(void)state;
	assert_true(send_file(x, large(1)));
	assert_int_equal(entries(), 1);
	assert_file(large(1), "");
	extract_free(x);
}

static void
test_large_file_in_small_pieces(void **state)
{
	struct extract *x = open_default();
	struct span octets = large(2);

	(void)state;
	send_message(x, octets, 1000);
	assert_file(octets, ".eml");
	extract_free(x);
}

static void
test_empty_file(void **state)
{
	struct extract *x = open_default();

	(void)state;
	assert_true(send_file(x, SPAN_NONE));
	assert_file(SPAN_NONE, "");
	extract_free(x);
}

static void
test_same_content_is_there_once(void **state)
{
	struct extract *x = open_default();

	(void)state;
	assert_true(send_file(x, span_str("twice")));
	assert_true(send_file(x, large(3)));
	assert_true(send_file(x, span_str("twice")));
	assert_true(send_file(x, large(3)));
	assert_int_equal(entries(), 2);
	assert_int_equal(extract_counts(x)->files, 2);
	assert_int_equal(extract_counts(x)->known, 2);
	assert_int_equal(told.lines, 0);
	extract_free(x);
}

/* A run into the directory of another one. */
static void
test_directory_that_is_there(void **state)
{
	struct extract *x = open_default();

	(void)state;
	assert_true(send_file(x, span_str("first")));
	extract_free(x);
	x = open_default();
	assert_true(send_file(x, span_str("first")));
	assert_true(send_file(x, span_str("second")));
	assert_int_equal(entries(), 2);
	assert_int_equal(extract_counts(x)->known, 1);
	extract_free(x);
}

/* ---- what was cut ---- */

static void
test_cut_message_leaves_its_whole_parts(void **state)
{
	struct extract *x = open_default();
	struct mail_options o = options_of(x);
	struct mail *m = mail_new(&o);

	(void)state;
	assert_true(mail_feed(m, span_first(span_str(letter), sizeof(letter) - 15)));
	mail_free(m);
	assert_int_equal(entries(), 1);
	assert_file(span_str(".. hello"), "");
	extract_free(x);
}

static void
test_cut_large_file_is_removed(void **state)
{
	struct extract *x = open_with(4 * EXTRACT_PIECE);
	struct mail_options o = options_of(x);

	(void)state;
	/* and its share of the budget comes back */
	for (unsigned i = 0; i < 3; i++) {
		struct mail *m = mail_file_new(&o, span_str("a"), false);

		assert_true(mail_feed(m, large(4)));
		assert_int_equal(entries(), 1);
		mail_free(m);
		assert_int_equal(entries(), 0);
	}
	assert_int_equal(told.lines, 0);
	assert_int_equal(extract_counts(x)->refused, 0);
	extract_free(x);
}

/* ---- what others have in the directory ---- */

static void
test_symbolic_link_is_not_followed(void **state)
{
	struct extract *x = open_default();

	(void)state;
	put("beside", "precious");
	assert_int_equal(symlink("../beside", path_of(span_str("precious"), "")), 0);
	assert_int_equal(symlink("../new", path_of(span_str("dangling"), "")), 0);
	assert_false(send_file(x, span_str("precious")));
	assert_false(send_file(x, span_str("dangling")));
	assert_text("beside", "precious");
	assert_int_equal(access("new", F_OK), -1);
	assert_int_equal(entries(), 2);
	assert_int_equal(extract_counts(x)->refused, 2);
	assert_non_null(strstr(told.text, "left as it is"));
	assert_int_equal(told.lines, 1); /* once */
	extract_free(x);
}

static void
test_other_file_under_the_name_stays(void **state)
{
	struct extract *x = open_default();
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s", path_of(large(5), ""));
	put(path, "somebody's");
	assert_false(send_file(x, large(5)));
	assert_text(path, "somebody's");
	assert_int_equal(entries(), 1);
	assert_int_equal(told.lines, 1);
	extract_free(x);
}

static void
test_folder_under_the_name_stays(void **state)
{
	struct extract *x = open_default();

	(void)state;
	assert_int_equal(mkdir(path_of(span_str("abc"), ""), 0700), 0);
	assert_false(send_file(x, span_str("abc")));
	assert_int_equal(entries(), 1);
	extract_free(x);
}

/* Temporary names are ours only when we made them. */
static void
test_temporary_names_that_are_taken(void **state)
{
	struct extract *x = open_default();
	char path[64];

	(void)state;
	put("beside", "precious");
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "out/.postern-%ld-%u", (long)getpid(), i);
		assert_int_equal(i == 0 ? link("beside", path) : symlink("../beside", path), 0);
	}
	assert_true(send_file(x, large(6)));
	assert_file(large(6), "");
	assert_text("beside", "precious");
	assert_int_equal(entries(), 4);
	extract_free(x);
}

/* What is put in place of a file that is being written is not written to. */
static void
test_temporary_file_that_is_replaced(void **state)
{
	struct extract *x = open_default();
	struct mail_options o = options_of(x);
	struct mail *m = mail_file_new(&o, span_str("a"), false);
	char path[64];

	(void)state;
	put("beside", "precious");
	assert_true(mail_feed(m, large(7)));
	snprintf(path, sizeof(path), "out/.postern-%ld-0", (long)getpid());
	assert_int_equal(unlink(path), 0);
	assert_int_equal(link("beside", path), 0);
	assert_true(mail_feed(m, large(8)));
	mail_finish(m);
	assert_false(mail_part(m, 0)->stored);
	mail_free(m);
	assert_text("beside", "precious");
	assert_text(path, "precious");
	assert_true(extract_failed(x));
	assert_int_equal(told.lines, 1);
	extract_free(x);
}

/* ---- bounds ---- */

static void
test_budget(void **state)
{
	struct extract *x = open_with(3 * EXTRACT_FILE_COST);

	(void)state;
	assert_true(send_file(x, span_str("one")));
	assert_true(send_file(x, span_str("two")));
	assert_true(send_file(x, span_str("two"))); /* costs nothing */
	assert_true(send_file(x, span_str("three")));
	assert_int_equal(told.lines, 0);
	assert_false(send_file(x, span_str("four")));
	assert_false(send_file(x, span_str("five")));
	assert_int_equal(entries(), 3);
	assert_int_equal(told.lines, 1);
	assert_non_null(strstr(told.text, "budget"));
	assert_int_equal(extract_counts(x)->refused, 2);
	assert_false(extract_failed(x));
	extract_free(x);
}

/* A large one that does not fit leaves nothing behind. */
static void
test_budget_within_a_file(void **state)
{
	struct extract *x = open_with(2 * EXTRACT_PIECE);

	(void)state;
	send_message(x, large(9), 10000);
	assert_int_equal(entries(), 0);
	assert_int_equal(told.lines, 1);
	extract_free(x);
}

/* More messages are open at once than a process may have descriptors; and than are held in memory.
 */
static void
test_many_at_once(void **state)
{
	enum { MANY = 400 };
	static struct mail *mails[MANY];
	static const char line[] =
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
	const struct rlimit few = {32, 32};
	struct extract *x = open_default();
	struct mail_options o = options_of(x);
	char text[16];

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	o.types = o.archives = o.urls = false;
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "\r\n%u\r\n", i);
		mails[i] = mail_new(&o);
		assert_non_null(mails[i]);
		assert_true(mail_feed(mails[i], span_str(text)));
	}
	for (unsigned n = 0; n < EXTRACT_PIECE / 64 + 2; n++)
		for (unsigned i = 0; i < MANY; i++)
			assert_true(mail_feed(mails[i], span_str(line)));
	for (unsigned i = 0; i < MANY; i++) {
		mail_finish(mails[i]);
		mail_free(mails[i]);
	}
	assert_int_equal(told.lines, 0);
	assert_int_equal(extract_counts(x)->messages, MANY);
	assert_int_equal(extract_counts(x)->files, MANY);
	assert_int_equal(entries(), 2 * MANY);
	extract_free(x);
}

/* ---- directories that will not do ---- */

static void
test_directory_without_parent(void **state)
{
	struct extract_settings s = {
	    .dir = "a/b", .max = 1 << 20, .tell = tell, .tell_arg = &told, .uid = (uid_t)-1};

	(void)state;
	assert_null(extract_new(&s));
	assert_non_null(strstr(told.text, "a/b: cannot make this directory"));
}

static void
test_file_as_directory(void **state)
{
	(void)state;
	put("out", "x");
	assert_null(open_with(1 << 20));
	assert_non_null(strstr(told.text, "out: Not a directory"));
}

/* The directory goes away: told once, and whoever feeds messages goes on. */
static void
test_directory_that_goes(void **state)
{
	struct extract *x = open_default();

	(void)state;
	assert_int_equal(rmdir("out"), 0);
	assert_false(send_file(x, span_str("one")));
	assert_false(send_file(x, span_str("two")));
	assert_true(extract_failed(x));
	assert_int_equal(told.lines, 1);
	extract_free(x);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static int
set_up(void **state)
{
	static char folder[64];
	const char *parent = getenv("TMPDIR");

	memset(&told, 0, sizeof(told));
	snprintf(
	    folder, sizeof(folder), "%.40s/postern-XXXXXX", parent == NULL ? P_tmpdir : parent);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	*state = folder;
	return 0;
}

static int
tear_down(void **state)
{
	assert_int_equal(chdir("/"), 0);
	return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int
begin(void **state)
{
	const char *why = NULL;

	(void)state;
	return analyzers_init(false, &why) ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	analyzers_end();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_message_and_its_parts),
	    TEST(test_large_file),
	    TEST(test_large_file_in_small_pieces),
	    TEST(test_empty_file),
	    TEST(test_same_content_is_there_once),
	    TEST(test_directory_that_is_there),
	    TEST(test_cut_message_leaves_its_whole_parts),
	    TEST(test_cut_large_file_is_removed),
	    TEST(test_symbolic_link_is_not_followed),
	    TEST(test_other_file_under_the_name_stays),
	    TEST(test_folder_under_the_name_stays),
	    TEST(test_temporary_names_that_are_taken),
	    TEST(test_temporary_file_that_is_replaced),
	    TEST(test_budget),
	    TEST(test_budget_within_a_file),
	    TEST(test_directory_without_parent),
	    TEST(test_file_as_directory),
	    TEST(test_directory_that_goes),
	    TEST(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
