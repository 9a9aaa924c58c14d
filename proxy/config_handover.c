#include "config_handover.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "ca.h"
#include "sealed_blocks.h"

/* ---- writing ---- */

static bool
write_certificates(int fd, const struct certificate *all, size_t n)
{
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++)
		ok = sealed_put(fd, all[i].chain_pem) && sealed_put(fd, all[i].key_pem);
	return ok;
}

static bool
write_blocks(int fd, const struct config *c, const uint8_t secret[TLS_SECRET])
{
	const struct digests *d = &c->content.sha256;
	bool ok = sealed_put(fd, span_of(d->p, d->n * DIGEST_SIZE)) &&
		  sealed_put(fd, span_of(secret, TLS_SECRET)) && sealed_put(fd, c->tls.trust_pem) &&
		  sealed_put(fd, c->tls.own_ca_pem) && sealed_put(fd, c->tls.own.chain_pem) &&
		  sealed_put(fd, c->tls.own.key_pem);

	for (size_t i = 0; ok && i < CA_COUNT; i++)
		ok = sealed_put(fd, c->tls.ca[i].chain_pem);
	return ok && write_certificates(fd, c->certificates, c->n_certificates) &&
	       write_certificates(fd, c->client_certificates, c->n_client_certificates);
}

int
config_hand_over(const struct config *c, const uint8_t secret[TLS_SECRET])
{
	int fd = sealed_open("postern.conf");

	return sealed_finish(fd, fd >= 0 && sealed_write(fd, span_of(c->text, c->text_n)) &&
				     sealed_write(fd, span_of("", 1)) &&
				     write_blocks(fd, c, secret));
}

/* ---- reading ---- */

static bool
take_certificates(struct span *rest, struct certificate *all, size_t n)
{
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++)
		ok = sealed_take(rest, &all[i].chain_pem) && sealed_take(rest, &all[i].key_pem);
	return ok;
}

static bool
take_blocks(struct span rest, struct config *c)
{
	struct span digests, secret;
	bool ok = sealed_take(&rest, &digests) && digests_borrow(&c->content.sha256, digests) &&
		  sealed_take(&rest, &secret) && secret.n == TLS_SECRET &&
		  sealed_take(&rest, &c->tls.trust_pem) && sealed_take(&rest, &c->tls.own_ca_pem) &&
		  sealed_take(&rest, &c->tls.own.chain_pem) &&
		  sealed_take(&rest, &c->tls.own.key_pem);

	if (ok)
		memcpy(c->tls_secret, secret.p, TLS_SECRET);
	for (size_t i = 0; ok && i < CA_COUNT; i++)
		ok = sealed_take(&rest, &c->tls.ca[i].chain_pem);
	return ok && take_certificates(&rest, c->certificates, c->n_certificates) &&
	       take_certificates(&rest, c->client_certificates, c->n_client_certificates) &&
	       rest.n == 0;
}

struct config *
config_inherit(const char *path, int fd, FILE *err)
{
	struct config *c = NULL;
	struct span all, text;
	struct stat st;
	ptrdiff_t nul;
	void *p;

	if (fstat(fd, &st) != 0 || st.st_size <= 0)
		return NULL;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	all = span_of(p, (size_t)st.st_size);
	nul = span_find(all, '\0');
	text = span_first(all, nul < 0 ? 0 : (size_t)nul);
	if (nul >= 0 && text.n <= CONFIG_FILE_MAX)
		c = config_parse(path, (const char *)text.p, text.n, err);
	if (c == NULL) {
		munmap(p, (size_t)st.st_size);
		return NULL;
	}
	c->handed = all; /* config_free() unmaps it */
	if (take_blocks(span_from(all, text.n + 1), c))
		return c;
	config_free(c);
	return NULL;
}
