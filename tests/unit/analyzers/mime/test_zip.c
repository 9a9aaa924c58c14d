#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archives.h"
#include "tests/unit/alloc.h"

#define ZIP "application/zip"

static const struct zip_entry a_txt = {.name = "a.txt", .size = 30, .packed = 10};
static const struct zip_entry b_exe = {.name = "dir/b.exe", .size = 7, .packed = 7};

/* Two members and their directory. */
static size_t
make_two(struct made *m, const struct zip_entry *first, const struct zip_entry *in_directory)
{
	uint32_t start = (uint32_t)m->n, second;
	size_t directory;

	zip_local(m, first);
	made_data(m, first->packed);
	second = (uint32_t)m->n;
	zip_local(m, &b_exe);
	made_data(m, b_exe.packed);
	directory = m->n;
	zip_central(m, in_directory, start);
	zip_central(m, &b_exe, second);
	return directory;
}

static void
assert_made(struct made *m, const char *want)
{
	assert_archive(ZIP, m, want);
	made_free(m);
}

static void
test_plain(void **state)
{
	struct made m = {0};

	(void)state;
	zip_end(&m, 2, make_two(&m, &a_txt, &a_txt), "a comment with P and PK in it");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 ");
	zip_end(&m, 0, 0, "");
	assert_made(&m, "");
}

static void
test_encrypted_and_folder(void **state)
{
	struct zip_entry folder = {.name = "dir/"}, secret = {"s", 12, 24, 1, NULL, 0};
	struct made m = {0};
	size_t at;

	(void)state;
	zip_local(&m, &folder);
	zip_local(&m, &secret);
	made_data(&m, 24);
	at = m.n;
	zip_central(&m, &folder, 0);
	zip_central(&m, &secret, 34);
	zip_end(&m, 2, at, "");
	assert_made(&m, "dir/=0/0D s=12/24* ");
}

/* The four forms of a data descriptor (APPNOTE s4.3.9), behind data that looks like records. */
static void
test_descriptors(void **state)
{
	static const char data[] = "PK\3\4abPK\7\10cdPK\5\6PPK";
	const struct zip_entry open = {"o.bin", 0, 0, 8, NULL, 0};
	const struct zip_entry known = {"o.bin", 99, sizeof(data) - 1, 8, NULL, 0};

	(void)state;
	for (int form = 0; form < 4; form++) {
		size_t wide = (form & 1) != 0 ? 8 : 4, at;
		struct made m = {0};

		zip_local(&m, &open);
		made_add(&m, data, sizeof(data) - 1);
		if ((form & 2) != 0)
			made_le(&m, 0x08074b50, 4);
		made_le(&m, 0x12345678, 4);
		made_le(&m, sizeof(data) - 1, wide);
		made_le(&m, 99, wide);
		at = m.n;
		zip_central(&m, &known, 0);
		zip_end(&m, 1, at, "");
		assert_made(&m, "o.bin=99/19 ");
	}
}

/* Sizes known, and a descriptor all the same. */
static void
test_superfluous_descriptor(void **state)
{
	const struct zip_entry e = {"a.txt", 30, 10, 8, NULL, 0};

	(void)state;
	for (size_t n = 12; n <= 24; n += 4) {
		struct made m = {0};
		size_t at;

		zip_local(&m, &e);
		made_data(&m, 10);
		if (n % 8 == 0)
			made_le(&m, 0x08074b50, 4);
		made_data(&m, n % 8 == 0 ? n - 4 : n);
		at = m.n;
		zip_central(&m, &e, 0);
		zip_end(&m, 1, at, "");
		assert_made(&m, "a.txt=30/10 ");
	}
}

static void
test_zip64(void **state)
{
	static const char extra[] = "\x99\x99\2\0ab\1\0\x10\0\0\0\0\0\2\0\0\0\5\0\0\0\0\0\0\0";
	const struct zip_entry big = {"big", UINT32_MAX, UINT32_MAX, 0, extra, sizeof(extra) - 1};
	struct made m = {0};
	size_t at;

	(void)state;
	zip_local(&m, &big);
	made_data(&m, 5);
	at = m.n;
	zip_central(&m, &big, 0);
	made_le(&m, 0x06064b50, 4);
	made_le(&m, 44, 8);
	made_le(&m, 0, 12);
	made_le(&m, 1, 8);
	made_le(&m, 1, 8);
	made_le(&m, 0, 16);
	made_le(&m, 0x07064b50, 4);
	made_le(&m, 0, 16);
	zip_end(&m, 0xffff, at, "");
	assert_made(&m, "big=8589934592/5 BOMB ");
}

/* Where local headers and central directory differ, both readings are listed. */
static void
test_two_names(void **state)
{
	const struct zip_entry other = {.name = "a.exe", .size = 30, .packed = 10};
	struct made m = {0};

	(void)state;
	zip_end(&m, 2, make_two(&m, &a_txt, &other), "");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 a.exe=30/10 "
			"ambiguous: local header \"a.txt\"; central directory \"a.exe\"");
}

static void
test_two_sizes(void **state)
{
	const struct zip_entry longer = {.name = "a.txt", .size = 300, .packed = 10};
	const struct zip_entry locked = {.name = "a.txt", .size = 30, .packed = 10, .flags = 1};
	struct made m = {0};

	(void)state;
	zip_end(&m, 2, make_two(&m, &a_txt, &longer), "");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 ambiguous: size in local header \"a.txt\"; "
			"another in central directory \"a.txt\"");
	zip_end(&m, 2, make_two(&m, &a_txt, &locked), "");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 ambiguous: local header: clear \"a.txt\"; "
			"central directory: encrypted \"a.txt\"");
}

static void
test_hidden_members(void **state)
{
	struct made m = {0};
	size_t at;

	(void)state;
	zip_local(&m, &a_txt);
	made_data(&m, 10);
	zip_local(&m, &b_exe);
	made_data(&m, 7);
	at = m.n;
	zip_central(&m, &a_txt, 0);
	zip_end(&m, 1, at, "");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 ambiguous: local header \"dir/b.exe\"; "
			"not in the central directory");

	zip_local(&m, &a_txt);
	made_data(&m, 10);
	at = m.n;
	zip_central(&m, &a_txt, 0);
	zip_central(&m, &b_exe, 900000);
	zip_end(&m, 2, at, "");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 ambiguous: no local header; "
			"central directory \"dir/b.exe\"");

	zip_end(&m, 3, make_two(&m, &a_txt, &a_txt), "");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 ambiguous: entries of the central directory; "
			"another number at its end");
	at = make_two(&m, &a_txt, &a_txt);
	zip_end(&m, 2, at - 1, "");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 ambiguous: central directory; "
			"another place by the end record");
}

/* Info-ZIP's second name. */
static void
test_unicode_name(void **state)
{
	static const char extra[] = "\x75\x70\x0a\0\1\0\0\0\0a.exe";
	const struct zip_entry e = {"a.txt", 30, 10, 0, extra, sizeof(extra) - 1};
	struct made m = {0};
	size_t at;

	(void)state;
	zip_local(&m, &e);
	made_data(&m, 10);
	at = m.n;
	zip_central(&m, &a_txt, 0);
	zip_end(&m, 1, at, "");
	assert_made(&m, "a.txt=30/10 a.exe=?/? ambiguous: name \"a.txt\"; unicode name \"a.exe\"");
}

/* One archive behind another: some programs open the first, some the second. */
static void
test_two_archives(void **state)
{
	const struct zip_entry evil = {.name = "evil.js", .size = 4, .packed = 4};
	struct made m = {0};
	size_t base, at;

	(void)state;
	zip_end(&m, 2, make_two(&m, &a_txt, &a_txt), "");
	base = m.n;
	zip_local(&m, &evil);
	made_data(&m, 4);
	at = m.n;
	zip_central(&m, &evil, 0);
	zip_end(&m, 1, at, "");
	m.p[m.n - 6] = (uint8_t)(at - base); /* as if it were alone */
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 evil.js=4/4 "
			"ambiguous: end of the archive; another one behind it");
}

/* A program with an archive behind it: offsets count from the one or the other beginning. */
static void
test_prefixed(void **state)
{
	struct made m = {0};

	(void)state;
	made_add(&m, "MZPK\3\4 is no header PK", 23);
	zip_end(&m, 2, make_two(&m, &a_txt, &a_txt), "");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 ");
	made_add(&m, "MZ no archive PK\3\4PK\1\2PK", 24);
	assert_made(&m, "");
}

static void
test_gap(void **state)
{
	struct made m = {0};
	uint32_t second;
	size_t at;

	(void)state;
	zip_local(&m, &a_txt);
	made_data(&m, 15);
	second = (uint32_t)m.n;
	zip_local(&m, &b_exe);
	made_data(&m, 7);
	at = m.n;
	zip_central(&m, &a_txt, 0);
	zip_central(&m, &b_exe, second);
	zip_end(&m, 2, at, "");
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 ambiguous: octets between members; "
			"members by their headers");
}

static void
test_truncated(void **state)
{
	struct made m = {0};

	(void)state;
	make_two(&m, &a_txt, &a_txt);
	m.n -= 10;
	assert_made(&m, "a.txt=30/10 dir/b.exe=7/7 partial "
			"fault: the archive ends before the end of its central directory");
	zip_local(&m, &a_txt);
	assert_made(&m, "a.txt=30/10 partial "
			"fault: the archive ends before the end of its central directory");
	zip_local(&m, &a_txt);
	m.n -= 8;
	assert_made(&m, "");
}

/* M-034: members that share their data, as in Fifield's bomb: local headers inside of data. */
static void
test_m034_overlapping(void **state)
{
	struct zip_entry outer = {.name = "0", .size = 1000, .packed = 60};
	struct zip_entry inner = {.name = "1", .size = 1000, .packed = 29};
	struct made m = {0};
	size_t at;

	(void)state;
	zip_local(&m, &outer);
	zip_local(&m, &inner); /* 31 octets of the data of "0" */
	made_data(&m, 29);
	at = m.n;
	zip_central(&m, &outer, 0);
	zip_central(&m, &inner, 31);
	zip_end(&m, 2, at, "");
	assert_made(&m, "0=1000/60 1=1000/29 BOMB ambiguous: data of another member; "
			"a member by the central directory \"1\"");

	zip_local(&m, &outer);
	made_data(&m, 60);
	at = m.n;
	zip_central(&m, &outer, 0);
	zip_central(&m, &outer, 0);
	zip_end(&m, 2, at, "");
	assert_made(&m, "0=1000/60 BOMB ambiguous: one member \"0\"; "
			"twice in the central directory \"0\"");
}

/* M-034: archives of one size and nothing else, as in 42.zip; an archive that holds itself. */
static void
test_m034_nested(void **state)
{
	struct zip_entry e = {.size = 34902, .packed = 5};
	char names[5][16] = {"lib 0.zip", "lib 1.zip", "lib 2.zip", "lib 3.zip", "lib 4.zip"};
	uint32_t starts[5];
	struct made m = {0};
	size_t at;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		e.name = names[i];
		starts[i] = (uint32_t)m.n;
		zip_local(&m, &e);
		made_data(&m, 5);
	}
	at = m.n;
	for (size_t i = 0; i < 5; i++) {
		e.name = names[i];
		zip_central(&m, &e, starts[i]);
	}
	zip_end(&m, 5, at, "");
	assert_made(&m, "lib 0.zip=34902/5 lib 1.zip=34902/5 lib 2.zip=34902/5 lib 3.zip=34902/5 "
			"lib 4.zip=34902/5 BOMB ");

	e = (struct zip_entry){.name = "r/r.zip", .packed = 20};
	e.size = 30 + 7 + 20 + 46 + 7 + 22;
	zip_local(&m, &e);
	made_data(&m, 20);
	at = m.n;
	zip_central(&m, &e, 0);
	zip_end(&m, 1, at, "");
	assert_made(&m, "r/r.zip=132/20 BOMB ");
}

/* Memory that runs out at any request: what is known stays, and nothing is lost or touched twice.
 */
static void
test_no_memory(void **state)
{
	struct archive_budget budget = {10, 0};
	struct archive_reader *a;
	struct made m = {0};
	unsigned n = 0;

	(void)state;
	zip_end(&m, 2, make_two(&m, &a_txt, &a_txt), "");
	do {
		alloc_fail_at(++n);
		a = archive_reader_new(span_str(ZIP), &budget);
		if (a != NULL) {
			archive_reader_feed(a, span_of(m.p, m.n));
			archive_reader_finish(a);
			assert_true(archive_reader_members(a)->n <= 2);
		}
		archive_reader_free(a);
		budget.members = 10;
	} while (alloc_failed());
	assert_true(n > 4);
	made_free(&m);
}

static void
test_budget(void **state)
{
	struct archive_budget budget = {.members = 1};
	struct archive_reader *a = archive_reader_new(span_str(ZIP), &budget);
	char got[DESCRIBED_MAX];
	struct made m = {0};

	(void)state;
	zip_end(&m, 2, make_two(&m, &a_txt, &a_txt), "");
	archive_reader_feed(a, span_of(m.p, m.n));
	archive_reader_finish(a);
	describe(archive_reader_members(a), got);
	assert_string_equal(got, "a.txt=30/10 +1 partial ");
	assert_int_equal(budget.members, 0);
	archive_reader_free(a);
	made_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_encrypted_and_folder),
	    cmocka_unit_test(test_descriptors),
	    cmocka_unit_test(test_superfluous_descriptor),
	    cmocka_unit_test(test_zip64),
	    cmocka_unit_test(test_two_names),
	    cmocka_unit_test(test_two_sizes),
	    cmocka_unit_test(test_hidden_members),
	    cmocka_unit_test(test_unicode_name),
	    cmocka_unit_test(test_two_archives),
	    cmocka_unit_test(test_prefixed),
	    cmocka_unit_test(test_gap),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_m034_overlapping),
	    cmocka_unit_test(test_m034_nested),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
