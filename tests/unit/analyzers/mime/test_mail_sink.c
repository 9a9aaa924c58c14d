/*
 * What a sink is given of messages, parts and files: their octets, once each, and the digests that
 * stand in records; also at every cut, and with memory that runs out at every request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "core/buf.h"
#include "mime/analyzers_init.h"
#include "mime/mail.h"
#include "tests/unit/alloc.h"

static const char letter[] = "From: a@example.org\r\n"
			     "MIME-Version: 1.0\r\n"
			     "Content-Type: multipart/mixed; boundary=b\r\n"
			     "\r\n"
			     "for those without MIME\r\n"
			     "--b\r\n"
			     "Content-Type: text/plain\r\n"
			     "\r\n"
			     "hello\r\n"
			     "--b\r\n"
			     "Content-Type: message/rfc822\r\n"
			     "\r\n"
			     "Subject: inner\r\n"
			     "\r\n"
			     "inner text\r\n"
			     "--b\r\n"
			     "Content-Type: application/octet-stream; name=../../x\r\n"
			     "Content-Transfer-Encoding: base64\r\n"
			     "\r\n"
			     "AAECAwQ=\r\n"
			     "--b--\r\n";

#define SEEN_MAX 32

/* One content that a sink was given. */
struct seen {
	enum mail_content kind;
	struct buf octets;
	bool ended, cut, left; /* left: it said that it wants no more */
};

struct sink_state {
	struct seen seen[SEEN_MAX];
	size_t n;
	size_t wanted; /* octets of each content, then it wants no more; SIZE_MAX: all */
	bool none;     /* wants no content at all */
};

static void *
begin(void *arg, enum mail_content kind)
{
	struct sink_state *s = arg;
	struct seen *one = &s->seen[s->n];

	if (s->none)
		return NULL;
	assert_true(s->n < SEEN_MAX);
	s->n++;
	*one = (struct seen){.kind = kind};
	buf_init(&one->octets, 4096);
	return one;
}

static bool
octets_came(void *arg, void *of, struct span octets)
{
	struct sink_state *s = arg;
	struct seen *one = of;

	assert_false(one->ended || one->left);
	assert_true(octets.n > 0);
	if (octets.n > s->wanted - one->octets.n) {
		one->left = true;
		return false;
	}
	if (!buf_add(&one->octets, octets))
		one->left = true;
	return !one->left;
}

static bool
ended(void *arg, void *of, const uint8_t *sha256)
{
	struct seen *one = of;
	uint8_t digest[32];

	(void)arg;
	assert_false(one->ended || one->left);
	one->ended = true;
	one->cut = sha256 == NULL;
	if (one->cut)
		return false;
	assert_int_equal(
	    EVP_Digest(one->octets.p, one->octets.n, digest, NULL, EVP_sha256(), NULL), 1);
	assert_memory_equal(sha256, digest, sizeof(digest));
	return true;
}

static struct mail_options
options_of(struct mail_sink *sink, struct sink_state *s)
{
	struct mail_options o;

	*s = (struct sink_state){.wanted = SIZE_MAX};
	*sink = (struct mail_sink){begin, octets_came, ended, s};
	mail_options_default(&o);
	o.sink = sink;
	return o;
}

static void
forget(struct sink_state *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_free(&s->seen[i].octets);
	s->n = 0;
}

/* The one of that kind whose octets are these. */
static const struct seen *
find(const struct sink_state *s, enum mail_content kind, const char *text, size_t n)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->seen[i].kind == kind &&
		    span_eq(buf_span(&s->seen[i].octets), span_of(text, n)))
			return &s->seen[i];
	fail_msg("it was not given \"%s\"", text);
	return NULL;
}

static void
assert_whole(const struct sink_state *s, enum mail_content kind, const char *text, size_t n)
{
	const struct seen *one = find(s, kind, text, n);

	assert_true(one->ended && !one->cut);
}

static void
assert_letter(const struct sink_state *s, const struct mail *m)
{
	unsigned stored = 0;

	assert_int_equal(s->n, 5);
	assert_whole(s, MAIL_CONTENT_MESSAGE, letter, sizeof(letter) - 1);
	assert_whole(s, MAIL_CONTENT_LEAF, "hello", 5);
	assert_whole(s, MAIL_CONTENT_LEAF, "inner text", 10);
	assert_whole(s, MAIL_CONTENT_LEAF, "\0\1\2\3\4", 5);
	/* what stands ahead of the parts was no part after all */
	assert_true(find(s, MAIL_CONTENT_LEAF, "for those without MIME", 22)->cut);
	for (size_t i = 0; i < mail_parts(m); i++)
		stored += mail_part(m, i)->stored;
	assert_int_equal(stored, 3);
}

static void
test_message_at_every_cut(void **state)
{
	struct span text = span_str(letter);
	struct sink_state s;
	struct mail_sink sink;

	(void)state;
	for (size_t cut = 0; cut <= text.n; cut++) {
		struct mail_options o = options_of(&sink, &s);
		struct mail *m = mail_new(&o);

		assert_non_null(m);
		assert_true(mail_feed(m, span_first(text, cut)));
		assert_true(mail_feed(m, span_from(text, cut)));
		mail_finish(m);
		assert_letter(&s, m);
		mail_free(m);
		forget(&s);
	}
}

static void
test_octet_by_octet(void **state)
{
	struct sink_state s;
	struct mail_sink sink;
	struct mail_options o = options_of(&sink, &s);
	struct mail *m = mail_new(&o);

	(void)state;
	for (size_t i = 0; i < sizeof(letter) - 1; i++)
		assert_true(mail_feed(m, span_of(letter + i, 1)));
	mail_finish(m);
	assert_letter(&s, m);
	mail_free(m);
	forget(&s);
}

/* Parts that came to their ends are whole; the message and the part that was open are not. */
static void
test_message_that_is_cut(void **state)
{
	static const char at[] = "inner te";
	const size_t n = (size_t)(strstr(letter, at) - letter) + sizeof(at) - 1;
	struct sink_state s;
	struct mail_sink sink;
	struct mail_options o = options_of(&sink, &s);
	struct mail *m = mail_new(&o);

	(void)state;
	assert_true(mail_feed(m, span_of(letter, n)));
	mail_free(m);
	assert_int_equal(s.n, 4);
	assert_true(find(&s, MAIL_CONTENT_MESSAGE, letter, n)->cut);
	assert_whole(&s, MAIL_CONTENT_LEAF, "hello", 5);
	for (size_t i = 0; i < s.n; i++)
		assert_true(s.seen[i].ended);
	forget(&s);
}

static void
test_file(void **state)
{
	struct sink_state s;
	struct mail_sink sink;
	struct mail_options o = options_of(&sink, &s);
	struct mail *m = mail_file_new(&o, span_str("../etc/passwd"), false);

	(void)state;
	assert_true(mail_feed(m, span_str("root")) && mail_feed(m, span_str(":x")));
	mail_finish(m);
	assert_int_equal(s.n, 1);
	assert_whole(&s, MAIL_CONTENT_LEAF, "root:x", 6);
	assert_true(mail_part(m, 0)->stored);
	mail_free(m);
	forget(&s);
}

/* A file that is a message is a file, and has parts. */
static void
test_file_that_is_a_message(void **state)
{
	struct sink_state s;
	struct mail_sink sink;
	struct mail_options o = options_of(&sink, &s);
	struct mail *m = mail_file_new(&o, span_str("a.eml"), false);

	(void)state;
	assert_true(mail_feed(m, span_str(letter)));
	mail_finish(m);
	assert_int_equal(s.n, 5);
	assert_whole(&s, MAIL_CONTENT_LEAF, letter, sizeof(letter) - 1);
	assert_whole(&s, MAIL_CONTENT_LEAF, "inner text", 10);
	mail_free(m);
	forget(&s);
}

/* The header that is made for it is nobody's. */
static void
test_part_alone(void **state)
{
	const struct mail_said said = {.path = span_str("2"),
	    .type = span_str("application"),
	    .subtype = span_str("octet-stream"),
	    .encoding = span_str("base64")};
	struct sink_state s;
	struct mail_sink sink;
	struct mail_options o = options_of(&sink, &s);
	struct mail *m = mail_part_new(&o, &said);

	(void)state;
	assert_true(mail_feed(m, span_str("AAECAwQ=\r\n")));
	mail_finish(m);
	assert_int_equal(s.n, 1);
	assert_whole(&s, MAIL_CONTENT_LEAF, "\0\1\2\3\4", 5);
	mail_free(m);
	forget(&s);
}

static void
test_empty_content_ends_too(void **state)
{
	struct sink_state s;
	struct mail_sink sink;
	struct mail_options o = options_of(&sink, &s);
	struct mail *m = mail_file_new(&o, span_str("empty"), false);

	(void)state;
	mail_finish(m);
	assert_int_equal(s.n, 1);
	assert_whole(&s, MAIL_CONTENT_LEAF, "", 0);
	mail_free(m);
	forget(&s);
}

/* Whoever wants no more hears no more, and the facts are the same. */
static void
test_not_wanted(void **state)
{
	struct sink_state s;
	struct mail_sink sink;

	(void)state;
	for (size_t wanted = 0; wanted < 6; wanted++) {
		struct mail_options o = options_of(&sink, &s);
		struct mail *m;

		s.wanted = wanted;
		s.none = wanted == 5;
		m = mail_new(&o);
		assert_true(mail_feed(m, span_str(letter)));
		mail_finish(m);
		assert_int_equal(mail_parts(m), 5);
		for (size_t i = 0; i < mail_parts(m); i++)
			assert_false(mail_part(m, i)->stored);
		for (size_t i = 0; i < s.n; i++)
			assert_true(s.seen[i].left);
		mail_free(m);
		forget(&s);
	}
}

/* Each content that began has one end, whichever request is refused. */
static void
test_no_memory(void **state)
{
	unsigned broken = 0;
	struct sink_state s;
	struct mail_sink sink;
	bool failed = true;

	(void)state;
	for (unsigned n = 1; failed; n++) {
		struct mail_options o = options_of(&sink, &s);
		struct mail *m;

		alloc_fail_at(n);
		m = mail_new(&o);
		if (m != NULL) {
			mail_feed(m, span_str(letter));
			mail_finish(m);
		}
		failed = alloc_failed();
		broken += m != NULL && mail_broken(m);
		if (!failed)
			assert_letter(&s, m);
		mail_free(m);
		for (size_t i = 0; i < s.n; i++)
			assert_true(s.seen[i].ended || s.seen[i].left);
		forget(&s);
	}
	assert_true(broken > 20);
}

static int
set_up(void **state)
{
	const char *why = NULL;

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
	    cmocka_unit_test(test_message_at_every_cut),
	    cmocka_unit_test(test_octet_by_octet),
	    cmocka_unit_test(test_message_that_is_cut),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_file_that_is_a_message),
	    cmocka_unit_test(test_part_alone),
	    cmocka_unit_test(test_empty_content_ends_too),
	    cmocka_unit_test(test_not_wanted),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
