/*
 * Parts without their message: what is known of each is what is known of it in the message; whole,
 * at every cut, octet by octet, with a hostile header, and with memory that runs out.
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
#include "tests/unit/analyzers/mime/mail_print.h"

/* Parts of one multipart/related: as they stand in the message, and as a server speaks of them. */
struct row {
	const char *header;
	const char *type, *subtype, *parameters, *encoding, *disposition, *id;
	const char *body;
};

static const struct row rows[] = {
    {"Content-Type: text/html; charset=utf-8\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n",
	"TEXT", "HTML", "; CHARSET=\"utf-8\"", "QUOTED-PRINTABLE", "", "",
	"<a href=3D\"http://example.org/a\">caf=C3=A9</a>\r\n"},
    {"Content-Type: image/gif; name=\"a.gif\"\r\nContent-ID: <1@a>\r\n"
     "Content-Transfer-Encoding: base64\r\n",
	"image", "gif", "; name=\"a.gif\"", "base64", "", "<1@a>",
	"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRA!A7"},
    {"Content-Type: image/gif\r\nContent-ID: <2@a>\r\nContent-Transfer-Encoding: base64\r\n",
	"image", "gif", "", "base64", "", "<2@a>", "R0lGODlhAQABAIAAAA=="},
    {"Content-Type: application/pdf\r\n"
     "Content-Disposition: attachment; filename*=utf-8''r%C3%A9sum%C3%A9.exe\r\n",
	"application", "pdf", "NIL", "7bit", "attachment; filename*=utf-8''r%C3%A9sum%C3%A9.exe",
	"", "MZ\x90\r\n.\r\n"},
    {"Content-Type: message/rfc822\r\n", "message", "rfc822", "", "7BIT", "", "",
	"Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
	"--i\r\n\r\nsee http://example.net/b\r\n"
	"--i\r\nContent-Type: text/plain; name=x.txt\r\n\r\nx\r\n--i--\r\n"},
    {"Content-Type: message/rfc822\r\n", "message", "rfc822", "", "7BIT", "", "",
	"Subject: inner\r\n\r\nbegin 644 b.txt\r\n#86)C\r\n`\r\nend\r\n"},
    {"Content-Type: multipart/alternative; boundary=\"a b\"\r\n", "multipart", "alternative",
	"; boundary=\"a b\"", "", "", "",
	"before\r\n--a b\r\n\r\none\r\n--a b\r\nContent-Type: text/html\r\n\r\n<p>two</p>\r\n"
	"--a b--\r\nbehind http://example.net/c\r\n"},
    {"Content-Type: text/plain\r\n", "text", "plain", "", "7bit", "", "",
	"begin 644 a.txt\r\n#86)C\r\n`\r\nend\r\n"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static struct span
said_text(const char *text)
{
	return strcmp(text, "NIL") == 0 ? SPAN_NONE : span_str(text);
}

static struct mail *
alone_new(const struct row *row, const char *path)
{
	const struct mail_said said = {.path = span_str(path),
	    .type = said_text(row->type),
	    .subtype = said_text(row->subtype),
	    .parameters = said_text(row->parameters),
	    .encoding = said_text(row->encoding),
	    .disposition = said_text(row->disposition),
	    .content_id = said_text(row->id),
	    .related = true};
	struct mail_options o;
	struct mail *m;

	mail_options_default(&o);
	m = mail_part_new(&o, &said);
	assert_non_null(m);
	return m;
}

static struct mail *
alone(const struct row *row, const char *path)
{
	struct mail *m = alone_new(row, path);

	assert_true(mail_feed(m, span_str(row->body)));
	mail_finish(m);
	assert_false(mail_broken(m));
	assert_int_equal(mail_size(m), strlen(row->body));
	return m;
}

static struct mail *
whole_message(void)
{
	struct mail_options o;
	struct mail *m;
	struct buf text;

	buf_init(&text, 1u << 16);
	buf_str(&text, "MIME-Version: 1.0\r\n"
		       "Content-Type: multipart/related; boundary=o\r\n\r\n");
	for (size_t i = 0; i < ROWS; i++) {
		buf_str(&text, "--o\r\n");
		buf_str(&text, rows[i].header);
		buf_str(&text, "\r\n");
		buf_str(&text, rows[i].body);
		buf_str(&text, "\r\n");
	}
	buf_str(&text, "--o--\r\n");
	assert_false(text.failed);
	mail_options_default(&o);
	m = mail_new(&o);
	assert_non_null(m);
	assert_true(mail_feed(m, buf_span(&text)));
	mail_finish(m);
	buf_free(&text);
	return m;
}

/* ---- the same as in the message ---- */

static void
assert_same_text(struct span a, struct span b, const char *path)
{
	if (!span_eq(a, b))
		fail_msg("%s: '%.*s' alone, '%.*s' in the message", path, (int)a.n,
		    (const char *)a.p, (int)b.n, (const char *)b.p);
}

static void
assert_same_anomalies(const struct mail_part *a, const struct mail_part *b, uint64_t base)
{
	assert_int_equal(a->n_anomalies, b->n_anomalies);
	for (size_t i = 0; i < a->n_anomalies; i++) {
		assert_int_equal(a->anomalies[i].what, b->anomalies[i].what);
		assert_int_equal(a->anomalies[i].off, b->anomalies[i].off - base);
	}
}

/* base: octets of the message in front of what was fed. */
static void
assert_same_part(const struct mail_part *a, const struct mail_part *b, uint64_t base)
{
	assert_string_equal(a->path, b->path);
	assert_int_equal(a->shape, b->shape);
	assert_int_equal(a->generated, b->generated);
	assert_int_equal(a->attachment, b->attachment);
	assert_int_equal(a->type_declared, b->type_declared);
	assert_int_equal(a->encoding, b->encoding);
	assert_same_text(a->type, b->type, a->path);
	assert_same_text(a->detected, b->detected, a->path);
	assert_same_text(a->charset, b->charset, a->path);
	assert_same_text(a->disposition, b->disposition, a->path);
	assert_same_text(a->filename, b->filename, a->path);
	assert_same_text(a->filename_raw, b->filename_raw, a->path);
	assert_same_text(a->content_id, b->content_id, a->path);
	assert_int_equal(a->encoded_size, b->encoded_size);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->lines, b->lines);
	assert_int_equal(a->has_digests, b->has_digests);
	assert_memory_equal(a->sha256, b->sha256, sizeof(a->sha256));
	assert_int_equal(a->n_names, b->n_names);
	assert_int_equal(a->ambiguous, b->ambiguous);
	assert_ptr_equal(a->mismatch, b->mismatch);
	assert_int_equal(a->header_size, a->number == 0 ? 0 : b->header_size);
	assert_int_equal(a->offset, a->number == 0 ? 0 : b->offset - base);
	assert_same_anomalies(a, b, base);
}

/* Part i of the message with everything below it; returns how many parts of it those are. */
static size_t
compare(const struct mail *whole, size_t first, size_t i)
{
	const struct mail_part *root = mail_part(whole, first);
	const uint64_t base = root->offset + root->header_size;
	char path[16];
	struct mail *m;
	size_t n;

	snprintf(path, sizeof(path), "%zu", i + 1);
	m = alone(&rows[i], path);
	n = mail_parts(m);
	for (size_t k = 0; k < n; k++)
		assert_same_part(mail_part(m, k), mail_part(whole, first + k), base);
	mail_free(m);
	return n;
}

static void
test_same_as_in_the_message_I7(void **state)
{
	struct mail *whole = whole_message();
	size_t first = 1;

	(void)state;
	for (size_t i = 0; i < ROWS; i++)
		first += compare(whole, first, i);
	assert_int_equal(first, mail_parts(whole));
	assert_int_equal(first, 1 + 4 + 4 + 3 + 3 + 2);
	mail_free(whole);
}

static void
assert_paths(const struct row *row, const char *path, const char *const *want, size_t n)
{
	struct mail *m = alone(row, path);

	assert_int_equal(mail_parts(m), n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(mail_part(m, i)->path, want[i]);
	mail_free(m);
}

static void
test_paths(void **state)
{
	static const char *const leaf[] = {"1"},
				 *const message[] = {"3.1", "3.1", "3.1.1", "3.1.2"},
				 *const single[] = {"4", "4.1", "4.1.1"},
				 *const multipart[] = {"2.7", "2.7.1", "2.7.2"};

	(void)state;
	assert_paths(&rows[0], "", leaf, 1);
	assert_paths(&rows[4], "3.1", message, 4);
	assert_paths(&rows[5], "4", single, 3);
	assert_paths(&rows[6], "2.7", multipart, 3);
}

/* A path of any length is bounded, and what is below it has at least the path of the part. */
static void
test_path_too_long(void **state)
{
	char path[2 * MIME_PATH_MAX];
	struct mail *m;

	(void)state;
	memset(path, '1', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	m = alone(&rows[6], path);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(strlen(mail_part(m, i)->path), MIME_PATH_MAX - 1);
	mail_free(m);
}

/* ---- what is said of it ---- */

/* Nothing is known: its octets speak for it, as those of a file. */
static void
test_nothing_known(void **state)
{
	const struct row row = {.type = "",
	    .subtype = "",
	    .parameters = "",
	    .encoding = "",
	    .disposition = "",
	    .id = "",
	    .body = "%PDF-1.4\r\n"};
	struct mail *m = alone(&row, "2");
	const struct mail_part *p = mail_part(m, 0);

	(void)state;
	assert_int_equal(p->type.n, 0);
	assert_false(p->type_declared);
	assert_true(p->attachment);
	assert_true(span_eq(p->detected, span_str("application/pdf")));
	assert_int_equal(p->size, 10);
	mail_free(m);
}

/* BINARY[2]: the server has undone the encoding, and says all the same which it was. */
static void
test_decoded_by_the_server(void **state)
{
	const struct mail_said said = {.path = span_str("2"),
	    .type = span_str("application"),
	    .subtype = span_str("octet-stream"),
	    .encoding = span_str("base64"),
	    .decoded = true};
	struct mail_options o;
	struct mail *m;

	(void)state;
	mail_options_default(&o);
	m = mail_part_new(&o, &said);
	assert_true(mail_feed(m, span_of("aGVsbG8=\0\r\n", 11)));
	mail_finish(m);
	assert_int_equal(mail_part(m, 0)->size, 11);
	assert_int_equal(mail_part(m, 0)->encoding, MIME_BINARY);
	mail_free(m);
}

/* A server's texts stay within their field, whatever is in them. */
static void
test_texts_forge_no_field(void **state)
{
	static const char evil[] =
	    "a\r\nContent-Transfer-Encoding: base64\r\n\r\nbody\r\n\n\r\0\r\n";
	const struct span text = span_of(evil, sizeof(evil) - 1);
	struct mail_options o;

	(void)state;
	mail_options_default(&o);
	for (unsigned i = 0; i < 6; i++) {
		struct mail_said said = {.path = span_str("1"), .type = span_str("text")};
		struct span *const each[] = {&said.type, &said.subtype, &said.parameters,
		    &said.encoding, &said.disposition, &said.content_id};
		struct mail *m;

		*each[i] = text;
		m = mail_part_new(&o, &said);
		assert_true(mail_feed(m, span_str("aGVsbG8=")));
		mail_finish(m);
		assert_int_equal(mail_parts(m), 1);
		assert_int_not_equal(mail_part(m, 0)->encoding, MIME_BASE64);
		assert_int_equal(mail_part(m, 0)->size, 8);
		assert_int_equal(mail_part(m, 0)->encoded_size, 8);
		assert_int_equal(mail_part(m, 0)->offset, 0);
		mail_free(m);
	}
}

/* Longer than any header may be: what is known stays bounded, and the content is looked at. */
static void
test_texts_of_any_length(void **state)
{
	static char text[1u << 20];
	const struct mail_said said = {.type = span_str("text"),
	    .subtype = span_str("plain"),
	    .parameters = span_of(text, sizeof(text)),
	    .disposition = span_of(text, sizeof(text)),
	    .content_id = span_of(text, sizeof(text))};
	struct mail_options o;
	struct mail *m;

	(void)state;
	memset(text, 'x', sizeof(text));
	mail_options_default(&o);
	m = mail_part_new(&o, &said);
	assert_non_null(m);
	assert_true(mail_feed(m, span_str("hello")));
	mail_finish(m);
	assert_int_equal(mail_part(m, 0)->size, 5);
	assert_int_equal(mail_size(m), 5);
	mail_free(m);
}

/* ---- every chunking is the same ---- */

static void
same_as(const struct print *want, struct mail *m, const char *path, size_t cut)
{
	struct print got;

	mail_finish(m);
	got = print_of(m);
	if (strcmp(got.text, want->text) != 0)
		fail_msg("%s cut at %zu:\n%s\nwhole:\n%s", path, cut, got.text, want->text);
	free(got.text);
	mail_free(m);
}

static void
test_any_chunking(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		const struct span body = span_str(rows[i].body);
		struct mail *m = alone(&rows[i], "1.2");
		struct print whole = print_of(m);

		mail_free(m);
		for (size_t cut = 0; cut <= body.n; cut++) {
			m = alone_new(&rows[i], "1.2");
			assert_true(mail_feed(m, span_first(body, cut)));
			assert_true(mail_feed(m, span_from(body, cut)));
			same_as(&whole, m, "1.2", cut);
		}
		m = alone_new(&rows[i], "1.2");
		for (size_t k = 0; k < body.n; k++)
			assert_true(mail_feed(m, span_of(body.p + k, 1)));
		same_as(&whole, m, "1.2", 1);
		free(whole.text);
	}
}

/* ---- memory that runs out ---- */

static void
test_no_memory(void **state)
{
	const struct mail_said said = {.path = span_str("2.1"),
	    .type = span_str("multipart"),
	    .subtype = span_str("mixed"),
	    .parameters = span_str("; boundary=\"a b\"")};
	unsigned n = 1, none = 0, broken = 0;
	struct mail_options o;

	(void)state;
	mail_options_default(&o);
	for (;; n++) {
		struct mail *m;
		bool fed = true;

		alloc_fail_at(n);
		m = mail_part_new(&o, &said);
		if (m != NULL) {
			fed = mail_feed(m, span_str(rows[6].body));
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
			assert_true(mail_finished(m));
			assert_false(mail_feed(m, span_str("x")));
		}
		mail_free(m);
	}
	assert_true(none > 5 && broken > 5);
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
	    cmocka_unit_test(test_same_as_in_the_message_I7),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_path_too_long),
	    cmocka_unit_test(test_nothing_known),
	    cmocka_unit_test(test_decoded_by_the_server),
	    cmocka_unit_test(test_texts_forge_no_field),
	    cmocka_unit_test(test_texts_of_any_length),
	    cmocka_unit_test(test_any_chunking),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
