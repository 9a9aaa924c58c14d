#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mime/urls.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

/* want: URLs, a blank behind each */
static const struct {
	bool html;
	const char *text, *want;
} looks[] = {
    {false, "see http://Example.ORG/Path?q=1.", "http://example.org/Path?q=1 "},
    {false, "(HTTPS://a.example/x), ftp://b.example", "https://a.example/x ftp://b.example "},
    {false, "<http://a.example/>\r\nhttp://a.example/\r\n", "http://a.example/ "},
    {false, "http://a.example/x\r\ny", "http://a.example/x "},
    {false, "http:// http:/x http: mailto:a@b.example sftp://x xhttp//", ""},
    {false, "http://User:PW@Host.example/", "http://User:PW@host.example/ "},
    {false, "http://a.example/?x=1&amp;y=2", "http://a.example/?x=1&amp;y=2 "},
    {false, "http:\\\\a.example", ""},
    {false, "hahttp://a.example", "http://a.example "},
    {false,
	"http://ex\xc2\xad"
	"ample.or\xe2\x80\x8bg/",
	"http://example.org/ "},
    {false,
	"http://b\xc3\xbc"
	"cher.example/\xe2\x82\xac",
	"http://b\xc3\xbc"
	"cher.example/\xe2\x82\xac "},
    {false, "http://a.example/\xe2\x80", "http://a.example/\xe2\x80 "},
    {true, "<a href=\"http://a.example/?x=1&amp;y=2\">text</a>", "http://a.example/?x=1&y=2 "},
    {true, "<a href='h&#116;tp&colon;&sol;&#x2f;a.example'>", "http://a.example "},
    {true, "<a href=\"ht\ntp://a.ex\tample/x\r\ny\">", "http://a.example/xy "},
    {true, "<img src=//b.example/i.png>", "//b.example/i.png "},
    {true, "<img src=\"//b.example/i.png\">", "//b.example/i.png "},
    {true, "<p>1//2 and //x</p>", ""},
    {true, "<a href=\"http:\\\\a.example\">", "http://a.example "},
    {true, "<a href='http://a.example/it&apos;s'>", "http://a.example/it "},
    {true, "<a href=\"http://a.example/x.\">", "http://a.example/x. "},
    {true, "http://a.example/&lt;b", "http://a.example/ "},
    {true, "http://a.example/&unknown;&", "http://a.example/&unknown;& "},
    {true, "http://a.example/?a&#xfffffffff;", "http://a.example/?a&#xfffffffff "},
    {true, "<a href='http://a&shy;b.example'>", "http://ab.example "},
    {true, "http://a.example/?copy=1&ltx=2", "http://a.example/?copy=1&ltx=2 "},
};

static void
assert_urls(bool html, struct span text, size_t first, size_t chunk, const char *want)
{
	struct urls *u = urls_new(10);
	char got[1024] = "";
	size_t n = 0;

	assert_non_null(u);
	urls_begin(u, html);
	assert_true(urls_feed(u, span_first(text, first)));
	for (size_t at = first; at < text.n; at += chunk)
		assert_true(urls_feed(u, span_first(span_from(text, at), chunk)));
	assert_true(urls_end(u));
	for (size_t i = 0; i < urls_count(u); i++) {
		struct span url = urls_get(u, i);

		assert_true(n + url.n + 2 < sizeof(got));
		memcpy(got + n, url.p, url.n);
		n += url.n;
		got[n++] = ' ';
		got[n] = '\0';
	}
	if (strcmp(got, want) != 0)
		fail_msg("'%.*s' gave '%s' where '%s' was expected", (int)text.n,
		    (const char *)text.p, got, want);
	urls_free(u);
}

static void
test_looks(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(looks); i++) {
		struct span text = span_str(looks[i].text);

		for (size_t cut = 0; cut <= text.n; cut++)
			assert_urls(looks[i].html, text, cut, text.n + 1, looks[i].want);
		assert_urls(looks[i].html, text, 0, 1, looks[i].want);
	}
}

/* Behind a text that is passed over, wherever in a vector it begins. */
static void
test_each_place(void **state)
{
	uint8_t text[600];

	(void)state;
	for (size_t i = 0; i < nitems(looks); i++) {
		struct span look = span_str(looks[i].text);

		for (size_t quiet = 1; quiet <= 300; quiet++) {
			assert_true(quiet + look.n <= sizeof(text));
			memset(text, 'q', quiet);
			text[quiet / 3] = '\n'; /* which is loud in HTML only */
			text[quiet - 1] = ' ';
			memcpy(text + quiet, look.p, look.n);
			assert_urls(looks[i].html, span_of(text, quiet + look.n), 0, sizeof(text),
			    looks[i].want);
		}
	}
}

static void
test_bounds(void **state)
{
	static char line[URL_MAX + 100];
	struct urls *u = urls_new(2);
	char one[] = "http://a0.example ";

	(void)state;
	urls_begin(u, false);
	for (int i = 0; i < 5; i++) {
		one[8] = (char)('0' + i);
		urls_feed(u, span_str(one));
	}
	urls_begin(u, false);
	urls_feed(u, span_str("http://a1.example"));
	urls_end(u);
	urls_end(u);
	assert_int_equal(urls_count(u), 2);
	assert_int_equal(urls_left_out(u), 3);
	assert_true(span_eq(urls_get(u, 1), span_str("http://a1.example")));
	urls_free(u);

	memset(line, 'x', sizeof(line));
	for (size_t i = 0; i < 7; i++)
		line[i] = "http://"[i];
	u = urls_new(2);
	urls_begin(u, false);
	urls_feed(u, span_of(line, sizeof(line)));
	urls_end(u);
	assert_int_equal(urls_get(u, 0).n, URL_MAX);
	urls_free(u);
	urls_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_looks),
	    cmocka_unit_test(test_each_place),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
