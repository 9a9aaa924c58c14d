/*
 * The octets of a message, for who wants them under their digest. Nobody else needs that digest, so
 * it is only made here.
 */
#include "mime/mail_state.h"

void
mail_sink_begin(struct mail *m)
{
	const struct mail_sink *sink = m->options.sink;
	const EVP_MD *sha;

	if (sink == NULL)
		return;
	m->sunk = sink->begin(sink->arg, MAIL_CONTENT_MESSAGE);
	if (m->sunk == NULL)
		return;
	sha = leaf_digest_of(LEAF_SHA256);
	m->sunk_sha = EVP_MD_CTX_new();
	if (sha == NULL || m->sunk_sha == NULL || EVP_DigestInit_ex(m->sunk_sha, sha, NULL) != 1)
		mail_sink_end(m, false);
}

static void
forget(struct mail *m)
{
	m->sunk = NULL;
	EVP_MD_CTX_free(m->sunk_sha);
	m->sunk_sha = NULL;
}

void
mail_sink_feed(struct mail *m, struct span octets)
{
	const struct mail_sink *sink = m->options.sink;

	if (m->sunk == NULL || octets.n == 0)
		return;
	if (!sink->octets(sink->arg, m->sunk, octets))
		forget(m);
	else if (EVP_DigestUpdate(m->sunk_sha, octets.p, octets.n) != 1)
		mail_sink_end(m, false);
}

void
mail_sink_end(struct mail *m, bool whole)
{
	const struct mail_sink *sink = m->options.sink;
	uint8_t sha256[32];

	if (m->sunk == NULL)
		return;
	whole = whole && EVP_DigestFinal_ex(m->sunk_sha, sha256, NULL) == 1;
	sink->end(sink->arg, m->sunk, whole ? sha256 : NULL);
	forget(m);
}
