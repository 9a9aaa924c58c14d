/*
 * fuzz_dns - answers of the DNS. The first octet chooses what "a.example" was asked for, the
 * others are the message.
 *
 * Claims: whatever comes, the answer keeps its bounds, is in order, and every name in it is one.
 */
#include "dns/dns.h"
#include "fuzz.h"

static void
claim_mx(const struct dns_answer *a)
{
	fuzz_claim(a->n <= DNS_MX_MAX);
	for (size_t i = 0; i < a->n; i++) {
		struct span host = span_of(a->mx[i].host, strnlen(a->mx[i].host, DNS_NAME_MAX));
		struct ip ip;

		fuzz_claim(host.n < DNS_NAME_MAX);
		fuzz_claim(a->mx[i].is_address == ip_parse(host, &ip));
		fuzz_claim(host.n == 0 || a->mx[i].is_address || dns_name_ok(host));
		fuzz_claim(i == 0 || a->mx[i - 1].preference <= a->mx[i].preference);
		for (size_t k = 0; k < host.n; k++)
			fuzz_claim(host.p[k] == octet_lower(host.p[k]));
	}
}

static void
claim_addresses(const struct dns_answer *a)
{
	fuzz_claim(a->n <= DNS_ADDRESS_MAX);
	for (size_t i = 0; i < a->n; i++)
		fuzz_claim(a->address[i].family == IP_V4 ||
			   (a->question.type == DNS_AAAA && a->address[i].family == IP_V6));
}

static void
claim_hosts(const struct dns_answer *a)
{
	fuzz_claim(a->n <= DNS_HOST_MAX);
	for (size_t i = 0; i < a->n; i++) {
		struct span host = span_of(a->host[i], strnlen(a->host[i], DNS_NAME_MAX));
		struct ip ip;

		fuzz_claim(host.n < DNS_NAME_MAX && dns_name_ok(host) && !ip_parse(host, &ip));
		for (size_t k = 0; k < host.n; k++)
			fuzz_claim(host.p[k] == octet_lower(host.p[k]));
	}
}

static void
claim_certificates(const struct dns_answer *a)
{
	fuzz_claim(a->n <= (a->question.type == DNS_TLSA ? DNS_TLSA_MAX : DNS_TXT_MAX));
	for (size_t i = 0; i < a->n; i++)
		if (a->question.type == DNS_TLSA) {
			fuzz_claim(a->tlsa[i].n > 0);
			fuzz_claim(!dns_tlsa_usable(&a->tlsa[i]) || a->tlsa[i].usage >= 2);
		} else {
			fuzz_claim(a->txt[i].n <= DNS_TXT_OCTETS);
		}
}

/* The octets as an address: where its names are is a name that can be asked for. */
static void
claim_reverse(struct span octets)
{
	char name[DNS_NAME_MAX];
	struct ip ip;

	if (octets.n < 16)
		return;
	ip = ip_v4(octets.p);
	dns_reverse_name(&ip, name);
	fuzz_claim(dns_name_ok(span_str(name)) && strlen(name) <= 28);
	ip = ip_v6(octets.p);
	dns_reverse_name(&ip, name);
	fuzz_claim(dns_name_ok(span_str(name)) && strlen(name) <= 72);
}

/* The same octets as a name to ask for. */
static void
claim_question(struct span name)
{
	struct dns_question q;

	fuzz_claim(dns_question_set(&q, DNS_A, name) == dns_name_ok(name));
	if (!dns_name_ok(name))
		return;
	fuzz_claim(strnlen(q.name, DNS_NAME_MAX) == name.n);
	fuzz_claim(span_ieq(span_str(q.name), name));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const enum dns_type types[] = {DNS_A, DNS_MX, DNS_AAAA, DNS_PTR, DNS_TLSA, DNS_TXT};
	struct span packet = span_from(span_of(p, n), 1);
	struct dns_question q;
	struct dns_answer a;

	fuzz_claim(dns_question_set(&q, types[n > 0 ? p[0] % 6 : 0], span_str("a.example")));
	dns_parse(packet, &q, &a);
	fuzz_claim(a.question.type == q.type && strcmp(a.question.name, q.name) == 0);
	fuzz_claim((a.status == DNS_OK) == (a.n > 0));
	fuzz_claim(a.status != DNS_TIMEOUT);
	if (q.type == DNS_MX)
		claim_mx(&a);
	else if (q.type == DNS_PTR)
		claim_hosts(&a);
	else if (q.type == DNS_TLSA || q.type == DNS_TXT)
		claim_certificates(&a);
	else
		claim_addresses(&a);
	claim_question(packet);
	claim_reverse(packet);
	return 0;
}
