#include "tls_distrust.h"

#include <openssl/ssl.h>
#include <stdlib.h>

struct row {
	struct ip client, server;
	unsigned times;
};

struct tls_distrust {
	struct row rows[DISTRUST_ROWS];
};

struct tls_distrust *
tls_distrust_new(void)
{
	return calloc(1, sizeof(struct tls_distrust));
}

void
tls_distrust_free(struct tls_distrust *d)
{
	free(d);
}

bool
tls_distrust_is(int alert)
{
	return alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_BAD_CERTIFICATE ||
	       alert == SSL_AD_CERTIFICATE_UNKNOWN;
}

/* FNV-1a */
static uint32_t
hash(uint32_t h, const struct ip *ip)
{
	for (size_t i = 0; i < sizeof(ip->octets); i++)
		h = (h ^ ip->octets[i]) * 16777619u;
	return h;
}

unsigned
tls_distrust_note(struct tls_distrust *d, const struct ip *client, const struct ip *server)
{
	struct row *row;

	if (d == NULL)
		return 1;
	row = &d->rows[hash(hash(2166136261u, client), server) % DISTRUST_ROWS];
	if (!ip_eq(&row->client, client) || !ip_eq(&row->server, server))
		*row = (struct row){*client, *server, 0};
	return ++row->times;
}
