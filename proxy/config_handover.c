#include "config_handover.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca.h"

static bool
write_all(int fd, struct span s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			s = span_from(s, (size_t)n);
	}
	return true;
}

/* ---- writing ---- */

static bool
write_block(int fd, struct span s)
{
	uint64_t n = s.n;

	return write_all(fd, span_of(&n, sizeof(n))) && write_all(fd, s);
}

static bool
write_certificates(int fd, const struct certificate *all, size_t n)
{
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++)
		ok = write_block(fd, all[i].chain_pem) && write_block(fd, all[i].key_pem);
	return ok;
}

static bool
write_blocks(int fd, const struct config *c, const uint8_t secret[TLS_SECRET])
{
	const struct digests *d = &c->content.sha256;
	bool ok = write_block(fd, span_of(d->p, d->n * DIGEST_SIZE)) &&
		  write_block(fd, span_of(secret, TLS_SECRET)) &&
		  write_block(fd, c->tls.trust_pem) && write_block(fd, c->tls.own_ca_pem) &&
		  write_block(fd, c->tls.own.chain_pem) && write_block(fd, c->tls.own.key_pem);

	for (size_t i = 0; ok && i < CA_COUNT; i++)
		ok = write_block(fd, c->tls.ca[i].chain_pem);
	return ok && write_certificates(fd, c->certificates, c->n_certificates) &&
	       write_certificates(fd, c->client_certificates, c->n_client_certificates);
}

int
config_hand_over(const struct config *c, const uint8_t secret[TLS_SECRET])
{
	int fd = memfd_create("postern.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING), why;

	if (fd < 0)
		return -1;
	if (write_all(fd, span_of(c->text, c->text_n)) && write_all(fd, span_of("", 1)) &&
	    write_blocks(fd, c, secret) &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

/* ---- reading ---- */

static bool
take_block(struct span *rest, struct span *out)
{
	uint64_t n;

	if (rest->n < sizeof(n))
		return false;
	memcpy(&n, rest->p, sizeof(n));
	*rest = span_from(*rest, sizeof(n));
	if (n > rest->n)
		return false;
	*out = span_first(*rest, (size_t)n);
	*rest = span_from(*rest, (size_t)n);
	return true;
}

static bool
take_certificates(struct span *rest, struct certificate *all, size_t n)
{
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++)
		ok = take_block(rest, &all[i].chain_pem) && take_block(rest, &all[i].key_pem);
	return ok;
}

static bool
take_blocks(struct span rest, struct config *c)
{
	struct span digests, secret;
	bool ok = take_block(&rest, &digests) && digests_borrow(&c->content.sha256, digests) &&
		  take_block(&rest, &secret) && secret.n == TLS_SECRET &&
		  take_block(&rest, &c->tls.trust_pem) && take_block(&rest, &c->tls.own_ca_pem) &&
		  take_block(&rest, &c->tls.own.chain_pem) &&
		  take_block(&rest, &c->tls.own.key_pem);

	if (ok)
		memcpy(c->tls_secret, secret.p, TLS_SECRET);
	for (size_t i = 0; ok && i < CA_COUNT; i++)
		ok = take_block(&rest, &c->tls.ca[i].chain_pem);
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
