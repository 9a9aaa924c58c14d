#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "archives.h"

#define TAR "application/x-tar"

static void
end(struct made *m)
{
	tar_data(m, "", 0);
	for (int i = 0; i < 1024; i++)
		made_add(m, "", 1);
}

static void
assert_made(struct made *m, const char *want)
{
	assert_archive(TAR, m, want);
	made_free(m);
}

static void
test_plain(void **state)
{
	struct made m = {0};

	(void)state;
	tar_header(&m, "a.txt", 5, '0');
	tar_data(&m, "hello", 5);
	tar_header(&m, "dir/", 0, '5');
	tar_header(&m, "link", 0, '2');
	tar_header(&m, "old", 512, '\0');
	made_data(&m, 512);
	end(&m);
	assert_made(&m, "a.txt=5/5 dir/=0/0D link=0/0 old=512/512 ");
	assert_made(&m, "");
}

static void
test_long_names(void **state)
{
	char name[151], want[300];
	struct made m = {0};

	(void)state;
	memset(name, 'n', 150);
	name[150] = '\0';
	tar_header(&m, "././@LongLink", 151, 'L');
	tar_data(&m, name, 151);
	tar_header(&m, "short", 1, '0');
	tar_data(&m, "x", 1);
	tar_header(&m, "pax", 33, 'x');
	tar_data(&m, "16 comment=nope\n16 path=b/a.exe\nx", 33);
	tar_header(&m, "b.txt", 0, '0');
	end(&m);
	snprintf(want, sizeof(want),
	    "%s=1/1 b/a.exe=0/0 fault: a record of an extended header is none", name);
	assert_made(&m, want);
}

/* The reading that goes by the header finds other members than the one that goes by pax. */
static void
test_two_sizes(void **state)
{
	struct made m = {0};

	(void)state;
	tar_header(&m, "pax", 12, 'x');
	tar_data(&m, "12 size=512\n", 12);
	tar_header(&m, "a", 0, '0');
	tar_header(&m, "hidden", 0, '0');
	end(&m);
	assert_made(
	    &m, "a=512/512 ambiguous: size in the header \"a\"; another in the extended header");
	tar_header(&m, "l", 512, '2');
	tar_header(&m, "a", 0, '0');
	end(&m);
	assert_made(&m, "l=0/0 a=0/0 ambiguous: a link or folder without data \"l\"; "
			"with as much as its size says");
}

static void
test_faults(void **state)
{
	struct made m = {0};

	(void)state;
	tar_header(&m, "a", 0, '0');
	tar_header(&m, "b", 0, '0');
	m.p[513] = 'x';
	assert_made(&m, "a=0/0 partial fault: the checksum of a header does not fit");
	tar_header(&m, "a", 600, '0');
	made_data(&m, 600);
	assert_made(&m, "a=600/600 partial fault: the archive ends within a member");
	tar_header(&m, "a", 0, '0');
	end(&m);
	tar_header(&m, "behind", 0, '0');
	assert_made(&m, "a=0/0 behind=0/0 ambiguous: end of the archive; members behind it");
}

/* Base 256 of GNU tar, with a number that 64 bits do not hold. */
static void
test_wide_size(void **state)
{
	struct made m = {0};
	unsigned sum = 0;

	(void)state;
	tar_header(&m, "a", 0, '0');
	memset(m.p + 124, 0xff, 12);
	memset(m.p + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += m.p[i];
	for (size_t i = 0; i < 6; i++)
		m.p[148 + 5 - i] = (uint8_t)('0' + (sum >> (3 * i) & 7));
	assert_made(&m, "partial fault: a size is no number");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_two_sizes),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_wide_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
