#include "proxy_protocol.h"

/* Section 2.2: signature; version 2, PROXY; family and STREAM; octets of the addresses. */
static const uint8_t signature[] = {
    '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
#define VERSION_2_PROXY 0x21
#define TCP_OVER_IPV4	0x11
#define TCP_OVER_IPV6	0x21

static size_t
version1(const struct endpoint *client, const struct endpoint *to, char *out)
{
	char from_text[IP_TEXT_MAX], to_text[IP_TEXT_MAX];

	return (size_t)snprintf(out, PROXY_HEADER_MAX, "PROXY TCP%d %s %s %u %u\r\n",
	    client->ip.family == IP_V4 ? 4 : 6, ip_text(&client->ip, from_text),
	    ip_text(&to->ip, to_text), (unsigned)client->port, (unsigned)to->port);
}

static uint8_t *
put(uint8_t *at, const void *octets, size_t n)
{
	memcpy(at, octets, n);
	return at + n;
}

static uint8_t *
put16(uint8_t *at, size_t n)
{
	*at++ = (uint8_t)(n >> 8);
	*at++ = (uint8_t)n;
	return at;
}

static size_t
version2(const struct endpoint *client, const struct endpoint *to, uint8_t *out)
{
	size_t address = client->ip.family == IP_V4 ? 4 : 16;
	uint8_t *at = put(out, signature, sizeof(signature));

	*at++ = VERSION_2_PROXY;
	*at++ = client->ip.family == IP_V4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
	at = put16(at, 2 * address + 2 * sizeof(uint16_t));
	at = put(at, client->ip.octets, address);
	at = put(at, to->ip.octets, address);
	at = put16(at, client->port);
	at = put16(at, to->port);
	return (size_t)(at - out);
}

size_t
proxy_header(enum send_proxy version, const struct endpoint *client, const struct endpoint *to,
    uint8_t out[PROXY_HEADER_MAX])
{
	if (client->ip.family == IP_NONE || client->ip.family != to->ip.family)
		return 0;
	switch (version) {
	case SEND_PROXY_NO:
		return 0;
	case SEND_PROXY_V1:
		return version1(client, to, (char *)out);
	case SEND_PROXY_V2:
		return version2(client, to, out);
	}
	return 0;
}
