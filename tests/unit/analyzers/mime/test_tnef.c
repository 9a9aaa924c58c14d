#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archives.h"
#include "mime/tnef.h"

#define TNEF "application/vnd.ms-tnef"

static const char rendering[14]; /* AttachRendData: what it says does not matter */

static void
begin(struct made *m)
{
	made_le(m, 0x223e9f78, 4);
	made_le(m, 1, 2);
}

static void
attribute(struct made *m, unsigned level, uint32_t id, const void *p, size_t n)
{
	made_le(m, level, 1);
	made_le(m, id, 4);
	made_le(m, n, 4);
	made_add(m, p, n);
	made_le(m, 0, 2);
}

static void
message_attributes(struct made *m)
{
	begin(m);
	attribute(m, 1, 0x00089006, "\0\0\1\0", 4);
	attribute(m, 1, 0x00018004, "Subject", 8);
}

static void
property(struct made *m, uint32_t tag, const void *p, size_t n)
{
	made_le(m, tag, 4);
	made_le(m, 1, 4);
	made_le(m, n, 4);
	made_add(m, p, n);
	made_add(m, "\0\0\0", (4 - n % 4) % 4);
}

static void
assert_made(struct made *m, const char *want)
{
	assert_archive(TNEF, m, want);
	made_free(m);
}

static void
test_plain(void **state)
{
	struct made m = {0};

	(void)state;
	message_attributes(&m);
	assert_made(&m, "");
	message_attributes(&m);
	attribute(&m, 2, 0x00069002, rendering, sizeof(rendering));
	attribute(&m, 2, 0x00018010, "a.txt", 6);
	attribute(&m, 2, 0x0006800f, "hello", 5);
	attribute(&m, 2, 0x00069002, rendering, sizeof(rendering));
	attribute(&m, 2, 0x0006800f, "hello!", 6);
	attribute(&m, 2, 0x00018010, "b.exe", 6);
	assert_made(&m, "a.txt=5/5 b.exe=6/6 ");
}

/* The long name is in the MAPI properties, in UTF-16. */
static void
test_properties(void **state)
{
	struct made p = {0}, m = {0};

	(void)state;
	made_le(&p, 5, 4);
	made_le(&p, 0x80000003, 4); /* a named one, by a string */
	made_data(&p, 16);
	made_le(&p, 1, 4);
	made_le(&p, 6, 4);
	made_data(&p, 8);
	made_le(&p, 7, 4);
	made_le(&p, 0x00030003, 4);
	made_le(&p, 99, 4);
	made_le(&p, 0x10031003, 4); /* several values */
	made_le(&p, 2, 4);
	made_data(&p, 8);
	property(&p, 0x3704001e, "LONGNA~1.TXT", 13);
	property(&p, 0x3707001f, "l\0\xf6\0n\0g\0 \0\x3d\xd8\x00\xde.\0t\0x\0t\0\0\0", 24);
	message_attributes(&m);
	attribute(&m, 2, 0x00069002, rendering, sizeof(rendering));
	attribute(&m, 2, 0x00018010, "LONGNA~1.TXT", 13);
	attribute(&m, 2, 0x0006800f, "hello", 5);
	attribute(&m, 2, 0x00069005, p.p, p.n);
	assert_made(&m, "l\xc3\xb6ng \xf0\x9f\x98\x80.txt=5/5 ");
	made_free(&p);
}

static void
test_two_names(void **state)
{
	struct made p = {0}, m = {0};

	(void)state;
	made_le(&p, 1, 4);
	property(&p, 0x3707001e, "a.exe", 6);
	message_attributes(&m);
	attribute(&m, 2, 0x00069002, rendering, sizeof(rendering));
	attribute(&m, 2, 0x00018010, "a.txt", 6);
	attribute(&m, 2, 0x00069005, p.p, p.n);
	assert_made(&m, "a.exe=?/? a.txt=?/? "
			"ambiguous: title \"a.txt\"; long file name \"a.exe\"");
	made_free(&p);
}

/* Puts the container m into an attachment of another one. */
static void
nest(struct made *m, const char *name)
{
	struct made p = {0}, object = {0}, outer = {0};

	made_data(&object, 16);
	made_add(&object, m->p, m->n);
	made_le(&p, 1, 4);
	property(&p, 0x3701000d, object.p, object.n);
	message_attributes(&outer);
	attribute(&outer, 2, 0x00069002, rendering, sizeof(rendering));
	attribute(&outer, 2, 0x00018010, name, strlen(name) + 1);
	attribute(&outer, 2, 0x00069005, p.p, p.n);
	made_free(&p);
	made_free(&object);
	made_free(m);
	*m = outer;
}

/* M-030: a container in a container, within a stated depth. */
static void
test_m030_nested(void **state)
{
	struct made m = {0};

	(void)state;
	message_attributes(&m);
	attribute(&m, 2, 0x00069002, rendering, sizeof(rendering));
	attribute(&m, 2, 0x00018010, "in.exe", 7);
	attribute(&m, 2, 0x0006800f, "hello", 5);
	nest(&m, "1");
	assert_made(&m, "1=115/115 in.exe=5/5 ");

	message_attributes(&m);
	attribute(&m, 2, 0x00069002, rendering, sizeof(rendering));
	for (char name[2] = "1"; name[0] <= '5'; name[0]++)
		nest(&m, name);
	assert_made(&m, "5=577/577 4=453/453 3=329/329 2=205/205 partial ");
}

/* M-030: lengths are believed only as far as octets come. */
static void
test_m030_lengths(void **state)
{
	struct made m = {0};

	(void)state;
	message_attributes(&m);
	attribute(&m, 2, 0x00069002, rendering, sizeof(rendering));
	made_add(&m, "\2\x10\x80\1\0\xff\xff\xff\xff", 9);
	made_add(&m, "a.txt", 5);
	assert_made(&m, "a.txt=?/? partial fault: the container ends within an attribute");

	message_attributes(&m);
	attribute(&m, 2, 0x00069002, rendering, sizeof(rendering));
	made_add(&m, "\2\x0f\x80\6\0\xff\xff\xff\xff", 9);
	made_data(&m, 100);
	assert_made(&m, "=?/? partial "
			"fault: the container ends within an attribute");

	message_attributes(&m);
	attribute(&m, 2, 0x00069002, rendering, sizeof(rendering));
	attribute(
	    &m, 2, 0x00069005, "\xff\xff\xff\xff\x1e\0\7\x37\xff\xff\xff\xff\xff\xff\xff\xff", 16);
	assert_made(&m, "=?/? partial fault: properties are cut off");

	begin(&m);
	made_data(&m, 50);
	assert_made(&m, "fault: octets that are no attribute");
	made_data(&m, 50);
	assert_made(&m, "fault: no TNEF signature");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_properties),
	    cmocka_unit_test(test_two_names),
	    cmocka_unit_test(test_m030_nested),
	    cmocka_unit_test(test_m030_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
