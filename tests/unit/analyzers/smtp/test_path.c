#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "smtp/path.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

#define OK	 SMTP_PATH_OK
#define SYNTAX	 SMTP_PATH_SYNTAX
#define BRACKETS SMTP_PATH_BRACKETS
#define LOCAL	 SMTP_PATH_LOCAL_SYNTAX
#define EMPTY	 SMTP_PATH_LOCAL_EMPTY
#define DOMAIN	 SMTP_PATH_DOMAIN_SYNTAX
#define LITERAL	 SMTP_PATH_LITERAL_SYNTAX
#define ROUTE	 SMTP_PATH_ROUTE_SYNTAX
#define TWO_AT	 SMTP_PATH_DOUBLE_AT
#define WORD	 SMTP_PATH_ENCODED_WORD
#define ALIKE	 SMTP_PATH_CONFUSABLE
#define NO_ASCII SMTP_PATH_NOT_ASCII
#define NO_UTF8	 SMTP_PATH_NOT_UTF8

#define NONE	  SMTP_DOMAIN_NONE
#define NAME	  SMTP_DOMAIN_NAME
#define IN_SQUARE SMTP_DOMAIN_LITERAL
#define TAGGED	  SMTP_DOMAIN_TAGGED

struct accepted {
	const char *name;
	const char *in; /* parsed with SMTPUTF8, brackets wanted */
	const char *route, *local, *plain;
	enum smtp_domain_kind kind;
	const char *domain;
	const char *canonical;
};

static const struct accepted accepted[] = {
    {"plain", "<r@evil.example>", "", "r", "r", NAME, "evil.example", "<r@evil.example>"},
    {"atext", "<!#$%&'*+-/?=^_`{|}~@x>", "", "!#$%&'*+-/?=^_`{|}~", "!#$%&'*+-/?=^_`{|}~", NAME,
	"x", "<!#$%&'*+-/?=^_`{|}~@x>"},
    {"dots", "<a.b.c@x>", "", "a.b.c", "a.b.c", NAME, "x", "<a.b.c@x>"},
    {"single label, A-label", "<u@xn--bcher-kva>", "", "u", "u", NAME, "xn--bcher-kva",
	"<u@xn--bcher-kva>"},
    {"digits but in the last label", "<u@1.2.3.4a>", "", "u", "u", NAME, "1.2.3.4a",
	"<u@1.2.3.4a>"},
    {"quotes that are not needed", "<\"a.b\"@x>", "", "\"a.b\"", "a.b", NAME, "x", "<a.b@x>"},
    {"quotes that are needed", "<\"a b\"@x>", "", "\"a b\"", "a b", NAME, "x", "<\"a b\"@x>"},
    {"quoted dots", "<\"a..b\"@x>", "", "\"a..b\"", "a..b", NAME, "x", "<\"a..b\"@x>"},
    {"quoted brackets", "<\"a>b<c\"@x>", "", "\"a>b<c\"", "a>b<c", NAME, "x", "<\"a>b<c\"@x>"},
    {"quoted pairs that are not needed", "<\"\\a\\.b\"@x>", "", "\"\\a\\.b\"", "a.b", NAME, "x",
	"<a.b@x>"},
    {"quoted pairs that are needed", "<\"\\\"\\\\\\ \"@x>", "", "\"\\\"\\\\\\ \"", "\"\\ ", NAME,
	"x", "<\"\\\"\\\\ \"@x>"},
    {"quoted @ without a domain", "<\"r@x\">", "", "\"r@x\"", "r@x", NONE, "", "<\"r@x\">"},
    {"S-036 UTF-8 with SMTPUTF8",
	"<\xc3\xbc@b\xc3\xbc"
	"cher.example>",
	"", "\xc3\xbc", "\xc3\xbc", NAME,
	"b\xc3\xbc"
	"cher.example",
	"<\xc3\xbc@b\xc3\xbc"
	"cher.example>"},
    {"R-005", "<r%evil.example@[192.0.2.25]>", "", "r%evil.example", "r%evil.example", IN_SQUARE,
	"192.0.2.25", "<r%evil.example@[192.0.2.25]>"},
    {"R-006", "<r%evil.example@mx.local.example>", "", "r%evil.example", "r%evil.example", NAME,
	"mx.local.example", "<r%evil.example@mx.local.example>"},
    {"R-007", "<\"r@evil.example\">", "", "\"r@evil.example\"", "r@evil.example", NONE, "",
	"<\"r@evil.example\">"},
    {"R-008", "<\"r%evil.example\">", "", "\"r%evil.example\"", "r%evil.example", NONE, "",
	"<r%evil.example>"},
    {"R-010", "<\"r@evil.example\"@[192.0.2.25]>", "", "\"r@evil.example\"", "r@evil.example",
	IN_SQUARE, "192.0.2.25", "<\"r@evil.example\"@[192.0.2.25]>"},
    {"R-012", "<@[192.0.2.25]:r@evil.example>", "@[192.0.2.25]", "r", "r", NAME, "evil.example",
	"<r@evil.example>"},
    {"R-012 IPv6", "<@[IPv6:2001:db8::25]:r@evil.example>", "@[IPv6:2001:db8::25]", "r", "r", NAME,
	"evil.example", "<r@evil.example>"},
    {"R-013", "<@mx.local.example:r@evil.example>", "@mx.local.example", "r", "r", NAME,
	"evil.example", "<r@evil.example>"},
    {"R-014", "<evil.example!r>", "", "evil.example!r", "evil.example!r", NONE, "",
	"<evil.example!r>"},
    {"R-015", "<evil.example!r@[192.0.2.25]>", "", "evil.example!r", "evil.example!r", IN_SQUARE,
	"192.0.2.25", "<evil.example!r@[192.0.2.25]>"},
    {"R-016", "<evil.example!r@mx.local.example>", "", "evil.example!r", "evil.example!r", NAME,
	"mx.local.example", "<evil.example!r@mx.local.example>"},
    {"R-017 localhost", "<s@localhost>", "", "s", "s", NAME, "localhost", "<s@localhost>"},
    {"R-017 no domain", "<s>", "", "s", "s", NONE, "", "<s>"},
    {"R-018 list", "<@local.example,@evil.example:r@evil.example>", "@local.example,@evil.example",
	"r", "r", NAME, "evil.example", "<r@evil.example>"},
    {"R-019 foreign", "<r@evil.example.>", "", "r", "r", NAME, "evil.example", "<r@evil.example>"},
    {"R-019 local", "<u@local.example.>", "", "u", "u", NAME, "local.example", "<u@local.example>"},
    {"R-020", "<r@EVIL.example>", "", "r", "r", NAME, "EVIL.example", "<r@EVIL.example>"},
    {"R-021 pair", "<\"u\\@evil.example\"@local.example>", "", "\"u\\@evil.example\"",
	"u@evil.example", NAME, "local.example", "<\"u@evil.example\"@local.example>"},
    {"R-022 percent", "<u%evil.example@local.example>", "", "u%evil.example", "u%evil.example",
	NAME, "local.example", "<u%evil.example@local.example>"},
    {"R-022 bang", "<evil.example!u@local.example>", "", "evil.example!u", "evil.example!u", NAME,
	"local.example", "<evil.example!u@local.example>"},
    {"R-025 Greek omicron is left to IDNA",
	"<u@l\xce\xbf"
	"cal.example>",
	"", "u", "u", NAME,
	"l\xce\xbf"
	"cal.example",
	"<u@l\xce\xbf"
	"cal.example>"},
    {"R-027 loopback", "<u@[127.0.0.1]>", "", "u", "u", IN_SQUARE, "127.0.0.1", "<u@[127.0.0.1]>"},
    {"R-027 IPv6", "<u@[IPv6:::1]>", "", "u", "u", IN_SQUARE, "IPv6:::1", "<u@[IPv6:::1]>"},
    {"R-027 tag in another case", "<u@[ipv6:2001:DB8::1]>", "", "u", "u", IN_SQUARE,
	"ipv6:2001:DB8::1", "<u@[ipv6:2001:DB8::1]>"},
    {"R-027 another tag", "<u@[X-25:31415]>", "", "u", "u", TAGGED, "X-25:31415",
	"<u@[X-25:31415]>"},
    {"R-028 no domain", "<u>", "", "u", "u", NONE, "", "<u>"},
    {"R-028 postmaster", "<postmaster>", "", "postmaster", "postmaster", NONE, "", "<postmaster>"},
};

struct refused {
	const char *name;
	const char *in;
	enum smtp_path_fault fault;
};

static const struct refused refused[] = {
    {"nothing", "", BRACKETS},
    {"no brackets", "a@b", BRACKETS},
    {"never closed", "<a@b", BRACKETS},
    {"only opened", "<", BRACKETS},
    {"blank inside", "< a@b>", LOCAL},
    {"only a blank", "< >", LOCAL},
    {"nested brackets", "<<a@b>>", SYNTAX},
    {"bracket inside", "<a<b@c>", LOCAL},
    {"text behind", "<a@b>SIZE=1", SYNTAX},
    {"control octet", "<a\x01@b>", SYNTAX},
    {"tab in quotes", "<\"a\tb\"@c>", SYNTAX},
    {"delete", "<a\x7f@b>", SYNTAX},
    {"dot at the front", "<.a@b>", LOCAL},
    {"dot at the end", "<a.@b>", LOCAL},
    {"two dots", "<a..b@c>", LOCAL},
    {"quotes in the middle", "<a\"b\"c@d>", LOCAL},
    {"quotes and more", "<\"a\"b@c>", LOCAL},
    {"quoted words with a dot", "<\"a\".\"b\"@c>", LOCAL},
    {"backslash without quotes", "<a\\b@c>", LOCAL},
    {"quoted pair of no ASCII", "<\"\\\xc3\xbc\"@x>", LOCAL},
    {"route without a colon", "<@a>", ROUTE},
    {"route and nothing", "<@a:>", ROUTE},
    {"route with no name", "<@:u@x>", ROUTE},
    {"route with a double @", "<@a@b:u@x>", ROUTE},
    {"route that ends in a comma", "<@a,:u@x>", ROUTE},
    {"route without its @", "<@a,b:u@x>", ROUTE},
    {"route with a blank", "<@a, @b:u@x>", ROUTE},
    {"route to a bare local part", "<@evil.example:postmaster>", ROUTE},
    {"route to nobody", "<@a:@b>", EMPTY},
    {"route with a bad literal", "<@[1.2.3]:u@x>", ROUTE},
    {"route with an open literal", "<@[1.2.3.4:u@x>", ROUTE},
    {"S-035 bad UTF-8", "<\xc3(@x>", NO_UTF8},
    {"S-035 in a path that has no end", "<\xc3(@x", NO_UTF8},
    {"R-021 quote that never ends", "<\"u\\\"@evil.example>", LOCAL},
    {"R-023 two paths", "<a@evil.example>u@local.example", SYNTAX},
    {"R-023 two paths, short", "<a@b>x@y", SYNTAX},
    {"R-024", "<=?utf-8?q?r=40evil.example=3e?=@local.example>", WORD},
    {"R-024 in quotes", "<\"=?utf-8?q?r=40evil.example?=\"@local.example>", WORD},
    {"R-024 behind a quoted pair", "<\"=\\?utf-8?q?r?=\"@local.example>", WORD},
    {"R-025 U+3002",
	"<u@local\xe3\x80\x82"
	"example>",
	DOMAIN},
    {"R-025 U+FF0E",
	"<u@local\xef\xbc\x8e"
	"example>",
	DOMAIN},
    {"R-025 U+FF61 at the end", "<u@local.example\xef\xbd\xa1>", DOMAIN},
    {"R-025 U+FF20",
	"<u\xef\xbc\xa0"
	"evil.example>",
	ALIKE},
    {"R-025 U+FF20 and @",
	"<u\xef\xbc\xa0"
	"evil.example@local.example>",
	ALIKE},
    {"R-025 U+FF20 in a domain", "<u@evil.example\xef\xbc\xa0local.example>", DOMAIN},
    {"R-025 U+FF20 in quotes",
	"<\"u\xef\xbc\xa0"
	"evil.example\"@x>",
	ALIKE},
    {"R-025 U+FE6B",
	"<u\xef\xb9\xab"
	"e@x>",
	ALIKE},
    {"R-025 U+FF05",
	"<u\xef\xbc\x85"
	"e@x>",
	ALIKE},
    {"R-025 U+FE6A",
	"<u\xef\xb9\xaa"
	"e@x>",
	ALIKE},
    {"R-025 U+FF01",
	"<u\xef\xbc\x81"
	"e@x>",
	ALIKE},
    {"R-025 U+FE57",
	"<u\xef\xb9\x97"
	"e@x>",
	ALIKE},
    {"R-025 U+FF1A",
	"<u\xef\xbc\x9a"
	"e@x>",
	ALIKE},
    {"R-025 U+FE55",
	"<u\xef\xb9\x95"
	"e@x>",
	ALIKE},
    {"R-026 empty label", "<u@a..b>", DOMAIN},
    {"R-026 dot at the front", "<u@.b>", DOMAIN},
    {"R-026 two dots at the end", "<u@b..>", DOMAIN},
    {"R-026 only a dot", "<u@.>", DOMAIN},
    {"R-026 underscore", "<u@a_b.example>", DOMAIN},
    {"R-026 hyphen at the front", "<u@-a.example>", DOMAIN},
    {"R-026 hyphen at the end", "<u@a-.example>", DOMAIN},
    {"R-027 untagged IPv6", "<u@[::ffff:192.0.2.25]>", LITERAL},
    {"R-027 untagged IPv6 with a tag's look", "<u@[2001:db8::1]>", LITERAL},
    {"R-027 one number", "<u@[3221225985]>", LITERAL},
    {"R-027 bare dotted quad", "<u@192.0.2.25>", DOMAIN},
    {"R-027 bare dotted quad with a dot", "<u@192.0.2.25.>", DOMAIN},
    {"R-027 IPv4 under the IPv6 tag", "<u@[IPv6:192.0.2.25]>", LITERAL},
    {"R-027 no address under the IPv6 tag", "<u@[IPv6:]>", LITERAL},
    {"R-027 empty literal", "<u@[]>", LITERAL},
    {"R-027 open literal", "<u@[192.0.2.25>", LITERAL},
    {"R-027 literal and more", "<u@[192.0.2.25].evil.example>", LITERAL},
    {"R-027 literal with a dot behind", "<u@[192.0.2.25].>", LITERAL},
    {"R-027 zone", "<u@[IPv6:fe80::1%eth0]>", LITERAL},
    {"R-027 tag without content", "<u@[X-25:]>", LITERAL},
    {"R-027 tag that ends in a hyphen", "<u@[X-:1]>", LITERAL},
    {"R-027 special in the content", "<u@[X-25:(a)]>", LITERAL},
    {"R-029 empty quotes", "<\"\"@local.example>", EMPTY},
    {"R-029 empty quotes alone", "<\"\">", EMPTY},
    {"R-029 no domain behind the @", "<u@>", DOMAIN},
    {"R-029 comment", "<u(c)@local.example>", LOCAL},
    {"R-029 comment in the domain", "<u@local.example(c)>", DOMAIN},
    {"D-019 xn-- alone", "<u@xn-->", DOMAIN},
    {"D-019 percent", "<u@a%00.example>", DOMAIN},
};

struct doubled {
	const char *name;
	const char *in, *route, *local, *domain;
};

/* Refused, and yet split, so that the relay check can tell what was tried. */
static const struct doubled doubled[] = {
    {"R-009", "<r@evil.example@[192.0.2.25]>", "", "r@evil.example", "192.0.2.25"},
    {"R-011", "<r@evil.example@mx.local.example>", "", "r@evil.example", "mx.local.example"},
    {"R-018 two routes", "<@a:@b:r@evil.example>", "@a", "@b:r", "evil.example"},
    {"R-023", "<u@local.example@evil.example>", "", "u@local.example", "evil.example"},
    {"R-021 backslash without quotes", "<u\\@evil.example@local.example>", "", "u\\@evil.example",
	"local.example"},
    {"R-023 quotes", "<\"a\"@\"b\"@evil.example>", "", "\"a\"@\"b\"", "evil.example"},
};

static void
assert_span(struct span s, const char *want)
{
	if (!span_eq(s, span_str(want)))
		fail_msg("'%.*s' where '%s' was expected", (int)s.n, (const char *)s.p, want);
}

static enum smtp_path_fault
parse(const char *in, struct smtp_path *path)
{
	struct span rest;

	return smtp_path_parse(span_str(in), false, true, path, &rest);
}

static void
test_accepted(void **state)
{
	const struct accepted *c = *state;
	struct smtp_path path;
	struct buf out;

	assert_int_equal(parse(c->in, &path), OK);
	assert_false(path.null);
	assert_span(path.route, c->route);
	assert_span(path.local, c->local);
	assert_int_equal(path.quoted, c->local[0] == '"');
	assert_int_equal(path.domain_kind, c->kind);
	assert_span(path.domain, c->domain);
	assert_int_equal(path.address.family != IP_NONE, c->kind == IN_SQUARE);
	assert_int_equal(path.ascii, span_is_ascii(span_str(c->in)));

	buf_init(&out, 1000);
	assert_true(smtp_path_local_plain(&path, &out));
	assert_span(buf_span(&out), c->plain);
	buf_clear(&out);
	assert_true(smtp_path_canonical(&path, &out));
	assert_span(buf_span(&out), c->canonical);
	buf_free(&out);
}

static void
test_refused(void **state)
{
	const struct refused *c = *state;
	struct smtp_path path;
	enum smtp_path_fault fault = parse(c->in, &path);

	if (fault != c->fault)
		fail_msg("'%s': %s", c->in, smtp_path_why(fault));
}

static void
test_doubled(void **state)
{
	const struct doubled *c = *state;
	struct smtp_path path;

	assert_int_equal(parse(c->in, &path), TWO_AT);
	assert_true(span_eq(path.raw, span_of(c->in + 1, strlen(c->in) - 2)));
	assert_span(path.route, c->route);
	assert_span(path.local, c->local);
	assert_span(path.domain, c->domain);
	assert_false(path.quoted);
}

static void
test_why(void **state)
{
	(void)state;
	assert_string_equal(smtp_path_why(OK), "");
	assert_string_equal(smtp_path_why(NO_UTF8), "bad UTF-8");
	for (int i = OK + 1; i < SMTP_PATH_FAULT_COUNT; i++)
		assert_true(smtp_path_why((enum smtp_path_fault)i)[0] != '\0');
}

static void
test_null(void **state)
{
	struct smtp_path path;
	struct span rest;
	struct buf out;

	(void)state;
	assert_int_equal(
	    smtp_path_parse(span_str("<>  RET=HDRS "), false, false, &path, &rest), OK);
	assert_true(path.null);
	assert_true(path.ascii);
	assert_int_equal(path.domain_kind, NONE);
	assert_span(rest, "RET=HDRS");
	buf_init(&out, 10);
	assert_true(smtp_path_local_plain(&path, &out));
	assert_span(buf_span(&out), "");
	assert_true(smtp_path_canonical(&path, &out));
	assert_span(buf_span(&out), "<>");
	buf_free(&out);
}

static void
test_rest(void **state)
{
	static const struct {
		const char *in, *raw, *rest;
		bool lenient;
		enum smtp_path_fault fault;
	} cases[] = {
	    {"<a@b>", "a@b", "", false, OK},
	    {"<a@b> ", "a@b", "", false, OK},
	    {"<a@b> \tSIZE=1 X", "a@b", "SIZE=1 X", false, OK},
	    {"<\"a> b\"@c> SIZE=1", "\"a> b\"@c", "SIZE=1", false, OK},
	    {"<a@b@c> SIZE=1", "a@b@c", "SIZE=1", false, TWO_AT},
	    {"<a@b> SIZE=1", "a@b", "SIZE=1", true, OK},
	    {"a@b SIZE=1", "a@b", "SIZE=1", false, BRACKETS},
	    {"a@b SIZE=1", "a@b", "SIZE=1", true, OK},
	    {"a@b", "a@b", "", true, OK},
	    {"\"a b\"@c", "\"a", "b\"@c", true, LOCAL},
	    {"a@b>", "a@b>", "", true, DOMAIN},
	    {"", "", "", true, SYNTAX},
	    {" ", "", "", true, SYNTAX},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct smtp_path path;
		struct span rest;

		assert_int_equal(
		    smtp_path_parse(span_str(cases[i].in), cases[i].lenient, true, &path, &rest),
		    cases[i].fault);
		assert_span(path.raw, cases[i].raw);
		assert_span(rest, cases[i].rest);
	}
}

/* S-036, R-025: what is not ASCII is told apart from what is wrong under SMTPUTF8 too. */
static void
test_without_smtputf8(void **state)
{
	static const struct {
		const char *in;
		enum smtp_path_fault fault;
	} cases[] = {
	    {"<\xc3\xbc@x>", NO_ASCII},
	    {"<u@l\xce\xbf"
	     "cal.example>",
		NO_ASCII},
	    {"<u\xef\xbc\xa0"
	     "evil.example>",
		NO_ASCII},
	    {"<\xc3(@x>", NO_UTF8},
	    {"<u@x>", OK},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct smtp_path path;
		struct span rest;

		assert_int_equal(smtp_path_parse(span_str(cases[i].in), false, false, &path, &rest),
		    cases[i].fault);
		assert_int_equal(path.ascii, cases[i].fault == OK);
	}
}

static void
test_trailing_dot(void **state)
{
	struct smtp_path path;

	(void)state;
	assert_int_equal(parse("<r@evil.example.>", &path), OK);
	assert_true(path.trailing_dot);
	assert_int_equal(parse("<r@evil.example>", &path), OK);
	assert_false(path.trailing_dot);
}

static void
test_literals(void **state)
{
	static const struct {
		const char *in, *address;
	} cases[] = {
	    {"<u@[192.0.2.25]>", "192.0.2.25"},
	    {"<u@[IPv6:2001:db8::25]>", "2001:db8::25"},
	    {"<u@[IPv6:::ffff:192.0.2.25]>", "192.0.2.25"},
	    {"<u@[IPv6:::ffff:c000:219]>", "192.0.2.25"},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct smtp_path path;
		char text[IP_TEXT_MAX];

		assert_int_equal(parse(cases[i].in, &path), OK);
		assert_string_equal(ip_text(&path.address, text), cases[i].address);
	}
}

static void
repeat(struct buf *b, const char *text, size_t n)
{
	while (n-- > 0)
		buf_str(b, text);
}

/* "<" local "@" labels of 63, the last one of what is left, ">"; parsed. */
static enum smtp_path_fault
parse_long(const char *route, size_t local, size_t domain)
{
	struct smtp_path path;
	struct span rest;
	struct buf b;
	enum smtp_path_fault fault;

	buf_init(&b, 200000);
	buf_octet(&b, '<');
	buf_str(&b, route);
	repeat(&b, "l", local);
	buf_octet(&b, '@');
	for (; domain > 63; domain -= 64) {
		repeat(&b, "d", 63);
		buf_octet(&b, '.');
	}
	repeat(&b, "d", domain);
	buf_octet(&b, '>');
	assert_false(b.failed);
	fault = smtp_path_parse(buf_span(&b), false, true, &path, &rest);
	buf_free(&b);
	return fault;
}

static void
test_lengths(void **state)
{
	(void)state;
	assert_int_equal(parse_long("", 64, 10), OK);
	assert_int_equal(parse_long("", 65, 10), SMTP_PATH_LOCAL_LONG);
	assert_int_equal(parse_long("", 1, 252), OK); /* 256 with the brackets */
	assert_int_equal(parse_long("", 1, 253), SMTP_PATH_LONG);
	assert_int_equal(parse_long("", 2, 252), SMTP_PATH_LONG);
	assert_int_equal(parse_long("", 64, 189), OK);
	assert_int_equal(parse_long("", 64, 190), SMTP_PATH_LONG);
	assert_int_equal(parse_long("", 1, 255), SMTP_PATH_LONG);
	assert_int_equal(parse_long("", 1, 257), SMTP_PATH_DOMAIN_LONG);
	assert_int_equal(parse_long("@a:", 64, 186), OK);
	assert_int_equal(parse_long("@a:", 64, 187), SMTP_PATH_LONG);
}

/* R-029: 63 KB on either side of the "@" and in the route. */
static void
test_huge(void **state)
{
	struct smtp_path path;
	struct span rest;
	struct buf b;

	(void)state;
	assert_int_equal(parse_long("", 64512, 10), SMTP_PATH_LOCAL_LONG);
	assert_int_equal(parse_long("", 1, 64513), SMTP_PATH_DOMAIN_LONG);
	buf_init(&b, 100000);
	buf_octet(&b, '<');
	repeat(&b, "@a,", 20000);
	buf_str(&b, "@a:u@x>");
	assert_int_equal(smtp_path_parse(buf_span(&b), false, true, &path, &rest), SMTP_PATH_LONG);
	buf_clear(&b);
	buf_octet(&b, '<');
	repeat(&b, "a@", 30000);
	buf_str(&b, "x>");
	assert_int_equal(smtp_path_parse(buf_span(&b), false, true, &path, &rest), TWO_AT);
	buf_free(&b);
}

/* R-026, D-019: 63 octets are a label, 64 are none; of a U-label only IDNA can say. */
static void
test_labels(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		enum smtp_path_fault fault;
	} cases[] = {
	    {"a", 63, OK},
	    {"a", 64, DOMAIN},
	    {"\xc3\xbc", 63, OK},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct smtp_path path;
		struct span rest;
		struct buf b;

		buf_init(&b, 1000);
		buf_str(&b, "<u@");
		repeat(&b, cases[i].text, cases[i].n);
		buf_str(&b, ".example>");
		assert_int_equal(
		    smtp_path_parse(buf_span(&b), false, true, &path, &rest), cases[i].fault);
		buf_free(&b);
	}
}

static void
test_nul(void **state)
{
	struct smtp_path path;
	struct span rest;

	(void)state;
	assert_int_equal(
	    smtp_path_parse(span_of("<u@a\0.b>", 8), false, true, &path, &rest), SYNTAX);
	assert_int_equal(
	    smtp_path_parse(span_of("<\"\0\"@a>", 7), false, true, &path, &rest), SYNTAX);
}

static void
test_output_full(void **state)
{
	struct smtp_path path;
	struct buf out;

	(void)state;
	assert_int_equal(parse("<\"a b\"@x>", &path), OK);
	buf_init(&out, 8);
	assert_false(smtp_path_canonical(&path, &out));
	buf_free(&out);
	buf_init(&out, 2);
	assert_false(smtp_path_local_plain(&path, &out));
	buf_free(&out);
}

/* A test of its own for every row, so that the summary names it. */
#define ROWS(table, function)                                                                      \
	for (size_t i = 0; i < nitems(table); i++)                                                 \
		tests[n++] = (struct CMUnitTest){                                                  \
		    table[i].name, function, NULL, NULL, (void *)(uintptr_t)&table[i]};

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_why),
	    cmocka_unit_test(test_null),
	    cmocka_unit_test(test_rest),
	    {"S-036 R-025 without SMTPUTF8", test_without_smtputf8, NULL, NULL, NULL},
	    {"R-019 trailing dot", test_trailing_dot, NULL, NULL, NULL},
	    {"R-027 addresses", test_literals, NULL, NULL, NULL},
	    {"S-073 lengths", test_lengths, NULL, NULL, NULL},
	    {"R-029 63 KB", test_huge, NULL, NULL, NULL},
	    {"R-026 D-019 labels", test_labels, NULL, NULL, NULL},
	    {"D-019 NUL", test_nul, NULL, NULL, NULL},
	    cmocka_unit_test(test_output_full),
	};
	struct CMUnitTest
	    tests[nitems(fixed) + nitems(accepted) + nitems(refused) + nitems(doubled)];
	size_t n = nitems(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	ROWS(accepted, test_accepted)
	ROWS(refused, test_refused)
	ROWS(doubled, test_doubled)
	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
