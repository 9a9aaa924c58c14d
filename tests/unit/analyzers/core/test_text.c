#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/text.h"

#define nitems(a)  (sizeof(a) / sizeof((a)[0]))
#define OCTETS(s)  (s), sizeof(s) - 1
#define OUT_MAX	   4096
#define LINE_LIMIT 12

/*
 * What came out, in one form for every chunking: content as it is, "^" before the content of a
 * stuffed line, strays and oddities in braces.
 */
struct transcript {
	struct text text;
	struct buf out, content;
	bool ended;
	size_t used;
};

struct row {
	const char *name;
	const char *in;
	size_t n;
	const char *want;
	size_t want_n;
	bool dots;
};

#define DATA true
#define BDAT false

static const struct row rows[] = {
    {"S-015 empty", OCTETS(".\r\n"), OCTETS("{end}"), DATA},
    {"one line", OCTETS("a\r\n.\r\n"), OCTETS("a\r\n{end}"), DATA},
    {"what follows is not taken", OCTETS("a\r\n.\r\nQUIT\r\n"), OCTETS("a\r\n{end}"), DATA},
    {"empty lines", OCTETS("\r\n\r\n.\r\n"), OCTETS("\r\n\r\n{end}"), DATA},
    {"no end", OCTETS("a\r\n.\r"), OCTETS("a\r\n"), DATA},
    {"S-016 stuffed dot", OCTETS("..\r\n.\r\n"), OCTETS("^.\r\n{end}"), DATA},
    {"S-016 two stuffed lines", OCTETS("..\r\n..a\r\n.\r\n"), OCTETS("^.\r\n^.a\r\n{end}"), DATA},
    {"S-016 three dots", OCTETS("a\r\n...\r\n.\r\n"), OCTETS("a\r\n^..\r\n{end}"), DATA},
    {"a lone dot is taken away", OCTETS(".x\r\n.\r\n"), OCTETS("^x\r\n{end}"), DATA},
    {"a dot within a line", OCTETS("a.\r\n.\r\n"), OCTETS("a.\r\n{end}"), DATA},
    {"stray LF", OCTETS("a\nb\r\n.\r\n"), OCTETS("a{lf}b\r\n{end}"), DATA},
    {"stray CR", OCTETS("a\rb\r\n.\r\n"), OCTETS("a{cr}b\r\n{end}"), DATA},
    {"stray NUL", OCTETS("a\0b\r\n.\r\n"), OCTETS("a{nul}b\r\n{end}"), DATA},
    {"CR CR LF", OCTETS("a\r\r\nb\r\n.\r\n"), OCTETS("a{cr}\r\nb\r\n{end}"), DATA},
    {"S-001", OCTETS("a\n.\nb\r\n.\r\n"), OCTETS("a{lf}.{lf}{LF . LF}b\r\n{end}"), DATA},
    {"S-002", OCTETS("a\n.\r\nb\r\n.\r\n"), OCTETS("a{lf}.\r\n{LF . CR LF}b\r\n{end}"), DATA},
    {"S-003", OCTETS("a\n.\rb\r\n.\r\n"), OCTETS("a{lf}.{cr}{LF . CR}b\r\n{end}"), DATA},
    {"S-004", OCTETS("a\r.\nb\r\n.\r\n"), OCTETS("a{cr}.{lf}{CR . LF}b\r\n{end}"), DATA},
    {"S-005", OCTETS("a\r.\rb\r\n.\r\n"), OCTETS("a{cr}.{cr}{CR . CR}b\r\n{end}"), DATA},
    {"S-006", OCTETS("a\r.\r\nb\r\n.\r\n"), OCTETS("a{cr}.\r\n{CR . CR LF}b\r\n{end}"), DATA},
    {"S-007", OCTETS("a\r\n\0.\r\nb\r\n.\r\n"),
	OCTETS("a\r\n{nul}.\r\n{CR LF NUL . CR LF}b\r\n{end}"), DATA},
    {"S-008", OCTETS("a\r\n.\r\r\nb\r\n.\r\n"),
	OCTETS("a\r\n^{cr}\r\n{CR LF . CR CR LF}b\r\n{end}"), DATA},
    {"S-009", OCTETS("a\r\r\n.\r\r\nb\r\n.\r\n"),
	OCTETS("a{cr}\r\n^{cr}\r\n{CR CR LF . CR CR LF}b\r\n{end}"), DATA},
    {"S-010", OCTETS("a\r\n.\nb\r\n.\r\n"), OCTETS("a\r\n^{lf}{CR LF . LF}b\r\n{end}"), DATA},
    {"a sequence right before the end mark", OCTETS("a\n\r\n.\r\n"),
	OCTETS("a{lf}\r\n{LF CR LF . CR LF}{end}"), DATA},
    {"no dot, no sequence", OCTETS("a\n\n\r\rb\r\n.\r\n"), OCTETS("a{lf}{lf}{cr}{cr}b\r\n{end}"),
	DATA},
    {"a line of the limit is not long", OCTETS("1234567890\r\n.\r\n"),
	OCTETS("1234567890\r\n{end}"), DATA},
    {"S-011 dots are content", OCTETS("a\r\n.\r\nb\r\n"), OCTETS("a\r\n.\r\nb\r\n"), BDAT},
    {"S-011 LF . LF", OCTETS("a\n.\nb"), OCTETS("a{lf}.{lf}{LF . LF}b"), BDAT},
    {"S-011 LF . LF at the end", OCTETS("a\n.\n"), OCTETS("a{lf}.{lf}{LF . LF}"), BDAT},
    {"S-011 a CR at the end", OCTETS("a\r"), OCTETS("a{cr}"), BDAT},
    {"S-011 CR . CR at the end", OCTETS("a\r.\r"), OCTETS("a{cr}.{cr}{CR . CR}"), BDAT},
    {"S-011 no line end at the end", OCTETS("a\r\nb"), OCTETS("a\r\nb"), BDAT},
};

static bool
at_line_start(const struct buf *content)
{
	return content->n == 0 || (content->n >= 2 && content->p[content->n - 2] == '\r' &&
				      content->p[content->n - 1] == '\n');
}

static void
write_content(struct transcript *t, const struct text_event *ev)
{
	if (ev->content.n > 0)
		assert_int_equal(ev->line_start, at_line_start(&t->content));
	if (ev->stuffed)
		buf_str(&t->out, "^");
	buf_add(&t->content, ev->content);
	if (ev->what == TEXT_RUN)
		buf_add(&t->out, ev->content);
	else
		buf_str(&t->out, ev->anomaly == AN_BARE_CR   ? "{cr}"
				 : ev->anomaly == AN_BARE_LF ? "{lf}"
							     : "{nul}");
}

static void
write_event(struct transcript *t, const struct text_event *ev)
{
	switch (ev->what) {
	case TEXT_MORE:
		break;
	case TEXT_RUN:
	case TEXT_STRAY:
		write_content(t, ev);
		break;
	case TEXT_ODD:
		buf_str(&t->out, "{");
		buf_str(&t->out, ev->anomaly == AN_SMUGGLING	    ? ev->sequence
				 : ev->anomaly == AN_LONG_BODY_LINE ? "long"
								    : "8bit");
		buf_str(&t->out, "}");
		break;
	case TEXT_END:
		buf_str(&t->out, "{end}");
		t->ended = true;
		break;
	}
}

static void
begin(struct transcript *t, bool dots)
{
	*t = (struct transcript){0};
	text_init(&t->text, dots, LINE_LIMIT, false);
	buf_init(&t->out, OUT_MAX);
	buf_init(&t->content, OUT_MAX);
}

static void
feed(struct transcript *t, const char *in, size_t n)
{
	while (n > 0 && !t->ended) {
		struct text_event ev;
		size_t used;

		text_feed(&t->text, (const uint8_t *)in, n, &used, &ev);
		assert_true(used <= n);
		assert_true(used == n || ev.what != TEXT_MORE);
		write_event(t, &ev);
		t->used += used;
		in += used;
		n -= used;
	}
}

static void
finish(struct transcript *t, bool dots)
{
	struct text_event ev;

	while (!dots && text_finish(&t->text, &ev))
		write_event(t, &ev);
}

static void
compare(struct transcript *t, const struct row *row, size_t cut)
{
	struct span want = span_of(row->want, row->want_n);

	if (!span_eq(buf_span(&t->out), want))
		fail_msg("cut %zu: '%.*s' where '%s' was expected", cut, (int)t->out.n,
		    (const char *)t->out.p, row->want);
	buf_free(&t->out);
	buf_free(&t->content);
}

static void
test_row(void **state)
{
	const struct row *row = *state;
	struct transcript t;

	for (size_t cut = 0; cut <= row->n; cut++) {
		begin(&t, row->dots);
		feed(&t, row->in, cut);
		feed(&t, row->in + cut, row->n - cut);
		finish(&t, row->dots);
		compare(&t, row, cut);
	}
	begin(&t, row->dots);
	for (size_t i = 0; i < row->n; i++)
		feed(&t, row->in + i, 1);
	finish(&t, row->dots);
	compare(&t, row, row->n);
}

static void
test_end_takes_no_more(void **state)
{
	struct transcript t;

	(void)state;
	begin(&t, DATA);
	feed(&t, "a\r\n.\r\nQUIT\r\n", 12);
	assert_true(t.ended);
	assert_int_equal(t.used, 6);
	buf_free(&t.out);
	buf_free(&t.content);
}

/* Sixteen octets at a time or one by one: the same octet is found. */
static void
test_every_position(void **state)
{
	(void)state;
	for (size_t at = 0; at < 70; at++) {
		char line[72];
		struct transcript t;

		memset(line, 'x', sizeof(line));
		line[at] = '\n';
		begin(&t, DATA);
		t.text.line_max = 0;
		feed(&t, line, sizeof(line));
		assert_int_equal(t.out.n, sizeof(line) + 3);
		assert_memory_equal(t.out.p + at, "{lf}", 4);
		buf_free(&t.out);
		buf_free(&t.content);
	}
}

static size_t
times(const struct buf *out, const char *what)
{
	size_t n = 0;

	for (struct span s = buf_span(out); s.n > 0; s = span_from(s, 1))
		n += span_starts(s, span_str(what));
	return n;
}

struct odd_row {
	const char *in;
	size_t long_lines, eight_bit; /* how often they are named: once at most */
};

/* Where in the transcript they stand depends on the chunks; that they are named does not. */
static void
check_odd(const struct odd_row *row, bool dots)
{
	for (size_t n = strlen(row->in), cut = 0; cut <= n; cut++) {
		struct transcript t;

		begin(&t, dots);
		feed(&t, row->in, cut);
		feed(&t, row->in + cut, n - cut);
		if (dots)
			feed(&t, "\r\n.\r\n", 5);
		finish(&t, dots);
		assert_int_equal(times(&t.out, "{long}"), row->long_lines);
		assert_int_equal(times(&t.out, "{8bit}"), row->eight_bit);
		buf_free(&t.out);
		buf_free(&t.content);
	}
}

static void
test_odd_lines(void **state)
{
	static const struct odd_row odd[] = {
	    {"S-022", 0, 0},
	    {"1234567890\r\n1", 0, 0},
	    {"12345678901\r\n1\r\n12345678901\r\n", 1, 0},
	    {"1234567890123", 1, 0},
	    {"1\r\n12345678901234567890", 1, 0},
	    {"S-023 \xfc", 0, 1},
	    {"\xfc\r\n\xfc", 0, 1},
	    {"..\xfc", 0, 1},
	    {"\n\xfc", 0, 1},
	    {"a\r\xfc", 0, 1},
	    {"a\r\n\xfc\r\n", 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < nitems(odd); i++) {
		check_odd(&odd[i], DATA);
		check_odd(&odd[i], BDAT);
	}
}

/* What is odd about a line or an octet may stand behind all that was fed with it: said it is. */
static void
play(struct transcript *t, const char *in, size_t n, size_t step, bool dots, bool odd)
{
	begin(t, dots);
	text_init(&t->text, dots, odd ? 90 : 0, !odd);
	for (size_t i = 0; i < n; i += step)
		feed(t, in + i, n - i < step ? n - i : step);
	if (dots)
		feed(t, "\r\n.\r\n", 5);
	finish(t, dots);
}

static void
same_in_pieces(const char *in, size_t n, size_t step, bool dots, bool odd)
{
	struct transcript whole, pieces;

	play(&whole, in, n, step, dots, odd);
	play(&pieces, in, n, 1, dots, odd);
	assert_int_equal(whole.used, pieces.used);
	if (odd) {
		assert_int_equal(times(&whole.out, "{long}"), times(&pieces.out, "{long}"));
		assert_int_equal(times(&whole.out, "{8bit}"), times(&pieces.out, "{8bit}"));
	} else if (!span_eq(buf_span(&whole.out), buf_span(&pieces.out))) {
		fail_msg("by %zu: '%.*s' where '%.*s' was expected", step, (int)whole.out.n,
		    (const char *)whole.out.p, (int)pieces.out.n, (const char *)pieces.out.p);
	}
	buf_free(&whole.out);
	buf_free(&whole.content);
	buf_free(&pieces.out);
	buf_free(&pieces.content);
}

/* Block by block or octet by octet: the same comes out. */
static void
test_blocks(void **state)
{
	static const char *const of[] = {"\r\n", "\r\n", "\r\n", "\r\n.", "\r\n..", ".", "\r", "\n",
	    "\xfc", "\r\n.\r", "\r\r\n"};
	char text[700 + 8];
	unsigned random = 1;

	(void)state;
	for (unsigned round = 0; round < 6000; round++) {
		const unsigned rare = 5 + 40 * (round % 4), kinds = round % 3 == 0 ? 5 : nitems(of);
		size_t n = 0;

		while (n < 700) {
			random = random * 1103515245u + 12345u;
			if ((random >> 16) % rare > 0) {
				text[n++] = 'x';
				continue;
			}
			for (const char *c = of[(random >> 24) % kinds]; *c != '\0'; c++)
				text[n++] = *c;
		}
		if (round % 7 == 0)
			text[round % 700] = '\0';
		same_in_pieces(text, n, n, round % 2 == 0, round % 5 == 0);
		same_in_pieces(text, n, 60 + round % 100, round % 2 == 0, round % 5 == 0);
	}
}

static void
end_line_at(uint8_t *text, size_t end)
{
	text[end - 2] = '\r';
	text[end - 1] = '\n';
}

/* Lines as coded files have them, and in one of them each octet another one. */
static void
test_lines_alike(void **state)
{
	static const char others[] = {'\r', '\n', '\0', '.', '\xfc', 'y'};
	static const size_t lengths[] = {33, 34, 35, 62, 66, 78, 98, 99, 128, 129};

	(void)state;
	for (size_t k = 0; k < nitems(lengths); k++) {
		const size_t n = 10 * lengths[k];
		char *text = malloc(n); /* of that size, so that a read behind it is seen */

		assert_non_null(text);

		for (size_t at = 4 * lengths[k] - 3; at <= 6 * lengths[k]; at++)
			for (size_t o = 0; o < nitems(others); o++) {
				memset(text, 'x', n);
				for (size_t i = lengths[k]; i <= n; i += lengths[k])
					end_line_at((uint8_t *)text, i);
				text[at] = others[o];
				same_in_pieces(text, n, n, true, false);
				same_in_pieces(text, n, n, false, o == 4);
				same_in_pieces(text, n, 3 * lengths[k] + 5, true, o == 4);
			}
		free(text);
	}
}

static void
test_eight_bit_sixteens(void **state)
{
	(void)state;
	for (size_t at = 0; at < 40; at++) {
		char line[42] = {0};
		struct transcript t;

		memset(line, 'x', 40);
		line[at] = '\xfc';
		begin(&t, BDAT);
		t.text.line_max = 0;
		feed(&t, line, 40);
		finish(&t, BDAT);
		assert_int_equal(times(&t.out, "{8bit}"), 1);
		buf_free(&t.out);
		buf_free(&t.content);
	}
}

/* Where what is odd stands, by its kind; the octets are cut at cut, or each alone (cut 0). */
static void
places(const uint8_t *p, size_t n, size_t cut, uint64_t found[AN_ANOMALY_COUNT])
{
	struct text t;
	size_t at = 0;

	text_init(&t, true, LINE_LIMIT, false);
	while (at < n) {
		struct text_event ev;
		size_t used, end = cut == 0 ? at + 1 : at < cut ? cut : n;

		text_feed(&t, p + at, end - at, &used, &ev);
		at += used;
		if (ev.what == TEXT_ODD)
			found[ev.anomaly] = at - ev.behind;
	}
}

/* Ahead of, within and behind what is looked at at once: the same places, however it comes. */
static void
test_places_are_the_same_for_every_cut(void **state)
{
	static const size_t lines[] = {10, 130, 400};
	uint8_t text[1200];

	(void)state;
	for (size_t k = 0; k < sizeof(lines) / sizeof(lines[0]); k++) {
		const size_t high = lines[k] + 7, end = lines[k] + LINE_LIMIT + 33;

		memset(text, 'x', sizeof(text));
		for (size_t i = 7; i < lines[k]; i += 5)
			end_line_at(text, i);
		end_line_at(text, lines[k]);
		text[high] = text[high + 1] = 0xe9;
		end_line_at(text, end);
		end_line_at(text, sizeof(text) - 3);
		text[sizeof(text) - 3] = '.';
		end_line_at(text, sizeof(text));
		for (size_t cut = 0; cut < sizeof(text); cut++) {
			uint64_t found[AN_ANOMALY_COUNT] = {0};

			places(text, sizeof(text), cut, found);
			if (found[AN_EIGHT_BIT] != high || found[AN_LONG_BODY_LINE] != end)
				fail_msg("cut %zu: %llu, %llu in place of %zu, %zu", cut,
				    (unsigned long long)found[AN_EIGHT_BIT],
				    (unsigned long long)found[AN_LONG_BODY_LINE], high, end);
		}
	}
}

/* In lines that are alike, and in pieces of them. */
static void
test_place_in_lines_alike(void **state)
{
	static const size_t cuts[] = {0, 1, 40, 78, 79, 200, 390, 411};
	enum { LINE = 78, LINES = 9, ALL = LINES * LINE + 3 };
	uint8_t *text = malloc(ALL);

	(void)state;
	assert_non_null(text);
	for (size_t high = 3 * LINE; high < 7 * LINE; high++) {
		memset(text, 'x', ALL);
		for (size_t i = LINE; i <= LINES * LINE; i += LINE)
			end_line_at(text, i);
		text[ALL - 3] = '.';
		end_line_at(text, ALL);
		if (text[high] != 'x')
			continue;
		text[high] = 0xe9;
		for (size_t k = 0; k < nitems(cuts); k++) {
			uint64_t found[AN_ANOMALY_COUNT] = {0};

			places(text, ALL, cuts[k], found);
			assert_int_equal(found[AN_EIGHT_BIT], high);
			assert_int_equal(found[AN_LONG_BODY_LINE], LINE);
		}
	}
	free(text);
}

/* BDAT: the last line is too long, and nothing ends it but the end. */
static void
test_the_place_of_a_last_line_without_an_end(void **state)
{
	uint8_t text[100];

	(void)state;
	memset(text, 'x', sizeof(text));
	end_line_at(text, 10);
	for (size_t cut = 0; cut <= sizeof(text); cut++) {
		struct text_event ev;
		struct text t;
		size_t used;

		text_init(&t, false, LINE_LIMIT, false);
		for (size_t at = 0; at < sizeof(text); at += used)
			text_feed(&t, text + at, (at < cut ? cut : sizeof(text)) - at, &used, &ev);
		assert_true(text_finish(&t, &ev));
		assert_int_equal(ev.what, TEXT_ODD);
		assert_int_equal(ev.anomaly, AN_LONG_BODY_LINE);
		assert_int_equal(ev.behind, 0);
	}
}

static void
test_eight_bit_declared(void **state)
{
	struct text text;
	struct text_event ev;
	size_t used;

	(void)state;
	text_init(&text, true, 0, true);
	text_feed(&text, (const uint8_t *)"\xfc\r\n", 3, &used, &ev);
	assert_int_equal(ev.what, TEXT_RUN);
	text_feed(&text, (const uint8_t *)".\r\n", 3, &used, &ev);
	assert_int_equal(ev.what, TEXT_END);
}

/* A chunk that ends in CR: the CR goes out, and is a stray only if no LF follows. */
static void
test_flush(void **state)
{
	static const struct {
		const char *next, *want;
	} cases[] = {{"\nb", "a\r\nb"}, {"b", "a\r{cr}b"}, {"\r\nb", "a\r{cr}\r\nb"}};
	struct transcript t;
	struct text_event ev;

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		begin(&t, BDAT);
		feed(&t, "a\r", 2);
		assert_true(text_flush(&t.text, &ev));
		write_event(&t, &ev);
		assert_false(text_flush(&t.text, &ev));
		feed(&t, cases[i].next, strlen(cases[i].next));
		assert_true(span_eq(buf_span(&t.out), span_str(cases[i].want)));
		buf_free(&t.out);
		buf_free(&t.content);
	}
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_end_takes_no_more),
	    cmocka_unit_test(test_every_position),
	    cmocka_unit_test(test_odd_lines),
	    cmocka_unit_test(test_blocks),
	    cmocka_unit_test(test_lines_alike),
	    cmocka_unit_test(test_eight_bit_sixteens),
	    cmocka_unit_test(test_places_are_the_same_for_every_cut),
	    cmocka_unit_test(test_place_in_lines_alike),
	    cmocka_unit_test(test_the_place_of_a_last_line_without_an_end),
	    cmocka_unit_test(test_eight_bit_declared),
	    cmocka_unit_test(test_flush),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++)
		tests[nitems(fixed) + i] = (struct CMUnitTest){
		    rows[i].name, test_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
