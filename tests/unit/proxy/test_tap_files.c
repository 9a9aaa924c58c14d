#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "own_mounts.h"
#include "tap_files.h"
#include "tap_frame.h"
#include "taps.h"

#define KIB 1024u

static struct tap_rule rule;

static int
set_up(void **state)
{
	static char folder[64];
	const char *parent = getenv("TMPDIR");

	snprintf(
	    folder, sizeof(folder), "%.40s/postern-XXXXXX", parent == NULL ? P_tmpdir : parent);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	rule = (struct tap_rule){.name = "all", .file_size = 64 * KIB, .budget = 256 * KIB};
	*state = folder;
	return 0;
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
tear_down(void **state)
{
	assert_int_equal(chdir("/"), 0);
	return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct tap_files *
begin(void)
{
	struct tap_files *f = tap_files_new(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), &rule);

	assert_non_null(f);
	return f;
}

static void
write_octets(struct tap_files *f, size_t n)
{
	static const uint8_t text[TAP_PIECE_MAX];
	struct record room;

	tap_files_write(f, record_with(&room, record_like(TAP_OCTETS, AN_C2S), span_of(text, n)));
}

/* Of our files: how many, their octets, and the mode of the last. */
static unsigned
look(uint64_t *octets, mode_t *mode)
{
	DIR *dir = opendir(".");
	const struct dirent *e;
	unsigned n = 0;
	struct stat st;

	*octets = 0;
	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL) {
		if (strncmp(e->d_name, "postern-all-2", 13) != 0)
			continue;
		assert_int_equal(stat(e->d_name, &st), 0);
		*octets += (uint64_t)st.st_size;
		*mode = st.st_mode & 07777;
		n++;
	}
	closedir(dir);
	return n;
}

static void
put(const char *name, size_t n)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)n), 0);
	close(fd);
}

static void
test_one_file_X_007(void **state)
{
	struct tap_files *f = begin();
	uint64_t octets;
	mode_t mode = 0;

	(void)state;
	tap_files_flush(f);
	assert_int_equal(look(&octets, &mode), 0); /* nothing was captured */
	write_octets(f, 10);
	tap_files_flush(f);
	assert_int_equal(look(&octets, &mode), 1);
	assert_int_equal(mode, 0600);
	assert_int_equal(octets, 64 + 84 + 72);
	assert_int_equal(tap_files_stats(f)->frames, 2);
	assert_int_equal(tap_files_stats(f)->octets, octets);
	tap_files_free(f);
}

static void
test_a_file_is_as_large_as_it_may_be_X_007(void **state)
{
	struct tap_files *f = begin();
	uint64_t octets;
	mode_t mode;

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		write_octets(f, 10000);
	tap_files_free(f);
	assert_int_equal(look(&octets, &mode), 2);
}

static void
test_rotation_by_hand_and_by_time_X_007(void **state)
{
	struct tap_files *f;
	uint64_t octets;
	mode_t mode;

	(void)state;
	rule.file_seconds = 1;
	f = begin();
	write_octets(f, 10);
	tap_files_rotate(f);
	write_octets(f, 10);
	tap_files_flush(f);
	assert_int_equal(look(&octets, &mode), 2);
	usleep(1100 * 1000);
	write_octets(f, 10);
	tap_files_flush(f);
	assert_int_equal(look(&octets, &mode), 3);
	tap_files_free(f);
}

static void
test_the_budget_takes_the_oldest_of_ours_X_007(void **state)
{
	static const char *const others[] = {"notes", "postern-all-.pcapng",
	    "postern-all-20200101T000000-000001.pcapng.gz",
	    "postern-all-20200101T000000-00001.pcapng", "postern-all-2020x101T000000-000001.pcapng",
	    "postern-other-20200101T000000-000001.pcapng",
	    "postern-all-b-20200101T000000-000001.pcapng"};
	static const char oldest[] = "postern-all-20200101T000000-000001.pcapng",
			  older[] = "postern-all-20210101T000000-000001.pcapng",
			  newer[] = "postern-all-20220101T000000-000001.pcapng";
	struct tap_files *f;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		put(others[i], 512 * KIB);
	put(newer, 100 * KIB);
	put(oldest, 100 * KIB);
	put(older, 50 * KIB);
	f = begin();
	write_octets(f, 10);
	tap_files_flush(f); /* 250 of 256, and 64 to come: one goes */
	assert_int_equal(tap_files_stats(f)->removed, 1);
	assert_int_equal(access(oldest, F_OK), -1);
	assert_int_equal(access(older, F_OK), 0);
	assert_int_equal(access(newer, F_OK), 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(access(others[i], F_OK), 0);
	tap_files_free(f);
}

static void
test_nothing_that_exists_is_opened_X_007(void **state)
{
	struct tap_files *f = begin();
	char name[TAP_FILES_NAME];
	uint64_t octets;
	mode_t mode;

	(void)state;
	/* for this second and some to come somebody has left links to a file of his */
	put("target", 0);
	for (int i = 0; i < 5; i++) {
		time_t at = time(NULL) + i;
		struct tm tm;
		size_t n;

		gmtime_r(&at, &tm);
		n = strftime(name, sizeof(name), "postern-all-%Y%m%dT%H%M%S-000001.pcapng", &tm);
		assert_true(n > 0);
		assert_int_equal(symlink("target", name), 0);
	}
	write_octets(f, 10);
	tap_files_free(f);
	assert_int_equal(look(&octets, &mode), 6);
	put("target", 0);
	assert_int_equal(octets, 64 + 84 + 72); /* of the links: an empty target */
}

/* A disk of 64 KiB. */
static void
test_a_full_disk_keeps_whole_blocks_X_007(void **state)
{
	struct tap_files *f;
	struct stat st;
	uint64_t octets;
	mode_t mode;

	(void)state;
	assert_int_equal(mkdir("small", 0700), 0);
	assert_int_equal(mount("tmpfs", "small", "tmpfs", 0, "size=64k"), 0);
	assert_int_equal(chdir("small"), 0);
	rule.file_size = 1024 * KIB;
	rule.budget = 4096 * KIB;
	f = begin();
	put("filler", 0);
	write_octets(f, 10);
	tap_files_flush(f);
	for (unsigned i = 0; i < 8; i++)
		write_octets(f, TAP_PIECE_MAX);
	tap_files_flush(f);
	assert_int_equal(tap_files_stats(f)->trouble, ENOSPC);
	assert_int_equal(tap_files_stats(f)->lost, 16);
	look(&octets, &mode);
	assert_int_equal(octets, 64 + 84 + 72); /* as before */
	write_octets(f, 10);
	tap_files_flush(f); /* too soon */
	assert_int_equal(tap_files_stats(f)->lost, 18);
	usleep((TAP_FILES_RETRY_MS + 100) * 1000);
	write_octets(f, 10);
	tap_files_flush(f);
	assert_int_equal(tap_files_stats(f)->trouble, 0);
	look(&octets, &mode);
	assert_int_equal(octets, 64 + 2 * (84 + 72));
	tap_files_free(f);
	assert_int_equal(stat("filler", &st), 0);
	assert_int_equal(chdir(".."), 0);
	assert_int_equal(umount2("small", MNT_DETACH), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_one_file_X_007),
	    TEST(test_a_file_is_as_large_as_it_may_be_X_007),
	    TEST(test_rotation_by_hand_and_by_time_X_007),
	    TEST(test_the_budget_takes_the_oldest_of_ours_X_007),
	    TEST(test_nothing_that_exists_is_opened_X_007),
	    TEST(test_a_full_disk_keeps_whole_blocks_X_007),
	};

	return cmocka_run_group_tests_name("tap files", tests, own_mounts, NULL);
}
