#include "core/ip.h"

#include <arpa/inet.h>

struct network {
	struct ip base;
	unsigned bits;
};

struct ip
ip_v4(const uint8_t octets[4])
{
	struct ip ip = {.family = IP_V4};

	memcpy(ip.octets, octets, 4);
	return ip;
}

struct ip
ip_v6(const uint8_t octets[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 s2.5.5.2 */
	struct ip ip = {.family = IP_V6};

	if (memcmp(octets, mapped, sizeof(mapped)) == 0)
		return ip_v4(octets + sizeof(mapped));
	memcpy(ip.octets, octets, sizeof(ip.octets));
	return ip;
}

bool
ip_parse(struct span text, struct ip *out)
{
	char copy[IP_TEXT_MAX];
	uint8_t octets[16];

	if (text.n == 0 || text.n >= sizeof(copy) || span_find(text, '\0') >= 0)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';

	if (inet_pton(AF_INET, copy, octets) == 1)
		*out = ip_v4(octets);
	else if (inet_pton(AF_INET6, copy, octets) == 1)
		*out = ip_v6(octets);
	else
		return false;
	return true;
}

/* By hand: inet_ntop() goes by sprintf(), and each record has four of them. */
static void
v4_text(const uint8_t octets[4], char *text)
{
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t c = octets[i];

		if (c >= 100)
			*text++ = (char)('0' + c / 100);
		if (c >= 10)
			*text++ = (char)('0' + c / 10 % 10);
		*text++ = (char)('0' + c % 10);
		*text++ = i < 3 ? '.' : '\0';
	}
}

const char *
ip_text(const struct ip *ip, char text[IP_TEXT_MAX])
{
	text[0] = '\0';
	if (ip->family == IP_V4)
		v4_text(ip->octets, text);
	else if (ip->family != IP_NONE)
		inet_ntop(AF_INET6, ip->octets, text, IP_TEXT_MAX);
	return text;
}

bool
ip_eq(const struct ip *a, const struct ip *b)
{
	return a->family == b->family &&
	       (a->family == IP_NONE || memcmp(a->octets, b->octets, sizeof(a->octets)) == 0);
}

struct ip
ip_network(const struct ip *ip, unsigned bits)
{
	struct ip network = *ip;

	for (size_t i = 0; i < sizeof(network.octets); i++) {
		unsigned kept = bits < 8 ? bits : 8;
		network.octets[i] &= (uint8_t)(0xff00u >> kept);
		bits -= kept;
	}
	return network;
}

static bool
in_one_of(const struct ip *ip, const struct network *networks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ip network = ip_network(ip, networks[i].bits);
		if (ip_eq(&network, &networks[i].base))
			return true;
	}
	return false;
}

bool
ip_is_loopback(const struct ip *ip)
{
	static const struct network loopback[] = {
	    {{IP_V4, {127}}, 8},
	    {{IP_V6, {[15] = 1}}, 128},
	};

	return in_one_of(ip, loopback, sizeof(loopback) / sizeof(loopback[0]));
}

bool
ip_is_unspecified(const struct ip *ip)
{
	static const struct network unspecified[] = {
	    {{IP_V4, {0}}, 8}, /* RFC 1122 s3.2.1.3: "this network", all of it */
	    {{IP_V6, {0}}, 128},
	};

	return in_one_of(ip, unspecified, sizeof(unspecified) / sizeof(unspecified[0]));
}

bool
ip_is_private(const struct ip *ip)
{
	static const struct network private[] = {
	    {{IP_V4, {10}}, 8}, /* RFC 1918 s3 */
	    {{IP_V4, {172, 16}}, 12}, {{IP_V4, {192, 168}}, 16},
	    {{IP_V4, {169, 254}}, 16},	 /* RFC 3927 s2.1 */
	    {{IP_V4, {100, 64}}, 10},	 /* RFC 6598 s7 */
	    {{IP_V6, {0xfc}}, 7},	 /* RFC 4193 s3.1 */
	    {{IP_V6, {0xfe, 0x80}}, 10}, /* RFC 4291 s2.5.6 */
	};

	return in_one_of(ip, private, sizeof(private) / sizeof(private[0]));
}
