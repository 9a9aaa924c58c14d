#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keylog_file.h"

#define R32 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define S32 "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
#define S48 S32 "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"

static const uint8_t random_of_r32[TLS_RANDOM] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

/* A file, and what was told of it. */
struct trial {
	char path[32];
	int fd;
	char *told;
	size_t n_told;
	FILE *err;
};

static void
setup(struct trial *t)
{
	strcpy(t->path, "/tmp/keylog-XXXXXX");
	t->fd = mkstemp(t->path);
	assert_true(t->fd >= 0);
	t->err = open_memstream(&t->told, &t->n_told);
	assert_non_null(t->err);
}

static void
teardown(struct trial *t)
{
	close(t->fd);
	unlink(t->path);
	fclose(t->err);
	free(t->told);
}

static void
put(struct trial *t, const char *text)
{
	assert_int_equal(write(t->fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* text: what stands behind the name of the file. */
static void
expect_told(struct trial *t, const char *text)
{
	char whole[256] = "", told[256];

	if (text[0] != '\0')
		snprintf(whole, sizeof(whole), "%s%s\n", t->path, text);
	fflush(t->err);
	snprintf(told, sizeof(told), "%.*s", (int)t->n_told, t->told);
	assert_string_equal(told, whole);
	rewind(t->err);
}

static size_t
found(const struct tls_keylog *k, enum tls_secret kind)
{
	return tls_keylog_find(k, random_of_r32, kind).n;
}

static void
a_file_is_read(void **state)
{
	struct trial t;
	struct tls_keylog *k;

	(void)state;
	setup(&t);
	put(&t, "# a comment\r\n\nCLIENT_RANDOM " R32 " " S48 "\r\nEXPORTER_SECRET " R32 " " S32
		"\nSERVER_TRAFFIC_SECRET_0 " R32 " " S32);
	k = keylog_file_read(t.path, t.err);
	assert_non_null(k);
	assert_int_equal(found(k, TLS_MASTER), 48);
	assert_int_equal(found(k, TLS_SERVER_TRAFFIC), 32); /* the last line has no end */
	assert_int_equal(found(k, TLS_CLIENT_TRAFFIC), 0);
	expect_told(&t, "");
	tls_keylog_free(k);
	teardown(&t);
}

static void
bad_lines_are_passed_over(void **state)
{
	char *line = malloc(200000);
	struct trial t;
	struct tls_keylog *k;

	(void)state;
	setup(&t);
	memset(line, 'x', 199999);
	line[199999] = '\0';
	put(&t, "# c\nnonsense\nCLIENT_RANDOM " R32 " " S48 "\n");
	k = keylog_file_read(t.path, t.err);
	assert_int_equal(found(k, TLS_MASTER), 48);
	tls_keylog_free(k);
	expect_told(&t, ":2: no line of a key log; passed over");
	put(&t, line);
	put(&t, "\nSERVER_TRAFFIC_SECRET_0 " R32 " " S32 "\n");
	put(&t, line);
	k = keylog_file_read(t.path, t.err);
	assert_int_equal(found(k, TLS_SERVER_TRAFFIC), 32);
	tls_keylog_free(k);
	expect_told(&t, ":2: no line of a key log, and 2 more; passed over");
	teardown(&t);
	free(line);
}

static void
what_cannot_be_read_is_told(void **state)
{
	struct trial t;

	(void)state;
	setup(&t);
	assert_int_equal(ftruncate(t.fd, (off_t)KEYLOG_FILE_MAX + 1), 0);
	assert_null(keylog_file_read(t.path, t.err));
	expect_told(&t, ": larger than 64 MiB");
	assert_null(keylog_file_open(t.path, t.err));
	expect_told(&t, ": larger than 64 MiB");
	unlink(t.path);
	assert_null(keylog_file_read(t.path, t.err));
	expect_told(&t, ": No such file or directory");
	assert_int_equal(mkdir(t.path, 0700), 0);
	assert_null(keylog_file_read(t.path, t.err));
	expect_told(&t, ": Is a directory");
	assert_null(keylog_file_open(t.path, t.err));
	expect_told(&t, ": no regular file");
	rmdir(t.path);
	teardown(&t);
}

static void
a_file_that_grows_is_followed(void **state)
{
	struct trial t;
	struct keylog_file *f;

	(void)state;
	setup(&t);
	f = keylog_file_open(t.path, t.err);
	assert_non_null(f);
	assert_false(keylog_file_refresh(f));
	put(&t, "CLIENT_RANDOM " R32 " " S32);
	assert_false(keylog_file_refresh(f)); /* half a line says nothing yet */
	assert_false(tls_keylog_has(keylog_file_keys(f), random_of_r32));
	put(&t, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf\nnonsense\nmore\nSERVER_TR");
	assert_true(keylog_file_refresh(f));
	assert_int_equal(found(keylog_file_keys(f), TLS_MASTER), 48);
	expect_told(&t, ":2: no line of a key log, and 1 more; passed over");
	put(&t, "AFFIC_SECRET_0 " R32 " " S32 "\nnonsense\n");
	assert_true(keylog_file_refresh(f));
	assert_int_equal(found(keylog_file_keys(f), TLS_SERVER_TRAFFIC), 32);
	expect_told(&t, ""); /* once is enough */
	assert_false(keylog_file_refresh(f));
	keylog_file_close(f);
	teardown(&t);
}

/* Whoever rotates it copies and truncates, or removes it: what is known stays known. */
static void
a_file_that_begins_anew_is_read_anew(void **state)
{
	struct trial t;
	struct keylog_file *f;

	(void)state;
	setup(&t);
	put(&t, "CLIENT_RANDOM " R32 " " S48 "\n# and some more\nSERVER_TR");
	f = keylog_file_open(t.path, t.err);
	assert_int_equal(ftruncate(t.fd, 0), 0);
	assert_int_equal(lseek(t.fd, 0, SEEK_SET), 0);
	put(&t, "SERVER_TRAFFIC_SECRET_0 ");
	assert_false(keylog_file_refresh(f));
	unlink(t.path);
	put(&t, R32 " " S32 "\n");
	assert_true(keylog_file_refresh(f));
	assert_int_equal(found(keylog_file_keys(f), TLS_SERVER_TRAFFIC), 32);
	assert_int_equal(found(keylog_file_keys(f), TLS_MASTER), 48);
	expect_told(&t, "");
	keylog_file_close(f);
	teardown(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_is_read),
	    cmocka_unit_test(bad_lines_are_passed_over),
	    cmocka_unit_test(what_cannot_be_read_is_told),
	    cmocka_unit_test(a_file_that_grows_is_followed),
	    cmocka_unit_test(a_file_that_begins_anew_is_read_anew),
	};

	return cmocka_run_group_tests_name("keylog file", tests, NULL, NULL);
}
