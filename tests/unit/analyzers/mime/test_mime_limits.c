/*
 * Messages made to cost: memory keeps its bound, time is linear. MIME_SCALE=10 in the environment
 * makes them ten times as large.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <malloc.h>

#include <cmocka.h>

#include "mime/charset.h"
#include "mime/mime.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define PIECE	  65536

/* What came of a message. */
struct tally {
	unsigned parts, open, deepest, fields, anomalies;
	uint64_t seen; /* anomalies, one bit each */
	uint64_t body;
	size_t storage; /* octets, at most */
	double seconds;
	bool ended;
};

/* A message: a head, then a unit so many times, then a tail. each "~" in unit is a digit of its
 * number. */
struct source {
	const char *head, *unit, *tail;
	size_t times;
};

struct reader {
	struct mime *mime;
	struct tally *tally;
	uint8_t piece[PIECE];
	size_t n;
	size_t storage; /* in use before */
};

static void
count(struct tally *t, const struct mime_event *ev)
{
	t->deepest = ev->part->depth > t->deepest ? ev->part->depth : t->deepest;
	t->parts += ev->kind == MIME_PART_BEGIN;
	t->open += ev->kind == MIME_PART_BEGIN;
	t->open -= ev->kind == MIME_PART_END;
	t->fields += ev->kind == MIME_FIELD;
	t->body += ev->kind == MIME_BODY ? ev->octets.n : 0;
	t->ended = ev->kind == MIME_MESSAGE_END;
	if (ev->kind != MIME_ANOMALY)
		return;
	t->anomalies++;
	t->seen |= (uint64_t)1 << ev->anomaly;
}

static void
note_storage(struct reader *r)
{
	const size_t now = mallinfo2().uordblks + mallinfo2().hblkhd;

	if (now > r->storage && now - r->storage > r->tally->storage)
		r->tally->storage = now - r->storage;
}

static void
send(struct reader *r)
{
	struct span rest = span_of(r->piece, r->n);
	enum an_status status = AN_EVENT;
	struct mime_event ev;
	size_t used;

	while (status == AN_EVENT) {
		status = mime_feed(r->mime, rest, &used, &ev);
		rest = span_from(rest, used);
		if (status == AN_EVENT)
			count(r->tally, &ev);
	}
	assert_int_equal(status, AN_MORE);
	note_storage(r);
	r->n = 0;
}

static void
put(struct reader *r, const char *octets, size_t n)
{
	while (n > 0) {
		size_t some = n < PIECE - r->n ? n : PIECE - r->n;

		memcpy(r->piece + r->n, octets, some);
		r->n += some;
		octets += some;
		n -= some;
		if (r->n == PIECE)
			send(r);
	}
}

static void
put_units(struct reader *r, const struct source *s)
{
	char unit[256];
	size_t n = strlen(s->unit);
	const bool numbered = strchr(s->unit, '~') != NULL;

	memcpy(unit, s->unit, n + 1);
	for (size_t i = 0; i < s->times; i++) {
		size_t left = i;

		for (size_t k = n; numbered && k > 0; k--)
			if (s->unit[k - 1] == '~') {
				unit[k - 1] = (char)('0' + left % 10);
				left /= 10;
			} else {
				left = i;
			}
		put(r, unit, n);
	}
}

static struct tally
read_source(const struct source *s)
{
	static struct reader r;
	struct tally t = {0};
	struct mime_event ev;
	clock_t begin = clock();

	r = (struct reader){.tally = &t, .storage = mallinfo2().uordblks + mallinfo2().hblkhd};
	r.mime = mime_new(NULL);
	assert_non_null(r.mime);
	put(&r, s->head, strlen(s->head));
	put_units(&r, s);
	put(&r, s->tail, strlen(s->tail));
	send(&r);
	while (!t.ended) {
		assert_int_equal(mime_finish(r.mime, &ev), AN_EVENT);
		count(&t, &ev);
	}
	mime_free(r.mime);
	t.seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
	assert_int_equal(t.open, 0);
	return t;
}

#define V	 "MIME-Version: 1.0\r\n"
#define MIXED	 V "Content-Type: multipart/mixed; boundary=B\r\n\r\n"
#define ODD(odd) ((uint64_t)1 << (odd))
#define MIB	 ((size_t)1 << 20)

struct row {
	const char *name;
	struct source source;
	unsigned parts, deepest; /* expected */
	uint64_t odd;		 /* at least these */
	size_t storage;		 /* octets, at most */
};

static const struct row rows[] = {
    {"M-019 parts within parts",
	{V, "Content-Type: multipart/mixed; boundary=B~~~~~~\r\n\r\n--B~~~~~~\r\n", "", 10000}, 101,
	100, ODD(MIME_ODD_TOO_DEEP), 4 * MIB},
    {"M-027 messages within messages",
	{V, "Content-Type: message/rfc822\r\n\r\n", "Subject: x\r\n\r\nhi", 10000}, 101, 100,
	ODD(MIME_ODD_TOO_DEEP), 4 * MIB},
    {"M-020 empty parts", {MIXED, "--B\r\n\r\n", "--B--\r\n", 100000}, 10000, 1,
	ODD(MIME_ODD_TOO_MANY_PARTS), MIB},
    {"M-020 delimiters alone", {MIXED, "--B\r\n", "--B--\r\n", 100000}, 10000, 1,
	ODD(MIME_ODD_TOO_MANY_PARTS), MIB},
    {"M-012 preambles and epilogues",
	{MIXED,
	    "--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\npre\r\n--C\r\n\r\n"
	    "x\r\n--C--\r\nepi\r\n",
	    "--B--\r\n", 30000},
	10000, 2, ODD(MIME_ODD_TOO_MANY_PARTS), MIB},
    {"M-012 closes", {MIXED "--B\r\n\r\n", "--B--\r\nx\r\n", "", 200000}, 2, 1, 0, MIB},
    {"M-012 nothing but a preamble", {MIXED, "Content-Disposition\r\n", "", 200000}, 101, 100,
	ODD(MIME_ODD_UNUSED_BOUNDARY), 4 * MIB},
    {"M-016 two alphabets",
	{V "Content-Transfer-Encoding: base64\r\n\r\n", "QUJD-EVG_0hJSktMTU5PUFFSU1RVVldYWVph\r\n",
	    "", 200000},
	1, 0, ODD(MIME_ODD_AMBIGUOUS), MIB},
    {"M-009 delimiters to some", {MIXED "--B\r\n\r\n", "--Bx\r\n\r\ny\r\n", "--B--\r\n", 100000},
	10000, 2, ODD(MIME_ODD_TOO_MANY_PARTS) | ODD(MIME_ODD_AMBIGUOUS), MIB},
    {"M-021 fields", {"", "A: b\r\n", "\r\nhi", 1000000}, 1, 0,
	ODD(MIME_ODD_TOO_MANY_FIELDS) | ODD(MIME_ODD_LONG_HEADER), 2 * MIB},
    {"M-021 one field",
	{"Subject: ", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	    "\r\n\r\nhi", 1000000},
	1, 0, ODD(MIME_ODD_LONG_HEADER), 2 * MIB},
    {"M-021 folds", {"Subject: x\r\n", " x\r\n", "\r\nhi", 1000000}, 1, 0,
	ODD(MIME_ODD_LONG_HEADER), 2 * MIB},
    {"parameters", {"Content-Type: text/plain", "; a=b", "\r\n\r\nhi", 1000000}, 1, 0,
	ODD(MIME_ODD_LONG_HEADER), 8 * MIB},
    {"M-023 sections", {"Content-Type: text/plain", "; name*~~~~~~=b", "\r\n\r\nhi", 1000000}, 1, 0,
	ODD(MIME_ODD_LONG_HEADER) | ODD(MIME_ODD_TOO_MANY_PARAMETERS), 8 * MIB},
    {"M-039 line ends", {MIXED "--B\r\n\r\n", "\n\n\n\n\n\n\n\n\n\n", "--B--\r\n", 500000}, 2, 1, 0,
	MIB},
    {"M-039 one line of base64",
	{V "Content-Transfer-Encoding: base64\r\n\r\n", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVph", "",
	    500000},
	1, 0, ODD(MIME_ODD_LONG_LINE), MIB},
    {"dashes", {MIXED "--B\r\n\r\n", "--\r\n--B\r", "", 200000}, 10000, 2, 0, 2 * MIB},
    {"two readings of one body",
	{V "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: "
	   "quoted-printable\r\n\r\n",
	    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVph\r\n", "", 200000},
	2, 1, ODD(MIME_ODD_AMBIGUOUS), MIB},
    {"files in a text", {V "\r\n", "begin 644 a\r\n#86)C\r\n`\r\nend\r\n", "", 50000}, 10000, 1,
	ODD(MIME_ODD_INLINE_UU) | ODD(MIME_ODD_TOO_MANY_PARTS), MIB},
};

static size_t
scale(void)
{
	const char *s = getenv("MIME_SCALE");

	return s == NULL ? 1 : strtoul(s, NULL, 10);
}

static void
test_costly_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct source twice = rows[i].source;
		struct tally once, t;

		twice.times *= scale();
		once = read_source(&twice);
		twice.times *= 2;
		t = read_source(&twice);
		print_message("%-32s %5.3f s, twice as much %5.3f s (%.1f), storage %zu KiB\n",
		    rows[i].name, once.seconds, t.seconds,
		    t.seconds / (once.seconds > 0 ? once.seconds : 1e-6), t.storage >> 10);
		assert_true(t.seconds < 4 * once.seconds + 0.5);
		assert_true(t.storage <= rows[i].storage);
		assert_int_equal(t.parts, rows[i].parts);
		assert_int_equal(t.deepest, rows[i].deepest);
		assert_true((t.seen & rows[i].odd) == rows[i].odd);
		assert_true(t.anomalies <= 1001 + t.parts);
	}
}

#define LONGEST 100000

/* M-011: a boundary of n octets, and whether its part is found. */
static struct tally
boundary_of(size_t n)
{
	static char b[LONGEST + 1], message[3 * LONGEST + 200];
	struct source s = {.head = message, .unit = "", .tail = ""};

	assert_true(n <= LONGEST);
	memset(b, 'b', n);
	b[n] = '\0';
	(void)snprintf(message, sizeof(message),
	    V "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n\r\nx\r\n--%s--\r\n",
	    b, b, b);
	return read_source(&s);
}

static void
test_long_boundaries(void **state)
{
	static const size_t lengths[] = {1, 69, 70, 71, 256, 2048, 2049, LONGEST};

	(void)state;
	for (size_t i = 0; i < nitems(lengths); i++) {
		struct tally t = boundary_of(lengths[i]);

		assert_int_equal(t.parts, 2);
		assert_int_equal((t.seen & ODD(MIME_ODD_LONG_BOUNDARY)) != 0, lengths[i] > 70);
	}
}

/* M-019: at the limit, and one behind it; the delimiters of outer parts are still seen there. */
static void
test_depth(void **state)
{
	const struct source at = {V,
	    "Content-Type: multipart/mixed; boundary=B~~~~~~\r\n\r\n--B~~~~~~\r\n",
	    "\r\nx\r\n--B000000\r\n\r\ny\r\n--B000000--\r\n", 100};
	struct source behind = at;
	struct tally t = read_source(&at);

	(void)state;
	assert_int_equal(t.parts, 102);
	assert_int_equal(t.deepest, 100);
	assert_int_equal(t.seen & ODD(MIME_ODD_TOO_DEEP), 0);
	behind.times = 101;
	t = read_source(&behind);
	assert_int_equal(t.parts, 102);
	assert_int_equal(t.deepest, 100);
	assert_true((t.seen & ODD(MIME_ODD_TOO_DEEP)) != 0);
}

/*
 * Every open part says as much as it can: the worst growth of a value there is (octets that are no
 * UTF-8, read in three ways), after the boundary, which must not get lost.
 */
static void
test_values_of_open_parts(void **state)
{
	static char value[60000], message[100 * (2 * sizeof(value) + 200)];
	struct tally t;
	size_t n = 0;

	(void)state;
	memset(value, '\xff', sizeof(value) - 1);
	for (size_t i = 0; i + 200 < sizeof(value); i += 200)
		memcpy(value + i, (const char[]){'"', ';', 'a', '=', '"', '\\', 'b'}, 7);
	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(message + n, sizeof(message) - n,
		    "Content-Type: multipart/mixed; boundary=B%d; x=\"%s\"\r\n"
		    "Content-Disposition: inline; x=\"%s\"\r\n\r\n--B%d\r\n",
		    i, value, value, i);
	t = read_source(&(struct source){.head = message, .unit = "", .tail = "\r\nx"});
	assert_int_equal(t.parts, 101);
	assert_int_equal(t.deepest, 100);
	assert_true((t.seen & ODD(MIME_ODD_TOO_MANY_PARAMETERS)) != 0);
	print_message("values of open parts: storage %zu KiB\n", t.storage >> 10);
	assert_true(t.storage <= 5 * MIB); /* sanitizers count none */
	assert_true(mime_octets_max(&(struct mime_limits){0}) <= 18 * MIB);
}

/* A header that is encoded may have less: there may be one in each layer. */
static void
test_header_of_decoded_content(void **state)
{
	struct source s = {.head = "Content-Type: message/rfc822\r\n"
				   "Content-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDog",
	    .unit = "eHh4",
	    .tail = ""};

	(void)state;
	s.times = 20000;
	assert_true((read_source(&s).seen & ODD(MIME_ODD_LONG_HEADER)) == 0);
	s.times = 30000;
	assert_true((read_source(&s).seen & ODD(MIME_ODD_LONG_HEADER)) != 0);
}

/* Multiparts that begin in the text of others: each of these goes on, as far as there are taps. */
static void
test_taps(void **state)
{
	static char message[100 * 200];
	struct tally t;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 60; i++)
		n += (size_t)snprintf(message + n, sizeof(message) - n,
		    "Content-Type: multipart/mixed; boundary=B%d\r\n\r\n", i);
	t = read_source(&(struct source){.head = message, .unit = "", .tail = "\r\nx"});
	assert_int_equal(t.parts, 60);
	assert_true((t.seen & ODD(MIME_ODD_TOO_MANY_READINGS)) != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_costly_messages),
	    cmocka_unit_test(test_long_boundaries),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_values_of_open_parts),
	    cmocka_unit_test(test_header_of_decoded_content),
	    cmocka_unit_test(test_taps),
	};
	int failed;

	if (!charset_init())
		return 1;
	failed = cmocka_run_group_tests_name("mime limits", tests, NULL, NULL);
	charset_close();
	return failed;
}
