#include "address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct endpoint
address_endpoint(const struct sockaddr *sa)
{
	struct endpoint e = {.port = 0};

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

		e.ip = ip_v4((const uint8_t *)&in->sin_addr);
		e.port = ntohs(in->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

		e.ip = ip_v6(in6->sin6_addr.s6_addr);
		e.port = ntohs(in6->sin6_port);
	}
	return e;
}

socklen_t
address_size(const struct sockaddr *sa)
{
	return sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

socklen_t
address_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
	*out = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
	if (e->ip.family == IP_V4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(e->port)};

		memcpy(&in.sin_addr, e->ip.octets, sizeof(in.sin_addr));
		memcpy(out, &in, sizeof(in));
		return sizeof(in);
	}
	if (e->ip.family == IP_V6) {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};

		memcpy(&in6.sin6_addr, e->ip.octets, sizeof(in6.sin6_addr));
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

const char *
address_text(const struct endpoint *e, char text[ADDRESS_TEXT_MAX])
{
	char ip[IP_TEXT_MAX];

	snprintf(text, ADDRESS_TEXT_MAX, e->ip.family == IP_V6 ? "[%s]:%u" : "%s:%u",
	    ip_text(&e->ip, ip), (unsigned)e->port);
	return text;
}
