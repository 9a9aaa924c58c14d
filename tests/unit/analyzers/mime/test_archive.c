#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <locale.h>
#include <zlib.h>

#include "archives.h"
#include "mime/analyzers_init.h"
#include "mime/detect.h"

/* Two members; the data of the second one is n octets long. */
static void
make(struct made *m, int format, size_t n)
{
	static const char *const names[] = {"a.txt", "b\xc3\xbc.exe"};
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = uselocale(utf8);
	struct archive *a = archive_write_new();
	size_t room = n + (1 << 20), used = 0;
	uint8_t *out = malloc(room), *data = malloc(n + 5);

	assert_non_null(out);
	assert_non_null(data);
	for (size_t i = 0; i < n + 5; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	assert_int_equal(archive_write_set_format(a, format), ARCHIVE_OK);
	if (format == ARCHIVE_FORMAT_7ZIP)
		assert_int_equal(archive_write_set_options(a, "compression=store"), ARCHIVE_OK);
	assert_int_equal(archive_write_set_bytes_in_last_block(a, 1), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, out, room, &used), ARCHIVE_OK);
	for (size_t i = 0; i < 2; i++) {
		struct archive_entry *e = archive_entry_new();
		size_t size = i == 0 ? 5 : n;

		archive_entry_update_pathname_utf8(e, names[i]);
		archive_entry_set_filetype(e, AE_IFREG);
		archive_entry_set_perm(e, 0644);
		archive_entry_set_size(e, (la_int64_t)size);
		assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
		assert_int_equal(archive_write_data(a, data, size), size);
		archive_entry_free(e);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	uselocale(before);
	freelocale(utf8);
	made_add(m, out, used);
	free(out);
	free(data);
}

/* Its type is detected, and what it holds is listed: as it is done for a part. */
static void
assert_listed(struct made *m, const char *type, const char *want)
{
	struct detect d;
	size_t used;

	detect_init(&d);
	if (!detect_feed(&d, span_of(m->p, m->n), &used))
		detect_finish(&d);
	assert_string_equal(d.type, type);
	assert_true(archive_is(detect_type(&d)));
	detect_free(&d);
	assert_archive(type, m, want);
	made_free(m);
}

static void
test_pulled(void **state)
{
	struct made m = {0};

	(void)state;
	make(&m, ARCHIVE_FORMAT_7ZIP, 7);
	assert_listed(&m, "application/x-7z-compressed", "a.txt=5/? b\xc3\xbc.exe=7/? ");
	make(&m, ARCHIVE_FORMAT_ISO9660, 7);
	assert_listed(&m, "application/x-iso9660-image", ".=2048/?D a.txt=5/? b\xc3\xbc.exe=7/? ");
	make(&m, ARCHIVE_FORMAT_CPIO_SVR4_NOCRC, 7);
	assert_listed(&m, "application/x-cpio", "a.txt=5/? b\xc3\xbc.exe=7/? ");
}

static void
rar_block(struct made *m, unsigned type, unsigned flags, const struct made *body)
{
	struct made head = {0};

	made_le(&head, type, 1);
	made_le(&head, flags, 2);
	made_le(&head, 7 + body->n, 2);
	made_add(&head, body->p, body->n);
	made_le(m, crc32(0, head.p, (uInt)head.n) & 0xffff, 2);
	made_add(m, head.p, head.n);
	made_free(&head);
}

/* RAR 4, one stored member; flags 4: encrypted. */
static void
test_rar(void **state)
{
	(void)state;
	for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
		struct made m = {0}, body = {0};

		made_add(&m, "Rar!\x1a\7\0", 7);
		made_le(&body, 0, 6);
		rar_block(&m, 0x73, 0, &body);
		made_free(&body);
		made_le(&body, 5, 4);
		made_le(&body, 5, 4);
		made_le(&body, 0, 1);
		made_le(&body, 0, 4);
		made_le(&body, 0, 4);
		made_le(&body, 20, 1);
		made_le(&body, 0x30, 1);
		made_le(&body, 5, 2);
		made_le(&body, 0x20, 4);
		made_add(&body, "a.exe", 5);
		rar_block(&m, 0x74, encrypted ? 0x8004 : 0x8000, &body);
		made_free(&body);
		made_add(&m, "hello", 5);
		rar_block(&m, 0x7b, 0x4000, &body);
		assert_listed(&m, "application/x-rar", encrypted ? "a.exe=5/?* " : "a.exe=5/? ");
	}
}

/* A solid RAR 5 archive would have to be unpacked to be listed. */
static void
test_m034_solid(void **state)
{
	struct made m = {0};

	(void)state;
	made_add(&m, "Rar!\x1a\7\1\0\1\2\3\4\x0a\1\5\6\4", 17);
	made_data(&m, 20);
	assert_listed(&m, "application/x-rar", "partial ");
	made_add(&m, "Rar!\x1a\7\1\0\1\2\3\4\x0a\1\5\6\0", 17);
	made_data(&m, 20);
	assert_listed(&m, "application/x-rar",
	    "partial fault: the list of members is damaged or of an unknown kind");
}

/* What lies behind the prefix is not looked at, and that is said. */
static void
test_prefix(void **state)
{
	struct made m = {0};

	(void)state;
	make(&m, ARCHIVE_FORMAT_CPIO_SVR4_NOCRC, ARCHIVE_PREFIX);
	assert_listed(&m, "application/x-cpio", "a.txt=5/? b\xc3\xbc.exe=1048576/? partial ");
	make(&m, ARCHIVE_FORMAT_7ZIP, ARCHIVE_PREFIX);
	assert_listed(&m, "application/x-7z-compressed", "partial ");
}

static void
test_damaged(void **state)
{
	struct made m = {0};

	(void)state;
	make(&m, ARCHIVE_FORMAT_7ZIP, 7);
	m.p[m.n - 3] ^= 0xff;
	assert_listed(&m, "application/x-7z-compressed",
	    "partial fault: the list of members is damaged or of an unknown kind");
}

static void
test_types(void **state)
{
	struct archive_budget budget = {1, 1};

	(void)state;
	assert_false(archive_is(span_str("text/plain")));
	assert_false(archive_is(SPAN_NONE));
	assert_null(archive_reader_new(span_str("image/png"), &budget));
	archive_reader_free(NULL);
}

static int
open_all(void **state)
{
	const char *why = NULL;

	(void)state;
	if (analyzers_init(false, &why)) {
		assert_true(analyzers_init(false, &why)); /* again: nothing is done */
		return 0;
	}
	print_error("%s\n", why);
	return -1;
}

static int
close_all(void **state)
{
	(void)state;
	analyzers_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pulled),
	    cmocka_unit_test(test_rar),
	    cmocka_unit_test(test_m034_solid),
	    cmocka_unit_test(test_prefix),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
