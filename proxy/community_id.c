#include "community_id.h"

#include <netinet/in.h>
#include <openssl/evp.h>

#define SHA1_OCTETS 20

static int
endpoint_cmp(const struct endpoint *a, const struct endpoint *b)
{
	int cmp = memcmp(a->ip.octets, b->ip.octets, sizeof(a->ip.octets));

	return cmp != 0 ? cmp : (int)a->port - (int)b->port;
}

static size_t
put_port(uint8_t *out, uint16_t port)
{
	out[0] = (uint8_t)(port >> 8);
	out[1] = (uint8_t)port;
	return 2;
}

/* What the digest is of: seed, both addresses, protocol, a zero, both ports. */
static size_t
flow_octets(const struct endpoint *a, const struct endpoint *b, uint8_t out[2 + 32 + 2 + 4])
{
	size_t address = a->ip.family == IP_V4 ? 4 : 16, n = 0;

	if (endpoint_cmp(a, b) > 0) {
		const struct endpoint *lower = b;

		b = a;
		a = lower;
	}
	out[n++] = 0;
	out[n++] = 0;
	memcpy(out + n, a->ip.octets, address);
	memcpy(out + n + address, b->ip.octets, address);
	n += 2 * address;
	out[n++] = IPPROTO_TCP;
	out[n++] = 0;
	n += put_port(out + n, a->port);
	n += put_port(out + n, b->port);
	return n;
}

/* Several of them a record: what finds the algorithm is done once in a process. */
static bool
sha1_of(const uint8_t *p, size_t n, uint8_t out[EVP_MAX_MD_SIZE])
{
	static EVP_MD_CTX *context;

	if (context == NULL) {
		context = EVP_MD_CTX_new();
		if (context == NULL || EVP_DigestInit_ex(context, EVP_sha1(), NULL) != 1) {
			EVP_MD_CTX_free(context);
			context = NULL;
			return false;
		}
	}
	return EVP_DigestInit_ex(context, NULL, NULL) == 1 &&
	       EVP_DigestUpdate(context, p, n) == 1 && EVP_DigestFinal_ex(context, out, NULL) == 1;
}

static bool
make_id(const struct endpoint *a, const struct endpoint *b, char out[COMMUNITY_ID_MAX])
{
	uint8_t in[2 + 32 + 2 + 4], digest[EVP_MAX_MD_SIZE];
	size_t n = flow_octets(a, b, in);

	if (!sha1_of(in, n, digest))
		return false;
	out[0] = '1';
	out[1] = ':';
	EVP_EncodeBlock((unsigned char *)out + 2, digest, SHA1_OCTETS);
	return true;
}

static bool
same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && ip_eq(&a->ip, &b->ip);
}

#define KNOWN 64

void
community_id(const struct endpoint *a, const struct endpoint *b, char out[COMMUNITY_ID_MAX])
{
	/* a session writes several records in a row, each with the ids of the same connections */
	static struct known {
		struct endpoint a, b;
		char id[COMMUNITY_ID_MAX];
	} known[KNOWN];
	struct known *k = &known[(a->port ^ b->port) % KNOWN];

	out[0] = '\0';
	if (a->ip.family != b->ip.family || a->ip.family == IP_NONE)
		return;
	if (!same_end(&k->a, a) || !same_end(&k->b, b)) {
		*k = (struct known){.a.ip.family = IP_NONE};
		if (!make_id(a, b, k->id))
			return;
		k->a = *a;
		k->b = *b;
	}
	memcpy(out, k->id, COMMUNITY_ID_MAX);
}
