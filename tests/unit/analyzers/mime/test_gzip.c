#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <zlib.h>

#include "archives.h"

#define GZIP "application/gzip"

/* Appends a gzip member that holds octets; name may be NULL. */
static void
pack(struct made *m, const char *name, const uint8_t *octets, size_t n)
{
	char copy[32] = "";
	gz_header header = {.name = (Bytef *)copy, .os = 255};
	size_t room = n + 1024;
	uint8_t *out = malloc(room);
	z_stream z = {0};

	assert_non_null(out);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
	if (name != NULL) {
		snprintf(copy, sizeof(copy), "%s", name);
		assert_int_equal(deflateSetHeader(&z, &header), Z_OK);
	}
	z.next_in = (Bytef *)(uintptr_t)octets;
	z.avail_in = (uInt)n;
	z.next_out = out;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	made_add(m, out, room - z.avail_out);
	deflateEnd(&z);
	free(out);
}

static void
assert_made(struct made *m, const char *want)
{
	assert_archive(GZIP, m, want);
	made_free(m);
}

static void
test_single(void **state)
{
	struct made m = {0};

	(void)state;
	pack(&m, "a.txt", (const uint8_t *)"hello", 5);
	assert_made(&m, "a.txt=5/31 ");
	pack(&m, NULL, (const uint8_t *)"hello", 5);
	pack(&m, NULL, (const uint8_t *)"world", 5);
	assert_made(&m, "=10/50 ");
	pack(&m, NULL, (const uint8_t *)"hello", 5);
	made_add(&m, "garbage behind it", 17);
	assert_made(&m, "=5/42 fault: octets behind the end");
}

static void
test_tar(void **state)
{
	struct made inner = {0}, m = {0};

	(void)state;
	tar_header(&inner, "a.exe", 5, '0');
	tar_data(&inner, "hello", 5);
	tar_header(&inner, "b.txt", 0, '0');
	for (int i = 0; i < 1024; i++)
		made_add(&inner, "", 1);
	pack(&m, "x.tar", inner.p, inner.n);
	assert_made(&m, "a.exe=5/5 b.txt=0/0 ");
	pack(&m, "x.tar", inner.p, inner.n - 1024);
	m.n -= 8;
	assert_made(&m, "a.exe=5/5 b.txt=0/0 partial fault: the file ends within its data");
	made_free(&inner);
}

static void
test_damaged(void **state)
{
	struct made m = {0};

	(void)state;
	pack(&m, "a", (const uint8_t *)"hello", 5);
	made_set(&m, 14, 0xff);
	assert_made(&m, "a=5/27 partial fault: deflated data is damaged");
}

/* M-034: a thousand to one. Neither all of it nor a window more is ever held. */
static void
test_m034_bomb(void **state)
{
	const size_t n = 200 << 20;
	uint8_t *zeros = calloc(1, n);
	struct archive_budget budget = {10, ARCHIVE_BUDGET_INFLATE};
	struct archive_reader *a;
	struct made m = {0};

	(void)state;
	assert_non_null(zeros);
	pack(&m, "zeros", zeros, n);
	free(zeros);
	a = archive_reader_new(span_str(GZIP), &budget);
	archive_reader_feed(a, span_of(m.p, m.n));
	archive_reader_finish(a);
	assert_true(archive_reader_members(a)->bomb);
	assert_int_equal(members_get(archive_reader_members(a), 0).size, n);
	assert_true(ARCHIVE_BUDGET_INFLATE - budget.inflate <= (1 << 20) + 2 * 16384);
	archive_reader_free(a);

	/* its trailer lies: the rate tells */
	for (size_t i = 1; i <= 4; i++)
		made_set(&m, m.n - i, 0);
	budget = (struct archive_budget){10, ARCHIVE_BUDGET_INFLATE};
	a = archive_reader_new(span_str(GZIP), &budget);
	archive_reader_feed(a, span_of(m.p, m.n));
	archive_reader_finish(a);
	assert_true(archive_reader_members(a)->bomb);
	archive_reader_free(a);
	made_free(&m);
}

/* What a message may have inflated is shared by all its archives. */
static void
test_budget(void **state)
{
	struct archive_budget budget = {10, 700};
	struct made inner = {0}, m = {0};
	struct archive_reader *a;
	char got[DESCRIBED_MAX];

	(void)state;
	tar_header(&inner, "a", 0, '0');
	tar_header(&inner, "b", 0, '0');
	pack(&m, NULL, inner.p, inner.n);
	for (int i = 0; i < 2; i++) {
		a = archive_reader_new(span_str(GZIP), &budget);
		archive_reader_feed(a, span_of(m.p, m.n));
		archive_reader_finish(a);
		describe(archive_reader_members(a), got);
		assert_string_equal(got, i == 0 ? "a=0/0 partial " : "=1024/59 partial ");
		archive_reader_free(a);
	}
	assert_int_equal(budget.inflate, 0);
	made_free(&inner);
	made_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single),
	    cmocka_unit_test(test_tar),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_m034_bomb),
	    cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
