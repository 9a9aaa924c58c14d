/*
 * ip - an IPv4 or IPv6 address as octets.
 *
 * An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is folded to IPv4 by every function that makes
 * one, so that the same host is never two.
 */
#ifndef POSTERN_IP_H
#define POSTERN_IP_H

#include "core/span.h"

enum ip_family {
	IP_NONE = 0, /* no address: equals only another one like it */
	IP_V4 = 4,
	IP_V6 = 6,
};

struct ip {
	enum ip_family family;
	uint8_t octets[16]; /* network order; an IPv4 address in the first four, the rest zero */
};

#define IP_TEXT_MAX 46 /* longest text with its NUL */

struct ip ip_v4(const uint8_t octets[4]);
struct ip ip_v6(const uint8_t octets[16]);

/* "192.0.2.1" or "2001:db8::1", nothing around it; no octal, no short forms, no zone. */
bool ip_parse(struct span text, struct ip *out);
/* Writes the usual text form (RFC 5952) with a NUL, of IP_NONE nothing, and returns text. */
const char *ip_text(const struct ip *, char text[IP_TEXT_MAX]);

bool ip_eq(const struct ip *, const struct ip *);
/* The first "bits" bits kept, the others zero: the network an address lies in. Never fails. */
struct ip ip_network(const struct ip *, unsigned bits);

/* 127.0.0.0/8, ::1; 0.0.0.0/8, ::; RFC 1918, ULA, link-local, 100.64.0.0/10. */
bool ip_is_loopback(const struct ip *);
bool ip_is_unspecified(const struct ip *);
bool ip_is_private(const struct ip *);

#endif
