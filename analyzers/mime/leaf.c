#include "mime/leaf.h"

static bool
digest_is_on(const struct mail_options *o, enum leaf_digest which)
{
	return which == LEAF_SHA256 ? o->sha256 : which == LEAF_SHA1 ? o->sha1 : o->md5;
}

const EVP_MD *
leaf_digest_of(enum leaf_digest which)
{
	static const char *const names[LEAF_DIGESTS] = {
	    [LEAF_SHA256] = "SHA256", [LEAF_SHA1] = "SHA1", [LEAF_MD5] = "MD5"};
	static EVP_MD *fetched[LEAF_DIGESTS];

	if (fetched[which] == NULL)
		fetched[which] = EVP_MD_fetch(NULL, names[which], NULL);
	return fetched[which];
}

bool
leaf_new(struct leaf *l, struct leaf_shared *shared)
{
	const EVP_MD *digest;

	*l = (struct leaf){.shared = shared};
	for (unsigned i = 0; i < LEAF_DIGESTS; i++) {
		if (!digest_is_on(shared->options, (enum leaf_digest)i))
			continue;
		digest = leaf_digest_of((enum leaf_digest)i);
		l->contexts[i] = digest == NULL ? NULL : EVP_MD_CTX_new();
		if (l->contexts[i] == NULL || EVP_DigestInit_ex(l->contexts[i], digest, NULL) != 1)
			return false;
	}
	return true;
}

void
leaf_free(struct leaf *l)
{
	if (l->shared == NULL) /* it was never used */
		return;
	if (l->busy)
		leaf_end(l);
	for (unsigned i = 0; i < LEAF_DIGESTS; i++)
		EVP_MD_CTX_free(l->contexts[i]);
	*l = (struct leaf){0};
}

bool
leaf_begin(struct leaf *l, struct span type)
{
	const struct mail_options *o = l->shared->options;

	l->busy = true;
	l->sealed = SEALED_NOT;
	l->archive_left_out = l->no_urls = false;
	l->size = 0;
	l->stop_size = l->url_safe_size = UINT64_MAX;
	/* the context keeps its algorithm: beginning again costs no look-up of it */
	for (unsigned i = 0; i < LEAF_DIGESTS; i++)
		if (l->contexts[i] != NULL && EVP_DigestInit_ex(l->contexts[i], NULL, NULL) != 1)
			return false;
	l->html = span_eq(type, span_str("text/html"));
	l->has_urls = l->shared->urls != NULL && span_starts(type, span_str("text/"));
	l->detects = o->types && l->shared->detected < o->detected;
	if (l->detects) {
		detect_init(&l->detect);
		l->shared->detected++;
	}
	if (o->sink != NULL)
		l->sunk = o->sink->begin(o->sink->arg, MAIL_CONTENT_LEAF);
	return true;
}

/* ---- who wants the octets too ---- */

static void
sink_octets(struct leaf *l, struct span octets)
{
	const struct mail_sink *sink = l->shared->options->sink;

	if (l->sunk != NULL && octets.n > 0 && !sink->octets(sink->arg, l->sunk, octets))
		l->sunk = NULL;
}

/* True: it was kept. */
static bool
sink_end(struct leaf *l, const uint8_t *sha256)
{
	const struct mail_sink *sink = l->shared->options->sink;
	void *of = l->sunk;

	l->sunk = NULL;
	return of != NULL && sink->end(sink->arg, of, sha256);
}

/* ---- content ---- */

static bool
feed_urls(struct leaf *l, struct span octets)
{
	struct leaf_shared *s = l->shared;

	if (!l->has_urls || octets.n == 0)
		return true;
	if (s->urls_owner != l) {
		urls_begin(s->urls, l->html);
		s->urls_owner = l;
	}
	return urls_feed(s->urls, octets);
}

/* What comes behind the octets that tell the type. */
static bool
feed_readers(struct leaf *l, struct span octets)
{
	if (l->archive != NULL && octets.n > 0)
		archive_reader_feed(l->archive, octets);
	return feed_urls(l, octets);
}

static bool
open_archive(struct leaf *l)
{
	struct leaf_shared *s = l->shared;
	struct span type = detect_type(&l->detect);

	if (!s->options->archives || !archive_is(type))
		return true;
	l->archive_left_out = s->readers == LEAF_READERS_MAX;
	if (l->archive_left_out)
		return true;
	l->archive = archive_reader_new(type, &s->budget);
	if (l->archive == NULL)
		return false;
	s->readers++;
	return true;
}

/* The type is known: those who read by it begin with the octets that told it. */
static bool
on_detected(struct leaf *l)
{
	struct span prefix = detect_prefix(&l->detect);

	if (l->detect.nomem)
		return false;
	l->sealed = sealed_look(prefix);
	if (l->shared->urls != NULL && !l->no_urls &&
	    span_eq(detect_type(&l->detect), span_str("text/html")))
		l->has_urls = l->html = true;
	return open_archive(l) && feed_readers(l, prefix);
}

static bool
digest(struct leaf *l, struct span octets)
{
	for (unsigned i = 0; i < LEAF_DIGESTS; i++)
		if (l->contexts[i] != NULL &&
		    EVP_DigestUpdate(l->contexts[i], octets.p, octets.n) != 1)
			return false;
	l->size += octets.n;
	return true;
}

/* The digest of what those have who stop here. */
static bool
digest_stops(struct leaf *l)
{
	EVP_MD_CTX *copy;
	bool ok;

	l->stop_size = l->size;
	if (l->contexts[LEAF_SHA256] == NULL)
		return true;
	copy = EVP_MD_CTX_new();
	ok = copy != NULL && EVP_MD_CTX_copy_ex(copy, l->contexts[LEAF_SHA256]) == 1 &&
	     EVP_DigestFinal_ex(copy, l->stop_sha256, NULL) == 1;
	EVP_MD_CTX_free(copy);
	return ok;
}

bool
leaf_feed(struct leaf *l, struct span octets, uint64_t stop_size)
{
	size_t used = 0, before = 0;

	sink_octets(l, octets);
	if (stop_size != UINT64_MAX && l->stop_size == UINT64_MAX) {
		before = (size_t)(stop_size - l->size);
		if (!digest(l, span_first(octets, before)) || !digest_stops(l))
			return false;
	}
	if (!digest(l, span_from(octets, before)))
		return false;
	if (!l->detects || l->detect.done)
		return feed_readers(l, octets);
	if (!detect_feed(&l->detect, octets, &used))
		return !l->detect.nomem;
	return on_detected(l) && feed_readers(l, span_from(octets, used));
}

bool
leaf_settle(struct leaf *l)
{
	return !l->detects || !detect_finish(&l->detect) || on_detected(l);
}

bool
leaf_feed_url_safe(struct leaf *l, struct span octets)
{
	const bool first = l->url_safe_size == UINT64_MAX;

	if (first)
		l->url_safe_size = l->size;
	l->url_safe_size += octets.n;
	if (l->contexts[LEAF_SHA256] == NULL)
		return true;
	if (first) {
		l->url_safe = EVP_MD_CTX_new();
		if (l->url_safe == NULL ||
		    EVP_MD_CTX_copy_ex(l->url_safe, l->contexts[LEAF_SHA256]) != 1)
			return false;
	}
	return EVP_DigestUpdate(l->url_safe, octets.p, octets.n) == 1;
}

bool
leaf_finish(struct leaf *l)
{
	if (!leaf_settle(l))
		return false;
	if (l->archive != NULL) {
		archive_reader_finish(l->archive);
		if (archive_reader_members(l->archive)->nomem)
			return false;
	}
	if (l->shared->urls_owner != l)
		return true;
	l->shared->urls_owner = NULL;
	return urls_end(l->shared->urls);
}

bool
leaf_digests(struct leaf *l, struct mail_part *part)
{
	uint8_t *const places[LEAF_DIGESTS] = {
	    [LEAF_SHA256] = part->sha256, [LEAF_SHA1] = part->sha1, [LEAF_MD5] = part->md5};

	for (unsigned i = 0; i < LEAF_DIGESTS; i++)
		if (l->contexts[i] != NULL &&
		    EVP_DigestFinal_ex(l->contexts[i], places[i], NULL) != 1)
			return false;
	part->stop_size = l->stop_size;
	if (l->stop_size != UINT64_MAX && l->contexts[LEAF_SHA256] != NULL) {
		memcpy(part->stop_sha256, l->stop_sha256, sizeof(part->stop_sha256));
		part->has_stop_sha256 = true;
	}
	part->url_safe_size = l->url_safe_size;
	if (l->url_safe != NULL) {
		if (EVP_DigestFinal_ex(l->url_safe, part->url_safe_sha256, NULL) != 1)
			return false;
		part->has_url_safe_sha256 = true;
	}
	part->has_digests = true;
	part->stored = sink_end(l, l->contexts[LEAF_SHA256] != NULL ? part->sha256 : NULL);
	return true;
}

void
leaf_drop(struct leaf *l)
{
	if (l->detects)
		l->shared->detected--;
	leaf_end(l);
}

void
leaf_end(struct leaf *l)
{
	sink_end(l, NULL);
	if (l->detects)
		detect_free(&l->detect);
	if (l->archive != NULL) {
		archive_reader_free(l->archive);
		l->shared->readers--;
	}
	if (l->shared->urls_owner == l)
		l->shared->urls_owner = NULL;
	EVP_MD_CTX_free(l->url_safe);
	l->url_safe = NULL;
	l->archive = NULL;
	l->detects = l->busy = false;
}
