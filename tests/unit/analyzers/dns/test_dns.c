#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/buf.h"
#include "dns/dns.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

#define QR	 0x8000u
#define TC	 0x0200u
#define NXDOMAIN 3u
#define SERVFAIL 2u
#define REFUSED	 5u
#define TXT	 16u
#define CNAME	 5u
#define IN	 1u
#define CHAOS	 3u

#define QUESTION_AT 12u /* where the name of the question lies in every message */

static void
put_u16(struct buf *b, unsigned value)
{
	buf_octet(b, (uint8_t)(value >> 8));
	buf_octet(b, (uint8_t)value);
}

static void
put_pointer(struct buf *b, unsigned to)
{
	put_u16(b, 0xc000 | to);
}

/* "a.example"; "" is the root. */
static void
put_name(struct buf *b, const char *text)
{
	struct span rest = span_str(text);

	while (rest.n > 0) {
		ptrdiff_t dot = span_find(rest, '.');
		struct span label = dot < 0 ? rest : span_first(rest, (size_t)dot);

		buf_octet(b, (uint8_t)label.n);
		buf_add(b, label);
		rest = span_from(rest, label.n + 1);
	}
	buf_octet(b, 0);
}

static void
put_header(struct buf *b, unsigned flags, unsigned answers)
{
	put_u16(b, 0x1234);
	put_u16(b, flags);
	put_u16(b, 1);
	put_u16(b, answers);
	put_u16(b, 0);
	put_u16(b, 0);
}

static void
put_question(struct buf *b, const char *name, unsigned type)
{
	put_name(b, name);
	put_u16(b, type);
	put_u16(b, IN);
}

/* A record behind its name, up to its data. */
static void
put_type(struct buf *b, unsigned type, unsigned class, size_t length)
{
	put_u16(b, type);
	put_u16(b, class);
	put_u16(b, 0);
	put_u16(b, 300);
	put_u16(b, (unsigned)length);
}

/* The same, of the name in the question. */
static void
put_record(struct buf *b, unsigned type, size_t length)
{
	put_pointer(b, QUESTION_AT);
	put_type(b, type, IN, length);
}

static void
put_named_record(struct buf *b, const char *name, unsigned type, unsigned class, struct span rdata)
{
	put_name(b, name);
	put_type(b, type, class, rdata.n);
	buf_add(b, rdata);
}

static void
put_mx(struct buf *b, unsigned preference, const char *host)
{
	put_record(b, DNS_MX, strlen(host) + (host[0] != '\0') + 3);
	put_u16(b, preference);
	put_name(b, host);
}

static void
put_cname(struct buf *b, const char *from, const char *to)
{
	struct buf target;

	buf_init(&target, 300);
	put_name(&target, to);
	put_named_record(b, from, CNAME, IN, buf_span(&target));
	buf_free(&target);
}

static void
begin(struct buf *b, unsigned flags, enum dns_type type, unsigned answers)
{
	buf_init(b, 65535);
	put_header(b, flags, answers);
	put_question(b, "a.example", type);
}

/* Reads the message as an answer about a.example, and frees it. */
static void
parse(struct buf *b, enum dns_type type, struct dns_answer *out)
{
	struct dns_question q;

	assert_false(b->failed);
	assert_true(dns_question_set(&q, type, span_str("A.example")));
	dns_parse(buf_span(b), &q, out);
	assert_int_equal(out->question.type, type);
	assert_string_equal(out->question.name, "a.example");
	buf_free(b);
}

static void
test_mx(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_MX, 4);
	put_mx(&b, 20, "B.Example");
	put_mx(&b, 10, "c_d.example");
	put_mx(&b, 20, "d.example");
	put_mx(&b, 65535, "192.0.2.1");
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, 4);
	assert_int_equal(a.left_out, 0);
	assert_int_equal(a.mx[0].preference, 10);
	assert_string_equal(a.mx[0].host, "c_d.example");
	assert_string_equal(a.mx[1].host, "b.example");
	assert_string_equal(a.mx[2].host, "d.example");
	assert_false(a.mx[2].is_address);
	assert_int_equal(a.mx[3].preference, 65535);
	assert_string_equal(a.mx[3].host, "192.0.2.1");
	assert_true(a.mx[3].is_address);
}

static void
test_null_mx(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_MX, 1);
	put_mx(&b, 0, "");
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, 1);
	assert_string_equal(a.mx[0].host, "");
	assert_false(a.mx[0].is_address);
}

/* An IPv6 address is a single label, and no host name. */
static void
test_mx_ipv6(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_MX, 1);
	put_mx(&b, 0, "2001:db8::1");
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_true(a.mx[0].is_address);
}

static void
test_compressed_host(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_MX, 1);
	put_record(&b, DNS_MX, 7);
	put_u16(&b, 10);
	buf_octet(&b, 2);
	buf_str(&b, "MX");
	put_pointer(&b, QUESTION_AT + 2); /* "example" */
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_string_equal(a.mx[0].host, "mx.example");
}

static void
test_addresses(void **state)
{
	static const uint8_t v4[4] = {192, 0, 2, 1};
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 25};
	struct dns_answer a;
	struct buf b;
	char text[IP_TEXT_MAX];

	(void)state;
	begin(&b, QR, DNS_A, 1);
	put_record(&b, DNS_A, 4);
	buf_add(&b, span_of(v4, 4));
	parse(&b, DNS_A, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, 1);
	assert_string_equal(ip_text(&a.address[0], text), "192.0.2.1");

	begin(&b, QR, DNS_AAAA, 2);
	put_record(&b, DNS_AAAA, 16);
	buf_add(&b, span_of(v6, 16));
	put_record(&b, DNS_AAAA, 16);
	buf_add(&b, span_of(mapped, 16));
	parse(&b, DNS_AAAA, &a);
	assert_int_equal(a.n, 2);
	assert_string_equal(ip_text(&a.address[0], text), "2001:db8::1");
	assert_string_equal(ip_text(&a.address[1], text), "192.0.2.25");
}

static void
test_too_many_addresses(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_A, DNS_ADDRESS_MAX + 3);
	for (unsigned i = 0; i < DNS_ADDRESS_MAX + 3; i++) {
		put_record(&b, DNS_A, 4);
		put_u16(&b, 0xc000);
		put_u16(&b, i);
	}
	parse(&b, DNS_A, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, DNS_ADDRESS_MAX);
	assert_int_equal(a.left_out, 3);
	assert_int_equal(a.address[DNS_ADDRESS_MAX - 1].octets[3], DNS_ADDRESS_MAX - 1);
}

static void
test_wrong_address_length(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	for (unsigned length = 3; length <= 5; length++) {
		begin(&b, QR, DNS_A, 1);
		put_record(&b, DNS_A, length);
		for (unsigned i = 0; i < length; i++)
			buf_octet(&b, 1);
		parse(&b, DNS_A, &a);
		assert_int_equal(a.status, length == 4 ? DNS_OK : DNS_FAILED);
	}
}

static void
test_rcodes(void **state)
{
	static const struct {
		unsigned flags;
		enum dns_status status;
	} cases[] = {
	    {QR, DNS_NODATA},
	    {QR | NXDOMAIN, DNS_NXDOMAIN},
	    {QR | SERVFAIL, DNS_FAILED},
	    {QR | REFUSED, DNS_FAILED},
	    {QR | 15, DNS_FAILED},
	    {NXDOMAIN, DNS_FAILED},		  /* a question is no answer */
	    {QR | 0x0800 | NXDOMAIN, DNS_FAILED}, /* another opcode */
	    {QR | TC, DNS_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct dns_answer a;
		struct buf b;

		begin(&b, cases[i].flags, DNS_MX, 0);
		parse(&b, DNS_MX, &a);
		assert_int_equal(a.status, cases[i].status);
		assert_int_equal(a.n, 0);
	}
}

static void
test_other_question(void **state)
{
	static const struct {
		const char *name;
		unsigned type, class, count;
		enum dns_status status;
	} cases[] = {
	    {"A.EXAMPLE", DNS_MX, IN, 1, DNS_NODATA},
	    {"b.example", DNS_MX, IN, 1, DNS_FAILED},
	    {"a.example.org", DNS_MX, IN, 1, DNS_FAILED},
	    {"example", DNS_MX, IN, 1, DNS_FAILED},
	    {"", DNS_MX, IN, 1, DNS_FAILED},
	    {"a.example", DNS_A, IN, 1, DNS_FAILED},
	    {"a.example", DNS_MX, CHAOS, 1, DNS_FAILED},
	    {"a.example", DNS_MX, IN, 0, DNS_FAILED},
	    {"a.example", DNS_MX, IN, 2, DNS_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct dns_answer a;
		struct buf b;

		buf_init(&b, 1000);
		put_u16(&b, 0);
		put_u16(&b, QR);
		put_u16(&b, cases[i].count);
		put_u16(&b, 0);
		put_u16(&b, 0);
		put_u16(&b, 0);
		put_name(&b, cases[i].name);
		put_u16(&b, cases[i].type);
		put_u16(&b, cases[i].class);
		parse(&b, DNS_MX, &a);
		if (a.status != cases[i].status)
			fail_msg("case %zu: %s", i, dns_status_name(a.status));
	}
}

/* Records of another name, class or type do not answer the question. */
static void
test_other_records(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_A, 3);
	put_named_record(&b, "b.example", DNS_A, IN, span_of("\1\2\3\4", 4));
	put_named_record(&b, "a.example", DNS_A, CHAOS, span_of("\1\2\3\4", 4));
	put_named_record(&b, "a.example", DNS_MX, IN, span_of("\0\1\0", 3));
	parse(&b, DNS_A, &a);
	assert_int_equal(a.status, DNS_NODATA);
}

static void
test_cnames(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_A, 3);
	put_named_record(&b, "c.example", DNS_A, IN, span_of("\1\2\3\4", 4));
	put_cname(&b, "B.example", "c.Example"); /* in any order */
	put_cname(&b, "a.example", "b.example");
	parse(&b, DNS_A, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.address[0].octets[3], 4);

	begin(&b, QR, DNS_A, 1);
	put_cname(&b, "a.example", "b.example");
	parse(&b, DNS_A, &a);
	assert_int_equal(a.status, DNS_NODATA);

	begin(&b, QR | NXDOMAIN, DNS_A, 1);
	put_cname(&b, "a.example", "b.example");
	parse(&b, DNS_A, &a);
	assert_int_equal(a.status, DNS_NXDOMAIN);
}

static void
test_cname_loop(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_MX, 2);
	put_cname(&b, "a.example", "b.example");
	put_cname(&b, "b.example", "a.example");
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_FAILED);
}

/* a -> b -> c ...: so many aliases, and an address at the end. */
static enum dns_status
chain(unsigned aliases)
{
	char from[] = "a.example", to[] = "a.example";
	struct dns_answer a;
	struct buf b;

	begin(&b, QR, DNS_A, aliases + 1);
	for (unsigned i = 0; i < aliases; i++) {
		to[0]++;
		put_cname(&b, from, to);
		from[0]++;
	}
	put_named_record(&b, from, DNS_A, IN, span_of("\1\2\3\4", 4));
	parse(&b, DNS_A, &a);
	return a.status;
}

static void
test_cname_chain(void **state)
{
	(void)state;
	assert_int_equal(chain(0), DNS_OK);
	assert_int_equal(chain(DNS_CNAME_MAX), DNS_OK);
	assert_int_equal(chain(DNS_CNAME_MAX + 1), DNS_FAILED);
}

static void
test_500_mx(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_MX, 500);
	for (unsigned i = 0; i < 500; i++)
		put_mx(&b, 499 - i, "mx.example");
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, DNS_MX_MAX);
	assert_int_equal(a.left_out, 500 - DNS_MX_MAX);
	for (unsigned i = 0; i < DNS_MX_MAX; i++)
		assert_int_equal(a.mx[i].preference, i);
}

static void
test_too_many_records(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		begin(&b, QR, DNS_MX, DNS_RECORDS_MAX + more);
		for (unsigned i = 0; i < DNS_RECORDS_MAX + more; i++)
			put_mx(&b, 10, "mx");
		parse(&b, DNS_MX, &a);
		assert_int_equal(a.status, more == 0 ? DNS_OK : DNS_FAILED);
	}
}

static void
test_txt_for_mx(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_MX, 1);
	put_record(&b, TXT, 3);
	buf_add(&b, span_of("\2hi", 3));
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_NODATA);
}

static void
test_compression_loops(void **state)
{
	/* where the host of the MX record begins, and what its pointer points to */
	enum { HOST = QUESTION_AT + 15 + 14 };
	static const struct {
		unsigned to;
		enum dns_status status;
	} cases[] = {
	    {QUESTION_AT, DNS_OK}, {HOST, DNS_FAILED}, /* itself */
	    {HOST + 2, DNS_FAILED},		       /* forwards */
	    {0x3fff, DNS_FAILED},		       /* out of the packet */
	    {HOST - 14, DNS_OK},		       /* a pointer that points on */
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct dns_answer a;
		struct buf b;

		begin(&b, QR, DNS_MX, 1);
		put_record(&b, DNS_MX, 4);
		put_u16(&b, 10);
		assert_int_equal(b.n, HOST);
		put_pointer(&b, cases[i].to);
		parse(&b, DNS_MX, &a);
		if (a.status != cases[i].status)
			fail_msg("case %zu: %s", i, dns_status_name(a.status));
	}
}

/* A long run of pointers, each to the one before it: legal by RFC 1035, and work for nothing. */
static void
test_pointer_chain(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_MX, 2);
	put_record(&b, TXT, 4000);
	for (unsigned i = 0; i < 2000; i++)
		put_pointer(&b, i == 0 ? QUESTION_AT : (unsigned)b.n - 2);
	put_pointer(&b, (unsigned)b.n - 2);
	put_type(&b, DNS_MX, IN, 3);
	buf_add(&b, span_of("\0\1\0", 3));
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_FAILED);
}

/* Every message that ends early is malformed; none is read beyond its end. */
static void
test_truncated(void **state)
{
	struct dns_question q;
	struct buf b;

	(void)state;
	assert_true(dns_question_set(&q, DNS_MX, span_str("a.example")));
	begin(&b, QR, DNS_MX, 2);
	put_mx(&b, 10, "mx.example");
	put_record(&b, TXT, 1);
	buf_octet(&b, 0);
	for (size_t n = 0; n <= b.n; n++) {
		struct buf exact; /* of its own, so that ASan sees the end */
		struct dns_answer a;

		buf_init(&exact, n);
		buf_add(&exact, span_of(b.p, n));
		dns_parse(buf_span(&exact), &q, &a);
		assert_int_equal(a.status, n == b.n ? DNS_OK : DNS_FAILED);
		buf_free(&exact);
	}
	buf_free(&b);
}

static void
test_rdata_length(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	for (unsigned length = 4; length <= 6; length++) {
		begin(&b, QR, DNS_MX, 1);
		put_record(&b, DNS_MX, length);
		put_u16(&b, 10);
		put_name(&b, "m");
		buf_octet(&b, 0);
		parse(&b, DNS_MX, &a);
		assert_int_equal(a.status, length == 5 ? DNS_OK : DNS_FAILED);
	}
}

static void
put_mx_label(struct buf *b, const char *label, size_t n)
{
	put_record(b, DNS_MX, n + 4);
	put_u16(b, 10);
	buf_octet(b, (uint8_t)n);
	buf_add(b, span_of(label, n));
	buf_octet(b, 0);
}

static void
put_ptr(struct buf *b, const char *host)
{
	put_record(b, DNS_PTR, strlen(host) + 2);
	put_name(b, host);
}

static void
test_ptr(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_PTR, 3);
	put_ptr(&b, "MX.Example");
	put_mx(&b, 10, "mx.example");
	put_ptr(&b, "host_1.example");
	parse(&b, DNS_PTR, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.left_out, 0);
	assert_string_equal(a.host[0], "mx.example");
	assert_string_equal(a.host[1], "host_1.example");

	begin(&b, QR, DNS_PTR, DNS_HOST_MAX + 3);
	for (unsigned i = 0; i < DNS_HOST_MAX + 3; i++)
		put_ptr(&b, "mx.example");
	parse(&b, DNS_PTR, &a);
	assert_int_equal(a.n, DNS_HOST_MAX);
	assert_int_equal(a.left_out, 3);

	begin(&b, QR, DNS_PTR, 1);
	put_record(&b, DNS_PTR, 13);
	put_name(&b, "mx.example");
	buf_octet(&b, 0);
	parse(&b, DNS_PTR, &a);
	assert_int_equal(a.status, DNS_FAILED);
}

/* RFC 2317: reverse zones smaller than an octet have aliases with a slash in their names. */
static void
test_ptr_alias(void **state)
{
	struct dns_answer a;
	struct buf b, host;

	(void)state;
	buf_init(&host, 100);
	put_name(&host, "mx.example");
	begin(&b, QR, DNS_PTR, 2);
	put_cname(&b, "a.example", "1.0/25.example");
	put_named_record(&b, "1.0/25.example", DNS_PTR, IN, buf_span(&host));
	parse(&b, DNS_PTR, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_string_equal(a.host[0], "mx.example");

	begin(&b, QR, DNS_PTR, 2);
	put_cname(&b, "a.example", "1.0 25.example");
	put_named_record(&b, "1.0 25.example", DNS_PTR, IN, buf_span(&host));
	parse(&b, DNS_PTR, &a);
	assert_int_equal(a.status, DNS_FAILED);

	begin(&b, QR, DNS_MX, 1); /* no host has such a name */
	put_cname(&b, "a.example", "1.0/25.example");
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_FAILED);
	buf_free(&host);
}

static void
test_reverse_name(void **state)
{
	static const char *const cases[][2] = {
	    {"192.0.2.25", "25.2.0.192.in-addr.arpa"},
	    {"255.100.9.0", "0.9.100.255.in-addr.arpa"},
	    {"2001:db8::1a",
		"a.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
	    {"::ffff:192.0.2.1", "1.2.0.192.in-addr.arpa"},
	};
	struct ip ip = {.family = IP_NONE};
	char name[DNS_NAME_MAX];

	(void)state;
	dns_reverse_name(&ip, name);
	assert_string_equal(name, "");
	for (size_t i = 0; i < nitems(cases); i++) {
		assert_true(ip_parse(span_str(cases[i][0]), &ip));
		dns_reverse_name(&ip, name);
		assert_string_equal(name, cases[i][1]);
	}
}

/* Names from DNS are as hostile as any other input. */
static void
test_bad_names(void **state)
{
	static const struct {
		const char *label;
		size_t n;
	} cases[] = {
	    {"a\0b", 3},
	    {"a.b", 3},
	    {"a b", 3},
	    {"a\r\nb", 4},
	    {"a%00", 4},
	    {"<a>", 3},
	    {"\xc3\xbc", 2},
	    {"a\x7f", 2},
	    {"192.0.2.1", 9},
	    {"[192.0.2.1]", 11},
	    {"a/b", 3},
	    {"\"", 1},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct dns_answer a;
		struct buf b;

		begin(&b, QR, DNS_MX, 1);
		put_mx_label(&b, cases[i].label, cases[i].n);
		parse(&b, DNS_MX, &a);
		if (a.status != DNS_FAILED || a.left_out != 1)
			fail_msg("case %zu", i);

		begin(&b, QR, DNS_MX, 2);
		put_mx_label(&b, cases[i].label, cases[i].n);
		put_mx(&b, 20, "mx.example");
		parse(&b, DNS_MX, &a);
		assert_int_equal(a.status, DNS_OK);
		assert_int_equal(a.n, 1);
		assert_int_equal(a.left_out, 1);
		assert_string_equal(a.mx[0].host, "mx.example");
	}
}

/* A name of an address is a host name, or nobody hears of it. */
static void
test_bad_ptr(void **state)
{
	static const char *const labels[] = {"evil\r\nRCPT TO:<x", "a b", "<a>", "a\nb", "\xc3\xbc",
	    "192.0.2.1", "2001:db8::1", "a/b", "a%00", "\"", "a\x1b[2J", ""};

	(void)state;
	for (size_t i = 0; i < nitems(labels); i++) {
		size_t n = strlen(labels[i]);
		struct dns_answer a;
		struct buf b;

		begin(&b, QR, DNS_PTR, 2);
		put_record(&b, DNS_PTR, n + 1 + (n > 0));
		if (n > 0) {
			buf_octet(&b, (uint8_t)n);
			buf_add(&b, span_of(labels[i], n));
		}
		buf_octet(&b, 0);
		put_ptr(&b, "192.0.2.1"); /* four labels that look like an address */
		parse(&b, DNS_PTR, &a);
		if (a.status != DNS_FAILED || a.n != 0 || a.left_out != 2)
			fail_msg("'%s' is taken for a host name", labels[i]);
	}
}

/* An alias or an owner whose dot is part of a label is another name, however it looks in text. */
static void
test_dot_in_label(void **state)
{
	static const char dotted[] = "\x09"
				     "b.example";
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_A, 2);
	put_named_record(&b, "a.example", CNAME, IN, span_of(dotted, sizeof(dotted)));
	put_named_record(&b, "b.example", DNS_A, IN, span_of("\1\2\3\4", 4));
	parse(&b, DNS_A, &a);
	assert_int_equal(a.status, DNS_FAILED);

	begin(&b, QR, DNS_A, 1);
	buf_octet(&b, 9);
	buf_add(&b, span_of("a.example", 10));
	put_type(&b, DNS_A, IN, 4);
	buf_add(&b, span_of("\1\2\3\4", 4));
	parse(&b, DNS_A, &a);
	assert_int_equal(a.status, DNS_NODATA);
}

/* RFC 1035 s4.1.4 and RFC 6891 s5: only lengths up to 63 and pointers are in use. */
static void
test_label_types(void **state)
{
	static const uint8_t lengths[] = {0x40, 0x41, 0x80, 0xbf};

	(void)state;
	for (size_t i = 0; i < nitems(lengths); i++) {
		struct dns_answer a;
		struct buf b;

		begin(&b, QR, DNS_MX, 1);
		buf_octet(&b, lengths[i]);
		for (unsigned n = 0; n < lengths[i]; n++)
			buf_octet(&b, 'x');
		buf_octet(&b, 0);
		put_type(&b, DNS_MX, IN, 0);
		parse(&b, DNS_MX, &a);
		assert_int_equal(a.status, DNS_FAILED);
	}
}

/* Labels of 63, and a last one, that make a name of n octets. */
static void
long_name(char *text, size_t n)
{
	memset(text, 'x', n);
	for (size_t i = 63; i < n; i += 64)
		text[i] = '.';
	text[n] = '\0';
}

static void
test_long_names(void **state)
{
	char name[300];
	struct dns_answer a;
	struct buf b;

	(void)state;
	long_name(name, 253);
	begin(&b, QR, DNS_MX, 1);
	put_mx(&b, 10, name);
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_string_equal(a.mx[0].host, name);

	long_name(name, 254);
	begin(&b, QR, DNS_MX, 2); /* malformed, not merely bad: the good one does not help */
	put_mx(&b, 10, name);
	put_mx(&b, 20, "mx.example");
	parse(&b, DNS_MX, &a);
	assert_int_equal(a.status, DNS_FAILED);
}

static void
test_name_ok(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
	    {"example.org", true},
	    {"localhost", true},
	    {"_dmarc.example", true},
	    {"xn--bcher-kva.example", true},
	    {"1.2.3.4", true},
	    {"", false},
	    {".", false},
	    {"a.", false},
	    {".a", false},
	    {"a..b", false},
	    {"a%00.example", false},
	    {"a b", false},
	    {"a@b", false},
	    {"b\xc3\xbc"
	     "cher.example",
		false},
	};
	struct dns_question q;
	char name[300];

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++)
		if (dns_name_ok(span_str(cases[i].name)) != cases[i].ok)
			fail_msg("'%s'", cases[i].name);
	assert_false(dns_name_ok(span_of("a\0b", 3)));
	memset(name, 'x', sizeof(name));
	assert_true(dns_name_ok(span_of(name, 63)));
	assert_false(dns_name_ok(span_of(name, 64)));
	long_name(name, 253);
	assert_true(dns_name_ok(span_str(name)));
	assert_true(dns_question_set(&q, DNS_A, span_str(name)));
	assert_string_equal(q.name, name);
	long_name(name, 254);
	assert_false(dns_name_ok(span_str(name)));
	assert_false(dns_question_set(&q, DNS_A, span_str(name)));
	long_name(name, 255);
	assert_false(dns_name_ok(span_str(name)));
	assert_false(dns_question_set(&q, DNS_A, span_str("a..b")));
}

static void
put_tlsa(struct buf *b, size_t length)
{
	static const uint8_t data[80] = {3, 1, 1};

	put_record(b, DNS_TLSA, length);
	buf_add(b, span_of(data, length));
}

/* RFC 6698 s2.1: what has no association data is no record; what is too short to be used is seen.
 */
static void
test_T_015_TLSA_of_any_length(void **state)
{
	static const struct {
		size_t length;
		enum dns_status status;
		bool usable;
	} rows[] = {{0, DNS_FAILED, false}, {1, DNS_FAILED, false}, {2, DNS_FAILED, false},
	    {3, DNS_FAILED, false}, {4, DNS_OK, false}, {19, DNS_OK, false}, {34, DNS_OK, false},
	    {35, DNS_OK, true}, {36, DNS_OK, false}, {67, DNS_OK, false}};
	struct dns_answer a;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		begin(&b, QR, DNS_TLSA, 1);
		put_tlsa(&b, rows[i].length);
		parse(&b, DNS_TLSA, &a);
		assert_int_equal(a.status, rows[i].status);
		assert_int_equal(a.n, rows[i].status == DNS_OK);
		assert_int_equal(a.left_out, rows[i].status != DNS_OK);
		assert_false(a.secure);
		if (a.n > 0) {
			assert_int_equal(a.tlsa[0].n, rows[i].length - 3);
			assert_int_equal(dns_tlsa_usable(&a.tlsa[0]), rows[i].usable);
		}
	}
}

/* Beside good ones, bad ones count for nothing. */
static void
test_T_015_TLSA_among_others(void **state)
{
	static const size_t lengths[] = {0, 2, 35, 3, 19};
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_TLSA, nitems(lengths));
	for (size_t i = 0; i < nitems(lengths); i++)
		put_tlsa(&b, lengths[i]);
	parse(&b, DNS_TLSA, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.left_out, 3);
	assert_int_equal(a.tlsa[0].usage, 3);
	assert_int_equal(a.tlsa[0].selector, 1);
	assert_int_equal(a.tlsa[0].matching, 1);
	assert_int_equal(a.tlsa[1].n, 16);

	begin(&b, QR, DNS_TLSA, DNS_TLSA_MAX + 1);
	for (size_t i = 0; i <= DNS_TLSA_MAX; i++)
		put_tlsa(&b, 35);
	parse(&b, DNS_TLSA, &a);
	assert_int_equal(a.n, DNS_TLSA_MAX);
	assert_int_equal(a.left_out, 1);
}

/* The length of the data leaves the message. */
static void
test_T_015_TLSA_that_is_cut(void **state)
{
	struct dns_answer a;
	struct buf b;

	(void)state;
	begin(&b, QR, DNS_TLSA, 1);
	put_record(&b, DNS_TLSA, 35);
	buf_add(&b, span_of("\x03\x01\x01", 3));
	parse(&b, DNS_TLSA, &a);
	assert_int_equal(a.status, DNS_FAILED);
	assert_int_equal(a.n, 0);
}

static void
test_T_015_TLSA_that_senders_use(void **state)
{
	static const struct {
		struct dns_tlsa record;
		bool want;
	} rows[] = {{{0, 1, 1, 32}, false}, {{1, 1, 1, 32}, false}, {{2, 0, 1, 32}, true},
	    {{2, 1, 2, 64}, true}, {{3, 1, 1, 32}, true}, {{3, 1, 0, 91}, true},
	    {{3, 0, 0, 1}, true}, {{3, 2, 1, 32}, false}, {{3, 1, 3, 32}, false},
	    {{3, 1, 2, 32}, false}, {{3, 1, 1, 64}, false}, {{4, 1, 1, 32}, false},
	    {{255, 255, 255, 32}, false}};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		if (dns_tlsa_usable(&rows[i].record) != rows[i].want)
			fail_msg("row %zu", i);
}

static void
put_txt(struct buf *b, struct span rdata)
{
	put_record(b, DNS_TXT, rdata.n);
	buf_add(b, rdata);
}

static void
test_TXT_strings_are_joined(void **state)
{
	static const char two[] = "\x08v=STSv1;\x00\x05 id=1";
	uint8_t longest[2 * 201];
	struct dns_answer a;
	struct buf b;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[0] = longest[201] = 200;
	begin(&b, QR, DNS_TXT, 5);
	put_txt(&b, span_of(two, sizeof(two) - 1));
	put_txt(&b, span_of(longest, sizeof(longest)));
	put_txt(&b, span_of("\x05cut", 4)); /* says more than there is */
	put_txt(&b, SPAN_NONE);
	put_txt(&b, span_of("", 1));
	parse(&b, DNS_TXT, &a);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, 3);
	assert_int_equal(a.left_out, 2);
	assert_memory_equal(a.txt[0].text, "v=STSv1; id=1", 13);
	assert_int_equal(a.txt[0].n, 13);
	assert_int_equal(a.txt[1].n, DNS_TXT_OCTETS);
	assert_int_equal(a.txt[2].n, 0);
}

static void
test_names_of_values(void **state)
{
	(void)state;
	assert_string_equal(dns_type_name(DNS_A), "A");
	assert_string_equal(dns_type_name(DNS_MX), "MX");
	assert_string_equal(dns_type_name(DNS_AAAA), "AAAA");
	assert_string_equal(dns_type_name(DNS_PTR), "PTR");
	assert_string_equal(dns_type_name(DNS_TXT), "TXT");
	assert_string_equal(dns_type_name(DNS_TLSA), "TLSA");
	assert_string_equal(dns_status_name(DNS_OK), "ok");
	assert_string_equal(dns_status_name(DNS_TIMEOUT), "timeout");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mx),
	    cmocka_unit_test(test_null_mx),
	    cmocka_unit_test(test_mx_ipv6),
	    cmocka_unit_test(test_compressed_host),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_too_many_addresses),
	    cmocka_unit_test(test_wrong_address_length),
	    cmocka_unit_test(test_rcodes),
	    cmocka_unit_test(test_other_records),
	    cmocka_unit_test(test_cnames),
	    cmocka_unit_test(test_cname_loop),
	    cmocka_unit_test(test_cname_chain),
	    {"D-018 another question", test_other_question, NULL, NULL, NULL},
	    {"D-018 500 MX records", test_500_mx, NULL, NULL, NULL},
	    {"D-018 too many records", test_too_many_records, NULL, NULL, NULL},
	    {"D-018 TXT in place of MX", test_txt_for_mx, NULL, NULL, NULL},
	    {"D-018 compression loops", test_compression_loops, NULL, NULL, NULL},
	    {"D-018 chain of pointers", test_pointer_chain, NULL, NULL, NULL},
	    {"D-018 truncated at every octet", test_truncated, NULL, NULL, NULL},
	    {"D-018 length of MX data", test_rdata_length, NULL, NULL, NULL},
	    {"D-018 label types", test_label_types, NULL, NULL, NULL},
	    {"D-019 bad names in answers", test_bad_names, NULL, NULL, NULL},
	    {"D-019 dot inside a label", test_dot_in_label, NULL, NULL, NULL},
	    {"D-019 long names in answers", test_long_names, NULL, NULL, NULL},
	    {"D-019 names to ask for", test_name_ok, NULL, NULL, NULL},
	    cmocka_unit_test(test_ptr),
	    cmocka_unit_test(test_ptr_alias),
	    cmocka_unit_test(test_reverse_name),
	    {"D-020 names of addresses", test_bad_ptr, NULL, NULL, NULL},
	    cmocka_unit_test(test_T_015_TLSA_of_any_length),
	    cmocka_unit_test(test_T_015_TLSA_among_others),
	    cmocka_unit_test(test_T_015_TLSA_that_is_cut),
	    cmocka_unit_test(test_T_015_TLSA_that_senders_use),
	    cmocka_unit_test(test_TXT_strings_are_joined),
	    cmocka_unit_test(test_names_of_values),
	};

	return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
