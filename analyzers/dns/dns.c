#include "dns/dns.h"

#define HEADER_LEN     12
#define CLASS_IN       1
#define TYPE_CNAME     5
#define RCODE_NXDOMAIN 3
#define POINTERS_MAX   127 /* of one name: it has no more labels than that */

/* RFC 1035 s4.1.1 */
#define FLAG_QR	     0x8000u
#define FLAGS_OPCODE 0x7800u
#define FLAG_TC	     0x0200u
#define FLAGS_RCODE  0x000fu

/* Reads on after a fault give zeros, so that "bad" is asked for once. */
struct reader {
	struct span packet;
	size_t at;
	bool bad;
};

struct name {
	char text[DNS_NAME_MAX]; /* lower case */
	size_t n;
	bool odd; /* an octet that text cannot show for what it is */
};

/* What one pass over the answers finds at one name. */
struct pass {
	struct name cname;
	bool has_cname;
};

static const uint8_t *
take(struct reader *r, size_t n)
{
	if (r->bad || r->packet.n - r->at < n) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	return r->packet.p + r->at - n;
}

static uint8_t
take_u8(struct reader *r)
{
	const uint8_t *p = take(r, 1);

	return p == NULL ? 0 : p[0];
}

static uint16_t
take_u16(struct reader *r)
{
	const uint8_t *p = take(r, 2);

	if (p == NULL)
		return 0;
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* False: longer than a name can be. */
static bool
name_add(struct name *name, const uint8_t *label, size_t n)
{
	size_t dot = name->n > 0;

	if (name->n + dot + n >= sizeof(name->text))
		return false;
	if (dot)
		name->text[name->n++] = '.';
	for (size_t i = 0; i < n; i++) {
		if (label[i] <= ' ' || label[i] >= 0x7f || label[i] == '.')
			name->odd = true;
		name->text[name->n++] = (char)octet_lower(label[i]);
	}
	name->text[name->n] = '\0';
	return true;
}

/*
 * RFC 1035 s4.1.4. Each pointer has to lead further back than the one before it, and the first
 * one before the name itself, so that no loop can be.
 */
static void
take_name(struct reader *r, struct name *name)
{
	struct reader label = *r;
	size_t before = r->at;
	size_t pointers = 0;

	*name = (struct name){0};
	for (;;) {
		size_t n = take_u8(&label);

		if (n >= 0xc0) {
			n = (n & 0x3f) << 8 | take_u8(&label);
			if (pointers++ == 0)
				r->at = label.at;
			label.bad = label.bad || n >= before || pointers > POINTERS_MAX;
			before = n;
			label.at = n;
		} else if (n > 0) {
			const uint8_t *p = n > 63 ? NULL : take(&label, n);
			label.bad = p == NULL || !name_add(name, p, n);
		}
		if (label.bad || n == 0)
			break;
	}
	r->bad = label.bad;
	if (pointers == 0)
		r->at = label.at;
}

static bool
name_is(const struct name *name, const char *text)
{
	return !name->odd && span_eq(span_of(name->text, name->n), span_str(text));
}

static bool
name_is_host(const struct name *name)
{
	return !name->odd && dns_name_ok(span_of(name->text, name->n));
}

/* Keeps the DNS_MX_MAX lowest preferences; records of one preference stay in their order. */
static void
mx_insert(struct dns_answer *out, const struct dns_mx *mx)
{
	size_t at = out->n;

	while (at > 0 && out->mx[at - 1].preference > mx->preference)
		at--;
	if (out->n == DNS_MX_MAX)
		out->left_out++;
	else
		out->n++;
	if (at == DNS_MX_MAX)
		return;
	memmove(&out->mx[at + 1], &out->mx[at], (out->n - at - 1) * sizeof(out->mx[0]));
	out->mx[at] = *mx;
}

static void
take_mx(struct reader *r, struct dns_answer *out)
{
	struct dns_mx mx = {.preference = take_u16(r)};
	struct name host;
	struct ip address;

	take_name(r, &host);
	if (r->bad)
		return;
	mx.is_address = !host.odd && ip_parse(span_of(host.text, host.n), &address);
	if (!mx.is_address && host.n > 0 && !name_is_host(&host)) {
		out->left_out++;
		return;
	}
	memcpy(mx.host, host.text, sizeof(mx.host));
	mx_insert(out, &mx);
}

static void
take_ptr(struct reader *r, struct dns_answer *out)
{
	struct name host;
	struct ip address;

	take_name(r, &host);
	if (r->bad)
		return;
	if (out->n == DNS_HOST_MAX || !name_is_host(&host) ||
	    ip_parse(span_of(host.text, host.n), &address))
		out->left_out++;
	else
		memcpy(out->host[out->n++], host.text, sizeof(host.text));
}

static void
take_address(struct reader *r, struct dns_answer *out)
{
	bool v4 = out->question.type == DNS_A;
	const uint8_t *p = take(r, v4 ? 4 : 16);

	if (p == NULL)
		return;
	if (out->n == DNS_ADDRESS_MAX)
		out->left_out++;
	else
		out->address[out->n++] = v4 ? ip_v4(p) : ip_v6(p);
}

#define TLSA_HEAD 3 /* usage, selector, matching type (RFC 6698 s2.1) */

static void
take_tlsa(struct reader *r, size_t length, struct dns_answer *out)
{
	const uint8_t *p = take(r, length);

	if (p == NULL)
		return;
	if (length <= TLSA_HEAD || out->n == DNS_TLSA_MAX)
		out->left_out++;
	else
		out->tlsa[out->n++] =
		    (struct dns_tlsa){p[0], p[1], p[2], (uint16_t)(length - TLSA_HEAD)};
}

/* Strings with their lengths (RFC 1035 s3.3.14), joined. False: they are not as long as they say.
 */
static bool
join_strings(struct span strings, struct dns_txt *txt)
{
	while (strings.n > 0) {
		size_t n = strings.p[0];
		struct span one;

		if (n > strings.n - 1)
			return false;
		one = span_first(span_first(span_from(strings, 1), n), sizeof(txt->text) - txt->n);
		if (one.n > 0)
			memcpy(txt->text + txt->n, one.p, one.n);
		txt->n = (uint8_t)(txt->n + one.n);
		strings = span_from(strings, 1 + n);
	}
	return true;
}

static void
take_txt(struct reader *r, size_t length, struct dns_answer *out)
{
	const uint8_t *p = take(r, length);
	struct dns_txt txt = {0};

	if (p == NULL)
		return;
	if (out->n == DNS_TXT_MAX || length == 0 || !join_strings(span_of(p, length), &txt))
		out->left_out++;
	else
		out->txt[out->n++] = txt;
}

/* The data of a record of the type that was asked for. */
static void
take_data(struct reader *r, size_t length, struct dns_answer *out)
{
	switch (out->question.type) {
	case DNS_A:
	case DNS_AAAA:
		take_address(r, out);
		break;
	case DNS_PTR:
		take_ptr(r, out);
		break;
	case DNS_MX:
		take_mx(r, out);
		break;
	case DNS_TXT:
		take_txt(r, length, out);
		break;
	case DNS_TLSA:
		take_tlsa(r, length, out);
		break;
	}
}

/* One resource record (RFC 1035 s4.1.3); only those at "owner" count. */
static void
take_record(struct reader *r, const char *owner, struct pass *pass, struct dns_answer *out)
{
	struct name name;
	unsigned type, class;
	size_t length, end;

	take_name(r, &name);
	type = take_u16(r);
	class = take_u16(r);
	take(r, 4); /* TTL */
	length = take_u16(r);
	end = r->at + length;
	if (r->bad || r->packet.n < end) {
		r->bad = true;
		return;
	}
	if (class != CLASS_IN || !name_is(&name, owner) ||
	    (type != (unsigned)out->question.type && type != TYPE_CNAME)) {
		r->at = end;
		return;
	}
	if (type == TYPE_CNAME) {
		take_name(r, &pass->cname);
		pass->has_cname = true;
	} else {
		take_data(r, length, out);
	}
	r->bad = r->bad || r->at != end;
}

/* Delegated reverse zones have names like "0/25.2.0.192.in-addr.arpa" (RFC 2317 s4). */
static bool
alias_ok(const struct name *alias, enum dns_type type)
{
	return type == DNS_PTR ? !alias->odd && alias->n > 0 : name_is_host(alias);
}

/* Collects what is asked for at the name, or at the end of the aliases that it begins. */
static enum dns_status
answers_read(const struct reader *answers, size_t count, struct dns_answer *out)
{
	char owner[DNS_NAME_MAX];

	memcpy(owner, out->question.name, sizeof(owner));
	for (size_t aliases = 0; aliases <= DNS_CNAME_MAX; aliases++) {
		struct reader r = *answers;
		struct pass pass = {0};

		for (size_t i = 0; i < count && !r.bad; i++)
			take_record(&r, owner, &pass, out);
		if (r.bad)
			return DNS_FAILED;
		if (out->n > 0)
			return DNS_OK;
		if (out->left_out > 0)
			return DNS_FAILED;
		if (!pass.has_cname)
			return DNS_NODATA;
		if (!alias_ok(&pass.cname, out->question.type))
			return DNS_FAILED;
		memcpy(owner, pass.cname.text, sizeof(owner));
	}
	return DNS_FAILED;
}

static bool
question_matches(struct reader *r, const struct dns_question *question)
{
	struct name name;
	unsigned type, class;

	take_name(r, &name);
	type = take_u16(r);
	class = take_u16(r);
	return !r->bad && name_is(&name, question->name) && type == (unsigned)question->type &&
	       class == CLASS_IN;
}

static enum dns_status
message_read(struct reader *r, struct dns_answer *out)
{
	unsigned flags, questions, answers;

	take(r, 2); /* ID: whoever sent the question has compared it */
	flags = take_u16(r);
	questions = take_u16(r);
	answers = take_u16(r);
	take(r, HEADER_LEN - 8);
	if (r->bad || questions != 1 || (flags & (FLAG_QR | FLAGS_OPCODE | FLAG_TC)) != FLAG_QR)
		return DNS_FAILED;
	if (!question_matches(r, &out->question))
		return DNS_FAILED;
	if ((flags & FLAGS_RCODE) == RCODE_NXDOMAIN)
		return DNS_NXDOMAIN;
	if ((flags & FLAGS_RCODE) != 0)
		return DNS_FAILED;
	return answers > DNS_RECORDS_MAX ? DNS_FAILED : answers_read(r, answers, out);
}

void
dns_parse(struct span packet, const struct dns_question *question, struct dns_answer *out)
{
	struct reader r = {.packet = packet};

	*out = (struct dns_answer){.question = *question};
	out->status = message_read(&r, out);
	if (out->status != DNS_OK)
		out->n = 0;
}

bool
dns_tlsa_usable(const struct dns_tlsa *t)
{
	enum { DANE_TA = 2, DANE_EE = 3, SELECTOR_MAX = 1, MATCH_MAX = 2 };
	static const uint16_t lengths[MATCH_MAX + 1] = {0, 32, 64}; /* whole, SHA-256, SHA-512 */

	return (t->usage == DANE_TA || t->usage == DANE_EE) && t->selector <= SELECTOR_MAX &&
	       t->matching <= MATCH_MAX &&
	       (lengths[t->matching] == 0 || t->n == lengths[t->matching]);
}

bool
dns_name_ok(struct span name)
{
	size_t label = 0;

	if (name.n == 0 || name.n >= DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (c == '.' && label == 0)
			return false;
		if (c != '.' && c != '-' && c != '_' && !octet_is_alnum(c))
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}

bool
dns_question_set(struct dns_question *q, enum dns_type type, struct span name)
{
	if (!dns_name_ok(name))
		return false;
	*q = (struct dns_question){.type = type};
	for (size_t i = 0; i < name.n; i++)
		q->name[i] = (char)octet_lower(name.p[i]);
	return true;
}

/* Writes the number and a dot, and returns what stands behind them. */
static char *
put_number(char *to, unsigned n)
{
	if (n >= 100)
		*to++ = (char)('0' + n / 100);
	if (n >= 10)
		*to++ = (char)('0' + n / 10 % 10);
	*to++ = (char)('0' + n % 10);
	*to++ = '.';
	return to;
}

static char *
put_nibble(char *to, unsigned n)
{
	*to++ = "0123456789abcdef"[n & 0xf];
	*to++ = '.';
	return to;
}

void
dns_reverse_name(const struct ip *ip, char name[DNS_NAME_MAX])
{
	static const char v4[] = "in-addr.arpa", v6[] = "ip6.arpa";

	*name = '\0';
	if (ip->family == IP_V4) {
		for (size_t i = 4; i-- > 0;)
			name = put_number(name, ip->octets[i]);
		memcpy(name, v4, sizeof(v4));
	} else if (ip->family == IP_V6) {
		for (size_t i = 16; i-- > 0;) {
			name = put_nibble(name, ip->octets[i]);
			name = put_nibble(name, ip->octets[i] >> 4);
		}
		memcpy(name, v6, sizeof(v6));
	}
}

const char *
dns_type_name(enum dns_type type)
{
	switch (type) {
	case DNS_A:
		return "A";
	case DNS_PTR:
		return "PTR";
	case DNS_MX:
		return "MX";
	case DNS_TXT:
		return "TXT";
	case DNS_TLSA:
		return "TLSA";
	case DNS_AAAA:
		return "AAAA";
	}
	return "";
}

const char *
dns_status_name(enum dns_status status)
{
	static const char *const names[] = {
	    [DNS_OK] = "ok",
	    [DNS_NODATA] = "nodata",
	    [DNS_NXDOMAIN] = "nxdomain",
	    [DNS_FAILED] = "failed",
	    [DNS_TIMEOUT] = "timeout",
	};

	return names[status];
}
