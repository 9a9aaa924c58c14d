/*
 * What is known of files: plain ones, archives, and messages with what is in them; whole, at every
 * cut, octet by octet, and with memory that runs out at every request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/buf.h"
#include "mime/analyzers_init.h"
#include "mime/mail.h"
#include "tests/unit/alloc.h"
#include "tests/unit/analyzers/mime/archives.h"
#include "tests/unit/analyzers/mime/mail_print.h"

static const char letter[] = "Received: by c\r\n"
			     "From: a@example.org\r\n"
			     "To: b@example.edu, c@example.edu\r\n"
			     "Subject: =?utf-8?Q?h=C3=A9?=\r\n"
			     "MIME-Version: 1.0\r\n"
			     "Content-Type: multipart/mixed; boundary=b\r\n"
			     "\r\n"
			     "--b\r\n"
			     "Content-Type: text/html\r\n"
			     "\r\n"
			     "<a href=\"http://example.org/a\">x</a>\r\n"
			     "--b\r\n"
			     "Content-Type: image/gif; name=\"a.gif\"\r\n"
			     "Content-Transfer-Encoding: base64\r\n"
			     "\r\n"
			     "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRA!A7\r\n"
			     "--b\r\n"
			     "Content-Type: message/rfc822\r\n"
			     "\r\n"
			     "Subject: inner\r\n"
			     "\r\n"
			     "x\r\n"
			     "--b--\r\n";

/* One member. */
static struct made
zip_of_one(void)
{
	const struct zip_entry entry = {.name = "evil.exe", .size = 3, .packed = 3};
	struct made zip = {0};
	uint32_t at;

	zip_local(&zip, &entry);
	made_data(&zip, entry.packed);
	at = (uint32_t)zip.n;
	zip_central(&zip, &entry, 0);
	zip_end(&zip, 1, at, "");
	return zip;
}

static struct mail *
file_new(const char *name)
{
	struct mail_options o;
	struct mail *m;

	mail_options_default(&o);
	m = mail_file_new(&o, span_str(name), false);
	assert_non_null(m);
	return m;
}

static struct mail *
read_file(const char *name, struct span octets)
{
	struct mail *m = file_new(name);

	assert_true(mail_feed(m, octets));
	assert_false(mail_finished(m));
	mail_finish(m);
	assert_true(mail_finished(m));
	assert_false(mail_broken(m));
	assert_true(mail_is_file(m));
	return m;
}

static void
assert_text(struct span s, const char *want)
{
	if (!span_eq(s, span_str(want)))
		fail_msg("'%.*s' where '%s' was expected", (int)s.n, (const char *)s.p, want);
}

/* ---- a file ---- */

static void
test_one_leaf(void **state)
{
	struct mail *m = read_file("up/hello.txt", span_str("hello\r\n"));
	const struct mail_part *p = mail_part(m, 0);
	char text[65];

	(void)state;
	assert_false(mail_is_message(m));
	assert_int_equal(mail_parts(m), 1);
	assert_string_equal(p->path, "1");
	assert_int_equal(p->shape, MIME_LEAF);
	assert_true(p->attachment);
	assert_false(p->type_declared || p->partial || p->generated || p->ambiguous);
	assert_int_equal(p->type.n, 0);
	assert_text(p->detected, "text/plain");
	assert_text(p->filename, "up/hello.txt");
	assert_int_equal(p->size, 7);
	assert_int_equal(p->encoded_size, 7);
	assert_int_equal(p->encoding, MIME_BINARY);
	assert_int_equal(p->n_anomalies, 0);
	assert_int_equal(p->stop_size, UINT64_MAX);
	assert_true(p->has_digests);
	hex(p->sha256, 32, text);
	assert_string_equal(
	    text, "cd2eca3535741f27a8ae40c31b0c41d4057a7a7b912b33b9aed86485d1c84676");
	assert_int_equal(mail_size(m), 7);
	mail_free(m);
}

static void
test_empty_file(void **state)
{
	struct mail *m = read_file("", SPAN_NONE);
	char text[65];

	(void)state;
	assert_int_equal(mail_parts(m), 1);
	assert_text(mail_part(m, 0)->detected, "application/x-empty");
	hex(mail_part(m, 0)->sha256, 32, text);
	assert_string_equal(
	    text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	mail_free(m);
}

/* What a message would make of these octets is no matter: a header, uuencoded text, HTML. */
static void
test_octets_are_no_message(void **state)
{
	static const char *const texts[] = {"begin 644 a.exe\r\n#AAAA\r\n`\r\nend\r\n",
	    "Content-Type: text/html; name=a.exe\r\n\r\nx\r\n",
	    "<html><a href=\"http://example.org/\">x</a></html>\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct mail *m = read_file("a", span_str(texts[i]));

		assert_int_equal(mail_parts(m), 1);
		assert_int_equal(mail_part(m, 0)->n_names, 1);
		assert_int_equal(mail_part(m, 0)->size, strlen(texts[i]));
		assert_int_equal(mail_urls(m), 0);
		mail_free(m);
	}
}

static void
test_name_and_content_contradict(void **state)
{
	struct mail *m = read_file("invoice.pdf", span_of("MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff", 14));

	(void)state;
	assert_text(mail_part(m, 0)->detected, "application/x-dosexec");
	assert_non_null(mail_part(m, 0)->mismatch);
	mail_free(m);
}

static void
test_a_piece(void **state)
{
	struct mail_options o;
	struct mail *m;

	(void)state;
	mail_options_default(&o);
	m = mail_file_new(&o, span_str("a"), true);
	assert_true(mail_part(m, 0)->partial);
	mail_free(m);
}

/* More octets than are kept of a name: its end, which has the extension, is. */
static void
test_long_name(void **state)
{
	static char name[6001];
	struct mail *m;

	(void)state;
	snprintf(name, sizeof(name), "%05996d.exe", 0);
	m = read_file(name, span_str("x"));
	assert_int_equal(mail_part(m, 0)->filename.n, MAIL_TEXT_MAX);
	assert_int_equal(mail_part(m, 0)->n_names, 2);
	assert_true(span_iends(mail_part(m, 0)->names[0], span_str(".exe")));
	mail_free(m);
}

static void
test_members_of_an_archive(void **state)
{
	struct made zip = zip_of_one();
	struct mail *m = read_file("a.eml", span_of(zip.p, zip.n));

	(void)state;
	assert_false(mail_is_message(m)); /* whatever it is called */
	assert_text(mail_part(m, 0)->detected, "application/zip");
	assert_int_equal(mail_part(m, 0)->archive, MAIL_ARCHIVE);
	assert_int_equal(mail_part(m, 0)->n_members, 1);
	assert_text(mail_part(m, 0)->members[0].name, "evil.exe");
	mail_free(m);
	made_free(&zip);
}

/* ---- a message in a file ---- */

static void
test_message_below(void **state)
{
	static const struct {
		const char *path, *type;
		unsigned parent, depth;
		bool attachment;
	} want[] = {{"1", "", 0, 0, true}, {"1", "multipart/mixed", 0, 1, false},
	    {"1.1", "text/html", 1, 2, false}, {"1.2", "image/gif", 1, 2, true},
	    {"1.3", "message/rfc822", 1, 2, false}, {"1.3.1", "text/plain", 4, 3, false}};
	struct mail *m = read_file("note", span_str(letter));

	(void)state;
	assert_true(mail_is_message(m));
	assert_int_equal(mail_parts(m), 6);
	for (size_t i = 0; i < 6; i++) {
		const struct mail_part *p = mail_part(m, i);

		assert_string_equal(p->path, want[i].path);
		assert_text(p->type, want[i].type);
		assert_int_equal(p->parent, want[i].parent);
		assert_int_equal(p->depth, want[i].depth);
		assert_int_equal(p->attachment, want[i].attachment);
		assert_int_equal(p->number, i);
	}
	assert_text(mail_part(m, 0)->detected, "message/rfc822");
	assert_int_equal(mail_part(m, 0)->size, sizeof(letter) - 1);
	assert_text(mail_part(m, 3)->detected, "image/gif");
	assert_int_equal(mail_urls(m), 1);
	mail_free(m);
}

/* Its header is the message's own, and offsets are those in the file. */
static void
test_message_header_and_offsets(void **state)
{
	struct mail *m = read_file("note", span_str(letter));
	const struct mail_header *h = mail_header(m);

	(void)state;
	assert_text(h->subject, "h\xc3\xa9");
	assert_text(h->from, "a@example.org");
	assert_int_equal(h->n_to, 2);
	assert_int_equal(h->received, 1);
	assert_int_equal(mail_part(m, 0)->n_anomalies, 0);
	assert_int_equal(mail_part(m, 1)->offset, 0);
	assert_int_equal(mail_part(m, 2)->offset, strstr(letter, "--b\r\n") + 5 - letter);
	assert_int_equal(mail_part(m, 3)->n_anomalies, 1);
	assert_int_equal(mail_part(m, 3)->anomalies[0].what, MIME_ODD_BASE64);
	mail_free(m);
}

static void
test_called_a_message(void **state)
{
	static const char *const names[] = {"a.eml", "A.EML", "a.eml. ", "b/c.Eml"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct mail *m = read_file(names[i], span_str("Subject: x\r\n\r\nbody\r\n"));

		assert_true(mail_is_message(m));
		assert_int_equal(mail_parts(m), 2);
		assert_string_equal(mail_part(m, 1)->path, "1.1");
		assert_int_equal(mail_part(m, 1)->size, 6);
		assert_text(mail_header(m)->subject, "x");
		mail_free(m);
	}
}

/* Without detection only its name can tell. */
static void
test_types_off(void **state)
{
	struct mail_options o;

	(void)state;
	mail_options_default(&o);
	o.types = false;
	for (int eml = 0; eml < 2; eml++) {
		struct mail *m = mail_file_new(&o, span_str(eml ? "a.eml" : "a"), false);

		assert_non_null(m);
		assert_true(mail_feed(m, span_str(letter)));
		mail_finish(m);
		assert_int_equal(mail_is_message(m), eml);
		assert_int_equal(mail_parts(m), eml ? 6 : 1);
		mail_free(m);
	}
}

static void
test_bound_of_parts(void **state)
{
	struct mail_options o;

	(void)state;
	mail_options_default(&o);
	for (unsigned most = 0; most < 4; most++) {
		struct mail *m;

		o.parts = most;
		m = mail_file_new(&o, span_str("a"), false);
		assert_non_null(m);
		assert_true(mail_feed(m, span_str(letter)));
		mail_finish(m);
		assert_int_equal(mail_parts(m), most == 0 ? 1 : most);
		assert_int_equal(mail_parts(m) + mail_parts_left_out(m), 6);
		mail_free(m);
	}
	mail_options_default(&o);
	for (unsigned most = 1; most < 6; most++) {
		struct mail *m;

		o.mime.parts = most;
		m = mail_file_new(&o, span_str("a"), false);
		assert_non_null(m);
		assert_true(mail_feed(m, span_str(letter)));
		mail_finish(m);
		assert_int_equal(mail_parts(m), most);
		mail_free(m);
	}
}

/* ---- every chunking is the same ---- */

static void
same_as(const struct print *want, struct mail *m, size_t cut)
{
	struct print got;

	mail_finish(m);
	got = print_of(m);
	if (strcmp(got.text, want->text) != 0)
		fail_msg("cut at %zu:\n%s\nwhole:\n%s", cut, got.text, want->text);
	free(got.text);
	mail_free(m);
}

static void
at_every_cut(const char *name, struct span octets)
{
	struct mail *m = read_file(name, octets);
	struct print whole = print_of(m);

	mail_free(m);
	for (size_t cut = 0; cut <= octets.n; cut++) {
		m = file_new(name);
		assert_true(mail_feed(m, span_first(octets, cut)));
		assert_true(mail_feed(m, span_from(octets, cut)));
		same_as(&whole, m, cut);
	}
	m = file_new(name);
	for (size_t i = 0; i < octets.n; i++)
		assert_true(mail_feed(m, span_of(octets.p + i, 1)));
	same_as(&whole, m, 1);
	free(whole.text);
}

static void
test_any_chunking(void **state)
{
	struct made zip = zip_of_one();
	struct buf text;

	(void)state;
	at_every_cut("note", span_str(letter));
	at_every_cut("note.eml", span_str("<html><a href=\"http://a.example/\">x</a>\r\n"));
	at_every_cut("a.zip", span_of(zip.p, zip.n));
	made_free(&zip);

	/* the type is known long before the end */
	buf_init(&text, 1u << 16);
	buf_str(&text, letter);
	while (text.n < 5000)
		buf_str(&text, "behind http://example.org/\r\n");
	at_every_cut("note", buf_span(&text));
	at_every_cut("note.eml", span_from(buf_span(&text), 10));
	buf_free(&text);
}

/* ---- memory that runs out ---- */

static void
test_no_memory(void **state)
{
	unsigned n = 1, none = 0, broken = 0;
	struct mail_options o;

	(void)state;
	mail_options_default(&o);
	for (;; n++) {
		struct mail *m;
		bool fed = true;

		alloc_fail_at(n);
		m = mail_file_new(&o, span_str("a.eml"), false);
		if (m != NULL) {
			fed = mail_feed(m, span_str(letter));
			mail_finish(m);
		}
		if (!alloc_failed()) {
			assert_true(m != NULL && fed && !mail_broken(m));
			mail_free(m);
			break;
		}
		none += m == NULL;
		if (m != NULL && mail_broken(m)) {
			broken++;
			assert_true(mail_parts(m) > 0 && mail_finished(m));
			assert_false(mail_feed(m, span_str("x")));
		} else if (m != NULL) {
			assert_true(fed);
		}
		mail_free(m);
	}
	assert_true(none > 1 && broken > 20);
}

static int
set_up(void **state)
{
	const char *why;

	(void)state;
	return analyzers_init(false, &why) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	analyzers_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_leaf),
	    cmocka_unit_test(test_empty_file),
	    cmocka_unit_test(test_octets_are_no_message),
	    cmocka_unit_test(test_name_and_content_contradict),
	    cmocka_unit_test(test_a_piece),
	    cmocka_unit_test(test_long_name),
	    cmocka_unit_test(test_members_of_an_archive),
	    cmocka_unit_test(test_message_below),
	    cmocka_unit_test(test_message_header_and_offsets),
	    cmocka_unit_test(test_called_a_message),
	    cmocka_unit_test(test_types_off),
	    cmocka_unit_test(test_bound_of_parts),
	    cmocka_unit_test(test_any_chunking),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
