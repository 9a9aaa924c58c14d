/*
 * What is known of messages that are written here, whole, at every cut, octet by octet, and with
 * memory that runs out at every request.
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

#define EXECUTABLE                                                                                 \
	"TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"                     \
	"AAAAAAAAAAAAAAAAgAAAAA4fug4AtAnNIbgBTM0hVGhpcyBwcm9ncmFtIGNhbm5v\r\n"

static const char letter[] = "Received: by c\r\n"
			     "Received: by b\r\n"
			     "From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\r\n"
			     "To: Otto <otto@example.edu>, \"Berg, Emma\" <emma@example.edu>\r\n"
			     "To: third@example.edu\r\n"
			     "Cc: list:a@example.edu,b@example.edu;\r\n"
			     "Reply-To: c@example.org\r\n"
			     "Subject: =?utf-8?B?SGVsbG8gV8O2?=\r\n"
			     " =?utf-8?B?cmxk?=\r\n"
			     "Date: Fri, 27 Nov 2026 03:00:00 +0000\r\n"
			     "Message-ID: <1@example.org>\r\n"
			     "X-Mailer: Pigeon 2\r\n"
			     "MIME-Version: 1.0\r\n"
			     "Content-Type: multipart/mixed; boundary=b\r\n"
			     "\r\n"
			     "--b\r\n"
			     "Content-Type: text/plain; charset=utf-8\r\n"
			     "\r\n"
			     "hello\r\n"
			     "\r\n"
			     "--b\r\n"
			     "Content-Type: multipart/related; boundary=c\r\n"
			     "\r\n"
			     "--c\r\n"
			     "Content-Type: text/html\r\n"
			     "\r\n"
			     "<a href=\"http://example.org/a\">x</a>\r\n"
			     "--c\r\n"
			     "Content-Type: image/gif\r\n"
			     "Content-ID: <pic>\r\n"
			     "Content-Transfer-Encoding: base64\r\n"
			     "\r\n"
			     "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7\r\n"
			     "--c--\r\n"
			     "--b\r\n"
			     "Content-Type: application/pdf; name=\"invoice.exe\"\r\n"
			     "Content-Disposition: attachment; filename=\"invoice.pdf\"\r\n"
			     "Content-Transfer-Encoding: base64\r\n"
			     "\r\n" EXECUTABLE "--b--\r\n";

static const char two_alphabets[] = "Content-Transfer-Encoding: base64\r\n\r\n"
				    "aGVs--8_\r\naGVsbG8=\r\n";

static const char outside_of_parts[] =
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "http://example.org/a\r\n"
    "=ybegin line=128 size=9 name=one.exe\r\nabc\r\n=yend size=9\r\n"
    "--b\r\n\r\nhello\r\n--b--\r\n"
    "http://example.org/b\r\n"
    "=ybegin line=128 size=9 name=two.exe\r\nabc\r\n=yend size=9\r\n";

static struct mail *
read_whole(const struct mail_options *o, const char *text)
{
	struct mail *m = mail_new(o);

	assert_non_null(m);
	assert_true(mail_feed(m, span_str(text)));
	assert_false(mail_finished(m));
	mail_finish(m);
	assert_true(mail_finished(m));
	assert_false(mail_broken(m));
	return m;
}

static struct mail *
read_letter(const char *text)
{
	struct mail_options o;

	mail_options_default(&o);
	return read_whole(&o, text);
}

static void
assert_text(struct span s, const char *want)
{
	if (!span_eq(s, span_str(want)))
		fail_msg("'%.*s' where '%s' was expected", (int)s.n, (const char *)s.p, want);
}

static const struct mail_part *
part_at(const struct mail *m, const char *path)
{
	for (size_t i = 0; i < mail_parts(m); i++)
		if (strcmp(mail_part(m, i)->path, path) == 0)
			return mail_part(m, i);
	fail_msg("there is no part %s", path);
	return NULL;
}

/* ---- the header ---- */

static void
test_header_M3(void **state)
{
	struct mail *m = read_letter(letter);
	const struct mail_header *h = mail_header(m);

	(void)state;
	assert_text(h->from, "J\xc3\xbcrgen <j@example.org>");
	assert_text(h->subject, "Hello W\xc3\xb6rld");
	assert_text(h->date, "Fri, 27 Nov 2026 03:00:00 +0000");
	assert_text(h->message_id, "<1@example.org>");
	assert_text(h->x_mailer, "Pigeon 2");
	assert_int_equal(h->received, 2);
	assert_int_equal(h->n_to, 3);
	assert_text(h->to[0], "Otto <otto@example.edu>");
	assert_text(h->to[2], "third@example.edu");
	assert_int_equal(h->n_cc, 2);
	assert_text(h->cc[1], "b@example.edu");
	assert_int_equal(h->n_bcc, 0);
	assert_int_equal(h->n_reply_to, 1);
	assert_int_equal(h->addresses_left_out, 0);
	assert_int_equal(mail_size(m), sizeof(letter) - 1);
	mail_free(m);
}

static void
test_addresses_are_bounded_M_022(void **state)
{
	struct buf text;
	struct mail *m;

	(void)state;
	buf_init(&text, 1u << 20);
	buf_str(&text, "To: a@b.example");
	for (unsigned i = 0; i < 999; i++)
		buf_str(&text, ",\r\n a@b.example");
	buf_str(&text, "\r\n\r\nx\r\n");
	buf_octet(&text, '\0');
	m = read_letter((const char *)text.p);
	assert_int_equal(mail_header(m)->n_to, 100);
	assert_int_equal(mail_header(m)->addresses_left_out, 900);
	mail_free(m);
	buf_free(&text);
}

/* ---- parts ---- */

static void
test_tree_M1_M5(void **state)
{
	static const struct {
		const char *path, *type;
		unsigned depth;
		bool attachment;
	} want[] = {{"", "multipart/mixed", 0, false}, {"1", "text/plain", 1, false},
	    {"2", "multipart/related", 1, false}, {"2.1", "text/html", 2, false},
	    {"2.2", "image/gif", 2, false}, {"3", "application/pdf", 1, true}};
	struct mail *m = read_letter(letter);

	(void)state;
	assert_int_equal(mail_parts(m), 6);
	for (size_t i = 0; i < 6; i++) {
		const struct mail_part *p = mail_part(m, i);

		assert_string_equal(p->path, want[i].path);
		assert_text(p->type, want[i].type);
		assert_int_equal(p->depth, want[i].depth);
		assert_int_equal(p->attachment, want[i].attachment);
		assert_int_equal(p->number, i);
	}
	assert_int_equal(mail_part(m, 4)->parent, 2);
	mail_free(m);
}

static void
hex(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

/* M-025: the extension of a long name is not lost, and neither is that facts did not fit. */
static void
test_long_names_M025(void **state)
{
	static char text[9000];
	struct mail_options o;
	struct mail *m;
	const struct mail_part *p;
	int n;

	(void)state;
	n = snprintf(text, sizeof(text),
	    "Content-Disposition: attachment; filename=\"%05000d.exe\""
	    "\r\n\r\nx\r\n",
	    0);
	assert_in_range(n, 5000, sizeof(text) - 1);
	mail_options_default(&o);
	m = mail_new(&o);
	assert_non_null(m);
	assert_true(mail_feed(m, span_str(text)));
	mail_finish(m);
	p = part_at(m, "1");
	assert_int_equal(p->n_names, 2);
	assert_int_equal(p->names[0].n, 256); /* the worst */
	assert_memory_equal(p->names[0].p + 252, ".exe", 4);
	assert_int_equal(p->names[1].n, MAIL_TEXT_MAX);
	assert_false(mail_facts_left_out(m));
	mail_free(m);

	m = mail_new(&o);
	assert_non_null(m);
	assert_true(mail_feed(m, span_str("Content-Type: multipart/mixed; boundary=B\r\n\r\n")));
	for (int i = 0; i < 300; i++)
		assert_true(mail_feed(m, span_str("--B\r\n")) && mail_feed(m, span_str(text)));
	mail_finish(m);
	assert_true(mail_facts_left_out(m));
	mail_free(m);
}

/* M-032, M-033: files within a text are files by their names, in whatever chunks they come. */
static void
test_files_in_texts_M032_M033(void **state)
{
	static const char text[] =
	    "Content-Type: text/plain\r\n\r\n"
	    "=y\r\n=ybegin line=128 size=9 name=evil file.exe\r\nabc\r\n=yend size=9\r\n"
	    " =ybegin line=128 size=9 name=no.exe\r\n"
	    "(This file must be converted with BinHex 4.0)\r\n\r\n"
	    ":#R*PF'pbG#jPH'8!39\"36*!!N!#3!*\r\n!!!!!!!!!&!!!!\"`!!";
	struct mail_options o;

	(void)state;
	mail_options_default(&o);
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		struct mail *m = mail_new(&o);
		const struct mail_part *p;

		assert_non_null(m);
		assert_true(mail_feed(m, span_first(span_str(text), cut)));
		assert_true(mail_feed(m, span_from(span_str(text), cut)));
		mail_finish(m);
		p = part_at(m, "1");
		assert_int_equal(p->n_names, 2);
		assert_true(span_eq(p->names[0], span_str("evil file.exe")) ||
			    span_eq(p->names[1], span_str("evil file.exe")));
		assert_true(span_eq(p->names[0], span_str("report.exe")) ||
			    span_eq(p->names[1], span_str("report.exe")));
		assert_int_equal(p->n_anomalies, 2); /* and no MIME-Version */
		assert_int_equal(p->anomalies[1].what, MIME_ODD_INLINE_CODED);
		assert_string_equal(p->anomalies[1].detail, "yEnc");
		mail_free(m);
	}
}

/* A boundary that never comes: the text is a leaf with all that is known of leaves. */
static void
test_multipart_without_parts_M_012(void **state)
{
	struct mail *m = read_letter("MIME-Version: 1.0\r\n"
				     "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
				     "MZ\x90 http://example.org/a\r\n");
	const struct mail_part *p = mail_part(m, 0);
	char digest[65];

	(void)state;
	assert_int_equal(mail_parts(m), 1);
	assert_int_equal(p->shape, MIME_LEAF);
	assert_true(p->attachment);
	assert_true(p->has_digests);
	assert_int_equal(p->size, 26);
	hex(p->sha256, 32, digest);
	assert_string_equal(
	    digest, "0ce2580f6a900e8d4749287cf01f643595b4ebb4d03bb35c616ccb1125ae7a4b");
	assert_false(p->detection_left_out);
	assert_text(p->detected, "application/x-dosexec");
	assert_int_equal(mail_urls(m), 1);
	mail_free(m);
}

/* Before the first part and behind the last: links and files, but no leaf, and none of its costs.
 */
static void
test_outside_of_parts_M_012(void **state)
{
	struct mail_options o;

	(void)state;
	mail_options_default(&o);
	o.detected = 1;
	for (size_t cut = 0; cut < sizeof(outside_of_parts); cut++) {
		struct mail *m = mail_new(&o);
		const struct mail_part *p;

		assert_non_null(m);
		assert_true(mail_feed(m, span_first(span_str(outside_of_parts), cut)));
		assert_true(mail_feed(m, span_from(span_str(outside_of_parts), cut)));
		mail_finish(m);
		assert_int_equal(mail_parts(m), 2);
		p = mail_part(m, 0);
		assert_int_equal(p->shape, MIME_MULTIPART);
		assert_false(p->has_digests || p->attachment || p->detection_left_out);
		assert_int_equal(p->detected.n, 0);
		assert_int_equal(p->n_names, 2);
		assert_int_equal(mail_urls(m), 2);
		assert_text(mail_part(m, 1)->detected, "text/plain");
		mail_free(m);
	}
}

/* Both digests, in whatever chunks the octets come: "hello", "world". */
static void
test_digest_up_to_padding_M016(void **state)
{
	static const char text[] = "Content-Transfer-Encoding: base64\r\n\r\n"
				   "aGVsbG8=\r\nd29ybGQ=\r\n";
	struct mail_options o;
	char digest[65];

	(void)state;
	mail_options_default(&o);
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		struct mail *m = mail_new(&o);
		const struct mail_part *p;

		assert_non_null(m);
		assert_true(mail_feed(m, span_first(span_str(text), cut)));
		assert_true(mail_feed(m, span_from(span_str(text), cut)));
		mail_finish(m);
		p = part_at(m, "1");
		assert_int_equal(p->size, 10);
		assert_int_equal(p->stop_size, 5);
		assert_true(p->has_stop_sha256);
		hex(p->sha256, 32, digest);
		assert_string_equal(
		    digest, "936a185caaa266bb9cbe981e9e05cb78cd732b0b3280eb944412bb6f8f8f07af");
		hex(p->stop_sha256, 32, digest);
		assert_string_equal(
		    digest, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
		mail_free(m);
	}
}

/* Both alphabets, in whatever chunks the octets come; what came before belongs to both. */
static void
test_url_safe_digest_M_016(void **state)
{
	struct mail_options o;
	char digest[65];

	(void)state;
	mail_options_default(&o);
	for (size_t cut = 0; cut < sizeof(two_alphabets); cut++) {
		struct mail *m = mail_new(&o);
		const struct mail_part *p;

		assert_non_null(m);
		assert_true(mail_feed(m, span_first(span_str(two_alphabets), cut)));
		assert_true(mail_feed(m, span_from(span_str(two_alphabets), cut)));
		mail_finish(m);
		p = part_at(m, "1");
		assert_true(p->ambiguous);
		assert_int_equal(p->size, 9);
		hex(p->sha256, 32, digest);
		assert_string_equal(
		    digest, "6b191db20bfbc70eeefbef5a2d8361b51ef752e812a795eb6ca76cf31554ba23");
		assert_int_equal(p->url_safe_size, 11);
		assert_true(p->has_url_safe_sha256);
		hex(p->url_safe_sha256, 32, digest);
		assert_string_equal(
		    digest, "815c781d204cc2f29881e10d35ef2cd66ceb92d6569bed3af0674b77c0b182be");
		mail_free(m);
	}
}

static void
test_digests_of_decoded_octets_M6_M13(void **state)
{
	struct mail_options o;
	char text[65];
	const struct mail_part *p;
	struct mail *m;

	(void)state;
	mail_options_default(&o);
	o.sha1 = o.md5 = true;
	m = read_whole(&o, letter);
	p = part_at(m, "1"); /* it has no name: "hello" CR LF */
	assert_true(p->has_digests);
	assert_int_equal(p->size, 7);
	hex(p->sha256, 32, text);
	assert_string_equal(
	    text, "cd2eca3535741f27a8ae40c31b0c41d4057a7a7b912b33b9aed86485d1c84676");
	hex(p->sha1, 20, text);
	assert_string_equal(text, "aa5916ae7fd159a18b1b72ea905c757207e26689");
	hex(p->md5, 16, text);
	assert_string_equal(text, "af5597c29467a96523a70787c319f4db");
	p = part_at(m, "3");
	assert_int_equal(p->size, 96);
	assert_int_equal(p->encoded_size, 130);
	assert_int_equal(p->stop_size, UINT64_MAX);
	assert_false(p->has_stop_sha256);
	hex(p->sha256, 32, text);
	assert_string_equal(
	    text, "1adfdfa3eebe592536d592d3431094fe621573891b92b33fdf86304f82c83ffa");
	assert_false(part_at(m, "")->has_digests);
	mail_free(m);
}

static void
test_types_and_names_M7_M_024(void **state)
{
	struct mail *m = read_letter(letter);
	const struct mail_part *p = part_at(m, "3");

	(void)state;
	assert_text(p->detected, "application/x-dosexec");
	assert_non_null(p->mismatch);
	assert_text(p->filename, "invoice.pdf");
	assert_int_equal(p->n_names, 2);
	assert_text(p->names[0], "invoice.exe"); /* the worst first */
	assert_text(p->names[1], "invoice.pdf");
	assert_text(part_at(m, "2.2")->detected, "image/gif");
	assert_null(part_at(m, "2.2")->mismatch);
	mail_free(m);
}

static void
test_what_is_an_attachment(void **state)
{
	static const struct {
		const char *header;
		bool attachment;
	} rows[] = {{"Content-Type: text/plain", false}, {"Content-Type: text/html", false},
	    {"Content-Type: text/plain; name=a.txt", true},
	    {"Content-Type: text/plain\r\nContent-Disposition: attachment", true},
	    {"Content-Type: text/plain\r\nContent-Disposition: inline", false},
	    {"Content-Type: image/png", true}, {"Content-Type: image/png\r\nContent-ID: <a>", true},
	    {"Content-Type: message/delivery-status", false},
	    {"Content-Type: message/delivery-status; name=a", true},
	    {"Content-Type: application/octet-stream\r\nContent-Disposition: inline", true}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];
		struct mail *m;

		snprintf(text, sizeof(text), "%s\r\n\r\nx\r\n", rows[i].header);
		m = read_letter(text);
		if (mail_part(m, 0)->attachment != rows[i].attachment)
			fail_msg("%s", rows[i].header);
		mail_free(m);
	}
}

static void
test_anomalies_stand_at_their_parts_M14(void **state)
{
	struct mail *m = read_letter("MIME-Version: 1.0\r\n"
				     "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
				     "--b\r\n\r\nx\r\n"
				     "--b\r\n"
				     "Content-Transfer-Encoding: base64\r\n\r\n"
				     "aGVs!!!bG8=\r\n"
				     "--b--\r\n");
	const struct mail_part *p = part_at(m, "2");
	bool found = false;

	(void)state;
	for (size_t i = 0; i < p->n_anomalies; i++)
		found =
		    found || (p->anomalies[i].what == MIME_ODD_BASE64 && p->anomalies[i].off > 100);
	assert_true(found);
	assert_int_equal(part_at(m, "1")->n_anomalies, 0);
	mail_free(m);
}

static void
test_ambiguous_M_002(void **state)
{
	struct mail *m = read_letter("Content-Type: multipart/mixed; boundary=a\r\n"
				     "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
				     "--b\r\nContent-Type: application/x; name=a.exe\r\n\r\nx\r\n"
				     "--b--\r\n");
	bool told = false;

	(void)state;
	for (size_t i = 0; i < mail_parts(m); i++)
		for (size_t k = 0; k < mail_part(m, i)->n_anomalies; k++) {
			const struct mail_anomaly *a = &mail_part(m, i)->anomalies[k];

			told = told || (a->what == MIME_ODD_AMBIGUOUS && a->detail != NULL &&
					   mail_part(m, i)->ambiguous);
		}
	assert_true(told);
	mail_free(m);
}

/* More oddities than are told, and then a part that is read in two ways. */
static void
test_trifles_hide_nothing_M_002(void **state)
{
	static const char trifle[] = "--b\r\nContent-Type: text/plain; x=\xff\r\n"
				     "Content-Transfer-Encoding: none\r\n\r\nx\r\n";
	static const char twice[] = "--b\r\nContent-Type: text/plain\r\n"
				    "Content-Type: application/x; name=a.exe\r\n\r\nx\r\n--b--\r\n";
	struct buf text;
	struct mail *m;

	(void)state;
	buf_init(&text, 1u << 20);
	buf_str(&text, "MIME-Version: 1.0\r\n"
		       "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (size_t i = 0; i < 900; i++)
		buf_str(&text, trifle);
	buf_str(&text, twice);
	buf_octet(&text, '\0');
	assert_false(text.failed);
	m = read_letter((const char *)text.p);
	assert_true(mail_anomalies_left_out(m) > 0);
	assert_false(part_at(m, "900")->ambiguous);
	assert_true(part_at(m, "901")->ambiguous);
	mail_free(m);
	buf_free(&text);
}

/* ---- options ---- */

static void
test_switched_off(void **state)
{
	struct mail_options o;
	struct mail *m;

	(void)state;
	mail_options_default(&o);
	o.sha256 = o.types = o.archives = o.urls = false;
	m = read_whole(&o, letter);
	assert_int_equal(mail_parts(m), 6);
	assert_int_equal(mail_urls(m), 0);
	assert_int_equal(mail_urls_left_out(m), 0);
	assert_int_equal(part_at(m, "3")->detected.n, 0);
	assert_false(part_at(m, "3")->detection_left_out);
	assert_int_equal(mail_options(m)->parts, 1000);
	mail_free(m);
}

static void
many_parts(struct buf *text, unsigned n)
{
	buf_init(text, 16u << 20);
	buf_str(text, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (unsigned i = 0; i < n; i++) {
		buf_str(text, "--b\r\nContent-Type: application/pdf; name=\"report-");
		buf_u64(text, i);
		buf_str(text, ".pdf\"\r\n\r\n%PDF-1.4\r\n");
	}
	buf_str(text, "--b--\r\n");
	buf_octet(text, '\0');
}

static void
test_bounds_M_020(void **state)
{
	struct buf text;
	struct mail *m;

	(void)state;
	many_parts(&text, 3000);
	m = read_letter((const char *)text.p);
	assert_int_equal(mail_parts(m), 1000);
	assert_int_equal(mail_parts_left_out(m), 2001);
	assert_text(part_at(m, "64")->detected, "application/pdf");
	assert_false(part_at(m, "64")->detection_left_out);
	assert_int_equal(part_at(m, "65")->detected.n, 0);
	assert_true(part_at(m, "65")->detection_left_out);
	assert_true(part_at(m, "999")->has_digests);
	mail_free(m);
	buf_free(&text);
}

/* ---- every chunking is the same ---- */

struct print {
	char *text;
	size_t n;
};

/* Everything that is known, as text to compare. */
static struct print
print_of(const struct mail *m)
{
	struct print p = {NULL, 0};
	FILE *out = open_memstream(&p.text, &p.n);

	for (size_t i = 0; i < mail_parts(m); i++) {
		const struct mail_part *part = mail_part(m, i);
		char text[65] = "";

		hex(part->sha256, 32, text);
		fprintf(out, "%s %.*s %.*s %ju %ju %ju %ju %s %zu %s %d\n", part->path,
		    (int)part->type.n, (const char *)part->type.p, (int)part->detected.n,
		    (const char *)part->detected.p, (uintmax_t)part->offset, (uintmax_t)part->size,
		    (uintmax_t)part->encoded_size, (uintmax_t)part->lines, text, part->n_names,
		    part->mismatch != NULL ? part->mismatch : "", part->attachment);
		for (size_t k = 0; k < part->n_anomalies; k++)
			fprintf(out, "  %s %ju\n", mime_anomaly_name(part->anomalies[k].what),
			    (uintmax_t)part->anomalies[k].off);
	}
	for (size_t i = 0; i < mail_urls(m); i++)
		fprintf(out, "%.*s\n", (int)mail_url(m, i).n, (const char *)mail_url(m, i).p);
	fclose(out);
	return p;
}

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
test_any_chunking(void **state)
{
	struct mail *m = read_letter(letter);
	struct print whole = print_of(m);
	struct mail_options o;
	size_t n = sizeof(letter) - 1;

	(void)state;
	mail_free(m);
	mail_options_default(&o);
	for (size_t cut = 0; cut <= n; cut++) {
		m = mail_new(&o);
		assert_true(mail_feed(m, span_of(letter, cut)));
		assert_true(mail_feed(m, span_of(letter + cut, n - cut)));
		same_as(&whole, m, cut);
	}
	m = mail_new(&o);
	for (size_t i = 0; i < n; i++)
		assert_true(mail_feed(m, span_of(letter + i, 1)));
	same_as(&whole, m, 1);
	free(whole.text);
}

/* ---- memory that runs out ---- */

struct outcomes {
	unsigned n, known, broken;
};

/* The n-th request fails. False: there was none. */
static bool
read_without_memory(const char *text, struct outcomes *all)
{
	struct mail_options o;
	struct mail *m;
	bool fed = true, failed;

	mail_options_default(&o);
	alloc_fail_at(++all->n);
	m = mail_new(&o);
	if (m != NULL) {
		fed = mail_feed(m, span_str(text));
		mail_finish(m);
	}
	failed = alloc_failed();
	if (!failed)
		assert_true(m != NULL && fed && !mail_broken(m));
	if (m != NULL && mail_broken(m)) {
		all->broken++;
		all->known += mail_parts(m) > 0;
		assert_true(mail_finished(m));
		assert_false(mail_feed(m, span_str("x")));
	} else if (m != NULL) {
		assert_true(fed);
	}
	mail_free(m);
	return failed;
}

static void
test_no_memory_M_040(void **state)
{
	static const char *const texts[] = {letter, two_alphabets, outside_of_parts};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct outcomes all = {0, 0, 0};

		while (read_without_memory(texts[i], &all))
			continue;
		assert_true(all.n > 10);
		assert_true(all.broken > 5);
		assert_true(all.known > 1); /* what is known stays */
	}
}

static void
test_nothing_at_all(void **state)
{
	struct mail *m = read_letter("");

	(void)state;
	assert_int_equal(mail_parts(m), 1);
	assert_int_equal(mail_part(m, 0)->size, 0);
	mail_free(m);
	mail_free(NULL);
}

static void
test_octets_max(void **state)
{
	struct mail_options o;
	size_t most;

	(void)state;
	mail_options_default(&o);
	most = mail_octets_max(&o);
	assert_true(most > MAIL_FACTS_MAX);
	o.archives = o.urls = false;
	assert_true(mail_octets_max(&o) < most);
	o.mime.depth = 10;
	o.mime.header = 65536;
	assert_true(mail_octets_max(&o) < most - ((size_t)8 << 20));
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
	    cmocka_unit_test(test_header_M3),
	    cmocka_unit_test(test_addresses_are_bounded_M_022),
	    cmocka_unit_test(test_tree_M1_M5),
	    cmocka_unit_test(test_long_names_M025),
	    cmocka_unit_test(test_files_in_texts_M032_M033),
	    cmocka_unit_test(test_multipart_without_parts_M_012),
	    cmocka_unit_test(test_outside_of_parts_M_012),
	    cmocka_unit_test(test_url_safe_digest_M_016),
	    cmocka_unit_test(test_digest_up_to_padding_M016),
	    cmocka_unit_test(test_digests_of_decoded_octets_M6_M13),
	    cmocka_unit_test(test_types_and_names_M7_M_024),
	    cmocka_unit_test(test_what_is_an_attachment),
	    cmocka_unit_test(test_anomalies_stand_at_their_parts_M14),
	    cmocka_unit_test(test_ambiguous_M_002),
	    cmocka_unit_test(test_trifles_hide_nothing_M_002),
	    cmocka_unit_test(test_switched_off),
	    cmocka_unit_test(test_bounds_M_020),
	    cmocka_unit_test(test_any_chunking),
	    cmocka_unit_test(test_no_memory_M_040),
	    cmocka_unit_test(test_nothing_at_all),
	    cmocka_unit_test(test_octets_max),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
